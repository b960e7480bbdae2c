"""Channels of one's own, from the probabilities of their labels."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from blocks.channel_laws import (
    flipped,
    gap,
    kernel,
    levels,
    z,
)
from sympy import Heaviside, Rational, Symbol, exp, log, sqrt

from replica.blocks.channel import V, omega
from replica.blocks.written_channels import DiscreteChannel
from replica.errors import ControlError, DeclarationError, ReplicaError
from replica.numerics.kernel import compile_kernel

# ---- channels of one's own -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "variance",
    [1.0, 0.9, 0.6, 0.3, 0.05, 1e-4],
)
def test_a_sign_from_its_probabilities_is_the_shipped_one(variance: float):
    own = DiscreteChannel({s: Heaviside(s * z) for s in (-1, 1)}, z)
    assert own.deterministic
    compiled = compile_kernel((gap,), (own.free_entropy(gap, 1), own.strength(gap, 1)))
    found = [float(row) for row in compiled(variance, refinement=1)]
    expected = [float(row) for row in kernel("sign")(variance, 1.0, refinement=1)[:2]]
    assert found == pytest.approx(expected, rel=1e-8)


def test_what_a_declared_channel_is():
    assert flipped.labels == (-1, 1)
    assert not flipped.deterministic
    assert not levels.deterministic
    assert flipped.name == "flipped sign"
    assert flipped.controls == {}
    assert flipped.noise is None
    plain = DiscreteChannel({0: Rational(1, 4), 1: Rational(3, 4)}, z)
    assert plain.name == "discrete(0, 1)"
    assert pickle.loads(pickle.dumps(flipped)) == flipped
    assert hash(flipped) != hash(levels)


def test_a_label_that_is_uncertain_at_small_fields_only_is_not_deterministic():
    middle = (Heaviside(z + 1) - Heaviside(z - 1)) / 2
    own = DiscreteChannel({1: Heaviside(z - 1) + middle, -1: Heaviside(-z - 1) + middle}, z)
    assert not own.deterministic


def test_names_of_the_field_do_not_matter():
    for field in (Symbol("u", real=True), Symbol("x", real=True), Symbol("w")):
        own = DiscreteChannel({1: exp(-(field**2)), 0: 1 - exp(-(field**2))}, field)
        assert own.log_partition(1, omega, V) == DiscreteChannel(
            {1: exp(-(z**2)), 0: 1 - exp(-(z**2))}, z
        ).log_partition(1, omega, V)


@pytest.mark.parametrize(
    ("probabilities", "place", "total"),
    [
        ({1: Heaviside(z), -1: Heaviside(-z) / 2}, "-7.3", "0.5"),
        ({1: Heaviside(z) / 2, -1: Heaviside(-z)}, "0.02", "0.5"),
        ({1: Rational(1, 2), -1: Rational(1, 4)}, "-7.3", "0.75"),
        ({1: Heaviside(z - 1), -1: Heaviside(-z)}, "0.02", "0"),
        ({1: 1 + 0 * z, 2: Heaviside(z - 2)}, "6.8", "2"),
    ],
    ids=str,
)
def test_probabilities_that_do_not_sum_to_one(probabilities: Any, place: str, total: str):
    with pytest.raises(ControlError, match=rf"at z = {place} .*sum to {total}, not to one"):
        DiscreteChannel(probabilities, z)


def test_a_negative_probability():
    with pytest.raises(ControlError, match=r"at z = 0.02 .* 1.002, -0.002"):
        DiscreteChannel({1: 1 + z / 10, -1: -z / 10}, z)


def test_an_unbound_symbol():
    eps, mu = Symbol("eps", real=True), Symbol("mu", real=True)
    with pytest.raises(DeclarationError, match="unbound symbol eps"):
        DiscreteChannel({1: eps * Heaviside(z), -1: 1 - eps * Heaviside(z)}, z)
    with pytest.raises(DeclarationError, match="unbound symbol mu"):
        DiscreteChannel({1: Heaviside(mu), -1: 1 - Heaviside(mu)}, z)


@pytest.mark.parametrize(
    ("probabilities", "field"),
    [
        ([0.5, 0.5], z),
        (None, z),
        ({1: Heaviside(z), -1: Heaviside(-z)}, "z"),
        ({1: Heaviside(z), -1: Heaviside(-z)}, None),
        ({1: Heaviside(z), -1: Heaviside(-z)}, z + 1),
    ],
    ids=str,
)
def test_what_is_no_declaration(probabilities: Any, field: Any):
    with pytest.raises(DeclarationError, match="takes a mapping of labels to expressions"):
        DiscreteChannel(probabilities, field)


@pytest.mark.parametrize(
    "probabilities",
    [
        {},
        {1: sqrt(z), -1: 1 - sqrt(z)},
        {1: log(z), -1: 1 - log(z)},
        {1: "0.3", -1: 0.7},
        {"a": Heaviside(z), "b": Heaviside(-z)},
    ],
    ids=str,
)
def test_bad_declarations_are_refused_with_an_error_of_this_package(probabilities: Any):
    with pytest.raises(ReplicaError):
        DiscreteChannel(probabilities, z)
