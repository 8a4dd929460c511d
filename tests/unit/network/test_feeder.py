from dataclasses import replace

import pytest

from vpp_sim.errors import PhysicsError, UnknownNameError
from vpp_sim.network.cigre_lv import cigre_lv, cigre_lv_residential
from vpp_sim.network.feeder import Bus, Feeder, Line, LineType, Source, Transformer
from vpp_sim.registry import FEEDERS

WIRE = LineType("wire", 0.1, 0.0, 100.0)


def two_buses(**changes: object) -> Feeder:
    feeder = Feeder("pair", (Bus("a", 0.4), Bus("b", 0.4)), (Line("a-b", "a", "b", WIRE, 1.0),), (), Source("a"))
    return replace(feeder, **changes)


def test_registry_name_is_the_residential_part() -> None:
    assert FEEDERS.load("cigre_lv") is cigre_lv_residential
    assert cigre_lv_residential().name == "cigre_lv"


def test_residential_part_is_cut_from_the_whole() -> None:
    whole, part = cigre_lv(), cigre_lv_residential()
    assert set(part.lines) <= set(whole.lines)
    assert set(part.loads) <= set(whole.loads)
    assert (part.transformers[0].rating_kva, len(part.buses), len(part.lines)) == (500.0, 19, 17)


def test_published_loads_of_the_residential_part() -> None:
    loads = cigre_lv_residential().loads
    assert sum((load.p_kw**2 + load.q_kvar**2) ** 0.5 for load in loads) == pytest.approx(404.0)
    assert sum(load.p_kw for load in loads) == pytest.approx(383.8)


def test_transformer_short_circuit_voltage_by_hand() -> None:
    # 20/0.4 kV, 500 kVA: base impedance 0.4**2 / 0.5 = 0.32 ohm, so r = 1 %, x = 4 %, copper loss 1 % of 500 kVA.
    transformer = Transformer("t", "hv", "lv", 500.0, 20.0, 0.4, 0.0032, 0.0128)
    assert transformer.uk == pytest.approx((0.01**2 + 0.04**2) ** 0.5)
    assert transformer.copper_loss_kw == pytest.approx(5.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"buses": (Bus("a", 0.4), Bus("b", 0.4), Bus("b", 0.4))}, "bus 'b' is there more than once"),
        ({"buses": (Bus("a", 0.4), Bus("b", 0.4), Bus("c", 0.4))}, "bus 'c' has no way to the source"),
        ({"buses": (Bus("a", 0.0), Bus("b", 0.4))}, "voltage of bus a is 0"),
        ({"source": Source("z")}, "there is no bus 'z'"),
        ({"source": Source("a", float("nan"))}, "voltage of the source is nan"),
        ({"customer_buses": ("y",)}, "there is no bus 'y'"),
        ({"lines": (Line("a-b", "a", "b", WIRE, -1.0),)}, "length of line a-b is -1"),
        ({"lines": (Line("a-b", "a", "b", LineType("w", 0.0, 0.0, 9.0), 1.0),)}, "impedance of line a-b is 0"),
    ],
)
def test_impossible_feeders_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(PhysicsError, match=f"feeder pair: {message}"):
        two_buses(**changes)


def test_unknown_bus_comes_with_a_hint() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown bus 'R181'; .*did you mean 'R18'"):
        cigre_lv_residential().bus_index("R181")
