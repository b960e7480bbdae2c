r"""Committee machine with many hidden units (Aubin et al. 2018): Gaussian weights, K after n and p.

Labels :math:`y = \mathrm{sign} \sum_k \mathrm{sign}(x \cdot w^*_k)` of :math:`n =
\tilde\alpha K p` patterns. The overlap matrix of two weight matrices is :math:`q_d \mathbb 1 +
(q_a/K)\, 1 1^\top`; at this number of patterns :math:`q_a = 1 - q_d` costs nothing, and the
channel is a perceptron without noise whose field has the overlap

.. math:: q_{eff} = \frac2\pi \left(\arcsin q_d + 1 - q_d\right).

With the gap :math:`D = 1 - q_d` and its conjugate the free entropy per weight (of K p) is

.. math:: \phi = \tfrac12 \big[\hat m - \log(1 + \hat m)\big]
          + \tilde\alpha\, \Phi_{sign}(1 - q_{eff}) - (1 - D)\, \hat m / 2.

No unit is told from another at :math:`q_d = 0`, which is a local maximum at every
:math:`\tilde\alpha`: message passing leaves it only with :math:`n \sim K^2 p` patterns.
"""

from sympy import Expr, Interval, asin, exp, pi, sqrt, symbols

from replica.blocks.priors import Gaussian
from replica.declarations.control import Control
from replica.declarations.formula import Formula
from replica.declarations.published import Published
from replica.declarations.threshold import EASY, POSSIBLE, Crossing, Fold, Limit
from replica.language.means import Mean
from replica.language.primitives import LogH, Mills

alpha = symbols("alpha", real=True)
D, mhat = symbols("D mhat", nonnegative=True)
u = symbols("u", real=True)  # Gaussian field, bound below

PRIOR = Gaussian()

# every function of the gap keeps its digits as D -> 0, where asin(1 - D) has none
angle = 2 * asin(sqrt(D / 2))  # arccos(q_d)
gap = 2 / pi * (angle - D)  # 1 - q_eff
sine = sqrt(D * (2 - D))
slope = 2 / pi * (1 - D) ** 2 / (sine * (1 + sine))  # d q_eff / d q_d


def labels(gap: Expr) -> Expr:
    """Return the free entropy of a label: the perceptron's, at the gap of its field."""
    field = -u / sqrt(gap)
    return 2 * Mean(exp(LogH(field)) * LogH(field), (u, 1 - gap))


def strength(gap: Expr) -> Expr:
    """Return twice its derivative in the overlap, a mean of squares."""
    field = -u / sqrt(gap)
    return 2 * Mean(exp(LogH(field)) * Mills(field) ** 2, (u, 1 - gap)) / gap


def constant() -> Expr:
    r"""Return lim n/(K^2 p) of the patterns that message passing needs to specialise.

    At this scale the sum of the units is known, :math:`q_a = 1`, and so is the field
    :math:`h = \sqrt{2/\pi}\, \xi` that it leaves in :math:`P_y = \Phi(y h / \sqrt{1 - 2/\pi})`.
    """
    root = sqrt(1 - 2 / pi)
    field = -sqrt(2 / pi) * u / root
    # P'^2 / P = P * (Mills / root)^2, the same for both labels
    information = 2 / pi * Mean(u**2 * 2 * exp(LogH(field)) * (Mills(field) / root) ** 2, (u, 1))
    return 1 / information


potential = PRIOR.free_entropy(mhat) + alpha * labels(gap) - (1 - D) * mhat / 2

COMMITTEE_MACHINE_LARGE_K = Formula(
    name="committee-machine-large-k",
    title="Committee machine with many hidden units, Gaussian weights",
    ensemble="n = alpha K p labels sign(sum_k sign(x.w_k)) of K teachers, w_k ~ N(0, 1), "
    "n and p before K; entropies per weight, of K p",
    potential=potential,
    overlaps={D: Interval.Lopen(0, 1)},
    conjugates={D: mhat},
    # theorems: the Nishimori identity and the heat equation give means of squares
    updates={D: PRIOR.gap(mhat), mhat: alpha * strength(gap) * slope},
    controls={alpha: Control(alpha, Interval.open(0, 1000), None, "patterns per weight, n/(K p)")},
    observables={
        "q_d": 1 - D,
        "q_eff": 1 - gap,
        "eps_g": 2 * asin(sqrt(gap / 2)) / pi,
    },
    thresholds={
        "alpha_spec": Fold(alpha, upper=False, doc="a state that tells the units apart appears"),
        "alpha_IT": Crossing(
            alpha, doc="it has the largest free entropy from here", phases=POSSIBLE, line=0
        ),
        "alpha_AMP": Limit(
            constant(),
            doc="message passing specialises, in units of K^2 p patterns",
            phases=EASY,
            line=1,
        ),
    },
    published=(
        Published(
            "alpha_IT",
            7.65,
            5e-3,
            cite="aubin2018",
            where="as quoted in the lectures",
            disputed="at 7.65 the specialised maximum of these equations is still 3.55e-3 nats "
            "below the other; they cross at 7.68022, in multi-precision as well",
        ),
    ),
    cites=("aubin2018", "schwarze1993"),
    status="conjecture",
)

FORMULAS = (COMMITTEE_MACHINE_LARGE_K,)
