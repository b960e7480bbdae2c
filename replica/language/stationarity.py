"""Saddle-point equations, derived from the potential and never typed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sympy import Dummy, Expr, Function, Matrix, Symbol, cancel

from replica.errors import DeclarationError
from replica.language.means import BoundMean
from replica.language.size import is_larger

__all__ = ["free_updates", "own_update", "residuals", "solve_linear"]

_LARGEST = 1000  # nodes of an equation that is expanded: a larger one is taken as it stands


def solve_linear(expression: Expr, symbol: Symbol) -> Expr | None:
    """Return the root in `symbol` of an expression that is affine in it, else None.

    Done by differentiation because the general solver gives up on means.

    Examples
    --------
    >>> from sympy import symbols
    >>> x, a = symbols("x a")
    >>> solve_linear(2 * x - a, x)
    a/2
    """
    slope = expression.diff(symbol)
    if slope.has_free(symbol) and not is_larger(
        slope, _LARGEST
    ):  # expanded only if need be: the author's form may be the stable one
        # exp(a + b) stays whole: one factor alone may overflow
        slope = slope.expand(power_exp=False, power_base=False, log=False)
    if slope == 0 or slope.has_free(symbol):
        return None
    return -expression.subs(symbol, 0) / slope


def own_update(potential: Expr, overlap: Symbol) -> Expr | None:
    r"""Return the update of an overlap without conjugate, None if its equation has none.

    Where :math:`\partial_q \phi = a\, (q - u(q))`, with the q that stands outside of all
    functions, the update is u: that of the equation as one writes it by hand.

    Examples
    --------
    >>> from sympy import cosh, log, symbols
    >>> m, b = symbols("m b", real=True)
    >>> own_update(-b * m**2 / 2 + log(2 * cosh(b * m)), m)
    sinh(b*m)/cosh(b*m)
    """
    found = _outside(potential.diff(overlap), (overlap,))
    if found is None:
        return None  # nobody writes it as an update by hand
    bare, functions = found
    slope = bare.diff(overlap).expand()
    if slope == 0 or slope.has_free(overlap, *functions):
        return None
    return _root(bare, overlap, slope).xreplace(functions)


def _outside(equation: Expr, symbols: Sequence[Symbol]) -> tuple[Expr, dict[Dummy, Expr]] | None:
    """Return an equation with a symbol for each function of some unknowns, and what those are.

    None where even that is too large to be expanded.
    """
    functions = {
        node: Dummy() for node in equation.atoms(Function, BoundMean) if node.has_free(*symbols)
    }
    bare = equation.xreplace(functions)
    if is_larger(bare, _LARGEST):
        return None
    return bare, {dummy: node for node, dummy in functions.items()}


def free_updates(
    potential: Expr, overlaps: Sequence[Symbol], conjugates: Mapping[Symbol, Symbol]
) -> dict[Symbol, Expr]:
    r"""Return the updates of the overlaps without conjugate that have one.

    That of its own equation, see `own_update`, or of several together where a quadratic form mixes
    them, as in :math:`\sum_i f(m_i) - m^\top J m / 2`: with it solved for, the update is state
    evolution whatever the signs of J. Overlaps whose own equations give none may be each
    other's conjugates up to a factor, as in :math:`F(p) + G(q) - c\, p\, q`: where each of their
    equations is affine, of constant slope, in exactly one other of them, and in a different one
    each, it is the update of that one.

    Examples
    --------
    >>> from sympy import cosh, log, symbols
    >>> p, q = symbols("p q", real=True)
    >>> free_updates(log(cosh(p)) + log(cosh(2 * q)) - p * q, (p, q), {})
    {q: sinh(p)/cosh(p), p: 2*sinh(2*q)/cosh(2*q)}
    """
    free = [overlap for overlap in overlaps if overlap not in conjugates]
    found = _joint_updates(potential, free)
    left = []
    for overlap in free:
        if overlap not in found:
            update = own_update(potential, overlap)
            if update is None:
                left.append(overlap)
            else:
                found[overlap] = update
    unknowns = (*overlaps, *conjugates.values())
    crossed: dict[Symbol, Expr] = {}
    for overlap in left:
        equation = _outside(potential.diff(overlap), left)
        if equation is None:
            return found
        bare, functions = equation
        inside = set().union(*(node.free_symbols for node in functions.values()))
        slopes = {s: bare.diff(s).expand() for s in left if s is not overlap and s not in inside}
        affine = [s for s, slope in slopes.items() if slope != 0 and not slope.has_free(*unknowns)]
        if len(affine) != 1 or affine[0] in crossed:
            return found
        (other,) = affine
        crossed[other] = _root(bare, other, slopes[other]).xreplace(functions)
    return found | crossed


def _joint_updates(potential: Expr, overlaps: Sequence[Symbol]) -> dict[Symbol, Expr]:
    r"""Return updates of overlaps that a quadratic form mixes, none where nothing is mixed.

    Their equations are :math:`A q + r`, with A constant outside of all functions: the updates are
    :math:`-A^{-1} r`.
    """
    rows: dict[Symbol, tuple[Expr, dict[Symbol, Expr], dict[Dummy, Expr]]] = {}
    for overlap in overlaps if len(overlaps) > 1 else ():
        equation = _outside(potential.diff(overlap), overlaps)
        if equation is None:
            continue
        bare, functions = equation
        slopes = {other: bare.diff(other).expand() for other in overlaps}
        if not any(slope.has_free(*overlaps, *functions) for slope in slopes.values()):
            rows[overlap] = bare, slopes, functions
    mixed = [s for s, (_, slopes, _) in rows.items() if slopes[s] != 0]
    mixed = [s for s in mixed if any(rows[s][1][o] != 0 for o in mixed if o is not s)]
    if not mixed:
        return {}
    form = Matrix([[rows[s][1][other] for other in mixed] for s in mixed])
    if form.det().expand() == 0:
        return {}
    nothing = dict.fromkeys(mixed, 0)
    rest = [rows[s][0].subs(nothing).xreplace(rows[s][2]) for s in mixed]
    updates = -form.inv().applyfunc(cancel) * Matrix(rest)
    return {s: update.expand() for s, update in zip(mixed, updates, strict=True)}


def _root(equation: Expr, symbol: Symbol, slope: Expr) -> Expr:
    """Return where an equation that is affine in a symbol vanishes, term by term."""
    return -(equation.subs(symbol, 0) / slope).expand()


def residuals(
    potential: Expr,
    overlaps: tuple[Symbol, ...],
    conjugates: Mapping[Symbol, Symbol],
    stated: frozenset[Symbol] = frozenset(),
) -> dict[Symbol, Expr]:
    r"""Return what must vanish at a saddle point, one expression per unknown.

    For an overlap q with conjugate :math:`\hat q` the potential is bilinear in the pair, so
    :math:`\partial_{q}\phi = 0` is solved for :math:`\hat q` and
    :math:`\partial_{\hat q}\phi = 0` for q: the residual is *update minus unknown*, and the
    update serves the damped iteration as it stands. So is it for an overlap without conjugate
    that has an update, see `free_updates`; otherwise its residual is :math:`\partial_q \phi`.
    Unknowns that are `stated` are left out.

    Raises
    ------
    DeclarationError
        If the potential is not bilinear in a declared pair.
    """
    found: dict[Symbol, Expr] = {}
    free = free_updates(potential, overlaps, conjugates)
    for overlap in overlaps:
        conjugate = conjugates.get(overlap)
        if conjugate is None:
            update = free.get(overlap)
            found[overlap] = potential.diff(overlap) if update is None else update - overlap
            continue
        for unknown, varied in ((overlap, conjugate), (conjugate, overlap)):
            if unknown in stated:
                continue
            update = solve_linear(potential.diff(varied), unknown)
            if update is None:
                raise DeclarationError(
                    f"the potential is not bilinear in the pair ({overlap}, {conjugate}): its "
                    f"derivative with respect to {varied} must be affine in {unknown}"
                )
            found[unknown] = update - unknown
    return found
