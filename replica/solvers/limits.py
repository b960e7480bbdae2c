"""Thresholds known as a limit: a value made stationary over auxiliary variables.

No saddle point is needed, so that they can say where there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from sympy import Expr, S

from replica.declarations.control import control_name
from replica.declarations.formula import Formula
from replica.declarations.threshold import Limit
from replica.language.means import nesting
from replica.numerics.kernel import compile_kernel
from replica.solvers.precision import precise_solution
from replica.solvers.request import TOLERANCE, Request, decimal, stated
from replica.solvers.solution import ThresholdResult
from replica.solvers.stationary import converged, places_across, stationary_points
from replica.solvers.system import System
from replica.solvers.verify import verify

__all__ = ["exceeds_one", "limit_value"]

Array = NDArray[np.float64]

_NESTED_TOLERANCE = 1e-9  # error asked of a mean within a mean, which is slow to refine further
_STABLE = 1 + 1e-9  # a replicon up to this does not exceed one: the difference is rounding


@lru_cache(maxsize=64)
def _limit_system(formula: Formula, declaration: Limit) -> System:
    used = declaration.value.free_symbols
    if declaration.stability is not None:
        used |= declaration.stability.free_symbols
    symbols = formula.symbols
    # a value without controls takes one of them all the same, whose array gives the points
    parameters = [symbol for symbol in symbols if symbol in used] or symbols[:1]
    equations = [declaration.value.diff(symbol) for symbol in declaration.over]
    domains = {symbol: interval for symbol, (interval, _) in declaration.over.items()}
    return System(equations, tuple(declaration.over), parameters, domains)


def limit_value(
    request: Request, declaration: Limit, method: str = "limit along the branch"
) -> ThresholdResult:
    """Return the value of a limit, stationary over its auxiliary variables."""
    formula = request.formula
    system = _limit_system(formula, declaration)
    used = [request.points.values.get(control_name(symbol), 1.0) for symbol in system.parameters]
    parameters = [np.array([float(value)]) for value in used]
    z = np.zeros((1, 0))
    if system.size:
        z = _stationary(request, declaration, system, parameters)
    tolerance = TOLERANCE if nesting(declaration.value) < 2 else _NESTED_TOLERANCE
    verified = verify(system, z, parameters, tolerance, (declaration.value,))
    z = verified.z
    value, spread = float(verified.values[0, 0]), float(verified.bounds[0, 0])
    if not np.isfinite(value):
        raise request.failed("is not finite")
    unstable = False
    if declaration.stability is not None:
        unstable = bool(exceeds_one(declaration.stability, system, z, parameters)[0])
    text = ""
    if request.digits is not None:
        _, _, observed, errors = precise_solution(
            system, z[0], used, (declaration.value,), request.digits
        )
        value, text, spread = decimal(observed[0], errors[0], request.digits)
    overlaps = {str(s): float(x) for s, x in zip(system.unknowns, z[0], strict=True)}
    method += ", stationary value" if system.size else ""
    return stated(request, declaration, value, spread, overlaps, method, unstable, text)


def _stationary(
    request: Request, declaration: Limit, system: System, parameters: list[Array]
) -> Array:
    """Solve for the auxiliary variables, from the declared start and then across the domains."""
    declared = _declared_start(request, declaration, system, parameters)
    if declared is not None:
        found = converged(system, np.array([declared]), parameters)
        if found.shape[0]:
            return found[:1]
    domains = [interval for interval, _ in declaration.over.values()]
    found = stationary_points(system, domains, parameters)
    if found.shape[0]:
        return found[:1]
    tried = f"{sum(map(len, places_across(domains)))} places across the domain"
    if declared is not None:
        named = zip(system.unknowns, declared, strict=True)
        tried = f"the declared start {', '.join(f'{s} = {x:g}' for s, x in named)} and {tried}"
    raise request.missing(
        f"no stationary point of its value in {', '.join(map(str, declaration.over))} was found "
        f"from {tried}; declare a start that is closer"
    )


def _declared_start(
    request: Request, declaration: Limit, system: System, parameters: list[Array]
) -> list[float] | None:
    """Return the start of the auxiliary variables, None where not all have one."""
    starts = [start for _, start in declaration.over.values()]
    if any(start is None for start in starts):
        return None
    exact = tuple(S(start) for start in starts)
    values = [x.item() for x in compile_kernel(system.parameters, exact)(*parameters)]
    if not np.isfinite(values).all():  # over- or underflow in doubles: computed exactly
        values = [float(start.subs(request.points.rule)) for start in exact]
    return values


def exceeds_one(
    replicon: Expr, system: System, z: Array, parameters: Sequence[Array]
) -> NDArray[np.bool_]:
    """Tell at which points a replicon exceeds one."""
    (value,) = compile_kernel(system.arguments, (replicon,))(*z.T, *parameters)
    return np.asarray(np.broadcast_to(value > _STABLE, z.shape[:1]))
