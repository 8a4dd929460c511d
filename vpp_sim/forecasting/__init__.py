"""Forecasts of load, solar output and prices as quantiles: neural models, tables, baselines, and how good they are.

The package is shaped around one protocol, :class:`~vpp_sim.forecasting.protocol.Forecaster`: fit, predict, save, load.
What was observed up to the issue, the calendar, and covariates *as they were forecast then* go in; quantiles by series
and step come out. Everything stands behind the same protocol, so that a scenario changes one name, a back-test compares
like with like, and one test covers them all. The target is a parameter: prices differ from load in that they may be
negative.

- ``protocol`` - what a forecaster takes and gives: task, inputs, and the four verbs.
- ``model`` - what all forecasters share: checked inputs, one file that holds everything.
- ``baselines`` - yesterday, last week, the mean day of the week, and the truth as a bound.
- ``tabular`` - windows as rows of features, for forecasters that learn from rows.
- ``rowwise`` - what those share: samples, a fit in three steps, calibrated quantiles.
- ``linear`` - quantile regression, a line for each hour and level.
- ``gbm`` - gradient-boosted trees by LightGBM, an extra.
- ``network`` - what the LSTM and the Transformer share: normalisation, weekly cycle, tokens, quantile head.
- ``lstm``, ``transformer`` - the two cores, and nothing else.
- ``neural`` - networks behind the protocol, several of them averaged.
- ``fitting`` - their loss, early stopping on a validation split, checkpoints.
- ``windows`` - series with what was known beside them, splits by time, and windows inside a split.
- ``leaks`` - proof that a forecast does not see what lies after its issue.
- ``backtest`` - rolling origins: fitted anew on what came before each.
- ``metrics`` - measures with their formulas and sources.
- ``evaluation`` - their tables over a split, by series and of the sum.
- ``calibration`` - quantiles that are corrected online by what they missed.
- ``drift`` - whether forecasts have become worse than they were.
- ``card``, ``summary`` - model cards, and tables of them for pages.

What was turned down, and why. *Observed weather of the future* as an input: nobody has it when a forecast is issued,
and models that learned from it trust it too much. *One network for each home*: a year of one home teaches less than
thirteen homes teach each other, and a global model with normalisation by context also serves homes it never saw.
*Tokens of twelve hours with the calendar of each step*: slower, and no better than tokens of a day. *Contexts of two
and four weeks*: no better on a year of data. *The day of the year* as a feature of networks: in one year it names the
day, and is learned by heart. *Sums of the homes' quantiles* for a portfolio: quantiles of a sum are not sums of
quantiles, so a portfolio is forecast as one more series.

What follows: nothing here needs fitting when a home joins, a forecast never depends on which other series are asked
for, and whoever wants better forecasts of the weather gives them with their issue time.

Importing this package loads no network library; the modules do when they are used.
"""

__all__ = [
    "backtest",
    "baselines",
    "calibration",
    "card",
    "drift",
    "evaluation",
    "fitting",
    "gbm",
    "leaks",
    "linear",
    "lstm",
    "metrics",
    "model",
    "network",
    "neural",
    "protocol",
    "rowwise",
    "summary",
    "tabular",
    "transformer",
    "windows",
]
