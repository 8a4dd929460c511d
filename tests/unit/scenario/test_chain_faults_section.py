"""The faults of the chain section: what a file may say, what it means, and what a mistake in it is told."""

import pytest
from pydantic import ValidationError

from vpp_sim.errors import ScenarioError
from vpp_sim.scenario.loader import load_scenario
from vpp_sim.scenario.sections.chain_faults import (
    ChainFaultsSpec,
    FeeSpikesSpec,
    OutagesSpec,
    RecurringSpec,
    ReorganisationsSpec,
)

TOY = """\
name: toy
clock: {start: "2017-07-03", days: 1, step: 15min}
prosumers:
  - group: homes
    data: {kind: fontana, homes: [1]}
chain:
  backend: revm
  faults:
"""
WHOLE = """\
    dropped_share: 0.02
    delayed_share: 0.1
    delay: 5min
    fee_spikes: {per_day: 1, at: [10h], lasts: 30min, factor: 20}
    outages: {per_day: 0.2, at: [12h, 1.5h], lasts: 1h}
    reorganisations: {per_day: 2, depth: 3}
"""


def load(tmp_path, faults):
    path = tmp_path / "toy.yaml"
    path.write_text(TOY + faults, encoding="utf-8")
    return load_scenario(path)


def test_a_whole_section_is_read_in_seconds_and_shares(tmp_path):
    chain = load(tmp_path, WHOLE).chain
    assert chain is not None
    assert chain.faults == ChainFaultsSpec(
        dropped_share=0.02,
        delayed_share=0.1,
        delay="5min",
        fee_spikes=FeeSpikesSpec(per_day=1, at=("10h",), lasts="30min", factor=20),
        outages=OutagesSpec(per_day=0.2, at=("12h", "90min"), lasts="1h"),
        reorganisations=ReorganisationsSpec(per_day=2, depth=3),
    )
    assert chain.faults.delay == 300
    assert (chain.faults.fee_spikes.at, chain.faults.fee_spikes.lasts) == ((36_000,), 1_800)
    assert (chain.faults.outages.at, chain.faults.outages.lasts) == ((43_200, 5_400), 3_600)
    assert (chain.faults.reorganisations.at, chain.faults.reorganisations.depth) == ((), 3)


def test_it_is_dumped_as_it_is_written_and_read_again():
    spec = ChainFaultsSpec(outages=OutagesSpec(at=("36h",)), delayed_share=0.5)
    dumped = spec.model_dump(mode="json")
    assert dumped["outages"] == {"per_day": 0.0, "at": ["36h"], "lasts": "1h"}
    assert (dumped["delay"], dumped["fee_spikes"]) == ("5min", None)
    assert ChainFaultsSpec.model_validate_json(spec.model_dump_json(), strict=True) == spec


def test_without_a_word_nothing_goes_wrong():
    spec = ChainFaultsSpec()
    assert (spec.dropped_share, spec.delayed_share) == (0.0, 0.0)
    assert (spec.fee_spikes, spec.outages, spec.reorganisations) == (None, None, None)


@pytest.mark.parametrize(
    ("faults", "complaint"),
    [
        (
            "    dropped: 0.1\n",
            "toy.yaml:9: chain.faults.dropped = 0.1; unknown key; allowed: dropped_share, delayed_share, delay,"
            " fee_spikes, outages, reorganisations; did you mean 'dropped_share'?",
        ),
        (
            "    dropped_share: 5\n",
            "toy.yaml:9: chain.faults.dropped_share = 5; expected a number, >= 0, <= 0.9",
        ),
        (
            "    dropped_share: 2%\n",
            "toy.yaml:9: chain.faults.dropped_share = 2%; expected a number, >= 0, <= 0.9",
        ),
        (
            "    delayed_share: 0.1\n    delay: 5\n",
            "toy.yaml:10: chain.faults.delay = 5; expected a duration with its unit, such as 12s, 15min, 24h or 7d",
        ),
        (
            "    fee_spikes: {per_day: 1, factor: 1}\n",
            "toy.yaml:9: chain.faults.fee_spikes.factor = 1; expected a number, > 1, <= 10000",
        ),
        (
            "    fee_spikes: {factor: 20}\n",
            "toy.yaml:9: chain.faults.fee_spikes.per_day = (missing); expected a rate above 0, or times in at, or the"
            " section left out",
        ),
        (
            "    outages: {per_day: 0, lasts: 1h}\n",
            "toy.yaml:9: chain.faults.outages.per_day = 0; expected a rate above 0, or times in at, or the section"
            " left out",
        ),
        (
            "    outages: {per_day: -1}\n",
            "toy.yaml:9: chain.faults.outages.per_day = -1; expected a number in 1/d, >= 0, <= 86400",
        ),
        (
            "    outages:\n      at: ['12:00']\n",
            "toy.yaml:10: chain.faults.outages.at.0 = 12:00; expected a duration such as 12s, 15min, 24h or 7d",
        ),
        (
            "    outages: {at: 12h}\n",
            "toy.yaml:9: chain.faults.outages.at = 12h; expected a list, each entry a duration with its unit, such as"
            " 12s, 15min, 24h or 7d",
        ),
        (
            "    reorganisations: {per_day: 1, depth: 0}\n",
            "toy.yaml:9: chain.faults.reorganisations.depth = 0; expected a whole number, >= 1, <= 256",
        ),
        (
            "    reorganizations: {per_day: 1}\n",
            "toy.yaml:9: chain.faults.reorganizations = {per_day: 1}; unknown key; allowed: dropped_share,"
            " delayed_share, delay, fee_spikes, outages, reorganisations; did you mean 'reorganisations'?",
        ),
    ],
)
def test_a_mistake_is_named(tmp_path, faults, complaint):
    with pytest.raises(ScenarioError) as caught:
        load(tmp_path, faults)
    assert str(caught.value).replace(f"{tmp_path}/", "") == complaint


def test_what_never_comes_is_refused_by_the_section_itself():
    with pytest.raises(ValidationError, match="expected a rate above 0, or times in at, or the section left out"):
        RecurringSpec()
