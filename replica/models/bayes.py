r"""Planted models whose student knows the prior and the channel.

The free entropy is a sum of the blocks' terms, and of what pairs the gaps D with their conjugates,
the precisions g at which the weights are seen. With the law of the teacher known, a replica is as
good as the teacher (the Nishimori identity), so that the overlap of two replicas is the one with
the teacher, :math:`\rho - D`. The heat equation then gives each saddle-point equation as a mean of
squares,

.. math:: D = E\, \mathrm{Var}(w | r), \qquad g = \alpha\, E\, g_{out}^2,

which keep their digits where the derivatives of the potential lose them. The same holds along every
eigenvector of the overlap matrix of K fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sympy import Eq, Expr, Interval, S, Symbol, asin, oo, pi, sqrt, symbols

from replica.blocks.channel import Channel
from replica.blocks.committees import CommitteeChannel, PairPrior
from replica.blocks.priors import Prior
from replica.declarations.control import Control
from replica.declarations.formula import Formula
from replica.declarations.landmarks import Boundary
from replica.declarations.threshold import (
    EASY,
    POSSIBLE,
    Cases,
    Instability,
    Limit,
    Root,
    Threshold,
)
from replica.declarations.transitions import Crossing, Cusp, Fold

__all__ = ["generalised_linear_model", "two_unit_committee", "updates"]

alpha = symbols("alpha", real=True)
D, mhat = symbols("D mhat", nonnegative=True)
D_plus, D_minus = symbols("D_plus D_minus", nonnegative=True)
lambda_plus, lambda_minus = symbols("lambda_plus lambda_minus", nonnegative=True)

NOT_EVEN = (
    "the labels depend on the sign of the field, so the overlap is positive at every alpha > 0"
)
BIASED = "the prior has a mean, so the overlap is positive at every alpha > 0"
CONTINUOUS = "the overlaps leave the unspecialised state continuously, at alpha_spec"


def updates(
    prior: Prior | PairPrior, channel: Channel | CommitteeChannel, pairs: Mapping[Symbol, Symbol]
) -> dict[Symbol, Expr]:
    r"""Return what the saddle-point equations say of each gap and of its conjugate.

    .. math:: D = D_w(g), \qquad g = \alpha\, G(D)

    Parameters
    ----------
    prior : Prior or PairPrior
    channel : Channel or CommitteeChannel
        Of the same number of fields.
    pairs : mapping of Symbol to Symbol
        Each gap and its conjugate, along the eigenvectors of the overlap matrix.

    Examples
    --------
    >>> from replica.blocks.channels import Linear
    >>> from replica.blocks.priors import Gaussian
    >>> updates(Gaussian(), Linear(), {D: mhat})
    {D: 1/(mhat + 1), mhat: alpha/(D + Delta)}
    """
    gaps, precisions = tuple(pairs), tuple(pairs.values())
    one = prior.fields == 1
    spread: Any = prior.gap(precisions[0] if one else precisions)
    strength: Any = channel.strength(gaps[0] if one else gaps, prior.second_moment)
    spreads, strengths = ((spread,), (strength,)) if one else (spread, strength)
    found = dict(zip(gaps, spreads, strict=True))
    return found | {g: alpha * s for g, s in zip(precisions, strengths, strict=True)}


# ---- one field -----------------------------------------------------------------------------------


def generalised_linear_model(prior: Prior, channel: Channel, **known: Any) -> Formula:
    r"""Return the formula of labels :math:`y_\mu \sim P(y | x_\mu \cdot w^*)`, per weight.

    .. math:: \phi = \alpha\, \Phi_{out}(D) + D\, \hat m / 2 - I_w(\hat m)

    with n = alpha p patterns of entries N(0, 1/p). The overlap is the gap D and not m: next to
    perfect recovery 1 - m/rho has no digits, D has all; so have the terms above, where those with
    :math:`\Phi_w` and :math:`m \hat m` grow and cancel.

    Parameters
    ----------
    prior : Prior
    channel : Channel
    **known
        What else a `Formula` says of itself.

    Examples
    --------
    >>> from replica.blocks.channels import Sign
    >>> from replica.blocks.priors import Rademacher
    >>> model = generalised_linear_model(Rademacher(), Sign(), name="perceptron", title="Planted")
    >>> list(model.thresholds)
    ['alpha_WR', 'alpha_IT', 'alpha_AMP', 'alpha_sp', 'Delta_c']
    """
    rho = prior.second_moment
    labels = channel.free_entropy(D, rho)
    potential = alpha * labels + D * mhat / 2 - prior.mutual_information(mhat)
    observables = {
        "m": rho - D,
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
        potential=potential,
        overlaps={D: Interval.Lopen(0, rho)},
        conjugates={D: mhat},
        updates=updates(prior, channel, {D: mhat}),
        controls={
            "alpha": Control(alpha, Interval.open(0, oo), None, "patterns per weight"),
            **prior.controls,
            **channel.controls,
        },
        observables=observables,
        boundary=_full_recovery(prior, channel, observables),
        thresholds=_thresholds(prior, channel, potential),
        **known,
    )


def _end_of_curve(prior: Prior, channel: Channel) -> Expr | None:
    """Return alpha where the curve of saddle points ends in full recovery, if it does.

    It does where noiseless labels tell the field, or jump, so that one weight vector is left.
    """
    if channel.dimension != 0:
        return prior.dimension / channel.dimension
    return S.Zero if channel.jumps and prior.dimension == 0 else None


def _recovered(prior: Prior | PairPrior, channel: Channel | CommitteeChannel) -> Expr:
    """Return the potential of full recovery: minus the entropies of the weights and the labels."""
    entropy = S.Zero if prior.entropy is None else prior.entropy
    return -entropy - alpha * channel.label_entropy(prior.second_moment)


def _full_recovery(
    prior: Prior, channel: Channel, observables: Mapping[str, Expr]
) -> Boundary | None:
    """Return the point D = 0, at which exact labels leave one weight vector."""
    end = _end_of_curve(prior, channel)
    if end is None:
        return None
    there = {name: S.Zero for name in observables}
    there["m"] = prior.second_moment
    there["potential"] = oo if channel.dimension != 0 else _recovered(prior, channel)
    if not channel.deterministic:
        there["label_error"] = channel.error_of_known_field(prior.second_moment)
    if "mutual_information" in there:
        there["mutual_information"] = S.Zero if prior.entropy is None else prior.entropy
    return Boundary(
        "full recovery",
        at={D: S.Zero, mhat: oo},
        in_=alpha,
        above=end,
        observables=there,
        when=True if channel.noise is None else Eq(channel.noise, 0),
    )


def _thresholds(prior: Prior, channel: Channel, potential: Expr) -> dict[str, Threshold]:
    end = _end_of_curve(prior, channel)
    first_order = Crossing(alpha, doc="both branches have the same free entropy")
    if end is None:
        exact: Threshold = first_order
    elif channel.dimension != 0:
        exact = Limit(end, doc="as many equations as unknowns of the continuous part")
    else:
        exact = Root(
            potential - _recovered(prior, channel),
            in_=alpha,
            doc="zero posterior entropy",
            from_origin=True,
        )
    upper = Fold(alpha, doc="the uninformed branch ends")
    lower = Fold(alpha, upper=False, doc="the informed branch ends")
    transition = _by_noise(channel, exact, first_order, "information-theoretic transition")
    algorithm = _with_end(channel, upper, end if channel.dimension != 0 else None)
    thresholds = {
        "alpha_WR": replace(_weak_recovery(prior, channel), line=3),
        "alpha_IT": replace(transition, phases=POSSIBLE, line=0),
        "alpha_AMP": replace(algorithm, phases=EASY, line=1),
        "alpha_sp": replace(_with_end(channel, lower, end), line=4),
    }
    if channel.noise is not None:
        end_of_line = "noise beyond which there is no first-order transition"
        thresholds["Delta_c"] = Cusp((channel.noise, alpha), doc=end_of_line)
    return thresholds


def _with_end(channel: Channel, fold: Fold, end: Expr | None) -> Threshold:
    """Return the fold, or without noise the end of the curve where it lies beyond."""
    if end is None:
        return fold
    full = Fold(alpha, upper=fold.upper, otherwise=end, doc=fold.doc)
    return _by_noise(channel, full, fold, fold.doc)


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


# ---- two fields ----------------------------------------------------------------------------------


def two_unit_committee(prior: PairPrior, channel: CommitteeChannel, **known: Any) -> Formula:
    r"""Return the formula of labels of two hidden units, per input.

    .. math:: \phi = I_W(\lambda_+, \lambda_-) + \alpha\, I_Z(D_+, D_-)
              - \tfrac12 \sum_\pm (1 - D_\pm) \lambda_\pm

    At :math:`q_- = 1 - D_- = 0` the units are not told apart. That state never leaves itself; it
    becomes unstable at ``alpha_spec``.

    Parameters
    ----------
    prior : PairPrior
    channel : CommitteeChannel
    **known
        What else a `Formula` says of itself.

    Examples
    --------
    >>> prior, channel = PairPrior.shipped["gaussian"], CommitteeChannel.shipped["sign-sum"]
    >>> model = two_unit_committee(prior, channel, name="committee", title="Two units")
    >>> list(model.observables)
    ['potential', 'q00', 'q01', 'eps_g']
    """
    rho = prior.second_moment
    gaps, precisions = (D_plus, D_minus), (lambda_plus, lambda_minus)
    pairs = dict(zip(gaps, precisions, strict=True))
    bilinear = ((rho - D_plus) * lambda_plus + (rho - D_minus) * lambda_minus) / 2
    labels = channel.free_entropy(gaps, rho)
    potential = prior.free_entropy(precisions) + alpha * labels - bilinear
    # the subspace in which the two units are the same to the student
    unspecialised = {D_minus: rho, lambda_minus: S.Zero}
    return Formula(
        potential=potential,
        overlaps={gap: Interval.Lopen(0, rho) for gap in gaps},
        conjugates=pairs,
        updates=updates(prior, channel, pairs),
        controls={alpha: Control(alpha, Interval.open(0, oo), None, "patterns per input, n/p")},
        starts={
            "uninformed": {D_plus: S(3) / 10, D_minus: S(8) / 10},
            "informed": {D_plus: S(2) / 100, D_minus: S(5) / 100},
        },
        subspaces={"unspecialised": unspecialised},
        observables={
            "q00": rho - (D_plus + D_minus) / 2,
            "q01": (D_minus - D_plus) / 2,
            "eps_g": channel.squared_error(gaps, rho),
        },
        boundary=_full_recovery_of_pairs(prior, channel),
        thresholds=_thresholds_of_pairs(prior, channel, potential, unspecialised),
        **known,
    )


def _full_recovery_of_pairs(prior: PairPrior, channel: CommitteeChannel) -> Boundary | None:
    """Return the point q = 1, at which labels that jump leave one pair of binary weights."""
    if prior.entropy is None:
        return None
    return Boundary(
        "full recovery",
        at={D_plus: S.Zero, D_minus: S.Zero, lambda_plus: oo, lambda_minus: oo},
        in_=alpha,
        above=S.Zero,
        observables={
            "q00": prior.second_moment,
            "q01": S.Zero,
            "eps_g": S.Zero if channel.deterministic else S.NaN,
            "potential": _recovered(prior, channel),
        },
    )


def _thresholds_of_pairs(
    prior: PairPrior,
    channel: CommitteeChannel,
    potential: Expr,
    unspecialised: Mapping[Symbol, Expr],
) -> dict[str, Threshold]:
    eigenvalue = alpha * channel.response(D_plus, prior.second_moment) * prior.response(lambda_plus)
    continuous = ((S.true, CONTINUOUS),) if prior.entropy is None else ()
    gain = S.One if prior.entropy is None else potential - _recovered(prior, channel)
    return {
        "alpha_spec": Instability(
            eigenvalue,
            in_=alpha,
            at=unspecialised,
            doc="the state in which the units are not told apart becomes unstable",
        ),
        "alpha_IT": Root(
            gain,
            in_=alpha,
            at=unspecialised,
            doc="full recovery has the larger free entropy from here",
            unless=continuous,
            phases=POSSIBLE,
            line=0,
        ),
        "alpha_AMP": Fold(
            alpha,
            start={alpha: S(18) / 10, D_plus: S(3) / 10, D_minus: S(785) / 1000},
            doc="the branch of message passing ends",
            unless=continuous,
            phases=EASY,
            line=1,
        ),
    }
