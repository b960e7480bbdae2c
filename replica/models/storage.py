r"""Storage: how many random patterns a set of weights accepts.

With the log-partition :math:`L(h, \hat q)` of a weight, seen through a field h of variance
:math:`\hat q`, and the log-probability P of a pattern's accepted fields, the symmetric free entropy
of the solutions and its stability, the replicon, are

.. math:: \phi = S + E_h\, L_0(h) - \tfrac12 (\rho - q) \hat q
          + \alpha\, E_u P(u, \rho - q), \qquad
          \lambda = \alpha\, E_u (\partial_u^2 P)^2\, E_h (\partial_h^2 L_0)^2,

with :math:`h \sim N(0, \hat q)`, :math:`u \sim N(0, q)`, S the entropy of the weights before any
pattern is seen and :math:`L_0 = L + \rho\, \hat q / 2`, for weights whose square is known to be
:math:`\rho`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sympy import Expr, Interval, S, Symbol, log, oo, symbols

from replica.blocks.channel import Constraint
from replica.blocks.priors import Prior
from replica.declarations.control import Control
from replica.declarations.formula import Formula
from replica.declarations.threshold import Instability, Root, Threshold
from replica.errors import DeclarationError
from replica.language.means import Mean

__all__ = ["discrete_weights", "replicon_of_patterns", "spherical_weights"]

alpha, kappa = symbols("alpha kappa", real=True)
q, qhat = symbols("q qhat", nonnegative=True)
h, u = symbols("h u", real=True)  # Gaussian fields, bound below

PATTERNS = Control(alpha, Interval.open(0, oo), None, "patterns per weight, n/p")
ORIGIN: Mapping[Symbol, Expr] = {q: S.Zero, qhat: S.Zero}
"""The saddle of two independent solutions, which exists where the accepted fields are even."""
UNSTABLE = (
    "beyond kappa_star the q = 0 saddle is unstable before its entropy vanishes: replica "
    "symmetry is broken and this annealed value is only an upper bound"
)


def margin(accept: Constraint) -> Control:
    """Return the margin as a control: of either sign for a half-line, else a width."""
    if accept.is_half_line:
        return Control(kappa, Interval(-10, 10), 0, "margin")
    return Control(kappa, Interval.open(0, 10), 1, "margin")


def replicon_of_patterns(accept: Constraint, norm: Expr) -> Expr:
    r"""Return :math:`\alpha\, E_u (\partial_u^2 P)^2`, the patterns' part of the replicon.

    Parameters
    ----------
    accept : Constraint
    norm : Expr
        The squared norm per weight.

    Examples
    --------
    >>> from replica.blocks.channels import Step
    >>> replicon_of_patterns(Step(), S.One).free_symbols == {alpha, kappa, q}
    True
    """
    pattern = accept.log_probability(u, norm - q, kappa)
    return alpha * Mean(pattern.diff(u, 2) ** 2, (u, q))


def spherical_weights(accept: Constraint, **known: Any) -> Formula:
    r"""Return the symmetric formula of weights on the sphere, |w|^2 = p; per weight.

    .. math:: \phi = \tfrac12 \log(1-q) + \frac{q}{2(1-q)} + \alpha\, E_u P(u, 1 - q)

    The conjugate is eliminated: the entropy of a sphere of overlap q is known.

    Parameters
    ----------
    accept : Constraint
    **known
        What else a `Formula` says of itself, its thresholds among it.

    Examples
    --------
    >>> from replica.blocks.channels import Step
    >>> list(spherical_weights(Step(), name="sphere", title="Perceptron").overlaps)
    [q]
    """
    pattern = accept.log_probability(u, 1 - q, kappa)
    entropy = log(1 - q) / 2 + q / (2 * (1 - q)) + alpha * Mean(pattern, (u, q))
    return Formula(
        potential=entropy,
        overlaps={q: Interval.Ropen(0, 1)},
        controls={alpha: PATTERNS, kappa: margin(accept)},
        observables={
            "entropy": entropy,
            "replicon": replicon_of_patterns(accept, S.One) * (1 - q) ** 2,
        },
        stability="replicon",
        **known,
    )


def discrete_weights(weights: Prior, accept: Constraint, **known: Any) -> Formula:
    r"""Return the symmetric formula of weights of finitely many values of the same size.

    The capacity ``alpha_G`` is where the entropy of the solutions vanishes, and ``alpha_AT`` where
    the replicon reaches one. Where the accepted fields are even both are those of q = 0, a saddle
    at every number of patterns, and iterations start there first.

    Parameters
    ----------
    weights : Prior
        Whose square is the same for all values, such as `Rademacher`.
    accept : Constraint
    **known
        What else a `Formula` says of itself.

    Raises
    ------
    DeclarationError
        For other weights.

    Examples
    --------
    >>> from replica.blocks.channels import Step
    >>> from replica.blocks.priors import Rademacher
    >>> list(discrete_weights(Rademacher(), Step(), name="binary", title="Perceptron").thresholds)
    ['alpha_G', 'alpha_AT']
    """
    rho = weights.second_moment
    size = (weights.log_partition(h, qhat) + rho * qhat / 2).expand()
    if weights.entropy is None or size.has(qhat):
        raise DeclarationError(f"storage: the weights {weights} have no fixed size")
    pattern = accept.log_probability(u, rho - q, kappa)
    entropy = (
        weights.entropy
        + Mean(size, (h, qhat))
        - (rho - q) * qhat / 2
        + alpha * Mean(pattern, (u, q))
    )
    replicon = replicon_of_patterns(accept, rho) * Mean(size.diff(h, 2) ** 2, (h, qhat))
    return Formula(
        potential=entropy,
        overlaps={q: Interval.Ropen(0, rho)},
        conjugates={q: qhat},
        controls={alpha: PATTERNS, kappa: margin(accept)},
        starts=_starts(accept),
        observables={"entropy": entropy, "replicon": replicon},
        stability="replicon",
        thresholds=_thresholds(accept),
        **known,
    )


def _starts(accept: Constraint) -> dict[str, Mapping[Symbol, Expr]]:
    if not accept.channel.even:
        return {}
    return {
        "uninformed": ORIGIN,
        "correlated": {q: S(1) / 2},
        "informed": {q: S(95) / 100},
    }


def _thresholds(accept: Constraint) -> dict[str, Threshold]:
    if not accept.channel.even:
        return {
            "alpha_G": Root(
                "entropy", in_=alpha, doc="storage capacity: the entropy of solutions vanishes"
            ),
            "alpha_AT": Instability(
                "replicon", in_=alpha, doc="de Almeida-Thouless line: the replicon reaches one"
            ),
        }
    return {
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
