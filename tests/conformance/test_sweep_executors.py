"""Every sweep executor runs every job once, keeps their order, and survives a job that fails."""

import pytest

from vpp_sim.registry import SWEEP_EXECUTORS
from vpp_sim.sweeps.run import run_sweep
from vpp_sim.sweeps.spec import SweepSpec

SPEC = SweepSpec(name="toy", base="toy.yaml", grid={"x": (1, 2, 3), "y": (10, 20)}, seeds=(1, 2))


def product(overrides):
    if overrides["x"] == 2 and overrides["y"] == 20:
        raise ValueError("two times twenty is too much")
    return {"product": float(overrides["x"] * overrides["y"] + overrides["seed"])}


@pytest.mark.parametrize("name", SWEEP_EXECUTORS.names)
def test_all_jobs_run_once_in_order_and_failures_are_kept(name: str) -> None:
    told = []
    executor = SWEEP_EXECUTORS.load(name)(workers=2)
    table = run_sweep(SPEC, product, executor, lambda job, outcome, done, total: told.append((done, total))).table
    assert [(row.x, row.y, row.seed) for row in table.itertuples()] == [
        (x, y, seed) for x in (1, 2, 3) for y in (10, 20) for seed in (1, 2)
    ]
    failed = table[table["status"] != "ok"]
    assert failed[["x", "y"]].drop_duplicates().to_numpy().tolist() == [[2, 20]]
    assert failed["error"].str.contains("two times twenty is too much").all()
    good = table[table["status"] == "ok"]
    assert (good["product"] == good["x"] * good["y"] + good["seed"]).all()
    assert sorted(told) == [(done, 12) for done in range(1, 13)]
