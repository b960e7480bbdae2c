r"""Explicit curves of saddle points.

Where a control multiplies one term of the potential and there is one overlap (with or without
its conjugate), every saddle point lies on an explicit curve: choose the conjugate, the overlap
follows from its update, and the remaining equation, affine in the control, gives the control,

.. math:: q = q(\hat q), \qquad \alpha(\hat q) = \frac{\hat q}{2\, \partial_q \Phi(q(\hat q))}.

No iteration, all branches at once, no critical slowing; a control that the curve never reaches
has no saddle point.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sympy import Expr, Symbol, nan, oo, zoo

from replica.declarations.formula import Formula
from replica.language.means import nesting
from replica.language.stationarity import solve_linear
from replica.numerics.kernel import Kernel, compile_kernel
from replica.solvers.passages import SAMPLED, Curves, Passage, thinned, turns
from replica.solvers.stated import check_stated_updates

__all__ = ["LEAVING", "ExplicitCurve", "explicit_curve"]

Array = NDArray[np.float64]

_LEVELS = (0, 1, 2)  # of sampling: coarse, fine, and far along the curve
# Nodes at each level: for a parameter between two ends, evenly spaced in the logit of its place
# between them; for one without upper end, evenly in the decades of its distance from the lower.
_LOGITS = ((-6.0, 6.0), (-12.0, 21.0), (21.0, 37.0))
_COUNTS, _DECADES = (24, 160, 51), ((-3.0, 3.0), (-6.0, 15.0), (15.0, 40.0))
_ROUGH = -1  # refinement of the quadrature: coarse, enough for a first guess
_KNOWN = 1e-7  # relative error of the control up to which a point of the curve is known
_BARELY = 1e-6  # relative: a control above the known ones by less may be reached farther along
_DRAWN = 1e-10  # relative error by rounding of the unknowns up to which a point is drawn
_CLOSEST = 1e-30  # distance to an open end, closer to which a singular curve is not evaluated
_EPSILON = 2.0**-52
_SMALLEST = 1e-300  # next to the smallest double: a gap or a control below this is zero
_EXTRA_NODES = 24  # in each interval in which two folds may hide between nodes
LEAVING = 1e-5  # parameter next to the saddle point of no overlap; nearer, too few digits are left
_AT_ONCE = 500  # curves, or points on them, that are held in memory at the same time


class ExplicitCurve:
    """Saddle points of a formula as a curve in one parameter.

    Parameters
    ----------
    formula : Formula
    control : Symbol
        The control that the curve gives.
    parameter : Symbol
        The unknown that runs along the curve.
    other : tuple of (Symbol, Expr), optional
        The second unknown as a function of the parameter.
    value : Expr
        The control as a function of the unknowns.
    """

    def __init__(
        self,
        formula: Formula,
        control: Symbol,
        parameter: Symbol,
        other: tuple[Symbol, Expr] | None,
        value: Expr,
    ) -> None:
        self.formula, self.control, self.parameter = formula, control, parameter
        self.other, self.value = other, value
        symbols = formula.symbols
        self.position = symbols.index(control)
        self._rest = tuple(symbol for symbol in symbols if symbol is not control)
        self._kernels: dict[tuple[Expr, ...], Kernel] = {}

    @cached_property
    def _other(self) -> Kernel:
        assert self.other is not None
        return compile_kernel((self.parameter, *self._rest), (self.other[1],))

    def _along(self, extra: tuple[Expr, ...]) -> Kernel:
        if extra not in self._kernels:
            wanted = (self.value, *(e.subs(self.control, self.value) for e in extra))
            self._kernels[extra] = compile_kernel((*self.formula.unknowns, *self._rest), wanted)
        return self._kernels[extra]

    def grid(self, level: int = 0) -> Array:
        """Return values of the parameter that cover its domain: few, many, or those far along."""
        domain = self.formula.domains[self.parameter]
        low, high = float(domain.start), float(domain.end)
        count = _COUNTS[level]
        if np.isfinite(low) and np.isinf(high):
            far = low + np.logspace(*_DECADES[level], _COUNTS[level])
            return far if level > 1 else np.concatenate([[low], far])
        if np.isfinite(low) and np.isfinite(high):
            x = np.linspace(*_LOGITS[level], count)
            far = low + (high - low) / (1 + np.exp(-x))
            return far if level > 1 else np.concatenate([[low], far])
        x = np.linspace(-8, 8, count)
        return np.asarray(np.sinh(x))

    def spread(self) -> Array:
        """Return values of the parameter close enough to show where the curve turns.

        Where a point costs a mean within a mean there are fewer, and not as far along.
        """
        low = float(self.formula.domains[self.parameter].start)
        if np.isfinite(low) and np.isinf(float(self.formula.domains[self.parameter].end)):
            deep = max(nesting(self.value), nesting(self.other[1]) if self.other else 0) > 1
            return low + (np.logspace(-4, 4, 64) if deep else np.logspace(-5, 9, 127))
        return self.grid(1)

    def near(self) -> Array:
        """Return values of the parameter next to where it begins, closer than those of `grid`."""
        low = float(self.formula.domains[self.parameter].start)
        return low + np.logspace(-300.0, -6.0, 295) if np.isfinite(low) else np.empty(0)

    def beyond(self) -> Array:
        """Return values of the parameter farther along than those of `spread`."""
        return float(self.formula.domains[self.parameter].start) + np.logspace(9, 20, 100)[1:]

    def origin(self, controls: Sequence[Array]) -> tuple[Array, Array, NDArray[np.bool_]]:
        """Return the unknowns where the parameter vanishes, and how the curve begins there.

        Returns
        -------
        place : array, shape (points, unknowns)
        leaving : array, shape (points,)
            The control next to it.
        proportional : bool array, shape (points,)
            Whether the control vanishes with the parameter. Otherwise this may be a saddle point
            that symmetry keeps at every control, and attracts up to where the curve leaves it.
        """
        low = float(self.formula.domains[self.parameter].start)
        low = low if np.isfinite(low) else 0.0
        rest, points = self._others(controls), controls[self.position].size
        place = self.points(np.full(points, low), rest, refinement=_ROUGH)[0]
        close = low + np.repeat([LEAVING, 2 * LEAVING], points)
        value = self.points(close, [np.tile(r, 2) for r in rest])[1].reshape(2, points)
        with np.errstate(invalid="ignore", divide="ignore"):
            proportional = np.abs(value[1]) > 1.5 * np.abs(value[0])
        return place, value[0], np.asarray(proportional)

    def _others(self, controls: Sequence[Array]) -> list[Array]:
        return [c for k, c in enumerate(controls) if k != self.position]

    def trivial_branch(
        self, rest: Sequence[float], observable: Expr, highest: float = np.inf
    ) -> tuple[Array, Array, Array] | None:
        """Return unknowns, control and an observable where zero overlap is always a saddle point.

        From a vanishing control to where the curve leaves that branch, or to `highest`; None
        where there is none.
        """
        return self.trivial_branches([rest], observable, highest)[0]

    def trivial_branches(
        self, rests: Sequence[Sequence[float]], observable: Expr, highest: float = np.inf
    ) -> list[tuple[Array, Array, Array] | None]:
        """Return the trivial branch for each set of the other controls."""
        low = float(self.formula.domains[self.parameter].start)
        if not np.isfinite(low):
            return [None] * len(rests)
        columns = [np.array(column) for column in zip(*rests, strict=True)]
        leaving = self.points(np.full(len(rests), low + LEAVING), columns)[1]
        kernel = compile_kernel((*self.formula.unknowns, self.control, *self._rest), (observable,))
        found: list[tuple[Array, Array, Array] | None] = []
        for rest, start in zip(rests, leaving, strict=True):
            if not start > 1e-2:  # no such branch: the control vanishes with the parameter
                found.append(None)
                continue
            last = min(float(start), highest)
            control = np.linspace(0.0, last, 9)[1:]
            if last > 10.0:  # perhaps endless: nodes by factors, dense where the control is small
                control = np.geomspace(1e-2, last, 65)
            z = self.points(np.full(control.size, low), rest)[0]
            found.append((z, control, kernel(*z.T, control, *rest)[0]))
        return found

    def points(
        self,
        parameter: Array,
        rest: Sequence[Any],
        extra: tuple[Expr, ...] = (),
        refinement: int = 0,
    ) -> tuple[Array, ...]:
        """Return unknowns (points, n), the control (points,) and `extra` along the curve.

        `extra` are expressions in the unknowns and all controls, computed in the same pass.
        """
        z = np.empty((parameter.size, len(self.formula.unknowns)))
        names = self.formula.unknowns
        z[:, names.index(self.parameter)] = parameter
        if self.other is not None:
            (z[:, names.index(self.other[0])],) = self._other(
                parameter, *rest, refinement=refinement
            )
        kernel = self._along(extra)
        seen = self._resolved(z, rest)
        if seen.all():
            return z, *kernel(*z.T, *rest, refinement=refinement)
        chosen = [r if np.ndim(r) == 0 else np.asarray(r)[seen] for r in rest]
        found = np.full((len(kernel.expressions), parameter.size), np.nan)
        if seen.any():
            found[:, seen] = kernel(*z[seen].T, *chosen, refinement=refinement)
        return z, *found

    def _resolved(self, z: Array, rest: Sequence[Any]) -> NDArray[np.bool_]:
        """Tell at which points the control can be evaluated next to an open end of an unknown.

        Closer than `_CLOSEST` that is where it has a limit at the end, as where noise hides what
        is left of the gap. There a gap below the smallest double is replaced, in place, by it.
        """
        seen = np.asarray(np.isfinite(z).all(axis=1))
        if self.other is None:
            return seen
        domain = self.formula.domains[self.other[0]]
        place = self.formula.unknowns.index(self.other[0])
        for end, is_open in ((domain.start, domain.left_open), (domain.end, domain.right_open)):
            if not (is_open and end.is_number and end.is_finite):
                continue
            close = seen & (np.abs(z[:, place] - float(end)) <= _CLOSEST)
            if close.any():
                goes_on = close.copy()
                if end == 0:
                    goes_on[close] = self._has_limit(z[close], [_part(r, close) for r in rest])
                    z[goes_on, place] = np.maximum(z[goes_on, place], _SMALLEST)
                seen &= ~close | goes_on
        return np.asarray(seen)

    @cached_property
    def _at_end(self) -> Kernel | None:
        """Kernel of the control where the second unknown vanishes, None if it has no value."""
        assert self.other is not None
        there = self.value.subs(self.other[0], 0)
        if there.has(zoo, nan, oo):
            return None
        return compile_kernel((self.parameter, *self._rest), (there,))

    def _has_limit(self, z: Array, rest: Sequence[Any]) -> NDArray[np.bool_]:
        """Tell for each point whether its curve goes on where the second unknown vanishes."""
        if self._at_end is None:
            return np.zeros(z.shape[0], dtype=bool)
        columns = [np.broadcast_to(np.asarray(r, dtype=float), z.shape[:1]) for r in rest]
        table = np.stack([*columns, np.zeros(z.shape[0])], axis=1)
        keys, first, member = np.unique(table, axis=0, return_index=True, return_inverse=True)
        parameter = z[first, self.formula.unknowns.index(self.parameter)]
        (value,) = self._at_end(parameter, *keys.T[:-1])
        exists = np.asarray(np.isfinite(value) & (value > _SMALLEST))
        return np.asarray(exists[member.reshape(-1)])

    def passages(
        self,
        controls: Sequence[Array],
        which: str = "first",
        enough: NDArray[np.bool_] | None = None,
    ) -> list[Passage]:
        """Return where the curve takes the wanted controls, one rank of passages after another.

        A passage counts where the control rises along the curve, for there state evolution is
        attracted; where it never rises, any passage counts.

        Parameters
        ----------
        controls : sequence of arrays, shape (points,)
        which : {"first", "last", "all"}
            From the uninformed end.
        enough : bool array, shape (points,), optional
            Points for which it is enough to know that there is no passage before the far end.

        Returns
        -------
        list of Passage
            One for the first or the last, else as many as the point with most passages has.
        """
        wanted = controls[self.position]
        rest = self._others(controls)
        table = np.stack(rest, axis=1) if rest else np.zeros((wanted.size, 0))
        keys, member = np.unique(table, axis=0, return_inverse=True)
        member = member.reshape(-1)
        ranks: list[Passage] = []
        settled = np.zeros(wanted.size, dtype=bool)
        if keys.shape[0] > SAMPLED and which == "first":
            nearby, settled = self._of_neighbours(table, wanted)
            ranks.append(nearby)
        for level in _LEVELS if which == "first" else _LEVELS[1:]:
            if level > 1 and not np.isfinite(float(self.formula.domains[self.parameter].start)):
                break
            left = np.unique(member[~settled])
            for part in np.array_split(left, max(1, -(-left.size // _AT_ONCE))):
                if part.size == 0:
                    continue
                curves = self._curves(keys[part], level)
                mine = np.flatnonzero(~settled & np.isin(member, part))
                row = np.searchsorted(part, member[mine])
                found = curves.passages(row, wanted[mine], which)
                seen = curves.count[row] > 1
                if level > 1 and not seen.all():
                    # nothing is known of these so far along: a control barely above may be reached
                    dark, top = mine[~seen], ranks[0].highest[mine[~seen]]
                    ranks[0].ended[dark] = ~(wanted[dark] <= top + _BARELY * np.abs(top))
                    mine, row, found = mine[seen], row[seen], [part.at(seen) for part in found]
                if level:
                    sure = found[0].found | found[0].ended
                    sure |= False if enough is None else enough[mine]
                else:
                    sure = curves.plain(row, wanted[mine], found[0])
                for rank, passage in enumerate(found):
                    if rank == len(ranks):
                        ranks.append(Passage.none(wanted.size, len(self.formula.unknowns)))
                    ranks[rank].put(mine, passage)
                for passage in ranks[len(found) :]:
                    passage.put(mine, Passage.none(mine.size, passage.start.shape[1]))
                settled[mine[sure]] = True
        for passage in ranks:
            passage.start[:] = self._back_on_curve(passage.start, rest)
        return ranks

    def _of_neighbours(self, table: Array, wanted: Array) -> tuple[Passage, NDArray[np.bool_]]:
        """Return starts for a cloud of other controls from few curves, and where they may serve.

        A neighbour's curve gives a start and decides nothing else, so it serves only where no
        curve comes near to turning back.
        """
        keys, member = thinned(table)
        curves = self._curves(keys, 0)
        (found,) = curves.passages(member, wanted, "first")
        plain = curves.plain(member, wanted, found)
        found.low[:], found.high[:] = np.nan, np.nan
        return found, plain

    def _curves(self, keys: Array, level: int) -> Curves:
        """Return the curves of several sets of other controls, all in one call.

        A curve that turns is wanted with its turning points, and closely sampled.
        """
        z, value = self._on_grid(keys, self.grid(level), 0 if level else _ROUGH)
        if level:
            value = self._without_noise(keys, z, value, everywhere=level > 1)
            z, value = self._closer(keys, z, value)
            z, value = self._with_turns(keys, z, value)
        return Curves(z, value, self.formula.unknowns.index(self.parameter))

    def _without_noise(self, keys: Array, z: Array, value: Array, everywhere: bool) -> Array:
        """Return the control along curves, NaN where the quadrature does not know it.

        Next to the end of a curve noise would look like folds, and pass through any control.
        """
        good = np.isfinite(value) & np.isfinite(z).all(axis=2)
        rise = np.diff(value, axis=1)
        falls = np.zeros_like(good)
        falls[:, 1:] |= rise <= 0
        falls[:, :-1] |= rise <= 0
        falls |= everywhere
        row, k = np.nonzero(good & falls)
        if row.size == 0:
            return value
        others = [keys[row, j] for j in range(keys.shape[1])]
        value, clear = value.copy(), self._clear(z[row, k], others)
        value[row[~clear], k[~clear]] = np.nan
        return value

    def _clear(self, z: Array, rest: Sequence[Any], rounding: float = _KNOWN) -> NDArray[np.bool_]:
        """Tell at which points the control is known, despite quadrature and rounded unknowns.

        Rounding matters next to an end of their domain, where the distance to it is what counts;
        its relative error may be up to `rounding`.
        """
        (known,) = self._along(()).bounded(*z.T, *rest)
        clear = known.bound <= _KNOWN * np.abs(known.value)
        return np.asarray(clear & (_EPSILON <= rounding * self._room(z)))

    def _room(self, z: Array) -> Array:
        """Return the least distance of points to an open end other than zero, relative to it."""
        room = np.full(z.shape[0], np.inf)
        for column, symbol in zip(z.T, self.formula.unknowns, strict=True):
            domain = self.formula.domains[symbol]
            ends = ((domain.start, domain.left_open), (domain.end, domain.right_open))
            for end, is_open in ends:
                if is_open and end.is_number and end.is_finite and end != 0:
                    room = np.minimum(room, np.abs(column / float(end) - 1))
        return np.asarray(np.maximum(room, _EPSILON))

    def _closer(self, keys: Array, z: Array, value: Array) -> tuple[Array, Array]:
        """Return curves with more nodes where the control hardly rises and folds may hide."""
        curves = Curves(z, value, self.formula.unknowns.index(self.parameter))
        if not curves.hollow.any():
            return z, value
        row, k = np.nonzero(curves.hollow)
        place = curves.z[..., curves.column]
        share = np.arange(1, _EXTRA_NODES + 1) / (_EXTRA_NODES + 1)
        low, high = place[row, k - 1, None], place[row, np.minimum(k + 2, place.shape[1] - 1), None]
        grid = np.where(low > 0, low ** (1 - share) * high**share, low + share * (high - low))
        rest = [np.repeat(keys[row, j], _EXTRA_NODES) for j in range(keys.shape[1])]
        new = self.points(grid.ravel(), rest)[:2]
        most = int(np.bincount(row).max()) * _EXTRA_NODES
        more = (
            np.full((keys.shape[0], most, z.shape[2]), np.nan),
            np.full((keys.shape[0], most), np.nan),
        )
        turn = np.zeros(keys.shape[0], dtype=int)
        for n, r in enumerate(row):
            span = slice(turn[r], turn[r] + _EXTRA_NODES)
            for whole, part in zip(more, new, strict=True):
                whole[r, span] = part[n * _EXTRA_NODES : (n + 1) * _EXTRA_NODES]
            turn[r] += _EXTRA_NODES
        z, value = np.concatenate([z, more[0]], axis=1), np.concatenate([value, more[1]], axis=1)
        order = np.argsort(z[..., curves.column], axis=1, kind="stable")  # NaN comes last
        return (
            np.take_along_axis(z, order[..., None], axis=1),
            np.take_along_axis(value, order, axis=1),
        )

    def _with_turns(self, keys: Array, z: Array, value: Array) -> tuple[Array, Array]:
        """Move the node next to each turning point of the curves onto it."""
        extrema = turns(value)
        if not extrema.any():
            return z, value
        from scipy.optimize import elementwise  # slow to import, and rarely needed

        row, k = np.nonzero(extrema)
        k = k + 1
        column = self.formula.unknowns.index(self.parameter)
        sign = np.where(value[row, k] > value[row, k - 1], -1.0, 1.0)
        others = [keys[row, j] for j in range(keys.shape[1])]

        def height(parameter: Array, side: Array, *rest: Array) -> Array:
            return np.asarray(side * self.points(parameter, rest)[1])

        bracket = tuple(z[row, k + step, column] for step in (-1, 0, 1))
        found = elementwise.find_minimum(
            height, bracket, args=(sign, *others), tolerances={"xrtol": 1e-7, "frtol": 1e-14}
        )
        z, value = z.copy(), value.copy()
        better = np.isfinite(found.x) & np.isfinite(found.f_x)
        place = self.points(found.x[better], [other[better] for other in others])[0]
        z[row[better], k[better]], value[row[better], k[better]] = place, (sign * found.f_x)[better]
        return z, value

    def resolved(
        self, rest: Sequence[float], low: float, high: float, count: int
    ) -> tuple[Array, Array]:
        """Return unknowns and control where the control is between `low` and `high`.

        From the uninformed end, with the turning points among the nodes.
        """
        keys = np.array([rest], dtype=float).reshape(1, -1)
        column = self.formula.unknowns.index(self.parameter)
        low_end = float(self.formula.domains[self.parameter].start)
        grid = self.grid(1)
        for level in range(2):
            z, value = (part[0] for part in self._with_turns(keys, *self._on_grid(keys, grid, 0)))
            good = np.isfinite(value) & np.isfinite(z).all(axis=1)
            z, value = z[good], value[good]
            inside = np.flatnonzero((value >= low) & (value <= high))
            passes = np.flatnonzero((value[:-1] < low) & (value[1:] > high))
            if level or not (inside.size or passes.size):
                break
            around = np.concatenate([inside, passes])
            begin = z[max(around.min() - 1, 0), column]
            if begin == low_end and np.isinf(float(self.formula.domains[self.parameter].end)):
                begin = 1e-3 * z[1, column]  # a geometric spacing cannot begin at zero
            end = z[min(around.max() + 1, value.size - 1), column]
            grid = np.geomspace(begin, end, count) if begin > 0 else np.linspace(begin, end, count)
        inside = np.flatnonzero((value >= low) & (value <= high))
        z, value = z[inside], value[inside]
        # where the quadrature does not resolve the curve, its noise would look like folds
        clear = self._clear(z, rest, _DRAWN) & (z[:, column] > low_end + LEAVING)
        return z[clear], value[clear]

    def _on_grid(self, keys: Array, grid: Array, refinement: int) -> tuple[Array, Array]:
        rest = [np.repeat(keys[:, j], grid.size) for j in range(keys.shape[1])]
        z, value = self.points(np.tile(grid, keys.shape[0]), rest, refinement=refinement)[:2]
        return z.reshape(keys.shape[0], grid.size, -1), value.reshape(keys.shape[0], grid.size)

    def _back_on_curve(self, z: Array, rest: Sequence[Array]) -> Array:
        """Keep the interpolated parameter and take the other unknown from its own update.

        Near the end of a branch the equations are almost singular, and a start beside the curve
        is far away from its root.
        """
        if self.other is None:
            return z
        names = self.formula.unknowns
        known = np.isfinite(z).all(axis=1)
        parameter = z[known, names.index(self.parameter)]
        (other,) = self._other(parameter, *(r[known] for r in rest), refinement=_ROUGH)
        z[known, names.index(self.other[0])] = other
        return z

    def between(self, passage: Passage, controls: Sequence[Array]) -> Array:
        """Return the saddle point of each passage, by bracketing between its two nodes.

        Slower than Newton's method from its start, and certain; NaN where there is no passage.
        """
        from scipy.optimize import elementwise  # slow to import, and rarely needed

        wanted = controls[self.position]
        rest = self._others(controls)
        z = np.full_like(passage.start, np.nan)
        good = np.flatnonzero(np.isfinite(passage.low) & np.isfinite(passage.high))

        def height(parameter: Array, target: Array, *others: Array) -> Array:
            return np.asarray(self.points(parameter, others)[1] - target)

        for k in range(0, good.size, _AT_ONCE):
            some = good[k : k + _AT_ONCE]
            inner = [r[some] for r in rest]
            ends = passage.low[some], passage.high[some]
            found = elementwise.find_root(height, ends, args=(wanted[some], *inner))
            z[some] = self.points(found.x, inner)[0]
        return z


def _part(column: Any, where: NDArray[np.bool_]) -> Any:
    """Return some of the points of a column, which may be one number for all."""
    return column if np.ndim(column) == 0 else np.asarray(column)[where]


@lru_cache(maxsize=64)
def explicit_curve(formula: Formula, control: Symbol | None = None) -> ExplicitCurve | None:
    """Return the explicit curve of a formula in `control` (or the first that has one), or None."""
    check_stated_updates(formula)
    symbols = formula.symbols
    if control is None:
        found = (explicit_curve(formula, symbol) for symbol in symbols)
        return next((curve for curve in found if curve is not None), None)
    if len(formula.overlaps) != 1:
        return None
    (overlap,) = formula.overlaps
    conjugate = formula.conjugates.get(overlap)
    if conjugate is None:
        stated = formula.potential is None
        equation = formula.residuals[overlap] if stated else formula.potential.diff(overlap)
        value = solve_linear(equation, control)
        if value is None or formula.domains[overlap].free_symbols:  # its range must be known
            return None
        return ExplicitCurve(formula, control, overlap, None, value)
    for parameter, other in ((conjugate, overlap), (overlap, conjugate)):
        update = formula.residuals[other] + other
        if update.has_free(other, control) or formula.domains[parameter].free_symbols:
            continue
        value = solve_linear(formula.residuals[parameter], control)
        if value is not None:
            return ExplicitCurve(formula, control, parameter, (other, update), value)
    return None
