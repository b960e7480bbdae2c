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
