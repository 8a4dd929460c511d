"""The settlement client: settles each period exactly once, and reconciles the chain with the ledger.

Signs are the ledger's: an amount is positive when its account pays, traded energy is positive when its account bought.
A balance is what an account owns, so a positive amount lowers it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vpp_sim.chain.courier import Courier
from vpp_sim.chain.deployment import require_success
from vpp_sim.chain.kinds import Netted, Proof
from vpp_sim.chain.market import Market, deploy_market, fund
from vpp_sim.chain.outbox import Outbox
from vpp_sim.errors import ChainError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from vpp_sim.arrays import IntArray
    from vpp_sim.chain.market import Terms
    from vpp_sim.chain.protocol import Chain, Receipt
    from vpp_sim.chain.statements import Job, SettlementKind, Statement

__all__ = ["KINDS", "SettledPeriod", "SettlementClient", "open_market"]

KINDS: dict[str, Callable[[Market, int], SettlementKind]] = {
    "netted": lambda market, accounts: Netted(market, accounts),
    "proof": lambda market, accounts: Proof(market, accounts),
}
"""Ways to settle whole periods, by name; each is made for a market and a number of accounts."""

_TOO_EARLY = ("MarketPeriodNotOver", "MarketWindowOpen")
"""Errors of a transaction that a reorganisation moved into a block of an earlier time: it is sent once more."""


@dataclass(frozen=True, slots=True)
class SettledPeriod:
    """A period all of whose transactions are confirmed.

    Attributes
    ----------
    period : int
        The period.
    transactions : tuple of str
        Hashes of its transactions, in their order.
    block_number : int
        Block of the last of them.
    submitted_s, mined_s, confirmed_s : int
        When the statement was submitted, the last transaction mined, and the whole confirmed; Unix time [s].
    gas_used : int
        Gas of all [gas].
    gas_cost_wei : int
        What the gas cost [wei].
    calldata_bytes : int
        Size of all calls [B].
    attempts : int
        How many transactions were signed for it; more than `transactions` where some were sent with higher fees.
    accounts : int
        Number of accounts whose balance moved.
    moved_micro_eur : int
        Sum of all debits [micro-euro].
    """

    period: int
    transactions: tuple[str, ...]
    block_number: int
    submitted_s: int
    mined_s: int
    confirmed_s: int
    gas_used: int
    gas_cost_wei: int
    calldata_bytes: int
    attempts: int
    accounts: int
    moved_micro_eur: int


def open_market(chain: Chain, outbox: Outbox, *, terms: Terms, initial_micro_eur: IntArray) -> Market:
    """Return the market that the outbox knows of, or deploy one with a funded account a member.

    Parameters
    ----------
    chain : Chain
        A backend with accounts for everybody (see :func:`~vpp_sim.chain.market.deploy_market`). The blocks of a new
        market are mined one second apart.
    outbox : Outbox
        Remembers the addresses.
    terms : Terms
        What a new market is deployed with.
    initial_micro_eur : ndarray of int64, shape (n,)
        What each account of a new market starts with, non-negative [micro-euro].

    Raises
    ------
    RevertedError
        If a contract refuses.
    ChainError
        If the market that the outbox knows of is not there, or is run by others.
    """
    known = outbox.fact("market")
    if isinstance(known, dict):
        market = Market.at(chain, known)
        market.require_officers()
        return market
    market = deploy_market(chain, terms)
    fund(market, initial_micro_eur)
    outbox.remember("market", dict(market.addresses()))
    return market


class SettlementClient:
    """The operator's side of the energy market.

    On an outbox that an earlier process left it goes on where that one was cut off.

    Parameters
    ----------
    market : Market
        As :func:`open_market` returns it, on the chain that is to be used.
    names : sequence of str
        Names of the accounts, as messages call them.
    initial_micro_eur : ndarray of int64, shape (n,)
        What each account starts with, non-negative [micro-euro].
    kind : str
        One of `KINDS`.
    confirmations : int
        How many blocks must follow a transaction's block before it counts as final.
    patience_s : int
        Seconds after which a transaction that is not mined is sent again.
    outbox : Outbox, optional
        Where it writes what it is about to do; by default one that ends with the process.

    Raises
    ------
    ChainError
        If arguments do not fit together.
    """

    def __init__(
        self,
        market: Market,
        *,
        names: Sequence[str],
        initial_micro_eur: IntArray,
        kind: str,
        confirmations: int,
        patience_s: int,
        outbox: Outbox | None = None,
    ) -> None:
        _check(names, initial_micro_eur, kind, confirmations)
        self.market, self.names, self.outbox = market, tuple(names), outbox or Outbox()
        self.chain = market.market.chain
        self.proves_trades = kind == "proof"
        self._initial = initial_micro_eur
        self._kind = KINDS[kind](market, len(names))
        self._escrow = self.market.currency.call("balanceOf", self.market.market.address)
        self._statements: dict[int, Statement] = {}
        self._owed = np.zeros(len(names), dtype=np.int64)
        for statement, settled in self.outbox.statements():
            self._owed += statement.paid_micro_eur(len(names))
            if not settled:
                self._statements[statement.period] = statement
        self._courier = Courier(
            self.chain,
            self.outbox,
            accounts=len(names),
            confirmations=confirmations,
            patience_s=patience_s,
            require_success=self._require_success,
            proceed=self._proceed,
            undone=self._undone,
        )

    @property
    def counts(self) -> dict[str, int]:
        """How often something went wrong on the way to the chain."""
        return self._courier.counts

    @property
    def unsettled(self) -> tuple[int, ...]:
        """Periods that were submitted and are not final."""
        return tuple(self._statements)

    @property
    def final_micro_eur(self) -> IntArray:
        """What each account has paid for good, shape (n,): by confirmed transactions alone [micro-euro]."""
        return self._courier.confirmed_micro_eur

    def due_s(self, now_s: int) -> int | None:
        """Return when the next block is of use [s]: now, when a transaction becomes due, or never (None)."""
        waiting = [item.job.ready_s for item in self._courier.unconfirmed if not item.attempts]
        if len(waiting) < len(self._courier.unconfirmed):
            return now_s
        return max(min(waiting), now_s) if waiting else None

    def submit(self, statement: Statement, now_s: int) -> bool:
        """Write down what a period's settlement is, to be sent by :meth:`advance`; each period settles once.

        Parameters
        ----------
        statement : Statement
            Who pays what.
        now_s : int
            The time, as Unix time [s].

        Returns
        -------
        bool
            Whether it is new; submitting the same again does nothing.

        Raises
        ------
        ChainError
            If the period was submitted with other amounts, an account is unknown, or the batch is too large.
        """
        if statement.member[-1] >= len(self.names):
            raise ChainError(
                f"period {statement.period} names account {statement.member[-1]}, there are {len(self.names)}"
            )
        with self.outbox.writing():
            if not self.outbox.add_statement(statement, now_s):
                return False
            self._courier.put(self._kind.begin(statement))
        self._statements[statement.period] = statement
        self._owed = self._owed + statement.paid_micro_eur(len(self.names))
        return True

    def advance(self, now_s: int) -> tuple[SettledPeriod, ...]:
        """Look what the chain did, send what is due, and return the periods that became final.

        A node that does not answer is asked again the next time.

        Raises
        ------
        RevertedError
            If the contract refused a transaction, with the name of its error.
        ChainError
            If a receipt does not show what was submitted, or a transaction cannot be sent.
        """
        confirmed = self._courier.advance(now_s)
        return tuple(self._settled(found.job.period, now_s) for found in confirmed if found.job.last)

    def balances(self) -> IntArray:
        """Return every account's balance in the newest block [micro-euro], shape (n,)."""
        return self.market.balances()

    def traded_wh(self) -> IntArray:
        """Return what every account bought less what it sold, in all mined periods [Wh], shape (n,)."""
        return self.market.traded_wh()

    def reconcile(self, ledger_micro_eur: IntArray) -> None:
        """Compare the chain with the ledger, to the last micro-euro.

        The ledger must be what the submitted statements say; the chain must be what those of their transactions say
        that the last :meth:`advance` found mined. Once every period is final, chain and ledger are therefore equal.

        Parameters
        ----------
        ledger_micro_eur : ndarray of int64, shape (n,)
            What each account owns by the ledger, after the periods submitted [micro-euro].

        Raises
        ------
        ChainError
            If an account differs, naming it and the amount; or if the currency in escrow is not what was paid in.
        NodeDownError
            If the node does not answer.
        """
        if ledger_micro_eur.shape != (len(self.names),):
            raise ChainError(f"ledger has shape {ledger_micro_eur.shape}, expected ({len(self.names)},)")
        self._require_equal(self._initial - self._owed, ledger_micro_eur, "in the periods submitted", "in the ledger")
        on_chain, _ = self.market.accounts()
        escrow = self.market.currency.call("balanceOf", self.market.market.address)
        if escrow != self._escrow:
            raise ChainError(
                f"escrow holds {escrow} micro-euro, {self._escrow} were paid in ({escrow - self._escrow:+d})"
            )
        self._require_equal(on_chain, self._initial - self._courier.mined_micro_eur, "on chain", "by what was mined")

    def _require_equal(self, found: IntArray, expected: IntArray, where: str, by: str) -> None:
        wrong = np.flatnonzero(found != expected)
        if wrong.size:
            differences = (
                f"{self.names[i]} has {found[i]} micro-euro {where}, {expected[i]} {by} ({found[i] - expected[i]:+d})"
                for i in wrong
            )
            raise ChainError(f"chain and ledger differ at block {self.chain.block_number}: " + "; ".join(differences))

    def _proceed(self, job: Job, receipt: Receipt) -> Iterable[Job]:
        statement = self._statements.get(job.period) or self.outbox.statement(job.period)
        following = self._kind.proceed(statement, job.key, receipt)
        if job.last:
            self.outbox.mark_settled(job.period, settled=True)
        return following

    def _undone(self, job: Job) -> None:
        if job.last:
            self.outbox.mark_settled(job.period, settled=False)
            self._statements[job.period] = self.outbox.statement(job.period)

    def _require_success(self, job: Job, receipt: Receipt) -> None:
        error = self.market.market.abi.reverted(f"settlement of period {job.period}", receipt.revert_data)
        if error.error not in _TOO_EARLY:
            require_success(self.market.market.abi, receipt, f"settlement of period {job.period}")

    def _settled(self, period: int, now_s: int) -> SettledPeriod:
        statement = self._statements.pop(period, None) or self.outbox.statement(period)
        done = self.outbox.confirmed_jobs(period)
        return SettledPeriod(
            period=period,
            transactions=tuple(job.transaction for job in done),
            block_number=done[-1].block_number,
            submitted_s=self.outbox.submitted_s(period),
            mined_s=done[-1].mined_s,
            confirmed_s=now_s,
            gas_used=sum(job.gas_used for job in done),
            gas_cost_wei=sum(job.gas_used * job.gas_price_wei for job in done),
            calldata_bytes=sum(job.calldata_bytes for job in done),
            attempts=sum(job.attempts for job in done),
            accounts=statement.member.size,
            moved_micro_eur=int(np.maximum(statement.amount_micro_eur, 0).sum()),
        )


def _check(names: Sequence[str], initial_micro_eur: IntArray, kind: str, confirmations: int) -> None:
    if not names or initial_micro_eur.shape != (len(names),):
        raise ChainError(f"{len(names)} accounts do not fit initial balances of shape {initial_micro_eur.shape}")
    if initial_micro_eur.dtype != np.int64 or (initial_micro_eur < 0).any():
        raise ChainError("initial balances must be non-negative int64 micro-euro")
    if kind not in KINDS:
        raise ChainError(f"unknown kind of settlement {kind!r}; there are {', '.join(sorted(KINDS))}")
    if confirmations < 0:
        raise ChainError(f"confirmations are negative: {confirmations}")
