"""A settlement client on a small market, driven by hand: submit, mine, look."""

import numpy as np

from vpp_sim.chain.market import OFFICERS, Terms
from vpp_sim.chain.outbox import Outbox
from vpp_sim.chain.revm import RevmChain
from vpp_sim.chain.settlement import SettlementClient, open_market
from vpp_sim.chain.statements import Statement

GENESIS_S, PERIOD_S, WINDOW_S, BLOCK_S = 1_500_000_000, 3_600, 7_200, 12
START_S = GENESIS_S + PERIOD_S
"""When period 0 begins; contracts are deployed in the hour before."""
BOND, AWARD = 1_000_000, 1_000


class Settling:
    """Client, chain and time of a market whose members are funded with `start` [micro-euro]."""

    def __init__(
        self, start, *, backend=RevmChain, kind="netted", confirmations=0, period_s=PERIOD_S, window_s=WINDOW_S,
        names=None, outbox=None, seed=7,
    ):  # fmt: skip
        self.start = np.array(start, dtype=np.int64)
        self.names = names or [f"home_{i}" for i in range(self.start.size)]
        self.chain = backend(accounts=self.start.size + OFFICERS, seed=seed, genesis_timestamp_s=GENESIS_S)
        self.terms = Terms(START_S, period_s, window_s, BOND, AWARD)
        outbox = outbox or Outbox()
        self.market = open_market(self.chain, outbox, terms=self.terms, initial_micro_eur=self.start)
        self.client = SettlementClient(
            self.market,
            names=self.names,
            initial_micro_eur=self.start,
            kind=kind,
            confirmations=confirmations,
            patience_s=60,
            outbox=outbox,
        )

    def submit(self, period, amounts, traded=None, member=None, trades=()):
        """Wait for the end of a period and submit its statement."""
        member = np.arange(len(amounts)) if member is None else np.array(member)
        traded = np.zeros(len(amounts)) if traded is None else traded
        columns = (member, np.array(amounts), np.array(traded))
        statement = Statement(period, *(column.astype(np.int64) for column in columns), *trades)
        self.wait_until(self.terms.end_s(period))
        self.client.submit(statement, self.chain.timestamp_s)
        return self.client.advance(self.chain.timestamp_s)

    def wait_until(self, timestamp_s):
        """Mine an empty block of this time, unless a later one is there."""
        if self.chain.timestamp_s < timestamp_s:
            self.chain.mine(timestamp_s)

    def mine(self, blocks=1):
        """Mine blocks, let the client look after each, and return the periods that became final."""
        final = []
        for _ in range(blocks):
            final += self.client.advance(self.chain.mine(self.chain.timestamp_s + BLOCK_S).timestamp_s)
        return final

    def settle(self, period, amounts, traded=None):
        """Submit a period and mine one block."""
        self.submit(period, amounts, traded)
        return self.mine()
