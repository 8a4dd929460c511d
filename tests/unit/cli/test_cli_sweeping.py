"""What the terminal shows of a sweep."""

import logging
from math import nan

import pytest

from vpp_sim.cli.sweeping import _amount, _is_news, _value


@pytest.mark.parametrize(
    ("value", "text"), [(None, "null"), (nan, "null"), (6.4, "6.4"), ("greedy", "greedy"), (False, "False")]
)
def test_values_are_written_as_the_sweeps_file_writes_them(value: object, text: str) -> None:
    assert _value(value) == text


def test_an_interval_of_one_seed_is_a_dash() -> None:
    assert [_amount(value) for value in (nan, 1.234, -0.001)] == ["–", "1.23", "0.00"]


def test_workers_that_are_ended_by_force_are_not_told_of() -> None:
    told = [
        _is_news(logging.LogRecord("distributed.nanny", logging.WARNING, "", 0, text, None, None))
        for text in ("Worker process still alive after 4.0 seconds, killing", "Worker process 7 was killed by signal 9")
    ]
    assert told == [False, True]
