"""Wall time of 10,000 trades between 1,000 accounts, proven and claimed on the Rust EVM, beside its budget of 2 s."""

import pytest

from tests.support.studies import program

pytestmark = pytest.mark.perf

BUDGET_S = 2.0


def test_prove_ten_thousand_trades(capsys):
    script = program("settlement", "kinds")
    found = script.prove_many()
    with capsys.disabled():
        print(
            f"\n10,000 trades proven and claimed in {found['proof_10000_s']:.2f} s (budget {BUDGET_S:.0f}),"
            f" {found['proof_10000_gas_per_trade']} gas a trade"
        )
    assert found["proof_10000_s"] <= BUDGET_S
