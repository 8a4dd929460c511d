"""Random sequences of calls against the contracts and the model: same successes, same integers, and the invariants."""

import pytest
from eth_utils.crypto import keccak
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.contracts.market_model import Deal, Model
from tests.contracts.market_world import CALL_GAS, MINIMUM_BOND, WINDOW_S, MarketWorld, Tree, packed

MEMBERS, PERIODS = 4, 5
members = st.integers(0, MEMBERS - 1)
periods = st.integers(0, PERIODS - 1)
amounts = st.one_of(st.integers(-5, 5), st.integers(1, 12_000_000))
energies = st.integers(-3_000, 3_000)


class Market(RuleBasedStateMachine):
    """The contracts on one side, the model on the other."""

    world = None
    snapshot = None

    def __init__(self):
        super().__init__()
        if Market.world is None:
            Market.world = MarketWorld(MEMBERS)
            Market.world.fund()
            Market.snapshot = Market.world.chain.snapshot()
        self.w = Market.world
        self.w.chain.restore(Market.snapshot)
        self.supply = self.w.currency.call("totalSupply")
        self.model = Model(MEMBERS)
        self.trades = []  # (the contract's trade, the model's deal)
        self.settlements = {}  # period -> (settlement, lines, batch or tree)
        self.commitments = {}
        self.nonce = self.calls = 0

    def over(self, period):
        return self.w.chain.timestamp_s + 1 >= self.w.end_of(period)

    def both(self, expected, sender, contract, function, *arguments):
        """Do it on the chain, and require that it succeeds exactly when the model says so."""
        contract.submit(sender, CALL_GAS, function, *arguments)
        (receipt,) = self.w.chain.mine(self.w.chain.timestamp_s + 1).receipts
        reason = None if receipt.succeeded else str(contract.abi.reverted(function, receipt.revert_data))
        assert receipt.succeeded == expected, reason or f"{function} of {arguments} was not refused"
        return receipt if receipt.succeeded else None

    @rule(seconds=st.sampled_from([600, 3_600, WINDOW_S]))
    def wait(self, seconds):
        self.w.wait_until(self.w.chain.timestamp_s + seconds)

    @rule(member=members, amount=amounts)
    def withdraw(self, member, amount):
        self.both(self.model.withdraw(member, amount), self.w.members[member], self.w.market, "withdraw", amount)

    @rule(member=members, amount=amounts)
    def deposit(self, member, amount):
        account = self.w.members[member]
        self.w.do(account, self.w.currency, "approve", self.w.market.address, max(amount, 0))
        self.both(self.model.deposit(member, amount), account, self.w.market, "deposit", amount)

    @rule(member=members, amount=st.integers(0, 5_000_000))
    def limit(self, member, amount):
        self.model.limit[member] = amount
        self.both(True, self.w.members[member], self.w.market, "setDebitLimit", amount)

    @rule(chance=st.integers(0, 5))
    def pause(self, chance):
        if chance and not self.model.paused:
            return
        function = "unpause" if self.model.paused else "pause"
        self.model.paused = not self.model.paused
        self.both(True, self.w.guardian, self.w.market, function)

    @rule(who=st.sampled_from(["admin", "operator", "oracle", "stranger"]))
    def roles_hold(self, who):
        account = getattr(self.w, who)
        self.both(False, account, self.w.market, "pause" if not self.model.paused else "unpause")
        self.both(False, account, self.w.market, "withdraw", 1)
        self.both(False, account, self.w.market, "lockTrade", 0, 1, 1, 1)
        self.both(False, account, self.w.market, "releaseTrade", 0, 1, 1, 0, 0)

    @rule(
        maker=members, taker=members, period=periods, sells=st.booleans(), energy=st.integers(-1, 3_000),
        price=st.integers(0, 400_000), penalty=st.integers(0, 100_000),
    )  # fmt: skip
    def trade(self, maker, taker, period, sells, energy, price, penalty):
        self.nonce += 1
        expiry, timeout = self.w.end_of(PERIODS + 9), self.w.end_of(PERIODS + 9)
        order, signature = self.w.signed_order(
            maker, sells=sells, period=period, price=price, penalty=penalty, nonce=self.nonce, expiry=expiry,
            timeout=timeout,
        )  # fmt: skip
        buyer, seller = (taker, maker) if sells else (maker, taker)
        deal = Deal(buyer, seller, period, energy, 0, price, penalty, timeout)
        expected = energy <= 2_000 and self.model.open(deal, over=self.over(period))
        account = self.w.members[taker]
        receipt = self.both(expected, account, self.w.direct, "acceptOrder", order, signature, energy)
        if receipt is not None:
            self.trades.append((self.w.opened(receipt)[0], deal))

    @rule(member=members, period=periods, energy=energies)
    def record(self, member, period, energy):
        self.reading(member, period, energy)

    def reading(self, member, period, energy):
        expected = self.model.record(member, period, energy, over=self.over(period))
        reading = (self.w.meters[member], period, energy)
        signature = self.w.sign(self.w.oracle, "Reading", *reading)
        self.both(expected, self.w.stranger, self.w.direct, "recordReading", reading, self.w.oracle, signature)

    @rule(data=st.data(), refund=st.booleans())
    def end_trade(self, data, refund):
        if not self.trades:
            return
        trade, deal = data.draw(st.sampled_from(self.trades))
        if data.draw(st.booleans()):
            self.w.wait_until(self.w.end_of(deal.period))
            self.reading(deal.seller, deal.period, data.draw(energies))
        now_s = self.w.chain.timestamp_s + 1
        expected = self.model.refund(deal, now_s) if refund else self.model.pay(deal)
        self.both(expected, self.w.stranger, self.w.direct, "refundTrade" if refund else "settleTrade", trade)

    def draw_lines(self, data):
        amount = data.draw(st.lists(st.integers(-1_500_000, 1_500_000), min_size=MEMBERS, max_size=MEMBERS))
        traded = data.draw(st.lists(energies, min_size=MEMBERS, max_size=MEMBERS))
        amount[-1] -= sum(amount) + data.draw(st.sampled_from([0, 0, 0, 1]))
        traded[-1] -= sum(traded)
        return list(zip(range(MEMBERS), amount, traded, strict=True))

    @rule(data=st.data(), period=periods)
    def netted(self, data, period):
        lines = self.draw_lines(data)
        batch = packed(*lines)
        signature = self.w.sign(self.w.oracle, "Batch", period, keccak(batch))
        expected = self.model.netted(period, lines, over=self.over(period))
        arguments = (period, batch, self.w.oracle, signature)
        if self.both(expected, self.w.operator, self.w.market, "settleNetted", *arguments) is not None:
            self.keep(period, keccak(batch), lines, batch)

    @rule(data=st.data(), period=periods)
    def post(self, data, period):
        lines = self.draw_lines(data)
        tree = Tree([self.w.leaf(period, line) for line in lines])
        expected = self.model.post(period, over=self.over(period))
        if self.both(expected, self.w.operator, self.w.market, "postRoot", period, tree.root) is not None:
            self.keep(period, tree.root, lines, tree)

    def keep(self, period, content, lines, proof):
        self.settlements[period] = ((period, content, self.w.chain.timestamp_s), lines, proof)
        self.commitments[period] = self.w.market.call("commitmentOf", period)

    @rule(data=st.data(), member=members)
    def claim(self, data, member):
        if not self.settlements:
            return
        period = data.draw(st.sampled_from(sorted(self.settlements)))
        settlement, lines, tree = self.settlements[period]
        if self.model.settled[period] != "proof":
            return
        ready = self.w.chain.timestamp_s + 1 >= settlement[2] + WINDOW_S
        expected = ready and self.model.claim(period, lines[member])
        proof = tree.proof(self.w.leaf(period, lines[member]))
        self.both(expected, self.w.stranger, self.w.market, "claim", settlement, lines[member], proof)

    @rule(data=st.data(), member=members)
    def complain(self, data, member):
        if not self.settlements:
            return
        period = data.draw(st.sampled_from(sorted(self.settlements)))
        settlement, lines, proof = self.settlements[period]
        if data.draw(st.booleans()):
            self.reading(member, period, data.draw(energies))
        metered = self.model.readings.get((member, period))
        able = metered is not None and self.w.chain.timestamp_s + 1 < settlement[2] + WINDOW_S
        sender, market = self.w.members[member], self.w.market
        if self.model.settled[period] == "netted":
            expected = able and self.model.dispute(period, member, metered, lines[member])
            self.both(expected, sender, market, "disputeByReading", settlement, proof, member)
        else:
            expected = able and self.model.challenge(period, member, metered, lines[member])
            steps = proof.proof(self.w.leaf(period, lines[member]))
            if self.both(expected, sender, market, "challengeByReading", settlement, lines[member], steps):
                del self.settlements[period], self.commitments[period]

    @rule(amount=st.integers(1, MINIMUM_BOND))
    def bond(self, amount):
        expected = amount <= self.w.tokens(self.w.operator)
        if self.both(expected, self.w.operator, self.w.market, "postBond", amount) is not None:
            self.model.bond += amount

    @invariant()
    def every_tenth_state_is_compared(self):
        """Compare the whole state now and then: a difference stays, and every call's success is compared anyway."""
        self.calls += 1
        if self.calls % 10 == 0:
            self.compare()

    def teardown(self):
        self.compare()

    def compare(self):
        self.the_chain_is_the_model()
        self.the_escrow_is_what_is_owed()
        self.a_settled_period_does_not_change()

    def the_chain_is_the_model(self):
        balances, traded = self.w.balances(), self.w.traded()
        assert balances == tuple(self.model.balance)
        assert traded == tuple(self.model.traded)
        assert min(balances) >= 0
        assert self.w.bond() == self.model.bond
        assert self.w.market.call("totalLocked") == self.model.locked

    def the_escrow_is_what_is_owed(self):
        escrow = self.w.tokens(self.w.market.address)
        assert escrow == self.w.market.call("totalEscrow") == self.model.owed
        assert self.w.currency.call("totalSupply") == self.supply

    def a_settled_period_does_not_change(self):
        for period, word in self.commitments.items():
            assert self.w.market.call("commitmentOf", period) == word


def run(examples, steps):
    checks = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    kept = settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, derandomize=True, database=None,
        suppress_health_check=checks,
    )  # fmt: skip
    run_state_machine_as_test(Market, settings=kept)


def test_some_random_sequences_agree_with_the_model():
    run(4, 20)


@pytest.mark.slow
def test_a_thousand_random_sequences_of_fifty_calls_agree_with_the_model():
    run(1_000, 50)
