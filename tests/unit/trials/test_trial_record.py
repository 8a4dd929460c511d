"""What a trial records is what the closed loop did."""

from __future__ import annotations

import numpy as np
import pytest

from vpp_sim.arrays import FloatArray
from vpp_sim.devices.battery import advance
from vpp_sim.ess.actions import FOLLOW
from vpp_sim.ess.curriculum import reference_cases
from vpp_sim.ess.episodes import Cases
from vpp_sim.ess.evaluation import closed_loop_saving_eur, optimal_saving_eur
from vpp_sim.ess.features import FEATURE_COUNT
from vpp_sim.ess.network import ActionNetwork
from vpp_sim.ess.policy import PolicyController, PpoController
from vpp_sim.ess.rules import Idle, SelfConsumption
from vpp_sim.trials.record import optimal_record, recorded


def _cases(set_daily: bool) -> Cases:
    rng = np.random.default_rng(1)
    hour = np.arange(24.0 * 11) % 24
    net_kw = rng.normal(0.3, 1.5, (3, hour.size))
    buy = np.where(hour > 15, 0.5, 0.2)
    return reference_cases(net_kw, (buy, 0.1 * buy), hour, battery=(6.4, 5.0, 0.9), set_daily=set_daily)


def _always(action: int) -> PolicyController:
    """Return a policy that always asks for one action."""
    bias = np.zeros(10, dtype=np.float32)
    bias[action] = 1.0
    return PolicyController(ActionNetwork((np.zeros((FEATURE_COUNT, 10), dtype=np.float32),), (bias,)))


@pytest.mark.parametrize("acts", ["after_meter", "before_meter"])
@pytest.mark.parametrize("kind", [SelfConsumption, PpoController])
def test_steps_add_up_to_the_closed_loop(kind: type, acts: str) -> None:
    cases, controller = _cases(acts == "before_meter"), kind.open(3600)
    record = recorded(controller, cases, acts=acts)
    np.testing.assert_array_equal(
        record.saving_eur.sum(axis=1).round(9), closed_loop_saving_eur(controller, cases, acts=acts).round(9)
    )
    soc_kwh: FloatArray = cases.fleet.min_kwh
    for step in range(record.soc_kwh.shape[1]):
        np.testing.assert_array_equal(record.soc_kwh[:, step], soc_kwh)
        soc_kwh = advance(cases.fleet, soc_kwh, record.charge_kw[:, step], record.discharge_kw[:, step], 1.0)


def test_the_optimum_is_that_of_the_yardstick() -> None:
    cases = _cases(False)
    np.testing.assert_allclose(optimal_record(cases).saving_eur.sum(axis=1), optimal_saving_eur(cases), atol=1e-9)


def test_only_what_a_limit_cut_counts_as_projected() -> None:
    cases = _cases(False)
    steps = cases.last_step - cases.first_step
    rest, full = (recorded(_always(action), cases, acts="after_meter").projected for action in (0, 5))
    assert rest is not None
    assert full is not None
    assert rest.tolist() == [0, 0, 0]
    # 5 kW for an hour stores 4.74 of 6.4 kWh; every ask after the first is cut.
    assert full.tolist() == [steps - 1] * 3


def test_following_a_meter_is_cut_when_the_battery_is_empty_or_full() -> None:
    cases = _cases(False)
    record = recorded(_always(FOLLOW), cases, acts="after_meter")
    net_kw = cases.net_kw[:, cases.first_step : cases.last_step]
    left_kw = net_kw + record.charge_kw - record.discharge_kw
    assert record.projected is not None
    assert record.projected.tolist() == (np.abs(left_kw) > 1e-9).sum(axis=1).tolist()


def test_a_controller_that_asks_for_nothing_has_nothing_cut() -> None:
    assert recorded(Idle.open(3600), _cases(False), acts="after_meter").projected is None


def test_a_rule_is_cut_where_its_policy_would_be() -> None:
    rule, policy = (
        recorded(c, _cases(False), acts="after_meter") for c in (SelfConsumption.open(3600), _always(FOLLOW))
    )
    assert rule.projected is not None
    assert policy.projected is not None
    assert rule.projected.tolist() == policy.projected.tolist()
    assert rule.projected.min() > 0
