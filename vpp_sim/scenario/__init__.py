"""What to simulate: typed specs, the YAML loader, digest and JSON Schema.

A scenario is data and nothing else. The specs are pydantic models that forbid unknown keys and carry their units and
descriptions into the JSON Schema; names are checked against the registries, without importing what they stand for.
Files are read as YAML 1.2 into a tree that knows its lines, merged, and only then checked, strictly, so that a message
can name the line of a base file and no value is bent into another type. Turned down: import paths in YAML (a scenario
would run code), merge keys and tags (a reader has to know YAML's corners), and defaults hidden in agents (a resolved
scenario would not say what was run). It follows that a run folder's ``scenario.yaml`` reproduces the run.
"""

from vpp_sim.scenario.loader import LoadedScenario, dump_scenario, load_scenario, read_scenario
from vpp_sim.scenario.scenario import Scenario
from vpp_sim.scenario.schema import json_schema

__all__ = ["LoadedScenario", "Scenario", "dump_scenario", "json_schema", "load_scenario", "read_scenario"]
