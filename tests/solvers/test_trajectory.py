"""State evolution: the dynamics whose fixed points are the saddle points."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from sympy import Interval, Rational, log, oo, symbols

import replica as rp

GLM = rp.formulas["bayes-optimal-glm"]
SIGN = GLM(prior="rademacher", channel="sign")


@pytest.mark.parametrize("alpha", [0.5, 1.2, 1.4])
def test_ends_on_the_uninformed_saddle(alpha: float):
    path = rp.trajectory(SIGN, alpha=alpha, steps=300)
    assert path["m"][-1] == pytest.approx(rp.solve(SIGN, alpha=alpha)["m"], abs=1e-10)
    assert path.steps == 300
    assert path["m"].shape == (301,)
    assert (np.diff(path["m"]) > -1e-12).all()


def test_informed_start_stays_where_recovery_is_stable():
    path = rp.trajectory(SIGN, alpha=1.2, steps=20, start="informed")
    assert path["m"][-1] == 1
    assert path["potential"][-1] == pytest.approx(-np.log(2), abs=1e-12)


def test_full_recovery_is_reached_above_the_spinodal():
    path = rp.trajectory(SIGN, alpha=1.7, steps=40)
    assert path["mse"][-1] == 0
    assert np.isfinite(path["potential"]).all()


@pytest.mark.slow
def test_even_channel_leaves_the_origin_above_weak_recovery_only():
    glm = GLM(prior="rademacher", channel="door")
    below = rp.trajectory(glm, alpha=1.2, steps=60)
    above = rp.trajectory(glm, alpha=2.0, steps=200)
    assert below["m"][-1] < 1e-5
    assert above["m"][-1] > 0.9


def test_given_start():
    path = rp.trajectory(SIGN, alpha=1.2, steps=100, start={"D": 0.5})
    assert path.overlaps["D"][0] == 0.5
    assert path.start == "given"


def test_a_solution_is_a_start_and_stays():
    there = rp.solve(SIGN, alpha=1.2)
    path = rp.trajectory(SIGN, alpha=1.2, steps=5, start=there)
    assert path["D"] == pytest.approx(np.full(6, there["D"]), abs=1e-13)


def test_storage_saddle_is_a_fixed_point_of_its_own_dynamics():
    binary = rp.formulas["binary-perceptron"]
    path = rp.trajectory(binary, alpha=0.5, kappa=0, steps=60)
    assert path["q"][-1] == pytest.approx(0.322385363224, abs=1e-9)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"steps": 0}, "steps"),
        ({"steps": 2.5}, "steps"),
        ({"start": "middle"}, "start"),
        ({"start": {"D": 2.0}}, "outside"),
        ({"start": {"mhat": 1.0}}, "needs a value of D"),
        ({"start": {"m": 1.0}}, "overlap"),
        ({"alpha": [0.5, 1.0]}, "one value of alpha"),
        ({"alpha": -1.0}, "alpha"),
    ],
)
def test_bad_input(given: dict, message: str):
    with pytest.raises(rp.ReplicaError, match=message):
        rp.trajectory(SIGN, **{"alpha": 1.0, **given})


def test_table_fits_a_terminal():
    text = repr(rp.trajectory(SIGN, alpha=1.2, steps=100))
    assert max(map(len, text.splitlines())) <= 80
    assert "uninformed start" in text


# ---- errors of every step -----------------------------------------------------------------------


def evolved(values, weights, signal, begin, steps):
    """Return q_t of the spiked Wigner model in 40 digits: q <- E <x>^2 at precision signal q."""
    with mpmath.workdps(40):
        x = [mpmath.mpf(v) for v in values]
        w = [mpmath.mpf(p) for p in weights]
        grid = [mpmath.mpf(k) / 50 for k in range(-600, 601)]
        mass = [mpmath.exp(-(z**2) / 2) for z in grid]
        total = mpmath.fsum(mass)

        def update(q):
            strength = signal * q
            found = mpmath.mpf(0)
            for true, share in zip(x, w, strict=True):
                for z, g in zip(grid, mass, strict=True):
                    field = mpmath.sqrt(strength) * z + strength * true
                    terms = [
                        p * mpmath.exp(field * v - strength * v**2 / 2)
                        for v, p in zip(x, w, strict=True)
                    ]
                    mean = mpmath.fdot(terms, x) / mpmath.fsum(terms)
                    found += share * g / total * mean**2
            return found

        path = [mpmath.mpf(begin)]
        for _ in range(steps):
            path.append(update(path[-1]))
        return path


@pytest.mark.parametrize(
    ("values", "weights", "signal", "begin"),
    [
        (("-1", "1"), ("0.5", "0.5"), "1.5", 0.01),  # errors grow while it leaves the origin
        (("-1", "0", "1"), ("0.1", "0.8", "0.1"), "30", 0.1),
        (("-0.5", "2"), ("0.8", "0.2"), "0.7", 0.5),
    ],
)
def test_errors_are_never_below_the_true_ones(values, weights, signal, begin):
    q, qhat, lam = symbols("q qhat lambda_", nonnegative=True)
    h = symbols("h", real=True)
    pairs = [(Rational(v), Rational(w)) for v, w in zip(values, weights, strict=True)]

    def log_z(true):
        terms = [log(w) + v * (h + qhat * true) - qhat * v**2 / 2 for v, w in pairs]
        return rp.Mean(rp.LogSumExp(*terms), (h, qhat))

    formula = rp.Formula(
        name="spike",
        title="Spiked Wigner matrix",
        potential=sum(w * log_z(v) for v, w in pairs) + lam * q**2 / 4 - q * qhat / 2,
        overlaps={q: Interval(0, 2)},
        conjugates={q: qhat},
        controls={lam: (Interval.open(0, oo), None)},
        observables={"square": q**2},
    )
    path = rp.trajectory(formula, lambda_=float(signal), start={"q": begin}, steps=8)
    truth = evolved(values, weights, mpmath.mpf(signal), begin, 8)
    for k, exact in enumerate(truth):
        assert abs(exact - mpmath.mpf(path["q"][k])) <= path.errors["q"][k]
        assert path.errors["q"][k] < 1e-11
        assert abs(exact**2 - mpmath.mpf(path["square"][k])) <= path.errors["square"][k]
    assert path.errors["q"][0] == 0


def test_errors_of_a_coarse_rule_are_larger_than_what_a_finer_one_changes(monkeypatch):
    """With a rule that is too coarse on purpose the bound covers the distance to the fine one."""
    fine = rp.trajectory(SIGN, alpha=1.2, steps=20)
    from replica.numerics.kernel import Kernel

    whole, bounded = Kernel.__call__, Kernel.bounded
    monkeypatch.setattr(
        Kernel, "__call__", lambda self, *a, refinement=0: whole(self, *a, refinement=-2)
    )
    monkeypatch.setattr(
        Kernel, "bounded", lambda self, *a, refinement=0: bounded(self, *a, refinement=-2)
    )
    coarse = rp.trajectory(SIGN, alpha=1.2, steps=20)
    change = np.abs(coarse["D"] - fine["D"])
    assert change.max() > 1e-13
    assert (change <= coarse.errors["D"] + fine.errors["D"]).all()


def test_errors_are_shown_and_written(tmp_path):
    path = rp.trajectory(SIGN, alpha=1.2, steps=5)
    assert repr(path).splitlines()[-1].split()[0] == "+-"
    content = path.to_dict()
    assert set(content["errors"]) == {*path.overlaps, *path.observables}
    assert all(len(column) == 6 for column in content["errors"].values())
    path.to_csv(tmp_path / "path.csv")
    header, *rows = (tmp_path / "path.csv").read_text().splitlines()
    assert header.startswith("step,D,D_error,mhat,mhat_error,potential,potential_error")
    assert len(rows) == 6
    assert float(rows[-1].split(",")[1]) == path["D"][-1]
