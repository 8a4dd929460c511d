"""Forecasts of load and solar output as quantiles: two neural models, two baselines, their training and their measures.

The package is shaped around one protocol, :class:`~vpp_sim.forecasting.protocol.Forecaster`: observations up to the
moment of issue and the calendar go in, quantiles by series and step come out. Baselines and networks stand behind the
same protocol, so that a scenario changes one name and a test covers them all.

- ``protocol`` - what goes in and what comes out.
- ``baselines`` - yesterday, last week, and the mean week, with the quantiles of their own recent errors.
- ``network`` - what the LSTM and the Transformer share: normalisation, weekly cycle, calendar, quantile head.
- ``lstm``, ``transformer`` - the two cores, and nothing else.
- ``windows``, ``fitting`` - splits by time, windows inside a split, early stopping on the validation split.
- ``metrics``, ``evaluation`` - measures with their formulas, and their tables over a split.
- ``weights``, ``neural`` - model cards, weights that must match theirs, and forecasters made of them.
- ``summary`` - tables of cards, for pages.

Two things were turned down. *Observed weather of the future* as an input: the data holds no weather forecast with an
issue time, and feeding what was later observed would be a leak: the models see past weather only. *One model for each
home*: a year of one home teaches less than thirteen homes teach each other, and a global model with per-window
normalisation also serves homes it has never seen. What follows: nothing here needs fitting when a home joins, and a
portfolio is forecast as one more series (the sum of its homes), because quantiles of a sum are not sums of quantiles.

Importing this package loads no network library; the modules do when they are used.
"""

__all__ = [
    "baselines",
    "evaluation",
    "fitting",
    "lstm",
    "metrics",
    "network",
    "neural",
    "protocol",
    "summary",
    "transformer",
    "weights",
    "windows",
]
