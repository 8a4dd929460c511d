"""Addresses as people write them: in the mixed case of EIP-55, and those of contracts that are still to be created."""

from __future__ import annotations

from functools import lru_cache

from eth_hash.auto import keccak
from eth_utils.address import to_canonical_address, to_checksum_address

from vpp_sim.chain.rlp_bytes import encode_integer, encode_rlp

__all__ = ["canonical_address", "checksum_address", "created_address"]


@lru_cache(maxsize=2**15)
def canonical_address(address: str) -> bytes:
    """Return the 20 bytes of an address; the same few come again and again.

    Examples
    --------
    >>> canonical_address("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed").hex()
    '5aaeb6053f3e94c9b9a09f33669435e7ef1beaed'
    """
    return bytes(to_canonical_address(address))


@lru_cache(maxsize=2**15)
def checksum_address(address: str | bytes) -> str:
    """Return an address in the mixed case of EIP-55; the same few come again and again, and each costs a hash.

    Examples
    --------
    >>> checksum_address("0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed")  # from EIP-55
    '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed'
    """
    return str(to_checksum_address(address))


def created_address(sender: str, nonce: int) -> str:
    """Return the address of the contract that `sender` creates by its transaction `nonce`.

    Examples
    --------
    >>> created_address("0x6ac7ea33f8831ea9dcc53393aaa88b25a785dbf0", 0)  # from the go-ethereum test of this rule
    '0xcd234A471b72ba2F1Ccf0A70FCABA648a5eeCD8d'
    """
    return checksum_address(keccak(encode_rlp([canonical_address(sender), encode_integer(nonce)]))[12:])
