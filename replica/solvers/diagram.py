"""Every branch of saddle points in one control: folds, stability and potential along it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from replica.errors import ControlError, ConvergenceError, UnknownName
from replica.language.controls import resolve
from replica.language.formula import Family, Formula
from replica.numerics.kernel import compile_kernel
from replica.solvers.branches import explicit_curve
from replica.solvers.continuation import follow, saddle_branches
from replica.solvers.saddle import boundary_attracts, solve
from replica.solvers.traced import polished_fold

__all__ = ["Branches", "branches"]

Array = NDArray[np.float64]

_NODES = 400


@dataclass(frozen=True, repr=False)
class Branches:
    """Saddle points along a curve, in order from the uninformed end.

    Attributes
    ----------
    formula : Formula
    name : str
        The control that varies.
    controls : mapping of str to float
        The others.
    control : array, shape (points,)
    overlaps, observables : mapping of str to array, shape (points,)
    stable : bool array, shape (points,)
        Where the control rises along the curve: there state evolution is attracted. Not told for
        a curve that was followed without knowing where it begins.
    folds : tuple of (float, str)
        The control at each turning point, and ``"maximum"`` or ``"minimum"``.
    boundary : str
        Name of the saddle point at the edge of the domain, empty if there is none.
    """

    formula: Formula
    name: str
    controls: Mapping[str, float]
    control: Array
    overlaps: Mapping[str, Array]
    observables: Mapping[str, Array]
    stable: NDArray[np.bool_]
    folds: tuple[tuple[float, str], ...]
    boundary: str = ""

    @property
    def potential(self) -> Array:
        """Free entropy per weight along the curve, in nats."""
        return self.observables["potential"]

    def __getitem__(self, name: str) -> Array:
        if name == self.name:
            return self.control
        for group in (self.overlaps, self.observables):
            if name in group:
                return group[name]
        known = [self.name, *self.overlaps, *self.observables]
        raise UnknownName("quantity", name, known, self.formula.name)

    def pieces(self) -> list[slice]:
        """Return the runs of points between folds: each is one branch."""
        change = np.flatnonzero(np.diff(self.stable.astype(int))) + 1
        ends = [0, *change.tolist(), self.control.size]
        return [slice(a, b) for a, b in pairwise(ends) if b > a]

    def __repr__(self) -> str:
        controls = ", ".join(f"{k}={w:.10g}" for k, w in self.controls.items())
        lines = [f"{self.formula.name} ({controls}): branches in {self.name}"]
        lines.append("  " + "branch".ljust(10) + self.name.rjust(22) + "potential".rjust(26))
        for piece in self.pieces():
            kind = "stable" if self.stable[piece][0] else "unstable"
            span = f"{self.control[piece][0]:.6g} to {self.control[piece][-1]:.6g}"
            height = f"{self.potential[piece][0]:.6g} to {self.potential[piece][-1]:.6g}"
            lines.append("  " + kind.ljust(10) + span.rjust(22) + height.rjust(26))
        for value, kind in self.folds:
            lines.append(f"  fold       {value:.12g} ({kind})")
        if self.boundary:
            lines.append(f"  boundary   {self.boundary}")
        return "\n".join(lines)


def branches(formula: Formula | Family, **controls: Any) -> Branches:
    r"""Return every branch of saddle points, with folds, stability and potential.

    .. math:: \alpha(\hat q) = \frac{\hat q}{G(q(\hat q))}

    One control is given as a range ``(low, high)``; it varies, the others are fixed. Where the
    control multiplies one term of the potential and there is one overlap, all saddle points lie
    on an explicit curve; otherwise the branch of the smallest control is followed through its
    folds.

    Parameters
    ----------
    formula : Formula or Family
        A family also takes its structural options.
    **controls : float, or (low, high) for the one that varies

    Returns
    -------
    Branches

    Raises
    ------
    ControlError
        If not exactly one control is a range, or the range is empty.
    ConvergenceError
        If no saddle point is in the range.

    Examples
    --------
    >>> import replica as rp
    >>> glm = rp.formulas["bayes-optimal-glm"](prior=rp.Rademacher(), channel=rp.Sign())
    >>> found = rp.branches(glm, alpha=(0.5, 2.0), Delta=0.01)
    >>> [(round(value, 9), kind) for value, kind in found.folds]
    [(1.579687102, 'maximum'), (1.461845392, 'minimum')]
    """
    ranges = {k: w for k, w in controls.items() if isinstance(w, (tuple, list)) and len(w) == 2}
    if len(ranges) != 1:
        raise ControlError(
            "branches needs exactly one control as a range, such as alpha=(0.5, 2.0); "
            f"{len(ranges)} were given"
        )
    ((name, (low, high)),) = ranges.items()
    found, values = resolve(formula, {**controls, name: low})
    resolve(formula, {**controls, name: high})  # both ends are in the domain
    if name not in found.controls:
        raise UnknownName("control", name, found.controls, found.name)
    low, high = float(low), float(high)
    if not low < high:
        raise ControlError(f"{found.name}: the range {name} = ({low:g}, {high:g}) is empty")
    others = [float(w) for k, w in values.items() if k != name]
    symbol = found.controls[name].symbol
    curve = explicit_curve(found, symbol)
    with np.errstate(all="ignore"):
        if curve is not None:
            z, control = curve.resolved(others, low, high, _NODES)
        else:
            z, control = _followed(found, name, low, high, values)
            z, control = _onto_folds(found, name, z, control, others)
        inside = (control >= low) & (control <= high)
        z, control = z[inside], control[inside]
        if control.size == 0:
            raise ConvergenceError(
                f"{found.name}: no saddle point for {name} from {low:g} to {high:g}"
            )
        rest = (c.symbol for c in found.controls.values() if c.symbol != symbol)
        arguments = (*found.unknowns, symbol, *rest)
        kernel = compile_kernel(arguments, tuple(found.observables.values()))
        seen = kernel(*z.T, control, *others)
    turned = np.sign(np.diff(control))
    turns = np.flatnonzero(turned[:-1] * turned[1:] < 0) + 1
    turns = turns[(control[turns] > low) & (control[turns] < high)]  # the range ends in no fold
    folds = tuple((float(control[k]), "maximum" if turned[k - 1] > 0 else "minimum") for k in turns)
    rising = np.concatenate([turned[:1], turned]) > 0 if control.size > 1 else np.ones(1, bool)
    return Branches(
        formula=found,
        name=name,
        controls={k: float(w) for k, w in values.items() if k != name},
        control=control,
        overlaps={str(s): z[:, k] for k, s in enumerate(found.unknowns)},
        observables={k: np.asarray(v) for k, v in zip(found.observables, seen, strict=True)},
        stable=np.asarray(rising),
        folds=folds,
        boundary=_boundary(found, {**values, name: high}),
    )


def _onto_folds(
    formula: Formula, name: str, z: Array, control: Array, others: list[float]
) -> tuple[Array, Array]:
    """Move the node next to each turn of a followed branch onto the fold."""
    z, control = z.copy(), control.copy()
    turned = np.sign(np.diff(control))
    for k in np.flatnonzero(turned[:-1] * turned[1:] < 0) + 1:
        rows = np.column_stack([z, control])[k - 1 : k + 2]
        fixed = [np.array([value]) for value in others]
        symbol = formula.controls[name].symbol
        unknowns, value, _ = polished_fold(formula, symbol, rows, fixed, turned[k - 1] > 0)
        z[k], control[k] = [unknowns[s] for s in formula.unknowns], value
    return z, control


def _boundary(formula: Formula, values: Mapping[str, Any]) -> str:
    at = [np.array([float(values[key])]) for key in formula.controls]
    if formula.boundary is None or not boundary_attracts(formula, at)[0]:
        return ""
    return formula.boundary.name


def _followed(
    formula: Formula, name: str, low: float, high: float, values: Mapping[str, Any]
) -> tuple[Array, Array]:
    """Follow the branch that begins at the low end of the range."""
    fixed = {k: float(w) for k, w in values.items() if k != name}
    at: dict[str, Any] = {**fixed, name: low}
    first = solve(formula, observables=(), **at)
    start = np.array([*(first.overlaps[str(s)] for s in formula.unknowns), low])
    system = saddle_branches(formula, formula.controls[name].symbol)
    branch = follow(
        system,
        start,
        [np.array([w]) for w in fixed.values()],
        most=_NODES,
        until=lambda point: bool(point[-1] > high or point[-1] < low),
    )
    return branch.overlaps, branch.control
