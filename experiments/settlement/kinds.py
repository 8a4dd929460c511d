"""What each kind of settlement costs on an energy market: gas, call data and time a trade, by members and chain.

    python experiments/settlement/kinds.py [--backend revm] [--members 100] [--quick]

A period has as many trades as members: the first half buys from the second, each buyer from two sellers and each
seller to two buyers, so everybody is in two trades and every account is settled. A figure *a trade* is that of all
transactions of the period, divided by its trades. Direct: two signed orders are matched, the seller's meter is read,
the trade is paid. Netted: one batch. Proof: one root over accounts and trades, and all claims. Milliseconds are wall
time from the trades or the statement to the last checked receipt: hashing, signing, encoding, mining, reading
receipts; that of a backend with a process of its own (anvil) includes its time. Accounts were written before; up to
1,000 members each kind runs twice, and the second run counts.

A direct trade costs the same however many there are, so at most 10,000 are run on revm, 1,000 on anvil and 100 on
eth_tester; ``trades_measured`` says how many. What does not fit is ``null``, with the reason. anvil is looked for in
the path and in the folder that ``VPP_SIM_TEST_NODES`` names (``~/.cache/vpp_sim_test_nodes``), where the slow tests
put it.

The last line is one JSON object: each figure by kind, members and backend, with ``calldata_bytes`` a trade as well.
``proof_10000_s`` and ``proof_10000_gas_per_trade`` are of a period of 10,000 trades between 1,000 accounts on revm,
proven and claimed: wall time [s] and gas. ``beside_gas`` is what else one could do, in gas: a transfer of
the settlement currency, measured here; and, measured elsewhere, an order that is stored on chain and settled (solc
0.8.28, OpenZeppelin 5), and a position of lemlab's Solidity (https://github.com/tum-ewk/lemlab), compiled and run.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, perf_counter, sleep
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from vpp_sim.chain.deployment import mine_all
from vpp_sim.chain.direct_trades import Direct
from vpp_sim.chain.kinds import Netted, Proof
from vpp_sim.chain.market import OFFICERS, Market, Terms, deploy_market, fund
from vpp_sim.chain.rpc import RpcChain
from vpp_sim.chain.statements import TRADE_LINE, Statement
from vpp_sim.chain.wallet import Wallet
from vpp_sim.errors import ChainError
from vpp_sim.registry import CHAIN_BACKENDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vpp_sim.chain.protocol import Chain, Receipt
    from vpp_sim.chain.statements import Job, SettlementKind

GENESIS_S, PERIOD_S, WINDOW_S, SEED = 1_500_000_000, 86_400, 7_200, 7
START_MICRO_EUR, PRICE_MICRO_EUR_PER_KWH = 10**9, 250_000
MEMBERS = (10, 100, 1_000, 10_000)
DIRECT_TRADES = {"revm": 10_000, "anvil": 1_000, "eth_tester": 100}
TWICE_UP_TO = 1_000
STATED_GAS = {"naive_order": 90_000, "lemlab_position": 208_000}


class Cost(NamedTuple):
    """What a period cost."""

    gas: int
    calldata_bytes: int
    seconds: float


@contextmanager
def opened(backend: str, accounts: int) -> Iterator[Chain]:
    """Open a chain with development accounts, and close what was started for it."""
    if backend != "anvil":
        yield CHAIN_BACKENDS.load(backend)(accounts=accounts, seed=SEED, genesis_timestamp_s=GENESIS_S)
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [str(anvil()), "--port", str(port), "--accounts", "1", "--timestamp", str(GENESIS_S)]
    node = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(port)
        chain = RpcChain(f"http://127.0.0.1:{port}", Wallet.of_seed(SEED, accounts=accounts))
        chain.endow(10**24)
        yield chain
        chain.close()
    finally:
        node.terminate()
        node.wait(timeout=30)


def anvil() -> Path | None:
    """Return the program, if there is one."""
    cache = Path(os.environ.get("VPP_SIM_TEST_NODES", Path.home() / ".cache" / "vpp_sim_test_nodes"))
    found = shutil.which("anvil") or shutil.which("anvil", path=str(cache / "node_modules" / ".bin"))
    return None if found is None else Path(found)


def wait_for(port: int) -> None:
    """Wait until somebody listens on a port of this computer."""
    give_up_s = monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if monotonic() > give_up_s:
                raise
            sleep(0.05)
        else:
            return


def ring(members: int, trades: int) -> np.ndarray:
    """Return trades in which buyer b buys from sellers b and b + 1 of as many, in this order."""
    half = members // 2
    k = np.arange(trades)
    lines = np.empty(trades, dtype=TRADE_LINE)
    lines["buyer"] = k // 2 % half
    lines["seller"] = half + (k // 2 + k % 2) % half
    lines["energy_wh"] = 1_000 + k % 1_000
    lines["price_micro_eur_per_kwh"] = PRICE_MICRO_EUR_PER_KWH
    return lines


def statement_of(period: int, members: int, trades: np.ndarray) -> Statement:
    """Return what the trades sum to."""
    amount, traded = np.zeros((2, members), dtype=np.int64)
    cost = trades["energy_wh"] * trades["price_micro_eur_per_kwh"] // 1_000
    for side, sign in (("buyer", 1), ("seller", -1)):
        np.add.at(amount, trades[side], sign * cost)
        np.add.at(traded, trades[side], sign * trades["energy_wh"])
    return Statement(period, np.arange(members), amount, traded, trades)


def mined(chain: Chain, jobs: Sequence[Job]) -> list[tuple[Job, Receipt]]:
    """Submit jobs, mine until all are in blocks, and return them with their receipts in order."""
    sent = {chain.submit(job.transaction): job for job in jobs}
    at_s = max(chain.timestamp_s + 1, *(job.ready_s for job in jobs))
    receipts: dict[str, Receipt] = {}
    while chain.pending:
        block = chain.mine(at_s)
        if not block.receipts:
            raise ChainError(f"block {block.number} is empty while {chain.pending} transactions wait")
        receipts |= {receipt.transaction: receipt for receipt in block.receipts}
        at_s += 1
    return [(job, receipts[key]) for key, job in sent.items()]


def cost_of(done: Sequence[tuple[Job, Receipt]], seconds: float) -> Cost:
    """Return the sum of all transactions."""
    gas = sum(receipt.gas_used for _, receipt in done)
    return Cost(gas, sum(len(job.transaction.data) for job, _ in done), seconds)


def settle(market: Market, kind: SettlementKind, statement: Statement) -> Cost:
    """Settle a statement from its first transaction to its last."""
    begun, done, jobs = perf_counter(), [], kind.begin(statement)
    while jobs:
        now = mined(market.chain, jobs)
        jobs = tuple(following for job, receipt in now for following in kind.proceed(statement, job.key, receipt))
        done += now
    return cost_of(done, perf_counter() - begun)


def trade_directly(market: Market, period: int, lines: np.ndarray) -> Cost:
    """Open, read and pay direct trades of which everything is delivered."""
    begun, kind = perf_counter(), Direct(market)
    opening = mined(market.chain, kind.open(period, lines))
    trades = [kind.opened(job.key, receipt) for job, receipt in opening]
    sellers = np.unique(lines["seller"])
    sold_wh = np.bincount(lines["seller"], weights=lines["energy_wh"]).astype(np.int64)
    reading = mined(market.chain, kind.read(period, sellers, -sold_wh[sellers]))
    paying = mined(market.chain, kind.settle(period, trades, -sold_wh[lines["seller"]]))
    for job, receipt in reading + paying:
        kind.check(job.key, receipt)
    return cost_of(opening + reading + paying, perf_counter() - begun)


def check(market: Market, before: np.ndarray, paid: np.ndarray) -> None:
    """Require that everybody paid what they owed."""
    if (market.balances() != before - paid).any():
        raise ChainError("a balance is not what it should be")


def measure(backend: str, members: int) -> list[dict[str, object]]:
    """Return a row of each kind."""
    rows: list[dict[str, object]] = []
    with opened(backend, members + 2) as chain:
        market = deploy_market(chain, Terms(GENESIS_S, PERIOD_S, WINDOW_S, 10**6, 10**3))
        fund(market, np.full(members, START_MICRO_EUR))
        period = 0
        for kind in ("direct", "netted", "proof"):
            trades = min(members, DIRECT_TRADES[backend]) if kind == "direct" else members
            row: dict[str, object] = {"kind": kind, "members": members, "backend": backend, "trades_measured": trades}
            lines = ring(min(members, trades), trades) if kind == "direct" else ring(members, members)
            try:
                for _ in range(2 if members <= TWICE_UP_TO else 1):
                    row |= figures(market, kind, period, members, lines)
                    period += 1
            except ChainError as error:
                row |= dict.fromkeys(("gas_per_trade", "gas_per_account", "calldata_bytes", "ms_per_trade"))
                row |= {"trades_measured": 0, "reason": str(error)}
            rows.append(row)
            print(line_of(row), flush=True)
    return rows


def figures(market: Market, kind: str, period: int, members: int, lines: np.ndarray) -> dict[str, object]:
    """Settle a period by a kind, check the balances, and return its figures a trade."""
    statement, before = statement_of(period, members, lines), market.balances()
    if kind == "direct":
        cost = trade_directly(market, period, lines)
    else:
        cost = settle(market, {"netted": Netted, "proof": Proof}[kind](market), statement)
    check(market, before, statement.paid_micro_eur(members))
    touched = int((statement.traded_wh != 0).sum()) if kind == "direct" else members
    return {
        "gas_per_trade": round(cost.gas / lines.size),
        "gas_per_account": round(cost.gas / touched),
        "calldata_bytes": round(cost.calldata_bytes / lines.size, 1),
        "ms_per_trade": round(1e3 * cost.seconds / lines.size, 3),
    }


def line_of(row: dict[str, object]) -> str:
    """Return a row of the table."""
    keys = ("gas_per_trade", "gas_per_account", "calldata_bytes", "ms_per_trade", "trades_measured")
    shown = "".join(f"{'-' if row[key] is None else row[key]:>16}" for key in keys)
    return f"{row['kind']:8}{row['members']:>8} {row['backend']:12}{shown}  {row.get('reason', '')}".rstrip()


def prove_many(accounts: int = 1_000, trades: int = 10_000) -> dict[str, object]:
    """Return what 10,000 trades cost on revm from the statement to the last claim: the faster of two periods."""
    with opened("revm", accounts + 2) as chain:
        market = deploy_market(chain, Terms(GENESIS_S, PERIOD_S, WINDOW_S, 10**6, 10**3))
        fund(market, np.full(accounts, START_MICRO_EUR))
        costs = []
        for period in range(2):
            statement, before = statement_of(period, accounts, ring(accounts, trades)), market.balances()
            costs.append(settle(market, Proof(market), statement))
            check(market, before, statement.paid_micro_eur(accounts))
    return {
        "proof_10000_s": round(min(cost.seconds for cost in costs), 3),
        "proof_10000_gas_per_trade": round(costs[-1].gas / trades),
    }


def beside() -> dict[str, int]:
    """Return the gas of a transfer of the currency between two members who own some, beside what others measured."""
    with opened("revm", OFFICERS + 2) as chain:
        market = deploy_market(chain, Terms(GENESIS_S, PERIOD_S, WINDOW_S, START_MICRO_EUR, 10**6))
        fund(market, np.full(2, START_MICRO_EUR))
        payer, payee = chain.accounts[OFFICERS:]
        for member in (payer, payee):
            market.market.submit(member, 200_000, "withdraw", START_MICRO_EUR // 2)
        mine_all(chain, market.market.abi, "withdrawals")
        sent = market.currency.submit(payer, 100_000, "transfer", payee, START_MICRO_EUR // 4)
        mine_all(chain, market.currency.abi, "transfer")
        receipt = chain.receipt(sent)
        assert receipt is not None
        assert market.currency.call("balanceOf", payee) == START_MICRO_EUR * 3 // 4
        return {"erc20_transfer": receipt.gas_used, **STATED_GAS}


def by_kind(rows: Sequence[dict[str, object]], key: str) -> dict[str, dict[str, dict[str, object]]]:
    """Return a figure by kind, members and backend."""
    found: dict[str, dict[str, dict[str, object]]] = {}
    for row in rows:
        found.setdefault(str(row["kind"]), {}).setdefault(str(row["members"]), {})[str(row["backend"])] = row[key]
    return found


def main() -> None:
    """Read the command line, print the table, and the object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", action="append", choices=tuple(DIRECT_TRADES))
    parser.add_argument("--members", action="append", type=int)
    parser.add_argument("--quick", action="store_true", help="10 and 100 members inside the process only")
    arguments = parser.parse_args()
    backends = arguments.backend or (("revm", "eth_tester") if arguments.quick else tuple(DIRECT_TRADES))
    sizes = arguments.members or (MEMBERS[:2] if arguments.quick else MEMBERS)
    missing = {}
    if "anvil" in backends and anvil() is None:
        backends, missing = tuple(name for name in backends if name != "anvil"), {"anvil": "not installed"}
    head = ("gas/trade", "gas/account", "bytes/trade", "ms/trade", "trades measured")
    print(f"{'kind':8}{'members':>8} {'backend':12}" + "".join(f"{title:>16}" for title in head))
    rows = [row for members in sizes for backend in backends for row in measure(backend, members)]
    reasons = {f"{row['kind']}/{row['members']}/{row['backend']}": row["reason"] for row in rows if "reason" in row}
    keys = ("gas_per_trade", "ms_per_trade", "calldata_bytes", "gas_per_account", "trades_measured")
    found: dict[str, object] = {key: by_kind(rows, key) for key in keys}
    found |= prove_many() | {"beside_gas": beside(), "does_not_fit": reasons, "missing": missing}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
