"""Small scenarios for tests: the shipped one, cut down, without trained models and without a chain unless asked."""

from collections.abc import Callable
from pathlib import Path

from vpp_sim.agents.inputs import Inputs, load_inputs, open_models
from vpp_sim.scenario.loader import load_scenario
from vpp_sim.scenario.scenario import Scenario
from vpp_sim.simulation import Outcome, simulate

ROOT = Path(__file__).parents[2]
FONTANA = ROOT / "scenarios" / "fontana.yaml"

LIGHT: dict[str, object] = {
    "clock.days": 1,
    "prosumers.0.data.homes": [1, 2, 3, 4],
    "forecasting.demand.kind": "seasonal_naive",
    "forecasting.solar.kind": "persistence",
    "ess.kind": "self_consumption",
    "chain": None,
}
"""One day, four homes, no trained model, no chain."""


def light_scenario(**changes: object) -> Scenario:
    """Return the light scenario with dotted keys changed; write ``__`` for a dot."""
    return load_scenario(FONTANA, LIGHT | {key.replace("__", "."): value for key, value in changes.items()})


def simulate_in(
    folder: Path, scenario: Scenario, change: Callable[[Inputs], Inputs] = lambda inputs: inputs
) -> Outcome:
    """Simulate into a new folder."""
    folder.mkdir(parents=True, exist_ok=True)
    return simulate(scenario, change(load_inputs(scenario)), open_models(scenario), folder)
