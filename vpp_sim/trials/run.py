"""Runs a trial: every controller and every policy over the same days, and what became of it as tables."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from vpp_sim.errors import DataError
from vpp_sim.ess.weights import read_policy_card
from vpp_sim.registry import CONTROLLERS
from vpp_sim.trials.homes import homes_on_trial
from vpp_sim.trials.measures import bootstrap_interval, shares_of, spread_of
from vpp_sim.trials.record import optimal_record, recorded
from vpp_sim.trials.request import TARIFFS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vpp_sim.ess.protocol import Controller
    from vpp_sim.ess.weights import PolicyCard
    from vpp_sim.trials.homes import TrialHomes
    from vpp_sim.trials.record import Record
    from vpp_sim.trials.request import TrialRequest

__all__ = ["Entrant", "TrialResult", "Tried", "entrants", "knowledge", "met_days", "run_trial"]

_STEP_S = 3600
_RULE_AND_PLAN = ("self_consumption", "mpc")


@dataclass(frozen=True, slots=True, eq=False)
class Entrant:
    """A controller on trial.

    Attributes
    ----------
    name : str
        Its row; seeds share one.
    controller : Controller
        Who acts.
    seed : int, optional
        Of its training.
    scores : tuple of float
        How it did on validation as it was trained; empty where it was not.
    weights_sha256 : str, optional
        Of what it learned.
    met : str, optional
        Which of the days it has met before: ``"train"`` if it learned from some, ``"validation"`` if it was chosen on
        some.
    """

    name: str
    controller: Controller
    seed: int | None = None
    scores: tuple[float, ...] = ()
    weights_sha256: str | None = None
    met: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Tried:
    """An entrant, what it did, and the processor time that took [s]."""

    entrant: Entrant
    record: Record
    cpu_s: float


@dataclass(frozen=True, slots=True, eq=False)
class TrialResult:
    """What a trial found.

    Attributes
    ----------
    request : TrialRequest
        What was asked.
    homes : TrialHomes
        Homes and days.
    best : Record
        A best schedule in hindsight.
    tried : tuple of Tried
        What each entrant did.
    """

    request: TrialRequest
    homes: TrialHomes
    best: Record
    tried: tuple[Tried, ...]
    rows: list[dict[str, Any]] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.rows.extend(_summary(self))

    @property
    def names(self) -> tuple[str, ...]:
        """The rows, best first."""
        return tuple(row["controller"] for row in self.rows)

    def of(self, name: str) -> list[Tried]:
        """Return what a row consists of, a seed each."""
        return [one for one in self.tried if one.entrant.name == name]

    def homes_table(self) -> pd.DataFrame:
        """Return a row for each controller, seed and home."""
        best_eur = self.best.saving_eur.sum(axis=1)
        parts = []
        for one in self.tried:
            saved_eur, projected = one.record.saving_eur.sum(axis=1), one.record.projected
            parts.append(
                pd.DataFrame(
                    {
                        "controller": one.entrant.name,
                        "seed": pd.array([one.entrant.seed] * len(best_eur), dtype="Int64"),
                        "home": self.homes.names,
                        "saving_eur": saved_eur,
                        "best_eur": best_eur,
                        "share": shares_of(saved_eur, best_eur),
                        "cycles": one.record.cycles(self.homes.cases.fleet),
                        "projected": pd.array(
                            [None] * len(best_eur) if projected is None else projected.tolist(), dtype="Int64"
                        ),
                    }
                )
            )
        return pd.concat(parts, ignore_index=True)

    def months_table(self) -> pd.DataFrame:
        """Return a row for each controller, seed and local month, homes added up."""
        month = self.homes.times.strftime("%Y-%m")
        best_eur = pd.Series(self.best.saving_eur.sum(axis=0)).groupby(np.asarray(month)).sum()
        parts = []
        for one in self.tried:
            saved_eur = pd.Series(one.record.saving_eur.sum(axis=0)).groupby(np.asarray(month)).sum()
            parts.append(
                pd.DataFrame(
                    {
                        "controller": one.entrant.name,
                        "seed": pd.array([one.entrant.seed] * len(best_eur), dtype="Int64"),
                        "month": best_eur.index,
                        "saving_eur": saved_eur.to_numpy(),
                        "best_eur": best_eur.to_numpy(),
                        "share": shares_of(saved_eur.to_numpy(), best_eur.to_numpy()),
                    }
                )
            )
        return pd.concat(parts, ignore_index=True)

    def steps_table(self) -> pd.DataFrame:
        """Return a row for each controller, seed, home and step; the best schedule is called ``optimum``."""
        found = [("optimum", None, self.best), *((t.entrant.name, t.entrant.seed, t.record) for t in self.tried)]
        m, steps = self.best.saving_eur.shape
        parts = [
            pd.DataFrame(
                {
                    "controller": name,
                    "seed": pd.array([seed] * m * steps, dtype="Int64"),
                    "home": np.repeat(self.homes.names, steps),
                    "time": np.tile(self.homes.times, m),
                    "soc_kwh": record.soc_kwh.ravel(),
                    "charge_kw": record.charge_kw.ravel(),
                    "discharge_kw": record.discharge_kw.ravel(),
                    "saving_eur": record.saving_eur.ravel(),
                }
            )
            for name, seed, record in found
        ]
        table = pd.concat(parts, ignore_index=True)
        table["time"] = pd.to_datetime(table["time"]).dt.as_unit("ms")
        return table


def entrants(request: TrialRequest) -> list[Entrant]:
    """Return who takes part: controllers by name, and policies from folders.

    Raises
    ------
    DataError
        If a folder holds no policy, or two policies of a row have one seed.
    """
    trained = [one for text in request.policies for one in _policies_in(text, request)]
    instead = {one.name for one in trained}
    named = [_registered(kind, request) for kind in request.kinds or CONTROLLERS.names if kind not in instead]
    seen: set[tuple[str, int | None]] = set()
    for one in trained:
        if (one.name, one.seed) in seen:
            raise DataError(f"two policies {one.name} have seed {one.seed}; name the folders apart, as in NAME=DIR")
        seen.add((one.name, one.seed))
    return named + trained


def run_trial(request: TrialRequest, *, progress: Callable[[int, int, str], None] | None = None) -> TrialResult:
    """Return what a trial finds.

    Parameters
    ----------
    request : TrialRequest
        What is asked.
    progress : callable, optional
        Called with what is done, what there is to do, and what comes next.

    Raises
    ------
    UnknownNameError
        If there is no such source or home.
    DataError
        If a policy or the data is not there.
    """
    tell = progress or (lambda done, total, what: None)
    field_of = entrants(request)
    homes = homes_on_trial(request)
    tell(0, len(field_of) + 1, "the optimum")
    best, tried = optimal_record(homes.cases), []
    for number, one in enumerate(field_of):
        tell(number + 1, len(field_of) + 1, one.name)
        began = time.process_time()
        record = recorded(one.controller, homes.cases, acts=request.acts)
        tried.append(Tried(one, record, time.process_time() - began))
    tell(len(field_of) + 1, len(field_of) + 1, "done")
    return TrialResult(request, homes, best, tuple(tried))


def knowledge(request: TrialRequest, controller: Controller) -> str:
    """Return what a controller knew, in a sentence."""
    if controller.needs_truth:
        return "load, sun and prices of the coming day as they will be"
    return f"{request.known_of_load}; {TARIFFS[request.tariff]}"


def met_days(card: PolicyCard, request: TrialRequest) -> str | None:
    """Return which split of a policy's card the days of a trial meet, the worst one first, or none."""
    if card.source != request.source:
        return None
    first, last = request.days
    for split in ("train", "validation"):
        begin, end = card.splits.get(split, ("9999", "0000"))
        if begin <= last and first <= end:
            return split
    return None


def _registered(kind: str, request: TrialRequest) -> Entrant:
    controller = CONTROLLERS.load(kind).open(_STEP_S)
    card: PolicyCard | None = getattr(controller, "card", None)
    return Entrant(kind, controller) if card is None else _learned(kind, controller, card, request)


def _learned(name: str, controller: Controller, card: PolicyCard, request: TrialRequest) -> Entrant:
    scores = tuple(card.validation_scores)
    return Entrant(name, controller, card.seed, scores, card.weights_sha256, met_days(card, request))


def _policies_in(text: str, request: TrialRequest) -> list[Entrant]:
    label, equals, path = text.rpartition("=")
    folder = Path(path)
    kinds = sorted(card.stem.removeprefix("ess_") for card in folder.glob("ess_*.json"))
    kinds = [kind for kind in kinds if kind in CONTROLLERS.names]
    if not kinds:
        raise DataError(f"{path}: there is no trained storage policy in this folder")
    found = []
    for kind in kinds:
        card = read_policy_card(kind, folder)
        name = f"{label}_{kind}" if equals else kind
        controller = CONTROLLERS.load(kind).open(_STEP_S, folder)
        found.append(_learned(name, controller, card, request))
    return found


def _summary(result: TrialResult) -> list[dict[str, Any]]:
    """Return a row for each controller, greatest share first."""
    best_eur = result.best.saving_eur.sum(axis=1)
    by_name: dict[str, list[Tried]] = {}
    for one in result.tried:
        by_name.setdefault(one.entrant.name, []).append(one)
    rows = [_row(result, name, seeds) for name, seeds in by_name.items()]
    shares = {row["controller"]: row["shares"] for row in rows}
    for row in rows:
        row["homes_ahead"] = _ahead(row["controller"], shares)
        row["best_eur_per_home"] = float(best_eur.mean())
    return sorted(rows, key=lambda row: -np.inf if row["share"] is None else row["share"], reverse=True)


def _row(result: TrialResult, name: str, seeds: Sequence[Tried]) -> dict[str, Any]:
    best_eur = result.best.saving_eur.sum(axis=1)
    saved_eur = np.array([one.record.saving_eur.sum(axis=1) for one in seeds])
    share = np.array([shares_of(row, best_eur) for row in saved_eur])
    worth = np.isfinite(share[0])
    by_home, by_seed = share.mean(axis=0), share[:, worth].mean(axis=1) if worth.any() else np.full(len(seeds), np.nan)
    asked = [one.record.projected for one in seeds if one.record.projected is not None]
    steps = result.best.saving_eur.size
    return {
        "controller": name,
        "knew": knowledge(result.request, seeds[0].entrant.controller),
        "seeds": [one.entrant.seed for one in seeds if one.entrant.seed is not None],
        "weights_sha256": [one.entrant.weights_sha256 for one in seeds if one.entrant.weights_sha256 is not None],
        "met_before": sorted({one.entrant.met for one in seeds if one.entrant.met is not None}),
        "share": float(by_home[worth].mean()) if worth.any() else None,
        "interval_over_homes": bootstrap_interval(by_home),
        "spread_over_seeds": spread_of(by_seed) if worth.any() else None,
        "share_of_sum": float(saved_eur.sum(axis=1).mean() / best_eur.sum()) if worth.any() else None,
        "saving_eur_per_home": float(saved_eur.mean()),
        "cycles": float(np.mean([one.record.cycles(result.homes.cases.fleet).mean() for one in seeds])),
        "projected": float(np.mean([found.sum() for found in asked])) if asked else None,
        "projected_share": float(np.mean([found.sum() for found in asked]) / steps) if asked else None,
        "cpu_s": float(np.mean([one.cpu_s for one in seeds])),
        "shares": {
            home: None if np.isnan(s) else float(s) for home, s in zip(result.homes.names, by_home, strict=True)
        },
    }


def _ahead(name: str, shares: dict[str, dict[str, float | None]]) -> int | None:
    """Return in how many homes a controller is ahead of the rule and of the plan, or none where these are not there."""
    if name in _RULE_AND_PLAN or not set(_RULE_AND_PLAN) <= set(shares):
        return None
    own = shares[name].items()
    return sum(share is not None and all(share > (shares[other][home] or 0.0) for other in _RULE_AND_PLAN)
               for home, share in own)  # fmt: skip
