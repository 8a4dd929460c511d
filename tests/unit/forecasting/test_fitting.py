"""Fits: the same bits whether or not they were cut off, no data but their own, and an end when nothing gets better."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.support.tiny_forecasters import (
    NETWORKS,
    TINY,
    TRAIN,
    VALIDATION,
    fitted,
    known,
    spoilt,
    tiny_config,
    tiny_table,
    tiny_task,
    untrained,
)
from vpp_sim.errors import DataError
from vpp_sim.forecasting.fitting import FitResult, FitSettings, _Fit, fit, pinball, random_groups, single_thread
from vpp_sim.forecasting.neural import NeuralForecaster
from vpp_sim.forecasting.windows import SeriesTable, Split
from vpp_sim.registry import FORECASTERS

TASK = tiny_task("load")
SPLITS = {"train": TRAIN, "validation": VALIDATION}


def weights(result: FitResult) -> bytes:
    return b"".join(tensor.numpy().tobytes() for tensor in result.network.state_dict().values())


def learn(kind: str = "lstm", table: SeriesTable | None = None, settings: FitSettings = TINY, **more) -> FitResult:
    build = FORECASTERS.load(kind).build
    found = tiny_table("load") if table is None else table
    return fit(build, tiny_config(kind, TASK), found, **{"seed": 3, **SPLITS, **more}, settings=settings)


class Cut(Exception):  # noqa: N818 - the power went off
    """The fit was cut off."""


def cut_after(monkeypatch: pytest.MonkeyPatch, kept: int) -> None:
    """Cut every fit off once it has written its state `kept` times."""
    keep, count = _Fit.keep, [0]

    def then_cut(self: _Fit, checkpoint: Path) -> None:
        keep(self, checkpoint)
        count[0] += 1
        if count[0] == kept:
            raise Cut

    monkeypatch.setattr(_Fit, "keep", then_cut)


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_fit_is_repeatable_to_the_bit_and_leaves_the_global_state_alone(kind: str) -> None:
    first = learn(kind)
    torch.rand(3)  # whatever else drew from the global stream in between
    before, threads = torch.random.get_rng_state(), torch.get_num_threads()
    again, other = learn(kind), learn(kind, seed=4)
    assert weights(first) == weights(again)
    assert first.losses == again.losses
    assert weights(first) != weights(other)
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.get_num_threads() == threads


# Three rounds choose, and as many as the best learn again: states 1 to 3 are of the first phase, 4 on of the second.
@pytest.mark.parametrize(("kind", "kept"), [("lstm", 1), ("lstm", 3), ("lstm", 4), ("transformer", 4)])
def test_a_fit_that_was_cut_off_ends_in_the_same_bits(kind: str, kept: int, tmp_path: Path) -> None:
    settings, path = replace(TINY, epochs=3, patience=3), tmp_path / "state"
    whole = learn(kind, settings=settings)
    with pytest.MonkeyPatch.context() as patched:
        cut_after(patched, kept)
        with pytest.raises(Cut):
            learn(kind, settings=settings, checkpoint=path)
    names = {found.name for found in tmp_path.iterdir()}
    assert names == ({"state.chosen"} if kept <= 3 else {"state.chosen", "state.again"})
    rounds: list[int] = []
    gone_on = learn(kind, settings=settings, checkpoint=path, progress=lambda done, *_: rounds.append(done))
    assert rounds == list(range(min(kept, 3) + 1, 4))
    assert weights(gone_on) == weights(whole)
    assert (gone_on.losses, gone_on.best_epoch) == (whole.losses, whole.best_epoch)


def test_a_forecaster_that_was_cut_off_ends_in_the_same_bits_and_clears_up(tmp_path: Path) -> None:
    usual = untrained("transformer", TASK)

    def two() -> NeuralForecaster:
        return type(usual)(TASK, config=usual.config, settings=usual.settings, members=2)

    whole, path = two(), tmp_path / "fit.checkpoint"
    reported = whole.fit(tiny_table("load"), **SPLITS, seed=5)
    with pytest.MonkeyPatch.context() as patched:
        cut_after(patched, 5)  # in the second network
        with pytest.raises(Cut):
            two().fit(tiny_table("load"), **SPLITS, seed=5, checkpoint=path)
    assert list(tmp_path.iterdir())
    gone_on = two()
    assert gone_on.fit(tiny_table("load"), **SPLITS, seed=5, checkpoint=path) == reported
    inputs = known(whole, tiny_table("load"))
    assert gone_on.predict(inputs).tobytes() == whole.predict(inputs).tobytes()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 4},
        {"settings": replace(TINY, learning_rate=2e-2)},
        {"train": Split("train", 200, 480)},
        {"validation": Split("validation", 480, 599)},
        {"table": replace(tiny_table("load"), values=1.0 + tiny_table("load").values)},
        {"table": replace(tiny_table("load"), covariates=1.0 + tiny_table("load").covariates)},
    ],
    ids=["seed", "settings", "train", "validation", "values", "covariates"],
)
def test_the_checkpoint_of_another_fit_is_refused(tmp_path: Path, other: dict) -> None:
    learn(checkpoint=tmp_path / "state")
    with pytest.raises(DataError, match=r"state\.chosen is the checkpoint of another fit; remove it or choose another"):
        learn(**other, checkpoint=tmp_path / "state")


@pytest.mark.parametrize(("kind", "refit"), [("lstm", False), ("lstm", True), ("transformer", True)])
def test_nothing_is_read_but_the_splits_and_their_contexts(kind: str, refit: bool) -> None:
    settings, first = replace(TINY, refit=refit), TRAIN.start - TASK.context_steps
    honest = learn(kind, settings=settings)
    outside = learn(kind, spoilt(tiny_table("load"), first, VALIDATION.stop), settings)
    inside = learn(kind, spoilt(tiny_table("load"), first, VALIDATION.stop - 24, value=9.0), settings)
    assert weights(outside) == weights(honest)
    assert outside.losses == honest.losses
    assert inside.losses != honest.losses


def test_forecasts_of_covariates_need_not_begin_before_the_training_does() -> None:
    table, late = tiny_table("load"), TRAIN.start
    issued = replace(table.issued, issued_at=table.issued.issued_at[late:], values=table.issued.values[late:])
    assert weights(learn(table=replace(table, issued=issued))) == weights(learn())


def test_the_latest_weeks_are_learned_from_only_where_that_is_asked_for() -> None:
    held = replace(tiny_table("load"), values=tiny_table("load").values.copy())
    held.values[VALIDATION.start : VALIDATION.stop] *= 1.5
    # One round leaves nothing to choose: what the validation says can matter only by being learned from.
    chosen, again = (replace(TINY, epochs=1, windows=256, refit=refit) for refit in (False, True))
    assert weights(learn(table=held, settings=chosen)) == weights(learn(settings=chosen))
    assert weights(learn(table=held, settings=again)) != weights(learn(settings=again))


def test_training_stops_when_validation_no_longer_gets_better() -> None:
    """At a rate of zero no round is better than the first, and two are waited for."""
    rounds: list[tuple[int, int, float]] = []
    still = replace(TINY, epochs=30, windows=64, learning_rate=0.0, patience=2, refit=False)
    result = learn(settings=still, progress=lambda *told: rounds.append(told))
    assert [told[:2] for told in rounds] == [(1, 30), (2, 30), (3, 30)]
    assert result.losses == tuple(loss for _, _, loss in rounds)
    assert result.best_epoch == 1
    assert len(set(result.losses)) == 1


def test_the_best_round_is_kept() -> None:
    """A rate that grows absurd after a first gentle round: what is kept is the round of the lowest loss."""
    settings = replace(TINY, epochs=4, patience=4, learning_rate=3.0, average=0.0, refit=False)
    result = learn(settings=settings)
    assert result.losses[result.best_epoch - 1] == min(result.losses)
    short = learn(settings=replace(settings, patience=1))
    assert short.losses == result.losses[: len(short.losses)]


def test_splits_without_room_are_refused() -> None:
    with pytest.raises(DataError, match="'validation' of steps 590 to 600 has no room for 168 past and 30 future"):
        learn(validation=Split("validation", 590, 600))
    with pytest.raises(DataError, match="'validation' must begin after 'train' ends"):
        learn(train=Split("train", 0, 481))


def test_the_report_tells_what_the_fit_was_made_with() -> None:
    model = untrained("lstm", TASK)
    told: list[tuple[int, int]] = []
    report = model.fit(tiny_table("load"), **SPLITS, progress=lambda done, total, _: told.append((done, total)))
    assert told == [(1, 2), (2, 2)]
    assert len(report.losses) == 2
    assert report.losses[report.best_round - 1] == min(report.losses)
    assert report.settings is not None
    assert (report.settings["epochs"], report.settings["members"]) == (2, 1)
    assert report.parameters == sum(weight.numel() for weight in model.networks[0].parameters())


def test_forecasts_of_several_networks_are_their_mean() -> None:
    one = fitted("lstm", "load")
    inputs, config = known(one, tiny_table("load")), one.config
    two = type(one)(TASK, config=config, settings=TINY, members=2)
    two.fit(tiny_table("load"), **SPLITS, seed=0)
    single = []
    for network in two.networks:
        alone = type(one)(TASK, config=config, settings=TINY, members=1)
        alone.networks = (network,)
        single.append(alone.predict(inputs))
    np.testing.assert_allclose(two.predict(inputs), np.mean(single, axis=0), rtol=1e-5)
    assert not np.array_equal(*single)


def test_pinball_by_hand() -> None:
    loss = pinball(torch.tensor([[1.0, 3.0]]), torch.tensor([2.0]), torch.tensor([0.1, 0.9]))
    # One too low at 0.1 costs 0.1; one too high at 0.9 costs 0.1 as well.
    torch.testing.assert_close(loss, torch.tensor([[0.1, 0.1]]))


def test_groups_are_means_of_two_series_or_more() -> None:
    groups = random_groups(np.random.default_rng(0), 6)
    np.testing.assert_allclose(groups.sum(axis=1), 1.0)
    sizes = (groups > 0).sum(axis=1)
    assert sizes.min() >= 2
    assert len(set(sizes)) > 1
    np.testing.assert_array_equal(random_groups(np.random.default_rng(0), 1), [[1.0]])


def test_one_thread_while_fitting() -> None:
    before = torch.get_num_threads()
    with single_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
