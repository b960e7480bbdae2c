"""Statistics of an experiment, its table and its JSON."""

import json
import math
import pickle

import numpy as np
import pytest

import replica as rp
from replica.errors import UnknownName
from replica.experiments.result import fraction_with_error, mean_with_error


def test_error_of_a_fraction_is_never_zero():
    fraction, error = fraction_with_error(np.arange(11), 10)
    np.testing.assert_allclose(fraction, np.arange(11) / 10)
    assert (error > 0).all()
    np.testing.assert_allclose(error, error[::-1])


def test_error_of_a_fraction_is_binomial_for_many_trials():
    _, error = fraction_with_error(np.array([30_000]), 100_000)
    assert error[0] == pytest.approx(math.sqrt(0.3 * 0.7 / 100_000), rel=1e-4)


def test_error_of_a_fraction_covers():
    # Frequency of |f - truth| < 2 and 3 errors when the experiment is repeated; the lowest are
    # 0.891 (10 trials, f = 1/2, where a count of 2 is just outside) and 0.961, exactly.
    rng = np.random.default_rng(0)
    for truth in (0.005, 0.02, 0.05, 0.3, 0.5):
        for trials in (10, 40):
            successes = rng.binomial(trials, truth, size=20_000)
            fraction, error = fraction_with_error(successes, trials)
            deviation = np.abs(fraction - truth) / error
            assert np.mean(deviation < 2) > 0.88
            assert np.mean(deviation < 3) > 0.95


def test_mean_leaves_out_undefined_samples():
    samples = np.array([[1.0, np.nan, np.nan], [2.0, 5.0, np.nan], [6.0, 7.0, np.nan]])
    mean, error = mean_with_error(samples)
    np.testing.assert_allclose(mean, [3.0, 6.0, np.nan])
    np.testing.assert_allclose(error, [np.std([1, 2, 6], ddof=1) / math.sqrt(3), 1.0, np.nan])
    mean, error = mean_with_error(np.array([4.0]))
    assert mean == 4
    assert np.isnan(error)


@pytest.fixture(scope="module")
def experiment():
    return rp.simulate(rp.formulas["binary-perceptron"], p=8, instances=6, rng=3)


def test_json_has_numbers_or_null(experiment):
    answer = json.loads(json.dumps(experiment.to_dict(), allow_nan=False))
    assert answer["formula"] == "binary-perceptron"
    assert answer["controls"] == {"kappa": 0.0}
    assert answer["seed"] == 3
    assert answer["p"] == 8
    assert answer["n"] == experiment.n.tolist()
    assert answer["observables"]["satisfiable"] == experiment["satisfiable"].tolist()
    assert answer["observables"]["entropy"][-1] is None  # no instance is satisfiable there
    assert answer["observables"]["capacity"] == np.mean(experiment.largest_n) / 8
    assert set(answer["errors"]) == set(answer["observables"])


def test_table_fits_the_terminal(experiment):
    text = repr(experiment)
    assert max(map(len, text.splitlines())) <= 80
    assert "binary-perceptron" in text
    assert "seed = 3" in text
    assert "nan" not in text
    long = rp.simulate(rp.formulas["binary-perceptron"], p=8, instances=2, kappa=-2.0)
    assert len(long.n) > 20
    assert len(repr(long).splitlines()) < 30
    assert f"(20 of {len(long.n)} rows shown)" in repr(long)


def test_unknown_observable(experiment):
    with pytest.raises(UnknownName, match="did you mean entropy"):
        experiment["entropi"]


def test_travels_between_processes(experiment):
    assert pickle.loads(pickle.dumps(experiment)).to_dict() == experiment.to_dict()
