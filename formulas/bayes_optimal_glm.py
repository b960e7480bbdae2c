r"""Bayes-optimal generalised linear models: every prior of the weights, every output channel.

Labels :math:`y_\mu \sim P(y|x_\mu \cdot w^*)` of n = alpha p patterns with entries N(0, 1/p). With
:math:`\rho = E w^2`, the gap :math:`D = \rho - m` and its conjugate,

.. math:: \phi = \alpha\, \Phi_{out}(D) + D\, \hat m / 2 - I_w(\hat m),
          \qquad I_w(\hat m) = \rho\, \hat m / 2 - \Phi_w(\hat m),

where the blocks give :math:`\Phi_{out}`, :math:`\Phi_w` and :math:`I_w`, what a weight seen through
noise of precision :math:`\hat m` tells of itself. The overlap is D and not m: next to perfect
recovery 1 - m/rho has no digits, D has all; so have the terms above, where those with
:math:`\Phi_w` and :math:`m \hat m` grow and cancel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sympy import Eq, Expr, Interval, S, asin, exp, oo, pi, sqrt, symbols

from replica.blocks.channels import CHANNELS, Channel, channel
from replica.blocks.priors import PRIORS, Prior, prior
from replica.declarations.control import Control
from replica.declarations.family import Family, Option
from replica.declarations.formula import Formula
from replica.declarations.landmarks import Boundary
from replica.declarations.published import Published
from replica.declarations.threshold import (
    EASY,
    POSSIBLE,
    Cases,
    Crossing,
    Cusp,
    Fold,
    Limit,
    Root,
    Threshold,
)
from replica.language.means import Mean

alpha = symbols("alpha", real=True)
D, mhat = symbols("D mhat", nonnegative=True)

NOT_EVEN = (
    "the labels depend on the sign of the field, so the overlap is positive at every alpha > 0"
)
BIASED = "the prior has a mean, so the overlap is positive at every alpha > 0"


def build(prior: Prior, channel: Channel) -> Formula:
    """Return the formula of one prior and one channel."""
    rho = prior.second_moment
    m = rho - D
    labels = channel.free_entropy(D, rho)
    potential = alpha * labels + D * mhat / 2 - prior.mutual_information(mhat)
    observables = {
        "m": m,
        "mse": D,
        "label_error": channel.squared_error(D, rho),
    }
    if channel.noise is None and (channel.labels or not channel.deterministic):
        # infinite for a continuous label without noise
        observables["mutual_information"] = -potential - alpha * channel.label_entropy(rho)
    if channel.noisy_sign:
        # arccos(sqrt(m/rho)) and arccos(m/rho), which have no digits left in m next to recovery
        observables["eps_bayes"] = asin(sqrt(D / rho)) / pi
        observables["eps_gibbs"] = 2 * asin(sqrt(D / (2 * rho))) / pi
    return Formula(
        name="bayes-optimal-glm",
        title=f"Bayes-optimal generalised linear model, {prior} prior, {channel} channel",
        ensemble="Labels of random patterns drawn from a teacher; prior and channel are known.",
        potential=potential,
        overlaps={D: Interval.Lopen(0, rho)},
        conjugates={D: mhat},
        # theorems: the Nishimori identity and the heat equation give means of squares
        updates={D: prior.gap(mhat), mhat: alpha * channel.strength(D, rho)},
        controls={
            "alpha": Control(alpha, Interval.open(0, oo), None, "patterns per weight"),
            **prior.controls,
            **channel.controls,
        },
        observables=observables,
        boundary=_full_recovery(prior, channel, observables),
        thresholds=_thresholds(prior, channel, potential),
        published=_published(prior, channel),
        cites=("barbier2019",),
        status="theorem",
        experiment={"prior": prior, "channel": channel},
        options={"prior": prior, "channel": channel},
    )


def _full_recovery(
    prior: Prior, channel: Channel, observables: Mapping[str, Expr]
) -> Boundary | None:
    """Return the point D = 0, at which exact labels leave one weight vector."""
    if channel.dimension == 0 and not (channel.jumps and prior.dimension == 0):
        return None
    there = {name: S.Zero for name in observables}
    there["m"] = prior.second_moment
    entropy = S.Zero if prior.entropy is None else prior.entropy
    labels = channel.label_entropy(prior.second_moment)
    there["potential"] = oo if channel.dimension != 0 else -entropy - alpha * labels
    if not channel.deterministic:
        there["label_error"] = _error_of_known_field(channel, prior.second_moment)
    if "mutual_information" in there:
        there["mutual_information"] = entropy
    return Boundary(
        "full recovery",
        at={D: S.Zero, mhat: oo},
        in_=alpha,
        above=prior.dimension / channel.dimension if channel.dimension != 0 else S.Zero,
        observables=there,
        when=True if channel.noise is None else Eq(channel.noise, 0),
    )


def _error_of_known_field(channel: Channel, rho: Expr) -> Expr:
    """Return the mean variance of a label whose field is known."""
    z = symbols("z", real=True)
    moments = [
        sum(y**k * exp(channel.log_partition(y, z, S.Zero)) for y in channel.labels) for k in (1, 2)
    ]
    return Mean(moments[1] - moments[0] ** 2, (z, rho))


def _thresholds(prior: Prior, channel: Channel, potential: Expr) -> dict[str, Threshold]:
    # where labels tell the field, or jump, the curve of saddle points ends in full recovery
    end = None
    if channel.dimension != 0:
        end = prior.dimension / channel.dimension
    elif channel.jumps and prior.dimension == 0:
        end = S.Zero
    first_order = Crossing(alpha, doc="both branches have the same free entropy")
    if end is None:
        exact: Threshold = first_order
    elif channel.dimension != 0:
        exact = Limit(end, doc="as many equations as unknowns of the continuous part")
    else:
        entropy = S.Zero if prior.entropy is None else prior.entropy
        informed = -entropy - alpha * channel.label_entropy(prior.second_moment)
        exact = Root(
            potential - informed, in_=alpha, doc="zero posterior entropy", from_origin=True
        )
    upper = Fold(alpha, doc="the uninformed branch ends")
    lower = Fold(alpha, upper=False, doc="the informed branch ends")
    ends = {"alpha_AMP": end if channel.dimension != 0 else None, "alpha_sp": end}

    def with_end(fold: Fold, name: str) -> Threshold:
        if ends[name] is None:
            return fold
        full = Fold(alpha, upper=fold.upper, otherwise=ends[name], doc=fold.doc)
        return _by_noise(channel, full, fold, fold.doc)

    first = _by_noise(channel, exact, first_order, "information-theoretic transition")
    thresholds = {
        "alpha_WR": replace(_weak_recovery(prior, channel), line=3),
        "alpha_IT": replace(first, phases=POSSIBLE, line=0),
        "alpha_AMP": replace(with_end(upper, "alpha_AMP"), phases=EASY, line=1),
        "alpha_sp": replace(with_end(lower, "alpha_sp"), line=4),
    }
    if channel.noise is not None:
        end_of_line = "noise beyond which there is no first-order transition"
        thresholds["Delta_c"] = Cusp((channel.noise, alpha), doc=end_of_line)
    return thresholds


def _by_noise(channel: Channel, exact: Threshold, noisy: Threshold, doc: str) -> Threshold:
    if channel.noise is None or exact == noisy:
        return exact
    return Cases(alpha, ((Eq(channel.noise, 0), exact), (True, noisy)), doc=doc)


def _weak_recovery(prior: Prior, channel: Channel) -> Threshold:
    doc = "the overlap leaves zero"
    if not channel.even or prior.mean != 0:
        reason = NOT_EVEN if not channel.even else BIASED
        return Limit(S.One, doc=doc, unless=((S.true, reason),))
    return Limit(1 / channel.weak_recovery(prior.second_moment), doc=doc)


def _published(prior: Prior, channel: Channel) -> tuple[Published, ...]:
    pair = {"prior": prior.name, "channel": channel.name}
    table = {
        ("rademacher", "sign"): (
            Published("alpha_IT", 1.245, 5e-4, {"Delta": 0}, pair, "gyorgyi1990", "abstract"),
            Published(
                "alpha_AMP",
                1.493,
                5e-4,
                {"Delta": 0},
                pair,
                "barbier2019",
                "as quoted in the lectures",
            ),
        ),
    }
    return table.get((prior.name, channel.name), ())


BAYES_OPTIMAL_GLM = Family(
    name="bayes-optimal-glm",
    title="Bayes-optimal generalised linear models",
    options={
        "prior": Option(tuple(PRIORS), "rademacher", "law of the weights", Prior, prior),
        "channel": Option(tuple(CHANNELS), "sign", "law of the labels", Channel, channel),
    },
    build=build,
)

FORMULAS = (BAYES_OPTIMAL_GLM,)
