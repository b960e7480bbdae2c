"""Newton steps and inverses of many small matrices at once, and the sizes they are judged by."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["inverses", "newton_step", "scale"]

Array = NDArray[np.float64]


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


def inverses(jacobian: Array, size: Array) -> Array:
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
