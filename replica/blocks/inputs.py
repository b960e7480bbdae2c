r"""What a linear student sees: the covariance of its inputs, and the teacher's part in it.

The student's inputs v have the covariance :math:`\Omega` (p x p, eigenvalues :math:`\omega_i`,
eigenvectors :math:`e_i`). The teacher's field :math:`\nu` has the variance :math:`\rho` and the
covariance :math:`g = E\, \nu v` with them. Two averages are all that the theory needs,

.. math:: \langle f(\omega) \rangle = \frac1p \sum_i f(\omega_i), \qquad
          \langle f(\omega) \rangle_g = \sum_i (e_i \cdot g)^2 f(\omega_i).

Random features :math:`v = \sigma(F^T c / \sqrt d)` of a hidden Gaussian c are such inputs, by the
Gaussian equivalent of the activation: :math:`\omega = \kappa_*^2 + \kappa_1^2 s`, with s an
eigenvalue of :math:`F^T F / d`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sympy import Expr, Float, Interval, Rational, Symbol, oo

from replica.blocks.activations import GaussianActivation
from replica.blocks.spectra import MarchenkoPastur, Orthogonal, decompose, eigenvalues
from replica.declarations.control import Control
from replica.declarations.frozen import FrozenMapping
from replica.errors import ControlError, looked_up
from replica.language.spectral import SpectralMean, Spectrum, WeightedPoints

__all__ = [
    "FEATURES",
    "INPUTS",
    "Covariances",
    "FeatureMap",
    "FeatureMatrix",
    "GaussianFeatures",
    "OrthogonalFeatures",
    "RandomFeatures",
    "features",
    "inputs",
]

Array = NDArray[np.float64]

rho = Symbol("rho", positive=True)
features_per_dimension = Symbol("features_per_dimension", positive=True)
_s, _omega = Symbol("s", real=True), Symbol("omega", real=True)
_SEEN = 1e-12  # eigenvalues below this, relative to the largest, are zero
_ALLOWED = 1e-8  # a share of the teacher beyond one by no more than this is rounding


@dataclass(frozen=True)
class FeatureMap:
    """Law of a d x p matrix F of features, entries of unit variance.

    Attributes
    ----------
    name : str
    ratio : Expr
        p/d: the control `features_per_dimension`, or a number where the matrix is given.
    """

    name: str
    ratio: Expr = features_per_dimension

    @property
    def spectrum(self) -> Spectrum:
        """Law of the eigenvalues of F^T F / d."""
        raise NotImplementedError

    def sample(self, rng: np.random.Generator, d: int, p: int) -> Array:
        """Draw F, shape (d, p)."""
        raise NotImplementedError

    def __str__(self) -> str:
        return self.name


class _Gaussian(FeatureMap):
    @property
    def spectrum(self) -> Spectrum:
        """Return the law of Marchenko and Pastur."""
        return MarchenkoPastur(self.ratio)

    def sample(self, rng: np.random.Generator, d: int, p: int) -> Array:
        """Draw independent normal entries."""
        return rng.standard_normal((d, p))


class _Orthogonal(FeatureMap):
    @property
    def spectrum(self) -> Spectrum:
        """Return the one or two atoms of orthogonal rows or columns."""
        return Orthogonal(self.ratio)

    def sample(self, rng: np.random.Generator, d: int, p: int) -> Array:
        """Draw rows or columns, whichever are fewer, of a random orthogonal matrix."""
        large, small = max(d, p), min(d, p)
        basis, triangle = np.linalg.qr(rng.standard_normal((large, small)))
        basis *= np.sign(np.diag(triangle))  # uniform, by the signs of the decomposition
        return np.sqrt(large) * (basis if d >= p else basis.T)


@dataclass(frozen=True)
class _Given(FeatureMap):
    law: WeightedPoints | None = None
    matrix: Any = field(default=None, compare=False, repr=False)

    @property
    def spectrum(self) -> Spectrum:
        """Return the eigenvalues of the matrix."""
        assert self.law is not None
        return self.law

    def sample(self, rng: np.random.Generator, d: int, p: int) -> Array:
        """Return the matrix itself."""
        if (d, p) != self.matrix.shape:
            raise ControlError(
                f"the features are a given matrix of shape {self.matrix.shape}: p = {p} and "
                f"d = {d} do not fit"
            )
        return np.array(self.matrix)


def GaussianFeatures() -> FeatureMap:
    """Return features with independent standard normal entries."""
    return _Gaussian("gaussian")


def OrthogonalFeatures() -> FeatureMap:
    """Return features with orthogonal rows or columns: Haar, subsampled Fourier or cosine."""
    return _Orthogonal("orthogonal")


def FeatureMatrix(matrix: Any) -> FeatureMap:
    """Return the features of a given d x p matrix, with entries of order one.

    Examples
    --------
    >>> FeatureMatrix([[1.0, -1.0, 1.0], [1.0, 1.0, -1.0]]).ratio
    3/2
    """
    try:
        F = np.array(matrix, dtype=float)
    except (TypeError, ValueError):
        raise ControlError("features: the matrix must hold real numbers") from None
    if F.ndim != 2 or F.size == 0 or not np.isfinite(F).all():
        raise ControlError(
            f"features: the matrix must have two dimensions (d, p) and finite entries; its shape "
            f"is {F.shape}"
        )
    if not F.any():
        raise ControlError("features: the matrix is zero, so the features say nothing")
    F.setflags(write=False)
    d, p = F.shape
    digest = hashlib.sha256(F.tobytes()).hexdigest()[:12]
    law = eigenvalues(F.T @ F / d, name="features")
    return _Given(f"matrix({d}x{p}, {digest})", Rational(p, d), law, F)


FEATURES: Mapping[str, Callable[[], FeatureMap]] = {
    "gaussian": GaussianFeatures,
    "orthogonal": OrthogonalFeatures,
}


def features(name: str) -> FeatureMap:
    """Return the shipped features called `name`.

    Raises
    ------
    UnknownName
        With the near names.

    Examples
    --------
    >>> features("gaussian").spectrum
    MarchenkoPastur(features_per_dimension)
    """
    return looked_up("features", name, FEATURES)()


@dataclass(frozen=True)
class RandomFeatures:
    """Inputs of a hidden manifold: an activation of random features of Gaussian data."""

    activation: GaussianActivation
    features: FeatureMap

    @property
    def rho(self) -> Expr:
        """Variance of the teacher's field, a control."""
        return rho

    @property
    def controls(self) -> Mapping[str, Control]:
        """The variance of the teacher's field."""
        return FrozenMapping(
            {"rho": Control(rho, Interval.open(0, oo), 1, "variance of the teacher's field")}
        )

    def eigenvalue(self, s: Expr) -> Expr:
        """Return the eigenvalue of the covariance that belongs to s."""
        return self.activation.noise + self.activation.kappa1**2 * s

    def share(self, eigenvalue: Expr) -> Expr:
        """Return the s of an eigenvalue of the covariance."""
        return (eigenvalue - self.activation.noise) / self.activation.kappa1**2

    @property
    def explained(self) -> Expr:
        """Variance of the teacher's field that the best linear read-out explains."""
        return self.teacher_mean(lambda eigenvalue: 1 / eigenvalue)

    def mean(self, function: Callable[[Expr], Expr]) -> Expr:
        """Return the average over the eigenvalues of the covariance."""
        return SpectralMean(function(self.eigenvalue(_s)), (_s, self.features.spectrum))

    def teacher_mean(self, function: Callable[[Expr], Expr]) -> Expr:
        """Return the average weighted by the teacher, who is random in the hidden space."""
        weight = rho * self.features.ratio * self.activation.kappa1**2
        body = _s * function(self.eigenvalue(_s))
        return weight * SpectralMean(body, (_s, self.features.spectrum))

    def __str__(self) -> str:
        return f"{self.features} {self.activation} features"


@dataclass(frozen=True)
class Covariances:
    r"""Inputs with a given covariance, of a Gaussian covariate model or measured on data.

    Parameters
    ----------
    omega : array, shape (p, p)
        Covariance of the student's inputs.
    cross : array, shape (p,)
        Covariance of the teacher's field with them, :math:`E\, \nu v`.
    rho : float
        Variance of the teacher's field.

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
    cross: Any = field(compare=False, repr=False)
    second_moment: float
    digest: str

    def __init__(self, omega: Any, cross: Any, rho: float = 1.0) -> None:
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
        for name, part in parts.items():
            object.__setattr__(self, name, part)

    @classmethod
    def from_matrices(cls, psi: Any, omega: Any, phi: Any, teacher: Any) -> Covariances:
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
    def from_data(cls, inputs: Any, fields: Any) -> Covariances:
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
    def controls(self) -> Mapping[str, Control]:
        """None: everything is given."""
        return FrozenMapping()

    def mean(self, function: Callable[[Expr], Expr]) -> Expr:
        """Return the average over the eigenvalues."""
        return SpectralMean(function(_omega), (_omega, self._laws[0]))

    def teacher_mean(self, function: Callable[[Expr], Expr]) -> Expr:
        """Return the sum over the eigenvalues weighted by the teacher's share of each."""
        return SpectralMean(function(_omega), (_omega, self._laws[1]))

    def __reduce__(self) -> tuple[Any, ...]:
        return Covariances, (self.omega, self.cross, self.second_moment)

    def __str__(self) -> str:
        return f"covariances({self.omega.shape[0]}, {self.digest})"


def PowerLaw() -> Covariances:
    """Return a hundred inputs of variances 1/k^2, with nine tenths of the teacher's field."""
    variances = 1 / np.arange(1, 101.0) ** 2
    cross = variances * np.sqrt(0.9 / variances.sum())
    return Covariances(np.diag(variances), cross, 1.0)


INPUTS: Mapping[str, Callable[[], Covariances]] = {"power-law": PowerLaw}


def inputs(name: str) -> Covariances:
    """Return the shipped inputs called `name`.

    Raises
    ------
    UnknownName
        With the near names.

    Examples
    --------
    >>> inputs("power-law").omega.shape
    (100, 100)
    """
    return looked_up("inputs", name, INPUTS)()


def _vector(values: Any, size: int, name: str, other: str) -> Array:
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


def _positive_number(value: Any) -> float:
    number = float(value) if isinstance(value, (int, float, np.number)) else float("nan")
    if not (np.isfinite(number) and number > 0):
        raise ControlError(f"rho = {value!r} must be a positive number")
    return number
