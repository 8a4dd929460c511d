"""Network-aware trades on the CIGRE low-voltage feeder, judged by the full power flow.

The market sees finite differences only; that no limit is broken is read from the Newton-Raphson solution.
"""

from dataclasses import replace

import numpy as np
import pytest

from tests.support.feeder_models import SolvedFeeder
from vpp_sim.market.accounts import filled, welfare_eur
from vpp_sim.market.clearing import UniformPrice
from vpp_sim.market.network_aware import NetworkAware
from vpp_sim.market.network_aware_program import drawn_kwh
from vpp_sim.market.protocol import OrderBook
from vpp_sim.network.cigre_lv import cigre_lv_residential
from vpp_sim.network.feeder import Limits
from vpp_sim.network.limits import violations
from vpp_sim.network.power_flow import PowerFlow

FEEDER = cigre_lv_residential()


def _solved(limits=FEEDER.limits, base_kw=3.0):
    """Return the feeder with 3 kW at power factor 0.95 at each customer bus, whatever is traded."""
    base = np.zeros(len(FEEDER.buses))
    base[FEEDER.bus_indices(FEEDER.customer_buses)] = base_kw
    return SolvedFeeder(replace(FEEDER, limits=limits), base, base * np.tan(np.arccos(0.95)))


def _book(bids, asks):
    """Build a book from (bus, kWh, EUR/kWh) triples; prosumers are numbered bids first."""
    buses = [FEEDER.bus_index(bus) for bus, _, _ in (*bids, *asks)]
    columns = [np.array([[energy, price] for _, energy, price in side]).reshape(-1, 2).T for side in (bids, asks)]
    ids = np.arange(len(buses))
    return OrderBook(
        ids[: len(bids)], *columns[0], ids[len(bids) :], *columns[1], 0.30, 0.05, connection=np.array(buses)
    )


def _net_kw(book, clearing, step_h=1.0):
    return drawn_kwh(book, book.connection, len(FEEDER.buses), *filled(clearing, book)) / step_h


def test_finite_differences_foresee_the_power_flow():
    feeder = _solved()
    rng = np.random.default_rng(0)
    net_kw = np.zeros(feeder.nodes)
    net_kw[FEEDER.bus_indices(FEEDER.customer_buses)] = rng.uniform(-20, 20, 5)
    limits = feeder.limits(net_kw)
    small = rng.normal(0.0, 0.5, feeder.nodes)
    assert limits.levels(net_kw + small)[: limits.voltage_pu.size] == pytest.approx(
        feeder.state(net_kw + small).v_pu, abs=2e-6
    )
    state = feeder.state(net_kw)
    assert np.abs(limits.loading) == pytest.approx([*state.line_loading, *state.transformer_loading], abs=1e-9)


def test_one_line_by_hand():
    # The line to R18 carries 144 A, 99.8 kVA at 400 V. Its home sells 130 kW of sun; the base there draws 3 kW.
    feeder = _solved()
    book = _book([("R11", 60.0, 0.30), ("R17", 90.0, 0.28)], [("R18", 130.0, 0.05), ("R15", 30.0, 0.20)])
    uniform = UniformPrice().clear(book)
    broken = violations(FEEDER.limits, feeder.state(_net_kw(book, uniform)))
    assert (broken.overloaded_lines, broken.under_voltage_buses, broken.over_voltage_buses) == (1, 0, 0)

    cleared = NetworkAware(feeder).solve(book)
    state = feeder.state(_net_kw(book, cleared.clearing))
    assert violations(FEEDER.limits, state).total == 0
    assert [limit.name for limit in cleared.binding] == ["loading of R10-R18"]
    _, sold_kwh = filled(cleared.clearing, book)
    # 3 kW of its own base, and a voltage that its feed-in lifts by about 3 %, leave room beyond the 99.8 kVA.
    assert 99.8 + 3.0 < sold_kwh[0] < 99.8 * 1.05 + 3.0
    assert sold_kwh[1] == pytest.approx(30.0)
    # R18 has more to sell than its line carries, so its own ask is its price; the last kWh elsewhere goes to R17.
    node = cleared.node_eur_per_kwh
    assert node[FEEDER.bus_index("R18")] == pytest.approx(0.05, abs=1e-6)
    assert node[FEEDER.bus_index("R17")] == pytest.approx(0.28, abs=1e-4)
    assert cleared.clearing.surplus_eur == pytest.approx(sum(limit.rent_eur for limit in cleared.binding), rel=1e-4)
    assert cleared.clearing.surplus_eur == pytest.approx(0.23 * sold_kwh[0], rel=0.05)


@pytest.mark.parametrize(
    ("limits", "side"),
    [
        (Limits(u_min_pu=0.97), "draw"),
        (Limits(u_max_pu=1.02), "feed"),
        (Limits(loading_max=0.4), "draw"),
        (Limits(loading_max=0.4), "feed"),
        (Limits(u_min_pu=0.985, u_max_pu=1.01, loading_max=0.5), "both"),
    ],
)
@pytest.mark.parametrize("seed", range(5))
def test_no_trade_breaks_a_limit_that_the_uniform_price_breaks(limits, side, seed):
    feeder = _solved(limits)
    rng = np.random.default_rng(seed)
    homes = np.empty(30, dtype=object)
    # Demand at the ends of the feeder and sun near its head, the reverse, or both ends against each other.
    ends = {
        "draw": ("R15", "R18", "R11", "R16"),
        "feed": ("R11", "R16", "R15", "R18"),
        "both": ("R15",) * 2 + ("R18",) * 2,
    }
    homes[:15], homes[15:] = rng.choice(ends[side][:2], 15), rng.choice(ends[side][2:], 15)
    energy, price = rng.gamma(4.0, 2.5, 30), rng.uniform(0.05, 0.15, 30)
    bids = [(homes[i], energy[i], price[i] + 0.12) for i in range(15)]
    asks = [(homes[i], energy[i], price[i]) for i in range(15, 30)]
    book = _book(bids, asks)
    uniform = UniformPrice().clear(book)
    assert violations(limits, feeder.state(np.zeros(feeder.nodes))).total == 0
    assert violations(limits, feeder.state(_net_kw(book, uniform))).total > 0

    cleared = NetworkAware(feeder).solve(book)
    assert violations(limits, feeder.state(_net_kw(book, cleared.clearing))).total == 0
    assert cleared.binding
    assert cleared.broken == ()
    assert cleared.clearing.surplus_eur > 0
    share = welfare_eur(cleared.clearing, book) / welfare_eur(uniform, book)
    assert 0.1 < share < 1.0


def test_it_trades_all_that_the_full_power_flow_lets_through():
    # One seller at R18 and one buyer at R11: bisect the energy on the full power flow, without any linear feeder.
    limits = Limits(u_max_pu=1.02)
    feeder = _solved(limits)
    book = _book([("R11", 90.0, 0.30)], [("R18", 90.0, 0.05)])
    unit_kw = np.zeros(feeder.nodes)
    unit_kw[[FEEDER.bus_index("R11"), FEEDER.bus_index("R18")]] = 1.0, -1.0
    low, high = 0.0, 90.0
    for _ in range(40):
        middle = (low + high) / 2
        holds = not violations(limits, feeder.state(middle * unit_kw)).total
        low, high = (middle, high) if holds else (low, middle)
    assert 5.0 < low < 89.0
    assert NetworkAware(feeder).clear(book).traded_kwh == pytest.approx(low, rel=2e-3)


def test_a_light_book_is_cleared_as_if_there_were_no_feeder():
    book = _book([("R11", 5.0, 0.30), ("R17", 4.0, 0.2)], [("R18", 6.0, 0.05), ("R15", 3.0, 0.1)])
    one, other = NetworkAware(_solved()).clear(book), UniformPrice().clear(book)
    assert welfare_eur(one, book) == pytest.approx(welfare_eur(other, book), rel=1e-12)
    for fill, same in zip(filled(one, book), filled(other, book), strict=True):
        assert fill == pytest.approx(same, abs=1e-12)
    assert (one.fee_eur_per_kwh == 0).all()


def test_a_shorter_step_is_a_larger_power():
    # 40 kWh in an hour fit; in a quarter of an hour they are 160 kW, which the buyer's own line does not carry: its
    # 99.8 kVA less its base of 3 kW, at a voltage that is lower by about 2 %.
    feeder = _solved()
    book, large = (_book([("R11", energy, 0.30)], [("R18", energy, 0.05)]) for energy in (40.0, 160.0))
    assert NetworkAware(feeder).clear(book).traded_kwh == pytest.approx(40.0)
    quarter = NetworkAware(feeder, step_h=0.25).solve(book)
    assert [limit.name for limit in quarter.binding] == ["loading of R3-R11"]
    assert 0.97 * 99.8 - 3.1 < 4 * quarter.clearing.traded_kwh < 99.8 - 3.0
    assert 4 * quarter.clearing.traded_kwh == pytest.approx(NetworkAware(feeder).clear(large).traded_kwh, rel=1e-6)
    assert violations(FEEDER.limits, feeder.state(_net_kw(book, quarter.clearing, step_h=0.25))).total == 0


def test_a_base_that_breaks_a_limit_is_named_and_not_made_worse():
    # 30 kW at every customer bus: R15 is below 0.97 pu before any trade.
    limits = Limits(u_min_pu=0.97)
    feeder = _solved(limits, base_kw=30.0)
    before = feeder.state(np.zeros(feeder.nodes))
    low = [name for name, v in zip(FEEDER.bus_names, before.v_pu, strict=True) if v < 0.97]
    assert "R15" in low
    book = _book([("R15", 20.0, 0.30), ("R11", 20.0, 0.25)], [("R18", 15.0, 0.05), ("R16", 15.0, 0.10)])
    cleared = NetworkAware(feeder).solve(book)
    assert [breach.name for breach in cleared.broken] == [f"voltage at {name}" for name in low]
    worst = cleared.broken[low.index("R15")]
    assert str(worst) == f"voltage at R15 is {before.v_pu[15]:.4f}, {0.97 - before.v_pu[15]:.4f} below its limit 0.9700"
    after = feeder.state(_net_kw(book, cleared.clearing))
    assert (after.v_pu >= np.minimum(before.v_pu, 0.97) - 1e-6).all()
    assert cleared.clearing.traded_kwh > 1.0
    assert cleared.clearing.surplus_eur >= -1e-9


def test_the_market_sees_loads_as_the_grid_does():
    # Homes on a bus and a node that is the bus are the same to the power flow.
    homes = FEEDER.bus_indices(("R11", "R18", "R18"))
    by_home = PowerFlow(FEEDER, homes).solve(np.array([4.0, -9.0, 2.0]), np.zeros(3))
    feeder = _solved(base_kw=0.0)
    at_bus = feeder.state(np.bincount(homes, [4.0, -9.0, 2.0], feeder.nodes))
    assert at_bus.v_pu == pytest.approx(by_home.v_pu, abs=1e-9)
