"""Recovery by the least l1 norm: figures, Donoho and Tanner's curve, and small linear programs."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from mpmath import mp, mpf
from scipy import optimize, stats

import replica as rp
from replica.numerics.precise import PreciseKernel

FORMULA = rp.formulas["basis-pursuit"]

# From a second route, before this formula existed.
FIGURES = {
    0.05: 0.20389985632964,
    0.1: 0.32879350545363,
    0.2: 0.5111296103731,
    0.3: 0.64557229199698,
    0.5: 0.83129990570646,
    0.8: 0.97431511380015,
}

DENSITIES = np.concatenate([np.geomspace(1e-6, 0.5, 120), 1 - np.geomspace(0.499, 1e-3, 80)])


@lru_cache(maxsize=512)
def threshold(density: float) -> rp.ThresholdResult:
    return rp.threshold(FORMULA, "alpha_L1", density=density)


# ---- the same without this package --------------------------------------------------------------


def tail(x: Any) -> Any:
    return mp.erfc(x / mp.sqrt(2)) / 2


def needed(density: Any, t: Any) -> Any:
    """Return F(t), as in the literature."""
    square = (1 + t * t) * tail(t) - t * mp.npdf(t)
    return density * (1 + t * t) + 2 * (1 - density) * square


def minimum(density: float, digits: int) -> tuple[Any, Any]:
    """Return the place and the value of the minimum of F, by golden section on F alone."""
    with mp.workdps(2 * digits + 10):  # a minimum is found to half of the digits
        rho = mpf(density)
        ratio = (mp.sqrt(5) - 1) / 2
        low, high = mpf(0), mpf(8)
        inner = [high - ratio * (high - low), low + ratio * (high - low)]
        values = [needed(rho, x) for x in inner]
        while high - low > mpf(10) ** (-digits // 2 - 5):
            if values[0] < values[1]:
                high, inner[1], values[1] = inner[1], inner[0], values[0]
                inner[0] = high - ratio * (high - low)
                values[0] = needed(rho, inner[0])
            else:
                low, inner[0], values[0] = inner[0], inner[1], values[1]
                inner[1] = low + ratio * (high - low)
                values[1] = needed(rho, inner[1])
        return (low + high) / 2, min(values)


def state_evolution(alpha: float, density: float) -> tuple[float, float]:
    """Return error and l1 norm at the fixed point in (mse, response) and their conjugates."""
    mse, response = density, density
    for _ in range(4000):
        level = response / alpha
        # the effective problem, divided by its threshold
        noise = mse / (alpha * level**2)
        signal = noise + level**-2
        zeros, others = above_one(noise), above_one(signal)
        kept = level**2 * ((1 - density) * squared_above_one(noise))
        kept += level**2 * density * squared_above_one(signal)
        steps = (
            density - 2 * density * others + kept - mse,
            ((1 - density) * zeros + density * others) * level - response,
        )
        mse, response = mse + 0.2 * steps[0], response + 0.2 * steps[1]
        if max(map(abs, steps)) < 1e-15:
            break
    assert max(map(abs, steps)) < 1e-14
    return mse, alpha * (mse + density - kept) / (2 * response)


def above_one(variance: float) -> float:
    """Return P(|y| > 1), y ~ N(0, variance)."""
    return math.erfc((2 * variance) ** -0.5)


def squared_above_one(variance: float) -> float:
    """Return E (|y| - 1)_+^2, y ~ N(0, variance)."""
    density = math.exp(-0.5 / variance) / math.sqrt(2 * math.pi * variance)
    return (variance + 1) * above_one(variance) - 2 * variance * density


def least_norm(p: int, alpha: float, density: float, rng: np.random.Generator) -> Any:
    """Return the weights and what their measurements recover, by linear programming."""
    weights = rng.normal(size=p) * (rng.random(p) < density)
    x = rng.normal(size=(round(alpha * p), p))
    found = optimize.linprog(np.ones(2 * p), A_eq=np.hstack([x, -x]), b_eq=x @ weights)
    assert found.success
    return weights, found.x[:p] - found.x[p:]


# ---- the threshold ------------------------------------------------------------------------------


@pytest.mark.parametrize("density", FIGURES)
def test_figures(density: float):
    found = threshold(density)
    assert found.value == pytest.approx(FIGURES[density], abs=1e-13)
    assert found.error < 1e-13
    assert found.status == rp.Status.CONVERGED
    assert found.validity == "theorem"
    assert found.note == ""


@pytest.mark.parametrize("z", [0.01, 0.1, 0.43, 1.0, 1.7, 2.5, 3.5, 5.0])
def test_curve_is_the_one_of_donoho_and_tanner(z: float):
    """Given by them with the slope z as parameter: measurements delta, non-zeros per one rho."""
    with mp.workdps(40):
        height, beyond = mp.npdf(z), tail(mpf(z))
        delta = 2 * height / (z + 2 * (height - z * beyond))
        density = float(delta * (1 - z * beyond / height))
    found = threshold(density)
    assert found.value == pytest.approx(float(delta), rel=1e-13)
    assert found.overlaps["t"] == pytest.approx(z, abs=1e-12)
    # the stationarity condition, in the form of Kabashima, Wadayama and Tanaka
    assert found.value == pytest.approx(density + 2 * (1 - density) * stats.norm.sf(z), rel=1e-12)


@pytest.mark.parametrize("part", range(4))
def test_minimum_is_found_at_every_density_with_an_honest_error(part: int):
    for density in DENSITIES[part::4]:
        found = threshold(float(density))
        assert found.status == rp.Status.CONVERGED
        assert found.error < 1e-12 * found.value
        with mp.workdps(30):
            # at the place found, where F is stationary: its error enters squared
            truth = needed(mpf(float(density)), mpf(found.overlaps["t"]))
            assert abs(mpf(found.value) - truth) <= found.error
            for side in (-1, 1):
                beside = needed(mpf(float(density)), mpf(found.overlaps["t"]) + side * mpf("1e-6"))
                assert beside > truth


def test_start_is_below_the_minimum():
    """From there Newton cannot overshoot, since the derivative of F is concave."""
    declared = FORMULA.thresholds["alpha_L1"]
    ((_, start),) = declared.over.values()
    symbol = FORMULA.controls["density"].symbol
    for density in (1e-300, 1e-30, *map(float, DENSITIES[::5]), 1 - 1e-9):
        place = threshold(density).overlaps["t"]
        guess = float(start.subs(symbol, density))
        assert 0 < guess <= place * (1 + 1e-9)


def test_threshold_rises_with_the_density():
    values = np.array([threshold(float(density)).value for density in DENSITIES])
    assert np.all(np.diff(values) > 0)
    assert np.all(values > DENSITIES)
    assert np.all(values < 1)


def test_dense_weights_need_as_many_measurements():
    """As density -> 1, alpha = 1 - 2/pi (1 - density)^2, and 1 at one."""
    for gap in (1e-2, 1e-3, 1e-4):
        missing = 1 - threshold(1 - gap).value
        assert missing / gap**2 == pytest.approx(2 / np.pi, rel=2 * gap + 1e-6)
    assert threshold(1).value == 1
    assert threshold(1).overlaps["t"] == 0


def test_sparse_weights_need_two_logarithms():
    """As density -> 0, alpha = 2 density log(1/density) to leading order."""
    densities = 10.0 ** -np.array([2, 6, 20, 80, 300])
    values = np.array([threshold(float(density)).value for density in densities])
    ratios = values / (2 * densities * np.log(1 / densities))
    assert np.all(np.diff(ratios) > 0)
    assert 0.98 < ratios[-1] < 1
    # t solves density t^3 = 2 phi(t), up to relative corrections of order 1/t^2
    place = threshold(1e-300).overlaps["t"]
    assert np.log(1e-300) + 3 * np.log(place) == pytest.approx(
        np.log(2) + stats.norm.logpdf(place), abs=8 / place**2
    )


@pytest.mark.parametrize("density", [0.1, 0.5, 0.96875, 1e-6])
def test_twenty_five_digits(density: float):
    found = rp.threshold(FORMULA, "alpha_L1", density=density, digits=25)
    place, value = minimum(density, 25)
    with mp.workdps(40):
        assert abs(mpf(found.text) - value) <= mpf(10) ** -25 * value
        assert abs(mpf(found.overlaps["t"]) - place) < mpf(10) ** -12
    assert found.digits == 25
    assert found.value == pytest.approx(threshold(density).value, abs=threshold(density).error)


@pytest.mark.parametrize("density", [0, 1.5, -1, "0.1", "half", float("nan"), True])
def test_bad_density_is_refused(density: Any):
    with pytest.raises(rp.ControlError, match="density"):
        rp.threshold(FORMULA, "alpha_L1", density=density)
    with pytest.raises(rp.ControlError, match="density"):
        rp.solve(FORMULA, alpha=0.2, density=density)


def test_default_density_is_a_tenth():
    assert rp.threshold(FORMULA, "alpha_L1").value == threshold(0.1).value


def test_bad_number_of_measurements_is_refused():
    for alpha in (0, 1, 1.5, -0.1, "many"):
        with pytest.raises(rp.ControlError, match="alpha"):
            rp.solve(FORMULA, alpha=alpha)
    with pytest.raises(rp.ControlError, match="alpha is missing"):
        rp.solve(FORMULA)
    with pytest.raises(rp.ControlError, match="does not take alpha"):
        rp.threshold(FORMULA, "alpha_L1", alpha=0.2)


# ---- the potential ------------------------------------------------------------------------------


def envelope(x: Any, level: Any) -> Any:
    """Return min over w of (w - x)^2 / (2 level) + |w|, at its minimiser."""
    w = mp.sign(x) * max(abs(x) - level, 0)
    return (w - x) ** 2 / (2 * level) + abs(w)


def potential_by_hand(sigma: Any, t: Any, alpha: Any, density: Any) -> Any:
    """Return minus the mean over weights and noise, by quadrature between the kinks."""
    level = t * sigma

    def mean(spread: Any) -> Any:
        edges = [0, level / spread, level / spread + 2, level / spread + 20]
        return 2 * mp.quad(lambda h: mp.npdf(h) * envelope(spread * h, level), edges)

    zeros, others = mean(sigma), mean(mp.sqrt(1 + sigma**2))
    return (1 - alpha) * sigma / (2 * t) - (1 - density) * zeros - density * others


def potential(*values: Any) -> Any:
    symbols = (*FORMULA.unknowns, *(c.symbol for c in FORMULA.controls.values()))
    kernel = PreciseKernel(symbols, (FORMULA.potential,))
    return kernel([mpf(value) for value in values], 20)[0][0]


@pytest.mark.parametrize(
    "at", [(0.5, 1.0, 0.2, 0.1), (0.05, 1.5, 0.3, 0.4), (3.0, 2.5, 0.05, 0.9), (1.0, 0.3, 0.7, 1.0)]
)
def test_potential_is_minus_the_mean_envelope(at: tuple[float, ...]):
    with mp.workdps(25):
        by_hand = potential_by_hand(*map(mpf, at))
        assert abs(potential(*at) - by_hand) < mpf(10) ** -17


@pytest.mark.parametrize("density", [0.1, 0.7])
@pytest.mark.parametrize("t", [0.4, 1.1, 2.0])
def test_threshold_is_the_end_of_the_potential_s_saddle(density: float, t: float):
    """-phi = E|w0| + sigma (alpha - F(t)) / 2t + O(sigma^2), with F minimal at alpha_L1."""
    alpha, sigma = mpf("0.25"), mpf(10) ** -9
    with mp.workdps(30):
        start = mpf(density) * mp.sqrt(2 / mp.pi)
        slope = (-potential(sigma, t, alpha, density) - start) / sigma
        assert abs(slope - (alpha - needed(mpf(density), mpf(t))) / (2 * mpf(t))) < mpf(10) ** -8


@pytest.mark.parametrize("density", [1e-4, 0.01, 0.1, 0.5, 0.9, 1.0])
def test_saddle_exists_where_recovery_fails_and_ends_at_the_threshold(density: float):
    end = threshold(density)
    gaps = np.array([0.99, 0.9, 0.5, 0.1, 1e-2, 1e-3, 1e-4])
    found = rp.solve(FORMULA, alpha=end.value * (1 - gaps), density=density)
    assert found.converged.all()
    missing = 1 - found["l1"] / (density * np.sqrt(2 / np.pi))  # below that of the true weights
    assert np.all(missing > 0)
    assert np.all(np.diff(missing) < 0)
    assert np.all(np.diff(found.sigma) < 0)
    assert found.t[-1] == pytest.approx(end.overlaps["t"], abs=0.02)
    if density <= 0.5:  # as density -> 1 the end of the saddle moves to alpha = 1, where t = 0
        # sigma vanishes linearly and the l1 norm ends quadratically
        assert found.sigma[-1] == pytest.approx(found.sigma[-2] / 10, rel=0.01)
        assert missing[-1] == pytest.approx(missing[-2] / 100, rel=0.02)


@pytest.mark.parametrize("density", [0.01, 0.1, 0.5, 0.9])
def test_no_saddle_where_recovery_succeeds(density: float):
    end = threshold(density).value
    alphas = np.array([end + (1 - end) * share for share in (1e-3, 0.1, 0.5, 0.99)])
    found = rp.solve(FORMULA, alpha=alphas, density=density, check=False)
    assert not found.converged.any()
    assert np.isnan(found.sigma).all()
    with pytest.raises(rp.ConvergenceError):
        rp.solve(FORMULA, alpha=float(alphas[1]), density=density)


@pytest.mark.parametrize(
    ("alpha", "density"), [(0.2, 0.1), (0.05, 0.1), (0.03, 0.01), (0.5, 0.4), (0.7, 1.0)]
)
def test_saddle_is_the_fixed_point_of_state_evolution(alpha: float, density: float):
    mse, norm = state_evolution(alpha, density)
    found = rp.solve(FORMULA, alpha=alpha, density=density)
    assert found["mse"] == pytest.approx(mse, rel=1e-9)
    assert found["l1"] == pytest.approx(norm, rel=1e-9)
    assert found.potential == -found["l1"]


def test_errors_of_the_saddle_are_honest():
    for density in (0.1, 0.8):
        for share in (0.1, 0.7, 0.99, 0.9999):
            alpha = share * threshold(density).value
            rough = rp.solve(FORMULA, alpha=alpha, density=density)
            fine = rp.solve(FORMULA, alpha=alpha, density=density, digits=25)
            for name in ("sigma", "t"):
                assert abs(rough[name] - fine[name]) <= rough.errors[name]
                assert rough.errors[name] < 1e-9


# ---- linear programs ----------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.15, 0.25])
def test_error_and_norm_are_those_of_drawn_instances(alpha: float, rng: np.random.Generator):
    rows = []
    for _ in range(24):
        weights, found = least_norm(300, alpha, 0.1, rng)
        # the true weights' norm has the mean of its law; its fluctuation tells nothing
        excess = np.abs(found).mean() - np.abs(weights).mean()
        rows.append((((found - weights) ** 2).mean(), excess + 0.1 * np.sqrt(2 / np.pi)))
    mean = np.mean(rows, axis=0)
    spread = np.std(rows, axis=0, ddof=1) / np.sqrt(len(rows))
    expected = rp.solve(FORMULA, alpha=alpha, density=0.1)
    for value, error, name in zip(mean, spread, ("mse", "l1"), strict=True):
        assert abs(value - expected[name]) < 3 * error, name


def test_drawn_instances_are_recovered_above_the_threshold_only(rng: np.random.Generator):
    end = threshold(0.2).value
    for alpha, recovered in ((end - 0.15, False), (end + 0.15, True)):
        for _ in range(6):
            weights, found = least_norm(300, alpha, 0.2, rng)
            assert (np.abs(found - weights).max() < 1e-6) is np.bool_(recovered)


def test_beyond_the_threshold_there_is_nothing_to_solve():
    """The error vanishes there, and the message says which threshold decides."""
    with pytest.raises(rp.ConvergenceError, match=r"NO_SADDLE.*alpha_L1 = 0\.328794"):
        rp.solve(rp.formulas["basis-pursuit"], alpha=0.5, density=0.1)
