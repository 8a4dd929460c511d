from pathlib import Path

import pytest
from pydantic import ValidationError

from vpp_sim.errors import ScenarioError
from vpp_sim.scenario.loader import read_scenario
from vpp_sim.sweeps.expansion import expand
from vpp_sim.sweeps.spec import SweepSpec, load_sweep

ROOT = Path(__file__).parents[3]
STUDY = ROOT / "experiments" / "battery_tariff" / "sweep.yaml"


def problems(folder: Path, text: str) -> list[str]:
    (folder / "base.yaml").write_text("name: base\n")
    (folder / "sweep.yaml").write_text(text)
    with pytest.raises(ScenarioError) as caught:
        load_sweep(folder / "sweep.yaml")
    return [str(problem).removeprefix(f"{folder}/") for problem in caught.value.problems]


def test_the_study_of_batteries_and_tariffs() -> None:
    spec, base = load_sweep(STUDY)
    assert base == ROOT / "scenarios" / "fontana.yaml"
    assert (spec.n_jobs, spec.seeds, spec.executor) == (36, (1, 2, 3), "dask")
    assert spec.grid["prosumers.0.battery.capacity_kwh"] == (0.0, 3.2, 6.4, 12.8)
    jobs = expand(spec)
    assert jobs[-1].label == (
        "tariff.kind=flat, market.local.bidding=zero_intelligence, prosumers.0.battery.capacity_kwh=12.8, "
        "tariff.price_eur_per_kwh=0.36, seed=3"
    )
    scenario = read_scenario(base, jobs[-1].overrides).scenario
    assert (scenario.prosumers[0].battery.capacity_kwh, scenario.tariff.price_eur_per_kwh, scenario.seed) == (
        12.8,
        0.36,
        3,
    )


def test_jobs_vary_the_last_key_and_the_seed_fastest() -> None:
    jobs = expand(SweepSpec(base="b", grid={"b": (2, 1), "a": ("x", None)}, seeds=(5, 3)))
    seen = [tuple(job.overrides.values()) for job in jobs]
    assert seen == [
        (2, "x", 5), (2, "x", 3), (2, None, 5), (2, None, 3),
        (1, "x", 5), (1, "x", 3), (1, None, 5), (1, None, 3),
    ]  # fmt: skip
    assert [job.number for job in jobs] == list(range(8))
    assert list(jobs[0].overrides) == ["b", "a", "seed"]
    assert jobs[2].label == "b=2, a=null, seed=5"


def test_numbers_keep_their_type() -> None:
    assert SweepSpec(base="b", grid={"k": (1, 1.5, True, "1")}).grid["k"] == (1, 1.5, True, "1")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "base: base.yaml\ngird: {a: [1]}\n",
            [
                "sweep.yaml:1: grid = (missing); required",
                "sweep.yaml:2: gird = {a: [1]}; unknown key; allowed: name, description, base, grid, seeds, figure, "
                "executor, workers; did you mean 'grid'?",
            ],
        ),
        ("base: base.yaml\ngrid: {}\n", ["sweep.yaml:2: grid = {}; expected at least one key with its values"]),
        (
            "base: base.yaml\ngrid:\n  a: [1, 1]\n",
            ["sweep.yaml:2: grid = {a: [1, 1]}; expected each value of a once"],
        ),
        (
            "base: base.yaml\ngrid:\n  seed: [1]\n",
            ["sweep.yaml:3: grid.seed = [1]; expected seeds under the key seeds, not in the grid"],
        ),
        (
            "base: base.yaml\ngrid: {a: [1]}\nseeds: [1, 1]\n",
            ["sweep.yaml:3: seeds = [1, 1]; expected each seed once"],
        ),
        (
            "base: base.yaml\ngrid: {a: [1]}\nseeds: [-1]\n",
            ["sweep.yaml:3: seeds.0 = -1; expected greater than or equal to 0"],
        ),
        (
            "base: base.yaml\ngrid: {a: [1]}\nexecutor: dusk\n",
            ["sweep.yaml:3: executor = dusk; expected a sweep executor: dask, serial; did you mean 'dask'?"],
        ),
        (
            "base: base.yaml\ngrid: {a: [1], b: [2]}\nfigure: {x: a, y: c, kpi: k}\n",
            ["sweep.yaml:3: figure.y = c; expected a key of the grid: a, b"],
        ),
        (
            "base: base.yaml\ngrid: {a: [1], b: [2]}\nfigure: {x: a, y: a, kpi: k}\n",
            ["sweep.yaml:3: figure.y = a; expected another key than x"],
        ),
        (
            "base: base.yaml\ngrid: {a: [1], b: [2], c: [3, 4]}\nfigure: {x: a, y: b, kpi: k}\n",
            [
                "sweep.yaml:3: figure = {x: a, y: b, kpi: k}; expected one value of every key that the figure does "
                "not show; c has more"
            ],
        ),
        (
            "base: base.yaml\ngrid: {a: [1], b: [2]}\nfigure: {x: a, y: b, kpis: k}\n",
            [
                "sweep.yaml:3: figure.kpi = (missing); required",
                "sweep.yaml:3: figure.kpis = k; unknown key; allowed: kind, x, y, kpi; did you mean 'kpi'?",
            ],
        ),
        ("base: base.yaml\ngrid: {a: []}\n", ["sweep.yaml:2: grid = {a: []}; expected at least one value of a"]),
        ("base: base.yaml\ngrid: {a: [1]}\nseeds: []\n", ["sweep.yaml:3: seeds = []; expected at least one seed"]),
        ("base: bsae.yaml\ngrid: {a: [1]}\n", ["base.yaml"]),
        ("base: base.yaml\ngrid: {a: [1]}\ngrid: {b: [1]}\n", ["duplicate key; first written on line 2"]),
        (
            f"base: base.yaml\ngrid: {{a: {list(range(1000))}, b: {list(range(1000))}}}\n",
            ["expected at most 100000 jobs, these are 1000000"],
        ),
    ],
)
def test_slips_are_shown_with_their_line(tmp_path: Path, text: str, expected: list[str]) -> None:
    found = problems(tmp_path, text)
    assert len(found) == len(expected)
    for problem, part in zip(found, expected, strict=True):
        assert part in problem


def test_nested_values_are_refused(tmp_path: Path) -> None:
    found = problems(tmp_path, "base: base.yaml\ngrid: {a: [[1]]}\n")
    assert found
    assert all("sweep.yaml:2: grid.a.0 = [1]; expected" in problem for problem in found)


def test_specs_are_frozen() -> None:
    spec = SweepSpec(base="b", grid={"k": (1,)})
    with pytest.raises(ValidationError, match="frozen"):
        spec.workers = 3
