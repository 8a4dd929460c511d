"""``plot``: the figures of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vpp_sim.cli.options import RESULTS, Results
from vpp_sim.cli.runs import Run, open_catalogue

__all__ = ["plot"]


def plot(
    run: Run,
    results: Results = RESULTS,
    figure: Annotated[str | None, typer.Option("--figure", metavar="NAME", help="One figure; without it, all.")] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="PATH", help="File (.png or .svg) of one figure, or folder for all."),
    ] = None,
) -> None:
    """Draw figures of a run again; print the files written."""
    from vpp_sim.figures.gallery import plot as draw
    from vpp_sim.figures.gallery import plot_all
    from vpp_sim.runs.folder import RunFolder

    folder = RunFolder.open(open_catalogue(results).find(run).path)
    data = folder.data()
    if figure is None:
        for path in plot_all(data, out or folder.path / "figures").values():
            typer.echo(path)
    else:
        typer.echo(draw(data, figure, out or folder.path / "figures" / f"{figure}.png"))
