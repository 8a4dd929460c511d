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

from vpp_sim.agents.auditor import Auditor
from vpp_sim.agents.bidder import BiddingDesk, gate_steps
from vpp_sim.agents.fleet import Fleet, build_fleet
from vpp_sim.agents.forecaster import ForecastDesk
from vpp_sim.agents.grid import GridOperator
from vpp_sim.agents.ledger import Ledger
from vpp_sim.agents.local_market import LocalMarket
from vpp_sim.agents.planning import Planner
from vpp_sim.agents.pricer import PricingDesk
from vpp_sim.agents.prosumers import Prosumers
from vpp_sim.agents.scribe import Scribe
from vpp_sim.agents.settler import Settler
from vpp_sim.agents.station import Station
from vpp_sim.agents.storage import StorageAgent
from vpp_sim.arrays import FloatArray
from vpp_sim.chain.settlement import SettlementClient
from vpp_sim.data.coverage import require_coverage
from vpp_sim.errors import DataError
from vpp_sim.ess.protocol import Controller
from vpp_sim.forecasting.protocol import Forecaster
from vpp_sim.kernel.clock import Clock
from vpp_sim.kernel.loop import Loop
from vpp_sim.kernel.randomness import Streams
from vpp_sim.kernel.recorder import Recorder
from vpp_sim.kernel.world import World
from vpp_sim.pricing.protocol import RetailOptions, RetailPricer
from vpp_sim.registry import (
    CHAIN_BACKENDS,
    CLEARINGS,
    CONTROLLERS,
    DEMAND_RESPONSES,
    FEEDERS,
    FORECASTERS,
    PRICE_SOURCES,
    RETAIL_PRICERS,
    WHOLESALE_BIDDERS,
)
from vpp_sim.runs.folder import COUNTERFACTUAL, RunFolder
from vpp_sim.runs.manifest import Manifest, environment
from vpp_sim.runs.summary import write_summary
from vpp_sim.runs.tables import TABLES, table_schema
from vpp_sim.scenario.loader import dump_scenario, read_scenario
from vpp_sim.scenario.scenario import Scenario
from vpp_sim.scenario.sections.grid import ChainSpec
from vpp_sim.units import SECONDS_PER_HOUR, to_micro_eur

__all__ = ["Inputs", "Models", "Outcome", "load_inputs", "open_models", "run", "run_scenario", "simulate"]

Progress = Callable[[int, int, str], None]
"""Told ticks done, ticks in all, and what is running."""

_SETUP_S = SECONDS_PER_HOUR
"""The chain's genesis lies this long before the start; contracts are deployed in between."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a scenario reads: the homes on their clock, and prices from a day before the start on.

    Attributes
    ----------
    clock : Clock
        Steps of the run.
    fleet : Fleet
        The homes.
    wholesale_eur_per_kwh, default_eur_per_kwh, levies_eur_per_kwh : ndarray, shape (day + T,)
        Day-ahead price, default tariff and the levies within it, from 24 hours before the start on [EUR/kWh].
    digests : dict of str to str
        SHA-256 of each data file.
    repaired : dict of str to int
        What was repaired in the sources when they were built.
    """

    clock: Clock
    fleet: Fleet
    wholesale_eur_per_kwh: FloatArray
    default_eur_per_kwh: FloatArray
    levies_eur_per_kwh: FloatArray
    digests: dict[str, str]
    repaired: dict[str, int]


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
    """

    counts: dict[str, int]
    wall_s: dict[str, float]
    model_cards: dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Models:
    """What the VPP thinks with, opened by name: forecasters of load and sun, and the storage controller."""

    demand: Forecaster
    solar: Forecaster
    storage: Controller

    @property
    def cards(self) -> dict[str, dict[str, Any]]:
        """Cards of the models that were trained, by role."""
        roles = {"demand": self.demand, "solar": self.solar, "storage": self.storage}
        return {role: asdict(card) for role, model in roles.items() if (card := getattr(model, "card", None))}


def open_models(scenario: Scenario) -> Models:
    """Open the models that `scenario` names.

    Raises
    ------
    DataError
        If the weights of one are missing or differ from their card.
    """
    spec = scenario.forecasting
    return Models(
        demand=FORECASTERS.load(spec.demand.kind).open("load", SECONDS_PER_HOUR),
        solar=FORECASTERS.load(spec.solar.kind).open("pv", SECONDS_PER_HOUR),
        storage=CONTROLLERS.load(scenario.ess.kind).open(scenario.clock.step),
    )


def load_inputs(scenario: Scenario) -> Inputs:
    """Read the data that `scenario` names.

    Raises
    ------
    DataError
        If a source does not cover the run and its history.
    """
    spec = scenario.clock
    clock = Clock.of_days(spec.start, days=spec.days, step_s=spec.step, timezone=spec.timezone)
    fleet = build_fleet(scenario, clock)
    lead = 24 * clock.steps_per_hour
    prices = PRICE_SOURCES.load(scenario.prices.kind)().load()
    wholesale = prices.at(clock.stamps(-lead, 1)[0], lead + clock.n_steps, clock.step_s)
    rows = slice(fleet.row(-lead), fleet.row(clock.n_steps))
    own = fleet.tariff_eur_per_kwh[rows]
    default = own if scenario.tariff.kind == "data" else np.full_like(own, scenario.tariff.price_eur_per_kwh)
    if (default < scenario.tariff.energy_eur_per_kwh).any():
        raise DataError(
            f"tariff.energy_eur_per_kwh = {scenario.tariff.energy_eur_per_kwh:g} exceeds the default tariff, "
            f"whose lowest price is {default.min():g} EUR/kWh"
        )
    return Inputs(
        clock=clock,
        fleet=fleet,
        wholesale_eur_per_kwh=wholesale,
        default_eur_per_kwh=default,
        levies_eur_per_kwh=default - scenario.tariff.energy_eur_per_kwh,
        digests={**fleet.digests, scenario.prices.kind: prices.digest},
        repaired={
            **fleet.dropped,
            **{f"{scenario.prices.kind}: {what}": count for what, count in prices.repairs.items()},
        },
    )


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
    clock, fleet, streams = inputs.clock, inputs.fleet, Streams(scenario.seed)
    world, lead = World(), 24 * clock.steps_per_hour
    day_ahead, levies = inputs.wholesale_eur_per_kwh[lead:], inputs.levies_eur_per_kwh[lead:]
    gates = {step: day for day, step in enumerate(gate_steps(clock, scenario.market.wholesale.gate_closure))}
    planner = Planner(clock, fleet, models.storage)
    zone = scenario.clock.timezone
    schemas = {name: table_schema(name, zone) for name in TABLES if name != "bills"}
    with Recorder(folder, schemas) as recorder:
        loop = Loop(clock, world)

        station = Station(world, fleet)
        response = DEMAND_RESPONSES.load(scenario.demand_response.kind)(
            homes=len(fleet),
            elasticity=scenario.demand_response.elasticity,
            flexible_share=scenario.demand_response.flexible_share,
        )
        prosumers = Prosumers(world, clock, fleet, response)
        forecast_desk = ForecastDesk(
            world,
            clock,
            fleet,
            demand=models.demand,
            solar=models.solar,
            every_s=scenario.forecasting.every,
            gate_steps=frozenset(gates),
        )
        pricing_desk = PricingDesk(
            world,
            clock,
            planner=planner,
            make_pricer=lambda steps: _retail_pricer(scenario, len(fleet), steps),
            publications={step + clock.steps_per_hour: day for step, day in gates.items()},
            wholesale_eur_per_kwh=inputs.wholesale_eur_per_kwh,
            default_eur_per_kwh=inputs.default_eur_per_kwh,
            levies_eur_per_kwh=inputs.levies_eur_per_kwh,
            feed_in_eur_per_kwh=scenario.tariff.feed_in_eur_per_kwh,
        )
        bidding_desk = BiddingDesk(
            world,
            clock,
            planner=planner,
            bidder=WHOLESALE_BIDDERS.load(scenario.pricing.wholesale.kind)(),
            expected_eur_per_kwh=inputs.wholesale_eur_per_kwh[:-lead],
            market=scenario.market.wholesale,
        )
        pricing_desk.publish_first_day()
        storage = StorageAgent(world, clock, fleet, controller=models.storage, acts=scenario.ess.acts)
        local_market = LocalMarket(
            world,
            clock,
            mechanism=CLEARINGS.load(scenario.market.local.kind)(),
            bidding=scenario.market.local.bidding,
            limits=streams.members("limit_price", fleet.names),
            arrivals=streams.members("arrival", fleet.names),
            levies_eur_per_kwh=levies,
        )
        feeder = FEEDERS.load(scenario.network.kind)()
        grid = GridOperator(world, fleet, feeder=feeder, power_factor=scenario.network.power_factor)
        ledger = Ledger(
            world,
            clock,
            fleet,
            day_ahead_eur_per_kwh=day_ahead,
            levies_eur_per_kwh=levies,
            market=scenario.market.wholesale,
            guarantees=scenario.pricing.retail.guarantee,
        )
        auditor = Auditor(world, clock, fleet, ledger.accounts)
        scribe = Scribe(
            world,
            clock,
            fleet,
            recorder=recorder,
            accounts=ledger.accounts,
            day_ahead_eur_per_kwh=day_ahead,
            gates=gates,
        )
        for agent in (
            station,
            prosumers,
            forecast_desk,
            bidding_desk,
            pricing_desk,
            storage,
            local_market,
            grid,
            ledger,
            auditor,
            scribe,
        ):
            loop.add(agent)

        settler = None
        if scenario.chain is not None:
            settler = _settler(scenario.chain, scenario.seed, world, clock, ledger.accounts, recorder)
            loop.add_process(settler.submit)
            loop.add_process(settler.produce)
        if on_progress is not None:
            loop.add_process(lambda env: _reporting(env, clock, label, on_progress))
        loop.run()
        if settler is not None:
            settler.finish()

    counts = Counter[str]()
    for source in (pricing_desk, storage, local_market, grid, auditor, *((settler,) if settler else ())):
        counts.update(source.counts)
    return Outcome(
        counts=dict(counts),
        wall_s={phase.name: seconds for phase, seconds in loop.phase_s.items()}
        | {"retail price solver": pricing_desk.solve_s, "whole": time.perf_counter() - begun},
        model_cards=models.cards,
    )


def _retail_pricer(scenario: Scenario, homes: int, horizon_steps: int) -> RetailPricer:
    spec = scenario.pricing.retail
    options = RetailOptions(
        cap_eur_per_kwh=spec.cap_eur_per_kwh, floor_eur_per_kwh=spec.floor_eur_per_kwh, elasticity=spec.elasticity
    )
    pricer: RetailPricer = RETAIL_PRICERS.load(spec.kind)(homes=homes, horizon_steps=horizon_steps, options=options)
    return pricer


def _settler(
    spec: ChainSpec, seed: int, world: World, clock: Clock, accounts: tuple[str, ...], recorder: Recorder
) -> Settler:
    """Return the settler with its contracts deployed, in the hour before the start."""
    chain = CHAIN_BACKENDS.load(spec.backend)(
        accounts=len(accounts) + 1, seed=seed, genesis_timestamp_s=int(clock.start.timestamp()) - _SETUP_S
    )
    initial = int(to_micro_eur(np.array([spec.deposit_eur]))[0])
    client = SettlementClient(
        chain,
        names=accounts,
        initial_micro_eur=np.full(len(accounts), initial, dtype=np.int64),
        confirmations=spec.confirmations,
    )
    return Settler(
        world,
        clock,
        client=client,
        initial_micro_eur=initial,
        every_s=spec.every,
        block_time_s=spec.block_time,
        recorder=recorder,
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
        information=_information(scenario) | _samples(models, inputs.clock),
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
    )


def _information(scenario: Scenario) -> dict[str, str]:
    """Say who knew what, when."""
    gate = scenario.market.wholesale.gate_closure
    acts = {
        "after_meter": "knows this step's metered load and sun when it acts, as an inverter does",
        "before_meter": "knows only the forecast of this step when it acts",
    }
    truth = scenario.ess.kind == "perfect_foresight"
    return {
        "storage": f"{scenario.ess.kind} {acts[scenario.ess.acts]}; beyond this step it sees "
        + ("the truth (a bound, not a method)" if truth else "median forecasts")
        + " and published prices; hours without a published price repeat the day before",
        "forecasts": f"{scenario.forecasting.demand.kind} for load and {scenario.forecasting.solar.kind} for sun, from "
        "meter and weather readings before their issue; no weather forecast is used",
        "day-ahead bids": f"due at {gate} local time on the day before, before prices are known, from the forecast "
        "issued then",
        "retail prices": f"set for a whole day one hour after {gate} on the day before, with day-ahead prices known",
        "demand response": "homes know the prices of the whole day and their own load as it comes",
        "local market": "homes bid their metered net energy of this step",
    }


def _samples(models: Models, clock: Clock) -> dict[str, str]:
    """Say of each trained model what it was fitted and chosen on, and whether the run lies outside of that."""
    first, last = (clock.stamps(step, 1)[0].date().isoformat() for step in (0, clock.n_steps - 1))
    found = {}
    for role, card in models.cards.items():
        fitted, chosen = card["splits"]["train"], card["splits"]["validation"]
        overlaps = first <= max(fitted[1], chosen[1]) and last >= min(fitted[0], chosen[0])
        found[f"{role} model"] = (
            f"{card['kind']}, fitted on {fitted[0]} to {fitted[1]}, chosen on {chosen[0]} to {chosen[1]}; "
            + ("this run OVERLAPS them, so its results flatter the model" if overlaps else "this run is out of sample")
        )
    return found
