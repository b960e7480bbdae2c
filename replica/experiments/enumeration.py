"""Storage in binary weights: all of them are enumerated, pattern after pattern."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from replica.blocks.priors import Prior, Rademacher
from replica.declarations.frozen import FrozenMapping
from replica.errors import ControlError
from replica.experiments.driver import Request, register_simulation
from replica.experiments.storage import AcceptedFields, Storage, Stored

__all__ = ["BinaryStorage"]

FloatArray = NDArray[np.float64]

# Fields evaluated per instance (about ten minutes) and patterns kept in memory.
_LARGEST_WORK = 1e11
_LARGEST_NUMBER_OF_PATTERNS = 3e4
# Weights enumerated at once: 2^16 fields stay in the cache.
_CHUNK_BITS = 16


@register_simulation
class BinaryStorage(Storage):
    """Storage in weights -1 and 1, decided exactly by enumeration of all 2^p vectors.

    The grid, where none is given, runs from n = 1 to the first n at which no instance is
    satisfiable. Measured: ``satisfiable``, ``entropy``, ``capacity`` (see `Storage`).

    Raises
    ------
    ControlError
        More than 24 weights, or a constraint that rejects so few fields that the enumeration would
        not end in reasonable time.

    References
    ----------
    Krauth and Opper, J. Phys. A 22, L519 (1989), for the enumeration of binary weights.

    Examples
    --------
    >>> import replica as rp
    >>> rp.simulate(rp.formulas["binary-perceptron"], p=10, instances=5)["capacity"]
    0.8
    """

    roles = FrozenMapping({"weights": Prior, "constraint": AcceptedFields})
    method = "enumeration of all binary weights"
    largest_p = 24
    too_large = (
        "all 2^p weights are enumerated, and each further weight doubles the time "
        "(0.2 s per instance at p = 24, kappa = 0)"
    )

    @classmethod
    def takes(cls, blocks: Mapping[str, Any]) -> bool:
        """Tell whether the weights are -1 and 1, with equal chances."""
        if not super().takes(blocks):
            return False
        atoms = getattr(blocks["weights"], "components", ())
        return set(atoms) == set(getattr(Rademacher(), "components", ()))

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self._check_work()

    def _check_work(self) -> None:
        """Refuse what would not end: each pattern keeps a fraction 1 - r of the weights."""
        where, p, kappa = self.request.where, self.request.p, self.kappa
        z = np.linspace(-9.0, 9.0, 180_001)
        density = np.exp(-z * z / 2)
        accepted = self.constraint.satisfied(z, kappa)
        rejected = 1 - float(density[accepted].sum() / density.sum())
        if not rejected > 0:
            raise ControlError(
                f"{where}: at kappa = {kappa:g} every weight satisfies every pattern, so no "
                "instance ever becomes unsatisfiable; use a more demanding kappa"
            )
        work, patterns = 2.0**p / rejected, p * math.log(2) / rejected
        if work > _LARGEST_WORK or patterns > _LARGEST_NUMBER_OF_PATTERNS:
            raise ControlError(
                f"{where}: at kappa = {kappa:g} a pattern rejects only a fraction "
                f"{rejected:.1e} of the weights, so an instance would need about {patterns:.0e} "
                f"patterns and {work:.0e} fields; allowed: {_LARGEST_NUMBER_OF_PATTERNS:.0e} and "
                f"{_LARGEST_WORK:.0e}; use a more demanding kappa or a smaller p"
            )

    def instance(self, rng: np.random.Generator) -> Stored:
        """Count the solutions after each pattern, over all 2^p weights.

        The weights split in three parts, w = (high, left, right): the field of each part is a small
        table. For each `high` the 2^16 others are filtered pattern after pattern, so that time is a
        few 2^p and memory does not grow with p.
        """
        satisfied, kappa = self.constraint.satisfied, self.kappa
        p = self.request.p
        inner = min(p, _CHUNK_BITS)
        right_bits = inner // 2
        left_bits = inner - right_bits
        left_signs, right_signs = _signs(left_bits), _signs(right_bits)
        high_signs = _signs(p - inner)
        tables: list[tuple[FloatArray, FloatArray, FloatArray]] = []
        solutions = [2**p]

        def pattern(index: int) -> tuple[FloatArray, FloatArray, FloatArray]:
            if index == len(tables):
                x = rng.standard_normal(p) / math.sqrt(p)
                tables.append(
                    (
                        high_signs @ x[inner:],
                        left_signs @ x[:left_bits],
                        right_signs @ x[left_bits:inner],
                    )
                )
                solutions.append(0)
            return tables[index]

        for chunk in range(len(high_signs)):
            high, left, right = pattern(0)
            fields = np.add.outer(left + high[chunk], right).ravel()
            alive = np.flatnonzero(satisfied(fields, kappa))
            lefts, rights = alive >> right_bits, alive & (2**right_bits - 1)
            solutions[1] += alive.size
            index = 1
            while alive.size:
                high, left, right = pattern(index)
                fields = (left + high[chunk])[lefts] + right[rights]
                alive = np.flatnonzero(satisfied(fields, kappa))
                lefts, rights = lefts[alive], rights[alive]
                index += 1
                solutions[index] += alive.size
        counts = np.array(solutions, dtype=np.float64)
        largest_n = int(np.flatnonzero(counts)[-1])
        return Stored(largest_n, exact=True, solutions=counts[: largest_n + 1])

    def curve(self, outcomes: Sequence[Stored]) -> Sequence[int]:
        """Return n = 1, 2, ... up to the first at which no instance is satisfiable."""
        return range(1, max(outcome.largest_n for outcome in outcomes) + 2)


def _signs(bits: int) -> FloatArray:
    """All vectors of {-1, 1}^bits, one per row."""
    words = np.arange(2**bits)[:, None] >> np.arange(bits)
    return np.asarray(1.0 - 2.0 * (words & 1), dtype=np.float64)
