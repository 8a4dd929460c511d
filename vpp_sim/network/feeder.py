"""The tables that describe a feeder, independent of whatever solves it.

Branches run from `from_bus` to `to_bus`; a transformer's `from_bus` is its high-voltage side. Impedances are of the
positive sequence.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot, isfinite

import numpy as np

from vpp_sim.arrays import IntArray
from vpp_sim.errors import PhysicsError, UnknownNameError

__all__ = ["Bus", "Feeder", "Limits", "Line", "LineType", "Load", "Source", "Transformer"]


@dataclass(frozen=True, slots=True)
class Bus:
    """A bus.

    Attributes
    ----------
    name : str
        Name, unique in the feeder.
    u_rated_kv : float
        Rated phase-to-phase voltage [kV].
    """

    name: str
    u_rated_kv: float


@dataclass(frozen=True, slots=True)
class LineType:
    """What all lines of one make share.

    Attributes
    ----------
    name : str
        Name of the type.
    r_ohm_per_km, x_ohm_per_km : float
        Series resistance and reactance [ohm/km].
    rating_a : float
        Current that it carries for good [A].
    """

    name: str
    r_ohm_per_km: float
    x_ohm_per_km: float
    rating_a: float


@dataclass(frozen=True, slots=True)
class Line:
    """A line between two buses of one voltage.

    Attributes
    ----------
    name : str
        Name, unique in the feeder.
    from_bus, to_bus : str
        Names of its buses.
    type : LineType
        Its make.
    length_km : float
        Its length [km].
    """

    name: str
    from_bus: str
    to_bus: str
    type: LineType
    length_km: float


@dataclass(frozen=True, slots=True)
class Transformer:
    """A two-winding transformer without magnetising current, at its nominal tap.

    Attributes
    ----------
    name : str
        Name, unique in the feeder.
    from_bus, to_bus : str
        Names of the buses at its high-voltage and low-voltage side.
    rating_kva : float
        Rated apparent power [kVA].
    u_from_kv, u_to_kv : float
        Rated voltages of the windings [kV].
    r_ohm, x_ohm : float
        Series impedance, seen from the low-voltage side [ohm].
    clock : int
        Vector group: the low-voltage side lags by 30 degrees times this number.
    """

    name: str
    from_bus: str
    to_bus: str
    rating_kva: float
    u_from_kv: float
    u_to_kv: float
    r_ohm: float
    x_ohm: float
    clock: int = 1

    @property
    def uk(self) -> float:
        """Relative short-circuit voltage, as a share.

        Examples
        --------
        >>> round(Transformer("t", "hv", "lv", 500.0, 20.0, 0.4, 0.0032, 0.0128).uk, 6)
        0.041231
        """
        return hypot(self.r_ohm, self.x_ohm) * self.rating_kva / (self.u_to_kv**2 * 1e3)

    @property
    def copper_loss_kw(self) -> float:
        """Loss at rated current [kW]."""
        return self.r_ohm * self.rating_kva**2 / (self.u_to_kv**2 * 1e3)


@dataclass(frozen=True, slots=True)
class Source:
    """The stiff grid above the feeder: its voltage does not move.

    Attributes
    ----------
    bus : str
        Name of the bus that it holds.
    u_pu : float
        Voltage that it holds, relative to the bus's rating.
    """

    bus: str
    u_pu: float = 1.0


@dataclass(frozen=True, slots=True)
class Load:
    """A load of the published benchmark, for checking; homes take its place in a simulation.

    Attributes
    ----------
    bus : str
        Name of its bus.
    p_kw, q_kvar : float
        Active and reactive power drawn [kW, kvar].
    """

    bus: str
    p_kw: float
    q_kvar: float


@dataclass(frozen=True, slots=True)
class Limits:
    """What the feeder must keep, by default EN 50160 [1]_ and its ratings.

    Attributes
    ----------
    u_min_pu, u_max_pu : float
        Band that means over 10 min keep for `share` of a week, relative to rated voltage.
    u_floor_pu, u_ceiling_pu : float
        Band that they always keep.
    share : float
        Share of a week that the narrow band holds.
    loading_max : float
        Highest current or apparent power, as a share of the rating.

    References
    ----------
    .. [1] EN 50160:2010, "Voltage characteristics of electricity supplied by public electricity networks", 4.2.2.
    """

    u_min_pu: float = 0.90
    u_max_pu: float = 1.10
    u_floor_pu: float = 0.85
    u_ceiling_pu: float = 1.10
    share: float = 0.95
    loading_max: float = 1.0


@dataclass(frozen=True, slots=True)
class Feeder:
    """A feeder as tables; checked on building.

    Attributes
    ----------
    name : str
        Name of the feeder.
    buses : tuple of Bus
        Its buses; their order is the order of every result per bus.
    lines : tuple of Line
        Its lines, in the order of every result per line.
    transformers : tuple of Transformer
        Its transformers, in the order of every result per transformer.
    source : Source
        The grid above it.
    customer_buses : tuple of str
        Names of the buses that homes may be placed on.
    loads : tuple of Load
        The published loads, for checking.
    limits : Limits
        What it must keep.

    Raises
    ------
    PhysicsError
        If names repeat, a name is unknown, a number is out of range, or a bus has no way to the source.

    Examples
    --------
    >>> wire = LineType("wire", 0.1, 0.05, 100.0)
    >>> buses = (Bus("a", 0.4), Bus("b", 0.4))
    >>> Feeder("two_buses", buses, (Line("a-b", "a", "b", wire, 1.0),), (), Source("a")).bus_index("b")
    1
    """

    name: str
    buses: tuple[Bus, ...]
    lines: tuple[Line, ...]
    transformers: tuple[Transformer, ...]
    source: Source
    customer_buses: tuple[str, ...] = ()
    loads: tuple[Load, ...] = ()
    limits: Limits = Limits()

    def __post_init__(self) -> None:
        self._check_names()
        self._check_numbers()
        self._check_connection()

    @property
    def bus_names(self) -> tuple[str, ...]:
        """Names of the buses, in order."""
        return tuple(bus.name for bus in self.buses)

    @property
    def branch_ends(self) -> tuple[tuple[str, str], ...]:
        """Names of the two buses of each line, then of each transformer."""
        lines = tuple((line.from_bus, line.to_bus) for line in self.lines)
        return (*lines, *((each.from_bus, each.to_bus) for each in self.transformers))

    def bus_index(self, name: str) -> int:
        """Return the position of a bus.

        Raises
        ------
        UnknownNameError
            If there is no such bus.
        """
        try:
            return self.bus_names.index(name)
        except ValueError:
            raise UnknownNameError("bus", name, self.bus_names) from None

    def bus_indices(self, names: tuple[str, ...]) -> IntArray:
        """Return the positions of several buses, shape (len(names),).

        Raises
        ------
        UnknownNameError
            If one of them does not exist.
        """
        return np.array([self.bus_index(name) for name in names], dtype=np.int64)

    def _check_names(self) -> None:
        for kind, names in (
            ("bus", self.bus_names),
            ("line", tuple(line.name for line in self.lines)),
            ("transformer", tuple(transformer.name for transformer in self.transformers)),
        ):
            repeated = sorted({name for name in names if names.count(name) > 1})
            if repeated:
                raise PhysicsError(f"feeder {self.name}: {kind} {repeated[0]!r} is there more than once")
        ends = [end for both in self.branch_ends for end in both]
        used = {*ends, self.source.bus, *self.customer_buses, *(load.bus for load in self.loads)}
        unknown = sorted(used - set(self.bus_names))
        if unknown:
            raise PhysicsError(f"feeder {self.name}: there is no bus {unknown[0]!r}")

    def _check_numbers(self) -> None:
        positive = {
            **{f"voltage of bus {bus.name}": bus.u_rated_kv for bus in self.buses},
            **{f"length of line {line.name}": line.length_km for line in self.lines},
            **{f"rating of line {line.name}": line.type.rating_a for line in self.lines},
            **{f"impedance of line {line.name}": hypot(*_impedance(line)) for line in self.lines},
            **{f"rating of transformer {t.name}": t.rating_kva for t in self.transformers},
            **{f"impedance of transformer {t.name}": t.uk for t in self.transformers},
            "voltage of the source": self.source.u_pu,
        }
        for what, value in positive.items():
            if not (isfinite(value) and value > 0):
                raise PhysicsError(f"feeder {self.name}: {what} is {value:g}, expected a positive number")

    def _check_connection(self) -> None:
        reached, frontier = {self.source.bus}, {self.source.bus}
        ends = self.branch_ends
        while frontier:
            touched = {b if a in frontier else a for a, b in ends if a in frontier or b in frontier}
            frontier = touched - reached
            reached |= frontier
        alone = sorted(set(self.bus_names) - reached)
        if alone:
            raise PhysicsError(f"feeder {self.name}: bus {alone[0]!r} has no way to the source")


def _impedance(line: Line) -> tuple[float, float]:
    return line.type.r_ohm_per_km, line.type.x_ohm_per_km
