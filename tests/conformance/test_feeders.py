"""Every feeder can be solved, carries homes, and balances."""

import numpy as np
import pytest

from vpp_sim.network.feeder import Feeder
from vpp_sim.network.limits import violations
from vpp_sim.network.placement import place_homes
from vpp_sim.network.power_flow import PowerFlow
from vpp_sim.registry import FEEDERS

HOMES = 13


@pytest.mark.parametrize("name", FEEDERS.names)
class TestFeeder:
    @pytest.fixture
    def feeder(self, name: str) -> Feeder:
        return FEEDERS.load(name)()

    @pytest.fixture
    def power_flow(self, feeder: Feeder) -> PowerFlow:
        return PowerFlow(feeder, place_homes(feeder, HOMES).bus_of_home)

    def test_it_is_the_same_each_time(self, name: str, feeder: Feeder) -> None:
        assert FEEDERS.load(name)() == feeder

    def test_homes_stand_on_its_customer_buses(self, feeder: Feeder) -> None:
        names = {feeder.bus_names[bus] for bus in place_homes(feeder, HOMES).bus_of_home}
        assert names <= set(feeder.customer_buses)

    @pytest.mark.parametrize("p_kw", [2.0, -3.0])
    def test_what_enters_is_what_is_drawn_and_lost(self, power_flow: PowerFlow, p_kw: float) -> None:
        flow = power_flow.solve(np.full(HOMES, p_kw), np.full(HOMES, 0.2))
        assert flow.loss_kw > 0
        assert flow.slack_p_kw == pytest.approx(HOMES * p_kw + flow.loss_kw, abs=1e-4)

    def test_an_idle_feeder_breaks_no_limit(self, feeder: Feeder, power_flow: PowerFlow) -> None:
        assert violations(feeder.limits, power_flow.solve(np.zeros(HOMES), np.zeros(HOMES))).total == 0
