"""Run the study of forecasters and write its figures; ``--quick`` does a small version, writing nothing.

A full run keeps what it has finished in its scratch folder and goes on from there. The prices of the open day-ahead
benchmark and the peers' answers are not part of the project; ``--epf`` and ``--peers`` name them, and without them
their rows are left as they stand.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import side_by_side  # noqa: E402
import study  # noqa: E402
from study_program import Page, command_line, table  # noqa: E402

from vpp_sim.forecasting.fitting import FitSettings  # noqa: E402
from vpp_sim.forecasting.model import PRETRAINED, file_digest, model_path  # noqa: E402
from vpp_sim.forecasting.protocol import ForecastInputs, Task  # noqa: E402
from vpp_sim.registry import FORECASTERS  # noqa: E402
from vpp_sim.scenario.loader import load_scenario  # noqa: E402
from vpp_sim.simulation import run as simulate_and_save  # noqa: E402
from vpp_sim.training.forecasters import train_forecaster  # noqa: E402

NETWORKS, LEARNERS = ("lstm", "transformer"), ("linear", "gbm", "lstm", "transformer")
SEEDS = (0, 1, 2)
"""Seeds of whatever learns on the homes; the others are made once."""

EPF_SEEDS = (0,)
"""Seeds on the markets, where a fit takes ten times as long."""

YEAR_DAYS = 365
EPF_FIGURES = ("epf_mase", "epf_mase_seeds", "epf_train_s")
CLOSED_LOOP_FIRST, CLOSED_LOOP_DAYS = "2017-06-16", 45
CLOSED_LOOP = study.KINDS
PUBLISHED_NAIVE = {"BE": 1.361, "DE": 1.742, "FR": 1.160, "NP": 2.315, "PJM": 0.985}
"""Naive row of the fev benchmark on these five tasks, to its printed digits."""


def quick_make(kind: str) -> Any:
    """Return a maker of a forecaster so small that it is fitted in a second."""
    found = FORECASTERS.load(kind)
    tiny = FitSettings(epochs=1, windows=1280, batch=128, refit=False)
    return (lambda task: found(task, settings=tiny, members=1)) if kind in NETWORKS else found


def homes_part(scratch: Path, *, quick: bool) -> dict[str, Any]:
    """Return everything measured on the homes: with weather as if known, as issued, and of homes never seen."""
    homes = study.the_homes(28 if quick else None)
    kinds = ("persistence", "persistence_ensemble", "lstm", "transformer") if quick else study.KINDS
    make = quick_make if quick else FORECASTERS.load

    def rows(kind: str, **options: Any) -> list[dict[str, list[float]]]:
        place = scratch / ("unseen" if "left_out" in options else "fontana")
        weather = options.get("weather", "perfect")
        tested = SEEDS if kind in LEARNERS and not options and not quick else SEEDS[:1]
        naive = study.fontana(homes, "persistence", 0, place / f"persistence_{weather}_0", **options)
        found = [
            study.fontana(homes, kind, seed, place / f"{kind}_{weather}_{seed}", make=make(kind), **options)
            for seed in tested
        ]
        spent[kind] = found[0].fit_s if not options else spent.get(kind, 0.0)
        crossed[kind] = crossed.get(kind, 0) + sum(study.crossings(one) for one in found)
        return [study.score(one, naive) for one in found]

    spent: dict[str, float] = {}
    crossed: dict[str, int] = {}
    known = {kind: rows(kind) for kind in kinds}
    issued = {kind: rows(kind, weather="error_model") for kind in kinds if kind in NETWORKS}
    unseen = {kind: rows(kind, left_out=study.UNSEEN) for kind in kinds if kind in (*NETWORKS, "persistence_ensemble")}
    return {
        "fontana_home": {kind: _over_seeds(found, slice(0, -1)) for kind, found in known.items()},
        "fontana_aggregate": {kind: _over_seeds(found, slice(-1, None)) for kind, found in known.items()},
        "fontana_each_mase_ratio": {
            kind: [round(float(v), 3) for v in np.mean([one["mase_ratio"] for one in found], axis=0)]
            for kind, found in known.items()
        },
        "fontana_issued_weather": {
            kind: {
                "home": _over_seeds(found, slice(0, -1)),
                "aggregate": _over_seeds(found, slice(-1, None)),
            }
            for kind, found in issued.items()
        },
        "unseen_homes": {kind: _over_seeds(found, slice(None)) for kind, found in unseen.items()},
        "coverage": {
            kind: {
                share: round(float(np.mean([one[f"coverage_{share}"] for one in found])), 4) for share in ("80", "90")
            }
            for kind, found in known.items()
            if kind != "perfect"
        },
        "crossings": crossed,
        "train_s": {kind: round(spent[kind], 1) for kind in kinds if kind in LEARNERS},
    }


def _over_seeds(found: list[dict[str, list[float]]], series: slice) -> dict[str, dict[str, float]]:
    return {
        name: study.spread([float(np.mean(one[name][series])) for one in found])
        for name in ("mase_ratio", "wql_ratio", "nrmse", "coverage_80", "coverage_90")
    }


def epf_part(path: Path | None, scratch: Path) -> dict[str, Any]:
    """Return MASE by model and market, and training seconds of all five; empty without the file."""
    if path is None:
        return {name: {} for name in EPF_FIGURES}
    found: dict[str, dict[str, float]] = {}
    spent: dict[str, float] = {}
    tables = study.epf_tables(path)
    found["naive"] = {market: round(study.last_value(table), 4) for market, table in tables.items()}
    means: dict[str, dict[str, float]] = {}
    for kind in ("persistence", *NETWORKS):
        tested = EPF_SEEDS if kind in NETWORKS else SEEDS[:1]
        results = [
            {m: study.epf(table, kind, seed, scratch / "epf" / f"{kind}_{m}_{seed}") for m, table in tables.items()}
            for seed in tested
        ]
        found[kind] = {m: round(float(np.mean([one[m][0] for one in results])), 4) for m in tables}
        means[kind] = study.spread([float(np.mean([value for value, _ in one.values()])) for one in results])
        spent[kind] = round(float(np.mean([sum(made.fit_s for _, made in one.values()) for one in results])), 1)
    for row in found.values():
        row["mean"] = round(float(np.mean(list(row.values()))), 4)
    for market, stated in PUBLISHED_NAIVE.items():
        if abs(found["naive"][market] - stated) > 1e-3:
            raise SystemExit(f"the naive forecast of {market} is not the published one: {found['naive'][market]}")
    return {"epf_mase": found, "epf_mase_seeds": means, "epf_train_s": {kind: spent[kind] for kind in NETWORKS}}


def peers_part(answers: Path | None, scratch: Path, *, quick: bool) -> dict[str, Any]:
    """Return the peers and our networks on one fit that forecasts every day; only ours where there are no answers."""
    homes = study.the_homes(28 if quick else None)
    starts = [int(homes.midnights[0])]
    naive = study.fontana(homes, "persistence", 0, scratch / "peers" / "persistence", starts=starts)
    found: dict[str, Any] = {}
    for kind in NETWORKS:
        make = quick_make(kind) if quick else None
        own = study.fontana(homes, kind, 1, scratch / "peers" / kind, starts=starts, make=make)
        found[kind] = {**_errors(study.score(own, naive)), "train_s": round(own.fit_s, 1), "crossing_share": 0.0}
        found[kind]["infer_1000_ms"] = infer_ms(kind)
    if answers is None:
        return {"peers": found}
    for name, answer in side_by_side.read_answers(answers, homes.data.names).items():
        theirs = replace(naive, quantiles=answer["quantiles"])
        timing = answer["timing"]
        found[name] = {
            **_errors(study.score(theirs, naive)),
            "train_s": round(timing["train_cpu_s"], 1),
            "crossing_share": round(float((np.diff(answer["quantiles"], axis=-1) < 0).any(axis=-1).mean()), 4),
            "infer_1000_ms": round(1e3 * timing["infer_1000"]["network_s"], 1),
        }
    return {"peers": found}


def _errors(rows: dict[str, list[float]]) -> dict[str, float]:
    return {
        f"{group}_{name}": round(float(np.mean(rows[name][which])), 4)
        for group, which in (("home", slice(0, -1)), ("aggregate", slice(-1, None)))
        for name in ("mase_ratio", "wql_ratio", "nrmse")
    }


def infer_ms(kind: str, series: int = 1000, repeats: int = 9) -> float:
    """Return the least wall time of a forecast of so many series a day ahead [ms], on two cores."""
    shipped = FORECASTERS.load(kind).open("load")
    task = Task("load", horizon_steps=study.DAY)
    model = type(shipped)(task, members=len(shipped.networks))
    model.networks = tuple(model.build(model.config).eval() for _ in shipped.networks)
    rng, steps = np.random.default_rng(0), np.arange(task.context_steps + task.horizon_steps)
    inputs = ForecastInputs(
        history=rng.gamma(2.0, 0.5, (series, task.context_steps)),
        covariates=rng.normal(size=(len(steps), len(task.covariates))),
        hour=(steps % 24).astype(np.float64),
        day_of_week=steps // 24 % 7,
        day_of_year=1 + steps // 24,
    )
    spent = []
    for _ in range(repeats):
        began = time.perf_counter()
        model.predict(inputs)
        spent.append(time.perf_counter() - began)
    return round(1e3 * min(spent), 1)


def closed_loop_part(scratch: Path, *, quick: bool) -> dict[str, Any]:
    """Return what the plant costs a year under model predictive control on each forecaster's forecasts."""
    days = 1 if quick else CLOSED_LOOP_DAYS
    found = {}
    for kind in ("persistence",) if quick else CLOSED_LOOP:
        models = fitted_models(kind, scratch / "closed_loop" / "models") if kind in LEARNERS else None
        kept = scratch / "closed_loop" / f"{kind}_{weights_of(kind, models)}.json"
        if not kept.is_file():
            study.keep(kept, _plant(kind, models, days, scratch))
        found[kind] = json.loads(kept.read_text(encoding="utf-8"))
    return {"closed_loop_eur": found}


def fitted_models(kind: str, folder: Path) -> Path:
    """Return the folder with a kind's models of load and sun: those shipped, or else fitted on the same splits."""
    for target in ("load", "pv"):
        if model_path(PRETRAINED, target, kind).is_file():
            return PRETRAINED
        if not model_path(folder, target, kind).is_file():
            train_forecaster(kind, target, seed=SEEDS[0], out_dir=folder)
    return folder


def weights_of(kind: str, models: Path | None) -> str:
    """Return what tells the weights of a kind from others, so that no run with older ones is taken over."""
    if models is None:
        return "none"
    return "-".join(file_digest(model_path(models, target, kind))[:8] for target in ("load", "pv"))


def _plant(kind: str, models: Path | None, days: int, scratch: Path) -> dict[str, float]:
    """Return costs scaled to a year, and the error of the fleet's net forecast, from one simulation."""
    scenario = load_scenario(
        HERE.parents[1] / "scenarios" / "fontana.yaml",
        {
            "clock.start": CLOSED_LOOP_FIRST,
            "clock.days": days,
            "chain": None,
            "ess.kind": "mpc",
            "forecasting.demand.kind": kind,
            "forecasting.solar.kind": kind,
            **{
                f"forecasting.{part}.model": str(models)
                for part in ("demand", "solar")
                if models not in (None, PRETRAINED)
            },
        },
    )
    folder = simulate_and_save(scenario, started=datetime.now(UTC), results_dir=scratch / "closed_loop" / kind)
    kpis = folder.kpis()
    bill, profit, miss_kw = (
        float(kpis[name]["vpp"] or 0.0) for name in ("homes_bill_eur", "vpp_profit_eur", "forecast_mae_kw")
    )
    a_year = YEAR_DAYS / days
    return {
        "homes_bill": round(bill * a_year, 1),
        "vpp_profit": round(profit * a_year, 1),
        "homes_bill_less_profit": round((bill - profit) * a_year, 1),
        "forecast_mae_kw": round(miss_kw, 3),
    }


def table_of(figures: dict[str, Any]) -> str:
    """Return all tables of the study in Markdown."""
    return "\n".join(
        [
            _epf_table(figures),
            _fontana_table("Homes (mean over thirteen)", figures["fontana_home"]),
            _fontana_table("Aggregate (their sum, as one series)", figures["fontana_aggregate"]),
            _each_table(figures["fontana_each_mase_ratio"]),
            _issued_table(figures["fontana_issued_weather"]),
            _fontana_table("Three homes never seen (one seed)", figures["unseen_homes"]),
            _peers_table(figures["peers"]),
            _speed_table(figures),
            _closed_loop_table(figures["closed_loop_eur"]),
        ]
    )


def _epf_table(figures: dict[str, Any]) -> str:
    markets, seeds = ["BE", "DE", "FR", "NP", "PJM", "mean"], figures["epf_mase_seeds"]
    rows = [
        [
            kind,
            *(f"{row[market]:.3f}" for market in markets),
            "{low:.3f} to {high:.3f}".format(**seeds[kind]) if kind in seeds else "–",
            f"{figures['epf_train_s'].get(kind, 0):.0f}",
        ]
        for kind, row in figures["epf_mase"].items()
    ]
    return table("Day-ahead prices, MASE", ["model", *markets, "over seeds", "training CPU s, all five"], rows)


def _fontana_table(title: str, rows: dict[str, Any]) -> str:
    heads = ["model", "MASE ratio", "over seeds", "WQL ratio", "over seeds", "NRMSE", "80 % holds", "90 % holds"]

    def cells(row: dict[str, Any]) -> list[str]:
        mase, wql = row["mase_ratio"], row["wql_ratio"]
        return [
            f"{mase['mean']:.3f}",
            f"{mase['low']:.3f} to {mase['high']:.3f}",
            f"{wql['mean']:.3f}",
            f"{wql['low']:.3f} to {wql['high']:.3f}",
            f"{row['nrmse']['mean']:.3f}",
            f"{row['coverage_80']['mean']:.3f}",
            f"{row['coverage_90']['mean']:.3f}",
        ]

    return table(title, heads, [[kind, *cells(row)] for kind, row in rows.items()])


def _each_table(rows: dict[str, list[float]]) -> str:
    count = max(len(row) for row in rows.values())
    heads = ["model", *(str(i + 1) for i in range(count - 1)), "sum"]
    return table(
        "MASE ratio of each home, in the order of the data",
        heads,
        [[kind, *(f"{value:.2f}" for value in row)] for kind, row in rows.items()],
    )


def _issued_table(rows: dict[str, Any]) -> str:
    cells = [
        [kind, *(f"{row[g][m]['mean']:.3f}" for g in ("home", "aggregate") for m in ("mase_ratio", "wql_ratio"))]
        for kind, row in rows.items()
    ]
    heads = ["model", "homes MASE ratio", "homes WQL ratio", "aggregate MASE ratio", "aggregate WQL ratio"]
    return table("Weather as it was forecast at the issue (one seed)", heads, cells)


def _peers_table(rows: dict[str, Any]) -> str:
    names = ("home_mase_ratio", "home_wql_ratio", "aggregate_mase_ratio", "aggregate_wql_ratio")
    cells = [
        [
            kind,
            *(f"{row[name]:.3f}" for name in names),
            f"{row['train_s']:.0f}",
            f"{row['infer_1000_ms']:.0f}",
            f"{100 * row['crossing_share']:.1f} %",
        ]
        for kind, row in rows.items()
    ]
    heads = ["model", "homes MASE ratio", "homes WQL ratio", "aggregate MASE ratio", "aggregate WQL ratio"]
    heads += ["training CPU s", "1,000 forecasts ms", "steps that cross"]
    return table("Side by side, one fit on the data before 2017-02-01", heads, cells)


def _speed_table(figures: dict[str, Any]) -> str:
    cells = [
        [kind, f"{spent:.0f}", f"{figures['infer_1000_ms'][kind]:.0f}" if kind in figures["infer_1000_ms"] else "–"]
        for kind, spent in figures["train_s"].items()
    ]
    return table("Time", ["model", "CPU s for six monthly fits", "1,000 series, 24 h ahead, wall ms"], cells)


def _closed_loop_table(rows: dict[str, Any]) -> str:
    money = ("homes_bill", "vpp_profit", "homes_bill_less_profit")
    cells = [
        [kind, *(f"{row[name]:,.0f}" for name in money), f"{row['forecast_mae_kw']:.2f}"] for kind, row in rows.items()
    ]
    heads = ["forecaster", "homes' bill", "plant's profit", "bill less profit", "MAE of the fleet's net, kW"]
    return table("Closed loop under mpc, EUR a year", heads, cells)


PAGE = Page(HERE, table_of)


def spent_before(scratch: Path) -> float:
    """Return the processor seconds of all fits and forecasts that are kept in the scratch folder."""
    total = 0.0
    for path in scratch.glob("**/refit_*.npz"):
        with np.load(path) as kept:
            total += float(kept["fit_s"]) + float(kept["predict_s"])
    return total


def keep_what_was_not_run(figures: dict[str, Any], *, epf: bool, peers: bool) -> None:
    """Take from the page's figures what this run had no file for: the prices, the peers."""
    stated = PAGE.stated()["figures"]
    if epf:
        figures.update({name: stated[name] for name in EPF_FIGURES})
    if peers:
        figures["peers"] |= {name: row for name, row in stated["peers"].items() if name in side_by_side.PEERS}


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line, run, and print the figures as one JSON object."""
    parser = command_line(__doc__, quick="a small version that writes nothing")
    parser.add_argument(
        "--epf", type=Path, help="Parquet of the open day-ahead benchmark: " + ", ".join(study.EPF_COLUMNS)
    )
    parser.add_argument("--peers", type=Path, help="folder with the peers' answers; peers/README.md says how to get it")
    parser.add_argument("--scratch", type=Path, default=HERE.parents[1] / "results" / "studies" / "forecasting")
    given = parser.parse_args(arguments)
    if not given.quick:
        PAGE.check()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as temporary:
        scratch = Path(temporary) if given.quick else given.scratch
        figures = {
            **epf_part(None if given.quick else given.epf, scratch),
            **homes_part(scratch, quick=given.quick),
            **peers_part(None if given.quick else given.peers, scratch, quick=given.quick),
            "infer_1000_ms": {kind: infer_ms(kind) for kind in NETWORKS},
            **closed_loop_part(scratch, quick=given.quick),
        }
    if not given.quick:
        keep_what_was_not_run(figures, epf=given.epf is None, peers=given.peers is None)
        PAGE.state(figures, time.perf_counter() - began + spent_before(scratch))
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
