r"""Averages of a loss over patterns whose labels a teacher gave.

Teacher field z and student field omega (without the pattern's own influence) are Gaussian, with
variances rho and Q and covariance M. Given :math:`\omega = \sqrt Q\, x` the teacher field is
:math:`N(\omega_0, V_0)`, :math:`\omega_0 = M \omega / Q`, :math:`V_0 = \rho - M^2 / Q`, and
:math:`Z_y = E\, P(y|z)` is the law of the label. With the Moreau envelope of the loss,

.. math:: \Psi = E_x \sum_y Z_y\, \mathcal M_y, \qquad
          a_V = E_x \sum_y Z_y\, \partial^2_\omega \mathcal M_y = 2\, \partial_Q \Psi, \quad
          a_q = E_x \sum_y Z_y\, (\partial_\omega \mathcal M_y)^2 = -2\, \partial_V \Psi, \quad
          a_m = -E_x \sum_y \partial_{\omega_0} Z_y\, \partial_\omega \mathcal M_y
              = -\partial_M \Psi.

These hold for weights on Gaussian patterns and, with other M, Q and V, for the hidden manifold.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sympy import Expr, Heaviside, S, Symbol, exp, sqrt

from replica.blocks.channel import Channel
from replica.blocks.losses import ConvexLoss
from replica.errors import DeclarationError
from replica.language.excess import squared_excess
from replica.language.means import Mean, mean_of_sum
from replica.language.primitives import ProductDifference
from replica.language.rewriting import stabilise
from replica.language.scalar import Scalar

__all__ = [
    "PatternAverages",
    "pattern_averages",
    "refuse_untaught",
    "separability",
    "test_error",
]

_x = Symbol("x", real=True)
_omega = Symbol("omega", real=True)
_V = Symbol("V", positive=True)


@dataclass(frozen=True)
class PatternAverages:
    r"""Averages over patterns, per pattern.

    Attributes
    ----------
    envelope : Expr
        :math:`\Psi`, the mean envelope.
    response, square, signal : Expr
        :math:`a_V`, :math:`a_q` and :math:`a_m`.
    training_loss : Expr
        Mean loss at the proximal point, on the patterns of the training set.
    test_loss : Expr
        Mean loss of a new pattern.
    """

    envelope: Expr
    response: Expr
    square: Expr
    signal: Expr
    training_loss: Expr
    test_loss: Expr


def pattern_averages(
    channel: Channel, loss: ConvexLoss, M: Scalar, Q: Scalar, V: Scalar, rho: Scalar
) -> PatternAverages:
    r"""Return the averages that a saddle point of risk minimisation needs.

    Parameters
    ----------
    channel : Channel
        P(y|z) of the teacher: labels -1 and 1, or the field plus Gaussian noise.
    loss : ConvexLoss
        For the linear channel a function of y - u.
    M, Q, V, rho : Expr
        Covariance of teacher and student field, variance of the student's, its response, and
        variance of the teacher's.

    Raises
    ------
    DeclarationError
        For a channel with other labels, and for a loss that is no function of y - u where labels
        are continuous.

    Examples
    --------
    >>> from sympy import symbols
    >>> from replica.blocks.channels import Linear
    >>> from replica.blocks.losses import Square
    >>> M, Q, V = symbols("M Q V", positive=True)
    >>> pattern_averages(Linear(), Square(), M, Q, V, 1).response
    1/(V + 1)
    """
    if channel.residual is not None:
        return _of_residuals(channel.residual, loss, M, Q, V, rho)
    if set(channel.labels) != {-1, 1}:
        raise DeclarationError(
            f"risk minimisation needs a teacher with labels -1 and 1, or a linear one, not "
            f"{channel}"
        )
    return _of_labels(channel, loss, M, Q, V, rho)


def refuse_untaught(channel: Channel) -> None:
    """Refuse a teacher of which no student that is linear in the inputs can learn.

    Raises
    ------
    DeclarationError
        For labels that are not correlated with the field, such as those of an even channel.

    Examples
    --------
    >>> from replica.blocks.channels import Door
    >>> refuse_untaught(Door())
    Traceback (most recent call last):
    ...
    replica.errors.DeclarationError: a student that is linear in the inputs learns nothing of ...
    """
    if channel.even or (channel.labels and channel.label_slope(S.One).is_zero):
        raise DeclarationError(
            f"a student that is linear in the inputs learns nothing of the teacher {channel}: its "
            f"labels are not correlated with the field"
        )


def _of_residuals(
    noise: Expr, loss: ConvexLoss, M: Scalar, Q: Scalar, V: Scalar, rho: Scalar
) -> PatternAverages:
    """Return the averages over u - y, which is Gaussian."""
    label = Symbol("label", real=True)
    envelope = loss.envelope(label, label + _omega, _V)
    slope = envelope.diff(_omega)
    spread = sqrt(rho + noise - 2 * M + Q)

    def mean(body: Expr) -> Expr:
        return _gaussian(body, spread * _x, V)

    response = mean(slope.diff(_omega))
    return PatternAverages(
        envelope=mean(envelope),
        response=response,
        square=mean(slope**2),
        signal=response,
        training_loss=mean(loss.envelope.value(label, label + _omega, _V)),
        test_loss=mean(stabilise(loss(S.Zero, _omega))),
    )


def _of_labels(
    channel: Channel, loss: ConvexLoss, M: Scalar, Q: Scalar, V: Scalar, rho: Scalar
) -> PatternAverages:
    student = sqrt(Q) * _x
    teacher, variance = M * student / Q, _unexplained(M, Q, rho)
    field = Symbol("z", real=True)

    def mean(function: Callable[[Scalar], Expr], slope_of_law: bool = False) -> Expr:
        """Return the mean of a sum over labels."""
        bodies = []
        for label in channel.labels:
            law = channel.log_partition(label, field, variance)
            weight = exp(law).diff(field) if slope_of_law else exp(law)
            bodies.append(
                weight.subs(field, teacher) * function(label).subs({_omega: student, _V: V})
            )
        return mean_of_sum(bodies, _x, S.One)

    def slope(label: Scalar) -> Expr:
        return loss.envelope.slope(label, _omega, _V)

    signal = -mean(slope, slope_of_law=True)
    curvature = slope(channel.labels[-1]).diff(_omega)
    if not curvature.has_free(_omega) and all(
        slope(label).diff(_omega) == curvature for label in channel.labels
    ):
        response = curvature.subs(_V, V)
    else:
        response = mean(lambda label: slope(label).diff(_omega))
    return PatternAverages(
        envelope=mean(lambda label: loss.envelope(label, _omega, _V)),
        response=response,
        square=mean(lambda label: slope(label) ** 2),
        signal=signal,
        training_loss=mean(lambda label: loss.envelope.value(label, _omega, _V)),
        test_loss=mean(lambda label: stabilise(loss(S(label), _omega))),
    )


def _unexplained(M: Scalar, Q: Scalar, rho: Scalar) -> Expr:
    """Return the variance of the teacher's field given the student's, rho - M^2 / Q."""
    return ProductDifference(rho, Q, M, M) / Q


def _gaussian(body: Expr, omega: Expr, V: Scalar) -> Expr:
    return Mean(body.subs({_omega: omega, _V: V}), (_x, S.One))


def test_error(channel: Channel, M: Scalar, Q: Scalar, rho: Scalar) -> Expr:
    r"""Return the fraction of new patterns whose label is not the sign of the student's field.

    Examples
    --------
    >>> from replica.blocks.channels import Probit
    >>> test_error(Probit(), 0, 1, 1)  # one half
    Mean(Heaviside(x), (x, 1))
    """
    student = sqrt(Q) * _x
    field = Symbol("z", real=True)
    bodies = []
    for label in channel.labels:
        law = exp(channel.log_partition(label, field, _unexplained(M, Q, rho)))
        bodies.append(law.subs(field, M * student / Q) * Heaviside(-label * _x))
    return mean_of_sum(bodies, _x, S.One)


def separability(channel: Channel, scale: Scalar, variance: Scalar, t: Scalar) -> Expr:
    r"""Return :math:`h(t)`, whose minimum over t is the largest p/n that is not separable.

    .. math:: h(t) = E_x \sum_y P(y|x)\, E_z \max(0,\, z - t y x)^2, \qquad x, z \sim N(0, 1)

    Patterns with labels -1 and 1 in p dimensions are linearly separable below
    :math:`\alpha = n/p = 1 / \min_t h(t)`, whatever the loss: t is how much of the direction of
    the teacher the separating weights hold.

    Parameters
    ----------
    channel : Channel
        With labels -1 and 1.
    scale, variance : Expr
        The teacher field is N(scale x, variance) given the direction x that a student can see.
    t : Expr

    References
    ----------
    Candes and Sur, Annals of Statistics 48 (2020) 27.

    Examples
    --------
    >>> from replica.blocks.channels import Probit
    >>> separability(Probit(), 0, 0, S.Zero)  # random labels: Cover's two patterns per weight
    1/2
    """
    field = Symbol("z", real=True)
    bodies = []
    for label in channel.labels:
        law = exp(channel.log_partition(label, field, variance)).subs(field, scale * _x)
        a = t * label * _x
        bodies.append(law * squared_excess(a))
    return mean_of_sum(bodies, _x, S.One)
