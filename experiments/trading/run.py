"""Run the study of local trading and write its figures; ``--quick`` does a small version, writing nothing.

Stages are ``cases`` (every mechanism in every community), ``strategies`` (what learning and forecasts are worth) and
``speed`` (the time to clear ten thousand orders), one after the other; ``--only`` runs some of them again and merges
their figures.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import numpy as np  # noqa: E402
from community import CASES, DAYS, SIZES, Case, Draws, community  # noqa: E402
from drawing import draw_mechanisms, draw_zhou  # noqa: E402
from measure import LIE_HOURS, measure  # noqa: E402
from mechanisms import ARGUMENTS, load  # noqa: E402
from strategies import learn, learn_all  # noqa: E402
from study_program import Page, Stage, command_line, pool_of, run_in_stages  # noqa: E402
from tables import table_of  # noqa: E402

__all__ = ["table_of"]

SEEDS, ORDERS, TIMED = 3, 10_000, 7
NOT_LYING = {"shapley": 100, "admm": 0, "network_aware": 0}
"""Mechanism to size of community beyond which its lies are not searched, because that takes too long."""
ZHOU = {"zhou": "zhou_overall", "zhou_charged_equally": "zhou_overall_charged_equally"}
"""Zhou's six, by how members pay what the market lacks, to the name of their mean."""
PLAIN = (
    "welfare_share",
    "told_welfare_share",
    "budget_residual",
    "buyers_share",
    "sellers_share",
    "rationality_violations",
    "limit_violations",
    "community_losses",
    "homes_worse_off",
    "gini",
    "misreport_gain",
)
GREATEST = "misreport_greatest"


def _pooled(work: Callable[..., Any], tasks: Sequence[tuple[Any, ...]], jobs: int) -> list[Any]:
    """Do all tasks, some at once, and return what they found in their order."""
    with pool_of(jobs) as pool:
        return list(pool.map(work, *zip(*tasks, strict=True)))


def _mean(values: Sequence[Any]) -> Any:
    """Return the mean over seeds of numbers, or of mappings key by key; nothing where nothing was measured."""
    if isinstance(values[0], dict):
        return {key: _mean([value[key] for value in values]) for key in values[0]}
    known = [value for value in values if value is not None]
    return round(float(np.mean(known)), 6) + 0.0 if known else None


def _greatest(values: Sequence[float | None]) -> float | None:
    """Return the greatest over seeds; nothing where nothing was measured."""
    known = [value for value in values if value is not None]
    return round(max(known), 6) + 0.0 if known else None


def _spread(values: Sequence[float | None]) -> float | None:
    """Return the standard deviation over seeds."""
    known = [value for value in values if value is not None]
    return round(float(np.std(known, ddof=1)), 6) + 0.0 if len(known) > 1 else None


def cases(*, jobs: int, quick: bool) -> dict[str, Any]:
    """Return every index of every mechanism and case: mean, of the best lie the greatest too, and spread over seeds."""
    seeds, days = (1, 1) if quick else (SEEDS, len(DAYS))
    chosen = [case for case in CASES if case.homes == SIZES[0]] if quick else CASES
    # The largest first, so that no core waits long at the end.
    tasks = [(case, seed) for case in sorted(chosen, key=lambda case: -case.homes) for seed in range(seeds)]
    done = dict(
        zip(
            tasks,
            _pooled(partial(_case, days=days, lie_hours=LIE_HOURS[:1] if quick else LIE_HOURS), tasks, jobs),
            strict=True,
        )
    )

    def over_seeds(name: str, case: Case, figure: str) -> list[Any]:
        return [done[case, seed][name][figure] for seed in range(seeds)]

    def table(figure: str, fold: Callable[[Any], Any]) -> dict[str, dict[str, Any]]:
        stated = [case for case in chosen if figure not in ZHOU or case.bidding == "truthful"]
        return {name: {case.name: fold(over_seeds(name, case, figure)) for case in stated} for name in ARGUMENTS}

    found: dict[str, Any] = {figure: table(figure, _mean) for figure in (*PLAIN, "zhou")}
    found[GREATEST] = table(GREATEST, _greatest)
    spread = {figure: table(figure, _spread) for figure in (*PLAIN, GREATEST)}
    for figure, overall in ZHOU.items():
        found[overall] = table(figure, _overall_of_mean)
        spread[overall] = table(figure, _spread_of_overall)
    return {
        **found,
        "spread": spread,
        "seeds": seeds,
        "not_searched_for_lies": {k: f"above {v} homes" for k, v in NOT_LYING.items()},
    }


def _case(case: Case, seed: int, *, days: int, lie_hours: Sequence[int]) -> dict[str, Any]:
    lying = [name for name in ARGUMENTS if case.homes <= NOT_LYING.get(name, case.homes)]
    return measure(case, seed, tuple(ARGUMENTS), lying, days=days, lie_hours=lie_hours)


def _overall(six: dict[str, float]) -> float:
    """Return the mean of Zhou's six, which is that of his economic and his technical index."""
    return round(float(np.mean(list(six.values()))), 6)


def _overall_of_mean(sixes: Sequence[dict[str, float]]) -> float:
    return _overall(_mean(sixes))


def _spread_of_overall(sixes: Sequence[dict[str, float]]) -> float | None:
    return _spread([_overall(six) for six in sixes])


def bidding(*, jobs: int, quick: bool) -> dict[str, Any]:
    """Return what each strategy brings in each auction."""
    tasks = learn_all(1 if quick else SEEDS, quick=quick)
    done = _pooled(_learn, tasks, jobs)
    by_sun: dict[str, list[Any]] = {}
    for (sun, *_), row in zip(tasks, done, strict=True):
        by_sun.setdefault(sun, []).append(row)
    return {"strategies": {sun: _mean(rows) for sun, rows in by_sun.items()}}


def _learn(sun: str, seed: int, length: dict[str, int]) -> dict[str, Any]:
    return learn(sun, seed, **length)


def speed(*, jobs: int, quick: bool) -> dict[str, Any]:
    """Return the median time to clear one book of ten thousand orders, noon of the third day, one process alone."""
    case = Case("balanced", ORDERS // 20 if quick else ORDERS, "zero_intelligence")
    people = community(case.sun, case.homes, 0)
    net, noon = people.load_kwh - people.sun_kwh, 2 * 24 + 12
    book = Draws(case, 0, len(net)).book(noon, net[noon])
    return {
        "clear_10000_ms": {name: _median_ms(partial(load(name, case.homes).clear, book)) for name in ARGUMENTS},
        "timed_orders": int(book.buyer.size + book.seller.size),
    }


def _median_ms(work: Callable[[], Any]) -> float:
    """Return the median of a few runs after a first one; one run only where that takes seconds."""
    took: list[float] = []
    for _ in range(TIMED + 1):
        begun = time.perf_counter()
        work()
        took.append(1e3 * (time.perf_counter() - begun))
        if took[0] > 3e3:
            break
    return round(float(np.median(took[1:] or took)), 3)


STAGES: dict[str, Stage] = {"cases": cases, "strategies": bidding, "speed": speed}


def draw(figures: dict[str, Any], folder: Path) -> None:
    """Draw both pictures."""
    draw_mechanisms(figures, folder / "mechanisms.png")
    draw_zhou(figures, folder / "zhou.png")


PAGE = Page(HERE, table_of, draw)


def main() -> None:
    """Run the study; the last line printed is one JSON object of its figures."""
    parser = command_line(__doc__, quick="thirteen homes, one day and one seed; writes nothing")
    run_in_stages(PAGE, STAGES, parser, jobs=os.cpu_count() or 1)


if __name__ == "__main__":
    main()
