"""Give the peers the homes' year on the study's split, and read what they answered."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from pathlib import Path

    from vpp_sim.data.homes import HomesData

AGGREGATE = "aggregate"
PEERS = ("LSTM", "VanillaTransformer", "NHITS")


def write_exchange(
    folder: Path, homes: HomesData, origins: np.ndarray, *, validation_days: int, levels: tuple[float, ...]
) -> None:
    """Write the homes and their sum, with calendar and observed weather as known beforehand, and one fit.

    Times are local standard time, in which there are no gaps; an origin at midnight of daylight-saving time is 23:00.
    """
    folder.mkdir(parents=True, exist_ok=True)
    standard = homes.index[0].utcoffset() - homes.index[0].dst()
    clock = (homes.index.tz_convert("UTC") + standard).tz_localize(None)
    local = homes.index
    angle = 2.0 * np.pi * local.hour.to_numpy() / 24.0
    known = {
        "hour_sin": np.sin(angle),
        "hour_cos": np.cos(angle),
        "saturday": (local.dayofweek == 5).astype(float),
        "sunday": (local.dayofweek == 6).astype(float),
        "temperature_c": homes.temperature_c,
        "ghi_w_m2": homes.ghi_w_m2,
    }
    values = np.column_stack([homes.load_kw, homes.load_kw.sum(axis=1)])
    frames = [
        pd.DataFrame({"unique_id": name, "ds": clock, "y": values[:, i], **known})
        for i, name in enumerate([*homes.names, AGGREGATE])
    ]
    pd.concat(frames).to_parquet(folder / "series.parquet", index=False)
    first = clock[origins[0]]
    fit = {
        "train_end": str(first),
        "validation_start": str(first - pd.Timedelta(days=validation_days)),
        "origins": [str(clock[origin]) for origin in origins],
    }
    content = {"horizon": 24, "input_size": 168, "levels": list(levels), "seed": 1, "fits": [fit]}
    (folder / "origins.json").write_text(json.dumps(content), encoding="utf-8")


def read_answers(folder: Path, names: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Return by model its quantiles (N, n, H, Q), in the order of `names` and the sum last, and its timings."""
    timings = json.loads((folder / "timings.json").read_text(encoding="utf-8"))["models"]
    found = {}
    for model in PEERS:
        path = folder / f"forecasts_{model}.npz"
        if model in timings and path.is_file():
            with np.load(path) as answer:
                ids = [str(name) for name in answer["unique_ids"]]
                order = [ids.index(name) for name in (*names, AGGREGATE)]
                found[model] = {"quantiles": answer["quantiles"][:, order].astype(float), "timing": timings[model]}
    return found
