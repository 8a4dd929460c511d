"""From data to trained models and their cards: where data, forecasting and storage control meet for learning.

One module a kind of model; the splits of the homes' year bind both. Turned down: a trainer class that both share, for a
forecaster and a policy have in common what :mod:`~vpp_sim.training.splits` holds and no more.

- ``splits`` - which days are learned from, which choose, which only measure.
- ``forecasters`` - models of load and sun.
- ``storage`` - policies for batteries, and the search of their settings.
"""

__all__ = ["forecasters", "splits", "storage"]
