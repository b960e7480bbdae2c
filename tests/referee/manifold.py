"""What the tests of the hidden manifold share."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from sympy import Symbol

import replica as rp
from replica.blocks.activations import GaussianActivation
from replica.numerics.kernel import compile_kernel

HMM = rp.formulas["hidden-manifold"]


GCM = rp.formulas["gaussian-covariates"]


slow = pytest.mark.slow


def shown(value: float, text: str) -> bool:
    """Whether a number rounds to the digits of `text`, give or take one in the last place."""
    return abs(value - float(text)) <= 1.01 * 10.0 ** -len(text.partition(".")[2])


@cache
def solved(**given: Any) -> Any:
    return rp.solve(HMM, **given)


def constants(name: str) -> tuple[float, float]:
    found = GaussianActivation.shipped[name]
    kernel = compile_kernel((Symbol("_"),), (found.kappa1, found.kappa_star))
    k1, ks = (float(value) for value in kernel(0.0, refinement=1))
    return k1, ks


def solved_grid(name: str, n_d: Any, p_d: Any, lam: Any, noise: Any) -> Any:
    return rp.solve(
        HMM,
        loss="square",
        teacher="linear",
        activation=name,
        samples_per_dimension=n_d,
        features_per_dimension=p_d,
        lambda_=lam,
        Delta=noise,
    )["eps_g"]
