"""From a scenario to a run: inputs, world and agents, the run with the VPP and the one without, and its folder.

Read :func:`simulate` from top to bottom as one tick: agents are added in the order in which they act.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import simpy

from vpp_sim.agents.disclosure import information
from vpp_sim.agents.forecast_book import ForecastRecord
from vpp_sim.agents.inputs import Inputs, Models, load_inputs, open_models
from vpp_sim.agents.stage import Stage
from vpp_sim.data.coverage import require_coverage
from vpp_sim.kernel.clock import Clock
from vpp_sim.kernel.loop import Agent, Loop
from vpp_sim.kernel.recorder import Recorder
from vpp_sim.kernel.world import World
from vpp_sim.runs.folder import COUNTERFACTUAL, RunFolder
from vpp_sim.runs.manifest import Manifest, environment
from vpp_sim.runs.summary import write_summary
from vpp_sim.runs.tables import TABLES, table_schema
from vpp_sim.scenario.loader import dump_scenario, read_scenario
from vpp_sim.scenario.paths import require_paths
from vpp_sim.scenario.scenario import Scenario

__all__ = ["Outcome", "run", "run_scenario", "simulate"]

Progress = Callable[[int, int, str], None]
"""Told ticks done, ticks in all, and what is running."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a simulation leaves beside its tables.

    Attributes
    ----------
    counts : dict of str to int
        How many of everything were dropped, repaired or left unmatched.
    wall_s : dict of str to float
        Wall time of each phase, and of the whole [s].
    model_cards : dict of str to dict
        Cards of the trained models used, by role.
    forecasts : list of ForecastRecord
        How the day-ahead forecasts of load and sun did, of the homes and of the fleet.
    """

    counts: dict[str, int]
    wall_s: dict[str, float]
    model_cards: dict[str, dict[str, Any]]
    forecasts: list[ForecastRecord]


def simulate(
    scenario: Scenario,
    inputs: Inputs,
    models: Models,
    folder: Path,
    *,
    on_progress: Progress | None = None,
    label: str = "VPP",
) -> Outcome:
    """Run `scenario` and write its tables into `folder`.

    Parameters
    ----------
    scenario : Scenario
        What to simulate.
    inputs : Inputs
        What :func:`load_inputs` read for it.
    models : Models
        What :func:`open_models` opened for it.
    folder : Path
        An existing folder.
    on_progress : callable, optional
        Told of every tick.
    label : str
        What progress calls this run.

    Raises
    ------
    ConservationError
        If energy or money does not add up in some tick.
    ChainError
        If the chain refuses a batch or contradicts the ledger.
    """
    begun = time.perf_counter()
    clock, world = inputs.clock, World()
    schemas = {name: table_schema(name, scenario.clock.timezone) for name in TABLES if name != "bills"}
    with Recorder(folder, schemas) as recorder:
        stage = Stage(scenario, inputs, models, world, recorder)
        desks = stage.desks()
        ledger = stage.ledger()
        agents: list[Agent] = [
            stage.station(),
            stage.prosumers(),
            *desks,
            stage.storage(),
            stage.local_market(),
            stage.grid(),
            ledger,
            stage.auditor(ledger.accounts),
            stage.scribe(ledger.accounts),
        ]
        loop = Loop(clock, world)
        for agent in agents:
            loop.add(agent)
        settler = stage.settler(ledger.accounts, folder, now_s=lambda: int(loop.env.now))
        if settler is not None:
            loop.add_process(settler.submit)
            loop.add_process(settler.produce)
        if on_progress is not None:
            loop.add_process(lambda env: _reporting(env, clock, label, on_progress))
        loop.run()
        if settler is not None:
            settler.finish()
    counts = Counter[str]()
    for source in (*agents, settler):
        counts.update(getattr(source, "counts", {}))
    return Outcome(
        counts=dict(counts),
        wall_s={phase.name: seconds for phase, seconds in loop.phase_s.items()}
        | {
            "retail price solver": desks[2].solve_s,
            "wholesale bid solver": desks[1].solve_s,
            "whole": time.perf_counter() - begun,
        },
        model_cards=models.cards,
        forecasts=desks[0].records(),
    )


def _reporting(
    env: simpy.Environment, clock: Clock, label: str, on_progress: Progress
) -> Generator[simpy.Event, Any, None]:
    for step in range(clock.n_steps):
        yield env.timeout(clock.step_s)
        on_progress(step + 1, clock.n_steps, label)


def run(scenario: Scenario, *, started: datetime, results_dir: Path, on_progress: Progress | None = None) -> RunFolder:
    """Run `scenario` and its counterfactual, and write the folder of the run.

    Parameters
    ----------
    scenario : Scenario
        What to simulate.
    started : datetime
        Stamp of the run's folder, in UTC.
    results_dir : Path
        Where run folders are written.
    on_progress : callable, optional
        Told of every tick.

    Returns
    -------
    RunFolder
        The complete run.

    Raises
    ------
    VppSimError
        If the run fails; its folder then ends in ``.failed`` and holds what there was.
    """
    inputs, without_vpp = load_inputs(scenario), scenario.without_vpp()
    models, plain_models = open_models(scenario), open_models(without_vpp)
    with RunFolder.create(results_dir, scenario.name, scenario.digest, started) as writer:
        (writer.path / "scenario.yaml").write_text(dump_scenario(scenario), encoding="utf-8")
        manifest = _manifest(scenario, inputs, models, started)
        writer.write_manifest(manifest)
        begun = time.perf_counter()
        outcome = simulate(scenario, inputs, models, writer.path, on_progress=on_progress)
        without = simulate(
            without_vpp,
            inputs,
            plain_models,
            writer.path / COUNTERFACTUAL,
            on_progress=on_progress,
            label="counterfactual",
        )
        write_summary(
            writer.path, step_h=manifest.facts["step_h"], battery_capacity_kwh=manifest.facts["battery_capacity_kwh"]
        )
        writer.write_manifest(_finished(manifest, outcome, without, time.perf_counter() - begun))
    return writer.folder


def run_scenario(
    path: Path,
    *,
    started: datetime,
    results_dir: Path,
    overrides: Mapping[str, object] | None = None,
    named: Sequence[Path | str] = (),
    on_progress: Progress | None = None,
) -> RunFolder:
    """Read, check and run a scenario file; see :func:`run`.

    Raises
    ------
    ScenarioError
        If the file is wrong or its data does not cover it; nothing is written then.
    """
    loaded = read_scenario(path, overrides, named)
    require_paths(loaded)
    require_coverage(loaded)
    return run(loaded.scenario, started=started, results_dir=results_dir, on_progress=on_progress)


def _manifest(scenario: Scenario, inputs: Inputs, models: Models, started: datetime) -> Manifest:
    return Manifest(
        name=scenario.name,
        digest=scenario.digest,
        started=f"{started:%Y-%m-%dT%H:%M:%SZ}",
        seeds={"scenario": scenario.seed},
        data_digests=inputs.digests,
        counts=inputs.repaired,
        information=information(scenario, inputs, models),
        facts={
            "step_h": inputs.clock.step_h,
            "battery_capacity_kwh": float(inputs.fleet.batteries.capacity_kwh.sum()),
        },
        timezone=scenario.clock.timezone,
        **environment(),
    )


def _finished(manifest: Manifest, outcome: Outcome, without: Outcome, wall_s: float) -> Manifest:
    """Return the manifest with what the two simulations left."""
    return replace(
        manifest,
        status="complete",
        counts={
            **manifest.counts,
            **outcome.counts,
            **{f"counterfactual: {name}": count for name, count in without.counts.items()},
        },
        wall_s={**outcome.wall_s, "counterfactual": without.wall_s["whole"], "both and summary": wall_s},
        model_cards=outcome.model_cards,
        forecasts=[asdict(record) for record in outcome.forecasts],
    )
