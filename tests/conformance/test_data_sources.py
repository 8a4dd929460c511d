"""Every source of homes and of prices keeps its protocol's promises."""

import numpy as np
import pandas as pd
import pytest

from vpp_sim.data.sources import HomeSource, PriceSource
from vpp_sim.errors import DataError
from vpp_sim.registry import HOME_SOURCES, PRICE_SOURCES


@pytest.mark.parametrize("name", HOME_SOURCES.names)
class TestHomeSource:
    @pytest.fixture
    def source(self, name: str) -> HomeSource:
        made = HOME_SOURCES.load(name)()
        assert isinstance(made, HomeSource)
        return made

    def test_recommended_homes_exist_and_bear_no_flag(self, source: HomeSource) -> None:
        data = source.load()
        assert source.default_homes
        assert set(source.default_homes) <= set(data.names)
        assert not set(source.default_homes) & set(data.flags)

    def test_two_loads_are_equal(self, source: HomeSource) -> None:
        one, two = source.load(), source.load()
        assert one.digest == two.digest
        assert one.index.equals(two.index)
        for field in ("load_kw", "pv_kw_per_kwp", "temperature_c", "ghi_w_m2", "tariff_eur_per_kwh"):
            np.testing.assert_array_equal(getattr(one, field), getattr(two, field))

    def test_nobody_can_change_what_was_loaded(self, source: HomeSource) -> None:
        with pytest.raises(ValueError, match="read-only"):
            source.load().load_kw[0, 0] = 1.0

    def test_finer_steps_keep_the_energy(self, source: HomeSource) -> None:
        data = source.load()
        fine = data.resampled(data.step_s // 4)
        np.testing.assert_allclose(fine.load_kw.sum(axis=0) / 4, data.load_kw.sum(axis=0), rtol=1e-12)

    def test_an_instant_outside_is_refused_with_the_range(self, source: HomeSource) -> None:
        data = source.load()
        with pytest.raises(DataError, match="which covers"):
            data.position(data.index[-1] + pd.Timedelta(days=1))


@pytest.mark.parametrize("name", PRICE_SOURCES.names)
class TestPriceSource:
    @pytest.fixture
    def source(self, name: str) -> PriceSource:
        made = PRICE_SOURCES.load(name)()
        assert isinstance(made, PriceSource)
        return made

    def test_prices_are_finite_and_the_same_at_each_load(self, source: PriceSource) -> None:
        one, two = source.load(), source.load()
        assert one.digest == two.digest
        assert np.isfinite(one.price_eur_per_kwh).all()
        np.testing.assert_array_equal(one.price_eur_per_kwh, two.price_eur_per_kwh)

    def test_quarters_of_an_hour_have_the_hours_price(self, source: PriceSource) -> None:
        series = source.load()
        start = series.index[100].tz_convert(series.time_zone)
        hourly, quarterly = series.at(start, 24, 3600), series.at(start, 96, 900)
        np.testing.assert_array_equal(np.repeat(hourly, 4), quarterly)

    def test_an_instant_outside_is_refused_with_the_range(self, source: PriceSource) -> None:
        series = source.load()
        with pytest.raises(DataError, match="prices cover"):
            series.at(series.index[-1].tz_convert(series.time_zone) + pd.Timedelta(days=2), 1, 3600)
