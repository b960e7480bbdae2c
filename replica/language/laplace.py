"""The minimum of a quadratic and a convex curve, to which a narrow integral is reduced."""

from __future__ import annotations

from sympy import Abs, Add, Dummy, Expr, Pow, S, Symbol, expand
from sympy.core.function import Function
from sympy.core.sorting import default_sort_key

from replica.language.curves import Curve, t
from replica.language.envelope import Envelope
from replica.language.primitives import PositivePart

__all__ = ["lowest"]


def lowest(cost: Expr, field: Symbol) -> Expr | None:
    """Return the minimum over the field of a quadratic and a convex curve, None if it is not one.

    Written as (t - omega)^2 / 2V and a curve in t, the field shifted, it is a Moreau envelope.
    """
    shifts = {S.Zero: None}
    for node in sorted(cost.atoms(Function, Pow), key=default_sort_key):
        inner = node.args[0]
        slope = inner.diff(field)
        if slope != 0 and not slope.has_free(field):
            shifts.setdefault(expand(inner / slope - field))
    for shift in shifts:
        moved = expand(cost.subs(field, t - shift))
        parts = [(term, term.is_polynomial(t)) for term in Add.make_args(moved)]
        square = Add(*(term for term, smooth in parts if smooth))
        curve = Add(*(term for term, smooth in parts if not smooth))
        coefficients = square.as_poly(t).all_coeffs() if square.has_free(t) else []
        if len(coefficients) != 3 or coefficients[0].is_nonpositive:
            continue
        bend, slope, height = coefficients
        V = 1 / (2 * bend)
        omega = expand(-slope * V)
        rest = expand(height - omega**2 / (2 * V))
        if curve == 0:
            return rest
        size, shape = curve.as_independent(t, as_Add=False)
        if shape.free_symbols <= {t} and not size.free_symbols:
            return rest + Envelope(Curve(curve), omega, V)
        if shape.free_symbols <= {t} and _is_homogeneous(shape):
            # t in units of size * V, in which the curve has the size one
            return rest + size**2 * V * Envelope(Curve(shape), omega / (size * V), S.One)
    return None


def _is_homogeneous(curve: Expr) -> bool:
    """Tell whether a curve is in proportion to a positive factor of its argument."""
    unit = Dummy(positive=True)
    grown = curve.replace(
        lambda node: isinstance(node, PositivePart) and node.args[0].subs(t, 0) == 0,
        lambda node: unit * node,
    )
    grown = grown.replace(lambda node: node == Abs(t), lambda node: unit * node)
    return bool(expand(grown - unit * curve) == 0)
