"""The README's tables, from the figures."""

from __future__ import annotations

from typing import Any

from community import SIZES, SUN
from study_program import table

MIDDLE = 100
SIX = {
    "value_tapping": "value",
    "participation_willingness": "willingness",
    "equality": "equality",
    "energy_balance": "balance",
    "power_flatness": "flatness",
    "self_sufficiency": "self-sufficiency",
}


def table_of(figures: dict[str, Any]) -> str:
    """Return all tables."""
    parts = [_who_gains, _honest, _private, _zhou, _overall, _sizes, _strategies, _speed]
    return "\n".join(part(figures) for part in parts)


def _share(value: float | None) -> str:
    """Return a share in percent, as text."""
    return "–" if value is None else f"{100 * value:.1f}".replace("-0.0", "0.0")


def _index(value: float) -> str:
    return f"{value:.3f}".replace("-0.000", "0.000")


def _case(sun: str, bidding: str = "truthful", homes: int = MIDDLE) -> str:
    return f"{sun}/{homes}/{bidding}"


def _suns(figures: dict[str, Any]) -> list[str]:
    return [sun for sun in SUN if _case(sun) in next(iter(figures["gini"].values()))]


def _who_gains(figures: dict[str, Any]) -> str:
    keys = ("buyers_share", "sellers_share", "budget_residual")
    rows = [
        [name, *(" / ".join(_share(figures[key][name][_case(sun)]) for key in keys) for sun in _suns(figures))]
        for name in figures["gini"]
    ]
    title = f"Who gets the gain from trade, {MIDDLE} homes, truthful [% of the largest gain; buyers / sellers / market]"
    return table(title, ["mechanism", *_suns(figures)], rows)


def _honest(figures: dict[str, Any]) -> str:
    heads = ["mechanism", *(f"Gini, {sun}" for sun in _suns(figures)), "orders worse off [%]", "homes worse off [%]"]
    rows = [
        [
            name,
            *(_index(figures["gini"][name][_case(sun)]) for sun in _suns(figures)),
            _share(figures["rationality_violations"][name][_case("balanced")]),
            _share(figures["homes_worse_off"][name][_case("balanced")]),
            _share(figures["misreport_gain"][name][_case("balanced")]),
            _share(figures["misreport_greatest"][name][_case("balanced")]),
        ]
        for name in figures["gini"]
    ]
    heads += ["best lie, mean [% of stake]", "best lie, greatest"]
    return table(f"Equality, losers and lies, {MIDDLE} homes, truthful (the last four: balanced)", heads, rows)


def _private(figures: dict[str, Any]) -> str:
    keys = ("welfare_share", "told_welfare_share", "budget_residual", "limit_violations", "misreport_gain")
    keys += ("misreport_greatest",)
    heads = ["mechanism", "welfare by outside options [%]", "welfare by limits [%]", "left over [%]"]
    heads += ["orders beyond their limits [%]", "best lie, mean [% of stake]", "best lie, greatest"]
    case = _case("balanced", "zero_intelligence")
    rows = [[name, *(_share(figures[key][name][case]) for key in keys)] for name in figures["gini"]]
    return table(f"Limits at random, balanced, {MIDDLE} homes", heads, rows)


def _zhou(figures: dict[str, Any]) -> str:
    case = _case("balanced")
    rows = [
        [name, *(_index(figures["zhou"][name][case][key]) for key in SIX), _index(figures["zhou_overall"][name][case])]
        for name in figures["gini"]
    ]
    title = f"Zhou's indices, balanced, {MIDDLE} homes that respond, truthful"
    return table(title, ["mechanism", *SIX.values(), "overall"], rows)


def _overall(figures: dict[str, Any]) -> str:
    columns = [(sun, homes) for homes in SIZES for sun in _suns(figures)]

    def row(head: str, figure: str, name: str) -> list[str]:
        mean, spread = figures[figure][name], figures["spread"][figure][name]
        cases = [_case(sun, homes=homes) for sun, homes in columns]
        return [head, *(f"{mean[case]:.3f} ± {spread[case]:.3f}" for case in cases)]

    rows = [row(name, "zhou_overall", name) for name in figures["gini"]]
    equally = "zhou_overall_charged_equally"
    differs = [name for name in figures["gini"] if figures[equally][name] != figures["zhou_overall"][name]]
    rows += [row(f"{name}, deficit charged equally", equally, name) for name in differs]
    heads = ["mechanism", *(f"{sun}, {homes:,}" for sun, homes in columns)]
    return table(
        f"Zhou's overall index, truthful (mean and standard deviation of {figures['seeds']} seeds)", heads, rows
    )


def _sizes(figures: dict[str, Any]) -> str:
    keys = ("told_welfare_share", "budget_residual", "misreport_gain")
    rows = [
        [
            name,
            *(
                " / ".join(_share(figures[key][name][_case("balanced", "zero_intelligence", homes)]) for key in keys)
                for homes in SIZES
            ),
        ]
        for name in figures["gini"]
    ]
    title = "Size, limits at random, balanced [%: welfare by limits / left over / mean gain of the best lie]"
    return table(title, ["mechanism", *(f"{homes:,} homes" for homes in SIZES)], rows)


def _strategies(figures: dict[str, Any]) -> str:
    rows = [
        [sun, market, *(f"{_share(row['buyers_share'])} / {_share(row['sellers_share'])}" for row in by_name.values())]
        for sun, by_market in figures["strategies"].items()
        for market, by_name in by_market.items()
    ]
    names = next(iter(next(iter(figures["strategies"].values())).values()))
    title = "Strategies, 100 homes, the last two of four weeks in July [% of the largest gain; buyers / sellers]"
    return table(title, ["sun", "market", *names], rows)


def _speed(figures: dict[str, Any]) -> str:
    rows = [[name, f"{took:,.2f}"] for name, took in figures["clear_10000_ms"].items()]
    return table(f"Clearing {figures['timed_orders']:,} orders, median", ["mechanism", "ms"], rows)
