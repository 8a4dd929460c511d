"""The check for leaks is worth what it catches: planted leaks of values, covariates and issues."""

from dataclasses import fields, replace

import numpy as np
import pytest

from tests.support.tiny_forecasters import ORIGIN, TRAINED, fitted, known, tiny_table, tiny_task
from vpp_sim.data.issued import IssuedForecasts
from vpp_sim.errors import DataError
from vpp_sim.forecasting.baselines import Persistence
from vpp_sim.forecasting.leaks import poisoned, require_no_leak
from vpp_sim.forecasting.windows import SeriesTable

SAW = f"the forecast issued at step {ORIGIN} saw the future: it moved by .* when what happened later was replaced"


def disguised(kind: type[SeriesTable], table: SeriesTable) -> SeriesTable:
    return kind(*(getattr(table, field.name) for field in fields(SeriesTable)))


class Observed(SeriesTable):
    """A table that hands out what was observed later as if it had been forecast."""

    def known_covariates(self, origin: int, *, context_steps: int, horizon_steps: int) -> np.ndarray:
        return self.covariates[origin - context_steps : origin + horizon_steps]


class NextIssue(SeriesTable):
    """A table that hands out the forecasts issued six steps later."""

    def known_covariates(self, origin: int, *, context_steps: int, horizon_steps: int) -> np.ndarray:
        past = self.covariates[origin - context_steps : origin]
        sooner = self.issued.known_at(origin + 6, horizon_steps - 6)
        return np.concatenate([past, sooner[:1].repeat(6, axis=0), sooner])


@pytest.mark.parametrize("kind", TRAINED)
@pytest.mark.parametrize("leak", [Observed, NextIssue])
def test_a_table_that_leaks_is_caught(leak: type[SeriesTable], kind: str) -> None:
    table = tiny_table("load")
    require_no_leak(fitted(kind, "load"), table, ORIGIN)
    with pytest.raises(DataError, match=SAW):
        require_no_leak(fitted(kind, "load"), disguised(leak, table), ORIGIN)


def test_how_far_the_forecast_moved_is_told() -> None:
    """Yesterday from a history that reaches one step too far: its last value becomes a million."""

    class TooFar(Persistence):
        def predict(self, inputs):
            history = np.concatenate([inputs.history[:, 1:], told[-1][:, None]], axis=1)
            return super().predict(replace(inputs, history=history))

    told: list[np.ndarray] = []

    class Telling(SeriesTable):
        def known_covariates(self, origin: int, **reach: int) -> np.ndarray:
            told.append(self.values[origin])
            return super().known_covariates(origin, **reach)

    with pytest.raises(DataError, match=r"it moved by (9\.9\d+e\+05|1e\+06|999\d\d\d)"):
        require_no_leak(TooFar(tiny_task("load")), disguised(Telling, tiny_table("load")), ORIGIN)


def test_poison_replaces_what_was_not_known_and_nothing_else() -> None:
    table = tiny_table("load")
    bad = poisoned(table, ORIGIN)
    for name in ("values", "covariates"):
        np.testing.assert_array_equal(getattr(bad, name)[:ORIGIN], getattr(table, name)[:ORIGIN])
        assert (getattr(bad, name)[ORIGIN:] == 1e6).all()
    np.testing.assert_array_equal(bad.issued.values[: ORIGIN + 1], table.issued.values[: ORIGIN + 1])
    assert (bad.issued.values[ORIGIN + 1 :] == 1e6).all()
    assert table.values.max() < 1e3
    np.testing.assert_array_equal(bad.hour, table.hour)


@pytest.mark.parametrize("kind", TRAINED)
def test_the_issue_at_the_origin_is_read_and_a_later_one_is_not(kind: str) -> None:
    """Runs every twelve steps: at 700 that of step 696 is known; what the next says changes nothing."""
    table, model = tiny_table("load"), fitted(kind, "load")
    sparse = IssuedForecasts(table.issued.issued_at[::12], table.issued.values[::12], table.issued.names)

    def told(change: dict[int, float]) -> np.ndarray:
        values = sparse.values.copy()
        for issue, more in change.items():
            values[issue] += more
        return model.predict(known(model, replace(table, issued=replace(sparse, values=values))))

    assert told({59: 5.0}).tobytes() == told({}).tobytes()  # step 708
    assert told({58: 5.0}).tobytes() != told({}).tobytes()  # step 696


def test_the_label_of_an_issue_decides_and_nothing_else_may() -> None:
    """Whether a label is true cannot be seen from values: runs labelled twelve steps too early look honest.

    What can be seen is forecasts that are handed out before the step on their label.
    """
    table, model = tiny_table("load"), fitted("linear", "load")
    early = replace(table.issued, issued_at=table.issued.issued_at - 12)
    require_no_leak(model, replace(table, issued=early), ORIGIN)

    class Relabelled(IssuedForecasts):
        """Forecasts that are handed out twelve steps before the step on their label."""

        def known_at(self, step: int, n_steps: int) -> np.ndarray:
            return super().known_at(step + 12, n_steps)

    lying = Relabelled(table.issued.issued_at, table.issued.values, table.issued.names)
    with pytest.raises(DataError, match=SAW):
        require_no_leak(model, replace(table, issued=lying), ORIGIN)
