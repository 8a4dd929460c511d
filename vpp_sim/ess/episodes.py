"""Series to learn from, and the one step that every storage environment takes.

A :class:`Cases` holds many pairs of a home and a tariff, each with its battery. The single environment, the vectorised
one and the dynamic programme all use :func:`window_features`, :func:`saving_eur` and :func:`step_cases`, so their
numbers agree.

What a case foresees is not what happens: the window's first column is metered (or, before the meter, only expected),
the rest is a blend of yesterday, the mean of the last seven days, and (in training only) a share of the truth. Prices
are known as they will be; or, if they are set daily, until midnight; or, if they are not published, not at all, this
step's included. Prices that are not known are foreseen: as the case says, or else by repeating those of a day before.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from vpp_sim.arrays import BoolArray, FloatArray, IntArray, require_finite, require_non_negative, require_shape
from vpp_sim.devices.battery import BatteryFleet, advance
from vpp_sim.errors import PhysicsError
from vpp_sim.ess.actions import powers
from vpp_sim.ess.features import Float32Array, storage_features
from vpp_sim.ess.protocol import horizon_steps

__all__ = [
    "WARM_UP_DAYS",
    "Cases",
    "burden_eur",
    "foresee",
    "saving_eur",
    "step_cases",
    "step_powers",
    "stored_value_eur",
    "subset",
    "window_features",
    "window_prices",
]

WARM_UP_DAYS = 7
"""Days of history before the first step that can be acted on."""


@dataclass(frozen=True, slots=True, eq=False)
class Cases:
    """m homes with tariffs and batteries over T steps.

    Attributes
    ----------
    fleet : BatteryFleet
        One battery a case.
    net_kw : ndarray, shape (m, T)
        What happens: load minus PV [kW].
    foreseen_kw : ndarray, shape (m, T)
        What is foreseen for each step up to a day ahead [kW].
    buy_eur_per_kwh, sell_eur_per_kwh : ndarray, shape (m, T)
        Prices [EUR/kWh].
    set_daily : ndarray of bool, shape (m,)
        Whether prices are known only until midnight.
    hour : ndarray, shape (T,)
        Local hour of day of each step.
    step_h : float
        Length of a step [h].
    unpublished : ndarray of bool, shape (m,), optional
        Whether no price is known before its step is over; nobody's if left out.
    foreseen_buy_eur_per_kwh, foreseen_sell_eur_per_kwh : ndarray, shape (m, T) or (m, last_step, H), optional
        What is foreseen of prices that are not known [EUR/kWh]: of each step, up to a day ahead, or at each step, of
        the H steps of its window. Those of a day before if left out.
    wear_eur_per_kwh : ndarray, shape (m,), optional
        What ageing costs for each kWh taken out of the cells [EUR/kWh], which savings are then net of; nothing if left
        out. :func:`vpp_sim.devices.ageing.wear_eur_per_kwh` tells it.
    expected_kw : ndarray, shape (m, T), optional
        What is known of each step's net load when acting [kW]; its meter if left out. A battery that follows the meter
        then follows this.
    possible_kw : ndarray, shape (m, T, K), optional
        K equally likely net loads of each step [kW]. Savings are then means over these, so that hindsight does not know
        what nobody could; those of what happens if left out.
    haste_eur_per_kw2h : ndarray, shape (m,), optional
        What an hour at a power costs beyond what the meter shows, by half of this times the power's square
        [EUR/(kW2 h)]; nothing if left out. It pays for smooth schedules, as a grid's peaks and ramps would.

    Raises
    ------
    PhysicsError
        If shapes differ, a series is not finite, or haste is negative.
    """

    fleet: BatteryFleet
    net_kw: FloatArray
    foreseen_kw: FloatArray
    buy_eur_per_kwh: FloatArray
    sell_eur_per_kwh: FloatArray
    set_daily: BoolArray
    hour: FloatArray
    step_h: float = 1.0
    unpublished: BoolArray | None = None
    foreseen_buy_eur_per_kwh: FloatArray | None = None
    foreseen_sell_eur_per_kwh: FloatArray | None = None
    wear_eur_per_kwh: FloatArray | None = None
    expected_kw: FloatArray | None = None
    possible_kw: FloatArray | None = None
    haste_eur_per_kw2h: FloatArray | None = None

    def __post_init__(self) -> None:
        m, steps = len(self.fleet), self.hour.shape[0]
        for name in ("net_kw", "foreseen_kw", "buy_eur_per_kwh", "sell_eur_per_kwh"):
            require_shape(name, getattr(self, name), (m, steps))
            require_finite(name, getattr(self, name))
        window = (m, self.last_step, horizon_steps(self.step_h))
        for name in ("foreseen_buy_eur_per_kwh", "foreseen_sell_eur_per_kwh", "expected_kw"):
            series = getattr(self, name)
            if series is not None:
                require_shape(
                    name, series, window if name != "expected_kw" and series.ndim == len(window) else (m, steps)
                )
                require_finite(name, series)
        if self.unpublished is not None and self.unpublished.shape != (m,):
            raise PhysicsError(f"unpublished has shape {self.unpublished.shape}, expected {(m,)}")
        if self.wear_eur_per_kwh is not None:
            require_shape("wear_eur_per_kwh", self.wear_eur_per_kwh, (m,))
            require_non_negative("wear_eur_per_kwh", self.wear_eur_per_kwh)
        if self.possible_kw is not None:
            require_shape("possible_kw", self.possible_kw, (m, steps, *(self.possible_kw.shape[2:3] or (1,))))
            require_finite("possible_kw", self.possible_kw)
        if self.haste_eur_per_kw2h is not None:
            require_shape("haste_eur_per_kw2h", self.haste_eur_per_kw2h, (m,))
            require_non_negative("haste_eur_per_kw2h", self.haste_eur_per_kw2h)

    @property
    def now_kw(self) -> FloatArray:
        """What is known of each step's net load when acting, shape (m, T) [kW]."""
        return self.net_kw if self.expected_kw is None else self.expected_kw

    @property
    def first_step(self) -> int:
        """First step that has its history."""
        return WARM_UP_DAYS * horizon_steps(self.step_h)

    @property
    def last_step(self) -> int:
        """One past the last step that has its window."""
        return int(self.hour.shape[0]) - horizon_steps(self.step_h) + 1

    @property
    def worth_eur(self) -> FloatArray:
        """What a full battery is worth at the mean price, shape (m,) [EUR]; the unit of normalised rewards."""
        usable_kwh = self.fleet.max_kwh - self.fleet.min_kwh
        price: FloatArray = np.maximum(self.buy_eur_per_kwh.mean(axis=1), 0.01)
        return np.maximum(usable_kwh * price, 1e-6)


def subset(fleet: BatteryFleet, index: IntArray) -> BatteryFleet:
    """Return the batteries at `index`, which may repeat."""
    return BatteryFleet(*(getattr(fleet, field.name)[index] for field in fields(fleet)))


def foresee(net_kw: FloatArray, step_h: float, *, truth: FloatArray, yesterday: FloatArray) -> FloatArray:
    """Return what is foreseen of each step from what happened a day or more before it, and a share of the truth.

    Parameters
    ----------
    net_kw : ndarray, shape (m, T)
        What happens [kW].
    step_h : float
        Length of a step [h].
    truth : ndarray, shape (m,)
        Weight of what will happen, 0..1; 0 is an honest forecast.
    yesterday : ndarray, shape (m,)
        Share of yesterday's value in the rest, 0..1; what remains is the mean of the last seven days.

    Returns
    -------
    ndarray, shape (m, T)
        Foreseen values [kW]; the first seven days, which lack history, repeat what happened.

    Examples
    --------
    >>> days = np.repeat(np.arange(9.0), 24)[None]
    >>> foresee(days, 1.0, truth=np.zeros(1), yesterday=np.ones(1))[0, -1].item()
    7.0
    """
    day = horizon_steps(step_h)
    warm = WARM_UP_DAYS * day
    steps = net_kw.shape[1] - warm
    lagged = [net_kw[:, warm - k * day : warm - k * day + steps] for k in range(1, WARM_UP_DAYS + 1)]
    past = yesterday[:, None] * lagged[0] + (1.0 - yesterday)[:, None] * np.mean(lagged, axis=0)
    foreseen = net_kw.copy()
    foreseen[:, warm:] = truth[:, None] * net_kw[:, warm:] + (1.0 - truth)[:, None] * past
    return foreseen


def window_features(
    cases: Cases, fleet: BatteryFleet, case: IntArray, step: IntArray, soc_kwh: FloatArray
) -> Float32Array:
    """Return the features of n batteries, each in its case and at its step.

    Parameters
    ----------
    cases : Cases
        The series.
    fleet : BatteryFleet
        The batteries of `case`, as :func:`subset` gives them.
    case, step : ndarray of int, shape (n,)
        Which case, which step.
    soc_kwh : ndarray, shape (n,)
        Stored energy [kWh].

    Returns
    -------
    ndarray of float32, shape (n, 79)
        See :mod:`vpp_sim.ess.features`.
    """
    day = horizon_steps(cases.step_h)
    ahead = step[:, None] + np.arange(day)
    rows = case[:, None]
    net_kw = cases.foreseen_kw[rows, ahead]
    net_kw[:, 0] = cases.now_kw[case, step]
    buy, sell = window_prices(cases, case, step)
    return storage_features(fleet, soc_kwh, net_kw, buy, sell, cases.hour[step], cases.step_h)


def window_prices(cases: Cases, case: IntArray, step: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return the prices of the window as they are known or foreseen when acting.

    Midnight is read off the local hours, so that no price of tomorrow is known on days of 23 or 25 hours either.

    Parameters
    ----------
    cases : Cases
        The series.
    case, step : ndarray of int, shape (n,)
        Which case, which step.

    Returns
    -------
    buy_eur_per_kwh, sell_eur_per_kwh : ndarray, shape (n, H)
        Prices, this step first [EUR/kWh].
    """
    day = horizon_steps(cases.step_h)
    ahead, rows = step[:, None] + np.arange(day), case[:, None]
    unknown = (cases.hour[ahead] <= cases.hour[step][:, None]) & cases.set_daily[case][:, None]
    unknown[:, 0] = False
    if cases.unpublished is not None:
        unknown |= cases.unpublished[case][:, None]
    buy, sell = (
        np.where(unknown, _foreseen(cases, price, foreseen, rows, ahead), price[rows, ahead])
        for price, foreseen in (
            (cases.buy_eur_per_kwh, cases.foreseen_buy_eur_per_kwh),
            (cases.sell_eur_per_kwh, cases.foreseen_sell_eur_per_kwh),
        )
    )
    return buy, sell


def _foreseen(
    cases: Cases, price: FloatArray, foreseen: FloatArray | None, rows: IntArray, ahead: IntArray
) -> FloatArray:
    """Return what is foreseen at the steps `ahead`, shape (n, H), of the window that begins with the first of them."""
    if foreseen is None:
        return price[rows, ahead - horizon_steps(cases.step_h)]
    if foreseen.ndim == 3:
        return foreseen[rows[:, 0], ahead[:, 0]]
    return foreseen[rows, ahead]


def saving_eur(
    net_kw: FloatArray, power_kw: FloatArray, buy_eur_per_kwh: FloatArray, sell_eur_per_kwh: FloatArray, step_h: float
) -> FloatArray:
    """Return what batteries save against none in one step; arrays broadcast.

    Parameters
    ----------
    net_kw : ndarray
        Load minus PV without the battery [kW].
    power_kw : ndarray
        Charging minus discharging power [kW].
    buy_eur_per_kwh, sell_eur_per_kwh : ndarray
        Prices [EUR/kWh].
    step_h : float
        Length of the step [h].

    Returns
    -------
    ndarray
        Cost without the battery minus cost with it [EUR].

    Examples
    --------
    >>> one = np.ones(1)
    >>> saving_eur(2.0 * one, -3.0 * one, 0.5 * one, 0.1 * one, 1.0)
    array([1.1])
    """
    with_kw = net_kw + power_kw
    bought_kw = np.maximum(net_kw, 0.0) - np.maximum(with_kw, 0.0)
    sold_kw = np.maximum(-with_kw, 0.0) - np.maximum(-net_kw, 0.0)
    saved: FloatArray = (buy_eur_per_kwh * bought_kw + sell_eur_per_kwh * sold_kw) * step_h
    return saved


def burden_eur(
    cases: Cases, fleet: BatteryFleet, case: IntArray, charge_kw: FloatArray, discharge_kw: FloatArray
) -> FloatArray | float:
    """Return what a step costs beyond what the meter shows: wear and haste, shape (n,), or 0 without either [EUR]."""
    burden: FloatArray | float = 0.0
    if cases.wear_eur_per_kwh is not None:
        burden = burden + cases.wear_eur_per_kwh[case] * discharge_kw * cases.step_h / fleet.discharge_efficiency
    if cases.haste_eur_per_kw2h is not None:
        burden = burden + 0.5 * cases.haste_eur_per_kw2h[case] * (charge_kw - discharge_kw) ** 2 * cases.step_h
    return burden


def step_cases(
    cases: Cases, fleet: BatteryFleet, case: IntArray, step: IntArray, soc_kwh: FloatArray, action: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Return stored energy after the step [kWh] and the saving of the step, less wear [EUR], each of shape (n,)."""
    wanted = powers(fleet, soc_kwh, cases.now_kw[case, step], action, cases.step_h)
    return step_powers(cases, fleet, case, step, soc_kwh, *wanted)


def step_powers(
    cases: Cases,
    fleet: BatteryFleet,
    case: IntArray,
    step: IntArray,
    soc_kwh: FloatArray,
    charge_kw: FloatArray,
    discharge_kw: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Return what :func:`step_cases` does, for feasible powers, each of shape (n,) [kW]."""
    power_kw = charge_kw - discharge_kw
    buy, sell = cases.buy_eur_per_kwh[case, step], cases.sell_eur_per_kwh[case, step]
    if cases.possible_kw is None:
        saving = saving_eur(cases.net_kw[case, step], power_kw, buy, sell, cases.step_h)
    else:
        each = saving_eur(cases.possible_kw[case, step].T, power_kw, buy, sell, cases.step_h)
        saving = each.mean(axis=0)
    saving = saving - burden_eur(cases, fleet, case, charge_kw, discharge_kw)
    return advance(fleet, soc_kwh, charge_kw, discharge_kw, cases.step_h), saving


def stored_value_eur(
    cases: Cases, fleet: BatteryFleet, case: IntArray, step: IntArray, soc_kwh: FloatArray
) -> FloatArray:
    """Return what stored energy is worth at the end of an episode, shape (n,) [EUR].

    It is what the discharged energy would save at the mean buying price of the 24 hours before `step`, less its wear.
    """
    back = step[:, None] - 1 - np.arange(horizon_steps(cases.step_h))
    price: FloatArray = cases.buy_eur_per_kwh[case[:, None], back].mean(axis=1)
    worth = fleet.discharge_efficiency * price
    if cases.wear_eur_per_kwh is not None:
        worth = np.maximum(worth - cases.wear_eur_per_kwh[case], 0.0)
    return (soc_kwh - fleet.min_kwh) * worth
