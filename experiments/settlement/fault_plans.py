"""What a fault run is: faults, kind of settlement, accounts, statements, and direct trades, all drawn from its seed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from vpp_sim.chain.faults import FaultSchedule, Occasions, Reorganisation
from vpp_sim.chain.statements import READING_LINE, TRADE_LINE, Statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vpp_sim.arrays import IntArray

START_S, SETUP_S, BLOCK_S = 1_700_000_000, 3_600, 12
GWEI, INITIAL_MICRO_EUR = 10**9, 10**9
KINDS = ("netted", "proof")
"""Kinds that are drawn from, unless others are asked for."""


@dataclass(frozen=True)
class Plan:
    """What a run is, drawn from its seed."""

    seed: int
    kind: str
    accounts: int
    periods: int
    period_s: int
    window_s: int
    confirmations: int
    patience_s: int
    distribution: str
    gas_price_wei: int
    schedule: FaultSchedule


def plan_of(seed: int, kinds: Sequence[str] = KINDS) -> Plan:
    """Draw a run."""
    rng = np.random.default_rng([seed, 1])
    periods, period_s = int(rng.integers(12, 25)), int(rng.choice([120, 300, 600]))
    duration_s = periods * period_s + 3_600
    severity = rng.random(6)  # how bad each kind of fault is in this run
    per_day = 86_400 / duration_s
    schedule = FaultSchedule.draw(
        rng,
        start_s=START_S,
        duration_s=duration_s,
        dropped_share=0.4 * severity[0],
        delayed_share=0.5 * severity[1],
        delay_s=float(rng.choice([20, 120, 600])),
        fee_spikes=Occasions(per_day=4 * severity[2] * per_day),
        spike_s=int(rng.integers(60, 1_800)),
        spike_factor=float(rng.choice([1.5, 5, 20, 200])),
        outages=Occasions(per_day=3 * severity[3] * per_day),
        outage_s=int(rng.choice([30, 300, 3_600])),
    )
    ends = period_s * rng.integers(1, periods + 1, rng.poisson(24 * severity[4]))  # soon after payments were sent
    times = np.sort(ends + rng.integers(0, 8 * BLOCK_S, ends.size))
    undone = tuple(
        Reorganisation(START_S + int(at_s), int(rng.integers(1, 8)), waits=bool(rng.random() < 0.5)) for at_s in times
    )
    again = float(rng.uniform(0, 1))
    return Plan(
        seed=seed,
        kind=str(rng.choice(list(kinds))),
        accounts=int(rng.integers(5, 15)),
        periods=periods,
        period_s=period_s,
        window_s=int(rng.choice([120, 600, 1_800])),
        confirmations=int(rng.integers(1, 5)),
        patience_s=int(rng.choice([24, 60, 180])),
        distribution=str(rng.choice(["regular", "exponential"])),
        gas_price_wei=int(rng.integers(1, 60)) * GWEI,
        schedule=replace(
            schedule, reorganisations=undone, undone_again_share=again, undone_lost_share=(1 - again) * severity[5]
        ),
    )


def statements_of(plan: Plan) -> list[Statement]:
    """Draw what is to be settled: random accounts, amounts and trades; in some periods nothing moves."""
    rng = np.random.default_rng([plan.seed, 2])
    found = []
    for period in np.flatnonzero(rng.random(plan.periods) < 0.9).tolist():
        member = np.sort(rng.permutation(plan.accounts)[: int(rng.integers(2, plan.accounts + 1))])
        amount, traded = rng.integers(-(10**6), 10**6, (2, member.size))
        amount[-1] -= amount.sum()
        traded[-1] -= traded.sum()
        trades = np.zeros(int(rng.integers(0, 6)), dtype=TRADE_LINE)
        trades["buyer"], trades["seller"] = rng.integers(0, plan.accounts, (2, trades.size))
        trades["energy_wh"], trades["price_micro_eur_per_kwh"] = rng.integers(1, 10**5, (2, trades.size))
        columns = member.astype(np.int64), amount, traded
        readings = readings_of(plan, period) if plan.kind == "direct" else {}
        found.append(Statement(period, *columns, trades if plan.kind == "proof" else trades[:0], **readings))
    return found


def trades_of(plan: Plan, period: int) -> list[tuple[int, np.ndarray]]:
    """Draw the direct trades of a period, with the times at which they are told [s]."""
    rng = np.random.default_rng([plan.seed, 5, period])
    begin_s, found = START_S + period * plan.period_s, []
    for at_s in sorted({0, *rng.integers(0, plan.period_s, 3).tolist(), plan.period_s - int(rng.integers(1, 15))}):
        trades = np.zeros(int(rng.integers(0, 4)), dtype=TRADE_LINE)
        trades["buyer"] = rng.integers(0, plan.accounts, trades.size)
        trades["seller"] = (trades["buyer"] + rng.integers(1, plan.accounts, trades.size)) % plan.accounts
        trades["energy_wh"] = rng.integers(1, 10**5, trades.size)
        trades["price_micro_eur_per_kwh"] = rng.integers(0, 10 ** int(rng.integers(1, 8)), trades.size)
        found.append((begin_s + at_s, trades))
    return found


def readings_of(plan: Plan, period: int) -> dict[str, np.ndarray]:
    """Draw what the meters of a period measured: enough for some sellers' trades, too little for others'."""
    rng = np.random.default_rng([plan.seed, 6, period])
    readings = np.zeros(plan.accounts, dtype=READING_LINE)
    readings["member"], readings["energy_wh"] = np.arange(plan.accounts), rng.integers(-(10**5), 10**4, plan.accounts)
    return {"readings": readings}


def agenda_of(plan: Plan) -> list[tuple[int, str, tuple[Any, ...]]]:
    """Return what the client is told, and when: each trade before its period is over, each statement right after."""
    told: list[tuple[int, str, tuple[Any, ...]]] = []
    for statement in statements_of(plan):
        period, first = statement.period, 0
        for at_s, trades in trades_of(plan, period) if plan.kind == "direct" else ():
            told.append((at_s, "open", (period, trades, at_s, first)))
            first += trades.size
        end_s = START_S + (period + 1) * plan.period_s
        told.append((end_s, "submit", (statement, end_s)))
    return told


def initial_micro_eur(plan: Plan) -> IntArray:
    """Return what every account starts with [micro-euro]."""
    return np.full(plan.accounts, INITIAL_MICRO_EUR, dtype=np.int64)
