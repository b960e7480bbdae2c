r"""Laws of eigenvalues: random feature matrices, and matrices that are given.

A d x p matrix F of unit variance gives the eigenvalues s of :math:`F^T F / d`, a p x p matrix; its
ratio is c = p/d and :math:`\langle s \rangle = 1` for every law here.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from sympy import Add, Basic, Dummy, Expr, Mul, S, Symbol, Tuple, binomial, log, sympify

from replica.errors import ControlError, DeclarationError
from replica.language.primitives import PositivePart
from replica.language.spectral import CompanionStieltjes, Spectrum, WeightedPoints
from replica.writing import excerpt

__all__ = ["Atoms", "MarchenkoPastur", "Orthogonal", "eigenvalues"]

_z, _c = Dummy("z", positive=True), Dummy("c", positive=True)
_NEGATIVE = 1e-10  # eigenvalues below minus this, relative to the largest, are no rounding


class MarchenkoPastur(Spectrum):
    r"""Eigenvalues of :math:`F^T F / d`, F d x p with independent entries of unit variance.

    With the ratio c = p/d there is an atom at zero of weight 1 - 1/c where c > 1, and a density

    .. math:: \frac{\sqrt{(s_+ - s)(s - s_-)}}{2 \pi c\, s}, \qquad s_\pm = (1 \pm \sqrt c)^2 .

    Averages of rational functions, and of logarithms of affine ones, are closed forms in
    `CompanionStieltjes`, by partial fractions.

    Parameters
    ----------
    ratio : Expr
        Columns over rows, p/d; a symbol, or a positive number.

    References
    ----------
    Marchenko & Pastur, Math. USSR Sb. 1 (1967) 457.

    Examples
    --------
    >>> from sympy import Integer, Symbol
    >>> s = Symbol("s", real=True)
    >>> MarchenkoPastur(Integer(2)).average(s**3, s)  # 1 + 3 c + c^2
    11
    """

    def __new__(cls, ratio: object) -> MarchenkoPastur:
        """Return the law of this ratio."""
        ratio = ratio if isinstance(ratio, str) else sympify(ratio, strict=True)
        if not isinstance(ratio, Expr) or ratio.is_positive is False or ratio.is_real is False:
            raise DeclarationError(f"Marchenko-Pastur: the ratio p/d = {ratio} is not positive")
        return Basic.__new__(cls, ratio)

    @property
    def ratio(self) -> Expr:
        """Columns over rows."""
        return self.args[0]

    def average(self, body: Expr, field: Symbol) -> Expr:
        """Return the average of a rational function of the eigenvalue, or of a logarithm."""
        return Add(*(self._of_term(term, field) for term in Add.make_args(body)))

    def _of_term(self, term: Expr, field: Symbol) -> Expr:
        outside, inside = term.as_independent(field, as_Add=False)
        if isinstance(inside, log):
            slope, intercept = self._affine(inside.args[0], field, term)
            return outside * (log(slope) + _at(_mean_log(), intercept / slope, self.ratio))
        numerator: Expr = S.One
        poles: dict[Expr, int] = {}
        for factor in Mul.make_args(inside):
            base, power = factor.as_base_exp()
            if base.is_polynomial(field) and power.is_Integer and power > 0:
                numerator *= factor
            elif power.is_Integer:
                slope, intercept = self._affine(base, field, term)
                outside *= slope**power
                place = intercept / slope
                poles[place] = poles.get(place, 0) - int(power)
            else:
                self._refuse(term)
        coefficients = numerator.as_poly(field).all_coeffs()[::-1]
        return outside * Add(
            *(
                number * self._fraction(power, dict(poles))
                for power, number in enumerate(coefficients)
                if number != 0
            )
        )

    def _fraction(self, power: int, poles: dict[Expr, int]) -> Expr:
        """Return the mean of s^power / prod (s + z)^k."""
        if not poles:
            return _narayana(power, self.ratio)
        if len(poles) == 1:
            ((place, order),) = poles.items()
            return _at(_mean_power(power, order), place, self.ratio)
        (one, _), (two, _) = list(poles.items())[:2]
        gap = two - one
        parts = []
        for kept, sign in ((one, 1), (two, -1)):  # 1/((s+a)(s+b)) = [1/(s+a) - 1/(s+b)] / (b - a)
            left = dict(poles)
            other = two if kept is one else one
            left[other] -= 1
            parts.append(sign * self._fraction(power, {k: n for k, n in left.items() if n}))
        return Add(*parts) / gap

    def _affine(self, base: Expr, field: Symbol, term: Expr) -> tuple[Expr, Expr]:
        slope = base.diff(field)
        if slope == 0 or slope.has_free(field):
            self._refuse(term)
        return slope, base.subs(field, 0)

    def _refuse(self, term: Expr) -> None:
        raise DeclarationError(
            f"Marchenko-Pastur: no closed form for the average of {excerpt(term)}; it knows "
            "rational functions with linear poles, and logarithms of linear functions"
        )

    def _latex(self, printer: Any) -> str:
        return rf"\mathrm{{MP}}\left({printer._print(self.ratio)}\right)"


class Atoms(Spectrum):
    """Finitely many eigenvalues as expressions, each with its weight: the sum is written out.

    Parameters
    ----------
    pairs : sequence of (Expr, Expr)
        Eigenvalue and weight.

    Examples
    --------
    >>> s = Symbol("s", real=True)
    >>> Atoms([(1, S.Half), (3, S.Half)]).average(s**2, s)
    5
    """

    def __new__(cls, pairs: Any) -> Atoms:
        """Return the law of these atoms."""
        return Basic.__new__(
            cls, Tuple(*(Tuple(*(sympify(part, strict=True) for part in pair)) for pair in pairs))
        )

    def average(self, body: Expr, field: Symbol) -> Expr:
        """Return the sum over the atoms."""
        return Add(*(weight * body.subs(field, place) for place, weight in self.args[0]))

    def _latex(self, printer: Any) -> str:
        return r"\mu"


def Orthogonal(ratio: Any) -> Atoms:
    r"""Return the law of :math:`F^T F / d` for orthogonal rows or columns (Haar, Fourier, DCT).

    Up to c = p/d = 1 all eigenvalues are 1; beyond, 1/c of them are c and the others vanish.

    Examples
    --------
    >>> from sympy import Integer, Symbol
    >>> s, z = Symbol("s", real=True), Symbol("z", positive=True)
    >>> Orthogonal(Integer(4)).average(1 / (s + z), s)
    1/(4*(z + 4)) + 3/(4*z)
    """
    ratio = sympify(ratio, strict=True)
    excess = PositivePart(ratio - 1)  # zero up to c = 1
    size = 1 + excess
    return Atoms(((size, 1 / size), (S.Zero, excess / size)))


def eigenvalues(matrix: Any, weights: Any = None, name: str = "matrix") -> WeightedPoints:
    """Return the eigenvalues of a symmetric matrix without negative ones, as a law.

    Parameters
    ----------
    matrix : array, shape (k, k)
    weights : array, shape (k,), optional
        Of each eigenvalue, in increasing order; 1/k by default.
    name : str
        For messages.

    Raises
    ------
    ControlError
        If it is not square, symmetric, finite, or has a negative eigenvalue; which is said.

    Examples
    --------
    >>> eigenvalues([[2.0, 1.0], [1.0, 2.0]]).points
    (1.0, 3.0)
    """
    values, _ = decompose(matrix, name)
    share = np.full(values.size, 1 / values.size) if weights is None else np.asarray(weights)
    return WeightedPoints(values, share, f"{values.size} eigenvalues")


def decompose(matrix: object, name: str) -> tuple[Any, Any]:
    """Return eigenvalues (k,) and eigenvectors (k, k) of a covariance matrix, checked."""
    try:
        array = np.asarray(matrix, dtype=float)
    except (TypeError, ValueError):
        raise ControlError(f"{name} must be a matrix of real numbers") from None
    if array.ndim != 2 or array.shape[0] != array.shape[1] or array.size == 0:
        raise ControlError(f"{name} must be a square matrix; its shape is {array.shape}")
    if not np.isfinite(array).all():
        raise ControlError(f"{name} has entries that are not finite")
    size = float(np.abs(array).max())
    skew = float(np.abs(array - array.T).max())
    if skew > _NEGATIVE * size:
        raise ControlError(f"{name} is not symmetric: entries differ by up to {skew:.3g}")
    values, vectors = np.linalg.eigh((array + array.T) / 2)
    if values[0] < -_NEGATIVE * max(values[-1], size):
        raise ControlError(
            f"{name} is not positive: its lowest eigenvalue is {values[0]:.6g} (the largest "
            f"{values[-1]:.6g})"
        )
    return np.maximum(values, 0.0), vectors


# ---- closed forms of Marchenko and Pastur --------------------------------------------------------


def _at(expression: Expr, z: Expr, ratio: Expr) -> Expr:
    return expression.xreplace({_z: z, _c: ratio})


def _narayana(power: int, ratio: Expr) -> Expr:
    """Return the moment of order `power`."""
    if power == 0:
        return S.One
    return Add(
        *(ratio**j * binomial(power, j) * binomial(power - 1, j) / (j + 1) for j in range(power))
    )


@lru_cache(maxsize=64)
def _mean_power(power: int, order: int) -> Expr:
    """Return the mean of s^power / (s + z)^order, of positive terms up to order two."""
    x, root = CompanionStieltjes(_z, _c), CompanionStieltjes.root(_z, _c)
    if order == 0:
        return _narayana(power, _c)
    stable = {
        (0, 1): 1 / (_z * (1 + x)),
        (1, 1): x / (1 + x),
        (0, 2): 1 / (_z**2 * x * (1 + x) * root),
        (1, 2): x / ((1 + x) * root),
        # U (1 - z / root), without the difference
        (2, 2): x / (1 + x) * (2 * _z * (1 + _c) + (1 - _c) ** 2) / (root * (root + _z)),
    }
    if (power, order) in stable:
        return stable[power, order]
    if power < order:
        return -_mean_power(power, order - 1).diff(_z) / (order - 1)
    return _mean_power(power - 1, order - 1) - _z * _mean_power(power - 1, order)


@lru_cache(maxsize=1)
def _mean_log() -> Expr:
    """Return the mean of log(s + z)."""
    x = CompanionStieltjes(_z, _c)
    return log(_z) + log(1 + x) - log(_z * x) / _c - x / (1 + x)
