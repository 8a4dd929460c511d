"""Training tells how far it is, also where there is no terminal."""

import pytest

from vpp_sim.cli.console import told_progress


def test_a_line_for_every_tenth(capsys: pytest.CaptureFixture[str]) -> None:
    with told_progress("lstm of load") as advance:
        for done in range(1, 41):
            advance(done, 40, f"epoch {done}")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [f"lstm of load: {10 * tenth} %, epoch {4 * tenth}" for tenth in range(1, 11)]


def test_fewer_steps_than_tenths(capsys: pytest.CaptureFixture[str]) -> None:
    with told_progress("ppo policy") as advance:
        for done in range(4):
            advance(done, 3, "")
    assert [line.split(",")[0] for line in capsys.readouterr().err.splitlines()] == [
        "ppo policy: 30 %", "ppo policy: 60 %", "ppo policy: 100 %",
    ]  # fmt: skip
