"""How long a forecast of a thousand homes takes, beside its budget."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter

import numpy as np
import pytest

from vpp_sim.forecasting.protocol import ForecastInputs, Task
from vpp_sim.registry import FORECASTERS

BUDGET_MS = 60.0
SERIES, REPEATS = 1000, 15


def known(task: Task) -> ForecastInputs:
    rng, steps = np.random.default_rng(0), np.arange(task.context_steps + task.horizon_steps)
    return ForecastInputs(
        history=rng.gamma(2.0, 0.5, (SERIES, task.context_steps)),
        covariates=rng.normal(size=(len(steps), len(task.covariates))),
        hour=(steps % 24) * 1.0,
        day_of_week=steps // 24 % 7,
        day_of_year=1 + steps // 24,
    )


@pytest.mark.perf
@pytest.mark.parametrize("kind", ["lstm", "transformer"])
def test_a_thousand_series_are_forecast_a_day_ahead_within_budget(kind: str) -> None:
    """The shipped sizes, at a horizon of 24 h: what the weights are does not change what they cost."""
    shipped = FORECASTERS.load(kind).open("load")
    task = replace(shipped.task, horizon_steps=24)
    model = type(shipped)(task, config=replace(shipped.config, horizon_steps=24), members=len(shipped.networks))
    model.networks = tuple(model.build(model.config).eval() for _ in shipped.networks)
    inputs, spent_ms = known(task), []
    for _ in range(REPEATS):
        began = perf_counter()
        quantiles = model.predict(inputs)
        spent_ms.append(1e3 * (perf_counter() - began))
    print(f"\n{kind}: {SERIES:,} series, 24 h ahead: {min(spent_ms):.1f} ms, budget {BUDGET_MS:.0f} ms")
    assert quantiles.shape == (SERIES, 24, 7)
    assert min(spent_ms) <= BUDGET_MS
