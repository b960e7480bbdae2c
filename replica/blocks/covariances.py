"""Inputs whose covariances are given, of a Gaussian covariate model or measured on data."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sympy import Expr, Float, Symbol

from replica.blocks.inputs import RATIO, Inputs, samples_per_feature
from replica.blocks.shipped import Shipped
from replica.blocks.spectra import decompose
from replica.declarations.control import Control
from replica.errors import ControlError
from replica.language.spectral import SpectralMean, WeightedPoints

__all__ = ["Covariances", "PowerLaw"]

Array = NDArray[np.float64]

_omega = Symbol("omega", real=True)
_SEEN = 1e-12  # eigenvalues below this, relative to the largest, are zero
_ALLOWED = 1e-8  # a share of the teacher beyond one by no more than this is rounding


@dataclass(frozen=True)
class Covariances(Inputs):
    r"""Inputs with a given covariance, of a Gaussian covariate model or measured on data.

    Parameters
    ----------
    omega : array, shape (p, p)
        Covariance of the student's inputs.
    cross : array, shape (p,)
        Covariance of the teacher's field with them, :math:`E\, \nu v`.
    rho : float
        Variance of the teacher's field.
    name : str
        By which shipped ones are asked for; by default what it prints, its size and a digest.

    Raises
    ------
    ControlError
        For shapes that do not match, a matrix that is not positive, a teacher without variance
        or one that has more covariance with the inputs than its variance allows.

    References
    ----------
    Loureiro, Gerbelot, Cui, Goldt, Krzakala, Mezard & Zdeborova, NeurIPS 34 (2021) 18137.

    Examples
    --------
    >>> inputs = Covariances([[2.0, 0.0], [0.0, 1.0]], [1.0, 0.0], rho=1.0)
    >>> float(inputs.explained)
    0.5
    """

    omega: Any = field(compare=False, repr=False)
    cross: object = field(compare=False, repr=False)
    second_moment: float
    digest: str
    name: str = field(compare=False, repr=False)

    samples: ClassVar[Control] = RATIO
    shipped: ClassVar[Shipped[Covariances]] = Shipped("inputs", "replica.blocks.covariances")

    def __init__(self, omega: object, cross: object, rho: float = 1.0, name: str = "") -> None:
        values, vectors = decompose(omega, "omega")
        g = _vector(cross, values.size, "cross", "omega")
        number = _positive_number(rho)
        shares = (vectors.T @ g) ** 2
        seen = values > _SEEN * values[-1]
        unseen = float(shares[~seen].sum())
        explained = float((shares[seen] / values[seen]).sum())
        if not shares.any():
            raise ControlError(
                "cross is zero: the inputs say nothing about the teacher, so nothing can be learned"
            )
        if unseen > _ALLOWED * float(shares.sum()) or explained > number * (1 + _ALLOWED):
            raise ControlError(
                "the teacher lies outside the span of the inputs: cross omega^-1 cross = "
                f"{'infinite' if unseen > _ALLOWED * float(shares.sum()) else f'{explained:.6g}'} "
                f"exceeds rho = {number:.6g}, so these are not the covariances of one Gaussian"
            )
        content = np.concatenate([np.asarray(omega, dtype=float).ravel(), g, [number]])
        parts = {
            "omega": np.array(omega, dtype=float),
            "cross": g,
            "second_moment": number,
            "digest": hashlib.sha256(content.tobytes()).hexdigest()[:12],
        }
        parts["name"] = name or f"covariances({values.size}, {parts['digest']})"
        for attribute, part in parts.items():
            object.__setattr__(self, attribute, part)

    @classmethod
    def from_matrices(cls, psi: object, omega: object, phi: object, teacher: object) -> Covariances:
        r"""Return the inputs of a Gaussian covariate model.

        The teacher's field is :math:`\nu = \theta \cdot u / \sqrt d` with u of covariance
        :math:`\Psi`, and :math:`\Phi = E\, u v^T`.

        Parameters
        ----------
        psi : array, shape (d, d)
        omega : array, shape (p, p)
        phi : array, shape (d, p)
        teacher : array, shape (d,)
        """
        decompose(psi, "psi")
        decompose(omega, "omega")
        first, second = np.asarray(psi, dtype=float), np.asarray(omega, dtype=float)
        theta = _vector(teacher, first.shape[0], "teacher", "psi")
        cross = np.asarray(phi, dtype=float)
        d, p = first.shape[0], second.shape[0]
        if cross.shape != (d, p):
            raise ControlError(
                f"phi must have the shape (d, p) = ({d}, {p}) of psi and omega, not {cross.shape}"
            )
        decompose(
            np.block([[first, cross], [cross.T, second]]), "the joint matrix of psi, phi, omega"
        )
        variance = float(theta @ first @ theta) / d
        if not variance > 0:
            raise ControlError(
                "the teacher lies outside the span of the data: teacher psi teacher = "
                f"{variance:.3g}, so its field does not vary"
            )
        return cls(second, cross.T @ theta / np.sqrt(d), variance)

    @classmethod
    def from_data(cls, inputs: object, fields: object) -> Covariances:
        """Return the inputs measured on data: second moments of samples, as they are.

        Parameters
        ----------
        inputs : array, shape (N, p)
            What the student sees; centre it where the student has no intercept.
        fields : array, shape (N,)
            The teacher's field of each sample, whose sign is the label for a sign teacher.
        """
        v, nu = np.asarray(inputs, dtype=float), np.asarray(fields, dtype=float)
        if v.ndim != 2 or nu.shape != v.shape[:1] or not v.size:
            raise ControlError(
                f"from_data needs inputs of shape (N, p) and fields of shape (N,), not {v.shape} "
                f"and {nu.shape}"
            )
        if not (np.isfinite(v).all() and np.isfinite(nu).all()):
            raise ControlError("from_data: the data have entries that are not finite")
        count = v.shape[0]
        return cls(v.T @ v / count, v.T @ nu / count, float(nu @ nu) / count)

    @cached_property
    def _laws(self) -> tuple[WeightedPoints, WeightedPoints]:
        values, vectors = decompose(self.omega, "omega")
        shares = (vectors.T @ self.cross) ** 2
        uniform = np.full(values.size, 1 / values.size)
        return (
            WeightedPoints(values, uniform, f"{values.size} eigenvalues"),
            WeightedPoints(values, shares, f"{values.size} eigenvalues of the teacher"),
        )

    @property
    def explained(self) -> Expr:
        """Variance of the teacher's field that the best linear read-out of the inputs explains."""
        values, weights = np.array(self._laws[1].points), np.array(self._laws[1].weights)
        seen = values > _SEEN * values.max()
        share = float((weights[seen] / values[seen]).sum()) / self.second_moment
        return self.rho if share > 1 - _ALLOWED else Float(share * self.second_moment)

    @property
    def rho(self) -> Expr:
        """Variance of the teacher's field."""
        return Float(self.second_moment)

    @property
    def per_feature(self) -> Expr:
        """The control itself."""
        return samples_per_feature

    @property
    def determine_teacher(self) -> bool:
        """Whether they explain all of the teacher's field."""
        return bool(self.explained >= self.rho)

    def mean(self, function: Callable[[Expr], Expr]) -> Expr:
        """Return the average over the eigenvalues."""
        return SpectralMean(function(_omega), (_omega, self._laws[0]))

    def teacher_mean(self, function: Callable[[Expr], Expr]) -> Expr:
        """Return the sum over the eigenvalues weighted by the teacher's share of each."""
        return SpectralMean(function(_omega), (_omega, self._laws[1]))

    def __reduce__(self) -> tuple[object, ...]:
        return Covariances, (self.omega, self.cross, self.second_moment, self.name)

    def __str__(self) -> str:
        return f"covariances({self.omega.shape[0]}, {self.digest})"


def PowerLaw() -> Covariances:
    """Return a hundred inputs of variances 1/k^2, with nine tenths of the teacher's field.

    Examples
    --------
    >>> PowerLaw().omega.shape
    (100, 100)
    """
    variances = 1 / np.arange(1, 101.0) ** 2
    cross = variances * np.sqrt(0.9 / variances.sum())
    return Covariances(np.diag(variances), cross, 1.0, name="power-law")


def _vector(values: object, size: int, name: str, other: str) -> Array:
    try:
        array = np.array(values, dtype=float)
    except (TypeError, ValueError):
        raise ControlError(f"{name} must be a vector of real numbers") from None
    if array.shape != (size,):
        raise ControlError(
            f"{name} must have the length {size} of {other}, not the shape {array.shape}"
        )
    if not np.isfinite(array).all():
        raise ControlError(f"{name} has entries that are not finite")
    return array


def _positive_number(value: object) -> float:
    number = float(value) if isinstance(value, (int, float, np.number)) else float("nan")
    if not (np.isfinite(number) and number > 0):
        raise ControlError(f"rho = {value!r} must be a positive number")
    return number


BLOCKS = (PowerLaw(),)
