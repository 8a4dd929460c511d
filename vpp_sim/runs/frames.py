"""The tables of one run as data frames, with the numbers that reading them needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from vpp_sim.devices.ageing import age
from vpp_sim.errors import DataError
from vpp_sim.runs.tables import ACCOUNTS, TABLES, table_schema
from vpp_sim.units import MICRO_EUR_PER_EUR

if TYPE_CHECKING:
    from pathlib import Path

    from vpp_sim.arrays import FloatArray
    from vpp_sim.devices.ageing import Ageing
    from vpp_sim.runs.tables import Schema

__all__ = ["RunData", "RunTables", "empty_frame", "read_frame", "read_tables", "write_frame"]

_NAMES = ("home", "buyer", "seller", "item", "account", "sender", "to", "contract", "event")


@dataclass(frozen=True, slots=True)
class RunTables:
    """What the recorder wrote, for the VPP or for its counterfactual.

    Attributes
    ----------
    timeseries, prosumers, trades, forecasts, ledger, chain : DataFrame
        Columns as in :data:`vpp_sim.runs.tables.TABLES`.
    step_h : float
        Length of a tick [h].
    battery_capacity_kwh : float
        Capacity of all batteries together [kWh].
    batteries, prices : DataFrame
        Columns as in :data:`vpp_sim.runs.tables.TABLES`; without rows for a run that did not record them.
    """

    timeseries: pd.DataFrame
    prosumers: pd.DataFrame
    trades: pd.DataFrame
    forecasts: pd.DataFrame
    ledger: pd.DataFrame
    chain: pd.DataFrame
    step_h: float
    battery_capacity_kwh: float
    batteries: pd.DataFrame = field(default_factory=lambda: empty_frame("batteries"))
    prices: pd.DataFrame = field(default_factory=lambda: empty_frame("prices"))
    _known: dict[str, Ageing] = field(default_factory=dict, init=False, repr=False, compare=False)

    def ageing(self) -> Ageing:
        """Return how each battery aged, in the order of `batteries`; worked out when first asked for."""
        if "ageing" not in self._known:
            start_kwh = self._of_batteries("start_kwh")
            soc_kwh = np.asarray(self.prosumers["soc_kwh"], dtype=np.float64).reshape(-1, start_kwh.size)
            self._known["ageing"] = age(
                np.vstack([start_kwh, soc_kwh]),
                self._of_batteries("capacity_kwh"),
                step_h=self.step_h,
                temperature_c=self._of_batteries("temperature_c"),
            )
        return self._known["ageing"]

    def _of_batteries(self, column: str) -> FloatArray:
        return np.asarray(self.batteries[column], dtype=np.float64)

    def home_names(self) -> list[str]:
        """Return the names of the homes, in the order in which they were recorded."""
        return [str(name) for name in self.prosumers["home"].unique()]

    def account_items_eur(self) -> pd.DataFrame:
        """Return what each account paid for each item.

        Returns
        -------
        DataFrame
            A row an account, a column an item [EUR]; positive is a cost.
        """
        sums = self.ledger.groupby(["account", "item"], observed=True)["amount_micro_eur"].sum()
        table = sums.unstack("item", fill_value=0) / MICRO_EUR_PER_EUR
        table.index, table.columns = table.index.astype(str), table.columns.astype(str)
        return table

    def account_eur(self, account: str) -> float:
        """Return the net cost to one account [EUR]; 0 if it never moved."""
        mine = self.ledger["account"] == account
        return float(self.ledger.loc[mine, "amount_micro_eur"].sum()) / MICRO_EUR_PER_EUR

    def homes_eur(self) -> float:
        """Return the net cost to all homes [EUR]."""
        other = self.ledger["account"].isin(ACCOUNTS)
        return float(self.ledger.loc[~other, "amount_micro_eur"].sum()) / MICRO_EUR_PER_EUR


@dataclass(frozen=True, slots=True)
class RunData:
    """All that figures and the report draw from.

    Attributes
    ----------
    vpp, counterfactual : RunTables
        The run, and the same homes without the VPP.
    bills : DataFrame
        A row a home.
    """

    vpp: RunTables
    counterfactual: RunTables
    bills: pd.DataFrame


def empty_frame(name: str, timezone: str = "UTC") -> pd.DataFrame:
    """Return a table without rows.

    Examples
    --------
    >>> empty_frame("chain").shape
    (0, 15)
    """
    frame: pd.DataFrame = table_schema(name, timezone).empty_table().to_pandas()
    return frame


def read_frame(path: Path, name: str) -> pd.DataFrame:
    """Read ``<path>/<name>.parquet``; repeated names become categories.

    Raises
    ------
    DataError
        If the file is missing, unreadable, or lacks a column.
    """
    file = path / f"{name}.parquet"
    names = [column for column in _NAMES if column in TABLES[name].names]
    try:
        table = pq.read_table(file, read_dictionary=names)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"{file}: cannot be read as a table of a run: {error}") from error
    missing = [column for column in TABLES[name].names if column not in table.column_names]
    if missing:
        raise DataError(f"{file}: lacks {', '.join(missing)}")
    frame: pd.DataFrame = table.to_pandas()
    return frame


def _as_array(frame: pd.DataFrame, field: Schema) -> Schema:
    values = frame[field.name]
    if pa.types.is_floating(field.type):  # NaN is a value here, not a missing one
        return pa.array(np.asarray(values, dtype=np.float64), type=field.type, from_pandas=False)
    if pa.types.is_string(field.type):
        return pa.array(values.astype(str), type=field.type)
    return pa.array(values, type=field.type)


def write_frame(frame: pd.DataFrame, path: Path, name: str, timezone: str = "UTC") -> None:
    """Write ``<path>/<name>.parquet`` in the table's schema.

    Raises
    ------
    DataError
        If a column is missing.
    """
    schema = table_schema(name, timezone)
    missing = [column for column in schema.names if column not in frame.columns]
    if missing:
        raise DataError(f"table {name} lacks {', '.join(missing)}")
    arrays = [_as_array(frame, field) for field in schema]
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), path / f"{name}.parquet", compression="zstd")


def read_tables(path: Path, *, step_h: float, battery_capacity_kwh: float) -> RunTables:
    """Read the recorder's tables from one folder.

    A missing chain table means that nothing was settled on chain; one of batteries, that the run did not record them.

    Raises
    ------
    DataError
        If another table is missing or lacks a column.
    """
    chain, batteries, prices = (
        read_frame(path, name) if (path / f"{name}.parquet").exists() else empty_frame(name)
        for name in ("chain", "batteries", "prices")
    )
    return RunTables(
        timeseries=read_frame(path, "timeseries"),
        prosumers=read_frame(path, "prosumers"),
        trades=read_frame(path, "trades"),
        forecasts=read_frame(path, "forecasts"),
        ledger=read_frame(path, "ledger"),
        chain=chain,
        step_h=step_h,
        battery_capacity_kwh=battery_capacity_kwh,
        batteries=batteries,
        prices=prices,
    )
