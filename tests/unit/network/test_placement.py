import numpy as np
import pytest

from vpp_sim.errors import PhysicsError
from vpp_sim.network.cigre_lv import cigre_lv_residential
from vpp_sim.network.feeder import Bus, Feeder, Line, LineType, Source
from vpp_sim.network.placement import place_homes


def test_thirteen_homes_in_turn() -> None:
    feeder = cigre_lv_residential()
    placed = place_homes(feeder, 13)
    names = [feeder.bus_names[bus] for bus in placed.bus_of_home]
    assert names == ["R11", "R15", "R16", "R17", "R18"] * 2 + ["R11", "R15", "R16"]
    assert placed.scale == 1.0


def test_scale_fills_the_feeder() -> None:
    # 20 homes at each of 5 buses are 100, of which each of 8 stands for 12.5.
    assert place_homes(cigre_lv_residential(), 8, homes_per_bus=20).scale == 12.5


def test_a_million_homes_are_balanced() -> None:
    counts = np.bincount(place_homes(cigre_lv_residential(), 1_000_000).bus_of_home)
    assert counts[counts > 0].tolist() == [200_000] * 5


@pytest.mark.parametrize(
    ("n_homes", "homes_per_bus", "message"),
    [
        (0, None, "n_homes is 0, expected at least 1"),
        (3, 0.0, "homes_per_bus is 0, expected a positive number"),
        (3, float("nan"), "homes_per_bus is nan"),
    ],
)
def test_nonsense_is_refused(n_homes: int, homes_per_bus: float | None, message: str) -> None:
    with pytest.raises(PhysicsError, match=message):
        place_homes(cigre_lv_residential(), n_homes, homes_per_bus=homes_per_bus)


def test_feeder_without_customers_is_refused() -> None:
    wire = LineType("wire", 0.1, 0.0, 100.0)
    feeder = Feeder("bare", (Bus("a", 0.4), Bus("b", 0.4)), (Line("a-b", "a", "b", wire, 1.0),), (), Source("a"))
    with pytest.raises(PhysicsError, match="feeder bare has no customer buses"):
        place_homes(feeder, 1)
