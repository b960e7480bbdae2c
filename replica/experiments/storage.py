"""What the storage of random patterns is, whatever the weights: how many an instance satisfies.

An instance is an endless list of patterns x_1, x_2, ... with entries N(0, 1/p), added one by one
until no weight vector satisfies them all. Labels are absorbed in the patterns, whose law is even.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from replica.experiments.driver import Measured, Request, Simulation
from replica.experiments.result import fraction_with_error, mean_with_error

__all__ = ["AcceptedFields", "Storage", "Stored"]

FloatArray = NDArray[np.float64]


@runtime_checkable
class AcceptedFields(Protocol):
    """What an experiment needs of a constraint: its set as a test on arrays."""

    def satisfied(self, fields: Any, kappa: float) -> Any:
        """Tell which fields are accepted at the margin kappa, as booleans of the same shape."""


@dataclass(frozen=True)
class Stored:
    """One instance: satisfiable up to `largest_n`, among the grid only unless `exact`."""

    largest_n: int
    exact: bool
    solutions: FloatArray | None = None  # their number for n = 0, 1, ..., largest_n


class Storage(Simulation[Stored]):
    r"""Storage of random patterns.

    .. math:: \text{satisfiable at } n \iff \exists\, w :\;
       x_\mu \cdot w \in S(\kappa), \quad \mu = 1, \dots, n = \alpha p

    Measured:

    * ``"satisfiable"``: fraction of instances with a solution; the error is that of
      `fraction_with_error` (never 0).
    * ``"entropy"``: log(number of solutions)/p in nats per weight, where solutions are counted,
      averaged over the instances satisfiable at that n **only**; NaN if there is none. Close to
      and beyond the threshold it therefore describes atypically easy instances.
    * ``"capacity"``: largest satisfiable n divided by p, one number, and ``largest_n`` of each
      instance; both only where it is known exactly.

    Points of one curve are not independent: an instance adds its patterns one after the other, so
    the errors at neighbouring n are correlated.
    """

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self.constraint: AcceptedFields = request.blocks["constraint"]
        self.kappa = request.controls.get("kappa", 0.0)

    @classmethod
    def default_grid(cls, request: Request) -> tuple[int, ...] | None:
        """Return None: the whole curve, whose grid is known once the instances are drawn."""
        return None

    @abstractmethod
    def curve(self, outcomes: Sequence[Stored]) -> Sequence[int]:
        """Return the grid of the whole curve."""

    def summary(self, outcomes: Sequence[Stored]) -> Measured:
        """Return the fractions of satisfiable instances, and the means of what was counted."""
        grid = np.array(self.curve(outcomes) if self.request.n is None else self.grid)
        observables: dict[str, float | FloatArray] = {}
        errors: dict[str, float | FloatArray] = {}
        largest_n = np.array([outcome.largest_n for outcome in outcomes], dtype=np.int64)
        successes = (largest_n[:, None] >= grid).sum(axis=0)
        observables["satisfiable"], errors["satisfiable"] = fraction_with_error(
            successes, len(outcomes)
        )
        if all(outcome.solutions is not None for outcome in outcomes):
            entropy = np.full((len(outcomes), len(grid)), np.nan)
            for row, outcome in zip(entropy, outcomes, strict=True):
                inside = grid <= outcome.largest_n
                row[inside] = np.log(np.asarray(outcome.solutions)[grid[inside]]) / self.request.p
            observables["entropy"], errors["entropy"] = mean_with_error(entropy)
        details: Mapping[str, Any] = {}
        if all(outcome.exact for outcome in outcomes):
            capacity, error = mean_with_error(largest_n / self.request.p)
            observables["capacity"], errors["capacity"] = float(capacity), float(error)
            details = {"largest_n": largest_n}
        return Measured(observables, errors, [int(n) for n in grid], details)
