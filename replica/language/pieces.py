r"""Piecewise quadratic functions of a Gaussian field, with places that are expressions.

What is left of a potential where a temperature vanishes is often of this kind: in it, kinks at the
roots of a quadratic are resolved into kinks of affine arguments, and the logarithm of the mean of
its exponential is known,

.. math:: \log E_{z\sim N(0,v)}\, \theta(a < z < b)\, e^{A z^2 + B z + C}
          = C + \tfrac12 B^2 s - \tfrac12 \log(1 - 2 A v)
          + \log\Big[H\Big(\frac{a - B s}{\sqrt s}\Big) - H\Big(\frac{b - B s}{\sqrt s}\Big)\Big],
          \quad s = \frac{v}{1 - 2 A v}.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sympy import (
    Abs,
    Add,
    Dummy,
    Expr,
    Heaviside,
    Max,
    Min,
    Mul,
    Pow,
    S,
    Symbol,
    count_ops,
    exp,
    expand,
    factor,
    log,
    oo,
    sign,
    sqrt,
    sqrtdenest,
    together,
)

from replica.language.logmeans import LogMean
from replica.language.means import BoundMean, Mean
from replica.language.primitives import LogH, LogHDifference, LogSumExp, PositivePart

__all__ = ["tidied"]

_LARGEST = 400  # operations of an expression that is worth the search for a simpler form


class _Undecided(Exception):
    """The order of two places, or a sign, does not follow from what is known of the symbols."""


def tidied(expression: Expr) -> Expr:
    """Return the same with affine kinks, and means of exponentials in closed form.

    Examples
    --------
    >>> from sympy import symbols
    >>> k, u = symbols("k u", real=True)
    >>> tidied(Mean(PositivePart(PositivePart(u - k) ** 2 - 4), (u, 1)))
    Mean(PositivePart(-k + u - 2)**2 + 4*PositivePart(-k + u - 2), (u, 1))
    >>> tidied(log(Mean(exp(PositivePart(u)), (u, 1))))
    LogSumExp(LogH(-1) + 1/2, -log(2))
    """
    if not expression.args or not expression.has(BoundMean):
        return expression
    if isinstance(expression, log):
        return _logarithm(expression)
    if isinstance(expression, Mean):
        return _mean(expression)
    return expression.func(*(tidied(argument) for argument in expression.args))


def _mean(node: Mean) -> Expr:
    body, field = tidied(node.body), node.field
    return Mean(_affine(_stepped(body), field), (field, node.variance))


def _stepped(body: Expr) -> Expr:
    """Return the body without powers of a step or of a sign, equal but at a point."""
    return body.replace(
        lambda n: isinstance(n, Pow) and n.exp.is_Integer and isinstance(n.base, (Heaviside, sign)),
        lambda n: n.base if isinstance(n.base, Heaviside) else n.base ** (n.exp % 2),
    )


def _affine(body: Expr, field: Symbol) -> Expr:
    """Return the body with its kinks in the field resolved where they can be."""
    if not body.has_free(field) or not body.has(*_KINKS) or isinstance(body, BoundMean):
        return body
    if count_ops(body) < _LARGEST:
        try:
            return _Pieces.of(body, field).expression(field)
        except _Undecided:
            pass
    return body.func(*(_affine(argument, field) for argument in body.args))


def _logarithm(node: log) -> Expr:
    """Return the logarithm of a product with a mean of an exponential in closed form."""
    inside = node.args[0]
    means = [f for f in Mul.make_args(inside) if isinstance(f, Mean)]
    rest = Mul(*(f for f in Mul.make_args(inside) if not isinstance(f, Mean)))
    if not means:
        return log(tidied(inside))
    total = log(tidied(rest))
    for mean in means:
        mean = Mean(tidied(mean.body), (mean.field, mean.variance))
        total += log(mean) if not isinstance(mean, Mean) else _log_of_mean(mean)
    return total


def _log_of_mean(mean: Mean) -> Expr:
    factors = Mul.make_args(mean.body)
    if not all(isinstance(f, exp) for f in factors):
        return log(_mean(mean))
    exponent = Add(*(f.args[0] for f in factors))
    try:
        if count_ops(exponent) > _LARGEST:
            raise _Undecided
        pieces = _Pieces.of(exponent, mean.field)
    except _Undecided:
        return LogMean(exponent, (mean.field, mean.variance), S.One)
    ends = [-oo, *pieces.breaks, oo]
    width = Dummy(positive=True)  # so that the signs of what contains the variance are known
    terms = [
        _log_of_piece(part, mean.field, width, ends[k], ends[k + 1])
        for k, part in enumerate(pieces.parts)
    ]
    return LogSumExp(*(term.xreplace({width: mean.variance}) for term in terms))


def _log_of_piece(part: Expr, field: Symbol, variance: Expr, low: Expr, high: Expr) -> Expr:
    height, slope, bend = _coefficients(part, field)
    narrowing = _shown(1 - 2 * bend * variance)
    middle = slope * variance / narrowing
    scale = sqrt(variance / narrowing)
    whole = _shown(height + slope * middle / 2) - log(narrowing) / 2
    if low is -oo and high is oo:
        return whole
    if high is oo:
        return whole + LogH(_shown(low - middle) / scale)
    if low is -oo:
        return whole + LogH(_shown(middle - high) / scale)
    return whole + LogHDifference(_shown(low - middle) / scale, _shown(high - middle) / scale)


def _shown(expression: Expr) -> Expr:
    """Return an expression with the terms that cancel cancelled."""
    return factor(together(expression))


@dataclass(frozen=True)
class _Pieces:
    """A function that is a polynomial of degree two at most between neighbouring places."""

    breaks: tuple[Expr, ...]
    parts: tuple[Expr, ...]

    @classmethod
    def of(cls, node: Expr, field: Symbol) -> _Pieces:
        """Return the pieces of an expression in the field; `_Undecided` where they are not known.

        The rightmost part counts to the right of the last place.
        """
        if not node.has_free(field):
            return cls((), (node,))
        if not node.has(*_KINKS):
            if not node.is_polynomial(field) or node.as_poly(field).degree() > 2:
                raise _Undecided
            return cls((), (expand(node),))
        if node.is_Add or node.is_Mul:
            found = cls.of(node.args[0], field)
            for argument in node.args[1:]:
                found = found.combined(cls.of(argument, field), node.func, field)
            return found
        if isinstance(node, Pow) and node.exp == 2:
            base = cls.of(node.base, field)
            return base.combined(base, Mul, field)
        if isinstance(node, (Max, Min)):
            least = isinstance(node, Min)
            found = cls.of(node.args[0], field)
            for argument in node.args[1:]:
                other = cls.of(argument, field)
                between = other.combined(found, lambda a, b: a - b, field)
                rule = _least if least else _largest
                found = found.combined(between.kinked(rule, field), Add, field)
            return found
        if type(node) not in _KINKS:
            raise _Undecided
        return cls.of(node.args[0], field).kinked(_KINKS[type(node)], field)

    def combined(
        self, other: _Pieces, operation: Callable[[Expr, Expr], Expr], field: Symbol
    ) -> _Pieces:
        """Return the pieces of a sum or product."""
        breaks: list[Expr] = []
        parts = []
        i = j = 0
        while True:
            part = expand(operation(self.parts[i], other.parts[j]))
            if part.has_free(field) and part.as_poly(field).degree() > 2:
                raise _Undecided
            parts.append(part)
            mine = self.breaks[i] if i < len(self.breaks) else None
            its = other.breaks[j] if j < len(other.breaks) else None
            if mine is None and its is None:
                break
            order = 1 if mine is None else -1 if its is None else _order(mine, its)
            breaks.append(its if mine is None or order > 0 else mine)
            i += order <= 0
            j += order >= 0
        return _Pieces(tuple(breaks), tuple(parts)).merged()

    def kinked(self, rule: Callable[[Expr, int], Expr], field: Symbol) -> _Pieces:
        """Return a function of the pieces that depends on their sign."""
        breaks: list[Expr] = []
        parts: list[Expr] = []
        ends = [-oo, *self.breaks, oo]
        for k, part in enumerate(self.parts):
            low, high = ends[k], ends[k + 1]
            if k:
                breaks.append(low)
            roots, signs = _signs(part, field)
            inside = []
            first = 0
            for number, root in enumerate(roots):
                if low is not -oo and _order(root, low) <= 0:
                    first = number + 1
                elif high is oo or _order(root, high) < 0:
                    inside.append(root)
            chosen = signs[first : first + len(inside) + 1]
            breaks += inside
            parts += [expand(rule(part, one)) for one in chosen]
        return _Pieces(tuple(breaks), tuple(parts)).merged()

    def merged(self) -> _Pieces:
        """Return the same without places between equal pieces."""
        breaks: list[Expr] = []
        parts = [self.parts[0]]
        for place, part in zip(self.breaks, self.parts[1:], strict=True):
            if expand(part - parts[-1]) != 0:
                breaks.append(place)
                parts.append(part)
        return _Pieces(tuple(breaks), tuple(parts))

    def expression(self, field: Symbol) -> Expr:
        """Return the function as a sum over its places, from its simplest piece on."""
        # of a place with roots sympy may not know that it is real, and derives Abs otherwise
        if len(self.breaks) == 1 and self.breaks[0].is_polynomial():
            height, slope, bend = _coefficients(expand(self.parts[1] - self.parts[0]), field)
            level = (self.parts[0] + self.parts[1]) / 2
            if bend == 0 and _shown(level).has_free(field) is False:
                if expand(height + slope * self.breaks[0]) == 0:
                    return level + slope / 2 * Abs(field - self.breaks[0])
        sizes = [count_ops(part) + 10 * part.has_free(field) + (part != 0) for part in self.parts]
        anchor = sizes.index(min(sizes))
        total = self.parts[anchor]
        for k, place in enumerate(self.breaks):
            right = k >= anchor
            side = S.One if right else S.NegativeOne
            change = side * (self.parts[k + 1] - self.parts[k])
            height, slope, bend = _coefficients(
                expand(change.subs(field, place + side * field)), field
            )
            beyond = side * (field - place)
            total += _shown(bend) * PositivePart(beyond) ** 2
            total += _shown(slope) * PositivePart(beyond)
            height = _shown(height)
            if height != 0:
                total += height * Heaviside(beyond)
        return total


def _largest(part: Expr, side: int) -> Expr:
    return part if side > 0 else S.Zero


def _least(part: Expr, side: int) -> Expr:
    return S.Zero if side > 0 else part


_KINKS: dict[type[Expr], Callable[[Expr, int], Expr]] = {
    PositivePart: _largest,
    Max: _largest,
    Min: _least,
    Abs: lambda part, side: part if side > 0 else -part,
    Heaviside: lambda part, side: S.One if side > 0 else S.Zero,
    sign: lambda part, side: S(side),
}
"""What a function of a piece is where the piece is positive, and where it is negative."""


def _coefficients(part: Expr, field: Symbol) -> tuple[Expr, Expr, Expr]:
    """Return those of a polynomial of degree two at most, the constant first."""
    if not part.has_free(field):
        return part, S.Zero, S.Zero
    found = part.as_poly(field).all_coeffs()[::-1]
    height, slope, bend = [*found, S.Zero, S.Zero][:3]
    return height, slope, bend


def _signs(part: Expr, field: Symbol) -> tuple[list[Expr], list[int]]:
    """Return the roots of a polynomial in order, and its signs before, between and after them."""
    height, slope, bend = _coefficients(part, field)
    if bend != 0:
        inner = _shown(slope**2 - 4 * bend * height)
        up = _sign(bend)
        if inner == 0 or _sign(inner) < 0:
            return [], [up]
        width = sqrtdenest(sqrt(inner)) / (2 * up * bend)
        middle = -slope / (2 * bend)
        return [expand(_shown(middle - width)), expand(_shown(middle + width))], [up, -up, up]
    if slope != 0:
        up = _sign(slope)
        return [expand(_shown(-height / slope))], [-up, up]
    if part == 0:
        return [], [1]
    return [], [_sign(part)]


def _sign(expression: Expr) -> int:
    """Return 1 or -1, or `_Undecided`."""
    for form in (expression, factor(expression)):
        if form.is_positive:
            return 1
        if form.is_negative:
            return -1
    raise _Undecided


def _order(one: Expr, two: Expr) -> int:
    """Return -1, 0 or 1 where the first place is left of the second, at it, or right of it."""
    difference = _shown(one - two)
    return 0 if difference == 0 else _sign(difference)
