"""Wall time of 10,000 trades between 1,000 accounts, proven and claimed on the Rust EVM, beside its budget of 2 s."""

import importlib.util
from pathlib import Path

import pytest

pytestmark = pytest.mark.perf

BUDGET_S = 2.0
SCRIPT = Path(__file__).parents[2] / "experiments" / "settlement" / "kinds.py"


def test_prove_ten_thousand_trades(capsys):
    spec = importlib.util.spec_from_file_location("settlement_kinds", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    found = script.prove_many()
    with capsys.disabled():
        print(
            f"\n10,000 trades proven and claimed in {found['proof_10000_s']:.2f} s (budget {BUDGET_S:.0f}),"
            f" {found['proof_10000_gas_per_trade']} gas a trade"
        )
    assert found["proof_10000_s"] <= BUDGET_S
