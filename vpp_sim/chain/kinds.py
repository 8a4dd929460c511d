"""The ways to settle on an energy market: netted in one batch, proven by a root, or trade by trade.

Netted and proven settlement make of a period's statement the jobs that pay it, and say of each receipt whether it shows
what its job was sent for; a client keeps, sends and repeats the jobs. Direct trades are no settlement of a statement:
their money is locked before the period is over, so :class:`Direct` makes the same kind of jobs in three steps. All jobs
are the operator's, who brings the members' and the oracle's signatures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from eth_utils.crypto import keccak

from vpp_sim.chain.batch import pack_entries
from vpp_sim.chain.deployment import require_success
from vpp_sim.chain.market import meter_of
from vpp_sim.chain.merkle import MerkleTree
from vpp_sim.chain.protocol import Transaction
from vpp_sim.chain.statements import Job
from vpp_sim.chain.typed_data import Batch, Order, Reading, balance_leaves, digest, trade_leaves
from vpp_sim.errors import ChainError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vpp_sim.arrays import IntArray
    from vpp_sim.chain.contract import Contract, Event
    from vpp_sim.chain.market import Market
    from vpp_sim.chain.protocol import Receipt
    from vpp_sim.chain.statements import Statement

__all__ = ["LINES_A_CLAIM", "TRANSACTION_GAS", "Direct", "Netted", "Proof", "Trade"]

TRANSACTION_GAS = 2**24
"""The most gas that a transaction may use on a public chain, by EIP-7825 [gas]."""
LINES_A_CLAIM = 400
"""How many lines are claimed in one transaction."""

_BASE_GAS, _ROOT_GAS = 150_000, 150_000
_ENTRY_GAS, _NEW_ENTRY_GAS = 7_500, 30_000  # of an account whose slot was written before, and of another
_LINE_GAS = 35_000
_OPEN_GAS, _READING_GAS, _TRADE_GAS = 500_000, 150_000, 200_000
_WH_A_KWH = 1_000


class _Kind:
    """What all kinds share: the market, the number of accounts, and how a job is made.

    Parameters
    ----------
    market : Market
        Where is settled; account i is its member i.
    accounts : int, optional
        How many accounts there are; by default the market's members.
    """

    def __init__(self, market: Market, accounts: int | None = None) -> None:
        self.market = market
        self.accounts = market.member_count if accounts is None else accounts

    def _job(
        self, key: str, contract: Contract, gas: int, call: tuple[object, ...], *, ready_s: int, effect: IntArray,
        last: bool = False,
    ) -> Job:  # fmt: skip
        function, *arguments = call
        data = contract.abi.encode(str(function), *arguments)
        transaction = Transaction(self.market.operator, contract.address, data, gas)
        return Job(key, int(key.split("/")[0]), transaction, ready_s, effect, last)

    def _nothing(self) -> IntArray:
        return np.zeros(self.accounts, dtype=np.int64)

    def _sign(self, address: str, message: Batch | Order | Reading, contract: Contract) -> bytes:
        hashed = digest(message, chain_id=self.market.chain.chain_id, contract=contract.address)
        return self.market.chain.wallet.sign_digest(address, hashed)

    def _most_gas(self) -> int:
        return min(self.market.chain.block_gas_limit, TRANSACTION_GAS)


class Netted(_Kind):
    """Each period is one batch of every account's net amount and energy, which the oracle signs; money moves at once.

    See :class:`~vpp_sim.chain.statements.SettlementKind`. The only job is ``"<period>/batch"``.

    Parameters
    ----------
    market : Market
        Where is settled; account i is its member i.
    accounts : int, optional
        How many accounts there are; by default the market's members.
    """

    def begin(self, statement: Statement) -> tuple[Job, ...]:
        """Return the batch.

        Raises
        ------
        ChainError
            If it has more accounts than fit into one transaction.
        """
        size, most_gas = statement.member.size, self._most_gas()
        if _BASE_GAS + _ENTRY_GAS * size > most_gas:
            raise ChainError(
                f"period {statement.period}: a batch of {size} accounts needs about {_ENTRY_GAS * size} gas, and a"
                f" transaction has at most {most_gas}; settle so many accounts by proof"
            )
        market, entries = self.market, _entries(statement)
        signature = self._sign(market.oracle, Batch(statement.period, entries), market.market)
        job = self._job(
            f"{statement.period}/batch",
            market.market,
            min(_BASE_GAS + _NEW_ENTRY_GAS * size, most_gas),
            ("settleNetted", statement.period, entries, market.oracle, signature),
            ready_s=market.terms.end_s(statement.period),
            effect=statement.paid_micro_eur(self.accounts),
            last=True,
        )
        return (job,)

    def proceed(self, statement: Statement, key: str, receipt: Receipt) -> tuple[Job, ...]:
        """Return nothing, as a batch is all of a period.

        Raises
        ------
        ChainError
            If the receipt does not show this period settled by this batch.
        """
        _require_part(statement, key, "batch")
        event = _only_event(self.market.market, receipt, "PeriodSettled", f"period {statement.period}")
        content = event.arguments["period"], event.arguments["digest"]
        if content != (statement.period, keccak(_entries(statement))):
            raise ChainError(f"period {statement.period}: the receipt is of another batch, of period {content[0]}")
        return ()


class Proof(_Kind):
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
        if not 0 < lines_a_claim <= (self._most_gas() - _BASE_GAS) // _LINE_GAS:
            raise ChainError(f"a transaction cannot claim {lines_a_claim} lines")
        self._lines_a_claim = lines_a_claim
        self._newest: tuple[Statement, MerkleTree] | None = None

    def begin(self, statement: Statement) -> tuple[Job, ...]:
        """Return the transaction that posts the root."""
        job = self._job(
            f"{statement.period}/root",
            self.market.market,
            _ROOT_GAS,
            ("postRoot", statement.period, self.tree(statement).root),
            ready_s=self.market.terms.end_s(statement.period),
            effect=self._nothing(),
        )
        return (job,)

    def proceed(self, statement: Statement, key: str, receipt: Receipt) -> tuple[Job, ...]:
        """Return the claims once the root is posted, and nothing after a claim.

        Raises
        ------
        ChainError
            If the receipt does not show this root posted, or not exactly these lines booked.
        """
        period, action = statement.period, f"period {statement.period}"
        if key == f"{period}/root":
            event = _only_event(self.market.market, receipt, "RootPosted", action)
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
            effect = self._nothing()
            effect[statement.member[some]] = statement.amount_micro_eur[some]
            job = self._job(
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


class Trade(NamedTuple):
    """A direct trade whose money is locked, as the contract keeps it.

    `ahead_wh` is what the seller's meter must feed in before this trade is served [Wh].
    """

    buyer: int
    seller: int
    meter: bytes
    oracle: str
    period: int
    energy_wh: int
    ahead_wh: int
    price_micro_eur_per_kwh: int
    penalty_micro_eur_per_kwh: int
    timeout_s: int

    @property
    def cost_micro_eur(self) -> int:
        """What is locked of the buyer's [micro-euro]."""
        return self.energy_wh * self.price_micro_eur_per_kwh // _WH_A_KWH

    @property
    def collateral_micro_eur(self) -> int:
        """What is locked of the seller's [micro-euro]."""
        return self.energy_wh * self.penalty_micro_eur_per_kwh // _WH_A_KWH

    def released_micro_eur(self, metered_wh: int) -> tuple[int, int]:
        """Return what buyer and seller get back for a reading of the seller's meter; positive was drawn [Wh].

        Examples
        --------
        >>> trade = Trade(0, 1, bytes(32), "0x" + "00" * 20, 0, 2_000, 0, 250_000, 50_000, 0)
        >>> trade.released_micro_eur(-1_500)  # 1.5 of 2 kWh: 375,000 for it, 25,000 for what is missing
        (150000, 450000)
        """
        delivered_wh = min(max(-metered_wh - self.ahead_wh, 0), self.energy_wh)
        paid = delivered_wh * self.price_micro_eur_per_kwh // _WH_A_KWH
        penalty = (self.energy_wh - delivered_wh) * self.penalty_micro_eur_per_kwh // _WH_A_KWH
        return self.cost_micro_eur - paid + penalty, self.collateral_micro_eur - penalty + paid


class Direct(_Kind):
    """Each trade is opened by the signatures of both sides, and paid by the reading of the seller's meter.

    Before the period is over, :meth:`open` locks the money; after it, :meth:`read` records meters and :meth:`settle`
    pays. The jobs are ``"<period>/open/<k>"``, ``"<period>/reading/<account>"`` and ``"<period>/trade/<k>"``.

    Parameters
    ----------
    market : Market
        Where is traded; account i is its member i.
    accounts : int, optional
        How many accounts there are; by default the market's members.
    penalty_micro_eur_per_kwh : int
        What each kilowatt-hour that is not delivered costs the seller [micro-euro/kWh].
    patience_s : int, optional
        How long after the period's end a trade without a reading is refunded; by default the challenge window [s].
    """

    def __init__(
        self,
        market: Market,
        accounts: int | None = None,
        *,
        penalty_micro_eur_per_kwh: int = 0,
        patience_s: int | None = None,
    ) -> None:
        super().__init__(market, accounts)
        self._penalty_micro_eur_per_kwh = penalty_micro_eur_per_kwh
        self._patience_s = market.terms.challenge_window_s if patience_s is None else patience_s

    def orders(self, period: int, k: int, trade: np.void) -> tuple[Order, Order]:
        """Return offer and bid of trade `k`, which is of TRADE_LINE; its number tells a member's orders apart."""
        end_s = self.market.terms.end_s(period)
        offer = Order(
            maker=int(trade["seller"]),
            sells=True,
            period=period,
            energy_wh=int(trade["energy_wh"]),
            price_micro_eur_per_kwh=int(trade["price_micro_eur_per_kwh"]),
            penalty_micro_eur_per_kwh=self._penalty_micro_eur_per_kwh,
            oracle=self.market.oracle,
            expiry_s=end_s - 1,
            timeout_s=end_s + self._patience_s,
            nonce=k,
        )
        return offer, offer._replace(maker=int(trade["buyer"]), sells=False)

    def open(self, period: int, trades: np.ndarray) -> tuple[Job, ...]:
        """Return the transactions that match offer and bid of each trade; they must be mined before the period's end.

        Parameters
        ----------
        period : int
            The period of delivery.
        trades : ndarray of TRADE_LINE, shape (k,)
            The trades.
        """
        return tuple(self._open(period, k, trade) for k, trade in enumerate(trades))

    def opened(self, key: str, receipt: Receipt) -> Trade:
        """Return the trade that a job of :meth:`open` opened.

        Raises
        ------
        ChainError
            If the receipt shows none.
        """
        event = _only_event(self.market.direct, receipt, "TradeOpened", f"trade {key}")
        trade = Trade(*event.arguments["trade"])
        if trade.period != int(key.split("/")[0]):
            raise ChainError(f"trade {key}: the receipt is of a trade of period {trade.period}")
        return trade

    def read(self, period: int, member: IntArray, metered_wh: IntArray) -> tuple[Job, ...]:
        """Return the transactions that record the meters of accounts; positive was drawn [Wh]."""
        return tuple(self._read(period, *reading) for reading in zip(member.tolist(), metered_wh.tolist(), strict=True))

    def settle(self, period: int, trades: Sequence[Trade], metered_wh: IntArray) -> tuple[Job, ...]:
        """Return the transactions that pay trades.

        Parameters
        ----------
        period : int
            The period of delivery.
        trades : sequence of Trade
            As :meth:`opened` returned them.
        metered_wh : ndarray of int64, shape (k,)
            Of each trade, what was recorded of the seller's meter [Wh].
        """
        jobs = []
        for k, (trade, reading) in enumerate(zip(trades, metered_wh.tolist(), strict=True)):
            to_buyer, to_seller = trade.released_micro_eur(reading)
            job = self._job(
                f"{period}/trade/{k}",
                self.market.direct,
                _TRADE_GAS,
                ("settleTrade", tuple(trade)),
                ready_s=self.market.terms.end_s(period),
                effect=self._moved(trade.buyer, -to_buyer, trade.seller, -to_seller),
                last=k == len(trades) - 1,
            )
            jobs.append(job)
        return tuple(jobs)

    def check(self, key: str, receipt: Receipt) -> None:
        """Check that a receipt shows what a job of :meth:`read` or :meth:`settle` was sent for.

        Raises
        ------
        ChainError
            If it does not.
        """
        part = key.split("/")[1]
        names = {"reading": "ReadingRecorded", "trade": "TradeSettled"}
        _only_event(self.market.direct, receipt, names[part], f"{part} {key}")

    def _open(self, period: int, k: int, line: np.void) -> Job:
        offer, bid = self.orders(period, k, line)
        direct, address = self.market.direct, self.market.member_address
        offered, wanted = (self._sign(address(order.maker), order, direct) for order in (offer, bid))
        cost = offer.energy_wh * offer.price_micro_eur_per_kwh // _WH_A_KWH
        collateral = offer.energy_wh * offer.penalty_micro_eur_per_kwh // _WH_A_KWH
        return self._job(
            f"{period}/open/{k}",
            direct,
            _OPEN_GAS,
            ("matchOrders", tuple(offer), offered, tuple(bid), wanted),
            ready_s=0,
            effect=self._moved(bid.maker, cost, offer.maker, collateral),
        )

    def _read(self, period: int, member: int, metered_wh: int) -> Job:
        reading, direct = Reading(meter_of(member), period, metered_wh), self.market.direct
        signature = self._sign(self.market.oracle, reading, direct)
        return self._job(
            f"{period}/reading/{member}",
            direct,
            _READING_GAS,
            ("recordReading", tuple(reading), self.market.oracle, signature),
            ready_s=self.market.terms.end_s(period),
            effect=self._nothing(),
        )

    def _moved(self, buyer: int, from_buyer: int, seller: int, from_seller: int) -> IntArray:
        effect = self._nothing()
        effect[buyer], effect[seller] = from_buyer, from_seller
        return effect


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


def _only_event(contract: Contract, receipt: Receipt, name: str, action: str) -> Event:
    """Return the one event of this name that a transaction emitted, which must have succeeded."""
    require_success(contract.abi, receipt, action)
    found = [event for event in contract.events(receipt) if event.name == name]
    if len(found) != 1:
        raise ChainError(f"{action}: transaction {receipt.transaction} shows {len(found)} events {name}, not 1")
    return found[0]
