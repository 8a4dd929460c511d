"""From data to trained models and their cards: where data, forecasting and storage control meet for learning.

The splits of the homes' year stand here, because they bind every model that is trained on it: what is learned, what
chooses, and what only measures. The week that the default scenario runs lies inside the test split.
"""

from __future__ import annotations

import platform
import time
from dataclasses import asdict, dataclass
from hashlib import sha256
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from vpp_sim import __version__
from vpp_sim.errors import DataError
from vpp_sim.forecasting.protocol import require_target
from vpp_sim.forecasting.windows import SeriesTable, Split
from vpp_sim.registry import FORECASTERS, HOME_SOURCES

if TYPE_CHECKING:
    from pathlib import Path

    from vpp_sim.data.homes import HomesData
    from vpp_sim.forecasting.fitting import FitResult, FitSettings, Progress
    from vpp_sim.forecasting.weights import ModelCard

__all__ = ["SPLITS", "forecast_table", "split_of", "train_forecaster"]

SPLITS: dict[str, tuple[str, str]] = {
    "train": ("2016-08-01", "2017-04-30"),
    "validation": ("2017-05-01", "2017-06-15"),
    "test": ("2017-06-16", "2017-07-31"),
}
"""First and last local day of each split, both inclusive."""

EVALUATION_STRIDE = 5
"""Steps between the origins that cards measure at; prime to 24, so that every hour of the day issues forecasts."""

_LIMITS = (
    "Learned from one year of thirteen homes of one neighbourhood, so from one weather and no second summer; "
    "hourly steps; past weather only, because the data has no weather forecast with an issue time."
)


@dataclass(frozen=True, slots=True)
class _Job:
    """What one forecaster is trained for and on."""

    kind: str
    target: str
    seed: int
    source: str
    homes: HomesData
    settings: FitSettings


def split_of(index: pd.DatetimeIndex, name: str) -> Split:
    """Return the steps of a split on `index`.

    Raises
    ------
    DataError
        If `index` does not cover it.
    """
    first, last = (pd.Timestamp(day, tz=index.tz) for day in SPLITS[name])
    stop = int(index.searchsorted(last + pd.DateOffset(days=1)))
    start = int(index.searchsorted(first))
    if index[0] > first or index[-1] < last:
        raise DataError(f"the data from {index[0]} to {index[-1]} does not cover the {name} split, {first} to {last}")
    return Split(name, start, stop)


def forecast_table(homes: HomesData, target: str) -> SeriesTable:
    """Return the series of one target with weather and local calendar.

    Parameters
    ----------
    homes : HomesData
        Homes of any number.
    target : str
        ``"load"`` [kW] or ``"pv"`` [kW per kWp].

    Raises
    ------
    DataError
        If the target is unknown.
    """
    require_target(target)
    index = homes.index
    return SeriesTable(
        values_kw=homes.load_kw if target == "load" else homes.pv_kw_per_kwp,
        weather=np.column_stack([homes.temperature_c, homes.ghi_w_m2]),
        hour=np.asarray(index.hour + index.minute / 60.0, dtype=np.float64),
        day_of_week=np.asarray(index.dayofweek, dtype=np.int64),
        day_of_year=np.asarray(index.dayofyear, dtype=np.int64),
    )


def train_forecaster(
    kind: str,
    target: str,
    *,
    seed: int,
    out_dir: Path,
    source: str = "fontana",
    settings: FitSettings | None = None,
    progress: Progress | None = None,
) -> ModelCard:
    """Train a forecaster, measure it, and write weights and card to `out_dir`.

    Parameters
    ----------
    kind : str
        ``"lstm"`` or ``"transformer"``.
    target : str
        ``"load"`` or ``"pv"``.
    seed : int
        Same seed, same machine, same versions: the same weights, bit by bit.
    out_dir : path
        Gets ``<target>_<kind>.safetensors`` and ``<target>_<kind>.json``.
    source : str, default "fontana"
        Home source; its recommended homes are used.
    settings : FitSettings, optional
        How long and how fast; those of the target when left out.
    progress : callable, optional
        Called after each round with its number, the number of rounds, and the validation loss.

    Raises
    ------
    UnknownNameError
        If there is no such forecaster or source.
    DataError
        If the forecaster has nothing to train, the target is unknown, or the data does not cover the splits.
    """
    from vpp_sim.forecasting.fitting import SETTINGS, fit
    from vpp_sim.forecasting.network import NetworkConfig

    forecaster = FORECASTERS.load(kind)
    if not hasattr(forecaster, "build"):
        raise DataError(f"the {kind} forecaster has nothing to train")
    require_target(target)
    found = HOME_SOURCES.load(source)()
    homes = found.load().select(found.default_homes)
    job = _Job(kind, target, seed, source, homes, settings or SETTINGS[target])
    began = time.perf_counter()
    fitted = fit(
        forecaster.build,
        NetworkConfig(core=kind),
        forecast_table(homes, target),
        train=split_of(homes.index, "train"),
        validation=split_of(homes.index, "validation"),
        seed=seed,
        settings=job.settings,
        progress=progress,
    )
    return _measured_and_saved(job, fitted, time.perf_counter() - began, out_dir)


def _measured_and_saved(job: _Job, fitted: FitResult, training_s: float, out_dir: Path) -> ModelCard:
    from vpp_sim.forecasting.weights import ModelCard, pack_weights, round_weights, save_model

    round_weights(fitted.network)
    packed = pack_weights(fitted.network)
    card = ModelCard(
        kind=job.kind,
        target=job.target,
        command=f"vpp-sim train forecaster --kind {job.kind} --target {job.target} --seed {job.seed}",
        seed=job.seed,
        source=job.source,
        data_digest=job.homes.digest,
        homes=job.homes.names,
        splits={name: list(days) for name, days in SPLITS.items()},
        network=asdict(fitted.network.config),
        fitting=asdict(job.settings),
        best_epoch=fitted.best_epoch,
        validation_losses=[round(loss, 6) for loss in fitted.losses],
        metrics=_metrics(job, fitted),
        training_s=round(training_s, 1),
        versions=_versions(),
        parameters=sum(weight.numel() for weight in fitted.network.parameters()),
        weights_sha256=sha256(packed).hexdigest(),
        limits=_LIMITS,
    )
    save_model(packed, card, out_dir)
    return card


def _metrics(job: _Job, fitted: FitResult) -> dict[str, Any]:
    """Return measures on validation and test, of the model and of the baselines at the same origins."""
    from vpp_sim.forecasting.baselines import Persistence, PersistenceEnsemble, SeasonalNaive
    from vpp_sim.forecasting.evaluation import compare

    models = {
        job.kind: FORECASTERS.load(job.kind)(fitted.network),
        "persistence": Persistence(),
        "seasonal_naive": SeasonalNaive(),
        "persistence_ensemble": PersistenceEnsemble(),
    }
    table, index = forecast_table(job.homes, job.target), job.homes.index
    train = split_of(index, "train")
    return {
        name: compare(models, table, split_of(index, name), train=train, stride=EVALUATION_STRIDE)
        for name in ("validation", "test")
    }


def _versions() -> dict[str, str]:
    """Return the versions of what determines the weights."""
    libraries = {name: version(name) for name in ("torch", "numpy")}
    return {"vpp_sim": __version__, "python": platform.python_version(), **libraries}
