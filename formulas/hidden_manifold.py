r"""Risk minimisation on random features, and on any Gaussian inputs: double descent.

A teacher with the field :math:`\nu` gives labels :math:`y \sim P(y|\nu)`. The student sees p inputs
v, and minimises over its weights w, with fields :math:`u_\mu = v_\mu \cdot w / \sqrt p`,

.. math:: \sum_{\mu=1}^n \ell(y_\mu, u_\mu) + \frac\lambda2 \|w\|^2 .

In the **hidden manifold** model a Gaussian c in d dimensions is seen through the features
:math:`v = \sigma(F^T c / \sqrt d)`, while the teacher is linear in c; in the **Gaussian covariate**
model the covariances of :math:`(\nu, v)` are given, or measured on data. By Gaussian equivalence
the first is a case of the second, so there is one potential: minus the minimum per weight,

.. math:: \phi = \tfrac12 (q \hat V - V \hat q) - m \hat m
          + \tfrac12 \hat q \Big\langle \frac{\omega}{\lambda + \hat V \omega} \Big\rangle
          + \tfrac12 \hat m^2 \Big\langle \frac{1}{\lambda + \hat V \omega} \Big\rangle_g
          - \frac np\, \Psi(m, q, V),

with the eigenvalues :math:`\omega` of the inputs' covariance, the average weighted by the teacher
(`replica.blocks.inputs`) and :math:`\Psi` the mean Moreau envelope of the loss. For random
features :math:`\omega = \kappa_*^2 + \kappa_1^2 s`, and

.. math:: V = \kappa_1^2 V_s + \kappa_*^2 V_w, \qquad q = \kappa_1^2 q_s + \kappa_*^2 q_w, \qquad
          m = \kappa_1 m_s

are made of the five order parameters of Gerace et al. (2020); their five conjugates are multiples
of the three here. The five are among the observables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sympy import Eq, Expr, Interval, S, Symbol, acos, oo, pi, sqrt, symbols
from sympy.logic.boolalg import Boolean

from replica.blocks.activations import ACTIVATIONS, GaussianActivation, activation
from replica.blocks.channels import Channel, channel
from replica.blocks.inputs import (
    FEATURES,
    INPUTS,
    Covariances,
    FeatureMap,
    RandomFeatures,
    features,
    features_per_dimension,
    inputs,
)
from replica.blocks.losses import LOSSES, ConvexLoss, loss
from replica.blocks.risk import (
    PatternAverages,
    pattern_averages,
    refuse_untaught,
    separability,
    test_error,
)
from replica.declarations.control import Control, Relation
from replica.declarations.family import Family, Option
from replica.declarations.formula import Formula
from replica.declarations.landmarks import Absence
from replica.declarations.threshold import Limit

samples_per_dimension = Symbol("samples_per_dimension", positive=True)
samples_per_feature = Symbol("samples_per_feature", positive=True)
lambda_ = Symbol("lambda", positive=True)
V, q, m, Vhat, qhat, mhat = symbols("V q m Vhat qhat mhat", positive=True)
t = Symbol("t", positive=True)

POSITIVE = Interval.open(0, oo)
TEACHERS = ("sign", "linear", "logistic", "probit")
SAMPLES = Control(
    samples_per_dimension,
    POSITIVE,
    None,
    "samples per hidden dimension, n/d (or give samples_per_feature, n/p)",
)
WIDTH = Control(features_per_dimension, POSITIVE, None, "features per hidden dimension, p/d")
RATIO = Control(samples_per_feature, POSITIVE, None, "samples per feature, n/p")
CONTINUOUS = "continuous labels have no margin; the square loss fits them all up to n = p"
LINEAR = "features that are linear in the data separate what the data separate: take empirical-risk"
DETERMINED = "the inputs determine the teacher's field, so any number of samples is separable"
INSEPARABLE = "the samples are not linearly separable, so no weights have a margin"


def _formula(
    name: str,
    ensemble: str,
    inputs: RandomFeatures | Covariances,
    teacher: Channel,
    loss: ConvexLoss,
    samples: Control,
    per_feature: Expr,
) -> Formula:
    """Return the formula of these inputs; `per_feature` is n/p in terms of `samples`."""
    refuse_untaught(teacher)
    rho = inputs.rho
    strength = S.One if loss.is_constraint else lambda_
    pattern = pattern_averages(teacher, loss, m, q, V, rho)
    potential = (
        (q * Vhat - V * qhat) / 2
        - m * mhat
        + qhat / 2 * inputs.mean(lambda w: w / (strength + Vhat * w))
        + mhat**2 / 2 * inputs.teacher_mean(lambda w: 1 / (strength + Vhat * w))
        - per_feature * pattern.envelope
    )
    penalty = Control(lambda_, POSITIVE, None, "penalty |w|^2 / 2, beside the sum of the losses")
    threshold = _separable(inputs, teacher, samples.symbol / per_feature)
    return Formula(
        name=name,
        title=f"Risk minimisation on {inputs}, {loss} loss, {teacher} teacher",
        ensemble=ensemble,
        potential=potential,
        overlaps={V: POSITIVE, q: POSITIVE, m: Interval.open(0, sqrt(rho * q))},
        conjugates={V: qhat, q: Vhat, m: mhat},
        # theorems: the heat equation, and the derivative of an envelope
        updates={
            Vhat: per_feature * pattern.response,
            qhat: per_feature * pattern.square,
            mhat: per_feature * pattern.signal,
        },
        controls={
            "samples": samples,
            **({"width": WIDTH} if per_feature.has(features_per_dimension) else {}),
            **({} if loss.is_constraint else {"penalty": penalty}),
            **inputs.controls,
            **teacher.controls,
        },
        starts={
            "ridge": _ridge(loss, strength, per_feature, rho),
            "uninformed": {V: S.One, q: S.One, m: S.Half},
        },
        observables={
            **_errors(teacher, loss, pattern, rho),
            "training_objective": -potential / per_feature,
            **_order_parameters(inputs, strength),
        },
        thresholds={"separability": threshold},
        absences=(
            (Absence(samples.symbol, ">", "separability", INSEPARABLE),)
            if loss.is_constraint
            else ()
        ),
        relations=_relations(inputs),
        cites=("gerace2020", "goldt2020", "loureiro2021", "mei2022"),
        status="theorem",
        experiment={"inputs": inputs, "channel": teacher, "loss": loss},
    )


def _ridge(loss: ConvexLoss, strength: Expr, per_feature: Expr, rho: Expr) -> dict[Symbol, Expr]:
    """Return a guess: inputs without structure, and the parabola that osculates the loss."""
    curvature, target = loss.parabola
    penalty = strength / curvature
    excess = per_feature + penalty - 1
    response = 2 / (excess + sqrt(excess**2 + 4 * penalty))
    share = per_feature * response / (1 + response) / 2  # of the teacher, that is learnt
    gain = per_feature * (response / (1 + response)) ** 2
    norm = (share**2 + gain * (1 - share / 2)) / (1 - gain)
    return {V: response / curvature, q: target**2 * norm, m: target * sqrt(rho) * share}


def _errors(
    teacher: Channel, loss: ConvexLoss, pattern: PatternAverages, rho: Expr
) -> dict[str, Expr]:
    observables = {"eps_g": rho + q - 2 * m}
    if teacher.labels:
        observables["eps_g"] = acos(m / sqrt(rho * q)) / pi
        observables["test_error"] = test_error(teacher, m, q, rho)
    if loss.is_constraint:
        return {**observables, "margin": 1 / sqrt(q)}
    return {
        **observables,
        "training_loss": pattern.training_loss,
        "test_loss": pattern.test_loss,
    }


def _order_parameters(inputs: RandomFeatures | Covariances, strength: Expr) -> dict[str, Expr]:
    """Return the squared norm per weight, and for random features the five of the paper."""

    def squared(part: Callable[[Expr], Expr]) -> Expr:
        return qhat * inputs.mean(lambda w: part(w) * w / (strength + Vhat * w) ** 2) + (
            mhat**2 * inputs.teacher_mean(lambda w: part(w) / (strength + Vhat * w) ** 2)
        )

    norm = squared(lambda w: S.One)
    if not isinstance(inputs, RandomFeatures):
        return {"norm": norm}
    return {
        "V_s": inputs.mean(lambda w: inputs.share(w) / (strength + Vhat * w)),
        "V_w": inputs.mean(lambda w: 1 / (strength + Vhat * w)),
        "q_s": squared(inputs.share),
        "q_w": norm,
        "m_s": m / inputs.activation.kappa1,
    }


def _separable(
    inputs: RandomFeatures | Covariances, teacher: Channel, features_in_units: Expr
) -> Limit:
    """Return the largest n, in units of the control, up to which samples are separable."""
    doc = "samples up to which they are linearly separable in the features, whatever the loss"
    if not teacher.labels:
        return Limit(features_in_units, doc=doc, unless=((S.true, CONTINUOUS),))
    if isinstance(inputs, RandomFeatures) and inputs.activation.noise.is_zero:
        return Limit(features_in_units, doc=doc, unless=((S.true, LINEAR),))
    explained = inputs.explained
    unless: tuple[tuple[Boolean, str], ...] = ()
    blur = teacher.blur(inputs.rho)
    noiseless = Eq(blur, 0)
    if isinstance(inputs, Covariances) and explained >= inputs.rho and noiseless != S.false:
        unless = ((noiseless, DETERMINED),)
    hidden = inputs.rho - explained
    # in units of the signal to noise ratio t stays between 2/pi and 1/sqrt(2) at the minimum
    ratio = sqrt(explained / (hidden + blur))
    left = separability(teacher, sqrt(explained), hidden, t * ratio)
    return Limit(features_in_units / left, over={t: (POSITIVE, S(7) / 10)}, doc=doc, unless=unless)


def _relations(inputs: RandomFeatures | Covariances) -> Mapping[str, Relation]:
    if not isinstance(inputs, RandomFeatures):
        return {}
    width = inputs.features.ratio
    found = {"samples_per_feature": Relation(RATIO, samples_per_dimension / width)}
    if width.is_number:
        found["features_per_dimension"] = Relation(WIDTH, width)
    return found


def build_hidden_manifold(
    loss: ConvexLoss, teacher: Channel, activation: GaussianActivation, features: FeatureMap
) -> Formula:
    """Return the formula of random features of Gaussian data."""
    return _formula(
        "hidden-manifold",
        "c N(0, 1) in d dimensions, v = activation(F^T c / sqrt d) in p; n labels of a random "
        "teacher linear in c; the student is linear in v.",
        RandomFeatures(activation, features),
        teacher,
        loss,
        SAMPLES,
        samples_per_dimension / features.ratio,
    )


def build_gaussian_covariates(loss: ConvexLoss, teacher: Channel, inputs: Covariances) -> Formula:
    """Return the formula of inputs whose covariances are given."""
    return _formula(
        "gaussian-covariates",
        "Teacher field and p inputs are jointly Gaussian with given covariances; n labels; the "
        "student is linear in the inputs.",
        inputs,
        teacher,
        loss,
        RATIO,
        samples_per_feature,
    )


SHARED = {
    "loss": Option(tuple(LOSSES), "square", "loss of a sample", ConvexLoss, loss),
    "teacher": Option(TEACHERS, "sign", "law of the labels", Channel, channel),
}

HIDDEN_MANIFOLD = Family(
    name="hidden-manifold",
    title="Random features of a hidden manifold, by risk minimisation",
    options={
        **SHARED,
        "activation": Option(
            tuple(ACTIVATIONS), "erf", "activation", GaussianActivation, activation
        ),
        "features": Option(tuple(FEATURES), "gaussian", "law of F", FeatureMap, features),
    },
    build=build_hidden_manifold,
)

GAUSSIAN_COVARIATES = Family(
    name="gaussian-covariates",
    title="Gaussian inputs of any covariance, by risk minimisation",
    options={
        **SHARED,
        "inputs": Option(tuple(INPUTS), "power-law", "covariances", Covariances, inputs),
    },
    build=build_gaussian_covariates,
)

FORMULAS = (HIDDEN_MANIFOLD, GAUSSIAN_COVARIATES)
