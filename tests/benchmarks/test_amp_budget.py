"""A step of message passing costs little more than its two products with the patterns."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from replica.experiments.amp import Settings, infer
from replica.experiments.planted import planted_model

SIZE, STEPS, ROUNDS = 4000, 8, 12


def seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    ("prior", "channel", "controls"),
    [("rademacher", "sign", {}), ("gauss-bernoulli", "linear", {"Delta": 0.01})],
)
def test_a_step_against_two_products(
    benchmark: Any, prior: str, channel: str, controls: dict[str, float], dtype: type
) -> None:
    """At n = p = 4000: at most 1.5 times the two matrix-vector products."""
    model = planted_model("benchmark", prior, channel, controls)
    rng = np.random.default_rng(0)
    teacher = model.draw_weights(rng, SIZE)
    X = rng.standard_normal((SIZE, SIZE)) / math.sqrt(SIZE)
    y = model.draw_labels(rng, X @ teacher)
    X = X.astype(dtype)
    right, left = (rng.standard_normal(SIZE).astype(dtype) for _ in range(2))

    def steps() -> None:
        found = infer(model, X, y, Settings(max_steps=STEPS), rng)
        assert found.steps == STEPS

    def products() -> None:
        for _ in range(STEPS):
            X @ right
            X.T @ left

    steps()  # compiles
    # in turn, and the fastest of each: other work on the machine only adds
    rounds = [(seconds(steps), seconds(products)) for _ in range(ROUNDS)]
    ours, theirs = (min(kind) for kind in zip(*rounds, strict=True))
    benchmark.pedantic(steps, rounds=1)
    ratio = ours / theirs
    measured = {
        "step_ms": 1e3 * ours / STEPS,
        "products_ms": 1e3 * theirs / STEPS,
        "ratio": ratio,
    }
    benchmark.extra_info.update(measured)
    print(*(f"{name} = {value:.4g}" for name, value in measured.items()), sep=", ")
    assert ratio <= 1.5
