"""``train``: forecasters and storage policies, with their model cards."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vpp_sim.cli.console import progress_bar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["train_app"]

train_app = typer.Typer(name="train", help="Train forecasters and storage policies.", rich_markup_mode=None)

Seed = Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same weights.")]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the weights and their card.")]
MODELS = Path("results/models")


@train_app.command("forecaster")
def forecaster(
    kind: Annotated[str, typer.Option("--kind", help="lstm or transformer.")],
    target: Annotated[str, typer.Option("--target", help="load or pv.")],
    seed: Seed = 0,
    out: Out = MODELS,
) -> None:
    """Train a forecaster, measure it against baselines, and write weights and card."""
    from vpp_sim.training import train_forecaster

    _require_trainable(kind)
    with _progress(f"{kind} of {target}") as advance:
        train_forecaster(
            kind,
            target,
            seed=seed,
            out_dir=out,
            progress=lambda done, total, loss: advance(done, total, f"validation loss {loss:.4f}"),
        )
    typer.echo(out / f"{target}_{kind}.json")


@train_app.command("ess")
def ess(
    kind: Annotated[Literal["dqn", "ppo"], typer.Option("--kind", help="Algorithm.")],
    seed: Seed = 0,
    out: Out = MODELS,
) -> None:
    """Train a storage policy, measure it against rules and perfect foresight, and write weights and card."""
    from vpp_sim.training import train_ess

    with _progress(f"{kind} policy") as advance:
        train_ess(
            kind,
            seed=seed,
            out_dir=out,
            progress=lambda done, total, score: advance(done, total, f"share of the optimum {score:.3f}"),
        )
    typer.echo(out / f"ess_{kind}.json")


def _require_trainable(kind: str) -> None:
    from vpp_sim.errors import UnknownNameError
    from vpp_sim.registry import FORECASTERS

    if kind not in FORECASTERS.names or not hasattr(FORECASTERS.load(kind), "build"):
        trainable = [name for name in FORECASTERS.names if hasattr(FORECASTERS.load(name), "build")]
        raise UnknownNameError("forecaster to train", kind, trainable)


@contextmanager
def _progress(title: str) -> Iterator[Callable[[int, int, str], None]]:
    """Show a progress bar on a terminal, and elsewhere a line for every tenth of the work."""
    with progress_bar(title) as advance:
        yield advance if sys.stderr.isatty() else _line_a_tenth(title)


def _line_a_tenth(title: str) -> Callable[[int, int, str], None]:
    tenths = 0

    def advance(done: int, total: int, what: str) -> None:
        nonlocal tenths
        if done * 10 // max(total, 1) > tenths:
            tenths = done * 10 // total
            typer.echo(f"{title}: {10 * tenths} %, {what}", err=True)

    return advance
