r"""Where an integrand has structure: centre and width of each feature along a Gaussian field.

Every function of an argument affine in the field, :math:`a x + b`, has its structure at
:math:`-b/a` over a width :math:`1/|a|`; a kink (sign, abs, max) sits at the same place with no
width; the exponential of a quadratic form has its vertex and its own width. An inner field z of
variance v that enters the same argument with slope a_z blurs the structure to
:math:`\sqrt{1 + a_z^2 v} / |a|`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations, islice
from typing import Any

from sympy import (
    Abs,
    Add,
    Basic,
    Expr,
    Function,
    Heaviside,
    Max,
    Min,
    Pow,
    S,
    Symbol,
    exp,
    expand,
    log,
    sign,
    sqrt,
)

from replica.language.bivariate import BIVARIATE, LogBivariateNormalCDF
from replica.language.curves import Proximal
from replica.language.kinks import branches, places, vanishes
from replica.language.logmeans import LogMean, TiltedMean
from replica.language.means import Mean
from replica.language.minima import LowestPoint, LowestValue
from replica.language.primitives import (
    Clip,
    LogH,
    LogHDifference,
    LogSumExp,
    PositivePart,
    Primitive,
    Softmax,
)
from replica.language.tilted import ExponentialWeight, IntervalWeight

__all__ = ["Feature", "find_features", "has_kink"]

_MOST_BRANCHES = 64  # of one argument
_DIGITS = 37  # of a double in powers of e: log(2**53)

KINKS = (Abs, Heaviside, Max, Min, PositivePart, sign)


@dataclass(frozen=True)
class Feature:
    """Place of a feature along a field and half its width; width zero is a kink.

    A feature inside an exponential *tilts* the Gaussian: it can move all the weight of the
    integral towards itself, however far in the tail it lies.
    """

    centre: Expr
    width: Expr
    tilts: bool = False


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
    >>> find_features((LogH((kappa - u) / 2),), u)
    (Feature(centre=kappa, width=2, tilts=False),)
    """
    found: dict[Feature, None] = {}
    seen: set[Any] = set()
    for body in bodies:
        _walk(body, field, {}, found, seen, tilts=False)
    return tuple(found)


def _walk(
    node: Basic,
    field: Symbol,
    inner: dict[Symbol, Expr],
    found: dict[Feature, None],
    seen: set[Any],
    *,
    tilts: bool,
) -> None:
    # derivatives of means in means repeat the same nodes many times
    visit = node, tuple(inner.items()), tilts
    if visit in seen:
        return
    seen.add(visit)
    if not node.has_free(field):
        return
    if isinstance(node, Mean):
        if node.variance.has_free(field):  # such a mean changes where the variance is about one
            for feature in _of_argument(node.variance, field, inner, smooth=True):
                usual = feature and _at_usual_fields(feature, field, inner)
                if usual is not None:
                    found.setdefault(usual)
        # an exponential in the inner mean tilts the inner field, not this one
        _walk(node.body, field, {**inner, node.field: node.variance}, found, seen, tilts=False)
        return
    if isinstance(node, (LogMean, TiltedMean)):
        within: dict[Feature, None] = {}
        visited: set[Any] = set()  # what was found elsewhere is not among those within
        around = {**inner, node.field: node.variance}
        for part in (node.variance, node.power, node.args[0]):
            _walk(part, field, around, within, visited, tilts=False)
        for feature in within:  # the weight turns from one side to another in a power-th of that
            found.setdefault(feature)
            found.setdefault(replace(feature, width=feature.width / (1 + Abs(node.power))))
        return
    if isinstance(node, exp):
        # exp(LogH), a probability, is at most one: it moves no weight into the tails
        plain = isinstance(node.args[0], (LogH, LogHDifference))
        tilts = not inner and not plain and not node.args[0].has(ExponentialWeight, IntervalWeight)
    for feature in _of_node(node, field, inner):
        found.setdefault(replace(feature, tilts=tilts))
    for argument in node.args:
        _walk(argument, field, inner, found, seen, tilts=tilts)


def _of_node(node: Basic, field: Symbol, inner: dict[Symbol, Expr]) -> list[Feature]:
    """Return the features that this node itself brings."""
    features: list[Feature | None] = []
    if isinstance(node, exp):
        features = [_of_gaussian(node.args[0], field, inner)]
    elif isinstance(node, (LogSumExp, Softmax)):
        for one, two in combinations(node.args, 2):
            features += [_of_crossing(one, two, field, inner)]
            features += _of_argument(one - two, field, inner, smooth=True)
    elif isinstance(node, KINKS):
        pairs = combinations(node.args, 2)
        joins = isinstance(node, (Max, Min))
        zeros = [one - two for one, two in pairs] if joins else [node.args[0]]
        for zero in zeros:
            features += _of_zeros(zero, field, inner)
    elif isinstance(node, Clip):
        for end in node.args[1:]:
            features += _of_zeros(node.args[0] - end, field, inner)
    elif isinstance(node, Proximal):
        curve, argument, V = node.args
        for centre, width in curve.features(V):
            for feature in _of_argument(argument - centre, field, inner, smooth=True):
                if feature is not None:
                    features.append(replace(feature, width=width * feature.width))
    elif isinstance(node, (LowestPoint, LowestValue)):
        for argument in node.values:
            features += _of_argument(argument, field, inner, smooth=True)
        for argument in node.args[0].switches(node.values) or ():
            features += _of_zeros(argument, field, inner)
    elif isinstance(node, log) or (isinstance(node, Pow) and not node.exp.is_Integer):
        features = _of_singular(node.args[0], field, inner)
    elif isinstance(node, Pow) and node.exp.is_negative:
        features = _of_singular(node.base, field, inner)
    elif isinstance(node, Primitive) and node.places():
        for place, width in node.places():
            for feature in _of_argument(place / width, field, inner, smooth=True):
                features.append(feature)
    elif isinstance(node, Function):
        if isinstance(node, BIVARIATE):
            features += [_of_corner(node.args[0], node.args[1], field, inner)]
        for argument in node.args:
            for branch in _branches(argument, field):
                features += _of_argument(branch, field, inner, smooth=True)
    usual = [_at_usual_fields(feature, field, inner) for feature in features if feature is not None]
    return [feature for feature in usual if feature is not None]


def _at_usual_fields(feature: Feature, field: Symbol, inner: dict[Symbol, Expr]) -> Feature | None:
    """Return the feature where the inner fields are zero, over its width at their usual sizes.

    A place that other fields move has no number of its own: it is looked for where it is centred.
    None if it is off the real line.
    """
    centre, width = feature.centre, feature.width
    if centre.is_real is False or width.is_real is False:
        return None
    if not (centre.has_free(*inner) or width.has_free(field, *inner)):
        return feature
    centre = centre.xreplace(dict.fromkeys(inner, S.Zero))
    for _ in inner:  # the size of one field may depend on another
        width = width.xreplace({other: sqrt(variance) for other, variance in inner.items()})
    width = width.xreplace({field: centre})
    if centre.has(S.NaN, S.ComplexInfinity) or width.has(S.NaN, S.ComplexInfinity):
        return None
    return replace(feature, centre=centre, width=width)


def _of_zeros(zero: Expr, field: Symbol, inner: dict[Symbol, Expr]) -> list[Feature | None]:
    """Return where an expression vanishes, on each of its smooth branches: kinks."""
    features: list[Feature | None] = []
    for branch, _ in islice(branches(zero, field), _MOST_BRANCHES):
        known = _of_argument(branch, field, inner, smooth=False)
        if known == [None] and not branch.has_free(*inner):
            known = [Feature(place.at, S.Zero) for place in places(branch, field) or ()]
        features += known
    return features


def _branches(argument: Expr, field: Symbol) -> list[Expr]:
    """Return the smooth branches of an argument with kinks inside, such as a(|x| - 1)."""
    return [branch for branch, _ in islice(branches(argument, field), _MOST_BRANCHES)]


def _at_origin(expression: Expr, field: Symbol, inner: dict[Symbol, Expr]) -> Expr:
    return expression.xreplace({field: S.Zero, **dict.fromkeys(inner, S.Zero)})


def _of_argument(
    argument: Expr, field: Symbol, inner: dict[Symbol, Expr], *, smooth: bool
) -> list[Feature | None]:
    """Return the zeros of an affine argument, or the real roots and vertex of a quadratic one."""
    affine = _of_affine(argument, field, inner, smooth=smooth)
    # an inner field shifts the zeros: take those where that field is zero
    coefficients = _quadratic(argument.xreplace(dict.fromkeys(inner, S.Zero)), field)
    if affine is not None or coefficients is None:
        return [affine]
    a, b, c = coefficients
    vertex, root = -b / (2 * a), sqrt(b**2 - 4 * a * c)  # NaN where there is no real zero
    # a double zero: the argument does not change sign
    if root == 0 or (not smooth and vanishes(b**2 - 4 * a * c, S.One)):
        return [Feature(vertex, 1 / sqrt(Abs(a)) if smooth else S.Zero)]
    width = 1 / Abs(root) if smooth else S.Zero
    zeros = [Feature(vertex + side * root / (2 * a), width) for side in (1, -1)]
    return [*zeros, Feature(vertex, 1 / sqrt(Abs(a)))] if smooth else list(zeros)


def _of_singular(base: Expr, field: Symbol, inner: dict[Symbol, Expr]) -> list[Feature | None]:
    """Return where a base comes nearest to zero, and how near in the complex plane."""
    coefficients = _quadratic(base.xreplace(dict.fromkeys(inner, S.Zero)), field)
    if coefficients is None:
        return []
    a, b, c = coefficients
    return [Feature(-b / (2 * a), sqrt(Abs(4 * a * c - b**2)) / (2 * Abs(a)))]


def _quadratic(expression: Expr, field: Symbol) -> tuple[Expr, Expr, Expr] | None:
    """Return the coefficients of a polynomial of degree two, free of any other field."""
    if not expression.has_free(field) or expression.atoms(Mean):
        return None
    if not expression.is_polynomial(field):
        return None
    polynomial = expression.as_poly(field)
    if polynomial is None or polynomial.degree() != 2:
        return None
    a, b, c = polynomial.all_coeffs()
    return a, b, c


def _of_affine(
    argument: Expr, field: Symbol, inner: dict[Symbol, Expr], *, smooth: bool
) -> Feature | None:
    slope = argument.diff(field)
    if slope == 0 or slope.has_free(field):
        return None
    if slope.has_free(*inner):  # a product with an inner field: it vanishes with either
        if argument.subs(field, 0) != 0:
            return None
        return Feature(S.Zero, _width_of_product(slope, inner) if smooth else S.Zero)
    spread = S.One if smooth else S.Zero
    for other, variance in inner.items():
        tilt = argument.diff(other)
        if tilt.has_free(field, *inner) or variance.has_free(field, *inner):
            return None
        spread += tilt**2 * variance
    centre = -_at_origin(argument, field, inner) / slope
    return Feature(centre, sqrt(spread) / Abs(slope))


def _of_corner(one: Expr, two: Expr, field: Symbol, inner: dict[Symbol, Expr]) -> Feature | None:
    """Return where both arguments vanish: there an inner field blurs nothing.

    A probability of two fields changes along two lines; where they cross, the mean over the other
    field changes over the width of the lines.
    """
    for other in inner:
        slopes = one.diff(other), two.diff(other)
        if 0 in slopes or any(s.has_free(field, *inner) for s in slopes):
            continue
        across = (one * slopes[1] - two * slopes[0]) / sqrt(slopes[0] ** 2 + slopes[1] ** 2)
        return _of_affine(expand(across), field, {}, smooth=True)
    return None


def _width_of_product(slope: Expr, inner: dict[Symbol, Expr]) -> Expr:
    """Return 1/|slope| at the usual size of the inner fields."""
    usual = {other: sqrt(variance) for other, variance in inner.items()}
    return 1 / Abs(slope.xreplace(usual))


def _of_crossing(one: Expr, two: Expr, field: Symbol, inner: dict[Symbol, Expr]) -> Feature | None:
    """Return where two exponents cross: there their sum turns from one to the other.

    Two tails ``LogH(x)`` and ``LogH(y)`` cross where x = y, over a width that shrinks as the
    square of the width of each: it would be missed among the features of the tails.
    """
    difference = one - two
    direct = _of_affine(difference, field, inner, smooth=True)
    if direct is not None:
        return direct
    if isinstance(one, LogBivariateNormalCDF) and isinstance(two, LogBivariateNormalCDF):
        return _of_quadrants(one, two, field, inner)
    same = isinstance(one, Function) and one.func is two.func and len(one.args) == 1
    if not same:
        # tails next to Gaussian exponents shift their crossing little, and are left out
        terms = Add.make_args(expand(difference.xreplace(_without_tails(difference))))
        rest = Add(*(term for term in terms if term.has_free(field)))
        return _of_affine(rest, field, inner, smooth=True)
    crossing = _of_affine(one.args[0] - two.args[0], field, inner, smooth=True)
    if crossing is None:
        return None
    at_crossing = _at_origin(difference.diff(field).subs(field, crossing.centre), field, inner)
    return Feature(crossing.centre, 1 / Abs(at_crossing))


def _of_quadrants(one: Expr, two: Expr, field: Symbol, inner: dict[Symbol, Expr]) -> Feature | None:
    """Return where two quadrants that are mirror images have the same mass.

    Far in the tails they cross steeply, but carry no mass there: what is smaller by A is seen to
    the last digit with a width log(1/unit) / log(A/unit) times as large.
    """
    h, k, rho = one.args
    if rho != two.args[2]:
        return None
    for other in (two.args[:2], two.args[1::-1]):
        first, second = (expand(a - b) for a, b in zip((h, k), other, strict=True))
        crossing = _of_affine(first, field, {}, smooth=True)
        if crossing is not None and expand(second.subs(field, crossing.centre)) == 0:
            at = {field: crossing.centre}
            slope = (one - two).diff(field).subs(at)
            if slope == 0:
                return None
            seen = PositivePart(1 + one.subs(at) / _DIGITS)
            return Feature(crossing.centre, 1 / (Abs(slope) * seen))
    return None


def _without_tails(expression: Expr) -> dict[Expr, Expr]:
    return {node: S.Zero for node in expression.atoms(LogH, LogHDifference)}


def _of_gaussian(exponent: Expr, field: Symbol, inner: dict[Symbol, Expr]) -> Feature | None:
    """Return the vertex and width of exp(quadratic); ramps max(0, a) count as their argument."""
    smooth = exponent.replace(
        lambda node: isinstance(node, (Max, Min, PositivePart)),
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
