"""Means inside means that do not depend on the outer field: computed once, not at every node."""

from __future__ import annotations

from collections.abc import Sequence

from sympy import Basic, Dummy, Expr, Symbol

from replica.language.means import BoundMean, in_closed_form

__all__ = ["hoist"]


def hoist(expressions: Sequence[Expr]) -> tuple[dict[BoundMean, Symbol], tuple[Expr, ...]]:
    """Return the means that can be computed first, with their symbols, and what is left.

    Examples
    --------
    >>> from sympy import exp, symbols
    >>> from replica.language.means import Mean
    >>> x, y, v = symbols("x y v", real=True)
    >>> constant = Mean(exp(-(y**2)), (y, v))
    >>> first, left = hoist([Mean(exp(-(x**2) * constant), (x, 1))])
    >>> list(first)
    [Mean(exp(-y**2), (y, v))]
    >>> left[0].has(y)
    False
    """
    closed = tuple(in_closed_form(expression) for expression in expressions)
    found: dict[BoundMean, Symbol] = {}

    def walk(node: Basic, bound: frozenset[Symbol]) -> None:
        if isinstance(node, BoundMean):
            if bound and not node.free_symbols & bound:
                found.setdefault(node, Dummy(f"constant{len(found)}", real=True))
                return
            bound = bound | {node.field}
        for argument in node.args:
            walk(argument, bound)

    for expression in closed:
        walk(expression, frozenset())
    if not found:
        return {}, closed
    return found, tuple(expression.xreplace(found) for expression in closed)
