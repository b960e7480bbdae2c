"""Saddle points that are not accepted: degenerate ones, and those that the user excludes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sympy import Eq, Expr, sympify

from replica.declarations.formula import Formula
from replica.errors import ControlError, UnknownName
from replica.language.rewriting import stabilise
from replica.numerics.kernel import Kernel, compile_kernel
from replica.solvers.iteration import Iterated
from replica.solvers.solution import Status
from replica.solvers.system import System, has_end
from replica.writing import excerpt

__all__ = ["Refusal", "excluded"]

Array = NDArray[np.float64]

_EQUAL = 1e-6  # relative: sides of an excluded equation closer than this are equal
_UNFELT = 1e-5  # relative slope of an equation in its own unknown below which it is looked at
_IDENTICAL = 1e-8  # relative: an equation below this, wherever its unknown is, holds identically
_ELSEWHERE = (0.2, 0.45, 0.8)  # of the way through its domain: where an unknown is moved to
_COARSE = -1  # refinement of the quadrature


def excluded(formula: Formula, given: Any) -> tuple[Expr, ...]:
    """Return what vanishes at the saddle points that are excluded, one expression per equation.

    Parameters
    ----------
    formula : Formula
    given : Eq, or sequence of Eq, or None
        Equations between overlaps and controls, such as ``Eq(m, 1)``.

    Raises
    ------
    ControlError, UnknownName
        For what is no equation, and for names that the formula lacks.
    """
    equations = () if given is None else (given,) if isinstance(given, Eq) else given
    known = {symbol.name: symbol for symbol in (*formula.unknowns, *formula.symbols)}
    found = []
    try:
        equations = list(equations)
    except TypeError:
        equations = [equations]
    for equation in equations:
        if not isinstance(equation, Eq):
            raise ControlError(
                f"{formula.name}: exclude takes equations such as Eq({formula.unknowns[0]}, 0), "
                f"not {excerpt(equation)}"
            )
        for symbol in equation.free_symbols:
            if symbol.name not in known:
                raise UnknownName("overlap", symbol.name, known, formula.name)
        rule = {symbol: known[symbol.name] for symbol in equation.free_symbols}
        difference = sympify(equation.lhs - equation.rhs, strict=True).xreplace(rule)
        if difference.free_symbols.isdisjoint(formula.unknowns):
            raise ControlError(f"{formula.name}: exclude: {excerpt(equation)} is about no overlap")
        found.append(stabilise(difference))
    return tuple(found)


@dataclass(frozen=True, eq=False)
class Refusal:
    """Which saddle points of a formula are not accepted, and why.

    Attributes
    ----------
    formula : Formula
    system : System
    equations : tuple of Expr
        What vanishes at the saddle points that are excluded.
    """

    formula: Formula
    system: System
    equations: tuple[Expr, ...] = ()

    @cached_property
    def kernel(self) -> Kernel:
        """The excluded equations, then their slopes in every unknown."""
        slopes = [e.diff(symbol) for e in self.equations for symbol in self.system.unknowns]
        return compile_kernel(self.system.arguments, (*self.equations, *slopes))

    @cached_property
    def _undetermined(self) -> list[int]:
        """Unknowns that their own equation may not feel: it is no update, and not theirs alone."""
        system = self.system
        return [
            k
            for k, (symbol, equation) in enumerate(
                zip(system.unknowns, system.equations, strict=True)
            )
            if not system.paired[k]
            and equation.has_free(symbol)
            and equation.has_free(*(s for s in system.unknowns if s is not symbol))
        ]

    def status(
        self, z: Array, parameters: Sequence[Array], jacobian: Array | None = None
    ) -> NDArray[np.intp]:
        """Return CONVERGED, DEGENERATE or EXCLUDED for saddle points, shape (points,)."""
        found = np.full(z.shape[0], int(Status.CONVERGED))
        if self.equations and z.shape[0]:
            size = np.maximum(np.abs(z).max(axis=1), 1.0)
            for value in self.kernel(*z.T, *parameters)[: len(self.equations)]:
                found[np.abs(value) <= _EQUAL * size] = Status.EXCLUDED
        left = np.flatnonzero(found == Status.CONVERGED)
        if left.size and self._undetermined:
            inner = [p[left] for p in parameters]
            slopes = None if jacobian is None else jacobian[left]
            identical = self._identical(z[left], inner, slopes).any(axis=1)
            found[left[identical]] = Status.DEGENERATE
        return found

    def of(self, ended: Iterated, parameters: Sequence[Array]) -> Iterated:
        """Return where an iteration ended with the saddle points that are not accepted marked."""
        good = np.asarray(ended.status == Status.CONVERGED)
        if ended.boundary is not None:
            good &= ~ended.boundary
        if not good.any():
            return ended
        inner = [p[good] for p in parameters]
        slopes = ended.jacobian[good]
        status = ended.status.copy()
        status[good] = self.status(
            ended.z[good], inner, slopes if np.isfinite(slopes).all() else None
        )
        if (status == ended.status).all():
            return ended
        single = status.size == 1 and status[0] == Status.DEGENERATE
        return replace(
            ended, status=status, note=self.reason(ended.z, parameters) if single else ended.note
        )

    def reason(self, z: Array, parameters: Sequence[Array]) -> str:
        """Say of a single saddle point, shape (1, unknowns), what is undetermined where."""
        (row,) = self._identical(z, parameters, None)
        names = [str(symbol) for symbol in self.system.unknowns]
        for k in np.flatnonzero(row):
            cause = self._cause(z, parameters, int(k))
            if cause is not None:
                at = f"{names[cause]} = {_short(z[0, cause])}"
                return (
                    f"at {at} the equation of {names[k]} holds whatever {names[k]} is: "
                    f"exclude=Eq({names[cause]}, {_short(z[0, cause])}) looks elsewhere"
                )
        return ""

    def _cause(self, z: Array, parameters: Sequence[Array], k: int) -> int | None:
        """Return the unknown whose value makes the equation of another hold identically."""
        for j in range(self.system.size):
            if j != k and (np.abs(self._moved(z, parameters, j, k)) > 0).any():
                return j
        return None

    def _moved(self, z: Array, parameters: Sequence[Array], moved: int, row: int) -> Array:
        """Return an equation, the row, with one unknown moved through its domain: (places, P)."""
        low, high = (
            np.broadcast_to(b, z.shape)[:, moved] for b in self.system.bounds(z, parameters)
        )
        low = np.where(has_end(low), low, np.minimum(z[:, moved], high) - 1.0)
        high = np.where(has_end(high), high, np.maximum(z[:, moved], low) + 1.0)
        places = []
        for share in _ELSEWHERE:
            other = z.copy()
            other[:, moved] = low + share * (high - low)
            places.append(other)
        table = np.concatenate(places)
        tiled = [np.tile(p, len(_ELSEWHERE)) for p in parameters]
        value = self.system.residual(*table.T, *tiled, refinement=_COARSE)[row]
        return np.broadcast_to(value, (table.shape[0],)).reshape(len(_ELSEWHERE), z.shape[0])

    def _identical(
        self, z: Array, parameters: Sequence[Array], jacobian: Array | None
    ) -> NDArray[np.bool_]:
        """Tell which equations hold whatever their own unknown is, shape (points, unknowns)."""
        found = np.zeros(z.shape, dtype=bool)
        room = self.system.room(z, parameters)
        for k in self._undetermined:
            some = np.ones(z.shape[0], dtype=bool)
            if jacobian is not None:  # most equations feel their unknown: nothing to look at
                felt = np.abs(jacobian[:, k, :]) * np.maximum(room, 1e-3)
                some = ~(felt[:, k] > _UNFELT * felt.max(axis=1))
            if not some.any():
                continue
            inner = [p[some] for p in parameters]
            own = np.abs(self._moved(z[some], inner, k, k)).max(axis=0)
            others = [
                np.abs(self._moved(z[some], inner, j, k)).max(axis=0)
                for j in range(self.system.size)
                if j != k
            ]
            with np.errstate(invalid="ignore"):
                found[some, k] = own <= _IDENTICAL * np.fmax.reduce(others)
        return found


def _short(number: float) -> str:
    return f"{round(float(number), 6) + 0.0:g}"
