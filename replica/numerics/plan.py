"""Which rule serves which points: trapezoid or panels, as the features of an integrand demand."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from replica.numerics.lowering import Integral, compile_layer
from replica.numerics.quadrature import (
    HALF_RANGE,
    TRAPEZOID_STEP,
    WIDEST_RANGE,
    Rule,
    half_range,
    panel_nodes,
    panel_rule,
    trapezoid_rule,
)
from replica.numerics.run import CHUNK, Job, full

__all__ = ["Plan"]

Array = NDArray[np.float64]

# How far the nearest singularity of a primitive is from the real line, in widths of its feature
# (tanh: pi/2). A trapezoid with a sixth of that as its step has the error exp(-2 pi 6) = 4e-17.
_SINGULARITY_DISTANCE = 1.5
_STEPS_TO_SINGULARITY = 6.0
_NO_WIDTH = 4 * HALF_RANGE  # stands for the width of what changes too slowly to be a feature
_MAX_HALVINGS = 2  # of the trapezoid's step; beyond, panels need fewer nodes
_BEYOND_TILT = 6.0  # the range goes this far past a feature that may hold all the weight
_FEW_NODES = 128  # points times 2^halvings up to which one rule for all is faster than several


class Plan:
    """Which rule serves which points of an integral, as its features demand.

    Parameters
    ----------
    integral : Integral
        Its features say, for given outer arguments, where the integrand changes and how fast.
    """

    def __init__(self, integral: Integral) -> None:
        outer = integral.body.arguments[:-1]
        self.thin = integral.thin
        self.even = integral.even
        self.features = compile_layer(
            outer, tuple(part for f in integral.features for part in (f.centre, f.width))
        )
        self.feature_count = len(integral.features)
        self.kinks = [k for k, feature in enumerate(integral.features) if feature.width == 0]
        self.tilts = [k for k, feature in enumerate(integral.features) if feature.tilts]

    def _geometry(
        self, arguments: list[Array], variance: Array, refinement: int
    ) -> tuple[Array, Array, Array]:
        """Return scaled centres and widths (points, features) and the trapezoid's halvings.

        Halvings above `_MAX_HALVINGS` mean panels.
        """
        points = arguments[0].shape[0]
        if not self.feature_count:
            empty = np.zeros((points, 0))
            return empty, empty, np.zeros(points, dtype=int)
        parts = self.features(*arguments)
        spread = np.sqrt(variance)
        safe = np.where(spread > 0, spread, 1.0)
        centres = np.stack([full(c, (points,)) / safe for c in parts[::2]], axis=1)
        widths = np.stack([full(w, (points,)) / safe for w in parts[1::2]], axis=1)
        centres = np.where(np.isfinite(centres), centres, 0.0)
        widths = np.where(np.isfinite(widths), widths, _NO_WIDTH)
        outside = np.maximum(np.abs(centres) - half_range(refinement), 0)
        strip = np.hypot(outside, _SINGULARITY_DISTANCE * widths).min(axis=1)
        halvings = np.ceil(
            np.log2(TRAPEZOID_STEP * _STEPS_TO_SINGULARITY / np.maximum(strip, 1e-30))
        )
        halvings = np.clip(halvings, 0, _MAX_HALVINGS + 1).astype(int)
        if self.tilts:
            far = np.abs(centres[:, self.tilts]).max(axis=1) + _BEYOND_TILT > half_range(refinement)
            halvings[far] = _MAX_HALVINGS + 1
        return centres, widths, np.where(spread > 0, halvings, 0)

    def jobs(self, arguments: list[Array], variance: Array, refinement: int) -> list[Job]:
        """Return the points that share a rule, in chunks that bound the memory.

        Panels are laid out when their turn comes: those of all points would fill the memory.
        """
        centres, widths, halvings = self._geometry(arguments, variance, refinement)
        jobs: list[Job] = []
        finest = int(halvings.max(initial=0))
        if halvings.size * 2**finest <= _FEW_NODES and finest <= _MAX_HALVINGS:
            halvings = np.full_like(halvings, finest)  # one rule for all is faster than several
        for kind in np.unique(halvings):
            members = np.flatnonzero(halvings == kind)
            if kind <= _MAX_HALVINGS:
                rule = trapezoid_rule(int(kind) + refinement, half_range(refinement), self.even)
                size = max(1, CHUNK // rule.nodes.size)
                for start in range(0, members.size, size):
                    jobs.append((members[start : start + size], partial(_same, rule)))
            else:
                # all points of a chunk are cut as finely as the narrowest: sort them by width
                members = members[np.argsort(widths[members].min(axis=1), kind="stable")]
                start = 0
                while start < members.size:
                    smallest = float(widths[members[start]].min())
                    size = max(1, CHUNK // panel_nodes(widths.shape[1], smallest, refinement))
                    chunk = members[start : start + size]
                    lay = partial(self._panels, centres[chunk], widths[chunk], refinement)
                    jobs.append((chunk, lay))
                    start += size
        return jobs

    def widest(self, members: NDArray[np.intp], refinement: int) -> list[Job]:
        """Return jobs that repeat these points by the trapezoid over the widest range."""
        if self.kinks:
            return []
        rule = trapezoid_rule(_MAX_HALVINGS + refinement, WIDEST_RANGE, self.even)
        size = max(1, CHUNK // rule.nodes.size)
        starts = range(0, members.size, size)
        return [(members[start : start + size], partial(_same, rule)) for start in starts]

    def _panels(self, centres: Array, widths: Array, refinement: int) -> Rule:
        reach = half_range(refinement)
        if self.tilts:
            furthest = float(np.abs(centres[:, self.tilts]).max()) + _BEYOND_TILT
            reach = float(np.clip(furthest, reach, WIDEST_RANGE))
        return panel_rule(centres, widths, refinement, reach, self.even, self.thin)

    def rule_at(self, arguments: list[Array], variance: np.float64, refinement: int) -> Rule:
        """Return the rule of a single point, one row without the axis of points."""
        centres, widths, halvings = self._geometry(arguments, np.array([variance]), refinement)
        if halvings[0] <= _MAX_HALVINGS:
            reach = half_range(refinement)
            return trapezoid_rule(int(halvings[0]) + refinement, reach, self.even)
        rule = self._panels(centres, widths, refinement)
        first, second = rule.coarse
        coarse = first[0], second[0]
        return Rule(rule.nodes[0], rule.weights[0], coarse, rule.blocks, rule.reach, rule.even)


def _same(rule: Rule) -> Rule:
    return rule
