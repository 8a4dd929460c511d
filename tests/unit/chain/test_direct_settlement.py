"""Direct trades settled by the client: opened in time or netted, paid by readings, and the rest in one batch."""

import numpy as np
import pytest
from eth_utils.crypto import keccak

from tests.support.settling import BLOCK_S, PERIOD_S, START_S, Settling
from vpp_sim.chain.batch import pack_entries
from vpp_sim.chain.contract import RevertedError
from vpp_sim.chain.direct_trades import TRADES_A_PAYMENT, Direct
from vpp_sim.chain.eth_tester import EthTesterChain
from vpp_sim.chain.jobs import TRANSACTION_GAS
from vpp_sim.chain.market import Market
from vpp_sim.chain.outbox import Outbox
from vpp_sim.chain.settlement import SettlementClient
from vpp_sim.chain.statements import READING_LINE, TRADE_LINE, Opening, Statement
from vpp_sim.errors import ChainError

START, WINDOW_S = (10_000_000,) * 3, 600
END_S = START_S + PERIOD_S
TRADES = np.array([(0, 2, 2_000, 250_000), (1, 2, 1_000, 300_000)], dtype=TRADE_LINE)
READINGS = np.array([(2, -2_400)], dtype=READING_LINE)
# 3 kWh were agreed and 2.4 delivered. The ledger takes 0.8 of each trade: 1.6 kWh at 0.25 and 0.8 at 0.30 EUR/kWh, and
# account 0 pays 7 micro-euro to account 1 for something else.
STATEMENT = Statement(
    0, np.arange(3), np.array([400_007, 239_993, -640_000]), np.array([1_600, 800, -2_400]), TRADES[:0], READINGS
)
AFTER = [9_599_993, 9_760_007, 10_640_000]


class World(Settling):
    """A client that settles directly, and the moments at which it is told something."""

    def __init__(self, start=START, **options):
        super().__init__(start, kind="direct", confirmations=2, window_s=WINDOW_S, **options)
        self.wait_until(START_S)

    def open(self, trades=TRADES, first=0, period=0, blocks=1):
        now_s = self.chain.timestamp_s
        opened = self.client.open(period, trades, now_s, first)
        self.client.advance(now_s)
        self.mine(blocks)
        return opened

    def tell(self, statement=STATEMENT):
        self.wait_until(self.terms.end_s(statement.period))
        self.client.submit(statement, self.chain.timestamp_s)
        self.client.advance(self.chain.timestamp_s)

    def finish(self):
        """Let the window pass, and mine until the period is final."""
        self.wait_until(max(self.client.due_s(self.chain.timestamp_s), END_S + WINDOW_S))
        self.client.advance(self.chain.timestamp_s)
        final = self.mine(12)
        self.client.reconcile(self.start - STATEMENT.amount_micro_eur)
        assert self.client.unsettled == ()
        assert self.market.market.call("totalLocked") == 0
        return final

    def lockers(self):
        return [opening.opened for opening in self.client.outbox.openings(0)]


@pytest.fixture
def world():
    return World()


def counted(world, what):
    return world.client.counts[f"direct trades {what}"]


@pytest.mark.parametrize("backend", ["revm", "eth_tester"])
def test_trades_are_opened_and_paid_and_the_rest_is_netted(backend):
    world = World(**({"backend": EthTesterChain} if backend == "eth_tester" else {}))
    assert world.open() == 2
    world.mine(3)
    assert world.client.balances().tolist() == [9_500_000, 9_700_000, 10_000_000]
    assert world.client.final_micro_eur.tolist() == [0, 0, 0]  # what is locked is paid to nobody
    world.client.reconcile(world.start)
    world.tell()
    assert world.client.due_s(END_S) == END_S + WINDOW_S
    assert world.mine(5) == []
    assert world.client.balances().tolist() == [9_500_000, 9_700_000, 10_000_000]
    (settled,) = world.finish()
    assert (settled.period, len(settled.transactions), settled.attempts) == (0, 4, 4)
    assert (settled.submitted_s, settled.mined_s) == (END_S, END_S + WINDOW_S + BLOCK_S)
    assert settled.moved_micro_eur == 640_000
    assert world.client.balances().tolist() == AFTER
    assert world.client.traded_wh().tolist() == [1_600, 800, -2_400]
    assert world.client.final_micro_eur.tolist() == [400_007, 239_993, -640_000]
    assert (counted(world, "opened"), counted(world, "not opened in time, and netted")) == (2, 0)


def test_the_contract_serves_trades_in_their_order_and_the_batch_pays_the_difference(world):
    """It pays all 2 kWh of the first, 0.5 EUR, and 0.4 kWh of the second, 0.12 EUR; the ledger 0.4 and 0.24 EUR."""
    world.open()
    world.tell()
    world.finish()
    receipts = [world.chain.receipt(job.transaction) for job in world.client.outbox.confirmed_jobs(0)]
    said = [event for receipt in receipts for event in world.market.direct.events(receipt)]
    paid = [(e.arguments["delivered"], e.arguments["paid"]) for e in said if e.name == "TradeSettled"]
    assert paid == [(2_000, 500_000), (400, 120_000)]
    rest = np.arange(3), np.array([-99_993, 119_993, -20_000]), np.array([-400, 400, 0])
    (batch,) = world.market.market.events(receipts[-1])
    assert batch.arguments["digest"] == keccak(pack_entries(*rest))


def test_a_penalty_is_paid_back_as_the_ledger_knows_of_none(world):
    kind = Direct(world.market, penalty_micro_eur_per_kwh=50_000)
    openings = [Opening(job.key, job.transaction.data, True) for job in kind.open(0, TRADES)]
    locked = sum(job.effect_micro_eur for job in kind.open(0, TRADES))
    assert locked.tolist() == [500_000, 300_000, 150_000]
    *pays, batch = kind.begin(STATEMENT, openings)
    # 0.6 kWh of the second trade are missing, at 0.05 EUR/kWh
    assert (locked + pays[0].effect_micro_eur).tolist() == [500_000, 120_000 - 30_000, -620_000 + 30_000]
    assert batch.effect_micro_eur.tolist() == [-99_993, 119_993 + 30_000, -20_000 - 30_000]


def test_what_was_never_sent_before_its_period_ended_is_netted(world):
    world.wait_until(END_S - 1)  # a later block is after the period
    assert world.open() == 2
    assert world.client.unsettled == ()
    world.tell()
    (settled,) = world.finish()
    assert (len(settled.transactions), world.lockers()) == (1, [False, False])
    assert world.client.counts["transactions never sent as they had expired"] == 2
    assert (counted(world, "opened"), counted(world, "not opened in time, and netted")) == (0, 2)
    assert world.client.balances().tolist() == AFTER


def test_what_comes_too_late_is_mined_to_no_effect_and_netted(world):
    world.wait_until(END_S - 2)
    world.open()
    world.tell()
    assert world.client.due_s(END_S) == END_S  # they hold nonces, so they must be mined
    (settled,) = world.finish()
    assert (len(settled.transactions), world.lockers()) == (3, [False, False])
    assert world.client.counts["transactions that failed for good, as they may"] == 2
    assert world.client.balances().tolist() == AFTER


def test_one_that_opened_and_one_that_did_not(world):
    world.open(TRADES[:1])
    world.mine(1)
    world.wait_until(END_S - 2)
    world.open(TRADES[1:], first=1)
    world.tell()
    world.finish()
    assert world.lockers() == [True, False]
    assert world.client.balances().tolist() == AFTER


def test_a_reorganisation_may_undo_a_final_opening_until_the_window_closes(world):
    before = world.chain.snapshot()
    world.open()
    world.mine(3)
    assert world.lockers() == [True, True]
    world.tell()
    world.mine(2)
    world.chain.restore(before)
    world.wait_until(END_S + 1)
    world.client.advance(END_S + 1)
    assert world.client.outbox.openings(0) is None
    assert world.client.due_s(END_S + 1) == END_S + 1
    world.mine(1)
    world.finish()
    assert world.lockers() == [False, False]
    assert world.client.counts["payments undone after they were final"] == 2
    assert world.client.balances().tolist() == AFTER


def test_a_reorganisation_may_let_a_failed_opening_succeed_until_the_window_closes(world):
    before = world.chain.snapshot()
    world.wait_until(END_S - 2)
    world.open()
    world.tell()
    world.mine(3)
    assert world.lockers() == [False, False]
    world.chain.restore(before)
    world.client.advance(END_S + 40)  # sent again, and mined earlier than before
    world.mine(3)
    assert world.lockers() == [True, True]
    world.finish()
    assert world.client.balances().tolist() == AFTER


def test_a_payment_does_not_begin_while_one_trade_is_uncertain(world):
    world.wait_until(END_S - 2)
    world.open(blocks=0)
    world.client.submit(STATEMENT, END_S)
    world.wait_until(END_S + 2 * WINDOW_S)
    world.mine(1)  # one block short of certain
    assert not world.client.outbox.has_begun(0)
    world.mine(1)
    assert world.client.outbox.has_begun(0)


def test_a_reorganisation_deeper_than_the_window_is_an_error(world):
    before = world.chain.snapshot()
    world.open()
    world.mine(3)
    world.tell()
    world.wait_until(END_S + WINDOW_S)
    world.client.advance(world.chain.timestamp_s)
    world.chain.restore(before)
    with pytest.raises(ChainError, match="a reorganisation undid 0/open/0 after its period was paid by it"):
        world.client.advance(END_S + WINDOW_S)


def test_a_failure_that_is_undone_after_its_period_was_paid_stays_one(world):
    world.wait_until(END_S - 2)
    before = world.chain.snapshot()
    world.open()
    world.tell()
    world.mine(2)
    world.wait_until(END_S + WINDOW_S)
    world.client.advance(END_S + WINDOW_S)
    assert world.client.outbox.has_begun(0)
    world.chain.restore(before)
    world.client.advance(END_S + WINDOW_S + 60)
    assert world.client.counts["payments undone before they were final"] == 0  # none of them had been made
    assert [settled.period for settled in world.mine(4)] == [0]
    world.client.reconcile(world.start - STATEMENT.amount_micro_eur)
    assert world.client.balances().tolist() == AFTER


def test_a_trade_that_opens_after_its_period_was_paid_without_it_is_an_error(world):
    before = world.chain.snapshot()
    world.wait_until(END_S - 2)
    world.open(TRADES[:1])
    world.tell()
    world.wait_until(END_S + WINDOW_S)
    world.mine(3)
    world.chain.restore(before)
    world.client.advance(END_S + WINDOW_S + 60)
    with pytest.raises(ChainError, match="0/open/0 opened a trade after its period was paid without it"):
        world.mine(5)


def test_a_trade_without_cover_is_netted():
    world = World((600_000, 10_000_000, 10_000_000))
    assert world.open(TRADES[[0, 0, 1]]) == 2  # 0.5 EUR twice, of 0.6
    assert counted(world, "without cover, and netted") == 1
    world.mine(1)
    assert world.client.balances().tolist() == [100_000, 9_700_000, 10_000_000]


def test_what_is_owed_and_not_paid_covers_nothing(world):
    world.open()
    world.tell(STATEMENT)
    small = np.array([(0, 1, 1_000, 10_000_000 - 400_007 - 500_000 + 1)], dtype=TRADE_LINE)
    assert world.open(small, period=1) == 0  # what is owed, and what is locked for it too, and a micro-euro
    small["price_micro_eur_per_kwh"] -= 1
    assert world.open(small, period=1) == 1
    due = np.array([(2, 1, 1_000, 10_000_001)], dtype=TRADE_LINE)
    assert world.open(due, first=1, period=1) == 0  # what account 2 is to receive it has not yet


def test_what_a_buyer_took_out_is_no_cover_either(world):
    """The client does not know of it; the contract does, and refuses to open the trade."""
    world.market.market.submit(world.market.member_address(0), 200_000, "withdraw", 9_600_000)
    world.mine(1)
    world.open(TRADES)
    world.mine(3)
    assert world.lockers() == [False, True]


def test_an_order_that_a_member_cancelled_opens_nothing(world):
    _, bid = Direct(world.market).orders(0, 0, TRADES[0])
    world.market.direct.submit(world.market.member_address(0), 200_000, "cancelOrder", tuple(bid))
    world.mine(1)
    world.open(blocks=3)
    assert world.lockers() == [False, True]
    world.tell()
    world.finish()
    assert world.client.balances().tolist() == AFTER


def test_a_contract_that_refuses_for_another_reason_is_an_error(world):
    """Here the guardian paused the market."""
    registry, operator = world.market.registry, world.market.operator
    registry.submit(operator, 200_000, "grantRole", registry.call("GUARDIAN_ROLE"), operator)
    world.market.market.submit(operator, 200_000, "pause")
    world.mine(1)
    with pytest.raises(RevertedError, match="settlement of period 0 reverted: EnforcedPause"):
        world.open()


def test_trades_told_twice_are_opened_once(world):
    world.open()
    world.open()
    world.mine(3)
    world.open()
    world.mine(3)
    assert world.client.balances().tolist() == [9_500_000, 9_700_000, 10_000_000]
    world.tell()
    with pytest.raises(ChainError, match="period 0 was submitted, so no trade of it can be opened at"):
        world.open()


def test_a_trade_of_nothing_or_at_a_negative_price_is_not_opened(world):
    trades = np.array([(0, 2, 0, 5), (0, 2, 5, -1), (0, 2, 5, 0)], dtype=TRADE_LINE)
    assert [job.key for job in Direct(world.market).open(0, trades, 4)] == ["0/open/6"]


@pytest.mark.parametrize("after", ["open", "told", "begun"])
def test_another_process_goes_on_where_the_first_was_cut_off(tmp_path, after):
    world = World(outbox=Outbox(tmp_path / "outbox.sqlite"))
    steps = {"open": world.open, "told": world.tell, "begun": lambda: advanced_to(world, END_S + WINDOW_S)}
    for name, step in steps.items():
        step()
        if name == after:
            world.client.outbox.close()
            world.client = SettlementClient(
                Market.at(world.chain, world.market.addresses()), names=world.names, initial_micro_eur=world.start,
                kind="direct", confirmations=2, patience_s=60, outbox=Outbox(tmp_path / "outbox.sqlite"),
            )  # fmt: skip
            assert world.client.final_micro_eur.tolist() == [0, 0, 0]
            world.client.advance(world.chain.timestamp_s)
    (settled,) = world.finish()
    assert len(settled.transactions) == 4
    assert world.client.balances().tolist() == AFTER


def advanced_to(world, time_s):
    world.mine(3)
    world.wait_until(time_s)
    world.client.advance(time_s)


def test_many_trades_are_paid_in_portions_and_each_meter_is_read_once(world, monkeypatch):
    monkeypatch.setattr("vpp_sim.chain.direct_trades.TRADES_A_PAYMENT", 1)
    world.open()
    world.tell()
    (settled,) = world.finish()
    assert len(settled.transactions) == 5
    assert world.client.balances().tolist() == AFTER


def test_a_payment_of_as_many_trades_as_are_paid_at_once_has_gas_to_spare():
    """Each of a seller of its own, so that each needs a reading; and each account is new to trading."""
    world = World((10_000_000,) * 2 * TRADES_A_PAYMENT)
    numbers = range(TRADES_A_PAYMENT)
    trades = np.array([(k, TRADES_A_PAYMENT + k, 1_000, 10) for k in numbers], dtype=TRADE_LINE)
    readings = np.array([(TRADES_A_PAYMENT + k, -1_000) for k in numbers], dtype=READING_LINE)
    world.open(trades, blocks=3)
    opened, nothing = world.client.outbox.confirmed_jobs(0), np.zeros(1, dtype=np.int64)
    assert max(job.gas_used for job in opened) < 0.8 * 300_000
    world.tell(Statement(0, nothing, nothing, nothing, trades[:0], readings))
    advanced_to(world, END_S + WINDOW_S)
    world.mine(3)
    (pay,) = [item.job for item in world.client.outbox.open_jobs() if item.job.key == "0/pay/0"]
    gas = world.client.outbox.confirmed_jobs(0)[TRADES_A_PAYMENT].gas_used
    assert gas < 0.8 * pay.transaction.gas_limit
    assert pay.transaction.gas_limit < TRANSACTION_GAS


def test_a_period_of_trades_that_came_to_nothing_is_settled_all_the_same(world):
    world.open()
    nothing = np.zeros(1, dtype=np.int64)
    world.tell(Statement(0, nothing, nothing, nothing, TRADES[:0], np.array([(2, 300)], dtype=READING_LINE)))
    world.wait_until(END_S + WINDOW_S)
    world.client.advance(END_S + WINDOW_S)
    (settled,) = world.mine(12)
    assert settled.moved_micro_eur == 0
    assert world.client.balances().tolist() == list(START)


def test_a_seller_without_a_reading_and_a_receipt_of_other_payments_are_errors(world):
    world.open()
    world.tell()
    world.finish()
    kind, openings = Direct(world.market), world.client.outbox.openings(0)
    unread = Statement(0, STATEMENT.member, STATEMENT.amount_micro_eur, STATEMENT.traded_wh)
    with pytest.raises(ChainError, match="period 0: account 2 sold, and has no reading"):
        kind.begin(unread, openings)
    receipt = world.chain.receipt(world.client.outbox.confirmed_jobs(0)[2].transaction)
    assert kind.proceed(STATEMENT, "0/pay/0", receipt, openings) == ()
    other = Statement(
        0, *(getattr(STATEMENT, name) for name in ("member", "amount_micro_eur", "traded_wh", "trades")),
        np.array([(2, -2_399)], dtype=READING_LINE),
    )  # fmt: skip
    with pytest.raises(ChainError, match=r"payment 0/pay/0: trades delivered and were paid .*\(400, 120000\)\] .* not"):
        kind.proceed(other, "0/pay/0", receipt, openings)


def test_a_statement_with_readings_is_stored_and_read_again():
    found = Statement.from_bytes(STATEMENT.to_bytes())
    assert found.readings.tolist() == [(2, -2_400)]
    assert (found.trades.size, found.amount_micro_eur.tolist()) == (0, [400_007, 239_993, -640_000])
    both = Statement(7, np.arange(2), np.array([1, -1]), np.array([0, 0]), TRADES, READINGS)
    found = Statement.from_bytes(both.to_bytes())
    assert (found.trades.tolist(), found.readings.tolist()) == (TRADES.tolist(), READINGS.tolist())


def test_an_outbox_of_another_version_is_refused(tmp_path):
    outbox = Outbox(tmp_path / "outbox.sqlite")
    outbox._database.execute("PRAGMA user_version = 1")
    outbox.close()
    with pytest.raises(ChainError, match=r"outbox .*outbox.sqlite is of version 1, not 2"):
        Outbox(tmp_path / "outbox.sqlite")
