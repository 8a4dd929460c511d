"""Figure of settlement on chain: how long each period took to become final, and what it cost in gas."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vpp_sim.figures import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from vpp_sim.runs.frames import RunData

__all__ = ["settlement"]

_C = style.COLOURS


@style.styled
def settlement(run: RunData) -> Figure:
    """Draw latency and gas of every settlement period."""
    chain = run.vpp.chain
    figure, (latency, gas) = style.axes(2, height_in=4.4, height_ratios=[3, 2])
    latency.set_title("From a period's end to its final payment")
    gas.set_title("Gas of its transactions")
    if chain.empty:
        for axis in (latency, gas):
            style.note(axis, "Nothing was settled on chain in this run.")
        return figure
    end_s = (chain["last_step"].to_numpy() + 1) * run.vpp.step_h * 3600
    edges = np.append(chain["period"].to_numpy(), chain["period"].iloc[-1] + 1)
    mined, confirmed = chain["mined_s"].to_numpy() - end_s, chain["confirmed_s"].to_numpy() - end_s
    latency.stairs(confirmed, edges, baseline=mined, fill=True, color=_C["sky"], label="until it is confirmed")
    latency.stairs(mined, edges, fill=True, color=_C["blue"], label="until the last transaction is mined")
    latency.set_ylim(bottom=0)
    latency.set_ylabel("time [s]")
    style.legend_above(latency)
    gas.stairs(chain["gas_used"] / 1000, edges, fill=True, color=_C["green"])
    gas.set_ylabel("gas [thousands]")
    gas.set_xlabel("settlement period")
    gas.set_xlim(edges[0], edges[-1])
    return figure
