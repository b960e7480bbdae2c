r"""Kernels: expressions compiled to vectorised quadrature with an honest error.

``Kernel(arguments, expressions)`` is called with arrays that broadcast and returns arrays;
``Kernel.bounded`` returns the same values with a bound that covers quadrature, truncation,
rounding and the uncertainty of the arguments.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from types import FunctionType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sympy import Expr, Symbol

from replica.numerics.hoisting import hoist
from replica.numerics.lowering import (
    Integral,
    Layer,
    WeightedSum,
    compile_layer,
    lower,
    on_namespace,
)
from replica.numerics.quadrature import (
    HALF_RANGE,
    TRAPEZOID_STEP,
    WIDEST_RANGE,
    Rule,
    extrapolated_error,
    half_range,
    panel_nodes,
    panel_rule,
    trapezoid_rule,
)
from replica.numerics.rounding import UNIT, Bounded, bounded_namespace, bounded_parts

__all__ = ["MAX_REFINEMENT", "Kernel", "compile_kernel"]

Array = NDArray[np.float64]
Job = tuple[NDArray[np.intp], Callable[[], Rule]]

MAX_REFINEMENT = 3
"""Halvings of every rule beyond which a value is reported as inaccurate."""

_STRIP = 1.5  # distance, in widths, of the nearest singularity of the primitives (tanh: pi/2)
_STRIP_PER_STEP = 6.0  # exp(-2 pi 6) is 4e-17
_NO_WIDTH = 4 * HALF_RANGE  # of what changes too slowly to be a feature
_MAX_HALVINGS = 2  # beyond this, panels need fewer nodes than the trapezoid
_BEYOND_TILT = 6.0  # the range goes this far past a feature that may hold all the weight
_THREADED_JOBS = 8
_FEW = 128  # points times refinement
_CHUNK = 2**15  # nodes held at once by one temporary: fits the cache, bounds the memory


class Kernel:
    """Expressions in `arguments` as one vectorised function.

    Parameters
    ----------
    arguments : sequence of Symbol
        Order in which values are passed.
    expressions : sequence of Expr
        What to compute; means over the same variance share their nodes.

    Raises
    ------
    LoweringError
        If a node has no numerical meaning.

    Examples
    --------
    >>> from sympy import symbols
    >>> from replica.language.means import Mean
    >>> from replica.language.primitives import LogCosh
    >>> h, v = symbols("h v", real=True)
    >>> kernel = Kernel((v,), (Mean(LogCosh(h), (h, v)),))
    >>> (value,) = kernel(1.0)
    >>> round(float(value), 12)
    0.374567207491
    """

    def __init__(self, arguments: Sequence[Symbol], expressions: Sequence[Expr]) -> None:
        self.arguments = tuple(arguments)
        self.expressions = tuple(expressions)
        constants, left = hoist(self.expressions)
        self._first = Kernel(self.arguments, tuple(constants)) if constants else None
        self._layer = _CompiledLayer(lower((*self.arguments, *constants.values()), left))

    def __call__(self, *values: Any, refinement: int = 0) -> tuple[Array, ...]:
        """Return the expressions at `values`, broadcast against each other."""
        flat, shape = _flatten(values)
        with np.errstate(all="ignore"):
            constants = self._first(*flat, refinement=refinement) if self._first else ()
            results = self._layer.evaluate([*flat, *constants], refinement)
        size = flat[0].shape
        return tuple(_full(r, size).reshape(shape) for r in results)

    def bounded(self, *values: Any, refinement: int = 0) -> tuple[Bounded, ...]:
        """Return the expressions with a bound on their error; `values` may carry one too."""
        parts = [bounded_parts(value) for value in values]
        numbers, shape = _flatten([value for value, _ in parts])
        size = numbers[0].shape
        bounds = [_full(bound, shape).reshape(size) for _, bound in parts]
        arguments = [Bounded(n, b) for n, b in zip(numbers, bounds, strict=False)]
        with np.errstate(all="ignore"):
            if self._first:
                arguments += self._first.bounded(*arguments, refinement=refinement)
            results = self._layer.evaluate_bounded(arguments, refinement)
        final = []
        for result in results:
            value, bound = bounded_parts(result)
            value, bound = (_full(part, size).reshape(shape) for part in (value, bound))
            known = np.isfinite(value) & ~np.isnan(bound)
            final.append(Bounded(value, np.where(known, bound, np.inf)))
        return tuple(final)


def _flatten(values: Sequence[Any]) -> tuple[list[Array], tuple[int, ...]]:
    arrays = [np.asarray(value, dtype=float) for value in values] or [np.zeros(())]
    shape = arrays[0].shape
    if any(array.shape != shape for array in arrays):
        shape = np.broadcast_shapes(*(array.shape for array in arrays))
    return [_full(array, shape).reshape(-1) for array in arrays], shape


def _full(value: Any, shape: tuple[int, ...]) -> Array:
    """Return `value` in this shape; numpy's own broadcast is slow where there is nothing to do."""
    array = np.asarray(value, dtype=float)
    return array if array.shape == shape else np.broadcast_to(array, shape)


@lru_cache(maxsize=256)
def compile_kernel(arguments: tuple[Symbol, ...], expressions: tuple[Expr, ...]) -> Kernel:
    """Return the kernel of these expressions, compiled once."""
    return Kernel(arguments, expressions)


@lru_cache(maxsize=1)
def _bounded_functions() -> dict[str, Callable[..., Any]]:
    return bounded_namespace()


class _CompiledLayer:
    """A layer as functions of arrays of shape (points,)."""

    def __init__(self, layer: Layer) -> None:
        self.function = compile_layer(layer.symbols, layer.expressions)
        self.integrals = [
            _CompiledSum(part) if isinstance(part, WeightedSum) else _CompiledIntegral(part)
            for part in layer.integrals
        ]
        self._bounded: FunctionType | None = None

    @property
    def bounded_function(self) -> FunctionType:
        if self._bounded is None:
            self._bounded = on_namespace(self.function, _bounded_functions())
        return self._bounded

    def evaluate(self, arguments: list[Array], refinement: int) -> list[Any]:
        means: list[Any] = []
        for integral in self.integrals:
            means += integral.evaluate(arguments, refinement)
        return list(self.function(*arguments, *means))

    def evaluate_bounded(
        self, arguments: list[Bounded], refinement: int, inner: bool = False
    ) -> list[Any]:
        means: list[Any] = []
        for integral in self.integrals:
            means += integral.evaluate_bounded(arguments, refinement, inner)
        return list(self.bounded_function(*arguments, *means))


class _CompiledSum:
    """Means over the same list of eigenvalues."""

    def __init__(self, part: WeightedSum) -> None:
        self.count = len(part.results)
        self.body = _CompiledLayer(part.body)
        self.points = np.array(part.spectrum.points)
        self.weights = np.array(part.spectrum.weights)

    def _chunks(self, points: int) -> list[slice]:
        size = max(1, _CHUNK // self.points.size)
        return [slice(start, start + size) for start in range(0, points, size)]

    def evaluate(self, arguments: list[Array], refinement: int) -> list[Any]:
        results = np.empty((self.count, arguments[0].shape[0]))
        for chunk in self._chunks(arguments[0].shape[0]):
            shape, inside = self._laid_out([a[chunk] for a in arguments])
            for k, body in enumerate(self.body.evaluate(inside, refinement)):
                results[k, chunk] = _full(body, inside[0].shape).reshape(shape) @ self.weights
        return list(results)

    def _laid_out(self, arguments: list[Array]) -> tuple[tuple[int, int], list[Array]]:
        shape = arguments[0].size, self.points.size
        repeated = [np.repeat(a, self.points.size) for a in arguments]
        return shape, [*repeated, np.tile(self.points, shape[0])]

    def evaluate_bounded(
        self, arguments: list[Bounded], refinement: int, inner: bool = False
    ) -> list[Bounded]:
        points = arguments[0].value.shape[0]
        values, bounds = np.empty((self.count, points)), np.empty((self.count, points))
        rounding = UNIT * (2 + 2 * np.log2(self.points.size))
        for chunk in self._chunks(points):
            shape, inside = self._laid_out([a.value[chunk] for a in arguments])
            _, spread = self._laid_out([a.bound[chunk] for a in arguments])
            spread[-1] = np.zeros_like(inside[-1])  # the eigenvalues are what they are
            exact = [Bounded(a, b) for a, b in zip(inside, spread, strict=True)]
            for k, body in enumerate(self.body.evaluate_bounded(exact, refinement)):
                value, bound = (
                    _full(part, inside[0].shape).reshape(shape) for part in bounded_parts(body)
                )
                values[k, chunk] = value @ self.weights
                bounds[k, chunk] = (bound + rounding * np.abs(value)) @ self.weights
        return [Bounded(value, bound) for value, bound in zip(values, bounds, strict=True)]


class _CompiledIntegral:
    """Means that share a field, by trapezoid or panels as the features of each point demand."""

    def __init__(self, integral: Integral) -> None:
        outer = integral.body.arguments[:-1]
        self.count = len(integral.results)
        self.body = _CompiledLayer(integral.body)
        self.thin = integral.thin
        self.variance = compile_layer(outer, (integral.variance,))
        self.bounded_variance = on_namespace(self.variance, _bounded_functions())
        self.features = compile_layer(
            outer, tuple(part for f in integral.features for part in (f.centre, f.width))
        )
        self.feature_count = len(integral.features)
        self.even = integral.even
        self.kinks = [k for k, feature in enumerate(integral.features) if feature.width == 0]
        self.tilts = [k for k, feature in enumerate(integral.features) if feature.tilts]

    # ---- which rule ---------------------------------------------------------------------------

    def _geometry(
        self, arguments: list[Array], variance: Array, refinement: int
    ) -> tuple[Array, Array, Array]:
        """Return scaled centres and widths (points, features) and the trapezoid's halvings.

        Halvings above `_MAX_HALVINGS` mean panels.
        """
        points = arguments[0].shape[0]
        if not self.feature_count:
            empty = np.zeros((points, 0))
            return empty, empty, np.zeros(points, dtype=int)
        parts = self.features(*arguments)
        spread = np.sqrt(variance)
        safe = np.where(spread > 0, spread, 1.0)
        centres = np.stack([_full(c, (points,)) / safe for c in parts[::2]], axis=1)
        widths = np.stack([_full(w, (points,)) / safe for w in parts[1::2]], axis=1)
        centres = np.where(np.isfinite(centres), centres, 0.0)
        widths = np.where(np.isfinite(widths), widths, _NO_WIDTH)
        outside = np.maximum(np.abs(centres) - half_range(refinement), 0)
        strip = np.hypot(outside, _STRIP * widths).min(axis=1)
        halvings = np.ceil(np.log2(TRAPEZOID_STEP * _STRIP_PER_STEP / np.maximum(strip, 1e-30)))
        halvings = np.clip(halvings, 0, _MAX_HALVINGS + 1).astype(int)
        if self.tilts:
            far = np.abs(centres[:, self.tilts]).max(axis=1) + _BEYOND_TILT > half_range(refinement)
            halvings[far] = _MAX_HALVINGS + 1
        return centres, widths, np.where(spread > 0, halvings, 0)

    def _rules(self, arguments: list[Array], variance: Array, refinement: int) -> list[Job]:
        """Return the points that share a rule, in chunks that bound the memory.

        Panels are laid out when their turn comes: those of all points would fill the memory.
        """
        centres, widths, halvings = self._geometry(arguments, variance, refinement)
        jobs: list[Job] = []
        finest = int(halvings.max(initial=0))
        if halvings.size * 2**finest <= _FEW and finest <= _MAX_HALVINGS:
            halvings = np.full_like(halvings, finest)  # one rule for all costs less than several
        for kind in np.unique(halvings):
            members = np.flatnonzero(halvings == kind)
            if kind <= _MAX_HALVINGS:
                rule = trapezoid_rule(int(kind) + refinement, half_range(refinement), self.even)
                size = max(1, _CHUNK // rule.nodes.size)
                for start in range(0, members.size, size):
                    jobs.append((members[start : start + size], partial(_same, rule)))
            else:
                # similar widths together, so that none is cut as finely as the narrowest
                members = members[np.argsort(widths[members].min(axis=1), kind="stable")]
                start = 0
                while start < members.size:
                    smallest = float(widths[members[start]].min())
                    size = max(1, _CHUNK // panel_nodes(widths.shape[1], smallest, refinement))
                    chunk = members[start : start + size]
                    lay = partial(self._panels, centres[chunk], widths[chunk], refinement)
                    jobs.append((chunk, lay))
                    start += size
        return jobs

    def _widest(self, members: NDArray[np.intp], refinement: int) -> list[Job]:
        """Return jobs that repeat these points by the trapezoid over the widest range."""
        if self.kinks:
            return []
        rule = trapezoid_rule(_MAX_HALVINGS + refinement, WIDEST_RANGE, self.even)
        size = max(1, _CHUNK // rule.nodes.size)
        starts = range(0, members.size, size)
        return [(members[start : start + size], partial(_same, rule)) for start in starts]

    def _panels(self, centres: Array, widths: Array, refinement: int) -> Rule:
        reach = half_range(refinement)
        if self.tilts:
            furthest = float(np.abs(centres[:, self.tilts]).max()) + _BEYOND_TILT
            reach = float(np.clip(furthest, reach, WIDEST_RANGE))
        return panel_rule(centres, widths, refinement, reach, self.even, self.thin)

    # ---- values -------------------------------------------------------------------------------

    def evaluate(self, arguments: list[Array], refinement: int) -> list[Any]:
        points = arguments[0].shape[0]
        if points == 1:
            return self._evaluate_one([a[0] for a in arguments], refinement)
        variance = _full(self.variance(*arguments)[0], (points,))
        results = np.full((self.count, points), np.nan)
        usable = variance >= 0
        if not usable.all():
            variance = np.where(usable, variance, 0.0)

        def work(job: Job) -> None:
            members, lay = job
            rule = lay()
            with np.errstate(all="ignore"):  # the setting does not follow into threads
                inside = [a[members] for a in arguments]
                x = np.sqrt(variance[members])[:, None] * rule.nodes
                for k, body in enumerate(self._body(inside, x, refinement)):
                    results[k, members] = _integrate(body, rule.weights, x.shape)

        _run(work, self._rules(arguments, variance, refinement))
        if not usable.all():
            results[:, ~usable] = np.nan
        return list(results)

    def _evaluate_one(self, arguments: list[np.float64], refinement: int) -> list[Any]:
        """Evaluate at a single point, where the overhead of grids would be most of the time."""
        variance = np.float64(self.variance(*arguments)[0])
        if not variance >= 0:
            return [np.array([np.nan])] * self.count
        spread = np.sqrt(variance)
        columns = [np.asarray(a)[None] for a in arguments]
        rule = self._rule_at(columns, variance, refinement)
        x = spread * rule.nodes
        if self.body.integrals:
            bodies = self._body(columns, x[None, :], refinement)
            return [_integrate(body, rule.weights, (1, x.size)) for body in bodies]
        weights = rule.weights
        results = []
        for body in self.body.function(*arguments, x):
            total = body @ weights if np.ndim(body) else body * weights.sum()
            results.append(np.asarray(total)[None])
        return results

    def _rule_at(self, arguments: list[Array], variance: np.float64, refinement: int) -> Rule:
        """Return the rule of a single point, one row without the axis of points."""
        centres, widths, halvings = self._geometry(arguments, np.array([variance]), refinement)
        if halvings[0] <= _MAX_HALVINGS:
            reach = half_range(refinement)
            return trapezoid_rule(int(halvings[0]) + refinement, reach, self.even)
        rule = self._panels(centres, widths, refinement)
        first, second = rule.coarse
        coarse = first[0], second[0]
        return Rule(rule.nodes[0], rule.weights[0], coarse, rule.blocks, rule.reach, rule.even)

    def _body(self, inside: list[Array], x: Array, refinement: int) -> list[Any]:
        if not self.body.integrals:
            return list(self.body.function(*(a[:, None] for a in inside), x))
        repeated = [np.repeat(a, x.shape[1]) for a in inside]
        flat = self.body.evaluate([*repeated, x.reshape(-1)], refinement)
        return [_full(value, (x.size,)).reshape(x.shape) for value in flat]

    # ---- values with bounds -------------------------------------------------------------------

    def evaluate_bounded(
        self, arguments: list[Bounded], refinement: int, inner: bool
    ) -> list[Bounded]:
        numbers = [a.value for a in arguments]
        points = numbers[0].shape[0]
        exact_variance, variance_bound = bounded_parts(self.bounded_variance(*arguments)[0])
        variance = _full(exact_variance, (points,))
        spread_bound = _full(variance_bound, (points,))
        usable = variance >= 0
        variance = np.where(usable, variance, 0.0)
        values = np.full((self.count, points), np.nan)
        bounds = np.full((self.count, points), np.inf)

        def work(job: Job) -> None:
            members, lay = job
            rule = lay()
            with np.errstate(all="ignore"):
                inside = [Bounded(a.value[members], a.bound[members]) for a in arguments]
                root = np.sqrt(variance[members])
                # d sqrt(v), by its secant so that v = 0 keeps a finite bound
                wide = np.sqrt(variance[members] + spread_bound[members])
                nodes = Bounded(
                    root[:, None] * rule.nodes,
                    ((wide - root) + 4 * UNIT * root)[:, None] * np.abs(rule.nodes),
                )
                found = self._integrals_with_bounds(inside, nodes, rule, refinement)
                moved = self._moved_kinks(inside, root, wide - root)
                for k, (value, bound, largest) in enumerate(found):
                    values[k, members], bounds[k, members] = value, bound + moved * largest

        _run(work, self._rules(numbers, variance, refinement))
        lost = np.flatnonzero(inner & usable & np.isinf(bounds).any(axis=0))
        if lost.size:
            # Tails that do not fall within the range, at nodes of an outer field where next to
            # nothing may be left: no bound there would be none anywhere.
            _run(work, self._widest(lost, refinement))
        bounds[:, ~usable] = np.inf
        values[:, ~usable] = np.nan
        return [Bounded(value, bound) for value, bound in zip(values, bounds, strict=True)]

    def _moved_kinks(
        self, inside: list[Bounded], spread: Array, spread_bound: Array
    ) -> Array | float:
        """Return the Gaussian mass by which uncertain arguments can misplace the kinks."""
        if not self.kinks:
            return 0.0
        parts = on_namespace(self.features, _bounded_functions())(*inside)
        mass = np.zeros_like(spread)
        for k in self.kinks:
            centre, bound = bounded_parts(parts[2 * k])
            scaled = centre / spread
            slack = (bound + np.abs(scaled) * spread_bound) / spread
            density = np.exp(-0.5 * np.maximum(np.abs(scaled) - slack, 0) ** 2)
            mass = mass + np.nan_to_num(slack * density, nan=0.0, posinf=1.0)
        return 2 * mass

    def _integrals_with_bounds(
        self, inside: list[Bounded], nodes: Bounded, rule: Rule, refinement: int
    ) -> list[tuple[Array, Array, Array]]:
        """Return value, bound and largest size of each integrand."""
        shape = nodes.value.shape
        if self.body.integrals:  # an inner integral's error is wanted at every node
            parts = [bounded_parts(b) for b in self._bounded_body(inside, nodes, refinement)]
            return [
                _integrate_bounded(
                    _full(value, shape),
                    rule,
                    _by_block(_full(bound, shape), rule.weights, rule.blocks),
                )
                for value, bound in parts
            ]
        bodies = self.body.function(*(a.value[:, None] for a in inside), nodes.value)
        # rounding needs no accuracy: a quarter of the nodes and half as much again
        few = rule.quarter
        some = Bounded(nodes.value[:, few], nodes.bound[:, few])
        columns = [Bounded(a.value[:, None], a.bound[:, None]) for a in inside]
        weights = rule.coarse[1][..., few]
        results = []
        for body, sample in zip(bodies, self.body.bounded_function(*columns, some), strict=True):
            bound = _full(bounded_parts(sample)[1], some.value.shape)
            results.append(
                _integrate_bounded(_full(body, shape), rule, 1.5 * _by_block(bound, weights, 1))
            )
        return results

    def _bounded_body(self, inside: list[Bounded], nodes: Bounded, refinement: int) -> list[Any]:
        shape = nodes.value.shape
        repeated = [
            Bounded(np.repeat(a.value, shape[1]), np.repeat(a.bound, shape[1])) for a in inside
        ]
        flat_nodes = Bounded(nodes.value.reshape(-1), nodes.bound.reshape(-1))
        flat = self.body.evaluate_bounded([*repeated, flat_nodes], refinement, inner=True)
        parts = [bounded_parts(value) for value in flat]
        size = nodes.value.size
        return [
            Bounded(
                _full(value, (size,)).reshape(shape),
                _full(bound, (size,)).reshape(shape),
            )
            for value, bound in parts
        ]


def _same(rule: Rule) -> Rule:
    return rule


def _run(work: Callable[[Job], None], jobs: list[Job]) -> None:
    """Do all jobs; many go to threads, since numpy works outside the interpreter's lock."""
    if len(jobs) < _THREADED_JOBS or threading.current_thread() is not threading.main_thread():
        for job in jobs:
            work(job)
    else:
        for _ in _pool().map(work, jobs):
            pass


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=min(os.cpu_count() or 1, 8))


if hasattr(os, "register_at_fork"):  # threads do not follow into a forked process
    os.register_at_fork(after_in_child=_pool.cache_clear)


def _integrate(body: Any, weights: Array, shape: tuple[int, ...]) -> Array:
    body = _full(body, shape)
    if weights.ndim == 1:
        return np.asarray(body @ weights)
    return np.einsum("pn,pn->p", body, weights)


def _integrate_bounded(body: Array, rule: Rule, propagated: Array) -> tuple[Array, Array, Array]:
    """Return integral, bound and largest size.

    The bound adds what was propagated, rounding of the sum, quadrature and truncation.
    """
    count = body.shape[1]
    value, half, quarter, size = (
        _by_block(integrand, weights, rule.blocks)
        for integrand, weights in (
            (body, rule.weights),
            (body, rule.coarse[0]),
            (body, rule.coarse[1]),
            (np.abs(body), rule.weights),
        )
    )
    quadrature = extrapolated_error(np.abs(value - half), np.abs(half - quarter), size).sum(axis=1)
    value = value.sum(axis=1)
    rounding = UNIT * (8 + 2 * np.log2(count)) * size.sum(axis=1)
    bound = propagated.sum(axis=1) + quadrature + rounding + _beyond(body, rule)
    return value, bound, np.abs(body).max(axis=1)


def _beyond(body: Array, rule: Rule) -> Array:
    """Bound what lies beyond the range, taking the tails to go on as they do at its ends.

    A tail that does not fall there bounds nothing.
    """
    shared = rule.nodes.ndim == 1
    nodes = rule.nodes[None, :] if shared else rule.nodes
    rows = np.arange(body.shape[0])
    total = np.zeros(body.shape[0])
    for side in (-1,) if rule.even else (1, -1):
        t = side * nodes[:, ::side]
        ends, first = body[:, ::side], t[:, 0]
        edge = np.abs(ends[:, 0]) * np.exp(-0.5 * first**2)
        rate = np.zeros(body.shape[0])
        for distance in (0.5, 1.0):  # the integrand may change its sign at one of them
            inner = np.argmax(t > t[:, :1] + distance, axis=1)
            there = t[np.arange(t.shape[0]), inner]
            inside = np.abs(ends[:, inner[0]] if shared else ends[rows, inner])
            inside = inside * np.exp(-0.5 * there**2)
            rate = np.fmax(rate, np.log(inside / edge) / (there - first))
        total += np.where(edge > 0, edge / np.where(rate > 0, rate, 0.0), 0.0)
    return total * (2 if rule.even else 1) / np.sqrt(2 * np.pi)


def _by_block(body: Array, weights: Array, blocks: int) -> Array:
    """Return the integral over each panel, shape (points, blocks)."""
    if weights.ndim == 1 and blocks == 1:
        return (body @ weights)[:, None]
    points, count = body.shape
    shape = (blocks, count // blocks)
    return np.einsum(
        "pbn,pbn->pb",
        body.reshape(points, *shape),
        _full(weights, body.shape).reshape(points, *shape),
    )
