"""Direct trades: two members sign an offer and a bid, both lock money, and a meter reading pays; the rest is netted.

The operator only carries signatures to the chain; anybody could. Before the period is over, :meth:`Direct.open` locks
the money. A trade whose transaction is late, lost, or without cover is never opened, and the period's end makes that
certain. But a reorganisation may undo what was final, so :meth:`Direct.begin` waits as long again as the challenge
window lasts, until it is known of each trade whether it opened: then meters are recorded, trades are paid, and one
batch settles what the ledger says beside: retail energy and levies, the trades that never opened, and what the contract
pays otherwise than the ledger, since it serves the trades on a meter in their order and the ledger shrinks them alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from eth_abi.abi import decode

from vpp_sim.chain.deployment import require_success
from vpp_sim.chain.jobs import JobMaker, only_event
from vpp_sim.chain.kinds import Netted
from vpp_sim.chain.market import meter_of
from vpp_sim.chain.statements import Statement
from vpp_sim.chain.typed_data import Order, Reading
from vpp_sim.errors import ChainError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vpp_sim.arrays import IntArray
    from vpp_sim.chain.market import Market
    from vpp_sim.chain.protocol import Receipt
    from vpp_sim.chain.statements import Job, Opening

__all__ = ["TRADES_A_PAYMENT", "Direct", "Trade"]

TRADES_A_PAYMENT = 50
"""How many trades are paid in one transaction."""

_OPEN_GAS, _READING_GAS, _TRADE_GAS = 300_000, 150_000, 200_000
_PAYMENT_GAS, _READING_MORE_GAS, _TRADE_MORE_GAS = 100_000, 60_000, 80_000  # of several in one transaction
_SELECTOR_BYTES, _DAY_S = 4, 86_400
_ORDER = "(uint32,bool,uint64,int128,uint64,uint64,address,uint64,uint64,uint64)"
_MATCH_TYPES = (_ORDER, "bytes", _ORDER, "bytes")
_WH_A_KWH = 1_000


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

    def delivered_wh(self, metered_wh: int) -> int:
        """Return what it delivered by a reading of the seller's meter; positive was drawn [Wh]."""
        return min(max(-metered_wh - self.ahead_wh, 0), self.energy_wh)

    def released_micro_eur(self, metered_wh: int) -> tuple[int, int]:
        """Return what buyer and seller get back for a reading of the seller's meter; positive was drawn [Wh].

        Examples
        --------
        >>> trade = Trade(0, 1, bytes(32), "0x" + "00" * 20, 0, 2_000, 0, 250_000, 50_000, 0)
        >>> trade.released_micro_eur(-1_500)  # 1.5 of 2 kWh: 375,000 for it, 25,000 for what is missing
        (150000, 450000)
        """
        delivered_wh = self.delivered_wh(metered_wh)
        paid = delivered_wh * self.price_micro_eur_per_kwh // _WH_A_KWH
        penalty = (self.energy_wh - delivered_wh) * self.penalty_micro_eur_per_kwh // _WH_A_KWH
        return self.cost_micro_eur - paid + penalty, self.collateral_micro_eur - penalty + paid


@dataclass(frozen=True, slots=True, eq=False)
class _Payment:
    """How a period is paid: its open trades by seller, what each meter measured, and what is left to the batch."""

    trades: tuple[Trade, ...]
    metered_wh: dict[int, int]
    rest: Statement

    def portions(self) -> list[tuple[Trade, ...]]:
        """Return which trades each transaction pays."""
        return [self.trades[at : at + TRADES_A_PAYMENT] for at in range(0, len(self.trades), TRADES_A_PAYMENT)]


class Direct(JobMaker):
    """Each trade is opened by the signatures of both sides, and paid by the reading of the seller's meter.

    See :class:`~vpp_sim.chain.statements.SettlementKind`. The jobs are ``"<period>/open/<k>"``, then
    ``"<period>/pay/<n>"`` with readings and the trades that they pay, and ``"<period>/batch"`` with the rest. All have
    one sender, whose nonces keep this order on the chain. :meth:`read` and :meth:`settle` make of the payments a job a
    reading (``"<period>/reading/<account>"``) and a trade (``"<period>/trade/<k>"``), as members do who settle alone.

    Parameters
    ----------
    market : Market
        Where is traded; account i is its member i.
    accounts : int, optional
        How many accounts there are; by default the market's members.
    penalty_micro_eur_per_kwh : int
        What each kilowatt-hour that is not delivered costs the seller [micro-euro/kWh]; what that moves, the batch of
        the rest moves back, as the ledger knows of no penalty.
    patience_s : int, optional
        How long after the period's end a trade without a reading is refunded; by default a day after the challenge
        window [s].
    """

    opens_trades = True

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
        self._patience_s = market.terms.challenge_window_s + _DAY_S if patience_s is None else patience_s
        self._netted = Netted(market, self.accounts)

    def begins_s(self, period: int) -> int:
        """Return when the period has been over for as long as the challenge window lasts."""
        return self.market.terms.end_s(period) + self.market.terms.challenge_window_s

    def begin(self, statement: Statement, openings: Sequence[Opening] = ()) -> tuple[Job, ...]:
        """Return the payments of the trades that opened, and the batch of the rest.

        Raises
        ------
        ChainError
            If the statement has no reading of a seller's meter, or the batch does not fit into one transaction.
        """
        payment = self._payment(statement, openings)
        jobs, read = [], set[int]()
        for n, trades in enumerate(payment.portions()):
            sellers = {trade.seller for trade in trades} - read
            jobs.append(self._pay(f"{statement.period}/pay/{n}", trades, payment, sorted(sellers)))
            read |= sellers
        return (*jobs, *self._netted.begin(payment.rest))

    def proceed(
        self, statement: Statement, key: str, receipt: Receipt, openings: Sequence[Opening] = ()
    ) -> tuple[Job, ...]:
        """Return nothing, as all of a period is begun at once.

        Raises
        ------
        ChainError
            If the receipt does not show these trades paid, or the period settled by this batch.
        """
        payment, portions = self._payment(statement, openings), f"{statement.period}/pay/"
        if not key.startswith(portions):
            return self._netted.proceed(payment.rest, key, receipt)
        require_success(self.market.direct.abi, receipt, f"payment {key}")
        events = [event for event in self.market.direct.events(receipt) if event.name == "TradeSettled"]
        found = [(event.arguments["delivered"], event.arguments["paid"]) for event in events]
        wanted = []
        for trade in payment.portions()[int(key.removeprefix(portions))]:
            delivered_wh = trade.delivered_wh(payment.metered_wh[trade.seller])
            wanted.append((delivered_wh, delivered_wh * trade.price_micro_eur_per_kwh // _WH_A_KWH))
        if found != wanted:
            raise ChainError(f"payment {key}: trades delivered and were paid {found} [Wh, micro-euro], not {wanted}")
        return ()

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

    def open(self, period: int, trades: np.ndarray, first: int = 0) -> tuple[Job, ...]:
        """Return the transactions that match offer and bid of each trade; they must be mined before the period's end.

        A trade that promises nothing, or that the seller would pay for, cannot be opened, and has none.

        Parameters
        ----------
        period : int
            The period of delivery.
        trades : ndarray of TRADE_LINE, shape (k,)
            The trades.
        first : int, default 0
            Number of the first of them within the period.
        """
        able = (trades["energy_wh"] > 0) & (trades["price_micro_eur_per_kwh"] >= 0)
        return tuple(self._open(period, first + k, trades[k]) for k in np.flatnonzero(able).tolist())

    def opened(self, key: str, receipt: Receipt) -> Trade:
        """Return the trade that a job of :meth:`open` opened.

        Raises
        ------
        ChainError
            If the receipt shows none.
        """
        event = only_event(self.market.direct, receipt, "TradeOpened", f"trade {key}")
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
            job = self.job(
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
        only_event(self.market.direct, receipt, names[part], f"{part} {key}")

    def _open(self, period: int, k: int, line: np.void) -> Job:
        offer, bid = self.orders(period, k, line)
        direct, address = self.market.direct, self.market.member_address
        offered, wanted = (self.sign(address(order.maker), order, direct) for order in (offer, bid))
        cost = offer.energy_wh * offer.price_micro_eur_per_kwh // _WH_A_KWH
        collateral = offer.energy_wh * offer.penalty_micro_eur_per_kwh // _WH_A_KWH
        return self.job(
            f"{period}/open/{k}",
            direct,
            _OPEN_GAS,
            ("matchOrders", tuple(offer), offered, tuple(bid), wanted),
            ready_s=0,
            effect=self._moved(bid.maker, cost, offer.maker, collateral),
            expires_s=offer.expiry_s,  # a block after it is after the period's end
        )

    def _payment(self, statement: Statement, openings: Sequence[Opening]) -> _Payment:
        metered_wh = dict(statement.readings.tolist())
        trades = sorted(self._trades(openings), key=lambda trade: trade.seller)
        left = statement.paid_micro_eur(self.accounts)
        bought_wh = self.nothing()
        bought_wh[statement.member] = statement.traded_wh
        for trade in trades:
            if trade.seller not in metered_wh:
                raise ChainError(f"period {statement.period}: account {trade.seller} sold, and has no reading")
            to_buyer, to_seller = trade.released_micro_eur(metered_wh[trade.seller])
            delivered_wh = trade.delivered_wh(metered_wh[trade.seller])
            left[trade.buyer] -= trade.cost_micro_eur - to_buyer
            left[trade.seller] -= trade.collateral_micro_eur - to_seller
            bought_wh[trade.buyer] -= delivered_wh
            bought_wh[trade.seller] += delivered_wh
        member = np.flatnonzero((left != 0) | (bought_wh != 0))
        member = member if member.size else statement.member[:1]  # a batch settles the period, also if it moves nothing
        rest = Statement(statement.period, member, left[member], bought_wh[member])
        return _Payment(tuple(trades), metered_wh, rest)

    def _trades(self, openings: Sequence[Opening]) -> list[Trade]:
        """Return the trades that opened, each behind those on its meter that opened before it."""
        promised_wh: dict[int, int] = {}
        trades = []
        for opening in openings:
            if not opening.opened:
                continue
            offer, _, bid, _ = decode(_MATCH_TYPES, opening.data[_SELECTOR_BYTES:])
            seller, _, period, energy_wh, price, penalty, oracle, _, timeout_s, _ = offer
            ahead_wh = promised_wh.get(seller, 0)
            promised_wh[seller] = ahead_wh + energy_wh
            on, of = (bid[0], seller, meter_of(seller), oracle), (price, penalty, timeout_s)
            trades.append(Trade(*on, period, energy_wh, ahead_wh, *of))
        return trades

    def _pay(self, key: str, trades: Sequence[Trade], payment: _Payment, sellers: Sequence[int]) -> Job:
        """Return the job that records the meters of sellers and pays trades on these and on earlier ones."""
        direct, period = self.market.direct, payment.rest.period
        calls = [direct.abi.encode(*self._reading(period, seller, payment.metered_wh[seller])) for seller in sellers]
        calls += [direct.abi.encode("settleTrade", tuple(trade)) for trade in trades]
        effect = self.nothing()
        for trade in trades:
            to_buyer, to_seller = trade.released_micro_eur(payment.metered_wh[trade.seller])
            effect += self._moved(trade.buyer, -to_buyer, trade.seller, -to_seller)
        gas = _PAYMENT_GAS + _READING_MORE_GAS * len(sellers) + _TRADE_MORE_GAS * len(trades)
        return self.job(key, direct, gas, ("multicall", calls), ready_s=self.begins_s(period), effect=effect)

    def _reading(self, period: int, member: int, metered_wh: int) -> tuple[str, *tuple[object, ...]]:
        """Return the call that records a meter."""
        reading = Reading(meter_of(member), period, metered_wh)
        signature = self.sign(self.market.oracle, reading, self.market.direct)
        return "recordReading", tuple(reading), self.market.oracle, signature

    def _read(self, period: int, member: int, metered_wh: int) -> Job:
        return self.job(
            f"{period}/reading/{member}",
            self.market.direct,
            _READING_GAS,
            self._reading(period, member, metered_wh),
            ready_s=self.market.terms.end_s(period),
            effect=self.nothing(),
        )

    def _moved(self, buyer: int, from_buyer: int, seller: int, from_seller: int) -> IntArray:
        effect = self.nothing()
        effect[buyer], effect[seller] = from_buyer, from_seller
        return effect
