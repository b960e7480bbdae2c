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
from replica.numerics.kernel import Kernel, compile_kernel

__all__ = ["ExplicitCurve", "explicit_curve"]

Array = NDArray[np.float64]

_COARSE, _FINE = 24, 160
_ROUGH = -1  # refinement that a first guess needs
_SAMPLED = 128  # curves at most, for a cloud of other controls


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
        value, *more = self._along(extra)(*z.T, *rest, refinement=refinement)
        return z, value, *more

    def starts(self, controls: Sequence[Array]) -> tuple[Array, NDArray[np.bool_], Array]:
        """Return a start on the curve for each point of a grid of controls.

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
            grid = self.grid(fine)
            # all curves in one call: each key with the whole grid
            rest_grid = [np.repeat(keys[left, j], grid.size) for j in range(keys.shape[1])]
            level = 0 if fine else _ROUGH
            z, value = self.points(np.tile(grid, left.size), rest_grid, refinement=level)[:2]
            z = z.reshape(left.size, grid.size, -1)
            value = value.reshape(left.size, grid.size)
            mine = np.flatnonzero(~reached)
            curve = np.searchsorted(left, member[mine])
            start[mine], reached[mine], highest[mine] = _on_curves(z, value, curve, wanted[mine])
        if thinned:  # a neighbour's curve decides nothing
            reached[:] = True
        return self._back_on_curve(start, rest), reached, highest

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

    def solve(self, controls: Sequence[Array]) -> Array:
        """Return the first saddle point of each point by bracketing on the curve, NaN if none.

        Slower than Newton's method from `starts`, and certain.
        """
        from scipy.optimize import elementwise  # heavy, and rarely needed

        wanted = controls[self.position]
        rest = [c for k, c in enumerate(controls) if k != self.position]
        grid = self.grid(fine=True)
        points = wanted.size
        _, value, *_ = self.points(np.tile(grid, points), [np.repeat(r, grid.size) for r in rest])
        below = np.nan_to_num(value.reshape(points, grid.size), nan=-np.inf) < wanted[:, None]
        after = np.argmin(below, axis=1)  # the first node that is not below
        good = (after > 0) & ~below.all(axis=1)
        z = np.full((points, len(self.formula.unknowns)), np.nan)
        if good.any():
            inner = [r[good] for r in rest]

            def height(parameter: Array, target: Array, *others: Array) -> Array:
                return np.asarray(self.points(parameter, others)[1] - target)

            found = elementwise.find_root(
                height,
                (grid[after[good] - 1], grid[after[good]]),
                args=(wanted[good], *inner),
            )
            z[good] = self.points(found.x, inner)[0]
        return z


def _on_curves(
    z: Array, value: Array, curve: NDArray[np.intp], wanted: Array
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
    """
    good = np.isfinite(value) & np.isfinite(z).all(axis=2)
    order = np.argsort(~good, axis=1, kind="stable")  # what is known, in order, comes first
    value = np.take_along_axis(np.where(good, value, -np.inf), order, axis=1)
    z = np.take_along_axis(z, order[..., None], axis=1)
    count = good.sum(axis=1)
    peak = np.argmax(value, axis=1)
    highest = np.where(count < 2, np.nan, value[np.arange(peak.size), peak])
    # the first crossing from the uninformed end is the first of the running maximum
    after = (np.maximum.accumulate(value, axis=1)[curve] < wanted[:, None]).sum(axis=1)
    inside = (after < count[curve]) & (count[curve] >= 2)
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
