"""Importing packages loads none of the heavy libraries: what is slow is loaded where it is used."""

import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import vpp_sim

ROOT = Path(vpp_sim.__file__).parent
HEAVY = (
    "cvxpy", "dask", "distributed", "eth", "eth_tester", "fastapi", "gymnasium", "highspy", "matplotlib",
    "pettingzoo", "power_grid_model", "pvlib", "scipy", "sqlalchemy", "stable_baselines3", "torch", "web3",
)  # fmt: skip
PACKAGES = sorted(found.name for found in pkgutil.walk_packages([str(ROOT)], "vpp_sim.") if found.ispkg)


def loaded_by(*modules: str) -> set[str]:
    """Return the top-level modules in memory after a fresh Python imported `modules`."""
    program = (
        f"import json, sys\nfor name in {modules!r}: __import__(name)\n"
        "print(json.dumps(sorted({n.split('.')[0] for n in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT.parent)
    return set(json.loads(done.stdout))


def test_plain_import_loads_no_library_at_all() -> None:
    assert not loaded_by("vpp_sim") & {*HEAVY, "pandas", "numpy", "pydantic", "simpy", "typer", "rich"}


def test_packages_and_command_line_are_light() -> None:
    assert not loaded_by(*PACKAGES, "vpp_sim.cli.main") & {*HEAVY, "pandas"}, "see which package alone is at fault"


def test_the_check_sees_a_heavy_import() -> None:
    assert "pandas" in loaded_by("vpp_sim.data.homes")


@pytest.mark.parametrize("command", [["--help"], ["run", "--help"], ["runs", "list", "--help"]])
def test_help_loads_neither_scenarios_nor_data(command: list[str]) -> None:
    program = (
        "import json, sys\nfrom vpp_sim.cli import main\n"
        f"status = main({command!r})\nassert status == 0, status\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT.parent)
    modules = set(json.loads(done.stdout.splitlines()[-1]))
    assert not {name.split(".")[0] for name in modules} & {*HEAVY, "pandas", "numpy"}
    assert not {"vpp_sim.scenario", "vpp_sim.simulation"} & modules
