r"""Committee machine with two hidden units (Aubin et al. 2018): specialisation.

Labels :math:`y = \mathrm{sign}(\mathrm{sign}\, z_1 + \mathrm{sign}\, z_2)`, :math:`z_k = x \cdot
w^*_k`, of n = alpha p patterns with entries N(0, 1/p). The overlap of two weight matrices is a
2 x 2 matrix, symmetric under the exchange of the units; its eigenvalues :math:`q_\pm = q_{00} \pm
q_{01} = 1 - D_\pm` have the conjugates :math:`\lambda_\pm`, and

.. math:: \phi = I_W(\lambda_+, \lambda_-) + \alpha\, I_Z(D_+, D_-)
          - \tfrac12 \sum_\pm (1 - D_\pm) \lambda_\pm

in nats per input, with the blocks' :math:`I_W` and :math:`I_Z`. At :math:`q_- = 0` the units are
not told apart. That state never leaves itself; it becomes unstable at ``alpha_spec``.
"""

from typing import Annotated, Literal

import replica as rp
from replica.models.bayes import two_unit_committee


def build(
    K: Annotated[Literal[2], "hidden units"] = 2,
    prior: Annotated[rp.PairPrior, "weights"] = rp.PairPrior.shipped["gaussian"],
    channel: Annotated[
        rp.CommitteeChannel, "labels; each rule for ties is another channel"
    ] = rp.CommitteeChannel.shipped["sign-sum"],
) -> rp.Formula:
    """Return the formula of one prior and one channel."""
    return two_unit_committee(
        prior,
        channel,
        name="committee-machine",
        title=f"Committee machine with {K} hidden units, {prior} weights, {channel} labels",
        ensemble="n = alpha p labels of the signs of two teachers' fields; prior and channel are "
        "known; entropies per input",
        cites=("aubin2018",),
        status="theorem",
        experiment={"prior": prior, "channel": channel},
    )


COMMITTEE_MACHINE = rp.Family("committee-machine", "Committee machine with two hidden units", build)

FORMULAS = (COMMITTEE_MACHINE,)
