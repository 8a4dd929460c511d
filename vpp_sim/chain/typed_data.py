"""What members, operator and oracle sign for an energy market, and the leaves that its roots stand for.

Messages are hashed as EIP-712 [1]_ says, bound to one contract on one chain. Orders and readings are for the contract
of direct trades, everything else for the market. A leaf is hashed twice behind the hash of its type, and names its
period.

References
----------
.. [1] R. Bloemen, L. Logvinov, J. Evans, "EIP-712: Typed structured data hashing and signing".
   https://eips.ethereum.org/EIPS/eip-712
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from eth_hash.auto import keccak

from vpp_sim.chain.addresses import canonical_address
from vpp_sim.chain.keccak import keccak_rows

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vpp_sim.arrays import IntArray

__all__ = [
    "Batch",
    "DebitLimit",
    "Mandate",
    "Message",
    "Order",
    "Reading",
    "balance_leaves",
    "digest",
    "trade_leaves",
]

_WORD_BYTES = 32


class Batch(NamedTuple):
    """The packed entries of a netted period, which an oracle signs."""

    period: int
    entries: bytes


class DebitLimit(NamedTuple):
    """The most that a period may debit a member, which the member signs [micro-euro]; good until its deadline [s]."""

    member: int
    limit_micro_eur: int
    nonce: int
    deadline_s: int


class Mandate(NamedTuple):
    """What a member allows an operator in netted and proven periods; both sign it.

    Energies are the most in a period [Wh], the prices the highest to buy at and the lowest to sell at
    [micro-euro/kWh], and the allowance is what else a period may cost [micro-euro].
    """

    member: int
    operator: str
    first_period: int
    last_period: int
    most_bought_wh: int
    most_sold_wh: int
    buy_price_micro_eur_per_kwh: int
    sell_price_micro_eur_per_kwh: int
    allowance_micro_eur: int


class Reading(NamedTuple):
    """What a meter measured in a period, which its oracle signs: positive was drawn, negative was fed in [Wh]."""

    meter: bytes
    period: int
    energy_wh: int


class Order(NamedTuple):
    """An offer (`sells`) or a bid for a direct trade, which its maker signs.

    Energy is the most to trade [Wh]; the price an offer's lowest, a bid's highest; the penalty what a kilowatt-hour
    that is not delivered costs the seller [micro-euro/kWh]. It can be accepted until `expiry_s`, and a trade without a
    reading is refunded from `timeout_s` on (Unix times [s]). The nonce tells the maker's orders apart.
    """

    maker: int
    sells: bool
    period: int
    energy_wh: int
    price_micro_eur_per_kwh: int
    penalty_micro_eur_per_kwh: int
    oracle: str
    expiry_s: int
    timeout_s: int
    nonce: int


Message = Batch | DebitLimit | Mandate | Reading | Order

_DOMAIN = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
_MARKET, _DIRECT, _VERSION = "EnergyMarket", "DirectTrades", "1"
_TYPES: dict[type, tuple[str, str]] = {
    Batch: (_MARKET, "Batch(uint64 period,bytes entries)"),
    DebitLimit: (_MARKET, "DebitLimit(uint32 member,int128 limit,uint256 nonce,uint64 deadline)"),
    Mandate: (
        _MARKET,
        "Mandate(uint32 member,address operator,uint64 firstPeriod,uint64 lastPeriod,int128 mostBought,"
        "int128 mostSold,uint64 buyPrice,uint64 sellPrice,int128 allowance)",
    ),
    Reading: (_DIRECT, "Reading(bytes32 meter,uint64 period,int128 energy)"),
    Order: (
        _DIRECT,
        "Order(uint32 maker,bool sells,uint64 period,int128 energy,uint64 price,uint64 penalty,address oracle,"
        "uint64 expiry,uint64 timeout,uint64 nonce)",
    ),
}
"""Of each kind of message, whose contract it is for and its type."""
_BALANCE_LEAF = "BalanceLeaf(uint64 period,uint32 member,int128 amount,int128 traded)"
_TRADE_LEAF = "TradeLeaf(uint64 period,uint32 buyer,uint32 seller,int128 energy,uint64 price)"


def digest(message: Message, *, chain_id: int, contract: str) -> bytes:
    """Return the 32 bytes that are signed.

    Parameters
    ----------
    message : Batch, DebitLimit, Mandate, Reading or Order
        What is said.
    chain_id : int
        The chain that it holds on.
    contract : str
        Address of the contract that shall believe it: that of direct trades for an order or a reading, else the market.

    Examples
    --------
    >>> len(digest(Reading(bytes(32), 3, -1_500), chain_id=1, contract="0x" + "11" * 20))
    32
    """
    name, type_text = _TYPES[type(message)]
    return bytes(keccak(b"\x19\x01" + _domain(name, chain_id, contract) + _struct_hash(type_text, message)))


def balance_leaves(period: int, member: IntArray, amount: IntArray, traded: IntArray) -> list[bytes]:
    """Return the leaves of accounts, which the market books when they are claimed.

    Parameters
    ----------
    period : int
        The settlement period.
    member : ndarray of int64, shape (m,)
        Accounts.
    amount : ndarray of int64, shape (m,)
        What each pays [micro-euro].
    traded : ndarray of int64, shape (m,)
        What each bought [Wh].

    Returns
    -------
    list of bytes
        m hashes of 32 bytes.
    """
    return _leaves(_BALANCE_LEAF, period, (member, amount, traded))


def trade_leaves(period: int, trades: np.ndarray) -> list[bytes]:
    """Return the leaves of trades, which a root proves.

    Parameters
    ----------
    period : int
        The settlement period.
    trades : ndarray of TRADE_LINE, shape (k,)
        The trades (:data:`~vpp_sim.chain.statements.TRADE_LINE`).

    Returns
    -------
    list of bytes
        k hashes of 32 bytes.
    """
    columns = [trades[name] for name in ("buyer", "seller", "energy_wh", "price_micro_eur_per_kwh")]
    return _leaves(_TRADE_LEAF, period, columns)


def _leaves(type_text: str, period: int, columns: Iterable[IntArray]) -> list[bytes]:
    """Return the doubled hash of each row behind the hash of the type and the period."""
    columns = tuple(columns)
    head = _type_hash(type_text) + _word(period)
    rows = np.empty((columns[0].size, len(head) + _WORD_BYTES * len(columns)), dtype=np.uint8)
    rows[:, : len(head)] = np.frombuffer(head, dtype=np.uint8)
    for k, column in enumerate(columns):
        word = rows[:, len(head) + _WORD_BYTES * k :][:, :_WORD_BYTES]
        word[:, :-8] = np.where(column < 0, 0xFF, 0)[:, None]  # the sign fills a word of two's complement
        word[:, -8:] = column.astype(">i8").view(np.uint8).reshape(-1, 8)
    hashes = keccak_rows(keccak_rows(rows)).tobytes()
    return [hashes[at : at + _WORD_BYTES] for at in range(0, len(hashes), _WORD_BYTES)]


@cache
def _type_hash(type_text: str) -> bytes:
    return bytes(keccak(type_text.encode()))


@cache
def _domain(name: str, chain_id: int, contract: str) -> bytes:
    """Return the domain separator of a contract."""
    words = (_type_hash(_DOMAIN), keccak(name.encode()), keccak(_VERSION.encode()), _word(chain_id), _word(contract))
    return bytes(keccak(b"".join(words)))


def _struct_hash(type_text: str, message: Message) -> bytes:
    members = zip(_member_types(type_text), message, strict=True)
    return bytes(keccak(_type_hash(type_text) + b"".join(_member(kind, value) for kind, value in members)))


def _member(kind: str, value: object) -> bytes:
    """Return a struct's member as one word; of bytes of any length their hash."""
    return bytes(keccak(value)) if kind == "bytes" and isinstance(value, bytes) else _word(value)


@cache
def _member_types(type_text: str) -> tuple[str, ...]:
    """Return the types of a struct's members, in order."""
    return tuple(member.split()[0] for member in type_text.split("(")[1].rstrip(")").split(","))


def _word(value: object) -> bytes:
    """Return a number, truth value, address or 32 bytes as one word."""
    if isinstance(value, int):
        return value.to_bytes(_WORD_BYTES, "big", signed=value < 0)
    word = value if isinstance(value, bytes) else canonical_address(str(value))
    return bytes(word).rjust(_WORD_BYTES, b"\0")
