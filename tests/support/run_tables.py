"""A made-up run with all its tables: a few homes, physically plausible, its ledger balanced to the micro-euro."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from vpp_sim.runs.bills import make_bills
from vpp_sim.runs.folder import COUNTERFACTUAL, RunFolder
from vpp_sim.runs.frames import RunData, RunTables, empty_frame, write_frame
from vpp_sim.runs.manifest import Manifest, environment
from vpp_sim.runs.summary import write_summary
from vpp_sim.units import to_micro_eur

ZONE = "America/Los_Angeles"
LEVIES, FEED_IN, DEFAULT = 0.13, 0.03, 0.22
STAMP = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
DIGEST = "0123456789abcdef" * 4
SCENARIO = "name: made_up\ndescription: Homes that were made up for tests.\nclock: {start: '2017-07-03', days: 7}\n"


@dataclass(frozen=True)
class World:
    """What is the same with and without the VPP; arrays of shape (T, n) or (T,)."""

    time: pd.Series
    homes: tuple[str, ...]
    hour: np.ndarray
    load: np.ndarray
    pv: np.ndarray
    price: np.ndarray
    step_h: float


def _world(homes: int, days: int, step_h: float, seed: int) -> World:
    rng = np.random.default_rng(seed)
    ticks = round(days * 24 / step_h)
    time = pd.Series(pd.date_range("2017-07-03", periods=ticks, freq=pd.Timedelta(hours=step_h), tz=ZONE)).dt.as_unit(
        "ms"
    )
    hour = np.arange(ticks) * step_h % 24
    evening = 0.5 + 1.6 * np.exp(-(((hour - 19) / 2.5) ** 2)) + 0.5 * np.exp(-(((hour - 7.5) / 1.5) ** 2))
    load = evening[:, None] * rng.uniform(0.6, 1.5, homes) * rng.lognormal(0, 0.25, (ticks, homes))
    sun = np.clip(np.sin((hour - 6) / 13 * np.pi), 0, None) * ((hour > 6) & (hour < 19))
    cloud = np.repeat(rng.uniform(0.6, 1.0, days), round(24 / step_h))
    pv = (
        (sun * cloud)[:, None]
        * np.where(np.arange(homes) % 3 == 0, 0.4, rng.uniform(2.5, 5.0, homes))
        * rng.uniform(0.93, 1.0, (ticks, homes))
    )
    price = 0.05 - 0.03 * sun + 0.05 * np.exp(-(((hour - 20) / 2) ** 2)) + rng.normal(0, 0.003, ticks)
    return World(time, tuple(f"homes/home_{i + 1}" for i in range(homes)), hour, load, pv, price, step_h)


def _batteries(world: World, net: np.ndarray, *, arbitrage: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    charge, discharge, soc = np.zeros_like(net), np.zeros_like(net), np.zeros_like(net)
    level = np.full(net.shape[1], 3.2)
    root = np.sqrt(0.9)
    for tick in range(len(net)):
        want = -net[tick]
        if arbitrage and 2 <= world.hour[tick] < 5:
            want = np.full(net.shape[1], 0.8)
        charge[tick] = np.minimum(np.clip(want, 0, 5.0), (6.4 - level) / root / world.step_h)
        discharge[tick] = np.minimum(np.clip(-want, 0, 5.0), level * root / world.step_h)
        level = level + (charge[tick] * root - discharge[tick] / root) * world.step_h
        soc[tick] = level
    return charge, discharge, soc


def _trades(world: World, net: np.ndarray, buy: np.ndarray) -> pd.DataFrame:
    rows = []
    for tick in range(len(net)):
        need, offer = np.clip(net[tick], 0, None), np.clip(-net[tick], 0, None)
        total = min(need.sum(), offer.sum())
        if total < 0.05:
            continue
        matched = np.outer(need / need.sum(), offer / offer.sum()) * total * world.step_h
        for buyer, seller in zip(*np.nonzero(matched > 1e-4), strict=True):
            price = (buy[tick] - LEVIES + FEED_IN) / 2
            energy = matched[buyer, seller]
            rows.append(
                (
                    tick,
                    world.time[tick],
                    world.homes[buyer],
                    world.homes[seller],
                    energy,
                    energy,
                    price,
                    0.0,
                    energy * price,
                )
            )
    return pd.DataFrame(rows, columns=list(empty_frame("trades").columns)) if rows else empty_frame("trades", ZONE)


def _ledger(world: World, net: np.ndarray, trades: pd.DataFrame, buy: np.ndarray, position: np.ndarray) -> pd.DataFrame:
    ticks, homes, h = len(net), world.homes, world.step_h
    bought, sold = _by_home(trades, world, "buyer", "delivered_kwh"), _by_home(trades, world, "seller", "delivered_kwh")
    paid, earned = _by_home(trades, world, "buyer", "amount_eur"), _by_home(trades, world, "seller", "amount_eur")
    drawn, fed = np.clip(net, 0, None) * h, np.clip(-net, 0, None) * h
    imbalance = net.sum(axis=1) * h - position
    spread = np.where(imbalance > 0, 1.25, 0.75)
    flows = [
        ("retail_energy", (drawn - bought) * (buy - LEVIES)[:, None], "vpp"),
        ("levies", drawn * LEVIES, "grid_operator"),
        ("feed_in", -(fed - sold) * FEED_IN, "vpp"),
    ]
    parts = []

    def add(item: str, account: str, amounts: np.ndarray) -> None:
        parts.append(
            pd.DataFrame({"step": np.arange(ticks), "item": item, "account": account, "amount_micro_eur": amounts})
        )

    for item, amounts, other in flows:
        micro = to_micro_eur(amounts)
        for index, home in enumerate(homes):
            add(item, home, micro[:, index])
        add(item, other, -micro.sum(axis=1))
    local = to_micro_eur(paid - earned)
    local[:, 0] -= local.sum(axis=1)
    for index, home in enumerate(homes):
        add("local_trade", home, local[:, index])
    for item, account, amounts in (
        ("day_ahead", "vpp", position * world.price),
        ("imbalance", "vpp", imbalance * world.price * spread),
        ("losses", "grid_operator", _loss(net) * h * world.price),
    ):
        add(item, account, to_micro_eur(amounts))
        add(item, "wholesale", -to_micro_eur(amounts))
    ledger = pd.concat(parts, ignore_index=True).sort_values(["step", "item", "account"], kind="stable")
    return ledger.astype({"step": np.int32, "amount_micro_eur": np.int64}).reset_index(drop=True)


def _by_home(trades: pd.DataFrame, world: World, side: str, value: str) -> np.ndarray:
    out = np.zeros(world.load.shape)
    columns = {home: index for index, home in enumerate(world.homes)}
    np.add.at(
        out, (trades["step"].to_numpy(int), trades[side].map(columns).to_numpy(int)), trades[value].to_numpy(float)
    )
    return out


def _loss(net: np.ndarray) -> np.ndarray:
    return 0.0015 * net.sum(axis=1) ** 2


def _refund(ledger: pd.DataFrame, tables: RunTables, counterfactual: RunTables) -> pd.DataFrame:
    bills = make_bills(replace(tables, ledger=ledger), counterfactual)
    excess = to_micro_eur(np.clip(bills["total_eur"] - bills["default_bill_eur"], 0, None).to_numpy())
    last = int(ledger["step"].max())
    accounts = [*bills["home"], "vpp"]
    amounts = np.append(-excess, excess.sum())
    rows = pd.DataFrame({"step": np.int32(last), "item": "guarantee", "account": accounts, "amount_micro_eur": amounts})
    return pd.concat([ledger, rows], ignore_index=True)


def _tables(world: World, seed: int, *, vpp: bool) -> RunTables:
    rng = np.random.default_rng(seed)
    ticks, homes = world.load.shape
    load = world.load.copy()
    if vpp:
        evening = (world.hour >= 18) & (world.hour < 22)
        moved = load[evening] * 0.1
        load[evening] -= moved
        load[(world.hour >= 11) & (world.hour < 15)] += moved
    charge, discharge, soc = _batteries(world, load - world.pv, arbitrage=vpp)
    curtailed = np.where((world.hour == 13)[:, None], 0.05 * world.pv, 0.0) if vpp else np.zeros_like(load)
    net = load - world.pv + curtailed + charge - discharge
    buy = DEFAULT + (0.6 * (world.price - world.price.mean()) if vpp else np.zeros(ticks))
    trades = _trades(world, net, buy) if vpp else empty_frame("trades", ZONE)
    actual = (world.load - world.pv).sum(axis=1)
    p50 = actual + rng.normal(0, 0.08 * homes, ticks)
    position = np.roll(net.sum(axis=1), 1) * world.step_h
    ledger = _ledger(world, net, trades, buy, position)
    total = net.sum(axis=1)
    delivered = trades.groupby("step")["delivered_kwh"].sum().reindex(range(ticks), fill_value=0.0).to_numpy()
    known = world.hour >= 0
    known[: round(24 / world.step_h)] = False
    fleet = {
        "base_load_kw": world.load,
        "load_kw": load,
        "pv_kw": world.pv,
        "curtailed_kw": curtailed,
        "charge_kw": charge,
        "discharge_kw": discharge,
        "soc_kwh": soc,
    }
    step = np.arange(ticks, dtype=np.int32)
    timeseries = pd.DataFrame(
        {
            "step": step,
            "time": world.time,
            "temperature_c": 20 + 6 * np.sin((world.hour - 9) / 24 * 2 * np.pi),
            "ghi_w_m2": world.pv.mean(axis=1) * 200,
            "carbon_kg_per_kwh": 0.25 - 0.02 * world.pv.mean(axis=1),
            **{name: values.sum(axis=1) for name, values in fleet.items()},
            "net_kw": total,
            "import_kw": np.clip(net, 0, None).sum(axis=1),
            "export_kw": np.clip(-net, 0, None).sum(axis=1),
            "loss_kw": _loss(net),
            "v_min_pu": 1.0 - 0.004 * np.clip(total, 0, None),
            "v_max_pu": 1.0 + 0.003 * np.clip(-total, 0, None),
            "transformer_loading": np.abs(total) / 40,
            "line_loading": np.abs(total) / 55,
            "day_ahead_eur_per_kwh": world.price,
            "position_kwh": position,
            "intraday_kwh": 0.0,
            "imbalance_kwh": total * world.step_h - position,
            "short_eur_per_kwh": 1.25 * world.price,
            "long_eur_per_kwh": 0.75 * world.price,
            "buy_eur_per_kwh": buy,
            "sell_eur_per_kwh": FEED_IN,
            "default_eur_per_kwh": DEFAULT,
            "local_price_eur_per_kwh": np.where(delivered > 0, (buy - LEVIES + FEED_IN) / 2, np.nan),
            "traded_kwh": delivered,
            "delivered_kwh": delivered,
            "forecast_net_p10_kw": np.where(known, p50 - 0.13 * homes, np.nan),
            "forecast_net_p50_kw": np.where(known, p50, np.nan),
            "forecast_net_p90_kw": np.where(known, p50 + 0.13 * homes, np.nan),
        }
    )
    bought, sold = _by_home(trades, world, "buyer", "delivered_kwh"), _by_home(trades, world, "seller", "delivered_kwh")
    prosumers = pd.DataFrame(
        {
            "step": np.repeat(step, homes),
            "time": world.time.repeat(homes).reset_index(drop=True),
            "home": np.tile(np.array(world.homes, dtype=object), ticks),
            **{name: values.ravel() for name, values in fleet.items()},
            "net_kw": net.ravel(),
            "voltage_pu": 1.0 - 0.003 * net.ravel(),
            "bought_kwh": bought.ravel(),
            "sold_kwh": sold.ravel(),
            "cost_eur": _cost_eur(ledger, world),
            "paid_eur": _paid_eur(ledger, world) if vpp else np.nan,
        }
    )
    forecasts = timeseries.loc[known, ["step", "time"]].assign(
        issue_step=lambda frame: (frame["step"] // 24 * 24 - 12).astype(np.int32),
        p10_kw=p50[known] - 0.13 * homes,
        p50_kw=p50[known],
        p90_kw=p50[known] + 0.13 * homes,
        actual_net_kw=actual[known],
        **_fan("load", world.load.sum(axis=1)[known], homes),
        **_fan("sun", world.pv.sum(axis=1)[known], homes),
    )
    return RunTables(
        timeseries,
        prosumers,
        trades,
        forecasts.reset_index(drop=True),
        ledger,
        _chain(world, ledger, rng) if vpp else empty_frame("chain"),
        world.step_h,
        6.4 * homes,
        _battery_rows(world, soc),
        _price_rows(world, timeseries) if vpp else empty_frame("prices", ZONE),
    )


def _price_rows(world: World, timeseries: pd.DataFrame) -> pd.DataFrame:
    """Take prices apart in shares that were made up, but for the sum."""
    over = timeseries["buy_eur_per_kwh"] - timeseries["default_eur_per_kwh"]
    shares = {"markup": 0.5, "wholesale": 0.8, "demand": -0.4, "elasticity": 0.0, "limits": 0.1, "exploration": 0.0}
    return pd.DataFrame(
        {
            "step": timeseries["step"],
            "time": timeseries["time"],
            "buy_eur_per_kwh": timeseries["buy_eur_per_kwh"],
            "default_eur_per_kwh": timeseries["default_eur_per_kwh"],
            **{f"{name}_eur_per_kwh": share * over for name, share in shares.items()},
            "limit": np.where(timeseries["step"] % 7 == 0, "cap", ""),
            "elasticity": -0.05,
            "elasticity_sd": 0.02,
        }
    )


def _battery_rows(world: World, soc: np.ndarray) -> pd.DataFrame:
    full = (soc >= 6.4 - 1e-9).sum(axis=0)
    return pd.DataFrame(
        {
            "home": list(world.homes),
            "capacity_kwh": 6.4,
            "start_kwh": 3.2,
            "replacement_eur_per_kwh": 400.0,
            "temperature_c": 25.0,
            "projected_steps": full,
            "projected_kwh": full * world.step_h,
        }
    )


def _fan(series: str, middle: np.ndarray, homes: int) -> dict[str, np.ndarray]:
    levels = (5, 10, 25, 50, 75, 90, 95)
    return {f"{series}_p{level:02d}_kw": middle + (level - 45) / 100 * 0.3 * homes for level in levels}


def _cost_eur(ledger: pd.DataFrame, world: World) -> np.ndarray:
    cost = ledger.pivot_table(index="step", columns="account", values="amount_micro_eur", aggfunc="sum")
    return cost[list(world.homes)].to_numpy().ravel() / 1e6


def _paid_eur(ledger: pd.DataFrame, world: World) -> np.ndarray:
    """Return what each home has paid for good: all but the two newest steps."""
    paid = _cost_eur(ledger, world).reshape(-1, len(world.homes)).cumsum(axis=0)
    return np.vstack([np.zeros((2, len(world.homes))), paid])[: len(paid)].ravel()


def _chain(world: World, ledger: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    periods = len(world.time)
    period = np.arange(periods, dtype=np.int32)
    submitted = (period + 1) * world.step_h * 3600.0
    mined = submitted + 12
    net = ledger.groupby(["step", "account"])["amount_micro_eur"].sum()
    return pd.DataFrame(
        {
            "period": period,
            "first_step": period,
            "last_step": period,
            "submitted_s": submitted,
            "mined_s": mined,
            "confirmed_s": mined + 12 * rng.choice([3, 3, 3, 4], periods),
            "block": 10 + period.astype(np.int64) * 300,
            "tx_hash": [f"0x{value:064x}" for value in range(periods)],
            "transactions": np.int32(1),
            "attempts": np.int32(1),
            "gas_used": 150_000 + rng.integers(0, 9000, periods),
            "gas_cost_eur": 0.4,
            "calldata_bytes": np.int64(1200),
            "accounts": np.int32(len(world.homes) + 3),
            "moved_micro_eur": net.clip(lower=0).groupby("step").sum().to_numpy(),
        }
    )


def run_data(*, homes: int = 6, days: int = 7, step_h: float = 1.0, seed: int = 1) -> RunData:
    """Return a made-up run and its counterfactual; the same arguments give the same tables."""
    world = _world(homes, days, step_h, seed)
    theirs = _tables(world, seed, vpp=False)
    ours = _tables(world, seed, vpp=True)
    ours = replace(ours, ledger=_refund(ours.ledger, ours, theirs))
    ours = replace(ours, prosumers=ours.prosumers.assign(cost_eur=_cost_eur(ours.ledger, world)))
    return RunData(ours, theirs, make_bills(ours, theirs))


def write_run_tables(data: RunData, path: Path) -> None:
    """Write the recorder's tables of `data` below `path`, as the recorder does."""
    for tables, folder in ((data.vpp, path), (data.counterfactual, path / COUNTERFACTUAL)):
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("timeseries", "prosumers", "batteries", "trades", "prices", "forecasts", "ledger", "chain"):
            write_frame(getattr(tables, name), folder, name, ZONE)
    (path / COUNTERFACTUAL / "chain.parquet").unlink()


def manifest(data: RunData, **changes: object) -> Manifest:
    """Return a manifest that fits `data`."""
    known = Manifest(
        name="made_up",
        digest=DIGEST,
        started="2026-01-02T03:04:05Z",
        **environment(),
        seeds={"scenario": 7},
        data_digests={"homes": "ab" * 32},
        counts={"gaps_filled": 2, "orders_unmatched": 31},
        model_cards={"demand": {"kind": "transformer", "trained_on": "2016-08-01 to 2017-04-30", "mase": 0.91}},
        wall_s={"METER": 0.41, "FLOW": 1.93},
        timezone=ZONE,
        information={"storage": "acts after this step's meter", "bids": "due at 12:00 for the next day"},
        facts={"step_h": data.vpp.step_h, "battery_capacity_kwh": data.vpp.battery_capacity_kwh},
    )
    return replace(known, **changes)


def write_run(results: Path, data: RunData | None = None, *, digest: str = DIGEST, **changes: object) -> RunFolder:
    """Write a whole run below `results` and return its folder."""
    data = data or run_data(days=2)
    with RunFolder.create(results, "made_up", digest, STAMP) as writer:
        write_run_tables(data, writer.path)
        write_summary(writer.path, step_h=data.vpp.step_h, battery_capacity_kwh=data.vpp.battery_capacity_kwh)
        (writer.path / "scenario.yaml").write_text(SCENARIO, encoding="utf-8")
        writer.write_manifest(manifest(data, digest=digest, **changes))
    return writer.folder


def imbalance_of(ledger: pd.DataFrame) -> int:
    """Return the greatest amount [uEUR] by which an item of a step does not sum to zero."""
    return int(ledger.groupby(["step", "item"])["amount_micro_eur"].sum().abs().max())


def parquet_metadata(path: Path) -> pa.Schema:
    """Return the schema stored in a Parquet file."""
    return pq.read_schema(path)
