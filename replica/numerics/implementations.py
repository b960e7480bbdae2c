"""Every primitive of the language as numbers."""

from __future__ import annotations

from replica.numerics.functions import FUNCTIONS
from replica.numerics.implementation import Implementation
from replica.numerics.implicit import IMPLICIT
from replica.numerics.minima import MINIMA
from replica.numerics.proximal import (
    precise_proximal,
    proximal,
    proximal_rounding,
    proximal_slopes,
)

__all__ = ["IMPLEMENTATIONS"]

IMPLEMENTATIONS: dict[str, Implementation] = {
    **FUNCTIONS,
    "ImplicitRoot": IMPLICIT,
    **MINIMA,
    "Proximal": Implementation(
        proximal, proximal_slopes, precise_proximal, rounding=proximal_rounding
    ),
}
