"""Every cell of the table beside this file, as the loader gives it."""

from __future__ import annotations

import csv
from pathlib import Path

import pandas as pd
import pytest

from vpp_sim.data.fontana import Fontana
from vpp_sim.data.homes import HomesData

CELLS = list(csv.DictReader((Path(__file__).parent / "cells.csv").read_text(encoding="utf-8").splitlines()))


@pytest.fixture(scope="module")
def homes() -> HomesData:
    return Fontana().load()


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: f"{cell['column']}@{cell['start'][:13]}")
def test_cell(homes: HomesData, cell: dict[str, str]) -> None:
    column, _, home = cell["column"].partition(".")
    values = getattr(homes, column)[homes.position(pd.Timestamp(cell["start"]))]
    value = values[homes.names.index(home)] if home else values
    assert value == pytest.approx(float(cell["expected"]), rel=1e-6)
