"""Up to how many samples the hidden manifold is linearly separable."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from referee.manifold import GCM, HMM, shown, slow
from scipy import optimize
from sympy import Symbol

import replica as rp

# ---- separability --------------------------------------------------------------------------------

SEPARABLE = {
    ("sign", "gaussian"): ("1.146710", "2.643120", "6.777229", "12.249229", "74.9437"),
    ("sign", "orthogonal"): ("1.174793", "3.119528", "7.870823", "13.828567", "78.4776"),
    ("erf", "gaussian"): ("1.269834", "3.624917", "12.889031", "25.989074", "178.137"),
    ("erf", "orthogonal"): ("1.298439", "6.223539", "17.147581", "31.218573", "187.549"),
}


@pytest.mark.parametrize("pair", list(SEPARABLE))
def test_separability_in_figures(pair: tuple[str, str]) -> None:
    name, features = pair
    for ratio, text in zip((0.5, 1, 2, 3, 10), SEPARABLE[pair], strict=True):
        found = rp.threshold(
            HMM, "separability", activation=name, features=features, features_per_dimension=ratio
        )
        assert found.status == rp.Status.CONVERGED
        assert found.error < 1e-11 * found.value
        assert shown(found.value, text), found.value


@pytest.mark.parametrize(
    ("name", "features", "text"),
    [
        ("sign", "gaussian", ".367731"),
        ("sign", "orthogonal", ".326130"),
        pytest.param("tanh", "gaussian", ".292390", marks=slow),
        pytest.param("tanh", "orthogonal", ".268766", marks=slow),
    ],
)
def test_separability_against_the_width(name: str, features: str, text: str) -> None:
    def samples(width: float) -> float:
        return rp.threshold(
            HMM, "separability", activation=name, features=features, features_per_dimension=width
        ).value

    width = optimize.brentq(lambda c: samples(c) - 3, 0.6, 1.4, xtol=1e-9)
    assert shown(width / 3, text)


def test_separability_in_both_limits() -> None:
    narrow = rp.threshold(HMM, "separability", activation="sign", features_per_dimension=1e-4)
    assert narrow.value / 1e-4 == pytest.approx(2, rel=1e-4)  # Cover
    wide = [
        rp.threshold(HMM, "separability", activation="sign", features_per_dimension=c).value
        / c**1.5
        for c in (1e4, 4e4)
    ]
    assert wide[1] == pytest.approx(2.4008, rel=2e-3)
    assert abs(wide[1] - 2.4008) < abs(wide[0] - 2.4008)


@pytest.mark.slow
def test_separability_does_not_depend_on_the_loss_and_has_any_number_of_digits() -> None:
    given = {"activation": "erf", "features_per_dimension": 2}
    first = rp.threshold(HMM, "separability", loss="square", **given)
    second = rp.threshold(HMM, "separability", loss="logistic", digits=25, **given)
    assert first.value == pytest.approx(second.value, rel=1e-14)
    assert second.text.startswith("12.88903141181")
    assert len(second.text) >= 25


def test_the_largest_margin_vanishes_at_separability() -> None:
    edge = rp.threshold(HMM, "separability", activation="sign", features_per_dimension=1).value
    margins = []
    for share in (0.5, 0.8, 0.9, 0.95):
        found = rp.solve(
            HMM,
            loss="max-margin",
            activation="sign",
            features_per_dimension=1,
            samples_per_dimension=share * edge,
        )
        margins.append(found["margin"])
    assert all(a > b > 0 for a, b in itertools.pairwise(margins))
    # the margin vanishes linearly: the last two points lead to the edge
    end = 0.95 + 0.05 * margins[3] / (margins[2] - margins[3])
    assert end == pytest.approx(1, abs=3e-3)
    with pytest.raises(rp.ConvergenceError, match=r"NO_SADDLE.*not linearly separable.*2\.64312"):
        rp.solve(
            HMM,
            loss="max-margin",
            activation="sign",
            features_per_dimension=1,
            samples_per_dimension=1.2 * edge,
        )


def test_where_there_is_no_such_threshold() -> None:
    with pytest.raises(rp.ThresholdNotFound, match="no margin"):
        rp.threshold(HMM, "separability", loss="square", teacher="linear", features_per_dimension=1)
    x = Symbol("x", real=True)
    linear = rp.Activation(2 * x, x)
    with pytest.raises(rp.ThresholdNotFound, match="linear in the data"):
        rp.threshold(HMM, "separability", activation=linear, features_per_dimension=1)
    known = rp.Covariances(np.eye(3), [0.6, 0.8, 0.0], 1.0)
    with pytest.raises(rp.ThresholdNotFound, match="any number of samples"):
        rp.threshold(GCM, "separability", inputs=known)
    assert rp.threshold(GCM, "separability", inputs=known, Delta=0.5).value > 2
