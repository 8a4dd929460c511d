"""The application: the addresses over one folder of results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI

import vpp_sim
from vpp_sim.server.guard import LOOPBACK, Guard
from vpp_sim.server.pages import page_routes
from vpp_sim.server.problems import answer_problems
from vpp_sim.server.run_routes import run_routes
from vpp_sim.server.scenario_routes import scenario_routes
from vpp_sim.server.store import RunStore

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["create_app"]


def create_app(results_dir: Path, *, hosts: frozenset[str] | None = LOOPBACK) -> FastAPI:
    """Return the application that serves the runs in `results_dir`.

    Parameters
    ----------
    results_dir : Path
        Folder of all runs.
    hosts : frozenset of str or None
        Host names that are answered to; None answers to all.

    Raises
    ------
    UserError
        If there is no such folder, or its catalogue cannot be opened.
    """
    store = RunStore(results_dir)
    app = FastAPI(
        title="vpp_sim",
        version=vpp_sim.__version__,
        summary="Results of simulated virtual power plants.",
        openapi_url="/api/openapi.json",
        docs_url=None,  # the stock documentation pages load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
    )
    answer_problems(app, store.root)
    app.include_router(run_routes(store))
    app.include_router(scenario_routes())
    app.include_router(page_routes(store))
    app.add_middleware(Guard, hosts=hosts)
    return app
