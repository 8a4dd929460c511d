"""The shipped forecasters: cards that match, a size that fits, and better forecasts than baselines on unseen weeks."""

import json
from dataclasses import asdict
from functools import cache
from hashlib import sha256

import numpy as np
import pytest

from vpp_sim.data.fontana import DEFAULT_HOMES, Fontana
from vpp_sim.errors import DataError, UserError
from vpp_sim.forecasting.card import read_card
from vpp_sim.forecasting.evaluation import forecasts_at, portfolio
from vpp_sim.forecasting.metrics import coverage, mae, weighted_quantile_loss
from vpp_sim.forecasting.model import PRETRAINED, model_path
from vpp_sim.forecasting.protocol import WEATHER, Task
from vpp_sim.forecasting.summary import measures_of, over_seeds, table_lines
from vpp_sim.forecasting.windows import origins, targets_at
from vpp_sim.registry import FORECASTERS
from vpp_sim.training.forecasters import forecast_table, train_forecaster
from vpp_sim.training.splits import SPLITS, split_of

MODELS = [(kind, target) for target in ("load", "pv") for kind in ("lstm", "transformer")]
SHARE_OF_FORECASTERS_BYTES = 1_900_000
BASELINES = ("persistence", "seasonal_naive", "persistence_ensemble")
NOT_SHARPER = {("pv", "portfolio", "persistence_ensemble"), ("pv", "homes", "persistence_ensemble")}
"""Where a baseline is as sharp: over weeks of clear sky the mean day of solar output is hard to beat."""


@cache
def homes():
    return Fontana().load().select(DEFAULT_HOMES)


@cache
def table_of(target: str):
    return forecast_table(homes(), target)


@cache
def windows_of(target: str, *, whole: bool):
    """Return table, some origins of the test split, and what happened there."""
    table = portfolio(table_of(target)) if whole else table_of(target)
    at = origins(split_of(homes().index, "test"), context_steps=168, horizon_steps=36, stride=47)
    return table, at, targets_at(table, at, horizon_steps=36)


@cache
def quantiles_of(name: str, target: str, *, whole: bool) -> np.ndarray:
    table, at, _ = windows_of(target, whole=whole)
    kind = FORECASTERS.load(name)
    return forecasts_at(kind(Task(target)) if name in BASELINES else kind.open(target, 3600), table, at)


@pytest.mark.parametrize(("kind", "target"), MODELS)
def test_card_matches_its_weights_and_the_data(kind: str, target: str) -> None:
    card, model = read_card(kind, target), FORECASTERS.load(kind).open(target)
    assert card.weights_sha256 == sha256(model_path(PRETRAINED, target, kind).read_bytes()).hexdigest()
    assert (card.kind, card.target) == (kind, target)
    assert card.parameters == sum(weight.numel() for network in model.networks for weight in network.parameters())
    assert card.data_digest == homes().digest
    assert card.series == DEFAULT_HOMES
    assert card.weather == table_of(target).issued.note
    assert card.splits == {name: list(days) for name, days in SPLITS.items()}
    assert card.task == json.loads(json.dumps(asdict(model.task)))
    assert (model.task.context_steps, model.task.horizon_steps, model.task.covariates) == (168, 36, WEATHER)
    assert card.fitting["members"] == len(model.networks)
    assert card.validation_losses
    assert 1 <= card.best_round <= len(card.validation_losses) <= card.fitting["epochs"]
    assert card.command == f"vpp-sim train forecaster --kind {kind} --target {target} --seed {card.seed}"


@pytest.mark.parametrize(("kind", "target"), MODELS)
def test_card_lists_measures_by_home_and_of_all(kind: str, target: str) -> None:
    metrics = read_card(kind, target).metrics
    assert set(metrics) == {"validation", "test"}
    for found in metrics.values():
        assert set(found) == {"homes", "portfolio", "each"}
        for group in found.values():
            assert set(group) == {kind, *BASELINES}
        for measure, values in found["each"][kind].items():
            assert len(values) == len(DEFAULT_HOMES)
            assert found["homes"][kind][measure] == pytest.approx(np.mean(values), abs=2e-5)


def test_the_default_week_lies_in_the_test_split() -> None:
    first, last = SPLITS["test"]
    assert first <= "2017-07-03"
    assert last >= "2017-07-10"
    assert SPLITS["train"][1] < SPLITS["validation"][0]
    assert SPLITS["validation"][1] < first


def test_forecasters_fit_their_share_of_the_wheel() -> None:
    files = [model_path(PRETRAINED, target, kind) for kind, target in MODELS]
    assert sum(path.stat().st_size for path in files) < SHARE_OF_FORECASTERS_BYTES


@pytest.mark.parametrize("whole", [False, True], ids=["homes", "portfolio"])
@pytest.mark.parametrize("baseline", BASELINES)
@pytest.mark.parametrize(("kind", "target"), MODELS)
def test_shipped_models_beat_the_baselines_on_the_test_split(kind, target, baseline, whole) -> None:
    _, _, actual = windows_of(target, whole=whole)
    own, other = (quantiles_of(name, target, whole=whole) for name in (kind, baseline))
    levels = Task(target).levels
    assert mae(actual, own[..., 3]) < mae(actual, other[..., 3])
    losses = [weighted_quantile_loss(actual, quantiles, levels) for quantiles in (own, other)]
    bar = 1.05 if (target, "portfolio" if whole else "homes", baseline) in NOT_SHARPER else 1.0
    assert losses[0] < bar * losses[1]


@pytest.mark.parametrize(("kind", "target"), MODELS)
def test_cards_state_no_baseline_ahead(kind: str, target: str) -> None:
    found = read_card(kind, target).metrics["test"]
    for group in ("homes", "portfolio"):
        for baseline in BASELINES:
            assert found[group][kind][f"mase_ratio_to_{baseline}"] < 1.0
            bar = 1.05 if (target, group, baseline) in NOT_SHARPER else 1.0
            assert found[group][kind][f"wql_ratio_to_{baseline}"] < bar


@pytest.mark.parametrize(("kind", "target"), MODELS)
def test_what_the_card_states_is_what_the_weights_do(kind: str, target: str) -> None:
    _, _, actual = windows_of(target, whole=False)
    stated = read_card(kind, target).metrics["test"]["homes"][kind]
    own = quantiles_of(kind, target, whole=False)
    assert mae(actual, own[..., 3]) == pytest.approx(stated["mae"], rel=0.08)
    assert coverage(actual, own[..., 0], own[..., -1]) == pytest.approx(stated["coverage_90"], abs=0.04)


def test_the_page_states_what_the_cards_say() -> None:
    page = (PRETRAINED / "README.md").read_text(encoding="utf-8")
    spreads = json.loads((PRETRAINED / "forecast_seeds.json").read_text(encoding="utf-8"))
    for target in ("load", "pv"):
        rows = {kind: measures_of(read_card(kind, target), "test") for kind in ("lstm", "transformer")}
        for line in table_lines(rows):
            assert line in page
        for kind in rows:
            for name, value in measures_of(read_card(kind, target), "test").items():
                spread = spreads[f"{target}_{kind}"]["test"][name]
                assert spread["low"] <= value <= spread["high"]
                assert spread["low"] <= spread["mean"] <= spread["high"]


def test_a_spread_needs_one_model_and_different_seeds() -> None:
    card = read_card("lstm", "load")
    with pytest.raises(DataError, match="cards of one model, each of another seed"):
        over_seeds([card, card], "test")


@pytest.mark.parametrize(
    ("kind", "target", "message"),
    [
        ("persistence", "load", "the persistence forecaster has nothing to train"),
        ("lstm", "wind", "unknown forecast target 'wind'"),
        ("lsmt", "load", "unknown forecaster 'lsmt'; .* did you mean 'lstm'"),
    ],
)
def test_what_cannot_be_trained_is_refused(tmp_path, kind, target, message) -> None:
    with pytest.raises(UserError, match=message):
        train_forecaster(kind, target, seed=1, out_dir=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "target"), MODELS)
def test_training_again_gives_the_shipped_weights(tmp_path, kind, target) -> None:
    shipped = read_card(kind, target)
    again = train_forecaster(kind, target, seed=shipped.seed, out_dir=tmp_path)
    assert again.weights_sha256 == shipped.weights_sha256
    assert json.loads(json.dumps(again.metrics)) == shipped.metrics
