r"""Bayes-optimal generalised linear models: every prior of the weights, every output channel.

Labels :math:`y_\mu \sim P(y|x_\mu \cdot w^*)` of n = alpha p patterns with entries N(0, 1/p). With
:math:`\rho = E w^2`, the gap :math:`D = \rho - m` and its conjugate,

.. math:: \phi = \alpha\, \Phi_{out}(D) + D\, \hat m / 2 - I_w(\hat m),
          \qquad I_w(\hat m) = \rho\, \hat m / 2 - \Phi_w(\hat m),

where the blocks give :math:`\Phi_{out}`, :math:`\Phi_w` and :math:`I_w`, what a weight seen through
noise of precision :math:`\hat m` tells of itself.
"""

from typing import Annotated

import replica as rp
from replica.models.bayes import generalised_linear_model

BINARY_SIGNS = {"prior": "rademacher", "channel": "sign"}
TRANSITIONS_OF_BINARY_SIGNS = (
    rp.Published("alpha_IT", 1.245, 5e-4, {"Delta": 0}, BINARY_SIGNS, "gyorgyi1990", "abstract"),
    rp.Published(
        "alpha_AMP",
        1.493,
        5e-4,
        {"Delta": 0},
        BINARY_SIGNS,
        "barbier2019",
        "as quoted in the lectures",
    ),
)


def build(
    prior: Annotated[rp.Prior, "law of the weights"] = rp.Rademacher(),
    channel: Annotated[rp.Channel, "law of the labels"] = rp.Sign(),
) -> rp.Formula:
    """Return the formula of one prior and one channel."""
    binary_signs = (prior, channel) == (rp.Rademacher(), rp.Sign())
    return generalised_linear_model(
        prior,
        channel,
        name="bayes-optimal-glm",
        title=f"Bayes-optimal generalised linear model, {prior} prior, {channel} channel",
        ensemble="Labels of random patterns drawn from a teacher; prior and channel are known.",
        published=TRANSITIONS_OF_BINARY_SIGNS if binary_signs else (),
        cites=("barbier2019",),
        status="theorem",
        experiment={"prior": prior, "channel": channel},
    )


BAYES_OPTIMAL_GLM = rp.Family("bayes-optimal-glm", "Bayes-optimal generalised linear models", build)

FORMULAS = (BAYES_OPTIMAL_GLM,)
