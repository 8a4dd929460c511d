"""Run the study of settlement and write its figures; ``--quick`` does a small version, writing nothing.

Stages are ``year``, ``kinds``, ``sweep``, ``faults`` and ``planted_bugs`` (which needs Node), one after the other.
``--only`` runs some of them again and merges their figures.
"""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(HERE.parent)]

import faults  # noqa: E402
import intervals  # noqa: E402
import kinds  # noqa: E402
from study_program import Page, Stage, command_line, run_in_stages, table  # noqa: E402

from vpp_sim.figures import style  # noqa: E402

YEAR_PERIODS, QUICK_PERIODS, RUNS, QUICK_RUNS = 8_760, 50, 500, 3
JUDGED = ("runs", "lost", "paid_twice", "unreconciled", "kills", "blocks", "seconds", "wrong_seeds")
KIND_KEYS = ("gas_per_trade", "ms_per_trade", "calldata_bytes", "gas_per_account", "trades_measured")
COLOURS = {"netted": "blue", "proof": "orange", "direct": "green"}


def years(*, jobs: int, quick: bool) -> dict[str, Any]:
    """Return the settled year of each backend, each in a process that does nothing else."""
    found: dict[str, Any] = {}
    for name in ("revm", "eth_tester"):
        periods = str(QUICK_PERIODS if quick else YEAR_PERIODS)
        command = [sys.executable, str(HERE / "year.py"), "--backend", name, "--periods", periods]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
        found |= json.loads(done.stdout.splitlines()[-1])
    return {"year_s": {name: row["seconds"] for name, row in found.items()}, "year": found}


def costs(*, jobs: int, quick: bool) -> dict[str, Any]:
    """Return what each kind costs."""
    backends = ("revm", "eth_tester") if quick else tuple(kinds.DIRECT_TRADES)
    missing = {"anvil": "not installed"} if "anvil" in backends and kinds.anvil() is None else {}
    measured = [name for name in backends if name not in missing]
    sizes = kinds.MEMBERS[:2] if quick else kinds.MEMBERS
    rows = [row for members in sizes for name in measured for row in kinds.measure(name, members)]
    reasons = {f"{row['kind']}/{row['members']}/{row['backend']}": row["reason"] for row in rows if "reason" in row}
    found: dict[str, Any] = {key: kinds.by_kind(rows, key) for key in KIND_KEYS}
    return found | kinds.prove_many() | {"beside_gas": kinds.beside(), "does_not_fit": reasons, "missing": missing}


def swept(*, jobs: int, quick: bool) -> dict[str, Any]:
    """Return the sweep, and the size of the contracts."""
    gas = json.loads((ROOT / "tests" / "contracts" / "gas.json").read_text(encoding="utf-8"))
    return {"sweep": intervals.sweep(jobs=jobs, quick=quick), "contract_bytes": gas["contract_bytes"]}


def faulty(*, jobs: int, quick: bool) -> dict[str, Any]:
    """Return what the fault runs lost, with a client that lives and with one that is killed."""
    found: dict[str, Any] = {}
    for name, run in (("fault_runs", faults.run_whole), ("killed_runs", faults.run_killed)):
        found[name], _ = faults.run_all(partial(run), range(QUICK_RUNS if quick else RUNS), jobs)
    return found


def planted(*, jobs: int, quick: bool) -> dict[str, Any]:
    """Return how many planted bugs the contracts' tests catch; the quick version plants none."""
    if quick:
        return {"planted_bugs": None, "planted_bugs_caught": None}
    command = [sys.executable, "-m", "tests.contracts.planted_bugs"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    counted: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return counted


STAGES: dict[str, Stage] = {
    "year": years,
    "kinds": costs,
    "sweep": swept,
    "faults": faulty,
    "planted_bugs": planted,
}


def table_of(figures: dict[str, Any]) -> str:
    """Return the README's tables."""
    parts = [_kinds_table(figures), _year_table(figures), _faults_table(figures), _sweep_table(figures["sweep"])]
    return "\n".join([*parts, _contracts_table(figures)])


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,}"


def _kinds_table(figures: dict[str, Any]) -> str:
    rows = [
        [kind, f"{int(members):,}", name, *(_number(figures[key][kind][members][name]) for key in KIND_KEYS)]
        for kind, by_members in figures["gas_per_trade"].items()
        for members, by_backend in by_members.items()
        for name in by_backend
    ]
    heads = ["kind", "members", "backend", "gas a trade", "ms a trade", "bytes a trade", "gas an account", "trades run"]
    beside = ", ".join(f"{name} {gas:,}" for name, gas in figures["beside_gas"].items())
    unfit = "".join(f"\nDoes not fit: {case}: {reason}.\n" for case, reason in figures["does_not_fit"].items())
    proven = f"{figures['proof_10000_s']} s and {figures['proof_10000_gas_per_trade']:,} gas a trade"
    text = f"10,000 trades between 1,000 accounts, proven and claimed on revm: {proven}. Beside it, in gas: {beside}.\n"
    return table("A period of as many trades as members", heads, rows) + "\n" + text + unfit


def _year_table(figures: dict[str, Any]) -> str:
    rows = [
        [
            name,
            *(_number(row[key]) for key in ("periods", "seconds", "gas_a_period")),
            f"{row['resident_mib'][0]} to {row['resident_mib'][-1]}",
        ]
        for name, row in figures["year"].items()
    ]
    return table("A settled year", ["backend", "periods", "CPU s", "gas a period", "memory [MiB]"], rows)


def _faults_table(figures: dict[str, Any]) -> str:
    names = {"fault_runs": "client lives", "killed_runs": "client is killed"}
    keys = JUDGED[:6]
    rows = [[title, *(_number(figures[name][key]) for key in keys)] for name, title in names.items()]
    return table("Runs on a chain that misbehaves", ["runs in which the", *(k.replace("_", " ") for k in keys)], rows)


def _hours(seconds: float) -> str:
    return f"{seconds / 3_600:g} h" if seconds >= 3_600 else f"{seconds / 60:g} min"


def _sweep_table(found: dict[str, Any]) -> str:
    rows = [
        [_hours(row["interval_s"]), row["kind"], f"{row['block_time_s']} s", _number(row["gas_per_period"])]
        + [f"{1e2 * row[f'gas_eur_per_kwh_at_{price}']:.4g}" for price in intervals.GAS_PRICES_GWEI]
        + [f"{row['latency_s'] / 60:,.1f}", f"{row['escrow_eur']:.2f}"]
        for row in found["cases"]
    ]
    heads = ["interval", "kind", "block time", "gas a period", "ct/kWh at 1 gwei", "ct/kWh at 0.01 gwei"]
    title = (
        f"{found['homes']} homes, {found['days']:g} days, {found['load_kwh']:,} kWh of load; direct pays only "
        f"{found['trades']:,} trades, {found['traded_kwh']:,} kWh"
    )
    return table(title, [*heads, "latency [min]", "escrow [EUR]"], rows)


def _contracts_table(figures: dict[str, Any]) -> str:
    rows = [[name, _number(size)] for name, size in figures["contract_bytes"].items()]
    caught = f"Planted bugs caught: {figures['planted_bugs_caught']} of {figures['planted_bugs']}.\n"
    return table("Contracts (the limit is 24,576)", ["contract", "bytes"], rows) + "\n" + caught


@style.styled
def draw(found: dict[str, Any], path: Path) -> None:
    """Draw gas cost and escrow over latency at 12 s a block."""
    figure, panels = style.axes(1, 2, height_in=3.4)
    columns = {"gas_eur_per_kwh_at_1_gwei": "gas at 1 gwei [EUR/kWh]", "escrow_eur": "escrow of all homes [EUR]"}
    for axis, (column, label) in zip(panels, columns.items(), strict=True):
        for kind, colour in COLOURS.items():
            rows = [row for row in found["cases"] if row["kind"] == kind and row["block_time_s"] == 12]
            latency_h, values = [row["latency_s"] / 3_600 for row in rows], [row[column] for row in rows]
            axis.plot(latency_h, values, marker="o", color=style.COLOURS[colour], label=kind)
            for x, y, row in zip(latency_h, values, rows, strict=True):
                style.label_line(axis, x, y, _hours(row["interval_s"]), style.COLOURS[colour])
        axis.set(xscale="log", yscale="log", xlabel="latency from delivery [h]", ylabel=label)
    style.legend_above(panels[0])
    style.save(figure, path)


PAGE = Page(HERE, table_of, lambda figures, folder: draw(figures["sweep"], folder / "intervals.png"))


def main() -> None:
    """Run the study; the last line printed is one JSON object of its figures."""
    run_in_stages(PAGE, STAGES, command_line(__doc__, quick="a few runs and periods; writes nothing"))


if __name__ == "__main__":
    main()
