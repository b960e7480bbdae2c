"""Storage in spherical weights at margin zero: linear programming decides strict separability."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from replica.blocks.sphere import Sphere
from replica.declarations.frozen import FrozenMapping
from replica.errors import ControlError, ConvergenceError
from replica.experiments.checks import shown
from replica.experiments.driver import Request, register_simulation
from replica.experiments.storage import AcceptedFields, Storage, Stored

__all__ = ["SphericalStorage", "are_separable", "strictly_separable"]

FloatArray = NDArray[np.float64]

# Linear programme: a margin above the first is a proof in floating point (rounding is 1e-13);
# a bound on the margin below the second is the solver's accuracy, and no margin is ever in
# between in practice (they are of order 1/sqrt(p), with a density bounded near 0).
_STRICT_MARGIN = 1e-10
_NO_MARGIN = 1e-6
# Fields at which a constraint is compared with the half-line of positive ones. Zero itself is not
# among them: it has no weight.
_FIELDS = np.concatenate([-np.geomspace(1e-6, 100, 400), np.geomspace(1e-6, 100, 400)])


@register_simulation
class SphericalStorage(Storage):
    """Storage in weights on the sphere, at margin zero, where it is a linear programme.

    The answer of the programme is checked by its own certificate: a weight vector, or a convex
    combination of patterns that vanishes. The grid, where none is given, is four standard
    deviations around n = 2 p, with every instance's exact capacity; a given grid is cheaper, and
    then ``capacity`` is not measured. Measured: ``satisfiable``, ``capacity`` (see `Storage`).

    Raises
    ------
    ControlError
        More than 1000 weights, another margin, or a constraint that accepts anything but the
        positive fields.
    ConvergenceError
        The linear programme could not be decided (not met so far).

    Examples
    --------
    >>> import replica as rp
    >>> rp.simulate(rp.formulas["spherical-perceptron"], p=10, n=[10, 40], instances=5)[
    ...     "satisfiable"
    ... ].tolist()
    [1.0, 0.0]
    """

    roles = FrozenMapping({"weights": Sphere, "constraint": AcceptedFields})
    method = "linear programme for strict separability"
    largest_p = 1000
    too_large = (
        "the time of the linear programme grows as p^3 (1.5 s at p = 400, a minute at p = 1000)"
    )

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        where, kappa = request.where, self.kappa
        if not np.array_equal(self.constraint.satisfied(_FIELDS, 0.0), _FIELDS > 0):
            name = shown(getattr(self.constraint, "name", str(self.constraint)))
            raise ControlError(
                f"{where}: spherical weights with constraint {name} are not "
                "a linear programme; allowed: constraint 'step' at kappa = 0"
            )
        if kappa != 0:
            raise ControlError(
                f"{where}: kappa = {kappa:g}; allowed: kappa = 0, the only margin a linear "
                "programme decides (a quadratic programme for kappa > 0; not convex for kappa < 0)"
            )

    def instance(self, rng: np.random.Generator) -> Stored:
        """Find the largest separable n: over the grid, or over all integers without one."""
        p = self.request.p
        drawn = np.empty((0, p))

        def separable(n: int) -> bool:
            nonlocal drawn
            # Far beyond the capacity the first patterns settle it: the constraints are nested.
            for size in sorted({min(n, 4 * p + 64), n}):
                if size > len(drawn):
                    # At kappa = 0 the scale of the patterns is free: entries of order 1.
                    drawn = np.vstack([drawn, rng.standard_normal((size - len(drawn), p))])
                if not strictly_separable(drawn[:size], self.request.where):
                    return False
            return True

        if self.request.n is not None:
            candidates = sorted(set(self.grid))
            first, last = 0, len(candidates)
            # candidates[:first] are separable and candidates[last:] are not, at every step
            while first < last:
                middle = (first + last) // 2
                if separable(candidates[middle]):
                    first = middle + 1
                else:
                    last = middle
            return Stored(candidates[first - 1] if first else 0, exact=False)
        # p points in general position always are; beyond, widen the bracket from 2 p outwards.
        step = math.ceil(math.sqrt(2 * p))
        largest, smallest, trial = p, 0, 2 * p
        while not smallest or smallest - largest > 1:
            if separable(trial):
                largest = trial
            else:
                smallest = trial
            if not smallest:
                trial, step = trial + step, 2 * step
            elif largest == p and smallest - step > p:
                trial, step = smallest - step, 2 * step
            else:
                trial = (largest + smallest) // 2
        return Stored(largest, exact=True)

    def curve(self, outcomes: Sequence[Stored]) -> Sequence[int]:
        """Return four standard deviations, sqrt(2 p), of the capacity on each side of 2 p."""
        p = self.request.p
        window = 2 * p + math.sqrt(2 * p) * np.linspace(-4, 4, 17)
        return [int(value) for value in np.unique(np.maximum(np.round(window), 1))]


def are_separable(X: FloatArray, y: FloatArray, where: str) -> bool:
    """Decide whether some w has every field of the sign of its label."""
    # fields of order one, as the linear programme expects
    return strictly_separable(math.sqrt(X.shape[1]) * y[:, None] * X, where)


def strictly_separable(patterns: FloatArray, where: str) -> bool:
    r"""Decide whether some w has every field positive.

    .. math:: \max_{w, t} t \quad \text{with} \quad x_\mu \cdot w \ge t, \; |w_i| \le 1

    The maximum is positive if and only if there is one. The solver's word is not taken: w proves
    "yes" by its fields, and the multipliers, a convex combination of patterns of norm close to 0,
    bound the margin of any w and prove "no".
    """
    from scipy.optimize import linprog  # a quarter of a second, only when needed

    n, p = patterns.shape
    objective = np.zeros(p + 1)
    objective[-1] = -1.0
    rows = np.hstack([-patterns, np.ones((n, 1))])
    bounds = [(-1.0, 1.0)] * p + [(None, None)]
    for method in ("highs-ds", "highs-ipm"):
        solution: Any = linprog(
            objective, A_ub=rows, b_ub=np.zeros(n), bounds=bounds, method=method
        )
        if solution.x is None:
            continue
        if float((patterns @ solution.x[:p]).min()) > _STRICT_MARGIN:
            return True
        weights = np.maximum(-np.asarray(solution.ineqlin.marginals), 0.0)
        if weights.sum() > 0.5 and np.abs(weights @ patterns).sum() < _NO_MARGIN * weights.sum():
            return False
    raise ConvergenceError(
        f"{where}: the linear programme with n = {n}, p = {p} could not be decided within its "
        f"accuracy ({solution.message}); use another seed"
    )
