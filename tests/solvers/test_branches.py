"""Every branch of saddle points in one control, on a potential where all are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from solvers.folded import FOLDED, curve
from solvers.spins import hopfield

import replica as rp


@pytest.mark.parametrize("slope", [0.5, 0.9])
def test_branches_find_the_folds(slope: float):
    found = rp.branches(FOLDED, alpha=(0.2, 5.0), b=slope)
    values = dict((kind, value) for value, kind in found.folds)
    root = math.sqrt(1 - slope)
    assert values["maximum"] == pytest.approx(curve(1 - root, slope), abs=1e-9)
    assert values["minimum"] == pytest.approx(curve(1 + root, slope), abs=1e-9)
    kinds = [bool(found.stable[piece][0]) for piece in found.pieces()]
    # the state of no overlap up to where it is left, and beyond; then the curve that leaves it
    assert kinds == [True, False, True, False, True]
    assert "fold" in repr(found)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"alpha": 1.0}, "exactly one control as a range"),
        ({"alpha": (2.0, 1.0)}, "is empty"),
        ({"alpha": (-1.0, 1.0)}, "outside"),
    ],
)
def test_bad_ranges(given: dict, message: str):
    with pytest.raises(rp.ReplicaError, match=message):
        rp.branches(FOLDED, **given)


def test_points_of_branches_are_saddle_points():
    """Point by point, the overlap follows from its conjugate and the control from both."""
    found = rp.branches(FOLDED, alpha=(1.0, 3.0), b=0.5)
    D, mhat = found.overlaps["D"], found.overlaps["mhat"]
    np.testing.assert_allclose(D, 1 / (1 + mhat), rtol=1e-12)
    on_curve = mhat > 0
    np.testing.assert_allclose(found.control[on_curve], curve(mhat[on_curve], 0.5), rtol=1e-9)


def test_pieces_cover_the_curve_and_meet_at_its_folds():
    found = rp.branches(FOLDED, alpha=(0.2, 5.0), b=0.5)
    ends = [(found.control[piece][0], found.control[piece][-1]) for piece in found.pieces()]
    for value, _ in found.folds:
        assert sum(value in (a, b) for a, b in ends) == 2


@pytest.mark.slow
def test_branches_that_are_followed_meet_at_their_fold_and_say_which_is_stable():
    """Hopfield at T = 0.1: retrieval ends at 0.135049; the glass, with m = 0, is never unstable."""
    found = rp.branches(hopfield(), alpha=(0.05, 0.2), T=0.1)
    (fold,) = found.folds
    assert fold.value == pytest.approx(0.1350491897736, abs=1e-12)
    pieces = found.pieces()
    assert [bool(found.stable[p][0]) for p in pieces] == [True, False, True]
    assert found.control[pieces[0]][-1] == found.control[pieces[1]][0] == fold.value
    assert found.control[pieces[2]][[0, -1]] == pytest.approx([0.05, 0.2])
    assert found.overlaps["m"][pieces[2]] == pytest.approx(0, abs=1e-12)
    assert not found.cut
