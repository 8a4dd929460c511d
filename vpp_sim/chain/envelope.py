"""Signed EIP-1559 transactions as bytes: signed by a key, read back, and their sender recovered.

Only type 2 is spoken (EIP-1559 [1]_ in an EIP-2718 envelope), without access lists: every chain since London takes it.
A signature is checked as EIP-2 demands: `s` in the lower half, so that nobody can make a second valid copy.

References
----------
.. [1] V. Buterin et al., "EIP-1559: Fee market change for ETH 1.0 chain". https://eips.ethereum.org/EIPS/eip-1559
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import rlp
from eth_hash.auto import keccak
from eth_keys.backends.coincurve import CoinCurveECCBackend
from eth_keys.datatypes import Signature
from eth_keys.exceptions import BadSignature
from eth_utils.exceptions import ValidationError

from vpp_sim.chain.addresses import canonical_address, checksum_address
from vpp_sim.chain.protocol import TransactionRefusedError
from vpp_sim.chain.rlp_bytes import Item, encode_integer, encode_rlp

if TYPE_CHECKING:
    from coincurve import PrivateKey as Signer

    from vpp_sim.chain.protocol import Fees, Transaction

__all__ = ["CURVE", "SignedTransaction", "decode_transaction", "sign_transaction"]

CURVE = CoinCurveECCBackend()
"""The fast library for signatures; eth-keys looks for one anew at each signature unless it is told."""

_TYPE = b"\x02"
_HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
_FIELDS = 12
_ADDRESS_BYTES = 20


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """A transaction that its sender signed.

    Attributes
    ----------
    raw : bytes
        What is sent to a node.
    hash : str
        Keccak-256 of `raw`, ``0x`` and 64 hexadecimal digits.
    sender : str
        Who signed.
    chain_id, nonce : int
        The chain it is for, and its number among its sender's transactions.
    priority_fee_wei, max_fee_wei : int
        Tip, and the most that is paid altogether [wei per gas].
    gas_limit : int
        The most gas that it may use [gas].
    to : str or None
        Whom it calls; None creates a contract.
    value_wei : int
        Native currency that goes with it [wei].
    data : bytes
        Call data or creation code.
    """

    raw: bytes
    hash: str
    sender: str
    chain_id: int
    nonce: int
    priority_fee_wei: int
    max_fee_wei: int
    gas_limit: int
    to: str | None
    value_wei: int
    data: bytes

    @property
    def most_wei(self) -> int:
        """The most that it can cost its sender: all gas at the highest fee, and the value [wei]."""
        return self.gas_limit * self.max_fee_wei + self.value_wei


def sign_transaction(
    transaction: Transaction, signer: Signer, *, chain_id: int, nonce: int, fees: Fees
) -> SignedTransaction:
    """Return `transaction` signed; the same arguments give the same bytes (RFC 6979)."""
    to = b"" if transaction.to is None else canonical_address(transaction.to)
    content: list[Item] = [
        encode_integer(chain_id),
        encode_integer(nonce),
        encode_integer(fees.priority_wei),
        encode_integer(fees.max_wei),
        encode_integer(transaction.gas_limit),
        to,
        encode_integer(transaction.value_wei),
        transaction.data,
        [],
    ]
    signature = signer.sign_recoverable(keccak(_TYPE + encode_rlp(content)), hasher=None)
    r, s, parity = signature[:32].lstrip(b"\0"), signature[32:64].lstrip(b"\0"), encode_integer(signature[64])
    raw = _TYPE + encode_rlp([*content, parity, r, s])
    return SignedTransaction(
        raw=raw,
        hash=f"0x{keccak(raw).hex()}",
        sender=transaction.sender,
        chain_id=chain_id,
        nonce=nonce,
        priority_fee_wei=fees.priority_wei,
        max_fee_wei=fees.max_wei,
        gas_limit=transaction.gas_limit,
        to=transaction.to,
        value_wei=transaction.value_wei,
        data=transaction.data,
    )


def decode_transaction(raw: bytes) -> SignedTransaction:
    """Return what `raw` says and who signed it.

    Raises
    ------
    TransactionRefusedError
        If it is no EIP-1559 transaction, or its signature is none.
    """
    transaction_hash = f"0x{keccak(raw).hex()}"
    content = _fields(raw, transaction_hash)
    numbers = [int.from_bytes(field, "big") for field in (*content[:5], content[6], *content[9:])]
    chain_id, nonce, priority_wei, max_wei, gas_limit, value_wei, parity, r, s = numbers
    if priority_wei > max_wei:
        raise TransactionRefusedError(transaction_hash, f"priority fee {priority_wei} wei exceeds max {max_wei} wei")
    return SignedTransaction(
        raw=raw,
        hash=transaction_hash,
        sender=_sender(content, (parity, r, s), transaction_hash),
        chain_id=chain_id,
        nonce=nonce,
        priority_fee_wei=priority_wei,
        max_fee_wei=max_wei,
        gas_limit=gas_limit,
        to=checksum_address(content[5]) if content[5] else None,
        value_wei=value_wei,
        data=content[7],
    )


def _fields(raw: bytes, transaction_hash: str) -> list[bytes]:
    if raw[:1] != _TYPE:
        raise TransactionRefusedError(transaction_hash, "not an EIP-1559 transaction (type 2)")
    try:
        content = rlp.decode(raw[1:])
    except rlp.DecodingError as error:
        raise TransactionRefusedError(transaction_hash, f"not RLP: {error}") from error
    if not isinstance(content, list) or len(content) != _FIELDS:
        raise TransactionRefusedError(transaction_hash, f"an EIP-1559 transaction has {_FIELDS} fields")
    if content[8]:
        raise TransactionRefusedError(transaction_hash, "access lists are not spoken here")
    plain = [field for at, field in enumerate(content) if at != 8]
    numbers = [field for at, field in enumerate(content) if at not in (5, 7, 8)]
    if (
        not all(isinstance(field, bytes) for field in plain)
        or any(field[:1] == b"\0" or len(field) > 32 for field in numbers)
        or len(content[5]) not in (0, _ADDRESS_BYTES)
    ):
        raise TransactionRefusedError(transaction_hash, "a field is malformed")
    return content


def _sender(content: list[bytes], signature: tuple[int, int, int], transaction_hash: str) -> str:
    if signature[2] > _HALF_ORDER:
        raise TransactionRefusedError(transaction_hash, "signature is invalid: s is in the upper half (EIP-2)")
    digest = keccak(_TYPE + encode_rlp(content[:9]))
    try:
        public_key = Signature(vrs=signature, backend=CURVE).recover_public_key_from_msg_hash(digest)
    except (BadSignature, ValidationError) as error:
        raise TransactionRefusedError(transaction_hash, f"signature is invalid: {error}") from error
    return checksum_address(public_key.to_canonical_address())
