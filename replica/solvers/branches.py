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
from sympy import Expr, Symbol

from replica.language.calculus import solve_linear
from replica.language.formula import Formula
from replica.language.means import nesting
from replica.numerics.kernel import Kernel, compile_kernel

__all__ = ["ExplicitCurve", "explicit_curve"]

Array = NDArray[np.float64]

_COARSE, _FINE = 24, 160
_ROUGH = -1  # refinement that a first guess needs
_CLEAR = 1e-7  # relative error of a point of the curve that is drawn
_CLOSEST = 1e-30
_LEAVING = 1e-5  # where a curve leaves the saddle point of no overlap with enough digits
_AT_ONCE = 500  # points whose whole curves are held at the same time
_RISE = 1e-9  # relative: a smaller one is rounding
_SAMPLED = 512  # curves at most, for a cloud of other controls


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
        symbols = [c.symbol for c in formula.controls.values()]
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

    def grid(self, fine: bool = False) -> Array:
        """Return values of the parameter that cover its domain."""
        domain = self.formula.domains[self.parameter]
        low, high = float(domain.start), float(domain.end)
        count = _FINE if fine else _COARSE
        decades = (-6.0, 15.0) if fine else (-3.0, 3.0)
        if np.isfinite(low) and np.isinf(high):
            return low + np.logspace(*decades, count)
        if np.isfinite(low) and np.isfinite(high):
            x = np.linspace(-12.0, 21.0, count) if fine else np.linspace(-6.0, 6.0, count)
            return low + (high - low) / (1 + np.exp(-x))
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
        return self.grid(fine=True)

    def origin(self, controls: Sequence[Array]) -> Array:
        """Return the unknowns where the parameter vanishes, shape (points, unknowns)."""
        wanted = controls[self.position]
        rest = [c for k, c in enumerate(controls) if k != self.position]
        low = float(self.formula.domains[self.parameter].start)
        parameter = np.full(wanted.size, low if np.isfinite(low) else 0.0)
        return self.points(parameter, rest)[0]

    def leaving(self, controls: Sequence[Array]) -> Array:
        """Return the control at which the curve leaves the saddle point of no overlap."""
        rest = [c for k, c in enumerate(controls) if k != self.position]
        low = float(self.formula.domains[self.parameter].start)
        parameter = np.full(controls[self.position].size, low + _LEAVING)
        return np.asarray(self.points(parameter, rest)[1])

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
        leaving = self.points(np.full(len(rests), low + _LEAVING), columns)[1]
        kernel = compile_kernel((*self.formula.unknowns, self.control, *self._rest), (observable,))
        found: list[tuple[Array, Array, Array] | None] = []
        for rest, start in zip(rests, leaving, strict=True):
            if not start > 1e-2:  # elsewhere the control vanishes with the parameter
                found.append(None)
                continue
            last = min(float(start), highest)
            control = np.linspace(0.0, last, 9)[1:]
            if last > 10.0:  # it may go on for ever; what happens on it happens at its beginning
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
        seen = self._resolved(z)
        if seen.all():
            return z, *kernel(*z.T, *rest, refinement=refinement)
        chosen = [r if np.ndim(r) == 0 else np.asarray(r)[seen] for r in rest]
        found = np.full((len(kernel.expressions), parameter.size), np.nan)
        if seen.any():
            found[:, seen] = kernel(*z[seen].T, *chosen, refinement=refinement)
        return z, *found

    def _resolved(self, z: Array) -> NDArray[np.bool_]:
        """Tell which points are told from an open end; closer, nodes cost most and say least."""
        seen = np.isfinite(z).all(axis=1)
        if self.other is not None:
            domain = self.formula.domains[self.other[0]]
            column = z[:, self.formula.unknowns.index(self.other[0])]
            for end, is_open in ((domain.start, domain.left_open), (domain.end, domain.right_open)):
                if is_open and end.is_number and end.is_finite:
                    seen &= np.abs(column - float(end)) > _CLOSEST
        return np.asarray(seen)

    def starts(
        self, controls: Sequence[Array], last: bool = False
    ) -> tuple[Array, NDArray[np.bool_], Array]:
        """Return a start on the curve for each point of a grid of controls.

        Where the curve turns back, its turning points are found first, so that a control next to
        a fold is never taken for one beyond it.

        Parameters
        ----------
        controls : sequence of arrays, shape (points,)
        last : bool
            Take the last passage in which the control rises, instead of the first.

        Returns
        -------
        start : array, shape (points, unknowns)
        reached : bool array
            Whether the curve passes through the wanted control, as far as is known.
        highest : array
            The largest value of the control on the curve.
        """
        wanted = controls[self.position]
        rest = [c for k, c in enumerate(controls) if k != self.position]
        table = np.stack(rest, axis=1) if rest else np.zeros((wanted.size, 0))
        keys, member = np.unique(table, axis=0, return_inverse=True)
        member = member.reshape(-1)
        thinned = keys.shape[0] > _SAMPLED
        if thinned:
            keys, member = _thinned(table)
        start = np.full((wanted.size, len(self.formula.unknowns)), np.nan)
        reached = np.zeros(wanted.size, dtype=bool)
        highest = np.full(wanted.size, np.nan)
        for fine in (False, True):
            left = np.unique(member[~reached])
            if left.size == 0:
                break
            z, value = self._curves(keys[left], fine, last)
            mine = np.flatnonzero(~reached)
            curve = np.searchsorted(left, member[mine])
            start[mine], reached[mine], highest[mine] = _on_curves(
                z, value, curve, wanted[mine], last
            )
        if thinned:  # a neighbour's curve decides nothing
            reached[:] = True
        return self._back_on_curve(start, rest), reached, highest

    def _curves(self, keys: Array, fine: bool, last: bool) -> tuple[Array, Array]:
        """Return unknowns (curves, nodes, n) and control (curves, nodes), in one call.

        A curve that turns is wanted with its turning points, and closely sampled.
        """
        z, value = self._on_grid(keys, self.grid(fine), 0 if fine else _ROUGH)
        if not fine and (last or _turns(value).any()):
            z, value = self._on_grid(keys, self.grid(fine=True), 0)
        return self._with_turns(keys, z, value)

    def _with_turns(self, keys: Array, z: Array, value: Array) -> tuple[Array, Array]:
        """Move the node next to each turning point of the curves onto it."""
        turns = _turns(value)
        if not turns.any():
            return z, value
        from scipy.optimize import elementwise  # heavy, and rarely needed

        row, k = np.nonzero(turns)
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

        From the uninformed end, the saddle point of no overlap included, with the turning points
        among the nodes.
        """
        keys = np.array([rest], dtype=float).reshape(1, -1)
        column = self.formula.unknowns.index(self.parameter)
        low_end = float(self.formula.domains[self.parameter].start)
        grid = self.grid(fine=True)
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
            end = z[min(around.max() + 1, value.size - 1), column]
            grid = np.geomspace(begin, end, count) if begin > 0 else np.linspace(begin, end, count)
        inside = np.flatnonzero((value >= low) & (value <= high))
        z, value = z[inside], value[inside]
        # where the quadrature loses the curve, its noise would turn it
        (known,) = self._along(()).bounded(*z.T, *rest)
        clear = known.bound <= _CLEAR * np.abs(known.value)
        z, value = z[clear], value[clear]
        trivial = self.trivial_branch(rest, self.control, high)
        if trivial is not None:
            here = (trivial[1] >= low) & (trivial[1] <= high)
            beyond = z[:, column] > low_end + _LEAVING
            z, value = z[beyond], value[beyond]
            z = np.concatenate([trivial[0][here], z])
            value = np.concatenate([trivial[1][here], value])
        return z, value

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

    def solve(self, controls: Sequence[Array], last: bool = False) -> Array:
        """Return a saddle point of each point by bracketing on the curve, NaN if none.

        The first, or the last, at which the control rises. Slower than Newton's method from
        `starts`, and certain.
        """
        wanted = controls[self.position]
        rest = [c for k, c in enumerate(controls) if k != self.position]
        parts = range(0, wanted.size, _AT_ONCE)
        return np.concatenate(
            [
                self._bracketed(wanted[k : k + _AT_ONCE], [r[k : k + _AT_ONCE] for r in rest], last)
                for k in parts
            ]
        )

    def _bracketed(self, wanted: Array, rest: Sequence[Array], last: bool) -> Array:
        from scipy.optimize import elementwise  # heavy, and rarely needed

        keys = np.stack(rest, axis=1) if rest else np.zeros((wanted.size, 0))
        nodes, value = self._curves(keys, True, last)
        column = self.formula.unknowns.index(self.parameter)
        below = np.nan_to_num(value, nan=-np.inf) < wanted[:, None]
        passes = below[:, :-1] & ~below[:, 1:] & np.isfinite(value[:, :-1])
        first = np.argmax(passes, axis=1)
        if last:
            first = passes.shape[1] - 1 - np.argmax(passes[:, ::-1], axis=1)
        good = passes.any(axis=1)
        z = np.full((wanted.size, len(self.formula.unknowns)), np.nan)
        if good.any():
            inner = [r[good] for r in rest]

            def height(parameter: Array, target: Array, *others: Array) -> Array:
                return np.asarray(self.points(parameter, others)[1] - target)

            at = np.flatnonzero(good), first[good]
            ends = nodes[at[0], at[1], column], nodes[at[0], at[1] + 1, column]
            found = elementwise.find_root(height, ends, args=(wanted[good], *inner))
            z[good] = self.points(found.x, inner)[0]
        return z


def _turns(value: Array) -> NDArray[np.bool_]:
    """Tell at which inner nodes a curve has an extremum, shape (curves, nodes - 2)."""
    rise = np.diff(value, axis=1)
    with np.errstate(invalid="ignore"):
        level = np.abs(rise) <= _RISE * np.abs(value[:, 1:])
    rise = np.where(level, 0.0, rise)
    return np.asarray(rise[:, :-1] * rise[:, 1:] < 0)


def _on_curves(
    z: Array, value: Array, curve: NDArray[np.intp], wanted: Array, last: bool
) -> tuple[Array, NDArray[np.bool_], Array]:
    """Return where curves take the wanted values, whether they do, and their highest values.

    Parameters
    ----------
    z : array, shape (curves, nodes, unknowns)
    value : array, shape (curves, nodes)
        The control along each curve.
    curve : int array, shape (points,)
        The curve of each point.
    wanted : array, shape (points,)
    last : bool
        Take the last passage in which the control rises, instead of the first.
    """
    good = np.isfinite(value) & np.isfinite(z).all(axis=2)
    order = np.argsort(~good, axis=1, kind="stable")  # what is known, in order, comes first
    value = np.take_along_axis(np.where(good, value, -np.inf), order, axis=1)
    z = np.take_along_axis(z, order[..., None], axis=1)
    count = good.sum(axis=1)
    peak = np.argmax(value, axis=1)
    highest = np.where(count < 2, np.nan, value[np.arange(peak.size), peak])
    if last:
        below = value[curve] < wanted[:, None]
        passes = below[:, :-1] & ~below[:, 1:]
        passes &= np.arange(passes.shape[1]) < (count[curve] - 1)[:, None]
        after = passes.shape[1] - np.argmax(passes[:, ::-1], axis=1)
        inside = np.asarray(passes.any(axis=1))
    else:
        # the first crossing from the uninformed end is the first of the running maximum
        after = (np.maximum.accumulate(value, axis=1)[curve] < wanted[:, None]).sum(axis=1)
        inside = np.asarray((after < count[curve]) & (count[curve] >= 2))
    before = np.clip(after - 1, 0, np.maximum(count[curve] - 2, 0))
    mixed = _interpolated(value, z, curve, before, count[curve], wanted)
    start = np.where(inside[:, None], mixed, z[curve, peak[curve]])
    start[count[curve] < 2] = np.nan
    return start, inside, highest[curve]


def _interpolated(
    value: Array,
    z: Array,
    curve: NDArray[np.intp],
    before: NDArray[np.intp],
    count: NDArray[np.intp],
    wanted: Array,
) -> Array:
    """Interpolate curves at `wanted`: by the cubic through four nodes where it is monotone."""
    width = min(4, value.shape[1])
    first = np.clip(before - 1, 0, np.maximum(count - width, 0))
    four = first[:, None] + np.arange(width)
    x, y = value[curve[:, None], four], z[curve[:, None], four]
    rising = (np.diff(x, axis=1) > 0).all(axis=1) & (count >= width)
    with np.errstate(divide="ignore", invalid="ignore"):
        # Neville's scheme, for all wanted points at once
        for order in range(1, width):
            left = (wanted[:, None] - x[:, order:])[..., None]
            right = (x[:, :-order] - wanted[:, None])[..., None]
            span = (x[:, :-order] - x[:, order:])[..., None]
            y = (left * y[:, :-1] + right * y[:, 1:]) / span
        low, high = value[curve, before], value[curve, before + 1]
        gap = high - low
        share = np.clip((wanted - low) / np.where(gap == 0, 1.0, gap), 0, 1)[:, None]
    ends = z[curve, before], z[curve, before + 1]
    line = ends[0] + share * (ends[1] - ends[0])
    cubic = y[:, 0]
    sane = rising[:, None] & (cubic >= np.minimum(*ends)) & (cubic <= np.maximum(*ends))
    return np.asarray(np.where(sane.all(axis=1, keepdims=True), cubic, line))


def _thinned(table: Array) -> tuple[Array, NDArray[np.intp]]:
    """Return a few representative rows of `table` and the nearest one of each row."""
    spread = np.ptp(table, axis=0)
    scaled = table / np.where(spread == 0, 1.0, spread)
    order = np.lexsort(scaled.T)
    chosen = np.unique(order[np.linspace(0, order.size - 1, _SAMPLED).astype(int)])
    keys = table[chosen]
    distance = np.abs(scaled[:, None, :] - scaled[chosen][None]).sum(axis=2)
    return keys, np.argmin(distance, axis=1)


@lru_cache(maxsize=64)
def explicit_curve(formula: Formula, control: Symbol | None = None) -> ExplicitCurve | None:
    """Return the explicit curve of a formula in `control` (or the first that has one), or None."""
    symbols = [c.symbol for c in formula.controls.values()]
    if control is None:
        found = (explicit_curve(formula, symbol) for symbol in symbols)
        return next((curve for curve in found if curve is not None), None)
    if len(formula.overlaps) != 1:
        return None
    (overlap,) = formula.overlaps
    conjugate = formula.conjugates.get(overlap)
    if conjugate is None:
        value = solve_linear(formula.residuals[overlap], control)
        return None if value is None else ExplicitCurve(formula, control, overlap, None, value)
    for parameter, other in ((conjugate, overlap), (overlap, conjugate)):
        update = formula.residuals[other] + other
        if update.has_free(other, control):
            continue
        value = solve_linear(formula.residuals[parameter], control)
        if value is not None:
            return ExplicitCurve(formula, control, parameter, (other, update), value)
    return None
