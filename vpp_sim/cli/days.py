"""Days, as options of commands name them."""

from __future__ import annotations

from datetime import date

from vpp_sim.errors import UserError

__all__ = ["day_of"]


def day_of(option: str, text: str | None, such_as: str = "2017-07-01") -> date | None:
    """Return the day that an option names, or None without one.

    Raises
    ------
    UserError
        If it is no day.
    """
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise UserError(f"{option} {text}: expected a day such as {such_as}") from None
