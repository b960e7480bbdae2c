"""Pairs of hidden units: laws that sum to one, and theorems against derivatives."""

import dataclasses

import numpy as np
import pytest
from sympy import symbols

import replica as rp
from replica.blocks.committees import CommitteeChannel, PairPrior, eigenvalue_fields, minus, plus
from replica.numerics.kernel import compile_kernel

a, b = symbols("a b", positive=True)

each_channel = pytest.mark.parametrize("name", CommitteeChannel.shipped)
each_prior = pytest.mark.parametrize("name", PairPrior.shipped)


@each_channel
def test_labels_have_probabilities(name):
    channel = CommitteeChannel.shipped[name]
    fields = eigenvalue_fields(a, b)
    total = sum(channel.probability(row, *fields) for _, row in channel.table)
    rng = np.random.default_rng(3)
    first, second = rng.normal(size=(2, 50)) * 2
    (value,) = compile_kernel((plus, minus, a, b), (total,))(first, second, 0.3, 0.7)
    assert np.abs(value - 1).max() < 1e-14


@each_channel
def test_the_strength_is_the_derivative_of_the_free_entropy(name):
    """2 dI/dq = E sum (dZ)^2 / Z, by the heat equation."""
    channel = CommitteeChannel.shipped[name]
    entropy = compile_kernel((a, b), (channel.free_entropy((a, b), 1),))
    strengths = channel.strength((a, b), 1)
    stated = compile_kernel((a, b), strengths)(0.4, 0.8)
    step = 1e-4
    for j, found in enumerate(stated):
        shifted = [
            float(entropy(0.4 + m * step * (j == 0), 0.8 + m * step * (j == 1))[0])
            for m in (-2, -1, 1, 2)
        ]
        slope = (shifted[0] - 8 * shifted[1] + 8 * shifted[2] - shifted[3]) / (12 * step)
        assert abs(found + 2 * slope) < 1e-9


@each_channel
def test_the_response_is_the_slope_of_the_strength_where_nothing_is_told_apart(name):
    channel = CommitteeChannel.shipped[name]
    kernel = compile_kernel((a, b), (channel.strength((a, b), 1)[1], channel.response(a, 1)))
    _, response = kernel(0.3, 1.0)
    small = 1e-5
    near, _ = kernel(0.3, 1 - small)
    assert abs(near / small - response) < 1e-3 * response


def test_the_error_of_a_mean_of_two_signs_is_two_arcsines():
    channel = CommitteeChannel.shipped["sign-sum"]
    closed, mean = compile_kernel(
        (a, b), (channel.squared_error((a, b), 1), channel.squared_error_of_the_mean((a, b), 1))
    )(np.array([0.9, 0.3, 0.1]), np.array([1.0, 0.8, 0.15]))
    assert np.abs(closed - mean).max() < 1e-12


@each_prior
def test_gaps_and_responses_of_priors(name):
    prior = PairPrior.shipped[name]
    kernel = compile_kernel((a, b), (prior.free_entropy((a, b)), *prior.gap((a, b))))
    at, step = (1.3, 0.4), 1e-4
    _, *gaps = kernel(*at)
    for j, gap in enumerate(gaps):
        shifted = [
            float(kernel(at[0] + m * step * (j == 0), at[1] + m * step * (j == 1))[0])
            for m in (-2, -1, 1, 2)
        ]
        slope = (shifted[0] - 8 * shifted[1] + 8 * shifted[2] - shifted[3]) / (12 * step)
        assert abs(gap - (1 - 2 * slope)) < 1e-9
    small = 1e-5
    _, _, near = kernel(1.3, small)
    (response,) = compile_kernel((a, b), (prior.response(a),))(1.3, 1.0)
    assert abs((1 - near) / small - response) < 1e-3


@each_channel
def test_drawn_labels_follow_the_table(name):
    channel = CommitteeChannel.shipped[name]
    rng = np.random.default_rng(1)
    fields = rng.standard_normal((40_000, 2))
    drawn = channel.sample(rng, fields)
    assert set(drawn) == set(channel.labels)
    both = (fields > 0).all(axis=1)
    assert (drawn[both] == 1).all()
    assert (drawn[(fields < 0).all(axis=1)] == -1).all()
    tie = (fields[:, 0] > 0) != (fields[:, 1] > 0)
    expected = {"sign-sum": 0.0, "sign-sum-up": 1.0, "sign-sum-coin": 0.0}[name]
    assert abs(drawn[tie].mean() - expected) < 0.03


def test_unknown_names_list_what_exists():
    with pytest.raises(rp.UnknownName, match="sign-sum-coin"):
        CommitteeChannel.shipped["sign-sum-random"]
    with pytest.raises(rp.UnknownName, match="rademacher"):
        PairPrior.shipped["rademcher"]


def test_which_labels_are_means_of_signs():
    """It is read off the table, whatever the channel is called."""
    assert [
        name for name in CommitteeChannel.shipped if CommitteeChannel.shipped[name].averages_signs
    ] == ["sign-sum"]
    renamed = dataclasses.replace(CommitteeChannel.shipped["sign-sum"], name="mine")
    impostor = dataclasses.replace(CommitteeChannel.shipped["sign-sum-up"], name="sign-sum")
    assert renamed.squared_error((a, b), 1) == CommitteeChannel.shipped["sign-sum"].squared_error(
        (a, b), 1
    )
    assert impostor.squared_error((a, b), 1) == impostor.squared_error_of_the_mean((a, b), 1)
