r"""Storage capacity of the binary perceptron, replica symmetric (Krauth & Mezard 1989).

.. math:: \phi = \log 2 + E_h \log\cosh h - \tfrac12 (1-q)\hat q
          + \alpha\, E_u \log H\Big(\frac{\kappa - u}{\sqrt{1-q}}\Big),
          \quad h \sim N(0, \hat q),\ u \sim N(0, q).
"""

import replica as rp
from replica.models.storage import discrete_weights

BINARY_PERCEPTRON = discrete_weights(
    rp.Rademacher(),
    rp.Step(),
    name="binary-perceptron",
    title="Storage capacity of the binary perceptron",
    ensemble="w in {-1, 1}^p, n = alpha p patterns X_mui ~ N(0, 1/p), random labels, y X.w > kappa",
    published=(
        rp.Published("alpha_G", 0.833, 5e-4, {"kappa": 0}, cite="krauth1989"),
        rp.Published("alpha_AT", 1.015, 5e-4, {"kappa": 0}, cite="krauth1989"),
        rp.Published(
            "alpha_G",
            0.9973,
            at={"kappa": 0},
            cite="kim1998",
            where="as quoted in the lectures",
            relation="<",
            disputed="other texts quote the same bound as 0.9963; the paper's abstract prints no "
            "digits",
        ),
        rp.Published(
            "alpha_G",
            0.9963,
            at={"kappa": 0},
            cite="kim1998",
            where="as quoted in later texts (.996 in arXiv:2401.15092)",
            relation="<",
            disputed="the lectures quote the same bound as 0.9973",
        ),
        rp.Published(
            "alpha_G",
            0.005,
            at={"kappa": 0},
            cite="kim1998",
            where="as quoted in the lectures",
            relation=">",
        ),
        rp.Published("alpha_G", 0.847, at={"kappa": 0}, cite="altschuler2024", relation="<"),
    ),
    cites=("krauth1989", "ding2019", "huang2024"),
    status="conjecture",
    experiment={"weights": rp.Rademacher(), "constraint": rp.Step()},
)

FORMULAS = (BINARY_PERCEPTRON,)
