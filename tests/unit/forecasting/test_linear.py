"""The lines of the linear forecaster against another solver of the same problem."""

import numpy as np
import pytest
from scipy.optimize import linprog

from tests.support.forecast_tables import made_table
from vpp_sim.forecasting.linear import PENALTIES, LinearForecaster, _lines
from vpp_sim.forecasting.protocol import Task
from vpp_sim.forecasting.rowwise import HOURS, mean_pinball
from vpp_sim.forecasting.windows import Split


def made_rows(count: int, seed: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(HOURS):
        x = np.column_stack([rng.normal(size=(count, 2)), np.ones(count)])
        rows.append((x, x @ [1.0, -0.5, 0.2] + rng.gamma(1.0, 1.0, count)))
    return rows


def by_linear_programme(x: np.ndarray, y: np.ndarray, level: float) -> np.ndarray:
    """Return the quantile regression of Koenker and Bassett as the linear programme that it is."""
    count, width = x.shape
    cost = np.concatenate([np.zeros(width), np.full(count, level), np.full(count, 1.0 - level)])
    equal = np.hstack([x, np.eye(count), -np.eye(count)])
    bounds = [(None, None)] * width + [(0, None)] * (2 * count)
    return linprog(cost, A_eq=equal, b_eq=y, bounds=bounds, method="highs").x[:width]


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
def test_the_common_line_is_that_of_a_linear_programme(level: float) -> None:
    rows = made_rows(15)
    x, y = (np.concatenate(parts) for parts in zip(*rows, strict=True))
    found = _lines(rows, level, (1e-9, 1e9), 60)
    np.testing.assert_allclose(found, np.broadcast_to(found[0], found.shape), atol=1e-6)
    losses = [mean_pinball((x @ line)[:, None], y, (level,)) for line in (found[0], by_linear_programme(x, y, level))]
    assert losses[0] == pytest.approx(losses[1], rel=2e-3)
    assert losses[0] >= losses[1] - 1e-9


def test_hours_go_their_own_way_where_they_may() -> None:
    rows = [(x, y + (3.0 * x[:, 0] if hour == 7 else 0.0)) for hour, (x, y) in enumerate(made_rows(200))]
    free, tied = (_lines(rows, 0.5, (1e-9, pull), 10) for pull in (1e-6, 1e9))
    assert free[7, 0] == pytest.approx(4.0, abs=0.3)
    assert free[8, 0] == pytest.approx(1.0, abs=0.3)
    assert tied[7, 0] == pytest.approx(tied[8, 0], abs=1e-6)


def test_a_strong_penalty_leaves_the_level_alone() -> None:
    rows = made_rows(100)
    strong = _lines(rows, 0.5, (1e4, 1e9), 30)
    np.testing.assert_allclose(strong[:, :2], 0.0, atol=1e-3)
    np.testing.assert_allclose(strong[:, 2], np.median(np.concatenate([y for _, y in rows])), atol=0.05)


def test_the_report_tells_what_was_tried() -> None:
    class Small(LinearForecaster):
        row_limit = 4_000

    seen: list[tuple[int, int, float]] = []
    model = Small(Task("load", horizon_steps=24, covariates=("temperature_c",)))
    report = model.fit(
        made_table(),
        train=Split("train", 0, 1000),
        validation=Split("validation", 1000, 1250),
        progress=lambda *told: seen.append(told),
    )
    assert [told[:2] for told in seen] == [(k, len(PENALTIES)) for k in range(1, len(PENALTIES) + 1)]
    assert report.losses == tuple(told[2] for told in seen)
    assert report.best_round == 1 + int(np.argmin(report.losses))
    assert report.parameters == 24 * 7 * (len(model.columns) + 1)
    assert report.settings == dict(
        zip(("penalty_to_zero", "penalty_to_all_hours"), PENALTIES[report.best_round - 1], strict=True)
    )
