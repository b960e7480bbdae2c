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

from typing import Annotated

import replica as rp
from replica.models.readout import independent_patterns


def build(
    loss: Annotated[rp.ConvexLoss, "loss of a pattern"] = rp.ConvexLoss.shipped["square"],
    penalty: Annotated[rp.Penalty, "penalty of a weight"] = rp.Penalty.shipped["l2"],
    teacher: Annotated[rp.Channel, "law of the labels", lambda c: c.teaches] = rp.Sign(),
) -> rp.Formula:
    """Return the formula of one loss, one penalty and one teacher."""
    return independent_patterns(
        loss,
        penalty,
        teacher,
        name="empirical-risk",
        title=f"Risk minimisation, {loss} loss, {penalty} penalty, {teacher} teacher",
        ensemble="Labels of random patterns drawn from a teacher with Gaussian weights; the "
        "student minimises a convex loss, summed over patterns, and a penalty.",
        cites=("thrampoulidis2018", "aubin2020", "candes2020"),
        status="theorem",
        experiment={"channel": teacher, "loss": loss, "penalty": penalty},
    )


EMPIRICAL_RISK = rp.Family(
    "empirical-risk", "Empirical risk minimisation with a teacher's labels", build
)

FORMULAS = (EMPIRICAL_RISK,)
