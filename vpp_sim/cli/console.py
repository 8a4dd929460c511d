"""What the terminal shows: tables and progress bars."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import Console

__all__ = ["KPI_COLUMNS", "print_table", "progress_bar", "told_progress"]

KPI_COLUMNS = ("KPI", "VPP", "counterfactual", "difference", "unit")
"""Heads of a table of KPIs."""

_WIDTH_OF_FILES = 200
"""Columns of a table that is not shown on a terminal but piped into something."""


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, text_columns: Sequence[str] = ()) -> None:
    """Print a table to standard output; columns not named in `text_columns` are numbers and stand right."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="left" if column in text_columns else "right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    _console().print(table, markup=False)


@contextmanager
def progress_bar(title: str, *, quiet: bool = False) -> Iterator[Callable[[int, int, str], None]]:
    """Show a progress bar on standard error while the block runs, if that is a terminal.

    Yields
    ------
    callable
        To be called with what is done, what there is to do, and what is going on.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as progress:
        task = progress.add_task(title, total=None)

        def advance(done: int, total: int, what: str) -> None:
            progress.update(task, completed=done, total=total, description=what or title)

        yield advance


@contextmanager
def told_progress(title: str, *, quiet: bool = False) -> Iterator[Callable[[int, int, str], None]]:
    """Show a progress bar on a terminal, and elsewhere a line for every tenth of the work; both on standard error."""
    with progress_bar(title, quiet=quiet) as advance:
        yield advance if quiet or sys.stderr.isatty() else _line_a_tenth(title)


def _line_a_tenth(title: str) -> Callable[[int, int, str], None]:
    tenths = 0

    def advance(done: int, total: int, what: str) -> None:
        nonlocal tenths
        if done * 10 // max(total, 1) > tenths:
            tenths = done * 10 // total
            typer.echo(f"{title}: {10 * tenths} %, {what}", err=True)

    return advance


def _console() -> Console:
    from rich.console import Console

    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_WIDTH_OF_FILES)
