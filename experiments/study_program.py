"""What the programs of all studies share: the command line, stages, processes, and the page that states the figures.

A study's ``run.py`` says what is measured and how its tables read; it puts this folder on its path and imports from
here. What it measures with lies beside it, also runs alone, and needs nothing from here.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypeVar

from vpp_sim.runs.manifest import environment

__all__ = [
    "Figures",
    "Page",
    "Pool",
    "Stage",
    "command_line",
    "grid",
    "made_by",
    "made_here",
    "merged",
    "pool_of",
    "run_in_stages",
    "table",
    "with_tables",
    "write_whole",
]

OPENS, CLOSES = "<!-- tables -->", "<!-- /tables -->"
Figures: TypeAlias = dict[str, Any]
Stage: TypeAlias = Callable[..., Figures]
"""Takes ``jobs`` and ``quick``, and returns its figures."""

Found = TypeVar("Found")


# -- the page


@dataclass(frozen=True, slots=True)
class Page:
    """What a study states: ``figures.json``, its pictures, and the tables of its ``README.md``.

    Attributes
    ----------
    folder : Path
        The study's folder.
    table_of : callable
        Returns the tables of figures.
    draw : callable, optional
        Draws the pictures of figures into a folder.
    """

    folder: Path
    table_of: Callable[[Figures], str]
    draw: Callable[[Figures, Path], object] | None = None

    @property
    def figures_path(self) -> Path:
        """Where the figures are, with what made them."""
        return self.folder / "figures.json"

    @property
    def readme_path(self) -> Path:
        """The page that has the tables."""
        return self.folder / "README.md"

    def stated(self) -> dict[str, Any]:
        """Return what ``figures.json`` says: ``figures``, and what made them."""
        stated: dict[str, Any] = json.loads(self.figures_path.read_text(encoding="utf-8"))
        return stated

    def check(self) -> None:
        """Raise ValueError if the tables have no place; ask before hours of work, not after."""
        with_tables(self.readme_path.read_text(encoding="utf-8"), "")

    def rendered(self, figures: Figures) -> str:
        """Return the text of the ``README.md`` with the tables of some figures."""
        return with_tables(self.readme_path.read_text(encoding="utf-8"), self.table_of(figures))

    def state(self, figures: Figures, seconds: float) -> None:
        """Write everything, with what made it here and now."""
        self.write({**made_by(self.folder.name, seconds), "figures": figures})

    def write(self, stated: Mapping[str, Any]) -> None:
        """Write everything; the figures first, which no fault of a table or a picture then loses."""
        write_whole(self.figures_path, json.dumps(stated, indent=2) + "\n")
        if self.draw is not None:
            self.draw(stated["figures"], self.folder)
        write_whole(self.readme_path, self.rendered(stated["figures"]))


def made_by(name: str, seconds: float) -> dict[str, Any]:
    """Return what makes the figures of a study: command, commit, versions, cores and seconds."""
    return {"command": f"python experiments/{name}/run.py", **made_here(), "seconds": round(seconds, 1)}


def made_here() -> dict[str, Any]:
    """Return the commit, the versions and the number of cores that make figures here and now."""
    facts = environment()
    versions = {"vpp_sim": facts["vpp_sim"], "python": facts["python"], **facts["libraries"]}
    return {"commit": facts["commit"], "versions": versions, "cores": os.cpu_count()}


def write_whole(path: Path, text: str) -> None:
    """Write a file in one move, so that whoever is interrupted leaves the old one or the new one."""
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def with_tables(text: str, tables: str) -> str:
    """Return a text with what stands between its two marks replaced; ValueError unless it has just one of each."""
    before, _, rest = text.partition(OPENS)
    _, closes, after = rest.partition(CLOSES)
    if not closes or (text.count(OPENS), text.count(CLOSES)) != (1, 1):
        raise ValueError(f"tables need one {OPENS} and after it one {CLOSES}")
    shown = tables.strip("\n")
    return f"{before}{OPENS}\n\n{shown}\n\n{CLOSES}{after}"


def grid(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows), ""])


def table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table under its title."""
    return f"**{title}**\n\n{grid(heads, rows)}"


# -- the program


def command_line(description: str | None, *, quick: str) -> argparse.ArgumentParser:
    """Return the parser that every study has, with what its ``--quick`` does."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=quick)
    return parser


def run_in_stages(
    page: Page,
    stages: Mapping[str, Stage],
    parser: argparse.ArgumentParser,
    *,
    jobs: int = 1,
    gathered: Sequence[str] = (),
    arguments: Sequence[str] | None = None,
) -> None:
    """Run a study of several stages, or some of them again; the last line printed is one JSON object of its figures.

    Parameters
    ----------
    page : Page
        What the study states; left alone by ``--quick``.
    stages : mapping
        Name to stage, in the order of a full run.
    parser : ArgumentParser
        That of :func:`command_line`; ``--jobs`` and ``--only`` are added to it.
    jobs : int, default 1
        Processes at once if the command line does not say; a quick version then takes one.
    gathered : sequence of str
        Figures to which several stages give entries of their own.
    arguments : sequence of str, optional
        Stands in for the command line.
    """
    given = _parsed(parser, tuple(stages), arguments)
    if given.only and not given.quick and not page.figures_path.is_file():
        parser.error("--only merges into figures.json, which is not there; run all stages first")
    if not given.quick:
        page.check()
    chosen = {name: stages[name] for name in given.only or stages}
    at_once = given.jobs or (1 if given.quick else jobs)
    figures = _figures_of(chosen, gathered, jobs=at_once, quick=given.quick)
    if given.only and not given.quick:
        figures = merged(page.stated()["figures"], figures, gathered)
    if not given.quick:
        page.state(figures, sum(figures["stage_seconds"].values()))
    print(json.dumps(figures))


def _parsed(
    parser: argparse.ArgumentParser, stages: Sequence[str], arguments: Sequence[str] | None
) -> argparse.Namespace:
    parser.add_argument("--jobs", type=int, help="processes at once, where nothing is timed")
    parser.add_argument("--only", action="append", choices=stages, help="run this stage again and merge it")
    given = parser.parse_args(arguments)
    if given.jobs is not None and given.jobs < 1:
        parser.error("--jobs takes 1 or more")
    return given


def _figures_of(stages: Mapping[str, Stage], gathered: Sequence[str], *, jobs: int, quick: bool) -> Figures:
    """Return the figures of some stages, one after the other, with the seconds of each."""
    found: Figures = {}
    seconds: dict[str, float] = {}
    for name, stage in stages.items():
        begun = time.perf_counter()
        found = merged(found, stage(jobs=jobs, quick=quick), gathered)
        seconds[name] = round(time.perf_counter() - begun, 1)
        print(f"{name}: {seconds[name]} s", file=sys.stderr, flush=True)
    return {**found, "stage_seconds": seconds}


def merged(before: Figures, fresh: Figures, gathered: Sequence[str] = ()) -> Figures:
    """Return the figures of stages that have just run, and of the others as they were before."""
    shared = {name: before.get(name, {}) | fresh[name] for name in (*gathered, "stage_seconds") if name in fresh}
    return before | fresh | shared


# -- processes


class Pool(Protocol):
    """Does the same work on many tasks."""

    def map(self, fn: Callable[..., Found], /, *columns: Iterable[Any]) -> Iterator[Found]:
        """Return what the work finds, in the order of the tasks, whose arguments stand in columns."""


class _OneByOne:
    def map(self, fn: Callable[..., Found], /, *columns: Iterable[Any]) -> Iterator[Found]:
        return map(fn, *columns)


@contextmanager
def pool_of(jobs: int) -> Iterator[Pool]:
    """Give so many fresh processes to do tasks at once; for one job this process, one task after the other."""
    if jobs == 1:
        yield _OneByOne()
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        yield pool
