"""The splits of the homes' year, which bind every model that is trained on it: what is learned, chooses, or measures.

The week that the default scenario runs lies inside the test split.
"""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import TYPE_CHECKING

import pandas as pd

from vpp_sim import __version__
from vpp_sim.errors import DataError
from vpp_sim.forecasting.windows import Split

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

__all__ = ["SPLITS", "split_of", "splits_until", "versions"]

SPLITS: dict[str, tuple[str, str]] = {
    "train": ("2016-08-01", "2017-04-30"),
    "validation": ("2017-05-01", "2017-06-15"),
    "test": ("2017-06-16", "2017-07-31"),
}
"""First and last local day of each split, both inclusive."""


def split_of(index: pd.DatetimeIndex, name: str, splits: Mapping[str, tuple[str, str]] = SPLITS) -> Split:
    """Return the steps of a split on `index`.

    Raises
    ------
    DataError
        If `index` does not cover it.
    """
    first, last = (pd.Timestamp(day, tz=index.tz) for day in splits[name])
    stop = int(index.searchsorted(last + pd.DateOffset(days=1)))
    start = int(index.searchsorted(first))
    if index[0] > first or index[-1] < last:
        raise DataError(f"the data from {index[0]} to {index[-1]} does not cover the {name} split, {first} to {last}")
    return Split(name, start, stop)


def splits_until(train_until: date | None = None, validate_until: date | None = None) -> dict[str, tuple[str, str]]:
    """Return the splits of the homes' year with other last days of training and validation.

    Raises
    ------
    DataError
        If too little is left to learn from or to choose by.

    Examples
    --------
    >>> from datetime import date
    >>> splits_until(date(2017, 3, 31), date(2017, 4, 27))["validation"]
    ('2017-04-01', '2017-04-27')
    """
    first, last = (pd.Timestamp(day) for day in (SPLITS["train"][0], SPLITS["test"][1]))
    trained = pd.Timestamp(train_until or SPLITS["train"][1])
    validated = pd.Timestamp(validate_until or SPLITS["validation"][1])
    day = pd.Timedelta(days=1)
    if not (trained - first >= 27 * day and validated - trained >= 7 * day and last >= validated):
        raise DataError(
            f"training until {trained.date()} and validation until {validated.date()} cannot be; expected 28 days of "
            f"training at least, from {first.date()} on, then 7 of validation at least, until {last.date()} at most"
        )
    begins = {"train": first, "validation": trained + day, "test": validated + day}
    ends = {"train": trained, "validation": validated, "test": last}
    return {name: (str(begins[name].date()), str(ends[name].date())) for name in SPLITS if begins[name] < ends[name]}


def versions(*others: str) -> dict[str, str]:
    """Return the versions of what determines the weights."""
    libraries = {name: version(name) for name in ("torch", "numpy", *others)}
    return {"vpp_sim": __version__, "python": platform.python_version(), **libraries}
