"""Saddle points of a potential: `solve`, at one point or over a grid of controls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import mpmath
import numpy as np
from numpy.typing import NDArray
from sympy import Expr, Symbol, sympify, true

from replica.declarations.control import control_name
from replica.declarations.family import Family
from replica.declarations.formula import Formula
from replica.declarations.reading import exact, resolve
from replica.errors import ControlError, DeclarationError, UnknownName
from replica.numerics.kernel import compile_kernel
from replica.solvers.absence import absent_points
from replica.solvers.conditions import holds
from replica.solvers.curve import ExplicitCurve, Passage, explicit_curve
from replica.solvers.iteration import (
    Anderson,
    Damped,
    Iterated,
    LogNewton,
    Newton,
    Proposal,
    iterate,
)
from replica.solvers.precision import check_digits, decimal_text, precise_solution
from replica.solvers.solution import Solution, Status, failure
from replica.solvers.symmetry import attracted, attracts, embedded, refuse_symmetric
from replica.solvers.system import System, saddle_system
from replica.solvers.verify import poorly_known, unresolved, verify

__all__ = [
    "boundary_attracts",
    "boundary_values",
    "declared_starts",
    "no_overlap",
    "solve",
    "solve_flat",
]

Array = NDArray[np.float64]

_PROPOSALS: Mapping[str, Callable[[], Proposal]] = {
    "newton": Newton,
    "damped": Damped,
    "anderson": Anderson,
}
METHODS = ("auto", *_PROPOSALS)
CURVE_STARTS = {"uninformed": "first", "informed": "last", "equilibrium": "all"}  # passages
_BASIN_STEPS = 12  # damped steps before Newton takes over
_NEWTON_STEPS, _FEW_STEPS = 100, 12
_NEARLY = 1e-5  # the step that a coarse Newton iteration may leave to the verification
_STABLE = 1 + 1e-9
_ROUNDING, _VANISHES = 1e-13, 1e-6  # a residual that is zero, and how well that must be known
_AT_ONCE = 20_000  # points, whatever the grid
_UNSTABLE = "state evolution leaves this saddle point: it is unstable within its ansatz"
_DIGITS_OF_ONE = "digits needs scalar controls: solve one point at a time"
_NONE = (Status.NO_SADDLE, Status.LEFT_DOMAIN)  # no passage of the curve, known or not
_BESIDE = 1e-6  # relative: how far beside its nodes a saddle point may be by rounding


def solve(
    formula: Formula | Family,
    *,
    start: str | Mapping[Any, float] | None = None,
    method: str = "auto",
    tolerance: float = 1e-9,
    max_steps: int = 2000,
    check: bool = True,
    digits: int | None = None,
    observables: Sequence[str] | None = None,
    **controls: Any,
) -> Solution:
    r"""Find a saddle point of the potential.

    .. math:: \partial_q \phi = 0 \quad \text{for every overlap and conjugate } q.

    Parameters
    ----------
    formula : Formula or Family
        A family also takes its structural options as keywords.
    start : str or mapping, optional
        Name of a declared start, or values of overlaps; conjugates follow from their updates.
        By default the declared starts are tried in order.
    method : {"auto", "newton", "damped", "anderson"}
        ``auto`` takes damped steps into the basin and Newton steps to the end.
    tolerance : float
        Error of the overlaps, relative above one, that is asked for.
    max_steps : int
        Most steps of the iteration.
    check : bool
        Raise ConvergenceError when a scalar call fails; otherwise return what was found.
    digits : int, optional
        Decimal digits wanted, by the same equations in multi-precision.
    observables : sequence of str, optional
        Which observables to compute; all by default. Without the stability observable the
        validity is ``"unchecked"``.
    **controls : float or array
        Arrays broadcast against each other; every point has its own status.

    Returns
    -------
    Solution
        Overlaps, observables (entropies in nats per weight), errors and status.

    Raises
    ------
    ControlError, UnknownName
        For bad controls or options.
    ConvergenceError
        With ``.solution``, if `check` and the call is scalar.

    References
    ----------
    Krauth & Mezard, J. Physique 50 (1989) 3057, for the example.

    Examples
    --------
    >>> import replica as rp
    >>> solution = rp.solve(rp.formulas["binary-perceptron"], alpha=0.5, kappa=0)
    >>> round(solution["entropy"], 12)
    0.314390066856
    """
    if method not in METHODS:
        raise UnknownName("method", method, METHODS)
    if not 0 < tolerance < 1:
        raise ControlError(f"tolerance = {tolerance} must lie between 0 and 1, say 1e-9")
    if max_steps < 1:
        raise ControlError(f"max_steps = {max_steps} must be at least 1")
    digits = check_digits(digits)
    found, values = resolve(formula, controls)
    wanted = tuple(found.observables) if observables is None else tuple(observables)
    chosen = {name: found.observable(name) for name in wanted}
    numbers = {name: np.asarray(value, dtype=float) for name, value in values.items()}
    try:
        shape = np.broadcast_shapes(*(number.shape for number in numbers.values()))
    except ValueError:
        sizes = ", ".join(f"{name} {number.shape}" for name, number in numbers.items())
        raise ControlError(
            f"{found.name}: the shapes of the controls do not broadcast: {sizes}; use sweep for a "
            f"product grid"
        ) from None
    flat = [np.broadcast_to(number, shape).reshape(-1) for number in numbers.values()]
    if flat and flat[0].size > _AT_ONCE:
        if digits is not None:
            raise ControlError(_DIGITS_OF_ONE)
        settings = {"start": start, "method": method, "tolerance": tolerance}
        rest = {"max_steps": max_steps, "observables": wanted}
        return _in_parts(found, values, shape, {**settings, **rest})
    if isinstance(start, str) and start in found.subspaces:
        place = found.subspaces[start]
        inside = solve(
            found.within(place),
            method=method,
            tolerance=tolerance,
            max_steps=max_steps,
            check=check,
            digits=digits,
            observables=wanted,
            **values,
        )
        return embedded(found, place, inside)
    system = saddle_system(found)
    named = start is None or (isinstance(start, str) and start in CURVE_STARTS)
    curve = explicit_curve(found) if named and not found.starts else None
    note = ""
    with np.errstate(all="ignore"):  # what is not finite is found by looking at it
        absent, note = absent_points(found, values, shape)
        if curve is not None and (method == "auto" or start is not None):
            begin = str(start or "uninformed")
            run = partial(
                _on_branch, system, curve, start=begin, method=method, max_steps=max_steps
            )
        elif method == "auto" and found.subspaces and start in (None, "uninformed"):
            run = partial(_attracted, found, system, max_steps=max_steps)
        else:
            attempts = _starts(found, start)
            run = partial(solve_flat, system, attempts, method=method, max_steps=max_steps)
            if method == "auto" and not isinstance(start, Mapping) and system.evolves:
                run = partial(_reached, found, system, run, attempts[0], max_steps=max_steps)
        ended = _where_present(run, system, flat, absent)
        note = note or ended.note
        solution = _assemble(found, chosen, system, values, flat, shape, ended, tolerance)
    if note and np.any(np.isin(solution.status, _NONE)):
        solution = replace(solution, note=note)
    if shape == ():
        if ended.boundary is not None and found.boundary is not None:
            solution = replace(solution, note=found.boundary.name)
            digits = None  # its values are exact
        if digits is not None and solution.status in (Status.CONVERGED, Status.INACCURATE):
            solution = _with_digits(solution, system, values, digits)
        if check and solution.status != Status.CONVERGED:
            raise failure(found, values, solution)
    elif digits is not None:
        raise ControlError(_DIGITS_OF_ONE)
    return solution


def _in_parts(
    formula: Formula, values: Mapping[str, Any], shape: tuple[int, ...], settings: Mapping[str, Any]
) -> Solution:
    """Solve a large grid part by part: what each needs on the way is freed before the next."""
    points = int(np.prod(shape))
    flat = {k: np.broadcast_to(w, shape).reshape(-1) for k, w in values.items() if np.ndim(w)}
    fixed = {k: w for k, w in values.items() if not np.ndim(w)}
    # points of one curve of saddle points stay together, and share it
    curve = explicit_curve(formula)
    along = "" if curve is None else control_name(curve.control)
    order = np.lexsort(
        [column for name, column in flat.items() if name != along] or [np.arange(points)]
    )
    back = np.argsort(order)
    parts = []
    for k in range(0, points, _AT_ONCE):
        place = order[k : k + _AT_ONCE]
        some: dict[str, Any] = {name: column[place] for name, column in flat.items()}
        parts.append(solve(formula, check=False, **settings, **fixed, **some))

    def joined(pieces: Iterable[Any]) -> Any:
        return np.concatenate([np.asarray(piece) for piece in pieces])[back].reshape(shape)

    def columns(group: str) -> dict[str, Any]:
        names = getattr(parts[0], group)
        return {name: joined(getattr(part, group)[name] for part in parts) for name in names}

    return replace(
        parts[0],
        controls={name: values[name] for name in parts[0].controls},
        overlaps=columns("overlaps"),
        observables=columns("observables"),
        errors=columns("errors"),
        status=joined(part.status for part in parts),
        validity=joined(part.validity for part in parts),
        steps=max(part.steps for part in parts),
        note=next((part.note for part in parts if part.note), ""),
    )


def solve_flat(
    system: System,
    attempts: Sequence[Mapping[Symbol, Any]],
    parameters: Sequence[Array],
    method: str = "auto",
    max_steps: int = 2000,
) -> Iterated:
    """Solve every point from each start in turn until one converges."""
    points, n = parameters[0].shape[0], system.size
    z = np.full((points, n), np.nan)
    jacobian, step = np.full((points, n, n), np.nan), np.full((points, n), np.nan)
    status = np.full(points, -1)
    left = np.arange(points)
    total = 0
    for attempt in attempts:
        chosen = [p[left] for p in parameters]
        found = _one_start(system, _initial(system, attempt, chosen), chosen, method, max_steps)
        total = max(total, found.steps)
        done = found.status == Status.CONVERGED
        better = done | np.isnan(z[left]).any(axis=1)
        z[left[better]], jacobian[left[better]] = found.z[better], found.jacobian[better]
        step[left[better]] = found.step[better]
        status[left] = np.where(done, found.status, np.maximum(status[left], found.status))
        left = left[~done]
        if left.size == 0:
            break
    return Iterated(z, status, total, jacobian, step)


def _reached(
    formula: Formula,
    system: System,
    run: Callable[[list[Array]], Iterated],
    attempt: Mapping[Symbol, Any],
    parameters: list[Array],
    max_steps: int,
) -> Iterated:
    """Return what a solver finds, or what state evolution reaches where that does not attract.

    Newton's method is drawn to a saddle point that is close, such as one that symmetry keeps,
    also where the iteration from the same start runs away from it.
    """
    found = run(parameters)
    good = found.status == Status.CONVERGED
    leaves = good.copy()
    leaves[good] = ~attracts(system, found.z[good], [p[good] for p in parameters])
    if not leaves.any():
        return found
    inner = [p[leaves] for p in parameters]
    begin = _initial(system, attempt, inner)
    never = np.zeros(begin.shape[0], dtype=bool)
    settled = attracted(formula, system, inner, begin, lambda name: begin, never, max_steps)
    better = np.flatnonzero(leaves)[settled.status == Status.CONVERGED]
    if not better.size:
        return found
    other = found.merged(leaves, found)
    other.z[leaves], other.status[leaves] = settled.z, settled.status
    other.jacobian[leaves], other.step[leaves] = np.nan, np.nan
    chosen = np.zeros_like(good)
    chosen[better] = True
    return found.merged(chosen, other)


def _attracted(
    formula: Formula, system: System, parameters: list[Array], max_steps: int
) -> Iterated:
    """Return what state evolution leads to, where a symmetry may break."""
    names = list(formula.controls)

    def symmetric(name: str) -> Array:
        at: dict[str, Any] = dict(zip(names, parameters, strict=True))
        found = solve(formula, start=name, observables=(), check=False, **at)
        return np.stack([found.overlaps[str(s)] for s in system.unknowns], axis=1)

    ended = attracted(
        formula,
        system,
        parameters,
        _initial(system, _starts(formula, "uninformed")[0], parameters),
        symmetric,
        boundary_attracts(formula, parameters),
        max_steps,
    )
    assert ended.boundary is not None
    if not ended.boundary.any():
        return replace(ended, boundary=None)
    return _at_boundary(system, formula, ended, ended.boundary)


def _where_present(
    run: Callable[[list[Array]], Iterated],
    system: System,
    parameters: list[Array],
    absent: NDArray[np.bool_],
) -> Iterated:
    """Run a solver at the points that may have a saddle point."""
    if not absent.any():
        return run(parameters)
    points, n = absent.size, system.size
    z, step = np.full((points, n), np.nan), np.full((points, n), np.nan)
    jacobian = np.full((points, n, n), np.nan)
    status, steps, boundary = np.full(points, int(Status.NO_SADDLE)), 0, None
    note = ""
    rest = ~absent
    if rest.any():
        found = run([p[rest] for p in parameters])
        z[rest], jacobian[rest], step[rest] = found.z, found.jacobian, found.step
        status[rest], steps, note = found.status, found.steps, found.note
        if found.boundary is not None:
            boundary = np.zeros(points, dtype=bool)
            boundary[rest] = found.boundary
    return Iterated(z, status, steps, jacobian, step, boundary, note)


def _on_branch(
    system: System,
    curve: ExplicitCurve,
    parameters: list[Array],
    start: str,
    method: str,
    max_steps: int,
) -> Iterated:
    """Return the state that a start leads to, among all those that there are.

    These are the passages of the curve through the wanted control, the state of no overlap where
    symmetry keeps it, and the boundary of the domain. Uninformed is what state evolution reaches
    from no overlap, informed what it reaches from the boundary, and equilibrium the state of the
    largest potential.
    """
    formula = curve.formula
    attracts = boundary_attracts(formula, parameters)
    origin, leaving = no_overlap(system, curve, parameters)
    stays = (origin.status == Status.CONVERGED) & (parameters[curve.position] <= leaving)
    passages = curve.passages(parameters, CURVE_STARTS[start], enough=attracts)
    polish = partial(_on_curve, system, curve, method=method, max_steps=max_steps)
    if start == "equilibrium":
        states = [origin, *(polish(p, parameters, p.found) for p in passages)]
        states[0].status[~stays] = int(Status.NO_SADDLE)
        found, height = _highest(system, formula, states, parameters)
        there = attracts & (_boundary_potential(formula, parameters) > height)
    elif start == "informed":
        found = polish(passages[0], parameters, ~attracts)
        there = attracts
    else:
        found = polish(passages[0], parameters, ~stays)
        found = found.merged(stays, origin)
        there = attracts & np.isin(found.status, _NONE)
    # where nothing else is left, the state of no overlap is one that does not attract
    missing = np.isin(found.status, _NONE) & ~there
    found = found.merged(missing & (origin.status == Status.CONVERGED), origin)
    found = replace(found, note=_reach(curve, passages[-1], parameters))
    return _at_boundary(system, formula, found, there)


def _reach(curve: ExplicitCurve, passage: Passage, parameters: list[Array]) -> str:
    """Say how far a curve of saddle points goes, for a single point beyond."""
    if passage.found.size != 1 or not parameters[curve.position][0] > passage.highest[0]:
        return ""
    name, end = control_name(curve.control), f"{passage.highest[0]:.6g}"
    if passage.ended[0]:
        return f"saddle points exist for {name} up to {end}"
    last = passage.start[0, curve.formula.unknowns.index(curve.parameter)]
    return f"the saddle points were followed up to {name} = {end}, {curve.parameter} = {last:.3g}"


def no_overlap(
    system: System, curve: ExplicitCurve, parameters: list[Array]
) -> tuple[Iterated, Array]:
    """Return the state of no overlap, NO_SADDLE where it is none, and up to where it attracts."""
    points, n = parameters[0].size, system.size
    rest = [p for k, p in enumerate(parameters) if k != curve.position]
    table = np.stack([*rest, np.zeros(points)], axis=1)
    _, first, member = np.unique(table, axis=0, return_index=True, return_inverse=True)
    inner = [p[first] for p in parameters]
    place, leaving, proportional = curve.origin(inner)
    place = system.onto_edge(place, inner)  # the update of the overlap is rounded
    some = np.flatnonzero(~proportional & system.inside(place, inner))
    if some.size:
        chosen = [p[some] for p in inner]
        zero = np.ones(some.size, dtype=bool)
        for row in system.residual.bounded(*place[some].T, *chosen):
            with np.errstate(invalid="ignore"):  # as far as it can be told
                known = np.where(row.bound < _VANISHES, row.bound, 0.0)
                zero &= np.abs(row.value) <= np.maximum(known, _ROUNDING)
        some = some[zero]
    member = member.reshape(-1)
    there = np.isin(member, some)
    status = np.where(there, int(Status.CONVERGED), int(Status.NO_SADDLE))
    unknown = np.full((points, n), np.nan)
    state = Iterated(place[member], status, 0, np.full((points, n, n), np.nan), unknown)
    return state, leaving[member]


def _highest(
    system: System, formula: Formula, states: Sequence[Iterated], parameters: list[Array]
) -> tuple[Iterated, Array]:
    """Return for each point the state of the largest potential, and that potential."""
    kernel = compile_kernel(system.arguments, (formula.potential,))
    best, height = states[0], np.full(parameters[0].shape, -np.inf)
    for state in states:
        good = state.status == Status.CONVERGED
        here = np.full(height.shape, -np.inf)
        if good.any():
            inner = [p[good] for p in parameters]
            here[good] = kernel(*state.z[good].T, *inner)[0]
        better = (here > height) | (~np.isfinite(height) & (best.status == Status.NO_SADDLE))
        best = best.merged(better, state)
        height = np.maximum(here, height)
    return best, height


def _boundary_potential(formula: Formula, parameters: list[Array]) -> Array:
    """Return the potential on the boundary, minus infinity for a formula without one."""
    if formula.boundary is None:
        return np.full(parameters[0].shape, -np.inf)
    return boundary_values(formula, ("potential",), parameters)[:, 0]


def boundary_attracts(formula: Formula, parameters: list[Array]) -> NDArray[np.bool_]:
    """Tell at which points the boundary of the domain is a saddle point that attracts."""
    boundary = formula.boundary
    if boundary is None:
        return np.zeros(parameters[0].shape, dtype=bool)
    symbols = formula.symbols
    (above,) = compile_kernel(symbols, (sympify(boundary.above, strict=True),))(*parameters)
    attracts = parameters[symbols.index(boundary.in_)] >= above
    at = dict(zip(formula.controls, parameters, strict=True))
    return np.asarray(attracts & holds(boundary.when, formula, at))


def _at_boundary(
    system: System, formula: Formula, found: Iterated, there: NDArray[np.bool_]
) -> Iterated:
    """Put points on the boundary, where there is nothing left to solve."""
    if formula.boundary is None or not there.any():
        return found
    place = [float(formula.boundary.at[symbol]) for symbol in system.unknowns]
    z, status = found.z.copy(), found.status.copy()
    z[there], status[there] = place, int(Status.CONVERGED)
    return replace(found, z=z, status=status, boundary=there)


def _on_curve(
    system: System,
    curve: ExplicitCurve,
    passage: Passage,
    parameters: list[Array],
    wanted: NDArray[np.bool_],
    method: str,
    max_steps: int,
) -> Iterated:
    """Return the saddle points at passages of the curve, and no others.

    Newton's method, or the one that is asked for, starts close to the passage; what it finds
    beyond the nodes on both sides is another saddle point. Then the passage is bracketed.
    """
    column = curve.formula.unknowns.index(curve.parameter)
    n, points = system.size, wanted.size
    z, step = np.full((points, n), np.nan), np.full((points, n), np.nan)
    jacobian = np.full((points, n, n), np.nan)
    status = np.where(passage.ended, int(Status.NO_SADDLE), int(Status.LEFT_DOMAIN))
    steps = 0
    ready = wanted & np.asarray(np.isfinite(passage.start).all(axis=1))
    ready[ready] = system.inside(passage.start[ready], [p[ready] for p in parameters])
    told = ~system.vanishing(passage.start, parameters)
    # beyond the last node of the curve there is little hope, and little to pay
    beyond = ready & ~passage.found & ~passage.ended & told
    for some, limit in ((ready & passage.found & told, _NEWTON_STEPS), (beyond, _FEW_STEPS)):
        if not some.any():
            continue
        inner = [p[some] for p in parameters]
        if method == "auto":
            # a coarse rule leads to the root; the last step is taken with the rule that is trusted
            found = iterate(
                system, passage.start[some], inner, Newton(_NEARLY), limit, refinement=-1
            )
        else:
            found = iterate(system, passage.start[some], inner, _PROPOSALS[method](), max_steps)
        place = found.z[:, column]
        reached = (found.status == Status.CONVERGED) | (method != "auto")
        slack = _BESIDE * np.abs(place)
        with np.errstate(invalid="ignore"):
            away = (place < passage.low[some] - slack) | (place > passage.high[some] + slack)
        place_of = np.flatnonzero(some)
        strayed = away & (found.status == Status.CONVERGED) & (method != "auto")
        kept = place_of[reached & ~(away & (method == "auto"))]
        inner_kept = reached & ~(away & (method == "auto"))
        z[kept], jacobian[kept] = found.z[inner_kept], found.jacobian[inner_kept]
        step[kept], status[kept] = found.step[inner_kept], found.status[inner_kept]
        status[place_of[strayed]] = int(Status.DIVERGED)
        steps = max(steps, found.steps)
    again = wanted & passage.found & np.isnan(z).any(axis=1)
    if again.any():
        inner = [p[again] for p in parameters]
        bracketed = curve.between(passage.at(again), inner)
        z[again], step[again] = bracketed, np.nan
        solved = np.isfinite(bracketed).all(axis=1)
        status[again] = np.where(solved, int(Status.CONVERGED), int(Status.NON_FINITE))
    return Iterated(z, status, steps, jacobian, step)


def _one_start(
    system: System, begin: Array, parameters: list[Array], method: str, max_steps: int
) -> Iterated:
    if method != "auto":
        return iterate(system, begin, parameters, _PROPOSALS[method](), max_steps)
    limit = min(_NEWTON_STEPS, max_steps)
    if not system.paired.any():
        return iterate(system, begin, parameters, Newton(), limit)
    cheap = system.deep and bool(system.paired.all()) and not system.logarithmic
    if system.logarithmic:
        first = iterate(system, begin, parameters, LogNewton(), limit)
        go_on = first.status != Status.CONVERGED  # an unknown may vanish, which has no logarithm
        middle = begin
    else:
        first = iterate(
            system,
            begin,
            parameters,
            Damped(0.2),
            min(_BASIN_STEPS, max_steps),
            refinement=-1 if cheap else 0,
            slopes=not cheap,
        )
        go_on = (first.status == Status.MAX_STEPS) | (first.status == Status.CONVERGED)
        middle = first.z
    if not go_on.any():
        return first
    inner = [p[go_on] for p in parameters]
    z, status, jacobian = first.z.copy(), first.status.copy(), first.jacobian.copy()
    step = first.step.copy()
    if cheap:  # a coarse rule leads to the root; the verification takes the last step
        second = iterate(system, middle[go_on], inner, Newton(_NEARLY), limit, refinement=-1)
        second = replace(
            second, jacobian=np.full_like(second.jacobian, np.nan), step=second.step * np.nan
        )
    else:
        second = iterate(system, middle[go_on], inner, Newton(), limit)
    z[go_on], status[go_on], jacobian[go_on] = second.z, second.status, second.jacobian
    step[go_on] = second.step
    return Iterated(z, status, first.steps + second.steps, jacobian, step)


def _starts(
    formula: Formula, start: str | Mapping[Any, float] | None
) -> list[Mapping[Symbol, Any]]:
    if isinstance(start, str):
        if start not in formula.starts:
            known = formula.starts or _default_starts(formula)
            if start not in known:
                raise UnknownName("start", start, known, formula.name)
            return [known[start]]
        return [formula.starts[start]]
    if isinstance(start, Mapping):
        names = {str(symbol): symbol for symbol in formula.unknowns}
        chosen: dict[Symbol, Any] = {}
        for key, value in start.items():
            if str(key) not in names:
                raise UnknownName("overlap", str(key), names, formula.name)
            symbol = names[str(key)]
            chosen[symbol] = _start_value(formula, symbol, value)
        refuse_symmetric(formula, chosen)
        return [chosen]
    if start is not None:
        raise DeclarationError(f"start must be a name or a mapping of overlaps, not {start!r}")
    return declared_starts(formula)


def declared_starts(formula: Formula) -> list[Mapping[Symbol, Any]]:
    """Return the starts of a formula, or places across the domains of one that names none."""
    return [*formula.starts.values()] or [*_default_starts(formula).values()]


def _start_value(formula: Formula, symbol: Symbol, value: Any) -> float:
    domain = formula.domains[symbol]
    number = exact(value)
    if isinstance(value, bool) or number is None or not number.is_finite:
        raise ControlError(f"{formula.name}: start {symbol} = {value!r} is not a real number")
    if not domain.free_symbols and domain.contains(number) != true:
        raise ControlError(f"{formula.name}: start {symbol} = {value} is outside {domain}")
    return float(number)


def _default_starts(formula: Formula) -> dict[str, dict[Symbol, Any]]:
    """Return points at a tenth, a half and most of the way through each overlap's domain."""

    def place(fraction: float) -> dict[Symbol, Any]:
        chosen: dict[Symbol, Any] = {}
        # a bound may be another overlap: those with numeric bounds come first
        pending = sorted(formula.overlaps, key=lambda s: len(formula.overlaps[s].free_symbols))
        for symbol in pending:
            domain = formula.overlaps[symbol]
            low, high = (bound.subs(chosen) for bound in (domain.start, domain.end))
            low = low if low.is_finite else min(-1, high)
            high = high if high.is_finite else low + 2
            chosen[symbol] = float(low + fraction * (high - low))
        return chosen

    return {"uninformed": place(0.1), "middle": place(0.5), "informed": place(0.95)}


def _initial(system: System, attempt: Mapping[Symbol, Any], parameters: Sequence[Array]) -> Array:
    """Return the starting array; unknowns that are not given take their update at the others."""
    points = parameters[0].shape[0]
    z = np.ones((points, system.size))
    missing = []
    for k, symbol in enumerate(system.unknowns):
        if symbol in attempt:
            value = sympify(attempt[symbol], strict=True)
            if value.free_symbols:  # a start that follows the controls
                (value,) = compile_kernel(system.parameters, (value,))(*parameters)
            z[:, k] = np.asarray(value, dtype=float)
        else:
            missing.append(k)
    if missing:
        residual = system.residual(*z.T, *parameters)
        for k in missing:
            if system.paired[k]:
                z[:, k] = residual[k] + z[:, k]
        if set(system.explicit) <= set(missing):
            z = system.completed(z, parameters)  # without the cancellation
    low, high = system.bounds(z, parameters)
    bad = ~np.isfinite(z) | (z < low) | (z > high)
    return np.where(bad, np.clip(np.ones_like(z), low, high), z)


def _assemble(
    formula: Formula,
    wanted: Mapping[str, Expr],
    system: System,
    values: Mapping[str, Any],
    flat: list[Array],
    shape: tuple[int, ...],
    ended: Iterated,
    tolerance: float,
) -> Solution:
    z, status = ended.z, ended.status
    error = np.full_like(z, np.inf)
    rows = np.full((z.shape[0], len(wanted)), np.nan)
    bounds = np.full_like(rows, np.inf)
    edge = np.zeros(status.shape, dtype=bool) if ended.boundary is None else ended.boundary
    if edge.any():
        rows[edge] = boundary_values(formula, wanted, [p[edge] for p in flat])
        error[edge], bounds[edge] = 0.0, 0.0
    good = (status == Status.CONVERGED) & ~edge
    if good.any():
        inner = [p[good] for p in flat]
        # a point without a Jacobian of its own is corrected by itself, whatever the others have
        known = bool(np.isfinite(ended.jacobian[good]).all(axis=(1, 2)).any())
        found = verify(
            system,
            z[good],
            inner,
            tolerance,
            tuple(wanted.values()),
            jacobian=ended.jacobian[good] if known else None,
            step=ended.step[good] if known else None,
        )
        z[good], error[good], rows[good], bounds[good] = (
            found.z,
            found.error,
            found.values,
            found.bounds,
        )
        poor = poorly_known(system, z[good], error[good], inner, tolerance).any(axis=1)
        status[np.flatnonzero(good)[poor]] = Status.INACCURATE
        # a point no further from the edge than its error is an artefact of the nodes
        lost = unresolved(system, z[good], error[good], inner, 0.3).any(axis=1)
        status[np.flatnonzero(good)[lost]] = Status.LEFT_DOMAIN
    observables = dict(zip(wanted, rows.T, strict=True))
    spreads = dict(zip(wanted, bounds.T, strict=True))
    stable = np.ones(status.shape, dtype=bool)
    leaves = np.zeros(status.shape, dtype=bool)
    if system.evolves and good.any():
        leaves[good] = ~attracts(system, z[good], inner, _jacobians(ended, good))
    status_word = formula.status
    if formula.stability and formula.stability not in observables:
        status_word = "unchecked"
    elif formula.stability:
        replicon = observables[formula.stability]
        stable = ~(replicon > _STABLE)
    failed = ~np.isin(status, (Status.CONVERGED, Status.INACCURATE))

    def shaped(array: Array) -> Any:
        masked = np.where(failed, np.nan, array)
        return float(masked[0]) if shape == () else masked.reshape(shape)

    names = [str(symbol) for symbol in system.unknowns]
    errors = {name: shaped(error[:, k]) for k, name in enumerate(names)}
    errors.update({name: shaped(spread) for name, spread in spreads.items()})
    validity = np.where(stable, np.where(leaves, "unstable", status_word), "rs-unstable")
    validity = np.where(failed, "", validity)
    note = _UNSTABLE if shape == () and bool(leaves[0]) and not failed[0] else ""
    if shape == () and status[0] == Status.INACCURATE:
        k = int(np.argmax(error[0] / np.maximum(np.abs(z[0]), 1.0)))
        note = (
            f"an error of {tolerance:g} was asked for, that of {system.unknowns[k]} is "
            f"{error[0, k]:.1g}"
        )
    return Solution(
        formula=formula,
        controls={
            name: (float(value) if np.ndim(value) == 0 else value) for name, value in values.items()
        },
        overlaps={name: shaped(z[:, k]) for k, name in enumerate(names)},
        observables={name: shaped(value) for name, value in observables.items()},
        errors=errors,
        status=Status(int(status[0])) if shape == () else status.reshape(shape),
        validity=str(validity[0]) if shape == () else validity.reshape(shape),
        steps=ended.steps,
        note=note,
    )


def _jacobians(ended: Iterated, good: NDArray[np.bool_]) -> Array | None:
    """Return the Jacobians next to the points that converged, None if some are not known."""
    jacobian = ended.jacobian[good]
    return jacobian if np.isfinite(jacobian).all() else None


def boundary_values(formula: Formula, wanted: Iterable[str], flat: list[Array]) -> Array:
    """Return the observables on the boundary, shape (points, observables)."""
    assert formula.boundary is not None
    symbols = formula.symbols
    columns = []
    for name in wanted:
        value = formula.boundary.observables[name]
        if value.is_finite is not False:
            number: Any = compile_kernel(symbols, (value,))(*flat)[0]
        else:
            number = float(value)
        columns.append(np.broadcast_to(number, flat[0].shape))
    return np.stack(columns, axis=1) if columns else np.zeros((flat[0].size, 0))


def _with_digits(
    solution: Solution, system: System, values: Mapping[str, Any], digits: int
) -> Solution:
    formula = solution.formula
    roots, spreads, observed, felt = precise_solution(
        system,
        [solution.overlaps[str(symbol)] for symbol in system.unknowns],
        list(values.values()),
        tuple(formula.observable(name) for name in solution.observables),
        digits,
    )
    names = [*map(str, system.unknowns), *solution.observables]
    texts = {
        name: decimal_text(number, digits)
        for name, number in zip(names, [*roots, *observed], strict=True)
    }
    errors = {
        name: float(max(error, mpmath.mpf(10) ** -digits * abs(number)))
        for name, number, error in zip(names, [*roots, *observed], [*spreads, *felt], strict=True)
    }
    return replace(
        solution,
        texts=texts,
        errors=errors,
        overlaps={name: float(number) for name, number in zip(names, roots, strict=False)},
        status=Status.CONVERGED,
    )
