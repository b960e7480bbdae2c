r"""Two hidden units: priors of pairs of weights, channels of pairs of fields (blocks of K = 2).

The overlap matrix of two pairs, symmetric under the exchange of the units, is

.. math:: q = \begin{pmatrix} q_{00} & q_{01} \\ q_{01} & q_{00} \end{pmatrix},
   \qquad q_\pm = q_{00} \pm q_{01},

with the eigenvalues :math:`q_\pm` on :math:`w_\pm = (w_1 \pm w_2)/\sqrt2`. Blocks work with the
gaps :math:`D_\pm = 1 - q_\pm` and the conjugates :math:`\lambda_\pm` of the eigenvalues. A field
known to :math:`\omega` with the variances :math:`D_\pm` has the label y with probability

.. math:: Z_y(\omega) = \Phi_2(h, k; \rho), \qquad h, k = \frac{\omega_+ \pm \omega_-}
   {\sqrt{D_+ + D_-}}, \quad \rho = \frac{D_+ - D_-}{D_+ + D_-}

for two positive signs, and likewise for the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar

import numpy as np
from sympy import Expr, Integer, Rational, S, Symbol, asin, log, pi, sqrt, symbols

from replica.blocks.block import Array, Block
from replica.blocks.priors import Gaussian
from replica.blocks.shipped import Shipped
from replica.declarations.frozen import FrozenMapping
from replica.language.bivariate import BivariateNormalCDF, LogBivariateNormalCDF
from replica.language.means import Mean
from replica.language.primitives import LogSumExp, Softmax
from replica.language.scalar import Scalar

__all__ = [
    "CommitteeChannel",
    "PairPrior",
    "eigenvalue_fields",
]

plus, minus = symbols("w_plus w_minus", real=True)
_x, _y = symbols("x y", real=True)
Pair = tuple[Scalar, Scalar]
"""A quantity along both eigenvectors, plus and minus."""
NO_CONTROLS: Mapping[str, float] = FrozenMapping()
SIGNS = ((1, 1), (1, -1), (-1, 1), (-1, -1))


def eigenvalue_fields(gap_plus: Scalar, gap_minus: Scalar) -> tuple[Expr, Expr, Expr]:
    """Return h, k and rho of the fields `plus` and `minus`.

    Parameters
    ----------
    gap_plus, gap_minus : Expr
        Variances of the fields along the eigenvectors.

    Examples
    --------
    >>> eigenvalue_fields(S.One, S.One)  # of equal variances: independent
    (sqrt(2)*w_minus/2 + sqrt(2)*w_plus/2, -sqrt(2)*w_minus/2 + sqrt(2)*w_plus/2, 0)
    """
    total = gap_plus + gap_minus
    root = sqrt(total)
    # as sums, so that a reflected field is written like the other one
    first, second = plus / root, minus / root
    return first + second, first - second, (gap_plus - gap_minus) / total


# ---- channels -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class CommitteeChannel(Block):
    r"""Law of a label given the signs of two fields: a channel of K = 2.

    Gaps are pairs :math:`(D_+, D_-)`, averages per pattern and entropies in nats. ``rho`` is the
    variance of each field.

    Attributes
    ----------
    name : str
    table : tuple of (label, tuple of probabilities)
        P(y | signs) for the signs (+, +), (+, -), (-, +), (-, -).
    doc : str

    Examples
    --------
    >>> CommitteeChannel.shipped["sign-sum"].labels
    (1.0, 0.0, -1.0)
    """

    table: tuple[tuple[Expr, tuple[Expr, ...]], ...]
    doc: str = ""

    fields: ClassVar[int] = 2
    shipped: ClassVar[Shipped[CommitteeChannel]] = Shipped("channel", "replica.blocks.committees")

    @property
    def labels(self) -> tuple[float, ...]:
        """The possible labels."""
        return tuple(float(label) for label, _ in self.table)

    @property
    def deterministic(self) -> bool:
        """Whether the signs tell the label."""
        return all(chance in (0, 1) for _, row in self.table for chance in row)

    @property
    def averages_signs(self) -> bool:
        """Whether the label is the mean of the two signs."""
        return all(
            chance == (1 if 2 * label == s + t else 0)
            for label, row in self.table
            for chance, (s, t) in zip(row, SIGNS, strict=True)
        )

    def probability(self, row: tuple[Expr, ...], h: Expr, k: Expr, rho: Expr) -> Expr:
        """Return Z_y of a row of the table."""
        return sum(
            chance * BivariateNormalCDF(s * h, t * k, s * t * rho)
            for chance, (s, t) in zip(row, SIGNS, strict=True)
            if chance != 0
        )

    def log_partition(self, row: tuple[Expr, ...], h: Expr, k: Expr, rho: Expr) -> Expr:
        """Return log Z_y of a row of the table."""
        return LogSumExp(
            *(
                log(chance) + LogBivariateNormalCDF(s * h, t * k, s * t * rho)
                for chance, (s, t) in zip(row, SIGNS, strict=True)
                if chance != 0
            )
        )

    def _over_labels(self, function: Callable[[Expr], Expr], gap: Pair) -> Expr:
        """Return the sum of Z_y times a function of log Z_y, in the fields."""
        fields = eigenvalue_fields(*gap)
        return sum(
            (
                self.probability(row, *fields) * function(self.log_partition(row, *fields))
                for _, row in self.table
            ),
            S.Zero,
        )

    def free_entropy(self, gap: Pair, rho: Scalar) -> Expr:
        r"""Return :math:`E \sum_y Z_y \log Z_y`, in nats per pattern."""
        return _mean(self._over_labels(lambda part: part, gap), gap, rho)

    def strength(self, gap: Pair, rho: Scalar) -> Pair:
        r"""Return :math:`E \sum_y (\partial_\pm Z_y)^2 / Z_y`, along both eigenvectors."""

        def along(field: Symbol) -> Expr:
            return _mean(self._over_labels(lambda part: part.diff(field) ** 2, gap), gap, rho)

        return along(plus), along(minus)

    def response(self, gap_plus: Scalar, rho: Scalar) -> Expr:
        r"""Return the slope of the strength along `minus` at :math:`q_- = 0`.

        .. math:: c(q_+) = E \sum_y \frac{(\partial_-^2 Z_y)^2}{Z_y}, \qquad \omega_- = 0
        """
        body = self._over_labels(
            lambda part: part.diff(minus).diff(minus) ** 2, (gap_plus, rho)
        ).subs(minus, 0)
        return Mean(body, (plus, rho - gap_plus))

    def squared_error(self, gap: Pair, rho: Scalar) -> Expr:
        r"""Return :math:`\tfrac12 E (y - \langle y \rangle)^2`."""
        if self.averages_signs:
            same, other = (rho - (gap[0] + gap[1]) / 2) / rho, (gap[1] - gap[0]) / (2 * rho)
            return S(1) / 4 - (asin(same) + asin(other)) / (2 * pi)
        return self.squared_error_of_the_mean(gap, rho)

    def squared_error_of_the_mean(self, gap: Pair, rho: Scalar) -> Expr:
        """Return the same as a mean over the fields, for any channel."""
        fields = eigenvalue_fields(*gap)
        chances = [(label, self.probability(row, *fields)) for label, row in self.table]
        second = sum((label**2 * chance for label, chance in chances), S.Zero)
        first = sum((label * chance for label, chance in chances), S.Zero)
        return _mean(second - first**2, gap, rho) / 2

    def label_entropy(self, rho: Scalar) -> Expr:
        """Return the entropy of the label given both fields, in nats."""
        chances = [chance for _, row in self.table for chance in row if chance not in (0, 1)]
        return -sum((chance * log(chance) for chance in chances), S.Zero) / 4

    def sample(
        self, rng: np.random.Generator, fields: Array, controls: Mapping[str, float] = NO_CONTROLS
    ) -> Array:
        """Draw labels of fields, shape (n, 2)."""
        pattern = 2 * (fields[:, 0] < 0) + (fields[:, 1] < 0)
        chances = np.array([[float(c) for c in row] for _, row in self.table])[:, pattern]
        below = np.cumsum(chances, axis=0)[:-1]
        rank = np.zeros(len(fields)) if self.deterministic else rng.random(len(fields))
        return np.array(self.labels)[(below <= rank).sum(axis=0)]


def _mean(body: Expr, gap: Pair, rho: Scalar) -> Expr:
    return Mean(Mean(body, (minus, rho - gap[1])), (plus, rho - gap[0]))


def _ties(name: str, row: tuple[int, ...], chance: Expr, doc: str) -> CommitteeChannel:
    """Return the channel of labels -1 and 1 in which a tie is +1 with this chance."""
    up = (S.One, chance, chance, S.Zero)
    down = tuple(1 - c for c in up)
    return CommitteeChannel(name, ((Integer(row[0]), up), (Integer(row[1]), down)), doc)


def SignSum() -> CommitteeChannel:
    """Return y = sign(sign z_1 + sign z_2) with sign(0) = 0: labels -1, 0, 1."""
    one, none = S.One, S.Zero
    return CommitteeChannel(
        "sign-sum",
        (
            (Integer(1), (one, none, none, none)),
            (Integer(0), (none, one, one, none)),
            (Integer(-1), (none, none, none, one)),
        ),
        "sign(0) = 0",
    )


# ---- priors -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PairPrior(Block):
    r"""Law of two independent weights of unit variance, seen through noise along w_+ and w_-.

    A prior of K = 2: precisions are pairs :math:`(\lambda_+, \lambda_-)`, and so are gaps.

    Attributes
    ----------
    name : str
    entropy : Expr or None
        Of a discrete pair, in nats; None for a continuous one.
    second_moment : Expr
        Of each weight, one.

    Examples
    --------
    >>> PairPrior.shipped["rademacher"].entropy
    2*log(2)
    """

    entropy: Expr | None = None

    fields: ClassVar[int] = 2
    second_moment: ClassVar[Expr] = S.One
    shipped: ClassVar[Shipped[PairPrior]] = Shipped("prior", "replica.blocks.committees")

    @property
    def dimension(self) -> Expr:
        """Information dimension of a weight: zero for a discrete pair, and one for the others."""
        return S.One if self.entropy is None else S.Zero

    def free_entropy(self, g: Pair) -> Expr:
        r"""Return :math:`I_W(\lambda_+, \lambda_-)`, in nats per pair."""
        raise NotImplementedError

    def gap(self, g: Pair) -> Pair:
        r"""Return :math:`D_\pm = 1 - 2\, \partial I_W / \partial \lambda_\pm`."""
        raise NotImplementedError

    def response(self, plus: Scalar) -> Expr:
        r"""Return :math:`d q_- / d \lambda_-` at :math:`\lambda_- = 0`."""
        raise NotImplementedError

    def posterior(self, response: Scalar, precision: Scalar) -> tuple[Scalar, Scalar]:
        r"""Return means (p, 2) and mean covariance (2, 2) of pairs seen through Gaussian noise.

        The law is that of the pair times :math:`\exp(R_i \cdot w - \tfrac12 w \cdot A w)`, with
        the `response` R (p, 2) and the symmetric `precision` A (2, 2).
        """
        raise NotImplementedError


@dataclass(frozen=True)
class _GaussianPair(PairPrior):
    def free_entropy(self, g: Pair) -> Expr:
        """Two independent Gaussians."""
        return Gaussian().free_entropy(g[0]) + Gaussian().free_entropy(g[1])

    def gap(self, g: Pair) -> Pair:
        """Return 1 / (1 + lambda)."""
        return 1 / (1 + g[0]), 1 / (1 + g[1])

    def response(self, plus: Scalar) -> Expr:
        """Return one."""
        return S.One

    def sample(
        self,
        rng: np.random.Generator,
        size: int | tuple[int, ...],
        controls: Mapping[str, float] = NO_CONTROLS,
    ) -> Array:
        """Draw normal weights."""
        return rng.standard_normal(size)

    def posterior(self, response: Scalar, precision: Scalar) -> tuple[Scalar, Scalar]:
        """Return the Gaussian posterior, whose covariance is the same for every pair."""
        covariance = np.linalg.inv(np.eye(2) + precision)
        return response @ covariance, covariance


@dataclass(frozen=True)
class _RademacherPair(PairPrior):
    """Four atoms: w_+ = +-sqrt2 with w_- = 0, or the other way round."""

    def _exponents(self, r: Expr, s: Expr, g: Pair) -> tuple[Expr, ...]:
        root = sqrt(2)
        return (root * r - g[0], -root * r - g[0], root * s - g[1], -root * s - g[1])

    def _average(self, function: Callable[[Expr, Expr], Expr], g: Pair) -> Expr:
        """Average over a teacher with equal weights and one with opposite weights."""
        equal = function(sqrt(2) * g[0] + _x, _y)
        opposite = function(_x, sqrt(2) * g[1] + _y)
        return Mean(Mean((equal + opposite) / 2, (_y, g[1])), (_x, g[0]))

    def free_entropy(self, g: Pair) -> Expr:
        """Return the mean logarithm of the sum over four atoms."""
        return self._average(lambda r, s: LogSumExp(*self._exponents(r, s, g)), g) - 2 * log(2)

    def gap(self, g: Pair) -> Pair:
        """Return mean posterior variances, sums over pairs of atoms."""
        root = sqrt(2)
        atoms = (root, -root, S.Zero, S.Zero), (S.Zero, S.Zero, root, -root)

        def variance(places: tuple[Expr, ...]) -> Callable[[Expr, Expr], Expr]:
            def body(r: Expr, s: Expr) -> Expr:
                parts = self._exponents(r, s, g)
                weight = [Softmax(a, *parts[:j], *parts[j + 1 :]) for j, a in enumerate(parts)]
                return sum(
                    (weight[i] * weight[j] * (places[i] - places[j]) ** 2)
                    for i, j in combinations(range(4), 2)
                    if places[i] != places[j]
                )

            return body

        first, second = (self._average(variance(p), g) for p in atoms)
        return first, second

    def response(self, plus: Scalar) -> Expr:
        """Return the mean square of the variance of w_- where nothing is known along it."""

        def square(r: Expr) -> Expr:
            apart = Softmax(log(2), sqrt(2) * r - plus, -sqrt(2) * r - plus)
            return (2 * apart) ** 2

        return Mean((square(sqrt(2) * plus + _x) + square(_x)) / 2, (_x, plus))

    def sample(
        self,
        rng: np.random.Generator,
        size: int | tuple[int, ...],
        controls: Mapping[str, float] = NO_CONTROLS,
    ) -> Array:
        """Draw signs."""
        return rng.choice([-1.0, 1.0], size=size)

    def posterior(self, response: Scalar, precision: Scalar) -> tuple[Scalar, Scalar]:
        """Return sums over the four pairs of signs."""
        atoms = np.array(SIGNS, dtype=float)
        exponent = response @ atoms.T - 0.5 * np.einsum("ka,ab,kb->k", atoms, precision, atoms)
        weight = np.exp(exponent - exponent.max(axis=1, keepdims=True))
        weight /= weight.sum(axis=1, keepdims=True)
        mean = weight @ atoms
        moved = atoms[None] - mean[:, None]  # from the mean, so that no digits cancel
        return mean, np.einsum("ik,ika,ikb->ab", weight, moved, moved) / len(mean)


BLOCKS = (
    SignSum(),
    _ties("sign-sum-up", (1, -1), S.One, "a tie is +1"),
    _ties("sign-sum-coin", (1, -1), Rational(1, 2), "a tie is a fair coin"),
    _GaussianPair("gaussian"),
    _RademacherPair("rademacher", entropy=2 * log(2)),
)
