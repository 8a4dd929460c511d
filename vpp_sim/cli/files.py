"""Files that a command was asked to write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpp_sim.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["require_folder", "write_text"]


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path`.

    Raises
    ------
    UserError
        If the file cannot be written.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from error


def require_folder(path: Path, what: str) -> None:
    """Raise `UserError` unless `path` is a folder; `what` says what should be in it."""
    if not path.is_dir():
        raise UserError(f"{path}: there is no such folder of {what}")
