"""``train``: forecasters and storage policies, with their model cards."""

from __future__ import annotations

from math import isnan
from pathlib import Path
from typing import Annotated

import typer

from vpp_sim.cli.console import told_progress
from vpp_sim.cli.days import day_of
from vpp_sim.cli.learning import (
    MODELS,
    Clone,
    Kind,
    Out,
    Seed,
    SettingsFile,
    TrainUntil,
    ValidateUntil,
    settings_in,
)
from vpp_sim.registry import HOME_SOURCES, WEATHER_FORECASTS

__all__ = ["train_app"]

train_app = typer.Typer(name="train", help="Train forecasters and storage policies.", rich_markup_mode=None)


@train_app.command("forecaster")
def forecaster(
    kind: Annotated[str, typer.Option("--kind", help="lstm, transformer, linear or gbm (an extra).")],
    target: Annotated[str, typer.Option("--target", help="load or pv.")],
    seed: Seed = 0,
    out: Out = MODELS,
    weather: Annotated[
        str, typer.Option("--weather", help=f"Weather forecasts to learn with: {', '.join(WEATHER_FORECASTS.names)}.")
    ] = "error_model",
    weather_file: Annotated[
        Path | None, typer.Option("--weather-file", metavar="FILE", help="Archived forecasts, for --weather file.")
    ] = None,
    source: Annotated[
        str, typer.Option("--source", help=f"Homes to learn from: {', '.join(HOME_SOURCES.names)}.")
    ] = "fontana",
) -> None:
    """Train a forecaster, measure it against baselines, and write weights and card.

    A training that was cut off leaves checkpoints in the folder; the same command goes on from them, and ends in the
    same weights.
    """
    from vpp_sim.training.forecasters import train_forecaster

    _require_trainable(kind)
    with told_progress(f"{kind} of {target}") as advance:
        train_forecaster(
            kind,
            target,
            seed=seed,
            out_dir=out,
            source=source,
            weather=weather,
            weather_file=weather_file,
            progress=lambda done, total, loss: advance(done, total, f"validation loss {loss:.4f}"),
        )
    typer.echo(out / f"{target}_{kind}.json")


@train_app.command("ess")
def ess(
    kind: Kind,
    seed: Seed = 0,
    out: Out = MODELS,
    clone: Clone = True,
    settings: SettingsFile = None,
    train_until: TrainUntil = None,
    validate_until: ValidateUntil = None,
    replacement: Annotated[
        float,
        typer.Option(
            "--replacement-eur-per-kwh",
            min=0.0,
            metavar="PRICE",
            help="Price of a new battery: rewards are less the wear of what is taken out.",
        ),
    ] = 0.0,
    log_dir: Annotated[
        Path | None, typer.Option("--log-dir", metavar="DIR", help="Write scalars there for TensorBoard (an extra).")
    ] = None,
) -> None:
    """Train a storage policy, measure it against rules and perfect foresight, and write weights and card.

    A training that was cut off leaves a checkpoint in the folder; the same command goes on from it, and ends in the
    same weights.
    """
    from vpp_sim.training.storage import train_ess

    with told_progress(f"{kind} policy") as advance:
        train_ess(
            kind,
            seed=seed,
            out_dir=out,
            cloned=clone,
            settings=settings_in(settings, kind, clone),
            settings_file=settings,
            replacement_eur_per_kwh=replacement,
            train_until=day_of("--train-until", train_until),
            validate_until=day_of("--validate-until", validate_until),
            log_dir=log_dir,
            progress=lambda done, total, score: advance(done, total, _standing(score)),
        )
    typer.echo(out / f"ess_{kind}.json")


def _standing(score: float) -> str:
    return "cloning" if isnan(score) else f"share of the optimum {score:.3f}"


def _require_trainable(kind: str) -> None:
    from vpp_sim.errors import UnknownNameError
    from vpp_sim.registry import FORECASTERS

    trainable = [name for name in FORECASTERS.names if getattr(FORECASTERS.load(name), "trained", False)]
    if kind not in trainable:
        raise UnknownNameError("forecaster to train", kind, trainable)
