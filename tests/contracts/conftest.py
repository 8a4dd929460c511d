"""One deployed chain for all contract tests; every test starts from the same snapshot."""

import pytest

from tests.contracts.market_world import MarketWorld
from vpp_sim.chain.contract import RevertedError
from vpp_sim.chain.deployment import deploy, fund, mine_all
from vpp_sim.chain.eth_tester import EthTesterChain

MEMBERS = 3
START_MICRO_EUR = (1_000, 0, 500)


class World:
    """The contracts, and their people by role: operator, members, and a stranger."""

    def __init__(self):
        import numpy as np

        self.chain = EthTesterChain(accounts=MEMBERS + 2, seed=7, genesis_timestamp_s=1_500_000_000)
        self.operator, *self.members, self.stranger = self.chain.accounts
        self.currency, self.settlement = deploy(self.chain, self.operator)
        fund(self.currency, self.settlement, self.operator, np.array(START_MICRO_EUR, dtype=np.int64))

    def do(self, sender, contract, function, *arguments):
        """Run one transaction in a block of its own and return its receipt, or raise what the contract says."""
        contract.submit(sender, 1_000_000, function, *arguments)
        (receipt,) = mine_all(self.chain, self.settlement.abi, function)
        return receipt

    def refuse(self, sender, contract, function, *arguments):
        """Return name and arguments of the error that the contract must answer with."""
        with pytest.raises(RevertedError) as caught:
            self.do(sender, contract, function, *arguments)
        return caught.value.error, caught.value.arguments

    def balances(self):
        return self.settlement.call("accounts")[0]

    def tokens(self, account):
        return self.currency.call("balanceOf", account)


@pytest.fixture(scope="session")
def _deployed():
    world = World()
    return world, world.chain.snapshot()


@pytest.fixture
def world(_deployed):
    world, snapshot = _deployed
    world.chain.restore(snapshot)
    return world


@pytest.fixture(scope="session")
def _opened():
    world = MarketWorld()
    world.fund()
    return world, world.chain.snapshot()


@pytest.fixture
def place(_opened):
    """The energy market with four funded members and a bonded operator, as deployed."""
    world, snapshot = _opened
    world.chain.restore(snapshot)
    return world
