r"""Leading behaviour of expressions of the language where one symbol vanishes.

Each primitive has its own at large arguments, with :math:`(x)_+ = \max(0, x)`:

==============================  ==========================================
function, large argument        leading behaviour
==============================  ==========================================
``LogH(x)``                     -(x)_+^2 / 2
``LogHDifference(a, b)``        -(a)_+^2 / 2 - (-b)_+^2 / 2
``LogCosh(x)``                  abs(x) - log 2
``LogSumExp(a, b)``             max(a, b)
``Mills(x)``, ``MillsExcess``   (x)_+, (-x)_+
``Tanh(x)``, ``Sech(x)``        sign(x), 0
``Softmax(a, b)``               1 where a > b, else 0
==============================  ==========================================

They are exchanged with Gaussian means, whose field is measured in units of its own width; the
logarithm of a mean of :math:`e^{g(z)/\varepsilon}` over a field of variance
:math:`\varepsilon v` is :math:`\max_z [g(z) - z^2/2v] / \varepsilon` (Laplace), a Moreau
envelope; so is that of an integral over z, where g has a quadratic part.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from itertools import product
from math import factorial, prod

from sympy import (
    Abs,
    Add,
    Basic,
    Dummy,
    Expr,
    Heaviside,
    Max,
    Min,
    Mul,
    Pow,
    S,
    Symbol,
    binomial,
    cosh,
    erf,
    erfc,
    exp,
    expand,
    expand_mul,
    log,
    nan,
    nsimplify,
    oo,
    sign,
    sqrt,
    zoo,
)
from sympy.core.function import Function

from replica.errors import DeclarationError
from replica.language.laplace import lowest
from replica.language.large_arguments import (
    absolute,
    in_layer,
    indefinite_step,
    log_scaled_tail,
    log_tail,
    mills,
    positive_part,
    reciprocal,
    sign_of,
    soft_maximum,
    step,
    up_to_logarithms,
    which_sign,
)
from replica.language.means import BoundMean, Mean
from replica.language.primitives import (
    LogCosh,
    LogH,
    LogHDifference,
    LogScaledH,
    LogSumExp,
    LowerMills,
    Mills,
    MillsExcess,
    PositivePart,
    Sech,
    Softmax,
    Tanh,
    UpperMills,
)
from replica.language.series import LOGARITHM, NoLimit, Series, composed, constant
from replica.writing import excerpt

__all__ = ["Expansion"]

_EXACT_POWER = 8  # up to which a power of a sum is multiplied out, without an expansion

_ZERO = Series({})


class Expansion:
    """Expansions in a small positive symbol.

    Parameters
    ----------
    small : Symbol
        Positive; it tends to zero.
    reach : number
        How many powers after the first one are followed where a function is expanded.

    Examples
    --------
    >>> from sympy import symbols
    >>> T, h = Symbol("T", positive=True), Symbol("h", real=True)
    >>> dict(Expansion(T).of(T * LogCosh(h / T)).terms)
    {0: Abs(h), 1: -log(2)}
    """

    def __init__(self, small: Symbol, reach: Expr = S.One) -> None:
        self.small = small
        self.reach = reach
        self._known: dict[Basic, Series] = {}

    def of(self, node: Expr) -> Series:
        """Return the expansion of an expression.

        Raises
        ------
        NoLimit
            Naming the part that has none.
        """
        if node == self.small:
            return Series({S.One: S.One})
        if not node.has_free(self.small):
            return constant(node)
        if node not in self._known:
            self._known[node] = self._new(node)
        return self._known[node]

    def _new(self, node: Expr) -> Series:
        if node.is_Add:
            return reduce(Series.__add__, map(self.of, node.args))
        if node.is_Mul:
            return self._product(node)
        if isinstance(node, Pow):
            return self._power(node)
        if isinstance(node, Mean):
            return self._mean(node.body, node.field, node.variance)
        if isinstance(node, BoundMean):
            return self._average(node) if node.linear else self.of(node.written_out())
        if isinstance(node, exp):
            return self._exponential(node)
        if isinstance(node, log):
            return self.log_of(node.args[0])
        try:
            rule = _RULES.get(type(node))
            if rule is not None:
                return rule(self, node)
            return self._regular(node)
        except NoLimit as reason:
            text, where = str(reason), excerpt(node)
            raise type(reason)(text if where in text else f"{where} {text}") from None

    # ---- structure ------------------------------------------------------------------------------

    def _product(self, node: Expr) -> Series:
        # two exponentials stay apart: as powers of one base they would be one
        powers = dict((f, S.One) if isinstance(f, exp) else f.as_base_exp() for f in node.args)
        found = constant(S.One)
        for base in list(powers):
            # A (A - x) is the slope of A, whose two factors are each small where the other is large
            other = MillsExcess(base.args[0]) if isinstance(base, Mills) else None
            if other in powers and powers[base].is_Integer and powers[other].is_Integer:
                shared = min(powers[base], powers[other])
                slope = self._slope_of_mills(base.args[0])
                if shared > 0 and slope is not None:
                    found = reduce(Series.__mul__, [slope] * int(shared), found)
                    powers[base] -= shared
                    powers[other] -= shared
        factors = [b**p for b, p in powers.items() if p != 0]
        try:
            return reduce(Series.__mul__, map(self.of, factors), found)
        except NoLimit:
            share = self._share(factors)
            if share is None:
                raise
            return found * share

    def _share(self, factors: list[Expr]) -> Series | None:
        """Return a quotient whose divisor is a sum of exponentials, None if it is none.

        It is the quotient with one term times the share of this term in the sum, which is one
        where the term is the largest and zero elsewhere. The divisor may be inside of a mean.
        """
        for mean in factors:
            if isinstance(mean, Mean) and len(factors) > 1:
                others = Mul(*(f for f in factors if f is not mean))
                field = Dummy(mean.field.name, real=True)  # the name may be taken outside
                body = mean.body.xreplace({mean.field: field})
                try:
                    return self._mean(others * body, field, mean.variance)
                except NoLimit:
                    continue
        sums = [f for f in factors if isinstance(f, Pow) and f.exp == -1 and f.base.is_Add]
        for divisor in sums:
            terms = divisor.base.args
            over = Mul(*(f for f in factors if f is not divisor))
            try:
                logs = [self.log_of(term) for term in terms]
            except NoLimit:
                continue
            for k, term in enumerate(terms):
                rest = reduce(soft_maximum, logs[:k] + logs[k + 1 :])
                parts = Add.make_args(expand_mul(over / term))
                try:
                    quotient = reduce(Series.__add__, map(self.of, parts))
                    share = step(logs[k] - rest)
                except NoLimit:
                    continue
                if (logs[k] - rest).power < 0:
                    return quotient * share
        return None

    def _slope_of_mills(self, argument: Expr) -> Series | None:
        given = self.of(argument)
        return step(given) if given.power < 0 else None

    def _power(self, node: Expr) -> Series:
        base, power = node.args
        if power.is_Float:
            power = nsimplify(power, rational=True)
        if not power.is_Rational:
            return self._exponential(exp(power * _Logarithm(base), evaluate=False))
        given = self.of(base)
        if power.is_Integer and 0 < power <= _EXACT_POWER:
            return reduce(Series.__mul__, [given] * int(power))
        first, lead = given.lead
        rest = given.without(first).times(1 / lead, -first)
        series = composed(lambda k: binomial(power, k), rest, self.reach)
        return series.times(lead**power, first * power)

    def _mean(self, body: Expr, field: Symbol, spread: Expr) -> Series:
        variance = spread
        if spread.has_free(self.small):
            width = self.of(spread)
            if not width.terms:
                raise NoLimit(f"the variance {spread} vanishes faster than every power")
            variance = width.lead[1]
            body = body.subs(field, field * sqrt(spread / variance))
        return self._averaged(self.of(body), field, lambda c: Mean(c, (field, variance)))

    def _average(self, node: BoundMean) -> Series:
        if node.law.has_free(self.small):
            raise NoLimit(f"the law {excerpt(node.law)} of {node.field} changes with it")
        again = type(node)
        return self._averaged(
            self.of(node.body), node.field, lambda c: again(c, (node.field, node.law))
        )

    def _averaged(self, body: Series, field: Symbol, mean: Callable[[Expr], Expr]) -> Series:
        """Return the mean of a series: of each coefficient, as far as it is integrable."""
        terms: dict[Expr, Expr] = {}
        order = body.order
        across = body.across
        if across is None or field in across:
            order, across = body.mean_order, None
        for power, coefficient in sorted(body.terms.items()):
            try:
                terms[power] = mean(coefficient)
            except DeclarationError as error:
                if not terms:
                    raise NoLimit(str(error)) from None
                return Series(terms, power, power)
        return Series(terms, order, body.mean_order, across)

    def _regular(self, node: Expr) -> Series:
        """Return the Taylor expansion of a function at finite arguments."""
        varied = [k for k, a in enumerate(node.args) if a.has_free(self.small)]
        given = [self.of(node.args[k]) for k in varied]
        if any(s.power < 0 for s in given):
            raise NoLimit("has a large argument, at which its behaviour is not known")
        places = [s.terms.get(S.Zero, S.Zero) for s in given]
        if any(place.has(LOGARITHM) for place in places):
            raise NoLimit("has an argument that grows like a logarithm")
        rests = [s.without(S.Zero) for s in given]
        if any(s.power <= 0 for s in rests):
            raise NoLimit("changes by as much as it is in a layer")
        symbols = [Dummy(real=True) for _ in varied]
        arguments = list(node.args)
        for k, symbol in zip(varied, symbols, strict=True):
            arguments[k] = symbol
        function = node.func(*arguments)
        gap = min(s.power for s in rests)
        highest = 0
        while (highest + 1) * gap < self.reach:
            highest += 1
        rule = dict(zip(symbols, places, strict=True))
        total = _ZERO
        for orders in product(range(highest + 1), repeat=len(varied)):
            if sum(orders) > highest:
                continue
            slope = function
            term = constant(S.One)
            for symbol, rest, count in zip(symbols, rests, orders, strict=True):
                for _ in range(count):
                    slope = slope.diff(symbol)
                    term = term * rest
            value = slope.xreplace(rule)
            if value.has(nan, zoo, oo, -oo):
                raise NoLimit("is singular there")
            total = total + term.times(value / prod(map(factorial, orders)))
        return total.cut((highest + 1) * gap)

    # ---- exponentials and logarithms ------------------------------------------------------------

    def _exponential(self, node: Expr) -> Series:
        argument = node.args[0]
        if isinstance(argument, LogH):
            return self._tail(argument.args[0])
        given = self.of_logarithms(argument)
        low = [p for p in given.terms if p < 0]
        if low:
            sign_there = which_sign(given.lead[1])
            if sign_there < 0:
                return _ZERO
            parts = Add.make_args(argument)
            tails = [part for part in parts if isinstance(part, LogH)]
            if tails:
                rest = exp(Add(*(part for part in parts if part not in tails)))
                return reduce(Series.__mul__, (self._tail(p.args[0]) for p in tails), self.of(rest))
            shown = argument.replace(_Logarithm, log)
            raise NoLimit(f"exp({excerpt(shown)}) grows or vanishes exponentially")
        first = expand(given.terms.get(S.Zero, S.Zero))
        power = first.coeff(LOGARITHM)
        if power.has(LOGARITHM) or not power.is_Rational:
            shown = excerpt(node.replace(_Logarithm, log))
            raise NoLimit(f"{shown} is a power that is not a number")
        series = composed(lambda k: S.One / factorial(k), given.without(S.Zero), self.reach)
        return series.times(exp(first - power * LOGARITHM), power)

    def of_logarithms(self, argument: Expr) -> Series:
        """Return the expansion of an exponent, in which powers are written as logarithms."""
        kept = argument.atoms(_Logarithm)
        if not kept:
            return self.of(argument)
        (one,) = kept
        return self.of(argument.coeff(one)) * self.log_of(one.args[0])

    def _tail(self, argument: Expr) -> Series:
        """Return the expansion of H."""
        given = self.of(argument)
        if given.power >= 0:
            return self._regular_tail(argument, given)
        return step(-given)

    def _regular_tail(self, argument: Expr, given: Series) -> Series:
        series = self._regular(LogH(argument))
        first = series.terms.get(S.Zero, S.Zero)
        rest = series.without(S.Zero)
        return composed(lambda k: S.One / factorial(k), rest, self.reach).times(exp(first))

    def log_of(self, node: Expr) -> Series:
        """Return the expansion of the logarithm of a positive expression."""
        if not node.has_free(self.small):
            return constant(log(node))
        if node == self.small:
            return Series({S.Zero: LOGARITHM})
        if isinstance(node, exp):
            return self.of(node.args[0])
        if isinstance(node, cosh):
            return self.of(LogCosh(node.args[0]))
        if isinstance(node, erfc):
            return self.of(log(2) + LogH(sqrt(2) * node.args[0]))
        if node.is_Mul and not any(factor.is_negative for factor in node.args):
            return reduce(Series.__add__, map(self.log_of, node.args))
        if isinstance(node, Pow):
            return self.of(node.exp) * self.log_of(node.base)
        if node.is_Add:
            found = self._log_of_sum(node)
            if found is not None:
                return found
        if isinstance(node, Mean):
            found = self._laplace(node)
            if found is not None:
                return found
        given = self.of(node)
        if not given.terms:
            raise NoLimit(f"log({excerpt(node)}) is that of something smaller than every power")
        first, lead = given.lead
        if lead.is_negative:
            raise NoLimit(f"log({excerpt(node)}) is that of a negative number")
        rest = given.without(first).times(1 / lead, -first)
        series = composed(lambda k: S.NegativeOne ** (k + 1) / k if k else S.Zero, rest, self.reach)
        return series + Series({S.Zero: first * LOGARITHM + log(lead)})

    def _log_of_sum(self, node: Expr) -> Series | None:
        """Return the largest of several exponentials, None where none of them is large."""
        if any(term.as_coeff_Mul()[0].is_negative for term in node.args):
            return None
        try:
            parts = [self.log_of(term) for term in node.args]
        except NoLimit:
            return None
        if all(part.power >= 0 for part in parts):
            return None
        return reduce(soft_maximum, parts)

    def _laplace(self, node: Mean) -> Series | None:
        """Return the maximum of a large exponent with the Gaussian's, None if it is not large."""
        width = self.of(node.variance)
        if not width.terms:
            return None
        try:
            exponent = self.log_of(node.body)
        except NoLimit:
            return None
        power, height = exponent.lead if exponent.terms else (S.Zero, S.Zero)
        if power >= 0 or not height.has_free(node.field):
            return None
        spread, variance = width.lead
        if spread > -power:
            raise NoLimit(
                f"{excerpt(node)}: the exponent grows as the power {power} and the variance of "
                f"{node.field} vanishes as the power {spread}"
            )
        cost = -height
        if spread == -power:
            cost += node.field**2 / (2 * variance)
        found = lowest(cost, node.field)
        if found is None and spread == -power:
            where = excerpt(node)
            raise NoLimit(f"{where}: the maximum of its exponent over {node.field} is not known")
        if found is None:
            return None  # a plateau, whose mass counts
        gap = min(exponent.gap, width.gap, -power)
        return Series({power: -found}, power + gap, power + gap)


class _Logarithm(Function):
    """The logarithm of the base of a power; sympy would turn exp(p log(b)) back into b**p."""

    nargs = 1


# ---- primitives at large arguments --------------------------------------------------------------


def _large(
    rule: Callable[[Series], Series],
) -> Callable[[Expansion, Expr], Series]:
    """Return the rule of a function of one argument, which is regular where that is not large."""

    def apply(expansion: Expansion, node: Expr) -> Series:
        given = expansion.of(node.args[0])
        return rule(given) if given.power < 0 else expansion._regular(node)

    return apply


def _always(
    rule: Callable[[Series], Series],
) -> Callable[[Expansion, Expr], Series]:
    return lambda expansion, node: rule(expansion.of(node.args[0]))


def _log_interval(expansion: Expansion, node: Expr) -> Series:
    below, above = (expansion.of(a) for a in node.args)
    if below.power >= 0 and above.power >= 0:
        return expansion._regular(node)
    if below.power >= 0 and which_sign(above.lead[1]) > 0:
        return expansion.of(LogH(node.args[0]))
    if above.power >= 0 and which_sign(below.lead[1]) < 0:
        return expansion.of(LogH(-node.args[1]))
    left, right = positive_part(below), positive_part(-above)
    return up_to_logarithms((left * left + right * right).times(-S.Half))


def _interval_end(upper: bool) -> Callable[[Expansion, Expr], Series]:
    def apply(expansion: Expansion, node: Expr) -> Series:
        below, above = (expansion.of(a) for a in node.args)
        if below.power >= 0 and above.power >= 0:
            return expansion._regular(node)
        if below.power >= 0 or above.power >= 0 or _narrow(below, above):
            raise NoLimit("has ends of different orders")
        end = -above if upper else below
        return positive_part(end) + reciprocal(end)

    return apply


def _narrow(below: Series, above: Series) -> bool:
    return bool(below.lead[0] != above.lead[0] or expand(below.lead[1] - above.lead[1]) == 0)


def _log_sum(expansion: Expansion, node: Expr) -> Series:
    given = [expansion.of(argument) for argument in node.args]
    if all(one.power >= 0 for one in given):
        return expansion._regular(node)
    return reduce(soft_maximum, given)


def _softmax(expansion: Expansion, node: Expr) -> Series:
    own, *others = (expansion.of(argument) for argument in node.args)
    if all((other - own).power >= 0 for other in others):
        return expansion._regular(node)
    rest = reduce(soft_maximum, others)
    return step(own - rest)


def _maximum(expansion: Expansion, node: Expr) -> Series:
    return reduce(lambda a, b: a + positive_part(b - a), map(expansion.of, node.args))


def _minimum(expansion: Expansion, node: Expr) -> Series:
    return reduce(lambda a, b: a - positive_part(a - b), map(expansion.of, node.args))


_RULES: dict[type[Basic], Callable[[Expansion, Expr], Series]] = {
    LogH: _large(log_tail),
    LogScaledH: _large(log_scaled_tail),
    Mills: _large(mills),
    MillsExcess: _large(lambda given: positive_part(-given) + reciprocal(given)),
    LogCosh: _large(lambda given: absolute(given) - constant(log(2)) + in_layer(given)),
    Tanh: _large(sign_of),
    Sech: _large(in_layer),
    erf: _large(sign_of),
    erfc: _large(lambda given: step(-given).times(S(2))),
    LogHDifference: _log_interval,
    LowerMills: _interval_end(upper=False),
    UpperMills: _interval_end(upper=True),
    LogSumExp: _log_sum,
    Softmax: _softmax,
    PositivePart: _always(positive_part),
    Abs: _always(absolute),
    sign: _always(sign_of),
    Heaviside: _always(
        lambda given: (
            (sign_of(given) + constant(S.One)).times(S.Half)
            if which_sign(given.lead[1])
            else indefinite_step(given, Heaviside(given.lead[1]))
        )
    ),
    Max: _maximum,
    Min: _minimum,
}
"""What is special to a function; the others are regular, and known at finite arguments only."""
