"""Every branch of saddle points in one control: folds, stability and potential along it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from replica.declarations.family import Family
from replica.declarations.formula import Formula
from replica.declarations.point import Points
from replica.declarations.reading import read
from replica.errors import ControlError, ConvergenceError, UnknownName, looked_up
from replica.numerics.kernel import compile_kernel
from replica.solvers.boundary import boundary_attracts
from replica.solvers.curve import ExplicitCurve, explicit_curve
from replica.solvers.everywhere import Curve, every_curve
from replica.solvers.solution import Status
from replica.solvers.stability import attracts
from replica.solvers.states import no_overlap
from replica.solvers.system import saddle_system, without_overlaps
from replica.solvers.thresholds.fold_on_branch import polished_fold
from replica.solvers.thresholds.state import whole
from replica.writing import listed, plain

__all__ = ["Branches", "branches"]

Array = NDArray[np.float64]

_NODES = 400  # points along an explicit curve
_CONSTANT_NODES = 17  # points of the state of no overlap, which is the same at every control
_BESIDE_TURN = 1e-4  # relative: how far on either side of its instability it has one more point
_NOISE = 1e-8  # relative: a change of the control between points below this is rounding


class Turn(NamedTuple):
    """Where a branch turns back: the control there, its maximum or minimum along the branch."""

    value: float
    kind: str


@dataclass(frozen=True, repr=False)
class Branches:
    """Saddle points along one curve or several, each in order along itself.

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
        Where state evolution is attracted. For unknowns without update: where the control rises
        along the curve.
    begins : tuple of int
        The first point of each curve.
    cut : tuple of str
        Curves that end within the range, where and why.
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
    folds: tuple[Turn, ...]
    boundary: str = ""
    begins: tuple[int, ...] = (0,)
    cut: tuple[str, ...] = ()

    @property
    def potential(self) -> Array:
        """Free entropy per weight along the curve, in nats."""
        return looked_up("observable", "potential", self.observables, self.formula.name)

    def __getitem__(self, name: str) -> Array:
        known = {**self.observables, **self.overlaps, self.name: self.control}
        return looked_up("quantity", name, known, self.formula.name)

    def pieces(self) -> list[slice]:
        """Return the runs of points of one stability on one curve: each is one branch."""
        change = np.flatnonzero(np.diff(self.stable.astype(int))) + 1
        ends = sorted({*self.begins, *change.tolist(), self.control.size})
        return [slice(a, b) for a, b in pairwise(ends) if b > a]

    def to_dict(self) -> dict[str, Any]:
        """Return arrays along the curves, folds and stability for JSON."""
        return {
            "formula": self.formula.name,
            "options": plain(self.formula.options),
            "controls": plain(self.controls),
            "control": self.name,
            self.name: plain(self.control),
            "overlaps": plain(self.overlaps),
            "observables": plain(self.observables),
            "stable": self.stable.tolist(),
            "folds": [{"value": value, "kind": kind} for value, kind in self.folds],
            "boundary": self.boundary,
            "status": "converged",
        }

    def to_text(self, width: int = 80) -> str:
        """Return a table of the branches, then folds, cuts and the boundary."""
        lines = [f"{self.formula.name} ({listed(self.controls)}): branches in {self.name}"]
        known = "potential" in self.observables
        head = "potential".rjust(26) if known else ""
        lines.append("  " + "branch".ljust(10) + self.name.rjust(22) + head)
        for piece in self.pieces():
            kind = "stable" if self.stable[piece][0] else "unstable"
            span = f"{self.control[piece][0]:.6g} to {self.control[piece][-1]:.6g}"
            height = ""
            if known:
                first, last = self.potential[piece][0], self.potential[piece][-1]
                height = f"{first:.6g} to {last:.6g}".rjust(26)
            lines.append("  " + kind.ljust(10) + span.rjust(22) + height)
        for value, kind in self.folds:
            lines.append(f"  fold       {value:.12g} ({kind})")
        lines.extend(f"  cut        {where}" for where in self.cut)
        if self.boundary:
            lines.append(f"  boundary   {self.boundary}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return self.to_text()


def branches(formula: Formula | Family, **controls: Any) -> Branches:
    r"""Return every branch of saddle points, with folds, stability and potential.

    .. math:: \alpha(\hat q) = \frac{\hat q}{G(q(\hat q))}

    One control is given as a range ``(low, high)``; it varies, the others are fixed. Where the
    control multiplies one term of the potential and there is one overlap, all saddle points lie
    on an explicit curve; otherwise branches are followed through their folds, from every saddle
    point that any start leads to at several values of the control, and in every subspace that a
    symmetry keeps. What ends within the range is listed in ``cut``, with the reason.

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
    points = read(formula, {**controls, name: low})
    read(formula, {**controls, name: high})  # raises if the upper end is outside the domain
    found = points.formula
    if name not in found.controls:
        raise UnknownName("control", name, found.controls, found.name)
    low, high = float(low), float(high)
    if not low < high:
        raise ControlError(f"{found.name}: the range {name} = ({low:g}, {high:g}) is empty")
    if not found.unknowns:
        raise without_overlaps(found)
    symbol = found.controls[name].symbol
    curve = explicit_curve(found, symbol)
    fixed = points.without(name).floats
    others = list(fixed.values())
    with np.errstate(all="ignore"):
        if curve is not None:
            z, control = curve.resolved(others, low, high, _NODES)
            ends = (
                *_no_overlap(found, curve, name, (low, high), fixed),
                Curve(z, control, explicit=True),
            )
            ends = tuple(end for end in ends if end.control.size)
        else:
            ends = every_curve(found, name, low, high, fixed)
            ends = tuple(_onto_folds(found, name, end, others) for end in ends)
        folds = tuple(fold for c in ends for fold in _folds(c.control, low, high))
        ends = tuple(_parted(c) for c in ends)
        if not ends:
            raise ConvergenceError(
                f"{found.name}: no saddle point for {name} from {low:g} to {high:g}"
            )
        z, control = (np.concatenate([getattr(c, part) for c in ends]) for part in ("z", "control"))
        rest = [s for s in found.symbols if s != symbol]
        arguments = (*found.unknowns, symbol, *rest)
        seen = compile_kernel(arguments, tuple(found.observables.values()))(*z.T, control, *others)
        columns = points.at(**{name: control}).columns
        system = saddle_system(found)
        told = attracts(system, z, columns) if system.evolves else np.ones(control.shape, bool)
        rising = np.concatenate([_rising(c.control) for c in ends])
        # on an explicit curve a point is stable where the control rises: no noise of eigenvalues
        by_control = np.repeat([c.explicit for c in ends], [c.control.size for c in ends])
        begins = np.cumsum([0, *(c.control.size for c in ends)])
        stable = np.where(by_control | (not system.evolves), rising, told)
        stable = _on_either_side(stable, control, begins)
    return Branches(
        formula=found,
        name=name,
        controls=fixed,
        control=control,
        overlaps={str(s): z[:, k] for k, s in enumerate(found.unknowns)},
        observables={k: np.asarray(v) for k, v in zip(found.observables, seen, strict=True)},
        stable=np.asarray(stable),
        folds=folds,
        boundary=_boundary(points.at(**{name: high})),
        begins=tuple(begins[:-1].tolist()),
        cut=tuple(dict.fromkeys(c.cut for c in ends if c.cut)),
    )


def _no_overlap(
    formula: Formula,
    curve: ExplicitCurve,
    name: str,
    span: tuple[float, float],
    fixed: Mapping[str, float],
) -> tuple[Curve, ...]:
    """Return the saddle point of no overlap over the range, if symmetry keeps it there."""
    control = np.linspace(*span, _CONSTANT_NODES)

    def at(values: Array) -> list[Array]:
        return [values if k == name else np.full(values.shape, fixed[k]) for k in formula.controls]

    state, leaving = no_overlap(saddle_system(formula), curve, at(control))
    if not (state.status == Status.CONVERGED).all():
        return ()
    turn = leaving[0] * np.array([1 - _BESIDE_TURN, 1 + _BESIDE_TURN])
    control = np.union1d(control, turn[(turn > span[0]) & (turn < span[1])])
    return (Curve(np.tile(state.z[:1], (control.size, 1)), control),)


def _rising(control: Array) -> NDArray[np.bool_]:
    """Tell where the control rises along a curve; where it is constant, as just before."""
    if control.size < 2:
        return np.ones(control.size, dtype=bool)
    rise = np.diff(control)
    moves = np.abs(rise) > _NOISE * np.abs(control[1:])
    last = np.maximum.accumulate(np.where(moves, np.arange(rise.size), 0))
    return np.concatenate([rise[:1], rise[last]]) > 0


def _turns(control: Array) -> NDArray[np.intp]:
    """Return the nodes at which a control turns back, by more than its noise."""
    rise = np.diff(control)
    turned = np.sign(np.where(np.abs(rise) <= _NOISE * np.abs(control[1:]), 0.0, rise))
    return np.asarray(np.flatnonzero(turned[:-1] * turned[1:] < 0) + 1)


def _folds(control: Array, low: float, high: float) -> list[Turn]:
    """Return where a curve turns back, in order along it; an end of the range is no fold."""
    turns = [k for k in _turns(control) if low < control[k] < high]
    kinds = ["maximum" if control[k] > control[k - 1] else "minimum" for k in turns]
    return [Turn(float(control[k]), kind) for k, kind in zip(turns, kinds, strict=True)]


def _onto_folds(formula: Formula, name: str, curve: Curve, others: list[float]) -> Curve:
    """Move the node next to each turn of a followed curve onto the fold."""
    z, control = curve.z.copy(), curve.control.copy()
    symbol, fixed = formula.controls[name].symbol, [np.array([value]) for value in others]
    for k in _turns(control):
        rows = np.column_stack([z, control])[k - 1 : k + 2]
        upper = bool(control[k] > control[k - 1])
        unknowns, value, _ = polished_fold(whole(formula), symbol, rows, fixed, upper)
        z[k], control[k] = [unknowns[s] for s in formula.unknowns], value
    return replace(curve, z=z, control=control)


def _parted(curve: Curve) -> Curve:
    """Return a curve whose turns are there twice: where one branch ends and the next begins."""
    turns = _turns(curve.control)
    z, control = (np.insert(c, turns, c[turns], axis=0) for c in (curve.z, curve.control))
    return replace(curve, z=z, control=control)


def _on_either_side(
    stable: NDArray[np.bool_], control: Array, begins: NDArray[np.intp]
) -> NDArray[np.bool_]:
    """Return the stability with that of points at a turn taken from their own branch.

    At a fold an eigenvalue vanishes, and its sign there is rounding.
    """
    told = stable.copy()
    for a, b in pairwise(begins):
        for k in a + np.flatnonzero(np.diff(control[a:b]) == 0.0):
            if a < k and k + 2 < b:
                told[k], told[k + 1] = stable[k - 1], stable[k + 2]
    return told


def _boundary(points: Points) -> str:
    formula = points.formula
    if formula.boundary is None or not boundary_attracts(formula, points.columns)[0]:
        return ""
    return formula.boundary.name
