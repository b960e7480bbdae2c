r"""Risk minimisation: a linear student learns the labels of a teacher by a convex loss.

The potential is minus the minimum per weight, and its saddle-point equations for the conjugates
follow from the heat equation and from the derivative of an envelope: with the averages over
patterns of `replica.blocks.risk`, per pattern,

.. math:: \hat m = \alpha\, a_m, \qquad \hat q = \alpha\, a_q, \qquad \hat V = \alpha\, a_V.

Teacher and student field have the covariance m, the student's the variance q; V is its response.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sympy import Eq, Expr, Float, Interval, Rational, S, Symbol, acos, log, oo, pi, sqrt, symbols
from sympy.logic.boolalg import Boolean

from replica.blocks.channel import Channel
from replica.blocks.inputs import Inputs
from replica.blocks.losses import ConvexLoss, Penalty
from replica.blocks.risk import (
    PatternAverages,
    pattern_averages,
    refuse_untaught,
    separability,
    test_error,
)
from replica.declarations.control import Control
from replica.declarations.formula import Formula
from replica.declarations.landmarks import Absence
from replica.declarations.threshold import Limit

__all__ = ["independent_patterns", "structured_inputs"]

alpha, rho, t = symbols("alpha rho t", positive=True)
m, q, V, mhat, qhat, Vhat = symbols("m q V mhat qhat Vhat", positive=True)

POSITIVE = Interval.open(0, oo)
SEPARABLE = (
    "where the patterns are linearly separable, the risk without a penalty has no minimiser, or "
    "many"
)
INTERPOLATED = (
    "with as many weights as patterns or more, the risk without a penalty has many minimisers"
)
NOT_SEPARABLE = "where the patterns are not linearly separable, no weights have a positive margin"
NOISELESS = "labels without noise are linearly separable at every alpha"
CONTINUOUS_LABELS = (
    "continuous labels have no margin; without a penalty the square loss needs alpha > 1"
)
CONTINUOUS = "continuous labels have no margin; the square loss fits them all up to n = p"
LINEAR = "features that are linear in the data separate what the data separate: take empirical-risk"
DETERMINED = "the inputs determine the teacher's field, so any number of samples is separable"
INSEPARABLE = "the samples are not linearly separable, so no weights have a margin"


# ---- what both kinds of inputs share -------------------------------------------------------------


def _updates(averages: PatternAverages, ratio: Expr) -> dict[Symbol, Expr]:
    """Return the conjugates, of so many patterns per weight."""
    return {
        Vhat: ratio * averages.response,
        qhat: ratio * averages.square,
        mhat: ratio * averages.signal,
    }


def _errors(teacher: Channel, variance: Expr) -> dict[str, Expr]:
    """Return the errors on new patterns: of the field, or of its sign and of the label."""
    if not teacher.labels:
        return {"eps_g": variance + q - 2 * m}
    return {
        "eps_g": acos(m / sqrt(variance * q)) / pi,
        "test_error": test_error(teacher, m, q, variance),
    }


def _losses(loss: ConvexLoss, averages: PatternAverages) -> dict[str, Expr]:
    """Return the losses of old and new patterns; of a constraint, the margin."""
    if loss.is_constraint:
        return {"margin": 1 / sqrt(q)}
    return {"training_loss": averages.training_loss, "test_loss": averages.test_loss}


def _ridge_response(ratio: Expr, penalty: Expr) -> Expr:
    """Return V of ridge regression on inputs without structure."""
    excess = ratio + penalty - 1
    return 2 / (excess + sqrt(excess**2 + 4 * penalty))


# ---- independent patterns ------------------------------------------------------------------------


def independent_patterns(
    loss: ConvexLoss, penalty: Penalty, teacher: Channel, **known: Any
) -> Formula:
    r"""Return the formula of patterns with independent entries N(0, 1/p), per weight.

    .. math:: -\phi = \operatorname*{extr} \Big[ m \hat m + \tfrac12 (V \hat q - q \hat V)
              + \Psi_w(\rho \hat m^2 + \hat q, \hat V) + \alpha \Psi(m, q, V) \Big]

    with :math:`\Psi_w` the energy of a weight (`Penalty.free_energy`), :math:`\Psi` the mean
    envelope of the loss, and n = alpha p patterns.

    Parameters
    ----------
    loss : ConvexLoss
    penalty : Penalty
    teacher : Channel
        Of labels -1 and 1, or the field plus Gaussian noise; its weights are N(0, rho).
    **known
        What else a `Formula` says of itself.

    Raises
    ------
    DeclarationError
        For a teacher of which a student that is linear in the patterns learns nothing.

    Examples
    --------
    >>> from replica.blocks.channels import Sign
    >>> ridge, l2 = ConvexLoss.shipped["square"], Penalty.shipped["l2"]
    >>> independent_patterns(ridge, l2, Sign(), name="ridge", title="Ridge").updates[Vhat]
    alpha/(V + 1)
    """
    refuse_untaught(teacher)
    hard = loss.is_constraint
    lambda_ = Symbol("lambda", nonnegative=True)
    strength = S.One if hard else lambda_
    averages = pattern_averages(teacher, loss, m, q, V, rho)
    weights = penalty.free_energy(rho * mhat**2 + qhat, Vhat, strength)
    minimum = m * mhat + (V * qhat - q * Vhat) / 2 + weights + alpha * averages.envelope
    penalised = Control(lambda_, Interval(0, oo), None, "penalty, beside the sum of the losses")
    updates = _updates(averages, alpha)
    return Formula(
        potential=-minimum,
        overlaps={m: Interval.open(0, sqrt(rho * q)), q: POSITIVE, V: POSITIVE},
        conjugates={m: mhat, V: qhat, q: Vhat},
        updates={hat: updates[hat] for hat in (mhat, qhat, Vhat)},
        controls={
            "alpha": Control(alpha, POSITIVE, None, "patterns per weight"),
            **({} if hard else {"lambda_": penalised}),
            "rho": Control(rho, POSITIVE, 1, "squared norm of the teacher per weight"),
            **teacher.controls,
        },
        starts=_starts(loss, teacher, strength),
        observables={
            **_errors(teacher, rho),
            "training_objective": minimum / alpha,
            **_losses(loss, averages),
        },
        thresholds={"alpha_sep": _separable_patterns(teacher)},
        absences=_absences(loss, lambda_),
        **known,
    )


def _starts(loss: ConvexLoss, teacher: Channel, strength: Expr) -> dict[str, dict[Symbol, Expr]]:
    """Return first guesses within Newton's reach, on logarithmic scales.

    The first is the solution for the parabola that osculates the loss at u = 0: exact for the
    square loss with the l2 penalty. The second has the large norm and response of a small penalty
    on separable patterns, and the direction of the first. The third is next to the direction of the
    teacher, as with many patterns and no noise.
    """
    curvature, target = loss.parabola
    if teacher.residual is None:
        slope, second = sqrt(2 / (pi * (rho + teacher.blur(rho)))), S.One
    else:
        slope, second, target = S.One, rho + teacher.residual, S.One
    penalty = strength / curvature + S(1) / 10**8  # defined without a penalty as well
    response = _ridge_response(alpha, penalty)
    signal = rho * alpha * slope * response / (1 + response)
    gain = alpha * (response / (1 + response)) ** 2
    norm = (signal**2 / rho + gain * (second - 2 * signal * slope)) / (1 - gain)
    ridge = {m: target * signal, q: target**2 * norm, V: response / curvature}
    margin = (1 + alpha) * (1 if loss.is_constraint else 1 + log(1 + 1 / penalty) / 3)
    stiff = 1 / (penalty * (1 + alpha**2))
    separable = {m: margin * signal / sqrt(norm), q: margin**2, V: stiff}
    starts = {"ridge": ridge, "separable": separable}
    if loss.beyond_zero is not None:
        # fields u = w z near zero matter, whose density is 2 phi(0) / w
        area, steep, square = map(Float, loss.beyond_zero)
        density = 2 * alpha / sqrt(2 * pi)
        w = (density * area / (strength + S(1) / 10**8)) ** Rational(1, 3)
        stiffness = density * steep / w
        gap = square * density / w / (w * stiffness) ** 2
        starts["aligned"] = {m: w * sqrt(rho * (1 - gap / (1 + gap))), q: w**2, V: 1 / stiffness}
    return starts


def _separable_patterns(teacher: Channel) -> Limit:
    doc = "patterns per weight up to which they are linearly separable"
    if not teacher.labels:
        return Limit(S.One, doc=doc, unless=((S.true, CONTINUOUS_LABELS),))
    blur = teacher.blur(rho)
    noiseless = Eq(blur, 0)
    if noiseless == S.true:
        return Limit(S.One, doc=doc, unless=((S.true, NOISELESS),))
    unless = () if noiseless == S.false else ((noiseless, NOISELESS),)
    # for a noisy sign within six per cent of the minimum at every signal
    start = S(67) / 100 * sqrt(rho / blur)
    largest = 1 / separability(teacher, sqrt(rho), S.Zero, t)
    return Limit(largest, over={t: (POSITIVE, start)}, doc=doc, unless=unless)


def _absences(loss: ConvexLoss, lambda_: Symbol) -> tuple[Absence, ...]:
    if loss.is_constraint:
        return (Absence(alpha, ">", "alpha_sep", NOT_SEPARABLE),)
    free = Eq(lambda_, 0)
    if loss.is_coercive:
        return (Absence(alpha, "<", 1, INTERPOLATED, when=free),)
    return (Absence(alpha, "<", "alpha_sep", SEPARABLE, when=free),)


# ---- inputs with a covariance --------------------------------------------------------------------


def structured_inputs(loss: ConvexLoss, teacher: Channel, inputs: Inputs, **known: Any) -> Formula:
    r"""Return the formula of inputs of any covariance, with the penalty |w|^2 / 2; per weight.

    .. math:: \phi = \tfrac12 (q \hat V - V \hat q) - m \hat m
              + \tfrac12 \hat q \Big\langle \frac{\omega}{\lambda + \hat V \omega} \Big\rangle
              + \tfrac12 \hat m^2 \Big\langle \frac{1}{\lambda + \hat V \omega} \Big\rangle_g
              - \frac np\, \Psi(m, q, V)

    with the eigenvalues :math:`\omega` of the inputs' covariance, the average weighted by the
    teacher (`replica.blocks.inputs`) and :math:`\Psi` the mean envelope of the loss.

    Parameters
    ----------
    loss : ConvexLoss
    teacher : Channel
        Of labels -1 and 1, or the field plus Gaussian noise.
    inputs : Inputs
    **known
        What else a `Formula` says of itself.

    Raises
    ------
    DeclarationError
        For a teacher of which a student that is linear in the inputs learns nothing.

    Examples
    --------
    >>> from replica.blocks.channels import Sign
    >>> from replica.blocks.covariances import PowerLaw
    >>> ridge = ConvexLoss.shipped["square"]
    >>> list(structured_inputs(ridge, Sign(), PowerLaw(), name="ridge").controls)
    ['samples_per_feature', 'lambda_', 'Delta']
    """
    refuse_untaught(teacher)
    variance, ratio = inputs.rho, inputs.per_feature
    lambda_ = Symbol("lambda", positive=True)
    strength = S.One if loss.is_constraint else lambda_
    averages = pattern_averages(teacher, loss, m, q, V, variance)
    potential = (
        (q * Vhat - V * qhat) / 2
        - m * mhat
        + qhat / 2 * inputs.mean(lambda w: w / (strength + Vhat * w))
        + mhat**2 / 2 * inputs.teacher_mean(lambda w: 1 / (strength + Vhat * w))
        - ratio * averages.envelope
    )
    penalty = Control(lambda_, POSITIVE, None, "penalty |w|^2 / 2, beside the sum of the losses")
    inseparable = Absence(inputs.samples.symbol, ">", "separability", INSEPARABLE)
    return Formula(
        title=f"Risk minimisation on {inputs}, {loss} loss, {teacher} teacher",
        potential=potential,
        overlaps={V: POSITIVE, q: POSITIVE, m: Interval.open(0, sqrt(variance * q))},
        conjugates={V: qhat, q: Vhat, m: mhat},
        updates=_updates(averages, ratio),
        controls={
            **inputs.sizes,
            **({} if loss.is_constraint else {"penalty": penalty}),
            **inputs.controls,
            **teacher.controls,
        },
        starts={
            "ridge": _ridge(loss, strength, ratio, variance),
            "uninformed": {V: S.One, q: S.One, m: S.Half},
        },
        observables={
            **_errors(teacher, variance),
            **_losses(loss, averages),
            "training_objective": -potential / ratio,
            **_order_parameters(inputs, strength),
        },
        thresholds={"separability": _separable_samples(inputs, teacher)},
        absences=(inseparable,) if loss.is_constraint else (),
        relations=inputs.relations,
        **known,
    )


def _ridge(loss: ConvexLoss, strength: Expr, ratio: Expr, variance: Expr) -> dict[Symbol, Expr]:
    """Return a guess: inputs without structure, and the parabola that osculates the loss."""
    curvature, target = loss.parabola
    response = _ridge_response(ratio, strength / curvature)
    share = ratio * response / (1 + response) / 2  # of the teacher, that is learnt
    gain = ratio * (response / (1 + response)) ** 2
    norm = (share**2 + gain * (1 - share / 2)) / (1 - gain)
    return {V: response / curvature, q: target**2 * norm, m: target * sqrt(variance) * share}


def _order_parameters(inputs: Inputs, strength: Expr) -> dict[str, Expr]:
    """Return the squared norm of the weights, or what the inputs say instead."""

    def response(part: Callable[[Expr], Expr]) -> Expr:
        return inputs.mean(lambda w: part(w) / (strength + Vhat * w))

    def square(part: Callable[[Expr], Expr]) -> Expr:
        return qhat * inputs.mean(lambda w: part(w) * w / (strength + Vhat * w) ** 2) + (
            mhat**2 * inputs.teacher_mean(lambda w: part(w) / (strength + Vhat * w) ** 2)
        )

    return inputs.order_parameters(response, square, m)


def _separable_samples(inputs: Inputs, teacher: Channel) -> Limit:
    """Return the largest n, in units of the control, up to which samples are separable."""
    doc = "samples up to which they are linearly separable in the features, whatever the loss"
    features_in_units = inputs.samples.symbol / inputs.per_feature
    if not teacher.labels:
        return Limit(features_in_units, doc=doc, unless=((S.true, CONTINUOUS),))
    if inputs.are_linear:
        return Limit(features_in_units, doc=doc, unless=((S.true, LINEAR),))
    explained = inputs.explained
    unless: tuple[tuple[Boolean, str], ...] = ()
    blur = teacher.blur(inputs.rho)
    noiseless = Eq(blur, 0)
    if inputs.determine_teacher and noiseless != S.false:
        unless = ((noiseless, DETERMINED),)
    hidden = inputs.rho - explained
    # in units of the signal to noise ratio t stays between 2/pi and 1/sqrt(2) at the minimum
    signal_to_noise = sqrt(explained / (hidden + blur))
    left = separability(teacher, sqrt(explained), hidden, t * signal_to_noise)
    return Limit(features_in_units / left, over={t: (POSITIVE, S(7) / 10)}, doc=doc, unless=unless)
