"""Saddle points of a potential: `solve`, at one point or over a grid of controls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sympy import Expr

from replica.declarations.control import control_name
from replica.declarations.family import Family
from replica.declarations.formula import Formula
from replica.declarations.point import Points
from replica.declarations.reading import read
from replica.errors import ControlError, UnknownName
from replica.solvers.absence import absent_points
from replica.solvers.assembly import assembled, beyond_tolerance, improved, with_digits
from replica.solvers.boundary import at_boundary, boundary_attracts
from replica.solvers.curve import explicit_curve
from replica.solvers.gaps import in_gaps, moving_ends
from replica.solvers.iteration import PROPOSALS, Iterated
from replica.solvers.precision import check_digits
from replica.solvers.solution import Solution, Status, failure
from replica.solvers.starts import initial, named_starts
from replica.solvers.states import CURVE_STARTS, NONE, on_branch
from replica.solvers.strategies import reached, solve_flat, where_present
from replica.solvers.symmetry import attracted, embedded
from replica.solvers.system import System, saddle_system

__all__ = ["solve"]

Array = NDArray[np.float64]

_TOO_CLOSE = (Status.LEFT_DOMAIN, Status.INACCURATE, Status.NON_FINITE)  # next to an end
_NOTHING = 1e-13  # a residual up to this is zero
_AT_ONCE = 20_000  # points solved together; a larger grid goes in parts, to bound the memory
_DIGITS_OF_ONE = "digits needs scalar controls: solve one point at a time"


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
    _check_settings(method, tolerance, max_steps)
    digits = check_digits(digits)
    points = read(formula, controls)
    found, shape = points.formula, points.shape
    wanted = tuple(found.observables) if observables is None else tuple(observables)
    for name in wanted:
        found.observable(name)  # an unknown name is refused before anything is computed
    if digits is not None and shape:
        raise ControlError(_DIGITS_OF_ONE)
    if found.potential is None and isinstance(start, str) and start == "equilibrium":
        raise ControlError(
            f"{found.name}: start='equilibrium' is the state of the largest potential, and a "
            f"formula of equations has none; name another start"
        )
    settings: dict[str, Any] = {"method": method, "tolerance": tolerance, "max_steps": max_steps}
    settings["observables"] = wanted
    if points.size > _AT_ONCE:
        return _in_parts(points, {**settings, "start": start})
    place = found.subspaces.get(start) if isinstance(start, str) else None
    if place is not None and set(place) != set(found.unknowns):
        inside = solve(found.within(place), check=check, digits=digits, **settings, **points.values)
        return embedded(found, place, inside)
    solution, on_edge = _at_points(points, start=start, **settings)
    if shape == ():
        known = solution.status in (Status.CONVERGED, Status.INACCURATE)
        if digits is not None and known and not on_edge:  # the values at the edge are exact
            solution = with_digits(solution, saddle_system(found), points, digits)
        if check and solution.status != Status.CONVERGED:
            raise failure(points, solution)
    return solution


def _check_settings(method: str, tolerance: float, max_steps: int) -> None:
    methods = ("auto", *PROPOSALS)
    if method not in methods:
        raise UnknownName("method", method, methods)
    if not 0 < tolerance < 1:
        raise ControlError(f"tolerance = {tolerance} must lie between 0 and 1, say 1e-9")
    if max_steps < 1:
        raise ControlError(f"max_steps = {max_steps} must be at least 1")


def _at_points(
    points: Points,
    *,
    start: str | Mapping[Any, float] | None,
    method: str,
    tolerance: float,
    max_steps: int,
    observables: tuple[str, ...],
) -> tuple[Solution, bool]:
    """Solve all points of a grid together, and tell whether one is at the edge of the domain."""
    formula = points.formula
    system = saddle_system(formula)
    with np.errstate(all="ignore"):  # results that are not finite are tested for
        absent, note = absent_points(points)
        run = _way_of(formula, system, start, method, max_steps)
        ended = where_present(run, system, points.columns, absent)
        note = note or ended.note
        chosen = {name: formula.observable(name) for name in observables}
        solution = assembled(points, chosen, system, ended, tolerance)
        if method == "auto" and moving_ends(formula):
            lost = np.isin(solution.status, _TOO_CLOSE).reshape(-1) & ~absent
            lost |= beyond_tolerance(solution, tolerance)
            solution = _through_gaps(points, solution, lost, start, chosen, tolerance)
    if note and np.any(np.isin(solution.status, NONE)):
        solution = replace(solution, note=note)
    on_edge = ended.boundary is not None
    if points.shape == () and on_edge and formula.boundary is not None:
        solution = replace(solution, note=formula.boundary.name)
    return solution, on_edge


def _through_gaps(
    points: Points,
    solution: Solution,
    lost: NDArray[np.bool_],
    start: str | Mapping[Any, float] | None,
    chosen: Mapping[str, Expr],
    tolerance: float,
) -> Solution:
    """Return the solution with points next to a moving end of their domain found by their gaps."""
    formula = points.formula
    gaps = in_gaps(formula) if lost.any() else None
    named = start is None or isinstance(start, str)
    places = [gaps.start(place) for place in named_starts(formula, start)] if gaps and named else []
    attempts = [place for place in places if place is not None]
    if gaps is None or not attempts:
        return solution
    inner = Points.of_columns(formula, [column[lost] for column in points.columns])
    ended = solve_flat(gaps.system, attempts, inner.columns)
    wanted = {name: gaps.expression(expression) for name, expression in chosen.items()}
    overlaps = {str(symbol): expression for symbol, expression in gaps.rule.items()}
    found = assembled(inner, {**wanted, **overlaps}, gaps.system, ended, tolerance)
    return improved(solution, lost, found, tolerance)


def _way_of(
    formula: Formula,
    system: System,
    start: str | Mapping[Any, float] | None,
    method: str,
    max_steps: int,
) -> Callable[[list[Array]], Iterated]:
    """Return how a start leads to saddle points of a formula.

    Along the explicit curve of saddle points, if there is one; by state evolution where a symmetry
    may break; else from the starts one after another, and on to where state evolution goes if what
    they lead to does not attract.
    """
    if isinstance(start, str) and start in formula.subspaces:  # one point, nothing is left to solve
        return partial(_pinned, system, formula.subspaces[start])
    named = start is None or (isinstance(start, str) and start in CURVE_STARTS)
    curve = explicit_curve(formula) if named and not formula.starts else None
    if curve is not None and (method == "auto" or start is not None):
        begin = str(start or "uninformed")
        return partial(on_branch, system, curve, start=begin, method=method, max_steps=max_steps)
    if method == "auto" and formula.subspaces and start in (None, "uninformed"):
        return partial(_attracted, formula, system, start, max_steps=max_steps)
    attempts = named_starts(formula, start)
    run = partial(solve_flat, system, attempts, method=method, max_steps=max_steps)
    if method == "auto" and not isinstance(start, Mapping) and system.evolves:
        return partial(reached, formula, system, run, attempts[0], max_steps=max_steps)
    return run


def _pinned(system: System, place: Mapping[Any, Any], parameters: Sequence[Array]) -> Iterated:
    """Return a state in which every unknown keeps a value, where it is a saddle point."""
    points, n = parameters[0].size, system.size
    z = np.tile([float(place[symbol]) for symbol in system.unknowns], (points, 1))
    residual, bound = system.bounded(z, parameters)
    there = (np.abs(residual) <= np.maximum(bound, _NOTHING)).all(axis=1)
    status = np.where(there, int(Status.CONVERGED), int(Status.NO_SADDLE))
    return Iterated(z, status, 0, np.full((points, n, n), np.nan), np.full((points, n), np.nan))


def _in_parts(points: Points, settings: Mapping[str, Any]) -> Solution:
    """Solve a large grid part by part: what each needs on the way is freed before the next."""
    formula, values, shape = points.formula, points.values, points.shape
    flat = {k: np.broadcast_to(w, shape).reshape(-1) for k, w in values.items() if np.ndim(w)}
    fixed = {k: w for k, w in values.items() if not np.ndim(w)}
    # points on the same explicit curve of saddle points stay together, so that it is sampled once
    curve = explicit_curve(formula)
    along = "" if curve is None else control_name(curve.control)
    order = np.lexsort(
        [column for name, column in flat.items() if name != along] or [np.arange(points.size)]
    )
    back = np.argsort(order)
    parts = []
    for k in range(0, points.size, _AT_ONCE):
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


def _attracted(
    formula: Formula, system: System, start: str | None, parameters: list[Array], max_steps: int
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
        initial(system, named_starts(formula, start)[0], parameters),
        symmetric,
        boundary_attracts(formula, parameters),
        max_steps,
    )
    assert ended.boundary is not None
    if not ended.boundary.any():
        return replace(ended, boundary=None)
    return at_boundary(system, formula, ended, ended.boundary)
