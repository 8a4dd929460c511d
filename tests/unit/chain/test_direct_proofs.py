"""A period settled by direct trades and a batch of the rest is proven; what was never agreed or is open is named."""

import numpy as np
import pytest

from tests.support.chain_runs import BLOCK_S, NAMES, START_S, WINDOW_S, SettledRun, open_run
from vpp_sim.chain.direct_trades import Direct
from vpp_sim.chain.proofs import Proven, prove
from vpp_sim.chain.replay import replay
from vpp_sim.chain.statements import READING_LINE, TRADE_LINE, Opening, Statement

PARTS = ("pay", "batch")


def directly(*parts: str) -> SettledRun:
    """Return a run of one period with three trades of account 1 with account 0, of which the last half is delivered."""
    run = open_run()
    run.book(0, np.random.default_rng(3))
    agreed = np.array([line for _, line in run.trades], dtype=TRADE_LINE)
    kind = Direct(run.market)
    opening = kind.open(0, agreed)
    send(run, opening, START_S + BLOCK_S)
    fed_in_wh = int(agreed["energy_wh"].sum() - agreed["energy_wh"][-1] // 2)
    readings = np.array([(1, -fed_in_wh)], dtype=READING_LINE)
    statement = Statement(0, *run.lines(0), agreed[:0], readings)
    paying = kind.begin(statement, [Opening(job.key, job.transaction.data, True) for job in opening])
    send(run, [job for job in paying if job.key.split("/")[1] in parts], START_S + 3_600 + WINDOW_S)
    run.flush()
    return run


def send(run, jobs, at_s):
    """Mine jobs in one block, and return its receipts."""
    for job in jobs:
        run.journal.submit(job.transaction)
    return run.mine_at(at_s).receipts


def proven(run: SettledRun) -> Proven:
    found = replay(run.record(), *run.rows())
    assert found.complete
    assert found.differences == []
    return prove(found, run.record(), run.booked())


def said(found: Proven) -> str:
    return "\n".join(str(difference) for difference in found.differences)


def test_trades_and_the_rest_of_them_are_proven() -> None:
    found = proven(directly(*PARTS))
    assert said(found) == ""
    assert (found.netted, found.proof, found.direct, found.accounts) == (1, 0, 3, len(NAMES))


@pytest.mark.parametrize(
    ("at", "more"),
    [(3, 1), (0, 2)],
    ids=["price", "buyer"],
)
def test_a_trade_that_was_never_agreed_is_named(at: int, more: int) -> None:
    run = directly(*PARTS)
    step, line = run.trades[0]
    energy_wh, price = line[2], line[3]
    run.trades[0] = (step, tuple(value + more * (place == at) for place, value in enumerate(line)))
    found = proven(run)
    assert found.direct == 2
    assert (
        f"period 0, {NAMES[0]}: a direct trade of {energy_wh} Wh at {price} micro-euro/kWh from {NAMES[1]} is paid,"
        " recorded never agreed" in said(found)
    )


def test_a_trade_that_nobody_paid_and_a_period_without_its_batch_are_named() -> None:
    found = proven(directly("batch"))
    assert (found.netted, found.direct) == (0, 0)
    assert said(found).count(f"period 0: a direct trade of {NAMES[1]} is open, recorded paid") == 3
    assert f"{NAMES[0]}: its balance on chain [micro-euro] is" in said(found)
    found = proven(directly("pay"))
    assert (found.netted, found.direct) == (0, 3)
    assert "period 0: the batch beside its direct trades is missing, recorded one" in said(found)


def test_a_batch_that_ignores_its_trades_is_named() -> None:
    run = directly("pay")
    run.settle_netted(0)  # what the ledger says, once more in whole
    run.flush()
    found = proven(run)
    assert (found.netted, found.direct) == (0, 3)
    assert f"period 0, {NAMES[0]}: the amount in the batch [micro-euro] is" in said(found)


def test_trades_that_were_refunded_are_none() -> None:
    """No meter was read, so after the time-out each side has its money back; the whole ledger is then netted."""
    run = open_run()
    run.book(0, np.random.default_rng(3))
    kind = Direct(run.market)
    opening = kind.open(0, np.array([line for _, line in run.trades], dtype=TRADE_LINE))
    receipts = send(run, opening, START_S + BLOCK_S)
    trades = [kind.opened(job.key, receipt) for job, receipt in zip(opening, receipts, strict=True)]
    run.mine_at(max(trade.timeout_s for trade in trades))
    for trade in trades:
        run.market.direct.submit(run.market.operator, 200_000, "refundTrade", tuple(trade))
    run.mine_at(run.journal.timestamp_s + BLOCK_S)
    run.settle_netted(0)
    run.flush()
    found = proven(run)
    assert said(found) == ""
    assert (found.netted, found.direct, found.accounts) == (1, 0, len(NAMES))
