"""Ways to execute the jobs of a sweep: one after another, or on a cluster of processes.

Every executor gives the same outcomes for the same jobs; they differ in time and place. A job that raises, or takes
its process down with it, is an outcome with an error, and the others go on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol, TypeAlias

from vpp_sim.errors import UserError

__all__ = ["DaskExecutor", "Executor", "Kpis", "Outcome", "Overrides", "RunOne", "SerialExecutor"]

logger = logging.getLogger(__name__)

Overrides: TypeAlias = Mapping[str, object]
"""Dotted keys of a scenario and their values."""

Kpis: TypeAlias = Mapping[str, float | None]
"""KPIs of one run by name; None where there is nothing to measure."""

RunOne: TypeAlias = Callable[[Overrides], Kpis]
"""Runs one job; picklable, so that it reaches other processes."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a job.

    Attributes
    ----------
    number : int
        Place of the job among those executed.
    kpis : mapping of str to float or None
        What it returned; None if it failed.
    error : str
        Kind and message of the error; empty if it did not fail.
    """

    number: int
    kpis: Kpis | None
    error: str = ""


class Executor(Protocol):
    """Executes independent jobs."""

    def execute(
        self, run_one: RunOne, jobs: Sequence[Overrides], on_outcome: Callable[[Outcome], None]
    ) -> tuple[Outcome, ...]:
        """Return the outcome of every job, in the order of `jobs`.

        Parameters
        ----------
        run_one : callable
            Runs one job.
        jobs : sequence of mapping
            Overrides of each job.
        on_outcome : callable
            Told of each outcome as it comes, in any order, on the caller's thread.
        """
        ...


class SerialExecutor:
    """Runs jobs one after another in this process.

    Parameters
    ----------
    workers : int, default 1
        Taken like every executor's; there is one worker whatever it says.

    Examples
    --------
    >>> jobs = [{"x": 4.0}, {"x": 0.0}]
    >>> SerialExecutor().execute(lambda job: {"y": 1 / job["x"]}, jobs, on_outcome=lambda outcome: None)
    (Outcome(number=0, kpis={'y': 0.25}, error=''),
     Outcome(number=1, kpis=None, error='ZeroDivisionError: float division by zero'))
    """

    def __init__(self, workers: int = 1) -> None:
        _require_workers(workers)

    def execute(
        self, run_one: RunOne, jobs: Sequence[Overrides], on_outcome: Callable[[Outcome], None]
    ) -> tuple[Outcome, ...]:
        """Return the outcome of every job; see :class:`Executor`."""
        outcomes = []
        for number, overrides in enumerate(jobs):
            outcomes.append(_attempt(run_one, number, overrides))
            on_outcome(outcomes[-1])
        return tuple(outcomes)


class DaskExecutor:
    """Runs jobs in processes of this machine, by a Dask cluster that listens on the loopback interface alone.

    Parameters
    ----------
    workers : int, default 2
        Processes, of one thread each. The script that starts them must be importable: what it does stands under
        ``if __name__ == "__main__":``.

    Notes
    -----
    There are never more jobs with the cluster than processes. A job that takes its process down, for example by using
    up the memory, therefore takes no other job with it, and no result that is not yet fetched. It counts as failed
    and is not tried again; a fresh process takes the place of the dead one.
    """

    def __init__(self, workers: int = 2) -> None:
        _require_workers(workers)
        self._workers = workers

    def execute(
        self, run_one: RunOne, jobs: Sequence[Overrides], on_outcome: Callable[[Outcome], None]
    ) -> tuple[Outcome, ...]:
        """Return the outcome of every job; see :class:`Executor`."""
        if not jobs:
            return ()
        import distributed

        dask: Any = distributed  # its functions carry no types

        outcomes: dict[int, Outcome] = {}
        with (
            dask.LocalCluster(
                n_workers=min(self._workers, len(jobs)),
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",  # a free port: the fixed one warns when two sweeps run at once
                scheduler_kwargs={"dashboard": False, "allowed_failures": 0},
            ) as cluster,
            dask.Client(cluster) as client,
        ):
            numbers: dict[Any, int] = {}

            def submit(number: int) -> Any:
                future = client.submit(_attempt, run_one, number, jobs[number], key=f"job-{number}", pure=False)
                numbers[future] = number
                return future

            waiting = iter(range(len(jobs)))
            finished = dask.as_completed([submit(number) for number in islice(waiting, self._workers)])
            for future in finished:
                outcome = _outcome(future, numbers.pop(future))
                outcomes[outcome.number] = outcome
                for number in islice(waiting, 1):
                    finished.add(submit(number))
                on_outcome(outcome)
        return tuple(outcomes[number] for number in range(len(jobs)))


def _require_workers(workers: int) -> None:
    if workers < 1:
        raise UserError(f"workers is {workers}, expected at least 1")


def _attempt(run_one: RunOne, number: int, overrides: Overrides) -> Outcome:
    """Run one job where it is executed; an error travels as text, since not every exception can be pickled."""
    try:
        return Outcome(number, dict(run_one(overrides)))
    except Exception as error:  # whatever one job raises is its outcome, and must not end the sweep
        logger.debug("job %d failed", number, exc_info=True)
        return Outcome(number, None, _described(error))


def _outcome(future: Any, number: int) -> Outcome:
    """Return what a finished future holds; it fails only when its process did, or its result cannot be sent."""
    error = future.exception()
    if error is None:
        result: Outcome = future.result()
        return result
    return Outcome(number, None, _described(error))


def _described(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".removesuffix(": ")
