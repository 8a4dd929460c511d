"""What the settlement of a period is made of: the statement that the ledger gives, and the transactions that pay it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from vpp_sim.errors import ChainError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vpp_sim.arrays import IntArray
    from vpp_sim.chain.protocol import Receipt, Transaction

__all__ = ["READING_LINE", "TRADE_LINE", "Job", "Opening", "SettlementKind", "Statement"]

_HEADER_WORDS = 3
_LINE = np.dtype([("member", "<i8"), ("amount_micro_eur", "<i8"), ("traded_wh", "<i8")])
TRADE_LINE = np.dtype([("buyer", "<i8"), ("seller", "<i8"), ("energy_wh", "<i8"), ("price_micro_eur_per_kwh", "<i8")])
"""One trade of a period: two accounts, energy delivered [Wh], price [micro-euro/kWh]."""
READING_LINE = np.dtype([("member", "<i8"), ("energy_wh", "<i8")])
"""What an account's meter measured in a period: positive was drawn, negative was fed in [Wh]."""


def _no_trades() -> np.ndarray:
    return np.empty(0, dtype=TRADE_LINE)


def _no_readings() -> np.ndarray:
    return np.empty(0, dtype=READING_LINE)


@dataclass(frozen=True, slots=True, eq=False)
class Statement:
    """What every account owes for one settlement period.

    Attributes
    ----------
    period : int
        The period, from 0; each settles once.
    member : ndarray of int64, shape (m,)
        Accounts whose balance moves, ascending, each once.
    amount_micro_eur : ndarray of int64, shape (m,)
        What each pays; sums to zero [micro-euro].
    traded_wh : ndarray of int64, shape (m,)
        What each bought from the others; sums to zero [Wh].
    trades : ndarray of TRADE_LINE, shape (k,)
        The trades behind it, for the kinds that prove them.
    readings : ndarray of READING_LINE, shape (r,)
        What meters measured, for the kinds that pay by readings; each account at most once.

    Raises
    ------
    ChainError
        If there is no account, one is named twice or is negative, or money or energy does not sum to zero.
    """

    period: int
    member: IntArray
    amount_micro_eur: IntArray
    traded_wh: IntArray
    trades: np.ndarray = field(default_factory=_no_trades)
    readings: np.ndarray = field(default_factory=_no_readings)

    def __post_init__(self) -> None:
        """Check that it is a statement."""
        columns = (self.member, self.amount_micro_eur, self.traded_wh)
        if any(column.dtype != np.int64 or column.shape != (self.member.size,) for column in columns):
            raise ChainError(f"period {self.period}: a statement has three lists of int64, of one length")
        if self.period < 0 or not self.member.size or self.member[0] < 0 or (np.diff(self.member) <= 0).any():
            raise ChainError(f"period {self.period}: accounts ascend from 0, each once: {self.member.tolist()}")
        for column, unit in zip(columns[1:], ("micro-euro", "Wh"), strict=True):
            if column.sum():
                raise ChainError(f"period {self.period}: lines sum to {column.sum()} {unit}, not to zero")

    def paid_micro_eur(self, accounts: int) -> IntArray:
        """Return what each of all accounts pays, shape (accounts,) [micro-euro]."""
        paid = np.zeros(accounts, dtype=np.int64)
        paid[self.member] = self.amount_micro_eur
        return paid

    def to_bytes(self) -> bytes:
        """Return it for storage; :meth:`from_bytes` is the way back."""
        lines = np.empty(self.member.size, dtype=_LINE)
        lines["member"], lines["amount_micro_eur"], lines["traded_wh"] = (
            self.member,
            self.amount_micro_eur,
            self.traded_wh,
        )
        header = np.array([self.period, lines.size, self.readings.size], dtype="<i8")
        return b"".join(part.tobytes() for part in (header, lines, self.readings, self.trades))

    @classmethod
    def from_bytes(cls, stored: bytes) -> Statement:
        """Return the statement that :meth:`to_bytes` stored.

        Examples
        --------
        >>> one = Statement(4, np.array([0, 2]), np.array([-5, 5]), np.array([0, 0]))
        >>> Statement.from_bytes(one.to_bytes()).amount_micro_eur.tolist()
        [-5, 5]
        """
        period, *sizes = np.frombuffer(stored, dtype="<i8", count=_HEADER_WORDS).tolist()
        at, parts = _HEADER_WORDS * 8, []
        for kind, size in zip((_LINE, READING_LINE, TRADE_LINE), (*sizes, -1), strict=True):
            parts.append(np.frombuffer(stored, dtype=kind, count=size, offset=at))
            at += parts[-1].nbytes
        lines, readings, trades = parts
        member, amount, traded = (
            np.ascontiguousarray(lines[name]) for name in ("member", "amount_micro_eur", "traded_wh")
        )
        return cls(period, member, amount, traded, trades, readings)


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """One transaction of a settlement, to be mined exactly once.

    Attributes
    ----------
    key : str
        Names it for ever: the same key is the same transaction, however often it is sent. ``"<period>/<part>"``.
    period : int
        The settlement period that it belongs to.
    transaction : Transaction
        What is to be done; sender, gas limit and data are final, nonce and fees are found when it is sent.
    ready_s : int
        Unix time before which the contract would refuse it [s].
    effect_micro_eur : ndarray of int64, shape (n,)
        What each account has paid once it is mined [micro-euro].
    last : bool
        Whether the period is settled with it.
    expires_s : int or None
        Unix time from which the contract refuses it for good. Such a job may fail, and is then done with; any other
        must succeed.
    """

    key: str
    period: int
    transaction: Transaction
    ready_s: int
    effect_micro_eur: IntArray
    last: bool
    expires_s: int | None = None


class Opening(NamedTuple):
    """What became of a job that was to open a trade: its key, its call data, and whether it did."""

    key: str
    data: bytes
    opened: bool


class SettlementKind(Protocol):
    """A way to settle: which transactions pay a statement, and which come before it."""

    opens_trades: bool
    """Whether trades are opened while their period lasts, and paid by meter readings."""

    def open(self, period: int, trades: np.ndarray, first: int = 0) -> tuple[Job, ...]:
        """Return the transactions that open trades before their period is over; often none.

        Each may fail; `first` is the number of the first trade within its period.
        """
        ...

    def opened(self, key: str, receipt: Receipt) -> object:
        """Return the trade that a job of :meth:`open` opened.

        Raises
        ------
        ChainError
            If the receipt shows none.
        """
        ...

    def begins_s(self, period: int) -> int:
        """Return the Unix time before which :meth:`begin` must wait [s]."""
        ...

    def begin(self, statement: Statement, openings: Sequence[Opening] = ()) -> tuple[Job, ...]:
        """Return the first transactions that pay a statement, in the order in which they must be mined.

        `openings` are all that were made for the period, in their order, of each of which it is certain what it did.
        """
        ...

    def proceed(
        self, statement: Statement, key: str, receipt: Receipt, openings: Sequence[Opening] = ()
    ) -> tuple[Job, ...]:
        """Return the transactions that follow the one of `key`, now that it is confirmed; often none.

        Raises
        ------
        ChainError
            If the receipt does not show what the transaction was sent for.
        """
        ...
