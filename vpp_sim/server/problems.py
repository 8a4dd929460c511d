"""Mistakes and failures as JSON problems (RFC 9457): status, title, detail, the nearest name and what is allowed.

References
----------
M. Nottingham, E. Wilde, S. Dalal, "Problem Details for HTTP APIs", RFC 9457, 2023. https://doi.org/10.17487/RFC9457
"""

from __future__ import annotations

import logging
import re
from dataclasses import asdict
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from vpp_sim.errors import DataError, ScenarioError, UnknownNameError, UserError, VppSimError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from fastapi import FastAPI, Request

__all__ = ["MEDIA_TYPE", "RequestError", "answer_problems", "problem_response", "require_known"]

MEDIA_TYPE = "application/problem+json"
"""Content type of every answer that is not what was asked for."""

_LOG = logging.getLogger(__name__)
_MOST_ALLOWED = 100


class RequestError(VppSimError):
    """A request that cannot be answered as it was asked.

    Parameters
    ----------
    status : int
        HTTP status.
    title : str
        The kind of mistake, the same for every occurrence.
    detail : str
        What was wrong this time.
    hint : str
        The nearest name that would have been right, or empty.
    """

    def __init__(self, status: int, title: str, detail: str, hint: str = "") -> None:
        self.status, self.title, self.detail, self.hint = status, title, detail, hint
        super().__init__(status, title, detail, hint)

    def __str__(self) -> str:
        """Return the detail, with the nearest name if one is near."""
        return self.detail + (f"; did you mean {self.hint!r}?" if self.hint else "")


def problem_response(status: int, title: str, detail: str, **more: object) -> JSONResponse:
    """Return a problem as a response.

    Parameters
    ----------
    status : int
        HTTP status.
    title, detail : str
        The kind of problem, and this occurrence of it.
    **more
        Further members of the body; empty ones are left out.

    Examples
    --------
    >>> problem_response(404, "unknown run", "there is no run 'x'").body.decode()
    '{"type":"urn:vpp-sim:problem:unknown-run","title":"unknown run","status":404,"detail":"there is no run \\'x\\'"}'
    """
    slug = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
    body = {"type": f"urn:vpp-sim:problem:{slug}", "title": title, "status": status, "detail": detail}
    return JSONResponse(body | {name: value for name, value in more.items() if value}, status, media_type=MEDIA_TYPE)


def answer_problems(app: FastAPI, root: Path) -> None:
    """Let `app` answer every error by a problem.

    Parameters
    ----------
    app : FastAPI
        The application.
    root : Path
        Folder of all runs; messages name files relative to it.
    """

    def known(_: Request, error: Exception) -> JSONResponse:
        return _known_problem(error, root)

    def malformed(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return _malformed(error)

    def refused(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        return _refused(error.status_code, str(error.detail), error.headers)

    def unexpected(request: Request, error: Exception) -> JSONResponse:
        _LOG.error("%s %s failed: %s", request.method, request.url.path, type(error).__name__)
        return problem_response(500, "internal error", "the server failed on this request; its log says why")

    app.add_exception_handler(VppSimError, known)
    app.add_exception_handler(RequestValidationError, malformed)
    app.add_exception_handler(HTTPException, refused)
    app.add_exception_handler(Exception, unexpected)


def _known_problem(error: Exception, root: Path) -> JSONResponse:
    kind, detail = type(error).__name__, str(error).replace(f"{root}/", "")
    if isinstance(error, RequestError):
        return problem_response(error.status, error.title, detail, error=kind, hint=error.hint)
    if isinstance(error, UnknownNameError):
        hint = nearest(error.name, error.allowed)
        title, allowed = f"unknown {error.kind}", list(error.allowed[:_MOST_ALLOWED])
        return problem_response(404, title, detail, error=kind, hint=hint, allowed=allowed)
    if isinstance(error, ScenarioError):
        problems = [asdict(problem) for problem in error.problems]
        return problem_response(422, "invalid scenario", detail, error=kind, problems=problems)
    if isinstance(error, UserError) and not isinstance(error, DataError):
        return problem_response(400, "mistaken request", detail, error=kind)
    return problem_response(500, "damaged run" if isinstance(error, DataError) else "failure", detail, error=kind)


def _malformed(error: RequestValidationError) -> JSONResponse:
    problems = [
        {"key": ".".join(map(str, entry["loc"])), "allowed": str(entry["msg"]), "value": _shown(entry.get("input"))}
        for entry in error.errors()
    ]
    detail = "; ".join(f"{problem['key']} = {problem['value']}: {problem['allowed']}" for problem in problems)
    return problem_response(422, "invalid parameter", detail, error="RequestValidationError", problems=problems)


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _MOST_ALLOWED else text[: _MOST_ALLOWED - 4] + " ..."


def _refused(status: int, detail: str, headers: Mapping[str, str] | None) -> JSONResponse:
    response = problem_response(status, HTTPStatus(status).phrase.lower(), detail)
    response.headers.update(dict(headers or {}))
    return response


def require_known(kind: str, names: Iterable[str], allowed: Iterable[str]) -> None:
    """Raise a 422 problem for the first of `names` that is not `allowed`."""
    known = list(allowed)
    for name in names:
        if name not in known:
            message = str(UnknownNameError(kind, name, known)).partition("; did you mean")[0]
            raise RequestError(422, f"unknown {kind}", message, nearest(name, known))
