r"""What a linear student sees: the covariance of its inputs, and the teacher's part in it.

The student's inputs v have the covariance :math:`\Omega` (p x p, eigenvalues :math:`\omega_i`,
eigenvectors :math:`e_i`). The teacher's field :math:`\nu` has the variance :math:`\rho` and the
covariance :math:`g = E\, \nu v` with them. Two averages are all that the theory needs,

.. math:: \langle f(\omega) \rangle = \frac1p \sum_i f(\omega_i), \qquad
          \langle f(\omega) \rangle_g = \sum_i (e_i \cdot g)^2 f(\omega_i).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

from sympy import Expr, Interval, S, Symbol, oo

from replica.declarations.control import Control, Relation
from replica.declarations.frozen import FrozenMapping

__all__ = ["Average", "Inputs"]

features_per_dimension = Symbol("features_per_dimension", positive=True)
samples_per_dimension = Symbol("samples_per_dimension", positive=True)
samples_per_feature = Symbol("samples_per_feature", positive=True)

_POSITIVE = Interval.open(0, oo)
SAMPLES = Control(
    samples_per_dimension,
    _POSITIVE,
    None,
    "samples per hidden dimension, n/d (or give samples_per_feature, n/p)",
)
WIDTH = Control(features_per_dimension, _POSITIVE, None, "features per hidden dimension, p/d")
RATIO = Control(samples_per_feature, _POSITIVE, None, "samples per feature, n/p")

Average = Callable[[Callable[[Expr], Expr]], Expr]
"""An average over the weights in which a function of the eigenvalue counts."""


class Inputs:
    """What a linear student sees, and how its samples are counted.

    Inputs of one's own derive from it and state the averages, `rho`, `explained`, `per_feature`
    and `samples`.

    Attributes
    ----------
    samples : Control
        Of the class: counts the samples.

    Examples
    --------
    >>> from replica.blocks.covariances import PowerLaw
    >>> inputs = PowerLaw()
    >>> inputs.samples.name, inputs.per_feature
    ('samples_per_feature', samples_per_feature)
    """

    samples: ClassVar[Control]

    @property
    def rho(self) -> Expr:
        """Variance of the teacher's field."""
        raise NotImplementedError

    @property
    def explained(self) -> Expr:
        """Variance of the teacher's field that the best linear read-out explains."""
        raise NotImplementedError

    @property
    def per_feature(self) -> Expr:
        """Samples per input n/p, in terms of the control `samples`."""
        raise NotImplementedError

    @property
    def controls(self) -> Mapping[str, Control]:
        """Of the law; those that count samples and inputs are `sizes`."""
        return FrozenMapping()

    @property
    def sizes(self) -> Mapping[str, Control]:
        """The controls that count samples and inputs."""
        return FrozenMapping({"samples": self.samples})

    @property
    def relations(self) -> Mapping[str, Relation]:
        """Other ratios that may be given in place of these controls."""
        return FrozenMapping()

    @property
    def are_linear(self) -> bool:
        """Whether they are linear in the data that the teacher sees."""
        return False

    @property
    def determine_teacher(self) -> bool:
        """Whether the teacher's field is a function of them."""
        return False

    def mean(self, function: Callable[[Expr], Expr]) -> Expr:
        """Return the average over the eigenvalues of the covariance."""
        raise NotImplementedError

    def teacher_mean(self, function: Callable[[Expr], Expr]) -> Expr:
        """Return the sum over the eigenvalues weighted by the teacher's share of each."""
        raise NotImplementedError

    def order_parameters(self, response: Average, square: Average, m: Expr) -> dict[str, Expr]:
        """Return what is measured of the weights, by name.

        Parameters
        ----------
        response, square : callable
            Response and second moment of the weights, of which a function of the eigenvalue counts.
        m : Expr
            Covariance of the fields of teacher and student.
        """
        return {"norm": square(lambda eigenvalue: S.One)}
