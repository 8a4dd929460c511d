"""``backtest``: forecasters from one origin after another, over homes or a user's own series, beside the references."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from shlex import join
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vpp_sim.cli.console import print_table, told_progress
from vpp_sim.cli.days import day_of
from vpp_sim.cli.options import RESULTS, Quiet
from vpp_sim.errors import UserError
from vpp_sim.registry import FORECASTERS, HOME_SOURCES, WEATHER_FORECASTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vpp_sim.backtesting.request import BacktestRequest
    from vpp_sim.backtesting.run import BacktestResult

__all__ = ["backtest"]

_MOST_SERIES = 8
_SHOWN = ("mase", "wql")
_REFERENCES = {"persistence": "1 day", "seasonal_naive": "1 week", "persistence_ensemble": "mean day"}


def backtest(
    context: typer.Context,
    kinds: Annotated[
        list[str],
        typer.Option("--kinds", metavar="NAMES", help=f"Forecasters, with commas: {', '.join(FORECASTERS.names)}."),
    ],
    target: Annotated[str, typer.Option("--target", help="What is forecast: load, pv or price.")],
    source: Annotated[
        str, typer.Option("--source", help=f"Homes to forecast: {', '.join(HOME_SOURCES.names)}.")
    ] = "fontana",
    homes: Annotated[
        list[str] | None,
        typer.Option("--homes", metavar="NAMES", help="Homes of the source, with commas; without, the recommended."),
    ] = None,
    leave_out: Annotated[
        list[str] | None,
        typer.Option("--leave-out", metavar="NAMES", help="Homes to forecast and never learn from; the rest teach."),
    ] = None,
    weather: Annotated[
        str, typer.Option("--weather", help=f"Weather forecasts of the homes: {', '.join(WEATHER_FORECASTS.names)}.")
    ] = "error_model",
    weather_file: Annotated[
        Path | None, typer.Option("--weather-file", metavar="FILE", help="Archived forecasts, for --weather file.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="FILE", help="Your own series instead of homes: long Parquet or CSV."),
    ] = None,
    series: Annotated[
        str | None, typer.Option("--id", metavar="COLUMN", help="Column of the series' names; without, one series.")
    ] = None,
    time: Annotated[str | None, typer.Option("--time", metavar="COLUMN", help="Column of the steps' starts.")] = None,
    value: Annotated[str | None, typer.Option("--value", metavar="COLUMN", help="Column of the values.")] = None,
    known: Annotated[
        list[str] | None,
        typer.Option(
            "--known",
            metavar="COLUMNS",
            help="Columns, with commas, that were published before each issue for its whole horizon.",
        ),
    ] = None,
    zone: Annotated[
        str | None,
        typer.Option(
            "--zone", help="Time zone of the calendar, for times with offsets. Times without are local standard time."
        ),
    ] = None,
    unit: Annotated[str | None, typer.Option("--unit", help="Unit of the values, for tables and figures.")] = None,
    first: Annotated[
        str | None, typer.Option("--first", metavar="DAY", help="First local day of issues; without, the last ones.")
    ] = None,
    last: Annotated[
        str | None, typer.Option("--last", metavar="DAY", help="Last local day of issues; without, the last with room.")
    ] = None,
    horizon: Annotated[str, typer.Option("--horizon", help="How far each forecast reaches, 144h at most.")] = "24h",
    every: Annotated[str, typer.Option("--every", help="From one issue to the next; days keep the hour.")] = "24h",
    issue_hour: Annotated[
        int, typer.Option("--issue-hour", min=0, max=23, help="Local hour of the first issue of a day.")
    ] = 0,
    least_origins: Annotated[
        int,
        typer.Option("--least-origins", min=1, help="Fewer issues are refused; without --first, as many are made."),
    ] = 20,
    refit: Annotated[
        str,
        typer.Option("--refit", help="Fit anew on all data so far: never, weekly, monthly, or so many days as 10d."),
    ] = "monthly",
    validation_days: Annotated[
        int, typer.Option("--validation-days", min=1, help="Days before each fit that choose and do not teach.")
    ] = 28,
    seed: Annotated[
        list[str] | None, typer.Option("--seed", metavar="SEEDS", help="Seeds of those that learn, with commas.")
    ] = None,
    calibration: Annotated[
        str, typer.Option("--calibration", help="none, or conformal: widen and narrow quantiles as outcomes come in.")
    ] = "none",
    portfolio: Annotated[
        bool | None,
        typer.Option(
            "--portfolio/--no-portfolio",
            help="Also forecast the sum of the series; without, that of load or solar output where there is one table.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Folder of this back-test; without, one below results/backtests."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Forecast from one origin after another, fitting anew as time goes on, and measure it beside the references.

    The references (the day before, the week before, the mean day of the week before) always run too, at the same
    origins. The folder gets forecasts.parquet, metrics.json and four figures. The same command in the same folder goes
    on where it was cut off.
    """
    from vpp_sim.backtesting.request import BacktestRequest
    from vpp_sim.backtesting.run import backtest_file, backtest_homes

    homes_only = {
        "--homes": homes, "--leave-out": leave_out, "--weather-file": weather_file,
        "--weather": weather != "error_model", "--source": source != "fontana",
    }  # fmt: skip
    file_only = {"--id": series, "--time": time, "--value": value, "--known": known, "--zone": zone, "--unit": unit}
    _require_one_kind("--data", data, homes_only if data else file_only)
    request = BacktestRequest(
        kinds=_names(kinds),
        target=target,
        horizon_s=_seconds("--horizon", horizon),
        every_s=_seconds("--every", every),
        issue_hour=issue_hour,
        first=day_of("--first", first, "2017-02-01"),
        last=day_of("--last", last, "2017-02-01"),
        least_origins=least_origins,
        refit=refit,
        validation_days=validation_days,
        seeds=_seeds(seed),
        calibration=calibration,
        portfolio=portfolio,
    )
    given: dict[str, Any] = {"command": _typed(context)}
    if data is None:
        given |= {"source": source, "homes": _homes(homes), "leave_out": _homes(leave_out)}
        given |= {"weather": weather, "weather_file": weather_file}
    else:
        given |= {"path": data, "columns": _columns(series, time, value, known), "zone": zone, "unit": unit}
    folder = out or RESULTS / "backtests" / _folder_name(request, given)
    run = backtest_homes if data is None else backtest_file
    with told_progress(f"backtest of {target}", quiet=quiet) as advance:
        try:
            result = run(request, folder=folder, progress=advance, **given)
        except KeyboardInterrupt:
            if folder.is_dir():
                typer.echo(f"what is finished is kept in {folder}; the same command goes on from there", err=True)
            raise
    _draw(result, folder)
    if not quiet:
        _print(result)
    typer.echo(folder)


def _require_one_kind(what: str, data: Path | None, others: dict[str, Any]) -> None:
    """Raise if options of homes stand beside those of a file."""
    wrong = [name for name, value in others.items() if value]
    if wrong and data is None:
        raise UserError(f"{', '.join(wrong)}: only with {what} FILE")
    if wrong:
        raise UserError(f"{', '.join(wrong)}: not with {what}, which brings its own series")


def _columns(series: str | None, time: str | None, value: str | None, known: list[str] | None) -> Any:
    from vpp_sim.data.series_file import SeriesColumns

    if time is None or value is None:
        raise UserError("--data needs --time COLUMN and --value COLUMN")
    return SeriesColumns(time=time, value=value, id=series, known=_names(known))


def _names(texts: Sequence[str] | None) -> tuple[str, ...]:
    """Return the names in options that may be repeated and may hold commas.

    Examples
    --------
    >>> _names(["lstm, gbm", "linear"])
    ('lstm', 'gbm', 'linear')
    """
    return tuple(name.strip() for text in texts or () for name in text.split(",") if name.strip())


def _homes(texts: Sequence[str] | None) -> tuple[str, ...]:
    """Return names of homes, which may be written as their numbers."""
    return tuple(f"home_{name}" if name.isdigit() else name for name in _names(texts))


def _seeds(texts: Sequence[str] | None) -> tuple[int, ...]:
    names = _names(texts) or ("0",)
    wrong = [name for name in names if not name.isdecimal()]
    if wrong:
        raise UserError(f"--seed {wrong[0]}: expected whole numbers from 0 on, such as 0,1,2")
    return tuple(int(name) for name in names)


def _seconds(option: str, text: str) -> int:
    from vpp_sim.units import parse_duration_s

    try:
        return parse_duration_s(text)
    except ValueError as error:
        raise UserError(f"{option} {text}: {error}") from None


def _folder_name(request: BacktestRequest, given: dict[str, Any]) -> str:
    """Return a name that is the same for the same request, and another for another."""
    said = {name: str(value) for name, value in given.items() if name != "command"}
    digest = sha256(json.dumps([request.described(), said], sort_keys=True).encode()).hexdigest()
    return f"{request.target}_{digest[:8]}"


def _typed(context: typer.Context) -> str:
    """Return the command as it was typed, in the order of the options' help."""
    words = ["vpp-sim", "backtest"]
    for option in context.command.params:
        name = option.name or ""
        source = context.get_parameter_source(name)
        if source is None or source.name != "COMMANDLINE" or name == "quiet":
            continue
        value = context.params[name]
        if isinstance(value, bool):
            words.append(option.opts[0] if value else option.secondary_opts[0])
        else:
            words += [option.opts[0], ",".join(value) if isinstance(value, list | tuple) else str(value)]
    return join(words)


def _draw(result: BacktestResult, folder: Path) -> None:
    from vpp_sim.backtesting.output import one_move
    from vpp_sim.figures import style
    from vpp_sim.figures.backtests import backtest_figures

    for name, figure in backtest_figures(result).items():
        with one_move(folder / f"{name}.png") as part:
            style.save(figure, part)


def _print(result: BacktestResult) -> None:
    """Print a row for each forecaster: means over the series, then the portfolio, then MASE by series."""
    references = [name for name in _REFERENCES if name not in result.request.kinds]
    for plan in result.plan:
        shown = ", ".join(plan["series"][:_MOST_SERIES]) + (" ..." if len(plan["series"]) > _MOST_SERIES else "")
        span = f"{plan['origins']} issues from {plan['first_origin']} to {plan['last_origin']}"
        typer.echo(f"{shown}: {span}, {len(plan['fits'])} fits")
    typer.echo(f"known ahead: {result.source.known_ahead}")
    if result.request.calibration != "none":
        typer.echo(f"calibration: {result.request.calibration}, of the references too")
    typer.echo("/ the same of the reference; 80 %, 90 %: share of outcomes in the interval that should hold so many")
    typer.echo(f"crossings of quantiles: {result.crossings}; not asked for, run as references: "
               f"{', '.join(references) or 'none'}")  # fmt: skip
    groups = next(iter(result.metrics.values()))["mean"]
    for group in groups:
        typer.echo("mean over the series" if group == "series" else group)
        heads = ["forecaster"]
        for measure in _SHOWN:
            heads += [measure, *(f"/ {short}" for short in _REFERENCES.values())]
        heads += ["nrmse", "80 %", "90 %", "fit s", "predict s"]
        print_table(heads, [_row(kind, found, group) for kind, found in result.metrics.items()],
                    text_columns=("forecaster",))  # fmt: skip
    _print_series(result)


def _row(kind: str, found: dict[str, Any], group: str) -> list[str]:
    mean, spread = found["mean"][group], found["spread"][group]
    which = ("", *(f"_ratio_to_{name}" for name in _REFERENCES))
    names = [*(f"{measure}{of}" for measure in _SHOWN for of in which), "nrmse", "coverage_80", "coverage_90"]
    seconds = [f"{found[name]:.1f}" for name in ("fit_s", "predict_s")]
    return [kind, *(_amount(mean[name], spread[name]) for name in names), *seconds]


def _print_series(result: BacktestResult) -> None:
    each = {kind: list(found["seeds"].values()) for kind, found in result.metrics.items()}
    names = list(next(iter(each.values()))[0]["each"])
    if not 1 < len(names) <= _MOST_SERIES:
        return
    typer.echo("mase by series")
    rows = []
    for kind, seeds in each.items():
        values = [[scored["each"][name]["mase"] for scored in seeds] for name in names]
        rows.append([kind, *(_amount(None if None in row else sum(row) / len(row), None) for row in values)])
    print_table(["forecaster", *names], rows, text_columns=("forecaster",))


def _amount(mean: float | None, spread: float | None) -> str:
    """Return a value, with its standard deviation over seeds where there is one."""
    if mean is None:
        return "–"
    return f"{mean:.3f}" + (f" ± {spread:.3f}" if spread is not None else "")
