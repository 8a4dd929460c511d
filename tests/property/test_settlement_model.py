"""Solidity against a Python model: the same random inputs, the same integers, the same refusals."""

import re

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from vpp_sim.chain.batch import pack_entries
from vpp_sim.chain.contract import RevertedError
from vpp_sim.chain.deployment import deploy, fund, mine_all
from vpp_sim.chain.eth_tester import EthTesterChain
from vpp_sim.chain.settlement import SettlementClient
from vpp_sim.errors import ChainError

MEMBERS = 4
START = np.array([1_000, 0, 300, 2**40], dtype=np.int64)
GENESIS_S = 1_500_000_000

amounts = st.integers(-400, 400) | st.sampled_from([0, 2**40, -(2**40), 2**63 - 1, -(2**63)])
energies = st.integers(-5_000, 5_000) | st.sampled_from([0, 2**63 - 1, -(2**63)])
members = st.integers(0, MEMBERS)  # the last is no member
free_entries = st.lists(st.tuples(members, amounts, energies), min_size=1, max_size=MEMBERS)


@st.composite
def fair_entries(draw):
    """Draw a batch of known members that sums to zero, which may still overdraw somebody."""
    who = sorted(draw(st.sets(st.integers(0, MEMBERS - 1), min_size=1)))
    pay = draw(st.lists(st.integers(-400, 400), min_size=len(who) - 1, max_size=len(who) - 1))
    buy = draw(st.lists(st.integers(-5_000, 5_000), min_size=len(who) - 1, max_size=len(who) - 1))
    return list(zip(who, [*pay, -sum(pay)], [*buy, -sum(buy)], strict=True))


class Model:
    """What the contract must do, in exact Python integers."""

    def __init__(self):
        self.balances, self.traded = START.tolist(), [0] * MEMBERS
        self.wallets, self.settled = [0] * MEMBERS, set()

    def settle(self, period, entries):
        """Book a batch and return None, or return the error and change nothing."""
        if period in self.settled:
            return "SettlementPeriodAlreadySettled"
        balances, traded, last = list(self.balances), list(self.traded), -1
        for member, amount, energy in entries:
            if member <= last:
                return "SettlementInvalidOrder"
            if member >= MEMBERS:
                return "SettlementInvalidMember"
            if balances[member] < amount:
                return "SettlementInsufficientBalance"
            balances[member] -= amount
            traded[member] += energy
            last = member
        if sum(amount for _, amount, _ in entries):
            return "SettlementUnbalancedMoney"
        if sum(energy for *_, energy in entries):
            return "SettlementUnbalancedEnergy"
        self.balances, self.traded = balances, traded
        self.settled.add(period)
        return None

    def withdraw(self, member, amount):
        if amount <= 0:
            return "SettlementInvalidAmount"
        if self.balances[member] < amount:
            return "SettlementInsufficientBalance"
        self.balances[member] -= amount
        self.wallets[member] += amount
        return None

    def deposit(self, member, amount):
        if amount <= 0:
            return "SettlementInvalidAmount"
        if self.wallets[member] < amount:
            return "ERC20InsufficientBalance"
        self.wallets[member] -= amount
        self.balances[member] += amount
        return None


class Deployed:
    """One chain for all examples."""

    def __init__(self):
        self.chain = EthTesterChain(accounts=MEMBERS + 1, seed=7, genesis_timestamp_s=GENESIS_S)
        self.operator, *self.people = self.chain.accounts
        self.currency, self.settlement = deploy(self.chain, self.operator)
        fund(self.currency, self.settlement, self.operator, START)
        for person in self.people:
            self.currency.submit(person, 100_000, "approve", self.settlement.address, 2**256 - 1)
        mine_all(self.chain, self.settlement.abi, "approval")
        self.snapshot = self.chain.snapshot()


class SettlementMachine(RuleBasedStateMachine):
    """Random sequences of batches, replays, deposits and withdrawals."""

    deployed = None

    def __init__(self):
        super().__init__()
        if SettlementMachine.deployed is None:
            SettlementMachine.deployed = Deployed()
        self.on = SettlementMachine.deployed
        self.on.chain.restore(self.on.snapshot)
        self.model = Model()
        self.period = 0

    def compare(self, expected, sender, function, *arguments):
        self.on.settlement.submit(sender, 500_000, function, *arguments)
        found = None
        try:
            mine_all(self.on.chain, self.on.settlement.abi, function)
        except RevertedError as error:
            found = error.error
        assert found == expected

    def settle(self, period, entries):
        packed = b"".join(
            member.to_bytes(4, "big") + amount.to_bytes(8, "big", signed=True) + energy.to_bytes(8, "big", signed=True)
            for member, amount, energy in entries
        )
        self.compare(self.model.settle(period, entries), self.on.operator, "settle", period, packed)

    @rule(entries=fair_entries())
    def settle_a_fair_batch(self, entries):
        self.settle(self.period, entries)
        self.period += 1

    @rule(entries=free_entries)
    def settle_any_batch(self, entries):
        self.settle(self.period, entries)
        self.period += 1

    @precondition(lambda self: self.model.settled)
    @rule(entries=fair_entries())
    def settle_a_period_again(self, entries):
        self.settle(max(self.model.settled), entries)

    @rule(member=st.integers(0, MEMBERS - 1), amount=st.integers(-2, 400))
    def withdraw(self, member, amount):
        self.compare(self.model.withdraw(member, amount), self.on.people[member], "withdraw", amount)

    @rule(member=st.integers(0, MEMBERS - 1), amount=st.integers(-2, 400))
    def deposit(self, member, amount):
        self.compare(self.model.deposit(member, amount), self.on.people[member], "deposit", amount)

    @invariant()
    def the_same_integers(self):
        balances, traded = self.on.settlement.call("accounts")
        assert list(balances) == self.model.balances
        assert list(traded) == self.model.traded

    @invariant()
    def escrow_is_the_sum_of_balances_and_nothing_is_lost(self):
        escrow = self.on.currency.call("balanceOf", self.on.settlement.address)
        assert escrow == self.on.settlement.call("totalBalance") == sum(self.model.balances)
        assert escrow + sum(self.model.wallets) == self.on.currency.call("totalSupply") == START.sum()


TestSettlementMachine = SettlementMachine.TestCase
TestSettlementMachine.settings = settings(
    max_examples=10,
    stateful_step_count=12,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # twelve steps are short enough to read; shrinking them on a chain takes minutes
    suppress_health_check=list(HealthCheck),
)

weeks = st.lists(fair_entries(), min_size=1, max_size=4)


@settings(max_examples=8, deadline=None, derandomize=True, phases=[Phase.generate])  # a chain an example: no shrinking
@given(week=weeks, culprit=st.integers(0, MEMBERS - 1), slip=st.integers(-50, 50).filter(bool))
def test_the_client_keeps_the_ledgers_integers_and_finds_any_slip(week, culprit, slip):
    ledger = START + 2_000
    chain = EthTesterChain(accounts=MEMBERS + 1, seed=7, genesis_timestamp_s=GENESIS_S)
    names = [f"home_{i}" for i in range(MEMBERS)]
    client = SettlementClient(chain, names=names, initial_micro_eur=ledger, confirmations=1)
    for period, entries in enumerate(week):
        who, pay, buy = np.array(entries, dtype=np.int64).T
        client.submit_batch(period, who, pay, buy)
        ledger = ledger.copy()
        ledger[who] -= pay
        client.reconcile(ledger)
        client.mine_block(chain.timestamp_s + 12)
    client.reconcile(ledger)
    assert client.balances().sum() == (START + 2_000).sum()
    ledger[culprit] -= slip
    with pytest.raises(ChainError, match=rf"block \d+: home_{culprit} has .*\({re.escape(f'{slip:+d}')}\)$"):
        client.reconcile(ledger)


@given(entries=free_entries)
def test_packing_sorts_and_keeps_every_integer(entries):
    entries = list({member: (member, amount, energy) for member, amount, energy in entries}.values())
    who, pay, buy = np.array(entries, dtype=np.int64).T
    by_hand = b"".join(
        member.to_bytes(4, "big") + amount.to_bytes(8, "big", signed=True) + energy.to_bytes(8, "big", signed=True)
        for member, amount, energy in sorted(entries)
    )
    assert pack_entries(who, pay, buy) == by_hand
