"""The auditor's books of money: what each account must pay by meters, prices and trades, against what was booked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from vpp_sim.arrays import BoolArray, FloatArray, IntArray
from vpp_sim.errors import ConservationError
from vpp_sim.kernel.clock import Clock
from vpp_sim.kernel.messages import Intraday, LocalTrades, Settlement
from vpp_sim.kernel.world import World
from vpp_sim.runs.tables import ACCOUNTS, ITEMS
from vpp_sim.units import MICRO_EUR_PER_EUR, WH_PER_KWH

__all__ = ["MoneyAudit", "Terms"]

_ROUNDING = 0.501
"""Largest difference of an amount from its whole micro-euro, with some room for the arithmetic in between."""

_EUR_PER_KWH = 1e-9
_KWH = 1e-6

_WITH_WHOLESALE = ("day_ahead", "intraday", "imbalance", "losses")
"""Items that an account other than a home settles with the wholesale market."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What is owed for what; arrays have shape (T,) [EUR/kWh].

    Attributes
    ----------
    day_ahead_eur_per_kwh, levies_eur_per_kwh, default_eur_per_kwh : ndarray, shape (T,)
        Day-ahead price, levies within the retail price, and default tariff.
    short_spread, long_spread : float
        Shares of the day-ahead price's size that imbalance costs.
    guarantees : bool
        Whether the VPP refunds at the end what a home paid above its default bill.
    imbalance : str
        Who meets the spreads: ``both_sides``, ``two_prices`` or ``one_price``.
    system_short : ndarray of bool, shape (T,), optional
        Where the system was short, which but for ``both_sides`` decides.
    intraday_lead_s : int or None
        How long before its start a step could no longer be traded [s]; None: there was no intraday market.
    intraday_eur_per_kwh : float
        What a kWh traded intraday cost beyond the day-ahead price, either way [EUR/kWh].
    """

    day_ahead_eur_per_kwh: FloatArray
    levies_eur_per_kwh: FloatArray
    default_eur_per_kwh: FloatArray
    short_spread: float
    long_spread: float
    guarantees: bool
    imbalance: str = "both_sides"
    system_short: BoolArray = field(default_factory=lambda: np.empty(0, dtype=np.bool_))
    intraday_lead_s: int | None = None
    intraday_eur_per_kwh: float = 0.0


class MoneyAudit:
    """Recomputes the ledger.

    Parameters
    ----------
    world, clock
        What is audited.
    accounts : sequence of str
        Names of the ledger's accounts: the homes', then those of :data:`vpp_sim.runs.tables.ACCOUNTS`.
    terms : Terms
        What is owed for what.
    """

    def __init__(self, world: World, clock: Clock, accounts: Sequence[str], terms: Terms) -> None:
        self._world, self._clock, self._accounts, self._terms = world, clock, accounts, terms
        self._n = len(accounts) - len(ACCOUNTS)
        self._balance = np.zeros(len(accounts), dtype=np.int64)
        self._traded_wh = np.zeros(len(accounts), dtype=np.int64)
        self._default_bill = np.zeros(self._n)
        self._buy = np.full(clock.n_steps, np.nan)
        self._position_kwh = np.full(clock.n_steps, np.nan)
        self._intraday_kwh, self._intraday_eur = np.zeros(clock.n_steps), np.zeros(clock.n_steps)
        self._intraday_seen: Intraday | None = None

    def audit(self, step: int) -> None:
        """Check prices, trades and every entry of the tick.

        Raises
        ------
        ConservationError
            Naming the tick, the account or trade, and the amount.
        """
        self._publications(step)
        self._intraday(step)
        self._trades(step)
        settlement = self._world.settlement.read()
        self._sums(step, settlement)
        for item, expected in self._due(step, settlement).items():
            self._entry(step, item, settlement, expected)
        self._traded(step, settlement)
        self._balance, self._traded_wh = settlement.balance_micro_eur, settlement.traded_wh

    def _raise_for(
        self, step: int, what: str, gap: FloatArray, whose: Callable[[int], str], limit: float, unit: str
    ) -> None:
        """Raise for the largest gap, shape (k,), beyond `limit` or NaN."""
        if gap.size:
            worst = int(np.argmax(np.where(np.isnan(gap), np.inf, np.abs(gap))))
            if not abs(gap[worst]) <= limit:
                raise ConservationError(step, f"{what} of {whose(worst)}", float(gap[worst]), unit)

    def _publications(self, step: int) -> None:
        """Check that what was published stays: retail prices, the default tariff, closed positions."""
        tariff = self._world.tariff.read()
        columns = np.arange(max(-tariff.first_step, 0), len(tariff.buy_eur_per_kwh))
        steps = columns + tariff.first_step
        columns, steps = columns[steps < self._clock.n_steps], steps[steps < self._clock.n_steps]
        self._kept(step, "published price", self._buy, steps, tariff.buy_eur_per_kwh[columns], "EUR/kWh")
        gap = tariff.default_eur_per_kwh[columns] - self._terms.default_eur_per_kwh[steps]
        self._raise_for(step, "default tariff", gap, lambda i: f"step {steps[i]}", _EUR_PER_KWH, "EUR/kWh")
        position_kwh = self._world.day_ahead.read().position_kwh
        bid = np.flatnonzero(~np.isnan(position_kwh))
        self._kept(step, "day-ahead position", self._position_kwh, bid, position_kwh[bid], "kWh")

    def _intraday(self, step: int) -> None:
        """Check that steps whose gate has closed are not traded any more, and add up what each trade must cost."""
        terms, intraday = self._terms, self._world.intraday.read()
        if intraday is self._intraday_seen:  # a message never changes once it is written
            return
        self._intraday_seen = intraday
        bought_kwh = intraday.traded_kwh - self._intraday_kwh
        ahead_s = (np.arange(self._clock.n_steps) - step) * self._clock.step_s
        shut = np.isnan(self._position_kwh)
        shut |= ahead_s <= (np.inf if terms.intraday_lead_s is None else terms.intraday_lead_s)
        late_kwh = np.where(shut, bought_kwh, 0.0)
        self._raise_for(step, "intraday trade", late_kwh, lambda i: f"step {i}, which is closed", 0.0, "kWh")
        cost_eur = bought_kwh * terms.day_ahead_eur_per_kwh + np.abs(bought_kwh) * terms.intraday_eur_per_kwh
        self._intraday_eur = self._intraday_eur + cost_eur
        self._intraday_kwh = intraday.traded_kwh

    def _kept(self, step: int, what: str, book: FloatArray, steps: IntArray, values: FloatArray, unit: str) -> None:
        gap = np.nan_to_num(values - book[steps])  # NaN where nothing was known before
        self._raise_for(step, what, gap, lambda i: f"step {steps[i]}", _EUR_PER_KWH, unit)
        book[steps] = values

    def _net_kwh(self) -> tuple[FloatArray, FloatArray]:
        """Return what each home drew and fed in, each of shape (n,) [kWh]."""
        net_kwh = self._world.flow.read().net_kw * self._clock.step_h
        return np.maximum(net_kwh, 0.0), np.maximum(-net_kwh, 0.0)

    def _trades(self, step: int) -> None:
        trades, settlement = self._world.trades.read(), self._world.settlement.read()

        def names(i: int) -> str:
            return f"the trade {self._accounts[trades.seller[i]]} to {self._accounts[trades.buyer[i]]}"

        if trades.limits_bind:
            paid = trades.price_eur_per_kwh + trades.fee_eur_per_kwh
            above = np.maximum(paid - trades.bid_eur_per_kwh, 0.0)
            below = np.maximum(trades.ask_eur_per_kwh - trades.price_eur_per_kwh, 0.0)
            self._raise_for(step, "price above the bid", above, names, _EUR_PER_KWH, "EUR/kWh")
            self._raise_for(step, "price below the ask", below, names, _EUR_PER_KWH, "EUR/kWh")
        self._raise_for(step, "delivery", settlement.delivered_kwh - self._deliverable(trades), names, _KWH, "kWh")
        due = settlement.delivered_kwh * trades.price_eur_per_kwh * MICRO_EUR_PER_EUR
        self._raise_for(step, "payment", settlement.trade_micro_eur - due, names, _ROUNDING, "micro-EUR")
        drawn_kwh, _ = self._net_kwh()
        bought_kwh = np.bincount(trades.buyer, settlement.delivered_kwh, minlength=self._n)
        excess_kwh = np.maximum(bought_kwh - drawn_kwh, 0.0)
        self._raise_for(step, "energy bought beyond the meter", excess_kwh, self._accounts.__getitem__, _KWH, "kWh")

    def _deliverable(self, trades: LocalTrades) -> FloatArray:
        """Return what each trade can deliver, shape (M,) [kWh]: a seller's trades shrink alike to what she fed in."""
        _, fed_kwh = self._net_kwh()
        sold_kwh = np.bincount(trades.seller, trades.energy_kwh, minlength=self._n)
        short = sold_kwh > fed_kwh
        share = np.where(short, fed_kwh / np.where(short, sold_kwh, 1.0), 1.0)
        deliverable: FloatArray = trades.energy_kwh * share[trades.seller]
        return deliverable

    def _sums(self, step: int, settlement: Settlement) -> None:
        """Check that entries sum to zero, balances run on, and no item is unknown or out of its time."""
        allowed = set(ITEMS) if step == self._clock.n_steps - 1 else set(ITEMS) - {"guarantee"}
        for item, entry in settlement.entries_micro_eur.items():
            if item not in allowed:
                raise ConservationError(
                    step, f"ledger item {item}, which is not due", float(abs(entry).sum()), "micro-EUR"
                )
            if entry.sum():
                raise ConservationError(step, f"ledger item {item}", float(entry.sum()), "micro-EUR")
        gap = settlement.balance_micro_eur - self._balance - sum(settlement.entries_micro_eur.values())
        self._raise_for(step, "balance", gap.astype(np.float64), self._accounts.__getitem__, 0.0, "micro-EUR")

    def _due(self, step: int, settlement: Settlement) -> dict[str, tuple[str, FloatArray]]:
        """Return, for each item, the account across from the homes (or the VPP) and what is due [EUR].

        What is due has shape (n,) for the homes, or is one amount, shape (1,), for the VPP or the grid operator.
        """
        drawn_kwh, fed_kwh = self._net_kwh()
        trades, tariff, terms = self._world.trades.read(), self._world.tariff.read(), self._terms
        delivered_kwh = settlement.delivered_kwh
        bought_kwh = np.bincount(trades.buyer, delivered_kwh, minlength=self._n)
        sold_kwh = np.bincount(trades.seller, delivered_kwh, minlength=self._n)
        feed_in = tariff.sell_eur_per_kwh[tariff.window(step, 1)[0]]
        levies, price = terms.levies_eur_per_kwh[step], terms.day_ahead_eur_per_kwh[step]
        position_kwh = self._position_kwh[step]
        imbalance_kwh = float((drawn_kwh - fed_kwh).sum()) - position_kwh - self._intraday_kwh[step]
        self._raise_for(
            step, "imbalance", np.array([settlement.imbalance_kwh - imbalance_kwh]), lambda _: "the VPP", _KWH, "kWh"
        )
        due = {
            "retail_energy": ("vpp", (self._buy[step] - levies) * np.maximum(drawn_kwh - bought_kwh, 0.0)),
            "levies": ("grid_operator", levies * drawn_kwh),
            "feed_in": ("vpp", -feed_in * np.maximum(fed_kwh - sold_kwh, 0.0)),
            "market_fee": ("vpp", np.bincount(trades.buyer, delivered_kwh * trades.fee_eur_per_kwh, minlength=self._n)),
            "day_ahead": ("vpp", np.array([position_kwh * price])),
            "intraday": ("vpp", self._intraday_eur[step : step + 1]),
            "imbalance": ("vpp", np.array([imbalance_kwh * (price + self._spread(step, imbalance_kwh) * abs(price))])),
            "losses": ("grid_operator", np.array([self._world.flow.read().loss_kw * self._clock.step_h * price])),
        }
        self._default_bill = self._default_bill + terms.default_eur_per_kwh[step] * drawn_kwh - feed_in * fed_kwh
        if terms.guarantees and step == self._clock.n_steps - 1:
            paid_eur = (settlement.balance_micro_eur - settlement.entries_micro_eur["guarantee"])[: self._n]
            due["guarantee"] = ("vpp", -np.maximum(paid_eur / MICRO_EUR_PER_EUR - self._default_bill, 0.0))
        return due

    def _spread(self, step: int, imbalance_kwh: float) -> float:
        """Return by which share of its size the price of an imbalance stands above the day-ahead price."""
        terms = self._terms
        mine, short = imbalance_kwh > 0, imbalance_kwh > 0
        if terms.imbalance != "both_sides":
            short = bool(terms.system_short[step])
        if terms.imbalance == "two_prices" and mine != short:
            return 0.0
        return terms.short_spread if short else -terms.long_spread

    def _entry(self, step: int, item: str, settlement: Settlement, expected: tuple[str, FloatArray]) -> None:
        partner, due_eur = expected
        entry = settlement.entries_micro_eur[item]
        due = np.zeros(len(self._accounts))
        place = self._n + ACCOUNTS.index(partner)
        if item in _WITH_WHOLESALE:
            due[place] = due_eur[0] * MICRO_EUR_PER_EUR
            due[self._n + ACCOUNTS.index("wholesale")] = -due[place]
        else:
            due[: self._n] = due_eur * MICRO_EUR_PER_EUR
            due[place] = -float(entry[: self._n].sum())  # each home's amount was rounded by itself
        # the default bill, against which the guarantee is measured, was rounded once a tick
        limit = _ROUNDING * (self._clock.n_steps + 1) if item == "guarantee" else _ROUNDING
        self._raise_for(step, item.replace("_", " "), entry - due, self._accounts.__getitem__, limit, "micro-EUR")

    def _traded(self, step: int, settlement: Settlement) -> None:
        """Check local payments and traded energy, account by account and to the integer."""
        trades = self._world.trades.read()
        paid, energy = np.zeros(len(self._accounts), dtype=np.int64), np.zeros(len(self._accounts), dtype=np.int64)
        delivered_wh = np.rint(settlement.delivered_kwh * WH_PER_KWH).astype(np.int64)
        for book, amounts in ((paid, settlement.trade_micro_eur), (energy, delivered_wh)):
            np.add.at(book, trades.buyer, amounts)
            np.subtract.at(book, trades.seller, amounts)
        gap = settlement.entries_micro_eur["local_trade"] - paid
        self._raise_for(step, "local trades", gap.astype(np.float64), self._accounts.__getitem__, 0.0, "micro-EUR")
        gap = settlement.traded_wh - self._traded_wh - energy
        self._raise_for(step, "traded energy", gap.astype(np.float64), self._accounts.__getitem__, 0.0, "Wh")
