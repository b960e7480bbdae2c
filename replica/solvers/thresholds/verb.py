"""Thresholds as square systems: stationarity and one condition per control that is solved for."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sympy import Expr, Interval, S, Symbol, oo

from replica.declarations.control import control_name
from replica.declarations.family import Family
from replica.declarations.formula import Formula
from replica.declarations.frozen import FrozenMapping
from replica.declarations.reading import resolve
from replica.declarations.threshold import (
    Cases,
    Crossing,
    Cusp,
    Fold,
    Instability,
    Limit,
    Root,
    Threshold,
)
from replica.errors import ControlError, ConvergenceError, ThresholdNotFound
from replica.language.means import nesting
from replica.numerics.kernel import compile_kernel
from replica.solvers.conditions import holds
from replica.solvers.iteration import Newton, iterate
from replica.solvers.precision import check_digits, decimal_text, precise_solution
from replica.solvers.published import compare
from replica.solvers.solution import Status, ThresholdResult
from replica.solvers.system import System
from replica.solvers.thresholds.fold_on_branch import fold_of_branch
from replica.solvers.thresholds.merger import Merger
from replica.solvers.thresholds.request import Request
from replica.solvers.thresholds.root import root_starts, root_system
from replica.solvers.thresholds.transitions import (
    SampledCurve,
    crossing_start,
    crossing_system,
    cusp_start,
    cusp_system,
    fold_start,
    fold_system,
    sampled_curves,
)
from replica.writing import with_error

__all__ = ["threshold", "thresholds"]

Array = NDArray[np.float64]
Outcome = ThresholdResult | ConvergenceError  # of one request among several

_TOLERANCE = 1e-12  # relative error asked of a threshold
_NESTED_TOLERANCE = 1e-9  # a mean within a mean is not refined for digits nobody asked for
_STEPS = 60
_NEARLY = 1e-6  # the step that Newton may leave to the verification
_STABLE = 1 + 1e-9
_GONE = 1e-30  # an overlap this small changes no digit of anything else
_APART = 1e-4  # two branches closer than this, relative, are one


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
    request = _read(formula, name, controls, check_digits(digits))
    (outcome,) = _outcomes([request])
    if check and isinstance(outcome, ConvergenceError):
        raise outcome
    return _stated(request, outcome)


def thresholds(
    formula: Formula, name: str, points: Sequence[Mapping[str, float]]
) -> list[ThresholdResult]:
    """Compute a threshold at several values of the other controls, all in the same calls.

    Parameters
    ----------
    formula : Formula
    name : str
        One of ``formula.thresholds``.
    points : sequence of mappings
        The controls of each point, as for `threshold`.

    Returns
    -------
    list of ThresholdResult
        With value NaN where there is no such threshold.
    """
    requests = [_read(formula, name, point, None) for point in points]
    outcomes = _outcomes(requests)
    return [_stated(request, outcome) for request, outcome in zip(requests, outcomes, strict=True)]


def _stated(request: Request, outcome: Outcome) -> ThresholdResult:
    """Return a result, with value NaN and the reason for what was not found."""
    if isinstance(outcome, ThresholdResult):
        return outcome
    missing = isinstance(outcome, ThresholdNotFound)
    return ThresholdResult(
        formula=request.formula,
        name=request.name,
        value=float("nan"),
        error=float("inf"),
        status=Status.NOT_FOUND if missing else Status.MAX_STEPS,
        controls=request.controls,
        text="none",
        note=str(outcome),
    )


def _outcomes(requests: Sequence[Request]) -> list[Outcome]:
    """Return what became of each request; those of one declaration share their work."""
    found: dict[int, Outcome] = {}
    groups: dict[Threshold, list[int]] = {}
    declared: list[Threshold] = [request.declaration for request in requests]
    with np.errstate(all="ignore"):  # what is not finite is found by looking at it
        for k, request in enumerate(requests):
            try:
                declared[k] = _applicable(request)
                groups.setdefault(declared[k], []).append(k)
            except ConvergenceError as error:
                found[k] = error
        for declaration, members in groups.items():
            compute = next(_KINDS[kind] for kind in type(declaration).__mro__ if kind in _KINDS)
            outcomes = compute([requests[k] for k in members], declaration)
            found.update(zip(members, outcomes, strict=True))
    return [found[k] for k in range(len(requests))]


def _applicable(request: Request) -> Threshold:
    """Return the declaration that applies to the controls that were given."""
    declaration = request.declaration
    while isinstance(declaration, Cases):
        for condition, case in declaration.cases:
            if holds(condition, request.formula, request.values):
                declaration = case
                break
        else:
            raise request.missing("no case applies there")
    for condition, reason in declaration.unless:
        if holds(condition, request.formula, request.values):
            raise request.missing(reason)
    return declaration


def _one_by_one(
    compute: Callable[[Request, Any], ThresholdResult],
) -> Callable[[Sequence[Request], Any], list[Outcome]]:
    """Return a computation for several requests from that for one."""

    def each(requests: Sequence[Request], declaration: Any) -> list[Outcome]:
        return [_attempt(compute, request, declaration) for request in requests]

    return each


def _attempt(compute: Callable[..., ThresholdResult], *arguments: Any) -> Outcome:
    try:
        return compute(*arguments)
    except ConvergenceError as error:
        return error


# ---- reading ------------------------------------------------------------------------------------


def _read(
    formula: Formula | Family, name: str, controls: Mapping[str, Any], digits: int | None
) -> Request:
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
    return Request(found, name, declaration, values, digits)


# ---- square systems -----------------------------------------------------------------------------


def _polished(
    requests: Sequence[Request],
    declaration: Root | Fold | Crossing | Cusp,
    system: System,
    start: Array,
    method: str,
    pinned: Mapping[str, float] = FrozenMapping(),
) -> list[Outcome]:
    """Solve a square system, whose last unknowns are the controls, from a start per request."""
    if not requests:
        return []
    parameters = [np.array(column) for column in zip(*(r.others for r in requests), strict=True)]
    found = iterate(system, start, parameters, Newton(_NEARLY), _STEPS)
    good = np.flatnonzero(found.status == Status.CONVERGED)
    place = {int(k): row for row, k in enumerate(good)}
    parameters = [column[good] for column in parameters]
    verified = system.verify(
        found.z[good],
        parameters,
        _TOLERANCE,
        refinement=min(1, system.finest),
        jacobian=found.jacobian[good],
        step=found.step[good],
        wanted=range(system.size - len(declaration.controls), system.size),
    )
    unstable = np.zeros(good.size, dtype=bool)
    replicon = _root_stability(requests[0].formula, declaration)
    if replicon is not None and good.size:
        unstable = _above_one(replicon, system, verified.z, parameters)
    outcomes: list[Outcome] = []
    for k, request in enumerate(requests):
        if k not in place:
            outcomes.append(request.failed(f"did not converge: {Status(found.status[k])}"))
            continue
        row = place[k]
        z, error = verified.z[row], verified.error[row]
        outcomes.append(
            _attempt(
                _solved, request, declaration, system, z, error, bool(unstable[row]), method, pinned
            )
        )
    return outcomes


def _solved(
    request: Request,
    declaration: Root | Fold | Crossing | Cusp,
    system: System,
    z: Array,
    error: Array,
    unstable: bool,
    method: str,
    pinned: Mapping[str, float],
) -> ThresholdResult:
    position = system.size - len(declaration.controls)
    value, spread = float(z[position]), float(error[position])
    if not np.isfinite(value):
        raise request.failed("is not finite")
    overlaps = dict(pinned)
    known = np.where(np.abs(z) > error, z, 0.0)  # no digit of the others is right
    overlaps |= {str(s): float(x) for s, x in zip(system.unknowns, known, strict=True)}
    solved = [control_name(symbol) for symbol in declaration.controls]
    text = ""
    if request.digits is not None:
        given = list(request.values.values())
        roots, errors, _, _ = precise_solution(system, z.tolist(), given, (), request.digits)
        value, text, spread = _decimal(roots[position], errors[position], request.digits)
    others = {key: overlaps.pop(key) for key in solved[1:]}
    overlaps = {key: number for key, number in overlaps.items() if key not in solved}
    return _result(request, declaration, value, spread, overlaps, method, unstable, text, others)


@lru_cache(maxsize=64)
def _root_stability(formula: Formula, declaration: Any) -> Expr | None:
    if not formula.stability or not isinstance(declaration, Root):
        return None
    return formula.observables[formula.stability].subs(dict(declaration.at))


def _above_one(
    replicon: Expr, system: System, z: Array, parameters: Sequence[Array]
) -> NDArray[np.bool_]:
    (value,) = compile_kernel(system.arguments, (replicon,))(*z.T, *parameters)
    return np.asarray(np.broadcast_to(value > _STABLE, z.shape[:1]))


# ---- roots --------------------------------------------------------------------------------------


def _root(request: Request, declaration: Root) -> ThresholdResult:
    system = root_system(request.formula, declaration)
    method = "root: stationarity and condition = 0"
    if isinstance(declaration, Instability):
        method = "instability: stationarity and eigenvalue = 1"
    outcome: Outcome = request.failed("has no start to begin with")
    for start in root_starts(request, declaration, system):
        pinned = {str(symbol): float(number) for symbol, number in declaration.at.items()}
        if isinstance(start, Merger):
            if request.digits is not None:
                raise request.failed(
                    "is where two branches merge, found by extrapolation: leave digits out"
                )
            method = "root where two branches merge: limit of condition = h, h -> 0"
            z, error = start.z, start.error
            return _solved(request, declaration, system, z, error, False, method, pinned)
        (outcome,) = _polished([request], declaration, system, start, method, pinned)
        if isinstance(outcome, ThresholdResult):
            return outcome
    assert isinstance(outcome, ConvergenceError)
    raise outcome


# ---- folds, crossings and cusps -----------------------------------------------------------------


def _fold(requests: Sequence[Request], declaration: Fold) -> list[Outcome]:
    if declaration.start:
        return _one_by_one(_fold_of_followed_branch)(requests, declaration)
    formula = requests[0].formula
    try:
        others = [r.others for r in requests]
        curves = sampled_curves(formula, declaration.in_, others, far=not declaration.upper)
    except ThresholdNotFound as error:
        return [error] * len(requests)
    outcomes: list[Outcome | None] = []
    starts = []
    for request, sampled in zip(requests, curves, strict=True):
        start = fold_start(sampled, declaration)
        end = None
        if declaration.otherwise is not None:
            end = declaration.otherwise.subs(request.rule)
        if start is not None and end is not None and declaration.upper and float(end) > start[-1]:
            start = None
        if start is not None:
            starts.append(start)
            outcomes.append(None)
        elif end is None:
            outcomes.append(
                request.missing(
                    f"along the saddle points {control_name(declaration.in_)} rises from "
                    f"{sampled.control[0]:.4g} without turning back, so the transition is "
                    f"continuous or there is none"
                )
            )
        else:
            limit = Limit(value=end, doc=declaration.doc)
            outcomes.append(_attempt(_limit_value, request, limit, "far end of the curve"))
    method = "fold: stationarity and singular Jacobian"
    left = [r for r, outcome in zip(requests, outcomes, strict=True) if outcome is None]
    system = fold_system(formula, declaration)
    solved = iter(_polished(left, declaration, system, np.array(starts), method))
    return [next(solved) if outcome is None else outcome for outcome in outcomes]


def _fold_of_followed_branch(request: Request, declaration: Fold) -> ThresholdResult:
    if request.digits is not None:
        raise ControlError(
            f"{request.formula.name}: {request.name} is the extremum of a branch that is followed "
            f"in double precision; leave digits out"
        )
    unknowns, value, error = fold_of_branch(request.formula, declaration, request.controls)
    overlaps = {str(symbol): number for symbol, number in unknowns.items()}
    method = "fold: extremum of the control along the branch"
    return _result(request, declaration, value, error, overlaps, method)


def _crossing(requests: Sequence[Request], declaration: Crossing) -> list[Outcome]:
    formula = requests[0].formula
    others = [request.others for request in requests]
    try:
        curves = sampled_curves(
            formula, declaration.in_, others, formula.potential, closely=True, far=True
        )
    except ThresholdNotFound as error:
        return [error] * len(requests)
    outcomes: dict[int, Outcome] = {}
    groups: dict[tuple[Symbol, ...], list[tuple[int, Array]]] = {}
    for k, (request, sampled) in enumerate(zip(requests, curves, strict=True)):
        start = crossing_start(sampled)
        if start is None:
            outcomes[k] = request.missing(_no_coexistence(sampled, declaration))
            continue
        informed = start[len(formula.unknowns) : -1]
        gone = tuple(
            s
            for s, z in zip(formula.unknowns, informed, strict=True)
            if s in formula.overlaps and formula.domains[s].start == 0 and abs(z) < _GONE
        )
        groups.setdefault(gone, []).append((k, start))
    for gone, members in groups.items():
        system = crossing_system(formula, declaration, gone)
        kept = [j for j in range(len(formula.unknowns)) if formula.unknowns[j] not in gone]
        columns = [*range(len(formula.unknowns)), *(len(formula.unknowns) + j for j in kept), -1]
        solved = _polished(
            [requests[k] for k, _ in members],
            declaration,
            system,
            np.stack([start[columns] for _, start in members]),
            "crossing: two saddle points of equal potential",
            {f"{symbol}_informed": 0.0 for symbol in gone},
        )
        outcomes.update(zip([k for k, _ in members], solved, strict=True))
    for k, outcome in outcomes.items():
        if isinstance(outcome, ThresholdResult) and _together(outcome):
            outcomes[k] = requests[k].failed(
                "is not resolved: both saddle points fell together, so close is the end of the "
                "line of transitions"
            )
    return [outcomes[k] for k in range(len(requests))]


def _no_coexistence(sampled: SampledCurve, declaration: Crossing) -> str:
    """Say what was scanned for two branches of saddle points."""
    name, found = control_name(declaration.in_), sampled.control
    if sampled.turns()[0].size == 0:
        return (
            f"no two branches of saddle points coexist, so there is no first-order transition: "
            f"along them {name} rises from {found[0]:.4g} to {found[-1]:.4g} without turning back"
        )
    return (
        f"along the saddle points, which were followed up to {name} = {found.max():.6g}, the "
        f"branches that coexist have no equal potential"
    )


def _together(found: ThresholdResult) -> bool:
    """Tell whether the two saddle points of a crossing are one."""
    pairs = [
        (found.overlaps[f"{symbol}_uninformed"], found.overlaps[f"{symbol}_informed"])
        for symbol in found.formula.unknowns
    ]
    return all(abs(a - b) < _APART * max(abs(a), abs(b)) for a, b in pairs)


def _cusp(request: Request, declaration: Cusp) -> ThresholdResult:
    start = cusp_start(request.formula, declaration, request.controls)
    if start is None:
        raise request.missing(
            f"the branches do not turn back at any {control_name(declaration.controls[0])}, so no "
            f"first-order line ends"
        )
    system = cusp_system(request.formula, declaration)
    (outcome,) = _polished([request], declaration, system, start, "cusp: the two folds meet")
    if isinstance(outcome, ConvergenceError):
        raise outcome
    return outcome


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


def _limit(request: Request, declaration: Limit) -> ThresholdResult:
    return _limit_value(request, declaration, "limit along the branch")


def _limit_value(request: Request, declaration: Limit, method: str) -> ThresholdResult:
    formula = request.formula
    system = _limit_system(formula, declaration)
    names = {c.symbol: key for key, c in formula.controls.items()}
    used = [request.values.get(names[symbol], 1.0) for symbol in system.parameters]
    parameters = [np.array([float(value)]) for value in used]
    z = np.zeros((1, 0))
    if system.size:
        z = _stationary(request, declaration, system, parameters)
    tolerance = _TOLERANCE if nesting(declaration.value) < 2 else _NESTED_TOLERANCE
    verified = system.verify(z, parameters, tolerance, (declaration.value,))
    z = verified.z
    value, spread = float(verified.values[0, 0]), float(verified.bounds[0, 0])
    if not np.isfinite(value):
        raise request.failed("is not finite")
    unstable = False
    if declaration.stability is not None:
        unstable = bool(_above_one(declaration.stability, system, z, parameters)[0])
    text = ""
    if request.digits is not None:
        _, _, observed, errors = precise_solution(
            system, z[0], used, (declaration.value,), request.digits
        )
        value, text, spread = _decimal(observed[0], errors[0], request.digits)
    overlaps = {str(s): float(x) for s, x in zip(system.unknowns, z[0], strict=True)}
    method += ", stationary value" if system.size else ""
    return _result(request, declaration, value, spread, overlaps, method, unstable, text)


def _stationary(
    request: Request, declaration: Limit, system: System, parameters: list[Array]
) -> Array:
    """Solve for the auxiliary variables, from the declared start and then from a lattice."""
    starts = tuple(S(start) for _, start in declaration.over.values())
    declared = [[x.item() for x in compile_kernel(system.parameters, starts)(*parameters)]]
    if not np.isfinite(declared).all():  # beyond the range of doubles on the way
        declared = [[float(start.subs(request.rule)) for start in starts]]
    lattice = itertools.product(*(_spread(interval) for interval, _ in declaration.over.values()))
    for guess in itertools.chain(declared, lattice):
        start = np.array([guess])
        if not system.inside(start, parameters)[0]:
            continue
        found = iterate(system, start, parameters, Newton(), _STEPS)
        if found.status[0] == Status.CONVERGED:
            return found.z
    raise request.missing(
        f"its value has no stationary point in {', '.join(map(str, declaration.over))}"
    )


def _spread(interval: Interval) -> list[float]:
    low = float(interval.start)
    if interval.end is oo:
        return [low + x for x in (1.0, 10.0, 100.0)]
    width = float(interval.end) - low
    return [low + width * x for x in (0.2, 0.5, 0.8)]


# ---- results ------------------------------------------------------------------------------------


_KINDS: dict[type, Callable[[Sequence[Request], Any], list[Outcome]]] = {
    Root: _one_by_one(_root),
    Fold: _fold,
    Crossing: _crossing,
    Cusp: _one_by_one(_cusp),
    Limit: _one_by_one(_limit),
}


def _decimal(number: Any, error: Any, digits: int) -> tuple[float, str, float]:
    if float(error) > 10.0 ** (-digits) * max(abs(float(number)), 1e-300):
        raise ConvergenceError(
            f"{digits} digits are out of reach here: the error is {float(error):.1e}; ask for fewer"
        )
    return float(number), decimal_text(number, digits), float(error)


def _result(
    request: Request,
    declaration: Root | Fold | Crossing | Cusp | Limit,
    value: float,
    error: float,
    overlaps: Mapping[str, float],
    method: str,
    unstable: bool = False,
    text: str = "",
    determined: Mapping[str, float] | None = None,
) -> ThresholdResult:
    formula, caveat = request.formula, declaration.caveat
    accurate = error <= max(1e3 * _TOLERANCE, 1e-9) * max(abs(value), 1.0)
    return ThresholdResult(
        formula=formula,
        name=request.name,
        value=value,
        error=error,
        status=Status.CONVERGED if accurate else Status.INACCURATE,
        controls={**request.controls, **(determined or {})},
        overlaps=overlaps,
        method=method,
        validity="rs-unstable" if unstable else formula.status,
        note=(caveat or "the replica-symmetric saddle is unstable there") if unstable else "",
        digits=request.digits,
        text=text or with_error(value, error),
        published=compare(formula, request.name, request.values, value, error),
    )
