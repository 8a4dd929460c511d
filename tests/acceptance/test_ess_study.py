"""What the quick version of the study of storage leaves out: the notebook, and the table of the whole simulation."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import matplotlib
import pandas as pd
import pytest

from tests.support.scenarios import ROOT
from tests.support.studies import program
from vpp_sim.registry import CONTROLLERS

STUDY = ROOT / "experiments" / "ess"


def simulation() -> ModuleType:
    return program("ess", "simulation")


def cells() -> list[str]:
    notebook = json.loads((STUDY / "ess.ipynb").read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert all(not cell["outputs"] for cell in notebook["cells"] if cell["cell_type"] == "code")
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]


def test_the_notebook_runs_from_top_to_bottom(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(STUDY)
    matplotlib.use("agg")
    names: dict[str, Any] = {}
    for code in cells():
        exec(code, names)
    stated = json.loads((STUDY / "figures.json").read_text(encoding="utf-8"))["figures"]["ercot_pf_share"]
    table: pd.DataFrame = names["means"]("ercot_pf_share")
    assert table.loc["mpc", "da_known"] == stated["mpc"]["da_known"]["mean"]
    assert set(names["result"].names) == {"self_consumption", "ppo"}
    assert len(names["result"].homes.times) == 8 * 24 + 1
    matplotlib.pyplot.close("all")  # type: ignore[attr-defined]


def test_the_table_says_what_was_seen_before() -> None:
    module = simulation()
    row = dict.fromkeys(module.FIGURES, 1234.5)
    figures = {
        "days": 92,
        "unseen_days": 46,
        "first": "2017-05-01",
        "last": "2017-07-31",
        "replacement_eur_per_kwh": 300.0,
        "controllers": {"ppo": row, module.WITHOUT_VPP: row},
    }
    head, _, names, _, *rows = module.table_of_simulation(figures).splitlines()
    assert "Of these days the first 46 were not unseen" in head
    assert names.count("|") == len(module.FIGURES) + 2
    assert rows[0].startswith("| ppo | 1,234.50 | 1,234.50 |")
    assert rows[1].startswith("| without the plant | 1,234.50 |")
    unseen = module.table_of_simulation({**figures, "days": 46})
    assert "No shipped model was fitted or chosen on these days." in unseen


@pytest.mark.slow
def test_every_controller_runs_the_default_scenario() -> None:
    module = simulation()
    figures = module.whole_simulation(1)
    rows = figures["controllers"]
    assert set(rows) == {*CONTROLLERS.names, module.WITHOUT_VPP}
    assert (figures["first"], figures["last"], figures["unseen_days"]) == ("2017-07-31", "2017-07-31", 1)
    assert rows["idle"]["battery_cycles"] == 0.0
    assert list(rows)[-1] == "idle"
    for row in rows.values():
        assert set(row) == set(module.FIGURES)
        assert row["bill_less_profit_eur"] == pytest.approx(row["homes_bill_eur"] - row["vpp_profit_eur"], abs=0.011)
