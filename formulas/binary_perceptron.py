r"""Storage capacity of the binary perceptron, replica symmetric (Krauth & Mezard 1989).

.. math:: \phi = \log 2 + E_h \log\cosh h - \tfrac12 (1-q)\hat q
          + \alpha\, E_u \log H\Big(\frac{\kappa - u}{\sqrt{1-q}}\Big),
          \quad h \sim N(0, \hat q),\ u \sim N(0, q).
"""

from sympy import Interval, log, oo, symbols

from replica.blocks.constraints import constraint
from replica.blocks.priors import Rademacher
from replica.declarations.control import Control
from replica.declarations.formula import Formula
from replica.declarations.published import Published
from replica.declarations.threshold import Instability, Root
from replica.language.means import Mean
from replica.language.primitives import LogCosh

alpha, kappa = symbols("alpha kappa", real=True)
q, qhat = symbols("q qhat", nonnegative=True)
h, u = symbols("h u", real=True)  # Gaussian fields, bound below

pattern = constraint("step").log_probability(u, 1 - q, kappa)
entropy = log(2) + Mean(LogCosh(h), (h, qhat)) - (1 - q) * qhat / 2 + alpha * Mean(pattern, (u, q))
replicon = (
    alpha * Mean(pattern.diff(u, 2) ** 2, (u, q)) * Mean(LogCosh(h).diff(h, 2) ** 2, (h, qhat))
)

BINARY_PERCEPTRON = Formula(
    name="binary-perceptron",
    title="Storage capacity of the binary perceptron",
    ensemble="w in {-1, 1}^p, n = alpha p patterns X_mui ~ N(0, 1/p), random labels, y X.w > kappa",
    potential=entropy,
    overlaps={q: Interval.Ropen(0, 1)},
    conjugates={q: qhat},
    controls={
        alpha: Control(alpha, Interval.open(0, oo), None, "patterns per weight, n/p"),
        kappa: Control(kappa, Interval(-10, 10), 0, "margin"),
    },
    observables={"entropy": entropy, "replicon": replicon},
    stability="replicon",
    thresholds={
        "alpha_G": Root(
            "entropy",
            in_=alpha,
            doc="storage capacity: the entropy of solutions vanishes",
        ),
        "alpha_AT": Instability(
            "replicon",
            in_=alpha,
            doc="de Almeida-Thouless line: the replicon reaches one",
        ),
    },
    published=(
        Published("alpha_G", 0.833, 5e-4, {"kappa": 0}, cite="krauth1989"),
        Published("alpha_AT", 1.015, 5e-4, {"kappa": 0}, cite="krauth1989"),
        Published(
            "alpha_G",
            0.9973,
            at={"kappa": 0},
            cite="kim1998",
            where="as quoted in the lectures",
            relation="<",
            disputed="other texts quote the same bound as 0.9963; the paper's abstract prints no "
            "digits",
        ),
        Published(
            "alpha_G",
            0.9963,
            at={"kappa": 0},
            cite="kim1998",
            where="as quoted in later texts (.996 in arXiv:2401.15092)",
            relation="<",
            disputed="the lectures quote the same bound as 0.9973",
        ),
        Published(
            "alpha_G",
            0.005,
            at={"kappa": 0},
            cite="kim1998",
            where="as quoted in the lectures",
            relation=">",
        ),
        Published("alpha_G", 0.847, at={"kappa": 0}, cite="altschuler2024", relation="<"),
    ),
    cites=("krauth1989", "ding2019", "huang2024"),
    status="conjecture",
    experiment={"weights": Rademacher(), "constraint": constraint("step")},
)

FORMULAS = (BINARY_PERCEPTRON,)
