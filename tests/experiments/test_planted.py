"""A prior and a channel in numbers, against sums and differences by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy import Rational, S

import replica as rp
from replica.blocks.channel import Channel
from replica.blocks.committees import CommitteeChannel, PairPrior
from replica.blocks.priors import Prior
from replica.errors import ControlError, DeclarationError, UnknownName
from replica.experiments.planted import fields_of_new_patterns, planted_model
from replica.experiments.planted_pair import PlantedPair

REAL = [name for name, channel in Channel.shipped.items() if channel.parts == 1]


@settings(max_examples=25)
@given(
    st.lists(st.integers(-4, 4), min_size=2, max_size=4, unique=True),
    st.lists(st.integers(1, 5), min_size=4, max_size=4),
    st.floats(0.05, 20),
)
def test_the_posterior_of_any_discrete_prior(places, shares, precision):
    """Means and variances are sums over the values, and never leave them."""
    total = sum(shares[: len(places)])
    chances = [Rational(share, total) for share in shares[: len(places)]]
    values = np.array([place / 2 for place in places])
    prior = rp.Discrete([Rational(place, 2) for place in places], chances)
    model = planted_model("test", prior, "sign", {})
    field = np.linspace(-3, 3, 7)
    mean, variance = model.denoise(field, precision)
    logs = np.log([float(c) for c in chances]) + np.outer(field, values) - precision * values**2 / 2
    weight = np.exp(logs - logs.max(axis=1, keepdims=True))
    weight /= weight.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(mean, weight @ values, atol=1e-9)
    np.testing.assert_allclose(variance, weight @ values**2 - (weight @ values) ** 2, atol=1e-9)
    assert (np.diff(mean) >= -1e-12).all()
    assert model.mean == pytest.approx(np.array(chances, dtype=float) @ values)


@pytest.mark.parametrize("name", Prior.shipped)
def test_drawn_weights_have_the_moments_of_the_prior(name):
    model = planted_model("test", name, "sign", {})
    drawn = model.draw_weights(np.random.default_rng(0), 40_000)
    assert drawn.mean() == pytest.approx(model.mean, abs=0.03)
    assert (drawn**2).mean() == pytest.approx(model.second_moment, rel=0.05)
    assert model.variance == pytest.approx(drawn.var(), rel=0.05)


@pytest.mark.parametrize("name", REAL)
def test_slopes_are_those_of_the_messages(name):
    """The second output is the derivative of the first; labels are possible ones."""
    model = planted_model("test", "gaussian", name, {})
    rng = np.random.default_rng(1)
    fields = rng.standard_normal(60)
    labels = model.draw_labels(rng, fields + 0.3)
    model.check_labels(labels, "test")
    output, step = model.output(labels), 1e-5
    (above, _), (below, _) = output(fields + step, 0.4), output(fields - step, 0.4)
    _, slope = output(fields, 0.4)
    np.testing.assert_allclose((above - below) / (2 * step), slope, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", REAL)
def test_predicted_labels_are_means_of_drawn_ones(name):
    model = planted_model("test", "gaussian", name, {})
    rng = np.random.default_rng(2)
    for center in (-0.7, 0.4):
        fields = center + math.sqrt(0.3) * rng.standard_normal(40_000)
        labels = model.draw_labels(rng, fields)
        assert model.predicted_label(np.array([center]), 0.3)[0] == pytest.approx(
            labels.mean(), abs=4 * labels.std() / 200 + 1e-12
        )


@given(st.floats(0, 2), st.floats(-1, 1), st.floats(0.1, 3))
def test_fields_of_new_patterns_have_the_asked_covariance(q, cosine, rho):
    m = cosine * math.sqrt(q * rho)
    student, teacher = fields_of_new_patterns(np.random.default_rng(0), m, q, rho, 4000)
    found = np.cov(student, teacher, bias=True)
    np.testing.assert_allclose(found, [[q, m], [m, rho]], atol=0.08 * max(q, rho))


def test_which_signs_are_free():
    def free(prior, channel):
        return planted_model("test", prior, channel, {}).sign_is_free

    assert free("gaussian", "abs")
    assert not free("gaussian", "sign")
    assert not free(rp.Uniform(0, 1), "abs")


def test_what_is_no_planted_model():
    with pytest.raises(UnknownName, match="did you mean gaussian"):
        planted_model("test", "gausian", "sign", {})
    with pytest.raises(DeclarationError, match="test: prior = 3 is neither a Prior nor the name"):
        planted_model("test", 3, "sign", {})
    with pytest.raises(UnknownName, match="Delta"):
        planted_model("test", "gaussian", "sign", {"delta": 1})
    with pytest.raises(ControlError, match="outside"):
        planted_model("test", "gaussian", "sign", {"Delta": -1})
    with pytest.raises(ControlError, match="complex fields"):
        planted_model("test", "gaussian", rp.ComplexAbsolute(), {})
    with pytest.raises(ControlError, match=r"y\[1\] = 0.5 is not a label of the channel sign"):
        planted_model("test", "gaussian", "sign", {}).check_labels(np.array([1, 0.5]), "test")


class Silent(Prior):
    """A prior that nobody taught to draw."""


def test_a_prior_that_cannot_be_drawn():
    model = planted_model("test", Silent("silent", S.One, S.Zero, S.One), "sign", {})
    with pytest.raises(ControlError, match="prior silent cannot be simulated"):
        model.draw_weights(np.random.default_rng(0), 3)


# ---- two fields ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CommitteeChannel.shipped)
def test_gradient_and_hessian_of_two_fields(name):
    """Against differences, at a covariance that correlates the fields."""
    model = PlantedPair(PairPrior.shipped["gaussian"], CommitteeChannel.shipped[name])
    rng = np.random.default_rng(3)
    fields = rng.standard_normal((40, 2))
    labels = model.draw_labels(rng, fields)
    covariance, step = np.array([[0.5, 0.2], [0.2, 0.7]]), 1e-5
    output = model.output(labels)
    _, hessian = output(fields, covariance)
    for k in range(2):
        move = step * np.eye(2)[k]
        above, below = (output(fields + s * move, covariance)[0] for s in (1, -1))
        np.testing.assert_allclose((above - below) / (2 * step), hessian[:, k], atol=1e-6)
    np.testing.assert_array_equal(hessian, hessian.transpose(0, 2, 1))


@pytest.mark.parametrize("name", CommitteeChannel.shipped)
def test_predicted_labels_of_two_fields(name):
    model = PlantedPair(PairPrior.shipped["gaussian"], CommitteeChannel.shipped[name])
    rng = np.random.default_rng(4)
    center, covariance = np.array([0.4, -0.2]), np.array([[0.5, -0.3], [-0.3, 0.6]])
    fields = rng.multivariate_normal(center, covariance, size=40_000)
    labels = model.draw_labels(rng, fields)
    predicted = model.predicted_label(center[None], covariance)
    assert predicted[0] == pytest.approx(labels.mean(), abs=4 * labels.std() / 200)
