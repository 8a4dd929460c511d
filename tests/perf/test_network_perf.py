from itertools import pairwise
from time import process_time

import numpy as np
import pytest

from vpp_sim.network.cigre_lv import cigre_lv_residential
from vpp_sim.network.feeder import Bus, Feeder, Line, LineType, Source
from vpp_sim.network.placement import place_homes
from vpp_sim.network.power_flow import PowerFlow

BUDGET_US = 70.0
STEPS = 200


def chain(n_buses: int) -> Feeder:
    wire = LineType("wire", 0.162, 0.0832, 364.0)
    names = [str(number) for number in range(n_buses)]
    lines = tuple(Line(f"{a}-{b}", a, b, wire, 0.01) for a, b in pairwise(names))
    return Feeder("chain", tuple(Bus(name, 0.4) for name in names), lines, (), Source("0"), tuple(names[1:]))


def best_us(flow: PowerFlow, n_loads: int) -> float:
    rng = np.random.default_rng(0)
    p_kw, q_kvar = rng.normal(0.4, 0.4, (STEPS, n_loads)), rng.normal(0.0, 0.1, (STEPS, n_loads))
    seconds = []
    for _ in range(40):
        start = process_time()
        flow.solve_batch(p_kw, q_kvar)
        seconds.append(process_time() - start)
    return 1e6 * min(seconds) / STEPS


@pytest.mark.perf
def test_batch_of_100_nodes_within_budget() -> None:
    feeder = chain(100)
    spent_us = best_us(PowerFlow(feeder, place_homes(feeder, 99).bus_of_home), 99)
    print(f"\n100-node flow in a batch: {spent_us:.0f} us, budget {BUDGET_US:.0f} us")
    assert spent_us <= BUDGET_US


@pytest.mark.perf
def test_residential_feeder_prints_its_cost() -> None:
    feeder = cigre_lv_residential()
    flow = PowerFlow(feeder, place_homes(feeder, 13).bus_of_home)
    batch_us = best_us(flow, 13)
    p_kw, q_kvar = np.full(13, 2.0), np.zeros(13)
    start = process_time()
    for _ in range(200):
        flow.solve(p_kw, q_kvar)
    print(f"\ncigre_lv: {batch_us:.0f} us a flow in a batch, {1e6 * (process_time() - start) / 200:.0f} us alone")
    assert batch_us <= BUDGET_US
