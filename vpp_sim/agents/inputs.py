"""What agents are given: the homes on their clock, prices around them, and the models that the VPP thinks with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from vpp_sim.agents.fleet import Fleet, build_fleet
from vpp_sim.agents.weather_outlook import weather_outlook
from vpp_sim.arrays import FloatArray
from vpp_sim.data.issued import IssuedForecasts
from vpp_sim.errors import DataError
from vpp_sim.ess.protocol import Controller
from vpp_sim.forecasting.card import ModelCard, read_card
from vpp_sim.forecasting.model import PRETRAINED, file_digest, model_path
from vpp_sim.forecasting.protocol import Forecaster
from vpp_sim.kernel.clock import Clock
from vpp_sim.registry import CONTROLLERS, FORECASTERS, PRICE_SOURCES
from vpp_sim.scenario.scenario import Scenario
from vpp_sim.scenario.sections.control import ForecasterSpec
from vpp_sim.units import SECONDS_PER_HOUR

__all__ = ["Inputs", "Models", "load_inputs", "open_models"]

_REPEATED = "weather forecast: hours beyond the data, made from the weather of the day before"


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a scenario reads: the homes on their clock, and prices from a day before the start on.

    Attributes
    ----------
    clock : Clock
        Steps of the run.
    fleet : Fleet
        The homes.
    weather_forecast : IssuedForecasts
        Forecasts of the weather by the hour, hour 0 being the first of the fleet's rows.
    wholesale_eur_per_kwh, default_eur_per_kwh, levies_eur_per_kwh : ndarray, shape (day + T,)
        Day-ahead price, default tariff and the levies within it, from 24 hours before the start on [EUR/kWh].
    digests : dict of str to str
        SHA-256 of each data file.
    repaired : dict of str to int
        What was repaired in the sources when they were built.
    """

    clock: Clock
    fleet: Fleet
    weather_forecast: IssuedForecasts
    wholesale_eur_per_kwh: FloatArray
    default_eur_per_kwh: FloatArray
    levies_eur_per_kwh: FloatArray
    digests: dict[str, str]
    repaired: dict[str, int]


@dataclass(frozen=True, slots=True)
class Models:
    """What the VPP thinks with, opened by name: forecasters of load and sun, and the storage controller.

    Attributes
    ----------
    demand, solar, storage
        The models.
    forecaster_cards : mapping of str to ModelCard
        Cards of the forecasters that were trained, by role: ``demand``, ``solar``.
    """

    demand: Forecaster
    solar: Forecaster
    storage: Controller
    forecaster_cards: Mapping[str, ModelCard] = field(default_factory=dict)

    @property
    def cards(self) -> dict[str, dict[str, Any]]:
        """Cards of the models that were trained, by role, without the measures of each single series."""
        cards = {role: asdict(card) for role, card in self.forecaster_cards.items()}
        for card in cards.values():
            for measured in card["metrics"].values():
                measured.pop("each", None)
        if storage := getattr(self.storage, "card", None):
            cards["storage"] = asdict(storage)
        return cards

    def reference_errors(self, role: str, names: tuple[str, ...]) -> FloatArray | None:
        """Return the errors that a forecaster's card states for homes and, last, for the fleet.

        Parameters
        ----------
        role : str
            ``demand`` or ``solar``.
        names : tuple of str, length n
            The homes, as ``<group>/<series of the card>``.

        Returns
        -------
        ndarray, shape (n + 1,), or None
            Mean absolute errors on the test split, which no choice has seen [unit of the model], NaN where the card has
            none; None without a card. That of the fleet is known if it is load, of just the homes of the card.
        """
        card = self.forecaster_cards.get(role)
        if card is None:
            return None
        measured = card.metrics["test"]
        each = dict(zip(card.series, measured["each"][card.kind]["mae"], strict=True))
        series = [name.rpartition("/")[2] for name in names]
        same = role == "demand" and sorted(series) == sorted(card.series)
        fleet = measured["portfolio"][card.kind]["mae"] if same else np.nan
        return np.array([*(each.get(name, np.nan) for name in series), fleet])


def open_models(scenario: Scenario) -> Models:
    """Open the models that `scenario` names.

    Raises
    ------
    DataError
        If the weights of one are missing or differ from their card.
    """
    spec = scenario.forecasting
    demand, demand_card = _open_forecaster(spec.demand, "demand", "load")
    solar, solar_card = _open_forecaster(spec.solar, "solar", "pv")
    cards = {"demand": demand_card, "solar": solar_card}
    return Models(
        demand=demand,
        solar=solar,
        storage=CONTROLLERS.load(scenario.ess.kind).open(scenario.clock.step),
        forecaster_cards={role: card for role, card in cards.items() if card is not None},
    )


def _open_forecaster(spec: ForecasterSpec, role: str, target: str) -> tuple[Forecaster, ModelCard | None]:
    """Return a forecaster that is ready to use, and its card if it was trained."""
    forecaster, key = FORECASTERS.load(spec.kind), f"forecasting.{role}.model"
    if not getattr(forecaster, "trained", False):
        if spec.model is not None:
            raise DataError(f"{key} = {spec.model}: {spec.kind} takes no trained model")
        return forecaster.open(target, SECONDS_PER_HOUR), None
    folder = spec.model or PRETRAINED
    if not model_path(folder, target, spec.kind).is_file():
        where = f"{key} = {spec.model} holds no" if spec.model else "there ships no"
        raise DataError(
            f"{where} trained {spec.kind} for {target}; make one with 'vpp-sim train forecaster --kind {spec.kind} "
            f"--target {target} --out FOLDER' and name the folder in {key}"
        )
    return forecaster.open(target, SECONDS_PER_HOUR, folder), read_card(spec.kind, target, folder)


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
    weather = scenario.forecasting.weather
    outlook = weather_outlook(weather, scenario.seed, clock, fleet)
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
        weather_forecast=outlook.issued,
        wholesale_eur_per_kwh=wholesale,
        default_eur_per_kwh=default,
        levies_eur_per_kwh=default - scenario.tariff.energy_eur_per_kwh,
        digests={
            **fleet.digests,
            scenario.prices.kind: prices.digest,
            **({"weather forecast": file_digest(weather.path)} if weather.path else {}),
        },
        repaired={
            **fleet.dropped,
            **{f"{scenario.prices.kind}: {what}": count for what, count in prices.repairs.items()},
            **({_REPEATED: outlook.repeated_h} if outlook.repeated_h else {}),
        },
    )
