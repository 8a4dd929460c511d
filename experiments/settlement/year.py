"""Time and memory of a settled year on the chains inside the process: 13 homes and an aggregator, hour by hour.

    python experiments/settlement/year.py [--backend revm] [--periods 8760]

Each hour the accounts' net amounts of four quarters of random trades are settled in one batch, which the oracle signs;
three more blocks confirm it, and chain and ledger are reconciled to the integer. Seconds are processor time of
everything that settling takes: the outbox, signing, sending, mining, confirming, reconciling. The last line is one JSON
object: of each backend its seconds, those of each kind of step, gas, and the resident memory at each tenth of the year.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from time import perf_counter, process_time

import numpy as np

from vpp_sim.chain.market import OFFICERS, Terms
from vpp_sim.chain.outbox import Outbox
from vpp_sim.chain.settlement import SettlementClient, open_market
from vpp_sim.chain.statements import Statement
from vpp_sim.registry import CHAIN_BACKENDS

ACCOUNTS, QUARTERS, CONFIRMATIONS, BLOCK_TIME_S, PERIOD_S = 14, 4, 3, 12, 3_600
GENESIS_S, START_MICRO_EUR, SEED = 1_500_000_000, 10**12, 7


def resident_mib() -> float:
    """Return the memory that this process holds [MiB]."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def settle_year(backend: str, periods: int) -> dict[str, object]:
    """Settle `periods` hours on a new chain and return its figures."""
    rng = np.random.default_rng(SEED)
    spent_s = dict.fromkeys(("deploy", "submit", "mine", "confirm", "reconcile"), 0.0)
    memory_mib, gas = [], 0
    wall_s, begun = perf_counter(), process_time()
    chain = CHAIN_BACKENDS.load(backend)(accounts=ACCOUNTS + OFFICERS, seed=SEED, genesis_timestamp_s=GENESIS_S)
    ledger = np.full(ACCOUNTS, START_MICRO_EUR, dtype=np.int64)
    outbox = Outbox()
    terms = Terms(GENESIS_S + PERIOD_S, PERIOD_S, PERIOD_S, 10**9, 10**6)
    client = SettlementClient(
        open_market(chain, outbox, terms=terms, initial_micro_eur=ledger),
        names=[f"home_{i}" for i in range(ACCOUNTS)],
        initial_micro_eur=ledger,
        kind="netted",
        confirmations=CONFIRMATIONS,
        patience_s=60,
        outbox=outbox,
    )
    spent_s["deploy"] = process_time() - begun
    everyone = np.arange(ACCOUNTS)
    for period in range(periods):
        amounts, traded = rng.integers(-(10**6), 10**6, (QUARTERS, 2, ACCOUNTS)).sum(axis=0)
        amounts[-1] -= amounts.sum()
        traded[-1] -= traded.sum()
        ledger = ledger - amounts
        at_s = terms.end_s(period)
        steps = [process_time()]
        client.submit(Statement(period, everyone, amounts, traded), at_s)
        client.advance(at_s)
        steps.append(process_time())
        chain.mine(at_s + BLOCK_TIME_S)
        client.advance(at_s + BLOCK_TIME_S)
        steps.append(process_time())
        for block in range(2, CONFIRMATIONS + 2):
            chain.mine(at_s + block * BLOCK_TIME_S)
            final = client.advance(at_s + block * BLOCK_TIME_S)
        gas += sum(settled.gas_used for settled in final)
        steps.append(process_time())
        client.reconcile(ledger)
        steps.append(process_time())
        for name, seconds in zip(("submit", "mine", "confirm", "reconcile"), np.diff(steps), strict=True):
            spent_s[name] += float(seconds)
        if (period + 1) % max(periods // 10, 1) == 0:
            memory_mib.append(round(resident_mib(), 1))
    if client.unsettled:
        raise SystemExit(f"periods that are not final: {client.unsettled}")
    return {
        "periods": periods,
        "blocks": chain.block_number,
        "seconds": round(sum(spent_s.values()), 2),
        "wall_seconds": round(perf_counter() - wall_s, 2),
        "seconds_of": {name: round(seconds, 2) for name, seconds in spent_s.items()},
        "gas_a_period": gas // periods,
        "resident_mib": memory_mib,
    }


def main() -> None:
    """Read the command line and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", action="append", choices=("revm", "eth_tester"))
    parser.add_argument("--periods", type=int, default=8_760)
    arguments = parser.parse_args()
    print(json.dumps({name: settle_year(name, arguments.periods) for name in arguments.backend or ["revm"]}))


if __name__ == "__main__":
    main()
