"""Integrals that are means in disguise: over a label, and Gaussian ones in closed form."""

from __future__ import annotations

from collections.abc import Callable

from sympy import (
    Abs,
    Add,
    Expr,
    Heaviside,
    Interval,
    Mul,
    S,
    Symbol,
    exp,
    factor,
    pi,
    powsimp,
    sign,
    sqrt,
    sympify,
)

from replica.errors import DeclarationError
from replica.language.means import Mean
from replica.language.primitives import LogH, PositivePart
from replica.language.scalar import Scalar

__all__ = ["LabelIntegral", "integrate_gaussian"]


def LabelIntegral(body: Scalar, binding: tuple[Symbol, Interval], scale: Scalar = 1) -> Expr:
    r"""Integral over a continuous label, :math:`\int dy\, f(y)`, as a mean by importance.

    .. math:: \int dy\, f(y)
              = E_{y \sim N(0, s^2)} \left[\sqrt{2 \pi}\, s\, e^{y^2 / 2 s^2} f(y)\right]

    The weight cancels that of the mean, so the scale s chooses the nodes and not the value.

    Parameters
    ----------
    body : Expr
        The integrand.
    binding : tuple of (Symbol, Interval)
        The label and its range: all reals, or a half-line from some number to infinity.
    scale : Expr
        Size of usual labels.

    Raises
    ------
    DeclarationError
        If the range is another one.

    Examples
    --------
    >>> from sympy import S, Symbol
    >>> y = Symbol("y", real=True)
    >>> LabelIntegral(exp(-(y**2)), (y, S.Reals))
    sqrt(2)*sqrt(pi)*Mean(exp(-y**2/2), (y, 1))
    """
    label, support = binding
    if not isinstance(support, Interval) or support.end is not S.Infinity:
        raise DeclarationError(
            f"LabelIntegral over {label}: the range is all reals or Interval(a, oo), not {support}"
        )
    width, body = sympify(scale, strict=True), sympify(body, strict=True)
    weight = sqrt(2 * pi) * width * exp(label**2 / (2 * width**2))
    if support.start is S.NegativeInfinity:
        return Mean(_times(body, weight), (label, width**2))
    if not support.start.is_number:
        raise DeclarationError(f"LabelIntegral over {label}: the range begins at {support.start}")
    folded = body.subs(label, support.start + Abs(label))
    return Mean(_times(folded, weight / 2), (label, width**2))


def _times(body: Expr, weight: Expr) -> Expr:
    """Multiply each term, all its exponentials in one, where the weight does not overflow."""

    def product(term: Expr) -> Expr:
        factors = Mul.make_args(term * weight)
        exponents = [f.args[0] for f in factors if isinstance(f, exp)]
        others = [f for f in factors if not isinstance(f, exp)]
        return Mul(*others, exp(Add(*exponents)))

    return Add(*(product(term) for term in Add.make_args(body)))


def integrate_gaussian(body: Scalar, field: Symbol, variance: Scalar) -> Expr:
    r"""Return the mean, in closed form where each side of a kink is a Gaussian in the field.

    .. math:: E_{x \sim N(0, v)}\, \theta(x - \kappa)\, e^{-a x^2/2 + b x + c}
              = \frac{e^{c + b^2 v / 2 (1 + a v)}}{\sqrt{1 + a v}}\,
                H\left(\frac{\kappa - \mu}{s}\right),
              \qquad s^2 = \frac{v}{1 + a v}, \quad \mu = b s^2

    Examples
    --------
    >>> from sympy import symbols
    >>> x, y = symbols("x y", real=True)
    >>> integrate_gaussian(exp(-((y - x) ** 2) / 2), x, 3)
    exp(-y**2/8)/2
    >>> integrate_gaussian(Heaviside(x - y), x, 1)
    exp(LogH(y))
    """
    body, variance = sympify(body, strict=True), sympify(variance, strict=True)
    if variance.is_zero:
        return body.subs(field, 0)
    total = S.Zero
    for term in Add.make_args(body):
        switches = [n for n in term.atoms(*_SWITCHES) if n.has_free(field)]
        places = {switch.args[0] for switch in switches}
        if not switches:
            found = _gaussian_integral(term, field, variance, None)
        elif len(places) == 1:
            (place,) = places
            sides = [
                _gaussian_integral(
                    term.xreplace({n: _SWITCHES[type(n)](place, side) for n in switches}),
                    field,
                    variance,
                    side * place,
                )
                for side in (1, -1)
            ]
            found = None if None in sides else Add(*sides)
        else:
            found = None
        total += Mean(term, (field, variance)) if found is None else found
    return total


# What a function with a kink at g = 0 equals beside it: `side` is 1 where g > 0, -1 where g < 0.
_SWITCHES: dict[type[Expr], Callable[[Expr, int], Expr]] = {
    Abs: lambda g, side: side * g,
    PositivePart: lambda g, side: g if side > 0 else S.Zero,
    Heaviside: lambda g, side: S.One if side > 0 else S.Zero,
    sign: lambda g, side: S(side),
}


def _gaussian_integral(
    term: Expr, field: Symbol, variance: Expr, positive: Expr | None
) -> Expr | None:
    """Return the mean of exp(quadratic) where `positive`, affine in the field, is so."""
    if term == 0:
        return S.Zero
    outside, inside = term.as_independent(field, as_Add=False)
    inside = powsimp(inside)
    if inside == 1:
        exponent = S.Zero
    elif isinstance(inside, exp) and inside.exp.is_polynomial(field):
        exponent = inside.exp
    else:
        return None
    coefficients = exponent.as_poly(field).all_coeffs()
    if len(coefficients) > 3 or (len(coefficients) == 3 and not coefficients[0].is_negative):
        return None
    a, b, c = [S.Zero] * (3 - len(coefficients)) + coefficients
    width = 1 - 2 * a * variance
    whole = outside * exp(factor(c + b**2 * variance / (2 * width))) / sqrt(width)
    if positive is None:
        return whole
    slope = positive.diff(field)
    if slope == 0 or slope.has_free(field):
        return None
    middle = factor(positive.subs(field, b * variance / width))
    return whole * exp(LogH(-middle / (Abs(slope) * sqrt(variance / width))))
