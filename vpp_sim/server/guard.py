"""What stands before every address: only known host names are answered, and pages may load nothing from elsewhere.

A browser lets any page on the web ask for any host name, also one that its owner has pointed at this machine after the
page was loaded ("DNS rebinding"). Such a request carries the foreign name, and is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders

from vpp_sim.server.problems import problem_response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["LOOPBACK", "Guard"]

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
"""Names of this machine to itself."""

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


class Guard:
    """Refuse foreign host names, and set the headers of every answer.

    Parameters
    ----------
    app : ASGIApp
        What answers.
    hosts : frozenset of str or None
        Names, without port, that are answered; None answers to all.
    """

    def __init__(self, app: ASGIApp, hosts: frozenset[str] | None) -> None:
        self._app, self._hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        host = host_name(Headers(scope=scope).get("host", ""))
        if self._hosts is None or host in self._hosts:
            await self._app(scope, receive, send_guarded)
            return
        detail = f"this server does not answer to the host name {host!r}"
        await problem_response(421, "foreign host", detail)(scope, receive, send_guarded)


def host_name(header: str) -> str:
    """Return the name in a Host header, without its port.

    Examples
    --------
    >>> host_name("localhost:8000"), host_name("[::1]:8000"), host_name("127.0.0.1")
    ('localhost', '::1', '127.0.0.1')
    """
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.partition(":")[0].lower()
