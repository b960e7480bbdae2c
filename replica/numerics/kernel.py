r"""Kernels: expressions compiled to vectorised quadrature with an honest error.

``Kernel(arguments, expressions)`` is called with arrays that broadcast and returns arrays;
``Kernel.bounded`` returns the same values with a bound that covers quadrature, truncation,
rounding and the uncertainty of the arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sympy import Expr, Symbol

from replica.numerics import logmeans  # noqa: F401, registers how its integrals are computed
from replica.numerics.hoisting import hoist
from replica.numerics.layers import CompiledLayer
from replica.numerics.lowering import lower
from replica.numerics.rounding import Bounded, bounded_parts
from replica.numerics.run import full

__all__ = ["MAX_REFINEMENT", "Kernel", "compile_kernel"]

Array = NDArray[np.float64]

MAX_REFINEMENT = 3
"""Halvings of every rule beyond which a value is reported as inaccurate."""


class Kernel:
    """Expressions in `arguments` as one vectorised function.

    Parameters
    ----------
    arguments : sequence of Symbol
        Order in which values are passed.
    expressions : sequence of Expr
        What to compute; means over the same variance share their nodes.

    Raises
    ------
    LoweringError
        If a node has no numerical meaning.

    Examples
    --------
    >>> from sympy import symbols
    >>> from replica.language.means import Mean
    >>> from replica.language.primitives import LogCosh
    >>> h, v = symbols("h v", real=True)
    >>> kernel = Kernel((v,), (Mean(LogCosh(h), (h, v)),))
    >>> (value,) = kernel(1.0)
    >>> round(float(value), 12)
    0.374567207491
    """

    def __init__(self, arguments: Sequence[Symbol], expressions: Sequence[Expr]) -> None:
        self.arguments = tuple(arguments)
        self.expressions = tuple(expressions)
        constants, left = hoist(self.expressions)
        self._first = Kernel(self.arguments, tuple(constants)) if constants else None
        self._layer = CompiledLayer(lower((*self.arguments, *constants.values()), left))

    def __call__(self, *values: Any, refinement: int = 0) -> tuple[Array, ...]:
        """Return the expressions at `values`, broadcast against each other."""
        flat, shape = _flatten(values)
        with np.errstate(all="ignore"):
            constants = self._first(*flat, refinement=refinement) if self._first else ()
            results = self._layer.evaluate([*flat, *constants], refinement)
        size = flat[0].shape
        return tuple(full(r, size).reshape(shape) for r in results)

    def bounded(self, *values: Any, refinement: int = 0) -> tuple[Bounded, ...]:
        """Return the expressions with a bound on their error; `values` may carry one too."""
        parts = [bounded_parts(value) for value in values]
        numbers, shape = _flatten([value for value, _ in parts])
        size = numbers[0].shape
        bounds = [full(bound, shape).reshape(size) for _, bound in parts]
        arguments = [Bounded(n, b) for n, b in zip(numbers, bounds, strict=False)]
        with np.errstate(all="ignore"):
            if self._first:
                arguments += self._first.bounded(*arguments, refinement=refinement)
            results = self._layer.evaluate_bounded(arguments, refinement)
        final = []
        for result in results:
            value, bound = bounded_parts(result)
            value, bound = (full(part, size).reshape(shape) for part in (value, bound))
            known = np.isfinite(value) & ~np.isnan(bound)
            final.append(Bounded(value, np.where(known, bound, np.inf)))
        return tuple(final)


def _flatten(values: Sequence[Any]) -> tuple[list[Array], tuple[int, ...]]:
    arrays = [np.asarray(value, dtype=float) for value in values] or [np.zeros(())]
    shape = arrays[0].shape
    if any(array.shape != shape for array in arrays):
        shape = np.broadcast_shapes(*(array.shape for array in arrays))
    return [full(array, shape).reshape(-1) for array in arrays], shape


@lru_cache(maxsize=256)
def compile_kernel(arguments: tuple[Symbol, ...], expressions: tuple[Expr, ...]) -> Kernel:
    """Return the kernel of these expressions, compiled once."""
    return Kernel(arguments, expressions)
