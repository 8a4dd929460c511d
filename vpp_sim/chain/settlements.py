"""What was settled on a chain, by what the contracts' own events say."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from eth_abi.abi import decode

from vpp_sim.chain.batch import ENTRY
from vpp_sim.chain.direct_trades import Trade

if TYPE_CHECKING:
    from vpp_sim.arrays import IntArray
    from vpp_sim.chain.contract import Event
    from vpp_sim.chain.envelope import SignedTransaction

__all__ = ["SettledTrade", "Settlements"]

_SETTLE_TYPES = ("uint64", "bytes", "address", "bytes")
_SELECTOR_BYTES = 4


class SettledTrade(NamedTuple):
    """A direct trade that was paid: what was delivered [Wh], and what buyer and seller paid for it [micro-euro]."""

    trade: Trade
    delivered_wh: int
    paid_micro_eur: int
    penalty_micro_eur: int


@dataclass(slots=True, eq=False)
class Settlements:
    """What the market's own events say was settled and paid in.

    Attributes
    ----------
    batches : dict of int to ndarray of ENTRY
        The batch of each netted period, from the call data.
    roots : dict of int to bytes
        The root of each proven period.
    deposit_micro_eur : ndarray of int64, shape (n,)
        What each account paid in less what it took out [micro-euro].
    open_trades : dict of bytes to Trade
        The direct trades that lock money, by their hashes, as the contract opened them.
    settled_trades : dict of int to list of SettledTrade
        The direct trades that were paid, by their periods.
    """

    batches: dict[int, np.ndarray]
    roots: dict[int, bytes]
    deposit_micro_eur: IntArray
    open_trades: dict[bytes, Trade] = field(default_factory=dict)
    settled_trades: dict[int, list[SettledTrade]] = field(default_factory=dict)

    def note(self, signed: SignedTransaction, event: Event) -> None:
        """Take note of an event of the market."""
        found = event.arguments
        if event.name == "PeriodSettled":
            _, entries, _, _ = decode(_SETTLE_TYPES, signed.data[_SELECTOR_BYTES:])
            self.batches[found["period"]] = np.frombuffer(entries, dtype=ENTRY)
        elif event.name == "RootPosted":
            self.roots[found["period"]] = found["root"]
        elif event.name == "RootVoided":
            self.roots.pop(found["period"], None)
        elif event.name in {"Deposited", "Withdrawn"}:
            self.deposit_micro_eur[found["member"]] += found["amount"] * (1 if event.name == "Deposited" else -1)

    def note_direct(self, event: Event) -> None:
        """Take note of an event of the contract of direct trades."""
        found = event.arguments
        if event.name == "TradeOpened":
            self.open_trades[found["hash"]] = Trade(*found["trade"])
        elif event.name == "TradeRefunded":
            del self.open_trades[found["hash"]]
        elif event.name == "TradeSettled":
            trade = self.open_trades.pop(found["hash"])
            settled = SettledTrade(trade, found["delivered"], found["paid"], found["penalty"])
            self.settled_trades.setdefault(trade.period, []).append(settled)
