"""A formula like the binary perceptron, to be changed in one place by each test."""

from __future__ import annotations

import pytest
from sympy import (
    Interval,
    Symbol,
    log,
    oo,
    sqrt,
    symbols,
)

from replica.declarations.formula import Formula
from replica.declarations.threshold import Root
from replica.errors import DeclarationError
from replica.language.means import Mean
from replica.language.primitives import LogCosh, LogH

alpha, kappa = symbols("alpha kappa", real=True)


q, qhat, m = symbols("q qhat m", nonnegative=True)


h, u, x = symbols("h u x", real=True)


loose = Symbol("loose", real=True)


PATTERN = LogH((kappa - u) / sqrt(1 - q))


POTENTIAL = (
    log(2) + Mean(LogCosh(h), (h, qhat)) - (1 - q) * qhat / 2 + alpha * Mean(PATTERN, (u, q))
)


def content(**changes):
    """A formula like the binary perceptron, as keyword arguments."""
    parts = {
        "name": "test-formula",
        "title": "A formula for tests",
        "potential": POTENTIAL,
        "overlaps": {q: Interval.Ropen(0, 1)},
        "conjugates": {q: qhat},
        "controls": {alpha: (Interval.open(0, oo), None), kappa: (Interval(-10, 10), 0)},
        "observables": {"entropy": POTENTIAL, "twice": 2 * q},
        "thresholds": {"alpha_G": Root("entropy", in_=alpha)},
    }
    return {**parts, **changes}


def make(**changes) -> Formula:
    return Formula(**content(**changes))


# ---- wrong potentials --------------------------------------------------------------------------


def refused(match: str | None, **changes) -> DeclarationError:
    with pytest.raises(DeclarationError, match=match) as caught:
        make(**changes)
    message = str(caught.value)
    assert "\n" not in message
    assert "test-formula" in message or "needs a" in message
    return caught.value
