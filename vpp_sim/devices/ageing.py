"""Ageing of lithium-ion batteries from the history of their state of charge, and what it costs.

The model is that of B. Xu et al. [1]_. Stress adds up linearly over time and cycles (found by rainflow counting):

.. math::
    f = k_t t \\, S_\\sigma(\\bar\\sigma) S_T + \\sum_c n_c S_\\delta(\\delta_c) S_\\sigma(\\sigma_c) S_T, \\qquad
    S_\\delta = \\bigl(k_1 \\delta^{k_2} + k_3\\bigr)^{-1}, \\quad
    S_\\sigma = e^{k_\\sigma (\\sigma - \\sigma_0)}, \\quad
    S_T = e^{k_T (T - T_0) T_0 / T}

with time :math:`t`, mean state of charge :math:`\\bar\\sigma`, and of each cycle its count :math:`n`, depth
:math:`\\delta` and mean :math:`\\sigma`; temperatures in kelvin. The share of its capacity that a new battery has then
lost is

.. math:: L = 1 - \\alpha e^{-\\beta f} - (1 - \\alpha) e^{-f}

where the first term is the fast loss while the protective film on the anode forms. The parameters are the paper's for
lithium manganese oxide cells; they give 2,787 full cycles, or 12.6 years half full, at 25 degC. Cells of other
chemistry age differently, so results compare ways of running a battery rather than foretell one battery's death.

A battery is at its end when it has lost 20 %. Since stress adds up, the share of life that an operation used is its
stress over that of the end, whatever came before, and costs that share of a new battery. It can therefore be compared
between a week and a year, which lost capacity of a new battery cannot.

References
----------
.. [1] B. Xu, A. Oudalov, A. Ulbig, G. Andersson, D. S. Kirschen, "Modeling of Lithium-Ion Battery Degradation for Cell
   Life Assessment", IEEE Transactions on Smart Grid 9(2), 2018. https://doi.org/10.1109/TSG.2016.2578950
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import numpy as np

from vpp_sim.arrays import FloatArray, require_finite, require_non_negative, require_shape
from vpp_sim.devices.rainflow import count_cycles
from vpp_sim.errors import PhysicsError
from vpp_sim.units import SECONDS_PER_HOUR

__all__ = [
    "END_OF_LIFE_LOSS",
    "END_OF_LIFE_STRESS",
    "Ageing",
    "age",
    "calendar_stress_per_h",
    "cycle_stress",
    "lost_capacity",
    "wear_eur_per_kwh",
]

END_OF_LIFE_LOSS = 0.2
"""Share of its capacity that a battery has lost when it is replaced."""

_ALPHA, _BETA = 5.75e-2, 121.0
_K1, _K2, _K3 = 1.40e5, -5.01e-1, -1.23e5
_K_SOC, _SOC_REFERENCE = 1.04, 0.5
_K_TEMPERATURE, _KELVIN = 6.93e-2, 273.15
_REFERENCE_C = 25.0
_K_TIME_PER_S = 4.14e-10

END_OF_LIFE_STRESS = log((1.0 - _ALPHA) / (1.0 - END_OF_LIFE_LOSS))
"""Stress at which a battery is at its end; the fast term has died away by then, to 1e-10 of the capacity."""


@dataclass(frozen=True, slots=True, eq=False)
class Ageing:
    """How n batteries aged, each array of shape (n,); 0 for those without capacity.

    Attributes
    ----------
    full_cycles : ndarray
        Equivalent full cycles: depth times count, summed over cycles.
    calendar_stress, cycle_stress : ndarray
        Stress of time and of cycles.
    """

    full_cycles: FloatArray
    calendar_stress: FloatArray
    cycle_stress: FloatArray

    @property
    def life_used(self) -> FloatArray:
        """Share of a battery's life that was used up; above 1 if it was run beyond its end."""
        return (self.calendar_stress + self.cycle_stress) / END_OF_LIFE_STRESS

    @property
    def lost_capacity(self) -> FloatArray:
        """Share of its capacity that a battery lost if it was new at the start."""
        return lost_capacity(self.calendar_stress + self.cycle_stress)

    def cost_eur(self, capacity_kwh: FloatArray, replacement_eur_per_kwh: FloatArray) -> FloatArray:
        """Return what the used share of life costs [EUR].

        Parameters
        ----------
        capacity_kwh : ndarray, shape (n,)
            Energy between empty and full [kWh].
        replacement_eur_per_kwh : ndarray, shape (n,)
            Price of a new battery per kWh of capacity [EUR/kWh].

        Examples
        --------
        >>> half = Ageing(np.zeros(1), np.array([END_OF_LIFE_STRESS / 2]), np.zeros(1))
        >>> half.cost_eur(np.array([10.0]), np.array([300.0]))
        array([1500.])
        """
        cost: FloatArray = self.life_used * capacity_kwh * replacement_eur_per_kwh
        return cost


def cycle_stress(
    depth: FloatArray, mean_soc: FloatArray, temperature_c: float | FloatArray = _REFERENCE_C
) -> FloatArray:
    """Return the stress of one whole cycle of each depth.

    Parameters
    ----------
    depth, mean_soc : ndarray
        From lowest to highest state of charge, and the middle of the two, in 0..1.
    temperature_c : float or ndarray
        Temperature of the cells [degC]; an array broadcasts.

    Examples
    --------
    >>> cycle_stress(np.array([0.0, 1.0]), np.array([0.5, 0.5])).round(9)
    array([0.0000e+00, 5.8824e-05])
    """
    stress = np.zeros(np.shape(depth))
    moved = depth > 0
    stress[moved] = 1.0 / (_K1 * depth[moved] ** _K2 + _K3)
    return stress * _soc_factor(mean_soc) * _temperature_factor(temperature_c)


def wear_eur_per_kwh(
    depth: FloatArray, replacement_eur_per_kwh: float | FloatArray, temperature_c: float | FloatArray = _REFERENCE_C
) -> FloatArray:
    """Return what ageing costs for each kWh stored and taken out again in cycles of a depth about half full [EUR/kWh].

    It is what a controller that does not count cycles can hold against a price. Per kWh the model has a weak least near
    a depth of 0.3, above which deeper cycles cost more.

    Parameters
    ----------
    depth : ndarray
        From lowest to highest state of charge, in (0, 1].
    replacement_eur_per_kwh : float or ndarray
        Price of a new battery per kWh of capacity [EUR/kWh].
    temperature_c : float or ndarray
        Temperature of the cells [degC].

    Raises
    ------
    PhysicsError
        If a depth lies outside (0, 1].

    Examples
    --------
    >>> wear_eur_per_kwh(np.array([0.5, 1.0]), 400.0).round(4)
    array([0.065 , 0.1435])
    """
    if not ((depth > 0) & (depth <= 1)).all():
        raise PhysicsError("depth must lie in (0, 1]")
    stress = cycle_stress(depth, np.full(np.shape(depth), _SOC_REFERENCE), temperature_c)
    wear: FloatArray = stress / depth / END_OF_LIFE_STRESS * replacement_eur_per_kwh
    return wear


def calendar_stress_per_h(mean_soc: FloatArray, temperature_c: float | FloatArray = _REFERENCE_C) -> FloatArray:
    """Return the stress of an hour at rest.

    Parameters
    ----------
    mean_soc : ndarray
        State of charge, in 0..1.
    temperature_c : float or ndarray
        Temperature of the cells [degC]; an array broadcasts.
    """
    return _K_TIME_PER_S * SECONDS_PER_HOUR * _soc_factor(mean_soc) * _temperature_factor(temperature_c)


def lost_capacity(stress: FloatArray) -> FloatArray:
    """Return the share of its capacity that a new battery loses under a stress.

    Examples
    --------
    >>> lost_capacity(np.array([0.0, END_OF_LIFE_STRESS])).round(6)
    array([0. , 0.2])
    """
    loss: FloatArray = -_ALPHA * np.expm1(-_BETA * stress) - (1.0 - _ALPHA) * np.expm1(-stress)
    return loss


def age(
    soc_kwh: FloatArray, capacity_kwh: FloatArray, *, step_h: float, temperature_c: float | FloatArray = _REFERENCE_C
) -> Ageing:
    """Return how batteries aged over a history.

    Parameters
    ----------
    soc_kwh : ndarray, shape (T + 1, n)
        Stored energy at the start, and at the end of each of T steps [kWh].
    capacity_kwh : ndarray, shape (n,)
        Energy between empty and full [kWh].
    step_h : float
        Length of a step [h].
    temperature_c : float or ndarray
        Temperature of the cells [degC]; an array broadcasts.

    Raises
    ------
    PhysicsError
        If shapes differ, a value is not finite, stored energy is negative or above the capacity, or the temperature is
        not above absolute zero.

    Examples
    --------
    >>> there_and_back = np.array([[0.0], [10.0], [0.0]])
    >>> age(there_and_back, np.array([10.0]), step_h=2.0).full_cycles
    array([1.])
    """
    require_shape("soc_kwh", soc_kwh, (soc_kwh.shape[0], capacity_kwh.shape[0]))
    require_non_negative("capacity_kwh", capacity_kwh)
    require_finite("soc_kwh", soc_kwh)
    if not soc_kwh.shape[0]:
        raise PhysicsError("soc_kwh has no row, expected at least the stored energy at the start")
    _require_within(soc_kwh, capacity_kwh)
    there, n = capacity_kwh > 0, capacity_kwh.shape[0]
    celsius = np.broadcast_to(np.asarray(temperature_c, dtype=np.float64), (n,))
    soc = np.divide(soc_kwh, capacity_kwh, out=np.zeros_like(soc_kwh), where=there)
    cycles = count_cycles(soc)
    mean_soc = (soc[:-1] + soc[1:]).mean(axis=0) / 2.0 if soc.shape[0] > 1 else soc[0]
    hours = (soc.shape[0] - 1) * step_h
    return Ageing(
        full_cycles=cycles.total(cycles.depth, n),
        calendar_stress=there * hours * calendar_stress_per_h(mean_soc, celsius),
        cycle_stress=cycles.total(cycle_stress(cycles.depth, cycles.mean, celsius[cycles.battery]), n),
    )


def _require_within(soc_kwh: FloatArray, capacity_kwh: FloatArray) -> None:
    slack_kwh = 1e-6 * (1.0 + capacity_kwh)
    outside = (soc_kwh < -slack_kwh) | (soc_kwh > capacity_kwh + slack_kwh)
    if outside.any():
        row, i = (int(each[0]) for each in np.nonzero(outside))
        raise PhysicsError(
            f"battery {i} holds {soc_kwh[row, i]:g} kWh in row {row}, outside its capacity of {capacity_kwh[i]:g} kWh"
        )


def _soc_factor(soc: FloatArray) -> FloatArray:
    factor: FloatArray = np.exp(_K_SOC * (soc - _SOC_REFERENCE))
    return factor


def _temperature_factor(temperature_c: float | FloatArray) -> FloatArray:
    celsius = np.asarray(temperature_c, dtype=np.float64)
    if not (celsius > -_KELVIN).all():
        raise PhysicsError(f"temperature is {celsius.min():g} degC, expected one above absolute zero")
    reference = _REFERENCE_C + _KELVIN
    factor: FloatArray = np.exp(_K_TEMPERATURE * (celsius - _REFERENCE_C) * reference / (celsius + _KELVIN))
    return factor
