"""The sections of a scenario, one module a group of YAML keys."""
