"""Margin constraints of storage problems, once for the theory and once for instances.

A constraint says which fields ``z = X.w`` (times the label, for the step) a pattern accepts.
The replica potential needs ``log P(z satisfies)`` for ``z ~ N(mean, variance)``; a finite-size
experiment needs the same set as a test on arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy

from replica.errors import looked_up
from replica.language.primitives import LogH, LogHDifference, LogSumExp

__all__ = ["CONSTRAINTS", "Constraint", "constraint"]


@dataclass(frozen=True)
class Constraint:
    r"""A set of accepted fields, :math:`\{z : z \in S(\kappa)\}`.

    Attributes
    ----------
    name : str
        ``"step"`` (z > kappa), ``"rectangle"`` (\|z\| < kappa) or ``"u"`` (\|z\| > kappa).
    log_probability : callable
        ``(mean, variance, kappa) -> sympy.Expr``, the log-probability under N(mean, variance).
    satisfied : callable
        ``(fields, kappa) -> bool array`` for drawn instances.
    """

    name: str
    log_probability: Callable[[Any, Any, Any], sympy.Expr]
    satisfied: Callable[[Any, float], Any]


def _step(mean: Any, variance: Any, kappa: Any) -> sympy.Expr:
    return LogH((kappa - mean) / sympy.sqrt(variance))


def _rectangle(mean: Any, variance: Any, kappa: Any) -> sympy.Expr:
    width = sympy.sqrt(variance)
    return LogHDifference((-kappa - mean) / width, (kappa - mean) / width)


def _u(mean: Any, variance: Any, kappa: Any) -> sympy.Expr:
    width = sympy.sqrt(variance)
    return LogSumExp(LogH((kappa - mean) / width), LogH((kappa + mean) / width))


# functions with a name, so that a formula that holds a constraint travels between processes
def _above(fields: Any, kappa: float) -> Any:
    return np.asarray(fields) > kappa


def _inside(fields: Any, kappa: float) -> Any:
    return np.abs(fields) < kappa


def _outside(fields: Any, kappa: float) -> Any:
    return np.abs(fields) > kappa


CONSTRAINTS = {
    "step": Constraint("step", _step, _above),
    "rectangle": Constraint("rectangle", _rectangle, _inside),
    "u": Constraint("u", _u, _outside),
}


def constraint(name: str) -> Constraint:
    """Return the constraint called `name`.

    Raises
    ------
    UnknownName
        With the near names.

    Examples
    --------
    >>> bool(constraint("u").satisfied(-2.0, 1.0))
    True
    """
    return looked_up("constraint", name, CONSTRAINTS)
