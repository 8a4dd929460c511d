"""Tables on disk: schema, bytes, and what is refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.support.run_tables import ZONE, imbalance_of, parquet_metadata, run_data, write_run_tables
from vpp_sim.errors import DataError
from vpp_sim.runs.frames import empty_frame, read_frame, read_tables, write_frame
from vpp_sim.runs.tables import TABLES, table_schema


@pytest.fixture(scope="module")
def small():
    return run_data(homes=3, days=2)


def test_round_trip_keeps_values_zone_and_nan(small, tmp_path: Path) -> None:
    write_frame(small.vpp.timeseries, tmp_path, "timeseries", ZONE)
    read = read_frame(tmp_path, "timeseries")
    pd.testing.assert_frame_equal(read, small.vpp.timeseries[read.columns.tolist()])
    assert str(read["time"].dt.tz) == ZONE
    assert np.isnan(read["forecast_net_p50_kw"][0])
    assert parquet_metadata(tmp_path / "timeseries.parquet").equals(
        table_schema("timeseries", ZONE), check_metadata=True
    )


def test_same_tables_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_run_tables(run_data(homes=3, days=2), tmp_path / name)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.parquet"))
    assert len(files) == 15
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file


def test_missing_chain_means_nothing_was_settled(small, tmp_path: Path) -> None:
    write_run_tables(small, tmp_path)
    assert len(read_tables(tmp_path, step_h=1.0, battery_capacity_kwh=1.0).chain) == 48
    theirs = read_tables(tmp_path / "counterfactual", step_h=1.0, battery_capacity_kwh=1.0)
    assert theirs.chain.empty
    assert list(theirs.chain.columns) == TABLES["chain"].names


def test_missing_and_broken_tables_are_refused(small, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"bills\.parquet: cannot be read"):
        read_frame(tmp_path, "bills")
    (tmp_path / "bills.parquet").write_text("no parquet")
    with pytest.raises(DataError, match=r"bills\.parquet: cannot be read"):
        read_frame(tmp_path, "bills")
    with pytest.raises(DataError, match="table bills lacks total_eur, saving_eur"):
        write_frame(small.bills.drop(columns=["total_eur", "saving_eur"]), tmp_path, "bills")
    small.bills.drop(columns="total_eur").to_parquet(tmp_path / "bills.parquet")
    with pytest.raises(DataError, match=r"bills\.parquet: lacks total_eur"):
        read_frame(tmp_path, "bills")


def test_account_sums(small) -> None:
    items = small.vpp.account_items_eur()
    assert items.to_numpy().sum() == pytest.approx(0, abs=1e-9)
    assert items.loc["vpp"].sum() == pytest.approx(small.vpp.account_eur("vpp"), abs=1e-9)
    assert items.loc[small.vpp.home_names()].to_numpy().sum() == pytest.approx(small.vpp.homes_eur(), abs=1e-9)
    assert small.vpp.account_eur("nobody") == 0.0
    assert small.vpp.home_names() == ["homes/home_1", "homes/home_2", "homes/home_3"]


def test_the_made_up_run_balances(small) -> None:
    assert imbalance_of(small.vpp.ledger) == imbalance_of(small.counterfactual.ledger) == 0
    cost = small.vpp.prosumers.groupby("home")["cost_eur"].sum()
    total = small.bills.set_index("home")["total_eur"]
    assert (cost - total).abs().max() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("name", TABLES)
def test_an_empty_table_can_be_written_and_read(name: str, tmp_path: Path) -> None:
    write_frame(empty_frame(name), tmp_path, name)
    assert read_frame(tmp_path, name).columns.tolist() == TABLES[name].names
