"""A run in plain words: what the VPP earned, who gained and who lost, and whether the grid held, all computed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpp_sim.figures.series import home_labels, percent
from vpp_sim.runs import measures as m

if TYPE_CHECKING:
    import pandas as pd

    from vpp_sim.runs.frames import RunData, RunTables

__all__ = ["headline"]

_CENT = 0.005
_SAME_PEAK = 0.01


def headline(run: RunData) -> list[str]:
    """Return the sentences that head a report.

    Parameters
    ----------
    run : RunData
        The run's tables.

    Returns
    -------
    list of str
        Bills, the VPP's result, homes that gain and lose, and the grid, in this order.
    """
    return [_bills(run), _vpp(run), _gainers(run.bills), _grid(run)]


def _more_or_less(difference_eur: float) -> str:
    if abs(difference_eur) < _CENT:
        return "the same"
    return f"{abs(difference_eur):,.2f} EUR {'more' if difference_eur > 0 else 'less'}"


def _better_or_worse(gain_eur: float) -> str:
    if abs(gain_eur) < _CENT:
        return "neither better nor worse off"
    return f"{abs(gain_eur):,.2f} EUR {'better' if gain_eur > 0 else 'worse'} off"


def _bills(run: RunData) -> str:
    ours, theirs = run.vpp.homes_eur(), run.counterfactual.homes_eur()
    share = f" ({percent(abs(ours / theirs - 1), 1)})" if theirs and abs(ours - theirs) >= _CENT else ""
    return (
        f"The {len(run.bills)} homes paid {ours:,.2f} EUR together. Without the VPP they would have paid {theirs:,.2f} "
        f"EUR: with it they paid {_more_or_less(ours - theirs)}{share}."
    )


def _vpp(run: RunData) -> str:
    ours, theirs = -run.vpp.account_eur("vpp"), -run.counterfactual.account_eur("vpp")
    verb = "earned" if ours >= 0 else "lost"
    pair, all_three = (
        _better_or_worse(measure(run.vpp, run.bills) - measure(run.counterfactual, run.bills))
        for measure in (m.joint_result, m.society_result)
    )
    return (
        f"The VPP {verb} {abs(ours):,.2f} EUR, where a plain retailer of the same homes would have "
        f"{'earned' if theirs >= 0 else 'lost'} {abs(theirs):,.2f} EUR. Homes and VPP together are {pair}; the grid "
        f"operator received {_more_or_less(-_change(run, 'grid_operator'))}. All three together are {all_three}."
    )


def _change(run: RunData, account: str) -> float:
    """Return by how much the cost of `account` is above the counterfactual's [EUR]."""
    return run.vpp.account_eur(account) - run.counterfactual.account_eur(account)


def _gainers(bills: pd.DataFrame) -> str:
    saving = bills["saving_eur"].to_numpy()
    gained, lost = int((saving > _CENT).sum()), int((saving < -_CENT).sum())
    names = home_labels(bills["home"].astype(str).tolist())
    best, worst = int(saving.argmax()), int(saving.argmin())
    above = int((bills["total_eur"] - bills["default_bill_eur"] > _CENT).sum())
    promise = (
        f"{above or 'No'} home{'s' if above > 1 else ''} paid more than the default tariff would have charged for the "
        "same metered energy"
    )
    return (
        f"{gained} homes gained and {lost} lost, from {saving[best]:+,.2f} EUR ({names[best]}) to "
        f"{saving[worst]:+,.2f} EUR ({names[worst]}). {promise}."
    )


def _breaches(tables: RunTables, bills: pd.DataFrame) -> list[str]:
    steps = m.violations(tables, bills)
    found = [f"a voltage left the band of plus or minus 10 % in {steps:.0f} steps"] if steps else []
    for column, part in (("transformer_loading", "the transformer"), ("line_loading", "a line")):
        loading = m.highest(column)(tables, bills)
        if loading > 1:
            found.append(f"{part} reached {percent(loading)} of its rating")
    return found


def _grid(run: RunData) -> str:
    ours, theirs = _breaches(run.vpp, run.bills), _breaches(run.counterfactual, run.bills)
    if ours:
        without = f"without the VPP, {', and '.join(theirs)}" if theirs else "without the VPP it would have held"
        return f"The grid did not hold: {', and '.join(ours)}; {without}.{_peak(run)}"
    voltage, loading = run.vpp.timeseries["v_min_pu"].min(), m.highest("transformer_loading")(run.vpp, run.bills)
    held = f"The grid held: the lowest voltage was {voltage:.3f} p.u., the transformer reached {percent(loading)} of "
    held += "its rating"
    held += f". Without the VPP it would not: {', and '.join(theirs)}." if theirs else "."
    return held + _peak(run)


def _peak(run: RunData) -> str:
    """Return a sentence on the feeder's peak, or nothing when it is within 1 % of that without the VPP."""
    ours, theirs = (m.feeder_peak_kw(tables, run.bills) for tables in (run.vpp, run.counterfactual))
    if abs(ours - theirs) <= _SAME_PEAK * theirs:
        return ""
    share = f" ({ours / theirs - 1:+.1%})".replace("%", " %") if theirs else ""
    return f" The feeder's peak {'rose' if ours > theirs else 'fell'} from {theirs:.1f} to {ours:.1f} kW{share}."
