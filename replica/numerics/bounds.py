"""Bounds on the error of an integral: quadrature, truncation, rounding, what was propagated."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from replica.numerics.quadrature import Rule, extrapolated_error
from replica.numerics.rounding import UNIT
from replica.numerics.run import full

__all__ = ["by_panel", "integral_with_bound"]

Array = NDArray[np.float64]


def integral_with_bound(body: Array, rule: Rule, propagated: Array) -> tuple[Array, Array, Array]:
    """Return integral, bound and sizes at the nodes.

    The bound adds what was propagated, rounding of the sum, quadrature and truncation.
    """
    count = body.shape[1]
    value, half, quarter, size = (
        by_panel(integrand, weights, rule.blocks)
        for integrand, weights in (
            (body, rule.weights),
            (body, rule.coarse[0]),
            (body, rule.coarse[1]),
            (np.abs(body), rule.weights),
        )
    )
    quadrature = extrapolated_error(np.abs(value - half), np.abs(half - quarter), size).sum(axis=1)
    value = value.sum(axis=1)
    rounding = UNIT * (8 + 2 * np.log2(count)) * size.sum(axis=1)
    bound = propagated.sum(axis=1) + quadrature + rounding + _beyond(body, rule)
    return value, bound, np.abs(body)


def _beyond(body: Array, rule: Rule) -> Array:
    """Bound what lies beyond the range, taking the tails to go on as they do at its ends.

    A tail that does not fall there bounds nothing.
    """
    shared = rule.nodes.ndim == 1
    nodes = rule.nodes[None, :] if shared else rule.nodes
    rows = np.arange(body.shape[0])
    total = np.zeros(body.shape[0])
    for side in (-1,) if rule.even else (1, -1):
        t = side * nodes[:, ::side]
        ends, first = body[:, ::side], t[:, 0]
        edge = np.abs(ends[:, 0]) * np.exp(-0.5 * first**2)
        rate = np.zeros(body.shape[0])
        for distance in (0.5, 1.0):  # two, since the integrand may vanish near one of them
            inner = np.argmax(t > t[:, :1] + distance, axis=1)
            there = t[np.arange(t.shape[0]), inner]
            inside = np.abs(ends[:, inner[0]] if shared else ends[rows, inner])
            inside = inside * np.exp(-0.5 * there**2)
            rate = np.fmax(rate, np.log(inside / edge) / (there - first))
        total += np.where(edge > 0, edge / np.where(rate > 0, rate, 0.0), 0.0)
    return total * (2 if rule.even else 1) / np.sqrt(2 * np.pi)


def by_panel(body: Array, weights: Array, blocks: int) -> Array:
    """Return the integral over each panel, shape (points, blocks)."""
    if weights.ndim == 1 and blocks == 1:
        return (body @ weights)[:, None]
    points, count = body.shape
    shape = (blocks, count // blocks)
    return np.einsum(
        "pbn,pbn->pb",
        body.reshape(points, *shape),
        full(weights, body.shape).reshape(points, *shape),
    )
