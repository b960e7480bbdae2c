"""The committee machine with many hidden units: one overlap, a gap that no algorithm closes."""

import mpmath
import numpy as np
import pytest
from scipy import integrate, special

import replica as rp

LARGE_K = rp.formulas["committee-machine-large-k"]


def test_thresholds():
    spec = rp.threshold(LARGE_K, "alpha_spec")
    assert abs(spec.value - 7.16923930356) < 1e-10
    assert spec.error < 1e-10
    assert abs(1 - spec.overlaps["D"] - 0.8207538) < 1e-6
    exact = rp.threshold(LARGE_K, "alpha_IT")
    assert abs(exact.value - 7.68022127024) < 1e-10
    assert exact.error < 1e-10
    ((published, _, verdict),) = exact.published
    assert (published.value, verdict) == (7.65, "disputed")


def test_constant_of_the_algorithm_by_an_independent_integral():
    def integrand(x):
        h = np.sqrt(2 / np.pi) * x
        root = np.sqrt(1 - 2 / np.pi)
        slope = np.exp(-0.5 * (h / root) ** 2) / np.sqrt(2 * np.pi) / root
        chances = special.ndtr(h / root), special.ndtr(-h / root)
        weight = np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi)
        return weight * sum((h * slope) ** 2 / p for p in chances)

    information, _ = integrate.quad(integrand, -12, 12, epsabs=1e-13)
    found = rp.threshold(LARGE_K, "alpha_AMP")
    assert abs(found.value - 1 / information) < 1e-9
    assert abs(found.value - 3.26998612) < 5e-9


def test_the_plateau_is_where_no_unit_is_told_from_another():
    alpha = np.array([0.1, 1.0, 5.0, 7.5, 8.0, 14.0, 500.0])
    plateau = rp.solve(LARGE_K, alpha=alpha)
    assert plateau.converged.all()
    assert np.abs(plateau["q_d"]).max() < 1e-12
    assert np.abs(plateau["eps_g"] - np.arccos(2 / np.pi) / np.pi).max() < 1e-12
    assert abs(plateau["eps_g"][0] - 0.28033209029) < 1e-11


@pytest.mark.parametrize(
    ("alpha", "q_d", "eps_g"),
    [
        (8.0, 0.954035810, 0.185181914),
        (10.0, 0.988030991, 0.136828824),
        (14.0, 0.997618881, 0.093051900),
    ],
)
def test_the_specialised_branch(alpha, q_d, eps_g):
    found = rp.solve(LARGE_K, alpha=alpha, start="informed")
    assert abs(found["q_d"] - q_d) < 1e-9
    assert abs(found["eps_g"] - eps_g) < 1e-9
    assert max(found.errors.values()) < 1e-9


def test_equilibrium_changes_branch_at_the_transition():
    below, above = (rp.solve(LARGE_K, alpha=a, start="equilibrium") for a in (7.67, 7.69))
    assert below["q_d"] == 0
    assert above["q_d"] > 0.9
    # below the spinodal there is nothing but the plateau
    assert rp.solve(LARGE_K, alpha=7.0, start="informed")["q_d"] == 0


def test_the_published_transition_is_refuted_by_multiprecision():
    """At 7.65 the specialised maximum is lower than the plateau, by 3.55e-3."""
    heights = [
        mpmath.mpf(rp.solve(LARGE_K, alpha=7.65, start=s, digits=20).texts["potential"])
        for s in ("uninformed", "informed")
    ]
    assert abs(heights[1] - heights[0] + mpmath.mpf("3.55e-3")) < 5e-6


def test_branches_show_the_fold_and_the_plateau():
    found = rp.branches(LARGE_K, alpha=(5, 10))
    ((value, kind),) = found.folds
    assert (round(value, 9), kind) == (7.169239304, "minimum")
    plateau = found["q_d"] == 0
    assert plateau.any()
    assert found.stable[plateau].all()
    assert found["eps_g"][~plateau].max() < found["eps_g"][plateau].min()


def test_the_update_is_the_derivative_of_the_potential():
    """The stated form, a mean of squares, against differences of the multi-precision potential."""
    from replica.numerics.precise import PreciseKernel

    symbols = (*LARGE_K.unknowns, *(c.symbol for c in LARGE_K.controls.values()))
    kernel = PreciseKernel(symbols, (LARGE_K.potential, LARGE_K.updates[LARGE_K.unknowns[1]]))
    with mpmath.workdps(35):
        step = mpmath.mpf(10) ** -8
        for gap in (0.9, 0.3, 0.02):
            at = [mpmath.mpf(gap), mpmath.mpf(1), mpmath.mpf(3)]
            (_, update), _ = kernel(at, 25)
            (up, _), _ = kernel([at[0] + step, *at[1:]], 25)
            (down, _), _ = kernel([at[0] - step, *at[1:]], 25)
            # d phi / d D = alpha Phi' + mhat / 2 and Phi' = -update / (2 alpha)
            assert abs(at[1] - 2 * (up - down) / (2 * step) - update) < 1e-10 * abs(update)


def test_state_evolution_stays_on_the_plateau_and_finds_the_specialised_state():
    stuck = rp.trajectory(LARGE_K, alpha=10, steps=60)
    assert stuck["q_d"][-1] < 1e-10
    informed = rp.trajectory(LARGE_K, alpha=10, steps=200, start="informed")
    assert abs(informed["q_d"][-1] - 0.988030991) < 1e-8


def test_bad_controls():
    with pytest.raises(rp.ControlError, match="alpha"):
        rp.solve(LARGE_K, alpha=-1)
    with pytest.raises(rp.UnknownName, match="alpha_spec"):
        rp.threshold(LARGE_K, "alpha_spek")
