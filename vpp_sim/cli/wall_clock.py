"""The one place that reads the wall clock: the library is told when a run began, and never asks."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["utc_now"]


def utc_now() -> datetime:
    """Return the present instant in UTC."""
    return datetime.now(UTC)  # noqa: TID251 - a run folder is stamped by the command that asks for it
