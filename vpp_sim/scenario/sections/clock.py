"""``clock``: the time that a run covers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, Field, field_validator, model_validator

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

    start: str
    """First instant, local date or date and time, for example ``2017-07-03`` or ``2017-07-03T06:00``."""
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
            stamp = datetime.fromisoformat(text)
        except ValueError:
            raise ValueError("expected a local date such as 2017-07-03 or 2017-07-03T06:00") from None
        if stamp.tzinfo is not None:
            raise ValueError("expected a local time without offset; the zone is clock.timezone")
        if stamp.minute or stamp.second or stamp.microsecond:
            raise ValueError("expected a full hour, such as 2017-07-03T06:00")
        return text

    @field_validator("step")
    @classmethod
    def _divides_an_hour(cls, step_s: int) -> int:
        if SECONDS_PER_HOUR % step_s:
            raise ValueError("expected a step that divides an hour, such as 5min, 15min or 1h")
        return step_s

    @model_validator(mode="after")
    def _exists(self) -> ClockSpec:
        local = datetime.fromisoformat(self.start).replace(tzinfo=ZoneInfo(self.timezone))
        if datetime.fromtimestamp(local.timestamp(), tz=local.tzinfo).replace(tzinfo=None) != local.replace(
            tzinfo=None
        ):
            raise RefusalError(
                f"expected a time that exists in {self.timezone}, where clocks are put forward then", keys=("start",)
            )
        return self
