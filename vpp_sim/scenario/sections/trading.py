"""``pricing`` and ``market``: retail prices, wholesale bids, and trades between homes."""

from __future__ import annotations

import re
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, field_validator, model_validator

from vpp_sim.registry import BIDDING_STRATEGIES, CLEARINGS, RETAIL_PRICERS, WHOLESALE_BIDDERS
from vpp_sim.scenario.sections.spec import RefusalError, Spec, registered
from vpp_sim.units import DurationS, EnergyKwh, Fraction, PowerKw, PriceEurPerKwh

__all__ = [
    "BiddingSpec",
    "IntradaySpec",
    "LocalMarketSpec",
    "MarketSpec",
    "PricingSpec",
    "RetailSpec",
    "WholesaleMarketSpec",
]


ProfitShare: TypeAlias = Annotated[float, Field(le=1, allow_inf_nan=False, json_schema_extra={"unit": "1"})]


_NOT_FOR_ALL = ("ramp_eur_per_kwh", "objective", "least_profit_share", "revenue_cap_eur_per_kwh", "feeder_limit_kw")
"""Keys that some retail pricers do not heed."""


class RetailSpec(Spec):
    """How the VPP sets the price that its homes pay."""

    kind: Annotated[str, *registered(RETAIL_PRICERS)] = "elastic_qp"
    """Name of the retail pricer."""
    cap_eur_per_kwh: PriceEurPerKwh = 0.60
    """Highest price, levies included."""
    floor_eur_per_kwh: PriceEurPerKwh = 0.13
    """Lowest price, levies included."""
    ramp_eur_per_kwh: Annotated[PriceEurPerKwh, Field(ge=0)] | None = None
    """Largest change of the price from one step to the next; nothing leaves it free."""
    objective: Literal["profit", "welfare", "peak"] = "profit"
    """What an optimising pricer aims at: profit, profit and consumer surplus together, or the smallest peak."""
    least_profit_share: ProfitShare | None = None
    """Share of the profit at the default prices that the expected profit keeps; nothing leaves it free."""
    revenue_cap_eur_per_kwh: Annotated[PriceEurPerKwh, Field(gt=0)] | None = None
    """Most that a kWh of the demand expected at the default prices may cost on average; nothing leaves it free."""
    feeder_limit_kw: PowerKw | None = None
    """Most that all homes together may be expected to draw; nothing leaves it free."""
    elasticity: Annotated[float, Field(lt=0, json_schema_extra={"unit": "1"})] = -0.045
    """Own-price elasticity of what homes consume that the pricer believes in, or at first if it learns."""
    elasticity_sd: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False, json_schema_extra={"unit": "1"})] = 0.03
    """How uncertain a pricer that learns is at first, as a standard deviation."""
    learns_elasticity: bool = False
    """Whether the pricer learns the elasticity from prices and meters, day by day."""
    exploration: Annotated[float, Field(ge=0, le=0.5, allow_inf_nan=False, json_schema_extra={"unit": "1"})] = 0.0
    """Share by which prices are moved at random, within the promise, so that there is something to learn from."""
    explains: bool = True
    """Whether each price is taken apart into what moved it, for which the pricer is asked four to eight times more."""
    guarantee: bool = True
    """Whether the VPP refunds at the end whatever a home paid above its default bill."""

    @model_validator(mode="after")
    def _ordered(self) -> RetailSpec:
        if self.floor_eur_per_kwh > self.cap_eur_per_kwh:
            raise RefusalError(
                f"expected floor_eur_per_kwh ({self.floor_eur_per_kwh}) <= cap_eur_per_kwh ({self.cap_eur_per_kwh})",
                keys=("floor_eur_per_kwh", "cap_eur_per_kwh"),
            )
        return self

    @model_validator(mode="after")
    def _heeded(self) -> RetailSpec:
        heeds = RETAIL_PRICERS.load(self.kind).heeds
        for name in (
            "ramp_eur_per_kwh",
            "objective",
            "least_profit_share",
            "revenue_cap_eur_per_kwh",
            "feeder_limit_kw",
        ):
            if name not in heeds and getattr(self, name) != type(self).model_fields[name].default:
                raise RefusalError(f"expected no {name} with {self.kind}, which does not heed it", keys=(name,))
        if self.exploration and not self.learns_elasticity:
            raise RefusalError("expected no exploration unless learns_elasticity is true", keys=("exploration",))
        return self


class BiddingSpec(Spec):
    """How the VPP bids into the day-ahead auction."""

    kind: Annotated[str, *registered(WHOLESALE_BIDDERS)] = "newsvendor"
    """Name of the bidder."""
    scenarios: Annotated[int, Field(ge=1, le=100_000, json_schema_extra={"unit": "1"})] = 200
    """How many days a bidder that looks at scenarios draws from the forecast."""
    level: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False, json_schema_extra={"unit": "1"})] = 0.9
    """Level of the conditional value at risk: 0.9 looks at the worst tenth of the scenarios."""
    risk_weight: Fraction = 0.5
    """Weight of the conditional value at risk beside the expected cost."""


class PricingSpec(Spec):
    """The pricing engine, towards homes and towards the wholesale market."""

    retail: RetailSpec = RetailSpec()
    """Prices for the homes."""
    wholesale: BiddingSpec = BiddingSpec()
    """Bids for the day-ahead auction."""


class LocalMarketSpec(Spec):
    """Trades between homes."""

    kind: Annotated[str, *registered(CLEARINGS)] = "uniform_price"
    """Name of the clearing mechanism."""
    bidding: Annotated[str, *registered(BIDDING_STRATEGIES)] = "zero_intelligence"
    """Name of the strategy by which homes choose their limit prices between feed-in and retail energy price."""
    minimum_kwh: EnergyKwh = 0.0
    """Least energy that is traded for an order; one that would be filled with less stays outside."""


class IntradaySpec(Spec):
    """Trades after the auction, at the day-ahead price and half a spread."""

    lead: DurationS = 3600
    """How long before the start of its delivery a step can no longer be traded."""
    half_spread_eur_per_kwh: Annotated[PriceEurPerKwh, Field(ge=0)] = 0.002
    """What buying costs above the day-ahead price, and selling is paid below it."""
    fee_eur_per_kwh: Annotated[PriceEurPerKwh, Field(ge=0)] = 0.0
    """Fee on every kWh either way."""
    trades: Literal["last_forecast", "every_forecast"] = "last_forecast"
    """When a step is traded: with the last forecast before it closes, or with every forecast until then."""


class WholesaleMarketSpec(Spec):
    """The day-ahead auction, the trades after it, and the imbalance that follows."""

    kind: Literal["day_ahead"] = "day_ahead"
    """Kind of wholesale market."""
    gate_closure: str = "12:00"
    """Local time at which bids for the next day are due; the auction's prices are known one hour later."""
    short_spread: Fraction = 0.25
    """A kWh short costs the day-ahead price plus this share of its magnitude; see `imbalance` for when."""
    long_spread: Fraction = 0.25
    """A kWh long is paid the day-ahead price less this share of its magnitude; see `imbalance` for when."""
    imbalance: Literal["both_sides", "two_prices", "one_price"] = "both_sides"
    """Who meets the spreads: either side its own; only who adds to the system's imbalance; or both sides that of the
    system, so that leaning against it earns."""
    system_short_share: Fraction = 0.5
    """Probability that the system is short in an hour, drawn for each hour; with `both_sides` it does not matter."""
    least_kw: PowerKw = 0.0
    """Smallest bid or trade of a step, 100 at EPEX SPOT; smaller ones are refused and left to imbalance. With 0 bids of
    any size pass through a larger balancing group."""
    tick_kw: PowerKw = 0.0
    """Smallest step of a bid's or trade's size, 100 at EPEX SPOT; with 0 there is none."""
    lowest_eur_per_kwh: PriceEurPerKwh = -0.5
    """Lowest price of the auction; below it nothing is sold."""
    highest_eur_per_kwh: PriceEurPerKwh = 4.0
    """Highest price of the auction; above it nothing is bought."""
    intraday: IntradaySpec | None = None
    """Trades after the auction; nothing leaves every change of the forecast to imbalance."""

    @field_validator("gate_closure")
    @classmethod
    def _time_of_day(cls, text: str) -> str:
        if not re.fullmatch(r"([01]\d|2[0-2]):00", text):
            raise ValueError("expected a full hour of the day from 00:00 to 22:00")
        return text

    @model_validator(mode="after")
    def _ordered(self) -> WholesaleMarketSpec:
        if self.lowest_eur_per_kwh > self.highest_eur_per_kwh:
            raise RefusalError(
                f"expected lowest_eur_per_kwh ({self.lowest_eur_per_kwh}) <= highest_eur_per_kwh "
                f"({self.highest_eur_per_kwh})",
                keys=("lowest_eur_per_kwh", "highest_eur_per_kwh"),
            )
        return self


class MarketSpec(Spec):
    """The markets that the VPP takes part in."""

    local: LocalMarketSpec = LocalMarketSpec()
    """Trades between homes."""
    wholesale: WholesaleMarketSpec = WholesaleMarketSpec()
    """Day-ahead auction and imbalance."""
