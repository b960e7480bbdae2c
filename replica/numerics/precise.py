r"""The same expressions in mpmath: any number of digits, and the truth for tests.

The layers are those of the fast path; only the arithmetic and the rules differ. Smooth
integrands use the trapezoid, halved until it agrees with itself; narrow features and kinks use
Gauss-Legendre panels graded in the same way.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import singledispatch
from typing import Any, Protocol

import mpmath
from mpmath.calculus.quadrature import GaussLegendre
from sympy import Expr, Symbol

from replica.errors import LoweringError
from replica.numerics.hoisting import hoist
from replica.numerics.lowering import (
    Integral,
    Layer,
    TiltedIntegral,
    WeightedSum,
    lower,
    precise_function,
)
from replica.numerics.structure import has_kink

__all__ = ["PreciseIntegral", "PreciseKernel", "precise_integral"]

_GUARD = 10  # digits carried beyond those asked for
_NARROW = 0.1  # scaled width below which panels beat the trapezoid
_SINGULARITY_DISTANCE = 1.5  # of a primitive from the real line, in widths, as in `plan`
_MAX_HALVINGS = 8  # of the trapezoid's step
_WIDEST = 1000  # scaled field: an integrand that has not fallen here outgrows every Gaussian


class PreciseKernel:
    """Expressions in `arguments`, evaluated with a chosen number of digits.

    Parameters
    ----------
    arguments : sequence of Symbol
    expressions : sequence of Expr

    Examples
    --------
    >>> from sympy import symbols
    >>> from replica.language.means import Mean
    >>> h, v = symbols("h v", real=True)
    >>> kernel = PreciseKernel((v,), (Mean(h**4, (h, v)),))
    >>> (value,), (error,) = kernel([mpmath.mpf(2)], digits=30)
    >>> mpmath.nstr(value, 20), bool(error < 1e-30)
    ('12.0', True)
    """

    def __init__(self, arguments: Sequence[Symbol], expressions: Sequence[Expr]) -> None:
        constants, left = hoist(expressions)
        self._first = PreciseKernel(arguments, tuple(constants)) if constants else None
        self._layer = _PreciseLayer(lower((*arguments, *constants.values()), left))

    def __call__(
        self, values: Sequence[Any], digits: int
    ) -> tuple[list[mpmath.mpf], list[mpmath.mpf]]:
        """Return values and error estimates, as mpmath numbers."""
        with mpmath.workdps(digits + _GUARD):
            numbers = [_to_mpf(value) for value in values]
            if self._first:  # with more digits, so that their error does not matter below
                numbers += self._first(numbers, digits + _GUARD // 2)[0]
            return self._layer.evaluate(numbers, digits)


def _to_mpf(value: Any) -> mpmath.mpf:
    if isinstance(value, Expr):
        return mpmath.mpf(value.evalf(mpmath.mp.dps)._to_mpmath(mpmath.mp.prec))
    return mpmath.mpf(value)


class PreciseIntegral(Protocol):
    """Means over one law, in multi-precision."""

    def evaluate(
        self, arguments: list[mpmath.mpf], digits: int
    ) -> tuple[list[mpmath.mpf], list[mpmath.mpf]]:
        """Return the means at these numbers, and their errors."""
        ...


@singledispatch
def precise_integral(part: Any) -> PreciseIntegral:
    """Return an integral of a layer in multi-precision; each kind registers its own."""
    raise LoweringError(f"no quadrature in multi-precision is known for {type(part).__name__}")


class _PreciseLayer:
    def __init__(self, layer: Layer) -> None:
        self.function = precise_function(layer.symbols, layer.expressions)
        self.integrals = [precise_integral(part) for part in layer.integrals]

    def evaluate(
        self, arguments: list[mpmath.mpf], digits: int
    ) -> tuple[list[mpmath.mpf], list[mpmath.mpf]]:
        means: list[mpmath.mpf] = []
        errors: list[mpmath.mpf] = []
        for integral in self.integrals:
            found, spread = integral.evaluate(arguments, digits)
            means += found
            errors += spread
        values = self.function(*arguments, *means)
        spreads = [mpmath.mpf(0)] * len(values)
        for k, error in enumerate(errors):
            # move one mean by its error to see what that does to each expression
            moved = [m + (error if j == k else 0) for j, m in enumerate(means)]
            for row, value in enumerate(self.function(*arguments, *moved)):
                spreads[row] += abs(value - values[row])
        unit = mpmath.mpf(10) ** (-digits - _GUARD // 2)
        return values, [
            spread + unit * abs(value) for spread, value in zip(spreads, values, strict=True)
        ]


@precise_integral.register(WeightedSum)
class _PreciseSum:
    def __init__(self, part: WeightedSum) -> None:
        self.count = len(part.results)
        self.body = _PreciseLayer(part.body)
        self.spectrum = part.spectrum

    def evaluate(
        self, arguments: list[mpmath.mpf], digits: int
    ) -> tuple[list[mpmath.mpf], list[mpmath.mpf]]:
        totals, errors = [mpmath.mpf(0)] * self.count, [mpmath.mpf(0)] * self.count
        for point, weight in zip(self.spectrum.points, self.spectrum.weights, strict=True):
            values, spread = self.body.evaluate([*arguments, mpmath.mpf(point)], digits)
            for k, (value, error) in enumerate(zip(values, spread, strict=True)):
                totals[k] += weight * value
                errors[k] += weight * error
        return totals, errors


@precise_integral.register(Integral)
class _PreciseIntegral:
    def __init__(self, integral: Integral) -> None:
        outer = integral.body.arguments[:-1]
        self.count = len(integral.results)
        self.kinked = has_kink(integral.features)
        self.body = _PreciseLayer(integral.body)
        self.variance = precise_function(outer, (integral.variance,))
        self.features = precise_function(
            outer, tuple(part for f in integral.features for part in (f.centre, f.width))
        )

    def evaluate(
        self, arguments: list[mpmath.mpf], digits: int
    ) -> tuple[list[mpmath.mpf], list[mpmath.mpf]]:
        (variance,) = self.variance(*arguments)
        spread = mpmath.sqrt(variance)
        inner_error = [mpmath.mpf(0)] * self.count

        def at(t: mpmath.mpf) -> list[mpmath.mpf]:
            values, errors = self.body.evaluate([*arguments, spread * t], digits)
            weight = mpmath.exp(-t * t / 2) / mpmath.sqrt(2 * mpmath.pi)
            for k, error in enumerate(errors):
                inner_error[k] = max(inner_error[k], error * weight)
            return [weight * value for value in values]

        if spread == 0:
            values, errors = self.body.evaluate([*arguments, mpmath.mpf(0)], digits)
            return values, errors
        reach = _reach(at, digits)
        parts = self.features(*arguments)
        marks = [
            (centre / spread, width / spread)
            for centre, width in zip(parts[::2], parts[1::2], strict=True)
            if not centre.imag and not width.imag and mpmath.isfinite(centre)  # no zero otherwise
        ]
        smallest = min([width for _, width in marks], default=mpmath.mpf(1))
        if self.kinked or smallest < _NARROW:
            found, error = _by_panels(at, marks, reach, digits, self.count)
        else:
            found, error = _by_trapezoid(at, smallest, reach, digits, self.count)
        return found, [e + 2 * reach * inner for e, inner in zip(error, inner_error, strict=True)]


def _by_trapezoid(
    at: Callable[[mpmath.mpf], list[mpmath.mpf]],
    width: mpmath.mpf,
    reach: mpmath.mpf,
    digits: int,
    count: int,
) -> tuple[list[mpmath.mpf], list[mpmath.mpf]]:
    """Halve the step until the last halving shows that the next one would change nothing."""
    strip = _SINGULARITY_DISTANCE * min(width, mpmath.mpf(1))
    step = 8 * strip / (digits + _GUARD)  # coarse: to see convergence takes two halvings
    target = mpmath.mpf(10) ** (-digits - 3)
    sums = at(mpmath.mpf(0))
    sizes = [abs(value) for value in sums]

    def add(first: int, stride: int) -> None:
        for k in itertools.count(first, stride):
            t = k * step
            if t > reach:
                return
            for sign in (1, -1):
                for j, value in enumerate(at(sign * t)):
                    sums[j] += value
                    sizes[j] += abs(value)

    add(1, 1)
    old = [step * total for total in sums]
    new, errors = old, [abs(value) for value in old]
    before = errors
    for _ in range(_MAX_HALVINGS):
        step /= 2
        add(1, 2)
        new = [step * total for total in sums]
        change = [abs(a - b) for a, b in zip(new, old, strict=True)]
        size = [step * total for total in sizes]
        errors = [
            _extrapolated(c, s) if c < s / 1000 and b < s / 30 else 3 * max(b, c)
            for c, b, s in zip(change, before, size, strict=True)
        ]
        if all(e <= target * s for e, s in zip(errors, size, strict=True)):
            break
        old, before = new, change
    return new, errors


def _extrapolated(difference: mpmath.mpf, size: mpmath.mpf) -> mpmath.mpf:
    """Halving squares the error; claim the power 3/2 (as in `quadrature.extrapolated_error`)."""
    if size == 0 or difference == 0:
        return mpmath.mpf(0)
    ratio = difference / size
    return difference * mpmath.sqrt(ratio) if ratio < mpmath.mpf("1e-3") else difference


def _by_panels(
    at: Callable[[mpmath.mpf], list[mpmath.mpf]],
    marks: Sequence[tuple[mpmath.mpf, mpmath.mpf]],
    reach: mpmath.mpf,
    digits: int,
    count: int,
) -> tuple[list[mpmath.mpf], list[mpmath.mpf]]:
    edges = {mpmath.mpf(k) for k in range(-int(reach), int(reach) + 1, 2)} | {-reach, reach}
    for centre, width in marks:
        edges.add(centre)
        distance = min(width, mpmath.mpf(2)) if width > 0 else mpmath.mpf(2)
        while distance < 2 * reach:
            edges |= {centre - distance, centre + distance}
            distance *= 2
    points = sorted(edge for edge in edges if -reach <= edge <= reach)
    shortest = mpmath.mpf(10) ** (-digits - _GUARD)
    panels = [pair for pair in itertools.pairwise(points) if pair[1] - pair[0] > shortest]
    rule = GaussLegendre(mpmath.mp)

    def on_panel(
        low: mpmath.mpf, high: mpmath.mpf, degree: int
    ) -> tuple[list[mpmath.mpf], list[mpmath.mpf]]:
        # these weights include the length of the panel
        nodes = rule.get_nodes(low, high, degree, mpmath.mp.prec)
        rows = [at(node) for node, _ in nodes]
        weights = [weight for _, weight in nodes]
        values = [mpmath.fdot(weights, [row[k] for row in rows]) for k in range(count)]
        sizes = [mpmath.fdot(weights, [abs(row[k]) for row in rows]) for k in range(count)]
        return values, sizes

    first = [on_panel(low, high, 4) for low, high in panels]
    whole = [mpmath.fsum(sizes[k] for _, sizes in first) for k in range(count)]
    target = mpmath.mpf(10) ** (-digits - 5)
    totals = [mpmath.mpf(0)] * count
    errors = [mpmath.mpf(0)] * count
    for (low, high), (old, _) in zip(panels, first, strict=True):
        for degree in range(5, 9):
            new, sizes = on_panel(low, high, degree)
            change = [
                _extrapolated(abs(a - b), size) for a, b, size in zip(new, old, sizes, strict=True)
            ]
            if all(c <= target * size for c, size in zip(change, whole, strict=True)):
                break
            old = new
        for k in range(count):
            totals[k] += new[k]
            errors[k] += change[k]
    return totals, errors


def _reach(at: Callable[[mpmath.mpf], list[mpmath.mpf]], digits: int) -> mpmath.mpf:
    """Return how far the field must run: to where the integrand has become negligible."""
    reach = mpmath.sqrt(2 * (digits + 5) * mpmath.log(10)) + 1
    negligible = mpmath.mpf(10) ** (-digits - 3)
    largest: list[mpmath.mpf] = []
    while reach < _WIDEST:
        inside = [at(reach * k / 8) for k in range(-7, 8)]
        largest = [max(abs(row[k]) for row in inside) for k in range(len(inside[0]))]
        ends = [*zip(at(-reach), largest, strict=True), *zip(at(reach), largest, strict=True)]
        if all(abs(value) <= negligible * size for value, size in ends):
            break
        reach *= mpmath.mpf(5) / 4
    return reach


@precise_integral.register(TiltedIntegral)
class _PreciseTilted:
    def __init__(self, part: TiltedIntegral) -> None:
        outer = part.body.arguments[:-1]
        self.count = len(part.results)
        self.exponent = _PreciseLayer(part.exponent)
        self.body = _PreciseLayer(part.body)
        self.law = precise_function(outer, (part.variance, part.power))
        self.features = precise_function(
            outer, tuple(number for f in part.features for number in (f.centre, f.width))
        )

    def evaluate(
        self, arguments: list[mpmath.mpf], digits: int
    ) -> tuple[list[mpmath.mpf], list[mpmath.mpf]]:
        variance, power = self.law(*arguments)
        if variance == 0:
            return self.body.evaluate([*arguments, mpmath.mpf(0)], digits)
        # what a small power divides needs as many digits more
        extra = max(0, -int(mpmath.mag(power) * 0.31)) if power else 0
        with mpmath.workdps(mpmath.mp.dps + extra):
            return self._weighed(arguments, mpmath.sqrt(variance), power, digits, digits + extra)

    def _weighed(
        self,
        arguments: list[mpmath.mpf],
        spread: mpmath.mpf,
        power: mpmath.mpf,
        digits: int,
        inside: int,
    ) -> tuple[list[mpmath.mpf], list[mpmath.mpf]]:
        parts = self.features(*arguments)
        marks = [
            (centre / spread, width / spread)
            for centre, width in zip(parts[::2], parts[1::2], strict=True)
            if not centre.imag and not width.imag and mpmath.isfinite(centre)
        ]
        inner = [mpmath.mpf(0)] * self.count

        def height(t: mpmath.mpf) -> mpmath.mpf:
            return power * self.exponent.evaluate([*arguments, spread * t], 15)[0][0] - t * t / 2

        low, high, top, peaks = _range_of(height, [centre for centre, _ in marks], inside)
        middle, reach = (low + high) / 2, (high - low) / 2
        unit = min([width for _, width in peaks], default=mpmath.mpf(1))

        def at(s: mpmath.mpf) -> list[mpmath.mpf]:
            t = middle + unit * s
            (exponent, *bodies), errors = self.body.evaluate([*arguments, spread * t], inside)
            weight = mpmath.exp(power * exponent - t * t / 2 - top)
            for k, error in enumerate(errors):
                inner[k] = max(inner[k], error)
            return [weight, *(weight * body for body in (exponent, *bodies))]

        placed = [((centre - middle) / unit, width / unit) for centre, width in [*marks, *peaks]]
        sums, errors = _by_panels(at, placed, reach / unit, inside, self.count + 1)
        total = unit * sums[0]
        means = [value / sums[0] for value in sums[1:]]
        lost = errors[0] / sums[0]
        bounds = [
            error / sums[0] + abs(mean) * lost + spread
            for error, mean, spread in zip(errors[1:], means, inner, strict=True)
        ]
        if power:
            means[0] = (top + mpmath.log(total / mpmath.sqrt(2 * mpmath.pi))) / power
            bounds[0] = lost / abs(power) + inner[0]
        return means, bounds


def _range_of(
    height: Callable[[mpmath.mpf], mpmath.mpf], centres: Sequence[mpmath.mpf], digits: int
) -> tuple[mpmath.mpf, mpmath.mpf, mpmath.mpf, list[tuple[mpmath.mpf, mpmath.mpf]]]:
    """Return the range in which a weight counts, its largest exponent, and its peaks."""
    low, high = mpmath.mpf(-40), mpmath.mpf(40)
    negligible = (digits + _GUARD) * mpmath.log(10)
    while True:
        step = (high - low) / 80
        grid = sorted({low + k * step for k in range(81)} | {c for c in centres if low < c < high})
        found = [height(t) for t in grid]
        top = max(found)
        counts = [k for k, value in enumerate(found) if value > top - negligible]
        if (counts[0] == 0 or counts[-1] == len(grid) - 1) and high - low < _WIDEST * 100:
            low, high = 2 * low, 2 * high
            continue
        begin = grid[max(counts[0] - 1, 0)]
        end = grid[min(counts[-1] + 1, len(grid) - 1)]
        settled = end - begin > (high - low) / 2
        low, high = begin, end
        if settled:
            break
    peaks = []
    for k in range(1, len(grid) - 1):
        before, middle, after = found[k - 1 : k + 2]
        left, right = grid[k] - grid[k - 1], grid[k + 1] - grid[k]
        bend = 2 * ((middle - before) / left + (middle - after) / right) / (left + right)
        if before <= middle >= after and middle > top - negligible and bend > 0:
            peaks.append((grid[k], 1 / mpmath.sqrt(bend)))
    return low, high, top, peaks
