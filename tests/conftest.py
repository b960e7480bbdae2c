"""What every test may rely on: the same numbers, pictures and text on every machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import numpy as np
import pytest

os.environ["MPLBACKEND"] = "Agg"  # figures go to files, also in the subprocesses that tests start

# The same examples in every run: a test that fails once fails always. No time limits, since a
# first call may compile a formula.
hypothesis.settings.register_profile(
    "replica",
    derandomize=True,
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("replica")

BENCHMARKS = Path(__file__).parent / "benchmarks"


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what measures speed, which `-m` then leaves out of the default run."""
    timed = BENCHMARKS in item.path.parents or "benchmark" in getattr(item, "fixturenames", ())
    if timed and item.get_closest_marker("benchmark") is None:
        item.add_marker(pytest.mark.benchmark)


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Text printed for a person has one width and no colour, whatever the terminal."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    for name in ("FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def no_figure_left_open() -> Iterator[None]:
    """Close the figures of a test, without importing matplotlib for those that draw none."""
    yield
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close("all")


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers, the same in every run."""
    return np.random.default_rng(20250101)
