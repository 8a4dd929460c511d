"""The chain's own time line: a statement at the end of each settlement period, blocks while anything is under way.

Two SimPy processes share a settlement client. One submits, as a period ends, what each account owes since the last
statement. The other lets the network produce blocks, at the times that the scenario's block time gives, while a
transaction waits to be mined or confirmed; while nothing is under way it sleeps, since empty blocks change nothing, and
wakes when a transaction becomes due. Where homes trade directly, a third tells the client each tick's trades as soon as
they are agreed, since they must be on the chain before their period is over.

A transaction that is sent in the very second of a block is too late for it. After each block the client looks what
became of what it sent. Chain and ledger are reconciled to the integer whenever a period becomes final, and homes see
final payments alone.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import simpy

from vpp_sim.arrays import FloatArray
from vpp_sim.chain.event_log import EventLog, write_journal
from vpp_sim.chain.journal import JournaledChain
from vpp_sim.chain.protocol import Chain, NodeDownError
from vpp_sim.chain.settlement import SettledPeriod, SettlementClient
from vpp_sim.chain.statements import READING_LINE, TRADE_LINE, Statement
from vpp_sim.errors import ConservationError
from vpp_sim.kernel.clock import Clock
from vpp_sim.kernel.loop import Timed
from vpp_sim.kernel.messages import LocalTrades, Payments
from vpp_sim.kernel.phases import Phase
from vpp_sim.kernel.recorder import Recorder
from vpp_sim.kernel.world import World
from vpp_sim.units import WEI_PER_NATIVE, to_micro_eur, to_wh

__all__ = ["Settler"]

_BLOCKS_FIRST = 0
"""Priority of a block among the events of its second; submissions have SimPy's own, 1."""
_MOST_BLOCKS_AFTER_END = 100_000
"""How many blocks after the last step the run waits for its last payments, before it says that they do not come."""


class Settler:
    """Brings the ledger onto the chain.

    Parameters
    ----------
    world, clock
        Where the ledger stands.
    client : SettlementClient
        The contracts, with one member an account in the ledger's order.
    network : Chain
        What produces blocks; the client's own view of it may be worse.
    next_block_s : callable
        Given the time from the start of the run [s], the time of the next block [s].
    initial_micro_eur : int
        What each account paid in.
    every_s : int
        Length of a settlement period [s].
    native_eur : float
        Price of the chain's own currency, in which gas is paid [EUR].
    recorder : Recorder
        Takes a row a period, and what the journal holds.
    journal : JournaledChain
        What was mined, below whatever makes the network misbehave.
    log : EventLog
        Names of contracts and accounts, for the journal's events.
    kept_blocks : int
        How many of the newest blocks a reorganisation may still undo.
    on_finish : callable
        Called when all is final, to record what a check of the chain needs.
    """

    name = "settler"

    def __init__(
        self,
        world: World,
        clock: Clock,
        *,
        client: SettlementClient,
        network: Chain,
        next_block_s: Callable[[int], int],
        initial_micro_eur: int,
        every_s: int,
        native_eur: float,
        recorder: Recorder,
        journal: JournaledChain,
        log: EventLog,
        kept_blocks: int,
        on_finish: Callable[[], None],
    ) -> None:
        self._world, self._clock, self._client, self._recorder = world, clock, client, recorder
        self._network, self._next_block_s = network, next_block_s
        self._initial, self._every_s, self._native_eur = initial_micro_eur, every_s, native_eur
        self._journal, self._log, self._kept_blocks, self._on_finish = journal, log, kept_blocks, on_finish
        self._origin_s = int(clock.start.timestamp())
        self._balance = np.zeros(len(client.names), dtype=np.int64)
        self._traded_wh = np.zeros(len(client.names), dtype=np.int64)
        self._fed_in_wh = np.zeros(len(client.names), dtype=np.int64)
        self._trades: list[np.ndarray] = []
        self._final: dict[int, SettledPeriod] = {}
        self._wake: simpy.Event | None = None
        self._publish = world.payments.claim(self.name)
        self._publish.initial(Payments(client.final_micro_eur))
        self._counts = {
            "settlement periods submitted": 0,
            "settlement periods in which nothing moved": 0,
            "blocks mined": 0,
            "reconciliations put off because the node was down": 0,
        }

    @property
    def counts(self) -> dict[str, int]:
        """What happened on the way, with what the network did to it."""
        return self._counts | {
            "settlement periods final": len(self._final),
            **self._client.counts,
            **getattr(self._network, "counts", {}),
        }

    def submit(self, env: simpy.Environment) -> Generator[simpy.Event, Any, None]:
        """Collect what each tick brings, and submit a statement as each period ends; the last may be shorter."""
        if self._client.opens_trades:
            env.process(self._open(env))
        while env.now < self._clock.duration_s:
            yield env.timeout(self._clock.step_s)
            if self._client.proves_trades:
                self._trades.append(self._delivered())
            if self._client.opens_trades:
                self._read_meters()
            if env.now % self._every_s and env.now < self._clock.duration_s:
                continue
            self._submit_period(int(env.now))
            self._wake_up()

    def produce(self, env: simpy.Environment) -> Generator[simpy.Event, Any, None]:
        """Mine blocks while a transaction is under way, and sleep until one is due."""
        blocks_after_end = 0
        while True:
            due_s = self._client.due_s(self._origin_s + int(env.now))
            if due_s is None:
                self._wake = env.event()
                yield self._wake
                continue
            if due_s > self._origin_s + env.now:
                self._wake = env.event()
                yield self._wake | env.timeout(due_s - self._origin_s - int(env.now))
                self._client_advances(int(env.now))
                continue
            now_s = int(env.now)
            yield Timed(env, self._next_block_s(now_s) - now_s, _BLOCKS_FIRST)
            self._network.mine(self._origin_s + int(env.now))
            self._counts["blocks mined"] += 1
            self._client_advances(int(env.now))
            blocks_after_end += env.now > self._clock.duration_s
            if blocks_after_end > _MOST_BLOCKS_AFTER_END:
                return

    def finish(self) -> None:
        """Compare the chain with the whole ledger after the run, and write the table of periods.

        Raises
        ------
        ConservationError
            If a period never became final.
        ChainError
            If an account's balance differs by as little as a micro-euro.
        """
        if self._client.unsettled:
            raise ConservationError(
                self._clock.n_steps - 1, "settlement chain", len(self._client.unsettled), "periods that are not final"
            )
        settlement = self._world.settlement.previous()
        assert settlement is not None  # every tick settles
        self._client.reconcile(self._initial - settlement.balance_micro_eur)
        for period in sorted(self._final):
            self._record(self._final[period])
        write_journal(self._journal, self._log, self._recorder.record)
        self._on_finish()

    def _open(self, env: simpy.Environment) -> Generator[simpy.Event, Any, None]:
        """Tell the client the trades of each tick, in the tick's own second and after they were agreed."""
        for step in range(self._clock.n_steps):
            yield Timed(env, step * self._clock.step_s - int(env.now), Phase.FLOW)
            trades = self._world.trades.read()
            lines = self._lines(trades, trades.energy_kwh)
            if lines.size:
                first = sum(some.size for some in self._trades)
                self._client.open(int(env.now) // self._every_s, lines, self._origin_s + int(env.now), first)
                self._trades.append(lines)
                self._client_advances(int(env.now))
                self._wake_up()

    def _wake_up(self) -> None:
        if self._wake is not None and not self._wake.triggered:
            self._wake.succeed()

    def _submit_period(self, now_s: int) -> None:
        settlement = self._world.settlement.previous()
        assert settlement is not None  # the period's last tick settled before it ended
        amount = settlement.balance_micro_eur - self._balance
        traded_wh = settlement.traded_wh - self._traded_wh
        members = np.flatnonzero((amount != 0) | (traded_wh != 0))
        period = -(-now_s // self._every_s) - 1
        trades = np.concatenate(self._trades) if self._trades else np.empty(0, dtype=TRADE_LINE)
        readings = self._readings(trades)
        self._trades.clear()
        self._fed_in_wh[:] = 0
        if not members.size and not readings.size:
            self._counts["settlement periods in which nothing moved"] += 1
            return
        members = (
            members if members.size else np.zeros(1, dtype=np.int64)
        )  # what is locked must be released all the same
        proven = trades if self._client.proves_trades else trades[:0]
        statement = Statement(period, members, amount[members], traded_wh[members], proven, readings)
        self._client.submit(statement, self._origin_s + now_s)
        self._balance, self._traded_wh = settlement.balance_micro_eur, settlement.traded_wh
        self._counts["settlement periods submitted"] += 1
        self._client_advances(now_s)

    def _delivered(self) -> np.ndarray:
        """Return the last tick's trades, as far as they were delivered."""
        trades, settlement = self._world.trades.previous(), self._world.settlement.previous()
        assert trades is not None  # every tick trades
        assert settlement is not None  # and settles
        return self._lines(trades, settlement.delivered_kwh)

    def _lines(self, trades: LocalTrades, energy_kwh: FloatArray) -> np.ndarray:
        lines = np.empty(len(trades.buyer), dtype=TRADE_LINE)
        lines["buyer"], lines["seller"] = trades.buyer, trades.seller
        lines["energy_wh"] = to_wh(energy_kwh)
        lines["price_micro_eur_per_kwh"] = to_micro_eur(trades.price_eur_per_kwh)
        return lines[lines["energy_wh"] > 0]

    def _read_meters(self) -> None:
        """Add what every home fed in in the last tick."""
        flow = self._world.flow.previous()
        assert flow is not None  # every tick flows
        fed_in_wh = to_wh(np.maximum(-flow.net_kw * self._clock.step_h, 0.0))
        self._fed_in_wh[: fed_in_wh.size] += fed_in_wh

    def _readings(self, trades: np.ndarray) -> np.ndarray:
        """Return what the meters of those who sold count as fed in this period, where that pays their trades."""
        sellers = np.unique(trades["seller"]) if self._client.opens_trades else np.empty(0, dtype=np.int64)
        readings = np.empty(sellers.size, dtype=READING_LINE)
        readings["member"], readings["energy_wh"] = sellers, -self._fed_in_wh[sellers]
        return readings

    def _client_advances(self, now_s: int) -> None:
        """Let the client look and send; whenever a period became final, reconcile and let the homes see their money."""
        settled = self._client.advance(self._origin_s + now_s)
        if not settled:
            return
        self._final |= {found.period: found for found in settled}
        self._publish(Payments(self._client.final_micro_eur))
        newest = self._journal.block_number
        write_journal(self._journal, self._log, self._recorder.record, before_block=newest - self._kept_blocks)
        try:
            self._client.reconcile(self._initial - self._balance)
        except NodeDownError:
            self._counts["reconciliations put off because the node was down"] += 1

    def _record(self, settled: SettledPeriod) -> None:
        steps_per_period = self._every_s // self._clock.step_s
        first = settled.period * steps_per_period
        self._recorder.record(
            "chain",
            {
                "period": [settled.period],
                "first_step": [first],
                "last_step": [min(first + steps_per_period, self._clock.n_steps) - 1],
                "submitted_s": [settled.submitted_s - self._origin_s],
                "mined_s": [settled.mined_s - self._origin_s],
                "confirmed_s": [settled.confirmed_s - self._origin_s],
                "block": [settled.block_number],
                "tx_hash": [settled.transactions[-1]],
                "transactions": [len(settled.transactions)],
                "attempts": [settled.attempts],
                "gas_used": [settled.gas_used],
                "gas_cost_eur": [settled.gas_cost_wei / WEI_PER_NATIVE * self._native_eur],
                "calldata_bytes": [settled.calldata_bytes],
                "accounts": [settled.accounts],
                "moved_micro_eur": [settled.moved_micro_eur],
            },
        )
