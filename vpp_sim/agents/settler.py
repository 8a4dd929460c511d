"""The chain's own time line: a batch at the end of each settlement period, blocks while anything is under way.

Two SimPy processes share a settlement client. One submits, as a period ends, what each account owes since the last
batch. The other produces blocks, at whole multiples of the block time, from a submission until its last confirmation;
while nothing is under way it sleeps, since empty blocks change nothing. A batch that is submitted in the very second of
a block is too late for it. Chain and ledger are reconciled to the integer
whenever a batch is confirmed.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
import simpy

from vpp_sim.chain.batch import SettledBatch
from vpp_sim.chain.settlement import SettlementClient
from vpp_sim.errors import ConservationError
from vpp_sim.kernel.clock import Clock
from vpp_sim.kernel.loop import Timed
from vpp_sim.kernel.recorder import Recorder
from vpp_sim.kernel.world import World

__all__ = ["Settler"]

_BLOCKS_FIRST = 0
"""Priority of a block among the events of its second; submissions have SimPy's own, 1."""


class Settler:
    """Brings the ledger onto the chain.

    Parameters
    ----------
    world, clock
        Where the ledger stands.
    client : SettlementClient
        The contracts, with one member an account in the ledger's order.
    initial_micro_eur : int
        What each account paid in.
    every_s, block_time_s : int
        Length of a settlement period, and time between blocks [s].
    recorder : Recorder
        Takes a row a batch.
    """

    name = "settler"

    def __init__(
        self,
        world: World,
        clock: Clock,
        *,
        client: SettlementClient,
        initial_micro_eur: int,
        every_s: int,
        block_time_s: int,
        recorder: Recorder,
    ) -> None:
        self._world, self._clock, self._client, self._recorder = world, clock, client, recorder
        self._initial, self._every_s, self._block_time_s = initial_micro_eur, every_s, block_time_s
        self._balance = np.zeros(len(client.names), dtype=np.int64)
        self._traded_wh = np.zeros(len(client.names), dtype=np.int64)
        self._submitted_s: dict[int, int] = {}
        self._calldata_bytes: dict[int, int] = {}
        self._wake: simpy.Event | None = None
        self.counts = {
            "batches submitted": 0,
            "batches confirmed": 0,
            "blocks mined": 0,
            "settlement periods in which nothing moved": 0,
        }

    def submit(self, env: simpy.Environment) -> Generator[simpy.Event, Any, None]:
        """Submit a batch as each period ends; the last period may be shorter."""
        while env.now < self._clock.duration_s:
            yield env.timeout(min(self._every_s, self._clock.duration_s - int(env.now)))
            self._submit_period(int(env.now))
            if self._wake is not None and not self._wake.triggered:
                self._wake.succeed()

    def produce(self, env: simpy.Environment) -> Generator[simpy.Event, Any, None]:
        """Mine a block at each multiple of the block time while a batch waits to be mined or confirmed."""
        while True:
            if not self._client.needs_block:
                self._wake = env.event()
                yield self._wake
            yield Timed(env, self._block_time_s - int(env.now) % self._block_time_s, _BLOCKS_FIRST)
            self._client.mine_block(int(self._clock.start.timestamp()) + int(env.now))
            self.counts["blocks mined"] += 1
            batches = self._client.confirmed()
            if batches:
                self._client.reconcile(self._initial - self._balance)
                self._record(batches, int(env.now))

    def finish(self) -> None:
        """Compare the chain with the whole ledger after the run.

        Raises
        ------
        ConservationError
            If a batch was never confirmed.
        ChainError
            If an account's balance differs by as little as a micro-euro.
        """
        missing = self.counts["batches submitted"] - self.counts["batches confirmed"]
        if missing:
            raise ConservationError(self._clock.n_steps - 1, "settlement chain", missing, "unconfirmed batches")
        settlement = self._world.settlement.previous()
        assert settlement is not None  # every tick settles
        self._client.reconcile(self._initial - settlement.balance_micro_eur)

    def _submit_period(self, now_s: int) -> None:
        settlement = self._world.settlement.previous()
        assert settlement is not None  # the period's last tick settled before it ended
        amount = settlement.balance_micro_eur - self._balance
        traded_wh = settlement.traded_wh - self._traded_wh
        members = np.flatnonzero((amount != 0) | (traded_wh != 0))
        period = -(-now_s // self._every_s) - 1
        if not members.size:
            self.counts["settlement periods in which nothing moved"] += 1
            return
        batch = self._client.submit_batch(period, members, amount[members], traded_wh[members])
        self._submitted_s[period], self._calldata_bytes[period] = now_s, batch.calldata_bytes
        self._balance, self._traded_wh = settlement.balance_micro_eur, settlement.traded_wh
        self.counts["batches submitted"] += 1

    def _record(self, batches: tuple[SettledBatch, ...], now_s: int) -> None:
        origin_s = int(self._clock.start.timestamp())
        steps_per_period = self._every_s // self._clock.step_s
        for batch in batches:
            first = batch.period * steps_per_period
            self._recorder.record(
                "chain",
                {
                    "period": [batch.period],
                    "first_step": [first],
                    "last_step": [min(first + steps_per_period, self._clock.n_steps) - 1],
                    "submitted_s": [self._submitted_s[batch.period]],
                    "mined_s": [batch.timestamp_s - origin_s],
                    "confirmed_s": [now_s],
                    "block": [batch.block_number],
                    "tx_hash": [batch.transaction],
                    "gas_used": [batch.gas_used],
                    "calldata_bytes": [self._calldata_bytes[batch.period]],
                    "accounts": [batch.entries],
                    "moved_micro_eur": [batch.turnover_micro_eur],
                    "status": ["confirmed"],
                },
            )
            self.counts["batches confirmed"] += 1
