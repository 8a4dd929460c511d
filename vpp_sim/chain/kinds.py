"""Two ways to settle a period's statement on an energy market as a whole: netted in one batch, or proven by a root.

Each makes of a statement the jobs that pay it, and says of each receipt whether it shows what its job was sent for; a
client keeps, sends and repeats the jobs. All jobs are the operator's, who brings the oracle's signature. The third way,
in which trades between two members are opened before the period is over and only the rest is netted, is
:mod:`~vpp_sim.chain.direct_trades`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from eth_hash.auto import keccak

from vpp_sim.chain.batch import pack_entries
from vpp_sim.chain.deployment import require_success
from vpp_sim.chain.jobs import TRANSACTION_GAS, JobMaker, only_event
from vpp_sim.chain.merkle import MerkleTree
from vpp_sim.chain.typed_data import Batch, balance_leaves, trade_leaves
from vpp_sim.errors import ChainError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vpp_sim.arrays import IntArray
    from vpp_sim.chain.market import Market
    from vpp_sim.chain.protocol import Receipt
    from vpp_sim.chain.statements import Job, Opening, Statement

__all__ = ["LINES_A_CLAIM", "Netted", "Proof"]

LINES_A_CLAIM = 400
"""How many lines are claimed in one transaction."""

_BASE_GAS, _ROOT_GAS = 150_000, 150_000
_ENTRY_GAS, _NEW_ENTRY_GAS = 7_500, 30_000  # of an account whose slot was written before, and of another
_LINE_GAS = 35_000


class Netted(JobMaker):
    """Each period is one batch of every account's net amount and energy, which the oracle signs; money moves at once.

    See :class:`~vpp_sim.chain.statements.SettlementKind`. The only job is ``"<period>/batch"``.

    Parameters
    ----------
    market : Market
        Where is settled; account i is its member i.
    accounts : int, optional
        How many accounts there are; by default the market's members.
    """

    def begin(self, statement: Statement, openings: Sequence[Opening] = ()) -> tuple[Job, ...]:
        """Return the batch.

        Raises
        ------
        ChainError
            If it has more accounts than fit into one transaction.
        """
        size, most_gas = statement.member.size, _most_gas(self.market)
        if _BASE_GAS + _ENTRY_GAS * size > most_gas:
            raise ChainError(
                f"period {statement.period}: a batch of {size} accounts needs about {_ENTRY_GAS * size} gas, and a"
                f" transaction has at most {most_gas}; settle so many accounts by proof"
            )
        market, entries = self.market, _entries(statement)
        signature = self.sign(market.oracle, Batch(statement.period, entries), market.market)
        job = self.job(
            f"{statement.period}/batch",
            market.market,
            min(_BASE_GAS + _NEW_ENTRY_GAS * size, most_gas),
            ("settleNetted", statement.period, entries, market.oracle, signature),
            ready_s=market.terms.end_s(statement.period),
            effect=statement.paid_micro_eur(self.accounts),
            last=True,
        )
        return (job,)

    def proceed(
        self,
        statement: Statement,
        key: str,
        receipt: Receipt,
        openings: Sequence[Opening] = (),
    ) -> tuple[Job, ...]:
        """Return nothing, as a batch is all of a period.

        Raises
        ------
        ChainError
            If the receipt does not show this period settled by this batch.
        """
        _require_part(statement, key, "batch")
        event = only_event(self.market.market, receipt, "PeriodSettled", f"period {statement.period}")
        content = event.arguments["period"], event.arguments["digest"]
        if content != (statement.period, keccak(_entries(statement))):
            raise ChainError(f"period {statement.period}: the receipt is of another batch, of period {content[0]}")
        return ()


class Proof(JobMaker):
    """Each period is one Merkle root over all accounts and trades; money moves when the challenge window has closed.

    See :class:`~vpp_sim.chain.statements.SettlementKind`. The jobs are ``"<period>/root"`` and then
    ``"<period>/claims/<k>"``, those who pay first, since the others are paid out of what they paid.

    Parameters
    ----------
    market : Market
        Where is settled; account i is its member i.
    accounts : int, optional
        How many accounts there are; by default the market's members.
    lines_a_claim : int
        How many accounts are claimed for in one transaction.
    """

    def __init__(self, market: Market, accounts: int | None = None, *, lines_a_claim: int = LINES_A_CLAIM) -> None:
        super().__init__(market, accounts)
        if not 0 < lines_a_claim <= (_most_gas(self.market) - _BASE_GAS) // _LINE_GAS:
            raise ChainError(f"a transaction cannot claim {lines_a_claim} lines")
        self._lines_a_claim = lines_a_claim
        self._newest: tuple[Statement, MerkleTree] | None = None

    def begin(self, statement: Statement, openings: Sequence[Opening] = ()) -> tuple[Job, ...]:
        """Return the transaction that posts the root."""
        job = self.job(
            f"{statement.period}/root",
            self.market.market,
            _ROOT_GAS,
            ("postRoot", statement.period, self.tree(statement).root),
            ready_s=self.market.terms.end_s(statement.period),
            effect=self.nothing(),
        )
        return (job,)

    def proceed(
        self,
        statement: Statement,
        key: str,
        receipt: Receipt,
        openings: Sequence[Opening] = (),
    ) -> tuple[Job, ...]:
        """Return the claims once the root is posted, and nothing after a claim.

        Raises
        ------
        ChainError
            If the receipt does not show this root posted, or not exactly these lines booked.
        """
        period, action = statement.period, f"period {statement.period}"
        if key == f"{period}/root":
            event = only_event(self.market.market, receipt, "RootPosted", action)
            if (event.arguments["period"], event.arguments["root"]) != (period, self.tree(statement).root):
                raise ChainError(f"{action}: the receipt is of another root, of period {event.arguments['period']}")
            return self._claims(statement, receipt.timestamp_s)
        k = int(_require_part(statement, key, "claims").split("/")[1])
        require_success(self.market.market.abi, receipt, action)
        self._require_booked(statement, self._portions(statement)[k], receipt)
        return ()

    def tree(self, statement: Statement) -> MerkleTree:
        """Return the tree over the accounts, those who pay first, and then the trades."""
        if self._newest is None or self._newest[0] is not statement:
            leaves = balance_leaves(statement.period, *_lines(statement, _claim_order(statement)))
            self._newest = statement, MerkleTree(leaves + trade_leaves(statement.period, statement.trades))
        return self._newest[1]

    def settlement(self, statement: Statement, settled_at_s: int) -> tuple[int, bytes, int]:
        """Return how the contract names a settlement: period, root, and the time of the root's block [s]."""
        return statement.period, self.tree(statement).root, settled_at_s

    def line_path(self, statement: Statement, member: int) -> tuple[bytes, ...]:
        """Return the proof of an account's line, for ``claim`` and the challenges.

        Raises
        ------
        ChainError
            If the account is not in the statement.
        """
        (place,) = np.nonzero(statement.member[_claim_order(statement)] == member)
        if not place.size:
            raise ChainError(f"period {statement.period}: account {member} has no line")
        return self.tree(statement).path(int(place[0]))

    def trade_path(self, statement: Statement, trade: int) -> tuple[bytes, ...]:
        """Return the proof of trade number `trade` of the statement, for ``verifyTrade``.

        Raises
        ------
        ChainError
            If the statement has no such trade.
        """
        if not 0 <= trade < statement.trades.size:
            raise ChainError(f"period {statement.period}: no trade {trade} of {statement.trades.size}")
        return self.tree(statement).path(statement.member.size + trade)

    def _claims(self, statement: Statement, settled_at_s: int) -> tuple[Job, ...]:
        settlement, tree = self.settlement(statement, settled_at_s), self.tree(statement)
        jobs, first, portions = [], 0, self._portions(statement)
        for k, some in enumerate(portions):
            _, proof, flags = tree.multipath(range(first, first + some.size))
            first += some.size
            lines = list(zip(*(column.tolist() for column in _lines(statement, some)), strict=True))
            effect = self.nothing()
            effect[statement.member[some]] = statement.amount_micro_eur[some]
            job = self.job(
                f"{statement.period}/claims/{k}",
                self.market.market,
                _BASE_GAS + _LINE_GAS * some.size,
                ("claimMany", settlement, lines, proof, flags),
                ready_s=settled_at_s + self.market.terms.challenge_window_s + 1,
                effect=effect,
                last=k == len(portions) - 1,
            )
            jobs.append(job)
        return tuple(jobs)

    def _portions(self, statement: Statement) -> list[IntArray]:
        """Return which lines of the statement each claim books."""
        order = _claim_order(statement)
        return [order[first : first + self._lines_a_claim] for first in range(0, order.size, self._lines_a_claim)]

    def _require_booked(self, statement: Statement, some: IntArray, receipt: Receipt) -> None:
        events = [event for event in self.market.market.events(receipt) if event.name == "LineClaimed"]
        booked = {(event.arguments["period"], event.arguments["member"]): event.arguments["amount"] for event in events}
        for member, amount, _ in zip(*(column.tolist() for column in _lines(statement, some)), strict=True):
            if booked.pop((statement.period, member), None) != amount:
                raise ChainError(
                    f"period {statement.period}: the line of account {member} over {amount} micro-euro was not booked;"
                    " its balance or limit, or what others paid in, is too small"
                )
        if booked:
            raise ChainError(f"period {statement.period}: lines were booked that were not sent: {sorted(booked)}")


def _most_gas(market: Market) -> int:
    """Return what one transaction may use on the market's chain [gas]."""
    return min(market.chain.block_gas_limit, TRANSACTION_GAS)


def _entries(statement: Statement) -> bytes:
    return pack_entries(statement.member, statement.amount_micro_eur, statement.traded_wh)


def _lines(statement: Statement, some: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    return statement.member[some], statement.amount_micro_eur[some], statement.traded_wh[some]


def _claim_order(statement: Statement) -> IntArray:
    """Return the lines with those who pay first, else as they are."""
    return np.argsort(statement.amount_micro_eur <= 0, kind="stable")


def _require_part(statement: Statement, key: str, part: str) -> str:
    """Return the key without its period; it must be of this statement."""
    period, _, rest = key.partition("/")
    if period != str(statement.period) or rest.split("/")[0] != part:
        raise ChainError(f"period {statement.period} has no transaction {key!r}")
    return rest
