r"""R-transforms of laws of eigenvalues, which add for free sums.

With :math:`G(z) = \langle 1/(z - \lambda) \rangle` and its inverse on one side of the spectrum,

.. math:: R(s) = G^{-1}(s) - \frac1s .

The free energy of rotationally invariant matrices is made of R and of its integral. Both are
written here in the root of :math:`G(z) = s`, as averages of positive terms: the difference above
loses its digits where s is small.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sympy import Add, Dummy, Expr, Max, Min, S, Symbol, log, oo, sympify

from replica.blocks.spectra import Atoms, MarchenkoPastur, eigenvalues
from replica.errors import DeclarationError
from replica.language.implicit import Implicit
from replica.language.spectral import Spectrum as Law
from replica.language.spectral import WeightedPoints
from replica.writing import excerpt

__all__ = ["RTransform", "Spectrum"]

_MOST = 400  # eigenvalues that are written out in an equation

_z = Dummy("z", real=True)


def Spectrum(law: Any) -> Law:
    """Return a law of eigenvalues: of a matrix, of given numbers, or with given weights.

    Parameters
    ----------
    law : mapping, or array of shape (k,) or (k, k)
        A mapping gives each eigenvalue its weight; both may be expressions in the controls. Of an
        array of one dimension every number has weight 1/k; of a symmetric matrix its eigenvalues
        are taken.

    Raises
    ------
    DeclarationError
        If weights do not sum to one, or there is nothing.
    ControlError
        If a matrix is not symmetric, or has a negative eigenvalue.

    Examples
    --------
    >>> from sympy import Symbol, symbols
    >>> alpha, x = symbols("alpha x", positive=True)
    >>> s = Symbol("s", real=True)
    >>> rows = Spectrum({1: alpha, 0: 1 - alpha})  # orthogonal rows, alpha of them per column
    >>> rows.average(1 / (s + x), s)
    alpha/(x + 1) + (1 - alpha)/x
    """
    if isinstance(law, Law):
        return law
    if isinstance(law, Mapping):
        pairs = [(sympify(k, strict=True), sympify(w, strict=True)) for k, w in law.items()]
        total = Add(*(weight for _, weight in pairs)).expand()
        if not pairs or (total - 1).is_zero is not True:
            raise DeclarationError(
                f"Spectrum: the weights of {dict(law)} sum to {total}, and must sum to one"
            )
        return Atoms(pairs)
    if np.ndim(law) == 2:
        return eigenvalues(law, name="the matrix of a spectrum")
    try:
        points = np.asarray(law, dtype=float)
    except (TypeError, ValueError):
        points = np.empty(0)
    if points.ndim != 1 or not points.size or not np.isfinite(points).all():
        raise DeclarationError(
            f"Spectrum takes eigenvalues, a symmetric matrix, or a mapping of eigenvalues to "
            f"weights, not {law!r}"
        )
    return WeightedPoints(points, np.full(points.size, 1 / points.size))


class RTransform:
    r"""R-transform of a law of eigenvalues, a function of s; that of a free sum is the sum.

    Parameters
    ----------
    law : Spectrum, or Expr
        An expression in `symbol` is the transform itself, such as ``v * s`` for a semicircle of
        variance v.
    symbol : Symbol, optional
        Of an expression.
    integral : Expr, optional
        Of an expression, its integral from zero, if that is needed.

    Raises
    ------
    DeclarationError
        If the law is none, or the sign of an argument is not known: a spectrum has two sides.

    References
    ----------
    Voiculescu, J. Funct. Anal. 66 (1986) 323.

    Examples
    --------
    >>> from sympy import Symbol, symbols
    >>> v, t = symbols("v t", positive=True)
    >>> s = Symbol("s", real=True)
    >>> both = RTransform(MarchenkoPastur(2)) + RTransform(v * s, s)
    >>> both(-t)
    -t*v + 1/(2*t + 1)
    """

    def __init__(
        self, law: Any, symbol: Symbol | None = None, *, integral: Expr | None = None
    ) -> None:
        self._parts: tuple[Any, ...]
        if symbol is not None:
            self._parts = (_Written(sympify(law, strict=True), symbol, integral),)
        elif isinstance(law, MarchenkoPastur):
            s, c = Dummy("s", real=True), law.ratio
            self._parts = (_Written(1 / (1 - c * s), s, -log(1 - c * s) / c),)
        elif isinstance(law, (Atoms, WeightedPoints)):
            self._parts = (_OfAtoms(_pairs(law)),)
        else:
            raise DeclarationError(
                f"RTransform takes a Spectrum, or an expression with its symbol, not {law!r}"
            )

    def __add__(self, other: RTransform) -> RTransform:
        """Return the transform of the free sum of two laws."""
        if not isinstance(other, RTransform):
            return NotImplemented
        return self._of(*self._parts, *other._parts)

    @classmethod
    def _of(cls, *parts: Any) -> RTransform:
        found = cls.__new__(cls)
        found._parts = parts
        return found

    def scaled(self, factor: Any) -> RTransform:
        """Return the transform of the law of `factor` times the eigenvalue, factor > 0."""
        return self._of(*(_Scaled(part, sympify(factor, strict=True)) for part in self._parts))

    def __call__(self, s: Any) -> Expr:
        """Return R(s)."""
        return Add(*(part.value(sympify(s, strict=True)) for part in self._parts))

    def integral(self, s: Any) -> Expr:
        r"""Return :math:`\int_0^s R(u)\, du`."""
        return Add(*(part.integral(sympify(s, strict=True)) for part in self._parts))

    def stieltjes(self, x: Any, branch: Any = None) -> Expr:
        r"""Return :math:`\langle 1/(x + \lambda) \rangle`, with -x on the left of the spectrum.

        Parameters
        ----------
        x : Expr
        branch : Interval or (low, high), optional
            In which it is the only root t of 1/t - R(-t) = x; by default (0, 1/x), enough where no
            eigenvalue is negative.
        """
        x, t = sympify(x, strict=True), Symbol("t", positive=True)
        ends = (S.Zero, 1 / x) if branch is None else branch
        return Implicit(t, 1 / t - self(-t) - x, branch=ends)


class _Written:
    """A transform that is an expression."""

    def __init__(self, expression: Expr, symbol: Symbol, integral: Expr | None) -> None:
        self.expression, self.symbol, self.whole = expression, symbol, integral

    def value(self, s: Expr) -> Expr:
        return self.expression.subs(self.symbol, s)

    def integral(self, s: Expr) -> Expr:
        if self.whole is None:
            raise DeclarationError(
                f"RTransform: the integral of {excerpt(self.expression)} was not given; state it "
                f"as RTransform(..., {self.symbol}, integral=...)"
            )
        whole = sympify(self.whole, strict=True)
        return whole.subs(self.symbol, s) - whole.subs(self.symbol, 0)


class _Scaled:
    def __init__(self, part: Any, factor: Expr) -> None:
        self.part, self.factor = part, factor

    def value(self, s: Expr) -> Expr:
        return self.factor * self.part.value(self.factor * s)

    def integral(self, s: Expr) -> Expr:
        return self.part.integral(self.factor * s)


class _OfAtoms:
    """The transform of finitely many eigenvalues: the root of G(z) = s, on one of two sides."""

    def __init__(self, pairs: list[tuple[Expr, Expr]]) -> None:
        self.pairs = pairs

    def _mean(self, function: Any) -> Expr:
        return Add(*(weight * function(place) for place, weight in self.pairs))

    def _distances(self, s: Expr) -> tuple[Expr, Any]:
        """Return |s|, and the distance of an eigenvalue from the root of G(z) = s."""
        places = [place for place, _ in self.pairs]
        if s.is_nonpositive:  # left of the spectrum: z = -x, and the mean of 1/(x + lambda) is -s
            away = self._mean(lambda place: 1 / (_z + place))
            x = Implicit(_z, away + s, branch=(-Min(*places), oo))
            return -s, lambda place: x + place
        if s.is_nonnegative:
            away = self._mean(lambda place: 1 / (_z - place))
            z = Implicit(_z, away - s, branch=(Max(*places), oo))
            return s, lambda place: z - place
        raise DeclarationError(
            f"RTransform: the sign of {s} is not known, and a spectrum has two sides; declare its "
            f"symbols as positive"
        )

    def value(self, s: Expr) -> Expr:
        size, distance = self._distances(s)
        return self._mean(lambda place: place / distance(place)) / size

    def integral(self, s: Expr) -> Expr:
        size, distance = self._distances(s)
        gain = self._mean(lambda place: place / distance(place))
        logs = self._mean(lambda place: log(size * distance(place)))
        return -logs - gain if s.is_nonpositive else gain - logs


def _pairs(law: Law) -> list[tuple[Expr, Expr]]:
    """Return eigenvalues and weights as expressions, those of no weight left out."""
    if isinstance(law, Atoms):
        return [(place, weight) for place, weight in law.args[0] if weight != 0]
    if len(law.points) > _MOST:
        raise DeclarationError(
            f"RTransform: {len(law.points)} eigenvalues are too many to write out, the most are "
            f"{_MOST}: take fewer, such as their quantiles"
        )
    return [(S(place), S(weight)) for place, weight in zip(law.points, law.weights, strict=True)]
