r"""Square systems of equations with means, at one point or over a whole grid.

A saddle point and a threshold are the same thing to the solvers: as many equations as unknowns,
parameters held fixed, a domain for each unknown. `System` compiles equations and Jacobian into
one kernel; for nested means, and where kinks leave no symbolic Jacobian, central differences of
the same kernel serve.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sympy import DiracDelta, Expr, Interval, Symbol, sympify

from replica.declarations.formula import Formula
from replica.errors import DeclarationError
from replica.language.means import BoundMean, nesting
from replica.language.size import is_larger
from replica.numerics.kernel import MAX_REFINEMENT, Kernel, compile_kernel
from replica.numerics.lowering import compile_layer
from replica.numerics.rounding import Bounded
from replica.solvers.matrices import scale
from replica.solvers.stated import check_stated_updates

__all__ = [
    "System",
    "augmented",
    "explicit_conjugates",
    "has_end",
    "saddle_system",
    "without_overlaps",
]

Array = NDArray[np.float64]

_HUGE = 1e300  # stands for an infinite bound, see `has_end`
_EDGE = 1e-11  # relative distance from an open end at which an unknown has run to it
_VANISHED = 1e-150  # the same for an end at zero, next to which doubles keep their digits
_ROUNDING = 1e-14  # relative: by rounding an unknown may be this far beyond a closed end
# Operations of an equation up to which its derivatives are compiled: those of one of 815 (the first
# broken step of the spherical perceptron) took 4 s and saved nothing. Larger is slower to start.
_LARGEST_EQUATION = 600
_FAR = 1e11  # where a gap is a difference from its end, a conjugate beyond this is rounding


def has_end(bound: Array) -> NDArray[np.bool_]:
    """Tell which bounds of unknowns are ends of a domain, and do not stand for infinity."""
    return np.asarray(np.abs(bound) < _HUGE)


class System:
    """Equations in unknowns and parameters, as expressions: the `Equations` of most solvers.

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
    far : float
        An unbounded unknown beyond this has run to infinity. Next to a gap that is known to all
        digits its conjugate may be as large as one over the gap.
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
        far: float = _FAR,
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
        self.symbolic, self.far = symbolic, far
        self.paired = np.array([symbol in paired for symbol in unknowns], dtype=bool)
        # positive unknowns, such as norms and responses, are solved for on a logarithmic scale
        self.logarithmic = bool(self.paired.all()) and all(s.is_positive for s in unknowns)
        self._intervals = [domains[symbol] for symbol in unknowns]
        self.open_low = np.array([bool(i.left_open) for i in self._intervals], dtype=bool)
        self.open_high = np.array([bool(i.right_open) for i in self._intervals], dtype=bool)

        self.explicit = [k for k, symbol in enumerate(unknowns) if symbol in explicit]

    def _compiled(self, expressions: tuple[Expr, ...]) -> Shared:
        """Return expressions as a function of unknowns, then parameters."""
        arguments = self.arguments
        if self.deep:
            # a control that is solved for moves among the unknowns: the same kernel serves
            arguments = tuple(sorted(arguments, key=str))
        order = tuple(self.arguments.index(symbol) for symbol in arguments)
        return Shared(arguments, order, expressions)

    @cached_property
    def residual(self) -> Shared:
        """Kernel of the equations alone."""
        return self._compiled(self.equations)

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
        if any(
            is_larger(equation, 10 * _LARGEST_EQUATION)  # counting is slow as well
            or equation.count_ops() > _LARGEST_EQUATION
            for equation in self.equations
        ):
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
        # an end at zero can be approached much closer: doubles keep their digits there
        nearest = np.where(low == 0, _VANISHED, _EDGE)
        close = self.open_low & has_end(low) & (z - low < nearest * width)
        close |= self.open_high & has_end(high) & (high - z < _EDGE * width)
        close |= np.abs(z) > self.far
        return np.asarray(close.any(axis=1))

    def vanishing(self, z: Array, parameters: Sequence[Array]) -> NDArray[np.bool_]:
        """Tell at which points an unknown has run to an open end at zero, beyond all digits."""
        low, _ = self.bounds(z, parameters)
        return np.asarray((self.open_low & (low == 0) & (z < _VANISHED)).any(axis=1))

    def room(self, z: Array, parameters: Sequence[Array]) -> Array:
        """Return the size against which a step is small: also the distance to an open end."""
        low, high = self.bounds(z, parameters)
        size = scale(z)
        size = np.where(self.open_low & has_end(low), np.minimum(size, z - low), size)
        size = np.where(self.open_high & has_end(high), np.minimum(size, high - z), size)
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
        if lost.any():  # an entry may under- or overflow where the equations do not
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
        # a mean within a mean is most of the cost, and a coarse rule is enough for its slope
        slope = refinement - 1 if self.deep else refinement
        for k in range(n):
            rows, kernel, plain, slopes = self._depending[k]
            if plain:
                exact = slopes(*z.T, *parameters, refinement=refinement)
                jacobian[:, plain, k] = np.stack(exact, axis=1)
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
    def _depending(self) -> list[tuple[list[int], Shared, list[int], Shared]]:
        """Return for each unknown which equations depend on it, and their kernel.

        Then those whose means within means do not, and their derivatives.
        """
        found = []
        for symbol in self.unknowns:
            rows = [j for j, equation in enumerate(self.equations) if equation.has_free(symbol)]
            plain = [j for j in rows if self.deep and not _deeply(self.equations[j], symbol)]
            rows = [j for j in rows if j not in plain]
            if rows and self.deep:  # the same kernel for all unknowns of a mean within a mean
                rows = [j for j in range(self.size) if j in rows or nesting(self.equations[j]) > 1]
                plain = [j for j in plain if j not in rows]
            wanted = tuple(self.equations[j] for j in rows)
            exact = tuple(self.equations[j].diff(symbol) for j in plain)
            found.append((rows, self._compiled(wanted), plain, self._compiled(exact)))
        return found

    def bounded(
        self,
        z: Array,
        parameters: Sequence[Array],
        refinement: int = 0,
        observables: tuple[Expr, ...] = (),
    ) -> tuple[Array, Array]:
        """Return residuals, then observables, and bounds on their errors, from one pass."""
        kernel = self._compiled((*self.equations, *observables))
        return _rows(kernel.bounded(*z.T, *parameters, refinement=refinement), z.shape[0])

    def observed(
        self,
        observables: tuple[Expr, ...],
        z: Array,
        parameters: Sequence[Array],
        refinement: int = 0,
    ) -> Array:
        """Return observables, shape (points, count)."""
        kernel = self._compiled(observables)
        return np.stack(kernel(*z.T, *parameters, refinement=refinement), axis=1)


class Shared:
    """A kernel whose arguments come in another order, and which leaves out equations that are zero.

    Parameters
    ----------
    arguments : sequence of Symbol
        Those of the kernel.
    order : sequence of int
        Their places among the values passed.
    expressions : sequence of Expr
    """

    def __init__(
        self, arguments: tuple[Symbol, ...], order: tuple[int, ...], expressions: tuple[Expr, ...]
    ) -> None:
        self._order = order
        self._nothing = [k for k, expression in enumerate(expressions) if expression == 0]
        kept = tuple(expression for expression in expressions if expression != 0)
        self._kernel = compile_kernel(arguments, kept)

    def __call__(self, *values: Any, refinement: int = 0) -> tuple[Array, ...]:
        """Return the expressions at `values`, broadcast against each other."""
        found = self._kernel(*(values[k] for k in self._order), refinement=refinement)
        return self._filled(found, np.zeros(np.broadcast_shapes(*map(np.shape, values))))

    def bounded(self, *values: Any, refinement: int = 0) -> tuple[Bounded, ...]:
        """Return the expressions with a bound on their error."""
        found = self._kernel.bounded(*(values[k] for k in self._order), refinement=refinement)
        zero = np.zeros(np.broadcast_shapes(*map(np.shape, values)))
        return self._filled(found, Bounded(zero, zero))

    def _filled(self, found: tuple[Any, ...], nothing: Any) -> tuple[Any, ...]:
        rows = list(found)
        for k in self._nothing:
            rows.insert(k, nothing)
        return tuple(rows)


def _deeply(equation: Expr, symbol: Symbol) -> bool:
    """Tell whether a mean within a mean of an equation depends on a symbol."""
    return any(nesting(mean) > 1 and mean.has_free(symbol) for mean in equation.atoms(BoundMean))


def _rows(bounded: Sequence[Bounded], points: int) -> tuple[Array, Array]:
    """Return values and bounds of a kernel as arrays (points, expressions)."""
    value, bound = (
        np.stack([np.broadcast_to(part, (points,)) for part in parts], axis=1)
        for parts in zip(*((row.value, row.bound) for row in bounded), strict=True)
    )
    return value, bound


def without_overlaps(formula: Formula) -> DeclarationError:
    """Return the error for a formula that has no saddle points to find or to follow."""
    return DeclarationError(
        f"{formula.name}: there are no overlaps, so there is no saddle point to solve for; ask "
        f"for a threshold: {', '.join(formula.thresholds) or 'none is declared'}"
    )


@lru_cache(maxsize=64)
def saddle_system(formula: Formula) -> System:
    """Return the stationarity equations of a formula as a system, compiled once."""
    if not formula.unknowns and not formula.observables:
        raise without_overlaps(formula)
    check_stated_updates(formula)
    return System(
        tuple(formula.residuals[symbol] for symbol in formula.unknowns),
        formula.unknowns,
        formula.symbols,
        formula.domains,
        formula.paired,
        explicit=explicit_conjugates(formula),
    )


def explicit_conjugates(formula: Formula) -> frozenset[Symbol]:
    """Return the conjugates if the overlaps alone determine them, none otherwise."""
    conjugates = frozenset(formula.conjugates.values())
    updates = (formula.residuals[s] + s for s in conjugates)
    alone = all(update.free_symbols.isdisjoint(conjugates) for update in updates)
    return conjugates if alone else frozenset()


def augmented(
    formula: Formula,
    conditions: Sequence[Expr],
    solved: Sequence[Symbol],
    at: Mapping[Symbol, Any] | None = None,
    symbolic: bool = True,
) -> System:
    """Return stationarity and conditions, with controls among the unknowns.

    Parameters
    ----------
    formula : Formula
    conditions : sequence of Expr
        What vanishes besides the stationarity equations.
    solved : sequence of Symbol
        As many controls, which come last among the unknowns.
    at : mapping of Symbol to number, optional
        Unknowns that keep a value at which they are stationary.
    symbolic : bool
        As for `System`.
    """
    check_stated_updates(formula)
    pinned = dict(at or {})
    free = [symbol for symbol in formula.unknowns if symbol not in pinned]
    return System(
        [e.subs(pinned) for e in (*(formula.residuals[s] for s in free), *conditions)],
        (*free, *solved),
        [symbol for symbol in formula.symbols if symbol not in solved],
        {**formula.domains, **{s: formula.control(s).domain for s in solved}},
        symbolic=symbolic,
    )
