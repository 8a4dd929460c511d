"""From a grid and seeds to jobs, in an order that depends on the sweep file alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

from vpp_sim.sweeps.spec import SEED, GridValue, SweepSpec

__all__ = ["Job", "expand"]


@dataclass(frozen=True, slots=True)
class Job:
    """One run of a sweep.

    Attributes
    ----------
    number : int
        Its place in the sweep, counted from 0.
    overrides : mapping of str to value
        Dotted keys of the scenario and their values, the seed last.
    label : str
        The same, for people.
    """

    number: int
    overrides: Mapping[str, GridValue]
    label: str


def expand(spec: SweepSpec) -> tuple[Job, ...]:
    """Return every combination of the grid with every seed.

    Keys vary in the order in which the file names them, the first slowest and the seed fastest.

    Examples
    --------
    >>> spec = SweepSpec(base="a.yaml", grid={"clock.days": (1, 2), "tariff.kind": ("flat",)}, seeds=(1, 2))
    >>> [job.label for job in expand(spec)][:3]
    ['clock.days=1, tariff.kind=flat, seed=1', 'clock.days=1, tariff.kind=flat, seed=2',
     'clock.days=2, tariff.kind=flat, seed=1']
    """
    keys = (*spec.grid, SEED)
    jobs = []
    for number, values in enumerate(product(*spec.grid.values(), spec.seeds)):
        overrides = dict(zip(keys, values, strict=True))
        label = ", ".join(f"{key}={_text(value)}" for key, value in overrides.items())
        jobs.append(Job(number, overrides, label))
    return tuple(jobs)


def _text(value: GridValue) -> str:
    return value if isinstance(value, str) else json.dumps(value)
