"""The manifest of a run: what ran, from what, with which knowledge, and what was dropped or repaired on the way.

Everything that may differ between two runs of one scenario (wall times, stamps, machine) stands here and in no other
file, so that the tables of both can be compared byte for byte.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from dataclasses import asdict, dataclass, field, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import vpp_sim
from vpp_sim.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LIBRARIES", "Manifest", "environment", "read_manifest", "write_manifest"]

LIBRARIES = (
    "cvxpy", "eth-tester", "gymnasium", "highspy", "numpy", "pandas", "power-grid-model", "py-evm", "pyarrow",
    "pydantic", "simpy", "stable-baselines3", "torch", "web3",
)  # fmt: skip
"""Libraries whose versions can change a result."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a reader must know to trust a run, or to repeat it.

    Attributes
    ----------
    name, digest : str
        Name of the scenario, and the SHA-256 over its resolved form.
    status : {"complete", "failed"}
        What became of the run.
    error : str
        Why it failed, or empty.
    started : str
        UTC stamp, ISO 8601.
    vpp_sim, python, platform : str
        Versions, and the machine's platform.
    libraries : mapping of str to str
        Version of each of `LIBRARIES`.
    commit : str or None
        Git commit when run from a checkout, with ``-dirty`` appended when tracked files were changed.
    seeds : mapping of str to int
        The scenario's seed, and any other.
    data_digests : mapping of str to str
        SHA-256 of each data file used.
    model_cards : mapping of str to mapping
        The cards of the trained models used, by the role they played.
    counts : mapping of str to int
        How many of everything were dropped, repaired, retried or left unmatched.
    wall_s : mapping of str to float
        Wall time of each phase [s].
    information : mapping of str to str
        Who knew what, when: the information each decision was based on.
    facts : mapping of str to float
        Numbers that KPIs and figures need beside the tables: ``step_h`` [h] and ``battery_capacity_kwh`` [kWh] of all
        homes together.
    forecasts : list of mapping
        How the run's day-ahead forecasts did: rows of :class:`vpp_sim.agents.forecast_book.ForecastRecord`.
    timezone : str
        IANA name of the time zone of the tables' ``time``.
    """

    name: str
    digest: str
    status: Literal["complete", "failed"] = "complete"
    error: str = ""
    started: str = ""
    vpp_sim: str = ""
    python: str = ""
    platform: str = ""
    libraries: Mapping[str, str] = field(default_factory=dict)
    commit: str | None = None
    seeds: Mapping[str, int] = field(default_factory=dict)
    data_digests: Mapping[str, str] = field(default_factory=dict)
    model_cards: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    wall_s: Mapping[str, float] = field(default_factory=dict)
    information: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, float] = field(default_factory=dict)
    forecasts: list[Mapping[str, Any]] = field(default_factory=list)
    timezone: str = "UTC"


def _installed(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "not installed"


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def _commit(root: Path) -> str | None:
    if not (root / ".git").exists():
        return None
    commit = _git(root, "rev-parse", "HEAD")
    changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    return f"{commit}-dirty" if commit and changed else commit


def environment() -> dict[str, Any]:
    """Return the fields of a manifest that describe where the run happens.

    Returns
    -------
    dict
        ``vpp_sim``, ``python``, ``platform``, ``libraries`` and ``commit``.

    Examples
    --------
    >>> Manifest(name="fontana", digest="ab12", **environment()).vpp_sim == vpp_sim.__version__
    True
    """
    return {
        "vpp_sim": vpp_sim.__version__,
        "python": platform.python_version(),
        "platform": f"{sys.platform} {platform.machine()}",
        "libraries": {library: _installed(library) for library in LIBRARIES},
        "commit": _commit(Path(vpp_sim.__file__).resolve().parents[1]),
    }


def write_manifest(manifest: Manifest, path: Path) -> None:
    """Write the manifest as JSON with sorted keys.

    Raises
    ------
    ValueError
        If a number is not finite: JSON has none such.
    """
    text = json.dumps(asdict(manifest), indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def read_manifest(path: Path) -> Manifest:
    """Read a manifest.

    Raises
    ------
    DataError
        If the file is missing, is no JSON object, or has other keys than a manifest.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as a manifest: {error}") from error
    known = {entry.name for entry in fields(Manifest)}
    if not isinstance(content, dict) or not {"name", "digest"} <= set(content) <= known:
        raise DataError(f"{path}: is not a manifest of vpp_sim {vpp_sim.__version__}")
    return Manifest(**content)
