r"""Logarithms of means of exponentials, and the means that these weigh, on nodes of their own.

A power moves the weight :math:`e^{y f(z) - z^2 / 2}` anywhere, into one narrow peak or several.
Where it is, is looked for: a scan closes in on the range outside of which nothing counts, and
panels are graded around the peaks in it. Only ratios to the largest weight are ever formed.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from replica.numerics.bounds import by_panel
from replica.numerics.codegen import on_namespace
from replica.numerics.layers import (
    CompiledLayer,
    at_nodes,
    bounded_at_nodes,
    bounded_functions,
    compiled_integral,
)
from replica.numerics.lowering import TiltedIntegral, compile_layer
from replica.numerics.quadrature import (
    BASE_PANEL,
    HALF_RANGE,
    extrapolated_error,
    panel_breakpoints,
    plain_panels,
)
from replica.numerics.rounding import UNIT, Bounded, bounded_parts
from replica.numerics.run import CHUNK, full

__all__: list[str] = []

Array = NDArray[np.float64]

_SCAN = 129  # places at which a scan looks
_FIRST, _WIDEST = 40.0, 1e5  # half ranges of the first scan and of the last
_NEGLIGIBLE = 60.0  # a weight smaller than the largest by exp(this) does not count
_PEAKS = 3  # that panels are graded around
_BESIDE_PEAK = 2.0 * np.array([-4, -3, -2, -1, 1, 2, 3, 4])  # cuts, in widths of a peak
_ZOOMS = 40
_NODES = 1024  # of a usual point, for chunks of bounded memory
_SMALL = 0.3  # shift of the logarithm below which it is computed as a difference from the mean
_SEEN = 1e-13  # mass of the field that may lie outside of the range for that


@compiled_integral.register(TiltedIntegral)
class _CompiledTilted:
    """Means that share a field and the weight in which it is averaged."""

    def __init__(self, part: TiltedIntegral) -> None:
        outer = part.body.arguments[:-1]
        self.count = len(part.results)
        self.logarithm = part.logarithm
        self.exponent = CompiledLayer(part.exponent)
        self.body = CompiledLayer(part.body)
        self.law = compile_layer(outer, (part.variance, part.power))
        self.bounded_law = on_namespace(self.law, bounded_functions())
        self.features = compile_layer(
            outer, tuple(number for f in part.features for number in (f.centre, f.width))
        )
        self.kinks = [k for k, feature in enumerate(part.features) if feature.width == 0]

    def evaluate(self, arguments: list[Array], refinement: int) -> list[Array]:
        points = arguments[0].shape[0]
        variance, power = (full(part, (points,)) for part in self.law(*arguments))
        results = np.full((self.count, points), np.nan)
        for members in _chunks(variance, power):
            inside, y = [a[members] for a in arguments], power[members]
            root = np.sqrt(variance[members])
            nodes, rules, blocks, _ = self._panels(inside, root, y, refinement)
            found = at_nodes(self.body, inside, root[:, None] * nodes, refinement)
            exponent, *bodies = (full(body, nodes.shape) for body in found)
            weight = _Weight(exponent, y, nodes, rules, blocks)
            if self.logarithm:
                results[0, members] = weight.logarithm
            for k, body in enumerate(bodies, start=1):
                results[k, members] = weight.mean(body)
        return list(results)

    def evaluate_bounded(
        self, arguments: list[Bounded], refinement: int, inner: bool = False
    ) -> list[Bounded]:
        points = arguments[0].value.shape[0]
        parts = [bounded_parts(part) for part in self.bounded_law(*arguments)]
        (variance, blur), (power, slack) = ([full(p, (points,)) for p in pair] for pair in parts)
        values = np.full((self.count, points), np.nan)
        bounds = np.full((self.count, points), np.inf)
        for members in _chunks(variance, power):
            inside = [Bounded(a.value[members], a.bound[members]) for a in arguments]
            y, root = power[members], np.sqrt(variance[members])
            wide = np.sqrt(variance[members] + blur[members]) - root + 4 * UNIT * root
            numbers = [a.value for a in inside]
            nodes, rules, blocks, falls = self._panels(numbers, root, y, refinement)
            x = Bounded(root[:, None] * nodes, wide[:, None] * np.abs(nodes))
            found = bounded_at_nodes(self.body, inside, x, refinement)
            weight = _Weight(found[0].value, y, nodes, rules, blocks)
            moved = self._moved_kinks(inside, root, wide)
            blurred = found[0].bound, slack[members], moved
            rows = {k: weight.bounded_mean(b, *blurred) for k, b in enumerate(found) if k}
            if self.logarithm:
                rows[0] = weight.bounded_logarithm(*blurred)
            for k, (value, bound) in rows.items():
                values[k, members] = value
                bounds[k, members] = np.where(falls & np.isfinite(value), bound, np.inf)
        return [Bounded(value, bound) for value, bound in zip(values, bounds, strict=True)]

    def _marks(self, inside: list[Array], root: Array) -> tuple[Array, Array]:
        """Return scaled centres and widths of the features, shape (points, features)."""
        points = root.size
        parts = self.features(*inside)
        safe = np.where(root > 0, root, 1.0)[:, None]
        shape = (points, len(parts) // 2)
        centres, widths = np.zeros(shape), np.zeros(shape)
        for k in range(shape[1]):
            centres[:, k], widths[:, k] = (full(p, (points,)) for p in parts[2 * k : 2 * k + 2])
        centres, widths = centres / safe, widths / safe
        known = np.isfinite(centres) & np.isfinite(widths)
        return np.where(known, centres, np.nan), np.where(known, widths, np.nan)

    def _panels(
        self, inside: list[Array], root: Array, power: Array, refinement: int
    ) -> tuple[Array, tuple[Array, Array, Array], int, NDArray[np.bool_]]:
        """Return nodes, weights of nested rules, panels, and where the weight falls at the ends."""
        centres, widths = self._marks(inside, root)

        def height(t: Array) -> Array:
            body = at_nodes(self.exponent, inside, root[:, None] * t, min(refinement, 0))[0]
            found = power[:, None] * full(body, t.shape) - t * t / 2
            return np.where(np.isnan(found), -np.inf, found)

        low, high, falls = _range(height, centres)
        peaks, spreads = _peaks(height, low, high)
        beside = peaks[..., None] + spreads[..., None] * _BESIDE_PEAK
        centres = np.concatenate([centres, peaks], axis=1)
        widths = np.concatenate([widths, spreads], axis=1)
        middle, scale = (low + high)[:, None] / 2, (high - low)[:, None] / (2 * HALF_RANGE)
        within = (centres > low[:, None]) & (centres < high[:, None])
        graded = panel_breakpoints(
            np.where(within, (centres - middle) / scale, 0.0),
            np.where(within, widths / scale, 4 * HALF_RANGE),
            refinement,
        )
        cuts = np.where(np.isnan(beside), middle[..., None], beside).reshape(root.size, -1)
        edges = np.concatenate([middle + scale * graded, cuts], axis=1)
        edges = np.sort(np.clip(edges, low[:, None], high[:, None]), axis=1)
        long = (np.diff(edges, axis=1) > 0).any(axis=0)
        edges = np.concatenate([edges[:, :1], edges[:, 1:][:, long]], axis=1)
        return *plain_panels(edges, refinement), falls

    def _moved_kinks(
        self, inside: list[Bounded], root: Array, wide: Array
    ) -> list[tuple[Array, Array]]:
        """Return where kinks are, in the scaled field, and by how much they may be misplaced."""
        if not self.kinks:
            return []
        parts = on_namespace(self.features, bounded_functions())(*inside)
        moved = []
        for k in self.kinks:
            centre, bound = (full(p, root.shape) for p in bounded_parts(parts[2 * k]))
            slack = (bound + np.abs(centre / root) * wide) / root
            moved.append((centre / root, np.nan_to_num(slack, nan=0.0, posinf=0.0)))
        return moved


def _chunks(variance: Array, power: Array) -> list[NDArray[np.intp]]:
    usable = np.flatnonzero((variance >= 0) & np.isfinite(power))
    size = max(1, CHUNK // _NODES)
    return [usable[start : start + size] for start in range(0, usable.size, size)]


def _range(height, centres: Array) -> tuple[Array, Array, NDArray[np.bool_]]:  # type: ignore[no-untyped-def]
    """Return the range outside of which the weight is negligible, and whether it falls there."""
    points = centres.shape[0]
    low, high = np.full(points, -_FIRST), np.full(points, _FIRST)
    falls = np.zeros(points, dtype=bool)
    for _ in range(_ZOOMS):
        grid = np.linspace(low, high, _SCAN, axis=1)
        inner = np.clip(np.nan_to_num(centres), low[:, None], high[:, None])
        grid = np.sort(np.concatenate([grid, inner], axis=1), axis=1)
        found = height(grid)
        counts = found > found.max(axis=1, keepdims=True) - _NEGLIGIBLE
        first, last = counts.argmax(axis=1), counts.shape[1] - 1 - counts[:, ::-1].argmax(axis=1)
        falls |= (first > 0) & (last < counts.shape[1] - 1)
        if not falls.all() and np.max(high - low) < _WIDEST:
            wider = np.where(falls, 1.0, 2.0)
            low, high = low * wider, high * wider
            continue
        rows = np.arange(points)
        begin = grid[rows, np.maximum(first - 1, 0)]
        end = grid[rows, np.minimum(last + 1, counts.shape[1] - 1)]
        settled = end - begin > 0.5 * (high - low)
        low, high = begin, end
        if settled.all():
            break
    return low, high, falls


def _peaks(height, low: Array, high: Array) -> tuple[Array, Array]:  # type: ignore[no-untyped-def]
    """Return places and widths of the highest peaks of the weight, NaN where there are fewer."""
    grid = np.linspace(low, high, _SCAN, axis=1)
    found = height(grid)
    middle, before, after = found[:, 1:-1], found[:, :-2], found[:, 2:]
    top = (middle >= before) & (middle >= after)
    top &= middle > found.max(axis=1, keepdims=True) - _NEGLIGIBLE
    ranked = np.argsort(np.where(top, -middle, np.inf), axis=1)[:, :_PEAKS]
    rows = np.arange(low.size)[:, None]
    step = (high - low)[:, None] / (_SCAN - 1)
    bend = (2 * middle - before - after)[rows, ranked] / step**2
    known = top[rows, ranked] & (bend > 0)
    width = 1 / np.sqrt(np.where(known, bend, 1.0))
    place = grid[:, 1:-1][rows, ranked]
    return np.where(known, place, np.nan), np.where(known, width, np.nan)


class _Weight:
    """The weight :math:`e^{y f - t^2 / 2}` at the nodes, relative to its largest value."""

    def __init__(
        self,
        exponent: Array,
        power: Array,
        nodes: Array,
        rules: tuple[Array, Array, Array],
        blocks: int,
    ) -> None:
        self.exponent, self.power, self.nodes = exponent, power[:, None], nodes
        self.rules, self.blocks = rules, blocks
        height = self.power * exponent - nodes * nodes / 2
        height = np.where(np.isnan(height), -np.inf, height)
        self.top = height.max(axis=1)
        self.weight = np.exp(height - self.top[:, None])
        self.total = self._sum(self.weight)

    @cached_property
    def level(self) -> Array:
        """Mean of the exponent in its own weight."""
        return self.mean(self.exponent)

    @cached_property
    def small(self) -> NDArray[np.bool_]:
        """Whether the logarithm is best computed as a difference from the mean.

        So no digits are lost at a small power; the range must hold the field itself for that.
        """
        missed = np.abs(self._sum(self._density()) - 1)
        # a coarse rule misses more of the field than a small power moves
        above = self.exponent - self.level[:, None]
        moved = np.abs(self.power[:, 0]) * np.sqrt(self.mean(above**2))
        with np.errstate(invalid="ignore"):  # zero times what is infinite
            shift = np.abs(self.power[:, 0] * (self._direct - self.level))
        return np.asarray(((missed < _SEEN) | (moved < missed)) & ~(shift >= _SMALL))

    @cached_property
    def _direct(self) -> Array:
        with np.errstate(all="ignore"):
            logarithm = self.top + np.log(self.total) - np.log(2 * np.pi) / 2
            return np.asarray(logarithm / self.power[:, 0])

    @cached_property
    def logarithm(self) -> Array:
        """Logarithm of the mean, over the power."""
        if not self.small.any():
            return self._direct
        return np.where(self.small, self._near_mean(), self._direct)

    def _sum(self, body: Array) -> Array:
        return np.asarray(np.einsum("pn,pn->p", body, self.rules[0]))

    def _shifted(self) -> Array:
        """Return (exp(y (f - level)) - 1) / y in the density of the field."""
        above = self.exponent - self.level[:, None]
        product = self.power * above
        with np.errstate(all="ignore"):
            shifted = np.where(np.abs(product) < 1e-150, above, np.expm1(product) / self.power)
        density = self._density()
        return np.where(density > 0, shifted * density, 0.0)

    def _density(self) -> Array:
        return np.asarray(np.exp(-(self.nodes**2) / 2) / np.sqrt(2 * np.pi))

    def _near_mean(self) -> Array:
        change = self._sum(self._shifted())
        power = self.power[:, 0]
        with np.errstate(all="ignore"):
            curved = np.log1p(power * change) / power
        return self.level + np.where(np.abs(power * change) < 1e-150, change, curved)

    def mean(self, body: Array) -> Array:
        """Return the mean of a body in this weight."""
        return self._sum(self._weighed(body)) / self.total

    def _weighed(self, body: Array) -> Array:
        return np.where(self.weight > 0, self.weight * body, 0.0)

    def _quadrature(self, body: Array) -> Array:
        """Return the error of the integral of a body, from the coarser rules."""
        fine, half, quarter = (by_panel(body, rule, self.blocks) for rule in self.rules)
        size = by_panel(np.abs(body), self.rules[0], self.blocks)
        error = extrapolated_error(np.abs(fine - half), np.abs(half - quarter), size).sum(axis=1)
        rounding = UNIT * (8 + 2 * np.log2(body.shape[1])) * size.sum(axis=1)
        return np.asarray(error + rounding)

    def _misplaced(self, body: Array, moved: list[tuple[Array, Array]]) -> Array:
        """Return what misplaced kinks do to the integral of a body."""
        total = np.zeros(body.shape[0])
        for place, slack in moved:
            near = np.abs(self.nodes - place[:, None]) <= BASE_PANEL
            total += 2 * slack * np.where(near, np.abs(body), 0.0).max(axis=1)
        return total

    def bounded_logarithm(
        self, spread: Array, slack: Array, moved: list[tuple[Array, Array]]
    ) -> tuple[Array, Array]:
        """Return the logarithm with a bound, given those of exponent and power."""
        power = np.abs(self.power[:, 0])
        above = np.abs(self.exponent - self.logarithm[:, None])
        rounding = 8 * UNIT * np.abs(self.exponent)
        bound = self._sum(self._weighed(spread + rounding + slack[:, None] * above**2)) / self.total
        bound += self._misplaced(self._weighed(above), moved) / self.total
        far = self._quadrature(self.weight) / self.total + 4 * UNIT * (1 + np.abs(self.top))
        far += self._sum(self._weighed(2 * UNIT * self.nodes**2)) / self.total
        far += slack * self._sum(self._weighed(above)) / self.total
        near = self._quadrature(self._shifted()) + 8 * UNIT * np.abs(self.level)
        with np.errstate(all="ignore"):
            return self.logarithm, bound + np.where(self.small, 2 * near, far / power)

    def bounded_mean(
        self,
        integrand: Bounded,
        spread: Array,
        slack: Array,
        moved: list[tuple[Array, Array]],
    ) -> tuple[Array, Array]:
        """Return the mean of a body with a bound, given those of exponent and power."""
        body, bound = integrand.value, integrand.bound
        value = self.mean(body)
        apart = np.abs(body - value[:, None])
        above = np.abs(self.exponent - self.level[:, None])
        size = np.abs(self.power) * (spread + 8 * UNIT * np.abs(self.exponent))
        size = size + slack[:, None] * above + 2 * UNIT * self.nodes**2
        total = self._sum(self._weighed(bound + UNIT * np.abs(body) + apart * size))
        total += self._quadrature(self._weighed(body - value[:, None]))
        total += self._misplaced(self._weighed(apart), moved)
        return value, total / self.total + 8 * UNIT * np.abs(value)
