"""How a community fares with its market over many steps: equality of gains, and the six indices of Zhou et al.

What one clearing is worth to its members is told by :mod:`~vpp_sim.market.indices`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vpp_sim.arrays import FloatArray, require_finite, require_non_negative, require_shape

__all__ = ["CommunityFlows", "ZhouIndices", "gini", "zhou_indices"]

_ROUNDING = 1e-9
"""Costs that differ by less than this share are the same, and a denominator below it is zero [1]."""


def gini(values: FloatArray) -> float:
    r"""Return the Gini coefficient: 0 where all have the same, near 1 where one has all.

    .. math:: G = \frac{\sum_i \sum_j |x_i - x_j|}{2 n \sum_i |x_i|}

    For non-negative values that is the textbook's coefficient. Negative ones make the textbook's denominator, the sum,
    small or zero; the sum of magnitudes in its place, the base that [1]_ puts there, keeps it within 0..1.

    Parameters
    ----------
    values : ndarray, shape (n,)
        What each member has, of either sign.

    Returns
    -------
    float
        Between 0 and 1; 0 where nobody has anything, or there is nobody.

    References
    ----------
    .. [1] E. Raffinetti, E. Siletti, A. Vernizzi, "On the Gini coefficient normalization when attributes with negative
       values are considered", Statistical Methods and Applications 24 (2015) 507-521.
       https://doi.org/10.1007/s10260-014-0293-4

    Examples
    --------
    >>> gini(np.array([0.0, 0.0, 0.0, 4.0])), gini(np.array([-1.0, 1.0]))
    (0.75, 0.5)
    """
    require_finite("values", values)
    total = float(np.abs(values).sum())
    if total == 0:
        return 0.0
    n = values.size
    # In rising order, the i-th is above i - 1 and below n - i others.
    apart = 2.0 * float((2 * np.arange(1, n + 1) - n - 1) @ np.sort(values))
    return apart / (2 * n * total)


@dataclass(frozen=True, slots=True, eq=False)
class CommunityFlows:
    """What a community of n members consumed, generated and paid over T steps.

    Attributes
    ----------
    load_kw, generation_kw : ndarray, shape (T, n)
        Mean power of each member in each step, behind its own meter [kW], non-negative.
    cost_eur : ndarray, shape (n,)
        Each member's electricity bill, to its peers and its retailer [EUR]; negative is income.

    Raises
    ------
    PhysicsError
        If shapes differ, or a power is negative.
    """

    load_kw: FloatArray
    generation_kw: FloatArray
    cost_eur: FloatArray

    def __post_init__(self) -> None:
        """Check shapes and signs."""
        require_shape("generation_kw", self.generation_kw, self.load_kw.shape)
        require_shape("cost_eur", self.cost_eur, self.load_kw.shape[1:])
        require_non_negative("load_kw", self.load_kw)
        require_non_negative("generation_kw", self.generation_kw)
        require_finite("cost_eur", self.cost_eur)

    @property
    def net_kw(self) -> FloatArray:
        """What the community as a whole draws from outside, shape (T,); negative feeds in [kW]."""
        net: FloatArray = self.load_kw.sum(axis=1) - self.generation_kw.sum(axis=1)
        return net


@dataclass(frozen=True, slots=True)
class ZhouIndices:
    """The three economic and three technical indices of Zhou et al.; higher is better, and 1 is the best."""

    value_tapping: float
    participation_willingness: float
    equality: float
    energy_balance: float
    power_flatness: float
    self_sufficiency: float

    @property
    def economic(self) -> float:
        """Mean of the three economic indices, equally weighted as in the paper's cases."""
        return (self.value_tapping + self.participation_willingness + self.equality) / 3

    @property
    def technical(self) -> float:
        """Mean of the three technical indices."""
        return (self.energy_balance + self.power_flatness + self.self_sufficiency) / 3

    @property
    def overall(self) -> float:
        """Mean of the economic and the technical index."""
        return (self.economic + self.technical) / 2


def zhou_indices(shared: CommunityFlows, alone: CommunityFlows, best_cost_eur: float) -> ZhouIndices:
    r"""Return the six indices by which Zhou et al. compare mechanisms of energy sharing [1]_.

    With each member's cost :math:`C_n`, the community's net power :math:`P_t`, its load :math:`L_t`, its generation
    :math:`G_t`, and a reference (0) in which everyone deals with the retailer alone:

    - *value tapping*, the share of the possible saving that is made:
      :math:`(\sum C^0_n - \sum C_n) / (\sum C^0_n - C^*)`, with the lowest cost :math:`C^*` of a community run as one;
    - *participation willingness*, the share of members whose cost falls: :math:`|\{n : C_n < C^0_n\}| / N`;
    - *equality*, one less the Gini coefficient of incomes :math:`-C_n`, all raised by the same amount, so that the
      lowest is zero, if one is negative;
    - *energy balance*, :math:`1 - \sum_t |P_t| / \sum_t (L_t + G_t)`;
    - *power flatness*, :math:`1 - R / R^0` with the peak over the mean :math:`R = \max_t |P_t| / \overline{|P_t|}`;
      negative where the mechanism makes a higher peak than the reference has;
    - *self-sufficiency*, :math:`1 - \sum_{t: P_t > 0} P_t / \sum_t L_t`.

    The formulas are the paper's as its readers restate them. Ours are the limits: nothing to save counts as wholly
    tapped, members whose cost stays within rounding do not gain, equal incomes are equal, no energy at all is balanced
    and self-sufficient, and a community that never exchanges anything is as flat as can be (1).
    The paper raises incomes by a small number more than needed, which here is zero.

    Parameters
    ----------
    shared, alone : CommunityFlows
        The community with the mechanism, and the reference without it.
    best_cost_eur : float
        Lowest cost of the community run as one [EUR].

    Raises
    ------
    PhysicsError
        If the two communities differ in size, or the best cost is not finite.

    References
    ----------
    .. [1] Y. Zhou, J. Wu, C. Long, "Evaluation of peer-to-peer energy sharing mechanisms based on a multiagent
       simulation framework", Applied Energy 222 (2018) 993-1022. https://doi.org/10.1016/j.apenergy.2018.02.089

    Examples
    --------
    >>> load_kw, sun_kw = np.array([[2.0, 1.0], [1.0, 1.0]]), np.array([[0.0, 3.0], [0.0, 0.0]])
    >>> alone = CommunityFlows(load_kw, sun_kw, np.array([0.75, 0.15]))
    >>> shared = CommunityFlows(load_kw, sun_kw, np.array([0.55, -0.05]))
    >>> found = zhou_indices(shared, alone, best_cost_eur=0.5)
    >>> found.value_tapping, found.energy_balance, found.self_sufficiency
    (1.0, 0.75, 0.6)
    """
    require_shape("the reference's load_kw", alone.load_kw, shared.load_kw.shape)
    require_finite("best_cost_eur", np.array([best_cost_eur]))
    before, after = float(alone.cost_eur.sum()), float(shared.cost_eur.sum())
    rounding = _ROUNDING * np.maximum(1.0, np.abs(alone.cost_eur))
    load, generation, net = float(shared.load_kw.sum()), float(shared.generation_kw.sum()), shared.net_kw
    peak, peak_alone = _peak_to_mean(net), _peak_to_mean(alone.net_kw)
    return ZhouIndices(
        value_tapping=_ratio(before - after, before - best_cost_eur, 1.0),
        participation_willingness=float((shared.cost_eur < alone.cost_eur - rounding).mean()),
        equality=1 - gini(_raised(-shared.cost_eur)),
        energy_balance=1 - _ratio(float(np.abs(net).sum()), load + generation, 0.0),
        power_flatness=1 - _ratio(peak, peak_alone, 0.0 if peak == 0 else 1.0),
        self_sufficiency=1 - _ratio(float(net[net > 0].sum()), load, 0.0),
    )


def _ratio(numerator: float, denominator: float, otherwise: float) -> float:
    return numerator / denominator if abs(denominator) > _ROUNDING else otherwise


def _raised(income_eur: FloatArray) -> FloatArray:
    """Raise all incomes alike, so that none is negative."""
    return income_eur - min(float(income_eur.min(initial=0.0)), 0.0)


def _peak_to_mean(net_kw: FloatArray) -> float:
    exchanged = np.abs(net_kw)
    return _ratio(float(exchanged.max(initial=0.0)), float(exchanged.mean()) if exchanged.size else 0.0, 0.0)
