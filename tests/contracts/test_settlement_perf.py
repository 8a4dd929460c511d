"""Processor time of settling a week of hours on the in-process chain, beside its budget.

It runs on one thread, so processor time is what it takes when nothing else has the processor.
"""

from time import process_time

import numpy as np
import pytest

from vpp_sim.chain.eth_tester import EthTesterChain
from vpp_sim.chain.settlement import SettlementClient

pytestmark = pytest.mark.perf

PERIODS, ACCOUNTS, CONFIRMATIONS, BUDGET_S = 168, 16, 3, 15.0


def test_settle_a_week(capsys):
    started = process_time()
    chain = EthTesterChain(accounts=ACCOUNTS + 1, seed=7, genesis_timestamp_s=1_500_000_000)
    ledger = np.full(ACCOUNTS, 10**10, dtype=np.int64)
    names = [f"home_{i}" for i in range(ACCOUNTS)]
    client = SettlementClient(chain, names=names, initial_micro_eur=ledger, confirmations=CONFIRMATIONS)
    rng = np.random.default_rng(0)
    spent_s = dict.fromkeys(("batch", "empty block", "reconciliation"), 0.0)

    def timed(what, call, *arguments):
        begun = process_time()
        call(*arguments)
        spent_s[what] += process_time() - begun

    def settle(period, amounts, traded):
        client.submit_batch(period, np.arange(ACCOUNTS), amounts, traded)
        client.mine_block(chain.timestamp_s + 12)

    for period in range(PERIODS):
        amounts, traded = rng.integers(-(10**6), 10**6, (2, ACCOUNTS))
        amounts[-1] -= amounts.sum()
        traded[-1] -= traded.sum()
        ledger = ledger - amounts
        timed("batch", settle, period, amounts, traded)
        for _ in range(CONFIRMATIONS):
            timed("empty block", client.mine_block, chain.timestamp_s + 12)
        timed("reconciliation", client.reconcile, ledger)
    total_s = process_time() - started
    gas = [batch.gas_used for batch in client.confirmed()]
    counts = {"batch": PERIODS, "empty block": PERIODS * CONFIRMATIONS, "reconciliation": PERIODS}
    with capsys.disabled():
        print(
            f"\n{PERIODS} batches of {ACCOUNTS} accounts in {total_s:.1f} s (budget {BUDGET_S:.0f} s), {gas[-1]:,} gas"
        )
        for what, count in counts.items():
            print(f"  {what}: {spent_s[what] / count * 1e3:.1f} ms")
    assert len(gas) == PERIODS
    assert total_s <= BUDGET_S
