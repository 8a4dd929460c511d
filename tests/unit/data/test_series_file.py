"""Users' series files: what is read, and what each mistake is told."""

from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from vpp_sim.data.series_file import SeriesColumns, SeriesData, read_series
from vpp_sim.errors import DataError

COLUMNS = SeriesColumns(time="time", value="kw", id="meter")


def rows(start: str = "2017-01-01", hours: int = 4, meter: str = "a", freq: str = "1h", **more: object) -> pd.DataFrame:
    times = pd.date_range(start, periods=hours, freq=freq)
    return pd.DataFrame({"meter": meter, "time": times, "kw": np.arange(hours) * 1.5, **more})


def written(tmp_path: Path, table: pd.DataFrame, ending: str = ".csv") -> Path:
    path = tmp_path / f"series{ending}"
    table.to_csv(path, index=False) if ending == ".csv" else table.to_parquet(path, index=False)
    return path


def read(
    tmp_path: Path, table: pd.DataFrame, columns: SeriesColumns = COLUMNS, **more: object
) -> tuple[SeriesData, ...]:
    return read_series(written(tmp_path, table), columns, **more)  # type: ignore[arg-type]


def refused(tmp_path: Path, table: pd.DataFrame, columns: SeriesColumns = COLUMNS, **more: object) -> str:
    with pytest.raises(DataError) as caught:
        read(tmp_path, table, columns, **more)
    return str(caught.value).removeprefix(f"{tmp_path}/")


class TestRead:
    @pytest.mark.parametrize("ending", [".csv", ".parquet"])
    def test_series_in_any_order_share_a_table(self, tmp_path: Path, ending: str) -> None:
        table = pd.concat([rows(meter="b"), rows(meter="a").assign(kw=7.0)]).iloc[::-1]
        path = written(tmp_path, table, ending)
        (found,) = read_series(path, COLUMNS)
        assert found.names == ("a", "b")  # as the file begins them
        assert found.values.tolist() == [[7.0, 0.0], [7.0, 1.5], [7.0, 3.0], [7.0, 4.5]]
        assert (found.step_s, found.covariates.shape, found.index.tz) == (3600, (4, 0), None)
        assert found.index[0] == pd.Timestamp("2017-01-01")
        assert found.digest == sha256(path.read_bytes()).hexdigest()

    def test_spans_and_covariates_that_differ_stand_apart(self, tmp_path: Path) -> None:
        one, same = rows(meter="a", wind=1.0), rows(meter="b", wind=1.0)
        longer, other = rows(meter="c", hours=5, wind=1.0), rows(meter="d", wind=2.0)
        columns = SeriesColumns("time", "kw", "meter", ("wind",))
        found = read(tmp_path, pd.concat([one, same, longer, other]), columns)
        assert [part.names for part in found] == [("a", "b"), ("c",), ("d",)]
        assert [part.covariates[0, 0] for part in found] == [1.0, 1.0, 2.0]
        assert len(found[1].index) == 5

    def test_without_names_the_file_is_one_series(self, tmp_path: Path) -> None:
        (found,) = read(tmp_path, rows(freq="15min"), SeriesColumns("time", "kw"))
        assert (found.names, found.step_s) == (("kw",), 900)

    def test_a_day_of_23_hours_has_even_steps_in_utc(self, tmp_path: Path) -> None:
        times = pd.date_range("2017-03-26", periods=4, freq="1h", tz="Europe/Berlin")
        path = written(tmp_path, pd.DataFrame({"meter": "a", "time": times, "kw": 1.0}), ".parquet")
        (found,) = read_series(path, COLUMNS)
        assert (str(found.index.tz), found.index.hour.tolist()) == ("Europe/Berlin", [0, 1, 3, 4])

    def test_changing_offsets_are_read_in_utc_or_a_named_zone(self, tmp_path: Path) -> None:
        times = ["2017-03-26T01:00+01:00", "2017-03-26T03:00+02:00", "2017-03-26T04:00+02:00"]
        table = pd.DataFrame({"meter": "a", "time": times, "kw": 1.0})
        (plain,), (local,) = read(tmp_path, table), read(tmp_path, table, zone="Europe/Berlin")
        assert plain.index.hour.tolist() == [0, 1, 2]
        assert local.index.hour.tolist() == [1, 3, 4]

    def test_one_offset_is_kept(self, tmp_path: Path) -> None:
        times = ["2017-03-26T01:00-08:00", "2017-03-26T02:00-08:00"]
        (found,) = read(tmp_path, pd.DataFrame({"meter": "a", "time": times, "kw": 1.0}))
        assert found.index.hour.tolist() == [1, 2]


class TestRefused:
    def test_a_column_misspelt(self, tmp_path: Path) -> None:
        said = refused(tmp_path, rows(), SeriesColumns("tme", "kw", "meter"))
        assert said == "series.csv: has no column 'tme'; it has meter, time, kw; did you mean 'time'?"

    def test_a_column_for_two_purposes(self) -> None:
        with pytest.raises(DataError, match="two purposes: kw"):
            SeriesColumns("time", "kw", known=("kw",))

    @pytest.mark.parametrize(
        ("cell", "seen"), [("n/a", "n/a"), ("", "an empty cell"), ("nan", "nan"), ("inf", "inf"), ("1,5", "1,5")]
    )
    def test_a_cell_that_is_no_number(self, tmp_path: Path, cell: str, seen: str) -> None:
        table = rows().astype({"kw": object})
        table.loc[2, "kw"] = cell
        assert refused(tmp_path, table) == f"series.csv: row 3: kw = {seen}; expected a finite number"

    def test_a_covariate_that_is_no_number(self, tmp_path: Path) -> None:
        table = rows(wind=np.nan)
        said = refused(tmp_path, table, SeriesColumns("time", "kw", "meter", ("wind",)))
        assert said == "series.csv: row 1: wind = an empty cell; expected a finite number (and 3 more)"

    def test_a_load_below_zero(self, tmp_path: Path) -> None:
        said = refused(tmp_path, rows().assign(kw=[1, -2, 3, 4]), non_negative=True)
        assert said == "series.csv: row 2: kw = -2; expected a number that is not negative"
        assert read(tmp_path, rows().assign(kw=[1, -2, 3, 4]))

    def test_a_time_twice(self, tmp_path: Path) -> None:
        said = refused(tmp_path, pd.concat([rows("2017-01-02"), rows("2017-01-02").iloc[1:2]]))
        assert said == (
            "series.csv: row 5: time = 2017-01-02 01:00:00 of series 'a' stands twice, also in row 2; expected each "
            "time once"
        )

    def test_a_row_left_out(self, tmp_path: Path) -> None:
        said = refused(tmp_path, rows("2017-01-02", 6).drop(index=[2, 3]))
        assert said == (
            "series.csv: row 3: time = 2017-01-02 04:00:00 of series 'a' follows 2017-01-02 01:00:00; expected "
            "2017-01-02 02:00:00, 1h later"
        )

    def test_the_hour_that_clocks_skip_is_named(self, tmp_path: Path) -> None:
        said = refused(tmp_path, rows("2017-03-26", 6).drop(index=[2]))
        assert "row 3: time = 2017-03-26 03:00:00" in said
        assert "the hour from 2017-03-26 02:00:00 on is missing; where clocks change, give each time with its" in said

    def test_the_hour_that_clocks_repeat_is_named(self, tmp_path: Path) -> None:
        table = rows("2017-10-29", 6)
        said = refused(tmp_path, pd.concat([table.iloc[:3], table.iloc[2:]]))
        assert "time = 2017-10-29 02:00:00 of series 'a' stands twice" in said
        assert said.endswith("where clocks change, give each time with its offset, or in standard time all year")

    @pytest.mark.parametrize("cell", ["yesterday", "", "1483228800", "31.01.2017"])
    def test_what_is_no_time(self, tmp_path: Path, cell: str) -> None:
        table = rows().astype({"time": str})
        table.loc[1, "time"] = cell
        assert refused(tmp_path, table) == (
            f"series.csv: row 2: time = {cell or 'an empty cell'}; expected a time such as 2017-01-31T06:00"
        )

    def test_times_with_and_without_a_zone(self, tmp_path: Path) -> None:
        table = rows().astype({"time": str})
        table.loc[3, "time"] += "Z"
        assert refused(tmp_path, table).endswith("expected a time without a zone, as in row 1")

    def test_a_zone_for_times_that_have_none(self, tmp_path: Path) -> None:
        assert "times without one are taken for local standard time" in refused(tmp_path, rows(), zone="Europe/Berlin")

    def test_a_zone_that_is_not_there(self, tmp_path: Path) -> None:
        table = rows().assign(time=[f"2017-01-01T0{hour}:00Z" for hour in range(4)])
        assert refused(tmp_path, table, zone="Europe/Bern") == (
            "unknown time zone 'Europe/Bern'; expected a name such as Europe/Berlin or UTC"
        )

    def test_steps_of_a_day(self, tmp_path: Path) -> None:
        said = refused(tmp_path, rows(freq="1D"))
        assert said == (
            "series.csv: most rows of time are 1d apart; expected a step that divides an hour, such as 1h, 30min or "
            "15min"
        )

    def test_a_series_of_one_row(self, tmp_path: Path) -> None:
        said = refused(tmp_path, pd.concat([rows(), rows(meter="b", hours=1)]))
        assert said == "series.csv: series 'b' has a single row; expected two or more"

    def test_no_rows(self, tmp_path: Path) -> None:
        assert refused(tmp_path, rows(hours=0)) == "series.csv: has no rows"

    def test_no_such_file(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"there\.csv: is no Parquet or CSV file that can be read: No such file"):
            read_series(tmp_path / "there.csv", COLUMNS)

    def test_another_ending(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"series\.xlsx: a file of series ends in \.csv or \.parquet"):
            read_series(tmp_path / "series.xlsx", COLUMNS)

    def test_a_file_that_is_no_parquet(self, tmp_path: Path) -> None:
        (tmp_path / "series.parquet").write_text("time,kw\n")
        with pytest.raises(DataError, match="is no Parquet or CSV file that can be read"):
            read_series(tmp_path / "series.parquet", COLUMNS)
