"""What is left of a normal variable beyond a level."""

from __future__ import annotations

from typing import Any

from sympy import Expr, exp

from replica.language.primitives import LogH, MillsExcess

__all__ = ["squared_excess"]


def squared_excess(level: Any) -> Expr:
    r"""Return :math:`E \max(0, h - t)^2 = (1 + t^2) H(t) - t \varphi(t)`, h ~ N(0, 1).

    Written as a product, which keeps the digits that the difference loses at large t.

    Parameters
    ----------
    level : Expr
        The level t.

    Examples
    --------
    >>> squared_excess(0)
    1/2
    """
    return exp(LogH(level)) * (1 - level * MillsExcess(level))
