"""Saddle points that exist at the same controls: all that can be found, as one result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from replica.declarations.formula import Formula
from replica.declarations.point import Points
from replica.layout import columns, labelled
from replica.solvers.assembly import assembled
from replica.solvers.boundary import at_boundary, boundary_attracts
from replica.solvers.curve import explicit_curve
from replica.solvers.deflation import every_saddle
from replica.solvers.iteration import Iterated
from replica.solvers.refusal import Refusal
from replica.solvers.solution import Solution, Status
from replica.solvers.solving import Asked, solve_points
from replica.solvers.starts import named_starts, unknowns_of
from replica.solvers.states import every_passage
from replica.solvers.system import saddle_system
from replica.writing import heading, plain, settings, with_error

__all__ = ["States", "every_state"]

Array = NDArray[np.float64]

_SHOWN = 5  # overlaps and the potential, at most, in a table that fits a terminal
_SAME = 1e-6  # relative: states closer than this are one


@dataclass(frozen=True, repr=False)
class States(Sequence[Solution]):
    """All saddle points that were found at the same controls, the equilibrium state first.

    Attributes
    ----------
    formula : Formula
    controls : mapping of str to float
    found : tuple of Solution
        In the order of their potential; ``states[0]`` is the equilibrium state. Stable ones come
        before those that are not.
    note : str
        What else was met, such as saddle points that are excluded.
    """

    formula: Formula
    controls: Mapping[str, Any]
    found: tuple[Solution, ...]
    note: str = ""

    @classmethod
    def ordered(
        cls,
        formula: Formula,
        controls: Mapping[str, Any],
        found: Sequence[Solution],
        note: str = "",
    ) -> States:
        """Return states in order, each once."""
        sign = 1.0 if formula.equilibrium == "smallest" else -1.0

        def place(state: Solution) -> tuple[Any, ...]:
            height = round(float(sign * state.potential), 11)  # rounding must not order twins
            return (state.stable is False, height, *(-float(x) for x in state.overlaps.values()))

        distinct: list[Solution] = []
        for solution in sorted(found, key=place):
            if not any(_same(solution, other) for other in distinct):
                distinct.append(solution)
        return cls(formula, controls, tuple(distinct), note)

    def __len__(self) -> int:
        return len(self.found)

    @overload
    def __getitem__(self, index: int) -> Solution: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Solution, ...]: ...
    def __getitem__(self, index: int | slice) -> Solution | tuple[Solution, ...]:
        return self.found[index]

    def __iter__(self) -> Iterator[Solution]:
        return iter(self.found)

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists, numbers and texts for JSON; None where there is no number."""
        return {
            "formula": self.formula.name,
            "options": plain(self.formula.options),
            "controls": plain(self.controls),
            "states": [solution.to_dict() for solution in self.found],
            "status": "converged",
            "note": self.note,
        }

    def to_text(self, width: int = 80) -> str:
        """Return a table with a row for each state."""
        lines = [heading(self.formula.name, self.formula.options, self.controls)]
        lines.append(self._table(width))
        if self.note:
            lines.append(labelled("note", self.note, width))
        return "\n".join(lines)

    def _table(self, width: int) -> str:
        if not self.found:
            return "  no saddle point was found"
        names = list(self.found[0].overlaps)[:_SHOWN]
        cells = [[*names, "potential", "stable"]]
        for solution in self.found:
            numbers = [_rounded(solution.overlaps[name], solution.errors[name]) for name in names]
            told = {True: "yes", False: "no", None: "unknown"}[solution.stable]
            potential = with_error(float(solution.potential), float(solution.errors["potential"]))
            cells.append([*numbers, potential, told])
        while len(columns(cells).splitlines()[1]) > width and len(cells[0]) > 3:
            cells = [[*row[:-3], *row[-2:]] for row in cells]  # fewer overlaps fit
        return columns(cells, right=range(len(cells[0]) - 1))

    def __repr__(self) -> str:
        title = f"{self.formula.name} ({settings(self.controls)}): {len(self.found)} states"
        return "\n".join([title, self._table(80), *([f"  note  {self.note}"] * bool(self.note))])


def _rounded(value: float, error: float) -> str:
    """Write a number with ten digits, what is no larger than its error as zero."""
    return "0" if abs(value) <= error < 1e-9 else f"{value:.10g}"


def _same(first: Solution, second: Solution) -> bool:
    """Tell whether two solutions are one state: closer than their errors, or than rounding."""
    for name, value in first.overlaps.items():
        error = first.errors[name] + second.errors[name]
        slack = max(error, _SAME * max(abs(value), 1.0)) if np.isfinite(error) else np.inf
        if abs(value - second.overlaps[name]) > slack:
            return False
    return True


def every_state(points: Points, asked: Asked) -> States:
    """Return all saddle points that can be found at a single point.

    From the starts of the formula, from places all over the domain, and by deflation; along the
    explicit curve of saddle points, if there is one; states that a symmetry keeps and the boundary
    of the domain, where it attracts, are among them.
    """
    formula, parameters = points.formula, points.columns
    system = saddle_system(formula)
    refusal = Refusal(formula, system, asked.exclude)
    start = (
        None if isinstance(asked.start, np.ndarray) or asked.start == "equilibrium" else asked.start
    )
    names = dict.fromkeys(("potential", *asked.observables))
    chosen = {name: formula.observable(name) for name in names}
    found: list[Solution] = []
    with np.errstate(all="ignore"):
        every = every_saddle(formula, system, named_starts(formula, start), parameters, refusal)
        ends = [_at(z[None]) for z in every.z]
        curve = explicit_curve(formula)
        if curve is not None:
            ends += [
                refusal.of(ended, parameters)
                for ended in every_passage(system, curve, parameters)
                if ended.status[0] == Status.CONVERGED
            ]
        there = boundary_attracts(formula, parameters)
        if there[0]:
            ends.append(at_boundary(system, formula, _at(np.ones((1, system.size))), there))
        found += [assembled(points, chosen, system, ended, asked.tolerance) for ended in ends]
        for name in formula.subspaces:
            inside, _ = solve_points(points, replace(asked, start=name, observables=tuple(names)))
            code = refusal.status(unknowns_of(inside, formula), parameters)
            found += [inside] if code[0] == Status.CONVERGED else []
        note = ""
        for z in every.refused:
            note = note or refusal.reason(z[None], parameters)
    good = [s for s in found if s.status in (Status.CONVERGED, Status.INACCURATE)]
    return States.ordered(formula, points.floats, good, note)


def _at(z: Array) -> Iterated:
    """Return a saddle point as where an iteration ended."""
    return Iterated.at(z, np.full(z.shape[0], int(Status.CONVERGED)))
