"""The default week lies outside of what any shipped model was fitted or chosen on, and every run says so."""

import json
from datetime import date
from pathlib import Path

import pytest

from tests.support.scenarios import FONTANA, ROOT, light_scenario
from vpp_sim.agents.disclosure import samples
from vpp_sim.agents.inputs import load_inputs, open_models
from vpp_sim.scenario.loader import load_scenario

CARDS = sorted(
    path for path in (ROOT / "vpp_sim" / "pretrained").glob("*.json") if "splits" in json.loads(path.read_text())
)


def test_there_is_a_card_for_every_shipped_model() -> None:
    weights = {path.stem for path in (ROOT / "vpp_sim" / "pretrained").glob("*.safetensors")}
    assert weights == {path.stem for path in CARDS}
    assert weights >= {f"{target}_{kind}" for target in ("load", "pv") for kind in ("lstm", "transformer")}
    assert weights >= {"ess_dqn", "ess_ppo"}


@pytest.mark.parametrize("card", CARDS, ids=lambda path: path.stem)
def test_the_default_week_begins_after_everything_a_model_has_seen(card: Path) -> None:
    start = date.fromisoformat(load_scenario(FONTANA).clock.start)
    splits = json.loads(card.read_text())["splits"]
    seen = [date.fromisoformat(splits[split][1]) for split in ("train", "validation")]
    assert max(seen) < start


def test_all_shipped_models_stay_below_three_megabytes() -> None:
    assert sum(path.stat().st_size for path in (ROOT / "vpp_sim" / "pretrained").iterdir() if path.is_file()) < 3e6


@pytest.mark.parametrize(
    ("start", "verdict"),
    [
        ("2017-07-03", "this run is out of sample"),
        ("2017-06-15", "OVERLAPS"),  # the last day of validation
        ("2017-01-10", "OVERLAPS"),
        ("2017-06-16", "this run is out of sample"),
    ],
)
def test_a_run_says_whether_its_models_know_its_days(start: str, verdict: str) -> None:
    scenario = light_scenario(clock__start=start, forecasting__demand__kind="lstm", ess__kind="ppo")
    models = open_models(scenario)
    assert set(models.cards) == {"demand", "storage"}  # persistence has no card
    found = samples(models, load_inputs(scenario).clock)
    assert set(found) == {"demand model", "storage model"}
    assert all(verdict in text for text in found.values())
    assert found["storage model"].startswith("ppo, fitted on 2016-08-01 to 2017-04-30, chosen on 2017-05-01 to")
    # Learned again with the days that chose its rounds, as its card says.
    assert models.cards["demand"]["fitting"]["refit"]
    assert found["demand model"].startswith("lstm, fitted on 2016-08-01 to 2017-06-15, chosen on 2017-05-01 to")
