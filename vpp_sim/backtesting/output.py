"""The folder of a back-test: the request that it belongs to, every forecast, and every measure.

``request.json`` is written first and says what the folder is for; the same request there goes on, another is refused.
``forecasts.parquet`` and ``metrics.json`` are each written in one move when all is done.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import vpp_sim
from vpp_sim.backtesting.request import REFERENCES
from vpp_sim.errors import DataError
from vpp_sim.runs.manifest import environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vpp_sim.backtesting.cases import Source
    from vpp_sim.backtesting.request import BacktestRequest
    from vpp_sim.backtesting.run import BacktestResult, Forecasts

__all__ = ["FORECASTS", "METRICS", "REQUEST", "claim", "described", "one_move", "write_result"]

REQUEST, METRICS, FORECASTS = "request.json", "metrics.json", "forecasts.parquet"

_DIGITS = 7


def described(request: BacktestRequest, source: Source) -> dict[str, Any]:
    """Return everything that the results of a back-test follow from, as JSON holds it."""
    return {
        "vpp_sim": vpp_sim.__version__,
        "request": request.described(),
        "source": source.described,
        "data_sha256": source.digest,
    }


def claim(folder: Path, wanted: dict[str, Any]) -> None:
    """Make `folder` that of the back-test `wanted`, or find that it is.

    Raises
    ------
    DataError
        If it holds another back-test, or anything else; the message names what differs.
    """
    path = folder / REQUEST
    if path.is_file():
        there = _flat(json.loads(path.read_text(encoding="utf-8")))
        here = _flat(json.loads(json.dumps(wanted)))
        differ = [
            f"{name} is {json.dumps(there.get(name))} there and {json.dumps(here.get(name))} here"
            for name in sorted({*there, *here})
            if there.get(name) != here.get(name)
        ]
        if differ:
            raise DataError(f"{folder} holds another back-test: {'; '.join(differ)}; choose another folder")
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder} holds something else than a back-test; choose an empty folder or a new one")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with one_move(path) as part:
            part.write_text(json.dumps(wanted, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise DataError(f"{folder}: cannot be written: {error.strerror}") from error


@contextmanager
def one_move(path: Path) -> Iterator[Path]:
    """Yield a path to write to, which becomes `path` when the block has ended well, and is removed when it has not."""
    part = path.with_name(f"{path.stem}.part{path.suffix}")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_result(result: BacktestResult, folder: Path, command: str) -> None:
    """Write forecasts and measures to `folder`."""
    with one_move(folder / FORECASTS) as part:
        _write_forecasts(result, part)
    request, source = result.request, result.source
    said = {
        "command": command,
        **described(request, source),
        "versions": {**environment(), **_extras(request.kinds)},
        "unit": source.unit,
        "known_ahead": source.known_ahead,
        "calibration": request.calibration,
        "references": REFERENCES,
        "notes": {
            "series": "mean over the series of the measure of each; ratios are of means",
            "mase": "mean over issues of the mean absolute error by that of the day before in all history before each",
            "seconds": "processor time, mean over seeds",
            "spread": "standard deviation over seeds",
        },
        "plan": result.plan,
        "crossings": result.crossings,
        "metrics": result.metrics,
    }
    with one_move(folder / METRICS) as part:
        part.write_text(json.dumps(_rounded(said), indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _extras(kinds: Sequence[str]) -> dict[str, str]:
    """Return the versions of what only some forecasters need."""
    return {"lightgbm": version("lightgbm")} if "gbm" in kinds else {}


def _write_forecasts(result: BacktestResult, path: Path) -> None:
    """Write one row for each forecaster, seed, origin, series and step, one row group for each part of the result."""
    first = _table(result.forecasts[0])
    with pq.ParquetWriter(path, first.schema, compression="zstd") as writer:
        for forecasts in result.forecasts:
            writer.write_table(_table(forecasts))


def _table(forecasts: Forecasts) -> pa.Table:
    result, case = forecasts.result, forecasts.case
    issues, series, steps = result.actual.shape
    count = result.actual.size
    origin, which, step = (np.broadcast_to(grid, result.actual.shape).ravel() for grid in np.ogrid[
        :issues, :series, :steps
    ])  # fmt: skip

    def repeated(text: str) -> pa.Array:
        return pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, dtype=np.int32)), pa.array([text]))

    columns = {
        "kind": repeated(forecasts.kind).cast(pa.string()),
        "seed": pa.array(np.full(count, forecasts.seed, dtype=np.int64)),
        "origin": pa.array(case.index[result.origins[origin]].as_unit("ms")),
        "series": pa.DictionaryArray.from_arrays(pa.array(which.astype(np.int32)), pa.array(case.series)).cast(
            pa.string()
        ),
        "step": pa.array(step.astype(np.int32) + 1),
        "actual": pa.array(result.actual.ravel()),
        **{
            f"q{level:g}": pa.array(result.quantiles[..., number].ravel()) for number, level in enumerate(result.levels)
        },
    }
    return pa.table(columns)


def _flat(tree: Any, prefix: str = "") -> dict[str, Any]:
    """Return a tree of mappings as dotted keys.

    Examples
    --------
    >>> _flat({"a": {"b": 1}, "c": [2]})
    {'a.b': 1, 'c': [2]}
    """
    if not isinstance(tree, dict):
        return {prefix: tree}
    return {
        key: value
        for name, branch in tree.items()
        for key, value in _flat(branch, f"{prefix}.{name}" if prefix else name).items()
    }


def _rounded(tree: Any) -> Any:
    """Return a tree with its floats to seven digits."""
    if isinstance(tree, dict):
        return {name: _rounded(branch) for name, branch in tree.items()}
    if isinstance(tree, list | tuple):
        return [_rounded(branch) for branch in tree]
    return float(f"{tree:.{_DIGITS}g}") if isinstance(tree, float) else tree
