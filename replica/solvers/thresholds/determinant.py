"""Determinants of Jacobians as expressions."""

from __future__ import annotations

from sympy import Expr, S

__all__ = ["cofactor", "determinant"]


def determinant(rows: list[list[Expr]]) -> Expr:
    """Return the determinant as it stands: sympy's own would try to simplify it."""
    if not rows:
        return S.One
    return sum((entry * cofactor(rows, 0, k) for k, entry in enumerate(rows[0])), S.Zero)


def cofactor(rows: list[list[Expr]], row: int, column: int) -> Expr:
    """Return the cofactor of an entry."""
    minor = [[*r[:column], *r[column + 1 :]] for k, r in enumerate(rows) if k != row]
    return (-1) ** (row + column) * determinant(minor)
