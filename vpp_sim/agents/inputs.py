"""What agents are given: the homes on their clock, prices around them, and the models that the VPP thinks with."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from vpp_sim.agents.fleet import Fleet, build_fleet
from vpp_sim.arrays import FloatArray
from vpp_sim.errors import DataError
from vpp_sim.ess.protocol import Controller
from vpp_sim.forecasting.protocol import Forecaster
from vpp_sim.kernel.clock import Clock
from vpp_sim.registry import CONTROLLERS, FORECASTERS, PRICE_SOURCES
from vpp_sim.scenario.scenario import Scenario
from vpp_sim.units import SECONDS_PER_HOUR

__all__ = ["Inputs", "Models", "load_inputs", "open_models"]


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
