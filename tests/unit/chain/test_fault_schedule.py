"""Schedules of faults: rates against the Poisson distribution, given times, overlaps, and what is no schedule."""

import numpy as np
import pytest

from vpp_sim.chain.faults import CALM, FaultSchedule, Interval, Occasions, Reorganisation
from vpp_sim.errors import ChainError

START_S, DAY_S = 1_500_000_000, 86_400


def draw(seed=7, days=10, **faults):
    return FaultSchedule.draw(np.random.default_rng(seed), start_s=START_S, duration_s=days * DAY_S, **faults)


def test_given_times_are_offsets_from_the_start():
    schedule = draw(
        fee_spikes=Occasions(at_s=(36_000,)), spike_s=1_800, spike_factor=20.0,
        outages=Occasions(at_s=(7_200, 3_600)), outage_s=60,
        reorganisations=Occasions(at_s=(9_000,)), depth=3,
    )  # fmt: skip
    assert schedule.fee_spikes == (Interval(START_S + 36_000, START_S + 37_800),)
    assert [outage.start_s - START_S for outage in schedule.outages] == [3_600, 7_200]
    assert schedule.reorganisations == (Reorganisation(START_S + 9_000, 3, waits=True),)
    assert schedule.deepest == 3


def test_an_interval_holds_its_start_and_not_its_end():
    schedule = draw(fee_spikes=Occasions(at_s=(100,)), spike_s=10, spike_factor=4.0)
    factors = [schedule.fee_factor(START_S + at_s) for at_s in (99, 100, 109, 110)]
    assert factors == [1.0, 4.0, 4.0, 1.0]


def test_those_that_overlap_or_touch_are_one():
    schedule = draw(outages=Occasions(at_s=(100, 150, 200, 301)), outage_s=100)
    assert schedule.outages == (Interval(START_S + 100, START_S + 300), Interval(START_S + 301, START_S + 401))
    assert [schedule.outages_until(START_S + at_s) for at_s in (99, 100, 300, 301)] == [0, 1, 1, 2]


def test_random_ones_come_at_their_rate_all_over_the_run():
    """Of a Poisson process of 3 a day over 1000 days: 3000 +- 55, and the mean of gaps equals their spread."""
    schedule = draw(days=1_000, reorganisations=Occasions(per_day=3.0), depth=1)
    times = np.array([found.time_s for found in schedule.reorganisations]) - START_S
    assert abs(times.size - 3_000) < 4 * 55
    assert not any(found.waits for found in schedule.reorganisations)
    assert np.diff(times).std() == pytest.approx(np.diff(times).mean(), rel=0.1)
    assert times.min() >= 0
    assert times.max() < 1_000 * DAY_S
    assert np.mean(times < 500 * DAY_S) == pytest.approx(0.5, abs=0.04)


def test_one_kind_changes_nothing_about_the_others():
    alone = draw(outages=Occasions(per_day=2.0), outage_s=60)
    among = draw(
        outages=Occasions(per_day=2.0), outage_s=60, fee_spikes=Occasions(per_day=9.0), spike_s=5, spike_factor=2.0
    )
    assert alone.outages == among.outages != ()
    assert draw(seed=8, outages=Occasions(per_day=2.0), outage_s=60).outages != alone.outages


def test_what_is_asked_for_after_the_end_is_counted_and_does_not_come():
    schedule = draw(days=1, outages=Occasions(at_s=(DAY_S - 1, DAY_S)), outage_s=60)
    assert [outage.start_s - START_S for outage in schedule.outages] == [DAY_S - 1]
    assert schedule.after_end == 1


def test_a_calm_one_holds_nothing():
    assert not CALM.node_is_down(START_S)
    assert (CALM.fee_factor(START_S), CALM.deepest, CALM.outages_until(START_S)) == (1.0, 0, 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dropped_share": 1.5}, "shares are between 0 and 1"),
        ({"undone_again_share": 0.6, "undone_lost_share": 0.5}, "shares are between 0 and 1"),
        ({"delay_s": -1.0}, "delay -1.0 s is negative, or spike factor 1.0 is below 1"),
        ({"spike_factor": 0.5}, "delay 0.0 s is negative, or spike factor 0.5 is below 1"),
        ({"outages": (Interval(5, 5),)}, "intervals are not ascending and disjoint"),
        ({"fee_spikes": (Interval(5, 9), Interval(8, 10))}, "intervals are not ascending and disjoint"),
        ({"reorganisations": (Reorganisation(5, 1), Reorganisation(4, 1))}, "not ascending, or undo nothing"),
        ({"reorganisations": (Reorganisation(5, 0),)}, "not ascending, or undo nothing"),
    ],
)
def test_what_is_no_schedule_is_refused(arguments, message):
    with pytest.raises(ChainError, match=message):
        FaultSchedule(start_s=START_S, **arguments)


def test_what_has_no_length_or_a_negative_rate_is_refused():
    with pytest.raises(ChainError, match="what comes for 0 s has no length"):
        draw(outages=Occasions(at_s=(5,)))
    with pytest.raises(ChainError, match="occasions have a rate and offsets that are not negative: -1, "):
        Occasions(per_day=-1)
