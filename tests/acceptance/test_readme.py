"""What the README shows is what there is: the scenario, the mechanism, the commands, the names one may choose."""

import re
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML

from tests.support.scenarios import FONTANA, ROOT
from vpp_sim import registry
from vpp_sim.cli import main
from vpp_sim.market.accounts import blended_prices
from vpp_sim.market.protocol import OrderBook

README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(language: str, containing: str) -> str:
    found = [text for text in re.findall(rf"```{language}\n(.*?)```", README, flags=re.S) if containing in text]
    assert len(found) == 1
    return found[0]


def test_the_scenario_shown_is_the_one_that_runs() -> None:
    yaml = YAML(typ="safe", pure=True)
    shown, shipped = yaml.load(block("yaml", "name: fontana")), yaml.load(FONTANA.read_text(encoding="utf-8"))
    shipped.pop("description")
    assert shown == shipped


def test_the_mechanism_shown_works_in_ten_lines() -> None:
    """Supply 60, demand 100, 0.25 to buy and 0.05 to sell: sellers get 0.20, buyers pay 0.6 * 0.20 + 0.4 * 0.25."""
    code = block("python", "ShareOfRetail")
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    names: dict[str, type] = {}
    exec(code, names)
    book = OrderBook(
        buyer=np.array([0]),
        bid_kwh=np.array([100.0]),
        bid_eur_per_kwh=np.array([0.25]),
        seller=np.array([1]),
        ask_kwh=np.array([60.0]),
        ask_eur_per_kwh=np.array([0.05]),
        retail_eur_per_kwh=0.25,
        feed_in_eur_per_kwh=0.05,
    )
    buy, sell = blended_prices(names["ShareOfRetail"]().clear(book), book)
    assert (buy[0], sell[0]) == pytest.approx((0.22, 0.20), abs=1e-12)


def test_every_command_shown_exists(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line.split() for line in block("", "vpp-sim sweep").splitlines() if line.startswith("vpp-sim ")]
    assert len(lines) >= 9
    for words in lines:
        command = words[1:3] if words[1] in {"train", "tune", "runs", "evaluate"} else words[1:2]
        assert main([*command, "--help"]) == 0, words
        assert "Usage: vpp-sim" in capsys.readouterr().out


@pytest.mark.parametrize(
    "names",
    [
        registry.FORECASTERS,
        registry.CONTROLLERS,
        registry.DEMAND_RESPONSES,
        registry.RETAIL_PRICERS,
        registry.WHOLESALE_BIDDERS,
        registry.CLEARINGS,
        registry.PRICE_SOURCES,
        registry.WEATHER_FORECASTS,
        registry.FEEDERS,
    ],
    ids=lambda names: names.kind,
)
def test_every_name_one_may_choose_is_listed(names: registry.Registry[object]) -> None:
    table = README[README.index("## What you can choose") : README.index("## Add a clearing mechanism")]
    own = [name for name in names.names if names.targets[name].startswith("vpp_sim.")]
    assert all(f"`{name}`" in table for name in own), own


def test_no_gap_is_left_to_fill() -> None:
    assert "<!--" not in README


@pytest.mark.slow
def test_the_evaluation_shown_is_what_is_printed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vpp_sim.cli.evaluate._draw", lambda result, folder: None)
    assert main(["evaluate", "ess", "--out", str(tmp_path / "out")]) == 0
    printed = [line.split() for line in capsys.readouterr().out.splitlines()[:-1] if line.strip()]
    shown = [line.split() for line in block("", "95 % over homes").splitlines() if line.strip()]
    assert shown == printed
