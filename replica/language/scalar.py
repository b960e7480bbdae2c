"""The type of what may stand in an expression: an expression, or a plain number."""

from __future__ import annotations

from typing import TypeAlias

from sympy import Expr

__all__ = ["Scalar"]

Scalar: TypeAlias = Expr | float
"""An expression or a number; sympy makes an expression of either."""
