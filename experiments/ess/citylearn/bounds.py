"""What policies for CityLearn's homes would score if they knew more than they can: on the replica, by what is known.

``nothing`` is what the judge scores. ``sun`` and ``load`` tell the next hour's PV or load at its eve, ``hour`` both,
and ``day`` the next 24 hours' load, PV and carbon intensity. The rest is as the agents foresee it.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import agents
import numpy as np
import replica
from train import DAY, Array, Series

KNOWN = ("nothing", "sun", "load", "hour", "day")


def foreseen(acting: agents.Agents, part: Series, hour: int, known: str) -> tuple[Array, Array, Array]:
    """Return what agents foresee of the 24 hours from `hour` on, with what is `known` in its place."""
    net, buy, sell = acting.foresee()
    homes, ahead = acting.homes, np.minimum(hour + np.arange(DAY), len(part.hour) - 1)
    load, sun = part.load_kw[homes], part.sun_kw[homes]
    if known == "day":
        net = (load - sun)[:, ahead]
        slope = float(acting.given["steepness"]) * net.mean(axis=0)
        own = agents.composite_price(acting.given, homes, part.price[ahead], part.carbon[ahead])
        return net, own + slope, np.broadcast_to(slope, own.shape)
    now_load, now_sun = agents.now_inputs(acting.memory, acting.given["usual_load"][homes])
    expected = [
        np.maximum(now_load @ acting.given["now_load"], 0.0),
        np.maximum(now_sun @ acting.given["now_sun"], 0.0),
    ]
    if known in ("load", "hour"):
        expected[0] = load[:, hour]
    if known in ("sun", "hour"):
        expected[1] = sun[:, hour]
    net = net.copy()
    net[:, 0] = expected[0] - expected[1]
    return net, buy, sell


def scored(series: Series, phase: str, policy: Path, known: str) -> float:
    """Return the score of a policy in a phase, on the replica."""
    homes, first, last = replica.PHASES[phase]
    part = series.during(slice(first * DAY, last * DAY))
    acting = agents.Agents.open(policy, homes, part.price, int(part.hour[0]))
    mix = float(acting.given["heat"]), float(acting.given["calm"])

    def ask(hour: int, soc_kwh: Array, total_kw: float) -> Array:
        before = hour - 1
        acting.learn(part.load_kw[homes, before], part.sun_kw[homes, before], float(part.carbon[before]))
        window = foreseen(acting, part, hour, known)
        return agents.decide(acting.layers, window, soc_kwh, total_kw, acting.memory.hour, acting.battery, mix)

    net_kw = (part.load_kw - part.sun_kw)[homes]
    return replica.score(replica.simulate(net_kw, ask), net_kw, part.price, part.carbon)["score"]


def main() -> None:
    """Score the policies of a folder; the last line printed is one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("series", type=Path, help="what judge.py series wrote")
    parser.add_argument("folder", type=Path, help="what train.py wrote")
    parser.add_argument("--kinds", nargs="+", default=["ppo", "ppo_tuned", "dqn"])
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    series = Series.open(asked.series)
    found: dict[str, dict[str, float]] = {}
    for kind in asked.kinds:
        for known in KNOWN:
            each = {
                phase: scored(series, phase, asked.folder / f"policy_{kind}_{phase}_{asked.seed}.npz", known)
                for phase in replica.PHASES
            }
            weighted = sum(replica.WEIGHTS[phase] * score for phase, score in each.items())
            found.setdefault(kind, {})[known] = round(weighted, 4)
            print(kind, known, found[kind][known], file=sys.stderr, flush=True)
    figures = {"citylearn_if_known": found}
    (asked.folder / "bounds.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
