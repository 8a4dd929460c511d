"""What agents leave in the world for those who act later in the tick: frozen messages, one type a slot.

n is the number of prosumers, H the number of forecast steps, Q of quantiles, M of trades, A of accounts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vpp_sim.arrays import FloatArray, IntArray

__all__ = [
    "DayAhead",
    "Flexible",
    "Flow",
    "Forecast",
    "Intraday",
    "LocalTrades",
    "Metered",
    "Settlement",
    "Storage",
    "Tariff",
    "Weather",
    "repeated",
]


@dataclass(frozen=True, slots=True)
class Weather:
    """Weather of this step at the homes' station, and the carbon intensity of the grid."""

    temperature_c: float
    ghi_w_m2: float
    carbon_kg_per_kwh: float


@dataclass(frozen=True, slots=True)
class Metered:
    """Base load and available solar power of this step, each of shape (n,) [kW]."""

    base_load_kw: FloatArray
    pv_kw: FloatArray


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is foreseen from step `issue_step` on.

    `load_kw`, shape (n, H), is each home's median load and `net_kw` that less its median solar power [kW].
    `fleet_demand_kw` and
    `fleet_solar_kw`, shape (H, Q), are quantiles of the sums over all homes, forecast as series of their own, since the
    median of a sum is not the sum of the medians.
    """

    issue_step: int
    steps_per_day: int
    levels: tuple[float, ...]
    load_kw: FloatArray
    net_kw: FloatArray
    fleet_demand_kw: FloatArray
    fleet_solar_kw: FloatArray

    def median_net_kw(self, step: int, n_steps: int) -> FloatArray:
        """Return the median of load less that of sun from `step` on, shape (n, n_steps) [kW]; a copy.

        Beyond the horizon, the same hours of the day before are repeated.
        """
        lead = step - self.issue_step
        if lead + n_steps <= self.net_kw.shape[1]:
            return self.net_kw[:, lead : lead + n_steps].copy()
        return self.net_kw[:, self.leads(step, n_steps)]

    def leads(self, step: int, n_steps: int) -> IntArray:
        """Return the forecast's column for each of `n_steps` steps from `step` on, shape (n_steps,)."""
        lead = np.arange(step - self.issue_step, step - self.issue_step + n_steps, dtype=np.int64)
        return repeated(lead, self.net_kw.shape[1], self.steps_per_day)


@dataclass(frozen=True, slots=True)
class DayAhead:
    """What was filled day ahead of the bids for each step of the run; NaN where bids are not yet due.

    `position_kwh` has shape (T,). `forecast_kw` has shape (3, T): the quantiles 0.1, 0.5 and 0.9 of the fleet's load
    less its solar power, as foreseen when the bid was made.
    """

    position_kwh: FloatArray
    forecast_kw: FloatArray


@dataclass(frozen=True, slots=True)
class Intraday:
    """What was traded after the auction for each step of the run, all trades together, each of shape (T,).

    `traded_kwh` is positive bought [kWh]; `cost_eur` is what it cost with spread and fees [EUR], due at delivery.
    """

    traded_kwh: FloatArray
    cost_eur: FloatArray


@dataclass(frozen=True, slots=True)
class Tariff:
    """Published prices from `first_step` on, each of shape (K,) [EUR/kWh]: what homes pay and get, and the default."""

    first_step: int
    buy_eur_per_kwh: FloatArray
    sell_eur_per_kwh: FloatArray
    default_eur_per_kwh: FloatArray
    steps_per_day: int

    def window(self, step: int, n_steps: int) -> IntArray:
        """Return the column for each of `n_steps` steps from `step` on; beyond what is published, the day before."""
        lead = np.arange(step - self.first_step, step - self.first_step + n_steps, dtype=np.int64)
        return repeated(lead, len(self.buy_eur_per_kwh), self.steps_per_day)


@dataclass(frozen=True, slots=True)
class Flexible:
    """Load after demand response, shape (n,) [kW]."""

    load_kw: FloatArray


@dataclass(frozen=True, slots=True)
class Storage:
    """Battery power at the grid side, stored energy at the end of the step, and what limits cut of the power asked for.

    Each array is of shape (n,).
    """

    charge_kw: FloatArray
    discharge_kw: FloatArray
    soc_kwh: FloatArray
    cut_kw: FloatArray


@dataclass(frozen=True, slots=True)
class LocalTrades:
    """Trades agreed between homes, each array of shape (M,), with the limit prices of both sides.

    A buyer pays its seller the price and the market the fee. `limits_bind` is whether the mechanism promises both sides
    a price within their limits.
    """

    buyer: IntArray
    seller: IntArray
    energy_kwh: FloatArray
    price_eur_per_kwh: FloatArray
    fee_eur_per_kwh: FloatArray
    bid_eur_per_kwh: FloatArray
    ask_eur_per_kwh: FloatArray
    limits_bind: bool = True


@dataclass(frozen=True, slots=True)
class Flow:
    """What the feeder carried: at each meter net load, curtailment and voltage, shape (n,), then its own figures."""

    net_kw: FloatArray
    curtailed_kw: FloatArray
    voltage_pu: FloatArray
    v_min_pu: float
    v_max_pu: float
    transformer_loading: float
    line_loading: float
    loss_kw: float
    slack_kw: float


@dataclass(frozen=True, slots=True)
class Settlement:
    """What the ledger booked this tick, and where every account stands since the start.

    `entries_micro_eur` holds one array of shape (A,) an item, positive a cost to the account; each sums to zero, and so
    does `balance_micro_eur`, shape (A,), their running total. `delivered_kwh` and `trade_micro_eur`, shape (M,), are
    what each trade came to. `traded_wh`, shape (A,), is the running net energy bought (positive) or sold in trades.
    """

    entries_micro_eur: dict[str, IntArray]
    delivered_kwh: FloatArray
    trade_micro_eur: IntArray
    imbalance_kwh: float
    balance_micro_eur: IntArray
    traded_wh: IntArray


@dataclass(frozen=True, slots=True)
class Payments:
    """What homes know to be paid: `final_micro_eur`, shape (A,), is what each account paid for good since the start."""

    final_micro_eur: IntArray


def repeated(lead: IntArray, n_known: int, period: int) -> IntArray:
    """Return `lead` with every index beyond ``n_known - 1`` brought back by whole periods.

    Examples
    --------
    >>> repeated(np.arange(5, 9), 6, 3)
    array([5, 3, 4, 5])
    """
    beyond = np.maximum(lead - (n_known - 1), 0)
    columns: IntArray = np.maximum(lead - -(-beyond // period) * period, 0)
    return columns
