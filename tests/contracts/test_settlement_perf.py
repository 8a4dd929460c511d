"""Processor time of settling on the chains inside the process, beside its budget.

It runs on one thread, so processor time is what it takes when nothing else has the processor.
"""

from time import process_time

import numpy as np
import pytest

from tests.support.settling import Settling
from vpp_sim.chain.eth_tester import EthTesterChain
from vpp_sim.chain.revm import RevmChain

pytestmark = pytest.mark.perf

ACCOUNTS, CONFIRMATIONS = 16, 3


def amounts_of(rng, accounts):
    found = rng.integers(-(10**6), 10**6, (2, accounts))
    found[:, -1] -= found.sum(axis=1)
    return found


@pytest.mark.parametrize(
    ("backend", "periods", "budget_s"),
    [(EthTesterChain, 168, 15.0), (RevmChain, 876, 1.5)],  # a week; a tenth of a year that may take 15 s
)
def test_settle_hours(capsys, backend, periods, budget_s):
    rng = np.random.default_rng(0)
    world = Settling([10**10] * ACCOUNTS, backend=backend, confirmations=CONFIRMATIONS)
    ledger, final = world.start, []
    started = process_time()
    for period in range(periods):
        amounts, traded = amounts_of(rng, ACCOUNTS)
        ledger = ledger - amounts
        world.submit(period, amounts, traded)
        final += world.mine(1 + CONFIRMATIONS)
        world.client.reconcile(ledger)
    spent_s = process_time() - started
    with capsys.disabled():
        print(
            f"\n{periods} periods of {ACCOUNTS} accounts on {backend.__name__} in {spent_s:.2f} s (budget {budget_s} s)"
        )
    assert len(final) == periods
    assert spent_s <= budget_s


def test_settle_a_batch_of_a_thousand(capsys):
    """DESIGN: 1,000 trades in one batch in 20 ms on the Rust EVM; here a trade is a line of its own."""
    rng = np.random.default_rng(0)
    world = Settling([10**10] * 1_000)
    spent_s = []
    for period in range(5):
        amounts, traded = amounts_of(rng, 1_000)
        world.wait_until(world.terms.end_s(period))
        started = process_time()
        world.settle(period, amounts, traded)
        spent_s.append(process_time() - started)
    with capsys.disabled():
        print(f"\n1,000 lines settled in {min(spent_s) * 1e3:.1f} ms (budget 20 ms)")
    assert min(spent_s) <= 0.020
