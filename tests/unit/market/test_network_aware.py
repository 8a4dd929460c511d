"""Nodal prices by hand on feeders of two or three nodes, and what happens at the edges.

The line of the examples: 400 V three-phase, 0.1 ohm; a balanced draw of 1 kW lowers the voltage behind it by
P R / U^2 = 1000 W * 0.1 ohm / (400 V)^2 = 0.000625 pu.
"""

import logging

import numpy as np
import pytest

from vpp_sim.errors import PhysicsError
from vpp_sim.market.accounts import filled, welfare_eur
from vpp_sim.market.clearing import UniformPrice
from vpp_sim.market.network_aware import NetworkAware
from vpp_sim.market.network_aware_limits import FeederLimits
from vpp_sim.market.protocol import OrderBook


def _book(bids, asks, connection=None, **more):
    """Build a book from (id, kWh, EUR/kWh) triples."""
    bids, asks = (np.array(orders, dtype=float).reshape(-1, 3) for orders in (bids, asks))
    return OrderBook(
        bids[:, 0].astype(np.int64), bids[:, 1], bids[:, 2], asks[:, 0].astype(np.int64), asks[:, 1], asks[:, 2],
        0.30, 0.05, connection=None if connection is None else np.array(connection, dtype=np.int64), **more,
    )  # fmt: skip


def _line(limit_kw, base_kw=0.0):
    """Return a feeder of two nodes, the second behind a line that carries `limit_kw` either way."""
    return FeederLimits(
        np.zeros(0), np.zeros((0, 2)), np.array([base_kw / limit_kw]), np.array([[0.0, 1 / limit_kw]]),
        loading_names=("line",),
    )  # fmt: skip


def _resistor(base_pu=1.0, **limits):
    """Return a feeder of two nodes, the second behind 0.1 ohm."""
    return FeederLimits(
        np.array([base_pu]), np.array([[0.0, -0.000625]]), np.zeros(0), np.zeros((0, 2)),
        voltage_names=("end",), **limits,
    )  # fmt: skip


def test_two_nodes_and_a_full_line_by_hand():
    # Behind the line: 4 kWh wanted at 0.30 and an ask at 0.20. Before it: an ask at 0.05. 2 kWh come over the line, the
    # other 2 from the dear ask, which sets the price behind it; before it the cheap ask has more to sell. The line
    # earns 2 kWh times 0.15 EUR/kWh.
    book = _book([(0, 4.0, 0.30)], [(1, 5.0, 0.05), (2, 5.0, 0.20)], [1, 0, 1])
    cleared = NetworkAware(_line(2.0)).solve(book)
    assert cleared.node_eur_per_kwh == pytest.approx([0.05, 0.20])
    bought_kwh, sold_kwh = filled(cleared.clearing, book)
    assert bought_kwh == pytest.approx([4.0])
    assert sold_kwh == pytest.approx([2.0, 2.0], abs=1e-5)
    assert cleared.clearing.surplus_eur == pytest.approx(0.30, abs=1e-5)
    (limit,) = cleared.binding
    assert (limit.name, limit.limit) == ("loading of line", 1.0)
    assert limit.rent_eur == pytest.approx(0.30, abs=1e-5)
    paid = dict(zip(cleared.clearing.seller.tolist(), cleared.clearing.paid_eur_per_kwh, strict=True))
    received = dict(zip(cleared.clearing.seller.tolist(), cleared.clearing.price_eur_per_kwh, strict=True))
    assert (paid, received) == ({1: pytest.approx(0.2), 2: pytest.approx(0.2)}, {1: 0.05, 2: pytest.approx(0.2)})
    assert np.isnan(cleared.clearing.market_eur_per_kwh)


def test_a_line_that_is_full_towards_the_source_makes_energy_cheap_behind_it():
    book = _book([(0, 9.0, 0.30)], [(1, 5.0, 0.05), (2, 9.0, 0.20)], [0, 1, 0])
    cleared = NetworkAware(_line(2.0)).solve(book)
    assert cleared.node_eur_per_kwh == pytest.approx([0.20, 0.05])
    assert cleared.binding[0].limit == -1.0
    assert str(cleared.binding[0]) == "loading of line is at its limit -1.0000, which costs 0.3000 EUR"
    assert filled(cleared.clearing, book)[1] == pytest.approx([2.0, 7.0], abs=1e-5)


def test_voltage_by_hand():
    # From 1 pu to 0.95 there is room for 0.05 / 0.000625 = 80 kW, and to 1.1 for 160 kW of feed-in.
    draws = _book([(0, 200.0, 0.30)], [(1, 200.0, 0.05)], [1, 0])
    feeds = _book([(0, 200.0, 0.30)], [(1, 200.0, 0.05)], [0, 1])
    market = NetworkAware(_resistor(voltage_min_pu=0.95))
    assert market.clear(draws).traded_kwh == pytest.approx(80.0, rel=1e-4)
    assert market.clear(feeds).traded_kwh == pytest.approx(160.0, rel=1e-4)
    assert [limit.name for limit in market.solve(draws).binding] == ["voltage at end"]
    assert (market.solve(draws).binding[0].limit, market.solve(feeds).binding[0].limit) == (0.95, 1.1)
    # What the voltage costs: all of the gain, 80 kWh at 0.25 EUR/kWh, since both sides have more.
    assert market.solve(draws).binding[0].rent_eur == pytest.approx(20.0, rel=1e-4)
    assert NetworkAware(_resistor(voltage_min_pu=0.95), step_h=0.5).clear(draws).traded_kwh == pytest.approx(
        40, rel=1e-4
    )


def test_neighbours_behind_a_full_line_still_trade_with_each_other():
    book = _book([(0, 3.0, 0.30), (1, 1.0, 0.20)], [(2, 3.0, 0.10), (3, 9.0, 0.05)], [1, 1, 1, 0])
    clearing = NetworkAware(_line(1.0, base_kw=1.0)).clear(book)
    assert (clearing.buyer.tolist(), clearing.seller.tolist()) == ([0], [2])
    assert clearing.energy_kwh == pytest.approx([3.0])
    assert clearing.fee_eur_per_kwh == pytest.approx([0.0], abs=1e-12)


@pytest.mark.parametrize(("k", "price"), [(0.0, 0.12), (0.5, 0.15), (1.0, 0.18)])
def test_k_divides_the_range_of_prices(k, price):
    # 2 kWh trade. The first ask left out is at 0.18, the first bid left out at 0.12; limits traded are 0.30 and 0.05.
    book = _book([(0, 2.0, 0.30), (1, 1.0, 0.12)], [(2, 2.0, 0.05), (3, 1.0, 0.18)])
    cleared = NetworkAware(k=k).solve(book)
    assert cleared.node_eur_per_kwh == pytest.approx([price])
    assert cleared.clearing.market_eur_per_kwh == pytest.approx(price)


@pytest.mark.parametrize("feeder", [None, _line(1e3)])
def test_without_a_limit_that_binds_it_trades_as_the_uniform_price(feeder):
    rng = np.random.default_rng(0)
    for _ in range(20):
        bids = [(i, rng.gamma(1.0), round(rng.uniform(0.05, 0.30), 2)) for i in range(8)]
        asks = [(i, rng.gamma(1.0), round(rng.uniform(0.05, 0.30), 2)) for i in range(8, 15)]
        book = _book(bids, asks, rng.integers(0, 2, 15))
        cleared, uniform = NetworkAware(feeder).solve(book), UniformPrice().clear(book)
        for fill, other in zip(filled(cleared.clearing, book), filled(uniform, book), strict=True):
            assert fill == pytest.approx(other, abs=1e-12)
        assert (cleared.clearing.fee_eur_per_kwh == 0).all()
        assert (cleared.binding, cleared.broken, cleared.rounds) == ((), (), 1)


_TINY = [(2 + i, 1e-9 * (1 + i), 0.24 - 0.01 * i) for i in range(8)]
"""Bids that 300.1 kWh before them in a queue round off: 300.1 + 1e-9 - 300.1 is 0.99999e-9 in floating point."""


@pytest.mark.parametrize("feeder", [None, _line(1e3)])
def test_orders_smaller_than_rounding_do_not_set_the_price(feeder):
    # 300.1 kWh at 0.30 and 2.9 of the 5 kWh at 0.10 are bought, and the tiny bids between: 0.10 is the price, for there
    # is more to buy at it.
    book = _book([(0, 300.1, 0.30), (1, 5.0, 0.10), *_TINY], [(20, 303.0, 0.05)], [1, *[0] * 20])
    cleared = NetworkAware(feeder).solve(book)
    assert (cleared.node_eur_per_kwh == 0.10).all()
    assert cleared.clearing.market_eur_per_kwh == 0.10
    assert (cleared.clearing.fee_eur_per_kwh == 0.0).all()
    assert cleared.binding == ()


def test_orders_smaller_than_rounding_do_not_set_the_price_beside_a_full_line():
    # The line carries 1 of 1.1 kWh, so that 0.30 is the price behind it. Before it 300.1 kWh and the tiny bids are at
    # 0.20, all filled, and 2.9 of 5 kWh at 0.10, which is the price. The line earns 1 kWh times 0.20 EUR/kWh.
    tiny = [(2 + i, 1e-9 * (1 + i), 0.20) for i in range(6)]
    bids = [(0, 1.1, 0.30), (1, 300.1, 0.20), (19, 5.0, 0.10), *tiny]
    cleared = NetworkAware(_line(1.0)).solve(_book(bids, [(20, 304.0, 0.05)], [1, *[0] * 20]))
    assert cleared.node_eur_per_kwh == pytest.approx([0.10, 0.30], abs=1e-12)
    assert cleared.clearing.surplus_eur == pytest.approx(0.20, rel=2e-6)
    assert cleared.clearing.surplus_eur == pytest.approx(cleared.binding[0].rent_eur, rel=1e-9)


def test_a_trickle_of_a_large_order_has_a_price():
    cleared = NetworkAware().solve(_book([(0, 1.0, 0.30)], [(1, 1e10, 0.05)]))
    assert cleared.node_eur_per_kwh.tolist() == [0.05]
    assert cleared.clearing.traded_kwh == 1.0


def test_a_limit_holds_back_the_smallest_order():
    # 10 W over the line and 50 nWh wanted beyond them, which the dear neighbour delivers and so sets the price.
    book = _book([(0, 0.01 + 5e-8, 0.30)], [(1, 5.0, 0.05), (2, 5.0, 0.20)], [1, 0, 1])
    cleared = NetworkAware(_line(0.01)).solve(book)
    assert cleared.node_eur_per_kwh == pytest.approx([0.05, 0.20])
    # Limits are kept from a millionth of the rating inside them.
    assert filled(cleared.clearing, book)[1] == pytest.approx([0.01 - 1e-8, 6e-8], rel=1e-4)


def test_a_limit_holds_however_little_one_kilowatt_loads_it():
    # The first example a thousand million times as large: 1 kW is 5e-10 of the rating.
    book = _book([(0, 4e9, 0.30)], [(1, 5e9, 0.05), (2, 5e9, 0.20)], [1, 0, 1])
    cleared = NetworkAware(_line(2e9)).solve(book)
    assert cleared.node_eur_per_kwh == pytest.approx([0.05, 0.20])
    assert filled(cleared.clearing, book)[1] == pytest.approx([2e9, 2e9], rel=1e-5)
    assert cleared.binding[0].rent_eur == pytest.approx(cleared.clearing.surplus_eur, rel=1e-9)


def test_ties_at_one_node_go_to_the_lower_id():
    bids = [(5, 1.0, 0.3), (2, 1.0, 0.3), (7, 1.0, 0.3)]
    book = _book(bids, [(4, 9.0, 0.1)], [0, 0, 1, 0, 0, 1, 0, 1])
    clearing = NetworkAware(_line(1.5)).clear(book)
    assert clearing.buyer.tolist() == [2, 5]
    assert clearing.energy_kwh == pytest.approx([1.0, 0.5], abs=1e-5)


def test_the_least_energy_of_the_book_is_kept():
    bids = [(5, 1.0, 0.3), (2, 1.0, 0.3)]
    book = _book(bids, [(4, 9.0, 0.1)], [0, 0, 1, 0, 0, 1], minimum_kwh=0.6)
    clearing = NetworkAware(_line(1.5)).clear(book)
    assert (clearing.buyer.tolist(), clearing.energy_kwh.tolist()) == ([2], [1.0])


def test_a_limit_that_the_base_breaks_is_named_with_its_amount(caplog):
    # 0.93 pu without trades, where 0.95 is due: draws are refused, feed-in behind the resistor is welcome.
    book = _book([(0, 10.0, 0.30), (1, 10.0, 0.25)], [(2, 8.0, 0.05), (3, 10.0, 0.10)], [1, 0, 1, 0])
    feeder = _resistor(base_pu=0.93, voltage_min_pu=0.95)
    with caplog.at_level(logging.INFO, logger="vpp_sim.market.network_aware"):
        cleared = NetworkAware(feeder).solve(book)
    (breach,) = cleared.broken
    assert str(breach) == "voltage at end is 0.9300, 0.0200 below its limit 0.9500"
    assert caplog.messages == [f"without any trade, {breach}"]
    # Behind it 8 kWh are sold and bought, so that nothing more is drawn; before it 10 kWh trade.
    assert filled(cleared.clearing, book)[0] == pytest.approx([8.0, 10.0], abs=1e-4)
    assert cleared.clearing.surplus_eur == pytest.approx(0.0, abs=1e-6)
    assert [limit.name for limit in cleared.binding] == ["voltage at end"]


def test_trades_may_relieve_what_the_base_breaks():
    book = _book([(0, 10.0, 0.30)], [(1, 10.0, 0.05)], [0, 1])
    cleared = NetworkAware(_line(2.0, base_kw=5.0)).solve(book)
    assert str(cleared.broken[0]) == "loading of line is 2.5000, 1.5000 above its limit 1.0000"
    # From 5 kW towards the load to 2 kW away from it.
    assert cleared.clearing.traded_kwh == pytest.approx(7.0, rel=1e-5)


class _Bent:
    """A feeder whose voltage falls with the square of what is drawn too, linearised where it is asked."""

    nodes = 2

    def __init__(self, bend=1e-6):
        self.bend, self.asked = bend, []

    def voltage(self, drawn_kw):
        return 1.0 - 0.000625 * drawn_kw - self.bend * drawn_kw**2

    def limits(self, net_kw):
        self.asked.append(float(net_kw[1]))
        slope = -0.000625 - 2 * self.bend * net_kw[1]
        return FeederLimits(
            np.array([self.voltage(net_kw[1])]), np.array([[0.0, slope]]), np.zeros(0), np.zeros((0, 2)),
            voltage_min_pu=0.95, at_kw=net_kw,
        )  # fmt: skip


def test_a_bent_feeder_is_linearised_until_it_keeps_its_limit():
    # 0.05 = 0.000625 p + 0.000001 p^2 at p = (sqrt(0.000625^2 + 4 * 1e-6 * 0.05) - 0.000625) / 2e-6 = 71.76 kW.
    feeder = _Bent()
    cleared = NetworkAware(feeder).solve(_book([(0, 200.0, 0.30)], [(1, 200.0, 0.05)], [1, 0]))
    exact = (np.sqrt(0.000625**2 + 4e-6 * 0.05) - 0.000625) / 2e-6
    assert exact == pytest.approx(71.76, abs=0.01)
    assert exact * (1 - 1e-3) < cleared.clearing.traded_kwh <= exact
    assert 2 <= cleared.rounds <= 4
    assert feeder.asked[0] == 0.0


def test_trades_are_cut_where_linearising_did_not_help(caplog):
    book = _book([(0, 200.0, 0.30)], [(1, 200.0, 0.05)], [1, 0])
    with caplog.at_level(logging.WARNING, logger="vpp_sim.market.network_aware"):
        cleared = NetworkAware(_Bent(), rounds=1).solve(book)
    (message,) = caplog.messages
    assert message.startswith("trades cut to 89.")
    assert message.endswith("after 1 linearisations of the feeder")
    assert 71.7 < cleared.clearing.traded_kwh < 71.77
    assert _Bent().voltage(cleared.clearing.traded_kwh) >= 0.95
    assert cleared.clearing.surplus_eur == pytest.approx(0.25 * cleared.clearing.traded_kwh, rel=1e-6)
    assert sum(limit.rent_eur for limit in cleared.binding) == pytest.approx(cleared.clearing.surplus_eur, rel=1e-6)


@pytest.mark.parametrize("orders", [([], []), ([(0, 1.0, 0.3)], []), ([], [(0, 1.0, 0.05)])])
@pytest.mark.parametrize("feeder", [None, _line(0.5)])
def test_one_side_alone_does_not_trade(orders, feeder):
    cleared = NetworkAware(feeder).solve(_book(*orders, connection=[1]))
    assert cleared.clearing.energy_kwh.size == 0
    assert np.isnan(cleared.node_eur_per_kwh).all()
    assert np.isnan(cleared.clearing.market_eur_per_kwh)


def test_negative_prices_clear_like_any_other():
    book = _book([(0, 4.0, -0.05)], [(1, 5.0, -0.20), (2, 5.0, -0.10)], [1, 0, 1])
    cleared = NetworkAware(_line(2.0)).solve(book)
    assert cleared.node_eur_per_kwh == pytest.approx([-0.20, -0.10])
    assert cleared.clearing.surplus_eur == pytest.approx(0.20, abs=1e-5)
    assert welfare_eur(cleared.clearing, book) == pytest.approx(4 * -0.05 + 2 * 0.20 + 2 * 0.10, abs=1e-5)


def test_books_that_do_not_fit_the_feeder_are_refused():
    orders = [(0, 1.0, 0.3)], [(1, 1.0, 0.05)]
    with pytest.raises(PhysicsError, match="the book does not say where its prosumers are connected"):
        NetworkAware(_line(1.0)).clear(_book(*orders))
    with pytest.raises(PhysicsError, match="connections reach from 0 to 2, but the feeder has nodes 0 to 1"):
        NetworkAware(_line(1.0)).clear(_book(*orders, connection=[0, 2]))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"k": 1.5}, r"k is 1\.5, expected 0\.\.1"), ({"step_h": 0.0}, "step_h is 0"), ({"rounds": 0}, "rounds 0")],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(PhysicsError, match=message):
        NetworkAware(**options)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"voltage_pu_per_kw": np.zeros((2, 2))}, r"voltage_pu_per_kw has shape \(2, 2\), expected \(1, 2\)"),
        ({"loading_per_kw": np.zeros((0, 3))}, r"loading_per_kw has shape \(0, 3\), expected \(0, 2\)"),
        ({"voltage_pu": np.array([np.nan])}, "voltage_pu has 1 values that are not finite"),
        ({"at_kw": np.zeros(3)}, r"at_kw has shape \(3,\), expected \(2,\)"),
        ({"voltage_min_pu": 1.2}, r"limits are 1\.2\.\.1\.1 pu and loading 1"),
        ({"loading_max": 0.0}, "loading 0, expected a band and a positive one"),
        ({"voltage_names": ("a", "b")}, "2 names for 1 voltages"),
    ],
)
def test_feeders_that_do_not_fit_together_are_refused(change, message):
    plain = {
        "voltage_pu": np.ones(1), "voltage_pu_per_kw": np.zeros((1, 2)),
        "loading": np.zeros(0), "loading_per_kw": np.zeros((0, 2)),
    }  # fmt: skip
    with pytest.raises(PhysicsError, match=message):
        FeederLimits(**{**plain, **change})
