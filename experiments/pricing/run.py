"""Run the study of prices and bids and write its figures; ``--quick`` does a small version, writing nothing.

Stages are ``speed``, ``tariffs`` and ``bids``, one after the other. ``--only`` runs some again and merges them.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import bidding_year  # noqa: E402
import desk_figures  # noqa: E402
import desk_speed  # noqa: E402
import retail_year  # noqa: E402
from study_program import Page, Stage, command_line, pool_of, run_in_stages, table  # noqa: E402

MAIN_YEAR, MAIN_TRUTH = "2016/17", "mixed"
MAIN = ("profit_eur", "consumer_surplus_eur", "worse_off_share", "peak_kw")


def timed(*, jobs: int, quick: bool) -> dict[str, Any]:
    """Return what solves and bids take, with nothing beside them."""
    found = desk_speed.study(quick=quick)
    return {
        "retail_solve_ms": {name: row["in_all_ms"] for name, row in found["retail"].items()},
        "cvar_bid_s": {name: row["in_all_s"] for name, row in found["bid"].items()},
        "speed": found,
    }


def priced(*, jobs: int, quick: bool) -> dict[str, Any]:
    """Return what the tariffs brought; the main keys are of the homes' own year, for homes that shift too."""
    with pool_of(jobs) as pool:
        found = retail_year.study(pool, quick=quick)
    main = found["cases"][MAIN_YEAR][MAIN_TRUTH]["tariffs"]
    figures = {key: {name: row[key]["mean"] for name, row in main.items()} for key in MAIN}
    regret = {name: row["profit_regret_eur"]["mean"] for name, row in main.items()}
    return figures | {"pf_regret": {"tariffs_eur_a_year": regret}, "main_case": [MAIN_YEAR, MAIN_TRUTH]} | found


def bid(*, jobs: int, quick: bool) -> dict[str, Any]:
    """Return what the bids cost."""
    with pool_of(jobs) as pool:
        found = bidding_year.study(pool, quick=quick)
    regret = {name: row["regret_eur"]["mean"] for name, row in found.items()}
    return {"bids": found, "pf_regret": {"bids_eur_a_day": regret}}


STAGES: dict[str, Stage] = {"speed": timed, "tariffs": priced, "bids": bid}


def table_of(figures: dict[str, Any]) -> str:
    """Return the README's tables."""
    parts = [_case_table(figures, year, truth) for year in figures["cases"] for truth in figures["cases"][year]]
    parts += [_learnt_table(figures), _trials_table(figures["dither_trials"])]
    return "\n".join([*parts, _bids_table(figures["bids"]), _speed_table(figures["speed"])])


def _span(found: dict[str, float], digits: int = 1) -> str:
    mean = f"{found['mean']:,.{digits}f}"
    low, high = f"{found['min']:,.{digits}f}", f"{found['max']:,.{digits}f}"
    return mean if low == high else f"{mean} ({low} to {high})"


def _case_table(figures: dict[str, Any], year: str, truth: str) -> str:
    case = figures["cases"][year][truth]
    fewer = figures["fewer_seeds"]
    marks = {
        name: ("" if tariff.promised else " *") + (" †" if name in fewer["tariffs"] else "")
        for name, tariff in retail_year.TARIFFS.items()
    }
    rows = [
        [
            name + marks[name],
            *(_span(row[key]) for key in ("profit_eur", "consumer_surplus_eur")),
            f"{100 * row['worse_off_share']['mean']:.0f} %",
            f"{row['worst_home_eur']['min']:.2f}",
            f"{row['refund_eur']['mean']:.2f}",
            *(_span(row[key]) for key in ("peak_kw", "daily_peak_kw", "profit_regret_eur", "welfare_regret_eur")),
            f"{100 * row['within_day_eur_per_kwh']['mean']:.1f}",
        ]
        for name, row in case["tariffs"].items()
    ]
    first = f"tariff (* no promise, † {fewer['seeds']} draws)"
    heads = [first, "profit [EUR]", "consumer surplus [EUR]", "worse off", "worst home [EUR]"]
    heads += ["refunds [EUR]", "peak [kW]", "mean daily peak [kW]", "regret: profit [EUR]", "regret: both [EUR]"]
    what = {
        "elastic": "answer smoothly",
        "mixed": "answer smoothly and shift",
        "tied": "shift as believed, not at ties",
    }
    title = (
        f"Prices of {year}, homes that {what[truth]}: {figures['days']} days, by default "
        f"{figures['default_eur_per_kwh'][year]} EUR/kWh and {figures['default_bill_eur'][year]:,} EUR of bills"
    )
    return table(title, [*heads, "spread within a day [ct/kWh]"], rows)


def _learnt_table(figures: dict[str, Any]) -> str:
    def own(row: dict[str, Any], source: str, digits: int) -> str:
        mean, low, high = (row[f"{source}own{end}"]["mean"] for end in ("", "_low", "_high"))
        return f"{mean:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"

    rows = [
        [
            year,
            truth,
            f"{row['true_own']['mean']:.3f}",
            own(row, "", 3),
            own(row, "alone_", 2),
            own(row, "controlled_", 3),
            *(f"{row[key]['mean']:,.0f}" for key in ("prior_precision", "alone_precision", "controlled_precision")),
            *(f"{row[key]['mean']:.3f}" for key in ("alone_noise", "controlled_noise")),
        ]
        for year, found in figures["learnt"].items()
        for truth, row in found.items()
    ]
    heads = ["prices", "homes", "true, smooth part", "believed", "data alone", "data, demand known"]
    heads += [f"precision of the {of}" for of in ("prior", "data", "data, demand known")]
    heads += ["noise", "noise, demand known"]
    return table("Own elasticity after a year, with 90 % intervals", heads, rows)


def _trials_table(found: list[dict[str, Any]]) -> str:
    rows = [
        [
            f"{row['homes']}",
            f"{100 * row['move']:.0f} %",
            f"{row['off']:.3f}",
            f"{row['said']:.3f}",
            *(f"{100 * covered:.0f} %" for covered in row["covered"].values()),
            f"{row['precision']:,.0f}",
            f"{row['days_to_match_the_prior']:,}",
        ]
        for row in found
    ]
    heads = ["homes", "moves", "estimates are off by", "they say"]
    heads += [f"90 % intervals that hold, an hour worth {share}" for share in found[0]["covered"]]
    heads += ["precision", "days to weigh as much as the prior"]
    return table(f"Sixty days of moved prices without a prior, {found[0]['trials']} trials each", heads, rows)


def _bids_table(found: dict[str, Any]) -> str:
    def told(row: dict[str, Any], key: str) -> str:
        return "–" if row[key] is None else f"{row[key]:.2f}"

    rows = [
        [
            name,
            f"{row['days']}",
            *(_span(row[key], 2) for key in ("mean_eur", "cvar_eur")),
            *(told(row, key) for key in ("promised_mean_eur", "promised_cvar_eur")),
            _span(row["regret_eur"], 2),
            f"{row['bought_kwh']:.0f}",
            f"{row['bid_s']:.3f}",
        ]
        for name, row in found.items()
    ]
    heads = [
        "bidder",
        "days",
        "mean",
        "CVaR 0.9",
        "mean as scenarios said",
        "CVaR as scenarios said",
        "regret",
        "bought [kWh]",
    ]
    drawn = next(iter(row["drawn_kwh"] for row in found.values() if not row["battery"]))
    title = f"Bids: cost beyond the expected, EUR a day (homes draw {drawn:.0f} kWh a day net)"
    return table(title, [*heads, "s a bid"], rows)


def _speed_table(found: dict[str, Any]) -> str:
    keys = ("in_all_ms", "solver_ms", "around_ms", "processor_ms", "first_ms")
    rows = [
        [f"retail, 96 steps, {name}", *(f"{row[key]:.1f}" for key in keys)] for name, row in found["retail"].items()
    ]
    for name, row in found["bid"].items():
        in_all, solver, processor = (1e3 * row[key] for key in ("in_all_s", "solver_s", "processor_s"))
        times = (in_all, solver, in_all - solver, processor)
        rows.append([f"CVaR bid, 200 x 96, {name}", *(f"{value:.0f}" for value in times), "–"])
    heads = ["warm, ms", "in all", "in the solver", "CVXPY and checks", "processor time", "the first, compiling"]
    return table("Speed", heads, rows)


PAGE = Page(HERE, table_of, desk_figures.draw_all)


def main() -> None:
    """Run the study; the last line printed is one JSON object of its figures."""
    logging.basicConfig(level=logging.ERROR)
    logging.getLogger(retail_year.__name__).setLevel(logging.INFO)
    parser = command_line(__doc__, quick="a few days and one seed; writes nothing")
    run_in_stages(PAGE, STAGES, parser, gathered=("pf_regret",))


if __name__ == "__main__":
    main()
