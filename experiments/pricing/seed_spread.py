"""Mean and spread over seeds, rounded as the figures state them."""

from __future__ import annotations

import numpy as np


def spread(values: list[float], digits: int = 3) -> dict[str, float]:
    """Return mean, least and greatest."""
    least, greatest = min(values), max(values)
    return {"mean": round(float(np.mean(values)), digits), "min": round(least, digits), "max": round(greatest, digits)}
