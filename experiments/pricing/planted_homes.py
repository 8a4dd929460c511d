"""The homes' true response, planted at random and told to no pricer, and what prices bring when they answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from priced_years import LEVIES_EUR_PER_KWH, Year

from vpp_sim.arrays import FloatArray
from vpp_sim.pricing.customers import Customers, ElasticHomes, Response, ShiftingHomes

WORSE_EUR = 1.0
"""A home counts as worse off from such a loss a year on; its bills are 1,200 EUR and more [EUR]."""

OWN, SHIFT, SHARE, DISCOMFORT = (0.02, 0.07), (0.10, 0.40), (0.05, 0.25), (0.01, 0.03)
REACH_H, WINDOW_H = 3.0, 8
BELIEVED_SHARE, BELIEVED_DISCOMFORT = 0.15, 0.02

Truth: TypeAlias = Literal["elastic", "mixed", "tied"]
"""How homes answer: smoothly; a part shifting too; or that part as believed, unwilling where indifferent."""

TRUTHS: tuple[Truth, ...] = ("elastic", "mixed", "tied")


def planted(homes: int, seed: int, truth: Truth) -> Customers:
    """Return homes with a random response; those of one seed differ between truths in the shifting part alone."""
    rng = np.random.default_rng(seed)
    elastic = ElasticHomes(rng.uniform(*OWN, homes), rng.uniform(*SHIFT, homes), REACH_H)
    share, discomfort = rng.uniform(*SHARE, homes), rng.uniform(*DISCOMFORT, homes)
    if truth == "elastic":
        share = np.zeros(homes)
    if truth == "tied":
        share, discomfort = np.full(homes, BELIEVED_SHARE), np.full(homes, BELIEVED_DISCOMFORT)
    return Customers(elastic, ShiftingHomes(share, discomfort, WINDOW_H, tie="against_seller"))


def true_elasticity(customers: Customers, import_kwh: FloatArray, default: FloatArray) -> FloatArray:
    """Return the elasticities of all demand, shape (24, 24): those of the part that is elastic, over the whole."""
    rest = (1 - customers.shifting.share[:, None]) * import_kwh
    total = import_kwh.sum(axis=0)
    weight = np.divide(rest.sum(axis=0), total, out=np.zeros_like(total), where=total > 0)
    matrix: FloatArray = customers.elastic.elasticity(rest, default) * weight[:, None]
    return matrix


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What a tariff brought over D days.

    Attributes
    ----------
    profit_eur : ndarray, shape (D,)
        Margin over levies and the day-ahead price [EUR].
    surplus_eur : ndarray, shape (D, n)
        Consumer surplus against the default tariff [EUR].
    excess_eur : ndarray, shape (D, n)
        What each home paid beyond the default price of the energy that it metered; negative where less [EUR].
    net_kwh : ndarray, shape (D, 24)
        Energy that all homes together drew or fed in [kWh].
    """

    profit_eur: FloatArray
    surplus_eur: FloatArray
    excess_eur: FloatArray
    net_kwh: FloatArray


def answer_of(year: Year, day: int, price: FloatArray, customers: Customers) -> Response:
    """Return how `customers` answer a day's prices, shape (24,)."""
    cost = LEVIES_EUR_PER_KWH + year.wholesale_eur_per_kwh[day]
    return customers.respond(year.import_kwh[day], year.default, price, cost_eur_per_kwh=cost)


def outcome(year: Year, days: Sequence[int], prices: FloatArray, customers: Customers) -> Outcome:
    """Return what prices of shape (D, 24) bring when `customers` answer them."""
    return brought(year, days, prices, [answer_of(year, *each, customers) for each in zip(days, prices, strict=True)])


def brought(year: Year, days: Sequence[int], prices: FloatArray, answers: Sequence[Response]) -> Outcome:
    """Return what prices of shape (D, 24) bring with the answers to them."""
    chosen = list(days)
    drawn = np.array([each.demand_kwh for each in answers])
    margin = prices - LEVIES_EUR_PER_KWH - year.wholesale_eur_per_kwh[chosen]
    return Outcome(
        profit_eur=(margin * drawn.sum(axis=1)).sum(axis=1),
        surplus_eur=np.array([each.surplus_change_eur for each in answers]),
        excess_eur=np.einsum("dit,dt->di", drawn, prices - year.default),
        net_kwh=(drawn - year.export_kwh[chosen]).sum(axis=1),
    )


def summary(found: Outcome, *, promised: bool) -> dict[str, float]:
    """Return the figures of one outcome; a promised tariff pays back at the end what a home paid beyond the default."""
    refund = np.maximum(found.excess_eur.sum(axis=0), 0.0) if promised else np.zeros(found.excess_eur.shape[1])
    surplus = found.surplus_eur.sum(axis=0) + refund
    return {
        "profit_eur": float(found.profit_eur.sum() - refund.sum()),
        "consumer_surplus_eur": float(surplus.sum()),
        "worse_off_share": float((surplus < -WORSE_EUR).mean()),
        "worst_home_eur": float(surplus.min()),
        "best_home_eur": float(surplus.max()),
        "refund_eur": float(refund.sum()),
        "peak_kw": float(found.net_kwh.max()),
        "daily_peak_kw": float(found.net_kwh.max(axis=1).mean()),
    }
