"""The shipped forecasters: cards that match, a size that fits, and better forecasts than baselines on unseen weeks."""

import json
from functools import cache
from hashlib import sha256

import numpy as np
import pytest

from vpp_sim.data.fontana import DEFAULT_HOMES, Fontana
from vpp_sim.errors import DataError, UserError
from vpp_sim.forecasting.baselines import Persistence, PersistenceEnsemble, SeasonalNaive
from vpp_sim.forecasting.evaluation import forecasts_at, portfolio
from vpp_sim.forecasting.metrics import coverage, mae, weighted_quantile_loss
from vpp_sim.forecasting.summary import measures_of, over_seeds, table_lines
from vpp_sim.forecasting.weights import PRETRAINED, load_weights, read_card
from vpp_sim.forecasting.windows import origins, targets_at
from vpp_sim.registry import FORECASTERS
from vpp_sim.training import SPLITS, forecast_table, split_of, train_forecaster

MODELS = [(kind, target) for target in ("load", "pv") for kind in ("lstm", "transformer")]
SHARE_OF_FORECASTERS_BYTES = 1_600_000
BASELINES = {"persistence": Persistence, "seasonal_naive": SeasonalNaive, "persistence_ensemble": PersistenceEnsemble}


@cache
def homes():
    return Fontana().load().select(DEFAULT_HOMES)


@cache
def windows_of(target: str, *, whole: bool):
    """Return table, some origins of the test split, and what happened there."""
    table = forecast_table(homes(), target)
    table = portfolio(table) if whole else table
    at = origins(split_of(homes().index, "test"), context_steps=168, horizon_steps=36, stride=29)
    return table, at, targets_at(table, at, horizon_steps=36)


@cache
def quantiles_of(name: str, target: str, *, whole: bool) -> np.ndarray:
    table, at, _ = windows_of(target, whole=whole)
    model = BASELINES[name]() if name in BASELINES else FORECASTERS.load(name).open(target=target, step_s=3600)
    return forecasts_at(model, table, at)


@pytest.mark.parametrize(("kind", "target"), MODELS)
def test_card_matches_its_weights_and_the_data(kind: str, target: str) -> None:
    card = read_card(kind, target)
    packed = (PRETRAINED / f"{card.stem}.safetensors").read_bytes()
    config, state = load_weights(kind, target)
    assert card.weights_sha256 == sha256(packed).hexdigest()
    assert card.parameters == sum(tensor.numel() for tensor in state.values())
    assert card.data_digest == homes().digest
    assert card.homes == DEFAULT_HOMES
    assert card.splits == {name: list(days) for name, days in SPLITS.items()}
    assert (config.core, config.context_steps, config.horizon_steps) == (kind, 168, 36)
    assert card.command == f"vpp-sim train forecaster --kind {kind} --target {target} --seed {card.seed}"


def test_the_default_week_lies_in_the_test_split() -> None:
    first, last = SPLITS["test"]
    assert first <= "2017-07-03"
    assert last >= "2017-07-10"
    assert SPLITS["train"][1] < SPLITS["validation"][0]
    assert SPLITS["validation"][1] < first


def test_forecasters_fit_their_share_of_the_wheel() -> None:
    files = [PRETRAINED / f"{target}_{kind}.safetensors" for kind, target in MODELS]
    assert sum(path.stat().st_size for path in files) < SHARE_OF_FORECASTERS_BYTES


@pytest.mark.parametrize("whole", [False, True], ids=["homes", "portfolio"])
@pytest.mark.parametrize("baseline", BASELINES)
@pytest.mark.parametrize(("kind", "target"), MODELS)
def test_shipped_models_beat_the_baselines_on_the_test_split(kind, target, baseline, whole) -> None:
    _, _, actual = windows_of(target, whole=whole)
    own, other = (quantiles_of(name, target, whole=whole) for name in (kind, baseline))
    levels = read_card(kind, target).network["levels"]
    assert mae(actual, own[..., 3]) < mae(actual, other[..., 3])
    if (target, baseline) != ("pv", "persistence_ensemble"):  # over clear weeks the mean day's quantiles are as sharp
        assert weighted_quantile_loss(actual, own, levels) < weighted_quantile_loss(actual, other, levels)


@pytest.mark.parametrize(("kind", "target"), MODELS)
def test_what_the_card_states_is_what_the_weights_do(kind: str, target: str) -> None:
    _, _, actual = windows_of(target, whole=False)
    stated = read_card(kind, target).metrics["test"]["homes"][kind]
    own = quantiles_of(kind, target, whole=False)
    assert mae(actual, own[..., 3]) == pytest.approx(stated["mae_kw"], rel=0.08)
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
