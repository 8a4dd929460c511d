"""Numbers in: load, solar, weather and prices as aligned, checked frames.

Measured series come to the simulation as frozen dataclasses over arrays (:class:`~vpp_sim.data.homes.HomesData`,
:class:`~vpp_sim.data.prices.PriceSeries`), one row a step, stamped with the start of the step in a time zone. They are
shipped inside the package as small Parquet files, so that a scenario runs with no network and a result names the bytes
it was made from (`digest`). :mod:`~vpp_sim.data.build` makes those files again, byte for byte, from the packages that
published the series; ``files/README.md`` is the data's page: origin, licence, evidence, repairs.

Weather forecasts (:mod:`~vpp_sim.data.weather_forecast`) carry their issue time
(:class:`~vpp_sim.data.issued.IssuedForecasts`), so that nobody is given a forecast before it was known.

Turned down: downloading at run time (a result would depend on a server), pandas frames as messages (an index that
anybody may change, and columns that nobody declared), and repairing on loading (the repair belongs where it can be
counted once, in the file). What follows: a loader only reads, converts units and currency, and refuses what does not
fit, naming the range it covers.
"""

__all__ = [
    "build",
    "citylearn",
    "coverage",
    "ember",
    "ercot",
    "fontana",
    "homes",
    "issued",
    "parquet",
    "prices",
    "sources",
    "weather",
    "weather_error",
    "weather_file",
    "weather_forecast",
]
