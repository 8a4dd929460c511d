"""The table of settlement kinds: its rows for ten members, against hand arithmetic, and what does not fit."""

import json

import pytest

from tests.support.studies import program


@pytest.fixture(scope="module")
def script():
    return program("settlement", "kinds")


def test_everybody_is_in_two_trades_that_sum_to_zero(script) -> None:
    lines = script.ring(10, 10)
    assert [
        int((lines[side] == k).sum()) for side, k in (("buyer", 0), ("buyer", 4), ("seller", 5), ("seller", 9))
    ] == [2] * 4
    statement = script.statement_of(0, 10, lines)
    assert statement.traded_wh[:2].tolist() == [2_001, 2_005]  # 1,000 + 1,001 and 1,002 + 1,003 Wh
    assert statement.amount_micro_eur[0] == 500_250  # at 0.25 EUR/kWh


def test_the_rows_of_ten_members_are_those_by_hand(script) -> None:
    direct, netted, proof = script.measure("revm", 10)
    # selector, 4 words, 200 bytes of entries and 65 of signature, both behind a word and padded: 516 bytes, 10 trades
    assert netted["calldata_bytes"] == 51.6
    # match: selector, 22 words and two signatures of 4 words; read and settle: 9 and 10 words; a reading each 2 trades
    assert direct["calldata_bytes"] == (4 + 32 * 30) + (4 + 32 * 9) / 2 + (4 + 32 * 10)
    # root: selector, 2 words; claims: selector, settlement (3), offsets (3), 10 lines (1 + 30), and of ten leaves that
    # stand together under twenty, 3 nodes (1 + 3) and 12 steps (1 + 12)
    assert proof["calldata_bytes"] == (4 + 32 * 2 + 4 + 32 * 54) / 10
    assert netted["gas_per_trade"] < proof["gas_per_trade"] < direct["gas_per_trade"]
    assert [row["trades_measured"] for row in (direct, netted, proof)] == [10, 10, 10]


def test_a_batch_that_does_not_fit_is_not_faked(script, monkeypatch) -> None:
    monkeypatch.setattr("vpp_sim.chain.kinds.TRANSACTION_GAS", 200_000)
    monkeypatch.setattr("vpp_sim.chain.kinds._LINE_GAS", 100)
    row = script.measure("revm", 10)[1]
    assert (row["gas_per_trade"], row["trades_measured"]) == (None, 0)
    assert "settle so many accounts by proof" in row["reason"]


def test_the_last_line_is_one_object(script, monkeypatch, capsys) -> None:
    monkeypatch.setattr(script, "prove_many", lambda: {"proof_10000_s": 0.5})
    monkeypatch.setattr("sys.argv", ["kinds.py", "--backend", "revm", "--members", "10"])
    script.main()
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["gas_per_trade"]["netted"]["10"]["revm"] > 0
    assert found["beside_gas"] == {"erc20_transfer": 34_300, "naive_order": 90_000, "lemlab_position": 208_000}
