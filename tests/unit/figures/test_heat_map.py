from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgba

from vpp_sim.errors import UnknownNameError, UserError
from vpp_sim.figures import heat_map as heat_map_module
from vpp_sim.figures.heat_map import axis_label, heat_map, kpi_label
from vpp_sim.figures.style import save
from vpp_sim.runs.kpis import KPIS
from vpp_sim.sweeps.executors import SerialExecutor
from vpp_sim.sweeps.run import SweepResult, run_sweep
from vpp_sim.sweeps.spec import HeatMapSpec, SweepSpec

X, Y = "prosumers.0.battery.capacity_kwh", "tariff.price_eur_per_kwh"
FIGURE = HeatMapSpec(x=X, y=Y, kpi="homes_bill_eur.gain")


def saving(overrides: Mapping[str, object]) -> dict[str, float | None]:
    size, price, seed = (float(str(overrides[key])) for key in (X, Y, "seed"))
    if (size, price) == (12.8, 0.2):
        raise ValueError("broken")
    return {"homes_bill_eur.gain": 100 * size * price + seed, "signed": size - 3.2}


def swept(seeds: tuple[int, ...] = (1, 2, 3), **more: tuple[int, ...]) -> SweepResult:
    grid = {X: (0.0, 6.4, 12.8), Y: (0.36, 0.2), **more}
    return run_sweep(SweepSpec(base="b", grid=grid, seeds=seeds), saving, SerialExecutor())


def test_cells_say_mean_and_half_width() -> None:
    figure = heat_map(swept(), FIGURE)
    axis = figure.axes[0]
    cells = {text.get_position(): text.get_text() for text in axis.texts}
    # Seeds 1, 2, 3: mean 2 above the rest, half width 4.303 / sqrt(3) = 2.48.
    assert cells == {
        (0, 0): "2\n± 2", (1, 0): "232\n± 2", (2, 0): "463\n± 2",
        (0, 1): "2\n± 2", (1, 1): "130\n± 2", (2, 1): "failed",
    }  # fmt: skip
    assert [label.get_text() for label in axis.get_xticklabels()] == ["0", "6.4", "12.8"]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["0.36", "0.2"]
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("battery capacity [kWh]", "tariff price [EUR/kWh]")
    assert axis.get_title(loc="left") == "Homes' total bill: improvement by the VPP [EUR]"
    assert figure.get_supxlabel() == "mean ± half a 95 % interval (Student's t), 0 to 3 seeds a cell"


def test_colours_are_safe_and_text_is_readable() -> None:
    axis = heat_map(swept(), FIGURE).axes[0]
    (image,) = axis.images
    assert image.cmap.name == "cividis"
    assert image.get_clim() == (2.0, pytest.approx(462.8))
    colours = {text.get_position(): to_rgba(text.get_color()) for text in axis.texts}
    assert colours[0, 0] == to_rgba("white")
    assert colours[2, 0] == to_rgba("#222222")


def test_zero_is_in_the_middle_of_signed_values() -> None:
    axis = heat_map(swept(), HeatMapSpec(x=X, y=Y, kpi="signed")).axes[0]
    (image,) = axis.images
    assert image.cmap.name == "PuOr_r"
    low, high = image.get_clim()
    assert (low, high) == (pytest.approx(-9.6), pytest.approx(9.6))


def test_one_seed_has_no_interval() -> None:
    figure = heat_map(swept(seeds=(2,)), FIGURE)
    assert figure.axes[0].texts[0].get_text() == "2"
    assert figure.get_supxlabel() == "value, 0 to 1 seed a cell"


def test_matrix_is_turned_with_the_axes() -> None:
    upright, turned = (
        heat_map(swept(), HeatMapSpec(x=x, y=y, kpi="homes_bill_eur.gain")).axes[0].images[0].get_array()
        for x, y in ((X, Y), (Y, X))
    )
    np.testing.assert_array_equal(upright, turned.T)


def test_same_bytes_each_time(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "a.svg", "b.svg"):
        save(heat_map(swept(), FIGURE), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_what_it_cannot_show_is_refused() -> None:
    with pytest.raises(UserError, match=r"cannot show the values of clock\.days"):
        heat_map(swept(**{"clock.days": (1, 2)}), FIGURE)
    with pytest.raises(UnknownNameError, match=r"unknown KPI of the sweep 'homes_bill\.gain'"):
        heat_map(swept(), HeatMapSpec(x=X, y=Y, kpi="homes_bill.gain"))


def test_labels() -> None:
    assert axis_label("seed") == "seed"
    assert axis_label("market.local.kind") == "local kind"
    assert axis_label("prosumers.0.battery.efficiency") == "battery efficiency"
    assert kpi_label(f"{KPIS[0].name}.vpp") == f"{KPIS[0].label}: with the VPP [EUR]"
    assert kpi_label("homes_bill_eur.nonsense") == "homes bill eur.nonsense"


@pytest.mark.parametrize(
    ("value", "text"), [(None, "null"), (float("nan"), "null"), (0.5, "0.5"), (True, "True"), ("ppo", "ppo")]
)
def test_values_on_the_axes_are_written_as_in_the_sweeps_file(value: object, text: str) -> None:
    assert heat_map_module._text(value) == text
