r"""Square systems of equations with means, at one point or over a whole grid.

A saddle point and a threshold are the same thing to the solvers: as many equations as unknowns,
parameters held fixed, a domain for each unknown. `System` compiles equations and Jacobian into
one kernel; where the equations have kinks and no symbolic Jacobian exists, central differences
of the same kernel serve.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sympy import DiracDelta, Expr, Interval, Symbol, sympify

from replica.errors import DeclarationError
from replica.language.formula import Formula
from replica.numerics.kernel import MAX_REFINEMENT, Kernel, compile_kernel
from replica.numerics.lowering import compile_layer
from replica.numerics.rounding import Bounded

__all__ = ["System", "newton_step", "saddle_system", "scale"]

Array = NDArray[np.float64]

_HUGE = 1e300
_OBSERVED = 1e-13  # relative quadrature error of observables that is aimed at
_EDGE = 1e-11  # distance from an open end, relative, that counts as having run to it
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
    """

    def __init__(
        self,
        equations: Sequence[Expr],
        unknowns: Sequence[Symbol],
        parameters: Sequence[Symbol],
        domains: Mapping[Symbol, Interval],
        paired: frozenset[Symbol] = frozenset(),
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
        self.paired = np.array([symbol in paired for symbol in unknowns], dtype=bool)
        self._intervals = [domains[symbol] for symbol in unknowns]
        self.open_low = np.array([bool(i.left_open) for i in self._intervals])
        self.open_high = np.array([bool(i.right_open) for i in self._intervals])

    @cached_property
    def residual(self) -> Kernel:
        """Kernel of the equations alone."""
        return compile_kernel(self.arguments, self.equations)

    @cached_property
    def _with_jacobian(self) -> Kernel | None:
        entries = [equation.diff(symbol) for equation in self.equations for symbol in self.unknowns]
        if any(entry.has(DiracDelta) for entry in entries):
            return None
        return compile_kernel(self.arguments, (*self.equations, *entries))

    @cached_property
    def _bounds(self) -> Any:
        low = [i.start if i.start.is_finite is not False else -_HUGE for i in self._intervals]
        high = [i.end if i.end.is_finite is not False else _HUGE for i in self._intervals]
        return compile_layer(self.arguments, tuple(sympify(b) for b in (*low, *high)))

    @property
    def size(self) -> int:
        """Number of unknowns."""
        return len(self.unknowns)

    # ---- domain -------------------------------------------------------------------------------

    def bounds(self, z: Array, parameters: Sequence[Array]) -> tuple[Array, Array]:
        """Return lower and upper bounds of the unknowns, each of shape (points, unknowns)."""
        raw = self._bounds(*z.T, *parameters)
        full = np.stack([np.broadcast_to(b, (z.shape[0],)) for b in raw], axis=1)
        return full[:, : self.size], full[:, self.size :]

    def inside(self, z: Array, parameters: Sequence[Array]) -> NDArray[np.bool_]:
        """Tell at which points all unknowns are in their domains."""
        low, high = self.bounds(z, parameters)
        ok = np.where(self.open_low, z > low, z >= low)
        ok &= np.where(self.open_high, z < high, z <= high)
        return np.asarray(ok.all(axis=1))

    def at_edge(self, z: Array, parameters: Sequence[Array]) -> NDArray[np.bool_]:
        """Tell at which points an unknown has run to an open end, or to infinity."""
        low, high = self.bounds(z, parameters)
        width = np.minimum(high - low, 1.0)
        close = self.open_low & (low > -_HUGE) & (z - low < _EDGE * width)
        close |= self.open_high & (high < _HUGE) & (high - z < _EDGE * width)
        close |= np.abs(z) > _FAR
        return np.asarray(close.any(axis=1))

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
        return residual, jacobian

    def _by_differences(
        self, z: Array, parameters: Sequence[Array], refinement: int
    ) -> tuple[Array, Array]:
        points, n = z.shape
        steps = 1e-5 * np.maximum(np.abs(z), 1e-2)
        low, high = self.bounds(z, parameters)
        steps = np.minimum(steps, 0.4 * np.minimum(z - low, high - z))
        stacked = [z]
        for k in range(n):
            shift = np.zeros_like(z)
            shift[:, k] = steps[:, k]
            stacked += [z + shift, z - shift]
        copies = 2 * n + 1
        repeated = [np.tile(p, copies) for p in parameters]
        values = self.residual(*np.concatenate(stacked).T, *repeated, refinement=refinement)
        table = np.stack(values, axis=1).reshape(copies, points, n)
        columns = [
            (table[1 + 2 * k] - table[2 + 2 * k]) / (2 * steps[:, k : k + 1]) for k in range(n)
        ]
        return table[0], np.stack(columns, axis=2)

    def bounded_residual(
        self, z: Array, parameters: Sequence[Any], refinement: int = 0
    ) -> tuple[Array, Array]:
        """Return residuals and bounds on their error, each of shape (points, n)."""
        rows: Sequence[Bounded] = self.residual.bounded(*z.T, *parameters, refinement=refinement)
        values = np.stack([row.value for row in rows], axis=1)
        return values, np.stack([row.bound for row in rows], axis=1)

    def observe(
        self, expressions: tuple[Expr, ...], z: Array, error: Array, parameters: Sequence[Array]
    ) -> tuple[Array, Array]:
        """Return expressions at a solution and their errors, each (points, expressions).

        To the kernel's own bound comes what the errors of the unknowns do, measured by moving
        each unknown: at a saddle the potential hardly feels them.
        """
        kernel = compile_kernel(self.arguments, expressions)
        for refinement in range(MAX_REFINEMENT + 1):
            rows = kernel.bounded(*z.T, *parameters, refinement=refinement)
            values = np.stack([np.asarray(row.value) for row in rows], axis=1)
            bounds = np.stack([np.asarray(row.bound) for row in rows], axis=1)
            if (bounds <= _OBSERVED * scale(values)).all():
                break
        low, high = self.bounds(z, parameters)
        for k in range(self.size):
            shift = np.zeros_like(z)
            shift[:, k] = np.where(np.isfinite(error[:, k]), error[:, k], 0.0)
            moves = []
            for moved in (np.minimum(z + shift, high), np.maximum(z - shift, low)):
                found = kernel(*moved.T, *parameters, refinement=refinement)
                moves.append(np.abs(np.stack(found, axis=1) - values))
            bounds = bounds + np.nan_to_num(np.maximum(*moves), nan=np.inf)
        return values, bounds

    # ---- error of a solution ------------------------------------------------------------------

    def verify(
        self, z: Array, parameters: Sequence[Array], tolerance: float
    ) -> tuple[Array, Array]:
        """Refine solutions until their error is below `tolerance`; return them and the errors.

        The error is :math:`|J^{-1}| (|F| + \\Delta F)` with the bound :math:`\\Delta F` of the
        kernel, so a solution that a finer quadrature would move is never called accurate.
        """
        z = z.copy()
        error = np.full_like(z, np.inf)
        left = np.arange(z.shape[0])
        for refinement in range(MAX_REFINEMENT + 1):
            chosen = [p[left] for p in parameters]
            if refinement:
                residual, jacobian = self.evaluate(z[left], chosen, refinement)
                trial = z[left] + newton_step(jacobian, residual)
                ok = self.inside(trial, chosen) & np.isfinite(trial).all(axis=1)
                z[left[ok]] = trial[ok]
            _, jacobian = self.evaluate(z[left], chosen, refinement)
            residual, spread = self.bounded_residual(z[left], chosen, refinement)
            found = _absolute_inverse(jacobian, np.abs(residual) + spread)
            found += 2.0**-52 * np.abs(z[left])
            error[left] = np.where(np.isfinite(found), found, np.inf)
            left = left[(error[left] > tolerance * scale(z[left])).any(axis=1)]
            if left.size == 0:
                break
        return z, error


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


def _absolute_inverse(jacobian: Array, spread: Array) -> Array:
    """Return :math:`|J^{-1}|` times `spread`; infinite where J is singular."""
    result = np.full_like(spread, np.inf)
    usable = np.isfinite(jacobian).all(axis=(1, 2)) & np.isfinite(spread).all(axis=1)
    if not usable.any():
        return result
    try:
        inverse = np.linalg.inv(jacobian[usable])
    except np.linalg.LinAlgError:
        inverse = np.full_like(jacobian[usable], np.inf)
        for k, matrix in enumerate(jacobian[usable]):
            if np.linalg.cond(matrix) < 1e15:
                inverse[k] = np.linalg.inv(matrix)
    result[usable] = (np.abs(inverse) @ spread[usable][..., None])[..., 0]
    return result


@lru_cache(maxsize=64)
def saddle_system(formula: Formula) -> System:
    """Return the stationarity equations of a formula as a system, compiled once."""
    paired = frozenset(formula.conjugates) | frozenset(formula.conjugates.values())
    return System(
        tuple(formula.residuals[symbol] for symbol in formula.unknowns),
        formula.unknowns,
        tuple(control.symbol for control in formula.controls.values()),
        formula.domains,
        paired,
    )
