"""Processor time of an hour's settlement on the Rust EVM, beside its budget: a year of them in 15 s, reconciled."""

import pytest

from tests.support.studies import program

pytestmark = pytest.mark.perf

PERIODS, YEAR, BUDGET_S = 500, 8_760, 15.0


def test_settle_on_the_rust_evm(capsys):
    script = program("settlement", "year")
    figures = script.settle_year("revm", PERIODS)
    deploy_s = figures["seconds_of"]["deploy"]
    year_s = deploy_s + (figures["seconds"] - deploy_s) / PERIODS * YEAR
    with capsys.disabled():
        print(
            f"\n{PERIODS} hours settled in {figures['seconds']:.2f} s: a year in {year_s:.1f} s (budget {BUDGET_S:.0f})"
        )
        for what, seconds in figures["seconds_of"].items():
            print(f"  {what}: {seconds / PERIODS * 1e3:.2f} ms an hour")
    assert year_s <= BUDGET_S
