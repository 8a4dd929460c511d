"""What a settlement period was and cost on the chain, once all its transactions are confirmed."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SettledPeriod"]


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
