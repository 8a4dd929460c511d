"""The settlement client: set-up, confirmations, and what reconciliation notices."""

import numpy as np
import pytest

from vpp_sim.chain.contract import RevertedError
from vpp_sim.chain.eth_tester import EthTesterChain
from vpp_sim.chain.settlement import SettlementClient
from vpp_sim.errors import ChainError

GENESIS_S = 1_500_000_000
NAMES = ("home_1", "home_2", "aggregator")
START = np.array([1_000, 0, 500], dtype=np.int64)
EVERYONE = np.arange(3)
STILL = np.zeros(3, dtype=np.int64)


def integers(*values):
    return np.array(values, dtype=np.int64)


@pytest.fixture
def client():
    chain = EthTesterChain(accounts=4, seed=7, genesis_timestamp_s=GENESIS_S)
    return SettlementClient(chain, names=NAMES, initial_micro_eur=START, confirmations=2)


def mine(client, blocks=1):
    for _ in range(blocks):
        client.mine_block(client.chain.timestamp_s + 12)


def test_set_up_registers_mints_and_puts_into_escrow(client):
    assert client.balances().tolist() == START.tolist()
    assert client.traded_wh().tolist() == [0, 0, 0]
    assert client.currency.call("totalSupply") == client.currency.call("balanceOf", client.contract.address) == 1_500
    assert [client.contract.call("accountOf", i) for i in range(3)] == [a.lower() for a in client.chain.accounts[1:]]
    assert client.contract.call("currency") == client.currency.address.lower()
    assert not client.needs_block
    client.reconcile(START)


def test_set_up_of_many_members_takes_several_transactions(monkeypatch):
    monkeypatch.setattr("vpp_sim.chain.deployment._MEMBERS_A_TRANSACTION", 2)
    start = integers(0, 10, 20, 30, 0, 50, 60)
    chain = EthTesterChain(accounts=8, seed=7, genesis_timestamp_s=GENESIS_S)
    client = SettlementClient(chain, names=[f"home_{i}" for i in range(7)], initial_micro_eur=start, confirmations=0)
    assert client.balances().tolist() == start.tolist()
    client.reconcile(start)


def test_a_positive_amount_is_paid_and_a_negative_one_received(client):
    client.submit_batch(0, EVERYONE, integers(30, -10, -20), integers(5, 0, -5))
    mine(client)
    assert client.balances().tolist() == [970, 10, 520]
    assert client.traded_wh().tolist() == [5, 0, -5]


def test_a_batch_may_name_some_accounts_in_any_order(client):
    client.submit_batch(0, integers(2, 0), integers(-20, 20), integers(1, -1))
    mine(client)
    assert client.balances().tolist() == [980, 0, 520]
    assert client.traded_wh().tolist() == [-1, 0, 1]


def test_a_batch_is_confirmed_only_after_its_depth(client):
    pending = client.submit_batch(4, EVERYONE, integers(30, -10, -20), integers(5, 0, -5))
    seen = []
    for _ in range(3):
        assert client.needs_block
        assert client.unconfirmed == (4,)
        mine(client)
        seen.append(client.confirmed())
    assert seen[:2] == [(), ()]
    (batch,) = seen[2]
    assert (batch.period, batch.transaction, batch.entries) == (4, pending.transaction, 3)
    assert (batch.turnover_micro_eur, batch.traded_wh) == (30, 5)
    assert pending.calldata_bytes == 4 + 3 * 32 + 64  # selector, period, offset, length, three entries padded to words
    assert (batch.block_number, batch.timestamp_s) == (client.chain.block_number - 2, client.chain.timestamp_s - 24)
    assert 21_000 < batch.gas_used < 200_000
    assert not client.needs_block
    assert client.confirmed() == ()


def test_batches_overlap_and_are_confirmed_in_order(client):
    for period in range(3):
        client.submit_batch(period, EVERYONE, integers(1, 0, -1), integers(-period, period, 0))
        mine(client)
    assert client.unconfirmed == (1, 2)
    mine(client, 2)
    assert [batch.period for batch in client.confirmed()] == [0, 1, 2]
    assert client.traded_wh().tolist() == [-3, 3, 0]


def test_without_confirmations_a_batch_is_settled_when_mined():
    chain = EthTesterChain(accounts=4, seed=7, genesis_timestamp_s=GENESIS_S)
    client = SettlementClient(chain, names=NAMES, initial_micro_eur=START, confirmations=0)
    client.submit_batch(0, EVERYONE, integers(1, 0, -1), STILL)
    mine(client)
    assert [batch.period for batch in client.confirmed()] == [0]


def test_the_same_story_gives_the_same_hashes_and_gas():
    def play():
        chain = EthTesterChain(accounts=4, seed=7, genesis_timestamp_s=GENESIS_S)
        client = SettlementClient(chain, names=NAMES, initial_micro_eur=START, confirmations=1)
        for period in range(3):
            client.submit_batch(period, EVERYONE, integers(period, 0, -period), STILL)
            mine(client, 2)
        return client.confirmed(), chain.mine(chain.timestamp_s + 1).hash

    assert play() == play()


@pytest.mark.parametrize(
    ("amounts", "traded", "error"),
    [
        (integers(1, 0, 0), STILL, r"period 7 reverted: SettlementUnbalancedMoney\(surplus=1\)"),
        (STILL, integers(1, 1, -3), r"period 7 reverted: SettlementUnbalancedEnergy\(surplus=-1\)"),
        (integers(-1, 1, 0), STILL, r"SettlementInsufficientBalance\(member=1, balance=0, needed=1\)"),
    ],
)
def test_a_refused_batch_is_told_with_the_contracts_words_and_moves_nothing(client, amounts, traded, error):
    client.submit_batch(7, EVERYONE, amounts, traded)
    with pytest.raises(RevertedError, match=error):
        mine(client)
    assert not client.needs_block
    assert client.balances().tolist() == START.tolist()
    assert client.traded_wh().tolist() == [0, 0, 0]


def test_a_refused_batch_does_not_lose_the_others_of_its_block(client):
    client.submit_batch(0, EVERYONE, integers(1, 0, -1), STILL)
    client.submit_batch(0, EVERYONE, integers(2, 0, -2), STILL)
    client.submit_batch(1, EVERYONE, integers(3, 0, -3), STILL)
    with pytest.raises(RevertedError, match=r"SettlementPeriodAlreadySettled\(period=0\)"):
        mine(client)
    mine(client, 2)
    assert [batch.period for batch in client.confirmed()] == [0, 1]
    client.reconcile(START - integers(4, 0, -4))


def test_reconciling_counts_what_is_on_its_way(client):
    amounts = integers(30, -10, -20)
    client.submit_batch(0, EVERYONE, amounts, STILL)
    client.reconcile(START - amounts)
    mine(client)
    client.reconcile(START - amounts)


def test_reconciling_names_the_account_and_the_amount(client):
    with pytest.raises(ChainError) as caught:
        client.reconcile(START + integers(0, 3, 0))
    assert str(caught.value) == (
        f"chain and ledger differ at block {client.chain.block_number}:"
        " home_2 has 0 micro-euro on chain, 3 in the ledger (-3)"
    )


def test_a_transfer_behind_the_ledgers_back_is_noticed(client):
    planted = client.submit_batch(99, EVERYONE, integers(250, -250, 0), STILL)
    mine(client)
    assert planted.period == 99
    with pytest.raises(ChainError) as caught:
        client.reconcile(START)
    assert "home_1 has 750 micro-euro on chain, 1000 in the ledger (-250); " in str(caught.value)
    assert "home_2 has 250 micro-euro on chain, 0 in the ledger (+250)" in str(caught.value)


def test_a_withdrawal_behind_the_ledgers_back_is_noticed(client):
    member = client.chain.accounts[3]
    client.contract.submit(member, 200_000, "withdraw", 40)
    assert client.needs_block
    mine(client)
    with pytest.raises(ChainError, match=r"aggregator has 460 micro-euro on chain, 500 in the ledger \(-40\)"):
        client.reconcile(START)


def test_currency_sent_past_the_contract_is_noticed(client):
    client.currency.submit(client.operator, 200_000, "mint", client.contract.address, 9)
    mine(client)
    with pytest.raises(ChainError, match=r"escrow holds 1509 micro-euro, balances sum to 1500 \(\+9\)"):
        client.reconcile(START)


def test_reconciling_with_a_ledger_of_another_size_is_refused(client):
    with pytest.raises(ChainError, match=r"ledger has shape \(2,\), expected \(3,\)"):
        client.reconcile(integers(1, 2))


def test_accounts_that_do_not_exist_are_refused_before_they_cost_gas(client):
    with pytest.raises(ChainError, match="period 0 names account 3, there are 3"):
        client.submit_batch(0, integers(0, 3), integers(1, -1), integers(0, 0))
    assert not client.needs_block


@pytest.mark.parametrize(
    ("names", "start", "confirmations", "message"),
    [
        ((), integers(), 0, r"0 accounts do not fit initial balances of shape \(0,\)"),
        (NAMES, integers(1, 2), 0, r"3 accounts do not fit initial balances of shape \(2,\)"),
        (NAMES, integers(1, -2, 3), 0, "non-negative int64"),
        (NAMES, np.ones(3), 0, "non-negative int64"),
        (NAMES, START, -1, "confirmations are negative: -1"),
        ((*NAMES, "home_3"), integers(1, 1, 1, 1), 0, "chain has 4 accounts, 4 members and an operator need more"),
    ],
)
def test_a_set_up_that_does_not_fit_together_is_refused(names, start, confirmations, message):
    chain = EthTesterChain(accounts=4, seed=7, genesis_timestamp_s=GENESIS_S)
    with pytest.raises(ChainError, match=message):
        SettlementClient(chain, names=names, initial_micro_eur=start, confirmations=confirmations)
    assert chain.block_number == 0
