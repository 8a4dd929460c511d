"""Back-tests as a user asks for them: from homes or a file of series to measures, tables and a folder that can go on.

The forecasting library knows arrays and steps. This package knows days, homes and files, and joins the two, beside
:mod:`vpp_sim.training`, whose tables it uses.

- ``request`` - what is asked: forecasters, target, days, refits, seeds; checked as it is made.
- ``cases`` - homes or files become tables to learn from and tables to forecast.
- ``plan`` - days become origins, and fits at the starts of months or every so many days.
- ``measures`` - what each forecaster is measured by, and its ratios to the references.
- ``run`` - does the work, one refit after another.
- ``output`` - the folder: the request that it belongs to, every forecast, every measure.

Three references run in every back-test, at the same origins: the day before, the week before, and the mean day of the
week before. A measure alone says little; a ratio to what costs nothing says whether a forecaster is worth having.
Turned down: references on request, because the one left out is the one that was not beaten. Turned down too: one table
for all series of a file, padded to one length; series of other spans or covariates stand in tables of their own
instead, so that nothing is made up.

What follows: a folder belongs to one request, and the same request there goes on where it was cut off.
"""

__all__ = ["cases", "measures", "output", "plan", "request", "run"]
