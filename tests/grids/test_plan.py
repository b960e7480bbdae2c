"""What is asked of a grid, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from grids.points import BINARY, SPHERICAL

import replica as rp
from replica.grids.plan import LARGEST_GRID
from replica.grids.run import sweep


@pytest.mark.parametrize(
    ("controls", "error", "said"),
    [
        ({"alpha": 0.5}, rp.ControlError, "no grid"),
        ({"alpha": []}, rp.ControlError, "empty"),
        ({"alpha": [0.5, -1]}, rp.ControlError, "alpha = -1"),
        ({"alpha": [0.5, np.nan]}, rp.ControlError, "alpha = nan"),
        ({"alpha": ["0.5"]}, rp.ControlError, "real numbers"),
        ({"alpha": [0.5j]}, rp.ControlError, "real numbers"),
        ({"alpha": [True]}, rp.ControlError, "real numbers"),
        ({"alpha": [[0.5], [1]]}, rp.ControlError, "2 dimensions"),
        ({"alpha": [[0.5], [1, 2]]}, rp.ControlError, "list of numbers"),
        ({"kappa": [0, 1]}, rp.ControlError, "alpha is missing"),
        ({"alpha": [1], "kapa": 0}, rp.UnknownName, "kappa"),
        ({"alpha": [1], "kappa": "0"}, rp.ControlError, "kappa = '0'"),
        ({"quantity": "alpha_g", "kappa": [0]}, rp.UnknownName, "alpha_G"),
        ({"quantity": [], "kappa": [0]}, rp.ControlError, "no quantity"),
        ({"quantity": ["alpha_G", "q"], "kappa": [0]}, rp.ControlError, "apart"),
        ({"quantity": "alpha_G", "alpha": [1]}, rp.ControlError, "does not take alpha"),
        ({"alpha": [1], "workers": 0}, rp.ControlError, "workers = 0"),
        ({"alpha": [1], "workers": True}, rp.ControlError, "workers = True"),
        ({"alpha": [1], "workers": "many"}, rp.ControlError, "workers = 'many'"),
        ({"alpha": [1], "chunk": 0}, rp.ControlError, "chunk = 0"),
        ({"alpha": [1], "method": "magic"}, rp.UnknownName, "newton"),
        ({"alpha": [1], "start": "warm"}, rp.UnknownName, "warm"),
        ({"alpha": [1], "path": "/nowhere/x.npz"}, rp.ControlError, "no such folder"),
        ({"alpha": np.ones(10**4), "kappa": np.ones(10**4)}, rp.ControlError, "100000000 points"),
    ],
)
def test_bad_input_is_refused(controls, error, said):
    quantity = controls.pop("quantity", None)
    with pytest.raises(error) as caught:
        sweep(BINARY, quantity, **controls)
    assert said in str(caught.value)


def test_options_are_not_swept():
    with pytest.raises(rp.ControlError, match="option rsb takes one value"):
        sweep(SPHERICAL, rsb=np.array([0, 1]), alpha=[1.0])


def test_an_unknown_quantity_lists_the_known_ones(grid):
    with pytest.raises(rp.UnknownName, match="entropy"):
        grid["entropi"]
    assert LARGEST_GRID == 10**7


def test_bad_input_leaves_no_checkpoint(tmp_path):
    with pytest.raises(rp.ControlError):
        sweep(BINARY, "alpha_G", alpha=[0.5], path=tmp_path / "grid.npz")
    assert list(tmp_path.iterdir()) == []
