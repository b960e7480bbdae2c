"""Saddle points of a potential: `solve`, at one point or over a grid of controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, Literal, overload

import numpy as np

from replica.declarations.family import Family
from replica.declarations.formula import Formula
from replica.declarations.numbers import is_whole, read_number
from replica.declarations.point import Points
from replica.declarations.reading import read
from replica.errors import ControlError, ConvergenceError, DeclarationError, UnknownName
from replica.solvers.assembly import with_digits
from replica.solvers.coexisting import States, every_state
from replica.solvers.iteration import PROPOSALS
from replica.solvers.precision import check_digits
from replica.solvers.refusal import excluded
from replica.solvers.solution import Solution, Status, failure
from replica.solvers.solving import Asked, solve_points
from replica.solvers.starts import begun
from replica.solvers.system import saddle_system
from replica.writing import listed, python_name

__all__ = ["solve"]

Start = str | Mapping[Any, float] | Solution | None

_DIGITS_OF_ONE = "digits needs scalar controls: solve one point at a time"


@overload
def solve(
    formula: Formula | Family,
    *,
    start: Start = None,
    follow: Mapping[Any, Any] | None = None,
    states: None = None,
    exclude: Any = None,
    method: str = "auto",
    tolerance: float = 1e-9,
    max_steps: int = 2000,
    check: bool = True,
    digits: int | None = None,
    observables: Sequence[str] | None = None,
    **controls: Any,
) -> Solution: ...


@overload
def solve(
    formula: Formula | Family,
    *,
    states: Literal["all"],
    start: Start = None,
    exclude: Any = None,
    tolerance: float = 1e-9,
    check: bool = True,
    observables: Sequence[str] | None = None,
    **controls: Any,
) -> States: ...


@overload
def solve(
    formula: Formula | Family,
    *,
    start: Start = None,
    follow: Mapping[Any, Any] | None = None,
    states: str | None,
    exclude: Any = None,
    method: str = "auto",
    tolerance: float = 1e-9,
    digits: int | None = None,
    **controls: Any,
) -> Solution | States: ...


def solve(
    formula: Formula | Family,
    *,
    start: Start = None,
    follow: Mapping[Any, Any] | None = None,
    states: str | None = None,
    exclude: Any = None,
    method: str = "auto",
    tolerance: float = 1e-9,
    max_steps: int = 2000,
    check: bool = True,
    digits: int | None = None,
    observables: Sequence[str] | None = None,
    **controls: Any,
) -> Solution | States:
    r"""Find a saddle point of the potential.

    .. math:: \partial_q \phi = 0 \quad \text{for every overlap and conjugate } q.

    Parameters
    ----------
    formula : Formula or Family
        A family also takes its structural options as keywords.
    start : str, mapping or Solution, optional
        Name of a declared start; values of overlaps, conjugates follow from their updates; or a
        solution, also of other controls or another formula, at whose overlaps to begin.
        ``"equilibrium"`` is the state of the largest potential (or the smallest, as the formula
        declares) among those that the starts lead to. By default the declared starts are tried in
        order.
    follow : mapping of control to number or array, optional
        Solve at these values of some controls instead, then follow the state from there to the
        wanted ones, along a straight line of controls. A state that ends on the way is ENDED.
    states : {"all"}, optional
        Return every saddle point that can be found at one point, with potential and stability.
    exclude : Eq or sequence of Eq, optional
        Saddle points at which one of these holds, such as ``Eq(m, 1)``, are not accepted.
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
    Solution or States
        Overlaps, observables (entropies in nats per weight), errors and status; with ``states``
        a sequence of such solutions, the equilibrium state first.

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
    >>> sign = rp.formulas["bayes-optimal-glm"](prior="rademacher", channel="sign")
    >>> states = rp.solve(sign, alpha=1.3, states="all")  # recovery, message passing, and between
    >>> [round(state["m"], 6) for state in states], [state.stable for state in states]
    ([1.0, 0.725871, 0.971346], [True, True, False])
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
            f"{found.name}: start='equilibrium' is the state of the largest or smallest potential, "
            f"and a formula of equations has none; name another start"
        )
    asked = Asked(
        start=_begun(points, start),
        follow=_followed(points, follow),
        exclude=excluded(found, exclude),
        method=method,
        tolerance=tolerance,
        max_steps=max_steps,
        observables=wanted,
    )
    if states is not None:
        if digits is not None or follow is not None:
            other = "digits" if digits is not None else "follow"
            raise ControlError(f"{found.name}: states={states!r} looks everywhere, without {other}")
        return _every_state(points, asked, states, check)
    solution, on_edge = solve_points(points, asked)
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
    if not isinstance(tolerance, Real) or not 0 < tolerance < 1:
        raise ControlError(f"tolerance = {tolerance!r} must lie between 0 and 1, say 1e-9")
    if not is_whole(max_steps) or max_steps < 1:
        raise ControlError(f"max_steps = {max_steps!r} must be a whole number, at least 1")


def _begun(points: Points, start: Start) -> Any:
    """Return where to begin: a solution as an array of its unknowns, anything else as it is."""
    if isinstance(start, np.ndarray):
        raise DeclarationError(
            f"start must be a name, a mapping of overlaps or a solution, not {start!r:.60}"
        )
    return begun(points, start) if isinstance(start, Solution) else start


def _followed(points: Points, follow: Mapping[Any, Any] | None) -> dict[str, Any]:
    """Return the controls that a state is followed from, read like any others."""
    formula = points.formula
    found: dict[str, Any] = {}
    if follow is None:
        return {}
    if not isinstance(follow, Mapping):
        raise ControlError(
            f"{formula.name}: follow takes controls and where to begin, such as "
            f"follow={{{next(iter(formula.controls))!r}: 1}}, not {follow!r}"
        )
    for key, value in follow.items():
        name = str(key) if str(key) in formula.controls else python_name(str(key))
        if name not in formula.controls:
            raise UnknownName("control", str(key), formula.controls, formula.name)
        found[name] = read_number(value, formula.controls[name], formula.name)
        try:
            fits = np.broadcast_shapes(np.shape(found[name]), points.shape) == points.shape
        except ValueError:
            fits = False
        if not fits:
            raise ControlError(
                f"{formula.name}: follow {name} has shape {np.shape(found[name])}, which does not "
                f"broadcast to that of the controls, {points.shape}"
            )
    return found


def _every_state(points: Points, asked: Asked, states: str, check: bool) -> States:
    """Return all states at a single point."""
    name = points.formula.name
    if states != "all":
        raise UnknownName("choice of states", states, ("all",), name)
    found = every_state(points.single("states='all'", "; branches follow them"), asked)
    if check and not found:
        raise ConvergenceError(
            f"{name} at {listed(points.values, ' = ')}: no saddle point was found"
            + (f" ({found.note})" if found.note else "")
        )
    return found
