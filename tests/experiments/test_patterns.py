"""What message passing refuses of a user's patterns and labels, and what it warns of."""

import math
import warnings

import numpy as np
import pytest

from replica.blocks import priors
from replica.errors import ControlError, DeclarationError, UnknownName
from replica.experiments import amp
from replica.experiments.planted import planted_model


def draw(p):
    """Twice as many patterns as weights, and the signs of a Gaussian teacher."""
    model = planted_model("test", "gaussian", "sign", {})
    rng = np.random.default_rng(0)
    teacher = model.draw_weights(rng, p)
    X = rng.standard_normal((2 * p, p)) / math.sqrt(p)
    return X, model.draw_labels(rng, X @ teacher)


def data():
    X, y = draw(8)
    return {"X": X, "y": y, "prior": "gaussian", "channel": "sign"}


def changed(**new):
    return {**data(), **new}


def with_entry(name, index, value):
    array = data()[name].copy()
    array[index] = value
    return {name: array}


BAD = [
    ({"X": np.ones(16)}, r"X has shape \(16,\); allowed: \(n, p\)"),
    ({"X": np.empty((0, 8)), "y": np.empty(0)}, r"X has shape \(0, 8\)"),
    ({"y": np.ones(8)}, r"y has shape \(8,\) and X has 16 rows.*transposed"),
    ({"y": np.ones((16, 1))}, r"y has shape \(16, 1\)"),
    ({"X": "patterns"}, "X must be an array of real numbers, not 'patterns'"),
    ({"X": [[1.0, 2.0], [1.0]]}, "X must be an array of real numbers"),
    ({"y": np.array([1j] * 16)}, "y must be an array of real numbers"),
    ({"y": None}, "y must be an array of real numbers, not None"),
    (with_entry("X", (3, 2), np.nan), r"X\[3, 2\] = nan is not finite"),
    (with_entry("X", (3, 2), np.inf), r"X\[3, 2\] = inf is not finite"),
    (with_entry("X", (3, 2), 1e200), "too large"),
    (with_entry("y", 5, np.nan), r"y\[5\] = nan is not finite"),
    (with_entry("y", 5, 0.5), r"y\[5\] = 0.5 is not a label of the channel sign .1 of 16.*-1, 1"),
    ({"channel": "relu"}, r"y\[\d+\] = -1 is not a label of the channel relu"),
    ({"dtype": "int64"}, "dtype = 'int64'; allowed: float32, float64"),
    ({"dtype": "kelvin"}, "dtype = 'kelvin'; allowed"),
    ({"max_steps": 0}, "max_steps = 0"),
    ({"max_steps": 2.5}, "max_steps = 2.5"),
    ({"damping": 1.0}, "damping = 1; allowed: 0 <= damping < 1"),
    ({"damping": -0.1}, "damping = -0.1"),
    ({"damping": math.nan}, "damping = nan"),
    ({"tolerance": 0.0}, "tolerance = 0"),
    ({"rng": -1}, "rng = -1"),
    ({"Delta": -1.0}, "Delta = -1"),
    ({"Delta": [0.1, 0.2]}, "Delta"),
    ({"Delta": "much"}, "Delta"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_bad_data(arguments, message):
    with pytest.raises(ControlError, match=message) as caught:
        amp(**changed(**arguments))
    assert "\n" not in str(caught.value)


def test_unknown_names():
    with pytest.raises(UnknownName, match="did you mean gaussian"):
        amp(**changed(prior="gausian"))
    with pytest.raises(UnknownName, match="did you mean sign"):
        amp(**changed(channel="sing"))
    with pytest.raises(UnknownName, match="Delta"):
        amp(**changed(delta=0.1))
    with pytest.raises(DeclarationError, match="neither a Prior nor the name of one"):
        amp(**changed(prior=None))
    with pytest.raises(DeclarationError, match="neither a Channel nor the name of one"):
        amp(**changed(channel=priors.Gaussian()))


def test_warnings_about_the_scale():
    X, y = draw(100)
    with pytest.warns(UserWarning, match=r"variance (3\.9|4\.0)\d+/p .*: divide X by (1\.9|2\.0)"):
        amp(2 * X, y, "gaussian", "sign", check=False)
    with pytest.warns(UserWarning, match=r"variance (99|10\d)(\.\d+)?/p"):
        amp(10 * X, y, "gaussian", "sign", check=False)
    uneven = X.copy()
    uneven[:, 7] *= 2.5
    with pytest.warns(UserWarning, match=r"column 7 of X has variance [5-7]\.\d+/p.*divide each"):
        amp(uneven, y, "gaussian", "sign", check=False)
    with pytest.warns(UserWarning, match="X is zero"):
        amp(0 * X, y, "gaussian", "sign", check=False)
    with warnings.catch_warnings():  # other laws of the same variance are fine
        warnings.simplefilter("error")
        amp(np.sign(X) / 10, y, "gaussian", "sign", check=False)
