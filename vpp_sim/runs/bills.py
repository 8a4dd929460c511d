"""The homes' bills: what each paid for what, beside its default bill and its bill without the VPP."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from vpp_sim.errors import SimulationError
from vpp_sim.runs.tables import TABLES

if TYPE_CHECKING:
    from vpp_sim.runs.frames import RunTables

__all__ = ["HOME_ITEMS", "make_bills"]

HOME_ITEMS = ("retail_energy", "levies", "feed_in", "local_trade", "market_fee", "guarantee")
"""Items of the ledger that a home may be charged for."""


def _energy(tables: RunTables, homes: list[str]) -> pd.DataFrame:
    frame = tables.prosumers
    energy = pd.DataFrame(
        {
            "home": frame["home"].astype(str),
            "import_kwh": frame["net_kw"].clip(lower=0) * tables.step_h,
            "export_kwh": (-frame["net_kw"]).clip(lower=0) * tables.step_h,
            "bought_kwh": frame["bought_kwh"],
            "sold_kwh": frame["sold_kwh"],
        }
    )
    return energy.groupby("home", sort=False).sum().reindex(homes)


def _items(tables: RunTables, homes: list[str]) -> pd.DataFrame:
    paid = tables.account_items_eur().reindex(homes, fill_value=0.0)
    strangers = [name for name in paid.columns if name not in HOME_ITEMS and (paid[name] != 0).any()]
    if strangers:
        raise SimulationError(f"the ledger charges homes for {', '.join(strangers)}, which no bill lists")
    return paid.reindex(columns=list(HOME_ITEMS), fill_value=0.0).add_suffix("_eur")


def _default_eur(tables: RunTables, counterfactual: RunTables, homes: list[str]) -> pd.Series:
    prices = counterfactual.timeseries.set_index("step")
    net_kw = tables.prosumers["net_kw"].to_numpy()
    buy, sell = (
        prices[name].reindex(tables.prosumers["step"]).to_numpy()
        for name in ("default_eur_per_kwh", "sell_eur_per_kwh")
    )
    cost = np.where(net_kw > 0, net_kw * buy, net_kw * sell) * tables.step_h
    if not np.isfinite(cost).all():
        raise SimulationError("the counterfactual does not cover every step of the run")
    return pd.Series(cost).groupby(tables.prosumers["home"].astype(str).to_numpy()).sum().reindex(homes)


def make_bills(tables: RunTables, counterfactual: RunTables) -> pd.DataFrame:
    """Return the bill of every home.

    The default bill prices the home's own metered energy, as it came to be with the VPP, at the default tariff; its
    feed-in price is the one that the counterfactual paid.

    Parameters
    ----------
    tables : RunTables
        The run whose bills are made; pass the counterfactual twice for its own.
    counterfactual : RunTables
        The same homes without the VPP.

    Returns
    -------
    DataFrame
        A row a home, columns as in the table ``bills``; positive is a cost [EUR].

    Raises
    ------
    SimulationError
        If the ledger charges a home for an item that no bill lists, or the two runs differ in homes or steps.
    """
    homes = tables.home_names()
    if set(homes) != set(counterfactual.home_names()):
        raise SimulationError("the counterfactual has other homes than the run")
    bills = _energy(tables, homes).join(_items(tables, homes))
    items = [f"{item}_eur" for item in HOME_ITEMS]
    bills["total_eur"] = bills[items].sum(axis=1)
    bills["default_bill_eur"] = _default_eur(tables, counterfactual, homes)
    bills["counterfactual_total_eur"] = _items(counterfactual, homes)[items].sum(axis=1)
    bills["saving_eur"] = bills["counterfactual_total_eur"] - bills["total_eur"]
    columns: list[str] = TABLES["bills"].names
    return bills.rename_axis("home").reset_index()[columns]
