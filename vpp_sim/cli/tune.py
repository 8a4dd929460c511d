"""``tune``: a search for settings to learn with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vpp_sim.cli.console import print_table, told_progress
from vpp_sim.cli.days import day_of
from vpp_sim.cli.files import write_text
from vpp_sim.cli.learning import Clone, Kind, Seed, SettingsFile, TrainUntil, ValidateUntil, settings_in
from vpp_sim.cli.options import Quiet

if TYPE_CHECKING:
    from vpp_sim.ess.search import SearchResult

__all__ = ["tune_app"]

tune_app = typer.Typer(name="tune", help="Search settings to learn with.", rich_markup_mode=None)


@tune_app.callback()
def _tune() -> None:
    """Search settings to learn with."""


@tune_app.command("ess")
def ess(
    kind: Kind,
    trials: Annotated[int, typer.Option("--trials", min=1, help="How many the study shall hold.")] = 20,
    seed: Seed = 0,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the study.")] = Path("results/tuning"),
    clone: Clone = True,
    settings: SettingsFile = None,
    train_until: TrainUntil = None,
    validate_until: ValidateUntil = None,
    quiet: Quiet = False,
) -> None:
    """Search settings for train ess with Optuna (an extra), by what policies save on the validation days.

    Every trial trains in full; the first one with the algorithm's own settings, or those of --settings. A search that
    was cut off goes on, and one asked for more trials adds them. The best settings are written as JSON, for train ess
    --settings.
    """
    from vpp_sim.training.storage import search_ess

    _quieten()
    with told_progress(f"search of settings for {kind}", quiet=quiet) as advance:
        result = search_ess(
            kind,
            trials=trials,
            seed=seed,
            out_dir=out,
            cloned=clone,
            settings=settings_in(settings, kind, clone),
            train_until=day_of("--train-until", train_until),
            validate_until=day_of("--validate-until", validate_until),
            progress=lambda done, total, best: advance(done, total, f"best share of the optimum {best:.4f}"),
        )
    found = out / f"ess_{kind}_settings.json"
    write_text(found, json.dumps(result.best.settings.as_plain(), indent=2) + "\n")
    if not quiet:
        _print(result)
    typer.echo(found)


def _quieten() -> None:
    """Let Optuna log as everybody here does, instead of to standard error by itself."""
    from vpp_sim.ess.search import require_optuna

    optuna = require_optuna()
    optuna.logging.disable_default_handler()
    optuna.logging.enable_propagation()


def _print(result: SearchResult) -> None:
    """Print the best trials beside the first one, the best at the top, by the settings in which any of them differ."""
    plain = [trial.settings.as_plain() for trial in result.trials]
    names = [name for name in plain[0] if any(other[name] != plain[0][name] for other in plain)]
    order = sorted(range(len(plain)), key=lambda i: -result.trials[i].score)
    rows = [
        [str(i + 1), f"{result.trials[i].score:.4f}", *(_shown(plain[i][name]) for name in names)]
        for i in order
        if i in order[:10] or i == 0
    ]
    print_table(("trial", "share of the optimum", *names), rows)


def _shown(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
