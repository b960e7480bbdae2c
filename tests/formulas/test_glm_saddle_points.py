"""Saddle points of Bayes-optimal models, in figures and in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
from referee.glm_curves import (
    GLM,
    LN2,
    shown,
    threshold,
)
from scipy import special

import replica as rp
from replica.numerics.kernel import compile_kernel


def test_errors_at_the_thresholds():
    there = rp.solve(GLM, alpha=threshold("alpha_IT").value)
    assert shown(there["eps_bayes"], "0.186665828845")
    assert shown(there["eps_gibbs"], "0.255952750605")
    assert there.potential == pytest.approx(-LN2, abs=1e-13)
    # next to a fold the place has half of the digits
    last = rp.solve(GLM, alpha=threshold("alpha_AMP").value - 1e-13, check=False)
    assert last["eps_bayes"] == pytest.approx(0.10573326, abs=2e-6)
    assert last["eps_gibbs"] == pytest.approx(0.14812774, abs=2e-6)


def test_full_recovery_exists_at_every_alpha():
    found = threshold("alpha_sp")
    assert found.value == 0
    assert found.status == rp.Status.CONVERGED


# ---- saddle points -------------------------------------------------------------------------------

BINARY_SIGNS = {
    0.5: (".2930890300542", ".3179031953125", ".405316763526", "-.32101440281516"),
    1.0: (".5607147370947", ".230626086742", ".3105264389052", "-.58703891278508"),
    1.2: (".6686613798669", ".1952393171746", ".2668675925201", "-.67518217193091"),
    1.3: (".7258706929474", ".1754014875927", ".2414370695054", "-.71438987448317"),
    1.4: (".789699039502", ".1516438392996", ".2102366935587", "-.74957381147449"),
    1.45: (".828757178743", ".135803950143", ".1890484384387", "-.76522391714847"),
}


GAUSSIAN_SIGNS = {
    0.5: (".2803257343706", ".3223953396062", ".4095575193946", "-.32166580761133"),
    1.0: (".4862636370161", ".2543729703394", ".3383594684215", "-.59644125568898"),
    2.0: (".7282981739707", ".1745341855798", ".2403115940727", "-1.0310381559104"),
    3.0: (".8426058764577", ".1298548261362", ".1810204140762", "-1.3558882010909"),
    5.0: (".9320642456641", ".08393516984453", ".1180060332977", "-1.8153659603432"),
    10.0: (".9813780850451", ".04357320396543", ".06152527406258", "-2.4837523743063"),
}


TABLE = [("rademacher", a, row) for a, row in BINARY_SIGNS.items()]
TABLE += [("gaussian", a, row) for a, row in GAUSSIAN_SIGNS.items()]


@pytest.mark.parametrize(("prior", "alpha", "row"), TABLE, ids=str)
def test_saddle_points_of_signs(prior: str, alpha: float, row: tuple[str, ...]):
    found = rp.solve(GLM, prior=prior, channel="sign", alpha=alpha)
    values = (found["m"], found["eps_bayes"], found["eps_gibbs"], found.potential)
    for value, text in zip(values, row, strict=True):
        assert value == pytest.approx(float(text), rel=1e-11)
    assert found.validity == "theorem"
    # the square error counts a wrong sign four times, and the Gibbs student is half of it
    assert found["label_error"] == pytest.approx(2 * found["eps_gibbs"], rel=1e-9)
    assert found["mse"] == found.D == pytest.approx(1 - found["m"], abs=1e-15)
    assert found["eps_bayes"] < found["eps_gibbs"]


@pytest.mark.parametrize("prior", ["rademacher", "gaussian"])
def test_the_uninformed_branch_on_a_grid(prior: str):
    table = BINARY_SIGNS if prior == "rademacher" else GAUSSIAN_SIGNS
    alpha = np.array(list(table))
    found = rp.solve(GLM, prior=prior, alpha=alpha)
    assert np.all(found.converged)
    expected = np.array([[float(text) for text in row] for row in table.values()])
    np.testing.assert_allclose(found["m"], expected[:, 0], rtol=1e-11)
    np.testing.assert_allclose(found.potential, expected[:, 3], rtol=1e-11)


def test_binary_weights_are_recovered_past_the_threshold():
    for alpha in (1.4927, 2.0, 50.0):
        found = rp.solve(GLM, alpha=alpha)
        assert found.status == rp.Status.CONVERGED
        assert found.D == 0
        assert found["m"] == 1
        assert found["eps_bayes"] == found["eps_gibbs"] == found["label_error"] == 0
        assert found.potential == pytest.approx(-LN2, abs=1e-15)


def test_starts():
    """Informed: full recovery at any alpha. Equilibrium: what has the larger free entropy."""
    for alpha in (0.3, 1.2, 1.3, 1.6):
        informed = rp.solve(GLM, alpha=alpha, start="informed")
        assert informed["m"] == 1
        assert informed.potential == pytest.approx(-LN2, abs=1e-15)
        uninformed = rp.solve(GLM, alpha=alpha, start="uninformed")
        best = rp.solve(GLM, alpha=alpha, start="equilibrium")
        expected = max(informed, uninformed, key=lambda s: s.potential)
        assert best.D == pytest.approx(expected.D, abs=1e-12)
    assert rp.solve(GLM, alpha=1.24, start="equilibrium")["m"] < 0.7
    assert rp.solve(GLM, alpha=1.25, start="equilibrium")["m"] == 1


def test_the_informed_branch_with_noise():
    """Between the spinodals there are two saddle points; both solve the equations."""
    for alpha in (1.0, 1.4):
        low, high = (rp.solve(GLM, alpha=alpha, Delta=1e-3, start=s) for s in ("uninformed",
                     "informed"))  # fmt: skip
        assert high.D < 1e-3 < 0.1 < low.D
        crossing = threshold("alpha_IT", Delta=1e-3).value
        assert (high.potential > low.potential) == (alpha > crossing)
    with pytest.raises(rp.ConvergenceError):
        rp.solve(GLM, alpha=1.7, Delta=1e-3, start={"D": 0.9}, method="damped", max_steps=2)


@pytest.mark.parametrize(("alpha", "text"), [(1.0, ".692793896"), (1.5, ".91027717")])
def test_saddle_points_of_positive_parts(alpha: float, text: str):
    found = rp.solve(GLM, prior="gaussian", channel="relu", alpha=alpha)
    assert shown(found["m"], text)


@pytest.mark.parametrize(
    ("alpha", "text"),
    [(0.15, ".0699528073502"), (0.2, ".0525130050323"), (0.3, ".021964538294")],
)
def test_error_of_noisy_sparse_weights(alpha: float, text: str):
    found = rp.solve(
        GLM, prior="gauss-bernoulli", channel="linear", alpha=alpha, density=0.1, Delta=0.01
    )
    assert found["mse"] == pytest.approx(float(text), rel=1e-11)


@pytest.mark.parametrize("noise", [0.0, 0.01, 0.7])
def test_ridge_regression_in_closed_form(noise: float):
    """D = 1 / (1 + alpha / (D + Delta)) is a quadratic equation."""
    for alpha in (0.2, 0.9, 3.0):
        found = rp.solve(GLM, prior="gaussian", channel="linear", alpha=alpha, Delta=noise)
        b = noise + alpha - 1
        gap = (-b + math.sqrt(b * b + 4 * noise)) / 2
        assert found.D == pytest.approx(gap, abs=1e-12)
        assert found["label_error"] == pytest.approx(gap + noise, abs=1e-12)


def test_many_signs_of_gaussian_weights():
    """The error falls as 0.4417/alpha (Bayes) and 0.6247/alpha (Gibbs)."""
    for alpha in (1e3, 1e4):
        found = rp.solve(GLM, prior="gaussian", alpha=alpha)
        assert alpha * found["eps_bayes"] == pytest.approx(0.44170004358, rel=1.5 / alpha**2 * 1.0)
        assert alpha * found["eps_gibbs"] == pytest.approx(0.62465819214, rel=2 / alpha**2)


@pytest.mark.parametrize("channel", ["sign", "linear", "relu", "probit"])
@pytest.mark.parametrize("prior", ["gaussian", "rademacher"])
def test_few_patterns_act_one_by_one(prior: str, channel: str):
    """As alpha -> 0, mhat = alpha G(rho), m = mhat E[w^2]^2 and phi = alpha Phi_out(rho)."""
    formula = GLM(prior=prior, channel=channel)
    symbols = [c.symbol for c in formula.controls.values()]
    alpha = 1e-6
    found = rp.solve(formula, alpha=alpha)
    block = formula.options["channel"]
    (gap,) = formula.overlaps
    defaults = {c.symbol: c.default for c in formula.controls.values() if c.default is not None}
    compiled = compile_kernel((gap,), (block.strength(gap, 1).subs(defaults),
                              block.free_entropy(gap, 1).subs(defaults)))  # fmt: skip
    force, entropy = (float(row) for row in compiled(1.0))
    assert found.mhat == pytest.approx(alpha * force, rel=1e-5)
    assert found["m"] == pytest.approx(alpha * force, rel=1e-5)
    assert found.potential == pytest.approx(alpha * entropy, rel=1e-5)
    assert len(symbols) == len(formula.controls)


@pytest.mark.parametrize("channel", ["probit", "logistic"])
def test_noisy_labels_tell_what_their_noise_leaves(channel):
    """Of one label its entropy less that of the noise; of many, all that binary weights hold."""
    few, many = (
        rp.solve(GLM, prior="rademacher", channel=channel, alpha=alpha)["mutual_information"]
        for alpha in (1e-6, 200)
    )
    x, weight = np.polynomial.hermite_e.hermegauss(81)
    law = {"probit": special.ndtr, "logistic": special.expit}[channel](x)
    noise = weight @ special.entr(law) * 2 / np.sqrt(2 * np.pi)
    assert few / 1e-6 == pytest.approx(LN2 - noise, rel=1e-5)
    assert many == pytest.approx(LN2, rel=1e-8)


def test_mutual_information_of_a_door():
    """Per weight: what the labels tell while nothing is recovered, then all of the weights."""
    blind = rp.solve(GLM, channel="door", alpha=0.6)
    assert blind.D == pytest.approx(1, abs=1e-12)
    assert blind["mutual_information"] == pytest.approx(0.6 * LN2, rel=1e-12)
    full = rp.solve(GLM, channel="door", alpha=1.1, start="informed")
    assert full["mutual_information"] == pytest.approx(LN2, rel=1e-14)
