"""What to simulate: typed specs, the YAML loader, digest and JSON Schema.

A scenario is data and nothing else. The specs are pydantic models that forbid unknown keys and carry their units and
descriptions into the JSON Schema; names are checked against the registries, without importing what they stand for.
Turned down: import paths in YAML (a scenario would run code), and defaults hidden in agents (a resolved scenario would
not say what was run). It follows that a run folder's ``scenario.yaml`` reproduces the run.
"""
