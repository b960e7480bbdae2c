r"""Risk minimisation on random features, and on any Gaussian inputs: double descent.

A teacher with the field :math:`\nu` gives labels :math:`y \sim P(y|\nu)`. The student sees p inputs
v, and minimises over its weights w, with fields :math:`u_\mu = v_\mu \cdot w / \sqrt p`,

.. math:: \sum_{\mu=1}^n \ell(y_\mu, u_\mu) + \frac\lambda2 \|w\|^2 .

In the **hidden manifold** model a Gaussian c in d dimensions is seen through
:math:`v = \sigma(F^T c / \sqrt d)`, while the teacher is linear in c; in the **Gaussian covariate**
model the covariances of :math:`(\nu, v)` are given, or measured on data. By Gaussian equivalence
the first is a case of the second, so there is one potential: minus the minimum per weight,

.. math:: \phi = \tfrac12 (q \hat V - V \hat q) - m \hat m
          + \tfrac12 \hat q \Big\langle \frac{\omega}{\lambda + \hat V \omega} \Big\rangle
          + \tfrac12 \hat m^2 \Big\langle \frac{1}{\lambda + \hat V \omega} \Big\rangle_g
          - \frac np\, \Psi(m, q, V),

with the eigenvalues :math:`\omega` of the inputs' covariance, the average weighted by the teacher
(`replica.blocks.features`) and :math:`\Psi` the mean Moreau envelope of the loss. For random
features :math:`\omega = \kappa_*^2 + \kappa_1^2 s`, and

.. math:: V = \kappa_1^2 V_s + \kappa_*^2 V_w, \qquad q = \kappa_1^2 q_s + \kappa_*^2 q_w, \qquad
          m = \kappa_1 m_s

are made of the five order parameters of the paper; their conjugates are multiples of the three
here. The five are among the observables.
"""

from __future__ import annotations

from collections.abc import Mapping

from sympy import Expr, Interval, S, Symbol, oo, sqrt, symbols

from replica.blocks.activations import ACTIVATIONS, GaussianActivation, activation
from replica.blocks.channels import CHANNELS, Channel, channel
from replica.blocks.features import (
    FEATURES,
    Covariances,
    FeatureMap,
    RandomFeatures,
    features,
    features_per_dimension,
)
from replica.blocks.losses import LOSSES, ConvexLoss, loss
from replica.blocks.risk import pattern_averages
from replica.language.formula import Control, Family, Formula, Limit, Option, Relation, Threshold
from replica.language.means import Mean
from replica.language.primitives import LogH, MillsExcess

samples_per_dimension = Symbol("samples_per_dimension", positive=True)
samples_per_feature = Symbol("samples_per_feature", positive=True)
lambda_ = Symbol("lambda", positive=True)
V, q, m, Vhat, qhat, mhat = symbols("V q m Vhat qhat mhat", nonnegative=True)
t = Symbol("t", nonnegative=True)
_x = Symbol("x", real=True)
_POSITIVE = Interval.open(0, oo)


def _formula(
    name: str,
    title: str,
    ensemble: str,
    inputs: RandomFeatures | Covariances,
    teacher: Channel,
    loss: ConvexLoss,
    samples: Expr,
    controls: Mapping[str, Control],
    relations: Mapping[str, Relation],
    more: Mapping[str, Expr],
) -> Formula:
    """Return the formula of these inputs; `samples` is n/p in terms of the controls."""
    rho = inputs.rho
    pattern = pattern_averages(teacher, loss, m, q, V, rho)
    potential = (
        (q * Vhat - V * qhat) / 2
        - m * mhat
        + qhat / 2 * inputs.mean(lambda omega: omega / (lambda_ + Vhat * omega))
        + mhat**2 / 2 * inputs.teacher_mean(lambda omega: 1 / (lambda_ + Vhat * omega))
        - samples * pattern.envelope
    )
    observables = {
        "eps_g": teacher_error(teacher, m, q, rho),
        "test_loss": pattern.test_loss,
        "training_loss": pattern.training_loss,
        "risk": -potential / samples,
        "norm": _squared(inputs, lambda omega: S.One),
        **more,
    }
    return Formula(
        name=name,
        title=title,
        ensemble=ensemble,
        potential=potential,
        overlaps={V: _POSITIVE, q: _POSITIVE, m: Interval.open(0, sqrt(rho * q))},
        conjugates={V: qhat, q: Vhat, m: mhat},
        updates={
            Vhat: samples * pattern.response,
            qhat: samples * pattern.square,
            mhat: samples * pattern.signal,
        },
        controls={
            **controls,
            "lambda": Control(lambda_, _POSITIVE, None, "strength of the penalty |w|^2 / 2"),
            **inputs.controls,
            **teacher.controls,
        },
        relations=relations,
        starts={"uninformed": {V: S.One, q: S.One, m: S.Half}},
        homotopy={lambda_: S.One},
        observables=observables,
        thresholds=_thresholds(inputs, teacher, samples),
        cites=("gerace2020", "goldt2020", "loureiro2021"),
        status="theorem",
    )


def _squared(inputs: RandomFeatures | Covariances, function: object) -> Expr:
    """Return the mean over the student's weights squared, in each eigendirection."""
    return qhat * inputs.mean(lambda w: w * function(w) / (lambda_ + Vhat * w) ** 2) + (
        mhat**2 * inputs.teacher_mean(lambda w: function(w) / (lambda_ + Vhat * w) ** 2)
    )


def teacher_error(teacher, m, q, rho):
    from sympy import acos, pi
    return acos(m / sqrt(rho * q)) / pi if teacher.labels else rho + q - 2 * m


def _thresholds(inputs, teacher, samples):
    return {}


def build(loss: ConvexLoss, teacher: Channel, activation: GaussianActivation, features: FeatureMap) -> Formula:
    inputs = RandomFeatures(activation, features)
    c = features.ratio
    return _formula(
        "hidden-manifold", "t", "e", inputs, teacher, loss, samples_per_dimension / c,
        {"n/d": Control(samples_per_dimension, _POSITIVE, None, "n/d"),
         **({} if c.is_number else {"p/d": Control(features_per_dimension, _POSITIVE, None, "p/d")})},
        {"samples_per_feature": Relation(Control(samples_per_feature, _POSITIVE), samples_per_dimension / c)}, {},
    )


HIDDEN_MANIFOLD = Family(
    name="hidden-manifold",
    title="Hidden",
    options={
        "loss": Option(tuple(LOSSES), "logistic", "l", ConvexLoss, loss),
        "teacher": Option(("sign", "linear", "logistic", "probit"), "sign", "l", Channel, channel),
        "activation": Option(tuple(ACTIVATIONS), "erf", "l", GaussianActivation, activation),
        "features": Option(tuple(FEATURES), "gaussian", "l", FeatureMap, features),
    },
    build=build,
)
FORMULAS = (HIDDEN_MANIFOLD,)
