"""Names that a scenario may use, and where the thing behind each name lives.

A :class:`Registry` maps a snake_case name to a lazy ``module:Class``, so listing and checking names imports nothing.
It is closed: third parties add names through the entry-point group ``vpp_sim.<kind>`` of their own package, never by
mutation. All registries stand here, on the ground floor, because the scenario checks names against them and may not
import the libraries that they point to.
"""

from __future__ import annotations

from functools import cached_property
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from vpp_sim.errors import UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "BIDDING_STRATEGIES",
    "CHAIN_BACKENDS",
    "CLEARINGS",
    "CONTROLLERS",
    "DEMAND_RESPONSES",
    "FEEDERS",
    "FORECASTERS",
    "HOME_SOURCES",
    "PRICE_SOURCES",
    "REGISTRIES",
    "RETAIL_PRICERS",
    "SWEEP_EXECUTORS",
    "WEATHER_FORECASTS",
    "WHOLESALE_BIDDERS",
    "Registry",
]

T = TypeVar("T")


class Registry(Generic[T]):
    """A closed table of names and lazy import targets.

    Parameters
    ----------
    kind : str
        What the names stand for, as error messages call it.
    targets : mapping of str to str
        Name to ``"module:attribute"``.

    Examples
    --------
    >>> numbers: Registry[type] = Registry("number", {"fraction": "fractions:Fraction"})
    >>> numbers.load("fraction").__name__
    'Fraction'
    >>> numbers.load("fracton")
    Traceback (most recent call last):
    vpp_sim.errors.UnknownNameError: unknown number 'fracton'; allowed: fraction; did you mean 'fraction'?
    """

    def __init__(self, kind: str, targets: Mapping[str, str]) -> None:
        self.kind = kind
        self._own = dict(targets)

    @cached_property
    def targets(self) -> Mapping[str, str]:
        """Name to ``module:attribute``, own names first, then those of installed entry points."""
        group = f"vpp_sim.{self.kind.replace(' ', '_')}"
        found = {point.name: point.value for point in entry_points(group=group)}
        return {**found, **self._own}

    @property
    def names(self) -> tuple[str, ...]:
        """All names, sorted."""
        return tuple(sorted(self.targets))

    def load(self, name: str) -> T:
        """Import and return what `name` stands for.

        Raises
        ------
        UnknownNameError
            If there is no such name; the message lists the names there are.
        """
        if name not in self.targets:
            raise UnknownNameError(self.kind, name, self.names)
        module, _, attribute = self.targets[name].partition(":")
        return cast("T", getattr(import_module(module), attribute))


HOME_SOURCES: Registry[Any] = Registry(
    "home source",
    {"fontana": "vpp_sim.data.fontana:Fontana"},
)
PRICE_SOURCES: Registry[Any] = Registry(
    "price source",
    {
        "netherlands_day_ahead": "vpp_sim.data.prices:NetherlandsDayAhead",
        "ercot_houston_day_ahead": "vpp_sim.data.prices:ErcotHoustonDayAhead",
        "fontana_tariff": "vpp_sim.data.prices:FontanaTariff",
    },
)
WEATHER_FORECASTS: Registry[Any] = Registry(
    "weather forecast",
    {
        "error_model": "vpp_sim.data.weather_error:WeatherErrorModel",
        "file": "vpp_sim.data.weather_file:WeatherForecastFile",
        "perfect": "vpp_sim.data.weather_forecast:PerfectWeather",
    },
)
FORECASTERS: Registry[Any] = Registry(
    "forecaster",
    {
        "persistence": "vpp_sim.forecasting.baselines:Persistence",
        "seasonal_naive": "vpp_sim.forecasting.baselines:SeasonalNaive",
        "persistence_ensemble": "vpp_sim.forecasting.baselines:PersistenceEnsemble",
        "perfect": "vpp_sim.forecasting.baselines:Perfect",
        "linear": "vpp_sim.forecasting.linear:LinearForecaster",
        "gbm": "vpp_sim.forecasting.gbm:GbmForecaster",
        "lstm": "vpp_sim.forecasting.lstm:LstmForecaster",
        "transformer": "vpp_sim.forecasting.transformer:TransformerForecaster",
    },
)
CONTROLLERS: Registry[Any] = Registry(
    "storage controller",
    {
        "idle": "vpp_sim.ess.rules:Idle",
        "self_consumption": "vpp_sim.ess.rules:SelfConsumption",
        "price_rule": "vpp_sim.ess.rules:PriceRule",
        "mpc": "vpp_sim.ess.mpc:ModelPredictiveControl",
        "dp": "vpp_sim.ess.stochastic:StochasticDynamicProgramming",
        "perfect_foresight": "vpp_sim.ess.perfect_foresight:PerfectForesight",
        "dqn": "vpp_sim.ess.policy:DqnController",
        "ppo": "vpp_sim.ess.policy:PpoController",
    },
)
RETAIL_PRICERS: Registry[Any] = Registry(
    "retail pricer",
    {
        "default": "vpp_sim.pricing.retail:DefaultTariff",
        "flat": "vpp_sim.pricing.retail:Flat",
        "time_of_use": "vpp_sim.pricing.tariffs:TimeOfUse",
        "critical_peak": "vpp_sim.pricing.tariffs:CriticalPeak",
        "pass_through": "vpp_sim.pricing.tariffs:PassThrough",
        "elastic_qp": "vpp_sim.pricing.retail:ElasticQp",
        "stackelberg_pessimistic": "vpp_sim.pricing.stackelberg:PessimisticStackelberg",
        "stackelberg_optimistic": "vpp_sim.pricing.stackelberg:OptimisticStackelberg",
    },
)
WHOLESALE_BIDDERS: Registry[Any] = Registry(
    "wholesale bidder",
    {
        "median": "vpp_sim.pricing.wholesale:MedianBid",
        "newsvendor": "vpp_sim.pricing.wholesale:NewsvendorBid",
        "deterministic": "vpp_sim.pricing.cvar:DeterministicBid",
        "risk_neutral": "vpp_sim.pricing.cvar:RiskNeutralBid",
        "cvar": "vpp_sim.pricing.cvar:CvarBid",
    },
)
DEMAND_RESPONSES: Registry[Any] = Registry(
    "demand response",
    {
        "none": "vpp_sim.demand_response.responses:NoResponse",
        "self_dr": "vpp_sim.demand_response.responses:SelfDemandResponse",
    },
)
CLEARINGS: Registry[Any] = Registry(
    "clearing mechanism",
    {
        "none": "vpp_sim.market.clearing:NoTrade",
        "mid_market_rate": "vpp_sim.market.clearing:MidMarketRate",
        "supply_demand_ratio": "vpp_sim.market.community:SupplyDemandRatio",
        "bill_sharing": "vpp_sim.market.community:BillSharing",
        "uniform_price": "vpp_sim.market.clearing:UniformPrice",
        "k_double_auction": "vpp_sim.market.clearing:KDoubleAuction",
        "pay_as_bid": "vpp_sim.market.auctions:PayAsBid",
        "mcafee": "vpp_sim.market.truthful:McAfee",
        "vcg": "vpp_sim.market.vcg:Vcg",
        "trade_reduction": "vpp_sim.market.truthful:TradeReduction",
        "huang": "vpp_sim.market.truthful:HuangMultiUnit",
        "continuous_double_auction": "vpp_sim.market.continuous:ContinuousDoubleAuction",
        "shapley": "vpp_sim.market.shapley:Shapley",
        "network_aware": "vpp_sim.market.network_aware:NetworkAware",
        "admm": "vpp_sim.market.admm:Decentralised",
    },
)
BIDDING_STRATEGIES: Registry[Any] = Registry(
    "bidding strategy",
    {
        "truthful": "vpp_sim.market.bidding:Truthful",
        "zero_intelligence": "vpp_sim.market.bidding:ZeroIntelligence",
        "adaptive": "vpp_sim.market.bidding:Adaptive",
        "forecast_based": "vpp_sim.market.bidding:ForecastBased",
    },
)
FEEDERS: Registry[Any] = Registry(
    "feeder",
    {"cigre_lv": "vpp_sim.network.cigre_lv:cigre_lv_residential"},
)
CHAIN_BACKENDS: Registry[Any] = Registry(
    "chain backend",
    {
        "eth_tester": "vpp_sim.chain.eth_tester:EthTesterChain",
        "revm": "vpp_sim.chain.revm:RevmChain",
        "rpc": "vpp_sim.chain.rpc:RpcChain",
    },
)
SWEEP_EXECUTORS: Registry[Any] = Registry(
    "sweep executor",
    {
        "serial": "vpp_sim.sweeps.executors:SerialExecutor",
        "dask": "vpp_sim.sweeps.executors:DaskExecutor",
    },
)

REGISTRIES: tuple[Registry[Any], ...] = (
    HOME_SOURCES,
    PRICE_SOURCES,
    WEATHER_FORECASTS,
    FORECASTERS,
    CONTROLLERS,
    RETAIL_PRICERS,
    WHOLESALE_BIDDERS,
    DEMAND_RESPONSES,
    CLEARINGS,
    BIDDING_STRATEGIES,
    FEEDERS,
    CHAIN_BACKENDS,
    SWEEP_EXECUTORS,
)
"""Every registry, for the conformance tests and the documentation."""
