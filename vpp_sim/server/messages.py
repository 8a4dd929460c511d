"""What the server answers, as messages: their fields are those of the JSON and of its OpenAPI description."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from vpp_sim.errors import ScenarioProblem

if TYPE_CHECKING:
    from vpp_sim.runs.catalogue import RunRecord

__all__ = [
    "HEADLINE_KPIS",
    "ComparedKpi",
    "ComparedValue",
    "Comparison",
    "RunDetail",
    "RunList",
    "RunSummary",
    "ValidScenario",
    "Validation",
    "summary_of",
]

HEADLINE_KPIS = ("homes_bill_eur", "vpp_profit_eur", "joint_surplus_eur", "self_sufficiency", "local_share", "v_min_pu")
"""KPIs that a list of runs shows."""


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One run in a list.

    Attributes
    ----------
    run_id : str
        Names the run in every address.
    name, digest : str
        Name of the scenario, and the SHA-256 over its resolved form.
    status : {"complete", "failed"}
        What became of it.
    error : str
        Why it failed, or empty.
    created : str
        Start of the run, UTC, ISO 8601.
    seed : int or None
        The scenario's seed.
    labels : dict
        What a sweep says of the run.
    kpis : dict
        The headline KPIs, each with its values and unit; empty for a failed run.
    """

    run_id: str
    name: str
    digest: str
    status: str
    error: str
    created: str
    seed: int | None
    labels: dict[str, Any]
    kpis: dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class RunList:
    """Some of the runs, newest first.

    Attributes
    ----------
    total : int
        How many there are.
    offset, limit : int
        Which part this is.
    runs : list of RunSummary
        The part.
    """

    total: int
    offset: int
    limit: int
    runs: list[RunSummary]


@dataclass(frozen=True, slots=True)
class RunDetail:
    """Everything about one run but its numbers.

    Attributes
    ----------
    run : RunSummary
        As in the list.
    manifest : dict
        As in ``manifest.json``.
    scenario_yaml : str
        The resolved scenario.
    tables, counterfactual_tables, figures : list of str
        Names that its addresses know.
    """

    run: RunSummary
    manifest: dict[str, Any]
    scenario_yaml: str
    tables: list[str]
    counterfactual_tables: list[str]
    figures: list[str]


@dataclass(frozen=True, slots=True)
class ComparedValue:
    """One KPI of one run; None where there was nothing to measure."""

    vpp: float | None
    counterfactual: float | None
    difference: float | None


@dataclass(frozen=True, slots=True)
class ComparedKpi:
    """One KPI of several runs.

    Attributes
    ----------
    name, label, unit, definition : str
        As in the definitions of KPIs; the unit of shares and pure numbers is ``"1"``.
    better : {"higher", "lower", "neither"}
        Which direction is an improvement.
    values : list of ComparedValue
        In the order of the runs.
    """

    name: str
    label: str
    unit: str
    better: Literal["higher", "lower", "neither"]
    definition: str
    values: list[ComparedValue]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The KPIs of several runs side by side."""

    runs: list[RunSummary]
    kpis: list[ComparedKpi]


@dataclass(frozen=True, slots=True)
class ValidScenario:
    """What a scenario without problems would run."""

    name: str
    digest: str
    resolved_yaml: str


@dataclass(frozen=True, slots=True)
class Validation:
    """What is wrong with a scenario.

    Attributes
    ----------
    valid : bool
        Whether it could be run.
    problems : list of ScenarioProblem
        The problems found, by line, a few hundred at most; empty if valid.
    scenario : ValidScenario or None
        What it says, if valid.
    """

    valid: bool
    problems: list[ScenarioProblem]
    scenario: ValidScenario | None


def summary_of(record: RunRecord) -> RunSummary:
    """Return what lists say of a run."""
    return RunSummary(
        run_id=record.run_id,
        name=record.name,
        digest=record.digest,
        status=record.status,
        error=record.error,
        created=record.created,
        seed=record.seed,
        labels=dict(record.labels),
        kpis={name: record.kpis[name] for name in HEADLINE_KPIS if name in record.kpis},
    )
