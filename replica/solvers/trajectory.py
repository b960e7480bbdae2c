r"""State evolution: the saddle-point equations as a dynamics, one step per iteration of AMP."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sympy import Expr, Symbol

from replica.declarations.family import Family
from replica.declarations.formula import Formula
from replica.declarations.numbers import is_whole
from replica.declarations.reading import read
from replica.errors import (
    ControlError,
    ConvergenceError,
    DeclarationError,
    UnknownName,
    looked_up,
)
from replica.files import whole_file
from replica.numerics.kernel import compile_kernel
from replica.solvers.boundary import boundary_attracts, boundary_values
from replica.solvers.solution import Solution
from replica.solvers.symmetry import refuse_symmetric
from replica.solvers.system import System, has_end, saddle_system, without_overlaps
from replica.writing import listed, plain

__all__ = ["Trajectory", "trajectory"]

Array = NDArray[np.float64]

_UNINFORMED, _INFORMED = 1e-4, 1.0 - 1e-6  # overlap at the start, as a part of its range
_MOST_STEPS = 100_000
_SLOPES = 1.05  # by how much slopes are enlarged: they change over the size of the errors
_ROUNDING = 4 * 2.0**-53  # relative error of adding an update to an unknown
_NEXT_TO_BOUNDARY = 1e-14  # error of observables where the state is too close to the boundary


@dataclass(frozen=True, repr=False)
class Trajectory:
    """Overlaps and observables after 0, 1, ..., steps iterations.

    Attributes
    ----------
    formula : Formula
    controls : mapping of str to float
    start : str
    overlaps, observables : mapping of str to array, shape (steps + 1,)
    errors : mapping of str to array, shape (steps + 1,)
        Bound on the error of each overlap and observable at each step.
    """

    formula: Formula
    controls: Mapping[str, float]
    start: str
    overlaps: Mapping[str, Array]
    observables: Mapping[str, Array]
    errors: Mapping[str, Array]

    @property
    def steps(self) -> int:
        """Number of iterations."""
        return len(next(iter(self.overlaps.values()))) - 1

    def __getitem__(self, name: str) -> Array:
        known = {**self.observables, **self.overlaps}
        return looked_up("quantity", name, known, self.formula.name)

    def to_dict(self) -> dict[str, Any]:
        """Return one list per quantity for JSON."""
        return {
            "formula": self.formula.name,
            "options": plain(self.formula.options),
            "controls": plain(self.controls),
            "start": self.start,
            "steps": self.steps,
            "overlaps": plain(self.overlaps),
            "observables": plain(self.observables),
            "errors": plain(self.errors),
            "status": "converged",
        }

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write one row per step, each quantity beside its error."""
        import csv

        names = [*self.overlaps, *self.observables]
        with whole_file(path) as temporary, temporary.open("x", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["step", *(part for n in names for part in (n, f"{n}_error"))])
            for k in range(self.steps + 1):
                pairs = ((self[n][k], self.errors[n][k]) for n in names)
                writer.writerow([k, *(plain(float(x)) for pair in pairs for x in pair)])

    def to_text(self, width: int = 80) -> str:
        """Return about twelve steps of the first five quantities, and their largest errors."""
        title = f"{self.formula.name} ({listed(self.controls)})"
        lines = [f"{title}, {self.start} start, {self.steps} steps"]
        shown = np.unique(np.linspace(0, self.steps, min(self.steps + 1, 12)).round().astype(int))
        names = [*self.overlaps, *self.observables][:5]
        lines.append("  step" + "".join(name.rjust(14) for name in names))
        for k in shown:
            lines.append(f"  {k:4d}" + "".join(f"{self[name][k]:14.8g}" for name in names))
        worst = (f"{np.max(self.errors[name]):.0e}".rjust(14) for name in names)
        lines.append("    +-" + "".join(worst))
        return "\n".join(lines)

    def __repr__(self) -> str:
        return self.to_text()


def trajectory(
    formula: Formula | Family,
    *,
    steps: int = 50,
    start: str | Mapping[Any, float] | Solution = "uninformed",
    **controls: Any,
) -> Trajectory:
    r"""Iterate the saddle-point equations: state evolution.

    .. math:: \hat q^t = \alpha\, G(q^t), \qquad q^{t+1} = q(\hat q^t)

    Parameters
    ----------
    formula : Formula or Family
        With an update of every unknown, from its conjugate or stated. A family also takes its
        structural options.
    steps : int
        Number of iterations.
    start : {"uninformed", "informed"}, mapping of overlap to number, or Solution
        Next to no knowledge of the teacher, next to all of it, or given overlaps. Exactly no
        overlap is a fixed point where the labels are even in the field, so a part 1e-4 of the
        range is assumed.
    **controls : float

    Returns
    -------
    Trajectory
        Overlaps and observables, arrays of length ``steps + 1``.

    Raises
    ------
    ControlError, UnknownName, DeclarationError
        For bad controls, a bad start, or a formula without updates.
    ConvergenceError
        If an equation is not finite on the way.

    References
    ----------
    Javanmard & Montanari, Inf. Inference 2 (2013) 115, arXiv:1211.5164.

    Examples
    --------
    >>> import replica as rp
    >>> glm = rp.formulas["bayes-optimal-glm"](prior=rp.Rademacher(), channel=rp.Sign())
    >>> float(round(rp.trajectory(glm, alpha=1.0, steps=100)["m"][-1], 10))
    0.5607147371
    """
    if not is_whole(steps) or not 1 <= steps <= _MOST_STEPS:
        raise ControlError(f"steps = {steps!r} must be a whole number from 1 to {_MOST_STEPS}")
    points = read(formula, controls).single("trajectory")
    found = points.formula
    if not found.unknowns:
        raise without_overlaps(found)
    system = saddle_system(found)
    if not system.evolves:
        raise DeclarationError(
            f"{found.name}: state evolution needs an update of every overlap: a conjugate, or an "
            f"equation"
        )
    parameters = points.columns
    z = begin = _begin(found, system, start, parameters)
    rows = [z.copy()]
    conjugates = [k for k, s in enumerate(system.unknowns) if s not in found.overlaps]
    overlaps = [k for k, s in enumerate(system.unknowns) if s in found.overlaps]
    with np.errstate(all="ignore"):
        for step in range(steps):
            for part in (conjugates, overlaps):
                residual = np.stack(system.residual(*z.T, *parameters), axis=1)
                moved = z.copy()
                moved[:, part] += residual[:, part]
                if step == 0 and part is conjugates:
                    rows[0][:, part] = moved[:, part]
                if not np.isfinite(moved).all():
                    if _recovered(z, system, parameters):
                        moved = z  # the teacher is recovered: the state stays
                    else:
                        raise ConvergenceError(
                            f"{found.name}: state evolution is not finite after {step} steps from "
                            f"the {start} start"
                        )
                z = moved
            rows.append(z.copy())
        table = np.concatenate(rows)
        error = _errors(system, begin, table, parameters, (conjugates, overlaps))
        names = list(found.observables)
        expressions = tuple(found.observables[n] for n in names)
        repeated = [np.broadcast_to(p, (table.shape[0],)) for p in parameters]
        seen = spread = np.zeros((0, table.shape[0]))
        if names:  # a formula that is only equations may have no observable
            bounded = compile_kernel(system.arguments, expressions).bounded(*table.T, *repeated)
            seen = np.stack([np.broadcast_to(row.value, table.shape[:1]) for row in bounded])
            spread = np.stack([np.broadcast_to(row.bound, table.shape[:1]) for row in bounded])
            spread = spread + _felt(system, expressions, table, repeated, error, seen)
        lost = ~np.isfinite(seen).all(axis=0)
        if lost.any() and boundary_attracts(found, parameters)[0]:
            # this close to the boundary the observables have their values on it
            seen[:, lost] = boundary_values(found, names, parameters).T
            spread[:, lost] = _NEXT_TO_BOUNDARY
    columns_of = {str(s): table[:, k] for k, s in enumerate(system.unknowns)}
    errors = {str(s): error[:, k] for k, s in enumerate(system.unknowns)}
    return Trajectory(
        formula=found,
        controls=points.floats,
        start=start if isinstance(start, str) else "given",
        overlaps=columns_of,
        observables=dict(zip(names, seen, strict=True)),
        errors={**errors, **dict(zip(names, spread, strict=True))},
    )


def _errors(
    system: System,
    begin: Array,
    table: Array,
    parameters: list[Array],
    parts: tuple[list[int], list[int]],
) -> Array:
    r"""Return bounds on the errors of all steps, shape (steps + 1, unknowns).

    Each half step adds the error of its own quadrature and passes on those before,

    .. math:: e^{t + 1} = |\partial u / \partial z|\, e^t + \Delta u ,

    with slopes at most a few per cent off (`_SLOPES`).
    """
    count = table.shape[0]
    conjugates, overlaps = parts
    repeated = [np.broadcast_to(p, (count,)) for p in parameters]
    mixed = table.copy()  # before the second half of each step: new conjugates, old overlaps
    mixed[1:, overlaps] = table[:-1, overlaps]
    felt = _felt_by_updates(system, mixed, repeated)
    if set(conjugates) <= set(system.explicit):  # the old overlaps, which `mixed` has, are enough
        first_half = felt
    else:
        before = table.copy()
        before[:2], before[2:] = begin, table[1:-1]
        first_half = _felt_by_updates(system, before, repeated)
    error = np.zeros_like(table)
    halves = []
    for part, (slopes, bound) in ((conjugates, first_half), (overlaps, felt)):
        rounding = _ROUNDING * np.abs(table[:, part])
        halves.append((part, slopes[:, part], bound[:, part] + rounding))
    (first, slopes, bound), _ = halves
    error[0, first] = bound[0]  # the start is exact; its conjugates follow from it
    for k in range(1, count):
        here = error[k - 1].copy()
        for part, slopes, bound in halves:
            stayed = (table[k, part] == table[k - 1, part]).all() and not np.isfinite(
                bound[k]
            ).all()
            if not stayed:  # next to full recovery no step is taken that is not finite
                here[part] = slopes[k] @ here + bound[k]
        error[k] = here
    return np.where(np.isnan(error), np.inf, error)


def _felt_by_updates(system: System, z: Array, parameters: list[Array]) -> tuple[Array, Array]:
    """Return how much updates change with all unknowns, and bounds on their own errors."""
    _, jacobian = system.evaluate(z, parameters)
    return _SLOPES * np.abs(jacobian + np.eye(system.size)), system.bounded(z, parameters)[1]


def _felt(
    system: System,
    observables: tuple[Expr, ...],
    z: Array,
    parameters: list[Array],
    error: Array,
    value: Array,
) -> Array:
    """Return what errors of the unknowns do to observables, each moved by the size of its own."""
    total = np.zeros_like(value)
    low, high = (np.broadcast_to(b, z.shape) for b in system.bounds(z, parameters))
    room = np.maximum(system.room(z, parameters), _NEXT_TO_BOUNDARY)
    for k in range(system.size):
        size = np.where(np.isfinite(error[:, k]), error[:, k], 0.0)
        step = np.maximum(size, 1e-7 * room[:, k])  # less would drown in rounding
        step = np.where(z[:, k] + step <= high[:, k], step, -np.minimum(step, z[:, k] - low[:, k]))
        moved = z.copy()
        moved[:, k] += step
        change = np.abs(system.observed(observables, moved, parameters).T - value)
        share = size / np.where(step == 0, np.inf, np.abs(step))
        total += np.nan_to_num(change * share, nan=0.0)
        total[:, ~np.isfinite(error[:, k])] = np.inf
    return total


def _begin(formula: Formula, system: System, start: Any, parameters: list[Array]) -> Array:
    """Return the unknowns at the start, shape (1, unknowns)."""
    z = np.ones((1, system.size))
    low, high = (np.broadcast_to(bound, z.shape) for bound in system.bounds(z, parameters))
    names = {str(symbol): k for k, symbol in enumerate(system.unknowns)}
    if isinstance(start, str):
        if start not in ("uninformed", "informed"):
            raise UnknownName("start", start, ("uninformed", "informed"), formula.name)
        share = _UNINFORMED if start == "uninformed" else _INFORMED
        for symbol in formula.overlaps:
            k = names[str(symbol)]
            top = high[0, k] if has_end(high[0, k]) else 1.0
            # a gap, such as 1 - q, begins at its upper end and falls
            far = top - low[0, k]
            falling = _falls(formula, symbol)
            z[0, k] = top - share * far if falling else low[0, k] + share * far
        return z
    if isinstance(start, Solution):
        start = {s: start[str(s)] for s in formula.overlaps}
    if not isinstance(start, Mapping):
        raise DeclarationError(f"start must be a name or a mapping of overlaps, not {start!r}")
    for key, value in start.items():
        if str(key) not in names:
            raise UnknownName("overlap", str(key), names, formula.name)
        z[0, names[str(key)]] = float(value)
    missing = [str(s) for s in formula.overlaps if str(s) not in map(str, start)]
    if missing:
        raise ControlError(f"{formula.name}: the start needs a value of {', '.join(missing)}")
    if not system.inside(z, parameters)[0]:
        raise ControlError(f"{formula.name}: the start {dict(start)} is outside the domain")
    refuse_symmetric(formula, {s: z[0, names[str(s)]] for s in formula.overlaps})
    return z


def _falls(formula: Formula, overlap: Symbol) -> bool:
    """Tell whether an overlap is a gap, largest where nothing is known."""
    domain = formula.overlaps[overlap]
    return bool(domain.left_open and not domain.right_open)


def _recovered(z: Array, system: System, parameters: list[Array]) -> bool:
    return bool((system.room(z, parameters) < 1e-12).any())
