r"""Planted committees by drawn instances: two hidden units learned by message passing.

Row i of a (p, 2) is the posterior mean of the two weights of input i; the iteration is that of
`replica.experiments.amp` with two fields.

References
----------
Aubin, Maillard, Barbier, Krzakala, Macris and Zdeborová, arXiv:1806.05451.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from replica.blocks.committees import CommitteeChannel, PairPrior
from replica.declarations.frozen import FrozenMapping
from replica.experiments.amp import Inference, Settings, infer
from replica.experiments.driver import Request, Simulation, register_simulation
from replica.experiments.planted_pair import PlantedPair
from replica.solvers.solution import Status

__all__ = ["CommitteeStudent", "exchangeable_overlaps"]

FloatArray = NDArray[np.float64]

_NEW_PATTERNS = 20_000


def exchangeable_overlaps(mean: FloatArray, w_star: FloatArray) -> tuple[float, float]:
    """Return q00 and q01 with the teacher's weights, its units exchanged where that is more.

    Parameters
    ----------
    mean, w_star : ndarray, shape (p, 2)

    Examples
    --------
    >>> exchangeable_overlaps(np.array([[0.0, 1.0]]), np.array([[1.0, 0.0]]))
    (0.5, 0.0)
    """
    matrix = mean.T @ w_star / len(w_star)
    same, other = (float(np.trace(m)) / 2 for m in (matrix, matrix[:, ::-1]))
    return max(same, other), min(same, other)


@register_simulation
class CommitteeStudent(Simulation[list[dict[str, float]]]):
    r"""Pairs of teachers and the labels of their committee; message passing with two fields.

    The observables are the theory's:

    * ``"q00"``, ``"q01"``: mean overlap of a unit with its teacher and with the other one, up to
      the exchange of the units;
    * ``"eps_g"`` = E (y - <y>)^2 / 2 on 20000 new patterns;
    * ``"steps"``, ``"converged"``: iterations taken, and the fraction of instances that converged.
      Instances that diverge are left out of all other means.

    Arguments of its own are ``max_steps`` (1000), ``damping`` and ``tolerance``, as of `amp`.

    Examples
    --------
    >>> import replica as rp
    >>> result = rp.simulate(rp.formulas["committee-machine"], p=300, alpha=1, instances=2)
    >>> result["converged"].tolist()
    [1.0]
    """

    roles = FrozenMapping({"prior": PairPrior, "channel": CommitteeChannel})
    arguments = ("max_steps", "damping", "tolerance")
    largest_p = 10**8
    largest_entries = 10**9  # 8 GB
    fractions = frozenset({"converged"})
    method = "approximate message passing with vectors"

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self.settings = Settings.checked(request.where, **{"max_steps": 1000, **request.arguments})
        self.model = PlantedPair(request.blocks["prior"], request.blocks["channel"])

    def instance(self, rng: np.random.Generator) -> list[dict[str, float]]:
        """Draw two teachers, patterns and labels, and infer the weights at each n."""
        model, p = self.model, self.request.p
        teacher = model.draw_weights(rng, p)
        X = rng.standard_normal((max(self.grid), p)) / np.sqrt(p)
        labels = model.draw_labels(rng, X @ teacher)
        measured = []
        for n in self.grid:
            found = infer(model, X[:n], labels[:n], self.settings, rng)
            if found.status is Status.DIVERGED:
                names = ("q00", "q01", "eps_g", "steps")
                measured.append({**dict.fromkeys(names, np.nan), "converged": 0.0})
                continue
            q00, q01 = exchangeable_overlaps(found.mean, teacher)
            measured.append(
                {
                    "q00": q00,
                    "q01": q01,
                    "eps_g": _error(found, teacher, rng),
                    "steps": float(found.steps),
                    "converged": float(found.converged),
                }
            )
        return measured


def _error(found: Inference, teacher: FloatArray, rng: np.random.Generator) -> float:
    """Return half the squared error of the mean label on new patterns."""
    # new Gaussian patterns enter by four jointly Gaussian fields: drawing them is enough
    both = np.concatenate([teacher, found.mean], axis=1)
    values, vectors = np.linalg.eigh(both.T @ both / len(teacher))
    drawn = rng.standard_normal((_NEW_PATTERNS, 4)) * np.sqrt(np.maximum(values, 0.0))
    fields = drawn @ vectors.T
    labels = found.model.draw_labels(rng, fields[:, :2])
    expected = found.model.predicted_label(fields[:, 2:], found.variance)
    return float(np.mean((labels - expected) ** 2) / 2)
