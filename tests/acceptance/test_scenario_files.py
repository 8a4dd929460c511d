"""Every file in ``scenarios/`` is valid, alone or where it belongs, and every override does what its comment says."""

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from vpp_sim.cli import main
from vpp_sim.data.fontana import Fontana
from vpp_sim.data.prices import FontanaTariff
from vpp_sim.errors import nearest
from vpp_sim.runs.folder import RunFolder
from vpp_sim.scenario import Scenario, load_scenario
from vpp_sim.scenario.sections.trading import IntradaySpec

SCENARIOS = Path(__file__).parents[2] / "scenarios"
WHOLE = sorted(SCENARIOS.glob("*.yaml"))
BASES = sorted((SCENARIOS / "base").glob("*.yaml"))
OVERRIDES = sorted(path.stem for path in (SCENARIOS / "overrides").glob("*.yaml"))
FONTANA = SCENARIOS / "fontana.yaml"


def fontana(*named: str) -> Scenario:
    return load_scenario(FONTANA, named=named)


def stem(path: Path) -> str:
    return path.stem


def test_no_file_is_overlooked() -> None:
    overrides = [SCENARIOS / "overrides" / f"{name}.yaml" for name in OVERRIDES]
    assert sorted(SCENARIOS.rglob("*.y*ml")) == sorted([*WHOLE, *BASES, *overrides])
    assert OVERRIDES == ["dual_imbalance", "flat_tariff", "own_prices", "quick", "rough_chain", "smart_homes"]


@pytest.mark.parametrize("base", BASES, ids=stem)
def test_a_base_is_what_a_scenario_can_extend(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    homes = "prosumers: [{group: homes, data: {kind: fontana}}]"
    (tmp_path / "toy.yaml").write_text(f"name: toy\nextends: {base}\nclock: {{start: 2017-07-03}}\n{homes}\n")
    assert main(["validate", str(tmp_path / "toy.yaml")]) == 0, capsys.readouterr().err


@pytest.mark.parametrize("scenario", WHOLE, ids=stem)
@pytest.mark.parametrize(
    "named",
    [
        *(order for count in range(1, 4) for order in permutations(OVERRIDES, count)),  # all orders of any three
        tuple(OVERRIDES),
        tuple(reversed(OVERRIDES)),
    ],
    ids="+".join,
)
def test_overrides_fit_every_scenario_in_any_order(
    scenario: Path, named: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    options = [option for name in named for option in ("--with", name)]
    assert main(["validate", str(scenario), *options]) == 0, capsys.readouterr().err


@pytest.mark.parametrize("name", OVERRIDES)
def test_an_override_says_what_it_is_for_and_changes_something(name: str) -> None:
    lines = (SCENARIOS / "overrides" / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    comment = [line for line in lines if line.startswith("# ")]
    assert lines[: len(comment)] == comment
    assert len(" ".join(comment)) > 100
    assert fontana(name).digest != fontana().digest
    assert nearest(name, [found for found in OVERRIDES if found != name]) == ""  # a slip names the one that was meant


def test_quick_is_a_day_of_four_homes_off_chain() -> None:
    quick, whole = fontana("quick"), fontana()
    assert (quick.clock.days, quick.prosumers[0].data.homes, quick.chain) == (1, (1, 2, 3, 4), None)
    for section in ("prices", "tariff", "forecasting", "ess", "demand_response", "pricing", "market", "network"):
        assert getattr(quick, section) == getattr(whole, section)
    assert quick.clock.start == whole.clock.start
    assert quick.prosumers[0].battery == whole.prosumers[0].battery


def test_the_flat_tariff_holds_at_all_hours() -> None:
    tariff = fontana("flat_tariff").tariff
    assert (tariff.kind, tariff.price_eur_per_kwh, tariff.energy_eur_per_kwh) == ("flat", 0.22, 0.09)
    assert fontana("flat_tariff").model_copy(update={"tariff": fontana().tariff}) == fontana()


def test_dual_imbalance_changes_who_pays_for_it_and_nothing_else() -> None:
    dual, plain = fontana("dual_imbalance"), fontana()
    assert (dual.market.wholesale.imbalance, dual.market.wholesale.system_short_share) == ("two_prices", 0.5)
    assert plain.market.wholesale.imbalance == "both_sides"
    assert plain.market.wholesale.intraday == IntradaySpec(lead="1h")
    same = dual.market.wholesale.model_copy(update={"imbalance": "both_sides"})
    assert same == plain.market.wholesale
    assert dual.model_copy(update={"market": plain.market}) == plain


def test_own_prices_neither_count_levies_twice_nor_pay_more_for_feed_in_than_it_fetches() -> None:
    own = fontana("own_prices")
    assert own.prices.kind == "fontana_tariff"
    assert own.tariff.energy_eur_per_kwh == own.tariff.price_eur_per_kwh  # no levies beside those in the tariff
    prices = FontanaTariff().load().price_eur_per_kwh
    assert prices.min() - 0.01 < own.tariff.feed_in_eur_per_kwh <= prices.min()
    assert (own.market.wholesale.short_spread, own.market.wholesale.long_spread) == (0.0, 0.0)


def test_the_flat_price_beside_own_prices_is_what_the_tariff_costs_on_average() -> None:
    data = Fontana().load()
    rows = [data.names.index(f"home_{number}") for number in fontana().prosumers[0].data.homes or ()]
    drawn_kw = np.maximum(data.load_kw[:, rows] - data.pv_kw_per_kwp[:, rows] * np.asarray(data.pv_kwp)[rows], 0.0)
    mean = (drawn_kw.sum(axis=1) @ data.tariff_eur_per_kwh) / drawn_kw.sum()
    assert mean == pytest.approx(0.279, abs=5e-4)
    assert fontana("own_prices").tariff.price_eur_per_kwh == pytest.approx(mean, abs=0.005)


def test_a_quick_run_works(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["run", str(FONTANA), "--with", "quick", "--results", str(tmp_path), "--no-report", "--quiet"]
    assert main(command) == 0, capsys.readouterr().err
    folder = RunFolder.open(Path(capsys.readouterr().out.strip()))
    assert folder.manifest().digest == fontana("quick").digest
    homes = folder.table("bills")
    assert len(folder.table("timeseries")) == 24
    assert {f"homes/home_{number}" for number in (1, 2, 3, 4)} <= set(homes.astype(str).to_numpy().ravel())
    assert folder.table("chain").empty
