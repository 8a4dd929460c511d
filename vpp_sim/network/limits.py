"""What a feeder must keep, whether it does, and how much feed-in must go so that it does.

Limits broken by consumption are reported and cannot be mended here; limits broken by feed-in are kept by curtailing
PV. Voltages are means over the simulated step; EN 50160 asks for means over 10 min, so longer steps judge mildly.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vpp_sim.arrays import BoolArray, FloatArray, require_finite, require_non_negative, require_shape
from vpp_sim.errors import PhysicsError
from vpp_sim.network.feeder import Limits
from vpp_sim.network.power_flow import FlowResult, PowerFlow, PowerFlowError

__all__ = ["Curtailment", "Violations", "VoltageQuality", "curtail", "violations", "voltage_quality"]

logger = logging.getLogger(__name__)

_MARGIN = 1e-9
_HALVINGS = 12


@dataclass(frozen=True, slots=True)
class Violations:
    """How many parts of a feeder break their limit at one step.

    Attributes
    ----------
    under_voltage_buses, over_voltage_buses : int
        Buses below ``u_min_pu`` and above ``u_max_pu``.
    overloaded_lines, overloaded_transformers : int
        Branches above ``loading_max``.
    """

    under_voltage_buses: int
    over_voltage_buses: int
    overloaded_lines: int
    overloaded_transformers: int

    @property
    def total(self) -> int:
        """Return the sum of all four."""
        return self.under_voltage_buses + self.over_voltage_buses + self.overloaded_lines + self.overloaded_transformers


def violations(limits: Limits, flow: FlowResult) -> Violations:
    """Return how many parts of the feeder break their limit.

    Parameters
    ----------
    limits : Limits
        The limits.
    flow : FlowResult
        The feeder at one step.
    """
    return Violations(
        under_voltage_buses=int((flow.v_pu < limits.u_min_pu - _MARGIN).sum()),
        over_voltage_buses=int((flow.v_pu > limits.u_max_pu + _MARGIN).sum()),
        overloaded_lines=int((flow.line_loading > limits.loading_max + _MARGIN).sum()),
        overloaded_transformers=int((flow.transformer_loading > limits.loading_max + _MARGIN).sum()),
    )


@dataclass(frozen=True, slots=True)
class VoltageQuality:
    """Supply voltage of each bus in each week, by EN 50160.

    Attributes
    ----------
    share_within : ndarray, shape (weeks, buses)
        Share of the week's steps inside the narrow band.
    always_within : ndarray of bool, shape (weeks, buses)
        Whether every step is inside the wide band.
    passed : ndarray of bool, shape (weeks, buses)
        Whether both demands are met.
    """

    share_within: FloatArray
    always_within: BoolArray
    passed: BoolArray


def voltage_quality(limits: Limits, v_pu: FloatArray, steps_per_week: int) -> VoltageQuality:
    """Judge a series of voltages by EN 50160:2010, 4.2.2.

    In each week, 95 % of the means keep within +-10 % of the rated voltage and all within +10/-15 %.

    Parameters
    ----------
    limits : Limits
        Bands and share.
    v_pu : ndarray, shape (T, buses)
        Voltages relative to the rated voltage, at least one step.
    steps_per_week : int
        Steps in a week. A last week that is cut short is judged by the steps that it has.

    Raises
    ------
    PhysicsError
        If the shape is wrong, a value is not finite, or `steps_per_week` is not positive.

    Examples
    --------
    >>> v_pu = np.full((20, 1), 1.0)
    >>> v_pu[3] = 0.89
    >>> voltage_quality(Limits(), v_pu, steps_per_week=20).passed
    array([[ True]])
    >>> v_pu[4] = 0.89
    >>> voltage_quality(Limits(), v_pu, steps_per_week=20).passed
    array([[False]])
    """
    if v_pu.ndim != 2 or not len(v_pu):
        raise PhysicsError(f"v_pu has shape {v_pu.shape}, expected (T, buses) with at least one step")
    if steps_per_week < 1:
        raise PhysicsError(f"steps_per_week is {steps_per_week}, expected at least 1")
    require_finite("v_pu", v_pu)
    starts = np.arange(0, len(v_pu), steps_per_week)
    steps = np.diff(np.append(starts, len(v_pu)))[:, None]
    narrow = (v_pu >= limits.u_min_pu - _MARGIN) & (v_pu <= limits.u_max_pu + _MARGIN)
    wide = (v_pu >= limits.u_floor_pu - _MARGIN) & (v_pu <= limits.u_ceiling_pu + _MARGIN)
    share_within = np.add.reduceat(narrow.astype(np.float64), starts, axis=0) / steps
    always_within = np.logical_and.reduceat(wide, starts, axis=0)
    return VoltageQuality(share_within, always_within, always_within & (share_within >= limits.share - _MARGIN))


@dataclass(frozen=True, slots=True)
class Curtailment:
    """What was taken from feed-in, and the feeder after it.

    Attributes
    ----------
    curtailed_kw : ndarray, shape (n,)
        Power taken from each home's PV feed-in [kW].
    kept_share : float
        Share of feed-in that was let through, the same for every home.
    before : Violations or None
        Limits broken without curtailment; None if that flow has no solution.
    after : Violations
        Limits still broken: those of consumption.
    flow : FlowResult
        The feeder after curtailment.
    """

    curtailed_kw: FloatArray
    kept_share: float
    before: Violations | None
    after: Violations
    flow: FlowResult


def curtail(
    power_flow: PowerFlow,
    p_kw: FloatArray,
    q_kvar: FloatArray,
    pv_kw: FloatArray,
    *,
    scale: float = 1.0,
    step: int = 0,
) -> Curtailment:
    r"""Return the least common cut of PV feed-in that keeps the feeder's upper limits.

    Feed-in of home i is what its PV sends beyond its meter, :math:`e_i = \min(\max(-p_i, 0), pv_i)`. Every home keeps
    the same share :math:`k` of it, the largest for which no bus voltage is above ``u_max_pu`` and no branch above
    ``loading_max``, found by bisection to :math:`2^{-12}`; batteries and consumption are left alone. A part that
    breaks its limit even without feed-in (:math:`k = 0`) is consumption's, and must only not get worse than that.
    The rule is blind to who causes the breach: homes at strong buses give up as much as those at weak ones.

    Parameters
    ----------
    power_flow : PowerFlow
        Solver of the feeder, whose limits are kept.
    p_kw : ndarray, shape (n,)
        Net power at each meter [kW]; negative feeds in.
    q_kvar : ndarray, shape (n,)
        Reactive power drawn [kvar]; curtailment leaves it.
    pv_kw : ndarray, shape (n,)
        PV power behind each meter [kW].
    scale : float, default 1
        Real homes that each home stands for.
    step : int, default 0
        Number of the step, named by an error.

    Returns
    -------
    Curtailment
        Per home, not scaled.

    Raises
    ------
    PhysicsError
        If a shape is wrong, a value not finite, or PV power negative.
    PowerFlowError
        If the flow has no solution even without feed-in.
    """
    require_shape("pv_kw", pv_kw, p_kw.shape)
    require_non_negative("pv_kw", pv_kw)
    feed_in_kw = np.minimum(np.maximum(-p_kw, 0.0), pv_kw)

    def keeping(share: float) -> FlowResult:
        return power_flow.solve(scale * (p_kw + (1.0 - share) * feed_in_kw), scale * q_kvar, step=step)

    limits = power_flow.feeder.limits
    everything = _solution(keeping, 1.0) if feed_in_kw.any() else keeping(1.0)
    before = None if everything is None else violations(limits, everything)
    if everything is not None and (not feed_in_kw.any() or _stress(everything, limits).max() <= 1.0 + _MARGIN):
        share, flow = 1.0, everything
    else:
        share, flow = _largest_share(keeping, limits, everything)
    return Curtailment((1.0 - share) * feed_in_kw, share, before, violations(limits, flow), flow)


def _stress(flow: FlowResult, limits: Limits) -> FloatArray:
    """Return every quantity that has an upper limit, as a share of it: buses, lines, transformers."""
    loading = np.concatenate((flow.line_loading, flow.transformer_loading))
    return np.concatenate((flow.v_pu / limits.u_max_pu, loading / limits.loading_max))


def _solution(keeping: Callable[[float], FlowResult], share: float) -> FlowResult | None:
    """Return the flow, or None where feed-in is so large that there is none: as bad as a broken limit."""
    try:
        return keeping(share)
    except PowerFlowError as error:
        logger.info("feed-in share %.4f: %s", share, error)
        return None


def _largest_share(
    keeping: Callable[[float], FlowResult], limits: Limits, everything: FlowResult | None
) -> tuple[float, FlowResult]:
    best = keeping(0.0)
    ceiling = np.maximum(_stress(best, limits), 1.0) + _MARGIN

    def holds(flow: FlowResult) -> bool:
        return bool((_stress(flow, limits) <= ceiling).all())

    if everything is not None and holds(everything):
        return 1.0, everything
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        flow = _solution(keeping, middle)
        if flow is not None and holds(flow):
            low, best = middle, flow
        else:
            high = middle
    return low, best
