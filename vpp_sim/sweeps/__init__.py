"""Many runs at once: a grid of scenario values times seeds, executed in parallel, put into one table.

A sweep is data (:mod:`~vpp_sim.sweeps.spec`), expanded into jobs in a fixed order (:mod:`~vpp_sim.sweeps.expansion`),
executed anywhere (:mod:`~vpp_sim.sweeps.executors`), and collected with means and intervals over the seeds
(:mod:`~vpp_sim.sweeps.run`). One job is one picklable function call (:mod:`~vpp_sim.sweeps.scenario_job`). Turned down:
a workflow engine (a sweep has no dependencies between jobs), and process pools (no way from one machine to a cluster).
It follows that the same jobs give the same table on every executor, and that a failed job is a row, not an end.
"""

__all__ = ["executors", "expansion", "run", "scenario_job", "spec"]
