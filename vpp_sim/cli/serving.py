"""``serve``: the runs there are, in a browser and for programs."""

from __future__ import annotations

from typing import Annotated

import typer

from vpp_sim.cli.files import require_folder
from vpp_sim.cli.options import RESULTS, Results

__all__ = ["serve"]


def serve(
    results: Results = RESULTS,
    host: Annotated[
        str, typer.Option("--host", help="Address to bind to; anything but this machine opens the runs to others.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one.")] = 8000,
) -> None:
    """Serve the runs: a page of all of them, their reports, and their numbers as JSON, CSV and Parquet."""
    require_folder(results, "runs")
    from vpp_sim.server.serving import serve as serve_runs

    serve_runs(results, host=host, port=port, on_ready=lambda address: typer.echo(f"serving {results} at {address}"))
