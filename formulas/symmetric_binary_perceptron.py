r"""Storage capacity of the symmetric binary perceptrons (Aubin, Perkins & Zdeborova 2019).

Patterns are accepted when :math:`|z| < \kappa` (rectangle) or :math:`|z| > \kappa` (u). With
h ~ N(0, qhat), u ~ N(0, q) and S the accepted set,

.. math:: \phi = \log 2 + E_h \log\cosh h - \tfrac12 (1-q)\hat q
          + \alpha\, E_u \log P\big(u + \sqrt{1-q}\, \xi \in S\big),\quad \xi \sim N(0, 1).

The saddle q = 0 always exists and gives the annealed capacity
:math:`\alpha_G = -\log 2 / \log p`, p = P(xi in S).
"""

from dataclasses import replace
from typing import Annotated, Literal

from sympy import S

import replica as rp
from replica.models.storage import ORIGIN, alpha, discrete_weights, kappa

ACCEPTED = {"rectangle": "|z| < kappa", "u": "|z| > kappa"}


def build(
    constraint: Annotated[Literal["rectangle", "u"], "accepted fields"] = "rectangle",
) -> rp.Formula:
    """Return the formula of one set of accepted fields."""
    accept = rp.Constraint.shipped[constraint]
    formula = discrete_weights(
        rp.Rademacher(),
        accept,
        name="symmetric-binary-perceptron",
        title=f"Storage capacity of the symmetric binary perceptron, {ACCEPTED[constraint]}",
        ensemble="w in {-1, 1}^p, n = alpha p patterns X_mui ~ N(0, 1/p), z = X.w, "
        + ACCEPTED[constraint],
        cites=("aubin2019", "abbe2021", "perkins2021"),
        status="theorem",
        experiment={"weights": rp.Rademacher(), "constraint": accept},
    )
    return _beyond_the_origin(formula) if accept == rp.Outside() else formula


def _beyond_the_origin(formula: rp.Formula) -> rp.Formula:
    """Add what is known where the q = 0 saddle is unstable before its capacity."""
    on_the_branch = rp.Root(
        "entropy",
        in_=alpha,
        doc="zero of the entropy on the q > 0 replica-symmetric branch, past kappa_star",
    )
    kappa_star = rp.Root(
        (formula.observables["entropy"], formula.observables["replicon"] - 1),
        in_=(kappa, alpha),
        at=ORIGIN,
        start={kappa: S(4) / 5, alpha: S(4) / 5},
        doc="margin beyond which the q = 0 saddle is unstable at its capacity",
    )
    quoted = rp.Published(
        "kappa_star",
        0.817,
        5e-4,
        options={"constraint": "u"},
        cite="aubin2019",
        where="as quoted in the lectures",
    )
    more = {"alpha_RS": on_the_branch, "kappa_star": kappa_star}
    return replace(formula, thresholds={**formula.thresholds, **more}, published=(quoted,))


SYMMETRIC_BINARY_PERCEPTRON = rp.Family(
    "symmetric-binary-perceptron", "Storage capacity of the symmetric binary perceptrons", build
)

FORMULAS = (SYMMETRIC_BINARY_PERCEPTRON,)
