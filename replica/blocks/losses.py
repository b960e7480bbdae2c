r"""Convex losses and penalties of risk minimisation, once for the theory and for instances.

The risk of weights w, with fields :math:`u_\mu = x_\mu \cdot w`, is the sum

.. math:: \sum_\mu \ell(y_\mu, u_\mu) + \lambda \sum_i r(w_i), \qquad
          r(w) = w^2 / 2 \ \text{or}\ |w|,

a sum over patterns and not their mean. All that the theory needs of a loss is its Moreau envelope.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import mpmath
import numpy as np
from sympy import (
    Abs,
    DiracDelta,
    Expr,
    Heaviside,
    Max,
    S,
    Symbol,
    SympifyError,
    exp,
    lambdify,
    log,
    oo,
    sqrt,
    sympify,
)

from replica.blocks.block import Block
from replica.blocks.shipped import Shipped
from replica.errors import DeclarationError
from replica.language.curves import Curve
from replica.language.envelope import MoreauEnvelope
from replica.language.excess import squared_excess
from replica.language.scalar import Scalar
from replica.writing import excerpt

__all__ = ["ConvexLoss", "Loss", "Penalty"]

_y, _u, _w = Symbol("y", real=True), Symbol("u", real=True), Symbol("w", real=True)
# Margins at which `beyond_zero` sums: dense where losses bend, sparse in their tails.
_LINE = np.concatenate([np.arange(0.001, 8, 0.05), np.geomspace(8, 100, 50)])


@dataclass(frozen=True)
class ConvexLoss(Block):
    r"""A loss :math:`\ell(y, u)` that is convex in the field u: a channel at zero temperature.

    With :math:`P(y|u) = e^{-\beta \ell(y, u)}` the log-partition at a variance :math:`V / \beta` is
    :math:`-\beta` times the Moreau envelope, as :math:`\beta` grows.

    Attributes
    ----------
    name : str
    expression : Expr
        In the symbols y and u.
    low : Expr
        The loss is infinite where y u is below: a constraint on the margin.
    marks : tuple
        Where the proximal map has structure (see `Curve`), if that is known exactly.

    Examples
    --------
    >>> ConvexLoss.shipped["hinge"](1, -2)
    3
    """

    expression: Expr
    low: Expr = -oo
    marks: tuple[object, ...] = ()

    shipped: ClassVar[Shipped[ConvexLoss]] = Shipped("loss", "replica.blocks.losses")

    def __call__(self, label: Scalar, field: Scalar) -> Expr:
        """Return the loss of a label and a field."""
        return self.expression.subs({_y: label, _u: field}, simultaneous=True)

    @cached_property
    def envelope(self) -> MoreauEnvelope:
        """The Moreau envelope, a function of label, omega and V."""
        return MoreauEnvelope(self)

    @property
    def is_constraint(self) -> bool:
        """Whether the loss is infinite below a margin."""
        return self.low.is_finite is True

    @property
    def is_coercive(self) -> bool:
        """Whether the loss rises on both sides, so that no margin is large enough."""
        return self.envelope.rises(S.One)

    @property
    def parabola(self) -> tuple[Expr, Expr]:
        """Curvature and minimum of the parabola that osculates the loss of y = 1 at u = 0.

        Where there is none, those of the square loss.
        """
        slope = self(S.One, _u).diff(_u)
        curvature = slope.diff(_u)
        at_zero = [part.subs(_u, 0) for part in (slope, curvature)]
        if any(part.is_positive is None or not part.is_finite for part in at_zero):
            return S.One, S.One
        first, second = at_zero
        smooth = second.is_positive and first.is_negative and not second.has(DiracDelta, Heaviside)
        return (second, -first / second) if smooth else (S.One, S.One)

    @cached_property
    def beyond_zero(self) -> tuple[float, float, float] | None:
        r"""Sums over the side of the right sign, u > 0: of the loss, its slope, and its square.

        :math:`\int_0^\infty \ell\, du, \ \int_0^\infty \ell''\, du, \ \int_0^\infty \ell'^2\, du`
        of y = 1, to a few digits; None where the loss does not vanish at large u.
        """
        if self.is_constraint or self.is_coercive:
            return None
        slope = self(S.One, _u).diff(_u)
        compiled = lambdify(_u, (self(S.One, _u), slope), modules="mpmath")
        values = [[float(part) for part in compiled(mpmath.mpf(u))] for u in _LINE]
        loss, fall = np.array(values).T
        if not np.isfinite(values).all() or abs(loss[-1]) > 1e-6:
            return None
        area, square = (float(np.trapezoid(part, _LINE)) for part in (loss, fall**2))
        return area, float(-fall[0]), square


def Loss(expression: Scalar, y: Symbol, u: Symbol, name: str = "") -> ConvexLoss:
    r"""Return a loss of one's own, :math:`\ell(y, u)`, from an expression.

    Parameters
    ----------
    expression : Expr
        In the symbols of label and field; convex in the field. It may have kinks: ``Max``,
        ``Abs``, ``Piecewise``.
    y, u : Symbol
        The symbols of label and field in it, real.
    name : str
        For tables and messages.

    Raises
    ------
    DeclarationError
        If it is not convex, naming where, or has other symbols.

    Examples
    --------
    >>> from sympy import Max, exp, symbols
    >>> y, u = symbols("y u", real=True)
    >>> squared_hinge = Loss(Max(0, 1 - y * u) ** 2, y=y, u=u)
    >>> omega, V = Symbol("omega", real=True), Symbol("V", positive=True)
    >>> squared_hinge.envelope.proximal(1, omega, V)
    -PositivePart(1 - (2*V + omega)/(2*V + 1)) + PositivePart(omega - 1) + 1
    >>> Loss(-exp(-(u**2)), y=y, u=u)
    Traceback (most recent call last):
    ...
    replica.errors.DeclarationError: the loss -exp(-u**2) is not convex: its curvature is ...
    """
    if not isinstance(y, Symbol) or not isinstance(u, Symbol) or y == u:
        raise DeclarationError("Loss takes an expression and two different symbols, y= and u=")
    try:
        stated = sympify(expression, strict=True)
    except SympifyError:
        stated = None
    if not isinstance(stated, Expr):
        raise DeclarationError(f"Loss takes a sympy expression, not {expression!r}")
    own = stated.subs({y: _y, u: _u}, simultaneous=True)
    loose = sorted(map(str, own.free_symbols - {_y, _u}))
    if loose:
        raise DeclarationError(f"Loss: unbound symbol {', '.join(loose)} in {excerpt(stated)}")
    if not own.has_free(_u):
        raise DeclarationError(f"Loss: {excerpt(stated)} does not depend on the field {u}")
    found = ConvexLoss(name or str(stated), own)
    for label in (S.One, S.NegativeOne):
        found.envelope(label, Symbol("omega", real=True), Symbol("V", positive=True))
    return found


def Square() -> ConvexLoss:
    """Return (y - u)^2 / 2: ridge regression."""
    return ConvexLoss("square", (_y - _u) ** 2 / 2)


def Logistic() -> ConvexLoss:
    r"""Return log(1 + e^(-y u)).

    Its proximal map has branch points where :math:`1 + V \ell'' = 0`, at a distance pi from the
    real line and, along it, at :math:`\pm [a + V / (e^a - 1)]` and its mirror image in -V/2.
    """
    a = 2 * log((sqrt(Curve.V) + sqrt(Curve.V + 4)) / 2)  # cosh a = 1 + V/2
    marks = ((a + Curve.V / (exp(a) - 1), 2), (-a - Curve.V / (1 - exp(-a)), 2))
    return ConvexLoss("logistic", log(1 + exp(-_y * _u)), marks=marks)


def Hinge() -> ConvexLoss:
    """Return max(0, 1 - y u): support vector machines."""
    return ConvexLoss("hinge", Max(0, 1 - _y * _u))


def Absolute() -> ConvexLoss:
    """Return |y - u|: least absolute deviations."""
    return ConvexLoss("absolute", Abs(_y - _u))


def Huber(width: Scalar = 1) -> ConvexLoss:
    """Return (y - u)^2 / 2 within `width` of the label, and its tangents beyond.

    Examples
    --------
    >>> Huber(2)(0, 5)
    8
    """
    width = sympify(width, strict=True)
    if not (width.is_number and width.is_positive):
        raise DeclarationError(f"the width of the Huber loss must be positive, not {width}")
    excess = Max(0, Abs(_y - _u) - width)
    name = "huber" if width == 1 else f"huber({width})"
    return ConvexLoss(name, (_y - _u) ** 2 / 2 - excess**2 / 2)


def HardMargin() -> ConvexLoss:
    """Return zero where y u > 1 and infinity elsewhere: the classifier of largest margin."""
    return ConvexLoss("max-margin", S.Zero, low=S.One)


@dataclass(frozen=True)
class Penalty(Block):
    r"""A penalty of the weights, :math:`\lambda\, r(w)`: a prior at zero temperature.

    Attributes
    ----------
    name : str
        The shipped ones are ``"l2"`` for :math:`r = w^2/2` and ``"l1"`` for :math:`r = |w|`.
    expression : Expr
        r in the symbol w.
    free_energy : callable
        ``(variance, stiffness, strength) -> Expr``: the mean over h ~ N(0, variance) of
        :math:`\min_w [\hat V w^2 / 2 - h w + \lambda r(w)]`, stiffness being :math:`\hat V`.

    Examples
    --------
    >>> Penalty.shipped["l2"].free_energy(3, S.One, 2)
    -1/2
    """

    expression: Expr
    free_energy: Callable[[object, object, object], Expr]

    shipped: ClassVar[Shipped[Penalty]] = Shipped("penalty", "replica.blocks.losses")

    def __call__(self, weight: Scalar) -> Expr:
        """Return the penalty of a weight, in units of its strength."""
        return self.expression.subs(_w, weight)


def _quadratic(variance: Scalar, stiffness: Scalar, strength: Scalar) -> Expr:
    return -variance / (2 * (strength + stiffness))


def _absolute(variance: Scalar, stiffness: Scalar, strength: Scalar) -> Expr:
    return -variance * squared_excess(strength / sqrt(variance)) / stiffness


BLOCKS = (
    Square(),
    Logistic(),
    Hinge(),
    Absolute(),
    Huber(),
    HardMargin(),
    Penalty("l2", _w**2 / 2, _quadratic),
    Penalty("l1", Abs(_w), _absolute),
)
