"""Rolling-origin back-tests: fit on what came before, forecast from one origin after another, refit as time goes on.

A back-test is a plan of refits. Each has a range to learn from, a later one to choose by, and the origins at which it
then forecasts, all of them after both. Everything that is fitted, scalers included, is fitted anew in each refit, and
every refit proves on its first origin that its forecast does not change when the future is replaced.

With a folder, each refit's forecasts are kept as they are made, and a back-test that was cut off goes on from there.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vpp_sim.arrays import FloatArray, IntArray
from vpp_sim.errors import DataError
from vpp_sim.forecasting.evaluation import forecasts_at
from vpp_sim.forecasting.leaks import require_no_leak
from vpp_sim.forecasting.windows import SeriesTable, Split, targets_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vpp_sim.forecasting.protocol import Forecaster

__all__ = ["Backtest", "Refit", "backtest", "refit_plan"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Refit:
    """One fit of a back-test, and the origins it forecasts from.

    Attributes
    ----------
    train, validation : Split
        Targets learned from, and targets chosen by.
    origins : ndarray of int
        First target step of each forecast; none before the end of the validation.
    """

    train: Split
    validation: Split
    origins: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Backtest:
    """What a back-test gave, over N origins, n series, H steps and Q levels.

    Attributes
    ----------
    origins : ndarray of int, shape (N,)
        First target step of each forecast.
    actual : ndarray, shape (N, n, H)
        What happened [unit of the target].
    quantiles : ndarray, shape (N, n, H, Q)
        What was forecast [unit of the target].
    levels : tuple of float
        Quantile levels.
    fit_s, predict_s : float
        Processor time of all fits, and of all forecasts [s].
    losses : tuple of tuple of float
        Validation losses of each refit, by round.
    """

    origins: IntArray
    actual: FloatArray
    quantiles: FloatArray
    levels: tuple[float, ...]
    fit_s: float
    predict_s: float
    losses: tuple[tuple[float, ...], ...]


def refit_plan(at: IntArray, starts: Sequence[int], *, first: int, validation_steps: int) -> list[Refit]:
    """Return the refits that begin at `starts`, each serving the origins until the next, on an expanding window.

    Parameters
    ----------
    at : ndarray of int
        Origins, increasing.
    starts : sequence of int
        Steps at which the model is fitted anew, increasing; only what lies before each is learned from.
    first : int
        First target step to learn from.
    validation_steps : int
        Steps before each start that choose and do not teach.

    Raises
    ------
    DataError
        If an origin lies before the first start, or there is nothing left to learn from.

    Examples
    --------
    >>> plan = refit_plan(np.array([100, 110, 120]), [100, 120], first=10, validation_steps=20)
    >>> [(refit.train.stop, refit.validation.stop, refit.origins.tolist()) for refit in plan]
    [(80, 100, [100, 110]), (100, 120, [120])]
    """
    if not len(at) or at[0] < starts[0]:
        raise DataError("every origin of a back-test must lie at or after its first fit")
    if starts[0] - validation_steps <= first:
        raise DataError(
            f"nothing is left to learn from before step {starts[0]} and its {validation_steps} of validation"
        )
    ends = [*starts[1:], int(at[-1]) + 1]
    plan = [
        Refit(
            Split("train", first, start - validation_steps),
            Split("validation", start - validation_steps, start),
            at[(at >= start) & (at < end)],
        )
        for start, end in zip(starts, ends, strict=True)
    ]
    return [refit for refit in plan if len(refit.origins)]


def backtest(
    make: Callable[[], Forecaster],
    learned: SeriesTable,
    forecast: SeriesTable,
    plan: Sequence[Refit],
    *,
    seed: int = 0,
    folder: Path | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> Backtest:
    """Return the forecasts of a plan.

    Parameters
    ----------
    make : callable
        Makes an unfitted forecaster.
    learned : SeriesTable
        Series that are learned from.
    forecast : SeriesTable
        Series that are forecast, on the same steps; they may be others, or more.
    plan : sequence of Refit
        Fits and origins.
    seed : int
        Of every fit.
    folder : path, optional
        Where finished refits and checkpoints are kept.
    progress : callable, optional
        Called after each refit with their number, the number there are, and what was done.

    Raises
    ------
    DataError
        If a forecast sees its future, or `folder` holds another back-test.
    """
    key = _key(make(), learned, forecast, plan, seed)
    pieces = []
    for number, refit in enumerate(plan):
        kept = None if folder is None else folder / f"refit_{number:02d}.npz"
        piece = _kept(kept, key)
        if piece is None:
            piece = _run(make(), learned, forecast, refit, seed, kept)
            if kept is not None:
                _keep(kept, key, piece)
        pieces.append(piece)
        if progress is not None:
            progress(number + 1, len(plan), f"fitted {number + 1} of {len(plan)} times")
    at = np.concatenate([refit.origins for refit in plan])
    task = make().task
    return Backtest(
        origins=at,
        actual=targets_at(forecast, at, horizon_steps=task.horizon_steps),
        quantiles=np.concatenate([piece.quantiles for piece in pieces]),
        levels=task.levels,
        fit_s=sum(piece.fit_s for piece in pieces),
        predict_s=sum(piece.predict_s for piece in pieces),
        losses=tuple(piece.losses for piece in pieces),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    quantiles: FloatArray
    fit_s: float
    predict_s: float
    losses: tuple[float, ...]


def _run(
    model: Forecaster, learned: SeriesTable, forecast: SeriesTable, refit: Refit, seed: int, kept: Path | None
) -> _Piece:
    if refit.origins[0] < refit.validation.stop:
        raise DataError(f"origin {refit.origins[0]} lies before the end of the data learned from")
    checkpoint = None if kept is None else kept.with_suffix(".checkpoint")
    began = time.process_time()
    report = model.fit(learned, train=refit.train, validation=refit.validation, seed=seed, checkpoint=checkpoint)
    fitted = time.process_time()
    if not model.needs_truth:
        require_no_leak(model, forecast, int(refit.origins[0]))
    checked = time.process_time()
    quantiles = forecasts_at(model, forecast, refit.origins)
    return _Piece(quantiles, fitted - began, time.process_time() - checked, report.losses)


def _key(model: Forecaster, learned: SeriesTable, forecast: SeriesTable, plan: Sequence[Refit], seed: int) -> str:
    """Return a digest of everything that the forecasts of a back-test follow from."""
    said = [type(model).__name__, repr(model.task), seed]
    said += [repr(getattr(model, name, "")) for name in ("config", "settings", "members")]
    said += [[refit.train.start, refit.train.stop, refit.validation.stop, refit.origins.tolist()] for refit in plan]
    digest = hashlib.sha256(json.dumps(said).encode())
    for table in (learned, forecast):
        calendar = (table.hour, table.day_of_week, table.day_of_year)
        for array in (table.values, table.covariates, table.issued.issued_at, table.issued.values, *calendar):
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _kept(path: Path | None, key: str) -> _Piece | None:
    if path is None or not path.is_file():
        return None
    with np.load(path) as found:
        if str(found["key"]) != key:
            raise DataError(f"{path} belongs to another back-test; choose another folder or remove it")
        losses = tuple(float(loss) for loss in found["losses"])
        return _Piece(found["quantiles"], float(found["fit_s"]), float(found["predict_s"]), losses)


def _keep(path: Path, key: str, piece: _Piece) -> None:
    """Write a finished refit in one move, and remove the checkpoints that led to it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part.npz")
    np.savez_compressed(
        part,
        key=np.array(key),
        quantiles=piece.quantiles,
        fit_s=np.array(piece.fit_s),
        predict_s=np.array(piece.predict_s),
        losses=np.array(piece.losses),
    )
    part.replace(path)
    for checkpoint in path.parent.glob(f"{path.stem}.checkpoint*"):
        checkpoint.unlink()
