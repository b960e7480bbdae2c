"""`threshold`: what may be asked, what is refused and why, and what the answer carries."""

from __future__ import annotations

import pickle
from decimal import Decimal
from typing import Any

import mpmath
import numpy as np
import pytest

import replica as rp

BINARY = rp.formulas["binary-perceptron"]
SPHERICAL = rp.formulas["spherical-perceptron"]
SYMMETRIC = rp.formulas["symmetric-binary-perceptron"]


# ---- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("formula", "name", "given", "error", "words"),
    [
        (BINARY, "alpha_g", {}, rp.UnknownName, "alpha_G"),
        (BINARY, "alpha_sp", {}, rp.UnknownName, "alpha_AT"),
        (BINARY, "alpha_G", {"alpha": 0.5}, rp.ControlError, "does not take alpha"),
        (SPHERICAL, "alpha_G", {"alpha": 0.5}, rp.ControlError, "does not take alpha"),
        (SYMMETRIC, "alpha_AT", {"alpha": 0.5}, rp.ControlError, "does not take alpha"),
        (SYMMETRIC, "kappa_star", {}, rp.UnknownName, "alpha_G"),
        (SYMMETRIC, "kappa_star", {"constraint": "u", "kappa": 1}, rp.ControlError, "kappa"),
        (BINARY, "alpha_G", {"kappa": [0.0, 0.5]}, rp.ControlError, "sweep"),
        (BINARY, "alpha_G", {"kappa": np.array([0.5])}, rp.ControlError, "sweep"),
        (BINARY, "alpha_G", {"kappa": 20}, rp.ControlError, "outside"),
        (BINARY, "alpha_G", {"kappa": float("nan")}, rp.ControlError, "kappa"),
        (BINARY, "alpha_G", {"kappa": float("inf")}, rp.ControlError, "kappa"),
        (BINARY, "alpha_G", {"kappa": "0"}, rp.ControlError, "kappa"),
        (BINARY, "alpha_G", {"kappa": 1j}, rp.ControlError, "kappa"),
        (BINARY, "alpha_G", {"kapa": 0}, rp.UnknownName, "kappa"),
        (BINARY, "alpha_G", {"rsb": 1}, rp.UnknownName, "rsb"),
        (SPHERICAL, "alpha_G", {"rsb": 2}, rp.ControlError, "0, 1"),
        (SPHERICAL, "alpha_G", {"rsb": "1"}, rp.ControlError, "rsb"),
        (SYMMETRIC, "alpha_G", {"kappa": 0}, rp.ControlError, "outside"),
        (SYMMETRIC, "alpha_G", {"kappa": -1}, rp.ControlError, "outside"),
        (BINARY, "alpha_G", {"digits": 0}, rp.ControlError, "1 to 200"),
        (BINARY, "alpha_G", {"digits": -3}, rp.ControlError, "1 to 200"),
        (BINARY, "alpha_G", {"digits": 201}, rp.ControlError, "1 to 200"),
        (BINARY, "alpha_G", {"digits": 10000}, rp.ControlError, "1 to 200"),
        (BINARY, "alpha_G", {"digits": 1.5}, rp.ControlError, "whole"),
        (BINARY, "alpha_G", {"digits": True}, rp.ControlError, "whole"),
        (BINARY, "alpha_G", {"digits": "30"}, rp.ControlError, "whole"),
        ("binary-perceptron", "alpha_G", {}, rp.DeclarationError, "formula"),
    ],
)
def test_bad_input(
    formula: Any, name: str, given: dict[str, Any], error: type[Exception], words: str
):
    with pytest.raises(error, match=words) as caught:
        rp.threshold(formula, name, **given)
    assert isinstance(caught.value, rp.ReplicaError)
    assert "\n" not in str(caught.value)
    # bad input is an error also when failures are not
    with pytest.raises(error, match=words):
        rp.threshold(formula, name, check=False, **given)


# ---- no such threshold --------------------------------------------------------------------------


@pytest.mark.parametrize("kappa", [0, 0.0, 0.5, 5])
def test_no_instability_of_the_spherical_perceptron_at_positive_margin(kappa: float):
    with pytest.raises(rp.ThresholdNotFound) as caught:
        rp.threshold(SPHERICAL, "alpha_AT", kappa=kappa)
    message = str(caught.value)
    assert "spherical-perceptron: no alpha_AT at kappa =" in message
    assert "replicon stays below one" in message
    assert isinstance(caught.value, rp.ConvergenceError)


def test_the_reason_for_no_instability_is_true():
    """The replicon rises to alpha_G Phi(kappa) <= 1 and does not reach one."""
    capacity = rp.threshold(SPHERICAL, "alpha_G", kappa=0.3).value
    found = rp.solve(SPHERICAL, alpha=capacity * np.linspace(0.1, 0.995, 8), kappa=0.3)
    assert found.converged.all()
    assert np.all(np.diff(found["replicon"]) > 0)
    assert found["replicon"][-1] < 1


@pytest.mark.parametrize("kappa", [0, 1])
def test_no_broken_capacity_at_positive_margin(kappa: float):
    with pytest.raises(rp.ThresholdNotFound, match=r"replica symmetry is exact.*rsb=0"):
        rp.threshold(SPHERICAL, "alpha_G", kappa=kappa, rsb=1)


def test_no_correlated_branch_below_kappa_star():
    with pytest.raises(rp.ThresholdNotFound, match=r"no alpha_RS at kappa = 0.5.*entropy"):
        rp.threshold(SYMMETRIC, "alpha_RS", constraint="u", kappa=0.5)


@pytest.mark.parametrize("kappa", [2.5, 3.0, 4.0])
def test_correlated_branch_far_past_kappa_star(kappa: float):
    """It exists for every kappa > kappa_star, below the annealed capacity and above the AT line."""
    found = rp.threshold(SYMMETRIC, "alpha_RS", constraint="u", kappa=kappa)
    annealed = rp.threshold(SYMMETRIC, "alpha_G", constraint="u", kappa=kappa).value
    line = rp.threshold(SYMMETRIC, "alpha_AT", constraint="u", kappa=kappa).value
    assert line < found.value < annealed
    assert found.overlaps["q"] > 0.1


def test_unchecked_absence_is_marked():
    found = rp.threshold(SPHERICAL, "alpha_AT", kappa=1, check=False)
    assert np.isnan(found.value)
    assert np.isinf(found.error)
    assert found.status == rp.Status.NOT_FOUND
    assert "replicon stays below one" in found.note
    assert found.published == ()
    assert found.name == "alpha_AT"


# ---- what the answer carries --------------------------------------------------------------------


def test_default_margin():
    assert rp.threshold(BINARY, "alpha_G").value == rp.threshold(BINARY, "alpha_G", kappa=0).value
    one = rp.threshold(SYMMETRIC, "alpha_G")
    assert one.value == rp.threshold(SYMMETRIC, "alpha_G", kappa=1, constraint="rectangle").value


def test_verdicts_at_the_published_controls():
    rows = rp.threshold(BINARY, "alpha_G", kappa=0).published
    assert len(rows) == 5
    verdicts = {(entry.value, entry.relation): verdict for entry, _, verdict in rows}
    assert verdicts[(0.833, "=")] == "agrees"
    assert verdicts[(0.847, "<")] == "holds"
    assert verdicts[(0.005, ">")] == "holds"
    assert verdicts[(0.9973, "<")] == verdicts[(0.9963, "<")] == "disputed"
    for entry, deviation, _ in rows:
        assert deviation == pytest.approx(0.8330785997395792 - entry.value, abs=1e-14)
    (row,) = rp.threshold(BINARY, "alpha_AT", kappa=0).published
    assert row[0].value == 1.015
    assert row[2] == "agrees"


def test_published_at_default_controls_is_found_without_giving_them():
    assert len(rp.threshold(BINARY, "alpha_G").published) == 5
    assert len(rp.threshold(SYMMETRIC, "kappa_star", constraint="u").published) == 1


def test_validity_beyond_the_replica_symmetric_phase():
    assert rp.threshold(SPHERICAL, "alpha_G", kappa=-1).validity == "rs-unstable"
    assert rp.threshold(SPHERICAL, "alpha_G", kappa=1).validity == "theorem"
    assert rp.threshold(BINARY, "alpha_G").validity == "conjecture"
    u = rp.threshold(SYMMETRIC, "alpha_G", kappa=1, constraint="u")
    assert (u.validity, u.status) == ("rs-unstable", rp.Status.CONVERGED)
    assert "kappa_star" in u.note
    assert rp.threshold(SYMMETRIC, "alpha_G", kappa=0.5, constraint="u").note == ""


def test_an_instability_is_not_past_itself():
    """On its own line the replicon is one: not flagged as unstable."""
    for formula, kappa in ((BINARY, 0.0), (SPHERICAL, -1.0)):
        assert rp.threshold(formula, "alpha_AT", kappa=kappa).validity != "rs-unstable"


def test_a_pinned_saddle_is_reported():
    found = rp.threshold(SYMMETRIC, "alpha_G", kappa=1)
    assert found.overlaps == {"q": 0.0, "qhat": 0.0}


@pytest.mark.parametrize("kappa", [-10, -6, 8, 10])
def test_spherical_capacity_at_the_ends_of_the_domain(kappa: int):
    found = rp.threshold(SPHERICAL, "alpha_G", kappa=kappa)
    with mpmath.workdps(60):  # the terms cancel for negative margins
        k = mpmath.mpf(kappa)
        truth = 1 / ((1 + k * k) * mpmath.ncdf(k) + k * mpmath.npdf(k))
        assert abs(found.value - truth) <= found.error
        assert found.error <= 1e-9 * truth


@pytest.mark.parametrize("kappa", [0.001, 6.0, 9.9])
@pytest.mark.parametrize("constraint", ["rectangle", "u"])
def test_symmetric_capacity_at_the_ends_of_the_domain(kappa: float, constraint: str):
    """An answer within its error, or a refusal: never a wrong number."""
    found = rp.threshold(SYMMETRIC, "alpha_G", kappa=kappa, constraint=constraint, check=False)
    if found.status != rp.Status.CONVERGED:
        assert kappa > 5
        assert found.note
        return
    with mpmath.workdps(40):
        x = mpmath.mpf(kappa) / mpmath.sqrt(2)
        p = mpmath.erf(x) if constraint == "rectangle" else mpmath.erfc(x)
        assert abs(found.value + mpmath.log(2) / mpmath.log(p)) <= found.error


@pytest.mark.parametrize("kappa", [-6.0, -4.5, 7.0, 10.0])
def test_binary_thresholds_outside_the_promised_range(kappa: float):
    """An answer within its error, or a refusal: never a wrong number."""
    found = rp.threshold(BINARY, "alpha_G", kappa=kappa, check=False)
    if found.status == rp.Status.CONVERGED:
        precise = rp.threshold(BINARY, "alpha_G", kappa=kappa, digits=16)
        assert abs(found.value - precise.value) <= found.error + 1e-15 * found.value
    else:
        assert found.note


def test_result_travels():
    found = rp.threshold(BINARY, "alpha_G", kappa=0.5)
    back = pickle.loads(pickle.dumps(found))
    assert (back.value, back.error, back.status) == (found.value, found.error, found.status)
    assert repr(back) == repr(found)
    with pytest.raises(rp.ThresholdNotFound) as caught:
        rp.threshold(SPHERICAL, "alpha_AT", kappa=1)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_the_same_question_gives_the_same_answer():
    first = rp.threshold(BINARY, "alpha_G", kappa=0.3)
    rp.threshold(BINARY, "alpha_G", kappa=-2)
    rp.solve(BINARY, alpha=0.2, kappa=1)
    assert rp.threshold(BINARY, "alpha_G", kappa=0.3).value == first.value


def test_exact_controls_keep_their_digits():
    """One tenth and the nearest double differ in the seventeenth digit, and so do the answers."""
    tenth = rp.threshold(SPHERICAL, "alpha_G", kappa=Decimal("0.1"), digits=30)
    nearest = rp.threshold(SPHERICAL, "alpha_G", kappa=0.1, digits=30)
    assert tenth.text != nearest.text
    assert abs(float(tenth) - float(nearest)) < 1e-15
    with mpmath.workdps(40):
        k = mpmath.mpf(1) / 10
        value = 1 / ((1 + k * k) * mpmath.ncdf(k) + k * mpmath.npdf(k))
        assert tenth.text == mpmath.nstr(value, 30)
