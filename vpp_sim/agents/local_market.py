"""The local market: homes that draw and homes that feed in trade with each other before they turn to the VPP."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vpp_sim.arrays import FloatArray, IntArray
from vpp_sim.kernel.clock import Clock
from vpp_sim.kernel.loop import Action
from vpp_sim.kernel.messages import LocalTrades
from vpp_sim.kernel.phases import Phase
from vpp_sim.kernel.randomness import MemberStreams
from vpp_sim.kernel.world import World
from vpp_sim.market.bidding import BiddingStep, BiddingStrategy, Outlook
from vpp_sim.market.protocol import Clearing, ClearingMechanism, OrderBook

__all__ = ["LocalMarket"]


class LocalMarket:
    """Writes the trades of this step.

    A home's order is its net energy after demand response and storage. Its outside option is the VPP: the retail price
    without levies, which are due on every kWh drawn whoever sold it, and the feed-in payment.

    Parameters
    ----------
    world, clock
        Where it acts.
    mechanism : ClearingMechanism
        How orders become trades.
    strategy : BiddingStrategy
        How homes choose their limit prices, between the two outside options.
    minimum_kwh : float
        Least energy that is traded for an order [kWh].
    bus_of_home : ndarray of int, shape (n,)
        Where each home is connected to the feeder.
    limits, arrivals : MemberStreams
        The homes' random streams for limit prices, and for the order in which they arrive: a mechanism that lets the
        earlier order go first where prices tie must not favour the same homes in every step.
    levies_eur_per_kwh : ndarray, shape (T,)
        Levies within the retail price [EUR/kWh].
    """

    name = "local_market"

    def __init__(
        self,
        world: World,
        clock: Clock,
        *,
        mechanism: ClearingMechanism,
        strategy: BiddingStrategy,
        minimum_kwh: float,
        bus_of_home: IntArray,
        limits: MemberStreams,
        arrivals: MemberStreams,
        levies_eur_per_kwh: FloatArray,
    ) -> None:
        self._world, self._clock, self._mechanism = world, clock, mechanism
        self._strategy, self._minimum_kwh, self._limits, self._arrivals = strategy, minimum_kwh, limits, arrivals
        self._levies, self._bus_of_home = levies_eur_per_kwh, bus_of_home
        self._hours = clock.local_time(0, clock.n_steps).hour
        self.counts = {"orders": 0, "orders left without any trade": 0}
        self._write = world.trades.claim(self.name)

    def actions(self) -> Mapping[Phase, Action]:
        """Act in TRADE."""
        return {Phase.TRADE: self._trade}

    def _trade(self, step: int) -> None:
        storage = self._world.storage.read()
        load_kw, pv_kw = self._world.flexible.read().load_kw, self._world.metered.read().pv_kw
        net_kwh = (load_kw - pv_kw + storage.charge_kw - storage.discharge_kw) * self._clock.step_h
        home_of = np.argsort(self._arrivals.uniform(step), kind="stable")
        book, limit = self._book(step, net_kwh[home_of], home_of)
        clearing = self._mechanism.clear(book)
        self._strategy.observe(clearing, book, home_of)
        self._count(book, clearing)
        self._write(
            LocalTrades(
                buyer=home_of[clearing.buyer],
                seller=home_of[clearing.seller],
                energy_kwh=clearing.energy_kwh,
                price_eur_per_kwh=clearing.price_eur_per_kwh,
                fee_eur_per_kwh=clearing.fee_eur_per_kwh,
                bid_eur_per_kwh=limit[clearing.buyer],
                ask_eur_per_kwh=limit[clearing.seller],
                limits_bind=self._mechanism.keeps_limits,
            )
        )

    def _count(self, book: OrderBook, clearing: Clearing) -> None:
        orders = book.buyer.size + book.seller.size
        self.counts["orders"] += orders
        self.counts["orders left without any trade"] += orders - np.union1d(clearing.buyer, clearing.seller).size
        if clearing.feeder is not None:
            for what, happened in (
                ("steps in which the feeder limited trades", clearing.feeder.limited),
                ("steps in which the feeder was beyond its limits without any trade", clearing.feeder.broken > 0),
                ("steps in which all trades were cut to what the feeder carries", clearing.feeder.share < 1),
            ):
                self.counts[what] = self.counts.get(what, 0) + int(happened)

    def _book(self, step: int, net_kwh: FloatArray, home_of: IntArray) -> tuple[OrderBook, FloatArray]:
        """Return the orders, and every limit price, shape (n,) [EUR/kWh]; both, as `net_kwh`, in order of arrival."""
        tariff = self._world.tariff.read()
        column = int(tariff.window(step, 1)[0])
        retail = float(tariff.buy_eur_per_kwh[column] - self._levies[step])
        feed_in = float(tariff.sell_eur_per_kwh[column])
        sides = np.sign(net_kwh).astype(np.int64)
        known = BiddingStep(
            _by_home(sides, home_of),
            retail,
            feed_in,
            draws=self._limits.uniform(step),
            hour=float(self._hours[step]),
            outlook=self._outlook(step),
        )
        limit = self._strategy.limits(known)[home_of]
        buyer, seller = np.flatnonzero(sides > 0), np.flatnonzero(sides < 0)
        book = OrderBook(
            buyer=buyer,
            bid_kwh=net_kwh[buyer],
            bid_eur_per_kwh=limit[buyer],
            seller=seller,
            ask_kwh=-net_kwh[seller],
            ask_eur_per_kwh=limit[seller],
            retail_eur_per_kwh=retail,
            feed_in_eur_per_kwh=feed_in,
            minimum_kwh=self._minimum_kwh,
            connection=self._bus_of_home[home_of],
        )
        return book, limit

    def _outlook(self, step: int) -> Outlook:
        """Return what homes are expected to want and to offer in this step, by the last forecast.

        The medians are those of the homes, net of their own sun. Around them they are as uncertain as the fleet's load
        and its solar power, as shares of these.
        """
        forecast = self._world.forecast.read()
        net_kw, lead = forecast.median_net_kw(step, 1), forecast.leads(step, 1)[0]
        levels = np.array(forecast.levels)
        return Outlook(
            levels,
            _spread(float(np.maximum(net_kw, 0.0).sum()), forecast.fleet_demand_kw[lead], levels) * self._clock.step_h,
            _spread(float(np.maximum(-net_kw, 0.0).sum()), forecast.fleet_solar_kw[lead], levels) * self._clock.step_h,
        )


def _by_home(values: IntArray, home_of: IntArray) -> IntArray:
    """Return values that are in order of arrival, by home."""
    ordered = np.empty_like(values)
    ordered[home_of] = values
    return ordered


def _spread(median: float, quantiles: FloatArray, levels: FloatArray) -> FloatArray:
    """Return quantiles around a median that lie as far from it, as shares, as others do from theirs; not below zero."""
    middle = float(np.interp(0.5, levels, quantiles))
    return np.maximum(median * quantiles / middle, 0.0) if middle > 0 else np.full(levels.shape, median)
