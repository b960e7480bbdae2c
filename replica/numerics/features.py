r"""Where an integrand has structure: centre and width of each feature along a Gaussian field.

Every function of an argument affine in the field, :math:`a x + b`, has its structure at
:math:`-b/a` over a width :math:`1/|a|`; a kink (sign, abs, max) sits at the same place with no
width; the exponential of a quadratic form has its vertex and its own width. An inner field z of
variance v that enters the same argument with slope a_z blurs the structure to
:math:`\sqrt{1 + a_z^2 v} / |a|`.
"""

from __future__ import annotations

from dataclasses import dataclass

from sympy import (
    Abs,
    Add,
    Basic,
    Expr,
    Function,
    Heaviside,
    Max,
    Min,
    S,
    Symbol,
    exp,
    sign,
    sqrt,
)

from replica.language.means import Mean

__all__ = ["Feature", "find_features", "has_kink"]

KINKS = (Abs, Heaviside, Max, Min, sign)


@dataclass(frozen=True)
class Feature:
    """Place of a feature along a field and half its width; width zero is a kink."""

    centre: Expr
    width: Expr


def has_kink(features: tuple[Feature, ...]) -> bool:
    """Tell whether one of `features` is a kink, which forces panels."""
    return any(feature.width == 0 for feature in features)


def find_features(bodies: tuple[Expr, ...], field: Symbol) -> tuple[Feature, ...]:
    """Return the features of `bodies` along `field`, each once.

    Examples
    --------
    >>> from sympy import symbols
    >>> from replica.language.primitives import LogH
    >>> u, kappa, q = symbols("u kappa q", real=True)
    >>> find_features((LogH((kappa - u) / sqrt(1 - q)),), u)
    (Feature(centre=kappa, width=sqrt(1 - q)),)
    """
    found: dict[Feature, None] = {}
    for body in bodies:
        _walk(body, field, {}, found)
    return tuple(found)


def _walk(
    node: Basic, field: Symbol, inner: dict[Symbol, Expr], found: dict[Feature, None]
) -> None:
    if not node.has_free(field):
        return
    if isinstance(node, Mean):
        _walk(node.body, field, {**inner, node.field: node.variance}, found)
        return
    if isinstance(node, exp):
        _add(_of_gaussian(node.args[0], field, inner), found)
    elif isinstance(node, (Max, Min)):
        first = node.args[0]
        for other in node.args[1:]:
            _add(_of_affine(other - first, field, inner, smooth=False), found)
    elif isinstance(node, KINKS):
        _add(_of_affine(node.args[0], field, inner, smooth=False), found)
    elif isinstance(node, Function):
        for argument in node.args:
            _add(_of_affine(argument, field, inner, smooth=True), found)
    for argument in node.args:
        _walk(argument, field, inner, found)


def _add(feature: Feature | None, found: dict[Feature, None]) -> None:
    if feature is not None:
        found.setdefault(feature)


def _at_origin(expression: Expr, field: Symbol, inner: dict[Symbol, Expr]) -> Expr:
    return expression.xreplace({field: S.Zero, **dict.fromkeys(inner, S.Zero)})


def _of_affine(
    argument: Expr, field: Symbol, inner: dict[Symbol, Expr], *, smooth: bool
) -> Feature | None:
    slope = argument.diff(field)
    if slope == 0 or slope.has_free(field, *inner):
        return None
    spread = S.One if smooth else S.Zero
    for other, variance in inner.items():
        tilt = argument.diff(other)
        if tilt.has_free(field, *inner) or variance.has_free(field, *inner):
            return None
        spread += tilt**2 * variance
    centre = -_at_origin(argument, field, inner) / slope
    return Feature(centre, sqrt(spread) / Abs(slope))


def _of_gaussian(exponent: Expr, field: Symbol, inner: dict[Symbol, Expr]) -> Feature | None:
    """Return the vertex and width of exp(quadratic); ramps max(0, a) count as their argument."""
    smooth = exponent.replace(
        lambda node: isinstance(node, (Max, Min)),
        lambda node: Add(*(argument for argument in node.args if argument.has_free(field))),
    )
    if not smooth.is_polynomial(field):
        return None
    curvature = smooth.diff(field, 2)
    if curvature == 0 or curvature.has_free(field, *inner):
        return None
    spread = 1 / Abs(curvature)
    for other, variance in inner.items():
        tilt = smooth.diff(field, other) / curvature
        if tilt.has_free(field, *inner) or variance.has_free(field, *inner):
            return None
        spread += tilt**2 * variance
    centre = -_at_origin(smooth.diff(field), field, inner) / curvature
    return Feature(centre, sqrt(spread))
