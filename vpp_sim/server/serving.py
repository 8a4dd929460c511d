"""The server itself: the application on a socket, until it is interrupted."""

from __future__ import annotations

import socket
from contextlib import suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING

import uvicorn

from vpp_sim.errors import UserError
from vpp_sim.server.app import create_app
from vpp_sim.server.guard import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["allowed_hosts", "serve"]


def serve(results_dir: Path, *, host: str, port: int, on_ready: Callable[[str], None]) -> None:
    """Serve the runs in `results_dir` until the process is interrupted.

    Parameters
    ----------
    results_dir : Path
        Folder of all runs.
    host : str
        Name or address to bind to; one of other machines' reach opens the runs to them.
    port : int
        Port to bind to; 0 takes any that is free.
    on_ready : callable
        Told the address of the page once the socket is bound.

    Raises
    ------
    UserError
        If there is no such folder, or the address cannot be bound.
    """
    app = create_app(results_dir, hosts=allowed_hosts(host))
    with _bound(host, port) as listener:
        name = f"[{host}]" if ":" in host else host
        on_ready(f"http://{name}:{listener.getsockname()[1]}/")
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, server_header=False))
        with suppress(KeyboardInterrupt):  # an interrupt is how a server ends
            server.run(sockets=[listener])


def allowed_hosts(host: str) -> frozenset[str] | None:
    """Return the names to which a server bound to `host` answers; None, all of them, where others may reach it.

    Examples
    --------
    >>> sorted(allowed_hosts("127.0.0.1")), allowed_hosts("0.0.0.0")
    (['127.0.0.1', '::1', 'localhost'], None)
    """
    try:
        local = ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost"
    return LOOPBACK | {host} if local else None


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise UserError(f"cannot serve at {host}, port {port}: {error}") from error
