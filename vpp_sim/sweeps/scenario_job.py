"""One job of a sweep over scenarios: run it, and return its KPIs; and the check of all jobs before the first starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from vpp_sim.errors import ScenarioError, ScenarioProblem, nearest
from vpp_sim.scenario.loader import read_scenario
from vpp_sim.scenario.written import Written, find, written
from vpp_sim.scenario.yaml_lines import read_yaml
from vpp_sim.sweeps.executors import Kpis, Overrides
from vpp_sim.sweeps.expansion import Job
from vpp_sim.sweeps.spec import SEED, GridValue, SweepSpec

if TYPE_CHECKING:
    from vpp_sim.runs.kpis import KpiValue

__all__ = ["PARTS", "ScenarioJob", "check_jobs", "kpi_columns"]

PARTS = {
    "vpp": "with the VPP",
    "counterfactual": "without the VPP",
    "difference": "with less without the VPP",
    "gain": "improvement by the VPP",
}
"""What stands behind the dot of a column's name, in words."""


@dataclass(frozen=True, slots=True)
class ScenarioJob:
    """Runs a scenario with overrides, adds the run to the catalogue, and returns its KPIs; picklable.

    Attributes
    ----------
    base : Path
        The scenario file.
    results_dir : Path
        Where run folders are written.
    started : datetime
        Stamp of the run folders, in UTC.
    sweep : str
        Name of the sweep; with the overrides it labels the runs in the catalogue.
    """

    base: Path
    results_dir: Path
    started: datetime
    sweep: str

    def __call__(self, overrides: Overrides) -> Kpis:
        """Run one job.

        Parameters
        ----------
        overrides : mapping of str to object
            Dotted keys of the scenario and their values.

        Returns
        -------
        mapping of str to float or None
            See :func:`kpi_columns`.
        """
        from vpp_sim.runs.catalogue import Catalogue
        from vpp_sim.simulation import run_scenario

        folder = run_scenario(self.base, started=self.started, results_dir=self.results_dir, overrides=overrides)
        Catalogue(self.results_dir).add(folder, {"sweep": self.sweep, **overrides})
        return kpi_columns(folder.kpis())


def kpi_columns(kpis: dict[str, KpiValue]) -> dict[str, float | None]:
    """Return the KPIs of a run as columns.

    ``<kpi>.vpp`` and ``<kpi>.counterfactual`` are the value with and without the VPP, ``<kpi>.difference`` the first
    less the second. ``<kpi>.gain`` is that difference with the sign that makes improvements positive: for a bill, the
    saving. KPIs that are neither good nor bad have no gain.
    """
    from vpp_sim.runs.kpis import KPIS

    sign = {kpi.name: {"higher": 1.0, "lower": -1.0}.get(kpi.better) for kpi in KPIS}
    columns: dict[str, float | None] = {}
    for name, value in kpis.items():
        columns[f"{name}.vpp"] = value["vpp"]
        columns[f"{name}.counterfactual"] = value["counterfactual"]
        columns[f"{name}.difference"] = difference = value["difference"]
        factor = sign.get(name)
        if factor is not None:
            columns[f"{name}.gain"] = None if difference is None else factor * difference + 0.0
    return columns


def check_jobs(spec: SweepSpec, base: Path, jobs: Sequence[Job], file: str) -> None:
    """Check every job's scenario, and the figure's KPI, so that a slip does not show after an hour.

    Parameters
    ----------
    spec : SweepSpec
        The sweep.
    base : Path
        Its scenario.
    jobs : sequence of Job
        Its jobs.
    file : str
        The sweep file, for messages.

    Raises
    ------
    ScenarioError
        With the problems of the first job that has any, or if no run has the figure's KPI.
    """
    from vpp_sim.runs.kpis import KPIS

    if spec.figure is not None:
        names = [f"{kpi.name}.{part}" for kpi in KPIS for part in PARTS if part != "gain" or kpi.better != "neither"]
        if spec.figure.kpi not in names:
            hint = nearest(spec.figure.kpi, names)
            allowed = f"expected a KPI and one of {', '.join(PARTS)}, such as homes_bill_eur.gain"
            raise ScenarioError([ScenarioProblem(file, 1, "figure.kpi", spec.figure.kpi, allowed, hint)])
    tree = read_yaml(file, [])
    for job in jobs:
        read_scenario(base, {key: _placed(tree, key, value, file) for key, value in job.overrides.items()})


def _placed(tree: Written | None, key: str, value: GridValue, file: str) -> Written:
    """Return a value of the grid with its line in the sweep file, or that of what stands around it."""
    if tree is None:
        return written(value, f"{file}: grid {key}", 0)
    node, _ = find(tree, ("seeds",) if key == SEED else ("grid", key))
    if isinstance(node.value, list):
        node = next((entry for entry in node.value if entry.value == value), node)
    return written(value, node.file, node.line)
