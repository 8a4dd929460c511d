"""How often to settle: gas, latency and escrowed money by settlement interval, kind and block time.

A week of the shipped scenario is simulated once, in quarter-hour ticks and without a chain. Its ledger, thirteen homes
and three other accounts, is then settled on revm through :class:`~vpp_sim.chain.settlement.SettlementClient`, once for
each case. Blocks come at whole multiples of the block time, a statement goes out in the very second in which its period
ends, and is too late for the block of that second. After the last case's block, chain and ledger are compared.

- *Gas* is that of all transactions of the week; deployment and deposits are left out.
- *Latency* is the time from the middle of the quarter hour in which load was served until the last transaction of its
  period is confirmed, weighted with the homes' load [kWh].
- *Escrow* is the greatest sum, over all homes and at the end of any quarter hour, of what each owes and has not paid
  for good. A home that is owed money counts as zero.

``direct`` pays nothing but trades between homes, each by three transactions or fewer (its opening, its payment, a
reading a seller and period). Its gas is measured on the week's trades; its latency is arithmetic, two blocks (readings,
then payments) and the confirmations after the period's end, weighted with the traded energy; its escrow is the cost of
all trades that are open at once, each from the beginning of its quarter hour.
"""

from __future__ import annotations

import tempfile
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import kinds
import numpy as np
import pandas as pd

from vpp_sim.agents.inputs import load_inputs, open_models
from vpp_sim.chain.market import OFFICERS, Terms, deploy_market, fund
from vpp_sim.chain.outbox import Outbox
from vpp_sim.chain.revm import RevmChain
from vpp_sim.chain.settlement import SettledPeriod, SettlementClient, open_market
from vpp_sim.chain.statements import TRADE_LINE, Statement
from vpp_sim.scenario.loader import load_scenario
from vpp_sim.simulation import simulate
from vpp_sim.units import MICRO_EUR_PER_EUR, SECONDS_PER_HOUR, WEI_PER_NATIVE, to_micro_eur, to_wh

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vpp_sim.arrays import FloatArray, IntArray

SCENARIO = Path(__file__).resolve().parents[2] / "scenarios" / "fontana.yaml"
STEP_S, START_S, WINDOW_S, CONFIRMATIONS, PATIENCE_S, SEED = 900, 1_500_000_000, SECONDS_PER_HOUR, 3, 600, 7
DEPOSIT_MICRO_EUR, BOND_MICRO_EUR, AWARD_MICRO_EUR = 10**10, 10**9, 10**6
INTERVALS_S, BLOCK_TIMES_S, KINDS = (900, 3_600, 14_400, 86_400), (2, 12, 60), ("netted", "proof", "direct")
GAS_PRICES_GWEI = {"1_gwei": 10**9, "0.01_gwei": 10**7}
"""Name to price of gas [wei]: the scenario's, and one as on a layer-2 network."""
NATIVE_EUR = 2_500.0
BLOCKS_OF_DIRECT = 2


@dataclass(frozen=True, slots=True)
class Week:
    """What is settled.

    Attributes
    ----------
    homes : int
        How many of the accounts, the first, are homes.
    amount_micro_eur, traded_wh : ndarray of int64, shape (T, n)
        What each account pays [micro-euro], and bought less sold [Wh], in each tick.
    trades : ndarray of TRADE_LINE, shape (k,)
        All trades.
    trade_tick : ndarray of int64, shape (k,)
        Their ticks.
    load_kwh : ndarray, shape (T,)
        Load of all homes [kWh].
    """

    homes: int
    amount_micro_eur: IntArray
    traded_wh: IntArray
    trades: np.ndarray
    trade_tick: IntArray
    load_kwh: FloatArray

    @property
    def accounts(self) -> int:
        """How many accounts there are."""
        return int(self.amount_micro_eur.shape[1])

    def tick_mid_s(self) -> FloatArray:
        """Return the middle of each tick, from the start [s]."""
        middles: FloatArray = (np.arange(self.load_kwh.size) + 0.5) * STEP_S
        return middles


class Case(NamedTuple):
    """One cell of the sweep."""

    interval_s: int
    kind: str
    block_time_s: int


def simulate_week(days: int) -> Week:
    """Run the shipped scenario without a chain and return what its accounts owe."""
    scenario = load_scenario(SCENARIO, {"chain": None, "clock.step": "15min", "clock.days": days})
    inputs = load_inputs(scenario)
    with tempfile.TemporaryDirectory() as folder:
        simulate(scenario, inputs, open_models(scenario), Path(folder))
        tables = {
            name: pd.read_parquet(Path(folder) / f"{name}.parquet") for name in ("ledger", "trades", "timeseries")
        }
    return week_of(inputs.fleet.names, **tables)


def week_of(homes: Sequence[str], ledger: pd.DataFrame, trades: pd.DataFrame, timeseries: pd.DataFrame) -> Week:
    """Return what the tables of a run say."""
    names = pd.Index([*homes, "vpp", "wholesale", "grid_operator"])
    amount, traded = np.zeros((2, len(timeseries), names.size), dtype=np.int64)
    np.add.at(amount, (ledger["step"], names.get_indexer(ledger["account"])), ledger["amount_micro_eur"])
    lines = np.empty(len(trades), dtype=TRADE_LINE)
    lines["buyer"], lines["seller"] = (names.get_indexer(trades[side]) for side in ("buyer", "seller"))
    lines["energy_wh"] = to_wh(trades["delivered_kwh"].to_numpy())
    lines["price_micro_eur_per_kwh"] = to_micro_eur(trades["price_eur_per_kwh"].to_numpy())
    tick = trades["step"].to_numpy().astype(np.int64)
    for side, sign in (("buyer", 1), ("seller", -1)):
        np.add.at(traded, (tick, lines[side]), sign * lines["energy_wh"])
    delivered = lines["energy_wh"] > 0
    load_kwh = timeseries["load_kw"].to_numpy() * STEP_S / SECONDS_PER_HOUR
    return Week(len(homes), amount, traded, lines[delivered], tick[delivered], load_kwh)


def statements_of(week: Week, interval_s: int, *, with_trades: bool) -> Iterator[Statement]:
    """Yield a statement for each period in which anything moved."""
    ticks = interval_s // STEP_S
    first = np.arange(0, week.load_kwh.size, ticks)
    amounts, traded = (np.add.reduceat(column, first) for column in (week.amount_micro_eur, week.traded_wh))
    for period in range(first.size):
        member = np.flatnonzero((amounts[period] != 0) | (traded[period] != 0))
        if member.size:
            lines = week.trades[week.trade_tick // ticks == period] if with_trades else week.trades[:0]
            yield Statement(period, member, amounts[period][member], traded[period][member], lines)


def settle(week: Week, case: Case) -> dict[str, Any]:
    """Settle the week through the client, compare chain and ledger, and return the figures of a case."""
    terms = Terms(START_S, case.interval_s, WINDOW_S, BOND_MICRO_EUR, AWARD_MICRO_EUR)
    chain = RevmChain(accounts=week.accounts + OFFICERS, seed=SEED, genesis_timestamp_s=START_S - SECONDS_PER_HOUR)
    outbox, deposits = Outbox(), np.full(week.accounts, DEPOSIT_MICRO_EUR)
    client = SettlementClient(
        open_market(chain, outbox, terms=terms, initial_micro_eur=deposits),
        names=[f"account_{i}" for i in range(week.accounts)],
        initial_micro_eur=deposits,
        kind=case.kind,
        confirmations=CONFIRMATIONS,
        patience_s=PATIENCE_S,
        outbox=outbox,
    )
    final = drive(client, terms, list(statements_of(week, case.interval_s, with_trades=client.proves_trades)), case)
    client.reconcile(deposits - week.amount_micro_eur.sum(axis=0))
    period = np.array([settled.period for settled in final])
    final_s = np.array([settled.confirmed_s - START_S for settled in final])
    gas = sum(settled.gas_used for settled in final)
    latency_s = latency_of(week.tick_mid_s(), week.load_kwh, case.interval_s, period, final_s)
    return row_of(week, case, gas, len(final), latency_s, owed_at_most(week, case.interval_s, period, final_s))


def drive(
    client: SettlementClient, terms: Terms, statements: Sequence[Statement], case: Case
) -> tuple[SettledPeriod, ...]:
    """Submit each statement as its period ends and mine while anything is under way; return the periods in order."""
    now_s, waiting, final = terms.genesis_s, deque(statements), []
    while waiting or client.unsettled:
        due_s = client.due_s(now_s)
        end_s = terms.end_s(waiting[0].period) if waiting else None
        block_s = None
        if due_s == now_s:
            block_s = due_s = now_s + case.block_time_s - (now_s - terms.genesis_s) % case.block_time_s
        if due_s is None or (end_s is not None and end_s < due_s):
            now_s = terms.end_s(waiting[0].period)
            client.submit(waiting.popleft(), now_s)
        else:
            now_s = due_s
            if block_s is not None:
                client.chain.mine(block_s)
        final += client.advance(now_s)
    return tuple(sorted(final, key=lambda settled: settled.period))


def latency_of(
    delivered_s: FloatArray, energy: FloatArray, interval_s: int, period: IntArray, final_s: IntArray
) -> float:
    """Return the mean time from delivery to final payment, weighted with energy [s].

    Examples
    --------
    >>> latency_of(np.array([450.0, 1_350.0]), np.array([1.0, 3.0]), 1_800, np.array([0]), np.array([1_850]))
    725.0
    """
    paid_s = np.full(int(delivered_s[-1] // interval_s) + 1, np.nan)
    paid_s[period] = final_s
    waited_s = paid_s[(delivered_s // interval_s).astype(np.int64)] - delivered_s
    known = ~np.isnan(waited_s)
    return float(np.average(waited_s[known], weights=energy[known]))


def owed_at_most(week: Week, interval_s: int, period: IntArray, final_s: IntArray) -> float:
    """Return the greatest sum of what homes owe and have not paid for good, at the end of any tick [micro-euro]."""
    owed = np.cumsum(week.amount_micro_eur[:, : week.homes], axis=0)
    billed = np.vstack([np.zeros((1, week.homes), dtype=np.int64), owed[(period + 1) * (interval_s // STEP_S) - 1]])
    tick_end_s = (np.arange(len(owed)) + 1) * STEP_S
    paid = billed[np.searchsorted(final_s, tick_end_s, side="right")]  # periods become final in their order
    return float(np.maximum(owed - paid, 0).sum(axis=1).max())


def direct_gas(week: Week, interval_s: int) -> int:
    """Return the gas of all trades of the week, paid one by one; whatever was traded is read as delivered."""
    terms = Terms(START_S, interval_s, WINDOW_S, BOND_MICRO_EUR, AWARD_MICRO_EUR)
    chain = RevmChain(accounts=week.accounts + OFFICERS, seed=SEED, genesis_timestamp_s=START_S - SECONDS_PER_HOUR)
    market, gas = deploy_market(chain, terms), 0
    fund(market, np.full(week.accounts, DEPOSIT_MICRO_EUR))
    periods = week.trade_tick // (interval_s // STEP_S)
    for period in np.unique(periods).tolist():
        gas += kinds.trade_directly(market, period, week.trades[periods == period]).gas
    return gas


def trade_directly(week: Week, case: Case, gas: int) -> dict[str, Any]:
    """Return the figures of direct trades."""
    energy_kwh = week.trades["energy_wh"] / 1e3
    period = week.trade_tick // (case.interval_s // STEP_S)
    final_s = (period + 1) * case.interval_s + (BLOCKS_OF_DIRECT + CONFIRMATIONS) * case.block_time_s
    begun_s = week.trade_tick * STEP_S
    latency_s = float(np.average(final_s - begun_s - STEP_S / 2, weights=energy_kwh))
    cost = week.trades["energy_wh"] * week.trades["price_micro_eur_per_kwh"] // 1_000
    is_open = (begun_s <= begun_s[:, None]) & (begun_s[:, None] < final_s)
    return row_of(week, case, gas, np.unique(period).size, latency_s, float((is_open * cost).sum(axis=1).max()))


def row_of(week: Week, case: Case, gas: int, periods: int, latency_s: float, escrow_micro_eur: float) -> dict[str, Any]:
    """Return the figures of a case."""
    load_kwh = float(week.load_kwh.sum())
    cost = {
        f"gas_eur_per_kwh_at_{name}": float(f"{gas * wei / WEI_PER_NATIVE * NATIVE_EUR / load_kwh:.4g}")
        for name, wei in GAS_PRICES_GWEI.items()
    }
    return {
        **case._asdict(),
        "periods": periods,
        "gas_per_period": round(gas / periods),
        **cost,
        "latency_s": round(latency_s, 1),
        "escrow_eur": round(escrow_micro_eur / MICRO_EUR_PER_EUR, 2),
    }


def sweep(*, jobs: int, quick: bool) -> dict[str, Any]:
    """Return the figures of all cases, with what they settle."""
    week = simulate_week(1 if quick else 7)
    intervals_s, block_times_s = (INTERVALS_S[1:3], BLOCK_TIMES_S[1:2]) if quick else (INTERVALS_S, BLOCK_TIMES_S)
    client = [
        Case(interval_s, kind, seconds) for kind in KINDS[:2] for interval_s in intervals_s for seconds in block_times_s
    ]
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        gas = pool.map(partial(direct_gas, week), intervals_s)
        rows = list(pool.map(partial(settle, week), client))
        for interval_s, used in zip(intervals_s, gas, strict=True):
            rows += [trade_directly(week, Case(interval_s, "direct", seconds), used) for seconds in block_times_s]
    return {
        "days": week.load_kwh.size * STEP_S / 86_400,
        "homes": week.homes,
        "load_kwh": round(float(week.load_kwh.sum()), 1),
        "trades": int(week.trades.size),
        "traded_kwh": round(float(week.trades["energy_wh"].sum()) / 1e3, 1),
        "confirmations": CONFIRMATIONS,
        "challenge_window_s": WINDOW_S,
        "native_eur": NATIVE_EUR,
        "cases": rows,
    }
