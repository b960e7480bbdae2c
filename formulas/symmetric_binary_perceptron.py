r"""Storage capacity of the symmetric binary perceptrons (Aubin, Perkins & Zdeborova 2019).

Patterns are accepted when :math:`|z| < \kappa` (rectangle) or :math:`|z| > \kappa` (u). With
h ~ N(0, qhat), u ~ N(0, q) and S the accepted set,

.. math:: \phi = \log 2 + E_h \log\cosh h - \tfrac12 (1-q)\hat q
          + \alpha\, E_u \log P\big(u + \sqrt{1-q}\, \xi \in S\big),\quad \xi \sim N(0, 1).

The saddle q = 0 always exists and gives the annealed capacity
:math:`\alpha_G = -\log 2 / \log p`, p = P(xi in S).
"""

from sympy import Expr, Interval, S, log, oo, symbols

from replica.blocks.constraints import constraint
from replica.blocks.priors import Rademacher
from replica.declarations.control import Control
from replica.declarations.family import Family, Option
from replica.declarations.formula import Formula
from replica.declarations.published import Published
from replica.declarations.threshold import Instability, Root, Threshold
from replica.language.means import Mean
from replica.language.primitives import LogCosh

alpha, kappa = symbols("alpha kappa", real=True)
q, qhat = symbols("q qhat", nonnegative=True)
h, u = symbols("h u", real=True)  # Gaussian fields, bound below

ORIGIN = {q: S.Zero, qhat: S.Zero}  # the saddle of two independent solutions
NAMES = {"rectangle": "|z| < kappa", "u": "|z| > kappa"}
UNSTABLE = (
    "beyond kappa_star the q = 0 saddle is unstable before its entropy vanishes: replica "
    "symmetry is broken and this annealed value is only an upper bound"
)


def _build(constraint_name: str) -> Formula:
    pattern = constraint(constraint_name).log_probability(u, 1 - q, kappa)
    entropy = (
        log(2) + Mean(LogCosh(h), (h, qhat)) - (1 - q) * qhat / 2 + alpha * Mean(pattern, (u, q))
    )
    replicon = (
        alpha * Mean(pattern.diff(u, 2) ** 2, (u, q)) * Mean(LogCosh(h).diff(h, 2) ** 2, (h, qhat))
    )
    return Formula(
        name="symmetric-binary-perceptron",
        title=f"Storage capacity of the symmetric binary perceptron, {NAMES[constraint_name]}",
        ensemble="w in {-1, 1}^p, n = alpha p patterns X_mui ~ N(0, 1/p), z = X.w, "
        + NAMES[constraint_name],
        potential=entropy,
        overlaps={q: Interval.Ropen(0, 1)},
        conjugates={q: qhat},
        controls={
            alpha: Control(alpha, Interval.open(0, oo), None, "patterns per weight, n/p"),
            kappa: Control(kappa, Interval.open(0, 10), 1, "margin"),
        },
        starts={
            "uninformed": ORIGIN,
            "correlated": {q: S(1) / 2},
            "informed": {q: S(95) / 100},
        },
        observables={"entropy": entropy, "replicon": replicon},
        stability="replicon",
        thresholds=_thresholds(constraint_name, entropy, replicon),
        published=_published(constraint_name),
        cites=("aubin2019", "abbe2021", "perkins2021"),
        status="theorem",
        experiment={"weights": Rademacher(), "constraint": constraint(constraint_name)},
        options={"constraint": constraint_name},
    )


def _thresholds(name: str, entropy: Expr, replicon: Expr) -> dict[str, Threshold]:
    thresholds: dict[str, Threshold] = {
        "alpha_G": Root(
            "entropy",
            in_=alpha,
            at=ORIGIN,
            doc="storage capacity: the entropy of the q = 0 saddle vanishes",
            caveat=UNSTABLE,
        ),
        "alpha_AT": Instability(
            "replicon",
            in_=alpha,
            at=ORIGIN,
            doc="de Almeida-Thouless line of the q = 0 saddle",
        ),
    }
    if name == "u":
        thresholds["alpha_RS"] = Root(
            "entropy",
            in_=alpha,
            doc="zero of the entropy on the q > 0 replica-symmetric branch, past kappa_star",
        )
        thresholds["kappa_star"] = Root(
            (entropy, replicon - 1),
            in_=(kappa, alpha),
            at=ORIGIN,
            start={kappa: S(4) / 5, alpha: S(4) / 5},
            doc="margin beyond which the q = 0 saddle is unstable at its capacity",
        )
    return thresholds


def _published(name: str) -> tuple[Published, ...]:
    if name != "u":
        return ()
    return (
        Published(
            "kappa_star",
            0.817,
            5e-4,
            options={"constraint": "u"},
            cite="aubin2019",
            where="as quoted in the lectures",
        ),
    )


SYMMETRIC_BINARY_PERCEPTRON = Family(
    name="symmetric-binary-perceptron",
    title="Storage capacity of the symmetric binary perceptrons",
    options={"constraint": Option(("rectangle", "u"), "rectangle", "accepted fields")},
    build=lambda constraint: _build(constraint),
)

FORMULAS = (SYMMETRIC_BINARY_PERCEPTRON,)
