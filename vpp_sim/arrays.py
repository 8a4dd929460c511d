"""Array types, and the checks that every library makes of its inputs."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from vpp_sim.errors import PhysicsError

__all__ = ["BoolArray", "FloatArray", "IntArray", "frozen", "require_finite", "require_non_negative", "require_shape"]

FloatArray: TypeAlias = NDArray[np.float64]
"""Array of float64."""

IntArray: TypeAlias = NDArray[np.int64]
"""Array of int64."""

BoolArray: TypeAlias = NDArray[np.bool_]
"""Array of booleans."""


def frozen(values: FloatArray) -> FloatArray:
    """Return a read-only view of `values`; the original stays as it was.

    Examples
    --------
    >>> frozen(np.array([1.0])).flags.writeable
    False
    """
    view = values.view()
    view.flags.writeable = False
    return view


def require_shape(name: str, values: FloatArray, shape: tuple[int, ...]) -> None:
    """Raise `PhysicsError` unless `values` has `shape`."""
    if values.shape != shape:
        raise PhysicsError(f"{name} has shape {values.shape}, expected {shape}")


def require_finite(name: str, values: FloatArray) -> None:
    """Raise `PhysicsError` if any value is NaN or infinite."""
    if not np.isfinite(values).all():
        raise PhysicsError(f"{name} has {int((~np.isfinite(values)).sum())} values that are not finite")


def require_non_negative(name: str, values: FloatArray) -> None:
    """Raise `PhysicsError` if any value is negative, NaN or infinite."""
    require_finite(name, values)
    if (values < 0).any():
        raise PhysicsError(f"{name} is negative: lowest value {values.min():g}")
