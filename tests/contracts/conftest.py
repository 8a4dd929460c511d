"""One deployed market for all contract tests; every test starts from the same snapshot."""

import pytest

from tests.contracts.market_world import MarketWorld


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
