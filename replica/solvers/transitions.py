r"""Where branches turn back and where they cross: spinodals and first-order transitions.

A fold is the system {stationarity, Jacobian singular}; a crossing is {two stationary points, equal
potential}. Both are solved by Newton's method from the explicit curve of saddle points, on which
a fold is an extremum of the control.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from sympy import Expr, S, Symbol

from replica.errors import ThresholdNotFound
from replica.language.formula import Crossing, Cusp, Fold, Formula
from replica.solvers.branches import ExplicitCurve, explicit_curve
from replica.solvers.system import System

__all__ = [
    "SampledCurve",
    "crossing_start",
    "crossing_system",
    "cusp_start",
    "cusp_system",
    "fold_start",
    "fold_system",
    "sampled_curve",
]

Array = NDArray[np.float64]

_CLOSER = 60  # nodes where the control hardly rises
_KNOWN = 1e-4  # relative error up to which a point of the curve tells where it turns
_BLUR, _BLURS = (1e-6, 10.0), 29  # where the end of a line of transitions is looked for
_RISE = 1e-9  # relative: a smaller one is rounding


@dataclass(frozen=True)
class SampledCurve:
    """The curve of saddle points at fixed other controls: unknowns, control, potential.

    `junction` is the node where it leaves the saddle point of no overlap, -1 if it does not.
    """

    z: Array
    control: Array
    potential: Array
    junction: int = -1

    def turns(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return where the control has a maximum and where a minimum along the curve."""
        rise = np.diff(self.control)
        rise[np.abs(rise) <= _RISE * np.abs(self.control[1:])] = 0.0
        inner = np.arange(1, self.control.size - 1)
        maxima = inner[(rise[:-1] > 0) & (rise[1:] < 0)]
        minima = inner[(rise[:-1] < 0) & (rise[1:] > 0)]
        return maxima, minima

    def joined(self, closer: SampledCurve, place: Array) -> SampledCurve:
        """Return the curve with a part of it sampled more closely; `place` runs along it."""
        column = int(np.argmax((self.z == place[:, None]).all(axis=0)))
        low, high = closer.z[[0, -1], column]
        before, after = place < low, place > high

        def merged(own: Array, new: Array) -> Array:
            return np.concatenate([own[before], new, own[after]])

        return SampledCurve(
            merged(self.z, closer.z),
            merged(self.control, closer.control),
            merged(self.potential, closer.potential),
        )


def sampled_curve(
    formula: Formula,
    control: Symbol,
    rest: Sequence[float],
    observable: Expr = S.Zero,
    closely: bool = False,
) -> SampledCurve:
    """Return the curve where it is known well enough, from the uninformed end.

    `closely` asks for more nodes between its turns, and a little beyond.
    """
    curve = _curve(formula, control)
    sampled = _sampled(curve, curve.spread(), rest, observable)
    maxima, _ = sampled.turns()
    if maxima.size == 0 and sampled.control.size > 8:
        # two folds about to meet hide between nodes, where the control rises least
        place = sampled.z[:, formula.unknowns.index(curve.parameter)]
        rise = np.diff(np.log(sampled.control)) / np.diff(np.log(place))
        least = np.flatnonzero((rise[1:-1] < rise[:-2]) & (rise[1:-1] < rise[2:])) + 1
        for k in least[np.argsort(rise[least])][:2]:
            low, high = place[max(k - 2, 0)], place[min(k + 3, place.size - 1)]
            closer = _sampled(curve, np.geomspace(low, high, _CLOSER), rest, observable)
            if closer.turns()[0].size:
                sampled = sampled.joined(closer, place)
                break
    maxima, minima = sampled.turns()
    if closely and maxima.size and minima.size:
        place = sampled.z[:, formula.unknowns.index(curve.parameter)]
        low = place[max(int(maxima.min()) - 4, 0)]
        high = place[min(int(minima.max()) + 4, place.size - 1)]
        grid = np.geomspace(low, high, 4 * _CLOSER)
        sampled = sampled.joined(_sampled(curve, grid, rest, observable), place)
    trivial = curve.trivial_branch(rest, observable)
    if trivial is None:
        return sampled
    first = sampled.control[:1]
    if (np.abs(first - trivial[1][-1]) <= _RISE * first).all() and (first > 10.0).all():
        # a curve that comes from far above: its first node is the last of that branch
        sampled = SampledCurve(sampled.z[1:], sampled.control[1:], sampled.potential[1:])
    return SampledCurve(
        np.concatenate([trivial[0], sampled.z]),
        np.concatenate([trivial[1], sampled.control]),
        np.concatenate([trivial[2], sampled.potential]),
        junction=trivial[1].size - 1,
    )


def _sampled(
    curve: ExplicitCurve, grid: Array, rest: Sequence[float], observable: Expr
) -> SampledCurve:
    z, value, potential = curve.points(grid, rest, (observable,))
    # far along, the distance to the boundary has no digits left: a coarser rule shows it
    coarse = curve.points(grid, rest, refinement=-1)[1]
    good = np.isfinite(value) & np.isfinite(potential) & np.isfinite(z).all(axis=1)
    good &= np.abs(value - coarse) <= _KNOWN * np.abs(value)
    return SampledCurve(z[good], value[good], potential[good])


def _curve(formula: Formula, control: Symbol) -> ExplicitCurve:
    curve = explicit_curve(formula, control)
    if curve is None:
        raise ThresholdNotFound(
            f"{formula.name}: folds and crossings need an explicit curve of saddle points in "
            f"{control}, which this potential does not have"
        )
    return curve


# ---- folds --------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def fold_system(formula: Formula, declaration: Fold) -> System:
    """Return stationarity and the vanishing of the Jacobian's determinant."""
    residuals = [formula.residuals[symbol] for symbol in formula.unknowns]
    jacobian = [[r.diff(symbol) for symbol in formula.unknowns] for r in residuals]
    controls = {c.symbol: c for c in formula.controls.values()}
    control = declaration.in_
    return System(
        (*residuals, _determinant(jacobian)),
        (*formula.unknowns, control),
        tuple(symbol for symbol in controls if symbol is not control),
        {**formula.domains, control: controls[control].domain},
        symbolic=False,  # the determinant holds second derivatives already
    )


def fold_start(sampled: SampledCurve, declaration: Fold) -> Array | None:
    """Return the point of the curve next to the fold, None if there is none."""
    maxima, minima = sampled.turns()
    if maxima.size == 0:
        return None
    top = maxima[np.argmax(sampled.control[maxima])]
    if declaration.upper:
        if top == sampled.junction:
            return None  # the branch of no overlap ends there: that is weak recovery
        chosen = top
    else:
        after = minima[minima > top]
        if after.size == 0:
            return None
        chosen = after[np.argmin(sampled.control[after])]
    return np.array([[*sampled.z[chosen], sampled.control[chosen]]])


def _determinant(rows: list[list[Expr]]) -> Expr:
    """Return the determinant as it stands: sympy's own would try to simplify it."""
    if not rows:
        return S.One
    return sum((entry * _cofactor(rows, 0, k) for k, entry in enumerate(rows[0])), S.Zero)


def _cofactor(rows: list[list[Expr]], row: int, column: int) -> Expr:
    minor = [[*r[:column], *r[column + 1 :]] for k, r in enumerate(rows) if k != row]
    return (-1) ** (row + column) * _determinant(minor)


# ---- cusps --------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def cusp_system(formula: Formula, declaration: Cusp) -> System:
    """Return stationarity, a singular Jacobian, and that it stays so along the branch."""
    residuals = [formula.residuals[symbol] for symbol in formula.unknowns]
    jacobian = [[r.diff(symbol) for symbol in formula.unknowns] for r in residuals]
    determinant = _determinant(jacobian)
    # cofactors of a row: the null vector, where the determinant vanishes
    along = [_cofactor(jacobian, 0, k) for k in range(len(jacobian))]
    turning = sum(
        (t * determinant.diff(s) for t, s in zip(along, formula.unknowns, strict=True)), S.Zero
    )
    controls = {c.symbol: c for c in formula.controls.values()}
    return System(
        (*residuals, determinant, turning),
        (*formula.unknowns, *declaration.controls),
        tuple(symbol for symbol in controls if symbol not in declaration.controls),
        {**formula.domains, **{s: controls[s].domain for s in declaration.controls}},
        symbolic=False,
    )


def cusp_start(formula: Formula, declaration: Cusp, values: Mapping[str, float]) -> Array | None:
    """Return a point close to where the two folds meet, None if there are no folds to begin with.

    The first control is raised from small values until the folds are gone.
    """
    blur, control = declaration.controls
    rest = [c for c in formula.controls.values() if c.symbol is not control]
    last = None
    grid = np.geomspace(_BLUR[0], _BLUR[1], _BLURS)
    ratio = (_BLUR[1] / _BLUR[0]) ** (1 / (_BLURS - 1))
    for _ in range(3):
        for value in grid:
            others = [float(value) if c.symbol is blur else values[c.name] for c in rest]
            sampled = sampled_curve(formula, control, others)
            maxima, minima = sampled.turns()
            pairs = [(a, b) for a in maxima for b in minima if b > a]
            if not pairs:
                if last is not None:
                    break
                continue
            top, bottom = min(pairs, key=lambda pair: pair[1] - pair[0])
            z = np.sqrt(sampled.z[top] * sampled.z[bottom])
            height = 0.5 * (sampled.control[top] + sampled.control[bottom])
            last = float(value), np.array([[*z, value, height]])
        if last is None:
            return None
        grid = np.geomspace(last[0], last[0] * ratio, 7)[1:-1]
        ratio = ratio ** (1 / 6)
    return last[1] if last is not None else None


# ---- crossings ----------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def crossing_system(formula: Formula, declaration: Crossing) -> System:
    """Return the stationarity of two saddle points and the difference of their potentials."""
    control = declaration.in_
    controls = {c.symbol: c for c in formula.controls.values()}
    equations: list[Expr] = []
    unknowns: list[Symbol] = []
    domains = {control: controls[control].domain}
    potentials: list[Expr] = []
    for side in ("uninformed", "informed"):
        renamed: Mapping[Symbol, Symbol] = {
            symbol: Symbol(f"{symbol.name}_{side}", **symbol.assumptions0)
            for symbol in formula.unknowns
        }
        equations += [formula.residuals[s].xreplace(dict(renamed)) for s in formula.unknowns]
        unknowns += list(renamed.values())
        domains |= {renamed[s]: d.xreplace(dict(renamed)) for s, d in formula.domains.items()}
        potentials.append(formula.potential.xreplace(dict(renamed)))
    return System(
        (*equations, potentials[0] - potentials[1]),
        (*unknowns, control),
        tuple(symbol for symbol in controls if symbol is not control),
        domains,
    )


def crossing_start(sampled: SampledCurve) -> Array | None:
    """Return both saddle points where the outer branches have the same potential."""
    maxima, minima = sampled.turns()
    if maxima.size == 0:
        return None
    top = int(maxima[np.argmax(sampled.control[maxima])])
    after = minima[minima > top]
    if after.size == 0:
        return None
    bottom = int(after[np.argmin(sampled.control[after])])
    first = slice(int(np.argmin(sampled.control[: top + 1])), top + 1)
    second = slice(bottom, bottom + 1 + int(np.argmax(sampled.control[bottom:])))
    low = max(sampled.control[first].min(), sampled.control[second].min())
    high = min(sampled.control[first].max(), sampled.control[second].max())
    if not low < high:
        return None
    far = low > 0 and high > 10 * low
    control = np.geomspace(low, high, 400) if far else np.linspace(low, high, 400)
    gap = _at(sampled, first, control, sampled.potential) - _at(
        sampled, second, control, sampled.potential
    )
    change = np.flatnonzero(gap[:-1] * gap[1:] <= 0)
    if change.size == 0:
        return None
    k = int(change[0])
    share = gap[k] / (gap[k] - gap[k + 1]) if gap[k] != gap[k + 1] else 0.5
    where = np.array([control[k] + share * (control[k + 1] - control[k])])
    columns = [
        _at(sampled, part, where, sampled.z[:, j])[0]
        for part in (first, second)
        for j in range(sampled.z.shape[1])
    ]
    return np.array([[*columns, where[0]]])


def _at(sampled: SampledCurve, part: slice, control: Array, column: Array) -> Array:
    """Interpolate along a rising part of the curve."""
    return np.interp(control, sampled.control[part], column[part])
