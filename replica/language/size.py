"""How large an expression is: steps whose cost outgrows their use ask before they begin."""

from __future__ import annotations

from sympy import Basic

__all__ = ["is_larger"]


def is_larger(expression: Basic, limit: int) -> bool:
    """Tell whether an expression has more nodes than `limit`, counting no further than that.

    Examples
    --------
    >>> from sympy import symbols
    >>> x, y = symbols("x y")
    >>> is_larger(x + y, 3), is_larger(x + 2 * y, 3)
    (False, True)
    """
    count, left = 0, [expression]
    while left:
        node = left.pop()
        count += 1
        if count > limit:
            return True
        left.extend(node.args)
    return False
