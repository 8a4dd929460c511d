"""What block producers have heard of: signed transactions, when each reached them, and which make the next block.

A node's own queue (:mod:`~vpp_sim.chain.mempool`) holds one transaction for each nonce of a sender, without gaps. The
producers' may hold several, since a replacement can be lost on its way while the replaced one arrived; and gaps, where
one was lost and its followers were not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from vpp_sim.chain.envelope import SignedTransaction

__all__ = ["Gossip", "Heard"]


@dataclass(frozen=True, slots=True)
class Heard:
    """A transaction on its way to the producers, or there.

    Attributes
    ----------
    signed : SignedTransaction
        The transaction.
    visible_s : int
        Unix time from which producers know it [s].
    place : int
        Its place in their order, which a replacement inherits.
    """

    signed: SignedTransaction
    visible_s: int
    place: int

    @property
    def turn(self) -> tuple[str, int]:
        """Sender and nonce."""
        return self.signed.sender, self.signed.nonce


class Gossip:
    """Transactions that the network holds."""

    def __init__(self) -> None:
        self._heard: dict[tuple[str, int], dict[str, Heard]] = {}
        self._places = 0

    def holds(self, signed: SignedTransaction) -> bool:
        """Return whether a transaction is there or on its way."""
        return signed.hash in self._heard.get((signed.sender, signed.nonce), {})

    def tell(self, signed: SignedTransaction, visible_s: int) -> None:
        """Let the producers know a transaction from a Unix time on [s]."""
        rivals = self._heard.get((signed.sender, signed.nonce))
        self._places += rivals is None
        place = next(iter(rivals.values())).place if rivals else self._places
        self.put(Heard(signed, visible_s, place))

    def put(self, heard: Heard) -> None:
        """Put a transaction at its place."""
        self._heard.setdefault(heard.turn, {})[heard.signed.hash] = heard

    def take(self, sender: str, nonce: int) -> dict[str, Heard]:
        """Remove and return all that have this sender and nonce, by hash."""
        return self._heard.pop((sender, nonce), {})

    def clear(self) -> None:
        """Forget every transaction."""
        self._heard.clear()

    def choose(
        self, time_s: int, least_wei: int, block_gas_limit: int, nonce: Callable[[str], int]
    ) -> tuple[Heard, ...]:
        """Return the transactions of a block in their order, each sender's without gaps.

        Parameters
        ----------
        time_s : int
            The block's time; producers know what reached them until then [s].
        least_wei : int
            Least fee that is mined [wei per gas].
        block_gas_limit : int
            The most gas that the block holds [gas].
        nonce : callable
            The next nonce of an address in the newest block.
        """
        known = (
            max((one for one in rivals.values() if one.visible_s <= time_s), key=_fees, default=None)
            for rivals in self._heard.values()
        )
        waiting = [one for one in known if one is not None and one.signed.max_fee_wei >= least_wei]
        waiting.sort(key=lambda one: (one.place, one.signed.nonce))
        following = {sender: nonce(sender) for sender in {one.signed.sender for one in waiting}}
        chosen: list[Heard] = []
        gas, found = 0, True
        while found:
            found, rest = False, []
            for one in waiting:
                sender, its = one.turn
                if its != following[sender]:
                    rest.append(one)
                    continue
                gas += one.signed.gas_limit
                if gas > block_gas_limit:
                    return tuple(chosen)
                chosen.append(one)
                following[sender] += 1
                found = True
            waiting = rest
        return tuple(chosen)


def _fees(heard: Heard) -> tuple[int, int]:
    return heard.signed.max_fee_wei, heard.signed.priority_fee_wei
