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

from typing import Annotated

import replica as rp
from replica.models.readout import structured_inputs

CITES = ("gerace2020", "goldt2020", "loureiro2021", "mei2022")
Loss = Annotated[rp.ConvexLoss, "loss of a sample"]
Teacher = Annotated[rp.Channel, "law of the labels", lambda channel: channel.teaches]


def build_hidden_manifold(
    loss: Loss = rp.ConvexLoss.shipped["square"],
    teacher: Teacher = rp.Sign(),
    activation: Annotated[rp.GaussianActivation, "activation"] = rp.GaussianActivation.shipped[
        "erf"
    ],
    features: Annotated[rp.FeatureMap, "law of F"] = rp.FeatureMap.shipped["gaussian"],
) -> rp.Formula:
    """Return the formula of random features of Gaussian data."""
    inputs = rp.RandomFeatures(activation, features)
    return structured_inputs(
        loss,
        teacher,
        inputs,
        name="hidden-manifold",
        ensemble="c N(0, 1) in d dimensions, v = activation(F^T c / sqrt d) in p; n labels of a "
        "random teacher linear in c; the student is linear in v.",
        cites=CITES,
        status="theorem",
        experiment={"inputs": inputs, "channel": teacher, "loss": loss},
    )


def build_gaussian_covariates(
    loss: Loss = rp.ConvexLoss.shipped["square"],
    teacher: Teacher = rp.Sign(),
    inputs: Annotated[rp.Covariances, "covariances"] = rp.Covariances.shipped["power-law"],
) -> rp.Formula:
    """Return the formula of inputs whose covariances are given."""
    return structured_inputs(
        loss,
        teacher,
        inputs,
        name="gaussian-covariates",
        ensemble="Teacher field and p inputs are jointly Gaussian with given covariances; n "
        "labels; the student is linear in the inputs.",
        cites=CITES,
        status="theorem",
        experiment={"inputs": inputs, "channel": teacher, "loss": loss},
    )


HIDDEN_MANIFOLD = rp.Family(
    "hidden-manifold",
    "Random features of a hidden manifold, by risk minimisation",
    build_hidden_manifold,
)

GAUSSIAN_COVARIATES = rp.Family(
    "gaussian-covariates",
    "Gaussian inputs of any covariance, by risk minimisation",
    build_gaussian_covariates,
)

FORMULAS = (HIDDEN_MANIFOLD, GAUSSIAN_COVARIATES)
