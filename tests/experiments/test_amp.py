"""Message passing on drawn instances: state evolution, recovery, statuses and bad input."""

import math
import pickle
import tracemalloc
import warnings

import numpy as np
import pytest
from scipy import special
from sympy import Rational, Symbol, erfc, sqrt

from replica.blocks import channels, priors
from replica.blocks.channel import Channel
from replica.blocks.priors import Prior
from replica.blocks.written_channels import DiscreteChannel
from replica.errors import ControlError, ConvergenceError
from replica.experiments import amp
from replica.experiments.planted import planted_model
from replica.solvers.solution import Status


def draw(prior, channel, p, alpha, seed=0, **controls):
    """Teacher, patterns and labels of one instance."""
    model = planted_model("test", prior, channel, controls)
    rng = np.random.default_rng(seed)
    teacher = model.draw_weights(rng, p)
    patterns = rng.standard_normal((round(alpha * p), p)) / math.sqrt(p)
    return teacher, patterns, model.draw_labels(rng, patterns @ teacher)


def distance(found, teacher):
    """Mean squared error, up to the global sign."""
    return min(np.mean((found.mean - teacher) ** 2), np.mean((found.mean + teacher) ** 2))


# ---------------------------------------------------------------- state evolution

# Fixed points of state evolution; the spread of one instance is about 0.01 at p = 2000.
OVERLAPS = [
    ("rademacher", 1.0, 0.5607147),
    ("rademacher", 1.3, 0.7258707),
    ("gaussian", 1.0, 0.4862636),
    ("gaussian", 3.0, 0.8426059),
]


@pytest.mark.parametrize(("prior", "alpha", "overlap"), OVERLAPS)
def test_overlap_is_that_of_state_evolution(prior, alpha, overlap):
    teacher, X, y = draw(prior, "sign", 2000 if alpha < 2 else 1200, alpha, seed=1)
    found = amp(X, y, prior, "sign")
    assert found.status is Status.CONVERGED
    assert found.note == ""
    assert found.overlap(teacher) == pytest.approx(overlap, abs=0.04)
    # on the Nishimori line m = q = rho - V
    q = found.mean @ found.mean / found.mean.size
    assert q == pytest.approx(overlap, abs=0.04)
    assert 1 - found.variance.mean() == pytest.approx(overlap, abs=0.04)


def sign_rademacher_step(m, alpha):
    """One step of state evolution by plain quadrature."""
    t = np.linspace(-9, 9, 2001)
    weight = np.exp(-t * t / 2) / math.sqrt(2 * math.pi) * (t[1] - t[0])
    x = -math.sqrt(m) * t / math.sqrt(1 - m)
    mills = math.sqrt(2 / math.pi) / special.erfcx(x / math.sqrt(2))
    mhat = alpha * 2 * weight @ (special.ndtr(-x) * mills**2) / (1 - m)
    return weight @ np.tanh(mhat + math.sqrt(mhat) * t)


def test_every_step_is_that_of_state_evolution():
    alpha, steps = 1.3, 6
    theory = [0.0]
    for _ in range(200):
        theory.append(sign_rademacher_step(theory[-1], alpha))
    assert theory[-1] == pytest.approx(0.7258706929, abs=1e-8)
    seen = []
    for seed in range(4):
        teacher, X, y = draw("rademacher", "sign", 1500, alpha, seed)
        each = [
            amp(X, y, "rademacher", "sign", max_steps=k, check=False).overlap(teacher)
            for k in range(1, steps + 1)
        ]
        seen.append([0.0, *each])
    np.testing.assert_allclose(np.mean(seen, axis=0), theory[: steps + 1], atol=0.02)


def test_predictions():
    p = 2000
    teacher, X, y = draw("rademacher", "sign", p, 1.0, seed=3)
    found = amp(X, y, "rademacher", "sign")
    new = np.random.default_rng(9).standard_normal((1500, p)) / math.sqrt(p)
    label, predicted = np.sign(new @ teacher), found.predict(new)
    assert predicted.shape == (1500,)
    assert np.abs(predicted).max() < 1
    # eps_bayes and 2 eps_gibbs of state evolution
    assert np.mean(np.sign(predicted) != label) == pytest.approx(0.2306, abs=0.04)
    assert np.mean((predicted - label) ** 2) == pytest.approx(0.6211, abs=0.06)
    # calibrated: the label is 1 as often as predicted
    sure = predicted > 0.8
    assert label[sure].mean() == pytest.approx(predicted[sure].mean(), abs=0.06)
    assert found.predict(new[0]).shape == ()


# ---------------------------------------------------------------- recovery


def test_exact_recovery_of_binary_weights():
    # alpha_AMP = 1.493
    teacher, X, y = draw("rademacher", "sign", 1000, 1.7)
    found = amp(X, y, "rademacher", "sign")
    assert found.converged
    assert found.note == "exact recovery"
    assert found.overlap(teacher) == pytest.approx(1, abs=1e-9)
    assert found.variance.mean() < 1e-12
    new = np.random.default_rng(1).standard_normal((200, 1000))
    np.testing.assert_array_equal(found.predict(new), np.sign(new @ teacher))


def test_a_weight_that_is_certain_and_wrong_is_turned():
    # On this instance the variance first vanishes with one weight wrong.
    stream = np.random.default_rng(np.random.SeedSequence(0).spawn(1)[0])
    weights, patterns = stream.spawn(5)[:2]
    teacher = planted_model("test", "rademacher", "sign", {}).draw_weights(weights, 1000)
    X = patterns.standard_normal((1800, 1000)) / math.sqrt(1000)
    found = amp(X, np.sign(X @ teacher), "rademacher", "sign")
    assert found.overlap(teacher) == pytest.approx(1, abs=1e-9)


def test_compressed_sensing_above_and_below_its_threshold():
    # density 0.1: alpha_AMP = 0.2076
    for alpha, exact in ((0.3, True), (0.15, False)):
        teacher, X, y = draw("gauss-bernoulli", "linear", 2000, alpha, seed=2)
        found = amp(X, y, "gauss-bernoulli", "linear", check=False)
        assert (found.note == "exact recovery") == exact
        assert (distance(found, teacher) < 1e-9) == exact
        assert (found.variance.mean() < 1e-9) == exact
        assert found.status is not Status.DIVERGED


def test_phase_retrieval_recovers_up_to_the_sign():
    # alpha_AMP = 1.128
    teacher, X, y = draw("gaussian", "abs", 1000, 2.0, seed=1)
    found = amp(X, y, "gaussian", "abs")
    assert found.note == "exact recovery"
    assert distance(found, teacher) < 1e-9
    assert found.overlap(teacher) == pytest.approx(teacher @ teacher / 1000, abs=1e-4)
    np.testing.assert_allclose(found.predict(X), y, atol=1e-4)


@pytest.mark.parametrize("damping", [0.0, 0.3])
def test_nothing_is_learned_below_weak_recovery(damping):
    # door, balanced: alpha_WR = 1.360, and at alpha = 0.7 the estimate returns to zero
    teacher, X, y = draw("rademacher", "door", 1500, 0.7, seed=1)
    found = amp(X, y, "rademacher", "door", damping=damping)
    assert found.overlap(teacher) < 1e-4
    assert found.variance.mean() > 0.99


def test_noise_in_the_labels_is_a_control():
    teacher, X, y = draw("gauss-bernoulli", "linear", 2000, 0.3, density=0.1, Delta=1e-2)
    found = amp(X, y, "gauss-bernoulli", "linear", density=0.1, Delta=1e-2)
    # state evolution: 0.02196
    assert distance(found, teacher) == pytest.approx(0.022, abs=0.008)
    assert found.model.controls == {"density": 0.1, "Delta": 1e-2}


# ---------------------------------------------------------------- every pair


REAL = [name for name in Channel.shipped if Channel.shipped[name].parts == 1]


@pytest.mark.parametrize("channel", REAL)
@pytest.mark.parametrize("prior", Prior.shipped)
def test_every_pair_stays_finite(prior, channel):
    for alpha, damping in ((1.5, 0.0), (0.4, 0.3)):
        teacher, X, y = draw(prior, channel, 500, alpha, seed=1)
        found = amp(X, y, prior, channel, max_steps=40, damping=damping, check=False)
        assert np.isfinite(found.mean).all()
        assert np.isfinite(found.variance).all()
        assert (found.variance >= 0).all()
        assert np.isfinite(found.changes).all()
        assert np.isfinite(found.predict(X[:20])).all()
        assert found.steps == len(found.changes) <= 40
        rho = teacher @ teacher / 500
        assert 0 <= found.overlap(teacher) < 1.2 * rho
        if found.note == "exact recovery":
            assert distance(found, teacher) < 1e-9 * rho


def test_blocks_with_parameters():
    three = priors.Discrete([-1, 0, 2], [0.25, 0.5, 0.25])
    teacher, X, y = draw(three, channels.Linear(), 800, 0.8, Delta=0.01)
    found = amp(X, y, three, channels.Linear(), Delta=0.01)
    # its mean is not zero, and the start is there
    assert found.model.mean == 0.25
    assert distance(found, teacher) < 0.02


def test_a_channel_of_probabilities_is_the_channel():
    z = Symbol("z", real=True)
    half = Rational(1, 2)
    probit = DiscreteChannel(
        {1: erfc(-z / sqrt(2)) * half, -1: erfc(z / sqrt(2)) * half}, z, name="by hand"
    )
    teacher, X, y = draw("gaussian", "probit", 300, 2.0)
    one, two = amp(X, y, "gaussian", "probit"), amp(X, y, "gaussian", probit)
    np.testing.assert_allclose(two.mean, one.mean, atol=1e-8)
    np.testing.assert_allclose(two.predict(X[:50]), one.predict(X[:50]), atol=1e-8)
    assert one.overlap(teacher) == pytest.approx(0.43, abs=0.1)


# ---------------------------------------------------------------- how it runs


@pytest.mark.parametrize(("prior", "channel"), [("rademacher", "sign"), ("gaussian", "door")])
def test_damping_leads_to_the_same_estimate(prior, channel):
    _, X, y = draw(prior, channel, 800, 1.2 if channel == "sign" else 3.0, seed=4)
    plain = amp(X, y, prior, channel)
    damped = amp(X, y, prior, channel, damping=0.3, max_steps=2000)
    assert damped.steps > plain.steps
    sign = np.sign(plain.mean @ damped.mean)
    np.testing.assert_allclose(sign * damped.mean, plain.mean, atol=1e-4)


def test_single_precision():
    teacher, X, y = draw("rademacher", "sign", 1000, 1.2)
    double = amp(X, y, "rademacher", "sign")
    single = amp(X, y, "rademacher", "sign", dtype=np.float32)
    assert single.converged
    assert single.mean.dtype == np.float64
    assert single.overlap(teacher) == pytest.approx(double.overlap(teacher), abs=1e-4)
    kept = amp(X.astype(np.float32), y, "rademacher", "sign")
    np.testing.assert_array_equal(kept.mean, single.mean)
    _, X, y = draw("gauss-bernoulli", "linear", 1000, 0.4)
    recovered = amp(X, y, "gauss-bernoulli", "linear", dtype="float32")
    assert recovered.note == "exact recovery"


def test_runs_are_reproduced():
    teacher, X, y = draw("gaussian", "abs", 300, 2.0)
    first, again = (amp(X, y, "gaussian", "abs", rng=5, damping=0.3) for _ in range(2))
    np.testing.assert_array_equal(first.mean, again.mean)
    generator = amp(X, y, "gaussian", "abs", rng=np.random.default_rng(5), damping=0.3)
    assert generator.overlap(teacher) == pytest.approx(first.overlap(teacher), abs=1e-4)
    starts = [amp(X, y, "gaussian", "abs", rng=k, max_steps=1, check=False) for k in (1, 2)]
    assert not np.array_equal(starts[0].mean, starts[1].mean)
    # without a free sign there is nothing to draw
    _, X, y = draw("gaussian", "sign", 300, 1.0)
    first, other = (amp(X, y, "gaussian", "sign", rng=k) for k in (1, 2))
    np.testing.assert_array_equal(first.mean, other.mean)


def test_layout_of_the_patterns_is_irrelevant():
    _, X, y = draw("gaussian", "sign", 200, 2.0)
    plain = amp(X, y, "gaussian", "sign").mean
    wide = np.zeros((400, 400))
    wide[:, ::2] = X
    for same in (np.asfortranarray(X), wide[:, ::2], X.tolist()):
        np.testing.assert_allclose(amp(same, y, "gaussian", "sign").mean, plain, atol=1e-9)


def test_nothing_of_the_size_of_the_patterns_is_allocated():
    _, X, y = draw("rademacher", "sign", 1000, 1.5)
    amp(X, y, "rademacher", "sign", max_steps=2, check=False)  # compiles
    tracemalloc.start()
    amp(X, y, "rademacher", "sign", max_steps=5, check=False)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < X.nbytes / 10


def test_progress_and_changes():
    _, X, y = draw("gaussian", "sign", 200, 1.0)
    seen = []
    found = amp(X, y, "gaussian", "sign", max_steps=90, progress=lambda *step: seen.append(step))
    assert seen == [(k, 90) for k in range(1, found.steps + 1)]
    assert found.changes[-1] < 1e-6 < found.changes[-2]
    coarse = amp(X, y, "gaussian", "sign", tolerance=1e-2)
    assert coarse.steps < found.steps


def test_inference_travels_and_shows():
    teacher, X, y = draw("gaussian", "sign", 100, 1.0)
    found = amp(X, y, "gaussian", "sign")
    again = pickle.loads(pickle.dumps(found))
    np.testing.assert_array_equal(again.predict(X), found.predict(X))
    assert "gaussian weights, sign labels" in repr(found)
    assert "converged" in repr(found)
    with pytest.raises(ControlError, match=r"w_star has shape \(50,\)"):
        found.overlap(teacher[:50])
    for wrong in (X[:, :50], X[None], "x", np.full(100, np.nan)):
        with pytest.raises(ControlError, match="predict"):
            found.predict(wrong)


# ---------------------------------------------------------------- statuses


def with_a_mean(X, size):
    return X + size / X.shape[1]


@pytest.mark.parametrize(
    ("prior", "channel", "controls"),
    [("gaussian", "linear", {"Delta": 0.1}), ("gaussian", "sign", {})],
)
def test_patterns_with_a_mean_diverge_and_damping_helps(prior, channel, controls):
    teacher, X, _ = draw(prior, channel, 600, 2.0, seed=1, **controls)
    X = with_a_mean(X, 1.5)
    model = planted_model("test", prior, channel, controls)
    y = model.draw_labels(np.random.default_rng(0), X @ teacher)
    with pytest.warns(UserWarning, match="the entries of X have a mean"):
        with pytest.raises(ConvergenceError, match=r"DIVERGED.*step \d+.*damping=0.3") as caught:
            amp(X, y, prior, channel, **controls)
    found = caught.value.solution
    assert found.status is Status.DIVERGED
    assert np.isfinite(found.mean).all()
    assert found.steps < 100
    with pytest.warns(UserWarning, match="damping"):
        damped = amp(X, y, prior, channel, damping=0.3, **controls)
    assert distance(damped, teacher) < 0.4


def test_patterns_on_the_wrong_scale():
    _, X, y = draw("gaussian", "linear", 300, 2.0, Delta=0.1)
    large = 30 * X
    with pytest.warns(UserWarning, match=r"variance 90\d(\.\d)?/p .*divide X by (29|30)\.\d+"):
        found = amp(large, y, "gaussian", "linear", Delta=0.1, check=False)
    assert found.status is Status.DIVERGED
    assert "damping=0.3" in found.note
    assert np.isfinite(found.mean).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        amp(large / 30, y, "gaussian", "linear", Delta=0.1)


def test_certainty_that_the_labels_contradict_is_not_recovery():
    # Labels of no teacher: the noiseless model is certain before it can be right.
    rng = np.random.default_rng(0)
    X = rng.standard_normal((600, 200)) / math.sqrt(200)
    y = np.abs(rng.standard_normal(600))
    for damping in (0.0, 0.3):
        found = amp(X, y, "rademacher", "linear", damping=damping, max_steps=100, check=False)
        assert found.note != "exact recovery"
        assert np.isfinite(found.mean).all()


def test_steps_run_out():
    _, X, y = draw("gaussian", "sign", 200, 1.0)
    with pytest.raises(ConvergenceError, match=r"MAX_STEPS.*the last of 3 steps") as caught:
        amp(X, y, "gaussian", "sign", max_steps=3)
    assert caught.value.solution.steps == 3
    found = amp(X, y, "gaussian", "sign", max_steps=3, check=False)
    assert found.status is Status.MAX_STEPS
    assert not found.converged


@pytest.mark.slow
def test_a_swinging_estimate_is_damped():
    # On these instances an eigenvalue is smaller than -1, and the plain iteration runs away.
    for k in (2, 13):
        stream = np.random.default_rng(np.random.SeedSequence(0).spawn(k + 1)[k])
        weights, patterns = stream.spawn(5)[:2]
        model = planted_model("test", "gaussian", "relu", {})
        teacher = model.draw_weights(weights, 2000)
        X = patterns.standard_normal((3000, 2000)) / math.sqrt(2000)
        found = amp(X, np.maximum(X @ teacher, 0), "gaussian", "relu")
        # state evolution: rho - m = 0.0897
        assert distance(found, teacher) == pytest.approx(0.0897, abs=0.03)


@pytest.mark.parametrize("factor", [2.0, 10.0])
def test_labels_that_the_channel_does_not_scatter_are_no_recovery(factor: float):
    """Labels on another scale than X w: what looks certain is contradicted by its residuals."""
    rng = np.random.default_rng(0)
    w = rng.choice([-1.0, 1.0], 200)
    X = rng.standard_normal((300, 200)) / np.sqrt(200)
    with pytest.raises(ConvergenceError, match="the labels disagree"):
        amp(X, factor * X @ w, "rademacher", "linear", Delta=0.01)
    found = amp(X, X @ w + 0.1 * rng.standard_normal(300), "rademacher", "linear", Delta=0.01)
    assert found.overlap(w) == pytest.approx(1)
