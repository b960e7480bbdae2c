"""What becomes of requests for a threshold; each kind registers how it is found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import singledispatch
from typing import Any

from replica.declarations.threshold import Threshold
from replica.errors import ConvergenceError, DeclarationError
from replica.solvers.request import Request
from replica.solvers.solution import ThresholdResult

__all__ = ["Outcome", "attempt", "one_by_one", "outcomes"]

Outcome = ThresholdResult | ConvergenceError
"""Of one request among several."""


@singledispatch
def outcomes(declaration: Threshold, requests: Sequence[Request]) -> list[Outcome]:
    """Return what becomes of requests for thresholds of one declaration, which share their work.

    A kind of threshold of one's own registers a function for its class::

        @outcomes.register(MyKind)
        def _mine(declaration, requests):
            return [...]

    Raises
    ------
    DeclarationError
        For a kind that has none.
    """
    raise DeclarationError(
        f"nothing says how a {type(declaration).__name__} is found: register a function for it "
        f"with replica.solvers.thresholds.outcome.outcomes"
    )


def one_by_one(
    compute: Callable[[Request, Any], ThresholdResult],
) -> Callable[[Any, Sequence[Request]], list[Outcome]]:
    """Return a computation for several requests from that for one."""

    def each(declaration: Any, requests: Sequence[Request]) -> list[Outcome]:
        return [attempt(compute, request, declaration) for request in requests]

    return each


def attempt(compute: Callable[..., ThresholdResult], *arguments: Any) -> Outcome:
    """Return what a computation gives, or the error that says why it does not."""
    try:
        return compute(*arguments)
    except ConvergenceError as error:
        return error
