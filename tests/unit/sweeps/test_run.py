import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from vpp_sim.errors import DataError, UnknownNameError
from vpp_sim.sweeps.executors import Outcome, SerialExecutor
from vpp_sim.sweeps.expansion import Job
from vpp_sim.sweeps.run import half_width, run_sweep, write_sweep
from vpp_sim.sweeps.spec import SweepSpec

SPEC = SweepSpec(base="b", grid={"size": (1.0, 2.0), "kind": ("z", None)}, seeds=(0, 1, 4))


def saving(overrides: Mapping[str, object]) -> dict[str, float | None]:
    size, kind, seed = overrides["size"], overrides["kind"], overrides["seed"]
    assert isinstance(size, float)
    assert isinstance(seed, int)
    if size == 2.0 and kind is None:
        raise ValueError(f"seed {seed} is out of luck")
    return {"saving": 10 * size + seed, "peak": None if seed == 4 else 1.0}


def clashing(overrides: Mapping[str, object]) -> dict[str, float | None]:
    return {"seed": 1.0}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        # t tables: 12.706 (1 degree of freedom), 4.303 (2), 2.776 (4).
        ([1.0, 3.0], 12.706 * math.sqrt(2) / math.sqrt(2)),
        ([1.0, 2.0, 3.0], 4.303 * 1.0 / math.sqrt(3)),
        ([2.0, 4.0, 4.0, 4.0, 6.0], 2.776 * math.sqrt(2) / math.sqrt(5)),
        ([5.0, 5.0, 5.0], 0.0),
    ],
)
def test_half_width_by_the_table_of_t(values: list[float], expected: float) -> None:
    assert half_width(values) == pytest.approx(expected, rel=2e-4)


def test_other_levels() -> None:
    # t table: 9.925 at 99 % and 2 degrees of freedom.
    assert half_width([1.0, 2.0, 3.0], level=0.99) == pytest.approx(9.925 / math.sqrt(3), rel=1e-4)


@pytest.mark.parametrize("values", [[], [1.0]])
def test_no_interval_without_two_values(values: list[float]) -> None:
    assert math.isnan(half_width(values))


def test_interval_holds_the_mean_as_often_as_it_says() -> None:
    draws = np.random.default_rng(1).normal(3.0, 2.0, (4000, 3))
    held = [abs(row.mean() - 3.0) <= half_width(row) for row in draws]
    assert np.mean(held) == pytest.approx(0.95, abs=0.01)


def test_table_and_summary_with_failures() -> None:
    seen: list[tuple[str, bool, int, int]] = []

    def on_progress(job: Job, outcome: Outcome, done: int, total: int) -> None:
        seen.append((job.label, outcome.kpis is not None, done, total))

    result = run_sweep(SPEC, saving, SerialExecutor(), on_progress)
    assert result.table.columns.tolist() == ["job", "size", "kind", "seed", "status", "error", "saving", "peak"]
    assert result.kpis == ("saving", "peak")
    assert result.table["kind"].tolist() == ["z"] * 3 + ["null"] * 3 + ["z"] * 3 + ["null"] * 3
    assert result.failures["job"].tolist() == [9, 10, 11]
    assert result.failures["error"].tolist()[2] == "ValueError: seed 4 is out of luck"
    assert seen[0] == ("size=1.0, kind=z, seed=0", True, 1, 12)
    assert seen[-1] == ("size=2.0, kind=null, seed=4", False, 12, 12)
    summary = result.summary("saving")
    assert summary[["size", "kind", "n"]].to_numpy().tolist() == [
        [1.0, "z", 3], [1.0, "null", 3], [2.0, "z", 3], [2.0, "null", 0],
    ]  # fmt: skip
    # Seeds 0, 1, 4: mean 5/3, s = sqrt(13/3), t = 4.303.
    assert summary["mean"].tolist()[:3] == pytest.approx([10 + 5 / 3, 10 + 5 / 3, 20 + 5 / 3])
    assert summary["half_width"].tolist()[:3] == pytest.approx([4.303 * math.sqrt(13 / 3) / math.sqrt(3)] * 3, rel=1e-4)
    assert summary.iloc[3][["mean", "half_width"]].isna().all()


def test_missing_values_do_not_count() -> None:
    summary = run_sweep(SPEC, saving, SerialExecutor()).summary("peak")
    assert (summary["n"].tolist(), summary["mean"].tolist()[:3]) == ([2, 2, 2, 0], [1.0, 1.0, 1.0])
    assert summary["half_width"].tolist()[:3] == [0.0, 0.0, 0.0]


def test_unknown_kpi_comes_with_a_hint() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown KPI of the sweep 'savings'.*did you mean 'saving'"):
        run_sweep(SPEC, saving, SerialExecutor()).summary("savings")


def test_kpi_may_not_take_the_name_of_a_column() -> None:
    with pytest.raises(DataError, match="a KPI named 'seed'"):
        run_sweep(SPEC, clashing, SerialExecutor())


def test_files_hold_what_the_table_holds(tmp_path: Path) -> None:
    result = run_sweep(SPEC, saving, SerialExecutor())
    write_sweep(result, tmp_path / "sweep")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "sweep" / "jobs.parquet"), result.table, check_dtype=False)
    assert pd.read_csv(tmp_path / "sweep" / "jobs.csv")["saving"].tolist()[:3] == [10.0, 11.0, 14.0]
    summary = pd.read_csv(tmp_path / "sweep" / "summary.csv")
    assert summary["kpi"].tolist() == ["saving"] * 4 + ["peak"] * 4


def test_a_sweep_of_failures_alone_is_written(tmp_path: Path) -> None:
    spec = SweepSpec(base="b", grid={"size": (2.0,), "kind": (None,)})
    result = run_sweep(spec, saving, SerialExecutor())
    write_sweep(result, tmp_path)
    assert result.kpis == ()
    assert pd.read_parquet(tmp_path / "jobs.parquet")["status"].tolist() == ["failed"]
    assert not (tmp_path / "summary.csv").exists()
