"""The scribe: writes each tick into the run's tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from vpp_sim.agents.fleet import Fleet
from vpp_sim.arrays import FloatArray
from vpp_sim.kernel.clock import Clock
from vpp_sim.kernel.loop import Action
from vpp_sim.kernel.messages import Forecast, Settlement
from vpp_sim.kernel.phases import Phase
from vpp_sim.kernel.recorder import Recorder
from vpp_sim.kernel.world import World
from vpp_sim.market.imbalance import ImbalancePrices
from vpp_sim.pricing.quantiles import quantile_at
from vpp_sim.runs.tables import FORECAST_LEVELS
from vpp_sim.units import MICRO_EUR_PER_EUR

__all__ = ["Scribe"]


class Scribe:
    """Records fleet, homes, batteries, trades, ledger and day-ahead forecasts; writes no slot.

    Parameters
    ----------
    world, clock, fleet
        What it writes down.
    recorder : Recorder
        Where it writes.
    accounts : tuple of str
        Names of the ledger's accounts.
    day_ahead_eur_per_kwh : ndarray, shape (T,)
        Day-ahead price [EUR/kWh].
    imbalance : ImbalancePrices
        Prices of imbalance, arrays of shape (T,).
    gates : mapping of int to int
        Step of each gate closure to the day it is for.
    """

    name = "scribe"

    def __init__(
        self,
        world: World,
        clock: Clock,
        fleet: Fleet,
        *,
        recorder: Recorder,
        accounts: tuple[str, ...],
        day_ahead_eur_per_kwh: FloatArray,
        imbalance: ImbalancePrices,
        gates: Mapping[int, int],
    ) -> None:
        self._world, self._clock, self._fleet, self._recorder = world, clock, fleet, recorder
        self._accounts, self._price = np.array(accounts), day_ahead_eur_per_kwh
        self._imbalance = imbalance
        self._homes = np.array(fleet.names)
        self._gates, self._issue_of_day = gates, {day: step for step, day in gates.items()}
        self._foreseen: dict[int, dict[str, FloatArray]] = {}
        self._cut_steps, self._cut_kwh = np.zeros(len(fleet), dtype=np.int64), np.zeros(len(fleet))
        for step, day in gates.items():
            if step < 0:
                self._foreseen[day] = self._fleet_quantiles(world.forecast.read(), day)

    def actions(self) -> Mapping[Phase, Action]:
        """Act in RECORD."""
        return {Phase.RECORD: self._write_down}

    def _write_down(self, step: int) -> None:
        time = self._clock.stamps(step, 1)[0]
        if step in self._gates:
            day = self._gates[step]
            self._foreseen[day] = self._fleet_quantiles(self._world.forecast.read(), day)
        self._fleet_row(step, time)
        self._home_rows(step, time)
        self._trade_rows(step, time)
        self._ledger_rows(step)
        self._forecast_row(step, time)
        self._count_cuts()
        if step == self._clock.n_steps - 1:
            self._battery_rows()

    def _powers(self) -> dict[str, FloatArray]:
        """Return the homes' powers and stored energy, each of shape (n,)."""
        world, metered, storage = self._world, self._world.metered.read(), self._world.storage.read()
        flow = world.flow.read()
        return {
            "base_load_kw": metered.base_load_kw,
            "load_kw": world.flexible.read().load_kw,
            "pv_kw": metered.pv_kw,
            "curtailed_kw": flow.curtailed_kw,
            "charge_kw": storage.charge_kw,
            "discharge_kw": storage.discharge_kw,
            "soc_kwh": storage.soc_kwh,
            "net_kw": flow.net_kw,
        }

    def _fleet_row(self, step: int, time: Any) -> None:
        weather, flow, trades = self._world.weather.read(), self._world.flow.read(), self._world.trades.read()
        tariff, day_ahead = self._world.tariff.read(), self._world.day_ahead.read()
        settlement, column = self._world.settlement.read(), int(tariff.window(step, 1)[0])
        traded_kwh = float(trades.energy_kwh.sum())
        value_eur = float(trades.energy_kwh @ trades.price_eur_per_kwh)
        low_kw, middle_kw, high_kw = day_ahead.forecast_kw[:, step]
        row = {
            "step": step,
            "time": time,
            "temperature_c": weather.temperature_c,
            "ghi_w_m2": weather.ghi_w_m2,
            "carbon_kg_per_kwh": weather.carbon_kg_per_kwh,
            **{name: values.sum() for name, values in self._powers().items()},
            "import_kw": np.maximum(flow.net_kw, 0.0).sum(),
            "export_kw": np.maximum(-flow.net_kw, 0.0).sum(),
            "loss_kw": flow.loss_kw,
            "v_min_pu": flow.v_min_pu,
            "v_max_pu": flow.v_max_pu,
            "transformer_loading": flow.transformer_loading,
            "line_loading": flow.line_loading,
            "day_ahead_eur_per_kwh": self._price[step],
            "position_kwh": day_ahead.position_kwh[step],
            "intraday_kwh": self._world.intraday.read().traded_kwh[step],
            "imbalance_kwh": settlement.imbalance_kwh,
            "short_eur_per_kwh": self._imbalance.short_eur_per_kwh[step],
            "long_eur_per_kwh": self._imbalance.long_eur_per_kwh[step],
            "buy_eur_per_kwh": tariff.buy_eur_per_kwh[column],
            "sell_eur_per_kwh": tariff.sell_eur_per_kwh[column],
            "default_eur_per_kwh": tariff.default_eur_per_kwh[column],
            "local_price_eur_per_kwh": value_eur / traded_kwh if traded_kwh > 0 else np.nan,
            "traded_kwh": traded_kwh,
            "delivered_kwh": settlement.delivered_kwh.sum(),
            "forecast_net_p10_kw": low_kw,
            "forecast_net_p50_kw": middle_kw,
            "forecast_net_p90_kw": high_kw,
        }
        self._recorder.record("timeseries", {name: [value] for name, value in row.items()})

    def _home_rows(self, step: int, time: Any) -> None:
        n, settlement, trades = len(self._fleet), self._world.settlement.read(), self._world.trades.read()
        cost_eur = np.sum(list(settlement.entries_micro_eur.values()), axis=0)[:n] / MICRO_EUR_PER_EUR
        paid = self._world.payments.previous()
        self._recorder.record(
            "prosumers",
            {
                "step": np.full(n, step),
                "time": [time] * n,
                "home": self._homes,
                **self._powers(),
                "voltage_pu": self._world.flow.read().voltage_pu,
                "bought_kwh": np.bincount(trades.buyer, settlement.delivered_kwh, minlength=n),
                "sold_kwh": np.bincount(trades.seller, settlement.delivered_kwh, minlength=n),
                "cost_eur": cost_eur,
                "paid_eur": np.full(n, np.nan) if paid is None else paid.final_micro_eur[:n] / MICRO_EUR_PER_EUR,
            },
        )

    def _count_cuts(self) -> None:
        cut_kw = self._world.storage.read().cut_kw
        self._cut_steps += cut_kw > 0
        self._cut_kwh += cut_kw * self._clock.step_h

    def _battery_rows(self) -> None:
        """Write what the batteries are, and how often their limits cut what was asked for; once, at the end."""
        fleet = self._fleet
        self._recorder.record(
            "batteries",
            {
                "home": self._homes,
                "capacity_kwh": fleet.batteries.capacity_kwh,
                "start_kwh": fleet.initial_soc_kwh,
                "replacement_eur_per_kwh": fleet.replacement_eur_per_kwh,
                "temperature_c": fleet.cell_temperature_c,
                "projected_steps": self._cut_steps,
                "projected_kwh": self._cut_kwh,
            },
        )

    def _trade_rows(self, step: int, time: Any) -> None:
        trades, settlement = self._world.trades.read(), self._world.settlement.read()
        m = trades.buyer.size
        if m:
            self._recorder.record(
                "trades",
                {
                    "step": np.full(m, step),
                    "time": [time] * m,
                    "buyer": self._homes[trades.buyer],
                    "seller": self._homes[trades.seller],
                    "energy_kwh": trades.energy_kwh,
                    "delivered_kwh": settlement.delivered_kwh,
                    "price_eur_per_kwh": trades.price_eur_per_kwh,
                    "fee_eur_per_kwh": trades.fee_eur_per_kwh,
                    "amount_eur": settlement.trade_micro_eur / MICRO_EUR_PER_EUR,
                },
            )

    def _ledger_rows(self, step: int) -> None:
        settlement: Settlement = self._world.settlement.read()
        for item, entry in settlement.entries_micro_eur.items():
            booked = np.flatnonzero(entry)
            if booked.size:
                self._recorder.record(
                    "ledger",
                    {
                        "step": np.full(booked.size, step),
                        "item": [item] * booked.size,
                        "account": self._accounts[booked],
                        "amount_micro_eur": entry[booked],
                    },
                )

    def _forecast_row(self, step: int, time: Any) -> None:
        low_kw, middle_kw, high_kw = self._world.day_ahead.read().forecast_kw[:, step]
        metered, day = self._world.metered.read(), self._clock.day_of(step)
        steps, foreseen = self._clock.day_steps(day), self._foreseen[day]
        self._recorder.record(
            "forecasts",
            {
                "issue_step": [self._issue_of_day[day]],
                "step": [step],
                "time": [time],
                "p10_kw": [low_kw],
                "p50_kw": [middle_kw],
                "p90_kw": [high_kw],
                "actual_net_kw": [float((metered.base_load_kw - metered.pv_kw).sum())],
                **{name: [values[step - steps.start]] for name, values in foreseen.items()},
            },
        )
        if step + 1 == steps.stop:
            del self._foreseen[day]

    def _fleet_quantiles(self, forecast: Forecast, day: int) -> dict[str, FloatArray]:
        """Return the columns of the fleet's load and sun of a day as foreseen when its bids were due."""
        steps, levels = self._clock.day_steps(day), np.array(forecast.levels)
        leads = forecast.leads(steps.start, len(steps))
        both = {"load": forecast.fleet_demand_kw[leads], "sun": forecast.fleet_solar_kw[leads]}
        return {
            f"{series}_p{100 * level:02.0f}_kw": quantile_at(quantiles_kw, levels, level)
            for series, quantiles_kw in both.items()
            for level in FORECAST_LEVELS
        }
