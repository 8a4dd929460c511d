"""Time of the cooperative, network-aware and decentralised markets on two cores; best of several runs."""

from time import perf_counter

import numpy as np
import pytest

from tests.support.feeder_models import SolvedFeeder
from vpp_sim.market.admm import Decentralised, ExchangeProblem, solve_exchange
from vpp_sim.market.network_aware import NetworkAware
from vpp_sim.market.protocol import OrderBook
from vpp_sim.market.shapley import Shapley
from vpp_sim.network.cigre_lv import cigre_lv_residential

pytestmark = pytest.mark.perf

FEEDER = cigre_lv_residential()


def _milliseconds(run, rounds=5):
    """Return the best of `rounds` timings, after one that is not counted."""
    run()
    spent = []
    for _ in range(rounds):
        started = perf_counter()
        run()
        spent.append(perf_counter() - started)
    return min(spent) * 1e3


def _book(size, whole_kwh, *, truthful):
    """Buyers on R11 and R15, sellers on R17 and R18."""
    rng = np.random.default_rng(0)
    ids, bids = rng.permutation(size).astype(np.int64), size * 6 // 10
    buys = np.arange(size) < bids
    energy_kwh = rng.gamma(2.0, 0.5, size) * whole_kwh / size
    price = np.where(buys, 0.30, 0.05) if truthful else rng.uniform(0.05, 0.30, size)
    connection = np.empty(size, dtype=np.int64)
    ends = [FEEDER.bus_indices(names) for names in (("R11", "R15"), ("R17", "R18"))]
    connection[ids] = np.where(buys, rng.choice(ends[0], size), rng.choice(ends[1], size))
    return OrderBook(
        ids[:bids], energy_kwh[:bids], price[:bids], ids[bids:], energy_kwh[bids:], price[bids:], 0.30, 0.05,
        connection=connection,
    )  # fmt: skip


@pytest.mark.parametrize("size", [12, 13, 100, 1000])
def test_share_by_shapley_values(size, capsys):
    book = _book(size, 2.0 * size, truthful=True)
    market = Shapley()
    spent_ms = _milliseconds(lambda: market.clear(book))
    estimate = market.payoff_eur(book)
    error = estimate.standard_error.sum() / estimate.value.sum()
    with capsys.disabled():
        print(f"\nShapley: {size} orders shared in {spent_ms:.2f} ms, standard errors {100 * error:.2f} % of the gain")
    assert spent_ms <= 500.0


@pytest.mark.parametrize("truthful", [True, False], ids=["truthful", "drawn"])
@pytest.mark.parametrize("size", [13, 100, 1000, 10_000])
def test_clear_within_the_feeder(size, truthful, capsys):
    book = _book(size, 1500.0, truthful=truthful)
    solved = SolvedFeeder(FEEDER, np.zeros(len(FEEDER.buses)), np.zeros(len(FEEDER.buses)))
    linear = solved.limits(np.zeros(solved.nodes))
    linear_ms = _milliseconds(lambda: NetworkAware(linear).clear(book))
    solved_ms = _milliseconds(lambda: NetworkAware(solved).clear(book))
    rounds = NetworkAware(solved).solve(book).rounds
    with capsys.disabled():
        print(
            f"\nNetworkAware: {size} {'truthful' if truthful else 'drawn'} orders at 19 nodes in {linear_ms:.1f} ms on "
            f"a linear feeder, {solved_ms:.1f} ms with {rounds} rounds of finite differences"
        )
    assert solved_ms <= 2000.0


@pytest.mark.parametrize("size", [13, 100, 1000, 10_000])
def test_agree_without_a_centre(size, capsys):
    rng = np.random.default_rng(0)
    energy_kwh, buys = rng.gamma(2.0, 0.5, size), rng.random(size) < 0.6
    problem = ExchangeProblem(
        -rng.uniform(0.02, 0.35, size), 10 ** rng.uniform(-3, 0, size),
        np.where(buys, 0.0, -energy_kwh), np.where(buys, energy_kwh, 0.0),
    )  # fmt: skip
    book = _book(size, 2.0 * size, truthful=False)
    result, agreed = solve_exchange(problem), Decentralised().agree(book)
    exchange_ms = _milliseconds(lambda: solve_exchange(problem))
    book_ms = _milliseconds(lambda: Decentralised().clear(book))
    with capsys.disabled():
        print(
            f"\nADMM: {size} quadratic prosumers in {exchange_ms:.1f} ms and {result.iterations} rounds, as many "
            f"orders in {book_ms:.1f} ms and {agreed.iterations}"
        )
    assert result.converged
    assert agreed.converged
