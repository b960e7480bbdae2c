"""What is asked of a grid of controls: the quantities, the points, and what makes them the same."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import numpy as np
from numpy.typing import NDArray

from replica.declarations.control import control_name
from replica.declarations.family import Family
from replica.declarations.formula import Formula
from replica.declarations.reading import read
from replica.errors import ControlError, UnknownName

__all__ = ["LARGEST_GRID", "Plan", "identity", "planned", "version"]

Array = NDArray[np.float64]

LARGEST_GRID = 10_000_000  # points: about a gigabyte of results


@dataclass(frozen=True)
class Plan:
    """A grid to compute: of which quantities, along which controls, at which fixed ones."""

    formula: Formula
    names: tuple[str, ...]
    of_thresholds: bool
    coords: Mapping[str, Array]
    fixed: Mapping[str, Any]
    settings: Mapping[str, Any]
    everything: bool = True  # no quantity was named

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of values of each control."""
        return tuple(values.size for values in self.coords.values())

    @property
    def points(self) -> int:
        """Number of points of the grid."""
        return math.prod(self.shape)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the numbers at each point."""
        if self.of_thresholds:
            return tuple(c for name in self.names for c in (name, f"{name}_error"))
        return (*self.names, "error")

    @property
    def saddles(self) -> int:
        """Number of saddle points at each point of the grid: one for each threshold."""
        return len(self.names) if self.of_thresholds else 1


def version() -> str:
    """Return the version of this package, which results and checkpoints carry."""
    try:
        return metadata.version("replica-theory")
    except metadata.PackageNotFoundError:  # run from a folder that was never installed
        return "unknown"


def planned(
    target: Formula | Family,
    quantity: str | Sequence[str] | None,
    settings: Mapping[str, Any],
    given: Mapping[str, Any],
) -> Plan:
    """Return the grid that is asked for, or complain of it before any work."""
    given = {name: _plain(name, value) for name, value in given.items() if value is not None}
    if isinstance(target, Family):
        for name in target.options:
            if isinstance(given.get(name), np.ndarray):
                raise ControlError(
                    f"{target.name}: option {name} takes one value per sweep, not an array"
                )
    points = read(target, given, optional={"*"})
    formula, values = points.formula, points.values
    names, of_thresholds = _quantities(formula, quantity)
    _check_related(formula, given)
    order = dict.fromkeys((*given, *values))  # a control that is given through another comes last
    coords = {name: values[name] for name in order if isinstance(values.get(name), np.ndarray)}
    if not coords:
        raise ControlError(
            f"{formula.name}: no control is an array, so there is no grid; "
            f"use {'threshold' if of_thresholds else 'solve'} for one point"
        )
    points = math.prod(array.size for array in coords.values())
    if points > LARGEST_GRID:
        raise ControlError(
            f"{formula.name}: the grid has {points} points; at most {LARGEST_GRID} at a time"
        )
    fixed = {name: value for name, value in values.items() if name not in coords}
    if of_thresholds:
        needed = set().union(*(set(formula.controls) - formula.determined(name) for name in names))
        fixed = {name: value for name, value in fixed.items() if name in needed or name in given}
    else:
        read(formula, values)  # every control is needed: complain of a missing one now
    everything = quantity is None
    return Plan(formula, names, of_thresholds, coords, fixed, settings, everything)


def _check_related(formula: Formula, given: Mapping[str, Any]) -> None:
    """Refuse arrays of related controls: their product grid is in terms of the controls."""
    for name, relation in formula.relations.items():
        others = {control_name(symbol) for symbol in relation.value.free_symbols}
        both = [k for k in (name, *sorted(others)) if isinstance(given.get(k), np.ndarray)]
        if name in both and len(both) > 1:
            raise ControlError(
                f"{formula.name}: {' and '.join(both)} are both arrays and not independent; give "
                f"the grid in {' and '.join(sorted(others))}"
            )


def _plain(name: str, value: Any) -> Any:
    """Return array-likes as one-dimensional arrays, and anything else as it is."""
    if not isinstance(value, (list, tuple, range)) and not np.ndim(value):
        return value
    try:
        array = np.asarray(value)
    except ValueError:  # a ragged list
        raise ControlError(f"sweep: {name} must be a number or a list of numbers") from None
    if array.ndim != 1:
        raise ControlError(
            f"sweep: {name} has {array.ndim} dimensions; give one list per control, "
            f"the grid is their product"
        )
    return array


def _quantities(
    formula: Formula, quantity: str | Sequence[str] | None
) -> tuple[tuple[str, ...], bool]:
    points = (*map(str, formula.unknowns), *formula.observables)
    if quantity is None:
        return points, False
    names = (quantity,) if isinstance(quantity, str) else tuple(dict.fromkeys(quantity))
    if not names:
        raise ControlError(f"{formula.name}: no quantity to sweep; leave it out for all")
    for known, of_thresholds in ((tuple(formula.thresholds), True), (points, False)):
        if all(name in known for name in names):
            return names, of_thresholds
    known = (*formula.thresholds, *points)
    for name in names:
        if name not in known:
            raise UnknownName("quantity", name, known, formula.name)
    raise ControlError(
        f"{formula.name}: thresholds and saddle points have different grids; sweep "
        f"{', '.join(name for name in names if name in formula.thresholds)} apart"
    )


def identity(plan: Plan) -> dict[str, str]:
    """Return what two sweeps must share for their points to be the same numbers."""
    formula = plan.formula
    content = repr(
        (
            formula.potential,
            dict(formula.updates),
            dict(formula.observables),
            dict(formula.thresholds),
            formula.domains,
            formula.equilibrium,
        )
    )
    controls = hashlib.sha256()
    for name, values in plan.coords.items():
        controls.update(f"{name}{values.size}".encode() + values.tobytes())
    fixed = repr({name: float(value) for name, value in plan.fixed.items()})
    return {
        "formula": formula.name,
        "options": repr(dict(formula.options)),
        "equations": hashlib.sha256(content.encode()).hexdigest(),
        "version": version(),
        "quantity": repr(plan.columns),
        "controls": controls.hexdigest() + fixed,
        "settings": repr(dict(plan.settings)),
    }
