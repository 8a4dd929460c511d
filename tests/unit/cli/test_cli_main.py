"""Exit statuses, and what is said on which stream."""

import subprocess
import sys
from pathlib import Path

import pytest
import typer

import vpp_sim
from vpp_sim.cli import main
from vpp_sim.cli.main import app
from vpp_sim.cli.wall_clock import utc_now
from vpp_sim.errors import ConservationError, DataError, ScenarioError, ScenarioProblem, UserError

COMMANDS = {
    "run", "validate", "schema", "sweep", "plot", "serve",
    "runs", "list", "show", "backtest", "compare", "evaluate",
    "train", "tune", "forecaster", "ess", "chain", "verify",
}  # fmt: skip


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Return a function that makes ``vpp-sim validate x`` raise an error."""

    def fail_with(error: BaseException) -> int:
        def broken(*_: object, **__: object) -> None:
            raise error

        monkeypatch.setattr("vpp_sim.scenario.read_scenario", broken)
        return main(["validate", "x.yaml"])

    return fail_with


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (UserError("no such run"), 2, "error: no such run\n"),
        (DataError("no data\nat all"), 2, "error: no data\nerror: at all\n"),
        (
            ScenarioError([ScenarioProblem("a.yaml", n, "k", "v", "expected w") for n in (1, 2)]), 2,
            "error: a.yaml:1: k = v; expected w\nerror: a.yaml:2: k = v; expected w\n",
        ),
        (
            ConservationError(3, "feeder", 0.5, "kWh"), 1,
            "error: ConservationError: tick 3: feeder is out of balance by 0.5 kWh\n",
        ),
        (KeyboardInterrupt(), 130, "error: interrupted\n"),
        (typer.Abort(), 130, "error: interrupted\n"),
    ],
)  # fmt: skip
def test_an_error_is_a_line_and_a_status(failing, capsys, error, status, said) -> None:  # type: ignore[no-untyped-def]
    assert failing(error) == status
    out, err = capsys.readouterr()
    assert (out, err) == ("", said)


def test_a_defect_keeps_its_traceback(failing) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ZeroDivisionError):
        failing(ZeroDivisionError())


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["rum"], "No such command 'rum'."),
        (["run"], "Missing argument 'SCENARIO'."),
        (["runs"], "Missing command."),
        (["run", "a.yaml", "--fast"], "No such option: --fast"),
        (["train", "forecaster", "--kind", "lstm", "--target", "load", "--seed", "-1"], "Invalid value for '--seed'"),
        (["train", "ess", "--kind", "sac"], "Invalid value for '--kind': 'sac' is not one of 'dqn', 'ppo'."),
    ],
)
def test_a_mistyped_command_exits_2(capsys: pytest.CaptureFixture[str], arguments: list[str], complaint: str) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"error: {complaint}")
    assert err.endswith("(vpp-sim --help lists commands and options)\n")


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_help_lists_every_command(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    assert err == ""
    for command in ("run", "validate", "schema", "train", "sweep", "runs", "chain", "plot", "serve"):
        assert f"\n  {command} " in out


def test_every_command_says_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    groups = {name: getattr(command, "commands", {}) for name, command in commands.items()}
    names = [[name] for name in groups] + [[group, name] for group, below in groups.items() for name in below]
    assert {name[-1] for name in names} == COMMANDS
    for name in names:
        assert main([*name, "--help"]) == 0
        assert len(capsys.readouterr().out.splitlines()[2]) > 20


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], ["WARNING distributed.scheduler: lost", "WARNING vpp_sim.sweeps: slow"]),
        (["-v"], ["WARNING distributed.scheduler: lost", "INFO vpp_sim.sweeps: begun", "WARNING vpp_sim.sweeps: slow"]),
    ],
)
def test_libraries_that_set_their_own_level_are_quiet(options: list[str], said: list[str], tmp_path: Path) -> None:
    program = (
        "import logging\nfrom vpp_sim.cli import main\n"
        f"assert main({[*options, 'schema', '--out', str(tmp_path / 's.json')]!r}) == 0\n"
        "logging.getLogger('distributed').setLevel(logging.INFO)  # as it does when it is imported\n"
        "for name, told in ('distributed.scheduler', ('State start', 'lost')), ('vpp_sim.sweeps', ('begun', 'slow')):\n"
        "    logging.getLogger(name).info(told[0])\n"
        "    logging.getLogger(name).warning(told[1])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines() == said


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"vpp-sim {vpp_sim.__version__}\n"


def test_runs_are_stamped_in_utc() -> None:
    assert utc_now().utcoffset() is not None
    assert utc_now().tzname() == "UTC"
