r"""Random features of Gaussian data: the law of the matrix, and the inputs that it makes.

The features :math:`v = \sigma(F^T c / \sqrt d)` of a hidden Gaussian c are inputs of a covariance
with the eigenvalues :math:`\omega = \kappa_*^2 + \kappa_1^2 s`, by the Gaussian equivalent of the
activation; s is an eigenvalue of :math:`F^T F / d`.

References
----------
Gerace, Loureiro, Krzakala, Mezard & Zdeborova, ICML (2020).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sympy import Expr, Interval, Rational, S, Symbol, oo

from replica.blocks.activations import GaussianActivation
from replica.blocks.block import Block
from replica.blocks.inputs import (
    RATIO,
    SAMPLES,
    WIDTH,
    Average,
    Inputs,
    features_per_dimension,
    samples_per_dimension,
)
from replica.blocks.shipped import Shipped
from replica.blocks.spectra import MarchenkoPastur, Orthogonal, eigenvalues
from replica.declarations.control import Control, Relation
from replica.declarations.frozen import FrozenMapping
from replica.errors import ControlError
from replica.language.spectral import SpectralMean, Spectrum, WeightedPoints

__all__ = [
    "FeatureMap",
    "FeatureMatrix",
    "GaussianFeatures",
    "OrthogonalFeatures",
    "RandomFeatures",
]

Array = NDArray[np.float64]

rho = Symbol("rho", positive=True)
_s = Symbol("s", real=True)


@dataclass(frozen=True)
class FeatureMap(Block):
    """Law of a d x p matrix F of features, entries of unit variance.

    Features of one's own derive from it and state `spectrum` and `sample`.

    Attributes
    ----------
    name : str
    ratio : Expr
        p/d: the control `features_per_dimension`, or a number where the matrix is given.

    Examples
    --------
    >>> FeatureMap.shipped["gaussian"].spectrum
    MarchenkoPastur(features_per_dimension)
    """

    ratio: Expr = features_per_dimension

    shipped: ClassVar[Shipped[FeatureMap]] = Shipped("features", "replica.blocks.random_features")

    @property
    def spectrum(self) -> Spectrum:
        """Law of the eigenvalues of F^T F / d."""
        raise NotImplementedError

    def sample(self, rng: np.random.Generator, d: int, p: int) -> Array:
        """Draw F, shape (d, p)."""
        raise NotImplementedError


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
    """Return features with independent standard normal entries.

    Examples
    --------
    >>> GaussianFeatures().ratio
    features_per_dimension
    """
    return _Gaussian("gaussian")


def OrthogonalFeatures() -> FeatureMap:
    """Return features with orthogonal rows or columns: Haar, subsampled Fourier or cosine.

    Examples
    --------
    >>> OrthogonalFeatures().sample(np.random.default_rng(0), 4, 2).shape
    (4, 2)
    """
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


@dataclass(frozen=True)
class RandomFeatures(Inputs):
    """Inputs of a hidden manifold: an activation of random features of Gaussian data.

    Examples
    --------
    >>> erf, gaussian = GaussianActivation.shipped["erf"], FeatureMap.shipped["gaussian"]
    >>> RandomFeatures(erf, gaussian).per_feature
    samples_per_dimension/features_per_dimension
    """

    activation: GaussianActivation
    features: FeatureMap

    samples: ClassVar[Control] = SAMPLES

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

    @property
    def sizes(self) -> Mapping[str, Control]:
        """Samples, and features where their number is not given, per hidden dimension."""
        sizes = {"samples": self.samples}
        if not self.features.ratio.is_number:
            sizes["width"] = WIDTH
        return FrozenMapping(sizes)

    @property
    def per_feature(self) -> Expr:
        """Samples per feature, from both per hidden dimension."""
        return samples_per_dimension / self.features.ratio

    @property
    def relations(self) -> Mapping[str, Relation]:
        """Samples per feature; and features per dimension, where they are given."""
        width = self.features.ratio
        found = {"samples_per_feature": Relation(RATIO, samples_per_dimension / width)}
        if width.is_number:
            found["features_per_dimension"] = Relation(WIDTH, width)
        return FrozenMapping(found)

    @property
    def are_linear(self) -> bool:
        """Whether the activation is linear."""
        return self.activation.noise.is_zero is True

    def order_parameters(self, response: Average, square: Average, m: Expr) -> dict[str, Expr]:
        """Return the five order parameters of Gerace et al. (2020)."""
        return {
            "V_s": response(self.share),
            "V_w": response(lambda eigenvalue: S.One),
            "q_s": square(self.share),
            "q_w": square(lambda eigenvalue: S.One),
            "m_s": m / self.activation.kappa1,
        }

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


BLOCKS = (GaussianFeatures(), OrthogonalFeatures())
