"""Saddle points of a potential: `solve`, at one point or over a grid of controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sympy import Symbol

from replica.errors import ControlError, DeclarationError, UnknownName
from replica.language.controls import resolve
from replica.language.formula import Family, Formula, control_name
from replica.solvers.branches import ExplicitCurve, explicit_curve
from replica.solvers.iteration import Anderson, Damped, Newton, Proposal, iterate
from replica.solvers.precision import check_digits, decimal_text, precise_solution
from replica.solvers.solution import Solution, Status, failure
from replica.solvers.system import System, saddle_system, scale

__all__ = ["solve"]

Array = NDArray[np.float64]

METHODS = ("auto", "newton", "damped", "anderson")
_BASIN_STEPS = 12  # damped steps before Newton takes over
_NEWTON_STEPS = 100
_STABLE = 1 + 1e-9


def solve(
    formula: Formula | Family,
    *,
    start: str | Mapping[Any, float] | None = None,
    method: str = "auto",
    tolerance: float = 1e-10,
    max_steps: int = 2000,
    check: bool = True,
    digits: int | None = None,
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
        raise ControlError(f"tolerance = {tolerance} must lie between 0 and 1, say 1e-10")
    if max_steps < 1:
        raise ControlError(f"max_steps = {max_steps} must be at least 1")
    digits = check_digits(digits)
    found, values = resolve(formula, controls)
    numbers = {name: np.asarray(value, dtype=float) for name, value in values.items()}
    shape = np.broadcast_shapes(*(number.shape for number in numbers.values()))
    flat = [np.broadcast_to(number, shape).reshape(-1) for number in numbers.values()]
    system = saddle_system(found)
    curve = explicit_curve(found) if start is None and not found.starts else None
    if method == "auto" and curve is not None:
        z, status, steps, note = _from_curve(system, curve, flat)
    else:
        z, status, steps = solve_flat(system, _starts(found, start), flat, method, max_steps)
        note = ""
    solution = _assemble(found, system, values, flat, shape, z, status, steps, tolerance)
    if note and solution.status == Status.NO_SADDLE:
        solution = replace(solution, note=note)
    if shape == ():
        if check and solution.status != Status.CONVERGED:
            raise failure(found, values, solution)
        if digits is not None and solution.converged:
            solution = _with_digits(solution, system, values, digits)
    elif digits is not None:
        raise ControlError("digits needs scalar controls: solve one point at a time")
    return solution


def solve_flat(
    system: System,
    attempts: Sequence[Mapping[Symbol, Any]],
    parameters: Sequence[Array],
    method: str = "auto",
    max_steps: int = 2000,
) -> tuple[Array, NDArray[np.intp], int]:
    """Solve every point from each start in turn until one converges."""
    points = parameters[0].shape[0]
    z = np.full((points, system.size), np.nan)
    status = np.full(points, int(Status.MAX_STEPS))
    left = np.arange(points)
    total = 0
    for attempt in attempts:
        chosen = [p[left] for p in parameters]
        begin = _initial(system, attempt, chosen)
        found, code, steps = _one_start(system, begin, chosen, method, max_steps)
        total = max(total, steps)
        better = (code == Status.CONVERGED) | np.isnan(z[left]).any(axis=1)
        z[left[better]] = found[better]
        status[left] = np.where(code == Status.CONVERGED, code, np.maximum(status[left], code))
        left = left[code != Status.CONVERGED]
        if left.size == 0:
            break
    status[status == Status.LEFT_DOMAIN] = Status.NO_SADDLE
    return z, status, total


def _from_curve(
    system: System, curve: ExplicitCurve, parameters: list[Array]
) -> tuple[Array, NDArray[np.intp], int, str]:
    """Newton from the explicit curve; a control that the curve does not reach has no saddle."""
    begin, reached, highest = curve.starts(parameters)
    ready = np.isfinite(begin).all(axis=1)
    ready[ready] = system.inside(begin[ready], [p[ready] for p in parameters])
    z = np.full_like(begin, np.nan)
    status = np.full(begin.shape[0], int(Status.NO_SADDLE))
    steps = 0
    if ready.any():
        inner = [p[ready] for p in parameters]
        # a coarse rule leads to the root; verify takes the last step with the rule it trusts
        z[ready], status[ready], steps = iterate(
            system, begin[ready], inner, Newton(), _NEWTON_STEPS, refinement=-1
        )
    failed = status != Status.CONVERGED
    status[failed & ~reached] = Status.NO_SADDLE
    again = failed & reached
    if again.any():
        inner = [p[again] for p in parameters]
        z[again], status[again], more = solve_flat(
            system, list(_default_starts(curve.formula).values()), inner
        )
        steps += more
    name = control_name(curve.control)
    note = ""
    if begin.shape[0] == 1 and np.isfinite(highest[0]):
        note = f"saddle points exist for {name} up to {highest[0]:.6g}"
    return z, status, steps, note


def _one_start(
    system: System, begin: Array, parameters: list[Array], method: str, max_steps: int
) -> tuple[Array, NDArray[np.intp], int]:
    proposals: dict[str, Proposal] = {
        "damped": Damped(),
        "anderson": Anderson(),
        "newton": Newton(),
    }
    if method != "auto":
        return iterate(system, begin, parameters, proposals[method], max_steps)
    basin = min(_BASIN_STEPS, max_steps) if system.paired.any() else 0
    z, status, first = begin, np.full(begin.shape[0], int(Status.MAX_STEPS)), 0
    if basin:
        z, status, first = iterate(system, begin, parameters, Damped(0.2), basin)
    go_on = (status == Status.MAX_STEPS) | (status == Status.CONVERGED)
    second = 0
    if go_on.any():
        inner = [p[go_on] for p in parameters]
        z[go_on], status[go_on], second = iterate(
            system, z[go_on], inner, Newton(), min(_NEWTON_STEPS, max_steps)
        )
    return z, status, first + second


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
            domain = formula.domains[symbol]
            number = float(value)
            if not domain.free_symbols and domain.contains(number) is not True:
                if not bool(domain.contains(number)):
                    raise ControlError(f"{formula.name}: start {key} = {value} is outside {domain}")
            chosen[symbol] = number
        return [chosen]
    if start is not None:
        raise DeclarationError(f"start must be a name or a mapping of overlaps, not {start!r}")
    declared = list(formula.starts.values())
    return declared or list(_default_starts(formula).values())


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
            z[:, k] = np.asarray(attempt[symbol], dtype=float)
        else:
            missing.append(k)
    if missing:
        residual = system.residual(*z.T, *parameters)
        for k in missing:
            if system.paired[k]:
                z[:, k] = residual[k] + z[:, k]
    low, high = system.bounds(z, parameters)
    bad = ~np.isfinite(z) | (z < low) | (z > high)
    return np.where(bad, np.clip(np.ones_like(z), low, high), z)


def _assemble(
    formula: Formula,
    system: System,
    values: Mapping[str, Any],
    flat: list[Array],
    shape: tuple[int, ...],
    z: Array,
    status: NDArray[np.intp],
    steps: int,
    tolerance: float,
) -> Solution:
    error = np.full_like(z, np.inf)
    rows = np.full((z.shape[0], len(formula.observables)), np.nan)
    bounds = np.full_like(rows, np.inf)
    good = status == Status.CONVERGED
    if good.any():
        inner = [p[good] for p in flat]
        found = system.verify(z[good], inner, tolerance, tuple(formula.observables.values()))
        z[good], error[good], rows[good], bounds[good] = (
            found.z, found.error, found.values, found.bounds,
        )
        poor = (error[good] > tolerance * scale(z[good])).any(axis=1)
        status[np.flatnonzero(good)[poor]] = Status.INACCURATE
    observables = dict(zip(formula.observables, rows.T, strict=True))
    spreads = dict(zip(formula.observables, bounds.T, strict=True))
    stable = np.ones(status.shape, dtype=bool)
    if formula.stability:
        replicon = observables[formula.stability]
        stable = ~(replicon > _STABLE)
    failed = ~np.isin(status, (Status.CONVERGED, Status.INACCURATE))

    def shaped(array: Array) -> Any:
        masked = np.where(failed, np.nan, array)
        return float(masked[0]) if shape == () else masked.reshape(shape)

    names = [str(symbol) for symbol in system.unknowns]
    errors = {name: shaped(error[:, k]) for k, name in enumerate(names)}
    errors.update({name: shaped(spread) for name, spread in spreads.items()})
    validity = np.where(failed, "", np.where(stable, formula.status, "rs-unstable"))
    return Solution(
        formula=formula,
        controls={
            name: (float(value) if np.ndim(value) == 0 else value)
            for name, value in values.items()
        },
        overlaps={name: shaped(z[:, k]) for k, name in enumerate(names)},
        observables={name: shaped(value) for name, value in observables.items()},
        errors=errors,
        status=Status(int(status[0])) if shape == () else status.reshape(shape),
        validity=str(validity[0]) if shape == () else validity.reshape(shape),
        steps=steps,
    )


def _with_digits(
    solution: Solution, system: System, values: Mapping[str, Any], digits: int
) -> Solution:
    formula = solution.formula
    roots, _, observed, _ = precise_solution(
        system,
        [solution.overlaps[str(symbol)] for symbol in system.unknowns],
        list(values.values()),
        tuple(formula.observables.values()),
        digits,
    )
    names = [*map(str, system.unknowns), *formula.observables]
    texts = {
        name: decimal_text(number, digits)
        for name, number in zip(names, [*roots, *observed], strict=True)
    }
    return replace(solution, texts=texts)
