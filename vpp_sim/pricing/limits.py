"""The limits that retail prices must keep, what they leave possible, and which of them stands in the way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vpp_sim.arrays import FloatArray
from vpp_sim.pricing.demand import Response
from vpp_sim.pricing.protocol import RetailOptions, RetailProblem

__all__ = ["DemandRange", "Limits"]

KEPT = 1e-6
"""A promise counts as kept if a bill exceeds the default's by no more than this share."""

_NEAR = 1e-5
"""A limit is named as binding if it is met within this share of the price, or of the bill."""


@dataclass(frozen=True, slots=True, eq=False)
class DemandRange:
    """Demand as it answers a matrix of elasticities, and how much of it there may be, all per mean demand.

    Attributes
    ----------
    offset : ndarray, shape (H,)
        Demand at prices of zero.
    slope : ndarray, shape (H, H)
        Its change with the prices [kWh/EUR].
    highest : ndarray, shape (H,)
        Most that the feeder leaves room for; infinite where it sets no limit.
    """

    offset: FloatArray
    slope: FloatArray
    highest: FloatArray

    def demand(self, price: FloatArray) -> FloatArray:
        """Return the demand at given prices."""
        demand: FloatArray = self.offset + self.slope @ price
        return demand


@dataclass(frozen=True, slots=True, eq=False)
class Limits:
    """The price range of each step by name, and each promise as a row that prices must not lift above 1.

    Attributes
    ----------
    floors, caps : dict of str to ndarray, shape (H,)
        Lowest and highest prices by the name of the limit [EUR/kWh]. Where demand answers its own price alone, the
        price at which demand ends, the choke price, is a cap.
    promises : ndarray, shape (n, H) or (n + 1, H)
        One row a home: its demand over its bill at the default prices [kWh/EUR]. A cap on the revenue is one more.
    ramp_eur_per_kwh : float or None
        Largest change of the price between steps [EUR/kWh].
    homes : int
        Number of rows that belong to homes.
    room : DemandRange or None
        Range of demand, where its response is a matrix.
    names : tuple of str
        What explanations call the homes, length n.
    """

    floors: dict[str, FloatArray]
    caps: dict[str, FloatArray]
    promises: FloatArray
    ramp_eur_per_kwh: float | None
    homes: int
    room: DemandRange | None = None
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, problem: RetailProblem, options: RetailOptions, response: Response | None = None) -> Limits:
        """Return the limits of a problem; without a response, those that prices keep whatever demand does."""
        horizon = problem.default_eur_per_kwh.shape
        caps = {"cap": np.full(horizon, float(options.cap_eur_per_kwh))}
        floors = {
            "floor": np.full(horizon, float(options.floor_eur_per_kwh)),
            "feed-in price": problem.feed_in_eur_per_kwh,
        }
        if options.ramp_eur_per_kwh is not None and problem.before_eur_per_kwh is not None:
            first = np.arange(horizon[0]) == 0
            floors["ramp"] = np.where(first, problem.before_eur_per_kwh - options.ramp_eur_per_kwh, -np.inf)
            caps["ramp"] = np.where(first, problem.before_eur_per_kwh + options.ramp_eur_per_kwh, np.inf)
        room = None
        if response is not None:
            if response.crossed:
                highest = _highest(problem, options, response.unit_kwh)
                room = DemandRange(response.offset(problem.default_eur_per_kwh), response.slope, highest)
            elif (choke := _choke_price(problem.default_eur_per_kwh, response)) is not None:
                caps["choke price"] = choke
        homes = len(problem.demand_kwh)
        names = tuple(problem.home_name(home) for home in range(homes))
        return cls(floors, caps, _promises(problem, options), options.ramp_eur_per_kwh, homes, room, names)

    @property
    def lower(self) -> FloatArray:
        """Lowest price of each step, shape (H,)."""
        lower: FloatArray = np.maximum.reduce(list(self.floors.values()))
        return lower

    @property
    def upper(self) -> FloatArray:
        """Highest price of each step, shape (H,)."""
        upper: FloatArray = np.minimum.reduce(list(self.caps.values()))
        return upper

    def contradiction(self) -> str:
        """Say which limit cannot be kept and by how much, or nothing."""
        gap = self.lower - self.upper
        step = int(np.argmax(gap))
        if gap[step] > 0:
            low, high = (self.nearest(bounds)[step] for bounds in (self.floors, self.caps))
            return f"{low} exceeds {high} at step {step} by {gap[step]:.4g} EUR/kWh"
        excess = self.promises @ self.lower - 1
        row = int(np.argmax(excess)) if excess.size else -1
        if excess.size and excess[row] > KEPT:
            whole = "its default bill" if row < self.homes else "the revenue allowed"
            return f"{self.row_name(row)} fails by {excess[row]:.4g} of {whole} even at the lowest prices"
        return ""

    def nearest(self, bounds: dict[str, FloatArray]) -> list[str]:
        """Return the name of the tightest of the floors or caps in each step, the first of equals."""
        tightest = self.lower if bounds is self.floors else self.upper
        names = list(bounds)
        which = np.argmax(np.stack(list(bounds.values())) == tightest, axis=0)
        return [names[place] for place in which]

    def row_name(self, row: int) -> str:
        """Return what a row of the promises stands for."""
        return f"promise to {self.names[row]}" if row < self.homes else "revenue cap"

    def kept(self, price: FloatArray) -> bool:
        """Whether prices keep their range, the ramp, the revenue cap and the range of demand; promises not asked."""
        tolerance = KEPT * max(1.0, float(np.abs(price).max(initial=0.0)))
        inside = bool((price >= self.lower - tolerance).all() and (price <= self.upper + tolerance).all())
        flat = self.ramp_eur_per_kwh is None or bool(
            (np.abs(np.diff(price)) <= self.ramp_eur_per_kwh + tolerance).all()
        )
        afforded = bool((self.excess(price)[self.homes :] <= KEPT).all())
        return inside and flat and afforded and not self.overdrawn(price)

    def excess(self, price: FloatArray) -> FloatArray:
        """Return by which share each home's bill exceeds the default's, shape (n,); -1 without demand."""
        excess: FloatArray = self.promises @ price - 1
        return excess

    def overdrawn(self, price: FloatArray) -> bool:
        """Whether the demand that answers these prices leaves its range."""
        if self.room is None:
            return False
        demand = self.room.demand(price)
        return bool(((demand < -KEPT) | (demand > self.room.highest + KEPT)).any())

    def binding(self, price: FloatArray) -> tuple[str, ...]:
        """Name the limits that `price` meets with equality."""
        near = _NEAR * max(1e-3, float(np.abs(price).max(initial=0.0)))
        found = [
            f"{name} at step {step}"
            for name, bound in (*self.caps.items(), *self.floors.items())
            for step in np.flatnonzero(np.abs(price - bound) <= near)
        ]
        if self.ramp_eur_per_kwh is not None:
            steep = np.abs(np.diff(price)) >= self.ramp_eur_per_kwh - near
            found += [f"ramp at step {step + 1}" for step in np.flatnonzero(steep)]
        if self.room is not None:
            demand = self.room.demand(price)
            full, none = np.abs(demand - self.room.highest) <= _NEAR, np.abs(demand) <= _NEAR
            found += [f"feeder limit at step {step}" for step in np.flatnonzero(full)]
            found += [f"no demand at step {step}" for step in np.flatnonzero(none & (self.room.slope != 0).any(axis=1))]
        return (*found, *(self.row_name(int(row)) for row in np.flatnonzero(np.abs(self.excess(price)) <= _NEAR)))


def _highest(problem: RetailProblem, options: RetailOptions, unit_kwh: float) -> FloatArray:
    """Return the most that the feeder lets all homes draw in each step, per mean demand."""
    if options.feeder_limit_kw is None:
        return np.full(problem.default_eur_per_kwh.shape, np.inf)
    export = np.zeros(problem.default_eur_per_kwh.size) if problem.export_kwh is None else problem.export_kwh
    highest: FloatArray = (options.feeder_limit_kw * options.step_h + export) / unit_kwh
    return highest


def _choke_price(default: FloatArray, response: Response) -> FloatArray | None:
    """Return the price beyond which a linear demand would turn negative, if there is one in any step."""
    answering = response.slope < 0
    if not answering.any():
        return None
    choke = np.full(default.shape, np.inf)
    choke[answering] = default[answering] - response.weight[answering] / response.slope[answering]
    return choke


def _promises(problem: RetailProblem, options: RetailOptions) -> FloatArray:
    demand = problem.demand_kwh
    bills_eur = (demand @ problem.default_eur_per_kwh)[:, None]
    rows = np.divide(demand, bills_eur, out=np.zeros(demand.shape), where=bills_eur > 0)
    if options.revenue_cap_eur_per_kwh is None:
        return rows
    total = demand.sum(axis=0)
    allowed = options.revenue_cap_eur_per_kwh * total.sum()
    return np.vstack([rows, total / allowed if allowed else total])
