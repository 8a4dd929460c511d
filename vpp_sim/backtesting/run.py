"""Run a back-test: every forecaster and seed over every case, at the same origins, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from vpp_sim.backtesting.cases import PORTFOLIO, Case, Source, cases_of_file, cases_of_homes
from vpp_sim.backtesting.measures import (
    Measures,
    crossings,
    mean_of,
    measures_of,
    ratios,
    scales_of,
    spread_of,
)
from vpp_sim.backtesting.output import claim, described, write_result
from vpp_sim.backtesting.plan import described_plan, issue_steps, plan_of
from vpp_sim.backtesting.request import REFERENCES, BacktestRequest
from vpp_sim.forecasting.backtest import Backtest, Refit, backtest
from vpp_sim.forecasting.calibration import CalibrationSettings, calibrate
from vpp_sim.registry import FORECASTERS

if TYPE_CHECKING:
    from pathlib import Path

    from vpp_sim.data.series_file import SeriesColumns
    from vpp_sim.forecasting.protocol import Forecaster

__all__ = ["BacktestResult", "Forecasts", "Scored", "backtest_file", "backtest_homes"]

Scored: TypeAlias = dict[str, Any]
"""Groups ``series`` (mean over the series), ``portfolio`` and ``each`` (by series), each with its measures."""

Progress: TypeAlias = Callable[[int, int, str], None]

WORK = "work"
"""Folder of finished fits, inside that of the back-test."""


@dataclass(frozen=True, slots=True, eq=False)
class Forecasts:
    """What one forecaster gave with one seed for the series of one case.

    Attributes
    ----------
    kind : str
        The forecaster.
    seed : int
        Its seed.
    case : Case
        The series.
    result : Backtest
        Forecasts and outcomes; calibrated, if that was asked for.
    """

    kind: str
    seed: int
    case: Case
    result: Backtest


@dataclass(frozen=True, slots=True, eq=False)
class BacktestResult:
    """What a back-test gave.

    Attributes
    ----------
    request : BacktestRequest
        What was asked.
    source : Source
        Of what series.
    plan : list of dict
        Origins and fits of each case, of forecasters that learn if there are any.
    forecasts : tuple of Forecasts
        By forecaster, seed and case.
    metrics : dict
        Forecaster to ``seeds`` (seed to :data:`Scored`), ``mean`` and ``spread`` over seeds, ``fit_s``, ``predict_s``
        (processor time, mean over seeds), ``fits``.
    crossings : int
        How often a quantile lay below that of a lower level, in all forecasts.
    """

    request: BacktestRequest
    source: Source
    plan: list[dict[str, Any]]
    forecasts: tuple[Forecasts, ...]
    metrics: Mapping[str, dict[str, Any]]
    crossings: int

    def of(self, kind: str, seed: int | None = None) -> list[Forecasts]:
        """Return the forecasts of a forecaster by case, those of its first seed when left out."""
        first = next(found.seed for found in self.forecasts if found.kind == kind)
        return [
            found for found in self.forecasts if found.kind == kind and found.seed == (first if seed is None else seed)
        ]


def backtest_homes(
    request: BacktestRequest,
    *,
    folder: Path | None = None,
    source: str = "fontana",
    homes: Sequence[str] = (),
    leave_out: Sequence[str] = (),
    weather: str = "error_model",
    weather_file: Path | None = None,
    command: str = "",
    progress: Progress | None = None,
) -> BacktestResult:
    """Return the back-test of homes, and write it to `folder`.

    Parameters
    ----------
    request : BacktestRequest
        What is asked.
    folder : path, optional
        Gets ``metrics.json`` and ``forecasts.parquet``, and what lets a back-test that was cut off go on.
    source, homes, leave_out, weather, weather_file
        See :func:`~vpp_sim.backtesting.cases.cases_of_homes`.
    command : str
        What was typed, for the record.
    progress : callable, optional
        Called after each fit with how many are done, how many there are, and of which forecaster.

    Raises
    ------
    UserError
        If something is asked for that is not there, the data has no room for it, or `folder` holds another back-test;
        then nothing is written.

    Examples
    --------
    >>> from datetime import date
    >>> asked = BacktestRequest(("persistence",), "load", first=date(2017, 7, 1), portfolio=False)
    >>> found = backtest_homes(asked, homes=("home_1", "home_2"))
    >>> found.plan[0]["origins"], found.crossings
    (31, 0)
    >>> found.metrics["persistence"]["mean"]["series"]["mase_ratio_to_persistence"]
    1.0
    """
    found = cases_of_homes(
        request, source=source, homes=homes, leave_out=leave_out, weather=weather, weather_file=weather_file
    )
    return _run(request, found, folder, command, progress)


def backtest_file(
    request: BacktestRequest,
    path: Path,
    columns: SeriesColumns,
    *,
    folder: Path | None = None,
    zone: str | None = None,
    unit: str | None = None,
    command: str = "",
    progress: Progress | None = None,
) -> BacktestResult:
    """Return the back-test of the series of a file, and write it to `folder`.

    Covariates of the file count as published: known at each issue for its whole horizon.

    Parameters
    ----------
    request, folder, command, progress
        See :func:`backtest_homes`.
    path, columns, zone, unit
        See :func:`~vpp_sim.backtesting.cases.cases_of_file`.

    Raises
    ------
    UserError
        If something is asked for that is not there, the file is not as it should be, has no room for what is asked, or
        `folder` holds another back-test; then nothing is written.
    """
    return _run(request, cases_of_file(request, path, columns, zone=zone, unit=unit), folder, command, progress)


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    kind: str
    seed: int
    case: Case
    make: Callable[[], Forecaster]
    plan: list[Refit]
    folder: Path | None


def _run(
    request: BacktestRequest, source: Source, folder: Path | None, command: str, progress: Progress | None
) -> BacktestResult:
    jobs = list(_jobs(request, source, folder))
    if folder is not None:
        claim(folder, described(request, source))
    total, done, found = sum(len(job.plan) for job in jobs), 0, []
    for job in jobs:
        told = None if progress is None else _from(done, total, job, progress)
        result = backtest(
            job.make, job.case.learned, job.case.forecast, job.plan, seed=job.seed, folder=job.folder, progress=told
        )
        done += len(job.plan)
        found.append(Forecasts(job.kind, job.seed, job.case, _calibrated(request, result)))
    plans = {id(job.case): described_plan(job.case, job.plan) for job in reversed(jobs)}
    result_ = BacktestResult(
        request=request,
        source=source,
        plan=[plans[id(case)] for case in source.cases],
        forecasts=tuple(found),
        metrics=_metrics(request, found),
        crossings=sum(crossings(forecasts.result.quantiles) for forecasts in found),
    )
    if folder is not None:
        write_result(result_, folder, command)
    return result_


def _jobs(request: BacktestRequest, source: Source, folder: Path | None) -> list[_Job]:
    """Return what is to be done, those that learn first; everything a user may have got wrong is found here."""
    classes = {kind: FORECASTERS.load(kind) for kind in request.all_kinds}
    learns = {kind: bool(getattr(found, "trained", False)) for kind, found in classes.items()}
    jobs = []
    for case in source.cases:
        task = case.task(request)
        at = issue_steps(case, request, learns=any(learns.values()))
        for kind, found in classes.items():
            plan = plan_of(case, request, at, learns=learns[kind])
            found(task)
            for seed in request.seeds if learns[kind] else request.seeds[:1]:
                kept = None if folder is None else folder / WORK / kind / f"seed_{seed}" / case.name
                jobs.append(_Job(kind, seed, case, partial(found, task), plan, kept))
    order = {kind: (not learns[kind], number) for number, kind in enumerate(request.all_kinds)}
    return sorted(jobs, key=lambda job: (order[job.kind], job.seed))


def _from(done: int, total: int, job: _Job, progress: Progress) -> Progress:
    """Return what one job reports to, as a part of the whole."""
    return lambda fits, _, __: progress(done + fits, total, f"{job.kind}, seed {job.seed}")


def _calibrated(request: BacktestRequest, result: Backtest) -> Backtest:
    if request.calibration == "none":
        return result
    horizon = result.actual.shape[2]
    quantiles = calibrate(
        result.quantiles,
        result.actual,
        result.levels,
        origins=result.origins,
        non_negative=request.target != "price",
        settings=CalibrationSettings(blocks=min(CalibrationSettings().blocks, horizon)),
    )
    return replace(result, quantiles=quantiles)


def _metrics(request: BacktestRequest, found: Sequence[Forecasts]) -> dict[str, dict[str, Any]]:
    """Return what a :class:`BacktestResult` holds of measures, in the order in which forecasters were asked for."""
    scored: dict[str, dict[int, Scored]] = {
        kind: {
            seed: _scored([each for each in found if (each.kind, each.seed) == (kind, seed)])
            for seed in sorted({each.seed for each in found if each.kind == kind})
        }
        for kind in request.all_kinds
    }
    references = {name: next(iter(scored[name].values())) for name in REFERENCES}
    for seeds in scored.values():
        for each in seeds.values():
            _add_ratios(each, references)
    return {kind: _over_seeds(kind, seeds, found) for kind, seeds in scored.items()}


def _scored(parts: Sequence[Forecasts]) -> Scored:
    """Return the measures of one forecaster and seed over its cases."""
    each: dict[str, Measures] = {}
    for part in parts:
        result, case = part.result, part.case
        season = 24 * 3600 // case.step_s
        for number, name in enumerate(case.series):
            scales = scales_of(case.forecast.values[:, number], result.origins, season)
            rows = result.actual[:, number], result.quantiles[:, number]
            each[name] = measures_of(*rows, result.levels, scales)
    summed = each.pop(PORTFOLIO) if any(PORTFOLIO in part.case.series for part in parts) else None
    scored: Scored = {"series": mean_of(list(each.values()))}
    return {**scored, **({} if summed is None else {PORTFOLIO: summed}), "each": each}


def _add_ratios(scored: Scored, references: Mapping[str, Scored]) -> None:
    """Add the ratios to the references; those of the group are ratios of means."""
    for group in (name for name in ("series", PORTFOLIO) if name in scored):
        scored[group] |= ratios(scored[group], {name: one[group] for name, one in references.items()})
    for name, own in scored["each"].items():
        own |= ratios(own, {reference: one["each"][name] for reference, one in references.items()})


def _over_seeds(kind: str, seeds: Mapping[int, Scored], found: Sequence[Forecasts]) -> dict[str, Any]:
    groups = [name for name in ("series", PORTFOLIO) if name in next(iter(seeds.values()))]
    rows = {name: [scored[name] for scored in seeds.values()] for name in groups}
    own = [each.result for each in found if each.kind == kind]
    return {
        "mean": {name: mean_of(each) for name, each in rows.items()},
        "spread": {name: spread_of(each) for name, each in rows.items()},
        "fits": sum(len(result.losses) for result in own) // len(seeds),
        "fit_s": round(sum(result.fit_s for result in own) / len(seeds), 3),
        "predict_s": round(sum(result.predict_s for result in own) / len(seeds), 3),
        "seeds": {str(seed): scored for seed, scored in seeds.items()},
    }
