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

from __future__ import annotations

from sympy import Expr, Interval, S, oo, symbols

from replica.blocks.committees import (
    COMMITTEE_CHANNELS,
    COMMITTEE_PRIORS,
    CommitteeChannel,
    PairPrior,
    committee_channel,
    minus,
    pair_prior,
    plus,
)
from replica.declarations.control import Control
from replica.declarations.family import Family, Option
from replica.declarations.formula import Formula
from replica.declarations.landmarks import Boundary
from replica.declarations.threshold import EASY, POSSIBLE, Fold, Instability, Root, Threshold

alpha = symbols("alpha", real=True)
D_plus, D_minus = symbols("D_plus D_minus", nonnegative=True)
lambda_plus, lambda_minus = symbols("lambda_plus lambda_minus", nonnegative=True)

# the subspace in which the two units are the same to the student
UNSPECIALISED = {D_minus: S.One, lambda_minus: S.Zero}

CONTINUOUS = "the overlaps leave the unspecialised state continuously, at alpha_spec"


def build(K: int, prior: PairPrior, channel: CommitteeChannel) -> Formula:
    """Return the formula of one prior and one channel."""
    labels = channel.free_entropy(D_plus, D_minus)
    bilinear = ((1 - D_plus) * lambda_plus + (1 - D_minus) * lambda_minus) / 2
    potential = prior.free_entropy(lambda_plus, lambda_minus) + alpha * labels - bilinear
    gaps = prior.gaps(lambda_plus, lambda_minus)
    return Formula(
        name="committee-machine",
        title=f"Committee machine with {K} hidden units, {prior} weights, {channel} labels",
        ensemble="n = alpha p labels of the signs of two teachers' fields; prior and channel are "
        "known; entropies per input",
        potential=potential,
        overlaps={D_plus: Interval.Lopen(0, 1), D_minus: Interval.Lopen(0, 1)},
        conjugates={D_plus: lambda_plus, D_minus: lambda_minus},
        # theorems: the Nishimori identity and the heat equation give means of squares
        updates={
            D_plus: gaps[0],
            D_minus: gaps[1],
            lambda_plus: alpha * channel.strength(plus, D_plus, D_minus),
            lambda_minus: alpha * channel.strength(minus, D_plus, D_minus),
        },
        controls={alpha: Control(alpha, Interval.open(0, oo), None, "patterns per input, n/p")},
        starts={
            "uninformed": {D_plus: S(3) / 10, D_minus: S(8) / 10},
            "informed": {D_plus: S(2) / 100, D_minus: S(5) / 100},
        },
        subspaces={"unspecialised": UNSPECIALISED},
        observables={
            "q00": 1 - (D_plus + D_minus) / 2,
            "q01": (D_minus - D_plus) / 2,
            "eps_g": channel.squared_error(D_plus, D_minus),
        },
        boundary=_full_recovery(prior, channel),
        thresholds=_thresholds(prior, channel, potential),
        cites=("aubin2018",),
        status="theorem",
        experiment={"prior": prior, "channel": channel},
        options={"K": K, "prior": prior, "channel": channel},
    )


def _full_recovery(prior: PairPrior, channel: CommitteeChannel) -> Boundary | None:
    """Return the point q = 1, at which labels that jump leave one pair of binary weights."""
    if prior.entropy is None:
        return None
    return Boundary(
        "full recovery",
        at={D_plus: S.Zero, D_minus: S.Zero, lambda_plus: oo, lambda_minus: oo},
        in_=alpha,
        above=S.Zero,
        observables={
            "q00": S.One,
            "q01": S.Zero,
            "eps_g": S.Zero if channel.deterministic else S.NaN,
            "potential": _recovered(prior, channel),
        },
    )


def _recovered(prior: PairPrior, channel: CommitteeChannel) -> Expr:
    entropy = S.Zero if prior.entropy is None else prior.entropy
    return -entropy - alpha * channel.label_entropy()


def _thresholds(
    prior: PairPrior, channel: CommitteeChannel, potential: Expr
) -> dict[str, Threshold]:
    eigenvalue = alpha * channel.response(D_plus) * prior.response(lambda_plus)
    spec = Instability(
        eigenvalue,
        in_=alpha,
        at=UNSPECIALISED,
        doc="the state in which the units are not told apart becomes unstable",
    )
    continuous = ((S.true, CONTINUOUS),) if prior.entropy is None else ()
    gain = S.One if prior.entropy is None else potential - _recovered(prior, channel)
    return {
        "alpha_spec": spec,
        "alpha_IT": Root(
            gain,
            in_=alpha,
            at=UNSPECIALISED,
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


COMMITTEE_MACHINE = Family(
    name="committee-machine",
    title="Committee machine with two hidden units",
    options={
        "K": Option((2,), 2, "hidden units"),
        "prior": Option(tuple(COMMITTEE_PRIORS), "gaussian", "weights", PairPrior, pair_prior),
        "channel": Option(
            tuple(COMMITTEE_CHANNELS),
            "sign-sum",
            "labels; each rule for ties is another channel",
            CommitteeChannel,
            committee_channel,
        ),
    },
    build=build,
)

FORMULAS = (COMMITTEE_MACHINE,)
