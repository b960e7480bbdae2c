"""Rewriting of plain sympy into stable primitives, before anything is differentiated.

An author may write ``log(2*cosh(x))`` or ``log(erfc(x)/2)``; evaluated as they stand, these
overflow or lose every digit in the tails. Each rule below is a small named function from a node
to its stable form, or to itself.
"""

from __future__ import annotations

from collections.abc import Callable

from sympy import (
    Add,
    Basic,
    Expr,
    Integer,
    Max,
    Min,
    Mul,
    Pow,
    S,
    cosh,
    erf,
    erfc,
    exp,
    log,
    sech,
    sinh,
    sqrt,
    tanh,
)

from replica.language.means import Mean
from replica.language.primitives import (
    LogCosh,
    LogH,
    LogHDifference,
    LogSumExp,
    PositivePart,
    Sech,
    Tanh,
)

__all__ = ["stabilise"]


def stabilise(expression: Expr) -> Expr:
    r"""Rewrite overflowing forms into primitives, inside means as well.

    Examples
    --------
    >>> from sympy import symbols
    >>> h = symbols("h", real=True)
    >>> stabilise(log(2 * cosh(h)))
    LogCosh(h) + log(2)
    >>> stabilise(log(erfc(h / sqrt(2)) / 2))
    LogH(h)
    >>> stabilise(log(1 + exp(h)))
    LogSumExp(0, h)
    """
    if isinstance(expression, Mean):
        return Mean(stabilise(expression.body), (expression.field, stabilise(expression.variance)))
    if not expression.args:
        return expression
    rebuilt = expression.func(*(stabilise(argument) for argument in expression.args))
    for rule in RULES:
        changed = rule(rebuilt)
        if changed != rebuilt:
            return changed
    return rebuilt


def _hyperbolic(node: Expr) -> Expr:
    if isinstance(node, tanh):
        return Tanh(node.args[0])
    if isinstance(node, sech):
        return Sech(node.args[0])
    if isinstance(node, Pow) and isinstance(node.base, cosh) and node.exp.is_negative:
        return Sech(node.base.args[0]) ** (-node.exp)
    return node


def _log_of_product(node: Expr) -> Expr:
    """Split log(c f g) where the factors are positive and one of them has a stable logarithm."""
    if not isinstance(node, log) or not isinstance(node.args[0], Mul):
        return node
    factors = node.args[0].args
    known = [f for f in factors if _log_of_factor(f) is not None]
    rest = Mul(*(f for f in factors if f not in known))
    if not known or not (rest.is_positive or rest == 1):
        return node
    return Add(log(rest), *(_log_of_factor(f) for f in known))


def _log_of_factor(factor: Expr) -> Expr | None:
    if isinstance(factor, cosh):
        return LogCosh(factor.args[0])
    if isinstance(factor, erfc):
        return log(2) + LogH(sqrt(2) * factor.args[0])
    if isinstance(factor, exp):
        return factor.args[0]
    return None


def _log_of_function(node: Expr) -> Expr:
    if isinstance(node, log):
        stable = _log_of_factor(node.args[0])
        if stable is not None:
            return stable
    return node


def _log_of_sum(node: Expr) -> Expr:
    if not isinstance(node, log) or not isinstance(node.args[0], Add):
        return node
    total = node.args[0]
    for attempt in (_tail_probability, _sum_of_exponentials):
        stable = attempt(total)
        if stable is not None:
            return stable
    return node


def _tail_probability(total: Expr) -> Expr | None:
    """``1 -+ erf(x)`` is a Gaussian tail, a difference of two erf or erfc an interval."""
    constant, terms = total.as_coeff_Add()
    parts = [term.as_coeff_Mul() for term in Add.make_args(terms)]
    if not all(isinstance(f, (erf, erfc)) for _, f in parts):
        return None
    if len(parts) == 1 and isinstance(parts[0][1], erf):
        weight, function = parts[0]
        if constant.is_positive and abs(weight) == constant:
            sign = -1 if weight.is_positive else 1
            return log(2 * constant) + LogH(sign * sqrt(2) * function.args[0])
    if len(parts) == 1 and isinstance(parts[0][1], erfc) and constant == -2 * parts[0][0]:
        return log(constant) + LogH(-sqrt(2) * parts[0][1].args[0])  # 1 - erfc(x)/2
    if len(parts) == 2 and constant.is_zero and parts[0][0] == -parts[1][0]:
        kinds = {type(f) for _, f in parts}
        if len(kinds) == 1:
            falling = kinds == {erfc}
            (_, first), (weight, second) = sorted(parts, key=lambda p: p[0], reverse=falling)
            scale = sqrt(2)
            return log(2 * abs(weight)) + LogHDifference(
                scale * first.args[0], scale * second.args[0]
            )
    return None


def _sum_of_exponentials(total: Expr) -> Expr | None:
    """Turn a sum of positive multiples of exp, cosh and numbers into one LogSumExp."""
    exponents: list[Expr] = []
    found = False
    for term in Add.make_args(total):
        number, rest = term.as_coeff_Mul()
        if not number.is_positive:
            return None
        exponent = log(number)
        hyperbolic = S.Zero
        for factor in Mul.make_args(rest):
            if isinstance(factor, exp):
                exponent += factor.args[0]
                found = True
            elif isinstance(factor, cosh) and hyperbolic == 0:
                hyperbolic = factor.args[0]
                found = True
            elif factor.is_positive:
                exponent += log(factor)
            else:
                return None
        if hyperbolic == 0:
            exponents.append(exponent)
        else:
            half = exponent - log(Integer(2))
            exponents += [half + hyperbolic, half - hyperbolic]
    return LogSumExp(*exponents) if found and len(exponents) > 1 else None


def _ratio_of_hyperbolic(node: Expr) -> Expr:
    """``sinh(x)/cosh(x)`` written as a quotient."""
    if isinstance(node, Mul):
        sines = {f.args[0]: f for f in node.args if isinstance(f, sinh)}
        for factor in node.args:
            if isinstance(factor, Sech) and factor.args[0] in sines:
                x = factor.args[0]
                return Mul(*(f for f in node.args if f not in (factor, sines[x]))) * Tanh(x)
    return node


def _sum_in_exponent(node: Expr) -> Expr:
    """``exp(LogSumExp(a, b))`` is a sum of exponentials, each of which may be bounded."""
    if isinstance(node, exp) and isinstance(node.args[0], LogSumExp):
        return Add(*(exp(argument) for argument in node.args[0].args))
    return node


def _positive_part(node: Expr) -> Expr:
    if isinstance(node, (Max, Min)) and len(node.args) == 2 and S.Zero in node.args:
        (other,) = (argument for argument in node.args if argument != 0)
        return PositivePart(other) if isinstance(node, Max) else -PositivePart(-other)
    return node


RULES: tuple[Callable[[Basic], Basic], ...] = (
    _positive_part,
    _sum_in_exponent,
    _hyperbolic,
    _ratio_of_hyperbolic,
    _log_of_function,
    _log_of_product,
    _log_of_sum,
)
