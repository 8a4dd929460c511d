"""Ethereum's JSON-RPC over one kept HTTP connection: single calls and batches.

web3 was turned down here: through it a transaction takes four requests, since it asks for chain id, nonce and fees
before each. The backend knows all three, so one request does, and a block's receipts come in one batch.
"""

from __future__ import annotations

import json
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from weakref import finalize

from vpp_sim.chain.protocol import NodeDownError
from vpp_sim.errors import ChainError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["JsonRpc", "RpcError"]

_OK = 200


class RpcError(ChainError):
    """An error that the node answered.

    Parameters
    ----------
    method : str
        What was asked.
    message : str
        The node's words.
    data : object
        What it added: for a reverted call, the data that the contract returned.
    """

    def __init__(self, method: str, message: str, data: object) -> None:
        self.method, self.message, self.data = method, message, data
        super().__init__(method, message, data)

    def __str__(self) -> str:
        """Return the message."""
        return f"the node answered {self.method} with: {self.message}"


class JsonRpc:
    """A node, by its address.

    Parameters
    ----------
    url : str
        ``http://`` or ``https://``. What stands after the host may hold a password of the provider, so no message
        shows more than the host.
    timeout_s : float
        How long to wait for an answer [s].

    Raises
    ------
    ChainError
        If the address is none.

    Examples
    --------
    >>> JsonRpc("https://user:secret@node.example/v2/secret", timeout_s=1.0).host
    'node.example'
    """

    def __init__(self, url: str, *, timeout_s: float) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ChainError("a node's address begins with http:// or https:// and names a host")
        self.host = parts.hostname if parts.port is None else f"{parts.hostname}:{parts.port}"
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._connection = connection(parts.hostname, parts.port, timeout=timeout_s)
        self._close = finalize(self, self._connection.close)  # also when nobody closes it
        self._count = 0

    def call(self, method: str, *params: object) -> Any:
        """Return what the node answers.

        Raises
        ------
        RpcError
            If it answers an error.
        NodeDownError
            If it does not answer.
        ChainError
            If what it answers is not JSON-RPC.
        """
        return _result(method, self._post(self._request(method, params)))

    def batch(self, calls: Iterable[tuple[str, tuple[object, ...]]]) -> list[Any]:
        """Return what the node answers to several calls at once, in their order.

        Raises
        ------
        RpcError
            If it answers an error to one of them.
        NodeDownError
            If it does not answer.
        ChainError
            If what it answers is not JSON-RPC.
        """
        calls = list(calls)
        if not calls:
            return []
        requests = [self._request(method, params) for method, params in calls]
        answers = self._post(requests)
        if not isinstance(answers, list):
            raise ChainError(f"node {self.host} does not answer batches: {str(answers)[:200]}")
        by_id = {answer.get("id"): answer for answer in answers}
        return [_result(method, by_id.get(request["id"])) for (method, _), request in zip(calls, requests, strict=True)]

    def close(self) -> None:
        """Close the connection."""
        self._close()

    def _request(self, method: str, params: tuple[object, ...]) -> dict[str, object]:
        self._count += 1
        return {"jsonrpc": "2.0", "id": self._count, "method": method, "params": params}

    def _post(self, content: object) -> Any:
        body = json.dumps(content).encode()
        try:
            status, answer = self._exchange(body)
        except (OSError, HTTPException) as error:
            raise NodeDownError(f"node {self.host} does not answer: {type(error).__name__}: {error}") from error
        if status != _OK:
            raise ChainError(f"node {self.host} answers HTTP {status}: {answer[:200].decode(errors='replace')}")
        try:
            return json.loads(answer)
        except json.JSONDecodeError as error:
            raise ChainError(f"node {self.host} does not speak JSON-RPC: {error}") from error

    def _exchange(self, body: bytes) -> tuple[int, bytes]:
        """Send a request and read its answer; a node may close an idle connection, which is then opened again."""
        kept = self._connection.sock is not None
        try:
            self._connection.request("POST", self._path, body, {"Content-Type": "application/json"})
            answer = self._connection.getresponse()
            return answer.status, answer.read()
        except (ConnectionError, HTTPException):
            self._connection.close()
            if not kept:
                raise
            return self._exchange(body)
        except OSError:
            self._connection.close()  # a late answer must not be taken for that of the next request
            raise


def _result(method: str, answer: Any) -> Any:
    if not isinstance(answer, dict) or not answer.keys() & {"result", "error"}:
        raise ChainError(f"the node did not answer {method}: {str(answer)[:200]}")
    error = answer.get("error")
    if error is not None:
        raise RpcError(method, str(error.get("message")), error.get("data"))
    return answer["result"]
