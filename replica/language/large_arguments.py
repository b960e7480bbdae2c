"""Functions of expansions that are large: what is left of a kink, a step or a tail.

Each takes the expansion of its argument. Where the leading coefficient changes sign there is a
layer, of which `replica.language.series` keeps the width.
"""

from __future__ import annotations

from itertools import product

from sympy import Abs, Expr, Heaviside, S, count_ops, expand, log, oo, sign
from sympy.core.sorting import default_sort_key

from replica.language.envelope import Envelope
from replica.language.primitives import PositivePart
from replica.language.series import NoLimit, Series, constant

__all__ = [
    "absolute",
    "in_layer",
    "indefinite_step",
    "log_scaled_tail",
    "log_tail",
    "mills",
    "positive_part",
    "reciprocal",
    "sign_of",
    "soft_maximum",
    "step",
    "up_to_logarithms",
    "vanishes_widely",
    "which_sign",
]

_ZERO = Series({})

_MOST_STEPS = 5  # of which every combination is looked at


def vanishes_widely(coefficient: Expr) -> bool:
    """Tell whether a coefficient may vanish on a whole interval of a field.

    On each side of its kinks it is another function, one of which may be zero.

    Examples
    --------
    >>> from sympy import Symbol
    >>> u = Symbol("u", real=True)
    >>> vanishes_widely(PositivePart(u) - u), vanishes_widely(1 - PositivePart(u))
    (True, False)
    """
    kinks = sorted(coefficient.atoms(PositivePart, Heaviside, Envelope), key=default_sort_key)
    kinks.sort(key=count_ops, reverse=True)  # those that contain others first
    if len(kinks) > _MOST_STEPS:
        return True
    for sides in product((True, False), repeat=len(kinks)):
        branch = coefficient
        for kink, above in zip(kinks, sides, strict=True):
            value = S.One if isinstance(kink, Heaviside) else kink
            value = kink.args[0] if isinstance(kink, PositivePart) else value
            branch = branch.xreplace({kink: value if above else S.Zero})
        if kinks and expand(branch) == 0:
            return True
    return False


def which_sign(coefficient: Expr) -> int:
    """Return 1 or -1 where the sign of a coefficient is known, else 0."""
    if coefficient.is_positive:
        return 1
    return -1 if coefficient.is_negative else 0


def _layer(given: Series, first: Expr, terms: dict[Expr, Expr], known: Expr) -> Series:
    """Return a function with a kink where the first coefficient of its argument changes sign.

    The rest of the argument moves the kink by a gap; what is `known` beside the kink is of
    power `first`.
    """
    lead = given.lead[1]
    gap = given.gap
    if gap is oo:
        return Series(terms)
    order = known + gap
    # a coefficient that vanishes on an interval says nothing of the next order there
    wide = vanishes_widely(lead)
    mean_order = order if wide else order + gap
    across = None if wide else frozenset(lead.free_symbols)
    return Series(
        {p: c for p, c in terms.items() if p < mean_order},
        order,
        min(mean_order, max(order, known + given.mean_order - first)),
        across,
    )


def positive_part(given: Series) -> Series:
    """Return the positive part of an expansion, whatever its size."""
    if not given.terms and given.is_exact:
        return _ZERO
    first, lead = given.lead
    if which_sign(lead) > 0:
        return given
    if which_sign(lead) < 0:
        return _ZERO
    terms = {p: Heaviside(lead) * c for p, c in given.terms.items() if p != first}
    above = S.Zero if lead.is_nonpositive else lead if lead.is_nonnegative else PositivePart(lead)
    if above != 0:
        terms[first] = above
    return _layer(given, first, terms, first)


def step(given: Series) -> Series:
    """Return the unit step of something large, which is one over a layer of the argument one."""
    _, lead = given.lead
    if which_sign(lead):
        return constant(S.One) if which_sign(lead) > 0 else _ZERO
    return indefinite_step(given, Heaviside(lead))


def indefinite_step(given: Series, value: Expr) -> Series:
    """Return a function that jumps, of the given value beside the jump."""
    first, lead = given.lead
    if vanishes_widely(lead):
        raise NoLimit("jumps where its argument vanishes over a whole interval")
    width = min(given.gap, -first) if first < 0 else given.gap
    if width is oo:
        return constant(value)
    return Series({S.Zero: value}, S.Zero, width, frozenset(lead.free_symbols))


def sign_of(given: Series) -> Series:
    """Return the sign of an expansion, whatever its size."""
    _, lead = given.lead
    if which_sign(lead):
        return constant(S(which_sign(lead)))
    return indefinite_step(given, sign(lead))


def absolute(given: Series) -> Series:
    """Return the absolute value of an expansion, whatever its size."""
    first, lead = given.lead
    if which_sign(lead):
        return given.times(S(which_sign(lead)))
    terms = {p: sign(lead) * c for p, c in given.terms.items() if p != first}
    return _layer(given, first, {first: Abs(lead), **terms}, first)


def in_layer(given: Series) -> Series:
    """Return what a function of a large argument leaves out next to a zero of the argument."""
    first, lead = given.lead
    if which_sign(lead):
        return _ZERO
    if vanishes_widely(lead):
        return Series({}, S.Zero, S.Zero)
    return Series({}, S.Zero, -first, frozenset(lead.free_symbols))


def up_to_logarithms(series: Series) -> Series:
    """Return an expansion of which the order one is not known, up to logarithms."""
    return series + Series({}, S.Zero, S.Zero)


def soft_maximum(one: Series, two: Series) -> Series:
    """Return the logarithm of a sum of two exponentials."""
    difference = two - one
    if not difference.terms and difference.is_exact:
        return one + constant(log(2))
    if difference.lead[0] >= 0:
        raise NoLimit("is a sum of exponentials of the same order")
    return one + positive_part(difference) + in_layer(difference)


def log_tail(given: Series) -> Series:
    """Return log H of something large."""
    above = positive_part(given)
    return up_to_logarithms((above * above).times(-S.Half)) if above.terms else _ZERO


def log_scaled_tail(given: Series) -> Series:
    """Return x^2/2 + log H(x) of something large."""
    below = positive_part(-given)
    return up_to_logarithms((below * below).times(S.Half))


def mills(given: Series) -> Series:
    """Return the inverse Mills ratio of something large."""
    above = positive_part(given)
    layer = in_layer(given)
    return above + layer if which_sign(given.lead[1]) < 0 else above + reciprocal(given)


def reciprocal(given: Series) -> Series:
    """Return what the ratio leaves out: one over the argument, and one in the layer."""
    first, lead = given.lead
    across = None if which_sign(lead) or vanishes_widely(lead) else frozenset(lead.free_symbols)
    order = -first if which_sign(lead) else S.Zero
    return Series({}, order, S.Zero if vanishes_widely(lead) else -first, across)
