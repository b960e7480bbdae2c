r"""Convex curves, cut at their kinks into smooth pieces, and their proximal points.

Between two kinks the proximal point :math:`\eta` of :math:`g` solves
:math:`\eta + V g'(\eta) = \omega` for that piece; at a kink u it rests while :math:`\omega` passes
from :math:`u + V g'(u^-)` to :math:`u + V g'(u^+)`. Linear and quadratic pieces have closed forms;
only other smooth pieces leave a `Proximal` node, which the numerics solve.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any

from sympy import (
    Abs,
    Add,
    Expr,
    Heaviside,
    Max,
    Min,
    Piecewise,
    Rational,
    S,
    Symbol,
    expand,
    oo,
    sign,
    srepr,
    sympify,
)
from sympy.core.expr import AtomicExpr
from sympy.core.function import ArgumentIndexError
from sympy.core.relational import Relational
from sympy.printing.printer import Printer

from replica.errors import DeclarationError
from replica.language.primitives import Clip, PositivePart, Primitive
from replica.language.rewriting import stabilise
from replica.language.scalar import Scalar
from replica.language.stationarity import solve_linear
from replica.writing import excerpt

__all__ = ["CURVES", "Curve", "Proximal", "same", "t"]

t = Symbol("t", real=True)
"""The argument of every curve."""

CURVES: dict[str, Curve] = {}
"""Curves by key: compiled code holds the key, the numerics find the curve."""

_KINKS = (Abs, Max, Min, PositivePart, Heaviside, sign, Piecewise)
# Places, on both sides of zero, at which a curve is tested for convexity.
_PROBED = tuple(
    side * Rational(k, 8) for k in (1, 3, 6, 9, 14, 20, 29, 42, 60, 90, 140) for side in (-1, 1)
)


class Curve(AtomicExpr):
    """A convex function of one variable, as an atom that travels inside expressions.

    Parameters
    ----------
    expression : Expr
        In the symbol `t` of this module.
    low, high : Expr
        Where it is finite; below `low` and above `high` it is infinite.
    marks : tuple of (Expr, number)
        Where its proximal map has structure: centres, which may contain the symbol V, and
        half-widths. By default they are taken from the curve.

    Raises
    ------
    DeclarationError
        If it is not convex; the message says where.
    """

    __slots__ = ("expression", "high", "key", "low", "marks", "pieces")
    is_real = True

    V = Symbol("V", real=True)

    def __new__(
        cls, expression: Scalar, low: Scalar = -oo, high: Scalar = oo, marks: tuple[Any, ...] = ()
    ) -> Curve:
        """Return the curve, cut into smooth pieces and checked."""
        content = (sympify(expression, strict=True), S(low), S(high), tuple(marks))
        key = "curve" + hashlib.sha256(srepr(content).encode()).hexdigest()[:24]
        if key in CURVES:
            return CURVES[key]
        self = super().__new__(cls)
        self.expression, self.low, self.high, self.marks = content
        self.key = key
        self.pieces = _cut(self.expression, self.low, self.high)
        _check_convex(self)
        CURVES[key] = self
        return self

    def __getnewargs__(self) -> tuple[Any, ...]:
        return self.expression, self.low, self.high, self.marks

    def _hashable_content(self) -> tuple[Any, ...]:
        return (self.key,)

    @property
    def is_smooth(self) -> bool:
        """Whether there is one piece, on the whole line."""
        return len(self.pieces) == 1 and self.low is -oo and self.high is oo

    @property
    def has_corner(self) -> bool:
        """Whether the slope jumps somewhere."""
        return any(isinstance(part, _Rest) for part in _parts(self)[0])

    def features(self, V: Expr) -> tuple[tuple[Expr, Expr], ...]:
        """Return centres and half-widths of the structure of the proximal map in omega."""
        if self.marks:
            return tuple((S(c).subs(self.V, V), S(w)) for c, w in self.marks)
        slope = self.expression.diff(t)
        # the curve may change over a width of one at any of these u; omega is where the map puts it
        return tuple((u + V * slope.subs(t, u), S.One) for u in map(S, (-9, -3, -1, 0, 1, 3, 9)))

    def slope_at_proximal(self, omega: Expr, V: Expr) -> Expr:
        r"""Return the slope :math:`g'(\eta)` at the proximal point of omega."""
        return _assembled(self, omega, V, _slope, _Piece.slope)

    def proximal(self, omega: Expr, V: Expr) -> Expr:
        r"""Return the proximal point :math:`\eta` of omega."""
        return _assembled(self, omega, V, _place, lambda _, place: place)

    def value_at_proximal(self, omega: Expr, V: Expr) -> Expr:
        r"""Return the value :math:`g(\eta)` at the proximal point of omega."""
        return _assembled(
            self, omega, V, _value, lambda piece, place: piece.expression.subs(t, place)
        )

    def _sympystr(self, printer: Printer) -> str:
        return f"Curve({self.expression})"

    def _latex(self, printer: Printer, exp: str | None = None) -> str:
        return str(printer._print(self.expression))

    def _pythoncode(self, printer: Printer) -> str:
        return repr(self.key)

    _mpmathcode = _pythoncode


class Proximal(Primitive):
    r"""Minimiser of :math:`(x - \omega)^2 / 2V + g(x)` for a smooth convex curve g.

    Examples
    --------
    >>> from sympy import cosh, log, symbols
    >>> omega, V = symbols("omega V", real=True)
    >>> Proximal(Curve(t**4), omega, V).diff(omega)
    1/(12*V*Proximal(Curve(t**4), omega, V)**2 + 1)
    """

    nargs = 3
    latex_name = r"\mathrm{prox}"

    def fdiff(self, argindex: int = 2) -> Expr:  # noqa: D102
        curve, _, V = self.args
        slope = stabilise(curve.expression).diff(t)
        stiffness = 1 + V * slope.diff(t).subs(t, self)
        if argindex == 2:
            return 1 / stiffness
        if argindex == 3:
            return -slope.subs(t, self) / stiffness
        raise ArgumentIndexError(self, argindex)


@dataclass(frozen=True)
class _Piece:
    """A smooth piece of a curve, between two places."""

    expression: Expr
    low: Expr
    high: Expr

    def slope(self, at: Expr) -> Expr:
        """Return the slope at a place, infinite at an infinite one."""
        return self.expression.diff(t).subs(t, at) if at.is_finite else at

    def reach(self, at: Expr, V: Expr) -> Expr:
        """Return the omega whose proximal point is this place of the piece."""
        return at + V * self.slope(at) if at.is_finite else at


@dataclass(frozen=True)
class _Rest:
    """A kink of a curve, or an end of it, where the proximal point rests."""

    place: Expr
    left: Expr
    right: Expr
    height: Expr


def _slope(part: _Piece | _Rest, omega: Expr, V: Expr, marks: tuple[Any, ...]) -> Expr:
    if isinstance(part, _Rest):
        return Clip((omega - part.place) / V, part.left, part.right)
    first = part.expression.diff(t)
    second = first.diff(t)
    if second.has_free(t):
        return stabilise(part.expression).diff(t).subs(t, _place(part, omega, V, marks))
    if second == 0:
        return first
    inside = (second * omega + first.subs(t, 0)) / (1 + second * V)
    return Clip(inside, part.slope(part.low), part.slope(part.high))


def _place(part: _Piece | _Rest, omega: Expr, V: Expr, marks: tuple[Any, ...]) -> Expr:
    if isinstance(part, _Rest):
        return part.place
    first = part.expression.diff(t)
    second = first.diff(t)
    if not second.has_free(t):
        return Clip((omega - V * first.subs(t, 0)) / (1 + V * second), part.low, part.high)
    curve = Curve(part.expression, part.low, part.high, marks)
    return Proximal(curve, Clip(omega, part.reach(part.low, V), part.reach(part.high, V)), V)


def _value(part: _Piece | _Rest, omega: Expr, V: Expr, marks: tuple[Any, ...]) -> Expr:
    if isinstance(part, _Rest):
        return part.height
    return stabilise(part.expression).subs(t, _place(part, omega, V, marks))


def _assembled(
    curve: Curve,
    omega: Expr,
    V: Expr,
    kind: Callable[..., Expr],
    at: Callable[[_Piece, Expr], Expr],
) -> Expr:
    """Add up what the pieces and kinks of a curve contribute.

    Each part is constant outside its own range of omega and meets the next one there, so the
    function is the sum of all parts minus the values at which two of them meet.
    """
    marks = curve.marks if curve.is_smooth else ()
    parts, meetings = _parts(curve)
    return Add(*(kind(part, omega, V, marks) for part in parts)) - Add(
        *(at(piece, place) for piece, place in meetings)
    )


def _parts(curve: Curve) -> tuple[list[_Piece | _Rest], list[tuple[_Piece, Expr]]]:
    """Return pieces and kinks in order, and where they meet."""
    parts: list[_Piece | _Rest] = []
    meetings: list[tuple[_Piece, Expr]] = []
    for piece in curve.pieces:
        before = parts[-1] if parts else None
        left = before.slope(piece.low) if isinstance(before, _Piece) else -oo
        right = piece.slope(piece.low)
        if left != right:
            if isinstance(before, _Piece):
                meetings.append((before, piece.low))
            parts.append(_Rest(piece.low, left, right, piece.expression.subs(t, piece.low)))
        if parts:
            meetings.append((piece, piece.low))
        parts.append(piece)
    last = curve.pieces[-1]
    if last.high is not oo:
        meetings.append((last, last.high))
        parts.append(
            _Rest(last.high, last.slope(last.high), oo, last.expression.subs(t, last.high))
        )
    return parts, meetings


def _cut(expression: Expr, low: Expr, high: Expr) -> tuple[_Piece, ...]:
    """Cut an expression at its kinks; inner kinks first, since they decide the others."""
    kinks = [node for node in expression.atoms(*_KINKS) if node.has_free(t)]
    if not kinks:
        return (_Piece(expand(expression), low, high),)
    kink = next(node for node in kinks if not any(a.atoms(*_KINKS) for a in node.args))
    places: set[Expr] = set()
    for zero in _switches(kink):
        place = solve_linear(zero, t) if zero.has_free(t) else None
        if place is None and zero.has_free(t):
            raise DeclarationError(
                f"a loss may have kinks where its argument is linear, not {shown(kink)}"
            )
        if place is not None and (place > low) == S.true and (place < high) == S.true:
            places.add(place)
    ends = [low, *sorted(places), high]
    pieces: list[_Piece] = []
    for left, right in pairwise(ends):
        inside = _between(left, right)
        branch = expression.xreplace({kink: _branch(kink, inside)})
        for piece in _cut(branch, left, right):
            same = pieces and pieces[-1].expression == piece.expression
            if same:
                piece = _Piece(piece.expression, pieces.pop().low, piece.high)
            pieces.append(piece)
    return tuple(pieces)


def _switches(kink: Expr) -> list[Expr]:
    """Return expressions that vanish where a node changes from one smooth branch to another."""
    if isinstance(kink, (Max, Min)):
        return [one - two for one, two in combinations(kink.args, 2)]
    if isinstance(kink, Piecewise):
        relations = set().union(*(condition.atoms(Relational) for _, condition in kink.args))
        return [relation.lhs - relation.rhs for relation in relations]
    return [kink.args[0]]


def _branch(kink: Expr, inside: Expr) -> Expr:
    """Return the smooth expression that a node is near a place."""
    if isinstance(kink, Piecewise):
        for value, condition in kink.args:
            if condition.subs(t, inside) == S.true:
                return value
        raise DeclarationError(f"the loss is not defined at u = {inside}: {shown(kink)}")
    if isinstance(kink, (Max, Min)):
        best = max if isinstance(kink, Max) else min
        return best(kink.args, key=lambda argument: argument.subs(t, inside))
    positive = kink.args[0].subs(t, inside) > 0
    if isinstance(kink, Abs):
        return kink.args[0] if positive else -kink.args[0]
    if isinstance(kink, PositivePart):
        return kink.args[0] if positive else S.Zero
    return S.One if positive else (S.NegativeOne if isinstance(kink, sign) else S.Zero)


def _between(low: Expr, high: Expr) -> Expr:
    if low.is_finite and high.is_finite:
        return (low + high) / 2
    return low + 1 if low.is_finite else (high - 1 if high.is_finite else S.Zero)


def _not_convex(curve: Curve, reason: str, place: Scalar) -> DeclarationError:
    return DeclarationError(
        f"the loss {shown(curve.expression)} is not convex: {reason} at u = {float(place):g}"
    )


def _check_convex(curve: Curve) -> None:
    """Refuse a curve that is not real, not continuous, or bends down somewhere."""
    before = None
    for piece in curve.pieces:
        second = piece.expression.diff(t, 2)
        places = _probes(piece) if second.has_free(t) else [_between(piece.low, piece.high)]
        for place in places:
            bend = second.subs(t, place).evalf(30)
            if bend.is_real is not True or not bend.is_finite:
                raise DeclarationError(
                    f"the loss {shown(curve.expression)} is not smooth and finite at "
                    f"u = {float(place):g}"
                )
            if bend < -Rational(1, 10**12):
                raise _not_convex(curve, f"its curvature is {float(bend):.4g}", place)
        if before is not None:
            jump = (piece.expression - before.expression).subs(t, piece.low).evalf(30)
            turn = (piece.slope(piece.low) - before.slope(piece.low)).evalf(30)
            if abs(jump) > Rational(1, 10**12):
                raise _not_convex(curve, f"it jumps by {float(jump):.4g}", piece.low)
            if turn < -Rational(1, 10**12):
                raise _not_convex(curve, f"its slope falls by {float(-turn):.4g}", piece.low)
        before = piece


def _probes(piece: _Piece) -> list[Expr]:
    """Return places of a piece, close to its ends and far from them."""
    if piece.low.is_finite and piece.high.is_finite:
        width = piece.high - piece.low
        return [piece.low + width * Rational(k, 24) for k in range(1, 24)]
    if piece.low.is_finite:
        return [piece.low + abs(place) for place in _PROBED[::2]]
    if piece.high.is_finite:
        return [piece.high - abs(place) for place in _PROBED[::2]]
    return [S.Zero, *_PROBED]


def shown(expression: Expr) -> str:
    """Return a curve as its author would write it, in the field u."""
    return excerpt(expression.subs(t, Symbol("u")))


def same(one: Expr, two: Expr, *symbols: Symbol) -> bool:
    """Tell whether two expressions agree, by their difference or at a few places."""
    difference = expand(one - two)
    if difference == 0:
        return True
    for shift in (Rational(-17, 7), Rational(-1, 3), Rational(2, 7), Rational(13, 5)):
        places = {symbol: shift + Rational(3 * k, 7) for k, symbol in enumerate(symbols)}
        value = difference.subs(places).evalf(30)
        if not value.is_real or abs(value) > Rational(1, 10**15):
            return False
    return True
