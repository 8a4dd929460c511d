"""The settlement client: periods become final, chain and ledger are compared, and a process takes up another's work."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support.settling import AWARD, BOND, GENESIS_S, PERIOD_S, START_S, WINDOW_S, Settling
from vpp_sim.chain.contract import RevertedError
from vpp_sim.chain.eth_tester import EthTesterChain
from vpp_sim.chain.kinds import Netted
from vpp_sim.chain.market import Market, Terms
from vpp_sim.chain.outbox import Outbox
from vpp_sim.chain.settlement import SettlementClient, open_market
from vpp_sim.chain.statements import Statement
from vpp_sim.errors import ChainError

NAMES = ("home_1", "home_2", "aggregator")
START = (1_000, 0, 500)


def integers(*values):
    return np.array(values, dtype=np.int64)


@pytest.fixture
def world():
    return Settling(START, names=NAMES, confirmations=2)


def test_set_up_registers_mints_and_puts_into_escrow(world):
    assert world.client.balances().tolist() == [1_000, 0, 500]
    assert world.client.traded_wh().tolist() == [0, 0, 0]
    assert world.market.currency.call("balanceOf", world.market.market.address) == 1_500 + BOND
    assert world.market.terms == Terms(START_S, PERIOD_S, WINDOW_S, BOND, AWARD)
    assert world.client.due_s(5) is None
    world.client.reconcile(world.start)


def test_a_positive_amount_is_paid_and_a_negative_one_received(world):
    world.settle(0, [30, -10, -20], [5, 0, -5])
    assert world.client.balances().tolist() == [970, 10, 520]
    assert world.client.traded_wh().tolist() == [5, 0, -5]


def test_a_statement_may_name_some_accounts(world):
    world.submit(0, [20, -20], [-1, 1], member=[0, 2])
    world.mine()
    assert world.client.balances().tolist() == [980, 0, 520]


def test_a_period_is_final_only_after_its_depth(world):
    world.submit(4, [30, -10, -20], [5, 0, -5])
    now_s = world.chain.timestamp_s
    seen = []
    for _ in range(3):
        assert world.client.due_s(now_s) == now_s
        assert world.client.unsettled == (4,)
        assert world.client.final_micro_eur.tolist() == [0, 0, 0]
        seen.append(world.mine())
    assert seen[:2] == [[], []]
    (settled,) = seen[2]
    assert (settled.period, settled.accounts, settled.moved_micro_eur, settled.attempts) == (4, 3, 30, 1)
    assert (settled.submitted_s, settled.mined_s, settled.confirmed_s) == (now_s, now_s + 12, now_s + 36)
    assert settled.block_number == world.chain.block_number - 2
    # selector, 4 words of the head, 2 words of length and three entries, 4 of length and signature padded to words
    assert settled.calldata_bytes == 4 + 4 * 32 + (1 + 2) * 32 + (1 + 3) * 32
    assert 80_000 < settled.gas_used < 300_000
    assert world.client.final_micro_eur.tolist() == [30, -10, -20]
    assert (world.client.unsettled, world.client.due_s(now_s)) == ((), None)


def test_periods_overlap_and_become_final_in_order(world):
    final = []
    for period in range(3):
        final += world.settle(period, [1, 0, -1], [-period, period, 0])
    assert world.client.unsettled == (2,)  # an hour lies between them, in which one block was mined
    final += world.mine(2)
    assert [settled.period for settled in final] == [0, 1, 2]
    assert world.client.traded_wh().tolist() == [-3, 3, 0]


def test_without_confirmations_a_period_is_final_when_mined():
    world = Settling(START, confirmations=0)
    assert [settled.period for settled in world.settle(0, [1, 0, -1])] == [0]


def test_a_proof_pays_after_the_challenge_window():
    world = Settling(START, names=NAMES, kind="proof", confirmations=1)
    world.submit(0, [30, -10, -20], [5, 0, -5])
    assert world.mine(3) == []
    assert world.client.balances().tolist() == [1_000, 0, 500]
    root_s = world.terms.end_s(0) + 12
    assert world.client.due_s(world.chain.timestamp_s) == root_s + WINDOW_S + 1
    world.wait_until(root_s + WINDOW_S + 1)
    world.client.advance(world.chain.timestamp_s)
    (settled,) = world.mine(2)
    assert world.client.balances().tolist() == [970, 10, 520]
    assert (settled.period, len(settled.transactions), settled.mined_s) == (0, 2, root_s + WINDOW_S + 13)
    world.client.reconcile(integers(970, 10, 520))


def test_the_same_story_gives_the_same_hashes_and_gas_on_both_chains_inside_the_process():
    def play(**options):
        world = Settling(START, confirmations=1, **options)
        final = [settled for period in range(3) for settled in world.settle(period, [period, 0, -period])]
        return final, world.client.balances().tolist()

    assert play() == play()
    assert play() == play(backend=EthTesterChain)


@pytest.mark.parametrize(
    ("amounts", "error"),
    [
        ([-1, 1, 0], r"period 7 reverted: MarketInsufficientBalance\(member=1, balance=0, needed=1\)"),
        ([2_000, 0, -2_000], r"MarketInsufficientBalance\(member=0, balance=1000, needed=2000\)"),
    ],
)
def test_what_the_contract_refuses_is_an_error_with_its_name(world, amounts, error):
    world.submit(7, amounts)
    with pytest.raises(RevertedError, match=error):
        world.mine()
    assert world.client.balances().tolist() == [1_000, 0, 500]


@pytest.mark.parametrize(
    ("amounts", "traded", "message"),
    [
        ([1, 0, 0], [0, 0, 0], r"period 7: lines sum to 1 micro-euro, not to zero"),
        ([0, 0, 0], [1, 1, -3], r"period 7: lines sum to -1 Wh, not to zero"),
    ],
)
def test_what_does_not_sum_to_zero_is_no_statement(world, amounts, traded, message):
    with pytest.raises(ChainError, match=message):
        world.submit(7, amounts, traded)


def test_a_period_is_submitted_once(world):
    statement = Statement(0, np.arange(3), integers(1, 0, -1), integers(0, 0, 0))
    assert world.client.submit(statement, 10)
    assert not world.client.submit(statement, 20)
    with pytest.raises(ChainError, match="period 0 was submitted before, with other amounts"):
        world.client.submit(Statement(0, np.arange(3), integers(2, 0, -2), integers(0, 0, 0)), 20)


def test_an_unknown_account_is_refused(world):
    with pytest.raises(ChainError, match="period 0 names account 3, there are 3"):
        world.submit(0, [1, -1], member=[0, 3])
    assert world.client.unsettled == ()


def test_reconciling_counts_what_is_on_its_way(world):
    ledger = world.start - integers(30, -10, -20)
    world.submit(0, [30, -10, -20])
    world.client.reconcile(ledger)  # submitted, not mined
    world.mine()
    world.client.reconcile(ledger)  # mined, not final
    world.mine(2)
    world.client.reconcile(ledger)


def test_a_ledger_that_differs_is_named_by_account_and_amount(world):
    world.settle(0, [30, -10, -20])
    with pytest.raises(ChainError, match=r"differ at block \d+: home_2 has 10 micro-euro .*, 9 in the ledger \(\+1\)$"):
        world.client.reconcile(integers(970, 9, 520))
    with pytest.raises(ChainError, match=r"ledger has shape \(2,\), expected \(3,\)"):
        world.client.reconcile(integers(970, 9))


def test_money_that_moved_outside_the_periods_is_noticed(world):
    world.market.market.submit(world.market.member_address(2), 100_000, "withdraw", 5)
    world.mine()
    with pytest.raises(ChainError, match=r"escrow holds 1001495 micro-euro, 1001500 were paid in \(-5\)"):
        world.client.reconcile(world.start)


def test_a_balance_that_moved_within_the_escrow_is_noticed(world):
    """Somebody else's payment into an account would be found as a surplus; here the client is told of another start."""
    client = SettlementClient(
        world.market, names=NAMES, initial_micro_eur=integers(1_000, 1, 499), kind="netted", confirmations=0,
        patience_s=60,
    )  # fmt: skip
    with pytest.raises(ChainError, match=r"home_2 has 0 micro-euro on chain, 1 by what was mined \(-1\); aggregator"):
        client.reconcile(integers(1_000, 1, 499))


def test_another_process_goes_on_where_the_first_was_cut_off(tmp_path):
    first = Settling(START, confirmations=1, outbox=Outbox(tmp_path / "outbox.sqlite"))
    first.settle(0, [30, -10, -20])
    first.submit(1, [1, 0, -1])
    first.client.outbox.close()

    outbox = Outbox(tmp_path / "outbox.sqlite")
    market = open_market(first.chain, outbox, terms=first.terms, initial_micro_eur=first.start)
    assert market.addresses() == first.market.addresses()
    client = SettlementClient(
        Market.at(first.chain, market.addresses()), names=first.names, initial_micro_eur=first.start, kind="netted",
        confirmations=1, patience_s=60, outbox=outbox,
    )  # fmt: skip
    assert client.unsettled == (1,)  # the first became final in the hour before the second was submitted
    first.client = client
    assert [settled.period for settled in first.mine(2)] == [1]
    client.reconcile(integers(969, 10, 521))
    assert client.due_s(GENESIS_S) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"names": ()}, r"0 accounts do not fit initial balances of shape \(3,\)"),
        ({"initial_micro_eur": integers(1, -1, 0)}, "initial balances must be non-negative int64"),
        ({"kind": "barter"}, "unknown kind of settlement 'barter'; there are direct, netted, proof"),
        ({"confirmations": -1}, "confirmations are negative: -1"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(world, changes, message):
    options = {
        "names": NAMES, "initial_micro_eur": world.start, "kind": "netted", "confirmations": 1, "patience_s": 60
    } | changes  # fmt: skip
    with pytest.raises(ChainError, match=message):
        SettlementClient(world.market, **options)


def test_a_statement_that_cannot_be_settled_leaves_nothing_behind(world, monkeypatch):
    def too_large(self, statement, openings):
        raise ChainError("too many accounts")

    with monkeypatch.context() as broken:
        broken.setattr("vpp_sim.chain.kinds.Netted.begin", too_large)
        with pytest.raises(ChainError, match="too many accounts"):
            world.submit(0, [1, 0, -1])
    assert list(world.client.outbox.statements()) == []
    world.submit(0, [2, 0, -2])  # another statement of the same period
    assert [settled.period for settled in world.mine(3)] == [0]


def test_a_transaction_that_came_too_early_is_repeated(world, monkeypatch):
    """As after a reorganisation that put it into a block of an earlier time."""
    sound = Netted.begin
    monkeypatch.setattr(Netted, "begin", lambda *arguments: (replace(sound(*arguments)[0], ready_s=0),))
    world.client.submit(Statement(0, np.arange(3), integers(1, 0, -1), integers(0, 0, 0)), world.chain.timestamp_s)
    world.client.advance(world.chain.timestamp_s)
    world.mine()
    world.wait_until(world.terms.end_s(0))
    (settled,) = world.mine(8)
    assert (settled.period, settled.attempts) == (0, 2)
    assert world.client.counts["transactions that reverted and were repeated"] == 1
    assert world.client.balances().tolist() == [999, 0, 501]
