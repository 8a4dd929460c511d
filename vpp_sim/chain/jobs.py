"""How the jobs of an energy market are made, and what their receipts must show."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vpp_sim.chain.deployment import require_success
from vpp_sim.chain.protocol import Transaction
from vpp_sim.chain.statements import Job
from vpp_sim.chain.typed_data import Message, digest
from vpp_sim.errors import ChainError

if TYPE_CHECKING:
    from vpp_sim.arrays import IntArray
    from vpp_sim.chain.contract import Contract, Event
    from vpp_sim.chain.market import Market
    from vpp_sim.chain.protocol import Receipt

__all__ = ["TRANSACTION_GAS", "JobMaker", "only_event"]

TRANSACTION_GAS = 2**24
"""The most gas that a transaction may use on a public chain, by EIP-7825 [gas]."""


class JobMaker:
    """Makes jobs of the operator, and signs for the others; settles at once and opens nothing, unless a kind says so.

    Parameters
    ----------
    market : Market
        Where is settled; account i is its member i.
    accounts : int, optional
        How many accounts there are; by default the market's members.
    """

    opens_trades = False

    def __init__(self, market: Market, accounts: int | None = None) -> None:
        self.market = market
        self.accounts = market.member_count if accounts is None else accounts

    def open(self, period: int, trades: np.ndarray, first: int = 0) -> tuple[Job, ...]:
        """Return nothing: no trade is opened before its period is over."""
        return ()

    def opened(self, key: str, receipt: Receipt) -> object:
        """Raise, as nothing is opened."""
        raise ChainError(f"{key} opens a trade ({receipt.transaction}), which this kind of settlement does not")

    def begins_s(self, period: int) -> int:
        """Return that nothing must be waited for."""
        return 0

    def job(
        self,
        key: str,
        contract: Contract,
        gas: int,
        call: tuple[object, ...],
        *,
        ready_s: int,
        effect: IntArray,
        last: bool = False,
        expires_s: int | None = None,
    ) -> Job:
        """Return the job of calling a contract; `call` is the function's name and its arguments."""
        function, *arguments = call
        data = contract.abi.encode(str(function), *arguments)
        transaction = Transaction(self.market.operator, contract.address, data, gas)
        return Job(key, int(key.split("/")[0]), transaction, ready_s, effect, last, expires_s)

    def nothing(self) -> IntArray:
        """Return that no account pays, shape (accounts,) [micro-euro]."""
        return np.zeros(self.accounts, dtype=np.int64)

    def sign(self, address: str, message: Message, contract: Contract) -> bytes:
        """Return an account's signature of what a contract shall believe."""
        hashed = digest(message, chain_id=self.market.chain.chain_id, contract=contract.address)
        return self.market.chain.wallet.sign_digest(address, hashed)


def only_event(contract: Contract, receipt: Receipt, name: str, action: str) -> Event:
    """Return the one event of this name that a transaction emitted.

    Raises
    ------
    ChainError
        If the transaction failed, or shows no or several such events.
    """
    require_success(contract.abi, receipt, action)
    found = [event for event in contract.events(receipt) if event.name == name]
    if len(found) != 1:
        raise ChainError(f"{action}: transaction {receipt.transaction} shows {len(found)} events {name}, not 1")
    return found[0]
