"""The committee machine with two hidden units: specialisation, first order or not."""

import numpy as np
import pytest

import replica as rp

COMMITTEE = rp.formulas["committee-machine"]

GAUSSIAN = {
    0.5: (0.1396883579, 0.1396883579, 0.2053899263),
    1.0: (0.2399493406, 0.2399493406, 0.1728691643),
    1.5: (0.3072370795, 0.3072370795, 0.1505955405),
    2.0: (0.3517592005, 0.3517592005, 0.1355835917),
    2.5: (0.5005163002, 0.2652010142, 0.1238526070),
    3.0: (0.6529156403, 0.1614617313, 0.1109623844),
    4.0: (0.8244487978, 0.0576221786, 0.0865667084),
}
BINARY = {
    0.5: (0.1409623456, 0.1409623456, 0.2049803508),
    1.0: (0.2446808238, 0.2446808238, 0.1713168211),
    1.5: (0.3158950689, 0.3158950689, 0.1476952403),
    1.8: (0.458542118, 0.243236508, 0.135081351),
    1.95: (0.632236302, 0.128364555, 0.120582215),
    2.5: (1.0, 0.0, 0.0),
}


def check_table(prior: str, table: dict, tolerance: float) -> None:
    found = rp.solve(COMMITTEE, prior=prior, alpha=np.array(list(table)))
    assert found.converged.all()
    for k, row in enumerate(table.values()):
        for name, value in zip(("q00", "q01", "eps_g"), row, strict=True):
            assert abs(found[name][k] - value) < tolerance
            assert found.errors[name][k] < 1e-8


@pytest.mark.slow
def test_gaussian_weights_on_both_sides_of_specialisation():
    check_table("gaussian", {a: GAUSSIAN[a] for a in (1.0, 2.0, 2.5)}, 1e-9)


@pytest.mark.slow
def test_gaussian_weights_along_the_table():
    # the reference has ten digits, the last one uncertain by a few, and eight at alpha = 4
    check_table("gaussian", {a: row for a, row in GAUSSIAN.items() if a < 4}, 5e-10)
    check_table("gaussian", {4.0: GAUSSIAN[4.0]}, 2e-9)


@pytest.mark.slow
def test_binary_weights_along_the_table():
    check_table("rademacher", BINARY, 1e-9)


@pytest.mark.slow
def test_where_the_units_are_first_told_apart():
    found = rp.threshold(COMMITTEE, "alpha_spec")
    assert abs(found.value - 2.0523824297) < 1e-10
    assert found.error < 1e-10
    assert abs((1 - found.overlaps["D_plus"]) / 2 - 0.3554739635) < 1e-10


@pytest.mark.slow
@pytest.mark.parametrize(
    ("channel", "value"), [("sign-sum-up", 4.22698), ("sign-sum-coin", 7.15501)]
)
def test_other_rules_for_ties_are_other_channels(channel, value):
    found = rp.threshold(COMMITTEE, "alpha_spec", channel=channel)
    assert abs(found.value - value) < 1e-5


@pytest.mark.slow
def test_transitions_of_binary_weights():
    spec = rp.threshold(COMMITTEE, "alpha_spec", prior="rademacher")
    exact = rp.threshold(COMMITTEE, "alpha_IT", prior="rademacher")
    assert abs(spec.value - 1.5893224763) < 1e-10
    assert abs(exact.value - 1.5460913573) < 1e-10
    assert max(spec.error, exact.error) < 1e-10
    assert abs((1 - exact.overlaps["D_plus"]) / 2 - 0.3212410) < 1e-7


@pytest.mark.slow
def test_where_message_passing_recovers_binary_weights():
    found = rp.threshold(COMMITTEE, "alpha_AMP", prior="rademacher")
    assert abs(found.value - 1.97706211336) < 1e-10
    assert found.error < 1e-10
    q_plus, q_minus = (1 - found.overlaps[name] for name in ("D_plus", "D_minus"))
    assert abs((q_plus + q_minus) / 2 - 0.73342) < 1e-5
    assert abs((q_plus - q_minus) / 2 - 0.07003) < 1e-5


@pytest.mark.slow
def test_the_branch_of_message_passing_is_followed_through_its_fold():
    found = rp.branches(COMMITTEE, prior="rademacher", alpha=(1.85, 1.99))
    ((value, kind),) = found.folds
    assert kind == "maximum"
    assert abs(value - 1.97706211336) < 1e-9
    assert found["q00"][-1] > 0.75
    assert found.boundary == "full recovery"


def test_gaussian_weights_have_no_first_order_transition():
    for name in ("alpha_IT", "alpha_AMP"):
        with pytest.raises(rp.ThresholdNotFound, match="continuously"):
            rp.threshold(COMMITTEE, name)


@pytest.mark.slow
def test_the_unspecialised_state_is_a_saddle_point_at_every_alpha():
    alpha = np.array([0.5, 2.0, 2.5, 4.0])
    found = rp.solve(COMMITTEE, alpha=alpha, start="unspecialised")
    assert found.converged.all()
    assert (found["D_minus"] == 1).all()
    assert (found["lambda_minus"] == 0).all()
    assert np.array_equal(found["q00"], found["q01"])
    for k in (0, 1):
        assert abs(found["q00"][k] - GAUSSIAN[alpha[k]][0]) < 1e-10
    # above specialisation it is lower than the state that is found there
    specialised = rp.solve(COMMITTEE, alpha=2.5)
    assert specialised["potential"] > found["potential"][2]
    assert specialised["eps_g"] < found["eps_g"][2]


@pytest.mark.slow
def test_the_potential_grows_by_the_entropy_of_a_label():
    """d phi / d alpha = I_Z along a branch, here by differences."""
    step = 1e-3
    phi = [
        rp.solve(COMMITTEE, alpha=2.5 + s, observables=["potential"]).potential
        for s in (-step, 0.0, step)
    ]
    found = rp.solve(COMMITTEE, alpha=2.5)
    gaussian = sum((1 - found[f"D_{s}"] + np.log(found[f"D_{s}"])) / 2 for s in ("plus", "minus"))
    assert abs((phi[2] - phi[0]) / (2 * step) - (phi[1] - gaussian) / 2.5) < 1e-6


def test_a_start_that_respects_the_symmetry_is_refused():
    for verb in (rp.solve, rp.trajectory):
        with pytest.raises(rp.ControlError, match="never leave"):
            verb(
                COMMITTEE,
                alpha=2.5,
                start={
                    "D_plus": 0.3,
                    "D_minus": 1.0,
                    **({"lambda_plus": 1.0, "lambda_minus": 0.0} if verb is rp.trajectory else {}),
                },
            )


@pytest.mark.parametrize(
    "place", [{"D_plus": -0.1, "D_minus": 0.5}, {"D_plus": 0.3, "D_minus": 1.5}]
)
def test_overlaps_beyond_the_second_moment_are_refused(place):
    with pytest.raises(rp.ControlError, match="outside"):
        rp.solve(COMMITTEE, alpha=2.5, start=place)


def test_bad_options():
    with pytest.raises(rp.ControlError, match="K=0 is not one of 2"):
        COMMITTEE(K=0)
    with pytest.raises(rp.UnknownName, match="did you mean sign-sum"):
        COMMITTEE(channel="sign-sun")
    with pytest.raises(rp.ControlError, match="alpha"):
        rp.solve(COMMITTEE, alpha=-1)


@pytest.mark.slow
def test_state_evolution_specialises_from_next_to_nothing():
    path = rp.trajectory(COMMITTEE, alpha=3.0, steps=60)
    assert path["q00"][10] - path["q01"][10] < 0.05
    assert abs(path["q00"][-1] - GAUSSIAN[3.0][0]) < 1e-5
    assert np.all(np.diff(path["q00"] - path["q01"]) > -1e-9)


@pytest.mark.slow
def test_integrals_keep_their_digits_as_the_weights_are_learned():
    """One evaluation of all integrals, as q -> 1, against the next finer rule."""
    from replica.numerics.kernel import compile_kernel

    unknowns = COMMITTEE().unknowns
    alpha = COMMITTEE().controls["alpha"].symbol
    updates = tuple(COMMITTEE().updates[s] for s in unknowns[2:])
    kernel = compile_kernel((*unknowns[:2], alpha), updates)
    for gaps in ((0.5, 0.9), (0.3, 0.5), (0.12, 0.23), (0.04, 0.08), (0.005, 0.007)):
        value, finer = kernel(*gaps, 1.0), kernel(*gaps, 1.0, refinement=1)
        bound = kernel.bounded(*gaps, 1.0)
        for v, f, e in zip(value, finer, bound, strict=True):
            assert abs(v - f) < 1e-8 * f
            assert abs(v - f) <= e.bound + 1e-14 * f
