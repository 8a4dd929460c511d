"""Pricing and bidding against known answers; README.md names the oracles."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.support.bids import position_kwh
from vpp_sim.pricing.demand import consumer_surplus_eur, elastic_demand_kwh, expected_profit_eur
from vpp_sim.pricing.protocol import RetailOptions, RetailProblem
from vpp_sim.registry import RETAIL_PRICERS, WHOLESALE_BIDDERS

FOLDER = Path(__file__).parent
INPUT = json.loads((FOLDER / "input.json").read_text())
EXPECTED = json.loads((FOLDER / "expected.json").read_text())


@pytest.mark.parametrize("matrix", [False, True], ids=["number", "matrix"])
@pytest.mark.parametrize(("objective", "answer"), [("profit", "monopoly"), ("welfare", "marginal_cost")])
def test_monopoly_and_marginal_cost(objective, answer, matrix):
    case, expected = INPUT["monopoly"], EXPECTED[answer]
    problem = RetailProblem(
        demand_kwh=np.array([[case["demand_kwh"]]], dtype=float),
        wholesale_eur_per_kwh=np.array([case["cost_eur_per_kwh"]], dtype=float),
        default_eur_per_kwh=np.array([case["default_eur_per_kwh"]], dtype=float),
        levies_eur_per_kwh=0.0,
        feed_in_eur_per_kwh=np.zeros(1),
        elasticity=np.array([[case["elasticity"]]], dtype=float) if matrix else None,
    )
    options = RetailOptions(cap_eur_per_kwh=case["cap_eur_per_kwh"], elasticity=case["elasticity"], objective=objective)
    prices = RETAIL_PRICERS.load("elastic_qp")(homes=1, horizon_steps=1, options=options).price(problem)
    price = prices.buy_eur_per_kwh
    assert price == pytest.approx([expected["price_eur_per_kwh"]], abs=1e-4)
    assert elastic_demand_kwh(problem, price, case["elasticity"]) == pytest.approx([expected["energy_kwh"]], abs=1e-4)
    profit = expected_profit_eur(problem, price, case["elasticity"])
    assert profit == pytest.approx(expected["profit_eur"], abs=1e-6 if objective == "profit" else 1e-2)
    surplus = consumer_surplus_eur(problem, price, case["elasticity"])
    assert surplus == pytest.approx(expected["consumer_surplus_eur"], abs=1e-2)


def test_newsvendor():
    case = INPUT["newsvendor"]
    levels = np.array([0.0, 1.0])
    drawn_kwh = -np.array([case["output_kwh"][::-1]], dtype=float)
    bought_kwh = position_kwh(
        WHOLESALE_BIDDERS.load("newsvendor")(),
        drawn_kwh,
        levels,
        np.array([case["day_ahead"]], dtype=float),
        short_spread=case["shortage"] / case["day_ahead"] - 1,
        long_spread=1 - case["surplus"] / case["day_ahead"],
    )
    assert -bought_kwh == pytest.approx([EXPECTED["newsvendor"]["sold_kwh"]], abs=1e-9)
