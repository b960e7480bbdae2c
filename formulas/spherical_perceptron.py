r"""Storage capacity of the spherical perceptron (Gardner & Derrida 1988), and one broken step.

Replica symmetric, with u ~ N(0, q):

.. math:: \phi = \tfrac12 \log(1-q) + \frac{q}{2(1-q)}
          + \alpha\, E_u \log H\Big(\frac{\kappa - u}{\sqrt{1-q}}\Big).

One step of replica symmetry breaking, with z ~ N(0, q1 - q0) inside u ~ N(0, q0):

.. math:: \phi = \tfrac12 \log(1-q_1) + \frac{1}{2m} \log\frac{D}{1-q_1} + \frac{q_0}{2D}
          + \frac{\alpha}{m} E_u \log E_z H\Big(\frac{\kappa-u-z}{\sqrt{1-q_1}}\Big)^m,
          \quad D = 1 - q_1 + m (q_1 - q_0).
"""

from typing import Annotated, Literal

from sympy import Expr, Interval, S, exp, log, oo, pi, sqrt, symbols

import replica as rp
from replica.models.storage import PATTERNS, alpha, kappa, margin, spherical_weights

q0, q1, m, mu = symbols("q0 q1 m mu", nonnegative=True)
u, z = symbols("u z", real=True)  # Gaussian fields, bound below

STEP = rp.Step()
ENSEMBLE = "|w|^2 = p, n = alpha p patterns X_mui ~ N(0, 1/p), random labels, y X.w > kappa"
UPPER_BOUND = (
    "for kappa < 0 replica symmetry is broken before capacity: this value is an upper bound"
)
STABLE = (
    "for kappa >= 0 the replicon stays below one up to capacity, where it tends to alpha_G "
    "H(-kappa) <= 1"
)


def _replica_symmetric() -> rp.Formula:
    below = exp(rp.LogH(-kappa))  # probability that a unit Gaussian is below the margin
    density = exp(-(kappa**2) / 2) / sqrt(2 * pi)
    capacity = 1 / ((1 + kappa**2) * below + kappa * density)
    return spherical_weights(
        STEP,
        name="spherical-perceptron",
        title="Storage capacity of the spherical perceptron",
        ensemble=ENSEMBLE,
        thresholds={
            "alpha_G": rp.Limit(
                capacity,
                doc="storage capacity: the overlap of two solutions reaches one",
                stability=capacity * below,
                caveat=UPPER_BOUND,
            ),
            "alpha_AT": rp.Instability(
                "replicon",
                in_=alpha,
                doc="de Almeida-Thouless line: the replicon reaches one",
                unless=((kappa >= 0, STABLE),),
            ),
        },
        published=(
            rp.Published("alpha_G", 2, 0, {"kappa": 0}, cite="cover1965", where="theorem 1"),
            rp.Published("alpha_G", 2, 0, {"kappa": 0}, cite="gardner1988", where="section 4"),
        ),
        cites=("gardner1988", "shcherbina2003"),
        status="theorem",
        experiment={"weights": rp.Sphere(), "constraint": STEP},
    )


def _one_step() -> rp.Formula:
    gap = 1 - q1 + m * (q1 - q0)
    inner = rp.Mean(exp(m * STEP.log_probability(u + z, 1 - q1, kappa)), (z, q1 - q0))
    entropy = (
        log(1 - q1) / 2
        + log(gap / (1 - q1)) / (2 * m)
        + q0 / (2 * gap)
        + alpha / m * rp.Mean(log(inner), (u, q0))
    )
    return rp.Formula(
        name="spherical-perceptron",
        title="Storage capacity of the spherical perceptron, one step of symmetry breaking",
        ensemble=ENSEMBLE,
        potential=entropy,
        overlaps={
            q0: Interval.Ropen(0, q1),
            q1: Interval.open(0, 1),
            m: Interval.open(0, 1),
        },
        controls={alpha: PATTERNS, kappa: margin(STEP)},
        # inside the basin of the broken saddle at kappa = -1, from the AT line to capacity; the
        # symmetric saddle q0 = q1 is a degenerate one of the same potential
        starts={
            "broken": {q0: S(3) / 5, q1: S(92) / 100, m: S(1) / 10},
            "broken-late": {q0: S(62) / 100, q1: S(98) / 100, m: S(8) / 100},
            "broken-early": {q0: S(65) / 100, q1: S(84) / 100, m: S(3) / 10},
        },
        observables={"entropy": entropy},
        thresholds={"alpha_G": _one_step_capacity()},
        cites=("gardner1988", "franz2017", "stojnic2023"),
        status="heuristic",
    )


def _one_step_capacity() -> rp.Limit:
    """Return the limit q1 -> 1, m -> 0 at fixed mu = m / (1 - q1) of the entropy's zero."""
    gap = 1 + mu * (1 - q0)
    # H^m tends to exp(-mu x^2 / 2) for fields x below the margin; its mean over z ~ N(0, 1 - q0) is
    # a sum of what is above the margin and what is below, in logarithms: q0 tends to one with kappa
    below = (kappa - u) / sqrt(1 - q0)
    inner = rp.LogSumExp(
        rp.LogH(below),
        rp.LogH(-below / sqrt(gap)) - log(gap) / 2 - mu * (kappa - u) ** 2 / (2 * gap),
    )
    capacity: Expr = (log(gap) / 2 + mu * q0 / (2 * gap)) / -rp.Mean(inner, (u, q0))
    # a fit of the minimum, measured for kappa from -4 to -0.05 and within Newton's reach of it
    near_q0 = exp(-(kappa**2) * (S(33) / 100 + S(95) / 100 * exp(S(22) / 10 * kappa)))
    near_gap = exp(S(73) / 100 + S(112) / 100 * kappa**2 / (1 - S(63) / 100 * kappa))
    near_mu = near_gap / (1 - near_q0)
    return rp.Limit(
        capacity,
        over={q0: (Interval.open(0, 1), near_q0), mu: (Interval.open(0, oo), near_mu)},
        doc="storage capacity with one step of symmetry breaking, extremised over q0 and mu",
        unless=(
            (
                kappa >= 0,
                "for kappa >= 0 replica symmetry is exact and q0 tends to one; use rsb=0",
            ),
        ),
    )


def build(
    rsb: Annotated[Literal[0, 1], "steps of replica symmetry breaking (1: kappa < 0)"] = 0,
) -> rp.Formula:
    """Return the formula of this many steps."""
    return _one_step() if rsb else _replica_symmetric()


SPHERICAL_PERCEPTRON = rp.Family(
    "spherical-perceptron", "Storage capacity of the spherical perceptron", build
)

FORMULAS = (SPHERICAL_PERCEPTRON,)
