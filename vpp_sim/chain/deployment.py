"""Mining by hand, as a set-up needs it: block after block until nothing is pending, and every failure in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpp_sim.errors import ChainError

if TYPE_CHECKING:
    from vpp_sim.chain.contract import Abi
    from vpp_sim.chain.protocol import Chain, Receipt

__all__ = ["mine_all", "require_success"]

_MOST_IDLE_BLOCKS = 20
"""A base fee that is too high for what waits falls by an eighth a block: this many divide it by fourteen."""


def mine_all(chain: Chain, abi: Abi, action: str) -> tuple[Receipt, ...]:
    """Mine until nothing is pending, one second a block, and require that everything succeeded.

    Raises
    ------
    RevertedError
        If a transaction failed; the message begins with `action`.
    ChainError
        If blocks stay empty while transactions wait, as on a node that dropped one.
    """
    receipts: list[Receipt] = []
    idle = 0
    while chain.pending and idle < _MOST_IDLE_BLOCKS:
        found = chain.mine(chain.timestamp_s + 1).receipts
        idle = 0 if found else idle + 1
        receipts += found
    if chain.pending:
        raise ChainError(f"{action}: {chain.pending} transactions are not mined, {idle} blocks later; send them again")
    for receipt in receipts:
        require_success(abi, receipt, action)
    return tuple(receipts)


def require_success(abi: Abi, receipt: Receipt, action: str) -> None:
    """Raise the decoded error of a failed transaction.

    Raises
    ------
    RevertedError
        If the transaction failed.
    """
    if not receipt.succeeded:
        raise abi.reverted(action, receipt.revert_data)
