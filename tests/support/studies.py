"""Loads a study's programs as modules: they lie beside their page, in no package."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from tests.support.scenarios import ROOT

__all__ = ["program"]


def program(study: str, name: str = "run") -> ModuleType:
    """Return a program of a study, loaded anew; those beside it are importable while it loads, as when it runs."""
    path: Path = ROOT / "experiments" / study / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"study_{study}_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))
    sys.modules[spec.name] = module  # where its dataclasses look for their types
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.parent))
    return module
