"""The sections of a scenario, one module a group of YAML keys."""

__all__ = ["clock", "control", "grid", "prices", "prosumers", "spec", "trading"]
