"""Direct trades: two members sign an offer and a bid, both lock money, and a meter reading pays.

The operator only carries signatures to the chain; anybody could. Before the period is over, :meth:`Direct.open` locks
the money; after it, :meth:`Direct.read` records meters and :meth:`Direct.settle` pays. Each makes jobs, as the kinds of
settlement do (:mod:`~vpp_sim.chain.kinds`), so whoever runs those can run these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vpp_sim.chain.jobs import JobMaker, only_event
from vpp_sim.chain.market import meter_of
from vpp_sim.chain.typed_data import Order, Reading
from vpp_sim.errors import ChainError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from vpp_sim.arrays import IntArray
    from vpp_sim.chain.market import Market
    from vpp_sim.chain.protocol import Receipt
    from vpp_sim.chain.statements import Job

__all__ = ["Direct", "Trade"]

_OPEN_GAS, _READING_GAS, _TRADE_GAS = 500_000, 150_000, 200_000
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


class Direct(JobMaker):
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
        )

    def _read(self, period: int, member: int, metered_wh: int) -> Job:
        reading, direct = Reading(meter_of(member), period, metered_wh), self.market.direct
        signature = self.sign(self.market.oracle, reading, direct)
        return self.job(
            f"{period}/reading/{member}",
            direct,
            _READING_GAS,
            ("recordReading", tuple(reading), self.market.oracle, signature),
            ready_s=self.market.terms.end_s(period),
            effect=self.nothing(),
        )

    def _moved(self, buyer: int, from_buyer: int, seller: int, from_seller: int) -> IntArray:
        effect = self.nothing()
        effect[buyer], effect[seller] = from_buyer, from_seller
        return effect
