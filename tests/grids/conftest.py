"""A small grid that many tests look at."""

from __future__ import annotations

import pytest
from grids.points import BINARY

from replica.grids.run import sweep


@pytest.fixture(scope="module")
def grid():
    return sweep(BINARY, kappa=[0.0, 0.5], alpha=[0.2, 0.4, 1.1, 1.4], progress=False)
