"""Rainflow counting: the cycles that histories of the state of charge are made of, for many batteries at once.

A battery rarely goes from full to empty and back: small cycles lie inside large ones. Rainflow counting takes them
apart as the standard for fatigue does [1]_ (section 5.4.4): of three successive turning points, a range is counted once
the next one is at least as large; it is half a cycle if it contains the start of the history, else a whole one. What is
left at the end counts in halves.

All batteries advance through their turning points together, so the work for n histories is a loop over the turning
points of the longest one with a few array operations in each turn, and never a loop over batteries.

References
----------
.. [1] ASTM E1049-85 (2017), "Standard Practices for Cycle Counting in Fatigue Analysis".
   https://doi.org/10.1520/E1049-85R17
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vpp_sim.arrays import FloatArray, IntArray, require_finite
from vpp_sim.errors import PhysicsError

__all__ = ["Cycles", "count_cycles", "turning_points"]


@dataclass(frozen=True, slots=True, eq=False)
class Cycles:
    """The cycles of n histories, in the order in which they close.

    Attributes
    ----------
    battery : ndarray of int, shape (C,)
        Whose history it is in, 0..n-1.
    depth : ndarray, shape (C,)
        From its lowest to its highest value, in the history's unit.
    mean : ndarray, shape (C,)
        The middle of the two.
    count : ndarray, shape (C,)
        1 for a whole cycle, 0.5 for half a one.
    """

    battery: IntArray
    depth: FloatArray
    mean: FloatArray
    count: FloatArray

    def total(self, each: FloatArray, n: int) -> FloatArray:
        """Return the sum over each battery's cycles of `each`, shape (C,), weighted by count, shape (n,)."""
        return np.bincount(self.battery, weights=each * self.count, minlength=n).astype(np.float64)


def turning_points(history: FloatArray) -> tuple[FloatArray, IntArray]:
    """Return the turning points of histories, each with its first and last value.

    Parameters
    ----------
    history : ndarray, shape (T, n)
        A column a history, T at least 1.

    Returns
    -------
    points : ndarray, shape (P, n)
        Column i holds turning points in its first ``count[i]`` rows; the others mean nothing.
    count : ndarray of int, shape (n,)
        How many; 1 for a history that never changes.

    Examples
    --------
    >>> points, count = turning_points(np.array([[0.0], [0.0], [0.5], [1.0], [1.0], [0.2]]))
    >>> points[: count[0], 0]
    array([0. , 1. , 0.2])
    """
    n = history.shape[1]
    change = np.diff(history.T, axis=1)
    battery, at = np.nonzero(change)
    rises = change[battery, at] > 0
    turns = np.ones(battery.size, dtype=np.bool_)
    turns[1:] = (battery[1:] != battery[:-1]) | (rises[1:] != rises[:-1])
    battery, at = battery[turns], at[turns]
    inner = np.bincount(battery, minlength=n)
    place = np.arange(battery.size) - np.repeat(np.cumsum(inner) - inner, inner)
    count = inner + 1
    points = np.empty((int(count.max(initial=1)), n))
    points[place, battery] = history[at, battery]
    points[inner, np.arange(n)] = history[-1]
    return points, count


def count_cycles(history: FloatArray) -> Cycles:
    """Return the cycles of histories.

    Parameters
    ----------
    history : ndarray, shape (T, n)
        A column a history, for example states of charge.

    Raises
    ------
    PhysicsError
        If there is no value, or one that is not finite.

    Examples
    --------
    >>> cycles = count_cycles(np.array([[0.5], [1.0], [0.0], [0.5]]))
    >>> cycles.depth, cycles.count
    (array([0.5, 1. , 0.5]), array([0.5, 0.5, 0.5]))
    """
    if history.ndim != 2 or not history.shape[0]:
        raise PhysicsError(f"history has shape {history.shape}, expected (T, n) with T at least 1")
    require_finite("history", history)
    points, count = turning_points(history)
    open_points = _OpenPoints(history.shape[1])
    for j in range(points.shape[0]):
        rows = np.flatnonzero(j < count)
        open_points.push(rows, points[j, rows])
    open_points.count_rest()
    return open_points.cycles()


class _OpenPoints:
    """The turning points of each history that no counted cycle has used up, as one stack a history."""

    def __init__(self, n: int) -> None:
        self._stack = np.empty((n, 16))
        self._height = np.zeros(n, dtype=np.int64)
        self._closed: list[tuple[IntArray, FloatArray, FloatArray, FloatArray]] = []

    def push(self, rows: IntArray, values: FloatArray) -> None:
        """Add a turning point to each of the histories in `rows`, and count what it closes."""
        if int(self._height.max(initial=0)) == self._stack.shape[1]:
            self._stack = np.hstack([self._stack, np.empty_like(self._stack)])
        self._stack[rows, self._height[rows]] = values
        self._height[rows] += 1
        while rows.size:
            rows = rows[self._height[rows] >= 3]
            top = self._height[rows]
            first, middle, last = self._stack[rows, top - 3], self._stack[rows, top - 2], self._stack[rows, top - 1]
            closes = np.abs(last - middle) >= np.abs(middle - first)
            rows, top, last = rows[closes], top[closes], last[closes]
            self._count(rows, first[closes], middle[closes], np.where(top == 3, 0.5, 1.0))
            self._drop(rows, top, last)

    def _drop(self, rows: IntArray, top: IntArray, last: FloatArray) -> None:
        """Remove a counted cycle's two points; of the half that contains the start only the first."""
        starts, inner = top == 3, top > 3
        self._stack[rows[starts], 0] = self._stack[rows[starts], 1]
        self._stack[rows[starts], 1] = last[starts]
        self._stack[rows[inner], top[inner] - 3] = last[inner]
        self._height[rows] = np.where(starts, 2, top - 2)

    def count_rest(self) -> None:
        """Count what is left, in halves."""
        for j in range(int(self._height.max(initial=0)) - 1):
            rows = np.flatnonzero(self._height > j + 1)
            self._count(rows, self._stack[rows, j], self._stack[rows, j + 1], np.full(rows.size, 0.5))

    def _count(self, rows: IntArray, start: FloatArray, end: FloatArray, count: FloatArray) -> None:
        if rows.size:
            self._closed.append((rows, np.abs(end - start), (start + end) / 2.0, count))

    def cycles(self) -> Cycles:
        if not self._closed:
            none = np.zeros(0)
            return Cycles(np.zeros(0, dtype=np.int64), none, none, none)
        rows, depth, mean, count = zip(*self._closed, strict=True)
        return Cycles(*(np.concatenate(each) for each in (rows, depth, mean, count)))
