"""Formulas drawn at random as users write them, against numpy and mpmath alone."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from scipy.special import log_ndtr
from sympy import Abs, Heaviside, Integer, Interval, Max, Min, Rational, cosh, exp, log, oo, symbols
from sympy import tanh as Tanh

import replica as rp
from replica.language.rewriting import stabilise
from replica.numerics.kernel import compile_kernel

b, h, s, u, w, x, y, z = symbols("b h s u w x y z", real=True)
T, V, alpha, chi, lam, positive = symbols("T V alpha chi lambda positive", positive=True)
q = symbols("q", nonnegative=True)


def draws(few: int, many: int):
    """Return seeds, the first few of them in the default run."""
    return [
        pytest.param(seed, marks=() if seed < few else pytest.mark.slow) for seed in range(many)
    ]


# ---- wells: every state, folds and crossings of a polynomial -----------------------------------


def wells(seed: int):
    """Return a potential as a sympy expression and as a polynomial, which falls at both ends."""
    rng = np.random.default_rng(seed)
    degree = int(rng.choice([4, 6, 8]))
    shares = [
        Rational(int(1000 * c), 1000 * (j + 1)) for j, c in enumerate(rng.normal(size=degree))
    ]
    shares = [Integer(0), *shares[:-1], -Rational(1, degree)]
    polynomial = np.polynomial.Polynomial([float(c) for c in shares])
    return sum(c * x**j for j, c in enumerate(shares)), polynomial, float(rng.uniform(-1, 1))


def real(roots):
    return np.sort(roots[np.abs(roots.imag) < 1e-9].real)


def declared(potential, **parts):
    return rp.Formula(
        name="wells",
        title="Wells",
        potential=potential + b * x,
        overlaps={x: Interval(-6, 6)},
        controls={b: (Interval(-50, 50), None)},
        **parts,
    )


@pytest.mark.parametrize("seed", draws(8, 40))
def test_every_state_of_a_polynomial_is_found(seed):
    potential, polynomial, field = wells(seed)
    states = rp.solve(declared(potential), b=field, states="all")
    true = real((polynomial.deriv() + field).roots())
    assert np.sort([state["x"] for state in states]) == pytest.approx(true, abs=1e-9)


@pytest.mark.parametrize("seed", draws(14, 60))
def test_a_well_ends_at_the_next_turn_and_crosses_another_at_equal_heights(seed):
    potential, polynomial, field = wells(seed)
    slope = polynomial.deriv()
    true = real((slope + field).roots())
    if true.size < 3:
        return  # one well
    formula = declared(
        potential,
        starts={"first": {x: true[0]}, "last": {x: true[-1]}},
        thresholds={
            "b_end": rp.Fold(b, of="first", upper=True),
            "b_c": rp.Crossing(b, between=("first", "last")),
        },
    )
    turns = real(slope.deriv().roots())
    end = -slope(turns[turns > true[0]][0])
    fold = rp.threshold(formula, "b_end")
    assert abs(fold.value - end) <= fold.error + 1e-12 * max(1.0, abs(end))
    try:
        crossing = rp.threshold(formula, "b_c").value
    except rp.ThresholdNotFound:  # the two wells are never of equal height while both exist
        return
    places = real((slope + crossing).roots())
    heights = polynomial(places) + crossing * places
    apart = [abs(one - two) for k, one in enumerate(heights) for two in heights[:k]]
    assert min(apart) < 1e-10


# ---- a spiked matrix: spinodal, transition, instability -----------------------------------------


def overlap_of_signal(density: float, snr: float) -> float:
    """Return E[x <x>] of weights -1, 0, 1 seen through noise, a plain sum."""
    nodes = np.linspace(-12, 12, 4001)
    weights = np.exp(-nodes * nodes / 2)
    field = snr + np.sqrt(snr) * nodes
    coshes = np.abs(field) + np.log1p(np.exp(-2 * np.abs(field))) - np.log(2)
    empty = np.log(1 - density) - np.log(density) + snr / 2 - coshes
    mean = np.tanh(field) / (1 + np.exp(np.minimum(empty, 700.0)))
    return float(density * (weights * mean).sum() / weights.sum())


def spiked_matrix(rho, **parts):
    """Return a rank-one matrix of weights -1, 0, 1 of this density seen through noise."""
    prior = rp.Discrete({-1: rho / 2, 0: 1 - rho, 1: rho / 2})
    return rp.Formula(
        name="spiked-matrix",
        title="Spiked matrix",
        potential=prior.free_entropy(lam * q) - lam * q**2 / 4,
        overlaps={q: Interval(0, rho)},
        controls={lam: (Interval.open(0, oo), None)},
        **parts,
    )


@pytest.mark.parametrize("seed", draws(0, 6))
def test_folds_of_a_spiked_matrix_are_the_turns_of_its_curve(seed):
    density = round(
        float(np.exp(np.random.default_rng(seed).uniform(np.log(0.02), np.log(0.08)))), 4
    )
    rho = Rational(str(density))
    formula = spiked_matrix(
        rho,
        starts={"uninformed": {q: rho / 10**6}, "informed": {q: rho}},
        thresholds={
            "lambda_s": rp.Fold(lam, of="informed"),
            "lambda_AMP": rp.Fold(lam, of="uninformed"),
            "lambda_u": rp.Instability(in_=lam, at={q: 0}),
            "lambda_IT": rp.Crossing(lam, between=("uninformed", "informed")),
        },
    )
    snr = np.logspace(-3, 3, 1500)
    curve = snr / [overlap_of_signal(density, value) for value in snr]
    inner = curve[1:-1]
    low = inner[(inner < curve[:-2]) & (inner < curve[2:])]
    high = inner[(inner > curve[:-2]) & (inner > curve[2:])]
    found = {name: rp.threshold(formula, name).value for name in formula.thresholds}
    assert found["lambda_s"] == pytest.approx(low[0], rel=1e-4)
    assert found["lambda_AMP"] == pytest.approx(high[0], rel=1e-4)
    assert found["lambda_u"] == pytest.approx(density**-2, rel=1e-12)
    assert found["lambda_s"] < found["lambda_IT"] < found["lambda_AMP"]


def test_a_state_that_rests_says_where():
    rho = Rational(1, 20)
    formula = spiked_matrix(
        rho,
        starts={"uninformed": {q: 0}, "informed": {q: rho}},
        thresholds={"lambda_AMP": rp.Fold(lam, of="uninformed")},
    )
    with pytest.raises(rp.ThresholdNotFound, match="it stays at q = 0 throughout"):
        rp.threshold(formula, "lambda_AMP")


# ---- minima of piecewise losses -----------------------------------------------------------------


@pytest.mark.parametrize("seed", draws(6, 40))
def test_minima_of_piecewise_losses_are_the_least_on_a_grid(seed):
    rng = np.random.default_rng(seed)
    loss, parts = Integer(0), []
    for _ in range(int(rng.integers(1, 4))):
        place, size = (Rational(int(rng.integers(-20, 21)), 10) for _ in range(2))
        c, r = float(place), float(size)
        term, plain = [
            (size * Abs(x - place), lambda t, c=c, r=r: r * np.abs(t - c)),
            (size * Heaviside(x - place), lambda t, c=c, r=r: r * (t > c)),
            (size * Max(0, x - place), lambda t, c=c, r=r: r * np.maximum(0, t - c)),
            (
                Min(1, Abs(size) * (x - place) ** 2),
                lambda t, c=c, r=r: np.minimum(1, np.abs(r) * (t - c) ** 2),
            ),
        ][int(rng.integers(4))]
        loss += term
        parts.append(plain)
    kernel = compile_kernel((w, V), (rp.Minimum(x, (x - w) ** 2 / (2 * V) + loss),))
    for _ in range(4):
        centre, width = float(3 * rng.normal()), float(10 ** rng.uniform(-2, 1))
        grid = np.concatenate(
            [
                np.linspace(centre - 80, centre + 80, 800_001),
                *([c - 1e-12, c, c + 1e-12] for c in np.arange(-20, 21) / 10),
            ]
        )
        least = ((grid - centre) ** 2 / (2 * width) + sum(part(grid) for part in parts)).min()
        (value,) = kernel(centre, width)
        assert least - 1e-6 / width <= float(value) <= least + 1e-9


# ---- logarithms of means ------------------------------------------------------------------------


@pytest.mark.parametrize("seed", draws(20, 120))
def test_logarithms_of_means_of_any_power_and_width(seed):
    rng = np.random.default_rng(seed)
    power = float(rng.choice([-30, -3, -1e-8, 0, 1e-8, 0.5, 1, 5, 20, 100]))
    variance, a = float(10 ** rng.uniform(-6, 3)), float(3 * rng.normal())
    body, plain = [
        (log(2 * cosh(h + x)), lambda t: np.logaddexp(t + a, -t - a)),
        (rp.LogH(x - h), lambda t: log_ndtr(t - a)),
        (-Abs(h - x), lambda t: -np.abs(t - a)),
        (Tanh(2 * h + x), lambda t: np.tanh(2 * t + a)),
    ][int(rng.integers(4))]
    node = stabilise(rp.LogMean(body, (h, V), power=y))
    (found,) = compile_kernel((x, V, y), (node,)).bounded(a, variance, power)
    width = np.sqrt(variance)
    reach = 12 + 2.4 * abs(power) * width
    if power < 0 and body.has(rp.LogH) and abs(power) * variance > 0.5:
        pytest.skip("the mean diverges")
    rough = np.linspace(-reach, reach, 200_001)
    heights = power * plain(width * rough) - rough**2 / 2
    near = rough[heights > heights.max() - 60]
    ends = near[0] - reach / 1e5, near[-1] + reach / 1e5
    features = [-a / width, a / width, -a / width / 2]
    edges = [np.linspace(*ends, 800)]
    edges += [f + np.linspace(-1, 1, 801) * 20 / width for f in features]
    edges = np.unique(np.concatenate([*edges, features]))
    edges = edges[(edges >= ends[0]) & (edges <= ends[1])]
    nodes, weights = np.polynomial.legendre.leggauss(16)
    half = np.diff(edges) / 2
    t = ((edges[1:] + edges[:-1]) / 2)[:, None] + half[:, None] * nodes
    weight = half[:, None] * weights
    density = weight * np.exp(-t * t / 2) / np.sqrt(2 * np.pi)
    value = plain(width * t)
    if abs(power) < 1e-5:
        mean = (density * value).sum()
        true = mean + power / 2 * (density * (value - mean) ** 2).sum()
    else:
        top = heights.max()
        total = (weight * np.exp(power * value - t * t / 2 - top)).sum()
        true = (top + np.log(total / np.sqrt(2 * np.pi))) / power
    assert abs(found.value - true) <= found.bound + 3e-13 * max(1.0, abs(true))
    assert found.bound < 1e-6 * max(1.0, abs(true))


# ---- implicit functions -------------------------------------------------------------------------

EQUATIONS = [
    (
        positive * exp(positive) - V,
        positive,
        (0, oo),
        lambda t, a, c: mpmath.log(t) + t - mpmath.log(a),
    ),
    (s + V * Tanh(s) - b, s, (-oo, oo), lambda t, a, c: t + a * mpmath.tanh(t) - c),
    (s**3 + V * s - b, s, (-oo, oo), lambda t, a, c: t**3 + a * t - c),
    (s - b + V / (1 + exp(-s)), s, (-oo, oo), lambda t, a, c: t - c + a / (1 + mpmath.exp(-t))),
    (1 / positive - positive - b, positive, (0, oo), lambda t, a, c: 1 / t - t - c),
]


@pytest.mark.parametrize("seed", draws(10, 60))
def test_roots_of_equations_and_their_slopes(seed):
    rng = np.random.default_rng(seed)
    a, c = float(10 ** rng.uniform(-8, 8)), float(rng.normal() * 10 ** rng.uniform(-3, 3))
    equation, unknown, branch, plain = EQUATIONS[int(rng.integers(len(EQUATIONS)))]
    node = rp.Implicit(unknown, equation, branch=branch)
    value, slope = compile_kernel((V, b), (node, node.diff(V))).bounded(a, c)

    def root(at):
        low = mpmath.mpf(10) ** -40 if branch[0] == 0 else -(mpmath.mpf(10) ** 10)
        high = mpmath.mpf(10) ** 10
        sign = mpmath.sign(plain(low, at, mpmath.mpf(c)))
        for _ in range(260):
            middle = mpmath.sqrt(low * high) if branch[0] == 0 else (low + high) / 2
            if mpmath.sign(plain(middle, at, mpmath.mpf(c))) == sign:
                low = middle
            else:
                high = middle
        return middle

    with mpmath.workdps(40):
        true, step = root(mpmath.mpf(a)), mpmath.mpf(a) / 10**12
        change = float((root(a + step) - true) / step)
        assert abs(float(value.value - true)) <= float(value.bound) * 1.001 + 1e-300
    assert float(value.bound) <= 1e-9 * abs(float(true))
    assert abs(float(slope.value) - change) <= 1e-8 * abs(change) + float(slope.bound)
