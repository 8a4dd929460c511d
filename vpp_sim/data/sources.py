"""What a source of homes or prices must offer; the registries of :mod:`vpp_sim.registry` name those there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from vpp_sim.data.homes import HomesData
    from vpp_sim.data.prices import PriceSeries

__all__ = ["HomeSource", "PriceSource"]


@runtime_checkable
class HomeSource(Protocol):
    """A source of measured homes. It is made without arguments and holds no state."""

    @property
    def default_homes(self) -> tuple[str, ...]:
        """Homes that are used when a scenario names none: those without a flag."""
        ...

    def load(self) -> HomesData:
        """Return all homes of the source.

        Raises
        ------
        DataError
            If the data is missing or does not fit together.
        """
        ...


@runtime_checkable
class PriceSource(Protocol):
    """A source of prices. It is made without arguments and holds no state."""

    def load(self) -> PriceSeries:
        """Return the whole series.

        Raises
        ------
        DataError
            If the data is missing or does not fit together.
        """
        ...
