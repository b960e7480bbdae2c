"""Folds and crossings of Bayes-optimal models, and the fingerprints of known mistakes."""

from __future__ import annotations

import pytest
from referee.glm_curves import (
    AMP,
    BALANCED,
    GLM,
    IT,
    LN2,
    NOISY,
    SIGNS,
    Curve,
    check,
    missing,
    shown,
    signs,
    slow,
    threshold,
)
from scipy import optimize

import replica as rp


def test_the_reference_gives_the_known_figures():
    curve = Curve(SIGNS, signs())
    assert curve.turn(1, 10, 1)[1] == pytest.approx(1.4926318182303512, abs=1e-11)
    zero = optimize.brentq(lambda g: curve.height(g) + LN2, 1.0, 3.0, xtol=1e-14)
    assert curve.alpha(zero) == pytest.approx(1.2446839898506903, abs=1e-11)


def test_transition_of_binary_weights():
    found = threshold("alpha_IT")
    check(found, "1.2446839898507", 1e-12)
    assert abs(found.value - float(IT)) <= max(found.error, 3e-16)
    assert shown(found.overlaps["mhat"], "1.564899713891")
    assert shown(1 - found.overlaps["D"], "0.6937602196545")
    assert [verdict for _, _, verdict in found.published] == ["agrees"]


def test_algorithmic_threshold_of_binary_weights():
    found = threshold("alpha_AMP")
    check(found, "1.4926318182304", 1e-12)
    assert abs(found.value - float(AMP)) <= max(found.error, 3e-16)
    assert shown(1 - found.overlaps["D"], "0.89366142")
    assert [verdict for _, _, verdict in found.published] == ["agrees"]


@pytest.mark.parametrize(("name", "text"), [("alpha_IT", IT), ("alpha_AMP", AMP)])
def test_twenty_digits_of_the_thresholds(name: str, text: str):
    found = threshold(name, digits=20)
    assert found.text == text
    assert found.error < 1e-20
    assert found.value == float(text)


@pytest.mark.parametrize("noise", NOISY)
def test_noisy_signs(noise: float):
    for name, text in zip(("alpha_sp", "alpha_IT", "alpha_AMP"), NOISY[noise], strict=True):
        check(threshold(name, Delta=noise), text)
    crossed = threshold("alpha_IT", Delta=noise).overlaps
    assert crossed["D_informed"] < crossed["D_uninformed"]


@pytest.mark.parametrize(
    "prior", ["gaussian", *(pytest.param(p, marks=slow) for p in ("uniform", "laplace"))]
)
def test_continuous_weights_have_no_transition_with_signs(prior: str):
    for name, reason in (
        ("alpha_IT", "no two branches of saddle points coexist"),
        ("alpha_AMP", "without turning back"),
        ("alpha_sp", "without turning back"),
    ):
        missing(name, reason, prior, "sign")


# ---- fingerprints --------------------------------------------------------------------------------


@pytest.mark.parametrize(("clip", "mistaken"), [(1e-6, 1.24697), (1e-5, 1.25194)])
def test_a_clipped_variance_leaves_a_fingerprint_that_is_absent(clip: float, mistaken: float):
    """With V = max(1 - m, clip) the informed branch has a wrong potential, by sqrt(clip)."""
    assert abs(threshold("alpha_IT").value - mistaken) > 2e-3
    # the fingerprint is real: the clipped potential does give it
    curve = Curve(SIGNS, signs())
    entropy, _ = signs()(clip)

    def difference(g: float) -> float:
        return curve.height(g) - (curve.alpha(g) * entropy - LN2)

    g = optimize.brentq(difference, 1.0, 3.0)
    assert curve.alpha(g) == pytest.approx(mistaken, abs=6e-6)


def test_a_capped_iteration_leaves_a_fingerprint_that_is_absent():
    """Two hundred steps end before recovery up to 1.4935: critical slowing, not a threshold."""
    assert abs(threshold("alpha_AMP").value - 1.4935) > 5e-4
    weights, labels = SIGNS, signs()

    def gap_after(steps: int, alpha: float) -> float:
        gap = 1 - 1e-6
        for _ in range(steps):
            gap = weights(alpha * labels(gap)[1])[1]
            if gap < 1e-12:
                break
        return gap

    assert gap_after(200, 1.4933) > 0.05
    assert gap_after(200, 1.4937) < 1e-12
    assert gap_after(400, 1.4933) < 1e-12
    assert rp.solve(GLM, alpha=1.4933).D == 0


def test_a_small_noise_leaves_a_fingerprint_that_is_absent():
    """The limit of few equations converges as 1/log(1/Delta): 0.158 at 1e-6, and 0.1 without."""
    sparse = {"prior": "gauss-bernoulli", "channel": "linear", "density": 0.1}
    assert threshold("alpha_IT", **sparse).value == 0.1
    assert shown(threshold("alpha_IT", Delta=1e-4, **sparse).value, "0.19295")
    assert shown(threshold("alpha_IT", Delta=1e-6, **sparse).value, "0.15780")


# ---- doors ---------------------------------------------------------------------------------------

DOORS = {
    0.5: ("1.9063609", "1.0415780936814", "2.054835283948"),
    BALANCED: ("1.3604593", "1.0000000000000", "1.566433056108"),
    0.8: ("1.1365757", "1.0171479600646", "1.392757613724"),
    1.0: ("0.9249580", "1.10982948543", "1.29513080504"),
    1.3: ("0.7864088", "1.44480778955", "1.70476797171"),
}


@pytest.mark.parametrize("width", [k if k == 1.0 else pytest.param(k, marks=slow) for k in DOORS])
def test_doors(width: float):
    weak, transition, algorithmic = DOORS[width]
    assert shown(threshold("alpha_WR", channel="door", K=width).value, weak)
    check(threshold("alpha_IT", channel="door", K=width), transition)
    check(threshold("alpha_AMP", channel="door", K=width), algorithmic)


def test_balanced_door_needs_one_label_per_weight():
    """Where alpha_IT precedes weak recovery each label tells its entropy."""
    found = threshold("alpha_IT", channel="door", K=BALANCED)
    assert found.value == pytest.approx(1, abs=1e-13)
    assert found.overlaps["D"] == 1


def test_gaussian_door():
    assert shown(threshold("alpha_WR", "gaussian", "door").value, "1.3604593")
    missing("alpha_IT", "no two branches", "gaussian", "door")
    missing("alpha_AMP", "without turning back", "gaussian", "door")


# ---- sparse weights ------------------------------------------------------------------------------

LINEAR = {
    0.05: "0.118732305096",
    0.1: "0.20755907868",
    0.2: "0.355410827958",
    0.3: "0.480209468912",
    0.5: "0.685698481172",
    0.8: "0.911110800168",
}


RELU = {0.1: "0.334696933", 0.2: "0.58957", 0.3: "0.814758407", 0.5: "1.21067329"}


RELU[0.8] = "1.71247932"


ABS = {
    0.05: "0.5054185946",
    0.1: "0.5210449453",
    0.2: "0.58326",
    0.3: "0.7042676379",
    0.5: "0.9098186129",
    0.6: "0.9860258834",
    0.8: "1.090820848",
}


@pytest.mark.parametrize("density", LINEAR)
def test_sparse_weights_from_linear_measurements(density: float):
    sparse = {"prior": "gauss-bernoulli", "channel": "linear", "density": density}
    check(threshold("alpha_AMP", **sparse), LINEAR[density])
    assert threshold("alpha_IT", **sparse).value == density
    assert threshold("alpha_sp", **sparse).value == density
    # AMP needs fewer equations than the least l1 norm
    norm = rp.threshold(rp.formulas["basis-pursuit"], "alpha_L1", density=density)
    assert density < threshold("alpha_AMP", **sparse).value < norm.value


@pytest.mark.parametrize("density", RELU)
def test_sparse_weights_from_positive_parts(density: float):
    sparse = {"prior": "gauss-bernoulli", "channel": "relu", "density": density}
    check(threshold("alpha_AMP", **sparse), RELU[density], 1e-10)
    assert threshold("alpha_IT", **sparse).value == pytest.approx(2 * density, rel=1e-15)


@pytest.mark.parametrize("density", [pytest.param(k, marks=slow) for k in ABS])
def test_sparse_weights_from_absolute_values(density: float):
    sparse = {"prior": "gauss-bernoulli", "channel": "abs", "density": density}
    check(threshold("alpha_AMP", **sparse), ABS[density])
    assert threshold("alpha_AMP", **sparse).value > 0.5  # never below weak recovery
    assert threshold("alpha_IT", **sparse).value == density


def test_phase_retrieval_of_gaussian_weights():
    assert threshold("alpha_WR", "gaussian", "abs").value == 0.5
    assert threshold("alpha_IT", "gaussian", "abs").value == 1
    found = threshold("alpha_AMP", "gaussian", "abs")
    check(found, "1.1284714066722")
    assert 1 - found.overlaps["D"] == pytest.approx(0.8466457, abs=2e-7)


@pytest.mark.parametrize("density", [0.1, 0.3])
@pytest.mark.parametrize(
    "noise", [4e-4, *(pytest.param(noise, marks=slow) for noise in (1e-4, 6e-4))]
)
def test_order_of_the_thresholds_with_little_noise(density: float, noise: float):
    sparse = {"prior": "gauss-bernoulli", "channel": "linear", "density": density, "Delta": noise}
    names = ("alpha_sp", "alpha_IT", "alpha_AMP")
    lower, transition, upper = (threshold(name, **sparse).value for name in names)
    assert density < lower < transition < upper


@pytest.mark.parametrize(
    ("prior", "channel", "Delta", "text"),
    [
        ("rademacher", "sign", 1e-6, "1.24696435004775"),
        ("rademacher", "sign", 1e-9, "1.24475594366330"),
        ("rademacher", "sign", 1e-12, "1.24468626507293"),
        # by mpmath, with the potential of one weight relative to the component it was drawn from
        ("gauss-bernoulli", "linear", 1e-9, "0.134975071202454"),
        ("gauss-bernoulli", "linear", 1e-12, "0.124738570261071687"),
    ],
)
def test_first_order_transition_at_little_noise(prior, channel, Delta, text):
    """Where the terms of the potential are 1/Delta and their differences of order one."""
    found = threshold("alpha_IT", prior, channel, Delta=Delta)
    assert found.status == rp.Status.CONVERGED
    assert found.value == pytest.approx(float(text), abs=1e-13)
    assert found.error < 1e-12


@pytest.mark.parametrize(("channel", "end"), [("linear", 1.0), ("relu", 2.0)])
def test_gaussian_weights_are_recovered_from_as_many_equations_as_unknowns(
    channel: str, end: float
):
    for name in ("alpha_IT", "alpha_AMP", "alpha_sp"):
        assert threshold(name, "gaussian", channel).value == pytest.approx(end, abs=1e-15)
