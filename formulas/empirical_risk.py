r"""Empirical risk minimisation: convex losses and penalties, with the labels of a teacher.

Labels :math:`y_\mu \sim P(y|x_\mu \cdot w^*)` of n = alpha p patterns with entries N(0, 1/p), a
teacher with weights N(0, rho), and the student

.. math:: w = \arg\min_w \sum_\mu \ell(y_\mu, x_\mu \cdot w) + \lambda \sum_i r(w_i),
          \qquad r(w) = w^2/2 \ \text{or}\ |w|.

The potential is minus this minimum per weight. With m the overlap with the teacher, q = |w|^2/p, V
the response, :math:`\Psi` the mean Moreau envelope of the loss and :math:`\Psi_w` the energy of a
weight in a field h of variance :math:`\rho \hat m^2 + \hat q`,

.. math:: -\phi = \operatorname*{extr} \Big[ m \hat m + \tfrac12 (V \hat q - q \hat V)
          + \Psi_w(\rho \hat m^2 + \hat q, \hat V) + \alpha \Psi(m, q, V) \Big], \qquad
          \Psi_w = E_h \min_w \big[ \tfrac12 \hat V w^2 - h w + \lambda r(w) \big].

For a convex loss this is exact (Thrampoulidis, Abbasi & Hassibi 2018; Aubin et al. 2020).
"""

from __future__ import annotations

from sympy import Eq, Expr, Float, Interval, Rational, S, acos, log, oo, pi, sqrt, symbols

from replica.blocks.channels import Channel, channel
from replica.blocks.losses import LOSSES, PENALTIES, ConvexLoss, Penalty, loss, penalty
from replica.blocks.risk import (
    PatternAverages,
    pattern_averages,
    refuse_untaught,
    separability,
    test_error,
)
from replica.declarations.control import Control
from replica.declarations.family import Family, Option
from replica.declarations.formula import Formula
from replica.declarations.landmarks import Absence
from replica.declarations.threshold import Limit

alpha, rho, t = symbols("alpha rho t", positive=True)
lambda_ = symbols("lambda", nonnegative=True)
m, q, V, mhat, qhat, Vhat = symbols("m q V mhat qhat Vhat", positive=True)

TEACHERS = ("sign", "linear", "logistic", "probit")
SEPARABLE = (
    "where the patterns are linearly separable, the risk without a penalty has no minimiser, or "
    "many"
)
INTERPOLATED = (
    "with as many weights as patterns or more, the risk without a penalty has many minimisers"
)
NOT_SEPARABLE = "where the patterns are not linearly separable, no weights have a positive margin"
NOISELESS = "labels without noise are linearly separable at every alpha"
CONTINUOUS = "continuous labels have no margin; without a penalty the square loss needs alpha > 1"


def build(loss: ConvexLoss, penalty: Penalty, teacher: Channel) -> Formula:
    """Return the formula of one loss, one penalty and one teacher."""
    refuse_untaught(teacher)
    hard = loss.is_constraint
    strength = S.One if hard else lambda_
    averages = pattern_averages(teacher, loss, m, q, V, rho)
    weights = penalty.free_energy(rho * mhat**2 + qhat, Vhat, strength)
    minimum = m * mhat + (V * qhat - q * Vhat) / 2 + weights + alpha * averages.envelope
    penalised = Control(lambda_, Interval(0, oo), None, "penalty, beside the sum of the losses")
    return Formula(
        name="empirical-risk",
        title=f"Risk minimisation, {loss} loss, {penalty} penalty, {teacher} teacher",
        ensemble="Labels of random patterns drawn from a teacher with Gaussian weights; the "
        "student minimises a convex loss, summed over patterns, and a penalty.",
        potential=-minimum,
        overlaps={
            m: Interval.open(0, sqrt(rho * q)),
            q: Interval.open(0, oo),
            V: Interval.open(0, oo),
        },
        conjugates={m: mhat, V: qhat, q: Vhat},
        # theorems: the heat equation, and the derivative of an envelope
        updates={
            mhat: alpha * averages.signal,
            qhat: alpha * averages.square,
            Vhat: alpha * averages.response,
        },
        controls={
            "alpha": Control(alpha, Interval.open(0, oo), None, "patterns per weight"),
            **({} if hard else {"lambda_": penalised}),
            "rho": Control(rho, Interval.open(0, oo), 1, "squared norm of the teacher per weight"),
            **teacher.controls,
        },
        starts=_starts(loss, teacher, strength),
        observables=_observables(loss, teacher, averages, minimum),
        thresholds={"alpha_sep": _separable(teacher)},
        absences=_absences(loss),
        cites=("thrampoulidis2018", "aubin2020", "candes2020"),
        status="theorem",
        experiment={"channel": teacher, "loss": loss, "penalty": penalty},
        options={"loss": loss, "penalty": penalty, "teacher": teacher},
    )


def _starts(loss: ConvexLoss, teacher: Channel, strength: Expr) -> dict[str, dict[Expr, Expr]]:
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
    excess = alpha + penalty - 1
    response = 2 / (excess + sqrt(excess**2 + 4 * penalty))
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


def _observables(
    loss: ConvexLoss, teacher: Channel, averages: PatternAverages, minimum: Expr
) -> dict[str, Expr]:
    observables = {"eps_g": rho + q - 2 * m}
    if teacher.labels:
        observables["eps_g"] = acos(m / sqrt(rho * q)) / pi
        observables["test_error"] = test_error(teacher, m, q, rho)
    observables["training_objective"] = minimum / alpha
    if loss.is_constraint:
        return {**observables, "margin": 1 / sqrt(q)}
    return {
        **observables,
        "training_loss": averages.training_loss,
        "test_loss": averages.test_loss,
    }


def _separable(teacher: Channel) -> Limit:
    doc = "patterns per weight up to which they are linearly separable"
    if not teacher.labels:
        return Limit(S.One, doc=doc, unless=((S.true, CONTINUOUS),))
    blur = teacher.blur(rho)
    noiseless = Eq(blur, 0)
    if noiseless == S.true:
        return Limit(S.One, doc=doc, unless=((S.true, NOISELESS),))
    unless = () if noiseless == S.false else ((noiseless, NOISELESS),)
    # for a noisy sign within six per cent of the minimum at every signal
    start = S(67) / 100 * sqrt(rho / blur)
    largest = 1 / separability(teacher, sqrt(rho), S.Zero, t)
    return Limit(largest, over={t: (Interval.open(0, oo), start)}, doc=doc, unless=unless)


def _absences(loss: ConvexLoss) -> tuple[Absence, ...]:
    if loss.is_constraint:
        return (Absence(alpha, ">", "alpha_sep", NOT_SEPARABLE),)
    free = Eq(lambda_, 0)
    if loss.is_coercive:
        return (Absence(alpha, "<", 1, INTERPOLATED, when=free),)
    return (Absence(alpha, "<", "alpha_sep", SEPARABLE, when=free),)


EMPIRICAL_RISK = Family(
    name="empirical-risk",
    title="Empirical risk minimisation with a teacher's labels",
    options={
        "loss": Option(tuple(LOSSES), "square", "loss of a pattern", ConvexLoss, loss),
        "penalty": Option(tuple(PENALTIES), "l2", "penalty of a weight", Penalty, penalty),
        "teacher": Option(TEACHERS, "sign", "law of the labels", Channel, channel),
    },
    build=build,
)

FORMULAS = (EMPIRICAL_RISK,)
