"""Physics of the devices behind a home's meter: each module says what one kind of device does with power over a step.

A device here is a function or a small class over arrays of shape (n,), one entry a home, never an object a home. It
knows neither prices nor other devices, and it decides nothing: it says what is possible and what follows. ``battery``
holds the state of charge and the limits of storage, ``ageing`` what its history costs (``rainflow`` counts the cycles),
``solar`` turns measured or modelled sun into AC power. Quantities
are non-negative magnitudes named by their role (``load_kw``, ``pv_kw``, ``charge_kw``, ``discharge_kw``).

Turned down: a class hierarchy of devices with a common ``step`` (their inputs and states have nothing in common, and a
list of objects cannot carry a million homes). What follows: an agent that meters a fleet calls these functions in the
order that the energy flows, and whatever is added (car, heat pump, wind) is one more module.
"""

__all__ = ["ageing", "battery", "rainflow", "solar"]
