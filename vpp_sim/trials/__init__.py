"""Trials of storage controllers as a user asks for them: all on the same days, each beside the best that was possible.

The storage library knows arrays and steps. This package knows homes, days, policies in folders, and what may be said of
few homes and few seeds; it joins them beside :mod:`vpp_sim.training`, whose splits it uses.

- ``request`` - what is asked: controllers, policies, days, tariff, who knows what; checked as it is made.
- ``homes`` - a source of homes becomes the cases to act on.
- ``record`` - what a controller did in every step, and what it asked for in vain.
- ``measures`` - shares of the optimum, cycles, and how sure they are.
- ``run`` - does the work, one controller after another.
- ``output`` - the folder: tables for each home, month and step, and a summary.

Energy left in a battery at the end is worth nothing, to a controller as to the optimum. Turned down: a share of the
summed savings alone, which the homes that spend most decide; it stands beside the mean over homes. Turned down too: one
interval for everything that is uncertain. Homes were drawn from a neighbourhood and seeds from a generator, so each has
its own column.

What follows: a row can be compared with any other of the same table, and with none of a table whose controllers knew
more; every table says what they knew.
"""

__all__ = ["homes", "measures", "output", "record", "request", "run"]
