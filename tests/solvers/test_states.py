"""Which state a start leads to, where there are several or one is beyond all digits."""

from __future__ import annotations

import numpy as np
import pytest
from sympy import Interval, cosh, log, oo, symbols

import replica as rp

GLM = rp.formulas["bayes-optimal-glm"]
SIGN = GLM(prior="rademacher", channel="sign")

T, h = symbols("T h", real=True)
q = symbols("q", nonnegative=True)
u = symbols("u", real=True)
SPIN_GLASS = rp.Formula(
    name="sherrington-kirkpatrick",
    title="Spins with Gaussian couplings, replica-symmetric",
    potential=(1 - q) ** 2 / (4 * T**2) + rp.Mean(log(2 * cosh((u + h) / T)), (u, q)),
    overlaps={q: Interval(0, 1)},
    controls={T: (Interval.open(0, oo), None), h: (Interval(-5, 5), 0)},
)


@pytest.mark.parametrize(
    ("density", "alpha"),
    [
        (0.009789088552069262, 0.1434437907299463),
        (0.010978891105734103, 0.04020047186606672),
        (0.2670856616059047, 0.09976248257502987),
        (0.19942217967859452, 0.18241902656276762),
        (0.02556279254301862, 0.1148654974953922),
        (0.03728736862861979, 0.12982882033856047),
        (0.014155022234019318, 0.1898827747181975),
    ],
)
def test_below_weak_recovery_nothing_is_learnt(density: float, alpha: float):
    formula = GLM(prior="gauss-bernoulli", channel="abs")
    found = rp.solve(formula, alpha=alpha, density=density)
    assert found["mse"] == pytest.approx(density, rel=1e-12)
    assert abs(found["m"]) < 1e-12
    assert found.validity == "theorem"
    assert found.note == ""


@pytest.mark.slow
@pytest.mark.parametrize("prior", ["gaussian", "rademacher", "gauss-bernoulli"])
@pytest.mark.parametrize("channel", ["abs", "door"])
def test_the_three_starts_of_even_channels(prior: str, channel: str):
    """No overlap attracts up to weak recovery, and equilibrium is never the lower potential."""
    formula = GLM(prior=prior, channel=channel)
    below = 0.9 * rp.threshold(formula, "alpha_WR").value
    uninformed, informed, best = (
        rp.solve(formula, alpha=below, start=start, observables=["m", "potential"])
        for start in ("uninformed", "informed", "equilibrium")
    )
    assert abs(uninformed["m"]) < 1e-12
    assert informed["m"] > -1e-12
    assert best.potential == max(uninformed.potential, informed.potential)
    above = rp.solve(formula, alpha=below * 1.3, observables=["m"])
    assert above["m"] > 1e-3


SMALL_GAPS = (  # prior, channel, alpha, other controls, error
    ("rademacher", "sign", 4.1661057536660175, {"Delta": 0.001118199722731135}, 4.2954267644e-21),
    ("rademacher", "sign", 2.028162302209391, {"Delta": 0.00028909882492718754}, 2.897018199e-20),
    (
        "gauss-bernoulli",
        "linear",
        5.355710533773734,
        {"density": 0.37860564645240485, "Delta": 3.174997448111892e-07},
        2.42826328e-8,
    ),
    (
        "gauss-bernoulli",
        "sign",
        8.236312723485081,
        {"density": 0.0075216319055097965},
        1.30244946e-8,
    ),
)


@pytest.mark.parametrize(("prior", "channel", "alpha", "rest", "mse"), SMALL_GAPS)
def test_a_small_gap_has_its_digits(prior, channel, alpha, rest, mse):
    found = rp.solve(GLM(prior=prior, channel=channel), alpha=alpha, **rest)
    assert found["mse"] == pytest.approx(mse, rel=3e-9)
    assert found.errors["mse"] < 1e-8 * mse


@pytest.mark.parametrize(
    ("channel", "alpha", "Delta"),
    [
        ("linear", 0.5633108262120369, 0.000207587543237248),
        ("linear", 9.44920088887954, 7.775062716016254e-07),
        ("sign", 13.283597760977457, 0.0008883262169998723),
        ("sign", 1.6, 1e-5),
    ],
)
def test_a_gap_below_all_doubles_is_no_missing_saddle_point(channel, alpha, Delta):
    found = rp.solve(GLM(prior="rademacher", channel=channel), alpha=alpha, Delta=Delta)
    assert found["m"] == 1
    assert 0 < found["mse"] < 1e-60


@pytest.mark.parametrize(
    ("Delta", "value"), [(1e-6, 1.2469643500), (1e-9, 1.2447559437), (1e-12, 1.2446862651)]
)
def test_the_transition_of_nearly_noiseless_labels(Delta: float, value: float):
    found = rp.threshold(SIGN, "alpha_IT", Delta=Delta)
    assert abs(found.value - value) < 2e-10 + found.error
    assert found.error < 2e-8
    assert found.overlaps["D_informed"] < 1e-30


def test_equilibrium_is_the_largest_potential():
    found = rp.solve(SIGN, alpha=1.4, Delta=1e-5, start="equilibrium")
    assert found["m"] == 1
    assert found.potential == pytest.approx(-0.69634, abs=5e-6)
    informed = rp.solve(SIGN, alpha=1.4, Delta=1e-5, start="informed")
    assert informed.potential == found.potential
    assert rp.solve(SIGN, alpha=1.4, Delta=1e-5)["m"] == pytest.approx(0.78967, abs=1e-5)


@pytest.mark.parametrize("method", ["auto", "newton", "damped", "anderson"])
def test_a_start_means_one_thing_whatever_the_method(method: str):
    found = rp.solve(SIGN, alpha=1.3, Delta=0.005, start="informed", method=method)
    assert found["m"] == pytest.approx(0.99934215193, abs=1e-9)


def test_a_saddle_point_that_repels_is_left_and_said_to_be_unstable():
    assert rp.solve(SPIN_GLASS, T=0.5).q == pytest.approx(0.53036839205, abs=1e-9)
    pinned = rp.solve(SPIN_GLASS, T=0.5, start={"q": 0})
    assert pinned.q == 0
    assert pinned.validity == "unstable"
    assert "state evolution leaves" in pinned.note
    line = rp.sweep(SPIN_GLASS, "q", T=np.linspace(0.2, 0.95, 16))
    assert line.converged.all()
    assert (np.diff(line["q"]) < 0).all()
    assert line["q"].min() > 0.04


def test_branches_of_a_spin_glass():
    """Both branches below T = 1, the one of no overlap unstable; they meet there."""
    found = rp.branches(SPIN_GLASS, T=(0.2, 1.5))
    low = found["T"] < 0.97
    assert found.stable[low & (found["q"] > 0.01)].all()
    assert not found.stable[low & (found["q"] < 1e-6)].any()
    assert (low & (found["q"] < 1e-6)).any()
    assert found.stable[found["T"] > 1.01].all()
    assert found.folds == ()
    (meeting,) = found.cut
    assert "meets another" in meeting


def test_branches_go_through_the_whole_range():
    in_field = rp.branches(SPIN_GLASS, T=(0.2, 0.9), h=0.3)
    assert (in_field["T"].min(), in_field["T"].max()) == (0.2, 0.9)
    ridge = rp.branches(rp.formulas["empirical-risk"], loss="square", lambda_=0.1, alpha=(0.5, 10))
    assert (ridge["alpha"].min(), ridge["alpha"].max()) == (0.5, 10)


def test_the_end_of_a_branch_is_no_fold():
    found = rp.branches(rp.formulas["binary-perceptron"], alpha=(0.1, 5))
    assert found.folds == ()
    assert found.stable.all()
    assert found["alpha"].max() == pytest.approx(4 / np.pi, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["solve", "sweep"])
def test_a_million_points_within_half_a_gigabyte(verb: str):
    import subprocess
    import sys

    call = {
        "solve": "rp.solve(km, alpha=a[:, None], kappa=k[None, :], observables=())",
        "sweep": "rp.sweep(km, 'q', alpha=a, kappa=k, progress=False)",
    }[verb]
    program = (
        "import resource, numpy as np, replica as rp\n"
        "km = rp.formulas['binary-perceptron']\n"
        "a, k = np.linspace(0.05, 0.6, 1000), np.linspace(-0.5, 0.3, 1000)\n"
        f"found = {call}\n"
        "assert found.converged.all()\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    # what a process has held before it starts another program counts as that program's own
    fresh = "import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-c', sys.argv[1]]))"
    command = [sys.executable, "-c", fresh, program]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) / 1024 < 512


def test_two_threads_get_the_same_numbers():
    from concurrent.futures import ThreadPoolExecutor

    formula = GLM(prior="gaussian", channel="probit")

    def at(alpha: float) -> tuple[float, float]:
        transition = rp.threshold(SIGN, "alpha_IT", Delta=1e-3).value
        return rp.solve(formula, alpha=alpha)["m"], transition

    alphas = [0.5, 1.0, 1.5, 2.0]
    with ThreadPoolExecutor(2) as threads:
        together = list(threads.map(at, alphas))
    assert together == [at(alpha) for alpha in alphas]


@pytest.mark.slow
def test_two_threads_get_the_same_digits():
    """The precision of mpmath is one for all threads."""
    from concurrent.futures import ThreadPoolExecutor

    formula = rp.formulas["binary-perceptron"]

    def at(digits: int) -> str:
        return rp.threshold(formula, "alpha_G", kappa=0, digits=digits).text

    digits = [20, 35, 25, 30]
    with ThreadPoolExecutor(2) as threads:
        together = list(threads.map(at, digits))
    assert together == [at(count) for count in digits]


def test_threads_may_be_the_first_to_need_a_rule():
    """The nodes of tilted laws were made with the precision that all threads share, and hung."""
    from concurrent.futures import ThreadPoolExecutor

    from replica.numerics import tilted

    with ThreadPoolExecutor(4) as threads:
        for _ in range(5):
            tilted._legendre.cache_clear()
            rules = [threads.submit(tilted._legendre) for _ in range(4)]
            for rule in rules:
                left, right, share = rule.result(timeout=60)
                np.testing.assert_allclose(left + right, 1, atol=1e-15)
                assert share.sum() == pytest.approx(1, abs=1e-15)


def test_inaccurate_names_what_was_asked_and_what_was_reached():
    found = rp.solve(SIGN, alpha=1.3, Delta=0.005, tolerance=1e-15, check=False)
    assert found.status == rp.Status.INACCURATE
    assert "an error of 1e-15 was asked for, that of" in found.note
