"""Plant bugs in the contracts, one at a time, and count those that the tests catch.

``python -m tests.contracts.planted_bugs`` compiles each mutated source (Node is needed) and runs the test that must
fail; the last line that it prints is one JSON object.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).parent
CONTRACTS = TESTS.parents[1] / "contracts"
COMPILED = ("DirectTrades", "EnergyMarket", "MemberRegistry")
DIRECT, POOLED, ACCOUNTS, REGISTRY = (
    "test_direct_trades.py", "test_pooled_settlement.py", "test_market_accounts.py", "test_member_registry.py",
)  # fmt: skip


@dataclass(frozen=True)
class Bug:
    """One bug: in `file`, `right` becomes `wrong`; the test `caught_by` must fail."""

    name: str
    file: str
    right: str
    wrong: str
    caught_by: str


BUGS = (
    Bug("overdraft", "market/MarketAccounts.sol", "if (balance < amount) revert MarketInsufficientBalance",
        "if (balance + 1 < amount) revert MarketInsufficientBalance",
        f"{POOLED}::test_a_debit_takes_the_limit_and_the_balance_exactly_but_no_more"),
    Bug("limit_reused", "market/MarketAccounts.sol", "_useNonce(account)", "nonces(account)",
        f"{ACCOUNTS}::test_a_limit_by_signature_counts_once_in_time_and_for_its_signer"),
    Bug("late_limit", "market/MarketAccounts.sol", "if (deadline < block.timestamp)", "if (deadline == 0)",
        f"{ACCOUNTS}::test_a_limit_by_signature_counts_once_in_time_and_for_its_signer"),
    Bug("withdrawal_paused", "market/MarketAccounts.sol",
        "function withdraw(MicroEuro amount) external override nonReentrant",
        "function withdraw(MicroEuro amount) external override nonReentrant whenNotPaused",
        f"{ACCOUNTS}::test_only_the_guardian_pauses_and_nobody_is_kept_from_leaving"),
    Bug("anybody_releases", "market/MarketAccounts.sol", "if (msg.sender != address(_directTrades))",
        "if (msg.sender == address(0))", f"{ACCOUNTS}::test_only_the_direct_contract_locks_and_releases"),
    Bug("early_bond", "market/OperatorSeat.sol", "held.releaseAt == 0 || block.timestamp < held.releaseAt",
        "held.releaseAt == 0", f"{ACCOUNTS}::test_one_operator_sits_and_gets_its_bond_back_after_the_window"),
    Bug("settling_while_leaving", "market/OperatorSeat.sol", "held.releaseAt != 0 || _toMicroEuro",
        "_toMicroEuro", f"{ACCOUNTS}::test_one_operator_sits_and_gets_its_bond_back_after_the_window"),
    Bug("any_oracle", "market/MarketSignatures.sol", "if (!_registry.hasRole(_oracleRole, oracle))",
        "if (oracle == address(0))", f"{POOLED}::test_only_an_oracles_signature_over_this_batch_counts"),
    Bug("reading_replaced", "market/MeterReadings.sol", "if (metered.recorded) revert",
        "if (metered.recorded && metered.energy == 0) revert",
        f"{DIRECT}::test_a_reading_is_recorded_once_after_its_period_by_an_oracle"),
    Bug("order_overfilled", "DirectTrades.sol", "|| left < energy) revert", "|| left < ZERO_WATT_HOUR) revert",
        f"{DIRECT}::test_an_order_is_filled_in_parts_but_never_beyond"),
    Bug("trade_paid_twice", "DirectTrades.sol", "        delete _open[hash];\n", "",
        f"{DIRECT}::test_a_trade_ends_once"),
    Bug("same_energy_sold_twice", "DirectTrades.sol", "fedIn - trade.ahead", "fedIn",
        f"{DIRECT}::test_trades_on_one_meter_are_served_in_their_order_whoever_settles_first"),
    Bug("penalty_to_the_seller", "DirectTrades.sol", "cost - paid + penalty, collateral - penalty + paid",
        "cost - paid, collateral + paid", f"{DIRECT}::test_the_reading_pays_what_was_delivered_and_fines_the_rest"),
    Bug("self_trade", "DirectTrades.sol", "if (trade.buyer == trade.seller)", "if (trade.energy < ZERO_WATT_HOUR)",
        f"{DIRECT}::test_nobody_trades_with_oneself"),
    Bug("refund_despite_reading", "DirectTrades.sol", "if (recorded) revert", "if (recorded && !recorded) revert",
        f"{DIRECT}::test_no_seller_escapes_the_penalty_by_the_time_out"),
    Bug("period_settled_twice", "market/PooledSettlement.sol", "if (_commitments[period] != bytes32(0))",
        "if (_commitments[period] == bytes32(uint256(1)))",
        f"{POOLED}::test_a_period_settles_once_by_either_kind_and_not_before_its_end"),
    Bug("one_sided_mandate", "market/PooledSettlement.sol",
        "        _requireSignature(mandate.operator, hash, evidence.operatorSignature);\n", "",
        f"{POOLED}::test_a_dispute_needs_the_batch_the_window_and_a_mandate_of_both"),
    Bug("sums_of_64_bits", "market/NettedSettlement.sol", "money += amount;", "money = int64(money + amount);",
        f"{POOLED}::test_what_is_no_fair_batch_moves_nothing"),
    Bug("limit_ignored", "market/NettedSettlement.sol", "if (limit < amount) {",
        "if (amount < limit && amount == type(int64).min) {",
        f"{POOLED}::test_what_is_no_fair_batch_moves_nothing"),
    Bug("pot_overdrawn", "market/ProofSettlement.sol",
        "if (pot + line.amount < ZERO_MICRO_EURO) revert MarketPotTooSmall",
        "if (pot < ZERO_MICRO_EURO) revert MarketPotTooSmall",
        f"{POOLED}::test_a_root_moves_nothing_until_its_lines_are_claimed_debits_first"),
    Bug("leaf_without_period", "libraries/MarketHashes.sol", "abi.encode(BALANCE_LEAF, period, line)",
        "abi.encode(BALANCE_LEAF, uint64(0), line)", f"{POOLED}::test_a_leaf_of_another_period_is_worth_nothing"),
    Bug("late_challenge", "market/PooledSettlement.sol", "if (block.timestamp >= closesAt)",
        "if (block.timestamp > closesAt + 1 days)", f"{POOLED}::test_a_right_root_stands_and_a_late_challenge_fails"),
    Bug("meter_shared", "MemberRegistry.sol", "|| _inUse[meter]) revert", ") revert",
        f"{REGISTRY}::test_meters_are_unique_and_stay_until_their_member_gives_them_up"),
)  # fmt: skip


def compile_sources(folder, bug=None):
    """Compile the sources, with `bug` in them, into `folder`; a quick pipeline, since no gas is measured."""
    work = folder / "contracts"
    shutil.copytree(CONTRACTS / "src", work / "src")
    (work / "node_modules").symlink_to(CONTRACTS / "node_modules")
    shutil.copy(CONTRACTS / "package.json", work)
    build = (CONTRACTS / "build.mjs").read_text(encoding="utf-8")
    quick = build.replace("viaIR: true", "viaIR: false").replace(": 1000", ": 1")
    (work / "build.mjs").write_text(quick.replace('severity === "error" ||', 'severity === "error" && '))  # warn not
    if bug is not None:
        path = work / "src" / bug.file
        text = path.read_text(encoding="utf-8")
        assert text.count(bug.right) == 1, f"{bug.name}: {text.count(bug.right)} places to plant it"
        path.write_text(text.replace(bug.right, bug.wrong), encoding="utf-8")
    out = folder / "artifacts"
    command = ["node", "build.mjs", str(out), *COMPILED]
    done = subprocess.run(command, cwd=work, capture_output=True, text=True)
    assert done.returncode == 0, f"{bug}: {done.stderr}"
    return out


def run_tests(artifacts, *tests):
    """Return whether the tests pass with these artifacts."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", *(str(TESTS / test) for test in tests)]
    environment = {**os.environ, "MARKET_ARTIFACTS": str(artifacts)}
    done = subprocess.run(command, cwd=TESTS.parents[1], env=environment, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.returncode == 0


def count_caught():
    """Return the names of all bugs that were caught, after seeing the same tests pass without any."""
    with tempfile.TemporaryDirectory() as folder:
        sound = compile_sources(Path(folder))
        assert run_tests(sound, *sorted({bug.caught_by for bug in BUGS})), "the tests fail without a bug"
    caught = []
    for bug in BUGS:
        with tempfile.TemporaryDirectory() as folder:
            if not run_tests(compile_sources(Path(folder), bug), bug.caught_by):
                caught.append(bug.name)
        print(f"{bug.name}: {'caught' if bug.name in caught else 'MISSED'} by {bug.caught_by}", flush=True)
    return caught


def main():
    """Print what was planted and what was caught."""
    caught = count_caught()
    print(json.dumps({"planted_bugs": len(BUGS), "planted_bugs_caught": len(caught)}))


if __name__ == "__main__":
    main()
