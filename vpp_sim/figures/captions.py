"""What to see in each figure: one sentence, its numbers computed from the run."""

from __future__ import annotations

from math import isnan
from types import MappingProxyType
from typing import TYPE_CHECKING

from vpp_sim.figures.series import by_hour, home_labels, percent
from vpp_sim.runs import measures as m

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from vpp_sim.runs.frames import RunData

__all__ = ["CAPTIONS"]

_HALF_CENT_EUR = 0.005


def _overview(run: RunData) -> str:
    ours, theirs = (m.feeder_peak_kw(tables, run.bills) for tables in (run.vpp, run.counterfactual))
    share = m.self_sufficiency(run.vpp, run.bills)
    return (
        f"The homes supply {percent(share)} of their load themselves; the highest draw on the feeder is {ours:.1f} kW, "
        f"without the VPP {theirs:.1f} kW."
    )


def _money(run: RunData) -> str:
    return (
        f"The homes pay {run.vpp.homes_eur():,.2f} EUR with the VPP and {run.counterfactual.homes_eur():,.2f} EUR "
        f"without; the VPP keeps {-run.vpp.account_eur('vpp'):,.2f} EUR, where a plain retailer would keep "
        f"{-run.counterfactual.account_eur('vpp'):,.2f} EUR. Every item sums to zero over the accounts."
    )


def _bills(run: RunData) -> str:
    saving = run.bills["saving_eur"].to_numpy()
    best, worst = int(saving.argmax()), int(saving.argmin())
    names = home_labels(run.bills["home"].astype(str).tolist())
    top, bottom = (f"{names[home]} ({saving[home]:+.2f} EUR)" for home in (best, worst))
    if saving[best] < _HALF_CENT_EUR:
        return "No home saves." if saving[worst] > -_HALF_CENT_EUR else f"No home saves; worst off is {bottom}."
    if saving[worst] > _HALF_CENT_EUR:
        return f"Every home saves, most of all {top}, least {bottom}."
    return f"{top} saves most; {bottom} does worst."


def _prices(run: RunData) -> str:
    frame = run.vpp.timeseries
    apart = frame["buy_eur_per_kwh"] - frame["default_eur_per_kwh"]
    return (
        f"The retail price moves between {frame['buy_eur_per_kwh'].min():.3f} and {frame['buy_eur_per_kwh'].max():.3f} "
        f"EUR/kWh around a default tariff of {frame['default_eur_per_kwh'].mean():.3f} EUR/kWh on average; "
        f"they lie {apart.abs().mean():.4f} EUR/kWh apart on average, either way, from {apart.min():+.4f} to "
        f"{apart.max():+.4f}."
    )


def _price_parts(run: RunData) -> str:
    prices = run.vpp.prices
    if prices.empty:
        return "Prices were not taken apart in this run."
    names = {
        "markup": "markup",
        "wholesale": "wholesale",
        "demand": "expected demand",
        "limits": "limits",
        "exploration": "exploration",
    }
    moved = {label: float(prices[f"{name}_eur_per_kwh"].abs().mean()) * 100 for name, label in names.items()}
    told = ", ".join(f"{label} {cents:.2f}" for label, cents in moved.items() if cents >= 0.005)
    last = prices.iloc[-1]
    believed = ""
    if not isnan(last["elasticity"]):
        learnt = f" ± {last['elasticity_sd']:.3f}" if last["elasticity_sd"] > 0 else ""
        believed = f" The last prices were set with an elasticity of {last['elasticity']:.3f}{learnt}."
    return f"Mean size of each part in ct/kWh: {told or 'none'}.{believed}"


def _storage(run: RunData) -> str:
    if not run.vpp.battery_capacity_kwh:
        return "No home has a battery."
    ours, theirs = (m.battery_cycles(tables, run.bills) for tables in (run.vpp, run.counterfactual))
    cycles = f"The batteries make {ours:.1f} full equivalent cycles, without the VPP {theirs:.1f}"
    aged, less = (m.battery_life_used(tables, run.bills) for tables in (run.vpp, run.counterfactual))
    if isnan(aged + less):
        return f"{cycles}."
    return (
        f"{cycles}; with the days that pass, that is {percent(aged, 2)} of their life, without it {percent(less, 2)}."
    )


def _flexibility(run: RunData) -> str:
    moved = m.deferred_kwh(run.vpp, run.bills)
    if moved < 1e-6:
        return "No load was deferred in this run."
    frame = run.vpp.timeseries
    change = by_hour(frame["time"], frame["load_kw"] - frame["base_load_kw"]).fillna(0.0).to_numpy()
    return (
        f"Homes deferred {moved:.1f} kWh, most of it out of the hour from {change.argmin():02d}:00 and into the hour "
        f"from {change.argmax():02d}:00."
    )


def _trades(run: RunData) -> str:
    if run.vpp.trades.empty:
        return "Nothing was traded between homes in this run."
    share, delivered = m.local_share(run.vpp, run.bills), float(run.vpp.trades["delivered_kwh"].sum())
    return (
        f"In {len(run.vpp.trades):,} trades, {delivered:.1f} kWh went from home to home: {percent(share, 1)} of what "
        "the homes drew at their meters."
    )


def _forecast(run: RunData) -> str:
    covered = m.coverage(run.vpp, run.bills)
    if isnan(covered):
        return "No step of this run had a day-ahead forecast."
    error = m.forecast_mae_kw(run.vpp, run.bills)
    return (
        f"The median is off by {error:.2f} kW on average; {percent(covered)} of outcomes lie in the band made for 80 %."
    )


def _demand(run: RunData) -> str:
    foreseen = run.vpp.forecasts
    if foreseen.empty:
        return "No step of this run had a day-ahead forecast."
    load_kw = run.vpp.timeseries.set_index("step")["base_load_kw"].loc[foreseen["step"]].to_numpy()
    error = (foreseen["load_p50_kw"] - load_kw).abs()
    inside = ((foreseen["load_p10_kw"] <= load_kw) & (load_kw <= foreseen["load_p90_kw"])).mean()
    return (
        f"Over the run, the median of the load is off by {error.mean():.2f} kW on average, "
        f"{percent(error.sum() / load_kw.sum(), 1)} of the load; {percent(inside)} of outcomes lie in the band made "
        "for 80 %."
    )


def _grid(run: RunData) -> str:
    outside, loading = m.violations(run.vpp, run.bills), m.highest("transformer_loading")(run.vpp, run.bills)
    return (
        f"In {outside:.0f} of {len(run.vpp.timeseries)} steps a voltage leaves the band of EN 50160; the transformer "
        f"reaches {percent(loading)} of its rating."
    )


def _settlement(run: RunData) -> str:
    if run.vpp.chain.empty:
        return "Nothing was settled on chain in this run."
    chain, wait = run.vpp.chain, m.confirmation_s(run.vpp, run.bills)
    slowest_s = (chain["confirmed_s"] - (chain["last_step"] + 1) * run.vpp.step_h * 3600).max()
    return (
        f"On average, a period is final {wait:,.0f} s after its end, at the latest {slowest_s:,.0f} s, and settling it "
        f"takes {chain['gas_used'].mean():,.0f} gas (EUR {chain['gas_cost_eur'].mean():.2f}) for "
        f"{chain['accounts'].mean():.1f} accounts."
    )


CAPTIONS: Mapping[str, Callable[[RunData], str]] = MappingProxyType(
    {
        "overview": _overview,
        "money": _money,
        "bills": _bills,
        "prices": _prices,
        "price_parts": _price_parts,
        "storage": _storage,
        "flexibility": _flexibility,
        "trades": _trades,
        "forecast": _forecast,
        "demand": _demand,
        "grid": _grid,
        "settlement": _settlement,
    }
)
"""The sentence beneath each figure."""
