"""Layers and their integrals as functions of arrays, with and without bounds."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, singledispatch
from types import FunctionType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from replica.errors import LoweringError
from replica.numerics.bounds import by_panel, integral_with_bound
from replica.numerics.codegen import on_namespace
from replica.numerics.lowering import Integral, Layer, WeightedSum, compile_layer
from replica.numerics.plan import Plan
from replica.numerics.quadrature import BASE_PANEL, Rule
from replica.numerics.rounding import UNIT, Bounded, bounded_namespace, bounded_parts
from replica.numerics.run import CHUNK, Job, full, run

__all__ = [
    "CompiledIntegral",
    "CompiledLayer",
    "at_nodes",
    "bounded_at_nodes",
    "bounded_functions",
    "compiled_integral",
]

Array = NDArray[np.float64]


class CompiledIntegral(Protocol):
    """Means over one law, all by the same pass over their nodes."""

    def evaluate(self, arguments: list[Array], refinement: int) -> list[Array]:
        """Return the means at arrays of shape (points,)."""
        ...

    def evaluate_bounded(
        self, arguments: list[Bounded], refinement: int, inner: bool = False
    ) -> list[Bounded]:
        """Return the means with bounds; `inner` ones are at the nodes of another integral."""
        ...


@singledispatch
def compiled_integral(part: Any) -> CompiledIntegral:
    """Return an integral of a layer as functions of arrays; each kind registers its own."""
    raise LoweringError(f"no quadrature is known for {type(part).__name__}")


@lru_cache(maxsize=1)
def bounded_functions() -> dict[str, Callable[..., Any]]:
    """Return the functions of compiled code on numbers that carry a bound."""
    return bounded_namespace()


class CompiledLayer:
    """A layer as functions of arrays of shape (points,)."""

    def __init__(self, layer: Layer) -> None:
        self.function = compile_layer(layer.symbols, layer.expressions)
        self.integrals = [compiled_integral(part) for part in layer.integrals]
        self._bounded: FunctionType | None = None

    @property
    def bounded_function(self) -> FunctionType:
        """The expressions on numbers that carry a bound, compiled when first needed."""
        if self._bounded is None:
            self._bounded = on_namespace(self.function, bounded_functions())
        return self._bounded

    def evaluate(self, arguments: list[Array], refinement: int) -> list[Array]:
        """Return the expressions at arrays of shape (points,)."""
        means: list[Array] = []
        for integral in self.integrals:
            means += integral.evaluate(arguments, refinement)
        return list(self.function(*arguments, *means))

    def evaluate_bounded(
        self, arguments: list[Bounded], refinement: int, inner: bool = False
    ) -> list[Bounded]:
        """Return the expressions with bounds; `inner` as in `CompiledIntegral`."""
        means: list[Bounded] = []
        for integral in self.integrals:
            means += integral.evaluate_bounded(arguments, refinement, inner)
        return list(self.bounded_function(*arguments, *means))


@compiled_integral.register(WeightedSum)
class _CompiledSum:
    """Means over the same list of eigenvalues."""

    def __init__(self, part: WeightedSum) -> None:
        self.count = len(part.results)
        self.body = CompiledLayer(part.body)
        self.points = np.array(part.spectrum.points)
        self.weights = np.array(part.spectrum.weights)

    def _chunks(self, points: int) -> list[slice]:
        size = max(1, CHUNK // self.points.size)
        return [slice(start, start + size) for start in range(0, points, size)]

    def evaluate(self, arguments: list[Array], refinement: int) -> list[Array]:
        results = np.empty((self.count, arguments[0].shape[0]))
        for chunk in self._chunks(arguments[0].shape[0]):
            shape, inside = self._laid_out([a[chunk] for a in arguments])
            for k, body in enumerate(self.body.evaluate(inside, refinement)):
                results[k, chunk] = full(body, inside[0].shape).reshape(shape) @ self.weights
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
            spread[-1] = np.zeros_like(inside[-1])  # the eigenvalues are exact
            exact = [Bounded(a, b) for a, b in zip(inside, spread, strict=True)]
            for k, body in enumerate(self.body.evaluate_bounded(exact, refinement)):
                value, bound = (
                    full(part, inside[0].shape).reshape(shape) for part in bounded_parts(body)
                )
                values[k, chunk] = value @ self.weights
                bounds[k, chunk] = (bound + rounding * np.abs(value)) @ self.weights
        return [Bounded(value, bound) for value, bound in zip(values, bounds, strict=True)]


@compiled_integral.register(Integral)
class _CompiledIntegral:
    """Means that share a field, by trapezoid or panels as the features of each point demand."""

    def __init__(self, integral: Integral) -> None:
        outer = integral.body.arguments[:-1]
        self.count = len(integral.results)
        self.body = CompiledLayer(integral.body)
        self.plan = Plan(integral)
        self.variance = compile_layer(outer, (integral.variance,))
        self.bounded_variance = on_namespace(self.variance, bounded_functions())

    # ---- values -------------------------------------------------------------------------------

    def evaluate(self, arguments: list[Array], refinement: int) -> list[Array]:
        points = arguments[0].shape[0]
        if points == 1:
            return self._evaluate_one([a[0] for a in arguments], refinement)
        variance = full(self.variance(*arguments)[0], (points,))
        results = np.full((self.count, points), np.nan)
        usable = variance >= 0
        if not usable.all():
            variance = np.where(usable, variance, 0.0)

        def work(job: Job) -> None:
            members, lay = job
            rule = lay()
            with np.errstate(all="ignore"):  # each thread has a setting of its own
                inside = [a[members] for a in arguments]
                x = np.sqrt(variance[members])[:, None] * rule.nodes
                for k, body in enumerate(at_nodes(self.body, inside, x, refinement)):
                    results[k, members] = _integrate(body, rule.weights, x.shape)

        run(work, self.plan.jobs(arguments, variance, refinement))
        if not usable.all():
            results[:, ~usable] = np.nan
        return list(results)

    def _evaluate_one(self, arguments: list[np.float64], refinement: int) -> list[Array]:
        """Evaluate at a single point, where the overhead of grids would be most of the time."""
        variance = np.float64(self.variance(*arguments)[0])
        if not variance >= 0:
            return [np.array([np.nan])] * self.count
        spread = np.sqrt(variance)
        columns = [np.asarray(a)[None] for a in arguments]
        rule = self.plan.rule_at(columns, variance, refinement)
        x = spread * rule.nodes
        if self.body.integrals:
            bodies = at_nodes(self.body, columns, x[None, :], refinement)
            return [_integrate(body, rule.weights, (1, x.size)) for body in bodies]
        weights = rule.weights
        results = []
        for body in self.body.function(*arguments, x):
            total = body @ weights if np.ndim(body) else body * weights.sum()
            results.append(np.asarray(total)[None])
        return results

    # ---- values with bounds -------------------------------------------------------------------

    def evaluate_bounded(
        self, arguments: list[Bounded], refinement: int, inner: bool
    ) -> list[Bounded]:
        numbers = [a.value for a in arguments]
        points = numbers[0].shape[0]
        exact_variance, variance_bound = bounded_parts(self.bounded_variance(*arguments)[0])
        variance = full(exact_variance, (points,))
        spread_bound = full(variance_bound, (points,))
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
                # error of sqrt(v) as a difference: the derivative is infinite at v = 0
                wide = np.sqrt(variance[members] + spread_bound[members])
                nodes = Bounded(
                    root[:, None] * rule.nodes,
                    ((wide - root) + 4 * UNIT * root)[:, None] * np.abs(rule.nodes),
                )
                found = self._integrals_with_bounds(inside, nodes, rule, refinement)
                moved = self._moved_kinks(inside, root, wide - root)
                for k, (value, bound, sizes) in enumerate(found):
                    for mass, place in moved:
                        near = np.abs(np.abs(rule.nodes) - place[:, None]) <= BASE_PANEL
                        bound = bound + mass * np.where(near, sizes, 0.0).max(axis=1)
                    values[k, members], bounds[k, members] = value, bound

        run(work, self.plan.jobs(numbers, variance, refinement))
        lost = np.flatnonzero(inner & usable & np.isinf(bounds).any(axis=0))
        if lost.size:
            # The integrand does not fall within the range. At nodes of an outer field this may
            # be where the weight is negligible, but infinite bounds would spoil the outer mean.
            run(work, self.plan.widest(lost, refinement))
        bounds[:, ~usable] = np.inf
        values[:, ~usable] = np.nan
        return [Bounded(value, bound) for value, bound in zip(values, bounds, strict=True)]

    def _moved_kinks(
        self, inside: list[Bounded], spread: Array, spread_bound: Array
    ) -> list[tuple[Array, Array]]:
        """Return the Gaussian mass by which uncertain arguments can misplace each kink, and where.

        Places are distances from the middle.
        """
        if not self.plan.kinks:
            return []
        parts = on_namespace(self.plan.features, bounded_functions())(*inside)
        moved = []
        for k in self.plan.kinks:
            centre, bound = bounded_parts(parts[2 * k])
            scaled = centre / spread
            slack = (bound + np.abs(scaled) * spread_bound) / spread
            density = np.exp(-0.5 * np.maximum(np.abs(scaled) - slack, 0) ** 2)
            mass = 2 * np.nan_to_num(slack * density, nan=0.0, posinf=1.0)
            moved.append((mass, full(np.abs(scaled), spread.shape)))
        return moved

    def _integrals_with_bounds(
        self, inside: list[Bounded], nodes: Bounded, rule: Rule, refinement: int
    ) -> list[tuple[Array, Array, Array]]:
        """Return value, bound and sizes at the nodes of each integrand."""
        shape = nodes.value.shape
        if self.body.integrals:  # an inner integral's error is wanted at every node
            found = bounded_at_nodes(self.body, inside, nodes, refinement)
            parts = [bounded_parts(body) for body in found]
            return [
                integral_with_bound(
                    full(value, shape),
                    rule,
                    by_panel(full(bound, shape), rule.weights, rule.blocks),
                )
                for value, bound in parts
            ]
        bodies = self.body.function(*(a.value[:, None] for a in inside), nodes.value)
        # a rough bound on rounding is enough: a quarter of the nodes, times 1.5
        few = rule.quarter
        some = Bounded(nodes.value[:, few], nodes.bound[:, few])
        columns = [Bounded(a.value[:, None], a.bound[:, None]) for a in inside]
        weights = rule.coarse[1][..., few]
        results = []
        for body, sample in zip(bodies, self.body.bounded_function(*columns, some), strict=True):
            bound = full(bounded_parts(sample)[1], some.value.shape)
            results.append(
                integral_with_bound(full(body, shape), rule, 1.5 * by_panel(bound, weights, 1))
            )
        return results


def at_nodes(layer: CompiledLayer, inside: list[Array], x: Array, refinement: int) -> list[Array]:
    """Return the bodies of an integral at nodes of shape (points, nodes)."""
    if not layer.integrals:
        return list(layer.function(*(a[:, None] for a in inside), x))
    repeated = [np.repeat(a, x.shape[1]) for a in inside]
    flat = layer.evaluate([*repeated, x.reshape(-1)], refinement)
    return [full(value, (x.size,)).reshape(x.shape) for value in flat]


def bounded_at_nodes(
    layer: CompiledLayer, inside: list[Bounded], nodes: Bounded, refinement: int
) -> list[Bounded]:
    """Return the bodies of an integral, with bounds, at nodes of shape (points, nodes)."""
    shape = nodes.value.shape
    repeated = [Bounded(np.repeat(a.value, shape[1]), np.repeat(a.bound, shape[1])) for a in inside]
    flat_nodes = Bounded(nodes.value.reshape(-1), nodes.bound.reshape(-1))
    flat = layer.evaluate_bounded([*repeated, flat_nodes], refinement, inner=True)
    size = nodes.value.size
    parts = [(full(part, (size,)).reshape(shape) for part in bounded_parts(b)) for b in flat]
    return [Bounded(value, bound) for value, bound in parts]


def _integrate(body: Any, weights: Array, shape: tuple[int, ...]) -> Array:
    body = full(body, shape)
    if weights.ndim == 1:
        return np.asarray(body @ weights)
    return np.einsum("pn,pn->p", body, weights)
