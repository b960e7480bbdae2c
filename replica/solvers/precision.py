"""Many digits: a double-precision root polished in mpmath with the same equations."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import mpmath
import numpy as np
from sympy import Expr, Symbol

from replica.declarations.numbers import is_whole
from replica.errors import ControlError, ConvergenceError
from replica.numerics.precise import PreciseKernel
from replica.solvers.system import System

__all__ = ["MAX_DIGITS", "check_digits", "decimal_text", "precise_solution"]

_MPMATH = threading.RLock()  # mpmath has one working precision for all threads

MAX_DIGITS = 200
_MAX_STEPS = 60  # Newton steps, of about ten digits each


def check_digits(digits: int | None) -> int | None:
    """Return `digits` if it is a whole number of digits we can promise, else raise."""
    if digits is None:
        return None
    if not is_whole(digits) or not 1 <= digits <= MAX_DIGITS:
        raise ControlError(f"digits = {digits!r} must be a whole number from 1 to {MAX_DIGITS}")
    return int(digits)


@lru_cache(maxsize=64)
def _precise_kernel(arguments: tuple[Symbol, ...], expressions: tuple[Expr, ...]) -> PreciseKernel:
    return PreciseKernel(arguments, expressions)


class PreciseSolution(NamedTuple):
    """Roots of a system and observables there, with bounds on their errors: mpmath numbers."""

    roots: list[mpmath.mpf]
    errors: list[mpmath.mpf]
    observed: list[mpmath.mpf]
    observed_errors: list[mpmath.mpf]


def precise_solution(
    system: System,
    start: Sequence[float],
    parameters: Sequence[Any],
    observables: Sequence[Expr],
    digits: int,
) -> PreciseSolution:
    """Return roots and observables there, with their errors.

    The Jacobian stays in double precision: each step then gains about ten digits, and a
    multi-precision Jacobian would cost more than the steps it saves.

    Raises
    ------
    ConvergenceError
        If the residual does not fall to the digits asked for.
    """
    kernel = _precise_kernel(system.arguments, system.equations)
    with _MPMATH, mpmath.workdps(digits + 10):
        z = [mpmath.mpf(float(value)) for value in start]
        doubles = [np.array([float(p)]) for p in parameters]
        errors = [mpmath.mpf(0)] * len(z)
        if z:
            point = np.array([[float(value) for value in z]])
            _, jacobian = system.evaluate(point, doubles, refinement=1)
            inverse = np.linalg.inv(jacobian[0])
            size = mpmath.matrix(np.abs(inverse).tolist())
            inverse = mpmath.matrix(inverse.tolist())
            target = mpmath.mpf(10) ** (-digits - 2)
            before = mpmath.inf
            for _ in range(_MAX_STEPS):
                residual, spread = _real(kernel, [*z, *parameters], digits)
                step = inverse * mpmath.matrix(residual)
                z = [value - change for value, change in zip(z, step, strict=True)]
                largest = max(
                    abs(change) / max(abs(value), 1) for change, value in zip(step, z, strict=True)
                )
                if largest <= target:
                    errors = list(size * mpmath.matrix(spread))
                    # the next step would be much smaller still: a thousandth of this one is claimed
                    errors = [e + abs(s) / 1000 for e, s in zip(errors, step, strict=True)]
                    break
                if largest > before:
                    raise ConvergenceError(
                        f"{digits} digits are out of reach: the residual stays at "
                        f"{mpmath.nstr(largest, 3)}; ask for fewer"
                    )
                before = largest
        observed: list[mpmath.mpf] = []
        spreads: list[mpmath.mpf] = []
        if observables:
            found = _precise_kernel(system.arguments, tuple(observables))
            observed, spreads = _real(found, [*z, *parameters], digits)
        return PreciseSolution(z, errors, observed, spreads)


def _real(
    kernel: PreciseKernel, values: list[mpmath.mpf], digits: int
) -> tuple[list[mpmath.mpf], list[mpmath.mpf]]:
    """Evaluate with guard digits; a point outside the domain has no real value."""
    try:
        found, spread = kernel(values, digits + 2)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        found, spread = [mpmath.nan], [mpmath.nan]
    if any(isinstance(value, mpmath.mpc) or not mpmath.isfinite(value) for value in found):
        raise ConvergenceError(
            f"{digits} digits are out of reach: the equations are not finite and real on the way"
        )
    return found, spread


def decimal_text(number: mpmath.mpf, digits: int) -> str:
    """Write a multi-precision number with `digits` significant digits."""
    with _MPMATH, mpmath.workdps(digits + 10):
        return str(mpmath.nstr(number, digits, strip_zeros=False, min_fixed=-6, max_fixed=12))
