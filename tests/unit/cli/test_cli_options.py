"""Options become plain data, read as a scenario file would read them."""

import pytest

from vpp_sim.cli.options import parse_labels, parse_overrides
from vpp_sim.errors import UserError
from vpp_sim.scenario.written import Written, plain


def test_values_are_yaml() -> None:
    texts = [
        "clock.days=1",
        "clock.start=2017-07-03",
        "a.b=12:30",
        "c=[1, 2]",
        "d={kind: lstm}",
        "e=",
        "f=x=y",
        " g = 1",
    ]
    overrides = parse_overrides([*texts, " g = 1"])
    assert {key: plain(value) for key, value in overrides.items()} == {
        "clock.days": 1,
        "clock.start": "2017-07-03",
        "a.b": "12:30",
        "c": [1, 2],
        "d": {"kind": "lstm"},
        "e": None,
        "f": "x=y",
        "g": 1,
    }
    assert parse_overrides(None) == {}


def test_the_later_of_two_wins() -> None:
    assert parse_overrides(["a=1", "a=2"]) == {"a": Written(2, "--set a=2", 0)}
    assert parse_labels(["a=1", "a=2"]) == {"a": 2}


@pytest.mark.parametrize("text", ["clock.days", "=1", " =1"])
def test_an_override_has_a_key_and_a_value(text: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_overrides([text])
    assert str(caught.value) == f"--set {text}: expected key=value, such as clock.days=1"


def test_a_value_that_is_no_yaml_is_named() -> None:
    with pytest.raises(UserError, match=r"^--set a=\[1: this is not YAML: "):
        parse_overrides(["a=[1"])
