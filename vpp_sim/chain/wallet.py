"""Keys that sign: development keys from a seed, or a real one from the environment or a keystore.

A scenario never holds a key. On a chain with real users the operator's key comes from the environment, as hexadecimal
digits in ``VPP_SIM_CHAIN_KEY`` or as an encrypted keystore (Web3 Secret Storage, as geth and eth-account write it)
whose path is in ``VPP_SIM_CHAIN_KEYSTORE`` and whose password is in ``VPP_SIM_CHAIN_PASSWORD``. The members' keys
derive from the operator's, so that no one without it can move their balances; development keys, which anyone can
compute from the seed, are for chains inside the process and for local test nodes.
"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from coincurve import PrivateKey as Signer
from eth_keys.datatypes import PrivateKey
from eth_utils.exceptions import ValidationError

from vpp_sim.chain.envelope import CURVE, sign_transaction
from vpp_sim.errors import ChainError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from vpp_sim.chain.envelope import SignedTransaction
    from vpp_sim.chain.protocol import Fees, Transaction

__all__ = ["KEYSTORE_VARIABLE", "KEY_VARIABLE", "PASSWORD_VARIABLE", "Wallet", "development_key"]

KEY_VARIABLE = "VPP_SIM_CHAIN_KEY"
"""Environment variable with the operator's private key, 64 hexadecimal digits with or without ``0x``."""
KEYSTORE_VARIABLE = "VPP_SIM_CHAIN_KEYSTORE"
"""Environment variable with the path of the operator's encrypted keystore."""
PASSWORD_VARIABLE = "VPP_SIM_CHAIN_PASSWORD"
"""Environment variable with the password of the keystore."""

_KEY_BYTES, _FIRST_V = 32, 27


def development_key(seed: int, index: int) -> PrivateKey:
    """Return the private key of development account `index`; never to be used with real money.

    Examples
    --------
    >>> development_key(7, 0).public_key.to_checksum_address()
    '0x...'
    """
    return PrivateKey(sha256(f"vpp_sim development key {seed}/{index}".encode()).digest(), backend=CURVE)


class Wallet:
    """Keys in a fixed order, and the addresses they sign for.

    Parameters
    ----------
    keys : iterable of PrivateKey
        At least one, all different.

    Raises
    ------
    ChainError
        If there is no key, or one twice.

    Examples
    --------
    >>> wallet = Wallet.of_seed(7, accounts=2)
    >>> len(wallet.addresses), wallet
    (2, <Wallet of 2 accounts>)
    """

    def __init__(self, keys: Iterable[PrivateKey]) -> None:
        keys = tuple(keys)
        # coincurve's own keys sign without deriving the public key anew each time
        self._signers: dict[str, Signer] = {
            key.public_key.to_checksum_address(): Signer(key.to_bytes()) for key in keys
        }
        if not keys:
            raise ChainError("a wallet needs at least one account, not 0")
        if len(self._signers) < len(keys):
            raise ChainError("a wallet holds each key once")
        self.keys, self.addresses = keys, tuple(self._signers)

    @classmethod
    def of_seed(cls, seed: int, *, accounts: int) -> Wallet:
        """Return development keys, which derive from `seed` and are no secret."""
        return cls(development_key(seed, index) for index in range(accounts))

    @classmethod
    def of_key(cls, key: PrivateKey, *, accounts: int) -> Wallet:
        """Return the operator's key first, then keys that derive from it, as secret as it is."""
        own = key.to_bytes()
        derived = (sha256(own + f"vpp_sim member {index}".encode()).digest() for index in range(1, accounts))
        return cls((key, *(PrivateKey(secret, backend=CURVE) for secret in derived)))

    @classmethod
    def of_environment(cls, environment: Mapping[str, str], *, accounts: int) -> Wallet:
        """Return the wallet of the key that the environment names; see the module's first lines.

        Raises
        ------
        ChainError
            If the environment names no key or two, or what it names is none. No message shows a key or a password.
        """
        key, path = environment.get(KEY_VARIABLE), environment.get(KEYSTORE_VARIABLE)
        if (key is None) == (path is None):
            found = "neither is set" if key is None else "both are set"
            raise ChainError(
                f"the operator's key comes from the environment: set {KEY_VARIABLE} to its hexadecimal digits, or"
                f" {KEYSTORE_VARIABLE} to an encrypted keystore and {PASSWORD_VARIABLE} to its password; {found}"
            )
        if path is not None:
            return cls.of_keystore(Path(path), environment.get(PASSWORD_VARIABLE), accounts=accounts)
        try:
            secret = bytes.fromhex(str(key).strip().removeprefix("0x"))
            return cls.of_key(PrivateKey(secret, backend=CURVE), accounts=accounts)
        except (ValueError, ValidationError):
            raise ChainError(f"{KEY_VARIABLE} is no private key of {2 * _KEY_BYTES} hexadecimal digits") from None

    @classmethod
    def of_keystore(cls, path: Path, password: str | None, *, accounts: int) -> Wallet:
        """Return the wallet of the key in an encrypted keystore file.

        Raises
        ------
        ChainError
            If the file cannot be read, is no keystore, or the password does not open it.
        """
        from eth_account import Account  # heavy, and needed for this file alone

        if password is None:
            raise ChainError(f"keystore {path} needs a password: set {PASSWORD_VARIABLE}")
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise ChainError(f"cannot read keystore {path}: {error}") from error
        try:
            opened = bytes(Account.decrypt(content, password))
        except (ValueError, TypeError, KeyError, NotImplementedError) as error:
            raise ChainError(f"cannot open keystore {path}: {error}") from error
        return cls.of_key(PrivateKey(opened, backend=CURVE), accounts=accounts)

    def sign(self, transaction: Transaction, *, chain_id: int, nonce: int, fees: Fees) -> SignedTransaction:
        """Return `transaction` signed by its sender.

        Raises
        ------
        ChainError
            If the sender is none of `addresses`.
        """
        signer = self._signer("sender", transaction.sender)
        return sign_transaction(transaction, signer, chain_id=chain_id, nonce=nonce, fees=fees)

    def sign_digest(self, address: str, digest: bytes) -> bytes:
        """Return a signature of 32 hashed bytes as contracts read it: 65 bytes r, s, v with v 27 or 28.

        The same digest gives the same bytes (RFC 6979), with s in the lower half (EIP-2).

        Parameters
        ----------
        address : str
            Who signs.
        digest : bytes
            What is signed, for example by :func:`~vpp_sim.chain.typed_data.digest`.

        Raises
        ------
        ChainError
            If the address is none of `addresses`.
        """
        signature = self._signer("signer", address).sign_recoverable(digest, hasher=None)
        return signature[:-1] + bytes([_FIRST_V + signature[-1]])

    def _signer(self, role: str, address: str) -> Signer:
        signer = self._signers.get(address)
        if signer is None:
            raise ChainError(f"no key for {role} {address}")
        return signer

    def __repr__(self) -> str:
        """Return how many accounts there are, and never a key."""
        return f"<Wallet of {len(self._signers)} accounts>"
