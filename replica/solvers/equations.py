"""What the iteration and the verification need of a system of equations, whatever it is made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from sympy import Expr

__all__ = ["Equations"]

Array = NDArray[np.float64]


class Equations(Protocol):
    """As many equations as unknowns, evaluated at many points at once.

    All arrays z have shape (points, unknowns); parameters are arrays of shape (points,). Symbolic
    equations with means are a `System`; order parameters that are functions or matrices are
    discretised into unknowns by an implementation of their own.

    Attributes
    ----------
    paired : bool array, shape (unknowns,)
        Unknowns whose equation has the form update minus unknown.
    open_low : bool array, shape (unknowns,)
        Unknowns whose domain does not hold its lower end.
    """

    paired: NDArray[np.bool_]
    open_low: NDArray[np.bool_]

    @property
    def size(self) -> int:
        """Number of unknowns."""
        ...

    @property
    def finest(self) -> int:
        """Finest refinement of the quadrature that is worth its cost."""
        ...

    def bounds(self, z: Array, parameters: Sequence[Array]) -> tuple[Array, Array]:
        """Return lower and upper bounds of the unknowns, shape (points or 1, unknowns)."""
        ...

    def inside(self, z: Array, parameters: Sequence[Array]) -> NDArray[np.bool_]:
        """Tell at which points all unknowns are in their domains."""
        ...

    def onto_edge(self, z: Array, parameters: Sequence[Array]) -> Array:
        """Return points beyond a closed end by no more than rounding, moved onto it."""
        ...

    def at_edge(self, z: Array, parameters: Sequence[Array]) -> NDArray[np.bool_]:
        """Tell at which points an unknown has run to an open end, or to infinity."""
        ...

    def room(self, z: Array, parameters: Sequence[Array]) -> Array:
        """Return the size against which a step is small: also the distance to an open end."""
        ...

    def completed(self, z: Array, parameters: Sequence[Array]) -> Array:
        """Return points with the explicit unknowns as the others determine them."""
        ...

    def evaluate(
        self, z: Array, parameters: Sequence[Array], refinement: int = 0
    ) -> tuple[Array, Array]:
        """Return residuals (points, n) and Jacobians (points, n, n)."""
        ...

    def evaluate_without_slopes(
        self, z: Array, parameters: Sequence[Array], refinement: int = 0
    ) -> tuple[Array, Array]:
        """Return residuals, and identities in place of Jacobians."""
        ...

    def bounded(
        self,
        z: Array,
        parameters: Sequence[Array],
        refinement: int = 0,
        observables: tuple[Expr, ...] = (),
    ) -> tuple[Array, Array]:
        """Return residuals, then observables, and bounds on their errors, from one pass."""
        ...

    def observed(
        self,
        observables: tuple[Expr, ...],
        z: Array,
        parameters: Sequence[Array],
        refinement: int = 0,
    ) -> Array:
        """Return observables, shape (points, count)."""
        ...
