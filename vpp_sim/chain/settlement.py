"""The settlement client: settles each period exactly once, and reconciles the chain with the ledger.

Signs are the ledger's: an amount is positive when its account pays, traded energy is positive when its account bought.
A balance is what an account owns, so a positive amount lowers it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vpp_sim.chain.courier import Courier
from vpp_sim.chain.deployment import require_success
from vpp_sim.chain.direct_trades import Direct
from vpp_sim.chain.kinds import Netted, Proof
from vpp_sim.chain.market import Market, deploy_market, fund
from vpp_sim.chain.openings import Openings
from vpp_sim.chain.outbox import Outbox
from vpp_sim.chain.settled_period import SettledPeriod
from vpp_sim.errors import ChainError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from vpp_sim.arrays import IntArray
    from vpp_sim.chain.market import Terms
    from vpp_sim.chain.protocol import Chain, Receipt
    from vpp_sim.chain.statements import Job, Opening, SettlementKind, Statement

__all__ = ["KINDS", "SettledPeriod", "SettlementClient", "open_market"]

KINDS: dict[str, Callable[[Market, int], SettlementKind]] = {
    "netted": lambda market, accounts: Netted(market, accounts),
    "proof": lambda market, accounts: Proof(market, accounts),
    "direct": lambda market, accounts: Direct(market, accounts),
}
"""Ways to settle whole periods, by name; each is made for a market and a number of accounts."""

_TOO_EARLY = ("MarketPeriodNotOver", "MarketWindowOpen")
"""Errors of a transaction that a reorganisation moved into a block of an earlier time: it is sent once more."""
_NOT_OPENED = (
    "MarketExpired",
    "MarketPeriodOver",
    "MarketInsufficientBalance",
    "MarketOrderFilled",
    "MarketInvalidNonce",
)
"""Errors of a trade that is never opened: it came too late, its buyer lacks the money, or a member cancelled."""


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
        self._openings = Openings(self._kind, self.outbox, len(names))
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
            looked=self._begin_due,
        )

    @property
    def counts(self) -> dict[str, int]:
        """How often something went wrong on the way to the chain."""
        return self._courier.counts | (self._openings.counts if self.opens_trades else {})

    @property
    def opens_trades(self) -> bool:
        """Whether trades are to be told as they are agreed, by :meth:`open`."""
        return self._kind.opens_trades

    @property
    def unsettled(self) -> tuple[int, ...]:
        """Periods that were submitted and are not final."""
        return tuple(self._statements)

    @property
    def final_micro_eur(self) -> IntArray:
        """What each account has paid for good, shape (n,): by confirmed transactions alone [micro-euro].

        Money that is locked for a trade is paid to nobody, until its whole period is final.
        """
        final = self._courier.confirmed_micro_eur
        return self._openings.without_locked(final) if self.opens_trades else final

    def due_s(self, now_s: int) -> int | None:
        """Return when the next block is of use [s]: now, when a transaction becomes due, or never (None)."""
        unconfirmed = self._courier.unconfirmed
        waiting = [item.job.ready_s for item in unconfirmed if not item.attempts]
        if len(waiting) < len(unconfirmed):
            return now_s
        waiting += self._openings.waiting_s
        return max(min(waiting), now_s) if waiting else None

    def open(self, period: int, trades: np.ndarray, now_s: int, first: int = 0) -> int:
        """Write down that trades are to be opened, to be sent by :meth:`advance`; telling them again does nothing.

        A trade whose cost is not covered is left to the period's batch, as one is that does not open in time. Covered
        is what the buyer's balance holds beyond all that it has not paid yet, of periods and of other open trades.

        Parameters
        ----------
        period : int
            The period of delivery, which is not over.
        trades : ndarray of TRADE_LINE, shape (k,)
            The trades, as agreed.
        now_s : int
            The time, as Unix time [s].
        first : int, default 0
            How many trades of the period were told before.

        Returns
        -------
        int
            How many are to be opened.

        Raises
        ------
        ChainError
            If the period was submitted already.
        """
        with self.outbox.writing():
            if self.outbox.has_statement(period):
                raise ChainError(f"period {period} was submitted, so no trade of it can be opened at {now_s} s")
            self._openings.add(period)
            jobs = self._openings.covered(self._kind.open(period, trades, first), self._free_micro_eur())
            self._courier.put(jobs)
        return len(jobs)

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
            if not self.opens_trades:
                self._begin(statement, ())
        self._statements[statement.period] = statement
        if self.opens_trades:
            self._openings.add(statement.period, submitted=True)
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

    def _free_micro_eur(self) -> IntArray:
        """Return what each account owns once it paid all that was submitted, before it receives any [micro-euro]."""
        free = self._initial - self._owed
        for statement in self._statements.values():
            free = free + np.minimum(statement.paid_micro_eur(len(self.names)), 0)
        return free

    def _begin_due(self, now_s: int) -> None:
        """Begin to pay the periods of whose trades it is certain whether they opened."""
        for period, openings in self._openings.certain(now_s):
            with self.outbox.writing():
                self._begin(self._statements[period], openings)

    def _begin(self, statement: Statement, openings: Sequence[Opening]) -> None:
        self._courier.put(self._kind.begin(statement, openings))
        self.outbox.mark_begun(statement.period)

    def _proceed(self, job: Job, receipt: Receipt) -> Iterable[Job]:
        if job.expires_s is not None:
            self._kind.opened(job.key, receipt)
            if self.outbox.has_begun(job.period):
                raise ChainError(f"{job.key} opened a trade after its period was paid without it")
            return ()
        statement = self._statements.get(job.period) or self.outbox.statement(job.period)
        openings = self.outbox.openings(job.period) if self.opens_trades else None
        following = self._kind.proceed(statement, job.key, receipt, openings or ())
        if job.last:
            self.outbox.mark_settled(job.period, settled=True)
            self._openings.settled(job.period)
        return following

    def _undone(self, job: Job) -> None:
        if job.expires_s is not None and self.outbox.has_begun(job.period):
            raise ChainError(f"a reorganisation undid {job.key} after its period was paid by it")
        if job.last:
            self.outbox.mark_settled(job.period, settled=False)
            self._statements[job.period] = self.outbox.statement(job.period)
            self._openings.add(job.period)

    def _require_success(self, job: Job, receipt: Receipt) -> bool:
        """Raise what a failed transaction reverted with; return whether to repeat it if that is nothing bad."""
        action = f"settlement of period {job.period}"
        error = self.market.market.abi.reverted(action, receipt.revert_data)
        if error.error in _TOO_EARLY:
            return True
        if job.expires_s is None or error.error not in _NOT_OPENED:
            require_success(self.market.market.abi, receipt, action)
        return False

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
