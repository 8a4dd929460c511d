"""How a report tells what was counted, how long it took, and what the counterfactual is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["card_rows", "count_groups", "counterfactual_text", "wall_rows"]

_COUNTERFACTUAL = "counterfactual: "
_SOLVER, _WHOLE, _THEIRS, _BOTH = "retail price solver", "whole", "counterfactual", "both and summary"


def count_groups(counts: Mapping[str, int]) -> dict[str, list[tuple[str, str]]]:
    """Return the counts under the headings data repairs, run and counterfactual, without empty headings.

    Parameters
    ----------
    counts : mapping of str to int
        Those of a manifest: repairs are called ``<source>: <what>``, counts of the counterfactual
        ``counterfactual: <what>``, those of the run by what was counted alone.

    Examples
    --------
    >>> count_groups({"orders": 3120, "counterfactual: orders": 0, "fontana: gaps_filled": 2})
    {'data repairs': [('fontana: gaps filled', '2')], 'run': [('orders', '3,120')], 'counterfactual': [('orders', '0')]}
    """
    groups: dict[str, list[tuple[str, str]]] = {"data repairs": [], "run": [], "counterfactual": []}
    for what, number in sorted(counts.items()):
        group = "counterfactual" if what.startswith(_COUNTERFACTUAL) else "data repairs" if ": " in what else "run"
        groups[group].append((what.removeprefix(_COUNTERFACTUAL).replace("_", " "), f"{number:,}"))
    return {heading: rows for heading, rows in groups.items() if rows}


def card_rows(card: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what a report shows of a model card: all but its measures and how it was learned, which stand on the card.

    Parameters
    ----------
    card : mapping
        As in a manifest.

    Examples
    --------
    >>> card_rows({"kind": "lstm", "splits": {"train": ["2016-08-01", "2017-04-30"]}, "metrics": {"test": {}}})
    [('kind', 'lstm'), ('train', '2016-08-01 to 2017-04-30')]
    """
    rows = []
    for key, value in sorted(card.items()):
        if key == "splits":
            rows += [(name, " to ".join(days)) for name, days in value.items()]
        elif not isinstance(value, dict | list | tuple):
            rows.append((key.replace("_", " "), str(value)))
    return rows


def wall_rows(wall_s: Mapping[str, float]) -> list[tuple[str, str]]:
    """Return wall times [s] with labels that say what holds what.

    Parameters
    ----------
    wall_s : mapping of str to float
        Those of a manifest: phases of the run with the VPP by name, and the times of larger parts [s].

    Examples
    --------
    >>> wall_rows({"METER": 1.0, "FLOW": 2.0, "whole": 5.0, "counterfactual": 3.0, "both and summary": 9.0})[:2]
    [('phases of a tick, with VPP', '3.00 s: FLOW 2.00, METER 1.00'), ('set-up, chain and other, with VPP', '2.00 s')]
    """
    phases = {name: s for name, s in wall_s.items() if name not in (_SOLVER, _WHOLE, _THEIRS, _BOTH)}
    rows = []
    if phases:
        parts = ", ".join(f"{name} {seconds:.2f}" for name, seconds in sorted(phases.items()))
        rows.append(("phases of a tick, with VPP", f"{sum(phases.values()):.2f} s: {parts}"))
    if _SOLVER in wall_s:
        rows.append(("in them: retail price solver", f"{wall_s[_SOLVER]:.2f} s"))
    if _WHOLE in wall_s:
        rows.append(("set-up, chain and other, with VPP", f"{wall_s[_WHOLE] - sum(phases.values()):.2f} s"))
    whole = {_WHOLE: "whole run with VPP", _THEIRS: "whole counterfactual", _BOTH: "both, with bills and KPIs"}
    return rows + [(label, f"{wall_s[name]:.2f} s") for name, label in whole.items() if name in wall_s]


def counterfactual_text(scenario: Mapping[str, Any]) -> str:
    """Return what the run without the VPP is made of, from the section of a resolved scenario that says so.

    Examples
    --------
    >>> print(counterfactual_text({"counterfactual": {"battery": "self_consumption", "demand_response": "none"}}))
    By the scenario's section "counterfactual": batteries run by self_consumption, demand response none.
    """
    section = scenario.get("counterfactual") or {}
    labels = {
        "battery": "batteries run by", "demand_response": "demand response",
        "forecaster": "retailer's forecasts of load and sun by",
    }  # fmt: skip
    parts = [f"{label} {section[key]}" for key, label in labels.items() if key in section]
    return f'By the scenario\'s section "counterfactual": {", ".join(parts)}.' if parts else ""
