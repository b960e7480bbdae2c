r"""Minima over a bound variable, convex or not, with their branches.

.. math:: M(p) = \min_x G(x; p), \qquad \partial_p M = \partial_p G(x^*; p), \qquad
          \partial_p x^* = -\partial_x \partial_p G / \partial_x^2 G .

Where G is quadratic between its kinks, M is the least of as many closed forms, and where two of
them cross is a kink like any other. A smooth G keeps a node, whose lowest point the numerics look
for; by symmetry it passes from one branch to the other where a parameter changes its sign.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cmp_to_key
from itertools import pairwise
from typing import Any

from sympy import Expr, Min, Poly, S, Symbol, cancel, expand, factor, oo, sign, srepr
from sympy.core.expr import AtomicExpr
from sympy.core.function import ArgumentIndexError
from sympy.printing.printer import Printer

from replica.errors import DeclarationError
from replica.language.curves import t
from replica.language.kinks import CONTINUOUS, JUMPING, branches, places, vanishes
from replica.language.means import as_expression
from replica.language.primitives import PositivePart, Primitive
from replica.language.rewriting import stabilise
from replica.language.scalar import Scalar
from replica.writing import excerpt

__all__ = ["LANDSCAPES", "Landscape", "LowestPoint", "LowestValue", "Minimum"]

LANDSCAPES: dict[str, Landscape] = {}
"""Landscapes by key: compiled code holds the key, the numerics find the landscape."""


def Minimum(variable: Symbol, objective: Scalar) -> Expr:
    r"""Return the minimum over a bound variable, :math:`\min_x G(x)`, convex or not.

    Parameters
    ----------
    variable : Symbol
        The variable x, a real symbol; it ranges over the whole line.
    objective : Expr
        What is minimised: quadratic in x between kinks and steps, or smooth in x. It must grow
        as x goes to either end. At a step the lower side counts.

    Raises
    ------
    DeclarationError
        If x is not a real symbol, if the objective does not grow, if the order of two kinks is not
        known, or if a piece between kinks is not quadratic.

    Examples
    --------
    The energy of a wrong sign, whose minimiser jumps where w = -sqrt(2 V):

    >>> from sympy import Heaviside, Symbol, cosh, log
    >>> x, w, V = Symbol("x", real=True), Symbol("w", real=True), Symbol("V", positive=True)
    >>> Minimum(x, (x - w) ** 2 / (2 * V) + Heaviside(-x))
    Min(PositivePart(-w)**2/(2*V), 1 + PositivePart(w)**2/(2*V))
    >>> Minimum(x, x**2 / 2 - log(2 * cosh(w + 2 * x)))
    Minimum(x, x**2/2 - LogCosh(w + 2*x) - log(2))
    """
    if not isinstance(variable, Symbol) or variable.is_real is not True:
        raise DeclarationError(f"Minimum is over a real symbol, not {variable!r}")
    body = as_expression(objective)
    if not body.has_free(variable):
        return body
    outside, inside = body.as_independent(variable, as_Add=True)
    if outside.has(*CONTINUOUS, *JUMPING):
        outside, inside = S.Zero, body
    kinks = [n for n in inside.atoms(*CONTINUOUS, *JUMPING) if n.has_free(variable)]
    if kinks or _is_quadratic(expand(inside), variable):
        return outside + _of_pieces(inside, variable, kinks)
    inside = stabilise(inside)
    if inside.is_polynomial(variable) and not _grows(inside.as_poly(variable)):
        raise DeclarationError(
            f"Minimum over {variable}: the objective is not known to grow between -oo and oo, "
            f"where it is {inside}; declare symbols positive where they are"
        )
    symbols = sorted(inside.free_symbols - {variable}, key=str)
    # the same assumptions under names of its own: equal landscapes are one
    names = [Symbol(f"parameter{k}", **s.assumptions0) for k, s in enumerate(symbols)]
    renamed = inside.xreplace({variable: t, **dict(zip(symbols, names, strict=True))})
    return outside + LowestValue(Landscape(renamed, *names), *symbols)


def _is_quadratic(piece: Expr, x: Symbol) -> bool:
    return bool(piece.is_polynomial(x) and piece.as_poly(x).degree() <= 2)


def _grows(polynomial: Poly) -> bool:
    return bool(polynomial.degree() % 2 == 0 and polynomial.LC().is_positive)


# ---- pieces in closed form ---------------------------------------------------------------------


def _of_pieces(body: Expr, x: Symbol, kinks: list[Expr]) -> Expr:
    """Return the least of the minima of the convex stretches between kinks."""
    found: list[Expr] = []
    for place in _places_of_kinks(body, x, kinks):
        if not any(vanishes(place - other, S.One) for other in found):
            found.append(place)
    found.sort(key=cmp_to_key(lambda one, two: _order(x, one, two)))
    ends = list(pairwise([-oo, *found, oo]))
    pieces = [_piece_between(body, x, low, high) for low, high in ends]
    values = [_of_piece(pieces[0], x, *ends[0])]
    for place, sides, end in zip(found, pairwise(pieces), ends[1:], strict=True):
        left, right = (side.subs(x, place) for side in sides)
        value = _of_piece(sides[1], x, *end)
        if _is_convex_at(x, place, *sides):
            # of a stretch, all but the piece that is lowest stay at an end next to it
            values[-1] += value - left
        else:
            values.append(value)
        at = body.subs(x, place)
        if not any(expand(at - side).is_nonnegative for side in (left, right)):
            values.append(at)  # a point lower than both sides
    return Min(*values)


def _is_convex_at(x: Symbol, place: Expr, left: Expr, right: Expr) -> bool:
    """Tell whether two pieces meet without a jump, and the slope rises there."""
    difference = expand(right - left)
    if not vanishes(difference.subs(x, place), S.One):
        return False
    turn = expand(difference.diff(x).subs(x, place))
    if turn.is_nonnegative or vanishes(turn, S.One):
        return True
    if turn.is_negative:
        return False
    raise DeclarationError(
        f"Minimum over {x}: whether the slope rises at {x} = {place}, by {turn}, is not known; "
        f"declare symbols positive where they are"
    )


def _places_of_kinks(body: Expr, x: Symbol, kinks: list[Expr]) -> list[Expr]:
    """Return where the pieces of an expression meet: where a condition of a piece vanishes."""
    found = []
    conditions = {c for _, positive in branches(body, x) for c in positive if c.has_free(x)}
    for condition in sorted(conditions, key=str):
        zeros = places(condition, x)
        if zeros is None or any(zero.holds != 1 for zero in zeros):
            raise DeclarationError(
                f"Minimum over {x}: no formula for the kinks, the zeros of {excerpt(condition)}"
            )
        found += [zero.at for zero in zeros]
    return found


def _order(x: Symbol, one: Expr, two: Expr) -> int:
    difference = cancel(one - two)
    if difference.is_zero:
        return 0
    if difference.is_positive or difference.is_negative:
        return 1 if difference.is_positive else -1
    raise DeclarationError(
        f"Minimum over {x}: which of its kinks at {one} and {two} comes first is not known; "
        f"declare symbols positive where they are"
    )


def _piece_between(body: Expr, x: Symbol, low: Expr, high: Expr) -> Expr:
    """Return the smooth branch of an expression between two neighbouring kinks."""
    if low.is_finite and high.is_finite:
        inside = (low + high) / 2
    else:
        inside = low + 1 if low.is_finite else (high - 1 if high.is_finite else S.Zero)
    for branch, positive in branches(body, x):
        if all(cancel(c.subs(x, inside)).is_nonnegative for c in positive):
            return expand(branch)
    raise DeclarationError(
        f"Minimum over {x}: which branch holds between {low} and {high} is not known in "
        f"{excerpt(body)}; "
        f"declare symbols positive where they are"
    )


def _of_piece(piece: Expr, x: Symbol, low: Expr, high: Expr) -> Expr:
    """Return the minimum of a piece between two places."""
    if not _is_quadratic(piece, x):
        raise DeclarationError(
            f"Minimum over {x}: between kinks the objective must be quadratic in {x}, not "
            f"{excerpt(piece)}; "
            f"write a convex loss with MoreauEnvelope"
        )
    polynomial = piece.as_poly(x)
    bend, slope, height = (polynomial.coeff_monomial(x**k) for k in (2, 1, 0))
    if bend.is_positive:
        vertex = expand(-slope / (2 * bend))
        # how far the vertex lies outside, at either end
        outside = S.Zero
        if low.is_finite:
            outside += PositivePart(expand(low - vertex)) ** 2
        if high.is_finite:
            outside += PositivePart(expand(vertex - high)) ** 2
        return factor(height - slope**2 / (4 * bend)) + bend * outside
    if bend == 0 and slope == 0:
        return height
    if bend == 0 and slope.is_nonnegative and low.is_finite:
        return piece.subs(x, low)
    if bend == 0 and slope.is_nonpositive and high.is_finite:
        return piece.subs(x, high)
    raise DeclarationError(
        f"Minimum over {x}: the objective is not known to grow between {low} and {high}, where it "
        f"is {excerpt(piece)}; declare symbols positive where they are"
    )


# ---- smooth ones, as a node --------------------------------------------------------------------


class Landscape(AtomicExpr):
    """A smooth function of one variable and of parameters, as an atom inside expressions.

    Parameters
    ----------
    expression : Expr
        In the symbol `t` of the curves and in the names.
    *names : Symbol
        The parameters, in order.
    """

    __slots__ = ("expression", "key", "mirrored", "names")
    is_real = True

    def __new__(cls, expression: Expr, *names: Symbol) -> Landscape:
        """Return the landscape, with the parameters whose sign turns it around."""
        content = srepr((expression, names))
        key = "landscape" + hashlib.sha256(content.encode()).hexdigest()[:24]
        if key in LANDSCAPES:
            return LANDSCAPES[key]
        self = super().__new__(cls)
        self.expression, self.names, self.key = expression, names, key
        self.mirrored = tuple(
            k
            for k, name in enumerate(names)
            if name.is_nonnegative is None
            and vanishes(
                expression - expression.subs({t: -t, name: -name}, simultaneous=True), S.One
            )
        )
        LANDSCAPES[key] = self
        return self

    def __getnewargs__(self) -> tuple[Any, ...]:
        return self.expression, *self.names

    def _hashable_content(self) -> tuple[Any, ...]:
        return (self.key,)

    def at(self, expression: Expr, values: Sequence[Expr], point: Expr) -> Expr:
        """Return an expression in the variable and the parameters at their values."""
        known = dict(zip(self.names, values, strict=True))
        return expression.xreplace({**known, t: point})

    def switches(self, values: Sequence[Expr]) -> list[Expr] | None:
        """Return what passes through zero where another branch becomes the lowest.

        None where that is not known, because no parameter turns the landscape around.
        """
        return [values[self.mirrored[0]]] if len(self.mirrored) == 1 else None

    def _sympystr(self, printer: Printer) -> str:
        return f"Landscape({self.expression})"

    def _pythoncode(self, printer: Printer) -> str:
        return repr(self.key)

    _mpmathcode = _pythoncode


class LowestValue(Primitive):
    """Minimum of a landscape over its variable, at values of its parameters."""

    @property
    def values(self) -> tuple[Expr, ...]:
        """Values of the parameters."""
        return self.args[1:]

    def fdiff(self, argindex: int = 2) -> Expr:  # noqa: D102
        landscape, *values = self.args
        if not 2 <= argindex <= len(self.args):
            raise ArgumentIndexError(self, argindex)
        change = landscape.expression.diff(landscape.names[argindex - 2])
        return landscape.at(change, values, LowestPoint(landscape, S.Zero, *values))

    def _written(self) -> tuple[Symbol, Expr]:
        landscape, *values = self.args
        shown = Symbol("x", real=True)
        while any(value.has_free(shown) for value in values):
            shown = Symbol(shown.name + "_", real=True)
        return shown, landscape.at(landscape.expression, values, shown)

    def _sympystr(self, printer: Printer) -> str:
        variable, body = self._written()
        return f"Minimum({variable}, {printer._print(body)})"

    def _latex(self, printer: Printer, exp: str | None = None) -> str:
        variable, body = self._written()
        text = rf"\min_{{{variable}}} \left[{printer._print(body)}\right]"
        return text if exp is None else rf"\left({text}\right)^{{{exp}}}"


class LowestPoint(Primitive):
    """Where a landscape is lowest.

    The second argument decides between branches that are equally low, where the mirrored parameter
    is zero: it is the sign with which that comes to zero, and itself zero elsewhere.
    """

    latex_name = r"\mathrm{argmin}"

    @property
    def values(self) -> tuple[Expr, ...]:
        """Values of the parameters."""
        return self.args[2:]

    def switches(self) -> list[Expr] | None:
        """Return parameters at whose zeros the lowest point jumps."""
        found: list[Expr] | None = self.args[0].switches(self.values)
        return found

    def beside(self, values: Sequence[Expr], approach: Expr) -> Expr:
        """Return the point as the mirrored parameter goes to zero with a given sign."""
        return LowestPoint(values[0], sign(approach), *values[2:])

    def fdiff(self, argindex: int = 3) -> Expr:  # noqa: D102
        landscape, _, *values = self.args
        if not 3 <= argindex <= len(self.args):
            raise ArgumentIndexError(self, argindex)
        slope = landscape.expression.diff(t)
        ratio = -slope.diff(landscape.names[argindex - 3]) / slope.diff(t)
        return landscape.at(ratio, values, self)
