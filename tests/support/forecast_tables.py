"""Made-up tables of series to forecast: a daily cycle, a level that wanders, and what a covariate adds."""

from __future__ import annotations

import numpy as np

from vpp_sim.data.issued import IssuedForecasts
from vpp_sim.forecasting.windows import SeriesTable


def made_table(
    days: int = 60,
    series: int = 4,
    *,
    seed: int = 0,
    step_s: int = 3600,
    covariates: tuple[str, ...] = ("temperature_c",),
    slope: float = 0.5,
    noise: float = 0.3,
    level: float = 6.0,
) -> SeriesTable:
    """Return a table whose series follow the first covariate with `slope`; forecasts of it, at every step, are true."""
    rng, day = np.random.default_rng(seed), 24 * 3600 // step_s
    steps = np.arange(days * day)
    daily = np.sin(2 * np.pi * steps / day)
    observed = rng.normal(0.0, 1.0, (len(steps), len(covariates)))
    values = level + daily[:, None] + slope * observed[:, :1] + noise * rng.normal(0.0, 1.0, (len(steps), series))
    ahead = 3 * day
    wanted = steps[:, None] + np.arange(ahead)
    known = np.where((wanted < len(steps))[..., None], observed[np.minimum(wanted, len(steps) - 1)], np.nan)
    return SeriesTable(
        values=values,
        covariates=observed,
        issued=IssuedForecasts(steps, known, covariates),
        hour=(steps % day) * 24.0 / day,
        day_of_week=steps // day % 7,
        day_of_year=1 + steps // day % 365,
    )
