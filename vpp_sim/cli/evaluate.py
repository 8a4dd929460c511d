"""``evaluate``: storage controllers on the same days, each beside the best that was possible."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from shlex import join
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vpp_sim.cli.console import print_table, told_progress
from vpp_sim.cli.days import day_of
from vpp_sim.cli.options import RESULTS, Quiet
from vpp_sim.errors import UserError
from vpp_sim.registry import CONTROLLERS, HOME_SOURCES, PRICE_SOURCES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vpp_sim.trials.request import TrialRequest
    from vpp_sim.trials.run import TrialResult

__all__ = ["evaluate_app"]

evaluate_app = typer.Typer(
    name="evaluate", help="Measure what decides, on days that it did not learn from.", rich_markup_mode=None
)


@evaluate_app.callback()
def _evaluate() -> None:
    """Measure what decides, on days that it did not learn from."""


@evaluate_app.command("ess")
def ess(
    context: typer.Context,
    kinds: Annotated[
        list[str] | None,
        typer.Option(
            "--kinds", metavar="NAMES", help=f"Controllers, with commas; without, all: {', '.join(CONTROLLERS.names)}."
        ),
    ] = None,
    policies: Annotated[
        list[str] | None,
        typer.Option(
            "--policies",
            metavar="[NAME=]DIRS",
            help="Folders of trained policies, with commas, a seed each; instead of the shipped ones, or with NAME= as "
            "a row of their own. May be repeated.",
        ),
    ] = None,
    split: Annotated[Literal["validation", "test"], typer.Option("--split", help="Days, by the split.")] = "test",
    first: Annotated[
        str | None, typer.Option("--first", metavar="DAY", help="First local day, instead of a split.")
    ] = None,
    last: Annotated[
        str | None,
        typer.Option(
            "--last", metavar="DAY", help="Last local day, looked ahead to: its first hour is the last acted on."
        ),
    ] = None,
    tariff: Annotated[
        Literal["own", "wholesale"],
        typer.Option("--tariff", help="own: the homes' own; wholesale: day-ahead prices plus levies."),
    ] = "own",
    acts: Annotated[
        Literal["after_meter", "before_meter"],
        typer.Option("--acts", help="Whether this step's load and sun are metered before a controller acts."),
    ] = "after_meter",
    forecast: Annotated[
        Literal["yesterday", "perfect"],
        typer.Option("--forecast", help="Of load and sun: yesterday's values, or the truth, as a bound."),
    ] = "yesterday",
    source: Annotated[str, typer.Option("--source", help=f"Homes: {', '.join(HOME_SOURCES.names)}.")] = "fontana",
    homes: Annotated[
        list[str] | None,
        typer.Option("--homes", metavar="NAMES", help="Homes of the source, with commas; without, the recommended."),
    ] = None,
    prices: Annotated[
        str, typer.Option("--prices", help=f"Day-ahead prices: {', '.join(PRICE_SOURCES.names)}.")
    ] = "netherlands_day_ahead",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Folder; without, one below results/evaluations.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Run storage controllers over the same days and measure each by what perfect foresight saves.

    The folder gets evaluation.json, summary.md, tables for each home, month and step, and figures. Every table says
    what its controllers knew.
    """
    from vpp_sim.trials.output import require_room, write_trial
    from vpp_sim.trials.request import TrialRequest
    from vpp_sim.trials.run import run_trial

    _require_one_of(context, "split", first or last)
    request = TrialRequest(
        kinds=_names(kinds),
        policies=_policies(policies),
        split=split,
        first=day_of("--first", first),
        last=day_of("--last", last),
        tariff=tariff,
        acts=acts,
        forecast=forecast,
        source=source,
        homes=tuple(f"home_{name}" if name.isdigit() else name for name in _names(homes)),
        prices=prices,
    )
    folder = out or RESULTS / "evaluations" / _folder_name(request)
    require_room(folder)
    with told_progress("evaluation of storage", quiet=quiet) as advance:
        result = run_trial(request, progress=advance)
    write_trial(result, folder, _typed(context))
    _draw(result, folder)
    if not quiet:
        _print(result)
    typer.echo(folder)


def _require_one_of(context: typer.Context, option: str, days: str | None) -> None:
    given = context.get_parameter_source(option)
    if days and given is not None and given.name == "COMMANDLINE":
        raise UserError(f"--{option}: not with --first and --last, which name the days")


def _names(texts: Sequence[str] | None) -> tuple[str, ...]:
    return tuple(name.strip() for text in texts or () for name in text.split(",") if name.strip())


def _policies(texts: Sequence[str] | None) -> tuple[str, ...]:
    """Return folders, each with the name that stands before the first of its list.

    Examples
    --------
    >>> _policies(["a,b", "plain=c,d"])
    ('a', 'b', 'plain=c', 'plain=d')
    """
    found = []
    for text in texts or ():
        label, equals, folders = text.rpartition("=")
        found += [f"{label}{equals}{folder.strip()}" for folder in folders.split(",") if folder.strip()]
    return tuple(found)


def _folder_name(request: TrialRequest) -> str:
    digest = sha256(json.dumps(request.described(), sort_keys=True).encode()).hexdigest()
    return f"ess_{digest[:8]}"


def _typed(context: typer.Context) -> str:
    """Return the command as it was typed, in the order of the options' help."""
    words = ["vpp-sim", "evaluate", "ess"]
    for option in context.command.params:
        name = option.name or ""
        given = context.get_parameter_source(name)
        if given is None or given.name != "COMMANDLINE" or name == "quiet":
            continue
        value = context.params[name]
        for text in value if isinstance(value, list | tuple) else [value]:
            words += [option.opts[0], str(text)]
    return join(words)


def _draw(result: TrialResult, folder: Path) -> None:
    from vpp_sim.backtesting.output import one_move
    from vpp_sim.figures import style
    from vpp_sim.figures.trials import trial_figures

    for name, figure in trial_figures(result).items():
        with one_move(folder / f"{name}.png") as part:
            style.save(figure, part)


def _print(result: TrialResult) -> None:
    from vpp_sim.trials.output import HEADS, amounts, warnings
    from vpp_sim.trials.request import TARIFFS

    request, best_eur = result.request, result.rows[0]["best_eur_per_home"]
    first, last = (f"{moment:%Y-%m-%d %H:%M}" for moment in (result.homes.times[0], result.homes.times[-1]))
    typer.echo(
        f"{len(result.homes.names)} homes of {request.source}, {first} to {last}; "
        f"perfect foresight saves {best_eur:.2f} EUR a home against no battery"
    )
    typer.echo(f"known of load and sun: {request.known_of_load}")
    typer.echo(f"known of prices: {TARIFFS[request.tariff]}")
    truth = [one.entrant.name for one in result.tried if one.entrant.controller.needs_truth]
    if truth:
        typer.echo(f"knows the coming day as it will be: {', '.join(truth)}")
    print_table(HEADS, amounts(result), text_columns=HEADS[:2])
    for text in warnings(result):
        typer.echo(f"warning: {text}")
