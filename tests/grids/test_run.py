"""Grids: the numbers of single points, with labels."""

from __future__ import annotations

import numpy as np
import pytest
from grids.points import BINARY, SPHERICAL
from sympy import Interval, cosh, log, oo, symbols

import replica as rp
from replica.grids.run import sweep
from replica.solvers.solution import Status

# ---- numbers and labels -------------------------------------------------------------------------


def test_dims_are_the_arrays_in_the_order_given(grid):
    assert grid.dims == ("kappa", "alpha")
    assert grid.shape == (2, 4)
    assert grid.coords["alpha"].tolist() == [0.2, 0.4, 1.1, 1.4]
    assert list(grid.data) == ["q", "qhat", "potential", "entropy", "replicon", "error"]
    assert {values.shape for values in grid.data.values()} == {(2, 4)}
    assert grid.attrs["controls"] == {}


def test_points_are_those_of_solve(grid):
    for i, kappa in enumerate(grid.coords["kappa"]):
        for j, alpha in enumerate(grid.coords["alpha"]):
            single = rp.solve(BINARY, alpha=alpha, kappa=kappa, check=False)
            assert grid.status[i, j] == single.status
            assert grid.validity[i, j] == single.validity
            assert grid.converged[i, j] == single.converged
            for name in ("q", "qhat", "entropy", "replicon"):
                assert grid[name][i, j] == pytest.approx(single[name], rel=1e-9, nan_ok=True)


def test_points_without_saddle_are_nan_with_their_status(grid):
    missing = grid.status == Status.NO_SADDLE
    assert missing[:, -1].all()
    for values in grid.data.values():
        assert np.isnan(values[missing]).all()
        assert np.isfinite(values[~missing]).all()
    assert (grid["error"][~missing] < 1e-8).all()
    assert (grid.validity[missing] == "").all()
    assert grid.counts() == {
        "converged": int((~missing).sum()),
        "no_saddle": int(missing.sum()),
    }


def test_fixed_controls_are_attributes():
    made = sweep(BINARY, alpha=[0.2, 0.4], kappa=0.5)
    assert made.dims == ("alpha",)
    assert made.attrs["controls"] == {"kappa": 0.5}
    assert made.attrs["units"] == "nats per weight"
    assert made.attrs["version"] == rp.__version__
    assert "krauth1989" in made.attrs["cites"]
    default = sweep(BINARY, alpha=[0.2, 0.4])
    assert default.attrs["controls"] == {"kappa": 0.0}


@pytest.mark.parametrize("form", [list, tuple, np.array])
def test_arrays_of_any_kind(form):
    assert sweep(BINARY, alpha=form([0.2, 0.4])).shape == (2,)
    assert sweep(SPHERICAL, "alpha_G", kappa=range(3)).shape == (3,)
    assert sweep(BINARY, alpha=form([0.3])).shape == (1,)


def test_chosen_quantities():
    made = sweep(BINARY, ["entropy", "q"], alpha=[0.2, 0.4])
    assert list(made.data) == ["entropy", "q", "error"]
    assert made["q"] == pytest.approx(sweep(BINARY, alpha=[0.2, 0.4])["q"])


def test_chunks_give_the_same_numbers():
    controls = {"alpha": np.linspace(0.1, 1.4, 23), "kappa": [0, 0.3]}
    whole, parts = sweep(BINARY, **controls), sweep(BINARY, chunk=7, **controls)
    np.testing.assert_array_equal(whole.status, parts.status)
    for name in ("q", "entropy"):
        np.testing.assert_allclose(whole[name], parts[name], rtol=1e-9)


def test_a_start_is_passed_on():
    u = rp.formulas["symmetric-binary-perceptron"](constraint="u")
    away = sweep(u, alpha=[0.6], kappa=1.0, start={"q": 0.5})
    assert away["q"][0] > 0.05
    assert not away.exact[0]
    assert sweep(u, alpha=[0.6], kappa=1.0, start="uninformed")["q"][0] == pytest.approx(0)


# ---- thresholds ---------------------------------------------------------------------------------


def test_thresholds():
    made = sweep(BINARY, "alpha_G", kappa=[0, 0.5])
    assert made["alpha_G"] == pytest.approx([0.8330785997395792, 0.455664564542], abs=1e-12)
    assert (made["alpha_G_error"] < 1e-12).all()
    assert made.converged.all()


def test_several_thresholds_and_their_worst_status():
    made = sweep(SPHERICAL, ["alpha_G", "alpha_AT"], kappa=[-1, 1])
    assert made["alpha_G"] == pytest.approx([13.2731998, 0.5195722296], abs=1e-7)
    assert made["alpha_AT"][0] == pytest.approx(7.8735602, abs=1e-7)
    assert np.isnan(made["alpha_AT"][1])
    assert np.isnan(made["alpha_AT_error"][1])
    assert made.counts() == {"converged": 1, "not_found": 1}
    assert made.exact.tolist() == [False, True]
    assert made.exact_at("alpha_G").tolist() == [False, True]
    assert made.exact_at("alpha_AT").all()  # of each threshold by itself


def test_options_of_a_family():
    made = sweep(rp.formulas["symmetric-binary-perceptron"], "alpha_G", kappa=[1.0], constraint="u")
    assert made.formula.options == {"constraint": "u"}
    assert made.attrs["options"] == {"constraint": "u"}


def test_folds_on_a_grid_are_those_of_each_point():
    family = rp.formulas["bayes-optimal-glm"](prior="gauss-bernoulli", channel="linear")
    noise = [1e-4, 3e-4, 0.1]  # the line of transitions ends in between
    grid = rp.sweep(family, ["alpha_IT", "alpha_AMP"], density=[0.1, 0.3], Delta=noise)
    for k, density in enumerate([0.1, 0.3]):
        for j, Delta in enumerate(noise):
            for name in ("alpha_IT", "alpha_AMP"):
                alone = rp.threshold(family, name, density=density, Delta=Delta, check=False)
                assert grid[name][k, j] == pytest.approx(alone.value, rel=1e-11, nan_ok=True)
    assert np.isnan(grid["alpha_AMP"][:, -1]).all()
    assert np.isfinite(grid["alpha_AMP"][:, 0]).all()


def test_folds_of_hardly_sparse_weights():
    """Close to density one, where the branch ends next to exact recovery."""
    family = rp.formulas["bayes-optimal-glm"](prior="gauss-bernoulli", channel="linear")
    density = np.array([0.9, 0.95, 0.96, 0.98])
    found = rp.sweep(family, "alpha_AMP", density=density)
    assert not found.status.any()
    assert (np.diff(found["alpha_AMP"]) > 0).all()
    assert ((density < found["alpha_AMP"]) & (found["alpha_AMP"] < 1)).all()


def test_what_is_stable_within_its_ansatz(tmp_path):
    """The state without magnetisation is left below the temperature of Curie and Weiss."""
    m, T = symbols("m T", real=True)
    formula = rp.Formula(
        name="ferromagnet",
        title="Curie-Weiss",
        potential=log(2 * cosh(m / T)) - m**2 / (2 * T),
        overlaps={m: Interval(-1, 1)},
        controls={T: (Interval.open(0, oo), None)},
    )
    path = tmp_path / "points.npz"
    made = sweep(formula, T=[0.5, 0.8, 1.25, 2], start={"m": 0}, path=path)
    assert made.stable.tolist() == [False, False, True, True]
    assert made.validity.tolist() == ["unstable"] * 2 + ["conjecture"] * 2
    assert made.to_dict()["stable"] == [False, False, True, True]
    assert "2 of 4 points" in repr(made)
    again = sweep(formula, T=[0.5, 0.8, 1.25, 2], start={"m": 0}, path=path, resume=True)
    assert again.stable.tolist() == made.stable.tolist()
    assert again.to_xarray()["stable"].values.tolist() == [0, 0, 1, 1]
    untold = sweep(SPHERICAL, alpha=[0.5, 1], kappa=0)
    assert untold.stable.tolist() == rp.solve(SPHERICAL, alpha=[0.5, 1], kappa=0).stable.tolist()
    assert sweep(SPHERICAL, "alpha_G", kappa=[0, 1]).stable is None
