"""Settlement on a chain that misbehaves, in many random runs: is anything lost, paid twice, or left unreconciled?

    python experiments/settlement/faults.py [--runs 500] [--killed 500] [--first 0] [--jobs 2] [--quick]
        [--kinds netted proof direct]

Each run draws from its seed a fault schedule (all kinds of faults together, reorganisations deeper than the
confirmations among them), a kind of settlement, accounts, periods and amounts, and settles them through
:class:`~vpp_sim.chain.settlement.SettlementClient` on revm. With ``direct`` it draws trades too, which are told at
moments of their periods, some too near to the end to open in time, and meters that fell short of them.

Blocks are mined all along, also while nothing is under
way, so that a reorganisation finds payments that were thought final.

In the killed runs the client lives in a process of its own. It reaches the chain only by messages, and is ended by
SIGKILL several times a run: before what it asks for is done, after it is done and before it is told, and at random
moments in between. A new process then goes on from the outbox file, at once or some blocks later.

The judge does not ask the client. It reads the canonical blocks and the balances of the chain itself and holds them
against a ledger of its own:

- ``lost``: periods (accounts of a period, with proofs; periods less what events show of their trades, and trades that
  were opened, with direct ones) for which no event says that they were paid;
- ``paid_twice``: payments that events show more often than the ledger asks for, or that it does not ask for at all;
- ``unreconciled``: runs in which a balance or an energy differs from the ledger by as little as 1, in which escrow and
  balances differ, or money stays locked, in which the client's own reconciliation or its final payments differ, or
  which ended in an error.

The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import tempfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from multiprocessing import Pipe
from pathlib import Path
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Any

import numpy as np
from eth_utils.crypto import keccak
from fault_plans import (
    BLOCK_S,
    KINDS,
    SETUP_S,
    START_S,
    Plan,
    agenda_of,
    initial_micro_eur,
    plan_of,
    statements_of,
    trades_of,
)

from vpp_sim.chain.block_times import BlockTimes
from vpp_sim.chain.market import Market, Terms, deploy_market, fund
from vpp_sim.chain.outbox import Outbox
from vpp_sim.chain.protocol import NodeDownError
from vpp_sim.chain.revm import RevmChain
from vpp_sim.chain.settlement import KINDS as CLIENT_KINDS
from vpp_sim.chain.settlement import SettlementClient
from vpp_sim.chain.statements import Statement
from vpp_sim.chain.unreliable import UnreliableChain
from vpp_sim.errors import VppSimError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from multiprocessing.connection import Connection

    from vpp_sim.arrays import IntArray
    from vpp_sim.chain.wallet import Wallet

QUIET_BLOCKS, MOST_BLOCKS = 90, 4_000
"""Blocks that must pass without a change before a run ends, more than any reorganisation is deep; and a run's most."""
ENTRY = np.dtype([("member", ">u4"), ("amount", ">i8"), ("traded", ">i8")])


@dataclass
class Verdict:
    """What the judge found in a run, and what the run met."""

    lost: int = 0
    paid_twice: int = 0
    unreconciled: bool = False
    kills: int = 0
    blocks: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    remarks: list[str] = field(default_factory=list)


# -- the network, which goes on whatever happens to the client


class Network:
    """The chain with its faults, the clock, and the blocks that are canonical."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.now_s = plan, START_S
        self.inner = RevmChain(accounts=plan.accounts + 2, seed=plan.seed, genesis_timestamp_s=START_S - SETUP_S)
        terms = Terms(START_S, plan.period_s, plan.window_s, 10**6, 1_000)
        self.market = deploy_market(self.inner, terms)
        fund(self.market, initial_micro_eur(plan))
        rng = np.random.default_rng([plan.seed, 3])
        self.chain = UnreliableChain(
            self.inner,
            plan.schedule,
            rng,
            block_time_s=BLOCK_S,
            gas_price_wei=plan.gas_price_wei,
            now=lambda: self.now_s,
        )
        self.times = BlockTimes(BLOCK_S, plan.distribution, rng)  # type: ignore[arg-type]
        self.canonical: dict[int, Any] = {}

    def mine(self, time_s: int) -> bool:
        """Mine a block, and return whether a transaction was mined or undone."""
        undone = self.chain.counts["transactions undone"]
        self.now_s = time_s
        self.chain.mine(time_s)
        self.canonical |= {block.number: block for block in self.chain.mined}
        return any(block.receipts for block in self.chain.mined) or self.chain.counts["transactions undone"] > undone


def open_client(plan: Plan, chain: Any, addresses: dict[str, str], outbox: Outbox) -> SettlementClient:
    """Return a client that goes on from an outbox."""
    return SettlementClient(
        Market.at(chain, addresses),
        names=[f"home_{i}" for i in range(plan.accounts)],
        initial_micro_eur=initial_micro_eur(plan),
        kind=plan.kind,
        confirmations=plan.confirmations,
        patience_s=plan.patience_s,
        outbox=outbox,
    )


def play(network: Network, client: Any) -> None:
    """Let time pass until every period is submitted, final, and left alone by the last fault."""
    plan, agenda = network.plan, agenda_of(network.plan)
    over_s = max([START_S, *(found.time_s for found in plan.schedule.reorganisations)])
    over_s = max([over_s, *(found.end_s for found in plan.schedule.outages)])
    quiet = blocks = 0
    while blocks < MOST_BLOCKS:
        block_s = network.times.after(network.now_s)
        while agenda and agenda[0][0] < block_s:
            network.now_s, command, arguments = agenda.pop(0)
            getattr(client, command)(*arguments)
            client.advance(network.now_s)
        changed = network.mine(block_s)
        client.advance(block_s)
        blocks += 1
        busy = changed or agenda or client.unsettled or block_s < over_s
        quiet = 0 if busy else quiet + 1
        if quiet >= QUIET_BLOCKS:
            return


# -- the judge, who reads the chain and asks nobody


def judge(network: Network, verdict: Verdict) -> None:
    """Hold the canonical chain against the ledger."""
    plan, statements = network.plan, statements_of(network.plan)
    paid, direct = Counter(_payments(network)), Direct.read(network)
    owed = Counter(due for statement in statements for due in _dues(plan.kind, direct.without(statement)))
    owed += Counter(dict.fromkeys(direct.opened, 1))
    verdict.lost, verdict.paid_twice = (owed - paid).total(), (paid - owed).total() + direct.never_agreed(plan)
    verdict.faults.update(direct.counts(plan))
    ledger, energy = initial_micro_eur(plan), np.zeros(plan.accounts, dtype=np.int64)
    for statement in statements:
        ledger[statement.member] -= statement.amount_micro_eur
        energy[statement.member] += statement.traded_wh
    balances, traded = network.market.accounts()
    escrow = network.market.currency.call("balanceOf", network.market.market.address)
    checks = {
        "balances differ from the ledger": bool((balances != ledger).any()),
        "energies differ from the ledger": bool((traded != energy).any()),
        "escrow is not balances and bond": escrow != int(ledger.sum()) + network.market.terms.minimum_bond_micro_eur,
        "money is locked": network.market.market.call("totalLocked") != 0,
        "blocks are not linked": not _linked(network),
    }
    found = [what for what, wrong in checks.items() if wrong]
    verdict.remarks += found
    verdict.unreconciled |= bool(found)


@dataclass
class Direct:
    """What events say of direct trades: those opened, by hash, and what those paid moved, by period."""

    accounts: int
    opened: dict[bytes, tuple[Any, ...]] = field(default_factory=dict)
    moved: dict[int, IntArray] = field(default_factory=dict)

    @classmethod
    def read(cls, network: Network) -> Direct:
        """Read all canonical blocks."""
        found = cls(network.plan.accounts)
        for event in _events(network, network.market.direct):
            if event.name == "TradeOpened":
                found.opened[event.arguments["hash"]] = event.arguments["trade"]
            elif event.name == "TradeSettled":
                found._settled(event.arguments)
        return found

    def _settled(self, said: dict[str, Any]) -> None:
        if said["hash"] not in self.opened:
            return  # paid, and never opened: the judge counts it
        buyer, seller, _, _, period, *_ = self.opened[said["hash"]]
        moved = self.moved.setdefault(period, np.zeros((2, self.accounts), dtype=np.int64))
        moved[:, buyer] += said["paid"], said["delivered"]
        moved[:, seller] -= said["paid"], said["delivered"]

    def without(self, statement: Statement) -> Statement:
        """Return a statement without what direct trades moved."""
        if statement.period not in self.moved:
            return statement
        left = -self.moved[statement.period]
        left[:, statement.member] += statement.amount_micro_eur, statement.traded_wh
        member = np.flatnonzero(left.any(axis=0))
        return Statement(statement.period, member, *left[:, member]) if member.size else statement

    def never_agreed(self, plan: Plan) -> int:
        """Return how many trades were opened that were not agreed, or more often than they were."""
        agreed = Counter(self._agreed(plan))
        # price, energy and both members; the oracle and the meter follow from the seller
        opened = Counter((trade[4], trade[0], trade[1], trade[5], trade[7]) for trade in self.opened.values())
        return (opened - agreed).total()

    def counts(self, plan: Plan) -> dict[str, int]:
        """Return how many trades were agreed, and opened."""
        if plan.kind != "direct":
            return {}
        return {"trades agreed": len(self._agreed(plan)), "trades opened": len(self.opened)}

    def _agreed(self, plan: Plan) -> list[tuple[int, ...]]:
        periods = [statement.period for statement in statements_of(plan)] if plan.kind == "direct" else []
        told = [(period, trades) for period in periods for _, trades in trades_of(plan, period)]
        return [(period, *trade) for period, trades in told for trade in trades.tolist()]


def _events(network: Network, contract: Any) -> Iterator[Any]:
    for number in sorted(network.canonical):
        for receipt in network.canonical[number].receipts:
            yield from contract.events(receipt) if receipt.succeeded else ()


def _payments(network: Network) -> list[tuple[Any, ...]]:
    """Return each payment that an event on the canonical chain shows."""
    found: list[tuple[Any, ...]] = []
    for event in _events(network, network.market.market):
        said = event.arguments
        if event.name == "PeriodSettled":
            found.append((said["period"], bytes(said["digest"])))
        elif event.name == "LineClaimed":
            found.append((said["period"], said["member"], said["amount"]))
    settled = (event for event in _events(network, network.market.direct) if event.name == "TradeSettled")
    return found + [event.arguments["hash"] for event in settled]


def _dues(kind: str, statement: Statement) -> list[tuple[Any, ...]]:
    """Return the payments that a statement asks for, as events would show them."""
    columns = statement.member.tolist(), statement.amount_micro_eur.tolist(), statement.traded_wh.tolist()
    if kind != "proof":
        packed = np.array(list(zip(*columns, strict=True)), dtype=ENTRY).tobytes()
        return [(statement.period, keccak(packed))]
    return [(statement.period, member, amount) for member, amount, _ in zip(*columns, strict=True)]


def _linked(network: Network) -> bool:
    numbers = sorted(network.canonical)
    blocks = [network.canonical[number] for number in numbers]
    return numbers == list(range(numbers[0], network.inner.block_number + 1)) and all(
        later.parent_hash == earlier.hash for earlier, later in pairwise(blocks)
    )


def run_whole(seed: int, kinds: Sequence[str] = KINDS) -> Verdict:
    """Run a client in this process, from its first to its last block."""
    network, verdict = Network(plan_of(seed, kinds)), Verdict()
    try:
        client = open_client(network.plan, network.chain, network.market.addresses(), Outbox())
        play(network, client)
        client.reconcile(_expected(network.plan))
        _compare_final(network.plan, client.final_micro_eur, client.unsettled, verdict)
        verdict.faults.update({f"client: {what}": number for what, number in client.counts.items()})
    except VppSimError as error:
        verdict.unreconciled = True
        verdict.remarks.append(f"{type(error).__name__}: {error}")
    return _judged(network, verdict)


def _judged(network: Network, verdict: Verdict) -> Verdict:
    judge(network, verdict)
    verdict.blocks = network.inner.block_number
    verdict.faults.update(network.chain.counts)
    plan = network.plan
    deep = sum(found.depth > plan.confirmations for found in plan.schedule.reorganisations)
    verdict.faults["reorganisations drawn deeper than the confirmations"] += deep
    return verdict


def _expected(plan: Plan) -> IntArray:
    paid = [statement.paid_micro_eur(plan.accounts) for statement in statements_of(plan)]
    return initial_micro_eur(plan) - np.sum(paid, axis=0)


def _compare_final(plan: Plan, final_micro_eur: IntArray, unsettled: tuple[int, ...], verdict: Verdict) -> None:
    if unsettled or (initial_micro_eur(plan) - final_micro_eur != _expected(plan)).any():
        verdict.unreconciled = True
        verdict.remarks.append(f"final payments differ from the ledger; not final: {unsettled}")


# -- a client in a process of its own, which is killed


class RemoteChain:
    """The chain as another process sees it: every question is a message; what a wallet knows is known here."""

    def __init__(self, line: Connection, wallet: Wallet, chain_id: int, block_gas_limit: int) -> None:
        self._line, self.wallet, self.accounts = line, wallet, wallet.addresses
        self.chain_id, self.block_gas_limit = chain_id, block_gas_limit

    def __getattr__(self, name: str) -> Any:
        if name in {"block_number", "timestamp_s", "base_fee_wei", "pending", "gas_price_wei"}:
            return self._ask(name, None)
        if name in {"nonce", "native_balance_wei", "suggested_fees", "send", "receipt", "call"}:
            return lambda *arguments: self._ask(name, arguments)
        raise AttributeError(name)

    def sign(self, transaction: Any, *, nonce: int | None = None, fees: Any = None) -> Any:
        """Sign here: keys never travel."""
        nonce = self.nonce(transaction.sender) if nonce is None else nonce
        return self.wallet.sign(transaction, chain_id=self.chain_id, nonce=nonce, fees=fees or self.suggested_fees())

    def _ask(self, name: str, arguments: tuple[Any, ...] | None) -> Any:
        self._line.send((name, arguments))
        answer = self._line.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer


def serve(plan: Plan, chain: RemoteChain, line: Connection, addresses: dict[str, str], path: Path) -> None:
    """Be the settling process: open the outbox, and do what it is told until it is killed."""
    client: SettlementClient | None = None
    while True:
        command, *arguments = line.recv()
        try:
            if client is None:
                client = open_client(plan, chain, addresses, Outbox(path))
            if command == "submit":
                client.submit(Statement.from_bytes(arguments[0]), arguments[1])
            elif command == "open":
                client.open(*arguments)
            elif command == "advance":
                client.advance(arguments[0])
            elif command == "reconcile":
                client.reconcile(arguments[0])
        except NodeDownError:  # only while it begins: it begins again at the next command
            line.send(("done", ("down", None, None)))
        except VppSimError as error:
            line.send(("done", (f"{type(error).__name__}: {error}", None, None)))
        else:
            line.send(("done", ("", client.unsettled, client.final_micro_eur)))


class FailedError(Exception):
    """The client said that it cannot go on."""


class MortalClient:
    """A client in another process, which is killed at random and begun anew."""

    def __init__(self, network: Network, path: Path) -> None:
        self._network, self._path = network, path
        self._rng = np.random.default_rng([network.plan.seed, 4])
        self._often = float(self._rng.uniform(0.1, 0.8))
        self._pid, self._line, self._down_until_s = 0, None, 0
        self._unwritten: list[tuple[Any, ...]] = []
        self.unsettled: tuple[int, ...] = ()
        self.final_micro_eur: IntArray | None = None
        self.kills: Counter[str] = Counter()

    def submit(self, statement: Statement, now_s: int) -> None:
        """Hand over a statement, as often as it takes until the process says that it is written."""
        self._unwritten.append(("submit", statement.to_bytes(), now_s))

    def open(self, period: int, trades: np.ndarray, now_s: int, first: int) -> None:
        """Hand over trades, likewise."""
        self._unwritten.append(("open", period, trades, now_s, first))

    def advance(self, now_s: int) -> None:
        """Let the process look and send, unless it stays down for now."""
        while now_s >= self._down_until_s:
            if self._hand_over() and self._tell("advance", now_s):
                return

    def reconcile(self, ledger: IntArray) -> None:
        """Let the process reconcile."""
        self._often = 0.0
        while not self._tell("reconcile", ledger):
            pass

    def end(self) -> None:
        """End the process, if it lives."""
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
            self._line.close()  # type: ignore[union-attr]
            self._pid = 0

    def _hand_over(self) -> bool:
        while self._unwritten:
            if not self._tell(*self._unwritten[0]):
                return False
            self._unwritten.pop(0)
        return True

    def _tell(self, *command: Any) -> bool:
        """Give a command and answer the questions it leads to; return whether it was done: not killed, nor down."""
        if not self._pid:
            self._begin()
        line = self._line
        assert line is not None
        line.send(command)
        while True:
            if self._chance(0.0006) and self._kill_soon():
                return False
            name, arguments = line.recv()
            if name == "done":
                return self._done(command, *arguments)
            weight = 0.08 if name == "send" else 0.0004
            if self._chance(weight):
                return self._kill("before it was done")
            answer = self._answer(name, arguments)
            if self._chance(weight):
                return self._kill("after it was done")
            line.send(answer)

    def _done(self, command: tuple[Any, ...], trouble: str, unsettled: Any, final: Any) -> bool:
        if trouble == "down":
            if command[0] == "reconcile":
                raise FailedError("the node is still down")
            self._down_until_s = self._network.now_s + 1  # nothing more before the next block
            return False
        if trouble:
            raise FailedError(trouble)
        self.unsettled, self.final_micro_eur = unsettled, final
        return True

    def _answer(self, name: str, arguments: tuple[Any, ...] | None) -> Any:
        try:
            found = getattr(self._network.chain, name)
            return found if arguments is None else found(*arguments)
        except VppSimError as error:
            return error

    def _chance(self, probability: float) -> bool:
        return bool(self._rng.random() < probability * self._often)

    def _kill_soon(self) -> bool:
        """Kill it wherever it is after a moment, unless it has nothing to do."""
        sleep(float(self._rng.uniform(0, 0.002)))
        return not self._kill("at some moment")

    def _kill(self, when: str) -> bool:
        self.end()
        self.kills[when] += 1
        if self._rng.random() < 0.3:
            self._down_until_s = self._network.now_s + int(self._rng.integers(1, 20 * BLOCK_S))
        return False

    def _begin(self) -> None:
        ours, theirs = Pipe()
        chain, addresses = self._network.chain, self._network.market.addresses()
        remote = RemoteChain(theirs, chain.wallet, chain.chain_id, chain.block_gas_limit)
        pid = os.fork()
        if not pid:
            try:
                ours.close()
                serve(self._network.plan, remote, theirs, addresses, self._path)
            finally:
                os._exit(1)
        theirs.close()
        self._pid, self._line = pid, ours


def run_killed(seed: int, kinds: Sequence[str] = KINDS) -> Verdict:
    """Run a client in a process that is killed again and again."""
    network, verdict = Network(plan_of(seed, kinds)), Verdict()
    with tempfile.TemporaryDirectory() as folder:
        client = MortalClient(network, Path(folder) / "outbox.sqlite")
        client.unsettled = tuple(range(network.plan.periods))
        try:
            play(network, client)
            client.reconcile(_expected(network.plan))
            assert client.final_micro_eur is not None
            _compare_final(network.plan, client.final_micro_eur, client.unsettled, verdict)
        except (FailedError, EOFError, BrokenPipeError) as error:
            verdict.unreconciled = True
            verdict.remarks.append(f"{type(error).__name__}: {error}")
        finally:
            client.end()
        verdict.kills = client.kills.total()
        verdict.faults.update({f"killed {when}": number for when, number in client.kills.items()})
    return _judged(network, verdict)


# -- all runs


def run_all(run: Any, seeds: range, jobs: int) -> tuple[dict[str, object], Counter[str]]:
    """Run all seeds; return their figures, and what they met."""
    begun, faults = perf_counter(), Counter[str]()
    figures = {"runs": 0, "lost": 0, "paid_twice": 0, "unreconciled": 0, "kills": 0, "blocks": 0}
    wrong: dict[int, object] = {}
    with ProcessPoolExecutor(jobs) as pool:
        for seed, verdict in zip(seeds, pool.map(run, seeds), strict=True):
            figures["runs"] += 1
            for name in ("lost", "paid_twice", "unreconciled", "kills", "blocks"):
                figures[name] += int(getattr(verdict, name))
            faults += verdict.faults
            if verdict.lost or verdict.paid_twice or verdict.unreconciled:
                wrong[seed] = [verdict.lost, verdict.paid_twice, *verdict.remarks]
                print(
                    f"seed {seed}: lost {verdict.lost}, paid twice {verdict.paid_twice}; {verdict.remarks}", flush=True
                )
    seconds = round(perf_counter() - begun, 1)
    return {**figures, "seconds": seconds, "wrong_seeds": sorted(wrong)}, faults


def main() -> None:
    """Read the command line and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=500, help="runs with a client that lives")
    parser.add_argument("--killed", type=int, default=500, help="runs with a client that is killed")
    parser.add_argument("--first", type=int, default=0, help="seed of the first run of each")
    parser.add_argument("--jobs", type=int, default=2, help="runs at the same time")
    parser.add_argument("--kinds", nargs="+", choices=sorted(CLIENT_KINDS), default=KINDS, help="kinds of settlement")
    parser.add_argument("--quick", action="store_true", help="six of each")
    arguments = parser.parse_args()
    whole, killed = (6, 6) if arguments.quick else (arguments.runs, arguments.killed)
    figures: dict[str, object] = {}
    faults: Counter[str] = Counter()
    for name, run, number in (("fault_runs", run_whole, whole), ("killed_runs", run_killed, killed)):
        seeds = range(arguments.first, arguments.first + number)
        figures[name], met = run_all(partial(run, kinds=arguments.kinds), seeds, arguments.jobs)
        faults += met
    print(json.dumps({**figures, "faults": dict(sorted(faults.items()))}))


if __name__ == "__main__":
    main()
