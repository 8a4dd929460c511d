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

import numpy as np
import simpy

from vpp_sim.agents.audit_money import Terms
from vpp_sim.agents.auditor import Auditor
from vpp_sim.agents.bidder import BiddingDesk, gate_steps
from vpp_sim.agents.feeder_model import SolvedFeeder
from vpp_sim.agents.forecast_book import ForecastRecord
from vpp_sim.agents.forecaster import ForecastDesk, ForecastSource
from vpp_sim.agents.grid import GridOperator
from vpp_sim.agents.inputs import Inputs, Models, load_inputs, open_models
from vpp_sim.agents.ledger import Ledger
from vpp_sim.agents.local_market import LocalMarket
from vpp_sim.agents.planning import Planner
from vpp_sim.agents.pricer import PricingDesk
from vpp_sim.agents.prosumers import Prosumers
from vpp_sim.agents.school import School
from vpp_sim.agents.scribe import Scribe
from vpp_sim.agents.settling import open_settler
from vpp_sim.agents.station import Station
from vpp_sim.agents.storage import StorageAgent
from vpp_sim.data.coverage import require_coverage
from vpp_sim.forecasting.protocol import Forecaster
from vpp_sim.kernel.clock import Clock
from vpp_sim.kernel.loop import Agent, Loop
from vpp_sim.kernel.randomness import Streams
from vpp_sim.kernel.recorder import Recorder
from vpp_sim.kernel.world import World
from vpp_sim.market.network_aware import NetworkAware
from vpp_sim.market.protocol import ClearingMechanism
from vpp_sim.network.placement import place_homes
from vpp_sim.pricing.bids import BidOptions, ScenarioBidder
from vpp_sim.pricing.elasticity import ElasticityLearner, ElasticityPrior
from vpp_sim.pricing.protocol import RetailOptions, RetailPricer
from vpp_sim.registry import (
    BIDDING_STRATEGIES,
    CLEARINGS,
    DEMAND_RESPONSES,
    FEEDERS,
    RETAIL_PRICERS,
    WHOLESALE_BIDDERS,
)
from vpp_sim.runs.folder import COUNTERFACTUAL, RunFolder
from vpp_sim.runs.manifest import Manifest, environment
from vpp_sim.runs.summary import write_summary
from vpp_sim.runs.tables import TABLES, table_schema
from vpp_sim.scenario.loader import dump_scenario, read_scenario
from vpp_sim.scenario.paths import require_paths
from vpp_sim.scenario.scenario import Scenario
from vpp_sim.units import SECONDS_PER_HOUR, format_duration

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
        stage = _Stage(scenario, inputs, models, world, recorder)
        desks = stage.desks()
        ledger = stage.ledger()
        agents: list[Agent] = [
            Station(world, inputs.fleet),
            stage.prosumers(),
            *desks,
            StorageAgent(world, clock, inputs.fleet, controller=models.storage, acts=scenario.ess.acts),
            stage.local_market(),
            stage.grid(),
            ledger,
            stage.auditor(ledger.accounts),
            stage.scribe(ledger.accounts),
        ]
        loop = Loop(clock, world)
        for agent in agents:
            loop.add(agent)
        settler = None
        if scenario.chain is not None:
            settler = open_settler(
                scenario.chain,
                world,
                clock,
                seed=scenario.seed,
                accounts=ledger.accounts,
                recorder=recorder,
                folder=folder,
                now_s=lambda: int(loop.env.now),
            )
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


@dataclass(frozen=True, slots=True)
class _Stage:
    """Makes agents from a scenario's sections."""

    scenario: Scenario
    inputs: Inputs
    models: Models
    world: World
    recorder: Recorder

    @property
    def _lead(self) -> int:
        return 24 * self.inputs.clock.steps_per_hour

    @property
    def _gates(self) -> dict[int, int]:
        closure = self.scenario.market.wholesale.gate_closure
        return {step: day for day, step in enumerate(gate_steps(self.inputs.clock, closure))}

    def prosumers(self) -> Prosumers:
        spec, fleet = self.scenario.demand_response, self.inputs.fleet
        response = DEMAND_RESPONSES.load(spec.kind)(
            homes=len(fleet), elasticity=spec.elasticity, flexible_share=spec.flexible_share
        )
        return Prosumers(self.world, self.inputs.clock, fleet, response)

    def desks(self) -> tuple[ForecastDesk, BiddingDesk, PricingDesk]:
        """Return the VPP's desks; the first day's forecast, position and prices are made on the way, in that order."""
        scenario, inputs, world, clock = self.scenario, self.inputs, self.world, self.inputs.clock
        planner, spec = Planner(clock, inputs.fleet, self.models.storage), scenario.forecasting
        forecast_desk = ForecastDesk(
            world,
            clock,
            inputs.fleet,
            demand=self._source("demand", spec.demand.kind, self.models.demand),
            solar=self._source("solar", spec.solar.kind, self.models.solar),
            weather_forecast=inputs.weather_forecast,
            every_s=spec.every,
            gates=self._gates,
            calibrated=spec.calibration == "conformal",
        )
        options = self._retail_options()
        pricing_desk = PricingDesk(
            world,
            clock,
            planner=planner,
            make_pricer=self._retail_pricer,
            options=options,
            school=self._school(options),
            explains=scenario.pricing.retail.explains,
            recorder=self.recorder,
            publications={step + clock.steps_per_hour: day for step, day in self._gates.items()},
            wholesale_eur_per_kwh=inputs.wholesale_eur_per_kwh,
            default_eur_per_kwh=inputs.default_eur_per_kwh,
            levies_eur_per_kwh=inputs.levies_eur_per_kwh,
            feed_in_eur_per_kwh=scenario.tariff.feed_in_eur_per_kwh,
        )
        bidding_desk = BiddingDesk(
            world,
            clock,
            planner=planner,
            bidder=self._bidder(),
            wholesale_eur_per_kwh=inputs.wholesale_eur_per_kwh,
            market=scenario.market.wholesale,
        )
        pricing_desk.publish_first_day()
        return forecast_desk, bidding_desk, pricing_desk

    def _source(self, role: str, kind: str, model: Forecaster) -> ForecastSource:
        return ForecastSource(kind, model, self.models.reference_errors(role, self.inputs.fleet.names))

    def _retail_options(self) -> RetailOptions:
        spec = self.scenario.pricing.retail
        return RetailOptions(
            cap_eur_per_kwh=spec.cap_eur_per_kwh,
            floor_eur_per_kwh=spec.floor_eur_per_kwh,
            elasticity=spec.elasticity,
            ramp_eur_per_kwh=spec.ramp_eur_per_kwh,
            objective=spec.objective,
            least_profit_share=spec.least_profit_share,
            revenue_cap_eur_per_kwh=spec.revenue_cap_eur_per_kwh,
            feeder_limit_kw=spec.feeder_limit_kw,
            step_h=self.inputs.clock.step_h,
        )

    def _retail_pricer(self, horizon_steps: int, options: RetailOptions) -> RetailPricer:
        made = RETAIL_PRICERS.load(self.scenario.pricing.retail.kind)
        pricer: RetailPricer = made(homes=len(self.inputs.fleet), horizon_steps=horizon_steps, options=options)
        return pricer

    def _school(self, options: RetailOptions) -> School | None:
        spec = self.scenario.pricing.retail
        if not spec.learns_elasticity:
            return None
        return School(
            self.world,
            self.inputs.clock,
            learner=ElasticityLearner(ElasticityPrior(own=spec.elasticity), groups=24),
            options=options,
            exploration=spec.exploration,
            rng=Streams(self.scenario.seed).generator("exploration"),
        )

    def _bidder(self) -> ScenarioBidder:
        spec = self.scenario.pricing.wholesale
        options = BidOptions(spec.scenarios, spec.level, spec.risk_weight, self.scenario.seed, self.inputs.clock.step_h)
        bidder: ScenarioBidder = WHOLESALE_BIDDERS.load(spec.kind).of(options)
        return bidder

    def local_market(self) -> LocalMarket:
        spec, streams, names = self.scenario.market.local, Streams(self.scenario.seed), self.inputs.fleet.names
        feeder = FEEDERS.load(self.scenario.network.kind)()
        mechanism: ClearingMechanism = CLEARINGS.load(spec.kind)()
        if isinstance(mechanism, NetworkAware):  # no other asks what trades do to the wires
            none = np.zeros(len(feeder.buses))
            mechanism = replace(mechanism, feeder=SolvedFeeder(feeder, none, none), step_h=self.inputs.clock.step_h)
        return LocalMarket(
            self.world,
            self.inputs.clock,
            mechanism=mechanism,
            strategy=BIDDING_STRATEGIES.load(spec.bidding).of(homes=len(names), rng=streams.generator("bidding")),
            minimum_kwh=spec.minimum_kwh,
            bus_of_home=place_homes(feeder, len(names)).bus_of_home,
            limits=streams.members("limit_price", names),
            arrivals=streams.members("arrival", names),
            levies_eur_per_kwh=self.inputs.levies_eur_per_kwh[self._lead :],
        )

    def grid(self) -> GridOperator:
        spec = self.scenario.network
        feeder = FEEDERS.load(spec.kind)()
        return GridOperator(self.world, self.inputs.fleet, feeder=feeder, power_factor=spec.power_factor)

    def ledger(self) -> Ledger:
        return Ledger(
            self.world,
            self.inputs.clock,
            self.inputs.fleet,
            day_ahead_eur_per_kwh=self.inputs.wholesale_eur_per_kwh[self._lead :],
            levies_eur_per_kwh=self.inputs.levies_eur_per_kwh[self._lead :],
            market=self.scenario.market.wholesale,
            guarantees=self.scenario.pricing.retail.guarantee,
        )

    def auditor(self, accounts: tuple[str, ...]) -> Auditor:
        terms = Terms(
            day_ahead_eur_per_kwh=self.inputs.wholesale_eur_per_kwh[self._lead :],
            levies_eur_per_kwh=self.inputs.levies_eur_per_kwh[self._lead :],
            default_eur_per_kwh=self.inputs.default_eur_per_kwh[self._lead :],
            short_spread=self.scenario.market.wholesale.short_spread,
            long_spread=self.scenario.market.wholesale.long_spread,
            guarantees=self.scenario.pricing.retail.guarantee,
        )
        return Auditor(self.world, self.inputs.clock, self.inputs.fleet, accounts, terms)

    def scribe(self, accounts: tuple[str, ...]) -> Scribe:
        return Scribe(
            self.world,
            self.inputs.clock,
            self.inputs.fleet,
            recorder=self.recorder,
            accounts=accounts,
            day_ahead_eur_per_kwh=self.inputs.wholesale_eur_per_kwh[self._lead :],
            gates=self._gates,
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
        information=_information(scenario)
        | _foresight(scenario, inputs, models)
        | _samples(models, inputs.clock)
        | {f"{home}, which its source does not recommend": why for home, why in inputs.fleet.flags.items()},
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


def _information(scenario: Scenario) -> dict[str, str]:
    """Say who knew what, when."""
    gate = scenario.market.wholesale.gate_closure
    acts = {
        "after_meter": "knows this step's metered load and sun when it acts, as an inverter does",
        "before_meter": "knows only the forecast of this step when it acts",
    }
    truth, retail = scenario.ess.kind == "perfect_foresight", scenario.pricing.retail
    return {
        "storage": f"{scenario.ess.kind} {acts[scenario.ess.acts]}; beyond this step it sees "
        + ("the truth of the coming day (no real controller can)" if truth else "median forecasts")
        + " and published prices; hours without a published price repeat the day before",
        "day-ahead bids": f"due at {gate} local time on the day before, before prices are known, from the forecast "
        "issued then",
        "retail prices": f"set for a whole day one hour after {gate} on the day before, with day-ahead prices known",
        "demand response": "homes know the prices of the whole day and their own load as it comes",
        "local market": f"homes bid their metered net energy of this step, {scenario.market.local.bidding}",
        "elasticity of demand": f"believed to be {retail.elasticity:g} at first, and learnt from each day's meters and "
        "what was foreseen before its prices were set, once the day is over"
        if retail.learns_elasticity
        else f"believed to be {retail.elasticity:g}",
    }


def _foresight(scenario: Scenario, inputs: Inputs, models: Models) -> dict[str, str]:
    """Say what the forecasters knew, and which of them are bounds and no forecasts."""
    spec = scenario.forecasting
    told = {"load": (spec.demand.kind, models.demand), "sun": (spec.solar.kind, models.solar)}
    bounds = [f"{kind} for {series}" for series, (kind, model) in told.items() if model.needs_truth]
    warning = f"; {' and '.join(bounds)} IS TOLD what will happen: a bound, and no real forecast" if bounds else ""
    return {
        "forecasts": f"{spec.demand.kind} for load and {spec.solar.kind} for sun, issued every "
        f"{format_duration(spec.every)} and when bids are due, from meter and weather readings before their issue, the "
        f"calendar, and the weather forecast known then{warning}",
        "weather forecast": f"{inputs.weather_forecast.note}"
        + (
            ""
            if spec.weather.kind == "perfect"
            else f"; each run is known {format_duration(spec.weather.delay)} after its start"
        ),
        "calibration of forecasts": "conformal: quantiles are widened or narrowed by what was metered before each issue"
        if spec.calibration == "conformal"
        else "none: quantiles are those that the models give",
    }


def _samples(models: Models, clock: Clock) -> dict[str, str]:
    """Say of each trained model what it was fitted and chosen on, and whether the run lies outside of that."""
    first, last = (clock.stamps(step, 1)[0].date().isoformat() for step in (0, clock.n_steps - 1))
    found = {}
    for role, card in models.cards.items():
        fitted, chosen = card["splits"]["train"], card["splits"]["validation"]
        if card.get("fitting", {}).get("refit"):  # once its rounds were chosen, learned again with the days that chose
            fitted = [fitted[0], chosen[1]]
        overlaps = first <= max(fitted[1], chosen[1]) and last >= min(fitted[0], chosen[0])
        found[f"{role} model"] = (
            f"{card['kind']}, fitted on {fitted[0]} to {fitted[1]}, chosen on {chosen[0]} to {chosen[1]}; "
            + ("this run OVERLAPS them, so its results flatter the model" if overlaps else "this run is out of sample")
            + ("" if clock.step_s == SECONDS_PER_HOUR else f"; trained on steps of an hour, used on {clock.step_s} s")
        )
    return found
