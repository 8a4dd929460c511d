"""Each kind of settlement, run on both chains inside the process: balances by hand, and what contracts refuse."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vpp_sim.chain.contract import RevertedError
from vpp_sim.chain.deployment import mine_all, require_success
from vpp_sim.chain.direct_trades import Direct
from vpp_sim.chain.kinds import Netted, Proof
from vpp_sim.chain.market import Terms, deploy_market, fund
from vpp_sim.chain.statements import TRADE_LINE, Statement
from vpp_sim.chain.typed_data import digest
from vpp_sim.errors import ChainError
from vpp_sim.registry import CHAIN_BACKENDS

GENESIS_S, PERIOD_S, WINDOW_S = 1_500_000_000, 3_600, 7_200
START = 10_000_000
TRADES = np.array([(0, 2, 2_000, 250_000), (1, 2, 1_000, 300_000)], dtype=TRADE_LINE)
# Member 2 is paid 2 kWh at 0.25 and 1 kWh at 0.30 EUR/kWh; member 4 pays 7 micro-euro to member 5 for something else.
MEMBERS, AMOUNTS, TRADED = [0, 1, 2, 4, 5], [500_000, 300_000, -800_000, 7, -7], [2_000, 1_000, -3_000, 0, 0]
AFTER = [9_500_000, 9_700_000, 10_800_000, 10_000_000, 9_999_993, 10_000_007]


def statement_of(period=0, members=MEMBERS, amounts=AMOUNTS, traded=TRADED, trades=TRADES) -> Statement:
    return Statement(period, *(np.array(column, dtype=np.int64) for column in (members, amounts, traded)), trades)


@pytest.fixture(scope="module", params=["revm", "eth_tester"])
def deployed(request):
    chain = CHAIN_BACKENDS.load(request.param)(accounts=8, seed=7, genesis_timestamp_s=GENESIS_S)
    market = deploy_market(chain, Terms(GENESIS_S, PERIOD_S, WINDOW_S, 1_000_000, 1_000))
    fund(market, np.full(6, START))
    return market, chain.snapshot()


@pytest.fixture
def market(deployed):
    found, snapshot = deployed
    found.chain.restore(snapshot)
    return found


def mined(market, jobs, at_s=None):
    """Submit jobs and mine them in one block when they are ready; return their receipts."""
    chain = market.chain
    for job in jobs:
        chain.submit(job.transaction)
    ready_s = max(job.ready_s for job in jobs) if at_s is None else at_s
    receipts = chain.mine(max(ready_s, chain.timestamp_s + 1)).receipts
    assert len(receipts) == len(jobs)
    return receipts


def refused(market, job, data=None, at_s=None):
    """Return by which words the contract refuses a job, with other call data if there are any."""
    if data is not None:
        job = replace(job, transaction=replace(job.transaction, data=data))
    (receipt,) = mined(market, [job], at_s)
    with pytest.raises(RevertedError) as refusal:
        require_success(market.market.abi, receipt, "job")
    return str(refusal.value)


def changed(job, old, new):
    assert old in job.transaction.data
    return job.transaction.data.replace(old, new, 1)


def word(value):
    return value.to_bytes(32, "big", signed=value < 0)


# -- netted


def test_a_batch_pays_at_once(market) -> None:
    kind, statement = Netted(market), statement_of()
    (job,) = kind.begin(statement)
    assert (job.key, job.period, job.ready_s, job.last) == ("0/batch", 0, GENESIS_S + PERIOD_S, True)
    assert job.effect_micro_eur.tolist() == [500_000, 300_000, -800_000, 0, 7, -7]
    (receipt,) = mined(market, [job])
    assert kind.proceed(statement, "0/batch", receipt) == ()
    assert market.balances().tolist() == AFTER
    assert market.traded_wh().tolist() == [2_000, 1_000, -3_000, 0, 0, 0]
    assert (market.balances() == START - job.effect_micro_eur).all()


def test_a_batch_that_the_oracle_did_not_sign_is_refused(market) -> None:
    (job,) = Netted(market).begin(statement_of())
    more = changed(job, (500_000).to_bytes(8, "big"), (500_001).to_bytes(8, "big"))
    assert f"MarketInvalidSignature(signer={market.oracle.lower()})" in refused(market, job, more)
    assert market.balances().tolist() == [START] * 6


def test_a_batch_is_refused_before_its_period_is_over_and_the_second_time(market) -> None:
    (job,) = Netted(market).begin(statement_of())
    assert "MarketPeriodNotOver(period=0)" in refused(market, job, at_s=job.ready_s - 1)
    mined(market, [job])
    assert "MarketPeriodAlreadySettled(period=0)" in refused(market, job)


def test_a_receipt_of_another_batch_is_no_settlement(market) -> None:
    kind, statement = Netted(market), statement_of()
    (receipt,) = mined(market, kind.begin(statement))
    other = statement_of(members=[0, 1], amounts=[1, -1], traded=[0, 0])
    with pytest.raises(ChainError, match="period 0: the receipt is of another batch, of period 0"):
        kind.proceed(other, "0/batch", receipt)
    with pytest.raises(ChainError, match="period 1 has no transaction '0/batch'"):
        kind.proceed(statement_of(period=1), "0/batch", receipt)
    with pytest.raises(ChainError, match="period 0 has no transaction '0/root'"):
        kind.proceed(statement, "0/root", receipt)
    with pytest.raises(ChainError, match=r"period 0: transaction 0x.* shows 0 events PeriodSettled, not 1"):
        kind.proceed(statement, "0/batch", replace(receipt, logs=()))
    (failed,) = mined(market, kind.begin(statement))
    with pytest.raises(RevertedError, match="period 0 reverted: MarketPeriodAlreadySettled"):
        kind.proceed(statement, "0/batch", failed)


def test_more_accounts_than_fit_are_sent_to_proof(market) -> None:
    size = 3_000
    large = Statement(4, np.arange(size), np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64))
    with pytest.raises(ChainError, match=r"period 4: a batch of 3000 .* at most 16777216; settle so many .* by proof"):
        Netted(market, size).begin(large)


# -- proof


def test_a_root_pays_when_its_lines_are_claimed(market) -> None:
    kind, statement = Proof(market, 6, lines_a_claim=2), statement_of()
    (root,) = kind.begin(statement)
    assert (root.key, root.ready_s, root.last, root.effect_micro_eur.any()) == ("0/root", 1_500_003_600, False, False)
    (receipt,) = mined(market, [root])
    claims = kind.proceed(statement, root.key, receipt)
    assert [(job.key, job.ready_s, job.last) for job in claims] == [
        ("0/claims/0", 1_500_003_600 + WINDOW_S + 1, False),
        ("0/claims/1", 1_500_003_600 + WINDOW_S + 1, False),
        ("0/claims/2", 1_500_003_600 + WINDOW_S + 1, True),
    ]
    assert [job.effect_micro_eur.tolist() for job in claims] == [
        [500_000, 300_000, 0, 0, 0, 0],
        [0, 0, -800_000, 0, 7, 0],
        [0, 0, 0, 0, 0, -7],
    ]
    assert market.balances().tolist() == [START] * 6
    for job, receipt in zip(claims, mined(market, claims), strict=True):
        assert kind.proceed(statement, job.key, receipt) == ()
    assert market.balances().tolist() == AFTER
    assert market.traded_wh().tolist() == [2_000, 1_000, -3_000, 0, 0, 0]
    assert market.market.call("potOf", 0) == 0


def test_each_trade_and_line_of_a_root_can_be_shown_to_the_contract(market) -> None:
    kind, statement = Proof(market), statement_of()
    (receipt,) = mined(market, kind.begin(statement))
    settlement = kind.settlement(statement, receipt.timestamp_s)
    for k, trade in enumerate(TRADES.tolist()):
        path = kind.trade_path(statement, k)
        assert market.market.call("verifyTrade", settlement, trade, path)
        for at in range(4):
            wrong = [value + (i == at) for i, value in enumerate(trade)]
            assert not market.market.call("verifyTrade", settlement, wrong, path)
    market.chain.mine(receipt.timestamp_s + WINDOW_S)
    for line in zip(MEMBERS, AMOUNTS, TRADED, strict=True):
        if line[1] > 0:
            market.market.submit(
                market.operator, 300_000, "claim", settlement, line, kind.line_path(statement, line[0])
            )
    mine_all(market.chain, market.market.abi, "claims of debits")
    path = kind.line_path(statement, 2)
    market.market.submit(market.operator, 300_000, "claim", settlement, (2, -800_001, -3_000), path)
    with pytest.raises(RevertedError, match=r"MarketInvalidProof\(period=0\)"):
        mine_all(market.chain, market.market.abi, "claim")
    market.market.submit(market.operator, 300_000, "claim", settlement, (2, -800_000, -3_000), path)
    mine_all(market.chain, market.market.abi, "claim")
    assert market.balances().tolist() == [*AFTER[:5], START]
    with pytest.raises(ChainError, match="period 0: account 3 has no line"):
        kind.line_path(statement, 3)
    with pytest.raises(ChainError, match="period 0: no trade 2 of 2"):
        kind.trade_path(statement, 2)


def test_claims_are_refused_early_and_when_a_line_was_changed(market) -> None:
    kind, statement = Proof(market), statement_of()
    (receipt,) = mined(market, kind.begin(statement))
    (job,) = kind.proceed(statement, "0/root", receipt)
    opens_s = receipt.timestamp_s + WINDOW_S
    assert f"MarketWindowOpen(closesAt={opens_s})" in refused(market, job, at_s=opens_s - 1)
    tampered = changed(job, word(500_000), word(500_001))
    assert "MarketInvalidProof(period=0)" in refused(market, job, tampered)
    assert market.balances().tolist() == [START] * 6


def test_a_line_that_the_contract_passed_over_is_named(market) -> None:
    market.market.submit(market.member_address(1), 100_000, "setDebitLimit", 299_999)
    mine_all(market.chain, market.market.abi, "limit")
    kind, statement = Proof(market), statement_of()
    (receipt,) = mined(market, kind.begin(statement))
    (claim,) = kind.proceed(statement, "0/root", receipt)
    (receipt,) = mined(market, [claim])
    assert receipt.succeeded
    with pytest.raises(ChainError, match="period 0: the line of account 1 over 300000 micro-euro was not booked; its"):
        kind.proceed(statement, "0/claims/0", receipt)
    less = statement_of(members=[0, 2], amounts=[500_000, -500_000], traded=[0, 0])
    with pytest.raises(ChainError, match=r"period 0: the line of account 2 over -500000 micro-euro was not booked"):
        kind.proceed(less, "0/claims/0", receipt)


def test_a_receipt_of_another_root_or_of_more_lines_is_no_settlement(market) -> None:
    kind, statement = Proof(market), statement_of()
    (receipt,) = mined(market, kind.begin(statement))
    with pytest.raises(ChainError, match="period 0: the receipt is of another root, of period 0"):
        kind.proceed(statement_of(trades=TRADES[:1]), "0/root", receipt)
    (claim,) = kind.proceed(statement, "0/root", receipt)
    (receipt,) = mined(market, [claim])
    fewer = statement_of(members=[0, 1, 2], amounts=AMOUNTS[:3], traded=TRADED[:3])
    with pytest.raises(ChainError, match=r"period 0: lines were booked that were not sent: \[\(0, 4\), \(0, 5\)\]"):
        kind.proceed(fewer, "0/claims/0", receipt)
    with pytest.raises(ChainError, match="a transaction cannot claim 0 lines"):
        Proof(market, lines_a_claim=0)


# -- direct


def test_direct_trades_are_opened_read_and_paid(market) -> None:
    kind = Direct(market, penalty_micro_eur_per_kwh=50_000)
    opening = kind.open(0, TRADES)
    assert [job.key for job in opening] == ["0/open/0", "0/open/1"]
    # 2 kWh lock 0.5 EUR of the buyer and 0.1 EUR of the seller; 1 kWh 0.3 and 0.05
    assert [job.effect_micro_eur.tolist() for job in opening] == [
        [500_000, 0, 100_000, 0, 0, 0],
        [0, 300_000, 50_000, 0, 0, 0],
    ]
    receipts = mined(market, opening)
    trades = [kind.opened(job.key, receipt) for job, receipt in zip(opening, receipts, strict=True)]
    assert [(trade.buyer, trade.seller, trade.energy_wh, trade.ahead_wh) for trade in trades] == [
        (0, 2, 2_000, 0),
        (1, 2, 1_000, 2_000),
    ]
    assert market.balances().tolist() == [9_500_000, 9_700_000, 9_850_000, START, START, START]
    fed_in = kind.read(0, np.array([2]), np.array([-2_400]))
    assert (fed_in[0].key, fed_in[0].ready_s, fed_in[0].effect_micro_eur.any()) == ("0/reading/2", 1_500_003_600, False)
    (receipt,) = mined(market, fed_in)
    kind.check("0/reading/2", receipt)
    paying = kind.settle(0, trades, np.array([-2_400, -2_400]))
    assert [(job.key, job.last) for job in paying] == [("0/trade/0", False), ("0/trade/1", True)]
    for job, receipt in zip(paying, mined(market, paying), strict=True):
        kind.check(job.key, receipt)
    # all of the first, 0.4 kWh of the second at 0.30: 0.12 EUR; 0.6 kWh missing at 0.05: 0.03 EUR to the buyer
    after = [9_500_000, START - 120_000 + 30_000, START + 500_000 + 120_000 - 30_000, START, START, START]
    assert market.balances().tolist() == after
    assert (START - sum(job.effect_micro_eur for job in opening + paying)).tolist() == after
    assert market.market.call("totalLocked") == 0


def test_an_order_is_hashed_as_the_contract_does(market) -> None:
    chain_id = market.chain.chain_id
    for order in Direct(market).orders(3, 1, TRADES[1]):
        assert market.direct.call("hashOrder", tuple(order)) == digest(
            order, chain_id=chain_id, contract=market.direct.address
        )


def test_direct_jobs_with_changed_words_are_refused(market) -> None:
    kind = Direct(market)
    (job, _) = kind.open(0, TRADES)
    seller = market.member_address(2).lower()
    dearer = changed(job, word(250_000), word(250_001))
    assert f"MarketInvalidSignature(signer={seller})" in refused(market, job, dearer)
    late = kind.open(0, TRADES)[0]
    (receipt,) = mined(market, [late])
    trade = kind.opened(late.key, receipt)
    (reading,) = kind.read(0, np.array([2]), np.array([-2_000]))
    more = changed(reading, word(-2_000), word(-2_001))
    assert f"MarketInvalidSignature(signer={market.oracle.lower()})" in refused(market, reading, more)
    (paying,) = kind.settle(0, [trade], np.array([-2_000]))
    assert "MarketNoReading(meter=" in refused(market, paying)
    mined(market, [reading])
    other = kind.settle(0, [trade._replace(price_micro_eur_per_kwh=1)], np.array([-2_000]))
    assert "MarketUnknownTrade(hash=" in refused(market, other[0])
    (receipt,) = mined(market, kind.open(0, TRADES[1:]))
    with pytest.raises(RevertedError, match="trade 0/open/0 reverted: MarketExpired"):
        kind.opened("0/open/0", receipt)
    with pytest.raises(RevertedError, match="trade 0/trade/0 reverted: MarketExpired"):
        kind.check("0/trade/0", receipt)
