r"""Moreau envelopes of convex losses as nodes, with derivatives through the proximal point.

.. math:: \mathcal M_y(\omega, V) = \min_x \Big[ \frac{(x - \omega)^2}{2V} + \ell(y, x) \Big]

is what a pattern costs when risk is minimised: omega is the field without it and V the response.
With the minimiser :math:`\eta(\omega, V)`, the proximal point,

.. math:: \partial_\omega \mathcal M = \frac{\omega - \eta}{V} = \ell'(y, \eta), \qquad
          \partial_V \mathcal M = -\tfrac12 (\partial_\omega \mathcal M)^2, \qquad
          \partial_\omega \eta = \frac{1}{1 + V \ell''(y, \eta)}.

The loss is a `Curve`, cut at its kinks into smooth pieces: square, hinge, absolute and Huber losses
need no iteration.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sympy import (
    Expr,
    S,
    Symbol,
    oo,
    sympify,
)
from sympy.core.function import ArgumentIndexError

from replica.errors import DeclarationError
from replica.language.curves import Curve, same, t
from replica.language.primitives import Primitive
from replica.language.rewriting import stabilise
from replica.language.scalar import Scalar
from replica.writing import excerpt

__all__ = ["Envelope", "MoreauEnvelope", "unfold"]


class Envelope(Primitive):
    r"""Moreau envelope of a curve, :math:`\min_x [(x - \omega)^2 / 2V + g(x)]`.

    Examples
    --------
    >>> from sympy import Symbol
    >>> omega, V = Symbol("omega", real=True), Symbol("V", positive=True)
    >>> square = Envelope(Curve(t**2 / 2), omega, V)
    >>> square.diff(omega), square.diff(V)
    (omega/(V + 1), -omega**2/(2*(V + 1)**2))
    """

    nargs = 3
    latex_name = r"\mathcal{M}"

    def slope(self) -> Expr:
        """Return the derivative in omega, the slope of the curve at the proximal point."""
        curve, omega, V = self.args
        return curve.slope_at_proximal(omega, V)

    def proximal(self) -> Expr:
        """Return the proximal point."""
        curve, omega, V = self.args
        return curve.proximal(omega, V)

    def value(self) -> Expr:
        """Return the curve at the proximal point."""
        curve, omega, V = self.args
        return curve.value_at_proximal(omega, V)

    def explicit(self) -> Expr:
        """Return the envelope in terms of the proximal point."""
        return self.args[2] * self.slope() ** 2 / 2 + self.value()

    def fdiff(self, argindex: int = 2) -> Expr:  # noqa: D102
        if argindex == 2:
            return self.slope()
        if argindex == 3:
            return -(self.slope() ** 2) / 2
        raise ArgumentIndexError(self, argindex)


class MoreauEnvelope:
    r"""Envelope of a loss of label and field, :math:`\mathcal M_y(\omega, V)`.

    Parameters
    ----------
    loss : callable
        ``loss(y, u) -> Expr``. It may have attributes `low` (the loss is infinite where y u is
        below) and `marks` (see `Curve`).

    Examples
    --------
    >>> from sympy import Max, Symbol
    >>> omega, V = Symbol("omega", real=True), Symbol("V", positive=True)
    >>> hinge = MoreauEnvelope(lambda y, u: Max(0, 1 - y * u))
    >>> hinge.slope(1, omega, V)
    Clip((omega - 1)/V, -1, 0)
    """

    def __init__(self, loss: Callable[[Scalar, Scalar], Expr]) -> None:
        self.loss = loss
        self.low = getattr(loss, "low", -oo)
        self.marks = tuple(getattr(loss, "marks", ()))
        self._curves: dict[Any, Curve] = {}

    def __call__(self, y: Scalar, omega: Scalar, V: Scalar) -> Expr:
        """Return the envelope as a node, which is differentiated like any function."""
        return self._node(y, omega, V)[0]

    def slope(self, y: Scalar, omega: Scalar, V: Scalar) -> Expr:
        """Return the derivative in omega, minus the force on the field."""
        node, side, _ = self._node(y, omega, V)
        return side * node.slope()

    def proximal(self, y: Scalar, omega: Scalar, V: Scalar) -> Expr:
        """Return the minimiser."""
        node, side, shift = self._node(y, omega, V)
        return side * node.proximal() + shift

    def value(self, y: Scalar, omega: Scalar, V: Scalar) -> Expr:
        """Return the loss at the minimiser."""
        return self._node(y, omega, V)[0].value()

    @property
    def is_smooth(self) -> bool:
        """Whether the loss of the label one has no kink."""
        return self._curve(S.One).is_smooth

    @property
    def has_corner(self) -> bool:
        """Whether the slope of the loss of the label one jumps somewhere."""
        return self._curve(S.One).has_corner

    def rises(self, y: Scalar) -> bool:
        """Tell whether the loss of a label grows with a large field of that sign."""
        last = self._curve(sympify(y, strict=True)).pieces[-1]
        return bool(last.slope(last.low + 200 if last.low.is_finite else S(200)) > 0)

    def _node(self, y: Scalar, omega: Scalar, V: Scalar) -> tuple[Envelope, Expr, Expr]:
        """Return the node, and the sign and shift that lead from its variable to the field."""
        y = sympify(y, strict=True)
        if not y.is_number:
            return Envelope(self._of_residual(), omega - y, V), S.One, y
        if self._is_odd(y):  # a function of y u alone: both labels share the curve
            return Envelope(self._curve(S.One), -omega, V), S.NegativeOne, S.Zero
        return Envelope(self._curve(y), sympify(omega, strict=True), V), S.One, S.Zero

    def _curve(self, y: Expr) -> Curve:
        if y not in self._curves:
            low = self.low if y == 1 else -oo
            self._curves[y] = Curve(self.loss(y, t), low, oo, self.marks if y == 1 else ())
        return self._curves[y]

    def _is_odd(self, y: Expr) -> bool:
        return bool(y == -1 and same(self.loss(y, t), self.loss(S.One, -t), t))

    def _of_residual(self) -> Curve:
        label = Symbol("label", real=True)
        curve = self.loss(S.Zero, t)
        if not same(self.loss(label, t + label), curve, t, label):
            raise DeclarationError(
                f"the loss {excerpt(self.loss(Symbol('y'), Symbol('u')))} is no function of the "
                f"residual y - u, which continuous labels need: take a square, absolute or huber "
                f"loss, or a teacher with labels -1 and 1"
            )
        key = "residual"
        if key not in self._curves:
            self._curves[key] = Curve(curve)
        return self._curves[key]


def unfold(expression: Expr) -> Expr:
    """Return the same with envelopes in terms of proximal points, for the numerics.

    Examples
    --------
    >>> from sympy import Symbol
    >>> omega, V = Symbol("omega", real=True), Symbol("V", positive=True)
    >>> unfold(Envelope(Curve(t**2 / 2), omega, V))
    V*omega**2/(2*(V + 1)**2) + omega**2/(2*(V + 1)**2)
    """
    if not expression.has(Envelope):
        return expression
    return expression.replace(
        lambda node: isinstance(node, Envelope), lambda node: stabilise(node.explicit())
    )
