r"""Learn how customers respond to prices, from prices and meters alone, and say how sure that is.

The response is the logarithm of metered over forecast energy, the price the logarithm of price over default price:

.. math:: \ln \frac{D_t}{\hat D_t} = a_{g(t)} + \varepsilon_o \ln \frac{p_t}{p^0_t}
          + \varepsilon_c \, \overline{\ln \frac{p}{p^0}} + e_t, \qquad e_t \sim N(0, \sigma^2 / w_t)

with the customers' own-price elasticity :math:`\varepsilon_o` and, if wished, a cross term for the mean price of the
other steps of the day: dear hours elsewhere move demand here. The intercept :math:`a_g` of a group, such as an hour of
the day, takes up the forecast's bias. It has no prior, so it is removed by centring: what a price that never moves
within its group would teach is nothing, and the posterior is then the prior itself. Without groups of hours, a forecast
that is always too low in the evening, when prices are high, would be read as customers who like high prices.

Old evidence fades by a factor at each update; where it fades, the posterior returns to the prior and not to ignorance
("stabilised forgetting" [1]_), so that a calm month can neither blow up the uncertainty nor erase what the literature
says.

References
----------
.. [1] R. Kulhavý, M. B. Zarrop, "On a general concept of forgetting", International Journal of Control 58 (1993)
   905-924. https://doi.org/10.1080/00207179308923034
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import stdtrit

from vpp_sim.arrays import FloatArray, IntArray, require_finite, require_non_negative, require_shape
from vpp_sim.errors import PhysicsError

__all__ = ["ElasticityLearner", "ElasticityPosterior", "ElasticityPrior", "explored_prices", "literature_prior"]

_FIXED_POINT_ROUNDS = 20
_LEAST_DEMAND_KWH = 1e-6


@dataclass(frozen=True, slots=True)
class ElasticityPrior:
    """What is believed before any data.

    Attributes
    ----------
    own, own_sd : float
        Own-price elasticity and its standard deviation.
    cross, cross_sd : float
        Elasticity to the mean price of the day's other steps, and its standard deviation; a deviation of 0 leaves the
        term out.
    noise : float
        Standard deviation of the log response that prices do not explain.
    noise_weight : float
        How many observations that number is worth.

    Raises
    ------
    PhysicsError
        If a number is not finite, a deviation is negative, or the noise or its weight is not positive.
    """

    own: float = -0.045
    own_sd: float = 0.03
    cross: float = 0.0
    cross_sd: float = 0.0
    noise: float = 0.15
    noise_weight: float = 10.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        numbers = (self.own, self.own_sd, self.cross, self.cross_sd, self.noise, self.noise_weight)
        if not np.isfinite(numbers).all():
            raise PhysicsError(f"prior must be finite: {self}")
        if self.own_sd <= 0 or self.cross_sd < 0 or min(self.noise, self.noise_weight) <= 0:
            raise PhysicsError(
                f"prior needs positive own_sd, noise and noise_weight, and cross_sd of 0 or above: {self}"
            )


def literature_prior(enrolment: Literal["volunteer", "default"] = "volunteer") -> ElasticityPrior:
    """Return a prior from what was measured of households' answers to prices.

    Log-log elasticities of households' daily demand in Sacramento, from their bills of summer 2012, lie between -0.02
    and -0.07 [1]_ (linear ones between 0 and -0.27): the prior for volunteers is centred between the former, with both
    ends less than a standard deviation away. Households that were put on a time-of-use tariff by default are a quarter
    as elastic as those who chose it [2]_.

    Parameters
    ----------
    enrolment : {"volunteer", "default"}
        How the customers came to the tariff.

    Raises
    ------
    PhysicsError
        If the enrolment is unknown.

    References
    ----------
    .. [1] Z. K. Davis, "Sweating it out: the response of summer electricity demand to increases in price", thesis,
       California State University, Sacramento, 2013, abstract.
    .. [2] Lawrence Berkeley National Laboratory, "Heterogeneity in own-price residential customer demand elasticities
       for electricity under time-of-use rates: evidence from a randomized-control trial in the United States",
       abstract. https://energyanalysis.lbl.gov/publications/heterogeneity-own-price-residential

    Examples
    --------
    >>> literature_prior("default").own / literature_prior("volunteer").own
    0.25
    """
    shares = {"volunteer": 1.0, "default": 0.25}
    if enrolment not in shares:
        raise PhysicsError(f"enrolment is {enrolment!r}, expected one of {', '.join(shares)}")
    return ElasticityPrior(own=-0.045 * shares[enrolment], own_sd=0.03)


@dataclass(frozen=True, slots=True, eq=False)
class ElasticityPosterior:
    """What is believed now.

    Attributes
    ----------
    mean : ndarray, shape (k,)
        Own-price elasticity, then the cross term if it is learnt.
    covariance : ndarray, shape (k, k)
        Their scale matrix: the covariance, but for the factor of a t distribution.
    degrees : float
        Degrees of freedom of that t distribution.
    noise : float
        Standard deviation of the log response that prices do not explain.
    evidence : float
        Observations behind it after forgetting.
    """

    mean: FloatArray
    covariance: FloatArray
    degrees: float
    noise: float
    evidence: float

    @property
    def own(self) -> float:
        """Own-price elasticity."""
        return float(self.mean[0])

    @property
    def own_sd(self) -> float:
        """Its standard deviation (scale)."""
        return float(np.sqrt(self.covariance[0, 0]))

    def interval(self, probability: float = 0.9) -> tuple[float, float]:
        """Return the central interval that holds the own-price elasticity with `probability`."""
        if not 0 < probability < 1:
            raise PhysicsError(f"probability is {probability:g}, expected inside 0..1")
        reach = float(stdtrit(self.degrees, (1 + probability) / 2)) * self.own_sd
        return self.own - reach, self.own + reach

    def pricing_elasticity(self) -> float:
        """Return the own-price elasticity a pricer may use: not above zero."""
        return min(self.own, 0.0)

    def sample(self, rng: np.random.Generator) -> float:
        """Return one draw of the own-price elasticity, not above zero, for Thompson sampling."""
        return min(self.own + self.own_sd * float(rng.standard_t(self.degrees)), 0.0)


class ElasticityLearner:
    r"""Bayesian regression, updated day by day, whose memory fades.

    Given the noise variance the posterior is the conjugate normal one; the variance has the inverse-gamma posterior
    at that mean, and the two are made to agree. The prior's deviations are stated in absolute terms: they do not widen
    when the noise turns out larger than thought.

    The interval is that of a response which stays as it is for as long as is remembered. After a change the mean
    follows as the old days fade, and until about one and a half memories later the interval may miss the new value.

    Parameters
    ----------
    prior : ElasticityPrior, optional
        What is believed at first; :func:`literature_prior` for volunteers if not given.
    forgetting : float, default 0.98
        Share of the evidence that an update leaves, in (0, 1]; with one update a day, 0.98 remembers 50 days.
    groups : int, default 1
        Number of intercepts, such as 24 for the hours of the day.
    independent_share : float, default 1.0
        How many independent observations one is worth, in (0, 1]. Errors of neighbouring steps resemble one another; at
        a correlation r from step to step, (1 - r) / (1 + r) is the usual correction.

    Raises
    ------
    PhysicsError
        If a number lies outside its range.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> learner = ElasticityLearner(forgetting=1.0)
    >>> for _ in range(100):
    ...     ratio = rng.uniform(0.5, 1.5, 24)
    ...     learner.update(ratio**-0.06 * np.exp(0.1 * rng.standard_normal(24)), np.ones(24), ratio, np.ones(24))
    >>> low, high = learner.posterior.interval(0.95)
    >>> low < -0.06 < high, high - low < 0.03
    (True, True)
    """

    def __init__(
        self,
        prior: ElasticityPrior | None = None,
        *,
        forgetting: float = 0.98,
        groups: int = 1,
        independent_share: float = 1.0,
    ) -> None:
        if not (0 < forgetting <= 1 and 0 < independent_share <= 1 and groups >= 1):
            raise PhysicsError(
                f"expected forgetting and independent_share in (0, 1] and a group, not {forgetting:g}, "
                f"{independent_share:g} and {groups}"
            )
        self.prior = literature_prior() if prior is None else prior
        self.skipped = 0
        self._forgetting, self._share = forgetting, independent_share
        self._terms = 2 if self.prior.cross_sd > 0 else 1
        columns = self._terms + 1  # prices, then the response
        self._evidence = 0.0
        self._weight = np.zeros(groups)
        self._sum = np.zeros((groups, columns))
        self._square = np.zeros((columns, columns))

    def update(
        self,
        metered_kwh: FloatArray,
        forecast_kwh: FloatArray,
        price_eur_per_kwh: FloatArray,
        default_eur_per_kwh: FloatArray,
        *,
        group: IntArray | None = None,
        weight: FloatArray | None = None,
        independent_share: float | None = None,
    ) -> None:
        """Learn from one day, or any run of steps that customers see as a whole.

        Steps without demand or forecast, or at a price that is not positive, have no logarithm: they are left out and
        counted in `skipped`.

        Parameters
        ----------
        metered_kwh, forecast_kwh : ndarray, shape (T,)
            Energy drawn, and what was expected at the default price [kWh], non-negative.
        price_eur_per_kwh, default_eur_per_kwh : ndarray, shape (T,)
            Price charged, and default price [EUR/kWh].
        group : ndarray of int, shape (T,), optional
            Group of each step; all in the first without it.
        weight : ndarray, shape (T,), optional
            How precise each forecast is, as the inverse of its error variance relative to the noise; 1 without it.
        independent_share : float, optional
            How many independent observations one of these is worth; what the learner was made with without it.

        Raises
        ------
        PhysicsError
            If shapes differ, a number is not finite, energy or a weight is negative, or a group does not exist.
        """
        shape = metered_kwh.shape
        for name, values in (("forecast_kwh", forecast_kwh), ("price_eur_per_kwh", price_eur_per_kwh)):
            require_shape(name, values, shape)
        require_shape("default_eur_per_kwh", default_eur_per_kwh, shape)
        require_non_negative("metered_kwh", metered_kwh)
        require_non_negative("forecast_kwh", forecast_kwh)
        require_finite("price_eur_per_kwh", price_eur_per_kwh)
        require_finite("default_eur_per_kwh", default_eur_per_kwh)
        groups = np.zeros(shape, dtype=np.int64) if group is None else group
        weights = np.ones(shape) if weight is None else weight
        require_shape("weight", weights, shape)
        require_non_negative("weight", weights)
        if groups.shape != shape or ((groups < 0) | (groups >= self._weight.size)).any():
            raise PhysicsError(f"group must hold {shape[0]} numbers within 0..{self._weight.size - 1}")
        usable = np.minimum(metered_kwh, forecast_kwh) > _LEAST_DEMAND_KWH
        usable &= np.minimum(price_eur_per_kwh, default_eur_per_kwh) > 0
        self.skipped += int((~usable).sum())
        price = np.log(price_eur_per_kwh[usable] / default_eur_per_kwh[usable])
        response = np.log(metered_kwh[usable] / forecast_kwh[usable])
        share = self._share if independent_share is None else independent_share
        if not 0 < share <= 1:
            raise PhysicsError(f"independent_share is {share:g}, expected (0, 1]")
        self._evidence = self._forgetting * self._evidence + share * np.count_nonzero(weights[usable])
        self._take(price, response, groups[usable], share * weights[usable])

    def _take(self, price: FloatArray, response: FloatArray, group: IntArray, weight: FloatArray) -> None:
        others = (price.sum() - price) / max(price.size - 1, 1)
        rows = np.column_stack([price, others, response] if self._terms == 2 else [price, response])
        self._weight *= self._forgetting
        self._sum *= self._forgetting
        self._square = self._forgetting * self._square + (rows * weight[:, None]).T @ rows
        np.add.at(self._weight, group, weight)
        np.add.at(self._sum, group, rows * weight[:, None])

    @property
    def posterior(self) -> ElasticityPosterior:
        """What is believed now; with no evidence, or with prices that never moved, the prior."""
        prior, k = self.prior, self._terms
        seen = self._weight > 0
        means = self._sum[seen] / self._weight[seen][:, None]
        centred = self._square - self._sum[seen].T @ means
        # Centring leaves rounding where prices never moved: such a direction holds no evidence.
        still = np.diag(centred)[:k] <= 1e-12 * (1e-12 + np.diag(self._square)[:k])
        gram, cross = centred[:k, :k].copy(), centred[:k, k].copy()
        gram[still, :], gram[:, still], cross[still] = 0.0, 0.0, 0.0
        mean0 = np.array([prior.own, prior.cross])[:k]
        precision0 = np.diag(1 / np.array([prior.own_sd, prior.cross_sd])[:k] ** 2)
        evidence = self._evidence
        degrees = prior.noise_weight + max(evidence - int(seen.sum()), 0.0)
        fit = _Fit(mean0, precision0, gram, cross, float(centred[k, k]), prior.noise_weight * prior.noise**2, degrees)
        variance = fit.variance(prior.noise**2)
        covariance = np.asarray(np.linalg.inv(precision0 + gram / variance), dtype=np.float64)
        return ElasticityPosterior(fit.mean(variance), covariance, degrees, float(np.sqrt(variance)), evidence)


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    """The regression in sums: prior mean and precision, centred squares, and the noise's prior."""

    mean0: FloatArray
    precision0: FloatArray
    gram: FloatArray
    cross: FloatArray
    response: float
    noise0: float
    degrees: float

    def mean(self, variance: float) -> FloatArray:
        """Return the posterior mean at a noise variance."""
        precision = self.precision0 + self.gram / variance
        mean = np.linalg.solve(precision, self.precision0 @ self.mean0 + self.cross / variance)
        return np.asarray(mean, dtype=np.float64)

    def _variance_at(self, mean: FloatArray) -> float:
        unexplained = max(float(self.response - 2 * mean @ self.cross + mean @ self.gram @ mean), 0.0)
        return (self.noise0 + unexplained) / self.degrees

    def _log_density(self, variance: float) -> float:
        mean = self.mean(variance)
        off = mean - self.mean0
        precision = self.precision0 + self.gram / variance
        squares = self._variance_at(mean) * self.degrees / variance + float(off @ self.precision0 @ off)
        return -0.5 * float(self.degrees * np.log(variance) + squares + np.linalg.slogdet(precision)[1])

    def variance(self, first: float) -> float:
        """Return the noise variance that agrees with the mean it leads to.

        There can be two: data far from the prior are either a surprise about customers or a lot of noise. Both are
        looked for, and the likelier is returned.
        """
        least_squares = np.asarray(np.linalg.lstsq(self.gram, self.cross)[0])
        found = []
        for start in (first, self._variance_at(least_squares)):
            variance = start
            for _ in range(_FIXED_POINT_ROUNDS):
                variance = self._variance_at(self.mean(variance))
            found.append(variance)
        return max(found, key=self._log_density)


def explored_prices(
    price_eur_per_kwh: FloatArray,
    demand_kwh: FloatArray,
    default_eur_per_kwh: FloatArray,
    *,
    dither: float,
    lowest_eur_per_kwh: FloatArray,
    highest_eur_per_kwh: FloatArray,
    rng: np.random.Generator,
    keeps: Callable[[FloatArray], bool] | None = None,
) -> FloatArray:
    r"""Return prices moved at random, so that there is something to learn from, with every home's promise kept.

    Each price is moved up or down by the share `dither`. Then all are lowered together by as much as is needed for no
    home's expected bill to exceed what the default tariff charges for the same energy; a home whose bill already stood
    above it is not made worse. Prices stay within their limits: where a limit stops the lowering, or another is broken,
    the moves themselves are shrunk until all hold. So exploring costs the seller, never the customer.

    Parameters
    ----------
    price_eur_per_kwh : ndarray, shape (H,)
        Prices to move [EUR/kWh].
    demand_kwh : ndarray, shape (n, H)
        Expected demand of each home at the default price [kWh], non-negative.
    default_eur_per_kwh : ndarray, shape (H,)
        Default price [EUR/kWh].
    dither : float
        Size of a move as a share of the price, 0..0.5.
    lowest_eur_per_kwh, highest_eur_per_kwh : ndarray, shape (H,)
        Limits of the prices [EUR/kWh].
    rng : numpy.random.Generator
        Source of the moves.
    keeps : callable, optional
        Tells whether prices keep all other limits, such as a ramp.

    Returns
    -------
    ndarray, shape (H,)
        Prices [EUR/kWh]; those given where no smaller move keeps everything.

    Raises
    ------
    PhysicsError
        If shapes differ, a demand is negative, or the dither lies outside 0..0.5.

    Examples
    --------
    >>> explored_prices(
    ...     np.full(2, 0.30), np.array([[1.0, 3.0]]), np.full(2, 0.30), dither=0.1,
    ...     lowest_eur_per_kwh=np.zeros(2), highest_eur_per_kwh=np.ones(2), rng=np.random.default_rng(1),
    ... ).round(4)
    array([0.2571, 0.3143])
    """
    horizon = price_eur_per_kwh.shape
    for name, values in (("default_eur_per_kwh", default_eur_per_kwh), ("lowest_eur_per_kwh", lowest_eur_per_kwh)):
        require_shape(name, values, horizon)
    require_shape("highest_eur_per_kwh", highest_eur_per_kwh, horizon)
    require_shape("demand_kwh", demand_kwh, (*demand_kwh.shape[:1], *horizon))
    require_non_negative("demand_kwh", demand_kwh)
    if not 0 <= dither <= 0.5:
        raise PhysicsError(f"dither is {dither:g}, expected 0..0.5")
    moves = dither * rng.choice([-1.0, 1.0], horizon)
    allowed = np.maximum(demand_kwh @ default_eur_per_kwh, demand_kwh @ price_eur_per_kwh)
    for size in (1.0, 0.5, 0.25, 0.125, 0.0625):
        moved = np.clip(price_eur_per_kwh * (1 + size * moves), lowest_eur_per_kwh, highest_eur_per_kwh)
        bills = demand_kwh @ moved
        over = np.divide(allowed, bills, out=np.ones_like(bills), where=bills > allowed)
        lowered: FloatArray = np.maximum(moved * over.min(initial=1.0), lowest_eur_per_kwh)
        if (demand_kwh @ lowered <= allowed * (1 + 1e-12)).all() and (keeps is None or keeps(lowered)):
            return lowered
    return price_eur_per_kwh.copy()
