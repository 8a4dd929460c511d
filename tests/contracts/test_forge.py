"""Forge's unit, fuzz and invariant tests, the linter, and planted bugs, where Node and the locked packages are."""

import shutil
import subprocess
from pathlib import Path

import pytest

CONTRACTS = Path(__file__).parents[2] / "contracts"
TOOLS = CONTRACTS / "node_modules" / ".bin"


def run(tool, *arguments):
    if shutil.which("node") is None or not (TOOLS / tool).exists():
        pytest.skip(f"{tool} is not installed: make contracts-test installs it")
    return subprocess.run([TOOLS / tool, *arguments], cwd=CONTRACTS, capture_output=True, text=True)


@pytest.mark.slow
def test_forge_passes_its_fuzz_and_invariant_tests():
    done = run("forge", "test", "--offline")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "8 tests passed, 0 failed, 0 skipped" in done.stdout
    assert "(runs: 1000, calls: 50000" in done.stdout


@pytest.mark.slow
def test_solhint_finds_nothing():
    done = run("solhint", "--max-warnings", "0", "src/**/*.sol")
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_every_planted_bug_is_caught():
    from tests.contracts.planted_bugs import BUGS, count_caught

    if shutil.which("node") is None or not (CONTRACTS / "node_modules" / "solc").is_dir():
        pytest.skip("node and the locked compiler are needed to plant bugs")
    assert len(BUGS) >= 20
    assert count_caught() == [bug.name for bug in BUGS]
