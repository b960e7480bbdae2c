"""Checks of a user's patterns and labels: their kind, their shapes, and the scale of X."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from replica.errors import ControlError
from replica.experiments.checks import shown

__all__ = ["check_data", "real_array"]

FloatArray = NDArray[np.float64]

# Scale of X: what is tolerated besides six standard deviations of Gaussian entries.
_SCALE_SLACK, _COLUMN_SLACK = 0.1, 0.5


def real_array(where: str, name: str, given: ArrayLike, dtype: DTypeLike | None) -> NDArray[Any]:
    """Return a contiguous array of float32 or float64."""
    try:
        array = np.asarray(given)
    except ValueError:  # a ragged list
        array = np.empty(0, dtype=object)
    if array.dtype.kind not in "iuf":
        raise ControlError(f"{where}: {name} must be an array of real numbers, not {shown(given)}")
    try:
        kind = np.dtype(array.dtype if dtype is None else dtype)
    except TypeError:
        kind = np.dtype(object)
    if dtype is not None and kind not in (np.float32, np.float64):
        raise ControlError(f"{where}: dtype = {shown(dtype)}; allowed: float32, float64")
    array = array.astype(kind if kind in (np.float32, np.float64) else np.float64, copy=False)
    # a product with a strided view would copy it in every step
    return array if array.flags.forc else np.ascontiguousarray(array)


def check_data(X: NDArray[Any], y: FloatArray) -> None:
    """Refuse patterns and labels that do not fit, and warn of a scale that is not 1/p.

    Parameters
    ----------
    X : ndarray, shape (n, p)
    y : ndarray, shape (n,)

    Raises
    ------
    ControlError
        For shapes that do not fit, and entries that are not finite or too large to be squared.

    Warns
    -----
    UserWarning
        The entries of X do not have mean 0 and variance 1/p.
    """
    if X.ndim != 2 or not X.size:
        raise ControlError(
            f"amp: X has shape {X.shape}; allowed: (n, p), a pattern in each row, not empty"
        )
    n, p = X.shape
    if y.shape != (n,):
        raise ControlError(
            f"amp: y has shape {y.shape} and X has {n} rows; allowed: one label for each row"
            + (" (X may be transposed)" if y.shape == (p,) else "")
        )
    if not np.isfinite(y).all():
        k = int(np.flatnonzero(~np.isfinite(y))[0])
        raise ControlError(f"amp: y[{k}] = {y[k]} is not finite")
    with np.errstate(all="ignore"):
        squares = np.einsum("ij,ij->j", X, X)  # (p,) numbers: nothing of the size of X
    if not np.isfinite(squares).all():
        column = int(np.flatnonzero(~np.isfinite(squares))[0])
        rows = np.flatnonzero(~np.isfinite(X[:, column]))
        place = f"X[{int(rows[0])}, {column}] = {X[rows[0], column]}" if rows.size else "X"
        raise ControlError(f"amp: {place} is not finite, or X is too large to be squared")
    _warn_of_scale(X, np.asarray(squares, dtype=np.float64))


def _warn_of_scale(X: NDArray[Any], squares: FloatArray) -> None:
    """Tell how to scale X, which the theory and the algorithm take as iid of variance 1/p."""
    n, p = X.shape
    scale = float(squares.sum()) / n  # 1 for variances 1/p
    columns = squares * p / n
    if abs(scale - 1) > _SCALE_SLACK + 6 * math.sqrt(2 / (n * p)):
        hint = f"divide X by {math.sqrt(scale):.6g}" if scale > 0 else "X is zero"
        _warn(f"the entries of X have variance {scale:.4g}/p and not 1/p: {hint}")
    elif np.abs(columns - 1).max() > _COLUMN_SLACK + 6 * math.sqrt(2 / n):
        worst = int(np.abs(columns - 1).argmax())
        _warn(
            f"column {worst} of X has variance {columns[worst]:.4g}/p and not 1/p: divide each "
            "column by sqrt(p) times its root mean square"
        )
    # a mean common to all entries adds one large singular value to X, sqrt(n p) times the mean
    common = np.linalg.norm(X.sum(axis=0, dtype=np.float64)) / math.sqrt(n)
    if common > math.sqrt(max(scale, 0.0)) * (1.5 + 6 / math.sqrt(2 * p)):
        _warn(
            f"the entries of X have a mean, about {common / math.sqrt(n * p):.3g}: the iteration "
            "may diverge; centre X before labels are drawn, or use damping"
        )


def _warn(text: str) -> None:
    warnings.warn(f"amp: {text}", UserWarning, stacklevel=5)
