"""Formulas to sweep, and when two sweeps are the same."""

from __future__ import annotations

import numpy as np

import replica as rp

BINARY = rp.formulas["binary-perceptron"]
SPHERICAL = rp.formulas["spherical-perceptron"]


def same(first, second):
    for name, values in first.data.items():
        np.testing.assert_array_equal(values, second.data[name])
    np.testing.assert_array_equal(first.status, second.status)
    np.testing.assert_array_equal(first.exact, second.exact)
    np.testing.assert_array_equal(first.validity, second.validity)
