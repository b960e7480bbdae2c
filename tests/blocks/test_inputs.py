"""Inputs of a student: features that are drawn, matrices that are given, and bad ones."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

import replica as rp
from replica.blocks.covariances import Covariances
from replica.blocks.random_features import FeatureMap, FeatureMatrix
from replica.errors import ControlError, UnknownName


@pytest.mark.parametrize("name", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("shape", [(30, 50), (50, 30)])
def test_entries_have_unit_variance(name: str, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(3)
    draws = np.stack([FeatureMap.shipped[name].sample(rng, *shape) for _ in range(40)])
    assert draws.shape[1:] == shape
    assert np.mean(draws**2) == pytest.approx(1, rel=0.02)
    assert np.abs(draws.mean(axis=0)).max() < 5 / np.sqrt(40)


def test_orthogonal_features_are_orthogonal() -> None:
    F = FeatureMap.shipped["orthogonal"].sample(np.random.default_rng(0), 20, 50)
    assert np.allclose(F @ F.T / 50, np.eye(20))
    F = FeatureMap.shipped["orthogonal"].sample(np.random.default_rng(0), 50, 20)
    assert np.allclose(F.T @ F / 50, np.eye(20))


def test_a_given_matrix_is_compared_by_its_numbers() -> None:
    F = np.random.default_rng(2).standard_normal((6, 4))
    first, second = FeatureMatrix(F), FeatureMatrix(F.copy())
    assert first == second
    assert hash(first) == hash(second)
    assert first != FeatureMatrix(F + 1e-9)
    assert np.array_equal(first.sample(np.random.default_rng(0), 6, 4), F)
    with pytest.raises(ControlError, match="do not fit"):
        first.sample(np.random.default_rng(0), 4, 6)


def test_covariances_of_a_gaussian_covariate_model() -> None:
    rng = np.random.default_rng(8)
    root = rng.standard_normal((12, 12))
    joint = root @ root.T / 12
    psi, omega, phi = joint[:7, :7], joint[7:, 7:], joint[:7, 7:]
    theta = rng.standard_normal(7)
    found = rp.Covariances.from_matrices(psi, omega, phi, theta)
    assert found.second_moment == pytest.approx(theta @ psi @ theta / 7)
    assert np.allclose(found.cross, phi.T @ theta / np.sqrt(7))
    explained = found.cross @ np.linalg.solve(omega, found.cross)
    assert float(found.explained) == pytest.approx(explained)
    assert 0 < explained < found.second_moment


def test_covariances_measured_on_data() -> None:
    rng = np.random.default_rng(4)
    v = rng.standard_normal((500, 6)) * np.arange(1, 7)
    nu = v @ np.ones(6) + rng.standard_normal(500)
    found = rp.Covariances.from_data(v, nu)
    fitted = v @ np.linalg.lstsq(v, nu, rcond=None)[0]
    assert float(found.explained) == pytest.approx(np.mean(fitted**2))
    assert found.second_moment == pytest.approx(np.mean(nu**2))


def test_a_teacher_that_the_inputs_hold_entirely() -> None:
    found = rp.Covariances(np.eye(3), [0.6, 0.8, 0.0], 1.0)
    assert found.explained == found.rho


def test_covariances_travel_and_compare_by_content() -> None:
    found = Covariances.shipped["power-law"]
    again = pickle.loads(pickle.dumps(found))
    assert again == found
    assert hash(again) == hash(found)
    assert found != rp.Covariances(found.omega, found.cross, 2.0)


EYE = np.eye(2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[1.0, 2.0], [2.0, 1.0]], [1, 0], 1.0), "omega is not positive"),
        (([[1.0, 0.5], [0.0, 1.0]], [1, 0], 1.0), "omega is not symmetric"),
        ((EYE, [1.0, 0.0, 0.0], 1.0), "length 2 of omega"),
        ((EYE, [0.0, 0.0], 1.0), "say nothing about the teacher"),
        ((EYE, [1.0, 1.0], 1.0), "outside the span.* = 2 exceeds rho = 1"),
        ((np.diag([1.0, 0.0]), [0.0, 0.5], 1.0), "outside the span.*infinite"),
        ((EYE, [1.0, 0.0], -1.0), "positive number"),
        ((EYE, [1.0, np.inf], 1.0), "not finite"),
        ((EYE, "cross", 1.0), "real numbers"),
    ],
)
def test_bad_covariances(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ControlError, match=message) as caught:
        rp.Covariances(*arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("matrices", "message"),
    [
        ((EYE, EYE, 0.1 * np.ones((3, 2)), [1, 1]), r"shape \(d, p\) = \(2, 2\)"),
        ((EYE, EYE, 2 * EYE, [1, 1]), "joint matrix .* not positive"),
        ((np.diag([1.0, 0.0]), EYE, np.diag([0.5, 0]), [0, 1]), "outside the span of the data"),
        ((EYE, EYE, 0.5 * EYE, [1, 1, 1]), "teacher must have the length 2"),
        (([[1, 2], [2, 1]], EYE, 0.5 * EYE, [1, 1]), "psi is not positive"),
    ],
)
def test_bad_covariate_models(matrices: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ControlError, match=message):
        rp.Covariances.from_matrices(*matrices)


def test_bad_data_and_bad_features() -> None:
    with pytest.raises(ControlError, match=r"\(5, 2\)\s+and \(4,\)"):
        rp.Covariances.from_data(np.ones((5, 2)), np.ones(4))
    with pytest.raises(ControlError, match="not finite"):
        rp.Covariances.from_data(np.full((5, 2), np.nan), np.ones(5))
    with pytest.raises(ControlError, match="two dimensions"):
        FeatureMatrix(np.ones(3))
    with pytest.raises(ControlError, match="zero"):
        FeatureMatrix(np.zeros((3, 2)))
    with pytest.raises(ControlError, match="real numbers"):
        FeatureMatrix([["a"]])
    with pytest.raises(UnknownName, match="did you mean orthogonal"):
        FeatureMap.shipped["ortogonal"]
