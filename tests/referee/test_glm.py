"""A seeded random referee of the Bayes-optimal GLM, against plain numpy."""

from __future__ import annotations

import itertools
import math
import time

import numpy as np
import pytest
from referee import glm_oracle as oracle

import replica as rp

POINTS = 2  # of each pair, from each start
DIGITS = 1e-8  # relative, of the gap
SECONDS = 2.0  # of this process, whatever else the machine does
SPARSE = {"alpha": 0.2, "density": 0.1, "Delta": 1e-2}
PAIRS = list(itertools.product(oracle.PRIORS, oracle.CHANNELS))


def drawn(rng: np.random.Generator, prior: str, channel: str) -> dict[str, float]:
    """Return controls over the whole domain."""
    controls = {"alpha": float(np.exp(rng.uniform(math.log(0.03), math.log(16))))}
    if channel in oracle.NOISY:
        noisy = rng.random() < 0.6
        controls["Delta"] = float(10.0 ** rng.uniform(-7, 1)) if noisy else 0.0
    if prior == "gauss-bernoulli":
        controls["density"] = float(10.0 ** rng.uniform(-2.5, 0))
    if channel == "door":
        controls["K"] = float(rng.uniform(0.05, 2.5))
    return controls


@pytest.mark.slow
@pytest.mark.parametrize(("prior", "channel"), PAIRS, ids=["-".join(p) for p in PAIRS])
def test_random_points(prior: str, channel: str):
    """No disagreement, no false status, and an answer everywhere."""
    formula = rp.formulas["bayes-optimal-glm"](prior=prior, channel=channel)
    rng = np.random.default_rng([20261127, PAIRS.index((prior, channel))])
    wrong = []
    for start in ("uninformed", "informed"):
        for k in range(POINTS):
            controls = drawn(rng, prior, channel)
            begin = time.process_time()
            found = rp.solve(formula, start=start, check=False, **controls)
            seconds = time.process_time() - begin
            true = oracle.fixed_point(prior, channel, start, **controls)
            slack = DIGITS * true + found.errors["mse"] + 1e-250
            right = found.converged and abs(found["mse"] - true) <= slack
            if not right or (k and seconds > SECONDS):
                ours = f"{found['mse']:.12g} +- {found.errors['mse']:.1g} {found.status.name}"
                wrong.append(f"{start} {controls}: {ours}, not {true:.12g} ({seconds:.1f} s)")
    assert not wrong, "\n".join(wrong)


TURNING = [
    ("rademacher", "sign"),
    ("rademacher", "linear"),
    ("rademacher", "door"),
    ("gauss-bernoulli", "linear"),
    ("gauss-bernoulli", "sign"),
    ("gauss-bernoulli", "relu"),
    ("laplace", "linear"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("prior", "channel"), TURNING)
def test_random_spinodals(prior: str, channel: str):
    """Where message passing stops short of what is possible, or that it nowhere does."""
    formula = rp.formulas["bayes-optimal-glm"](prior=prior, channel=channel)
    rng = np.random.default_rng([20261129, TURNING.index((prior, channel))])
    for _ in range(3):
        controls = drawn(rng, prior, channel)
        del controls["alpha"]
        true = oracle.spinodal(prior, channel, **controls)
        found = rp.threshold(formula, "alpha_AMP", check=False, **controls)
        if true is None and channel in oracle.CONTINUOUS and controls.get("Delta") == 0:
            # the branch goes on to where there are as many equations as unknowns
            assert found.value == pytest.approx(1 / oracle.CONTINUOUS[channel]), controls
        elif true is None:
            assert found.status == rp.Status.NOT_FOUND, controls
        else:
            assert found.status == rp.Status.CONVERGED, controls
            assert found.value == pytest.approx(true, rel=1e-9), controls


@pytest.mark.parametrize(
    ("prior", "channel", "controls", "m"),
    [
        ("rademacher", "sign", {"alpha": 1.0}, 0.5607147370947),
        ("rademacher", "sign", {"alpha": 1.45}, 0.828757178743),
        ("gaussian", "sign", {"alpha": 2.0}, 0.7282981739707),
        ("gaussian", "relu", {"alpha": 1.5}, 0.91027717),
        ("gauss-bernoulli", "linear", SPARSE, 0.0474869949677),
    ],
)
def test_the_oracle_gives_the_published_overlaps(prior, channel, controls, m):
    rho = controls.get("density", 1.0)
    true = oracle.fixed_point(prior, channel, "uninformed", **controls)
    assert rho - true == pytest.approx(m, abs=1e-8)


@pytest.mark.parametrize("start", ["uninformed", "informed", "equilibrium"])
def test_a_random_grid_is_its_points(start: str):
    """Points of one grid do not influence each other, on either side of every transition."""
    rng = np.random.default_rng(20261129)
    formula = rp.formulas["bayes-optimal-glm"](prior="rademacher", channel="sign")
    alpha, noise = rng.uniform(0.3, 3.0, 16), 10.0 ** rng.uniform(-7, -1, 16)
    cloud = rp.solve(formula, alpha=alpha, Delta=noise, start=start, check=False)
    for k in range(alpha.size):
        one = rp.solve(formula, alpha=alpha[k], Delta=noise[k], start=start, check=False)
        assert one.status == cloud.status[k], (alpha[k], noise[k])
        assert cloud["mse"][k] == pytest.approx(one["mse"], rel=1e-8), (alpha[k], noise[k])
