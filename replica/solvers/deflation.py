r"""Many saddle points at the same controls, from places all over the domain and by deflation.

Newton's method for :math:`M(z) F(z) = 0` with

.. math:: M(z) = \prod_k \Big( \frac{1}{\lVert z - z_k \rVert^2} + 1 \Big)

does not go back to the saddle points :math:`z_k` that are known, so that the same start leads to
another. An equation that is excluded is deflated likewise, by :math:`1 / h(z)^2 + 1`.

References
----------
Farrell, Birkisson & Funke, SIAM J. Sci. Comput. 37 (2015) A2026.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sympy import Symbol

from replica.declarations.formula import Formula
from replica.solvers.equations import Equations
from replica.solvers.iteration import Iterated, Newton, iterate
from replica.solvers.refusal import Refusal
from replica.solvers.solution import Status
from replica.solvers.stability import stable_points
from replica.solvers.starts import initial, named_starts
from replica.solvers.strategies import from_start
from replica.solvers.system import System, has_end
from replica.solvers.verify import unresolved, verify

__all__ = ["coexisting", "every_saddle", "filled"]

Array = NDArray[np.float64]

# The second number of a pair is for equations with a mean within a mean, where points cost most.
_PLACES, _DEEP_PLACES = (33, 64, 96), (6, 6, 3)  # of the lattice: for one, two, more overlaps
_LOGIT, _DECADE, _SINH = 12.0, 3.0, 4.0  # how far the lattice goes into the ends of a domain
_STEPS, _DEEP_STEPS = 60, 20  # of Newton's method, at most
_BASIN_AND_NEWTON = 2000  # steps of the usual iteration, at most
_TOLD, _SHARE = 1e-3, 0.3  # error, and its part of the distance to an end, of what is accepted
_COARSE = -1  # refinement of the quadrature for a mean within a mean
_POLISH = 20  # Newton steps, at most, that put a saddle point where it is
_ROUNDS, _DEEP_ROUNDS = 8, 2  # of deflation, at most
_SAME = 1e-6  # relative: saddle points closer than this are one
_FAILED = (Status.MAX_STEPS, Status.DIVERGED, Status.NON_FINITE, Status.LEFT_DOMAIN)
_SEARCHES = 16  # points of a grid, at most, at which to look everywhere
_BATCH = 16  # places from which a single saddle point is looked for at the same time
_REFUSED = 6  # places that are refused from which the iteration is repelled


def _lattice(formula: Formula, system: System, parameters: Sequence[Array]) -> dict[Symbol, Array]:
    """Return places across the domains of the overlaps, for a single point: arrays of values.

    Half of them are spread evenly, half over the decades next to the ends.
    """
    overlaps = list(formula.overlaps)
    counts = _DEEP_PLACES if system.deep else _PLACES
    count = counts[min(len(overlaps), len(counts)) - 1]
    # the additive sequence of the generalised golden ratio: even in any number of dimensions
    ratio = 2.0
    for _ in range(40):
        ratio = (1 + ratio) ** (1 / (len(overlaps) + 1))
    share = np.outer(np.arange(1, count + 1), ratio ** -np.arange(1.0, len(overlaps) + 1)) % 1.0
    far = np.arange(count) % 2 == 1
    z = np.ones((count, system.size))
    tiled = [np.full(count, p[0]) for p in parameters]
    for _ in overlaps:  # an end may be another overlap, which has its place after a round at most
        low, high = (np.broadcast_to(b, z.shape) for b in system.bounds(z, tiled))
        for k, symbol in enumerate(overlaps):
            column = system.unknowns.index(symbol)
            z[:, column] = _place(low[:, column], high[:, column], share[:, k], far)
    return {symbol: z[:, system.unknowns.index(symbol)] for symbol in overlaps}


def _place(low: Array, high: Array, share: Array, far: NDArray[np.bool_]) -> Array:
    """Return places in an interval from places in the unit interval."""
    bounded_low, bounded_high = has_end(low), has_end(high)
    logit = 1 / (1 + np.exp(-_LOGIT * (2 * share - 1)))
    inner = low + (high - low) * np.where(far, logit, share)
    ray = 10 ** (_DECADE * (2 * share - 1))
    line = np.sinh(_SINH * (2 * share - 1))
    one_sided = np.where(bounded_low, low + ray, np.where(bounded_high, high - ray, line))
    return np.where(bounded_low & bounded_high, inner, one_sided)


class _Deflated(Newton):
    """Newton steps that known saddle points and excluded equations repel."""

    def __init__(self, known: Array, refusal: Refusal, parameters: Sequence[Array]) -> None:
        super().__init__()
        self.known, self.refusal = known, refusal
        self.parameters = list(parameters)

    def _factor(self, z: Array) -> tuple[Array, Array]:
        """Return log M and its gradient at points, shapes (points,) and (points, unknowns)."""
        height, slope = np.zeros(z.shape[0]), np.zeros_like(z)
        size = np.maximum(np.abs(self.known), 1e-3)
        for k in range(self.known.shape[0]):
            away = (z - self.known[k]) / size[k]
            square = np.maximum((away**2).sum(axis=1), 1e-60)
            height += np.log1p(1 / square)
            slope -= 2 * away / size[k] / (square * (1 + square))[:, None]
        count, n = len(self.refusal.equations), z.shape[1]
        if count:
            rows = np.stack(
                [
                    np.broadcast_to(r, (z.shape[0],))
                    for r in self.refusal.kernel(*z.T, *self.parameters)
                ]
            )
            for k in range(count):
                h = np.where(np.abs(rows[k]) < 1e-30, 1e-30, rows[k])
                gradient = rows[count + k * n : count + (k + 1) * n].T
                height += np.log1p(1 / h**2)
                slope -= 2 * gradient / (h * (1 + h**2))[:, None]
        return height, slope

    def step(self, system: Equations, z: Array, residual: Array, jacobian: Array) -> Array:
        """Return the Newton step of the deflated equations: that of the equations, rescaled."""
        plain = super().step(system, z, residual, jacobian)
        towards = 1 - np.einsum("pk,pk->p", self._factor(z)[1], plain)
        return np.asarray(plain / np.where(np.abs(towards) < 1e-8, 1e-8, towards)[:, None])

    def norm(self, residual: Array, z: Array, size: Array) -> Array:
        """Return the residual next to what repels."""
        return np.asarray(super().norm(residual, z, size) * np.exp(self._factor(z)[0]))

    def keep(self, active: NDArray[np.bool_]) -> None:
        """Keep the controls of the points that go on."""
        self.parameters = [p[active] for p in self.parameters]


@dataclass(frozen=True, eq=False)
class Found:
    """Saddle points at the same controls, accepted and refused ones, shape (count, unknowns)."""

    z: Array
    refused: Array


def every_saddle(
    formula: Formula,
    system: System,
    attempts: Sequence[Mapping[Symbol, Any]],
    parameters: Sequence[Array],
    refusal: Refusal,
) -> Found:
    """Return all saddle points that can be found at a single point.

    Parameters
    ----------
    formula : Formula
    system : System
    attempts : sequence of mapping of Symbol to number
        Where to begin, besides places across the domains.
    parameters : sequence of arrays, shape (1,)
    refusal : Refusal
    """
    begin = _begins(formula, system, attempts, parameters)
    tiled = [np.full(begin.shape[0], p[0]) for p in parameters]
    known, refused = np.empty((0, system.size)), np.empty((0, system.size))
    rule, steps = (_COARSE, _DEEP_STEPS) if system.deep else (0, _STEPS)
    found = [from_start(system, begin, tiled, "auto", _BASIN_AND_NEWTON)]
    if system.paired.any() and not system.deep:  # a mean within a mean costs most
        found.append(iterate(system, begin, tiled, Newton(), _STEPS))
    ends = np.concatenate([e.z[e.status == Status.CONVERGED] for e in found])
    for _ in range(_DEEP_ROUNDS if system.deep else _ROUNDS):
        new = [
            z
            for z in _polished(system, ends, parameters)
            if _is_new(z, known) and _is_new(z, refused)
        ]
        if not new and known.shape[0] + refused.shape[0] > 0:
            break
        table = np.array(new).reshape(-1, system.size)
        good = _accepted(refusal, table, parameters)
        known = np.concatenate([known, table[good]])
        # a continuum is refused at many places: a few of them repel from all
        refused = np.concatenate([refused, table[~good]])[:_REFUSED]
        repelling = np.concatenate([known, refused])
        if not repelling.shape[0] and not refusal.equations:
            break
        deflated = _Deflated(repelling, refusal, tiled)
        ended = iterate(system, begin, tiled, deflated, steps, refinement=rule)
        ends = ended.z[ended.status == Status.CONVERGED]
    return Found(known, refused)


def _one_saddle(
    formula: Formula,
    refusal: Refusal,
    attempts: Sequence[Mapping[Symbol, Any]],
    parameters: Sequence[Array],
) -> Array | None:
    """Return a saddle point at a single point: a stable one if there is, None if there is none.

    By deflation only if no place is in the basin of one.
    """
    system = refusal.system
    begin = _begins(formula, system, attempts, parameters)
    unstable: Array | None = None
    for k in range(0, begin.shape[0], _BATCH):
        some = begin[k : k + _BATCH]
        tiled = [np.full(some.shape[0], p[0]) for p in parameters]
        ended = from_start(system, some, tiled, "auto", _BASIN_AND_NEWTON)
        z = _polished(system, ended.z[ended.status == Status.CONVERGED], parameters)
        z = z[_accepted(refusal, z, parameters)]
        if z.shape[0]:
            again = [np.full(z.shape[0], p[0]) for p in parameters]
            told, stable = stable_points(formula, system, z, again)
            if stable.any() or not told.all():
                return np.asarray(z[np.argmax(stable | ~told)])
            unstable = z[0] if unstable is None else unstable
    if unstable is not None:
        return unstable
    z = every_saddle(formula, system, attempts, parameters, refusal).z
    return z[0] if z.shape[0] else None


def _accepted(refusal: Refusal, z: Array, parameters: Sequence[Array]) -> NDArray[np.bool_]:
    """Tell which saddle points at a single point are neither refused nor artefacts of an end."""
    again = [np.full(z.shape[0], p[0]) for p in parameters]
    good = refusal.status(z, again) == Status.CONVERGED
    return np.asarray(good & _resolved(refusal.system, z, again))


def coexisting(
    formula: Formula,
    refusal: Refusal,
    parameters: Sequence[Array],
    where: NDArray[np.bool_],
) -> list[Iterated]:
    """Return saddle points found everywhere at some of the points of a grid, one list for each.

    NO_SADDLE at other points, and where there are fewer than in the longest list.
    """
    points, n = where.size, refusal.system.size
    left = np.flatnonzero(where)
    states: list[Iterated] = []
    attempts = named_starts(formula, None)
    for k in left[_spread(left.size)]:
        here = [p[k : k + 1] for p in parameters]
        for j, z in enumerate(every_saddle(formula, refusal.system, attempts, here, refusal).z):
            if j == len(states):
                nowhere = np.full(points, int(Status.NO_SADDLE))
                states.append(Iterated.at(np.full((points, n), np.nan), nowhere))
            states[j].z[k], states[j].status[k] = z, int(Status.CONVERGED)
    return states


def _spread(size: int) -> NDArray[np.intp]:
    """Return some of so many places, evenly spaced."""
    return np.unique(np.linspace(0, size - 1, min(size, _SEARCHES)).astype(int))


def filled(
    formula: Formula,
    refusal: Refusal,
    start: str | Mapping[Any, float] | None,
    ended: Iterated,
    parameters: Sequence[Array],
    everywhere: bool,
) -> Iterated:
    """Return where an iteration ended, with saddle points from elsewhere where it found none.

    Some of these points are searched for from places all over the domain; what is found there is
    where others begin.

    Parameters
    ----------
    formula : Formula
    refusal : Refusal
        What is not accepted.
    start : str or mapping, optional
        Where to begin, besides places across the domains: by default from all starts.
    ended : Iterated
        Statuses DEGENERATE and EXCLUDED are those of `refusal`.
    parameters : sequence of arrays, shape (points,)
    everywhere : bool
        Whether to search also where the iteration failed for another reason.
    """
    wanted = np.isin(ended.status, (Status.DEGENERATE, Status.EXCLUDED))
    if everywhere:
        wanted |= np.isin(ended.status, _FAILED)
    left = np.flatnonzero(wanted)
    if not left.size:
        return ended
    attempts = named_starts(formula, start)
    z = np.full_like(ended.z, np.nan)
    for k in left[_spread(left.size)]:
        here = [p[k : k + 1] for p in parameters]
        found = _one_saddle(formula, refusal, attempts, here)
        if found is not None:
            z[k] = found
    for _ in range(_SEARCHES):  # from point to point
        known = np.asarray(np.isfinite(z).all(axis=1))
        rest = left[~known[left]]
        if not rest.size or not known.any():
            break
        z[rest] = _from_neighbours(refusal, z, known, rest, parameters)
        if not np.isfinite(z[rest]).all(axis=1).any():
            break
    new = np.asarray(np.isfinite(z).all(axis=1))
    converged = np.full_like(ended.status, int(Status.CONVERGED))
    return ended.merged(new, Iterated.at(z, converged))


def _from_neighbours(
    refusal: Refusal,
    z: Array,
    known: NDArray[np.bool_],
    rest: NDArray[np.intp],
    parameters: Sequence[Array],
) -> Array:
    """Return saddle points found by Newton's method from those of the nearest controls."""
    from scipy.spatial import cKDTree  # slow to import, and rarely needed

    table = np.stack(parameters, axis=1)
    spread = np.ptp(table, axis=0)
    table = table / np.where(spread == 0, 1.0, spread)
    nearest = np.flatnonzero(known)[cKDTree(table[known]).query(table[rest])[1]]
    inner = [p[rest] for p in parameters]
    ended = refusal.of(iterate(refusal.system, z[nearest], inner, Newton(), _POLISH), inner)
    good = ended.status == Status.CONVERGED
    good[good] = _resolved(refusal.system, ended.z[good], [p[good] for p in inner])
    return np.where(good[:, None], ended.z, np.nan)


def _begins(
    formula: Formula,
    system: System,
    attempts: Sequence[Mapping[Symbol, Any]],
    parameters: Sequence[Array],
) -> Array:
    """Return where to begin: the given starts, the lattice, and the ends of the domains."""
    begins = [initial(system, attempt, parameters) for attempt in attempts]
    places = _lattice(formula, system, parameters)
    count = next(iter(places.values())).size
    begins.append(initial(system, places, [np.full(count, p[0]) for p in parameters]))
    table = np.concatenate([*begins, _ends(system, begins[0][:1], parameters)])
    distinct = np.sort(np.unique(table, axis=0, return_index=True)[1])
    begin = table[distinct]
    tiled = [np.full(begin.shape[0], p[0]) for p in parameters]
    good = system.inside(begin, tiled)
    values = system.residual(*begin[good].T, *(p[good] for p in tiled))
    good[good] = np.isfinite(np.stack(values)).all(axis=0)
    return np.asarray(begin[good])


def _ends(system: System, first: Array, parameters: Sequence[Array]) -> Array:
    """Return where symmetry may keep a saddle point: closed lower ends, and zero between signs."""
    low, high = (np.broadcast_to(b, first.shape) for b in system.bounds(first, parameters))
    closed = ~system.open_low & has_end(low)
    corner = np.where(closed, low, first)
    between = (low < 0) & (high > 0)
    return np.concatenate([corner, np.where(between, 0.0, corner), np.where(between, 0.0, first)])


def _polished(system: System, z: Array, parameters: Sequence[Array]) -> Array:
    """Return the different saddle points among ends of iterations, each where Newton puts it."""
    if not z.shape[0]:
        return z
    order = np.lexsort(np.abs(z).T)  # exactly zero comes before what rounding leaves of it
    distinct = [z[order[0]]]
    for row in z[order[1:]]:
        if _is_new(row, np.array(distinct)):
            distinct.append(row)
    begin = np.array(distinct)
    tiled = [np.full(begin.shape[0], p[0]) for p in parameters]
    rule = _COARSE if system.deep else 0
    ended = iterate(system, begin, tiled, Newton(), _POLISH, refinement=rule)
    stayed = (np.abs(ended.z - begin) <= 1e-3 * np.maximum(np.abs(begin), 1.0)).all(axis=1)
    return np.asarray(ended.z[(ended.status == Status.CONVERGED) & stayed])


def _resolved(system: System, z: Array, parameters: Sequence[Array]) -> NDArray[np.bool_]:
    """Tell which saddle points their errors tell from an open end of the domain."""
    if not z.shape[0]:
        return np.zeros(0, dtype=bool)
    known = verify(system, z, parameters, _TOLD, refinement=_COARSE if system.deep else 0)
    return np.asarray(~unresolved(system, known.z, known.error, parameters, _SHARE).any(axis=1))


def _is_new(z: Array, known: Array) -> bool:
    size = np.maximum(np.abs(z), 1.0)
    return not bool((np.abs(known - z) <= _SAME * size).all(axis=1).any())
