"""Put the figures of a folder together: ``figures.json`` beside this file, and the README's tables."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1])]

from study_program import Page, made_here  # noqa: E402

PARTS = ("weighted", "phase_1", "phase_2", "phase_3")
KNOWS = {
    "no_control": "nothing",
    "citylearn_rbc": "hour of day",
    "perfect_foresight": "everything",
}
"""What a controller knew; all others: the past and the tariff."""


def gathered(folder: Path) -> dict[str, Any]:
    """Return the figures that ``judge.py``, ``bounds.py`` and ``speed.py`` wrote, and those of the trainings' cards."""
    figures: dict[str, Any] = {"citylearn_score": {}}
    for name in ("check", "score", "bounds", "speed"):
        if not (folder / f"{name}.json").is_file():
            continue
        found = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        figures["citylearn_score"] |= found.pop("citylearn_score", {})
        figures |= {f"{name}_s" if key == "seconds" else key: value for key, value in found.items()}
    cards = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("policy_*.json"))}
    for key in ("train_cpu_s", "tune_cpu_s"):
        spent = [card[key] for card in cards.values() if key in card]
        if spent:
            figures[f"{key}_a_policy"] = round(float(np.mean(spent)), 1)
    return figures


def table_of(figures: dict[str, Any]) -> str:
    """Return the README's tables."""
    lines = [
        "| controller | knew | weighted | phase 1 | phase 2 | phase 3 | cost | emissions | grid |",
        "|---" * 9 + "|",
    ]
    for name, found in sorted(figures["citylearn_score"].items(), key=lambda pair: pair[1]["weighted"]["mean"]):
        cells = [name, KNOWS.get(name, "the past and the tariff")]
        for part in PARTS:
            mean, spread, seeds = (found[part][key] for key in ("mean", "spread", "seeds"))
            cells.append(f"{mean:.3f}" + (f" ± {spread:.3f} ({seeds} seeds)" if seeds > 1 else ""))
        cells += [" / ".join(f"{found[part][key]:.2f}" for part in PARTS[1:]) for key in ("cost", "emissions", "grid")]
        lines.append("| " + " | ".join(cells) + " |")
    if "citylearn_if_known" in figures:
        known = list(next(iter(figures["citylearn_if_known"].values())))
        lines += [
            "",
            "| policy, on the replica, if it knew | " + " | ".join(known) + " |",
            "|---" * (len(known) + 1) + "|",
        ]
        for name, found in figures["citylearn_if_known"].items():
            lines.append(f"| {name} | " + " | ".join(f"{found[key]:.3f}" for key in known) + " |")
    if "env_steps_per_s_detail" in figures:
        lines += ["", "| environment | steps a second | agent-steps a second |", "|---|---|---|"]
        for name, speed in figures["env_steps_per_s_detail"].items():
            lines.append(f"| {name} | {speed['steps']:,.0f} | {speed['agent_steps']:,.0f} |")
    return "\n".join(lines)


def main() -> None:
    """Write figures and tables; the last line printed is one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    figures = gathered(parser.parse_args().folder)
    Page(HERE, table_of).write({"command": "the commands of README.md", **made_here(), "figures": figures})
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
