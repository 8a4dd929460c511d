"""The application: its commands, and what becomes of errors."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from vpp_sim import __version__
from vpp_sim.cli.backtesting import backtest
from vpp_sim.cli.chain import chain_app
from vpp_sim.cli.evaluate import evaluate_app
from vpp_sim.cli.plotting import plot
from vpp_sim.cli.runs import runs_app
from vpp_sim.cli.scenarios import run, schema, validate
from vpp_sim.cli.serving import serve
from vpp_sim.cli.sweeping import sweep
from vpp_sim.cli.train import train_app
from vpp_sim.cli.tune import tune_app
from vpp_sim.errors import UserError, VppSimError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["app", "main"]

FAILED, MISTAKEN, INTERRUPTED = 1, 2, 130

app = typer.Typer(name="vpp-sim", help="Simulate virtual power plants.", rich_markup_mode=None, add_completion=True)
app.command()(run)
app.command()(validate)
app.command()(schema)
app.add_typer(train_app)
app.add_typer(tune_app)
app.command()(backtest)
app.add_typer(evaluate_app)
app.command()(sweep)
app.add_typer(runs_app)
app.add_typer(chain_app)
app.command()(plot)
app.command()(serve)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"vpp-sim {__version__}")
        raise typer.Exit


def _is_told(record: logging.LogRecord) -> bool:
    """Tell warnings of everybody, and what our own code says; some libraries ask for all that they do to be told."""
    return record.levelno >= logging.WARNING or record.name.startswith("vpp_sim")


@app.callback()
def _configure(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Also log what happens on the way.")] = False,
) -> None:
    """Simulate virtual power plants: homes, storage, forecasts, markets, a feeder and a settlement chain."""
    handler = logging.StreamHandler()
    handler.addFilter(_is_told)
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="%(levelname)s %(name)s: %(message)s",
        handlers=[handler],
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Parameters
    ----------
    arguments : sequence of str, optional
        Without the program's name; those of the process when left out.

    Returns
    -------
    int
        0, or 1 if a run failed, 2 for a mistake in what was asked, 130 after an interrupt.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with _pipe_may_close():
            return _run(given)
    except _PipeClosed:
        return 0


def _run(given: Sequence[str]) -> int:
    try:
        status = typer.main.get_command(app).main(args=given or ["--help"], prog_name="vpp-sim", standalone_mode=False)
    except typer.TyperException as error:
        said = error.format_message().replace("Value error, ", "")  # how pydantic, inside typer, begins
        _complain(f"{said}\n(vpp-sim --help lists commands and options)")
        return error.exit_code
    except UserError as error:
        _complain(str(error))
        return MISTAKEN
    except VppSimError as error:
        _complain(f"{type(error).__name__}: {error}")
        return FAILED
    except (KeyboardInterrupt, typer.Abort):
        _complain("interrupted")
        return INTERRUPTED
    if status == INTERRUPTED:  # how typer answers an interrupt
        _complain("interrupted")
    return status if isinstance(status, int) else 0


class _PipeClosed(Exception):  # noqa: N818
    """Whoever read our output wants no more of it, as ``head`` does."""


@contextmanager
def _pipe_may_close() -> Iterator[None]:
    """Raise `_PipeClosed` when standard output is closed by its reader, after leading what is left nowhere."""
    try:
        yield
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit) as error:  # rich and typer turn the one into the other
        if isinstance(error, SystemExit) and not isinstance(error.__context__, BrokenPipeError):
            raise
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        raise _PipeClosed from None


def _complain(message: str) -> None:
    for line in message.splitlines():
        typer.echo(line if line.startswith("(") else f"error: {line}", err=True)
