"""The report of a run: one HTML file without external resources, to read, to print and to send.

Everything that a user or a data file can name is escaped by the template engine, and a content security policy in the
page forbids scripts and requests.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from ruamel.yaml import YAML

from vpp_sim.figures.accuracy import ACCURACY_HEAD, accuracy_rows
from vpp_sim.figures.captions import CAPTIONS
from vpp_sim.figures.gallery import FIGURES, left_out, plot
from vpp_sim.figures.headline import headline
from vpp_sim.figures.pricing import PRICE_HEAD, price_rows
from vpp_sim.figures.provenance import card_rows, count_groups, counterfactual_text, wall_rows
from vpp_sim.figures.series import end_of
from vpp_sim.runs.kpis import KPIS, kpi_rows
from vpp_sim.runs.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd

    from vpp_sim.runs.folder import RunFolder
    from vpp_sim.runs.frames import RunData
    from vpp_sim.runs.kpis import KpiValue

__all__ = ["write_report"]

_BILL_LABELS = {
    "home": "home", "import_kwh": "drawn", "export_kwh": "fed in", "bought_kwh": "bought locally",
    "sold_kwh": "sold locally", "retail_energy_eur": "energy", "levies_eur": "levies", "feed_in_eur": "feed-in",
    "local_trade_eur": "local trades", "market_fee_eur": "market fees", "guarantee_eur": "refund", "total_eur": "bill",
    "default_bill_eur": "default bill", "counterfactual_total_eur": "without VPP", "saving_eur": "saved",
}  # fmt: skip
_BILL_ROWS = 200
_PRICE_ROWS = 192


def write_report(folder: RunFolder) -> Path:
    """Draw the figures that are missing, and write ``report.html``.

    Parameters
    ----------
    folder : RunFolder
        A run with its tables, bills, KPIs, manifest and scenario; it may still be a partial one.

    Returns
    -------
    Path
        The report.

    Raises
    ------
    DataError
        If a part of the run is missing.
    """
    run = folder.data()
    page = _environment().get_template("report.html.j2").render(**_content(folder, run))
    out = folder.path / "report.html"
    out.write_text(page, encoding="utf-8")
    return out


def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("vpp_sim.figures", ""), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )


def _content(folder: RunFolder, run: RunData) -> dict[str, Any]:
    manifest, scenario = folder.manifest(), folder.scenario_yaml()
    resolved = YAML(typ="safe", pure=True).load(scenario)
    time, missing = run.vpp.timeseries["time"], left_out(run)
    return {
        "manifest": manifest,
        "run_id": folder.run_id.removesuffix(".partial"),
        "first": f"{time.iloc[0]:%-d %B %Y %H:%M}",
        "last": f"{end_of(time):%-d %B %Y %H:%M}",
        "days": time.dt.date.nunique(),
        "steps": len(time),
        "step_min": run.vpp.step_h * 60,
        "homes": len(run.bills),
        "headline": headline(run),
        "kpi_groups": _kpi_groups(folder.kpis()),
        "figures": [_figure(folder, run, name) for name in FIGURES if name not in missing],
        "figures_left_out": list(missing.values()),
        "accuracy_head": ACCURACY_HEAD,
        "accuracy_rows": accuracy_rows(manifest.forecasts),
        "model_cards": {role: card_rows(card) for role, card in manifest.model_cards.items()},
        "price_head": PRICE_HEAD,
        "price_rows": price_rows(run.vpp.prices, _PRICE_ROWS),
        "prices_left_out": max(len(run.vpp.prices) - _PRICE_ROWS, 0),
        "bill_head": [(_BILL_LABELS[field.name], field.metadata[b"unit"].decode()) for field in TABLES["bills"]],
        "bill_rows": _bill_rows(run.bills),
        "bills_left_out": max(len(run.bills) - _BILL_ROWS, 0),
        "scenario": scenario,
        "description": str(resolved.get("description", "")),
        "counterfactual": counterfactual_text(resolved),
        "counts": count_groups(manifest.counts),
        "wall_rows": wall_rows(manifest.wall_s),
        "tables": sorted(path.name for path in folder.path.glob("*.parquet")),
    }


def _figure(folder: RunFolder, run: RunData, name: str) -> dict[str, str]:
    path = folder.path / "figures" / f"{name}.png"
    if not path.is_file():
        plot(run, name, path)
    image = base64.b64encode(path.read_bytes()).decode("ascii")
    return {"name": name, "image": f"data:image/png;base64,{image}", "caption": CAPTIONS[name](run)}


def _verdict(better: str, difference: str) -> str:
    if better == "neither" or difference[0] not in "+-":  # a difference that prints as zero has no sign
        return ""
    return "better" if (difference[0] == "+") == (better == "higher") else "worse"


def _kpi_groups(kpis: Mapping[str, KpiValue]) -> dict[str, list[dict[str, str]]]:
    rows = {row[0]: row for row in kpi_rows(kpis)}
    groups: dict[str, list[dict[str, str]]] = {}
    for kpi in KPIS:
        if kpi.label not in rows:
            continue
        label, vpp, counterfactual, difference, unit = rows[kpi.label]
        row = {"label": label, "vpp": vpp, "counterfactual": counterfactual, "difference": difference, "unit": unit}
        row |= {"definition": kpi.definition, "verdict": _verdict(kpi.better, difference)}
        groups.setdefault(kpi.group, []).append(row)
    return groups


def _bill_rows(bills: pd.DataFrame) -> list[list[str]]:
    columns: list[str] = TABLES["bills"].names
    rows = [[_cell(name, row[name]) for name in columns] for row in bills.head(_BILL_ROWS).to_dict("records")]
    totals = bills.sum(numeric_only=True)
    return [*rows, ["all homes", *(_cell(name, totals[name]) for name in columns[1:])]]


def _cell(column: str, value: Any) -> str:
    if column == "home":
        return str(value)
    decimals = 1 if column.endswith("_kwh") else 2
    return f"{round(float(value), decimals) + 0.0:,.{decimals}f}"
