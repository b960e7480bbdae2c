"""Thresholds as square systems: stationarity and one condition per control that is solved for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from replica.declarations.control import control_name
from replica.declarations.family import Family
from replica.declarations.formula import Formula
from replica.declarations.reading import read
from replica.declarations.threshold import Limit, Threshold
from replica.errors import ControlError, ConvergenceError, ThresholdNotFound
from replica.solvers.limits import limit_value
from replica.solvers.precision import check_digits
from replica.solvers.request import Request, applicable
from replica.solvers.solution import Status, ThresholdResult
from replica.solvers.thresholds import crossing, cusp, fold, root
from replica.solvers.thresholds.outcome import Outcome, one_by_one, outcomes

__all__ = ["threshold", "thresholds"]

_KINDS = (crossing, cusp, fold, root)
"""Modules that register how a kind of threshold is found, each one kind."""

outcomes.register(Limit)(one_by_one(limit_value))


def threshold(
    formula: Formula | Family,
    name: str,
    *,
    digits: int | None = None,
    check: bool = True,
    **controls: Any,
) -> ThresholdResult:
    r"""Compute a threshold with its error.

    A root is the solution of the square system {stationarity, observable = 0} in the overlaps
    and the control, an instability that of {stationarity, eigenvalue = 1}; a limit is a value
    made stationary over its auxiliary variables.

    Parameters
    ----------
    formula : Formula or Family
        A family also takes its structural options as keywords.
    name : str
        One of ``formula.thresholds``.
    digits : int, optional
        Decimal digits wanted, by the same system in multi-precision; ``.text`` holds them.
    check : bool
        Raise when there is no such threshold; otherwise return a result with value NaN.
    **controls : float
        All controls but those the threshold determines.

    Returns
    -------
    ThresholdResult
        Value, error, status, overlaps there and deviation from what was published.

    Raises
    ------
    UnknownName, ControlError
        For a bad name or control.
    ThresholdNotFound
        Saying what was scanned and why there is none.

    References
    ----------
    Krauth & Mezard, J. Physique 50 (1989) 3057, for the example.

    Examples
    --------
    >>> import replica as rp
    >>> capacity = rp.threshold(rp.formulas["binary-perceptron"], "alpha_G", kappa=0)
    >>> round(capacity.value, 12), capacity.error < 1e-12
    (0.83307859974, True)
    """
    request = _read(formula, name, controls, check_digits(digits))
    (outcome,) = _outcomes([request])
    if check and isinstance(outcome, ConvergenceError):
        raise outcome
    return _stated(request, outcome)


def thresholds(
    formula: Formula, name: str, points: Sequence[Mapping[str, float]]
) -> list[ThresholdResult]:
    """Compute a threshold at several values of the other controls, all in the same calls.

    Parameters
    ----------
    formula : Formula
    name : str
        One of ``formula.thresholds``.
    points : sequence of mappings
        The controls of each point, as for `threshold`.

    Returns
    -------
    list of ThresholdResult
        With value NaN where there is no such threshold.
    """
    requests = [_read(formula, name, point, None) for point in points]
    found = _outcomes(requests)
    return [_stated(request, outcome) for request, outcome in zip(requests, found, strict=True)]


def _stated(request: Request, outcome: Outcome) -> ThresholdResult:
    """Return a result, with value NaN and the reason for what was not found."""
    if isinstance(outcome, ThresholdResult):
        return outcome
    missing = isinstance(outcome, ThresholdNotFound)
    return ThresholdResult(
        formula=request.formula,
        name=request.name,
        value=float("nan"),
        error=float("inf"),
        status=Status.NOT_FOUND if missing else Status.MAX_STEPS,
        controls=request.points.floats,
        text="none",
        note=str(outcome),
    )


def _outcomes(requests: Sequence[Request]) -> list[Outcome]:
    """Return what became of each request; those of one declaration share their work."""
    found: dict[int, Outcome] = {}
    groups: dict[Threshold, list[int]] = {}
    declared: list[Threshold] = [request.declaration for request in requests]
    with np.errstate(all="ignore"):  # results that are not finite are tested for
        for k, request in enumerate(requests):
            try:
                declared[k] = applicable(request)
                groups.setdefault(declared[k], []).append(k)
            except ConvergenceError as error:
                found[k] = error
        for declaration, members in groups.items():
            shared = outcomes(declaration, [requests[k] for k in members])
            found.update(zip(members, shared, strict=True))
    return [found[k] for k in range(len(requests))]


def _read(
    formula: Formula | Family, name: str, controls: Mapping[str, Any], digits: int | None
) -> Request:
    solved: set[str] = set()

    def determined(found: Formula) -> set[str]:
        """Return the controls that the threshold determines; refuse values of them."""
        solved.update(found.determined(name))
        given = {key for key in controls if key in found.controls and controls[key] is not None}
        for key, relation in found.relations.items():  # it may hold the control that is solved for
            related = set(map(control_name, relation.value.free_symbols))
            if controls.get(key) is not None and solved & related:
                solved.add(key)
                given.add(key)
        for key in sorted(solved & given):
            raise ControlError(
                f"{found.name}: {name} does not take {key}: it is determined or does not matter; "
                f"leave {key} out"
            )
        return solved

    points = read(formula, controls, optional=determined).without(*solved)
    points.single(name, "; use sweep for arrays")
    return Request(points, name, points.formula.threshold(name), digits)
