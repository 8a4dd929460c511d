"""The Rust EVM in the place of a node: it takes the transactions that were signed for the node, to replay them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpp_sim.chain.local import GENESIS_BASE_FEE_WEI
from vpp_sim.chain.revm import RevmChain
from vpp_sim.chain.revm_state import Account

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vpp_sim.chain.wallet import Wallet

__all__ = ["NodeStandIn"]

_PLENTY_WEI = 10**30


class NodeStandIn(RevmChain):
    """A chain under another chain's number, on which some accounts own plenty and have sent transactions before.

    Parameters
    ----------
    chain_id : int
        The node's.
    nonces : mapping of str to int
        Who owns native currency here, and the nonce of each one's next transaction.
    genesis_timestamp_s : int
        Time of block 0 [s].

    Examples
    --------
    >>> chain = NodeStandIn(31_337, {"0x" + "11" * 20: 5}, genesis_timestamp_s=1_000)
    >>> chain.chain_id, chain.nonce("0x" + "11" * 20)
    (31337, 5)
    """

    def __init__(self, chain_id: int, nonces: Mapping[str, int], *, genesis_timestamp_s: int) -> None:
        self._node_id, self._nonces = chain_id, dict(nonces)
        self._fee_wei = GENESIS_BASE_FEE_WEI
        super().__init__(accounts=2, seed=0, genesis_timestamp_s=genesis_timestamp_s)

    @property
    def chain_id(self) -> int:
        """Number of the chain."""
        return self._node_id

    @property
    def base_fee_wei(self) -> int:
        """Base fee of the next block, as it was told [wei per gas]."""
        return self._fee_wei

    def follow(self, base_fee_wei: int) -> None:
        """Take this base fee for the next blocks [wei per gas]."""
        self._fee_wei = base_fee_wei

    def _open(self, wallet: Wallet, genesis_timestamp_s: int) -> None:
        super()._open(wallet, genesis_timestamp_s)
        for address, nonce in self._nonces.items():
            self._state.put(address, Account(nonce=nonce, balance_wei=_PLENTY_WEI))
