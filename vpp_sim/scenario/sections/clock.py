"""``clock``: the time that a run covers."""

from __future__ import annotations

from datetime import date
from typing import Annotated
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field, field_validator

from vpp_sim.errors import nearest
from vpp_sim.scenario.sections.spec import RefusalError, Spec
from vpp_sim.units import SECONDS_PER_HOUR, DurationS

__all__ = ["ClockSpec"]


def _zone(name: str) -> str:
    if name not in available_timezones():
        hint = nearest(name, sorted(available_timezones()))
        raise RefusalError("expected an IANA time zone, such as Europe/Amsterdam", hint=hint)
    return name


class ClockSpec(Spec):
    """The time that a run covers, and its step."""

    start: Annotated[str, Field(json_schema_extra={"format": "date"})]
    """First local day, for example ``2017-07-03``; a run covers whole local days."""
    days: Annotated[int, Field(ge=1, json_schema_extra={"unit": "d"})] = 7
    """Number of local days simulated; a day on which clocks change has 23 or 25 hours."""
    step: DurationS = SECONDS_PER_HOUR
    """Length of a tick; it divides an hour."""
    timezone: Annotated[str, AfterValidator(_zone)] = "UTC"
    """IANA name of the local time zone of homes and markets."""

    @field_validator("start")
    @classmethod
    def _is_a_date(cls, text: str) -> str:
        try:
            spelled = date.fromisoformat(text).isoformat()  # 20170703 and 2017-W27-1 are ISO 8601 as well
        except ValueError:
            spelled = ""
        if text != spelled:
            raise ValueError("expected a local date such as 2017-07-03")
        return text

    @field_validator("step")
    @classmethod
    def _divides_an_hour(cls, step_s: int) -> int:
        if SECONDS_PER_HOUR % step_s:
            raise ValueError("expected a step that divides an hour, such as 5min, 15min or 1h")
        return step_s
