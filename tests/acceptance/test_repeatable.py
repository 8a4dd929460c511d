"""Same scenario and seed, same bytes; and a new neighbour changes nobody else's numbers."""

from pathlib import Path

import pandas as pd

from tests.support.scenarios import light_scenario, simulate_in


def test_the_same_scenario_gives_the_same_bytes(tmp_path: Path) -> None:
    scenario = light_scenario(chain={"every": "6h"}, market__local__bidding="zero_intelligence")
    for name in ("first", "second"):
        simulate_in(tmp_path / name, scenario)
    files = sorted(path.name for path in (tmp_path / "first").iterdir())
    assert files == [
        "batteries.parquet",
        "blocks.parquet",
        "chain.json",
        "chain.parquet",
        "events.parquet",
        "forecasts.parquet",
        "ledger.parquet",
        "prices.parquet",
        "prosumers.parquet",
        "timeseries.parquet",
        "trades.parquet",
        "transactions.parquet",
    ]
    for name in files:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes(), name


def test_another_seed_gives_other_limit_prices(tmp_path: Path) -> None:
    for seed in (1, 2):
        simulate_in(tmp_path / str(seed), light_scenario(seed=seed, market__local__bidding="zero_intelligence"))
    first, second = (pd.read_parquet(tmp_path / str(seed) / "trades.parquet") for seed in (1, 2))
    assert not first["price_eur_per_kwh"].equals(second["price_eur_per_kwh"])


def test_a_new_neighbour_changes_nobody_elses_home(tmp_path: Path) -> None:
    """With neither trades nor retail prices that all homes share, a home's own numbers stay as they were."""
    alone = {"market.local.kind": "none", "pricing.retail.kind": "flat", "ess.kind": "self_consumption"}
    alone_keys = {key.replace(".", "__"): value for key, value in alone.items()}
    simulate_in(tmp_path / "four", light_scenario(**alone_keys))
    simulate_in(tmp_path / "five", light_scenario(prosumers__0__data__homes=[5, 1, 2, 3, 4], **alone_keys))
    four, five = (pd.read_parquet(tmp_path / name / "prosumers.parquet") for name in ("four", "five"))
    old = five[five["home"] != "homes/home_5"].reset_index(drop=True)
    own = ["step", "home", "base_load_kw", "load_kw", "pv_kw", "charge_kw", "discharge_kw", "soc_kwh", "net_kw"]
    pd.testing.assert_frame_equal(old[own], four[own], check_exact=True)
