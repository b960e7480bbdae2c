r"""Activations of random features, and the Gaussian that is equivalent to each.

Features :math:`x = \sigma(u)` of a standard normal u have the same risk as Gaussian ones

.. math:: x = \kappa_0 + \kappa_1 u + \kappa_* z, \qquad \kappa_0 = E\sigma(u),\quad
          \kappa_1 = E\, u\, \sigma(u),\quad \kappa_*^2 = E\sigma(u)^2 - \kappa_0^2 - \kappa_1^2 .

References
----------
Goldt, Mezard, Krzakala & Zdeborova, Phys. Rev. X 10 (2020) 041044.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from sympy import (
    Expr,
    Rational,
    S,
    Symbol,
    SympifyError,
    asin,
    erf,
    pi,
    sign,
    sqrt,
    sympify,
    tanh,
)

from replica.blocks.block import Block
from replica.blocks.shipped import Shipped
from replica.errors import DeclarationError
from replica.language.means import Mean
from replica.language.primitives import PositivePart
from replica.language.rewriting import stabilise
from replica.language.scalar import Scalar
from replica.language.vocabulary import first_unknown_node

__all__ = ["Activation", "GaussianActivation"]

u = Symbol("u", real=True)


@dataclass(frozen=True)
class GaussianActivation(Block):
    r"""A function of a standard normal field, and the constants of its Gaussian equivalent.

    A block with an input and an output, the field and its function; the constants are averages
    over a field of unit variance.

    Attributes
    ----------
    name : str
    function : Expr
        In the field ``u`` of this module.
    kappa0, kappa1, second_moment : Expr
        :math:`E \sigma`, :math:`E u \sigma`, :math:`E \sigma^2`: closed forms or means.

    Examples
    --------
    >>> GaussianActivation.shipped["relu"].kappa1
    1/2
    """

    function: Expr
    kappa0: Expr
    kappa1: Expr
    second_moment: Expr

    shipped: ClassVar[Shipped[GaussianActivation]] = Shipped(
        "activation", "replica.blocks.activations"
    )

    @property
    def noise(self) -> Expr:
        r"""Return :math:`\kappa_*^2`, the part of the variance that is not linear."""
        return self.second_moment - self.kappa0**2 - self.kappa1**2

    @property
    def kappa_star(self) -> Expr:
        r"""Return :math:`\kappa_*`."""
        return sqrt(self.noise)


def Activation(function: Scalar, field: Symbol, name: str = "") -> GaussianActivation:
    r"""Return an activation of one's own from its expression.

    Parameters
    ----------
    function : Expr
        In `field`; not constant, of finite variance under a standard normal.
    field : Symbol
    name : str
        For tables and messages; the expression by default.

    Raises
    ------
    DeclarationError
        If it is not an expression in the field alone, is constant, or cannot be integrated.

    Examples
    --------
    >>> x = Symbol("x", real=True)
    >>> Activation(x**3, x).kappa1
    3
    """
    if not isinstance(field, Symbol):
        raise DeclarationError(f"Activation takes an expression and its field, not {field!r}")
    try:  # objects built in Python, never text
        body = sympify(function, strict=True)
    except SympifyError:
        body = None
    if not isinstance(body, Expr):
        raise DeclarationError(f"Activation takes a sympy expression, not {function!r}")
    body = stabilise(body.subs(field, u))
    label = name or str(body)
    loose = body.free_symbols - {u}
    if loose:
        raise DeclarationError(f"activation {label}: unbound symbol {', '.join(map(str, loose))}")
    if not body.has_free(u):
        raise DeclarationError(f"activation {label}: it is constant, so the features say nothing")
    unknown = first_unknown_node(body)
    if unknown is not None:
        raise DeclarationError(f"activation {label}: no numerical meaning for {unknown}")
    moments = [_moment(body), _moment(u * body), _moment(body**2)]
    return GaussianActivation(label, body, *moments)


def _moment(body: Expr) -> Expr:
    """Return the mean over the field: of polynomials exactly, of odd functions zero."""
    body = body.expand()
    if body.is_polynomial(u):
        coefficients = body.as_poly(u).all_coeffs()[::-1]
        return sum((c * _normal_moment(k) for k, c in enumerate(coefficients)), S.Zero)
    if (body.xreplace({u: -u}) + body).expand() == 0:
        return S.Zero
    return Mean(body, (u, S.One))


def _normal_moment(order: int) -> Expr:
    return S.Zero if order % 2 else sympify(math.prod(range(order - 1, 0, -2)))


def _sign() -> GaussianActivation:
    return GaussianActivation("sign", sign(u), S.Zero, sqrt(2 / pi), S.One)


def _erf() -> GaussianActivation:
    # erf(x), not erf(x / sqrt 2): a different model
    slope = 2 / sqrt(3 * pi)
    return GaussianActivation("erf", erf(u), S.Zero, slope, 2 / pi * asin(Rational(2, 3)))


def _relu() -> GaussianActivation:
    return GaussianActivation("relu", PositivePart(u), 1 / sqrt(2 * pi), S.Half, S.Half)


def _tanh() -> GaussianActivation:
    return Activation(tanh(u), u, "tanh")


BLOCKS = (_sign(), _erf(), _relu(), _tanh())
