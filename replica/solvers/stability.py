r"""Whether a saddle point is stable within its ansatz, at every point of a grid.

Where every unknown has an update, the saddle-point equations are a dynamics, and a saddle point is
stable that attracts it: no eigenvalue of its Jacobian, update minus unknown, has a positive real
part. Otherwise the formula must declare whether its equilibrium is the largest or the smallest
potential: stable is then a maximum or a minimum of

.. math:: H = \phi_{xx} - F_{x,y}\, F_{y,y}^{-1}\, F_{y,x}

in the unknowns x without update, with those that have one, y, where their equations F put them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from replica.declarations.formula import Formula
from replica.solvers.system import System

__all__ = ["attracts", "masked", "stable_points", "unmasked"]

Array = NDArray[np.float64]

_STABLE = 1e-7  # an eigenvalue's real part up to this is zero: the error of differences
_COARSE = -1  # refinement of the quadrature


def attracts(
    system: System, z: Array, parameters: Sequence[Array], jacobian: Array | None = None
) -> NDArray[np.bool_]:
    """Tell where the iteration is attracted: all eigenvalues of update minus unknown negative.

    Parameters
    ----------
    system : System
        Of equations that are update minus unknown.
    z : array, shape (points, unknowns)
    parameters : sequence of arrays, shape (points,)
    jacobian : array, shape (points, unknowns, unknowns), optional
        The Jacobians there, if they are known.
    """
    if not z.size:
        return np.zeros(z.shape[0], dtype=bool)
    if jacobian is None:
        _, jacobian = system.evaluate(z, parameters, _COARSE)
    good = np.isfinite(jacobian).all(axis=(1, 2))
    result = np.zeros(z.shape[0], dtype=bool)
    result[good] = np.linalg.eigvals(jacobian[good]).real.max(axis=1) <= _STABLE
    return result


def stable_points(
    formula: Formula,
    system: System,
    z: Array,
    parameters: Sequence[Array],
    jacobian: Array | None = None,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return at which points it can be told whether they are stable, and which of them are.

    Parameters are those of `attracts`.
    """
    known = np.zeros(z.shape[0], dtype=bool)
    if not z.size:
        return known, known.copy()
    stable = np.zeros_like(known)
    if not (system.evolves or formula.equilibrium):
        return known, stable
    if jacobian is None:
        _, jacobian = system.evaluate(z, parameters, _COARSE)
    known = np.asarray(np.isfinite(jacobian).all(axis=(1, 2)))
    if system.evolves:
        return known, attracts(system, z, parameters, jacobian)
    for k in np.flatnonzero(known):
        stable[k] = _extreme(jacobian[k], system.paired, formula.equilibrium == "largest")
    return known, stable


def _extreme(jacobian: Array, paired: NDArray[np.bool_], largest: bool) -> bool:
    """Tell whether the potential has a maximum (or minimum) in the unknowns without update."""
    free = ~paired
    hessian = jacobian[np.ix_(free, free)]
    if paired.any():
        inner = jacobian[np.ix_(paired, paired)]
        if np.linalg.eigvals(inner).real.max() > _STABLE:
            return False
        response = np.linalg.pinv(inner) @ jacobian[np.ix_(paired, free)]
        hessian = hessian - jacobian[np.ix_(free, paired)] @ response
    curvature = np.linalg.eigvalsh((hessian + hessian.T) / 2)
    size = np.abs(curvature).max(initial=0.0)
    worst = curvature.max() if largest else -curvature.min()
    return bool(worst <= _STABLE * size)


def masked(known: NDArray[np.bool_], stable: NDArray[np.bool_], shape: tuple[int, ...]) -> Any:
    """Return what is known of the stability: True, False or None, or a masked array of a grid."""
    if shape == ():
        return bool(stable[0]) if known[0] else None
    return np.ma.array(stable.reshape(shape), mask=~known.reshape(shape))


def unmasked(stable: Any) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return where stability is known and what it is, flat: the inverse of `masked`."""
    if stable is None:
        return np.zeros(1, dtype=bool), np.zeros(1, dtype=bool)
    return ~np.ma.getmaskarray(stable).reshape(-1), np.asarray(stable).reshape(-1)
