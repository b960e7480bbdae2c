r"""Square systems of equations with means, at one point or over a whole grid.

A saddle point and a threshold are the same thing to the solvers: as many equations as unknowns,
parameters held fixed, a domain for each unknown. `System` compiles equations and Jacobian into
one kernel; for nested means, and where kinks leave no symbolic Jacobian, central differences of
the same kernel serve.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sympy import DiracDelta, Expr, Interval, Symbol, sympify

from replica.declarations.formula import Formula
from replica.errors import DeclarationError
from replica.language.means import nesting
from replica.numerics.kernel import MAX_REFINEMENT, Kernel, compile_kernel
from replica.numerics.lowering import compile_layer
from replica.numerics.rounding import Bounded

__all__ = ["System", "Verified", "newton_step", "saddle_system", "scale"]

Array = NDArray[np.float64]

_HUGE = 1e300
_EDGE = 1e-11  # distance from an open end, relative, that counts as having run to it
_SLOPE = -2  # a coarse rule is enough for the slope of an observable
_SLOPE_ERROR = 0.1  # what such a slope may be wrong by, relative
_TINY = 1e-8  # a correction this small, relative, leaves nothing behind in second order
_TURNED = 0.05  # a Jacobian that has turned more than this corrects nothing
_COARSE = 1e-2  # what the Jacobian of a coarse rule may be wrong by, relative
_ROUNDING = 1e-14
_VANISHED, _NOTHING = 1e-150, 1e-290
_UNRESOLVED = 1e-2  # an error this large a part of the distance to the edge resolves nothing
_LARGEST = 1000  # operations of an equation
_FAR = 1e11  # an unbounded unknown beyond this has run away


class System:
    """Equations in unknowns and parameters.

    Parameters
    ----------
    equations : sequence of Expr
        What must vanish.
    unknowns : sequence of Symbol
        As many as equations.
    parameters : sequence of Symbol
        Held fixed; their order is that of the values passed later.
    domains : mapping of Symbol to Interval
        A bound may depend on other unknowns.
    paired : collection of Symbol
        Unknowns whose equation has the form update minus unknown.
    symbolic : bool
        Whether a symbolic Jacobian is worth its size; differences otherwise.
    explicit : collection of Symbol
        Unknowns whose updates depend on the other ones alone.
    """

    def __init__(
        self,
        equations: Sequence[Expr],
        unknowns: Sequence[Symbol],
        parameters: Sequence[Symbol],
        domains: Mapping[Symbol, Interval],
        paired: frozenset[Symbol] = frozenset(),
        symbolic: bool = True,
        explicit: frozenset[Symbol] = frozenset(),
    ) -> None:
        if len(equations) != len(unknowns):
            raise DeclarationError(
                f"{len(equations)} equations for {len(unknowns)} unknowns "
                f"{', '.join(map(str, unknowns))}"
            )
        self.equations = tuple(equations)
        self.unknowns = tuple(unknowns)
        self.parameters = tuple(parameters)
        self.arguments = (*self.unknowns, *self.parameters)
        self.symbolic = symbolic
        self.paired = np.array([symbol in paired for symbol in unknowns], dtype=bool)
        # scales, such as norms and responses, rather than overlaps of bounded range
        self.logarithmic = bool(self.paired.all()) and all(s.is_positive for s in unknowns)
        self._intervals = [domains[symbol] for symbol in unknowns]
        self.open_low = np.array([bool(i.left_open) for i in self._intervals])
        self.open_high = np.array([bool(i.right_open) for i in self._intervals])

        self.explicit = [k for k, symbol in enumerate(unknowns) if symbol in explicit]

    @cached_property
    def residual(self) -> Kernel:
        """Kernel of the equations alone."""
        return compile_kernel(self.arguments, self.equations)

    @cached_property
    def _updates(self) -> Kernel:
        updates = tuple(self.equations[k] + self.unknowns[k] for k in self.explicit)
        return compile_kernel(self.arguments, updates)

    def completed(self, z: Array, parameters: Sequence[Array]) -> Array:
        """Return points with the explicit unknowns as the others determine them."""
        z = z.copy()
        if self.explicit:
            z[:, self.explicit] = np.stack(self._updates(*z.T, *parameters), axis=1)
        return z

    @cached_property
    def _with_jacobian(self) -> Kernel | None:
        if not self.symbolic or self.deep:
            return None  # the fourth derivatives of a mean within a mean cost more than they save
        if any(equation.count_ops() > _LARGEST for equation in self.equations):
            return None  # the derivatives would take longer to compile than the solution saves
        entries = [equation.diff(symbol) for equation in self.equations for symbol in self.unknowns]
        if any(entry.has(DiracDelta) for entry in entries):
            return None
        return compile_kernel(self.arguments, (*self.equations, *entries))

    @cached_property
    def _limits(self) -> tuple[Expr, ...]:
        low = [i.start if i.start.is_finite is not False else -_HUGE for i in self._intervals]
        high = [i.end if i.end.is_finite is not False else _HUGE for i in self._intervals]
        return tuple(sympify(bound, strict=True) for bound in (*low, *high))

    @cached_property
    def _fixed_limits(self) -> Array | None:
        if any(limit.free_symbols for limit in self._limits):
            return None
        return np.array([[float(limit) for limit in self._limits]])

    @cached_property
    def _moving_limits(self) -> Any:
        return compile_layer(self.arguments, self._limits)

    @property
    def size(self) -> int:
        """Number of unknowns."""
        return len(self.unknowns)

    @cached_property
    def finest(self) -> int:
        """Finest refinement worth its cost: nested means pay for it on every level."""
        deepest = max((nesting(equation) for equation in self.equations), default=0)
        return 1 if deepest > 1 else MAX_REFINEMENT

    # ---- domain -------------------------------------------------------------------------------

    def bounds(self, z: Array, parameters: Sequence[Array]) -> tuple[Array, Array]:
        """Return lower and upper bounds of the unknowns, shape (points or 1, unknowns)."""
        full = self._fixed_limits
        if full is None:
            raw = self._moving_limits(*z.T, *parameters)
            full = np.stack([np.broadcast_to(b, (z.shape[0],)) for b in raw], axis=1)
        return full[:, : self.size], full[:, self.size :]

    def inside(self, z: Array, parameters: Sequence[Array]) -> NDArray[np.bool_]:
        """Tell at which points all unknowns are in their domains."""
        low, high = self.bounds(z, parameters)
        ok = np.where(self.open_low, z > low, z >= low)
        ok &= np.where(self.open_high, z < high, z <= high)
        return np.asarray(ok.all(axis=1))

    def onto_edge(self, z: Array, parameters: Sequence[Array]) -> Array:
        """Return points beyond a closed end by no more than rounding, moved onto it."""
        low, high = self.bounds(z, parameters)
        slack = _ROUNDING * scale(z)
        z = np.where(~self.open_low & (z < low) & (z > low - slack), low, z)
        return np.where(~self.open_high & (z > high) & (z < high + slack), high, z)

    def at_edge(self, z: Array, parameters: Sequence[Array]) -> NDArray[np.bool_]:
        """Tell at which points an unknown has run to an open end, or to infinity."""
        low, high = self.bounds(z, parameters)
        width = np.minimum(high - low, 1.0)
        # next to zero numbers keep their digits: only an end elsewhere is out of reach
        nearest = np.where(low == 0, _VANISHED, _EDGE)
        close = self.open_low & (low > -_HUGE) & (z - low < nearest * width)
        close |= self.open_high & (high < _HUGE) & (high - z < _EDGE * width)
        close |= np.abs(z) > _FAR
        return np.asarray(close.any(axis=1))

    def vanishing(self, z: Array, parameters: Sequence[Array]) -> NDArray[np.bool_]:
        """Tell at which points an unknown has run to an open end at zero, beyond all digits."""
        low, _ = self.bounds(z, parameters)
        return np.asarray((self.open_low & (low == 0) & (z < _VANISHED)).any(axis=1))

    def room(self, z: Array, parameters: Sequence[Array]) -> Array:
        """Return the size against which a step is small: also the distance to an open end."""
        low, high = self.bounds(z, parameters)
        size = scale(z)
        size = np.where(self.open_low & (low > -_HUGE), np.minimum(size, z - low), size)
        size = np.where(self.open_high & (high < _HUGE), np.minimum(size, high - z), size)
        return np.maximum(size, 0.0)

    # ---- values -------------------------------------------------------------------------------

    def evaluate(
        self, z: Array, parameters: Sequence[Array], refinement: int = 0
    ) -> tuple[Array, Array]:
        """Return residuals (points, n) and Jacobians (points, n, n)."""
        n = self.size
        kernel = self._with_jacobian
        if kernel is None:
            return self._by_differences(z, parameters, refinement)
        rows = kernel(*z.T, *parameters, refinement=refinement)
        residual = np.stack(rows[:n], axis=1)
        jacobian = np.stack(rows[n:], axis=1).reshape(-1, n, n)
        lost = ~np.isfinite(jacobian).all(axis=(1, 2)) & np.isfinite(residual).all(axis=1)
        if lost.any():  # an entry under- or overflows where the equations do not
            chosen = [p[lost] for p in parameters]
            jacobian[lost] = self._by_differences(z[lost], chosen, refinement)[1]
        return residual, jacobian

    def evaluate_without_slopes(
        self, z: Array, parameters: Sequence[Array], refinement: int = 0
    ) -> tuple[Array, Array]:
        """Return residuals, and identities in place of Jacobians."""
        residual = np.stack(self.residual(*z.T, *parameters, refinement=refinement), axis=1)
        return residual, np.broadcast_to(np.eye(self.size), (z.shape[0], self.size, self.size))

    def _by_differences(
        self, z: Array, parameters: Sequence[Array], refinement: int
    ) -> tuple[Array, Array]:
        points, n = z.shape
        steps = 1e-5 * np.maximum(np.abs(z), 1e-2)
        low, high = self.bounds(z, parameters)
        both = np.minimum(steps, 0.4 * np.minimum(z - low, high - z))
        # next to a closed end the difference is taken on one side
        floor = ~self.open_low & (z - low < 1e-3 * steps)
        ceiling = ~self.open_high & (high - z < 1e-3 * steps) & ~floor
        up = np.where(floor, steps, np.where(ceiling, 0.0, both))
        down = np.where(ceiling, steps, np.where(floor, 0.0, both))
        residual = np.stack(self.residual(*z.T, *parameters, refinement=refinement), axis=1)
        jacobian = np.zeros((points, n, n))
        # a coarse rule tells the slope of a mean within a mean, most of the cost
        slope = refinement - 1 if self.deep else refinement
        for k in range(n):
            rows, kernel = self._depending[k]
            if not rows:
                continue
            shifted = []
            for side in (up, -down):
                moved = z.copy()
                moved[:, k] += side[:, k]
                shifted.append(moved)
            repeated = [np.tile(p, 2) for p in parameters]
            values = kernel(*np.concatenate(shifted).T, *repeated, refinement=slope)
            table = np.stack(values, axis=1).reshape(2, points, len(rows))
            width = (up + down)[:, k : k + 1]
            jacobian[:, rows, k] = (table[0] - table[1]) / width
        return residual, jacobian

    @property
    def evolves(self) -> bool:
        """Whether every unknown has an update: then the equations are a dynamics as well."""
        return bool(self.size and self.paired.all())

    @cached_property
    def deep(self) -> bool:
        """Whether an equation has a mean within a mean."""
        return any(nesting(equation) > 1 for equation in self.equations)

    @cached_property
    def _depending(self) -> list[tuple[list[int], Kernel]]:
        """Return for each unknown which equations depend on it, and their kernel."""
        found = []
        for symbol in self.unknowns:
            rows = [j for j, equation in enumerate(self.equations) if equation.has_free(symbol)]
            wanted = tuple(self.equations[j] for j in rows)
            found.append((rows, compile_kernel(self.arguments, wanted)))
        return found

    # ---- errors -------------------------------------------------------------------------------

    def verify(
        self,
        z: Array,
        parameters: Sequence[Array],
        tolerance: float,
        observables: tuple[Expr, ...] = (),
        refinement: int = 0,
        jacobian: Array | None = None,
        step: Array | None = None,
        wanted: Sequence[int] | None = None,
    ) -> Verified:
        r"""Refine solutions until their errors are below `tolerance`; bound all errors.

        The error of the unknowns is :math:`|J^{-1}| (|F| + \Delta F)` with the bound
        :math:`\Delta F` of the kernel, so a solution that a finer quadrature would move is never
        called accurate. To the kernel's bound on an observable comes what the errors of the
        unknowns do to it, measured by moving each: at a saddle the potential hardly feels them.

        Parameters
        ----------
        z : array, shape (points, unknowns)
            Solutions of a possibly coarser quadrature.
        parameters : sequence of arrays, shape (points,)
        tolerance : float
            Relative above one, for unknowns and observables.
        observables : tuple of Expr
            Evaluated in the same pass as the equations.
        refinement : int
            Where to begin.
        jacobian : array, shape (points, unknowns, unknowns), optional
            A Jacobian near the solutions, which saves evaluating another.
        step : array, shape (points, unknowns), optional
            The Newton step that led to the solutions, not longer than they are from where
            `jacobian` was taken. With it the pass that bounds the equations also corrects.
        wanted : sequence of int, optional
            Unknowns that are refined to `tolerance`, by default all. Next to a fold the overlaps
            are lost to rounding long before the control is, whatever the rule.
        """
        n, count = self.size, len(observables)
        z = z.copy()
        error = np.full(z.shape, np.inf)
        values = np.full((z.shape[0], count), np.nan)
        bounds = np.full((z.shape[0], count), np.inf)
        kernel = compile_kernel(self.arguments, (*self.equations, *observables))
        left = np.arange(z.shape[0])
        for level in range(refinement, self.finest + 1):
            chosen = [p[left] for p in parameters]
            point, reach, found, spread, moved = self._bounded(
                kernel, z[left], chosen, level, jacobian, step
            )
            jacobian = step = None
            total = spread[:, n:]
            value = found[:, n:]
            if count and n:
                slopes = self._slopes(observables, point, reach, chosen)
                with np.errstate(invalid="ignore"):
                    total = total + np.einsum("pkc,pk->pc", np.abs(slopes), reach)
                    # the values were taken where the correction began
                    value = value + np.einsum("pkc,pk->pc", slopes, moved)
                    total += _SLOPE_ERROR * np.einsum("pkc,pk->pc", np.abs(slopes), np.abs(moved))
                total = np.where(np.isfinite(total), total, np.inf)
            # a finer rule may also fail, far in a tail: keep what was better known
            better = (reach.sum(axis=1) < error[left].sum(axis=1)) | (level == refinement)
            kept = left[better]
            z[kept], error[kept] = point[better], reach[better]
            # each observable by itself: one that has no bound says nothing of the others
            better = (total < bounds[left]) | np.isnan(values[left])
            values[left] = np.where(better, value, values[left])
            bounds[left] = np.where(better, total, bounds[left])
            poor = self.poor(z[left], error[left], chosen, tolerance, wanted).any(axis=1)
            poor |= (bounds[left] > tolerance * scale(values[left])).any(axis=1)
            left = left[poor]
            if left.size == 0:
                break
        return Verified(z, error, values, bounds)

    def poor(
        self,
        z: Array,
        error: Array,
        parameters: Sequence[Array],
        tolerance: float,
        wanted: Sequence[int] | None = None,
    ) -> NDArray[np.bool_]:
        """Tell which unknowns are not known to `tolerance`, or not told from the edge."""
        if not self.size:
            return np.zeros(z.shape, dtype=bool)
        coarse = error > tolerance * scale(z)
        if wanted is not None:
            coarse[:, [k for k in range(self.size) if k not in wanted]] = False
        return np.asarray(coarse | self.unresolved(z, error, parameters, _UNRESOLVED))

    def unresolved(
        self, z: Array, error: Array, parameters: Sequence[Array], share: float
    ) -> NDArray[np.bool_]:
        """Tell which unknowns have an error beyond a share of their distance to an open end.

        What is smaller than the smallest double is zero, and known to be.
        """
        low, _ = self.bounds(z, parameters)
        nothing = self.open_low & (low == 0) & (z < _NOTHING) & (error < _NOTHING)
        return np.asarray((error > share * self.room(z, parameters)) & ~nothing)

    def _bounded(
        self,
        kernel: Kernel,
        z: Array,
        parameters: Sequence[Array],
        refinement: int,
        jacobian: Array | None,
        step: Array | None,
    ) -> tuple[Array, Array, Array, Array, Array]:
        """Return corrected points and their errors, the kernel's values and bounds, corrections.

        The values belong to the points before the correction.
        """
        points, n = z.shape
        moved = np.zeros_like(z)
        if not n:
            found, spread = _rows(kernel.bounded(*parameters, refinement=refinement), points)
            return z, moved, found, spread, moved
        corrected = np.zeros(points, dtype=bool)
        inverse = np.zeros((points, n, n))
        reach = np.full_like(z, np.inf)
        if jacobian is not None and step is not None:
            inverse = _inverse(jacobian, self.room(z, parameters))
            found, spread = _rows(kernel.bounded(*z.T, *parameters, refinement=refinement), points)
            with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
                moved = -np.einsum("pij,pj->pi", inverse, found[:, :n])
                size, before = np.abs(moved).max(axis=1), np.abs(step).max(axis=1)
                # how far this step is from the next shows how much the Jacobian has turned
                rate = np.where(size > 0, np.maximum(4 * size / before, _COARSE), 0.0)
                small = np.abs(moved) <= _TINY * self.room(z, parameters)
            corrected = small.all(axis=1) & (rate < _TURNED)
            corrected &= self.inside(np.where(corrected[:, None], z + moved, z), parameters)
            reach = rate[:, None] * np.abs(moved)
            moved[~corrected] = 0.0
        else:
            found = np.empty((points, len(kernel.expressions)))
            spread = np.empty_like(found)
        if not corrected.all():
            slow = np.flatnonzero(~corrected)
            some = [p[slow] for p in parameters]
            z = z.copy()
            # a Jacobian that does not correct may be that of a rule too coarse to bound anything
            z[slow], inverse[slow] = self._last_step(z[slow], some, refinement)
            found[slow], spread[slow] = _rows(
                kernel.bounded(*z[slow].T, *some, refinement=refinement), slow.size
            )
            with np.errstate(invalid="ignore", over="ignore"):
                residual = np.abs(found[slow, :n])
                reach[slow] = np.einsum("pij,pj->pi", np.abs(inverse[slow]), residual)
        with np.errstate(invalid="ignore", over="ignore"):
            reach = reach + np.einsum("pij,pj->pi", np.abs(inverse), spread[:, :n])
        reach += 2.0**-52 * np.abs(z)
        return z + moved, np.where(np.isfinite(reach), reach, np.inf), found, spread, moved

    def _last_step(
        self, z: Array, parameters: Sequence[Array], refinement: int
    ) -> tuple[Array, Array]:
        """Return solutions moved by the Newton step of this rule, and inverse Jacobians."""
        residual, jacobian = self.evaluate(z, parameters, refinement)
        inverse = _inverse(jacobian, self.room(z, parameters))
        with np.errstate(invalid="ignore"):
            trial = z - np.einsum("pij,pj->pi", inverse, residual)
            small = np.abs(trial - z) <= 1e-2 * self.room(z, parameters)
        ok = small.all(axis=1) & self.inside(np.where(small, trial, z), parameters)
        return np.where(ok[:, None], trial, z), inverse

    def _slopes(
        self,
        observables: tuple[Expr, ...],
        z: Array,
        error: Array,
        parameters: Sequence[Array],
    ) -> Array:
        """Return how observables change with unknowns, measured over the size of the errors.

        Shape (points, unknowns, count); where a value is not finite, neither is its slope.
        """
        kernel = compile_kernel(self.arguments, observables)
        low, high = self.bounds(z, parameters)
        before = np.stack(kernel(*z.T, *parameters, refinement=_SLOPE), axis=1)
        slopes = np.empty((z.shape[0], self.size, len(observables)))
        # next to an end of its domain an unknown is felt over the distance to it
        room = np.maximum(self.room(z, parameters), 1e-290)
        for k in range(self.size):
            # an error below rounding is felt below rounding; move far enough to measure a slope
            size = np.where(np.isfinite(error[:, k]), error[:, k], 0.0)
            step = np.maximum(size, 1e-7 * room[:, k])
            up = z[:, k] + step <= high[:, k]
            step = np.where(up, step, -np.minimum(step, 0.5 * (z[:, k] - low[:, k])))
            moved = z.copy()
            moved[:, k] += step
            after = np.stack(kernel(*moved.T, *parameters, refinement=_SLOPE), axis=1)
            slopes[:, k] = (after - before) / np.where(step == 0, 1e-300, step)[:, None]
        return np.where(np.isnan(slopes), np.inf, slopes)


def _rows(bounded: Sequence[Bounded], points: int) -> tuple[Array, Array]:
    """Return values and bounds of a kernel as arrays (points, expressions)."""
    value, bound = (
        np.stack([np.broadcast_to(part, (points,)) for part in parts], axis=1)
        for parts in zip(*((row.value, row.bound) for row in bounded), strict=True)
    )
    return value, bound


@dataclass(frozen=True)
class Verified:
    """Solutions (points, unknowns) and observables (points, count), with bounds on the errors."""

    z: Array
    error: Array
    values: Array
    bounds: Array


def scale(z: Array) -> Array:
    """Return the size against which an unknown's error is judged."""
    return np.maximum(np.abs(z), 1.0)


def newton_step(jacobian: Array, residual: Array) -> Array:
    """Return the Newton steps of all points; a singular Jacobian takes the least-norm step."""
    usable = np.isfinite(jacobian).all(axis=(1, 2)) & np.isfinite(residual).all(axis=1)
    step = np.full_like(residual, np.nan)
    if usable.any():
        try:
            step[usable] = -np.linalg.solve(jacobian[usable], residual[usable][..., None])[..., 0]
        except np.linalg.LinAlgError:
            inverse = np.linalg.pinv(jacobian[usable], rcond=1e-14)
            step[usable] = -(inverse @ residual[usable][..., None])[..., 0]
    return step


def _inverse(jacobian: Array, size: Array) -> Array:
    """Return the inverses of a stack of matrices, infinite where a matrix is singular.

    Unknowns of very different `size`, shape (points, unknowns), such as a gap of 1e-200 next to
    its conjugate of 1e3, are scaled first: unscaled, such a matrix looks singular.
    """
    inverse = np.full_like(jacobian, np.inf)
    columns = _power_of_two(size)[:, None, :]
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = jacobian * columns
        rows = 1 / _power_of_two(np.abs(scaled).max(axis=2))[:, :, None]
        scaled = scaled * rows
    usable = np.isfinite(scaled).all(axis=(1, 2))
    try:
        inverse[usable] = np.linalg.inv(scaled[usable])
    except np.linalg.LinAlgError:
        for k in np.flatnonzero(usable):
            if np.linalg.cond(scaled[k]) < 1e15:
                inverse[k] = np.linalg.inv(scaled[k])
    inverse[~np.isfinite(inverse).all(axis=(1, 2))] = np.inf
    with np.errstate(over="ignore"):
        return columns.swapaxes(1, 2) * inverse * rows.swapaxes(1, 2)


def _power_of_two(size: Array) -> Array:
    """Return the powers of two next to sizes: to scale by them costs no digit."""
    exponent = np.frexp(np.where(np.isfinite(size) & (size > 0), size, 1.0))[1]
    return np.asarray(np.ldexp(1.0, np.clip(exponent, -1000, 1000)))


@lru_cache(maxsize=64)
def saddle_system(formula: Formula) -> System:
    """Return the stationarity equations of a formula as a system, compiled once."""
    conjugates = frozenset(formula.conjugates.values())
    explicit = all(
        (formula.residuals[s] + s).free_symbols.isdisjoint(conjugates) for s in conjugates
    )
    return System(
        tuple(formula.residuals[symbol] for symbol in formula.unknowns),
        formula.unknowns,
        tuple(control.symbol for control in formula.controls.values()),
        formula.domains,
        formula.paired,
        explicit=conjugates if explicit else frozenset(),
    )
