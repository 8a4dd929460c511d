"""Tune trained policies on the score itself, through the known physics of the batteries.

A policy is a smooth function of what it sees, and what batteries do with a power is known, so the score of a stretch of
days can be differentiated with respect to the policy's weights (analytic policy gradient; J. Xu et al., "Accelerated
policy learning with parallel differentiable simulation", ICLR 2022, https://arxiv.org/abs/2204.07137). Reinforcement
learning taught each battery to act for itself against a price of the district's load; here the homes of a district
learn together what peaks, load factors and ramps really count. Only the days that the policy was trained on are used.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import agents
import numpy as np
import replica
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torch import Tensor, nn
from train import DAY, EFFICIENCY, Array, Series, Trial, districts, foresights, split

from vpp_sim.ess.network import ActionNetwork

ROUNDS, EVERY = 240, 40
WARM_UP_DAYS, COUNTED_DAYS = 1, 4
HOMES_A_BATCH = 120
RATE, CALM_RATE = 1e-3, 5e-3
CAPACITY_KWH = 6.4
SUNS = (1.0, 0.6, 1.5)
"""Shares of the sun that shone, so that a policy also meets the seasons that its days lack."""

PEAK_SHARE = 1.5
"""Weight of the daily peak; the half above its own stands for the peak of all days, which a few days cannot show."""


@dataclass(frozen=True, eq=False)
class District:
    """What n homes of a district see and are charged over T hours, ready for torch.

    Attributes
    ----------
    seen : Tensor, shape (T, n, 79)
        Observations with empty batteries.
    expected_kw, net_kw, rate : Tensor, shape (T, n)
        Net load as expected and as it was [kW]; cost and emissions of a bought kWh, each against those of a mean hour
        without control.
    before : ndarray, shape (4,)
        Ramping an hour, load factor, daily peak and all-time peak without control.
    """

    seen: Tensor
    expected_kw: Tensor
    net_kw: Tensor
    rate: Tensor
    before: Array

    @classmethod
    def all(cls, part: Series, given: dict[str, Array], groups: list[list[int]]) -> list[District]:
        """Return districts over a stretch, less its last day, which has no window."""
        load, sun, foreseen, f_carbon = foresights(part, given)
        hours = len(part.hour) - DAY + 1
        own = agents.composite_price(given, list(range(17)), part.price, f_carbon)
        paid = part.price / given["money"][:, None] + part.carbon / given["emissions"][:, None]
        found = []
        for homes in groups:
            expected, net = (load - sun)[homes, :hours], (part.load_kw - part.sun_kw)[homes]
            windows = sliding_window_view(foreseen[homes], DAY, axis=1).copy()
            windows[:, :, 0] = expected
            slope = float(given["steepness"]) * foreseen[homes].mean(axis=0)
            buy = sliding_window_view(own[homes] + slope, DAY, axis=1)
            sell = np.broadcast_to(sliding_window_view(slope, DAY), buy.shape)
            many = len(homes) * hours
            rows = (np.zeros(many), *(values.reshape(many, DAY) for values in (windows, buy, sell)))
            battery = tuple(np.full(many, value) for value in given["battery"])
            seen = agents.features(*rows, np.tile(part.hour[:hours], len(homes)), battery)
            before = replica.grid(net.sum(axis=0))
            before[0] /= len(part.hour)
            arrays = (expected.T, net[:, :hours].T, paid[homes, :hours].T)
            tensors = [torch.from_numpy(values.astype(np.float32)) for values in arrays]
            by_hour = torch.from_numpy(seen).reshape(len(homes), hours, -1).transpose(0, 1)
            found.append(cls(by_hour, *tensors, before))
        return found


class Policy(nn.Module):
    """A network whose actions are mixed, and the share of ramps that batteries take off."""

    def __init__(self, given: dict[str, Array]) -> None:
        super().__init__()
        count = sum(name.startswith("weight_") for name in given)
        layers: list[nn.Module] = []
        for i in range(count):
            weight, bias = (torch.from_numpy(given[f"{name}_{i}"].astype(np.float32)) for name in ("weight", "bias"))
            layer = nn.Linear(*weight.shape)
            heat = max(float(given["heat"]), 0.1 if given_kind(given) == "ppo" else 0.002) if i + 1 == count else 1.0
            layer.weight.data, layer.bias.data = weight.T / heat, bias / heat
            layers += [layer, nn.ReLU()]
        self.layers = nn.Sequential(*layers[:-1])
        self.calm = nn.Parameter(torch.tensor(float(given["calm"])))
        self.power_kw = float(given["battery"][1])
        self.shares = torch.from_numpy(agents.SHARES.astype(np.float32))

    def forward(self, seen: Tensor, expected_kw: Tensor, soc_kwh: Tensor, total_kw: Tensor) -> Tensor:
        """Return powers, shape (B, n), of B districts whose last total load is known, shape (B,)."""
        one_way, limit = EFFICIENCY**0.5, self.power_kw
        seen = torch.cat([(soc_kwh / CAPACITY_KWH)[..., None], seen[..., 1:]], dim=-1)
        weight = torch.softmax(self.layers(seen), dim=-1)
        asked = (self.shares * limit).expand_as(weight).clone()
        asked[..., agents.FOLLOW] = torch.clamp(-expected_kw, -limit, limit)
        low, high = -(soc_kwh * one_way)[..., None], ((CAPACITY_KWH - soc_kwh) / one_way)[..., None]
        power = (torch.minimum(torch.maximum(asked, low), high) * weight).sum(dim=-1)
        ramp = expected_kw.sum(dim=1) + power.sum(dim=1) - total_kw
        return power - self.calm * (ramp / power.shape[1])[:, None]

    def network(self) -> ActionNetwork:
        """Return the network, its last layer scaled so that it is mixed at a heat of one."""
        linear = [layer for layer in self.layers if isinstance(layer, nn.Linear)]
        weights = tuple(np.ascontiguousarray(layer.weight.detach().numpy().T) for layer in linear)
        return ActionNetwork(weights, tuple(layer.bias.detach().numpy().copy() for layer in linear))


def given_kind(given: dict[str, Array]) -> str:
    """Return whose policy it is: heats of worths are far below those of logits."""
    return "dqn" if float(given["heat"]) < 0.1 else "ppo"


def lived(policy: Policy, district: District, starts: Array, soc_kwh: Tensor) -> tuple[Tensor, Tensor]:
    """Return the homes' net loads with batteries and what they are charged, each of shape (B, hours, n)."""
    one_way, rows = EFFICIENCY**0.5, torch.from_numpy(starts)
    total_kw, out = district.net_kw[rows - 1].sum(dim=1), []
    hours = (WARM_UP_DAYS + COUNTED_DAYS) * DAY
    for t in range(hours):
        at = rows + t
        power = policy(district.seen[at], district.expected_kw[at], soc_kwh, total_kw)
        stored = soc_kwh + torch.where(power > 0, power * one_way, power / one_way)
        end = torch.clamp(stored, 0.0, CAPACITY_KWH)
        gained = end - soc_kwh
        with_kw = district.net_kw[at] + torch.where(gained > 0, gained / one_way, gained * one_way)
        soc_kwh, total_kw = end, with_kw.sum(dim=1)
        out.append(with_kw)
    at = rows[:, None] + torch.arange(hours)
    return torch.stack(out, dim=1), district.rate[at]


def loss_of(with_kw: Tensor, rate: Tensor, before: Array) -> Tensor:
    """Return the score of the counted days, near enough to follow its slope."""
    first = WARM_UP_DAYS * DAY
    bill = (torch.relu(with_kw[:, first:]) * rate[:, first:]).mean()
    total = with_kw.sum(dim=2)
    ramping = (total[:, first:] - total[:, first - 1 : -1]).abs().mean() / before[0]
    days = total[:, first:].reshape(len(total), COUNTED_DAYS, DAY)
    peaks = days.max(dim=2).values
    factor = (1.0 - days.mean(dim=2) / torch.clamp(peaks, min=0.2 * with_kw.shape[2])).mean() / before[1]
    grid: Tensor = (ramping + factor + PEAK_SHARE * peaks.mean() / before[2]) / 4.0
    return (bill + grid) / 3.0


def tune(series: Series, phase: str, given: dict[str, Array], seed: int) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return a tuned policy, the best of its rounds on the validation days, and how that went."""
    begun, rng = time.process_time(), np.random.default_rng([seed, 2])
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    parts, choose_on = split(series, phase)
    groups = districts(phase, np.random.default_rng(0))
    towns = []
    for part in parts:
        for i, share in enumerate(SUNS):
            shone = replace(part, sun_kw=share * part.sun_kw)
            towns += District.all(shone, given, [groups[0], *groups[1 + i :: len(SUNS)]])
    trial, policy = Trial(choose_on, given, replica.PHASES[phase][0]), Policy(given)
    rates = [{"params": policy.layers.parameters()}, {"params": [policy.calm], "lr": CALM_RATE}]
    optimiser = torch.optim.Adam(rates, lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, ROUNDS)
    kept = [(trial.score(policy.network(), (1.0, policy.calm.item()))["score"], dict(given))]
    for done in range(1, ROUNDS + 1):
        town = towns[int(rng.integers(len(towns)))]
        n, hours = town.net_kw.shape[1], len(town.net_kw)
        days = hours // DAY - WARM_UP_DAYS - COUNTED_DAYS
        starts = DAY * rng.integers(1, days, size=max(HOMES_A_BATCH // n, 1))
        soc_kwh = torch.from_numpy(rng.uniform(0.0, 0.5 * CAPACITY_KWH, (len(starts), n)).astype(np.float32))
        loss = loss_of(*lived(policy, town, starts, soc_kwh), town.before)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if done % EVERY == 0:
            network, calm = policy.network(), policy.calm.item()
            weights = {f"weight_{i}": weight for i, weight in enumerate(network.weights)}
            weights |= {f"bias_{i}": bias for i, bias in enumerate(network.biases)}
            score = trial.score(network, (1.0, calm))["score"]
            kept.append((score, {**given, **weights, "heat": np.array(1.0), "calm": np.array(calm)}))
            print(phase, done, round(loss.item(), 4), round(score, 4), round(calm, 3), file=sys.stderr, flush=True)
    best = min(kept, key=lambda pair: pair[0])
    scores = [round(score, 4) for score, _ in kept]
    return best[1], {"validation_scores": scores, "tune_cpu_s": round(time.process_time() - begun, 1)}


def main() -> None:
    """Tune every policy of a folder; the last line printed is one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("series", type=Path, help="what judge.py series wrote")
    parser.add_argument("folder", type=Path, help="what train.py wrote; gets the tuned policies too")
    parser.add_argument("--kind", default="ppo")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--phases", nargs="+", default=list(replica.PHASES))
    asked = parser.parse_args()
    series, cards = Series.open(asked.series), {}
    for phase in asked.phases:
        for seed in asked.seeds:
            path = asked.folder / f"policy_{asked.kind}_{phase}_{seed}.npz"
            name = f"policy_{asked.kind}_tuned_{phase}_{seed}"
            with np.load(path) as found:
                given = {key: found[key] for key in found.files}
            tuned, cards[name] = tune(series, phase, given, seed)
            np.savez(asked.folder / f"{name}.npz", **tuned)
            (asked.folder / f"{name}.json").write_text(json.dumps(cards[name], indent=2) + "\n", encoding="utf-8")
    print(json.dumps(cards))


if __name__ == "__main__":
    main()
