"""The stage: makes every agent of a run from the sections of its scenario, and what their libraries are told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vpp_sim.agents.audit_money import Terms
from vpp_sim.agents.auditor import Auditor
from vpp_sim.agents.bidder import BiddingDesk, gate_steps
from vpp_sim.agents.feeder_model import SolvedFeeder
from vpp_sim.agents.forecaster import ForecastDesk, ForecastSource
from vpp_sim.agents.grid import GridOperator
from vpp_sim.agents.inputs import Inputs, Models
from vpp_sim.agents.intraday_desk import IntradayDesk
from vpp_sim.agents.ledger import Ledger
from vpp_sim.agents.local_market import LocalMarket
from vpp_sim.agents.planning import Planner
from vpp_sim.agents.pricer import PricingDesk
from vpp_sim.agents.prosumers import Prosumers
from vpp_sim.agents.school import School
from vpp_sim.agents.scribe import Scribe
from vpp_sim.agents.settler import Settler
from vpp_sim.agents.settling import open_settler
from vpp_sim.agents.station import Station
from vpp_sim.agents.storage import StorageAgent
from vpp_sim.arrays import BoolArray, FloatArray
from vpp_sim.forecasting.protocol import Forecaster
from vpp_sim.kernel.randomness import Streams
from vpp_sim.kernel.recorder import Recorder
from vpp_sim.kernel.world import World
from vpp_sim.market.balancing import BalancingLaw
from vpp_sim.market.day_ahead import AuctionRules
from vpp_sim.market.gates import ContinuousGate
from vpp_sim.market.imbalance import ImbalancePrices
from vpp_sim.market.intraday import IntradayRules
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
from vpp_sim.scenario.scenario import Scenario

__all__ = ["Stage"]

_KW_PER_MW = 1000.0


_HOURS_ALIKE = 0.1
"""What an hour teaches of the elasticity beside its neighbours, whose prices and forecast errors resemble its own.

At a correlation of 0.8 from one hour to the next, about that of day-ahead errors of load, (1 - 0.8) / (1 + 0.8). Prices
that are moved at random differ from their neighbours, and then each hour counts.
"""


@dataclass(frozen=True, slots=True)
class Stage:
    """Makes agents from a scenario's sections.

    Attributes
    ----------
    scenario : Scenario
        What to simulate.
    inputs, models
        What was read and opened for it.
    world : World
        Where all of them act.
    recorder : Recorder
        Where they write down what happened.
    """

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

    @property
    def _publications(self) -> dict[int, int]:
        return {step + self.inputs.clock.steps_per_hour: day for step, day in self._gates.items()}

    @property
    def _day_ahead_eur_per_kwh(self) -> FloatArray:
        return self.inputs.wholesale_eur_per_kwh[self._lead :]

    @property
    def _law(self) -> BalancingLaw:
        spec = self.scenario.market.wholesale
        return BalancingLaw(spec.imbalance, spec.short_spread, spec.long_spread, spec.system_short_share)

    @property
    def _system_short(self) -> BoolArray:
        """Where the system runs short, by the hour; those who trade are not told."""
        clock = self.inputs.clock
        hours = -(-clock.n_steps // clock.steps_per_hour)
        states = self._law.states(hours, Streams(self.scenario.seed).generator("system_state"))
        return np.repeat(states, clock.steps_per_hour)[: clock.n_steps]

    @property
    def _imbalance(self) -> ImbalancePrices:
        return self._law.prices(self._day_ahead_eur_per_kwh, self._system_short)

    def station(self) -> Station:
        """Return who tells the weather."""
        return Station(self.world, self.inputs.fleet)

    def prosumers(self) -> Prosumers:
        """Return the homes."""
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
            publications=self._publications,
            wholesale_eur_per_kwh=inputs.wholesale_eur_per_kwh,
            default_eur_per_kwh=inputs.default_eur_per_kwh,
            levies_eur_per_kwh=inputs.levies_eur_per_kwh,
            feed_in_eur_per_kwh=scenario.tariff.feed_in_eur_per_kwh,
        )
        bidding_desk = self._bidding_desk(planner)
        pricing_desk.publish_first_day()
        return forecast_desk, bidding_desk, pricing_desk

    def _bidding_desk(self, planner: Planner) -> BiddingDesk:
        market, bidder = self.scenario.market.wholesale, self._bidder()
        # who minds nothing but the mean cost is told the mean price: energy and system err independently
        plans_on_mean = getattr(bidder, "risk_weight", None) == 0
        return BiddingDesk(
            self.world,
            self.inputs.clock,
            planner=planner,
            bidder=bidder,
            wholesale_eur_per_kwh=self.inputs.wholesale_eur_per_kwh,
            gates=self._gates,
            rules=AuctionRules(
                step_h=self.inputs.clock.step_h,
                lowest_eur_per_mwh=market.lowest_eur_per_kwh * _KW_PER_MW,
                highest_eur_per_mwh=market.highest_eur_per_kwh * _KW_PER_MW,
                least_mw=market.least_kw / _KW_PER_MW,
                tick_mw=market.tick_kw / _KW_PER_MW,
            ),
            law=self._law,
            paths=1 if plans_on_mean else self.scenario.pricing.wholesale.scenarios,
            rng=Streams(self.scenario.seed).generator("imbalance_paths"),
            intraday=self._intraday_desk(planner),
        )

    def _intraday_desk(self, planner: Planner) -> IntradayDesk | None:
        market = self.scenario.market.wholesale
        if market.intraday is None:
            return None
        return IntradayDesk(
            self.world,
            self.inputs.clock,
            planner=planner,
            day_ahead_eur_per_kwh=self._day_ahead_eur_per_kwh,
            publications=self._publications,
            gate=ContinuousGate(market.intraday.lead),
            rules=IntradayRules(
                step_h=self.inputs.clock.step_h,
                half_spread_eur_per_kwh=market.intraday.half_spread_eur_per_kwh,
                fee_eur_per_kwh=market.intraday.fee_eur_per_kwh,
                least_mw=market.least_kw / _KW_PER_MW,
                tick_mw=market.tick_kw / _KW_PER_MW,
            ),
            law=self._law,
            waits_s=self.scenario.forecasting.every if market.intraday.trades == "last_forecast" else None,
        )

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
        learner = ElasticityLearner(
            ElasticityPrior(own=spec.elasticity, own_sd=spec.elasticity_sd),
            groups=24,
            independent_share=1.0 if spec.exploration else _HOURS_ALIKE,
        )
        return School(
            self.world,
            self.inputs.clock,
            learner=learner,
            options=options,
            exploration=spec.exploration,
            rng=Streams(self.scenario.seed).generator("exploration"),
        )

    def _bidder(self) -> ScenarioBidder:
        spec = self.scenario.pricing.wholesale
        options = BidOptions(spec.scenarios, spec.level, spec.risk_weight, self.scenario.seed, self.inputs.clock.step_h)
        bidder: ScenarioBidder = WHOLESALE_BIDDERS.load(spec.kind).of(options)
        return bidder

    def storage(self) -> StorageAgent:
        """Return who runs the batteries."""
        return StorageAgent(
            self.world,
            self.inputs.clock,
            self.inputs.fleet,
            controller=self.models.storage,
            acts=self.scenario.ess.acts,
        )

    def local_market(self) -> LocalMarket:
        """Return the market between homes."""
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
        """Return who runs the feeder."""
        spec = self.scenario.network
        feeder = FEEDERS.load(spec.kind)()
        return GridOperator(self.world, self.inputs.fleet, feeder=feeder, power_factor=spec.power_factor)

    def ledger(self) -> Ledger:
        """Return who books."""
        return Ledger(
            self.world,
            self.inputs.clock,
            self.inputs.fleet,
            day_ahead_eur_per_kwh=self._day_ahead_eur_per_kwh,
            levies_eur_per_kwh=self.inputs.levies_eur_per_kwh[self._lead :],
            imbalance=self._imbalance,
            guarantees=self.scenario.pricing.retail.guarantee,
        )

    def auditor(self, accounts: tuple[str, ...]) -> Auditor:
        """Return who checks energy and money, of the ledger's accounts."""
        market = self.scenario.market.wholesale
        intraday = market.intraday
        terms = Terms(
            day_ahead_eur_per_kwh=self._day_ahead_eur_per_kwh,
            levies_eur_per_kwh=self.inputs.levies_eur_per_kwh[self._lead :],
            default_eur_per_kwh=self.inputs.default_eur_per_kwh[self._lead :],
            short_spread=market.short_spread,
            long_spread=market.long_spread,
            guarantees=self.scenario.pricing.retail.guarantee,
            imbalance=market.imbalance,
            system_short=self._system_short,
            intraday_lead_s=None if intraday is None else intraday.lead,
            intraday_eur_per_kwh=0.0
            if intraday is None
            else intraday.half_spread_eur_per_kwh + intraday.fee_eur_per_kwh,
        )
        return Auditor(self.world, self.inputs.clock, self.inputs.fleet, accounts, terms)

    def scribe(self, accounts: tuple[str, ...]) -> Scribe:
        """Return who writes each tick down."""
        return Scribe(
            self.world,
            self.inputs.clock,
            self.inputs.fleet,
            recorder=self.recorder,
            accounts=accounts,
            day_ahead_eur_per_kwh=self._day_ahead_eur_per_kwh,
            imbalance=self._imbalance,
            gates=self._gates,
        )

    def settler(self, accounts: tuple[str, ...], folder: Path, *, now_s: Callable[[], int]) -> Settler | None:
        """Return who settles on the chain, in `folder`, or nothing if the scenario has none."""
        if self.scenario.chain is None:
            return None
        return open_settler(
            self.scenario.chain,
            self.world,
            self.inputs.clock,
            seed=self.scenario.seed,
            accounts=accounts,
            recorder=self.recorder,
            folder=folder,
            now_s=now_s,
        )
