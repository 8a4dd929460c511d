"""Every demand response in the registry keeps the protocol's promises."""

import numpy as np
import pytest

from vpp_sim.registry import DEMAND_RESPONSES

_HOMES = 13
_OPTIONS = {"homes": _HOMES, "elasticity": -0.3, "flexible_share": 0.3}


def _case(steps: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(steps)
    return rng.gamma(1.0, 1.0, (steps, _HOMES)), rng.normal(0.25, 0.1, steps)


@pytest.mark.parametrize("name", DEMAND_RESPONSES.names)
class TestDemandResponse:
    @pytest.fixture
    def response(self, name):
        return DEMAND_RESPONSES.load(name)(**_OPTIONS)

    def test_it_starts_with_nothing_deferred(self, response):
        assert response.deferred_kwh.tolist() == [0.0] * _HOMES

    @pytest.mark.parametrize("steps", [23, 24, 25, 92, 96, 100])  # the clock's changes, hourly and in quarter hours
    def test_every_home_keeps_its_daily_energy(self, response, steps):
        base_kw, prices = _case(steps)
        for _ in range(2):
            load_kw = np.array([response.respond(base_kw[step], prices, step, 24 / steps) for step in range(steps)])
            assert load_kw.sum(axis=0) == pytest.approx(base_kw.sum(axis=0), abs=1e-9)
            assert (load_kw >= 0).all()
            assert response.deferred_kwh.tolist() == [0.0] * _HOMES

    def test_arguments_are_unchanged(self, response):
        base_kw, prices = _case(24)
        before = base_kw.copy(), prices.copy()
        for step in range(24):
            response.respond(base_kw[step], prices, step, 1.0)
        assert (base_kw == before[0]).all()
        assert (prices == before[1]).all()

    def test_load_to_come_is_not_known(self, name):
        base_kw, prices = _case(24)
        one, other = (DEMAND_RESPONSES.load(name)(**_OPTIONS) for _ in range(2))
        changed = base_kw.copy()
        changed[12:] *= 3.0
        for step in range(12):
            assert (
                one.respond(base_kw[step], prices, step, 1.0).tobytes()
                == other.respond(changed[step], prices, step, 1.0).tobytes()
            )

    def test_a_home_does_not_depend_on_its_neighbours(self, name, response):
        base_kw, prices = _case(24)
        alone = DEMAND_RESPONSES.load(name)(**{**_OPTIONS, "homes": 1})
        for step in range(24):
            together = response.respond(base_kw[step], prices, step, 1.0)
            assert alone.respond(base_kw[step, :1], prices, step, 1.0)[0] == together[0]

    def test_a_resumed_day_ends_in_the_same_loads(self, name, response):
        base_kw, prices = _case(24)
        for step in range(14):
            response.respond(base_kw[step], prices, step, 1.0)
        resumed = DEMAND_RESPONSES.load(name)(**_OPTIONS)
        resumed.deferred_kwh = response.deferred_kwh.copy()
        for step in range(14, 24):
            assert (
                resumed.respond(base_kw[step], prices, step, 1.0).tobytes()
                == response.respond(base_kw[step], prices, step, 1.0).tobytes()
            )
