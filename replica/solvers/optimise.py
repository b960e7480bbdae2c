r"""The best value of a control: `optimise`, such as the penalty of least generalisation error.

Along the saddle points an observable o changes with a control c by the implicit function theorem,

.. math:: \frac{do}{dc} = \partial_c o - \partial_z o \, J^{-1} \partial_c F, \qquad F(z, c) = 0,

and the optimum is a root of this slope, found on a grid and then by bracketing. A root of the
slope has all digits of the slope, where a minimum of the value is flat and has half of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sympy import DiracDelta, Expr

from replica.declarations.control import Control
from replica.declarations.family import Family
from replica.declarations.formula import Formula
from replica.declarations.reading import read
from replica.errors import ControlError, ConvergenceError, UnknownName
from replica.language.means import nesting
from replica.numerics.kernel import Kernel, compile_kernel
from replica.solvers.optimum import Optimum
from replica.solvers.saddle import solve
from replica.solvers.solution import Status
from replica.solvers.strategies import solve_flat
from replica.solvers.system import System, saddle_system
from replica.solvers.verify import verify
from replica.writing import with_error

__all__ = ["optimise"]

Array = NDArray[np.float64]

# The coordinate of the search is the logarithm of a control that is not negative, else the control.
_GRID, _EXTENSION = 25, 9  # values of the control that are tried, and more beyond an end
_FIRST_RANGE = (1e-6, 1e4)  # of an unbounded control, above the lower end of its domain
_LAST_RANGE = (1e-12, 1e8)  # the same, if the best value is at an end of the first range
_LEVEL = 1e-13  # relative: heights that differ by less are the same
_BRACKET = 1e-13  # width of the last bracket, in the coordinate
_KNOWN = 1e-2  # relative error above which an optimum is called inaccurate
_FINE = 2  # refinement of the quadrature that bounds the error of a slope
_SHIFT = 1e-4  # of the coordinate, in the difference of slopes that gives the curvature
_STEP = 1e-3  # of the coordinate, in the difference of values where there is no symbolic slope


def optimise(
    formula: Formula | Family,
    quantity: str,
    *,
    over: str,
    between: tuple[float, float] | None = None,
    maximise: bool = False,
    **controls: Any,
) -> Optimum:
    """Find the value of a control at which an observable of the saddle point is least.

    Parameters
    ----------
    formula : Formula or Family
        A family also takes its structural options as keywords.
    quantity : str
        One of its observables.
    over : str
        The control that is tuned.
    between : tuple of two numbers, optional
        Where to look; the whole domain of the control by default.
    maximise : bool
        Look for the greatest value.
    **controls : float
        All other controls.

    Returns
    -------
    Optimum
        The control and the value with their errors, and the curvature. An optimum at an end that
        belongs to the domain of the control has ``place`` ``"edge"``.

    Raises
    ------
    UnknownName, ControlError
        For bad names or values.
    ConvergenceError
        If the quantity has no optimum inside the range: the message says towards which end it
        goes on, and what it tends to there; or if no saddle point was found next to the optimum.

    References
    ----------
    For ridge regression on sign labels the best penalty is pi/2 - 1 for any alpha: Aubin,
    Krzakala, Lu & Zdeborova, arXiv:2006.06560.

    Examples
    --------
    >>> import replica as rp
    >>> ridge = rp.formulas["empirical-risk"](loss="square")
    >>> best = rp.optimise(ridge, "eps_g", over="lambda_", alpha=2)
    >>> round(best.optimum, 9), round(best.value, 9)
    (0.570796327, 0.186027903)
    """
    found, values, control = _read(formula, quantity, over, controls)
    low, high = _range(found, control, between)
    grid = _grid(control, low, high, _GRID)
    with np.errstate(all="ignore"):  # results that are not finite are tested for
        place = _Place(found, quantity, over, values, -1.0 if maximise else 1.0)
        heights = place.on_grid(grid)
        if between is None and np.isinf(float(control.domain.end)):
            grid, heights = _extended(place, grid, heights, float(control.domain.start))
        bracket = _bracket(heights)
        if bracket is None:
            edge = None if between else _edge(place, grid, heights, control, maximise)
            if edge is not None:
                return edge
            raise ConvergenceError(_reason(place, grid, heights, control, between is not None))
        optimum, error, curvature = place.root(*grid[list(bracket)])
    at: dict[str, Any] = {**values, over: optimum}
    solution = solve(found, check=False, **at)
    if solution.status not in (Status.CONVERGED, Status.INACCURATE):
        raise ConvergenceError(
            f"{found.name}: at {over} = {optimum:g}: {solution.status}", solution
        )
    return Optimum(
        formula=found,
        quantity=quantity,
        over=over,
        optimum=optimum,
        optimum_error=error,
        value=float(solution[quantity]),
        error=float(solution.errors[quantity]),
        curvature=curvature if not maximise else -curvature,
        status=solution.status if error <= _KNOWN * place.size(optimum) else Status.INACCURATE,
        solution=solution,
        maximise=maximise,
    )


def _read(
    formula: Formula | Family, quantity: str, over: str, controls: Mapping[str, object]
) -> tuple[Formula, dict[str, Any], Control]:
    def tuned(found: Formula) -> set[str]:
        """Return the control that is tuned; refuse a value of it."""
        if over not in found.controls:
            raise UnknownName("control", over, found.controls, found.name)
        if controls.get(over) is not None:
            raise ControlError(f"{found.name}: {over} is tuned, so it takes no value; leave it out")
        found.observable(quantity)
        return {over}

    points = read(formula, controls, optional=tuned).without(over).single("optimise")
    return points.formula, points.floats, points.formula.controls[over]


def _range(
    formula: Formula, control: Control, between: tuple[float, float] | None
) -> tuple[float, float]:
    start, end = float(control.domain.start), float(control.domain.end)
    if between is None:
        if np.isinf(start):
            raise ControlError(
                f"{formula.name}: {control.name} is unbounded; say where to look, between=(low, "
                f"high)"
            )
        return start, end
    try:
        low, high = (float(edge) for edge in between)
    except (TypeError, ValueError):
        low = high = np.nan
    if not (start <= low < high <= end and np.isfinite(high)):
        raise ControlError(
            f"{formula.name}: between = {between!r} must be two numbers in increasing order, in "
            f"the domain [{start:g}, {end:g}] of {control.name}"
        )
    return low, high


def _grid(control: Control, low: float, high: float, count: int) -> Array:
    """Return places inside the range: by factors where it begins at zero or has no end."""
    if np.isinf(high):
        return low + np.geomspace(*_FIRST_RANGE, count)
    if low > 0 or (low == 0 and float(control.domain.start) == 0):
        bottom = low if low > 0 else high * 1e-8
        top = high if not control.domain.right_open or high < control.domain.end else high * 0.999
        return np.geomspace(bottom, top, count)
    share = (np.arange(count) + 0.5) / count
    return low + (high - low) * share


class _Place:
    """An observable along the saddle points, as a function of one control."""

    def __init__(
        self, formula: Formula, quantity: str, over: str, values: Mapping[str, Any], side: float
    ) -> None:
        self.formula, self.quantity, self.over, self.side = formula, quantity, over, side
        self.values = dict(values)
        self.system = saddle_system(formula)
        # a control that is not negative is searched on a logarithmic scale
        self.by_factors = float(formula.controls[over].domain.start) >= 0
        self.slopes = _slopes(formula, quantity, over)
        self.known: Mapping[object, float] | None = None

    def parameters(self, control: float) -> list[Array]:
        at = {**self.values, self.over: control}
        return [np.array([at[name]]) for name in self.formula.controls]

    def on_grid(self, grid: Array) -> Array:
        """Return the quantity on a grid, infinite where there is no saddle point."""
        at: dict[str, Any] = {**self.values, self.over: grid}
        found = solve(self.formula, observables=(self.quantity,), check=False, **at)
        usable = np.isin(found.status, (Status.CONVERGED, Status.INACCURATE))
        return np.where(usable, self.side * np.asarray(found[self.quantity]), np.inf)

    def point(self, control: float) -> Array:
        """Return the saddle point, shape (1, unknowns), from that of the place before."""
        parameters = self.parameters(control)
        if self.known is not None:
            found = solve_flat(self.system, [self.known], parameters)
            if found.status[0] == Status.CONVERGED:
                z = found.z
                self._remember(z)
                return z
        at: dict[str, Any] = {**self.values, self.over: control}
        solution = solve(self.formula, observables=(), check=False, **at)
        if solution.status not in (Status.CONVERGED, Status.INACCURATE):
            raise ConvergenceError(
                f"{self.formula.name}: at {self.over} = {control:g}: {solution.status}", solution
            )
        z = np.array([[solution.overlaps[str(s)] for s in self.system.unknowns]])
        self._remember(z)
        return z

    def _remember(self, z: Array) -> None:
        pairs = zip(self.system.unknowns, z[0], strict=True)
        self.known = {s: float(x) for s, x in pairs if s in self.formula.overlaps}

    def scale(self, control: float) -> float:
        """Return by how much the control changes with the coordinate of the search."""
        return control if self.by_factors else 1.0

    def size(self, control: float) -> float:
        """Return what an error of the control is compared with."""
        return abs(control) if self.by_factors else max(abs(control), 1.0)

    def slope(self, control: float) -> float:
        """Return d quantity / d coordinate."""
        if self.slopes is None:
            step = _STEP * self.scale(control)
            up, down = self.on_grid(np.array([control + step, control - step]))
            return float((up - down) / (2 * _STEP))
        value, _ = self.slopes(self.point(control), self.parameters(control))
        return self.side * value * self.scale(control)

    def slope_error(self, control: float) -> float:
        """Return a bound on the error of `slope` by quadrature, rounding and the saddle point."""
        if self.slopes is None:
            at: dict[str, Any] = {**self.values, self.over: control}
            found = solve(self.formula, observables=(self.quantity,), check=False, **at)
            value, error = float(found[self.quantity]), float(found.errors[self.quantity])
            return error / _STEP + _STEP**2 * abs(value)
        parameters = self.parameters(control)
        verified = verify(self.system, self.point(control), parameters, 1e-10)
        _, error = self.slopes(verified.z, parameters, verified.error)
        return error * self.scale(control)

    def root(self, low: float, high: float) -> tuple[float, float, float]:
        """Return the optimum, its error, and the second derivative there."""
        from scipy.optimize import brentq  # slow to import, and needed only here

        # a slope depends a little on where the last one was taken: the ends keep theirs
        below, above = self.slope(low), self.slope(high)
        if not below < 0 < above:
            raise ConvergenceError(
                f"{self.formula.name}: the slope of {self.quantity} does not change sign between "
                f"{self.over} = {low:g} and {high:g}, where its values have an optimum"
            )
        into, back = (np.exp, np.log) if self.by_factors else (float, float)
        ends = {float(back(low)): below, float(back(high)): above}

        def height(x: float) -> float:
            return ends[x] if x in ends else self.slope(float(into(x)))

        found = brentq(height, float(back(low)), float(back(high)), xtol=_BRACKET)
        optimum = float(into(found))
        shift = _SHIFT * self.scale(optimum)
        bend = (self.slope(optimum + shift) - self.slope(optimum - shift)) / (2 * _SHIFT)
        error = self.slope_error(optimum) / bend if bend > 0 else np.inf
        scale = self.scale(optimum)
        return optimum, float(scale * (error + 4 * _BRACKET)), float(bend / scale**2)


def _lowest(heights: Array) -> int:
    """Return the lowest place: an end, if from there to the lowest they differ by rounding alone.

    Such as next to infinity, where the quantity has come to its limit.
    """
    known = np.flatnonzero(np.isfinite(heights))
    best = int(np.argmin(heights))
    slack = _LEVEL * max(1.0, abs(heights[best]))
    for end in (known[-1], known[0]):
        between = known[(known >= min(best, end)) & (known <= max(best, end))]
        if (heights[between] <= heights[best] + slack).all():
            return int(end)
    return best


def _bracket(heights: Array) -> tuple[int, int] | None:
    """Return the places on both sides of the lowest, None where it is an end of what is known.

    A place without a saddle point between places that have one is no end.
    """
    known = np.flatnonzero(np.isfinite(heights))
    if not known.size:
        return None
    best = int(np.searchsorted(known, _lowest(heights)))
    inside = 0 < best < known.size - 1
    return (int(known[best - 1]), int(known[best + 1])) if inside else None


def _edge(
    place: _Place, grid: Array, heights: Array, control: Control, maximise: bool
) -> Optimum | None:
    """Return the optimum at an end that belongs to the domain, None where it is not there."""
    if not np.isfinite(heights).any():
        return None
    best, domain = _lowest(heights), control.domain
    lower = best == 0
    end = float(domain.start if lower else domain.end)
    closed = not (domain.left_open if lower else domain.right_open)
    if best not in (0, grid.size - 1) or not (closed and np.isfinite(end)):
        return None
    at: dict[str, Any] = {**place.values, place.over: end}
    solution = solve(place.formula, check=False, **at)
    if solution.status not in (Status.CONVERGED, Status.INACCURATE):
        return None
    value, error = float(solution[place.quantity]), float(solution.errors[place.quantity])
    if not place.side * value <= heights[best] + error:
        return None
    name = "lower" if lower else "upper"
    return Optimum(
        formula=place.formula,
        quantity=place.quantity,
        over=place.over,
        optimum=end,
        optimum_error=0.0,
        value=value,
        error=error,
        curvature=0.0,
        status=solution.status,
        solution=solution,
        maximise=maximise,
        place="edge",
        note=f"the {name} end of its domain, not where the slope vanishes",
    )


def _reason(place: _Place, grid: Array, heights: Array, control: Control, given: bool) -> str:
    """Say why there is no optimum inside: towards which end it lies, or what was not found."""
    name, over, quantity = place.formula.name, place.over, place.quantity
    solved = np.flatnonzero(np.isfinite(heights))
    if not solved.size:
        return f"{name}: there is no saddle point at {over} from {grid[0]:g} to {grid[-1]:g}"
    best = _lowest(heights)
    end = "lower" if best == solved[0] else "upper"
    is_end = best == (0 if end == "lower" else grid.size - 1)
    word = "greatest" if place.side < 0 else "least"
    last = f"at the {end} end" if is_end else "next to where no saddle point was found"
    where = "the range between" if given else "the range searched"
    text = (
        f"{name}: {quantity} has no optimum inside {where} {over} = {grid[solved[0]]:.4g} and "
        f"{grid[solved[-1]]:.4g}: it is {word} {last}, {place.side * heights[best]:.6g} at "
        f"{grid[best]:.4g}"
    )
    goal = float(control.domain.start if end == "lower" else control.domain.end)
    if is_end and not given and (np.isinf(goal) or (place.by_factors and end == "lower")):
        tail = heights[solved] if end == "upper" else heights[solved][::-1]
        text += f"; as {over} -> {goal:g} it {_limit(place.side * tail)}"
    if solved.size < grid.size:
        text += (
            f" (no saddle point was found at {grid.size - solved.size} more places between "
            f"{grid[0]:.4g} and {grid[-1]:.4g})"
        )
    return text


def _limit(values: Array) -> str:
    """Say what values at places in geometric progression tend to.

    Powers of the place vanish in Aitken's extrapolation; what two of them differ by is the error.
    """
    if values.size >= 4:
        first, middle, last = values[:-2], values[1:-1], values[2:]
        bend = (last - middle) - (middle - first)
        with np.errstate(all="ignore"):
            aitken = np.where(bend == 0, last, last - (last - middle) ** 2 / bend)
        spread = abs(aitken[-1] - aitken[-2]) + 1e-15 * abs(values[-1])
        shrinks = abs(values[-1] - values[-2]) < 0.9 * abs(values[-2] - values[-3])
        steady = values[-1] == values[-2]
        if (shrinks or steady) and spread <= _KNOWN * max(abs(aitken[-1]), abs(values[-1])):
            return f"tends to {with_error(float(aitken[-1]), float(spread))}"
    return "goes on without a limit that is known"


def _extended(place: _Place, grid: Array, heights: Array, low: float) -> tuple[Array, Array]:
    """Return the grid with further places beyond the end at which it is lowest, and the heights."""
    if not np.isfinite(heights).any():
        return grid, heights
    best = _lowest(heights)
    if best not in (0, grid.size - 1):
        return grid, heights
    ends = (_LAST_RANGE[0], _FIRST_RANGE[0]) if best == 0 else (_FIRST_RANGE[1], _LAST_RANGE[1])
    more = low + np.geomspace(*ends, _EXTENSION)
    more = more[:-1] if best == 0 else more[1:]
    further = place.on_grid(more)
    if best == 0:
        return np.concatenate([more, grid]), np.concatenate([further, heights])
    return np.concatenate([grid, more]), np.concatenate([heights, further])


class _Slopes:
    """The total derivative of an observable along the saddle points, with its error."""

    def __init__(self, system: System, kernel: Kernel) -> None:
        self.system, self.kernel = system, kernel

    def __call__(
        self, z: Array, parameters: list[Array], error: Array | None = None
    ) -> tuple[float, float]:
        """Return the derivative, and a bound on its error where those of z are given."""
        n = self.system.size
        if error is None:
            rows = self.kernel(*z.T, *parameters)
            values, bounds = np.array([row[0] for row in rows]), np.zeros(len(rows))
        else:
            found = self.kernel.bounded(*z.T, *parameters, refinement=_FINE)
            values = np.array([float(row.value[0]) for row in found])
            bounds = np.array([float(row.bound[0]) for row in found])
        (jacobian, force, gradient), own = _parts(values, n)
        (jacobian_error, force_error, gradient_error), own_error = _parts(bounds, n)
        inverse = np.linalg.inv(jacobian)
        response = -inverse @ force
        # how errors of the equations act on the quantity: what cancels in the product is not felt
        felt = np.abs(gradient @ inverse)
        spread = felt @ (force_error + jacobian_error @ np.abs(response))
        value = own + gradient @ response
        bound = own_error + gradient_error @ np.abs(response) + spread
        if error is not None:  # add what the error of each unknown does, by moving it
            for k in range(n):
                moved = z.copy()
                moved[:, k] += error[:, k]
                bound += abs(self(moved, parameters)[0] - value)
        return float(value), float(bound)


def _parts(row: Array, n: int) -> tuple[tuple[Array, Array, Array], float]:
    jacobian = row[: n * n].reshape(n, n)
    return (jacobian, row[n * n : n * n + n], row[n * n + n : n * n + 2 * n]), float(row[-1])


@lru_cache(maxsize=64)
def _slopes(formula: Formula, quantity: str, over: str) -> _Slopes | None:
    """Return the derivative, None where there is no symbolic one."""
    system = saddle_system(formula)
    control = formula.controls[over].symbol
    observable = formula.observable(quantity)
    if any(nesting(e) > 1 for e in (*system.equations, observable)):
        return None
    entries: list[Expr] = [e.diff(s) for e in system.equations for s in system.unknowns]
    entries += [e.diff(control) for e in system.equations]
    entries += [observable.diff(s) for s in system.unknowns]
    entries.append(observable.diff(control))
    if any(entry.has(DiracDelta) for entry in entries):
        return None
    return _Slopes(system, compile_kernel(system.arguments, tuple(entries)))
