"""The ledger: books what was metered, in whole micro-euro, so that every item sums to zero over all accounts."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vpp_sim.agents.fleet import Fleet
from vpp_sim.arrays import FloatArray, IntArray
from vpp_sim.kernel.clock import Clock
from vpp_sim.kernel.loop import Action
from vpp_sim.kernel.messages import Intraday, LocalTrades, Settlement
from vpp_sim.kernel.phases import Phase
from vpp_sim.kernel.world import World
from vpp_sim.market.imbalance import ImbalancePrices, settle_wholesale
from vpp_sim.runs.tables import ACCOUNTS
from vpp_sim.units import to_micro_eur, to_wh

__all__ = ["Ledger"]

_VPP, _WHOLESALE, _GRID_OPERATOR = (ACCOUNTS.index(name) for name in ("vpp", "wholesale", "grid_operator"))


class Ledger:
    """Writes what every account pays and gets.

    Homes pay the VPP for energy and feed the rest in; trades pay between homes, and the local market's fees go to the
    VPP, who runs it; levies on every kWh drawn go to the grid operator, who buys the feeder's losses; the VPP pays the
    wholesale market for its position, its intraday trades and its imbalance.
    Trades are paid for what was delivered: if the feeder curtails a seller, all her trades shrink alike.

    Parameters
    ----------
    world, clock, fleet
        Where it acts.
    day_ahead_eur_per_kwh, levies_eur_per_kwh : ndarray, shape (T,)
        Day-ahead price, and levies within the retail price, of every step [EUR/kWh].
    imbalance : ImbalancePrices
        Prices of imbalance of every step, arrays of shape (T,).
    guarantees : bool
        Whether the VPP refunds at the end what a home paid above its default bill.
    """

    name = "ledger"

    def __init__(
        self,
        world: World,
        clock: Clock,
        fleet: Fleet,
        *,
        day_ahead_eur_per_kwh: FloatArray,
        levies_eur_per_kwh: FloatArray,
        imbalance: ImbalancePrices,
        guarantees: bool,
    ) -> None:
        self._world, self._clock, self._n = world, clock, len(fleet)
        self._price, self._levies = day_ahead_eur_per_kwh, levies_eur_per_kwh
        self._imbalance, self._guarantees = imbalance, guarantees
        self.accounts = (*fleet.names, *ACCOUNTS)
        self._balance = np.zeros(len(self.accounts), dtype=np.int64)
        self._traded_wh = np.zeros(len(self.accounts), dtype=np.int64)
        self._default_bill = np.zeros(self._n, dtype=np.int64)
        self._write = world.settlement.claim(self.name)

    def actions(self) -> Mapping[Phase, Action]:
        """Act in SETTLE."""
        return {Phase.SETTLE: self._settle}

    def _settle(self, step: int) -> None:
        trades, flow = self._world.trades.read(), self._world.flow.read()
        net_kwh = flow.net_kw * self._clock.step_h
        import_kwh, export_kwh = np.maximum(net_kwh, 0.0), np.maximum(-net_kwh, 0.0)
        delivered_kwh = self._delivered_kwh(trades, export_kwh)
        trade_micro_eur = to_micro_eur(delivered_kwh * trades.price_eur_per_kwh)
        imbalance_kwh, entries = self._wholesale(step, float(net_kwh.sum()))
        entries |= self._retail(step, trades, delivered_kwh, import_kwh, export_kwh)
        entries["local_trade"] = self._pairs(trades, trade_micro_eur)
        fee_eur = np.bincount(trades.buyer, delivered_kwh * trades.fee_eur_per_kwh, minlength=self._n)
        entries["market_fee"] = self._homes_with(_VPP, fee_eur.astype(np.float64))
        entries["losses"] = self._between(
            _GRID_OPERATOR, _WHOLESALE, flow.loss_kw * self._clock.step_h * self._price[step]
        )
        self._traded_wh = self._traded_wh + self._pairs(trades, to_wh(delivered_kwh))
        self._balance = self._balance + sum(entries.values())
        if self._guarantees and step == self._clock.n_steps - 1:
            entries["guarantee"] = self._guarantee()
            self._balance = self._balance + entries["guarantee"]
        self._write(Settlement(entries, delivered_kwh, trade_micro_eur, imbalance_kwh, self._balance, self._traded_wh))

    def _delivered_kwh(self, trades: LocalTrades, export_kwh: FloatArray) -> FloatArray:
        sold_kwh = np.bincount(trades.seller, trades.energy_kwh, minlength=self._n)
        share = np.minimum(np.divide(export_kwh, sold_kwh, out=np.ones(self._n), where=sold_kwh > 0), 1.0)
        delivered: FloatArray = trades.energy_kwh * share[trades.seller]
        return delivered

    def _retail(
        self,
        step: int,
        trades: LocalTrades,
        delivered_kwh: FloatArray,
        import_kwh: FloatArray,
        export_kwh: FloatArray,
    ) -> dict[str, IntArray]:
        """Book what homes settle with the VPP and the grid operator, and what the default tariff would have cost."""
        tariff = self._world.tariff.read()
        column = int(tariff.window(step, 1)[0])
        buy, sell = tariff.buy_eur_per_kwh[column], tariff.sell_eur_per_kwh[column]
        rest_in_kwh = np.maximum(import_kwh - np.bincount(trades.buyer, delivered_kwh, minlength=self._n), 0.0)
        rest_out_kwh = np.maximum(export_kwh - np.bincount(trades.seller, delivered_kwh, minlength=self._n), 0.0)
        default_eur = tariff.default_eur_per_kwh[column] * import_kwh - sell * export_kwh
        self._default_bill = self._default_bill + to_micro_eur(default_eur)
        return {
            "retail_energy": self._homes_with(_VPP, (buy - self._levies[step]) * rest_in_kwh),
            "levies": self._homes_with(_GRID_OPERATOR, self._levies[step] * import_kwh),
            "feed_in": self._homes_with(_VPP, -sell * rest_out_kwh),
        }

    def _wholesale(self, step: int, net_kwh: float) -> tuple[float, dict[str, IntArray]]:
        """Book the VPP's day-ahead position, its intraday trades and its imbalance, which is returned too [kWh]."""
        now, intraday = slice(step, step + 1), self._world.intraday.read()
        imbalance = ImbalancePrices(self._imbalance.short_eur_per_kwh[now], self._imbalance.long_eur_per_kwh[now])
        settled = settle_wholesale(
            self._world.day_ahead.read().position_kwh[now],
            np.array([net_kwh]),
            self._price[now],
            imbalance,
            intraday=Intraday(intraday.traded_kwh[now], intraday.cost_eur[now]),
        )
        return float(settled.imbalance_kwh[0]), {
            "day_ahead": self._between(_VPP, _WHOLESALE, float(settled.day_ahead_eur[0])),
            "intraday": self._between(_VPP, _WHOLESALE, float(settled.intraday_eur[0])),
            "imbalance": self._between(_VPP, _WHOLESALE, float(settled.imbalance_eur[0])),
        }

    def _guarantee(self) -> IntArray:
        """Refund what homes paid above their default bill."""
        refund = np.maximum(self._balance[: self._n] - self._default_bill, 0)
        return self._booked(_VPP, -refund)

    def _homes_with(self, partner: int, cost_eur: FloatArray) -> IntArray:
        return self._booked(partner, to_micro_eur(cost_eur))

    def _booked(self, partner: int, home_micro_eur: IntArray) -> IntArray:
        entry = np.zeros(len(self.accounts), dtype=np.int64)
        entry[: self._n] = home_micro_eur
        entry[self._n + partner] = -home_micro_eur.sum()
        return entry

    def _between(self, payer: int, payee: int, cost_eur: float) -> IntArray:
        entry = np.zeros(len(self.accounts), dtype=np.int64)
        amount = int(to_micro_eur(np.array([cost_eur]))[0])
        entry[self._n + payer], entry[self._n + payee] = amount, -amount
        return entry

    def _pairs(self, trades: LocalTrades, amounts: IntArray) -> IntArray:
        """Return what buyers and sellers of trades get and give, summed by account; exact for integers."""
        entry = np.zeros(len(self.accounts), dtype=np.int64)
        np.add.at(entry, trades.buyer, amounts)
        np.subtract.at(entry, trades.seller, amounts)
        return entry
