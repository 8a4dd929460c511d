"""Forecasts with an issue time: what was known of the future at each step, and never anything later."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vpp_sim.arrays import BoolArray, FloatArray, IntArray
from vpp_sim.errors import DataError, UnknownNameError

__all__ = ["IssuedForecasts"]


@dataclass(frozen=True, slots=True, eq=False)
class IssuedForecasts:
    """K issues of a forecast of C series over the S steps that follow each.

    Steps are numbered as in the series that the forecasts belong to: step 0 is its first. A forecast is *known* at a
    step when it was issued at or before the start of that step.

    Attributes
    ----------
    issued_at : ndarray, shape (K,)
        Step at whose start each issue was known, increasing; negative before the series begins.
    values : ndarray, shape (K, S, C)
        Forecasts: ``values[k, j]`` is for step ``issued_at[k] + j``. NaN where the issue says nothing of a step.
    names : tuple of str, length C
        Names of the series, each with its unit.
    note : str
        Where the forecasts come from and what is missing in them, for reports.

    Raises
    ------
    DataError
        If shapes do not fit together, issues do not increase, names repeat, or a value is infinite.

    Examples
    --------
    Two issues, known at the start of step 0 and of step 6, of three steps each:

    >>> values = np.array([[[10.0], [11.0], [12.0]], [[16.0], [17.0], [18.0]]])
    >>> issued = IssuedForecasts(np.array([0, 6]), values, ("temperature_c",))
    >>> issued.known_at(1, 2).tolist()
    [[11.0], [12.0]]
    >>> issued.known_at(5, 1)
    Traceback (most recent call last):
    vpp_sim.errors.DataError: no forecast known at step 5 covers steps 5 to 5; the latest, known from step 0, covers
    steps 0 to 2
    """

    issued_at: IntArray
    values: FloatArray
    names: tuple[str, ...]
    note: str = ""

    def __post_init__(self) -> None:
        issued_at = np.array(self.issued_at, dtype=np.int64)
        values = np.array(self.values, dtype=np.float64)
        _check(issued_at, values, self.names)
        for name, array in (("issued_at", issued_at), ("values", values)):
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    @property
    def horizon_steps(self) -> int:
        """Number of steps of each issue, S."""
        return int(self.values.shape[1])

    def known_at(self, step: int, n_steps: int) -> FloatArray:
        """Return what was known at the start of `step` of `n_steps` steps from it on.

        Parameters
        ----------
        step : int
            The present step.
        n_steps : int
            Number of steps wanted, the first being `step` itself.

        Returns
        -------
        ndarray, shape (n_steps, C)
            Values of the latest issue at or before `step` that covers all steps wanted.

        Raises
        ------
        DataError
            If no such issue covers them; the message names the steps and what is covered.
        """
        known: FloatArray = self.all_known_at(np.array([step], dtype=np.int64), n_steps)[0]
        return known

    def all_known_at(self, steps: IntArray, n_steps: int) -> FloatArray:
        """Return what was known at the start of each of `steps`; see :meth:`known_at`.

        Parameters
        ----------
        steps : ndarray, shape (N,)
            Present steps, in any order.
        n_steps : int
            Number of steps wanted from each on.

        Returns
        -------
        ndarray, shape (N, n_steps, C)

        Raises
        ------
        DataError
            For the first of `steps` whose steps no issue covers.
        """
        steps = np.asarray(steps, dtype=np.int64)
        if steps.ndim != 1 or n_steps < 1:
            raise DataError(f"expected a list of steps and at least one step of each; got {steps.shape}, {n_steps}")
        latest = np.searchsorted(self.issued_at, steps, side="right") - 1
        known, covers = self._read(latest, steps, n_steps)
        older = latest.copy()
        while (open_ := np.flatnonzero(~covers & self._may_cover(older - 1, steps, n_steps))).size:
            older[open_] -= 1
            known[open_], covers[open_] = self._read(older[open_], steps[open_], n_steps)
        if not covers.all():
            raise DataError(self._not_covered(int(steps[~covers][0]), n_steps))
        return known

    def select(self, names: tuple[str, ...]) -> IssuedForecasts:
        """Return the forecasts of the series `names`, in that order.

        Raises
        ------
        UnknownNameError
            If there is no such series.
        """
        for name in names:
            if name not in self.names:
                raise UnknownNameError("forecast series", name, self.names)
        return replace(self, values=self.values[:, :, [self.names.index(name) for name in names]], names=names)

    def poisoned_after(self, step: int, value: float) -> IssuedForecasts:
        """Return a copy in which every issue known only after `step` says `value` for every step.

        For leak checks: what somebody makes of these forecasts at `step` must not change when they are so replaced.
        (The forecasts themselves are frozen data: whether an issue's label is true cannot be seen from its values.)

        Examples
        --------
        >>> issued = IssuedForecasts(np.array([0, 6]), np.ones((2, 9, 1)), ("temperature_c",))
        >>> issued.poisoned_after(5, 99.0).values[:, 0, 0].tolist()
        [1.0, 99.0]
        """
        later = (self.issued_at > step)[:, None, None]
        return replace(self, values=np.where(later, value, self.values))

    def _read(self, issues: IntArray, steps: IntArray, n_steps: int) -> tuple[FloatArray, BoolArray]:
        """Return the values of `issues` for the steps wanted, NaN where there are none, and which cover them all."""
        columns = (steps - self.issued_at[issues])[:, None] + np.arange(n_steps)
        inside = (issues >= 0)[:, None] & (columns < self.horizon_steps)
        found = self.values[issues[:, None], np.clip(columns, 0, self.horizon_steps - 1)]
        found[~inside] = np.nan
        covers: BoolArray = ~np.isnan(found.reshape(len(steps), -1)).any(axis=1)
        return found, covers

    def _may_cover(self, issues: IntArray, steps: IntArray, n_steps: int) -> BoolArray:
        """Return whether `issues` exist and reach as far as wanted; they may have gaps."""
        since = steps - self.issued_at[np.maximum(issues, 0)]
        return (issues >= 0) & (since + n_steps <= self.horizon_steps)

    def _not_covered(self, step: int, n_steps: int) -> str:
        wanted = f"no forecast known at step {step} covers steps {step} to {step + n_steps - 1}"
        latest = int(np.searchsorted(self.issued_at, step, side="right")) - 1
        if latest < 0:
            return f"{wanted}; the first is known from step {self.issued_at[0]}"
        said = np.flatnonzero(~np.isnan(self.values[latest]).any(axis=1))
        known = f"{wanted}; the latest, known from step {self.issued_at[latest]}, covers"
        if not said.size:
            return f"{known} no step"
        first, last = said[[0, -1]] + self.issued_at[latest]
        gaps = int(last - first + 1 - said.size)
        return f"{known} steps {first} to {last}" + (f" but for {gaps}" if gaps else "")


def _check(issued_at: IntArray, values: FloatArray, names: tuple[str, ...]) -> None:
    expected = f"({len(issued_at)}, steps, {len(names)})"
    if issued_at.ndim != 1 or values.ndim != 3 or values.shape[::2] != (len(issued_at), len(names)):
        raise DataError(f"forecasts of shape {values.shape} do not fit their issues and names, expected {expected}")
    if 0 in values.shape[:2]:
        raise DataError(f"forecasts need an issue and a step each; got shape {values.shape}")
    if (np.diff(issued_at) <= 0).any():
        where = int(np.flatnonzero(np.diff(issued_at) <= 0)[0])
        raise DataError(f"issues must increase; issue {where + 1} at step {issued_at[where + 1]} does not")
    if len(set(names)) != len(names):
        raise DataError(f"names of forecast series repeat: {', '.join(names)}")
    if np.isinf(values).any():
        raise DataError(f"forecasts have {int(np.isinf(values).sum())} infinite values")
