"""Curves sampled at nodes, and where they take a wanted value: their passages."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

__all__ = ["SAMPLED", "Curves", "Passage", "thinned", "turns"]

Array = NDArray[np.float64]

_NEARBY = 1.5  # factor up to which a control is near another
# Slopes are those of the logarithm of the control in the logarithm of the parameter. Two folds may
# hide between nodes where the slope is below _FLAT, and below _DIP times those on both sides.
_FLAT, _DIP = 0.4, 0.9
_LEVELLED = 1e-2  # slope below which a curve has levelled off: no folds are suspected there
_RISE = 1e-7  # relative: a smaller change of the control between nodes is noise

SAMPLED = 512
"""Curves at most, for a cloud of other controls."""


@dataclass(frozen=True)
class Passage:
    """Where a curve takes the wanted control, for each of several points.

    Attributes
    ----------
    start : array, shape (points, unknowns)
        Close to the passage; where there is none, the point of the curve with the largest control.
    found : bool array, shape (points,)
    low, high : array, shape (points,)
        The parameter on both sides of the passage, between which the control is monotone.
    highest : array, shape (points,)
        The largest value of the control along the curve.
    ended : bool array, shape (points,)
        Whether the curve is known as far as it can be told from the end of the domain.
    """

    start: Array
    found: NDArray[np.bool_]
    low: Array
    high: Array
    highest: Array
    ended: NDArray[np.bool_]

    @classmethod
    def none(cls, points: int, unknowns: int) -> Passage:
        """Return a passage that no point has."""
        start, never = np.full((points, unknowns), np.nan), np.zeros(points, dtype=bool)
        low, high, highest = np.full((3, points), np.nan)
        return cls(start, never, low, high, highest, never.copy())

    def put(self, where: NDArray[np.intp], part: Passage) -> None:
        """Take the passages of some of the points from `part`, in place."""
        for name in ("start", "found", "low", "high", "highest", "ended"):
            getattr(self, name)[where] = getattr(part, name)

    def at(self, where: object) -> Passage:
        """Return the passages of some of the points."""
        return Passage(*(getattr(self, field.name)[where] for field in fields(self)))


class Curves:
    """Several curves, each sampled at nodes from the uninformed end.

    Parameters
    ----------
    z : array, shape (curves, nodes, unknowns)
    value : array, shape (curves, nodes)
        The control.
    column : int
        The unknown that runs along the curves.
    """

    def __init__(self, z: Array, value: Array, column: int) -> None:
        good = np.isfinite(value) & np.isfinite(z).all(axis=2)
        order = np.argsort(~good, axis=1, kind="stable")  # known nodes first, in their order
        self.value = np.take_along_axis(np.where(good, value, np.nan), order, axis=1)
        self.z = np.take_along_axis(z, order[..., None], axis=1)
        self.count = good.sum(axis=1)
        self.column = column
        self.ended = ~good[:, -1]

    @cached_property
    def slope(self) -> Array:
        """How fast the control rises, on logarithms, between nodes; NaN where that says nothing."""
        with np.errstate(all="ignore"):
            rise = np.diff(np.log(self.value), axis=1)
            place = self.z[..., self.column]
            span = np.diff(np.log(place - np.minimum(0.0, place[:, :1])), axis=1)
            slope = np.where(span > 0, rise / span, np.nan)
        slope[self.value[:, 0] == 0, 0] = 1.0  # a control that begins at zero is proportional there
        return np.asarray(slope)

    @cached_property
    def hollow(self) -> NDArray[np.bool_]:
        """Where between nodes the control rises little and less than on both sides.

        Two folds that hide between nodes look like this; a curve that levels off does not.
        """
        slope = np.where(np.isnan(self.slope), np.inf, self.slope)
        found = np.zeros(slope.shape, dtype=bool)
        beside = np.minimum(slope[:, :-2], slope[:, 2:])
        inner = slope[:, 1:-1]
        found[:, 1:-1] = (inner > 0) & (inner < np.minimum(_FLAT, _DIP * beside))
        found[:, 1:-1] &= beside > _LEVELLED
        return found

    def plain(self, row: NDArray[np.intp], wanted: Array, passage: Passage) -> NDArray[np.bool_]:
        """Tell which passages are the only ones, as far as few nodes can tell.

        The curve must begin below the wanted control, rise, and hide nothing near it.
        """
        value, target = self.value[row], wanted[:, None]
        with np.errstate(invalid="ignore"):
            near = (value[:, :-1] < _NEARBY * target) & (value[:, 1:] > target / _NEARBY)
            falls = np.diff(value, axis=1) <= 0
        hides = (near & self.hollow[row]).any(axis=1) | falls.any(axis=1)
        return np.asarray(passage.found & (value[:, 0] < wanted) & ~hides)

    def passages(self, row: NDArray[np.intp], wanted: Array, which: str) -> list[Passage]:
        """Return the passages of points through the curve `row` of each."""
        value, points = self.value[row], np.arange(row.size)
        with np.errstate(invalid="ignore"):
            under, over = value < wanted[:, None], value >= wanted[:, None]
        rising, falling = under[:, :-1] & over[:, 1:], over[:, :-1] & under[:, 1:]
        passes = np.where(rising.any(axis=1, keepdims=True), rising, falling)
        number = passes.sum(axis=1)
        peak = np.argmax(np.where(np.isnan(value), -np.inf, value), axis=1)
        highest = np.where(self.count[row] < 2, np.nan, value[points, peak])
        most = int(number.max(initial=0)) if which == "all" else 1
        found = []
        for rank in range(max(most, 1)):
            has = np.asarray(number > rank)
            if which == "last":
                before = passes.shape[1] - 1 - np.argmax(passes[:, ::-1], axis=1)
            else:
                before = np.argmax(np.cumsum(passes, axis=1) == rank + 1, axis=1)
            mixed = _interpolated(self.value, self.z, row, before, self.count[row], wanted)
            start = np.where(has[:, None], mixed, self.z[row, peak])
            start[self.count[row] < 2] = np.nan
            low, high = (
                np.where(has, self.z[row, before + step, self.column], np.nan) for step in (0, 1)
            )
            found.append(Passage(start, has, low, high, highest, self.ended[row]))
        return found


def turns(value: Array) -> NDArray[np.bool_]:
    """Tell at which inner nodes a curve has an extremum, shape (curves, nodes - 2)."""
    rise = np.diff(value, axis=1)
    with np.errstate(invalid="ignore"):
        level = np.abs(rise) <= _RISE * np.abs(value[:, 1:])
    rise = np.where(level, 0.0, rise)
    return np.asarray(rise[:, :-1] * rise[:, 1:] < 0)


def _interpolated(
    value: Array,
    z: Array,
    curve: NDArray[np.intp],
    before: NDArray[np.intp],
    count: NDArray[np.intp],
    wanted: Array,
) -> Array:
    """Interpolate curves at `wanted`: by the cubic through four nodes where it is monotone."""
    width = min(4, value.shape[1])
    first = np.clip(before - 1, 0, np.maximum(count - width, 0))
    four = first[:, None] + np.arange(width)
    x, y = value[curve[:, None], four], z[curve[:, None], four]
    rising = (np.diff(x, axis=1) > 0).all(axis=1) & (count >= width)
    with np.errstate(divide="ignore", invalid="ignore"):
        # Neville's scheme, for all wanted points at once
        for order in range(1, width):
            left = (wanted[:, None] - x[:, order:])[..., None]
            right = (x[:, :-order] - wanted[:, None])[..., None]
            span = (x[:, :-order] - x[:, order:])[..., None]
            y = (left * y[:, :-1] + right * y[:, 1:]) / span
        low, high = value[curve, before], value[curve, before + 1]
        gap = high - low
        share = np.clip((wanted - low) / np.where(gap == 0, 1.0, gap), 0, 1)[:, None]
    ends = z[curve, before], z[curve, before + 1]
    line = ends[0] + share * (ends[1] - ends[0])
    cubic = y[:, 0]
    sane = rising[:, None] & (cubic >= np.minimum(*ends)) & (cubic <= np.maximum(*ends))
    return np.asarray(np.where(sane.all(axis=1, keepdims=True), cubic, line))


def thinned(table: Array) -> tuple[Array, NDArray[np.intp]]:
    """Return a few representative rows of `table` and the nearest one of each row."""
    from scipy.spatial import cKDTree  # slow to import, and rarely needed

    spread = np.ptp(table, axis=0)
    scaled = table / np.where(spread == 0, 1.0, spread)
    order = np.lexsort(scaled.T)
    chosen = np.unique(order[np.linspace(0, order.size - 1, SAMPLED).astype(int)])
    return table[chosen], np.asarray(cKDTree(scaled[chosen]).query(scaled, p=1)[1])
