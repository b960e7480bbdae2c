"""What the solvers return, and how it reads."""

from __future__ import annotations

import re

import numpy as np
import pytest

import replica as rp
from replica.writing import with_error

BINARY = rp.formulas["binary-perceptron"]


def test_every_status_is_a_sentence_with_a_remedy():
    sentences = {str(status) for status in rp.Status}
    assert len(sentences) == len(rp.Status) == 12
    assert str(rp.Status.CONVERGED) == "converged"
    for status in rp.Status:
        assert str(status)[0].islower()
        assert not re.search(r"[A-Z]_|Status", str(status))
        if status not in (rp.Status.CONVERGED, rp.Status.NO_SADDLE, rp.Status.NOT_FOUND):
            what, _, remedy = str(status).partition(": ")
            assert len(what.split()) >= 3
            assert len(remedy.split()) >= 3
    names = ["CONVERGED", "MAX_STEPS", "DIVERGED", "NON_FINITE", "LEFT_DOMAIN", "NO_SADDLE"]
    names += ["INACCURATE", "NOT_FOUND", "LOST", "DEGENERATE", "ENDED", "EXCLUDED"]
    assert [status.name for status in rp.Status] == names


def test_status_serves_as_a_code_and_in_a_format():
    assert rp.Status.CONVERGED == 0
    assert np.array([0, 5])[1] == rp.Status.NO_SADDLE
    assert rp.Status(5) is rp.Status.NO_SADDLE


def test_solution_gives_quantities_by_name():
    found = rp.solve(BINARY, alpha=0.5, kappa=0.25)
    assert found["q"] == found.q == found.overlaps["q"]
    assert found["qhat"] == found.qhat
    assert found["entropy"] == found.observables["entropy"]
    assert found["potential"] == found.potential
    assert found["alpha"] == 0.5
    assert found["kappa"] == 0.25
    with pytest.raises(rp.UnknownName, match="entropy"):
        found["entrpy"]
    with pytest.raises(KeyError):
        found["m"]
    with pytest.raises(AttributeError, match="m"):
        found.m  # noqa: B018
    assert not hasattr(found, "_repr_html_")


def test_solution_reads_as_a_table():
    text = repr(rp.solve(BINARY, alpha=0.5))
    lines = text.splitlines()
    assert lines[0] == "binary-perceptron (alpha=0.5, kappa=0)"
    assert re.search(r"entropy +0\.31439006685\d* \+- \de-1\d", text)
    assert "converged; conjecture" in text
    assert "nan" not in text
    failed = repr(rp.solve(BINARY, alpha=1.5, check=False))
    assert "nan" not in failed
    assert "no saddle point" in failed
    grid = repr(rp.solve(BINARY, alpha=[0.5, 1.5]))
    assert "array of shape (2,)" in grid
    assert "1 of 2 points converged" in grid


def test_threshold_reads_as_one_line():
    found = rp.threshold(BINARY, "alpha_G", kappa=0)
    text = repr(found)
    assert text.startswith("alpha_G = 0.8330785997395")
    assert "published 0.833 (agrees)" in text
    assert "published < 0.9973 (disputed)" in text
    assert text.endswith("converged")
    assert "\n" not in text
    bound = repr(rp.threshold(rp.formulas["spherical-perceptron"], "alpha_G", kappa=-1))
    assert "rs-unstable" in bound
    assert "upper bound" in bound
    absent = repr(
        rp.threshold(rp.formulas["spherical-perceptron"], "alpha_AT", kappa=1, check=False)
    )
    assert "nan" not in absent
    assert absent.startswith("alpha_AT = none")


def test_threshold_is_a_number_with_its_context():
    found = rp.threshold(BINARY, "alpha_G", kappa=0.5)
    assert float(found) == found.value
    assert f"{float(found):.6f}" == "0.455665"
    assert found.name == "alpha_G"
    assert found.formula == BINARY
    assert dict(found.controls) == {"kappa": 0.5}
    assert set(found.overlaps) == {"q", "qhat"}
    assert found.status == rp.Status.CONVERGED
    assert "root" in found.method
    assert "instability" in rp.threshold(BINARY, "alpha_AT").method
    assert "limit" in rp.threshold(rp.formulas["spherical-perceptron"], "alpha_G").method
    assert found.digits is None


def test_threshold_always_has_a_text():
    """``.text`` holds the digits asked for, else value +- error."""
    found = rp.threshold(BINARY, "alpha_G", kappa=0.5)
    assert found.text == with_error(found.value, found.error)
    digits = rp.threshold(BINARY, "alpha_G", kappa=0.5, digits=12)
    assert digits.text == "0.455664564542"


def test_solution_with_digits_shows_them():
    found = rp.solve(BINARY, alpha=0.5, digits=20)
    assert found.texts["entropy"].startswith("0.31439006685562")
    assert len(found.texts["entropy"]) == 22
    assert found.texts["entropy"] in repr(found)
