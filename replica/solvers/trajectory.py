r"""State evolution: the saddle-point equations as a dynamics, one step per iteration of AMP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sympy import Symbol

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
from replica.numerics.kernel import compile_kernel
from replica.solvers.boundary import boundary_attracts, boundary_values
from replica.solvers.symmetry import refuse_symmetric
from replica.solvers.system import System, saddle_system
from replica.writing import listed, plain

__all__ = ["Trajectory", "trajectory"]

Array = NDArray[np.float64]

_UNINFORMED, _INFORMED = 1e-4, 1.0 - 1e-6  # overlap at the start, as a part of its range
_MOST_STEPS = 100_000


@dataclass(frozen=True, repr=False)
class Trajectory:
    """Overlaps and observables after 0, 1, ..., steps iterations.

    Attributes
    ----------
    formula : Formula
    controls : mapping of str to float
    start : str
    overlaps, observables : mapping of str to array, shape (steps + 1,)
    """

    formula: Formula
    controls: Mapping[str, float]
    start: str
    overlaps: Mapping[str, Array]
    observables: Mapping[str, Array]

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
            "status": "converged",
        }

    def to_text(self, width: int = 80) -> str:
        """Return a table of about twelve steps and the first five quantities."""
        title = f"{self.formula.name} ({listed(self.controls)})"
        lines = [f"{title}, {self.start} start, {self.steps} steps"]
        names = [*self.overlaps, *self.observables]
        lines.append("  step" + "".join(name.rjust(14) for name in names[:5]))
        shown = np.unique(np.linspace(0, self.steps, min(self.steps + 1, 12)).round().astype(int))
        for k in shown:
            lines.append(f"  {k:4d}" + "".join(f"{self[name][k]:14.8g}" for name in names[:5]))
        return "\n".join(lines)

    def __repr__(self) -> str:
        return self.to_text()


def trajectory(
    formula: Formula | Family,
    *,
    steps: int = 50,
    start: str | Mapping[Any, float] = "uninformed",
    **controls: Any,
) -> Trajectory:
    r"""Iterate the saddle-point equations: state evolution.

    .. math:: \hat q^t = \alpha\, G(q^t), \qquad q^{t+1} = q(\hat q^t)

    Parameters
    ----------
    formula : Formula or Family
        With a conjugate for every overlap. A family also takes its structural options.
    steps : int
        Number of iterations.
    start : {"uninformed", "informed"} or mapping of overlap to number
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
        For bad controls, a bad start, or a formula without conjugates.
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
        raise DeclarationError(f"{found.name} has no overlap, and so no state evolution: use solve")
    if set(found.conjugates) != set(found.overlaps):
        raise DeclarationError(f"{found.name}: state evolution needs a conjugate for every overlap")
    system = saddle_system(found)
    parameters = points.columns
    z = _begin(found, system, start, parameters)
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
        names = list(found.observables)
        kernel = compile_kernel(system.arguments, tuple(found.observables[n] for n in names))
        repeated = [np.broadcast_to(p, (table.shape[0],)) for p in parameters]
        seen = np.stack(kernel(*table.T, *repeated))
        lost = ~np.isfinite(seen).all(axis=0)
        if lost.any() and boundary_attracts(found, parameters)[0]:
            # this close to the boundary the observables have their values on it
            seen[:, lost] = boundary_values(found, names, parameters).T
    return Trajectory(
        formula=found,
        controls=points.floats,
        start=start if isinstance(start, str) else "given",
        overlaps={str(s): table[:, k] for k, s in enumerate(system.unknowns)},
        observables=dict(zip(names, seen, strict=True)),
    )


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
            top = high[0, k] if np.isfinite(high[0, k]) and high[0, k] < 1e300 else 1.0
            # a gap, such as 1 - q, begins at its upper end and falls
            far = top - low[0, k]
            falling = _falls(formula, symbol)
            z[0, k] = top - share * far if falling else low[0, k] + share * far
        return z
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
