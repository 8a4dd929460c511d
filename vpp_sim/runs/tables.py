"""The tables of a run: every column with its type, unit and description, in one place.

The recorder writes exactly these schemas; KPIs, figures and the report read them. All power is mean power over the
step; ``time`` is the local start of the step. A money column is positive where it is a cost to its owner.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

import pyarrow as pa

from vpp_sim.errors import UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ACCOUNTS", "FORECAST_LEVELS", "ITEMS", "TABLES", "table_schema", "unit_of"]

Schema: TypeAlias = Any
"""A ``pyarrow.Schema``; pyarrow ships no types."""

ITEMS = (
    "retail_energy",
    "levies",
    "feed_in",
    "local_trade",
    "market_fee",
    "day_ahead",
    "intraday",
    "imbalance",
    "losses",
    "guarantee",
)
"""Items of the ledger, in the order in which reports list them."""

ACCOUNTS = ("vpp", "wholesale", "grid_operator")
"""Accounts of the ledger beside those of the homes."""

FORECAST_LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
"""Quantile levels at which the fleet's day-ahead forecasts of load and sun are recorded."""

_F, _I32, _I64, _STR, _BOOL = pa.float64(), pa.int32(), pa.int64(), pa.string(), pa.bool_()
_TIME = pa.timestamp("ms", tz="UTC")

_STEP = ("step", _I32, "1", "Number of the tick, from 0.")
_CLOCK = (_STEP, ("time", _TIME, "", "Local start of the step."))
_HOME = ("home", _STR, "", "Name of the home, <group>/home_<number>.")

_FLEET = (
    ("base_load_kw", _F, "kW", "Load before demand response."),
    ("load_kw", _F, "kW", "Load after demand response."),
    ("pv_kw", _F, "kW", "PV power available, before curtailment."),
    ("curtailed_kw", _F, "kW", "PV power that was cut off."),
    ("charge_kw", _F, "kW", "Battery charging, at its grid side."),
    ("discharge_kw", _F, "kW", "Battery discharging, at its grid side."),
    ("soc_kwh", _F, "kWh", "Energy in the battery at the end of the step."),
)


def _quantile_columns(series: str, what: str) -> tuple[tuple[str, Any, str, str], ...]:
    return tuple(
        (f"{series}_p{100 * level:02.0f}_kw", _F, "kW", f"{what}, {100 * level:.0f} % quantile.")
        for level in FORECAST_LEVELS
    )


_COLUMNS: dict[str, tuple[tuple[str, Any, str, str], ...]] = {
    "timeseries": (
        *_CLOCK,
        ("temperature_c", _F, "degC", "Outdoor air temperature."),
        ("ghi_w_m2", _F, "W/m2", "Global horizontal irradiance."),
        ("carbon_kg_per_kwh", _F, "kg/kWh", "CO2 emitted for a kWh drawn from the grid."),
        *_FLEET,
        ("net_kw", _F, "kW", "Sum of the homes' metered net power; positive draws from the grid."),
        ("import_kw", _F, "kW", "Sum over homes that draw from the grid of their metered net power."),
        ("export_kw", _F, "kW", "Sum over homes that feed in of their metered power, as a magnitude."),
        ("loss_kw", _F, "kW", "Losses in the feeder."),
        ("v_min_pu", _F, "p.u.", "Lowest voltage of the feeder, relative to nominal."),
        ("v_max_pu", _F, "p.u.", "Highest voltage of the feeder, relative to nominal."),
        ("transformer_loading", _F, "1", "Loading of the transformer, as a share of its rating."),
        ("line_loading", _F, "1", "Highest loading of a line, as a share of its rating."),
        ("day_ahead_eur_per_kwh", _F, "EUR/kWh", "Day-ahead wholesale price."),
        ("position_kwh", _F, "kWh", "Energy bought day ahead for this step; negative is sold."),
        ("intraday_kwh", _F, "kWh", "Energy bought intraday for this step, all trades together; negative is sold."),
        (
            "imbalance_kwh",
            _F,
            "kWh",
            "Metered net energy less what was bought day ahead and intraday; positive is short.",
        ),
        ("short_eur_per_kwh", _F, "EUR/kWh", "What a kWh short cost in this step."),
        ("long_eur_per_kwh", _F, "EUR/kWh", "What a kWh long was paid in this step."),
        ("buy_eur_per_kwh", _F, "EUR/kWh", "Retail price of a consumed kWh, levies included."),
        ("sell_eur_per_kwh", _F, "EUR/kWh", "What a home is paid for a kWh fed in."),
        ("default_eur_per_kwh", _F, "EUR/kWh", "Default tariff, levies included."),
        ("local_price_eur_per_kwh", _F, "EUR/kWh", "Price of local trades; NaN where nothing was traded."),
        ("traded_kwh", _F, "kWh", "Energy agreed in local trades."),
        ("delivered_kwh", _F, "kWh", "Energy delivered under local trades."),
        ("forecast_net_p10_kw", _F, "kW", "Day-ahead forecast of fleet load less PV, 10 % quantile; NaN if none."),
        ("forecast_net_p50_kw", _F, "kW", "Day-ahead forecast of fleet load less PV, median; NaN if none."),
        ("forecast_net_p90_kw", _F, "kW", "Day-ahead forecast of fleet load less PV, 90 % quantile; NaN if none."),
    ),
    "prosumers": (
        *_CLOCK,
        _HOME,
        *_FLEET,
        ("net_kw", _F, "kW", "Metered net power; positive draws from the grid."),
        ("voltage_pu", _F, "p.u.", "Voltage at the home's node, relative to nominal."),
        ("bought_kwh", _F, "kWh", "Energy bought in local trades, delivered."),
        ("sold_kwh", _F, "kWh", "Energy sold in local trades, delivered."),
        ("cost_eur", _F, "EUR", "Cost of the step to the home, all items of the ledger."),
        ("paid_eur", _F, "EUR", "What the home knows to have paid since the start, by final payments; NaN off chain."),
    ),
    "batteries": (
        _HOME,
        ("capacity_kwh", _F, "kWh", "Energy between empty and full; 0 without a battery."),
        ("start_kwh", _F, "kWh", "Energy in the battery before the first step."),
        ("replacement_eur_per_kwh", _F, "EUR/kWh", "Price of a new battery; NaN where ageing is not valued."),
        ("temperature_c", _F, "degC", "Temperature of the cells."),
        ("projected_steps", _I64, "1", "Steps in which limits cut what the controller asked for."),
        ("projected_kwh", _F, "kWh", "Energy by which they cut it, at the grid side."),
    ),
    "trades": (
        *_CLOCK,
        ("buyer", _STR, "", "Name of the buying home."),
        ("seller", _STR, "", "Name of the selling home."),
        ("energy_kwh", _F, "kWh", "Energy agreed."),
        ("delivered_kwh", _F, "kWh", "Energy delivered."),
        ("price_eur_per_kwh", _F, "EUR/kWh", "What the buyer pays the seller."),
        ("fee_eur_per_kwh", _F, "EUR/kWh", "What the buyer pays the market on top; negative is what the market adds."),
        ("amount_eur", _F, "EUR", "What the buyer paid the seller for the energy delivered."),
    ),
    "prices": (
        *_CLOCK,
        ("buy_eur_per_kwh", _F, "EUR/kWh", "Retail price: the sum of all parts."),
        ("default_eur_per_kwh", _F, "EUR/kWh", "The default tariff."),
        ("markup_eur_per_kwh", _F, "EUR/kWh", "What the pricer would add on a day that is the same in every step."),
        ("wholesale_eur_per_kwh", _F, "EUR/kWh", "What the course of the wholesale price moves."),
        ("demand_eur_per_kwh", _F, "EUR/kWh", "What the course of the expected demand moves."),
        ("elasticity_eur_per_kwh", _F, "EUR/kWh", "What elasticities move that were learnt."),
        ("limits_eur_per_kwh", _F, "EUR/kWh", "What limits move, wherever they bind."),
        ("exploration_eur_per_kwh", _F, "EUR/kWh", "What was moved at random, to learn from it."),
        ("limit", _STR, "", "The limit that binds in this step, or empty."),
        ("elasticity", _F, "1", "Own-price elasticity that the price was set with; NaN where it plays no part."),
        ("elasticity_sd", _F, "1", "Its standard deviation; 0 where it is not learnt; NaN where it plays no part."),
    ),
    "forecasts": (
        ("issue_step", _I32, "1", "Tick at which the forecast was issued."),
        *_CLOCK,
        ("p10_kw", _F, "kW", "Fleet load less PV, 10 % quantile."),
        ("p50_kw", _F, "kW", "Fleet load less PV, median."),
        ("p90_kw", _F, "kW", "Fleet load less PV, 90 % quantile."),
        ("actual_net_kw", _F, "kW", "What it came to: load before demand response less PV; NaN after the end."),
        *_quantile_columns("load", "Fleet load before demand response"),
        *_quantile_columns("sun", "Fleet PV power"),
    ),
    "ledger": (
        _STEP,
        ("item", _STR, "", "What was paid for."),
        ("account", _STR, "", "Whose account: a home's name, vpp, wholesale or grid_operator."),
        ("amount_micro_eur", _I64, "uEUR", "Cost to the account; sums to zero over the accounts of a step and item."),
    ),
    "chain": (
        ("period", _I32, "1", "Number of the settlement period, from 0."),
        ("first_step", _I32, "1", "First tick of the period."),
        ("last_step", _I32, "1", "Last tick of the period."),
        ("submitted_s", _F, "s", "When its statement was submitted, from the start of the run."),
        ("mined_s", _F, "s", "When the block of its last transaction was mined, from the start of the run."),
        ("confirmed_s", _F, "s", "When its last transaction counted as final, from the start of the run."),
        ("block", _I64, "1", "Number of that block."),
        ("tx_hash", _STR, "", "Hash of its last transaction, hexadecimal."),
        ("transactions", _I32, "1", "Number of its transactions."),
        ("attempts", _I32, "1", "Number of transactions that were signed for it; more where fees were raised."),
        ("gas_used", _I64, "gas", "Gas that its transactions used."),
        ("gas_cost_eur", _F, "EUR", "What that gas cost, at the price of gas when they were mined."),
        ("calldata_bytes", _I64, "B", "Size of their inputs."),
        ("accounts", _I32, "1", "Number of accounts whose balance moved."),
        ("moved_micro_eur", _I64, "uEUR", "Sum of the amounts moved, counted once."),
    ),
    "blocks": (
        ("number", _I64, "1", "Height of the block."),
        ("timestamp_s", _I64, "s", "Its time, as Unix time."),
        ("hash", _STR, "", "Its hash, hexadecimal."),
        ("parent_hash", _STR, "", "Hash of the block before."),
        ("base_fee_wei", _I64, "wei/gas", "Base fee of the block."),
        ("gas_used", _I64, "gas", "Gas of all its transactions."),
        ("transactions", _I32, "1", "How many of its transactions are recorded."),
        ("canonical", _BOOL, "", "False if a reorganisation undid the block."),
    ),
    "transactions": (
        ("block", _I64, "1", "Number of its block."),
        ("position", _I32, "1", "Its place in the block, from 0."),
        ("hash", _STR, "", "Its hash, hexadecimal."),
        ("sender", _STR, "", "Address of who signed it."),
        ("nonce", _I64, "1", "Its number among its sender's transactions, from 0."),
        ("to", _STR, "", "Address that it calls; empty if it creates a contract."),
        ("gas_used", _I64, "gas", "Gas that it used."),
        ("succeeded", _BOOL, "", "False if it reverted or ran out of gas."),
        ("contract", _STR, "", "Address of the contract that it created, or empty."),
        ("raw", _STR, "", "The signed transaction, hexadecimal without 0x."),
        ("canonical", _BOOL, "", "False if a reorganisation undid its block."),
    ),
    "events": (
        ("block", _I64, "1", "Number of its block, a canonical one."),
        ("position", _I32, "1", "Place of its transaction in the block, from 0."),
        ("log", _I32, "1", "Its place among the transaction's events, from 0."),
        ("contract", _STR, "", "Name of the contract that emitted it, or its address where that is not known."),
        ("event", _STR, "", "Name of the event, or empty where it is not known."),
        ("account", _STR, "", "Name of the account that it is about, or empty."),
        ("period", _I64, "1", "Settlement period that it is about, or -1."),
        ("arguments", _STR, "", "Its arguments as a JSON object: bytes as hexadecimal, numbers beyond 2^53 as text."),
    ),
    "bills": (
        _HOME,
        ("import_kwh", _F, "kWh", "Energy drawn from the grid at the meter."),
        ("export_kwh", _F, "kWh", "Energy fed in at the meter."),
        ("bought_kwh", _F, "kWh", "Energy bought in local trades, delivered."),
        ("sold_kwh", _F, "kWh", "Energy sold in local trades, delivered."),
        ("retail_energy_eur", _F, "EUR", "Cost of energy from the VPP, without levies."),
        ("levies_eur", _F, "EUR", "Levies, passed on to the grid operator."),
        ("feed_in_eur", _F, "EUR", "Payment for energy fed in, negative."),
        ("local_trade_eur", _F, "EUR", "Cost of local trades; negative where the home earned."),
        ("market_fee_eur", _F, "EUR", "Fees of the local market; negative where it added something."),
        ("guarantee_eur", _F, "EUR", "Refund of what exceeded the default bill, negative."),
        ("total_eur", _F, "EUR", "The bill: sum of all items."),
        ("default_bill_eur", _F, "EUR", "Cost of the same metered energy at the default tariff."),
        ("counterfactual_total_eur", _F, "EUR", "The bill of the same home without the VPP."),
        ("saving_eur", _F, "EUR", "Counterfactual bill less the bill."),
    ),
}


def _schema(columns: tuple[tuple[str, Any, str, str], ...]) -> Schema:
    return pa.schema(
        [
            pa.field(name, kind, nullable=False, metadata={"unit": unit, "description": description})
            for name, kind, unit, description in columns
        ]
    )


TABLES: Mapping[str, Schema] = MappingProxyType({name: _schema(columns) for name, columns in _COLUMNS.items()})
"""Schema of every table, by name; its ``time`` column is in UTC (see :func:`table_schema`)."""


def table_schema(name: str, timezone: str = "UTC") -> Schema:
    """Return the schema of a table whose times are in `timezone`.

    Parameters
    ----------
    name : str
        Name of the table, a key of `TABLES`.
    timezone : str, default "UTC"
        IANA name of the local time zone.

    Returns
    -------
    pyarrow.Schema

    Raises
    ------
    UnknownNameError
        If there is no such table.

    Examples
    --------
    >>> table_schema("timeseries", "America/Los_Angeles").field("time").type
    TimestampType(timestamp[ms, tz=America/Los_Angeles])
    """
    if name not in TABLES:
        raise UnknownNameError("table", name, TABLES)
    schema = TABLES[name]
    index = schema.get_field_index("time")
    if index < 0:
        return schema
    return schema.set(index, schema.field(index).with_type(pa.timestamp("ms", tz=timezone)))


def unit_of(name: str, column: str) -> str:
    """Return the unit of a column, empty for names and times.

    Examples
    --------
    >>> unit_of("timeseries", "load_kw"), unit_of("bills", "home")
    ('kW', '')
    """
    return str(TABLES[name].field(column).metadata[b"unit"].decode())
