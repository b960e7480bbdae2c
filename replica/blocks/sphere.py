r"""Weights on a sphere: the one law of weights here whose entries are not independent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from replica.blocks.block import Array

__all__ = ["Sphere"]


@dataclass(frozen=True)
class Sphere:
    r"""Weights of fixed norm, :math:`\|w\|^2 = p`, uniform on the sphere.

    Examples
    --------
    >>> w = Sphere().sample(np.random.default_rng(0), 50)
    >>> round(float(w @ w) / 50, 12)
    1.0
    """

    name: str = "spherical"

    def sample(
        self, rng: np.random.Generator, p: int, controls: Mapping[str, float] | None = None
    ) -> Array:
        """Draw a vector of p weights, shape (p,)."""
        w = rng.standard_normal(p)
        return w * np.sqrt(p / (w @ w))

    def __str__(self) -> str:
        return self.name
