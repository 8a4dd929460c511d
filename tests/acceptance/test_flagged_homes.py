"""A home with broken readings runs when it is named, and the run says what is wrong with it."""

from datetime import UTC, datetime
from pathlib import Path

from tests.support.scenarios import light_scenario
from vpp_sim.data.fontana import Fontana
from vpp_sim.simulation import run


def test_a_flagged_home_is_named_in_the_manifest(tmp_path: Path) -> None:
    scenario = light_scenario(prosumers__0__data__homes=[1, 12])
    folder = run(scenario, started=datetime(2026, 1, 1, tzinfo=UTC), results_dir=tmp_path)
    said = {who: why for who, why in folder.manifest().information.items() if "does not recommend" in who}
    assert list(said) == ["homes/home_12, which its source does not recommend"]
    data = Fontana().load().select(["home_12"])
    idle_hours = int((data.load_kw < 0.01).sum())
    assert f"reads below 10 W in {idle_hours} of {len(data.index)} hours" in next(iter(said.values()))
