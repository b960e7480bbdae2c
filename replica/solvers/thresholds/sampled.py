"""Explicit curves of saddle points, sampled closely enough to show where they turn back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from sympy import Expr, S, Symbol

from replica.declarations.formula import Formula
from replica.solvers.curve import LEAVING, ExplicitCurve, explicit_curve

__all__ = ["SampledCurve", "sampled_curves"]

Array = NDArray[np.float64]

_ROUGH = -1  # refinement of the quadrature: coarse, enough for a first guess
_BESIDE_TURN = 2  # nodes on each side of a turn that must be known
_EXTRA_NODES = 60  # in an interval that is sampled again, where the control hardly rises
_KNOWN = 1e-4  # relative error of the control up to which a node may show a turn
_RISE = 1e-9  # relative: a smaller change of the control between nodes is rounding


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
    curve = explicit_curve(formula, control)
    assert curve is not None  # without one states are followed
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
            grids.append(np.geomspace(low, high, 4 * _EXTRA_NODES))
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
        grid = np.geomspace(low, high, _EXTRA_NODES)
        (closer,) = _sampled(curve, [grid], [rest], observable)
        if closer.turns()[0].size:
            return sampled.joined(closer)
    return sampled


def _apart(
    curve: ExplicitCurve, sampled: SampledCurve, rest: Sequence[float], observable: Expr
) -> SampledCurve:
    """Sample more closely between turns so near that neither has nodes of its own."""
    turns = np.sort(np.concatenate(sampled.turns()))
    near = np.flatnonzero(np.diff(turns) <= _BESIDE_TURN)
    if not near.size:
        return sampled
    place = sampled.place
    low = place[max(turns[near[0]] - _BESIDE_TURN - 1, 0)]
    high = place[min(turns[near[-1] + 1] + _BESIDE_TURN + 1, place.size - 1)]
    (closer,) = _sampled(curve, [np.geomspace(low, high, _EXTRA_NODES)], [rest], observable)
    return sampled.joined(closer)


def _from_origin(sampled: SampledCurve, trivial: tuple[Array, Array, Array] | None) -> SampledCurve:
    """Return the curve with the saddle points of no overlap that it leaves, if there are any."""
    if trivial is None:
        return sampled
    z, control, potential = sampled.z, sampled.control, sampled.potential
    first = control[:1]
    up_to = trivial[1]
    if sampled.place[:1].size and sampled.place[0] <= LEAVING:
        # both parts meet here; rescaled, since a difference by rounding would look like a turn
        up_to = up_to * (first[0] / up_to[-1])
    if (np.abs(first - up_to[-1]) <= _RISE * first).all() and (first > 10.0).all():
        # the first node is the point at which the branch of no overlap ends: keep one of the two
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

    Far along, the distance to the boundary has no digits left; comparison with a finer rule shows
    this. It is made `everywhere`, or only where the curve seems to turn.
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
                wanted[nodes[max(turn - _BESIDE_TURN, 0) : turn + _BESIDE_TURN + 1]] = True
        new = wanted & good & ~asked
        if not new.any():
            break
        finer = curve.points(parameter[new], [r[new] for r in rest], (observable,))
        good[new] = np.abs(value[new] - finer[1]) <= _KNOWN * np.abs(finer[1])
        z[new], value[new], potential[new] = finer
        asked |= new
    kept = [begin + np.flatnonzero(good[begin:end]) for begin, end in pairwise(starts)]
    return [SampledCurve(z[nodes], value[nodes], potential[nodes], column) for nodes in kept]
