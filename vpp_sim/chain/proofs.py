"""Proof that a replayed chain says what the ledger says: batches, Merkle roots and balances, to the last micro-euro."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vpp_sim.chain.market import Market
from vpp_sim.chain.merkle import MerkleTree
from vpp_sim.chain.replay import Difference
from vpp_sim.chain.settlements import SettledTrade
from vpp_sim.chain.typed_data import balance_leaves, trade_leaves
from vpp_sim.errors import ChainError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vpp_sim.arrays import IntArray
    from vpp_sim.chain.record import ChainRecord
    from vpp_sim.chain.replay import Replay

__all__ = ["Booked", "Proven", "prove"]


@dataclass(frozen=True, slots=True, eq=False)
class Booked:
    """What the ledger booked, and the trades behind it.

    Attributes
    ----------
    step, account : ndarray of int, shape (k,)
        Tick and account of every line of the ledger; accounts are counted as in the record of the chain.
    amount_micro_eur : ndarray of int64, shape (k,)
        What the account pays [micro-euro].
    trade_step : ndarray of int, shape (m,)
        Tick of every local trade, ascending.
    trades : ndarray of TRADE_LINE, shape (m,)
        The trades, as delivered; those of which nothing was are in no tree.
    agreed_wh : ndarray of int64, shape (m,)
        What each was agreed over [Wh].
    """

    step: IntArray
    account: IntArray
    amount_micro_eur: IntArray
    trade_step: IntArray
    trades: np.ndarray
    agreed_wh: IntArray


@dataclass(frozen=True, slots=True)
class Proven:
    """What was proven.

    Attributes
    ----------
    netted, proof : int
        Periods whose batch, with the direct trades that were paid, and whose root, says what the ledger says.
    trades : int
        Trades under those roots.
    direct : int
        Direct trades that were opened and paid as agreed.
    accounts : int
        Accounts whose balance and traded energy are what the ledger says.
    differences : tuple of Difference
        What could not be proven; ``recorded`` is the ledger's side.
    """

    netted: int
    proof: int
    trades: int
    direct: int
    accounts: int
    differences: tuple[Difference, ...]


def prove(replayed: Replay, record: ChainRecord, booked: Booked) -> Proven:
    """Compare a chain that was replayed to its end with the ledger.

    Every period in which anything moved must have been settled, by a batch whose lines are the ledger's, or by a root
    that is computed again from the ledger's lines and trades. Direct trades are settled beside a batch, which holds the
    rest; each must be one that was agreed, and none may be open in the end. Every account must own what it paid in,
    less what the ledger booked. The escrow must hold what all of them own, with bond, pots and locked money.

    Parameters
    ----------
    replayed : Replay
        What :func:`~vpp_sim.chain.replay.replay` returned.
    record : ChainRecord
        What it was replayed from.
    booked : Booked
        The ledger.

    Raises
    ------
    ChainError
        If there is no energy market at the recorded addresses.
    """
    market = Market.at(replayed.chain, record.contracts)
    return _Prover(replayed, record, booked, market).prove()


class _Prover:
    def __init__(self, replayed: Replay, record: ChainRecord, booked: Booked, market: Market) -> None:
        if market.terms.period_s % record.step_s:
            raise ChainError(f"periods of {market.terms.period_s} s are no multiple of ticks of {record.step_s} s")
        self._settlements, self._names, self._market = replayed.settlements, record.names, market
        steps = market.terms.period_s // record.step_s
        self._trades, trade_period = booked.trades, booked.trade_step // steps
        found = replayed.settlements
        settled = (*found.batches, *found.roots, *found.settled_trades)
        last = max(booked.step.max(initial=-1) // steps, trade_period.max(initial=-1), *settled, -1)
        self._amount, self._traded_wh = np.zeros((2, last + 1, len(record.names)), dtype=np.int64)
        np.add.at(self._amount, (booked.step // steps, booked.account), booked.amount_micro_eur)
        np.add.at(self._traded_wh, (trade_period, booked.trades["buyer"]), booked.trades["energy_wh"])
        np.subtract.at(self._traded_wh, (trade_period, booked.trades["seller"]), booked.trades["energy_wh"])
        self._bounds = np.searchsorted(trade_period, np.arange(last + 2))
        self._agreed_wh = booked.agreed_wh
        self._differences: list[Difference] = []

    def prove(self) -> Proven:
        netted = sum(self._is_proven(self._batch, period) for period in sorted(self._settlements.batches))
        roots = [period for period in sorted(self._settlements.roots) if self._is_proven(self._root, period)]
        moved = ((self._amount != 0) | (self._traded_wh != 0)).any(axis=1).nonzero()[0]
        for period in moved.tolist():
            if period not in self._settlements.batches and period not in self._settlements.roots:
                self._differ(f"period {period}", "its settlement", "missing", "amounts in the ledger")
        return Proven(
            netted=netted,
            proof=len(roots),
            trades=sum(self._trades_of(period).size for period in roots),
            direct=self._direct(),
            accounts=self._balances(),
            differences=tuple(self._differences),
        )

    def _is_proven(self, check: Callable[[int], None], period: int) -> bool:
        before = len(self._differences)
        check(period)
        return len(self._differences) == before

    def _batch(self, period: int) -> None:
        """Compare each line of a netted batch with the ledger."""
        entries = self._settlements.batches[period]
        paid, bought = self._paid_directly(period)
        for what, column, booked in (
            ("the amount in the batch [micro-euro]", "amount_micro_eur", self._amount[period] - paid),
            ("the traded energy in the batch [Wh]", "traded_wh", self._traded_wh[period] - bought),
        ):
            found = np.zeros(len(self._names), dtype=np.int64)
            found[entries["member"]] = entries[column]
            self._compare(f"period {period}, ", what, found, booked)

    def _paid_directly(self, period: int) -> IntArray:
        """Return what each account paid [micro-euro] and bought [Wh] in the direct trades of a period, shape (2, n)."""
        moved = np.zeros((2, len(self._names)), dtype=np.int64)
        for trade, delivered_wh, paid, penalty in self._settlements.settled_trades.get(period, ()):
            moved[:, trade.buyer] += paid - penalty, delivered_wh
            moved[:, trade.seller] -= paid - penalty, delivered_wh
        return moved

    def _direct(self) -> int:
        """Look up each direct trade among those agreed; return how many were paid as they were agreed."""
        for trade in self._settlements.open_trades.values():
            self._differ(f"period {trade.period}", f"a direct trade of {self._names[trade.seller]}", "open", "paid")
        return sum(
            self._are_agreed(period, trades) for period, trades in sorted(self._settlements.settled_trades.items())
        )

    def _are_agreed(self, period: int, settled: Sequence[SettledTrade]) -> int:
        if period not in self._settlements.batches:
            self._differ(f"period {period}", "the batch beside its direct trades", "missing", "one")
        some = slice(self._bounds[period], self._bounds[period + 1])
        booked = self._trades[some]
        columns = booked["buyer"], booked["seller"], self._agreed_wh[some], booked["price_micro_eur_per_kwh"]
        agreed = Counter(zip(*(column.tolist() for column in columns), strict=True))
        found = Counter(
            (trade.buyer, trade.seller, trade.energy_wh, trade.price_micro_eur_per_kwh) for trade, *_ in settled
        )
        for buyer, seller, energy_wh, price in found - agreed:
            what = f"a direct trade of {energy_wh} Wh at {price} micro-euro/kWh from {self._names[seller]}"
            self._differ(f"period {period}, {self._names[buyer]}", what, "paid", "never agreed")
        return (found & agreed).total()

    def _root(self, period: int) -> None:
        """Compute a period's root again, over those who pay, all others, and the trades."""
        amount, traded = self._amount[period], self._traded_wh[period]
        members = np.flatnonzero((amount != 0) | (traded != 0))
        members = members[np.argsort(amount[members] <= 0, kind="stable")]
        leaves = balance_leaves(period, members, amount[members], traded[members])
        leaves += trade_leaves(period, self._trades_of(period))
        root = MerkleTree(leaves).root if leaves else b""
        posted = self._settlements.roots[period]
        if root != posted:
            self._differ(f"period {period}", "its Merkle root", posted.hex(), f"{root.hex()} by the ledger")

    def _trades_of(self, period: int) -> np.ndarray:
        trades = self._trades[self._bounds[period] : self._bounds[period + 1]]
        return trades[trades["energy_wh"] > 0]

    def _balances(self) -> int:
        """Compare balances, traded energy and the escrow; return how many accounts agree."""
        balance, traded = self._market.accounts()
        if balance.size != len(self._names):
            self._differ("the market", "the number of its members", balance.size, len(self._names))
            return 0
        owned = self._settlements.deposit_micro_eur - self._amount.sum(axis=0)
        wrong = self._compare("", "its balance on chain [micro-euro]", balance, owned)
        wrong |= self._compare("", "its traded energy on chain [Wh]", traded, self._traded_wh.sum(axis=0))
        self._escrow(int(balance.sum()))
        return len(self._names) - len(wrong)

    def _escrow(self, balances: int) -> None:
        call, market = self._market.market.call, self._market
        pots = sum(call("potOf", period) for period in self._settlements.roots)
        owed = balances + call("totalLocked") + pots + call("seat")[1]
        held = market.currency.call("balanceOf", market.market.address)
        if held != owed:
            self._differ("the escrow", "the currency that it holds [micro-euro]", held, f"{owed} as what it owes")

    def _compare(self, where: str, what: str, found: IntArray, booked: IntArray) -> set[int]:
        wrong = np.flatnonzero(found != booked).tolist()
        for i in wrong:
            self._differ(f"{where}{self._names[i]}", what, found[i], f"{booked[i]} in the ledger")
        return set(wrong)

    def _differ(self, where: str, what: str, found: object, booked: object) -> None:
        self._differences.append(Difference(where, what, str(found), str(booked)))
