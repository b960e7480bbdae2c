r"""Where branches turn back and where they cross: spinodals and first-order transitions.

A fold is the system {stationarity, Jacobian singular}; a crossing is {two stationary points, equal
potential}. Both are solved by Newton's method from the explicit curve of saddle points, on which
a fold is an extremum of the control.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from sympy import Expr, S, Symbol

from replica.declarations.formula import Formula
from replica.declarations.threshold import Crossing, Cusp, Fold
from replica.errors import ThresholdNotFound
from replica.solvers.curve import LEAVING, ExplicitCurve, explicit_curve
from replica.solvers.system import System, augmented

__all__ = [
    "SampledCurve",
    "crossing_start",
    "crossing_system",
    "cusp_start",
    "cusp_system",
    "fold_start",
    "fold_system",
    "sampled_curves",
]

Array = NDArray[np.float64]

_ROUGH = -1  # refinement that a first guess needs
_BESIDE = 2  # nodes on each side of a turn that must be known
_CLOSER = 60  # nodes where the control hardly rises
_KNOWN = 1e-4  # relative error up to which a point of the curve tells where it turns
_BLUR, _BLURS = (1e-6, 10.0), 29  # where the end of a line of transitions is looked for
_RISE = 1e-9  # relative: a smaller one is rounding


@dataclass(frozen=True)
class SampledCurve:
    """The curve of saddle points at fixed other controls: unknowns, control, potential.

    `column` is the unknown that runs along it, `junction` the node where it leaves the saddle
    point of no overlap, -1 if it does not.
    """

    z: Array
    control: Array
    potential: Array
    column: int = 0
    junction: int = -1

    def turns(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return where the control has a maximum and where a minimum along the curve."""
        rise = np.diff(self.control)
        rise[np.abs(rise) <= _RISE * np.abs(self.control[1:])] = 0.0
        inner = np.arange(1, self.control.size - 1)
        maxima = inner[(rise[:-1] > 0) & (rise[1:] < 0)]
        minima = inner[(rise[:-1] < 0) & (rise[1:] > 0)]
        return maxima, minima

    @property
    def place(self) -> Array:
        """The parameter of each node: what runs along the curve."""
        return np.asarray(self.z[:, self.column])

    def joined(self, closer: SampledCurve) -> SampledCurve:
        """Return the curve with a part of it sampled more closely."""
        if not closer.control.size:
            return self
        before, after = self.place < closer.place[0], self.place > closer.place[-1]

        def merged(own: Array, new: Array) -> Array:
            return np.concatenate([own[before], new, own[after]])

        return replace(
            self,
            z=merged(self.z, closer.z),
            control=merged(self.control, closer.control),
            potential=merged(self.potential, closer.potential),
        )

    def between(self, node: int) -> Array:
        """Return unknowns and control at the extremum next to a node, by a parabola."""
        table = np.column_stack([self.z, self.control])
        three = slice(node - 1, node + 2)
        if node in (self.junction, self.junction + 1) or not (table[three] > 0).all():
            return np.asarray(table[node])
        nodes = np.log(table[three])
        x = nodes[:, self.column]
        parabola = np.polynomial.polynomial.Polynomial.fit(x, nodes[:, -1], 2)
        extrema = parabola.deriv().roots()
        if extrema.size != 1 or not x.min() < extrema[0] < x.max():
            return np.asarray(table[node])
        others = np.polynomial.polynomial.polyfit(x, nodes, 2)
        return np.asarray(np.exp(np.polynomial.polynomial.polyval(extrema[0], others)))


def sampled_curves(
    formula: Formula,
    control: Symbol,
    rests: Sequence[Sequence[float]],
    observable: Expr = S.Zero,
    closely: bool = False,
    far: bool = False,
) -> list[SampledCurve]:
    """Return the curves where they are known well enough, from the uninformed end.

    One for each set of the other controls. `closely` asks for more nodes between the turns, and
    a little beyond; `far` asks for the curve up to where the control is larger than at any turn,
    since with little noise the informed branch begins far along.
    """
    curve = _curve(formula, control)
    spread = curve.spread()
    found = _sampled(curve, [spread] * len(rests), rests, observable, everywhere=closely)
    low = [n for n, sampled in enumerate(found) if far and _falls_short(sampled, spread[-1])]
    if low:
        onwards = _sampled(curve, [curve.beyond()] * len(low), [rests[n] for n in low], observable)
        for n, part in zip(low, onwards, strict=True):
            found[n] = found[n].joined(part)
    for n, sampled in enumerate(found):
        if sampled.turns()[0].size == 0 and sampled.control.size > 8:
            found[n] = _hidden_turn(curve, sampled, rests[n], observable)
    found = [_apart(curve, s, rest, observable) for s, rest in zip(found, rests, strict=True)]
    if closely:
        turns = [sampled.turns() for sampled in found]
        turning = [n for n, (maxima, minima) in enumerate(turns) if maxima.size and minima.size]
        grids = []
        for n in turning:
            (maxima, minima), place = turns[n], found[n].place
            low = place[max(int(maxima.min()) - 4, 0)]
            high = place[min(int(minima.max()) + 4, place.size - 1)]
            grids.append(np.geomspace(low, high, 4 * _CLOSER))
        closer = _sampled(curve, grids, [rests[n] for n in turning], observable, everywhere=True)
        for n, part in zip(turning, closer, strict=True):
            found[n] = found[n].joined(part)
    trivial = curve.trivial_branches(rests, observable)
    return [_from_origin(sampled, t) for sampled, t in zip(found, trivial, strict=True)]


def _falls_short(sampled: SampledCurve, last: float) -> bool:
    """Tell whether a curve that is known to the last node ends below one of its turns."""
    known = sampled.place.size > 0 and sampled.place[-1] >= last
    return bool(known and sampled.control[-1] < sampled.control.max())


def _hidden_turn(
    curve: ExplicitCurve, sampled: SampledCurve, rest: Sequence[float], observable: Expr
) -> SampledCurve:
    """Look for two folds about to meet between nodes, where the control rises least."""
    place = sampled.place
    rise = np.diff(np.log(sampled.control)) / np.diff(np.log(place))
    least = np.flatnonzero((rise[1:-1] < rise[:-2]) & (rise[1:-1] < rise[2:])) + 1
    for k in least[np.argsort(rise[least])][:2]:
        low, high = place[max(k - 2, 0)], place[min(k + 3, place.size - 1)]
        grid = np.geomspace(low, high, _CLOSER)
        (closer,) = _sampled(curve, [grid], [rest], observable)
        if closer.turns()[0].size:
            return sampled.joined(closer)
    return sampled


def _apart(
    curve: ExplicitCurve, sampled: SampledCurve, rest: Sequence[float], observable: Expr
) -> SampledCurve:
    """Sample more closely between turns so near that neither has nodes of its own."""
    turns = np.sort(np.concatenate(sampled.turns()))
    near = np.flatnonzero(np.diff(turns) <= _BESIDE)
    if not near.size:
        return sampled
    place = sampled.place
    low = place[max(turns[near[0]] - _BESIDE - 1, 0)]
    high = place[min(turns[near[-1] + 1] + _BESIDE + 1, place.size - 1)]
    (closer,) = _sampled(curve, [np.geomspace(low, high, _CLOSER)], [rest], observable)
    return sampled.joined(closer)


def _from_origin(sampled: SampledCurve, trivial: tuple[Array, Array, Array] | None) -> SampledCurve:
    """Return the curve with the saddle points of no overlap that it leaves, if there are any."""
    if trivial is None:
        return sampled
    z, control, potential = sampled.z, sampled.control, sampled.potential
    first = control[:1]
    up_to = trivial[1]
    if sampled.place[:1].size and sampled.place[0] <= LEAVING:
        # both begin there, known to different digits: the difference would be a turn
        up_to = up_to * (first[0] / up_to[-1])
    if (np.abs(first - up_to[-1]) <= _RISE * first).all() and (first > 10.0).all():
        # a curve that comes from far above: its first node is the last of that branch
        z, control, potential = z[1:], control[1:], potential[1:]
    return replace(
        sampled,
        z=np.concatenate([trivial[0], z]),
        control=np.concatenate([up_to, control]),
        potential=np.concatenate([trivial[2], potential]),
        junction=trivial[1].size - 1,
    )


def _sampled(
    curve: ExplicitCurve,
    grids: Sequence[Array],
    rests: Sequence[Sequence[float]],
    observable: Expr,
    everywhere: bool = False,
) -> list[SampledCurve]:
    """Sample several curves in the same calls, each on its grid.

    Far along, the distance to the boundary has no digits left, which a finer rule shows. It is
    asked `everywhere`, or only where the curve seems to turn.
    """
    if not grids:
        return []
    sizes = [grid.size for grid in grids]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    parameter = np.concatenate(grids)
    rest = [np.repeat(column, sizes) for column in zip(*rests, strict=True)]
    rough = curve.points(parameter, rest, (observable,), refinement=_ROUGH)
    z, value, potential = (np.array(part) for part in rough)
    good = np.isfinite(value) & np.isfinite(potential) & np.isfinite(z).all(axis=1)
    column = curve.formula.unknowns.index(curve.parameter)
    asked = np.zeros(good.size, dtype=bool)
    while True:
        wanted = good.copy() if everywhere else np.zeros(good.size, dtype=bool)
        for begin, end in pairwise(starts):
            nodes = begin + np.flatnonzero(good[begin:end])
            found = SampledCurve(z[nodes], value[nodes], potential[nodes], column)
            for turn in np.concatenate(found.turns()):
                wanted[nodes[max(turn - _BESIDE, 0) : turn + _BESIDE + 1]] = True
        new = wanted & good & ~asked
        if not new.any():
            break
        finer = curve.points(parameter[new], [r[new] for r in rest], (observable,))
        good[new] = np.abs(value[new] - finer[1]) <= _KNOWN * np.abs(finer[1])
        z[new], value[new], potential[new] = finer
        asked |= new
    kept = [begin + np.flatnonzero(good[begin:end]) for begin, end in pairwise(starts)]
    return [SampledCurve(z[nodes], value[nodes], potential[nodes], column) for nodes in kept]


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
    # the determinant holds second derivatives already: no symbolic Jacobian of it
    return augmented(formula, (_determinant(jacobian),), declaration.controls, symbolic=False)


def fold_start(sampled: SampledCurve, declaration: Fold) -> Array | None:
    """Return unknowns and control close to the fold, None if there is none."""
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
    return sampled.between(int(chosen))


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
    conditions = (determinant, turning)
    return augmented(formula, conditions, declaration.controls, symbolic=False)


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
            (sampled,) = sampled_curves(formula, control, [others])
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
def crossing_system(
    formula: Formula, declaration: Crossing, vanished: tuple[Symbol, ...] = ()
) -> System:
    """Return the stationarity of two saddle points and the difference of their potentials.

    Overlaps of the informed one that are `vanished`, below all digits, are put to zero: what is
    left of them changes nothing else.
    """
    control = declaration.in_
    equations: list[Expr] = []
    unknowns: list[Symbol] = []
    domains = {control: formula.control(control).domain}
    potentials: list[Expr] = []
    for side in ("uninformed", "informed"):
        renamed: Mapping[Symbol, Symbol] = {
            symbol: Symbol(f"{symbol.name}_{side}", **symbol.assumptions0)
            for symbol in formula.unknowns
        }
        gone = vanished if side == "informed" else ()
        zero = {renamed[s]: S.Zero for s in gone}
        kept = [s for s in formula.unknowns if s not in gone]
        equations += [formula.residuals[s].xreplace(dict(renamed)).subs(zero) for s in kept]
        unknowns += [renamed[s] for s in kept]
        domains |= {renamed[s]: d.xreplace(dict(renamed)) for s, d in formula.domains.items()}
        potentials.append(formula.potential.xreplace(dict(renamed)).subs(zero))
    return System(
        (*equations, potentials[0] - potentials[1]),
        (*unknowns, control),
        tuple(symbol for symbol in formula.symbols if symbol is not control),
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
    return np.array([*columns, where[0]])


def _at(sampled: SampledCurve, part: slice, control: Array, column: Array) -> Array:
    """Interpolate along a rising part of the curve."""
    return np.interp(control, sampled.control[part], column[part])
