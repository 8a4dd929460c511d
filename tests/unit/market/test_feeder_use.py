"""What a clearing says of the feeder's limits: how many hold trades back, are broken anyway, and how much was cut."""

import numpy as np
import pytest

from vpp_sim.market.clearing import UniformPrice
from vpp_sim.market.network_aware import NetworkAware
from vpp_sim.market.network_aware_limits import FeederLimits
from vpp_sim.market.protocol import FeederUse, OrderBook


def line(carries_kw: float, flows_kw: float = 0.0) -> FeederLimits:
    """Node 1 behind a line from node 0, which may carry so much and does carry so much without any trade."""
    return FeederLimits(
        voltage_pu=np.zeros(0),
        voltage_pu_per_kw=np.zeros((0, 2)),
        loading=np.array([flows_kw / carries_kw]),
        loading_per_kw=np.array([[0.0, 1 / carries_kw]]),
    )


def book(*bids: float, minimum_kwh: float = 0.0) -> OrderBook:
    """Buyers behind the line, worth 0.3, 0.29 and so on, and one seller of 10 kWh before it."""
    n = len(bids)
    return OrderBook(
        np.arange(n), np.array(bids), 0.3 - 0.01 * np.arange(n), np.array([n]), np.array([10.0]), np.array([0.05]),
        0.3, 0.05, minimum_kwh, connection=np.append(np.ones(n, dtype=np.int64), 0),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("carries_kw", "flows_kw", "use"),
    [
        (4.0, 0.0, FeederUse(0, 0)),  # 3 kWh wanted
        (2.0, 0.0, FeederUse(1, 0)),
        (2.0, 2.5, FeederUse(1, 1)),  # 2.5 kW flow already: nothing may be added
        (2.0, -2.5, FeederUse(0, 1)),  # 2.5 kW flow the other way: trades only mend
    ],
)
def test_limits_that_bind_and_limits_that_are_broken(carries_kw: float, flows_kw: float, use: FeederUse) -> None:
    assert NetworkAware(line(carries_kw, flows_kw)).clear(book(2.0, 1.0)).feeder == use


def test_who_was_left_short_of_the_minimum_by_the_feeder_was_limited_by_it() -> None:
    """2.5 kW pass: 2 kWh for the first and 0.5 for the second, who leaves; the first alone does not fill the line."""
    clearing = NetworkAware(line(2.5)).clear(book(2.0, 1.0, minimum_kwh=0.8))
    assert clearing.buyer.tolist() == [0]
    assert clearing.traded_kwh == pytest.approx(2.0)
    assert clearing.feeder == FeederUse(1, 0)
    assert NetworkAware(line(4.0)).clear(book(2.0, 1.0, minimum_kwh=0.8)).feeder == FeederUse(0, 0)


def test_what_a_feeder_did_limits_trades_where_it_binds_or_cuts() -> None:
    uses = FeederUse(0, 0), FeederUse(0, 3), FeederUse(1, 0), FeederUse(0, 0, share=0.5)
    assert [use.limited for use in uses] == [False, False, True, True]


class _Tighter:
    """A feeder that is never as its last linearisation foresaw: away from no trades it carries half as much."""

    nodes = 2

    def limits(self, net_kw: np.ndarray) -> FeederLimits:
        away = float(np.abs(net_kw).sum()) > 0
        carries = 1.0 if away else 2.0
        return FeederLimits(
            voltage_pu=np.zeros(0),
            voltage_pu_per_kw=np.zeros((0, 2)),
            loading=np.array([net_kw[1] / carries]),
            loading_per_kw=np.array([[0.0, 1 / carries]]),
            at_kw=net_kw,
        )


def test_trades_that_were_cut_say_to_what_share() -> None:
    """In its one round 2 of 3 kWh seem to pass, but 1 does: half, by 12 halvings of the search from below."""
    clearing = NetworkAware(_Tighter(), rounds=1).clear(book(2.0, 1.0))
    assert clearing.traded_kwh == pytest.approx(1.0, rel=1e-3)
    assert clearing.feeder is not None
    assert clearing.feeder.share == pytest.approx(0.5, abs=2.0**-12)
    assert clearing.feeder.limited


def test_mechanisms_that_look_at_no_feeder_say_nothing() -> None:
    assert UniformPrice().clear(book(2.0)).feeder is None
    assert NetworkAware().clear(book(2.0)).feeder is None
