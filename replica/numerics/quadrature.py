r"""Quadrature rules for Gaussian means in the scaled variable t, :math:`x = \sqrt{v}\, t`.

Two rules, both nested so that the error comes without a new evaluation:

* the truncated trapezoid, exponentially accurate for integrands analytic in a strip;
* panels of Fejer's second rule, graded geometrically towards narrow features and broken at kinks.

Gauss-Hermite is not used: it converges slowly and fails silently when the integrand has a
feature much narrower than the Gaussian.

References
----------
Kazashi, Suzuki, Goda, *Suboptimality of Gauss-Hermite quadrature and optimality of the
trapezoidal rule*, arXiv:2202.11420. Waldvogel, BIT 46 (2006) 195 (Fejer's rules).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BASE_PANEL",
    "HALF_RANGE",
    "PANEL_NODES",
    "TRAPEZOID_STEP",
    "WIDEST_RANGE",
    "Rule",
    "extrapolated_error",
    "fejer",
    "half_range",
    "panel_breakpoints",
    "panel_nodes",
    "panel_rule",
    "plain_panels",
    "trapezoid_rule",
]

Array = NDArray[np.float64]

HALF_RANGE = 9.0
"""Scaled fields beyond this carry a mass of 2e-19; the kernel adds what the edge shows."""

WIDEST_RANGE = 37.0
"""The Gaussian density is still a normal number here; a tilted integrand may need it."""


def half_range(refinement: int) -> float:
    """Return how far the scaled field runs: a finer rule also looks further into the tails."""
    return (HALF_RANGE, HALF_RANGE, 18.0, 36.0)[min(max(refinement, 0), 3)]


TRAPEZOID_STEP = 0.15
BASE_PANEL = 2.0
"""Longest panel, in scaled fields."""

_LENGTH_SLACK = 1 + 1e-9  # a panel may be longer than is allowed by rounding
PANEL_NODES = 23


@dataclass(frozen=True)
class Rule:
    """Nodes and weights; `coarse` are the weights of the two embedded, less accurate rules.

    Nodes have shape (n,) for a rule shared by all points, (points, n) otherwise; `blocks` is the
    number of equal runs of nodes (panels) over which errors are taken separately. An `even` rule
    has the nodes t >= 0 alone.
    """

    nodes: Array
    weights: Array
    coarse: tuple[Array, Array]
    blocks: int = 1
    reach: float = HALF_RANGE
    even: bool = False

    @cached_property
    def quarter(self) -> NDArray[np.intp]:
        """Nodes of the coarsest embedded rule."""
        weights = self.coarse[1] if self.coarse[1].ndim == 1 else self.coarse[1][0]
        if self.blocks > 1:  # by position, since in a panel of zero length all weights vanish
            inside = np.zeros(weights.size // self.blocks, dtype=bool)
            inside[3::4] = True
            return np.flatnonzero(np.tile(inside, self.blocks))
        return np.flatnonzero(weights)


def _density(t: Any) -> Array:
    return np.asarray(np.exp(-0.5 * t * t) / np.sqrt(2 * np.pi), dtype=float)


@lru_cache(maxsize=32)
def trapezoid_rule(halvings: int, reach: float = HALF_RANGE, even: bool = False) -> Rule:
    """Return the truncated trapezoid with step 0.15 halved `halvings` times (-1 doubles it).

    For even integrands the nodes t >= 0 do, with twice the weight.

    Examples
    --------
    >>> rule = trapezoid_rule(0)
    >>> rule.nodes.size
    121
    >>> round(float(rule.weights @ rule.nodes**4), 12)
    3.0
    """
    step = TRAPEZOID_STEP * 2.0**-halvings
    count = round(reach / step)
    t = step * np.arange(-count, count + 1, dtype=float)
    weights = step * _density(t)
    half, quarter = (_every(weights, stride, count % stride) for stride in (2, 4))
    if even:
        twice = np.where(t > 0, 2.0, 1.0)[count:]
        t = t[count:].copy()
        weights, half, quarter = (twice * w[count:] for w in (weights, half, quarter))
    for array in (t, weights, half, quarter):
        array.setflags(write=False)
    return Rule(t, weights, (half, quarter), reach=reach, even=even)


def _every(weights: Array, stride: int, first: int) -> Array:
    """Return the trapezoid on every `stride`-th node, zero elsewhere; t = 0 stays a node."""
    coarse = np.zeros_like(weights)
    coarse[first::stride] = stride * weights[first::stride]
    return coarse


@lru_cache(maxsize=4)
def fejer(count: int) -> tuple[Array, Array]:
    """Return nodes and weights of Fejer's second rule on [-1, 1], interior nodes only."""
    angle = np.pi * np.arange(1, count + 1) / (count + 1)
    odd = np.arange(1, count + 1, 2)
    weights = 4 / (count + 1) * np.sin(angle) * (np.sin(np.outer(angle, odd)) / odd).sum(axis=1)
    return np.cos(angle), weights


@lru_cache(maxsize=1)
def _nested_fejer() -> tuple[Array, Array, Array, Array]:
    nodes, fine = fejer(PANEL_NODES)
    half, quarter = np.zeros_like(fine), np.zeros_like(fine)
    half[1::2] = fejer((PANEL_NODES - 1) // 2)[1]
    quarter[3::4] = fejer((PANEL_NODES - 3) // 4)[1]
    return nodes, fine, half, quarter


def _embedded_fejer(refinement: int) -> tuple[Array, Array, Array, Array]:
    """Return nodes and weights of three rules on a panel; below -1 the coarser ones alone."""
    nodes, fine, half, quarter = _nested_fejer()
    # not at -1, where Newton's method runs: next to an edge, digits cancel with fewer nodes
    if refinement < -1:
        return nodes[1::2], half[1::2], quarter[1::2], quarter[1::2]
    return nodes, fine, half, quarter


def panel_breakpoints(
    centres: Array,
    widths: Array,
    refinement: int,
    reach: float = HALF_RANGE,
    even: bool = False,
    thin: bool = False,
) -> Array:
    """Return sorted breakpoints, graded by factors of two around each feature.

    Parameters
    ----------
    centres, widths : array, shape (points, features)
        Places and half-widths of the features in the scaled variable; width 0 is a kink.
    refinement : int
        Each panel is cut into ``2**refinement``; below -1 it has fewer nodes instead.
    reach : float
        The range is ``[-reach, reach]``.
    even : bool
        The right half of the range is enough.
    thin : bool
        Fewer panels where several features meet, at some digits of the error.

    Returns
    -------
    array, shape (points, breakpoints)
        Panels of zero length are kept, so that all points share one shape.
    """
    points = centres.shape[0]
    low = 0.0 if even else -reach
    base = np.linspace(low, reach, int(np.ceil((reach - low) / BASE_PANEL)) + 1)
    edges = [np.broadcast_to(base, (points, base.size)), centres]
    seen = np.where((widths > 0) & (widths < BASE_PANEL), widths, BASE_PANEL)
    near = np.abs(centres) < reach + 2 * BASE_PANEL
    smallest = float(np.where(near, seen, BASE_PANEL).min(initial=BASE_PANEL))
    for k in range(int(np.ceil(np.log2(BASE_PANEL / max(smallest, 1e-15)))) + 1):
        distance = np.minimum(seen * 2.0**k, 2 * reach)
        edges += [centres - distance, centres + distance]
    stacked = np.concatenate(edges, axis=1)
    stacked = np.clip(np.nan_to_num(stacked, nan=0.0), low, reach)
    stacked = np.sort(stacked, axis=1)
    if thin and centres.shape[1] > 1:
        stacked = _thinned(stacked, centres, np.where(widths > 0, seen, 0.0))
    elif points == 1:
        stacked = np.unique(stacked)[None, :]
    if refinement > 0:
        parts = 2**refinement
        inner = np.linspace(0, 1, parts, endpoint=False)
        begin, end = stacked[:, :-1, None], stacked[:, 1:, None]
        split = (begin + (end - begin) * inner).reshape(points, -1)
        stacked = np.concatenate([split, stacked[:, -1:]], axis=1)
    return stacked


def _thinned(edges: Array, centres: Array, widths: Array) -> Array:
    """Drop the breakpoints between panels that are no longer than what is near them.

    A panel may be as long as it is away from a feature, or as the feature is wide: the gradings
    of several features meet, and each cuts what the others have cut finely enough.
    """
    count = edges.shape[1]
    kept = np.ones(edges.shape, dtype=bool)
    last = edges[:, 0].copy()
    for k in range(1, count - 1):
        begin, end = last[:, None], edges[:, k + 1, None]
        away = np.maximum(np.maximum(begin - centres, centres - end), 0.0)
        wide = np.where((centres > begin) & (centres < end), widths, np.maximum(widths, away))
        room = np.minimum(wide.min(axis=1, initial=BASE_PANEL), BASE_PANEL)
        kept[:, k] = edges[:, k + 1] - last > room * _LENGTH_SLACK
        last = np.where(kept[:, k], edges[:, k], last)
    most = int(kept.sum(axis=1).max())
    order = np.argsort(~kept, axis=1, kind="stable")[:, :most]
    spaced = np.take_along_axis(np.where(kept, edges, edges[:, -1:]), order, axis=1)
    return np.sort(spaced, axis=1)


def panel_nodes(features: int, smallest: float, refinement: int) -> int:
    """Return about how many nodes the panels of a point take, for chunks of bounded memory."""
    levels = np.ceil(np.log2(BASE_PANEL / np.clip(smallest, 1e-15, BASE_PANEL))) + 1
    if smallest == 0:
        levels = 2.0  # a kink is one breakpoint, without smaller panels around it
    panels = 2 * HALF_RANGE / BASE_PANEL + features * (1 + 2 * levels)
    return int(panels * PANEL_NODES * 2.0 ** (-1 if refinement < -1 else max(refinement, 0)))


def panel_rule(
    centres: Array,
    widths: Array,
    refinement: int,
    reach: float = HALF_RANGE,
    even: bool = False,
    thin: bool = False,
) -> Rule:
    """Return Fejer panels graded around the features, one row of nodes per point."""
    edges = panel_breakpoints(centres, widths, refinement, reach, even, thin)
    nodes, fine, *coarse = _embedded_fejer(refinement)
    half = 0.5 * np.diff(edges, axis=1)[..., None]
    middle = 0.5 * (edges[:, 1:] + edges[:, :-1])[..., None]
    t = middle + half * nodes
    density = (2 if even else 1) * half * _density(t)
    points, blocks = t.shape[:2]
    return Rule(
        t.reshape(points, -1),
        (density * fine).reshape(points, -1),
        ((density * coarse[0]).reshape(points, -1), (density * coarse[1]).reshape(points, -1)),
        blocks,
        reach,
        even,
    )


def plain_panels(edges: Array, refinement: int) -> tuple[Array, tuple[Array, Array, Array], int]:
    """Return nodes of panels, weights of three nested rules without a density, and the panels."""
    nodes, *rules = _embedded_fejer(refinement)
    half = 0.5 * np.diff(edges, axis=1)[..., None]
    middle = 0.5 * (edges[:, 1:] + edges[:, :-1])[..., None]
    points, blocks = half.shape[:2]
    fine, coarse, coarsest = ((half * weights).reshape(points, -1) for weights in rules)
    return (middle + half * nodes).reshape(points, -1), (fine, coarse, coarsest), blocks


def extrapolated_error(difference: Any, coarser: Any, size: Any) -> Any:
    r"""Error of the finest of three nested rules, from their two differences.

    Halving the step squares the error of a geometrically convergent rule. How much of that holds
    here is read off the differences relative to the size of the integral: with
    :math:`r_1 = r_2^p` the next error is taken to be :math:`2 r_1^{p - 0.15}`, but never less than
    :math:`2 r_1^{1.9}`, nor less than :math:`r_2^{3.3}`, since one difference can be small by
    accident. Where p < 1.4 convergence is not geometric: three times the larger difference.

    Parameters
    ----------
    difference : array
        Between the finest rule and the next.
    coarser : array
        Between the next and the coarsest.
    size : array
        Integral of the absolute value.
    """
    smallest = np.finfo(float).tiny
    fine = np.divide(difference, size, out=np.ones_like(difference), where=size > 0)
    rough = np.divide(coarser, size, out=np.ones_like(difference), where=size > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        power = np.log(np.maximum(fine, smallest)) / np.log(np.maximum(rough, smallest))
        geometric = (rough < 0.1) & (power > 1.4)
        claimed = np.maximum(2 * fine ** np.clip(power - 0.15, 1.0, 1.9), rough**3.3)
    # both differences are rounding, which has a bound of its own
    rounded = np.maximum(fine, rough) < 1e-14
    claimed = np.where(geometric, claimed, np.where(rounded, 1.0, 3.0) * np.maximum(fine, rough))
    return size * np.where(size > 0, claimed, 0.0)
