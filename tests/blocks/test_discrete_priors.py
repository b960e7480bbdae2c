"""Priors of one's own, from their values or their ends: what is accepted, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from blocks.prior_laws import (
    CASES,
    DISCRETE,
    g,
    kernel,
    r,
)
from sympy import Rational, log, oo, sqrt

from replica.blocks.priors import (
    Discrete,
    GaussBernoulli,
    Uniform,
)
from replica.errors import ControlError, DeclarationError, ReplicaError
from replica.numerics.kernel import compile_kernel


def test_two_values_written_by_hand_are_the_shipped_signs():
    law = Discrete([-1, 1], [0.5, 0.5])
    found = compile_kernel((g,), (law.free_entropy(g), law.gap(g)))
    for strength in (0.2, 3.0, 40.0):
        for one, two in zip(
            found.bounded(strength), kernel("rademacher").bounded(strength), strict=False
        ):
            assert abs(float(one.value - two.value)) <= float(one.bound + two.bound)
            assert float(one.value) == pytest.approx(float(two.value), rel=1e-9)


def test_a_shift_changes_the_mean_and_not_the_error():
    strengths = np.array([0.3, 2.0, 15.0])
    aside = compile_kernel((g,), (Discrete([0, 2], [0.5, 0.5]).gap(g),))(strengths)[0]
    np.testing.assert_allclose(aside, kernel("rademacher")(strengths)[1], rtol=1e-12)
    wide = compile_kernel((g,), (Uniform(0, 2 * sqrt(3)).gap(g),))(strengths)[0]
    np.testing.assert_allclose(wide, kernel("uniform")(strengths)[1], rtol=1e-10)


@pytest.mark.parametrize("name", DISCRETE)
def test_entropy_is_what_a_discrete_weight_tells_at_most(name: str):
    """Phi_w - g rho / 2 -> minus the entropy."""
    law = CASES[name][0]
    chances = np.array([p for p, _ in CASES[name][2].atoms])
    entropy = float(-chances @ np.log(chances))
    assert float(law.entropy) == pytest.approx(entropy, rel=1e-14)
    strength = 200.0
    potential = float(kernel(name)(strength)[0])
    assert potential - strength * float(law.second_moment) / 2 == pytest.approx(-entropy, abs=1e-9)


def test_only_a_discrete_law_has_an_entropy():
    for name, (law, _, written) in CASES.items():
        assert (law.entropy is None) == (written.density is not None), name


def test_only_the_declared_values_are_drawn(rng: np.random.Generator):
    drawn = Discrete([-1, 0.1, 2], [0.2, 0.5, 0.3]).sample(rng, 1000, {})
    assert set(np.unique(drawn)) == {-1.0, 0.1, 2.0}
    drawn = Uniform(-0.5, 2).sample(rng, 1000, {})
    assert drawn.min() >= -0.5
    assert drawn.max() < 2
    sparse = GaussBernoulli().sample(rng, 1000, {"density": 0.25})
    assert np.mean(sparse != 0) == pytest.approx(0.25, abs=4 * math.sqrt(0.25 * 0.75 / 1000))


# ---- declarations --------------------------------------------------------------------------------


def test_numbers_are_exact():
    law = Discrete([-0.1, 0.3], [0.4, 0.6])
    assert law.second_moment == Rational(4, 1000) + Rational(54, 1000)
    assert law.mean == Rational(14, 100)
    assert Discrete([0, sqrt(2)], [Rational(1, 3), Rational(2, 3)]).second_moment == Rational(4, 3)
    assert Discrete([-1, 1], [0.5, 0.5]).entropy == log(2)
    assert Uniform(0, 1).second_moment == Rational(1, 3)
    assert Uniform(0, 1).mean == Rational(1, 2)
    assert Uniform(-1, 0.5).mean == Rational(-1, 4)


@pytest.mark.parametrize(
    "value",
    [
        0.1,
        -2.5,
        1 / 3,
        1e-20,
        1.000000001,
        math.pi,
    ],
)
def test_a_float_is_the_number_that_was_given(value: float):
    law = Discrete([value, 7], [0.5, 0.5])
    assert float(law.components[0][1]) == value
    assert float(Uniform(value, 7).low) == value  # type: ignore[attr-defined]


@pytest.mark.parametrize("probabilities", [[1 / 3] * 3, [0.1, 0.2, 0.7], [1e-6, 0.5, 0.499999]])
def test_decimal_probabilities_that_sum_to_one_are_accepted(probabilities: list[float]):
    law = Discrete([-1, 0, 1], probabilities)
    assert float(law.second_moment) == pytest.approx(probabilities[0] + probabilities[2])


@pytest.mark.parametrize(
    ("probabilities", "total"),
    [
        ([0.5, 0.4], "0.9"),
        ([0.5, 0.6], "1.1"),
        ([0.5, 0.50001], "1.00001"),
        ([0.5, 0.500000001], "1.000000001"),
    ],
)
def test_probabilities_that_do_not_sum_to_one(probabilities: list[float], total: str):
    with pytest.raises(ControlError, match=rf"sum to {total}$"):
        Discrete([-1, 1], probabilities)


@pytest.mark.parametrize("probabilities", [[0, 1], [-0.5, 1.5]])
def test_probabilities_that_are_not_positive(probabilities: list[float]):
    with pytest.raises(ControlError, match="must be positive"):
        Discrete([-1, 1], probabilities)


@pytest.mark.parametrize(
    ("values", "probabilities"),
    [
        ([1, 1], [0.5, 0.5]),
        ([1, 1.0], [0.5, 0.5]),
        ([0.5, Rational(1, 2)], [0.5, 0.5]),
        ([1], [1]),
        ([], []),
        ([1, 2, 3], [0.5, 0.5]),
        ([1, 2], [0.5, 0.25, 0.25]),
    ],
    ids=str,
)
def test_values_that_repeat_or_do_not_match(values: list[Any], probabilities: list[Any]):
    with pytest.raises(ControlError, match=r"distinct values and as many probabilities") as caught:
        Discrete(values, probabilities)
    assert f"{len(values)} values and {len(probabilities)} prob" in str(caught.value)


@pytest.mark.parametrize("bad", ["1", True, None, 1j, [1], float("nan"), float("inf"), oo, r])
def test_what_is_no_number(bad: Any):
    attempts = {"value": lambda: Discrete([0, bad], [0.5, 0.5])}
    if bad is not r:  # a probability may be an expression in controls: test_symbolic_priors
        attempts |= {"probability": lambda: Discrete([0, 1], [bad, 0.5])}
    if bad is not None:  # which stands for the default end
        attempts |= {"low": lambda: Uniform(bad, 100), "high": lambda: Uniform(-100, bad)}
    for what, attempt in attempts.items():
        with pytest.raises(DeclarationError, match=rf"{what} = .*is not a .*real number") as caught:
            attempt()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["-1,1", "ab"])
def test_text_is_no_list_of_values(text: str):
    with pytest.raises(ReplicaError):
        Discrete(text, [0.5, 0.5])
    with pytest.raises(ReplicaError):
        Discrete([0, 1], text)


@pytest.mark.parametrize(("low", "high"), [(1, 1), (2, 1), (0.5, 0.25), (sqrt(3), None)])
def test_ends_out_of_order(low: Any, high: Any):
    with pytest.raises(ControlError, match=r"uniform prior: low = .* must be below high = "):
        Uniform(low, high)


def test_values_may_come_as_arrays():
    plain = Discrete([-1, 1], [0.25, 0.75])
    assert Discrete(np.array([-1.0, 1.0]), np.array([0.25, 0.75])) == plain
    assert Discrete((-1, 1), (0.25, 0.75)) == plain


def test_values_may_come_as_an_array_of_integers():
    law = Discrete(np.array([-1, 1]), np.array([0.25, 0.75]))
    assert law == Discrete([-1, 1], [0.25, 0.75])
    assert Uniform(np.int64(0), np.int64(1)) == Uniform(0, 1)
