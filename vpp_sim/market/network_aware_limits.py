"""What a network-aware market knows of its feeder: arrays that say how voltages and loadings follow the trades."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from vpp_sim.arrays import FloatArray, require_finite, require_shape
from vpp_sim.errors import PhysicsError

__all__ = ["Breach", "FeederLimits", "FeederModel"]


class FeederModel(Protocol):
    """A feeder that can be linearised wherever the trades lead it; :class:`FeederLimits` is the simplest."""

    @property
    def nodes(self) -> int:
        """Nodes that prosumers may be connected to."""
        ...

    def limits(self, net_kw: FloatArray) -> FeederLimits:
        """Return the feeder linearised where the trades draw `net_kw` at its nodes, shape (nodes,), beside the base."""
        ...


@dataclass(frozen=True, slots=True)
class Breach:
    """A limit that is broken.

    Attributes
    ----------
    name : str
        What breaks it, such as ``"voltage at R18"``.
    level : float
        Where it is: voltage [pu], or loading as a share of the rating, negative towards the source.
    limit : float
        Where it should end, in the same unit.
    """

    name: str
    level: float
    limit: float

    def __str__(self) -> str:
        """Return which limit, and by how much."""
        side = "above" if self.level > self.limit else "below"
        return f"{self.name} is {self.level:.4f}, {abs(self.level - self.limit):.4f} {side} its limit {self.limit:.4f}"


@dataclass(frozen=True, slots=True, eq=False)
class FeederLimits:
    r"""A feeder, linear about one operating point, with what it must keep.

    With the power :math:`p` that the trades draw at each node, beside everything that is not traded,

    .. math:: v = v^* + S_v (p - p^*), \qquad \ell = \ell^* + S_\ell (p - p^*)

    and :math:`v_\min \le v \le v_\max`, :math:`|\ell| \le \ell_\max`. The sensitivities may come from the LinDistFlow
    equations [1]_ or from finite differences of a full power flow.

    Attributes
    ----------
    voltage_pu : ndarray, shape (V,)
        Voltages :math:`v^*` at the operating point [pu].
    voltage_pu_per_kw : ndarray, shape (V, N)
        How each voltage moves with the power drawn at each node [pu/kW]; negative in passive feeders.
    loading : ndarray, shape (L,)
        Loadings :math:`\ell^*` of lines and transformers as a share of their ratings, signed: one direction, such as
        away from the source, is positive.
    loading_per_kw : ndarray, shape (L, N)
        How each loading moves with the power drawn at each node [1/kW].
    voltage_min_pu, voltage_max_pu : float
        Band of voltages, by default that of EN 50160 [2]_.
    loading_max : float, default 1
        Highest loading in either direction.
    at_kw : ndarray, shape (N,), optional
        Trades' power :math:`p^*` drawn at each node at the operating point [kW]; by default none.
    voltage_names, loading_names : tuple of str
        Names for messages; by default numbers.

    Raises
    ------
    PhysicsError
        If shapes differ, a number is not finite, or the band is crossed.

    References
    ----------
    .. [1] M. E. Baran, F. F. Wu, "Network reconfiguration in distribution systems for loss reduction and load
       balancing", IEEE Transactions on Power Delivery 4 (1989) 1401-1407. https://doi.org/10.1109/61.25627
    .. [2] EN 50160:2010, "Voltage characteristics of electricity supplied by public electricity networks", 4.2.2.

    Examples
    --------
    >>> feeder = FeederLimits(
    ...     voltage_pu=np.array([1.0]), voltage_pu_per_kw=np.array([[-0.001, -0.002]]),
    ...     loading=np.array([0.5]), loading_per_kw=np.array([[0.01, 0.01]]),
    ... )
    >>> [str(breach) for breach in feeder.broken(np.array([0.0, 60.0]))]
    ['voltage at 0 is 0.8800, 0.0200 below its limit 0.9000', 'loading of 0 is 1.1000, 0.1000 above its limit 1.0000']
    """

    voltage_pu: FloatArray
    voltage_pu_per_kw: FloatArray
    loading: FloatArray
    loading_per_kw: FloatArray
    voltage_min_pu: float = 0.90
    voltage_max_pu: float = 1.10
    loading_max: float = 1.0
    at_kw: FloatArray | None = None
    voltage_names: tuple[str, ...] = ()
    loading_names: tuple[str, ...] = ()
    level: FloatArray = field(init=False, repr=False)
    """Voltages, then loadings, at the operating point, shape (V + L,)."""
    per_kw: FloatArray = field(init=False, repr=False)
    """How they move with the power drawn at each node, shape (V + L, N)."""
    floor: FloatArray = field(init=False, repr=False)
    """Their lower limits, shape (V + L,)."""
    ceiling: FloatArray = field(init=False, repr=False)
    """Their upper limits, shape (V + L,)."""

    def __post_init__(self) -> None:
        """Check shapes and numbers, and lay voltages and loadings together."""
        for kind in ("voltage_pu", "loading"):
            values, slopes = getattr(self, kind), getattr(self, f"{kind}_per_kw")
            require_shape(f"{kind}_per_kw", slopes, (values.size, self.nodes))
            require_finite(kind, values)
            require_finite(f"{kind}_per_kw", slopes)
        if self.at_kw is not None:
            require_shape("at_kw", self.at_kw, (self.nodes,))
            require_finite("at_kw", self.at_kw)
        if not (self.voltage_min_pu < self.voltage_max_pu and self.loading_max > 0):
            band = f"{self.voltage_min_pu:g}..{self.voltage_max_pu:g} pu"
            raise PhysicsError(
                f"limits are {band} and loading {self.loading_max:g}, expected a band and a positive one"
            )
        for kind, names, values in (
            ("voltage", self.voltage_names, self.voltage_pu),
            ("loading", self.loading_names, self.loading),
        ):
            if names and len(names) != values.size:
                raise PhysicsError(f"{len(names)} names for {values.size} {kind}s")
        together = {
            "level": np.concatenate([self.voltage_pu, self.loading]),
            "per_kw": np.concatenate([self.voltage_pu_per_kw, self.loading_per_kw]),
            "floor": self._sides(self.voltage_min_pu, -self.loading_max),
            "ceiling": self._sides(self.voltage_max_pu, self.loading_max),
        }
        for name, values in together.items():
            object.__setattr__(self, name, values)

    def _sides(self, voltage_pu: float, loading: float) -> FloatArray:
        return np.repeat([float(voltage_pu), float(loading)], [self.voltage_pu.size, self.loading.size])

    @property
    def nodes(self) -> int:
        """Nodes that prosumers may be connected to."""
        return int(self.voltage_pu_per_kw.shape[1])

    def limits(self, net_kw: FloatArray) -> FeederLimits:
        """Return itself: it is the same line everywhere."""
        return self

    def levels(self, net_kw: FloatArray) -> FloatArray:
        """Return voltages [pu] and signed loadings where trades draw `net_kw` at the nodes, shape (V + L,)."""
        moved = net_kw if self.at_kw is None else net_kw - self.at_kw
        return np.asarray(self.level + self.per_kw @ moved)

    def name(self, row: int) -> str:
        """Return what a row of :attr:`level` is."""
        if row < self.voltage_pu.size:
            return f"voltage at {self.voltage_names[row] if self.voltage_names else row}"
        row -= self.voltage_pu.size
        return f"loading of {self.loading_names[row] if self.loading_names else row}"

    def broken(self, net_kw: FloatArray, *, margin: float = 1e-9) -> tuple[Breach, ...]:
        """Return the limits that are broken by more than `margin` where trades draw `net_kw`, shape (N,)."""
        level = self.levels(net_kw)
        limit = np.where(level > self.ceiling, self.ceiling, self.floor)
        rows = np.flatnonzero((level > self.ceiling + margin) | (level < self.floor - margin))
        return tuple(Breach(self.name(int(row)), float(level[row]), float(limit[row])) for row in rows)
