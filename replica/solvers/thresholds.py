"""Thresholds as square systems: stationarity and one condition per control that is solved for."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sympy import Expr, Interval, S, Symbol, oo

from replica.errors import ControlError, ConvergenceError, ThresholdNotFound
from replica.language.controls import exact, resolve
from replica.language.formula import (
    Cases,
    Crossing,
    Cusp,
    Family,
    Fold,
    Formula,
    Instability,
    Limit,
    Published,
    Root,
    Threshold,
    control_name,
)
from replica.language.means import nesting
from replica.numerics.kernel import compile_kernel
from replica.solvers.branches import explicit_curve
from replica.solvers.continuation import follow, saddle_branches
from replica.solvers.iteration import Newton, iterate
from replica.solvers.precision import check_digits, decimal_text, precise_solution
from replica.solvers.saddle import solve
from replica.solvers.solution import Status, ThresholdResult, with_error
from replica.solvers.system import System
from replica.solvers.traced import fold_of_branch
from replica.solvers.transitions import (
    crossing_start,
    crossing_system,
    cusp_start,
    cusp_system,
    fold_start,
    fold_system,
    sampled_curve,
)

__all__ = ["compare", "threshold"]

Array = NDArray[np.float64]

_TOLERANCE = 1e-12  # relative error asked of a threshold
_NESTED_TOLERANCE = 1e-9  # a mean within a mean is not refined for digits nobody asked for
_STEPS = 60
_NEARLY = 1e-6  # the step that Newton may leave to the verification
_STABLE = 1 + 1e-9
_APART = 1e-4  # two branches closer than this, relative, are one
_FIRST_CONTROLS = (1e-3, 1e-2, 0.1, 0.5, 1.0, 2.0)  # from the low end: where a branch may begin


def threshold(
    formula: Formula | Family,
    name: str,
    *,
    digits: int | None = None,
    check: bool = True,
    **controls: Any,
) -> ThresholdResult:
    r"""Compute a threshold with its error.

    A root is the solution of the square system {stationarity, observable = 0} in the overlaps
    and the control, an instability that of {stationarity, eigenvalue = 1}; a limit is a value
    made stationary over its auxiliary variables.

    Parameters
    ----------
    formula : Formula or Family
        A family also takes its structural options as keywords.
    name : str
        One of ``formula.thresholds``.
    digits : int, optional
        Decimal digits wanted, by the same system in multi-precision; ``.text`` holds them.
    check : bool
        Raise when there is no such threshold; otherwise return a result with value NaN.
    **controls : float
        All controls but those the threshold determines.

    Returns
    -------
    ThresholdResult
        Value, error, status, overlaps there and deviation from what was published.

    Raises
    ------
    UnknownName, ControlError
        For a bad name or control.
    ThresholdNotFound
        Saying what was scanned and why there is none.

    References
    ----------
    Krauth & Mezard, J. Physique 50 (1989) 3057, for the example.

    Examples
    --------
    >>> import replica as rp
    >>> capacity = rp.threshold(rp.formulas["binary-perceptron"], "alpha_G", kappa=0)
    >>> round(capacity.value, 12), capacity.error < 1e-12
    (0.83307859974, True)
    """
    digits = check_digits(digits)
    found, declaration, values = _read(formula, name, controls)
    try:
        with np.errstate(all="ignore"):  # what is not finite is found by looking at it
            return _computed(found, name, declaration, values, digits)
    except ConvergenceError as error:
        if check:
            raise
        status = Status.NOT_FOUND if isinstance(error, ThresholdNotFound) else Status.MAX_STEPS
        return ThresholdResult(
            formula=found,
            name=name,
            value=float("nan"),
            error=float("inf"),
            status=status,
            controls=_floats(values),
            text="none",
            note=str(error),
        )


def compare(
    formula: Formula, name: str, controls: Mapping[str, Any], value: float, error: float
) -> tuple[tuple[Published, float, str], ...]:
    """Return the published values at these controls, with deviation and verdict."""
    rows = []
    for published in formula.published:
        same_options = all(
            str(formula.options.get(k, w)) == str(w) for k, w in published.options.items()
        )
        same_controls = all(
            k in controls and abs(float(controls[k]) - float(w)) < 1e-12
            for k, w in published.at.items()
        )
        if published.quantity == name and same_options and same_controls:
            rows.append((published, value - published.value, verdict(published, value, error)))
    return tuple(rows)


def verdict(published: Published, value: float, error: float) -> str:
    """Return one word on a published value: agrees, holds, disputed or disagrees."""
    if published.disputed:
        return "disputed"
    if published.agrees(value, error):
        return "agrees" if published.relation == "=" else "holds"
    return "disagrees"


def _computed(
    formula: Formula, name: str, declaration: Threshold, values: dict[str, Any], digits: int | None
) -> ThresholdResult:
    if isinstance(declaration, Cases):
        declaration = _case(formula, name, declaration, values)
    _refuse(formula, name, declaration, values)
    if isinstance(declaration, Fold):
        return _fold(formula, name, declaration, values, digits)
    if isinstance(declaration, Crossing):
        return _crossing_of_branches(formula, name, declaration, values, digits)
    if isinstance(declaration, Cusp):
        return _cusp(formula, name, declaration, values, digits)
    if isinstance(declaration, Limit):
        return _limit(formula, name, declaration, values, digits)
    assert isinstance(declaration, Root)
    return _root(formula, name, declaration, values, digits)


def _case(formula: Formula, name: str, declaration: Cases, values: Mapping[str, Any]) -> Any:
    """Return the threshold whose condition on the controls holds."""
    rule = {formula.controls[k].symbol: exact(w) for k, w in values.items()}
    for condition, case in declaration.cases:
        if condition is True or condition.subs(rule) == S.true:
            return case
    raise ThresholdNotFound(f"{formula.name}: no {name} at {_where(values)}: no case applies there")


# ---- reading ------------------------------------------------------------------------------------


def _read(
    formula: Formula | Family, name: str, controls: Mapping[str, Any]
) -> tuple[Formula, Threshold, dict[str, Any]]:
    found, _ = resolve(formula, controls, optional={"*"})
    declaration = found.threshold(name)
    solved = found.determined(name)
    given = {key for key in controls if key in found.controls and controls[key] is not None}
    for key, relation in found.relations.items():  # what it says may be what is solved for
        if controls.get(key) is not None and solved & set(
            map(control_name, relation.value.free_symbols)
        ):
            solved = solved | {key}
            given.add(key)
    for key in sorted(solved & given):
        raise ControlError(
            f"{found.name}: {name} does not take {key}: it is determined or does not matter; "
            f"leave {key} out"
        )
    _, values = resolve(formula, controls, optional=solved)
    values = {k: w for k, w in values.items() if k not in solved}
    for key, value in values.items():
        if np.ndim(value):
            raise ControlError(
                f"{found.name}: {name} takes one value of {key} at a time; use sweep for arrays"
            )
    return found, declaration, values


def _refuse(formula: Formula, name: str, declaration: Any, values: Mapping[str, Any]) -> None:
    rule = {formula.controls[k].symbol: exact(w) for k, w in values.items()}
    for condition, reason in declaration.unless:
        if condition.subs(rule) == S.true:
            raise ThresholdNotFound(f"{formula.name}: no {name} at {_where(values)}: {reason}")


def _where(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{k} = {float(w):g}" for k, w in values.items()) or "the default controls"


def _floats(values: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items()}


# ---- roots --------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def _root_system(formula: Formula, declaration: Root) -> System:
    pinned = dict(declaration.at)
    free = [symbol for symbol in formula.unknowns if symbol not in pinned]
    shift = 1 if isinstance(declaration, Instability) else 0
    equations = [formula.residuals[symbol].subs(pinned) for symbol in free]
    equations += [(formula.observable(zero) - shift).subs(pinned) for zero in declaration.zeros]
    symbols = {control.symbol: control for control in formula.controls.values()}
    parameters = [symbol for symbol in symbols if symbol not in declaration.controls]
    domains = {**formula.domains, **{s: symbols[s].domain for s in declaration.controls}}
    return System(equations, (*free, *declaration.controls), parameters, domains)


def _root(
    formula: Formula, name: str, declaration: Root, values: dict[str, Any], digits: int | None
) -> ThresholdResult:
    system = _root_system(formula, declaration)
    starts = _seeds(formula, name, declaration, system, values)
    method = "root: stationarity and condition = 0"
    if isinstance(declaration, Instability):
        method = "instability: stationarity and eigenvalue = 1"
    return _polished(formula, name, declaration, system, starts, values, digits, method)


def _polished(
    formula: Formula,
    name: str,
    declaration: Root | Fold | Crossing | Cusp,
    system: System,
    starts: Iterable[Array],
    values: dict[str, Any],
    digits: int | None,
    method: str,
) -> ThresholdResult:
    """Solve a square system whose last unknowns are the controls, and bound the error."""
    parameters = [np.array([float(value)]) for value in values.values()]
    status = np.array([int(Status.MAX_STEPS)])
    for start in starts:
        found = iterate(system, start, parameters, Newton(_NEARLY), _STEPS)
        status = found.status
        if status[0] == Status.CONVERGED:
            break
    else:
        raise ConvergenceError(
            f"{formula.name}: {name} at {_where(values)} did not converge: {Status(status[0])}"
        )
    verified = system.verify(
        found.z,
        parameters,
        _TOLERANCE,
        refinement=min(1, system.finest),
        jacobian=found.jacobian,
        step=found.step,
    )
    z, error = verified.z, verified.error
    position = system.size - len(declaration.controls)
    value, spread = float(z[0, position]), float(error[0, position])
    if not np.isfinite(value):
        raise ConvergenceError(f"{formula.name}: {name} at {_where(values)} is not finite")
    pinned = getattr(declaration, "at", {})
    overlaps = {str(symbol): float(number) for symbol, number in pinned.items()}
    overlaps |= {str(s): float(x) for s, x in zip(system.unknowns, z[0], strict=True)}
    solved = [control_name(symbol) for symbol in declaration.controls]
    unstable = _is_unstable(_root_stability(formula, declaration), system, z, parameters)
    text = ""
    if digits is not None:
        roots, errors, _, _ = precise_solution(system, z[0], list(values.values()), (), digits)
        value, text, spread = _decimal(roots[position], errors[position], digits)
    return _result(
        formula,
        name,
        value,
        spread,
        {**_floats(values), **{key: overlaps.pop(key) for key in solved[1:]}},
        {k: w for k, w in overlaps.items() if k not in solved},
        method,
        unstable,
        declaration.caveat,
        digits,
        text,
        fixed=values,
    )


def _seeds(
    formula: Formula,
    name: str,
    declaration: Root,
    system: System,
    values: Mapping[str, Any],
) -> Iterator[Array]:
    """Yield first guesses for the augmented system, from the branch, coarse ones first."""
    if declaration.start or not set(system.unknowns) & set(formula.unknowns):
        yield np.array([[float(declaration.start.get(symbol, 1)) for symbol in system.unknowns]])
        return
    (control,) = declaration.controls
    zero = system.equations[-1]
    free = formula.within(declaration.at) if declaration.at else formula
    curve = explicit_curve(free, control)
    found = False
    for fine in (False, True):
        if curve is not None:
            others = [float(w) for w in values.values()]
            level = 0 if fine else -1  # a guess needs no more
            z, value, height = curve.points(curve.grid(fine), others, (zero,), refinement=level)
            domain = formula.controls[control_name(control)].domain
            inside = (value > float(domain.start)) & (value < float(domain.end))
            z, value, height = z[inside], value[inside], height[inside]
            trivial = curve.trivial_branch(others, zero) if declaration.from_origin else None
            if trivial is not None:
                z, value, height = (
                    np.concatenate(p) for p in zip(trivial, (z, value, height), strict=True)
                )
        else:
            search = _across_starts if fine else _along_branch
            z, value, height = search(formula, control, system, values)
        start = _crossing(height, z, value)
        if start is not None:
            found = True
            yield start
    if not found:
        shift = 1 if isinstance(declaration, Instability) else 0
        seen = height[np.isfinite(height)] + shift
        raise ThresholdNotFound(
            f"{formula.name}: no {name} at {_where(values)}: along the saddle points with "
            f"{control_name(control)} up to {np.nanmax(value):.6g}, the "
            f"{declaration.zeros[0]} stays between {seen.min():.4g} and {seen.max():.4g} and does "
            f"not reach {shift}"
        )


def _crossing(height: Array, z: Array, control: Array) -> Array | None:
    """Interpolate the first sign change along a branch, None where there is none."""
    good = np.isfinite(height) & np.isfinite(control)
    change = np.flatnonzero((height[:-1] * height[1:] < 0) & good[:-1] & good[1:])
    if change.size == 0:
        return None
    k = int(change[0])
    share = height[k] / (height[k] - height[k + 1])
    table = np.column_stack([z, control])
    return np.asarray(table[k] + share * (table[k + 1] - table[k]))[None, :]


def _along_branch(
    formula: Formula, control: Symbol, system: System, values: Mapping[str, Any]
) -> tuple[Array, Array, Array]:
    """Follow the branch until the condition changes sign, for formulas without explicit curve.

    Returns unknowns, control and the condition's value.
    """
    height = compile_kernel(system.arguments, (system.equations[-1],))
    others = [np.array([float(value)]) for value in values.values()]
    start = _first_saddle(formula, control, values)
    heights = [height(*start, *others)[0].item()]

    def crossed(point: Array) -> bool:
        heights.append(height(*point, *others)[0].item())
        return bool(heights[-1] * heights[0] <= 0)

    branch = follow(saddle_branches(formula, control), start, others, until=crossed)
    return branch.overlaps, branch.control, np.array(heights)


def _across_starts(
    formula: Formula, control: Symbol, system: System, values: Mapping[str, Any]
) -> tuple[Array, Array, Array]:
    """Return what the starts lead to on a grid of the control.

    A branch that bifurcates from the first one, as where a symmetry breaks, is seen here.
    """
    key = control_name(control)
    domain = formula.controls[key].domain
    low = float(domain.start) if domain.start.is_finite else -1e3
    high = float(domain.end) if domain.end.is_finite else 1e3
    grid = low + np.geomspace(1e-3, max(high - low, 2e-3), 60)
    grid = grid[[bool(domain.contains(float(g))) for g in grid]]
    at: dict[str, Any] = {key: grid, **_floats(values)}
    solution = solve(formula, observables=(), **at)
    good = np.asarray(solution.converged)
    z = np.stack([solution.overlaps[str(s)] for s in formula.unknowns], axis=1)[good]
    others = [float(value) for value in values.values()]
    height = compile_kernel(system.arguments, (system.equations[-1],))
    return z, grid[good], np.asarray(height(*z.T, grid[good], *others)[0])


def _first_saddle(formula: Formula, control: Symbol, values: Mapping[str, Any]) -> Array:
    """Return a saddle point and its control, from where a branch can be followed."""
    key = control_name(control)
    domain = formula.controls[key].domain
    low = float(domain.start) if domain.start.is_finite else -1.0
    high = float(domain.end) if domain.end.is_finite else np.inf
    tried = [low + step for step in _FIRST_CONTROLS if low + step < high]
    for first in tried:
        at: dict[str, Any] = {key: first, **_floats(values)}
        solution = solve(formula, observables=(), check=False, **at)
        if solution.converged:
            return np.array([*(solution.overlaps[str(s)] for s in formula.unknowns), first])
    raise ThresholdNotFound(
        f"{formula.name}: no saddle point found at {key} = {', '.join(f'{x:g}' for x in tried)} "
        f"from where to follow a branch, at {_where(values)}"
    )


@lru_cache(maxsize=64)
def _root_stability(formula: Formula, declaration: Any) -> Expr | None:
    if not formula.stability or not isinstance(declaration, Root):
        return None
    return formula.observables[formula.stability].subs(dict(declaration.at))


def _is_unstable(
    replicon: Expr | None, system: System, z: Array, parameters: Sequence[Array]
) -> bool:
    if replicon is None:
        return False
    (value,) = compile_kernel(system.arguments, (replicon,))(*z.T, *parameters)
    return bool(value[0] > _STABLE)


# ---- folds and crossings ------------------------------------------------------------------------


def _fold(
    formula: Formula, name: str, declaration: Fold, values: dict[str, Any], digits: int | None
) -> ThresholdResult:
    if declaration.start:
        return _fold_of_followed_branch(formula, name, declaration, values, digits)
    sampled = sampled_curve(formula, declaration.in_, list(_floats(values).values()))
    start = fold_start(sampled, declaration)
    end = None
    if declaration.otherwise is not None:
        rule = {formula.controls[k].symbol: exact(w) for k, w in values.items()}
        end = declaration.otherwise.subs(rule)
    beyond = start is not None and end is not None
    if beyond and declaration.upper and float(end) > start[0, -1]:  # type: ignore[index,arg-type]
        start = None
    if start is not None:
        system = fold_system(formula, declaration)
        method = "fold: stationarity and singular Jacobian"
        return _polished(formula, name, declaration, system, [start], values, digits, method)
    if end is None:
        raise ThresholdNotFound(
            f"{formula.name}: no {name} at {_where(values)}: along the saddle points "
            f"{control_name(declaration.in_)} rises from {sampled.control[0]:.4g} without turning "
            f"back, so the transition is continuous or there is none"
        )
    limit = Limit(value=end, doc=declaration.doc)
    return _limit_value(formula, name, limit, values, digits, "far end of the curve")


def _fold_of_followed_branch(
    formula: Formula, name: str, declaration: Fold, values: dict[str, Any], digits: int | None
) -> ThresholdResult:
    if digits is not None:
        raise ControlError(
            f"{formula.name}: {name} is the extremum of a branch that is followed in double "
            f"precision; leave digits out"
        )
    unknowns, value, error = fold_of_branch(formula, declaration, _floats(values))
    return _result(
        formula,
        name,
        value,
        error,
        _floats(values),
        {str(symbol): number for symbol, number in unknowns.items()},
        "fold: extremum of the control along the branch",
        False,
        declaration.caveat,
        None,
        "",
        fixed=values,
    )


def _crossing_of_branches(
    formula: Formula, name: str, declaration: Crossing, values: dict[str, Any], digits: int | None
) -> ThresholdResult:
    others = list(_floats(values).values())
    sampled = sampled_curve(formula, declaration.in_, others, formula.potential, closely=True)
    start = crossing_start(sampled)
    if start is None:
        raise ThresholdNotFound(
            f"{formula.name}: no {name} at {_where(values)}: no two branches of saddle points "
            f"coexist, so there is no first-order transition"
        )
    system = crossing_system(formula, declaration)
    method = "crossing: two saddle points of equal potential"
    found = _polished(formula, name, declaration, system, [start], values, digits, method)
    pairs = zip(*[iter(found.overlaps.values())] * len(formula.unknowns), strict=True)
    apart = max(abs(a - b) / max(abs(a), abs(b)) for a, b in zip(*pairs, strict=True))
    if apart < _APART:
        raise ConvergenceError(
            f"{formula.name}: {name} at {_where(values)}: both saddle points fell together, so "
            f"close is the end of the line of transitions"
        )
    return found


def _cusp(
    formula: Formula, name: str, declaration: Cusp, values: dict[str, Any], digits: int | None
) -> ThresholdResult:
    start = cusp_start(formula, declaration, _floats(values))
    if start is None:
        raise ThresholdNotFound(
            f"{formula.name}: no {name} at {_where(values)}: the branches do not turn back at any "
            f"{control_name(declaration.controls[0])}, so no first-order line ends"
        )
    system = cusp_system(formula, declaration)
    method = "cusp: the two folds meet"
    return _polished(formula, name, declaration, system, [start], values, digits, method)


# ---- limits -------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def _limit_system(formula: Formula, declaration: Limit) -> System:
    used = declaration.value.free_symbols
    if declaration.stability is not None:
        used |= declaration.stability.free_symbols
    symbols = [c.symbol for c in formula.controls.values()]
    # a value without controls is computed at one point all the same
    parameters = [symbol for symbol in symbols if symbol in used] or symbols[:1]
    equations = [declaration.value.diff(symbol) for symbol in declaration.over]
    domains = {symbol: interval for symbol, (interval, _) in declaration.over.items()}
    return System(equations, tuple(declaration.over), parameters, domains)


def _limit(
    formula: Formula, name: str, declaration: Limit, values: dict[str, Any], digits: int | None
) -> ThresholdResult:
    return _limit_value(formula, name, declaration, values, digits, "limit along the branch")


def _limit_value(
    formula: Formula,
    name: str,
    declaration: Limit,
    values: dict[str, Any],
    digits: int | None,
    method: str,
) -> ThresholdResult:
    system = _limit_system(formula, declaration)
    names = {c.symbol: key for key, c in formula.controls.items()}
    used = {names[symbol]: values.get(names[symbol], 1.0) for symbol in system.parameters}
    parameters = [np.array([float(value)]) for value in used.values()]
    z = np.zeros((1, 0))
    if system.size:
        z = _stationary(formula, name, declaration, system, values, parameters)
    tolerance = _TOLERANCE if nesting(declaration.value) < 2 else _NESTED_TOLERANCE
    verified = system.verify(z, parameters, tolerance, (declaration.value,))
    z = verified.z
    value, spread = float(verified.values[0, 0]), float(verified.bounds[0, 0])
    if not np.isfinite(value):
        raise ConvergenceError(f"{formula.name}: {name} at {_where(values)} is not finite")
    unstable = _is_unstable(declaration.stability, system, z, parameters)
    text = ""
    if digits is not None:
        _, _, observed, errors = precise_solution(
            system, z[0], list(used.values()), (declaration.value,), digits
        )
        value, text, spread = _decimal(observed[0], errors[0], digits)
    return _result(
        formula,
        name,
        value,
        spread,
        _floats(values),
        {str(s): float(x) for s, x in zip(system.unknowns, z[0], strict=True)},
        method + (", stationary value" if system.size else ""),
        unstable,
        declaration.caveat,
        digits,
        text,
        fixed=values,
    )


def _stationary(
    formula: Formula,
    name: str,
    declaration: Limit,
    system: System,
    values: Mapping[str, Any],
    parameters: list[Array],
) -> Array:
    """Solve for the auxiliary variables, from the declared start and then from a lattice."""
    rule = {formula.controls[k].symbol: float(w) for k, w in values.items()}
    declared = [[float(S(start).subs(rule)) for _, start in declaration.over.values()]]
    lattice = itertools.product(*(_spread(interval) for interval, _ in declaration.over.values()))
    for guess in itertools.chain(declared, lattice):
        start = np.array([guess])
        if not system.inside(start, parameters)[0]:
            continue
        found = iterate(system, start, parameters, Newton(), _STEPS)
        if found.status[0] == Status.CONVERGED:
            return found.z
    raise ThresholdNotFound(
        f"{formula.name}: no {name} at {_where(values)}: its value has no stationary point in "
        f"{', '.join(map(str, declaration.over))}"
    )


def _spread(interval: Interval) -> list[float]:
    low = float(interval.start)
    if interval.end is oo:
        return [low + x for x in (1.0, 10.0, 100.0)]
    width = float(interval.end) - low
    return [low + width * x for x in (0.2, 0.5, 0.8)]


# ---- results ------------------------------------------------------------------------------------


def _decimal(number: Any, error: Any, digits: int) -> tuple[float, str, float]:
    if float(error) > 10.0 ** (-digits) * max(abs(float(number)), 1e-300):
        raise ConvergenceError(
            f"{digits} digits are out of reach here: the error is {float(error):.1e}; ask for fewer"
        )
    return float(number), decimal_text(number, digits), float(error)


def _result(
    formula: Formula,
    name: str,
    value: float,
    error: float,
    controls: Mapping[str, float],
    overlaps: Mapping[str, float],
    method: str,
    unstable: bool,
    caveat: str,
    digits: int | None,
    text: str,
    fixed: Mapping[str, Any],
) -> ThresholdResult:
    accurate = error <= max(1e3 * _TOLERANCE, 1e-9) * max(abs(value), 1.0)
    return ThresholdResult(
        formula=formula,
        name=name,
        value=value,
        error=error,
        status=Status.CONVERGED if accurate else Status.INACCURATE,
        controls=controls,
        overlaps=overlaps,
        method=method,
        validity="rs-unstable" if unstable else formula.status,
        note=(caveat or "the replica-symmetric saddle is unstable there") if unstable else "",
        digits=digits,
        text=text or with_error(value, error),
        published=compare(formula, name, fixed, value, error),
    )
