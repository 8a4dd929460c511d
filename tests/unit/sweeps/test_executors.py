import os
from collections.abc import Mapping, Sequence

import pytest

from vpp_sim.errors import UnknownNameError, UserError
from vpp_sim.registry import SWEEP_EXECUTORS
from vpp_sim.sweeps.executors import DaskExecutor, Executor, Outcome, SerialExecutor

JOBS = [{"x": x, "seed": 1} for x in (3.0, 0.0, 1.0, -1.0, 2.0)]


def inverse(overrides: Mapping[str, object]) -> dict[str, float | None]:
    x = overrides["x"]
    assert isinstance(x, float)
    if x == -2:
        os._exit(3)
    if x < 0:
        # An error that cannot be pickled back: its constructor takes other arguments than its message.
        raise UnknownNameError("sign", "minus", ["plus"])
    return {"inverse": 1 / x, "process": float(os.getpid()), "nothing": None}


def interrupt(overrides: Mapping[str, object]) -> dict[str, float | None]:
    raise KeyboardInterrupt


def check(outcomes: Sequence[Outcome], told: Sequence[Outcome]) -> None:
    assert [outcome.number for outcome in outcomes] == list(range(len(outcomes)))
    assert sorted(told, key=lambda outcome: outcome.number) == list(outcomes)
    assert [outcome.kpis and outcome.kpis["inverse"] for outcome in outcomes[:5]] == [1 / 3, None, 1.0, None, 0.5]
    assert [outcome.error for outcome in outcomes[:5]] == [
        "",
        "ZeroDivisionError: float division by zero",
        "",
        "UnknownNameError: unknown sign 'minus'; allowed: plus",
        "",
    ]


def test_registry_names() -> None:
    assert SWEEP_EXECUTORS.load("serial") is SerialExecutor
    assert SWEEP_EXECUTORS.load("dask") is DaskExecutor


def test_serial_failures_are_outcomes_and_the_others_go_on() -> None:
    told: list[Outcome] = []
    outcomes = SerialExecutor().execute(inverse, JOBS, told.append)
    check(outcomes, told)
    assert told == list(outcomes)
    assert {outcome.kpis["process"] for outcome in outcomes if outcome.kpis} == {float(os.getpid())}


def test_dask_failures_and_dead_processes_are_outcomes_and_the_others_go_on() -> None:
    told: list[Outcome] = []
    outcomes = DaskExecutor(workers=2).execute(inverse, [*JOBS, {"x": -2.0}, {"x": 4.0}, {"x": 5.0}], told.append)
    check(outcomes, told)
    assert outcomes[5].kpis is None
    assert outcomes[5].error.startswith("KilledWorker: ")
    assert [outcome.kpis and outcome.kpis["inverse"] for outcome in outcomes[6:]] == [0.25, 0.2]
    assert float(os.getpid()) not in {outcome.kpis["process"] for outcome in outcomes if outcome.kpis}


@pytest.mark.parametrize("name", SWEEP_EXECUTORS.names)
def test_no_jobs_no_outcomes(name: str) -> None:
    executor: Executor = SWEEP_EXECUTORS.load(name)(workers=1)
    assert executor.execute(inverse, [], lambda outcome: None) == ()


@pytest.mark.parametrize("name", SWEEP_EXECUTORS.names)
def test_no_workers_are_refused(name: str) -> None:
    with pytest.raises(UserError, match="workers is 0, expected at least 1"):
        SWEEP_EXECUTORS.load(name)(workers=0)


def test_an_interrupt_is_not_an_outcome() -> None:
    with pytest.raises(KeyboardInterrupt):
        SerialExecutor().execute(interrupt, JOBS, lambda outcome: None)
