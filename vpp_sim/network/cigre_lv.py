r"""The European low-voltage benchmark of CIGRE, whole and its residential part.

Impedances, lengths, loads and transformers are those of CIGRE TB 575 [1]_, as pandapower 3.5.6 implements it
(``create_cigre_network_lv``): line capacitance and magnetising current nil, taps at nominal, the 20 kV grid at 1.0 pu
without impedance of its own, loads of constant power.

That publication gives no thermal ratings (pandapower fills in 1 kA for all). The cables' resistances are those of
aluminium conductors of 240, 150 and 50 mm2 (IEC 60228 [2]_: 0.125, 0.206 and 0.641 ohm/km at 20 degC) at 90 degC
(times :math:`1 + 0.00403 \cdot 70 = 1.282`), so they are rated here as such cables laid in ground by DIN VDE
0276-603 [3]_. The overhead lines, of the commercial part only, keep 1 kA.

References
----------
.. [1] CIGRE Task Force C6.04.02, "Benchmark Systems for Network Integration of Renewable and Distributed Energy
   Resources", Technical Brochure 575, 2014.
.. [2] IEC 60228:2004, "Conductors of insulated cables".
.. [3] DIN VDE 0276-603:2018, "Distribution cables of rated voltage 0.6/1 kV": NAYY in ground at load factor 0.7.
"""

from __future__ import annotations

from math import sqrt

from vpp_sim.network.feeder import Bus, Feeder, Line, LineType, Load, Source, Transformer

__all__ = ["cigre_lv", "cigre_lv_residential"]

_UG1 = LineType("UG1", r_ohm_per_km=0.1620, x_ohm_per_km=0.0832, rating_a=364.0)
_UG2 = LineType("UG2", r_ohm_per_km=0.2647, x_ohm_per_km=0.0823, rating_a=275.0)
_UG3 = LineType("UG3", r_ohm_per_km=0.8220, x_ohm_per_km=0.0847, rating_a=144.0)
_OH1 = LineType("OH1", r_ohm_per_km=0.4917, x_ohm_per_km=0.2847, rating_a=1000.0)
_OH2 = LineType("OH2", r_ohm_per_km=1.3207, x_ohm_per_km=0.3210, rating_a=1000.0)
_OH3 = LineType("OH3", r_ohm_per_km=2.0167, x_ohm_per_km=0.3343, rating_a=1000.0)

_RESIDENTIAL_LINES = (
    ("R1", "R2", _UG1, 0.035),
    ("R2", "R3", _UG1, 0.035),
    ("R3", "R4", _UG1, 0.035),
    ("R4", "R5", _UG1, 0.035),
    ("R5", "R6", _UG1, 0.035),
    ("R6", "R7", _UG1, 0.035),
    ("R7", "R8", _UG1, 0.035),
    ("R8", "R9", _UG1, 0.035),
    ("R9", "R10", _UG1, 0.035),
    ("R3", "R11", _UG3, 0.030),
    ("R4", "R12", _UG3, 0.035),
    ("R12", "R13", _UG3, 0.035),
    ("R13", "R14", _UG3, 0.035),
    ("R14", "R15", _UG3, 0.030),
    ("R6", "R16", _UG3, 0.030),
    ("R9", "R17", _UG3, 0.030),
    ("R10", "R18", _UG3, 0.030),
)
_INDUSTRIAL_LINES = (("I1", "I2", _UG2, 0.200),)
_COMMERCIAL_LINES = (
    ("C1", "C2", _OH1, 0.030),
    ("C2", "C3", _OH1, 0.030),
    ("C3", "C4", _OH1, 0.030),
    ("C4", "C5", _OH1, 0.030),
    ("C5", "C6", _OH1, 0.030),
    ("C6", "C7", _OH1, 0.030),
    ("C7", "C8", _OH1, 0.030),
    ("C8", "C9", _OH1, 0.030),
    ("C3", "C10", _OH2, 0.030),
    ("C10", "C11", _OH2, 0.030),
    ("C11", "C12", _OH3, 0.030),
    ("C11", "C13", _OH3, 0.030),
    ("C10", "C14", _OH3, 0.030),
    ("C5", "C15", _OH2, 0.030),
    ("C15", "C16", _OH2, 0.030),
    ("C15", "C17", _OH3, 0.030),
    ("C16", "C18", _OH3, 0.030),
    ("C8", "C19", _OH3, 0.030),
    ("C9", "C20", _OH3, 0.030),
)

_RESIDENTIAL_LOADS_KVA = (("R1", 200.0), ("R11", 15.0), ("R15", 52.0), ("R16", 55.0), ("R17", 35.0), ("R18", 47.0))
_INDUSTRIAL_LOADS_KVA = (("I2", 100.0),)
_COMMERCIAL_LOADS_KVA = (
    ("C1", 120.0),
    ("C12", 20.0),
    ("C13", 20.0),
    ("C14", 25.0),
    ("C17", 25.0),
    ("C18", 8.0),
    ("C19", 16.0),
    ("C20", 8.0),
)
_CUSTOMER_BUSES = ("R11", "R15", "R16", "R17", "R18")

_Rows = tuple[tuple[str, str, LineType, float], ...]


def cigre_lv() -> Feeder:
    """Return the whole benchmark: residential, industrial and commercial parts at one 20 kV bus.

    The buses R0, I0 and C0, which closed switches join to bus 0, are that bus here.

    Examples
    --------
    >>> feeder = cigre_lv()
    >>> len(feeder.buses), len(feeder.lines), len(feeder.transformers)
    (41, 37, 3)
    """
    low = (*_numbered("R", 18), *_numbered("I", 2), *_numbered("C", 20))
    return Feeder(
        name="cigre_lv_full",
        buses=(Bus("0", 20.0), *low),
        lines=_lines((*_RESIDENTIAL_LINES, *_INDUSTRIAL_LINES, *_COMMERCIAL_LINES)),
        transformers=(
            _transformer("0", "R1", 500.0, 0.0032, 0.0128),
            _transformer("0", "I1", 150.0, 0.0107, 0.0427),
            _transformer("0", "C1", 300.0, 0.0053, 0.0213),
        ),
        source=Source("0"),
        customer_buses=_CUSTOMER_BUSES,
        loads=(
            *_loads(_RESIDENTIAL_LOADS_KVA, power_factor=0.95),
            *_loads(_INDUSTRIAL_LOADS_KVA, power_factor=0.85),
            *_loads(_COMMERCIAL_LOADS_KVA, power_factor=0.90),
        ),
    )


def cigre_lv_residential() -> Feeder:
    """Return the residential part: one 500 kVA transformer, 18 low-voltage buses, five of them with homes.

    The published load at R1, 200 kVA, stands for other feeders at the same busbar; homes are placed at the ends, on
    R11, R15, R16, R17 and R18, whose published loads add up to 204 kVA at power factor 0.95.

    Thirteen homes are a light load for it. At a peak of 5 kW each, all at once and at power factor 0.95, placed in
    turn on the five buses, they draw 65 kW: the transformer carries 14 % of its rating, the fullest line 28 %, and
    the lowest voltage is 0.978 pu. The same 5 kW fed in by every home raises the highest voltage to 1.018 pu. For a
    feeder as full as the published one, let each home stand for several (see :mod:`vpp_sim.network.placement`).

    Examples
    --------
    >>> feeder = cigre_lv_residential()
    >>> feeder.transformers[0].rating_kva, feeder.customer_buses
    (500.0, ('R11', 'R15', 'R16', 'R17', 'R18'))
    """
    return Feeder(
        name="cigre_lv",
        buses=(Bus("R0", 20.0), *_numbered("R", 18)),
        lines=_lines(_RESIDENTIAL_LINES),
        transformers=(_transformer("R0", "R1", 500.0, 0.0032, 0.0128),),
        source=Source("R0"),
        customer_buses=_CUSTOMER_BUSES,
        loads=_loads(_RESIDENTIAL_LOADS_KVA, power_factor=0.95),
    )


def _numbered(letter: str, count: int) -> tuple[Bus, ...]:
    return tuple(Bus(f"{letter}{number}", 0.4) for number in range(1, count + 1))


def _lines(rows: _Rows) -> tuple[Line, ...]:
    return tuple(Line(f"{a}-{b}", a, b, make, length_km) for a, b, make, length_km in rows)


def _loads(rows: tuple[tuple[str, float], ...], *, power_factor: float) -> tuple[Load, ...]:
    reactive = sqrt(1 - power_factor**2)
    return tuple(Load(bus, s_kva * power_factor, s_kva * reactive) for bus, s_kva in rows)


def _transformer(from_bus: str, to_bus: str, rating_kva: float, r_ohm: float, x_ohm: float) -> Transformer:
    return Transformer(f"{from_bus}-{to_bus}", from_bus, to_bus, rating_kva, 20.0, 0.4, r_ohm, x_ohm)
