"""Run neuralforecast's LSTM, VanillaTransformer and NHITS on the split that the product's models are given.

The script runs in an environment of its own and imports nothing of the product: it reads a folder with
``series.parquet`` and ``origins.json`` and writes ``forecasts_<model>.npz`` and ``timings.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import warnings
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from contenders import (
    CANDIDATES,
    Settings,
    Trained,
    choose,
    crossings,
    predict_origins,
    quiet,
    time_forecasts,
    train,
)
from exchange import Exchange, load, save_forecasts, write_json

# Keeps the C library from returning large arrays to the system at every step, which costs time.
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "4294967296", "MALLOC_TRIM_THRESHOLD_": "8589934592"}
PACKAGES = ("neuralforecast", "pytorch-lightning", "torch", "numpy", "pandas")


def run_model(name: str, exchange: Exchange, out: Path, candidates: tuple[Settings, ...], count: int) -> dict[str, Any]:
    """Choose the settings of one model on the first fit, train every fit, forecast, and return its figures."""
    tried = choose(name, exchange, candidates, exchange.seed)
    best = tried[0]
    fits, answers = [], []
    for place, fit in enumerate(exchange.fits):
        trained = best if place == 0 else train(name, exchange, fit, best.settings, exchange.seed)
        answers.append(predict_origins(trained, exchange, fit))
        fits.append({"train_end": str(fit.train_end), "origins": len(fit.origins), **trained.summary()})
        print(f"{name}: fit {place + 1}/{len(exchange.fits)} in {trained.wall_s:.0f} s", file=sys.stderr, flush=True)
    quantiles = np.concatenate(answers)
    origins = [origin for fit in exchange.fits for origin in fit.origins]
    save_forecasts(out / f"forecasts_{name}.npz", exchange, origins, quantiles)
    return figures(trained, tried, fits) | {
        "infer_1000": time_forecasts(trained, exchange, count),
        "crossing": crossings(quantiles),
    }


def figures(trained: Trained, tried: list[Trained], fits: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what the training of one model took: of the chosen settings alone, and of choosing them."""
    return {
        "parameters": sum(p.numel() for p in trained.forecast.models[0].parameters() if p.requires_grad),
        "train_wall_s": sum(fit["wall_s"] for fit in fits),
        "train_cpu_s": sum(fit["cpu_s"] for fit in fits),
        "train_validation_s": sum(fit["validation_s"] for fit in fits),
        "choose_wall_s": sum(one.wall_s for one in tried[1:]),
        "choose_cpu_s": sum(one.cpu_s for one in tried[1:]),
        "candidates": [one.summary() for one in tried],
        "fits": fits,
    }


def run(
    exchange: Exchange,
    out: Path,
    names: list[str],
    candidates: dict[str, tuple[Settings, ...]],
    count: int = 1000,
) -> dict[str, Any]:
    """Run the named models one after another; those that `out` holds for this split and these settings stay."""
    out.mkdir(parents=True, exist_ok=True)
    split = {
        "series": len(exchange.unique_ids),
        "hours": len(exchange.ds),
        "seed": exchange.seed,
        "digest": exchange.digest(),
        "fits": [[str(f.train_end), str(f.validation_start), len(f.origins)] for f in exchange.fits],
    }
    timings: dict[str, Any] = {
        "split": split,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "models": {},
    }
    path = out / "timings.json"
    if path.exists():
        old = json.loads(path.read_text())
        if old["split"] == split:
            timings["models"] = old["models"]
    for name in names:
        if (out / f"forecasts_{name}.npz").exists() and _tried(timings["models"].get(name)) == set(candidates[name]):
            continue
        timings["models"][name] = run_model(name, exchange, out, candidates[name], count)
        write_json(path, timings)
    return timings


def _tried(found: dict[str, Any] | None) -> set[Settings]:
    return {_settings(one) for one in found["candidates"]} if found else set()


def _settings(summary: dict[str, Any]) -> Settings:
    return Settings(**{key: summary[key] for key in Settings.__dataclass_fields__})


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line, run, and print the figures of every model as one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", help="where series.parquet and origins.json are")
    parser.add_argument("--out", type=Path, help="where to write; default: the folder itself")
    parser.add_argument("--models", nargs="+", choices=list(CANDIDATES), default=list(CANDIDATES))
    parser.add_argument("--seed", type=int, help="in place of the seed of origins.json")
    parser.add_argument("--chosen", type=Path, help="timings.json of a run before: take its settings, try no others")
    parser.add_argument("--max-steps", type=int, help="train no longer than so many steps, whatever the settings say")
    parser.add_argument("--smoke", action="store_true", help="check the script itself on made-up homes, in seconds")
    given = parser.parse_args(arguments)
    quiet()
    if given.smoke:
        from smoke import smoke

        with tempfile.TemporaryDirectory() as scratch:
            print(json.dumps(smoke(Path(scratch), given.models)))
        return
    if given.folder is None:
        parser.error("give a folder, or --smoke")
    exchange = load(given.folder)
    if given.seed is not None:
        exchange = replace(exchange, seed=given.seed)
    candidates = settings_of(given.chosen, given.max_steps)
    timings = run(exchange, given.out or given.folder, given.models, candidates)
    print(json.dumps({name: brief(found) for name, found in timings["models"].items()}))


def settings_of(chosen: Path | None, max_steps: int | None) -> dict[str, tuple[Settings, ...]]:
    """Return the candidates of every model: the few given here, or those that an earlier run chose."""
    candidates = dict(CANDIDATES)
    if chosen is not None:
        for name, found in json.loads(chosen.read_text())["models"].items():
            candidates[name] = (_settings(found["candidates"][0]),)
    if max_steps is None:
        return candidates
    return {
        name: tuple(replace(one, max_steps=min(one.max_steps, max_steps)) for one in some)
        for name, some in candidates.items()
    }


def brief(found: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of one model that a table shows."""
    return {
        "train_s": round(found["train_wall_s"], 1),
        "infer_1000_ms": round(1000 * found["infer_1000"]["call_s"], 1),
        "network_1000_ms": round(1000 * found["infer_1000"]["network_s"], 1),
        "crossing_step_share": round(found["crossing"]["step_share"], 4),
    }


if __name__ == "__main__":
    if not ALLOCATOR.keys() <= os.environ.keys():
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | ALLOCATOR)
    warnings.filterwarnings("ignore", category=FutureWarning)
    main()
