r"""Kinks of a function of one field: where they are, and by how much it jumps there.

A function that is smooth between places :math:`r_i` has the derivative

.. math:: f'(x) = \{f'(x)\} + \sum_i [f]_i\, \delta(x - r_i), \qquad [f]_i = f(r_i^+) - f(r_i^-),

where the braces leave the places out. Written so, no step is ever multiplied by a delta function,
which has no value: :math:`F(\theta)' = [F]\, \delta` and not :math:`F'(\theta)\, \delta`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

from sympy import (
    Abs,
    Add,
    Basic,
    DiracDelta,
    Dummy,
    Expr,
    Float,
    Heaviside,
    Max,
    Min,
    Mul,
    Pow,
    Rational,
    S,
    Symbol,
    count_ops,
    exp,
    expand,
    factor_list,
    log,
    pi,
    sign,
    sinh,
    sqrt,
    tanh,
)
from sympy.polys.polyerrors import PolynomialError

from replica.errors import DeclarationError
from replica.language.primitives import Clip, PositivePart, Primitive, Tanh
from replica.writing import excerpt

__all__ = [
    "CONTINUOUS",
    "JUMPING",
    "Place",
    "branches",
    "jumps",
    "jumps_of_curvature",
    "moved_jumps",
    "one_step_powers",
    "places",
    "sift",
    "smooth_derivative",
    "vanishes",
]

JUMPING = (Heaviside, sign)
"""Functions that jump where their argument vanishes."""

CONTINUOUS = (Abs, Max, Min, PositivePart, Clip)
"""Functions that turn, without a jump, where one branch takes over from another."""

_MOST_BRANCHES = 64  # of one argument; beyond, its places are not looked for
_LARGE = 60  # operations of a polynomial that is not factored
_ORDERS = 4  # derivatives that are tried for the side on which an argument is positive
_PROBES = (Rational(7, 5), Rational(3, 7), Rational(19, 8))  # values of symbols, to see a zero


@dataclass(frozen=True)
class Place:
    """A zero of an argument along a field.

    Attributes
    ----------
    at : Expr
        The zero.
    argument : Expr
        The smooth branch of the argument that vanishes there.
    holds : Expr
        One where the zero is real and on its branch, zero elsewhere.
    """

    at: Expr
    argument: Expr
    holds: Expr


def branches(argument: Expr, field: Symbol) -> Iterator[tuple[Expr, tuple[Expr, ...]]]:
    """Yield the smooth branches of an expression, each with what must be positive on it.

    Examples
    --------
    >>> from sympy import symbols
    >>> x, a = symbols("x a", real=True)
    >>> list(branches(Abs(x) - a, x))
    [(-a + x, (x,)), (-a - x, (-x,))]
    """
    yield from _branches(argument, field, ())


def _branches(
    argument: Expr, field: Symbol, above: tuple[Expr, ...]
) -> Iterator[tuple[Expr, tuple[Expr, ...]]]:
    kinks = set(_turning(argument, field))
    if not kinks:
        yield argument, above
        return
    # the outermost first: of a minimum, only the branches of the part that is it matter
    kink = max(kinks, key=lambda node: (len(node.atoms(*CONTINUOUS, *JUMPING)), str(node)))
    for value, positive in _sides(kink):
        if not any(_exclude(new, old, field) for new in positive for old in above):
            yield from _branches(argument.xreplace({kink: value}), field, (*above, *positive))


def _exclude(one: Expr, two: Expr, field: Symbol) -> bool:
    """Tell whether two affine expressions are known never to be positive together."""
    slopes = one.diff(field), two.diff(field)
    if not all(slope.is_number for slope in slopes) or slopes[0] * slopes[1] >= 0:
        return False
    return bool(expand(one * abs(slopes[1]) + two * abs(slopes[0])).is_nonpositive)


def _turning(node: Basic, field: Symbol) -> Iterator[Expr]:
    """Yield the nodes with kinks along a field; what an inner mean averages over has none."""
    if not node.has_free(field) or hasattr(node, "bound_symbols"):
        return
    if isinstance(node, (*CONTINUOUS, *JUMPING)):
        yield node
    for argument in node.args:
        yield from _turning(argument, field)


def _sides(kink: Expr) -> list[tuple[Expr, tuple[Expr, ...]]]:
    """Return the smooth expressions that a node is, with what must be positive for each."""
    if isinstance(kink, Clip):
        x, low, high = kink.args
        ends = [(low, (low - x,)), (high, (x - high,))]
        return [(x, (x - low, high - x)), *(end for end in ends if end[0].is_finite is not False)]
    if isinstance(kink, (Max, Min)):
        side = 1 if isinstance(kink, Max) else -1
        return [
            (one, tuple(side * (one - other) for other in kink.args if other != one))
            for one in kink.args
        ]
    u = kink.args[0]
    above, below = {
        Abs: (u, -u),
        PositivePart: (u, S.Zero),
        Heaviside: (S.One, S.Zero),
        sign: (S.One, S.NegativeOne),
    }[type(kink)]
    return [(above, (u,)), (below, (-u,))]


@lru_cache(maxsize=1024)
def places(argument: Expr, field: Symbol) -> tuple[Place, ...] | None:
    """Return the zeros of an argument along a field, None if one of them has no formula.

    Examples
    --------
    >>> from sympy import symbols
    >>> x, a = symbols("x a", real=True)
    >>> [(place.at, place.holds) for place in places(Abs(x) - a, x)]
    [(a, Heaviside(a)), (-a, Heaviside(a))]
    >>> [place.holds for place in places(x**2 - a, x)]
    [Heaviside(a), Heaviside(a)]
    """
    found: list[Place] = []
    for count, (branch, positive) in enumerate(branches(argument, field)):
        zeros = _zeros(branch, field) if count < _MOST_BRANCHES else None
        if zeros is None:
            return None
        for at, real in zeros:
            holds = real
            for condition in positive:
                value = condition.subs(field, at)
                if not vanishes(value, real):
                    holds *= Heaviside(value)
            if holds != 0:
                found.append(Place(at, branch, holds))
    return tuple(found)


def _zeros(branch: Expr, field: Symbol) -> list[tuple[Expr, Expr]] | None:
    """Return the real zeros of a smooth branch, each with one where it is real, else zero."""
    if not branch.has_free(field):
        return []
    if branch.is_polynomial(field):
        return _zeros_of_polynomial(branch, field)
    numerator, denominator = branch.as_numer_denom()
    if denominator != 1 and denominator.has_free(field):
        return _zeros(numerator, field)
    free, moving = branch.as_independent(field, as_Add=True)
    if isinstance(moving, Add):
        return None
    factor, core = moving.as_independent(field, as_Add=False)
    if isinstance(core, Mul):
        if free != 0:
            return None
        each = [_zeros(part, field) for part in core.args]
        return None if None in each else [zero for part in each for zero in part or []]
    arguments = _inverses(core, -free / factor)
    if arguments is None:
        return None
    found: list[tuple[Expr, Expr]] = []
    for value, exists in arguments:
        inner = _zeros(core.args[0] - value, field)
        if inner is None:
            return None
        found += [(at, real * exists) for at, real in inner]
    return found


def _inverses(core: Expr, value: Expr) -> list[tuple[Expr, Expr]] | None:
    """Return the arguments at which a function takes a value, each with one where it exists.

    None if the inverse of the function is not known.
    """
    if isinstance(core, exp):
        return [(log(Abs(value)), Heaviside(value))] if value != 0 else []
    if isinstance(core, log):
        return [(exp(value), S.One)]
    if isinstance(core, (Tanh, tanh)):
        quotient = (1 + value) / (1 - value)
        return [(log(Abs(quotient)) / 2, Heaviside(quotient))]
    if isinstance(core, sinh):
        return [(log(value + sqrt(value**2 + 1)), S.One)]
    if isinstance(core, Pow) and core.exp.is_Rational and core.exp.is_positive:
        power = 1 / core.exp
        size = Abs(value) ** power
        if core.exp.p % 2 and core.exp.q % 2:
            return [(sign(value) * size, S.One)]
        if core.exp.q % 2 == 0:
            return [(size, Heaviside(value) if value != 0 else S.One)]
        return [(size, Heaviside(value)), (-size, Heaviside(value))]
    return None


def _zeros_of_polynomial(branch: Expr, field: Symbol) -> list[tuple[Expr, Expr]] | None:
    found: list[tuple[Expr, Expr]] = []
    functions = {n: Dummy(real=True) for n in branch.atoms(*CONTINUOUS, *JUMPING)}
    back = {dummy: node for node, dummy in functions.items()}
    plain = branch.xreplace(functions)
    parts = [plain]
    # sympy cannot factor with floats among symbols, and takes long over large coefficients
    if not plain.has(Float) and count_ops(plain) < _LARGE:
        with suppress(PolynomialError):  # coefficients with roots, such as m / sqrt(alpha)
            parts = [part for part, _ in factor_list(plain, field)[1]]
    for part in parts:
        coefficients = [c.xreplace(back) for c in part.as_poly(field).all_coeffs()]
        if len(coefficients) == 2:
            slope, constant = coefficients
            found.append((-constant / slope, S.One))
        elif len(coefficients) == 3:
            a, b, c = coefficients
            square = expand(b**2 - 4 * a * c) / (4 * a**2)
            real = Heaviside(square)
            root = sqrt(square if real == 1 else Abs(square))
            found += [(-b / (2 * a) + side * root, real) for side in (1, -1) if real != 0]
        elif not any(coefficients[1:-1]):  # a x^n + c
            a, c = coefficients[0], coefficients[-1]
            found += _inverses(field ** (len(coefficients) - 1), -c / a) or []
        else:
            return None
    return found


def smooth_derivative(expression: Expr, symbol: Symbol) -> Expr:
    """Return the derivative away from all kinks.

    Examples
    --------
    >>> from sympy import symbols
    >>> x, a = symbols("x a", real=True)
    >>> smooth_derivative(x * Heaviside(x - a), x)
    Heaviside(-a + x)
    """
    found = expression.diff(symbol)
    deltas = found.atoms(DiracDelta)
    return found.xreplace(dict.fromkeys(deltas, S.Zero)) if deltas else found


def jumps(expression: Expr, field: Symbol) -> list[tuple[Place, Expr]]:
    """Return the places at which an expression jumps, each with the jump.

    Raises
    ------
    DeclarationError
        If a place has no formula, or a jump is infinite.

    Examples
    --------
    >>> from sympy import symbols
    >>> x, a = symbols("x a", real=True)
    >>> [(place.at, jump) for place, jump in jumps(log(1 + Heaviside(x - a)), x)]
    [(a, log(2))]
    """
    known: list[Place] = []
    for node, argument, bound in _jumping(expression, field, frozenset()):
        zeros = places(argument, field)
        if zeros is None:
            if bound & argument.free_symbols or _is_continuous(expression, argument):
                continue
            raise DeclarationError(
                f"no formula for the place along the field {field} at which "
                f"{excerpt(argument)} vanishes and {excerpt(node)} jumps: give the kink an "
                f"argument that can be solved for {field}"
            )
        for place in zeros:
            if place.at.free_symbols & bound:
                continue  # an inner field moves the place: the mean over that field is smooth here
            known = _apart(known, place)
    found = []
    for place in known:
        above, below = (_beside(expression, field, place, side) for side in (1, -1))
        jump = above - below
        if jump == 0 or expand(jump) == 0:
            continue
        if jump.has(S.NaN, S.ComplexInfinity, S.Infinity, S.NegativeInfinity):
            raise DeclarationError(
                f"not integrable over the field {field}: infinite beside {field} = "
                f"{excerpt(place.at)} in {excerpt(expression)}"
            )
        found.append((place, jump))
    return found


def _apart(known: list[Place], new: Place) -> list[Place]:
    """Add a place to others such that no two of the same zero hold together."""
    result: list[Place] = []
    left = new.holds
    for other in known:
        if other.at != new.at:
            result.append(other)
            continue
        shares = _both(other.holds, left), _both(other.holds, 1 - new.holds)
        result += [Place(other.at, other.argument, share) for share in shares if share != 0]
        left = _both(left, 1 - other.holds)
    return [*result, Place(new.at, new.argument, left)] if left != 0 else result


def _both(one: Expr, two: Expr) -> Expr:
    return one_step_powers(expand(one * two))


def _jumping(
    node: Basic, field: Symbol, bound: frozenset[Symbol]
) -> Iterator[tuple[Expr, Expr, frozenset[Symbol]]]:
    """Yield the nodes that may jump along a field, where what vanishes, and inner fields in it."""
    if not node.has_free(field):
        return
    for argument in _switches(node):
        if argument.has_free(field):
            yield node, argument, bound
    bound = bound | set(getattr(node, "bound_symbols", ()))
    for argument in node.args:
        yield from _jumping(argument, field, bound)


def _switches(node: Basic) -> list[Expr]:
    """Return what vanishes where a node jumps."""
    if isinstance(node, JUMPING):
        return [node.args[0]]
    found = node.switches() if isinstance(node, Primitive) else []
    if found is None:
        raise DeclarationError(
            f"no formula for the places at which the lowest branch changes in {excerpt(node)}: a "
            f"derivative "
            f"needs it; a parameter whose sign mirrors the objective would give one"
        )
    return found


def _is_continuous(expression: Expr, argument: Expr) -> bool:
    """Tell whether an expression does not jump where an argument vanishes, wherever that is."""
    zero = Dummy("zero", real=True)
    bare = expression.xreplace({argument: zero, -argument: -zero})
    place = Place(S.Zero, zero, S.One)
    jump = _beside(bare, zero, place, 1) - _beside(bare, zero, place, -1)
    return bool(expand(jump) == 0)


def _beside(node: Basic, field: Symbol, place: Place, side: int) -> Basic:
    """Return what an expression tends to as the field comes to a place from one side."""
    if not node.has_free(field):
        return node
    if node == field:
        return place.at
    if node.is_Atom:
        return node
    if hasattr(node, "renamed"):
        node = node.renamed(place.at.free_symbols)
    rebuilt = [_beside(argument, field, place, side) for argument in node.args]
    if isinstance(node, JUMPING) and vanishes(rebuilt[0], place.holds):
        rebuilt = [_approach(node.args[0], field, place, side)]
    elif isinstance(node, Primitive) and _switches(node):
        for argument in _switches(node):
            if vanishes(_beside(argument, field, place, side), place.holds):
                return node.beside(rebuilt, _approach(argument, field, place, side))
    elif isinstance(node, (PositivePart, *JUMPING)):
        rebuilt = rebuilt[:1]
        if isinstance(node, PositivePart) and rebuilt[0].is_nonpositive:
            return S.Zero
    return node.func(*rebuilt)


def _approach(argument: Expr, field: Symbol, place: Place, side: int) -> Expr:
    """Return a number with the sign of a vanishing argument on one side of its zero."""
    slope = argument
    for order in range(1, _ORDERS + 1):
        slope = smooth_derivative(slope, field)
        value = _beside(slope, field, place, side)
        if not vanishes(value, place.holds):
            return side**order * value
    return S.Zero


@lru_cache(maxsize=4096)
def vanishes(value: Expr, holds: Expr) -> bool:
    """Tell whether an expression is zero for all values of its symbols for which `holds` is one."""
    if value.is_number or value.is_Symbol:
        return bool(value.is_zero)
    if expand(value) == 0:
        return True
    symbols = sorted(value.free_symbols | holds.free_symbols, key=str)
    seen = False
    for signs in product((1, -1), repeat=min(len(symbols), 3)):
        numbers = {
            symbol: _probe(symbol, k, signs[k % len(signs)]) for k, symbol in enumerate(symbols)
        }
        if holds.subs(numbers) != 1:
            continue
        seen = True
        number = value.subs(numbers).evalf(25)
        if not number.is_Number or abs(number) > Rational(1, 10**18):
            return False
    return seen


def _probe(symbol: Symbol, k: int, side: int) -> Expr:
    """Return a number that a symbol may stand for."""
    if symbol.is_nonnegative:
        side = 1
    elif symbol.is_nonpositive:
        side = -1
    return side * (_PROBES[k % len(_PROBES)] + Rational(k, 29))


def _density(field: Symbol, variance: Expr) -> Expr:
    return exp(-(field**2) / (2 * variance)) / sqrt(2 * pi * variance)


def moved_jumps(body: Expr, field: Symbol, variance: Expr, symbol: Symbol) -> Expr:
    r"""Return what the motion of kinks adds to a derivative.

    .. math:: -\sum_i [f]_i\, p(r_i)\, \partial_s r_i, \qquad
              \partial_s r = -\partial_s g / \partial_x g \ \text{ where } g(r) = 0
    """
    density = _density(field, variance)
    total = S.Zero
    for place, jump in jumps(body, field):
        moved = smooth_derivative(place.argument, symbol)
        if moved != 0:
            rate = moved / smooth_derivative(place.argument, field)
            total += place.holds * jump * (rate * density).subs(field, place.at)
    return total


def jumps_of_curvature(body: Expr, slope: Expr, field: Symbol, variance: Expr) -> Expr:
    r"""Return what jumps add to the mean of the second derivative, :math:`[f'] p - [f] p'`."""
    density = _density(field, variance)
    terms = [(place, jump, density) for place, jump in jumps(slope, field)]
    terms += [(place, jump, field / variance * density) for place, jump in jumps(body, field)]
    return Add(*(p.holds * jump * weight.subs(field, p.at) for p, jump, weight in terms))


def sift(body: Expr, field: Symbol, variance: Expr) -> tuple[Expr, Expr]:
    r"""Integrate the terms with :math:`\delta^{(n)}(g(x))`, at the zeros of g.

    .. math:: E\, w(x)\, \delta(g(x)) = \sum_i \frac{w(r_i) p(r_i)}{|g'(r_i)|}, \qquad
              E\, w(x)\, \delta^{(n)}(a x + b)
              = \frac{(-1)^n}{a^n |a|} \frac{d^n}{dx^n} \big[w(x) p(x)\big]_{x = -b/a}
    """
    density = _density(field, variance)
    smooth, sifted = [], []
    for term in Add.make_args(_expand_deltas(body)):
        deltas = [f for f in Mul.make_args(term) if f.has(DiracDelta)]
        if not deltas:
            smooth.append(term)
            continue
        argument, order = deltas[0].args[0], deltas[0].args[1] if deltas[0].args[1:] else 0
        single = len(deltas) == 1 and isinstance(deltas[0], DiracDelta)
        zeros = places(argument, field) if single and argument.has_free(field) else None
        if not zeros or (order and smooth_derivative(argument, field).has_free(field)):
            raise DeclarationError(f"not integrable over the field {field}: {excerpt(term)}")
        weight = (term / deltas[0] * density).diff(field, order)
        for place in zeros:
            slope = smooth_derivative(place.argument, field).subs(field, place.at)
            value = place.holds * weight.subs(field, place.at)
            sifted.append((-1) ** order * value / (slope**order * Abs(slope)))
    return Add(*smooth), Add(*sifted)


def _expand_deltas(body: Expr) -> Expr:
    """Distribute products over sums only as far as needed to bring each delta to a term."""
    if not body.has(DiracDelta):
        return body
    if body.is_Add:
        return Add(*(_expand_deltas(term) for term in body.args))
    if body.is_Mul:
        for factor in body.args:
            if factor.is_Add and factor.has(DiracDelta):
                rest = Mul(*(other for other in body.args if other is not factor))
                return Add(*(_expand_deltas(rest * term) for term in factor.args))
    return body


def one_step_powers(expression: Expr) -> Expr:
    """Return the same with powers of a unit step or sign reduced to the lowest."""

    def lowest(node: Expr) -> Expr:
        base, power = node.args
        return S.One if isinstance(base, sign) and power % 2 == 0 else base

    return expression.replace(
        lambda node: (
            isinstance(node, Pow)
            and isinstance(node.base, (Heaviside, sign))
            and node.exp.is_Integer
            and node.exp.is_positive
        ),
        lowest,
    )
