"""Runs a sweep and collects its jobs into one table, with means and intervals over the seeds."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from vpp_sim.errors import DataError, UnknownNameError
from vpp_sim.sweeps.executors import Executor, Outcome, RunOne
from vpp_sim.sweeps.expansion import Job, expand
from vpp_sim.sweeps.spec import SEED, SweepSpec

__all__ = ["FAILED", "OK", "OnProgress", "SweepResult", "half_width", "run_sweep", "write_sweep"]

OK, FAILED = "ok", "failed"

OnProgress = Callable[[Job, Outcome, int, int], None]
"""Told of each finished job: the job, its outcome, how many are finished, and of how many."""

_OWN = ("job", "status", "error")


@dataclass(frozen=True, slots=True)
class SweepResult:
    """What a sweep found.

    Attributes
    ----------
    keys : tuple of str
        Keys of the grid, in the order of the file.
    table : DataFrame
        One row a job, in the order of the jobs: ``job``, each key of the grid, ``seed``, ``status`` (``ok`` or
        ``failed``), ``error``, then one column a KPI, NaN where there is no value.
    """

    keys: tuple[str, ...]
    table: pd.DataFrame

    @property
    def kpis(self) -> tuple[str, ...]:
        """Names of the KPIs."""
        return tuple(name for name in self.table.columns if name not in {*_OWN, SEED, *self.keys})

    @property
    def failures(self) -> pd.DataFrame:
        """Rows of the jobs that failed."""
        return self.table[self.table["status"] == FAILED]

    def summary(self, kpi: str, level: float = 0.95) -> pd.DataFrame:
        """Return mean and interval of one KPI over the seeds.

        Parameters
        ----------
        kpi : str
            Name of the KPI.
        level : float, default 0.95
            Confidence of the interval.

        Returns
        -------
        DataFrame
            One row a combination, in the order of the jobs: the keys of the grid, ``n`` (values there are), ``mean``
            (NaN without any) and ``half_width`` of the interval (NaN with fewer than two; see :func:`half_width`).

        Raises
        ------
        UnknownNameError
            If no job has such a KPI.
        """
        if kpi not in self.kpis:
            raise UnknownNameError("KPI of the sweep", kpi, self.kpis)
        groups = self.table.groupby(list(self.keys), sort=False)[kpi]
        rows = [
            (*keys, int(values.count()), float(values.mean()), half_width(values.dropna().to_numpy(), level))
            for keys, values in groups
        ]
        return pd.DataFrame(rows, columns=[*self.keys, "n", "mean", "half_width"])


def half_width(values: Sequence[float] | np.ndarray[tuple[int], np.dtype[np.float64]], level: float = 0.95) -> float:
    r"""Return half the width of the confidence interval of a mean, by Student's t [1]_.

    .. math:: h = t_{(1 + level) / 2,\; n - 1} \, \frac{s}{\sqrt{n}}

    with the sample standard deviation :math:`s` (divisor :math:`n - 1`). It presumes independent values, near enough
    to normal: different seeds give the first; with three seeds it is wide, as it should be.

    Parameters
    ----------
    values : sequence of float
        A value a seed.
    level : float, default 0.95
        Confidence.

    Returns
    -------
    float
        NaN with fewer than two values.

    References
    ----------
    .. [1] Student, "The probable error of a mean", Biometrika 6(1), 1908. https://doi.org/10.2307/2331554

    Examples
    --------
    >>> round(half_width([1.0, 2.0, 3.0]), 4)
    2.4841
    """
    n = len(values)
    if n < 2:
        return float("nan")
    quantile = float(stdtrit(n - 1, (1 + level) / 2))
    return quantile * float(np.std(values, ddof=1)) / float(np.sqrt(n))


def run_sweep(
    spec: SweepSpec, run_one: RunOne, executor: Executor, on_progress: OnProgress | None = None
) -> SweepResult:
    """Run every job of a sweep.

    Parameters
    ----------
    spec : SweepSpec
        The sweep.
    run_one : callable
        Runs one job: takes its overrides, returns its KPIs.
    executor : Executor
        Where the jobs run.
    on_progress : callable, optional
        Told of each finished job.

    Returns
    -------
    SweepResult
        Independent of the executor and of the order in which jobs finish.
    """
    jobs = expand(spec)
    finished = 0

    def tell(outcome: Outcome) -> None:
        nonlocal finished
        finished += 1
        if on_progress is not None:
            on_progress(jobs[outcome.number], outcome, finished, len(jobs))

    outcomes = executor.execute(run_one, [job.overrides for job in jobs], tell)
    return SweepResult(tuple(spec.grid), _table(tuple(spec.grid), jobs, outcomes))


def _table(keys: tuple[str, ...], jobs: Sequence[Job], outcomes: Sequence[Outcome]) -> pd.DataFrame:
    columns: dict[str, object] = {"job": [job.number for job in jobs]}
    for key in (*keys, SEED):
        columns[key] = _column([job.overrides[key] for job in jobs])
    columns["status"] = [FAILED if outcome.kpis is None else OK for outcome in outcomes]
    columns["error"] = [outcome.error for outcome in outcomes]
    kpis = dict.fromkeys(name for outcome in outcomes for name in outcome.kpis or ())
    for name in kpis:
        if name in columns:
            raise DataError(f"a job returned a KPI named {name!r}, which is a column of its own")
        values = [(outcome.kpis or {}).get(name) for outcome in outcomes]
        columns[name] = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    return pd.DataFrame(columns)


def _column(values: Sequence[object]) -> list[object]:
    """Return values of one type, which Parquet can hold: numbers, or else text as a scenario file would have it."""
    kinds = {type(value) for value in values}
    if kinds <= {int, float} or kinds in ({bool}, {str}):
        return list(values)
    return [value if isinstance(value, str) else json.dumps(value) for value in values]


def write_sweep(result: SweepResult, folder: Path) -> None:
    """Write ``jobs.parquet`` and ``jobs.csv``, and ``summary.csv`` with every KPI's mean and interval.

    Parameters
    ----------
    result : SweepResult
        What the sweep found.
    folder : Path
        Where to write; made if missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    result.table.to_parquet(folder / "jobs.parquet", index=False)
    result.table.to_csv(folder / "jobs.csv", index=False)
    summaries = [result.summary(kpi).assign(kpi=kpi) for kpi in result.kpis]
    if summaries:
        pd.concat(summaries, ignore_index=True).to_csv(folder / "summary.csv", index=False)
