r"""Saddle points where no start leads: followed from a value of a control where every start does.

.. math:: \lambda(s) = \lambda_0^{1 - s} \lambda^s, \qquad s: 0 \to 1.

Unknowns of a fixed sign follow power laws in such a control, so the next point is predicted along
a straight line in the logarithms of both. Each point of a grid takes steps of its own length.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sympy import Symbol

from replica.language.formula import Formula
from replica.solvers.iteration import Iterated, Newton, iterate
from replica.solvers.solution import Status
from replica.solvers.system import System

__all__ = ["easy_parameters", "follow_homotopy"]

Array = NDArray[np.float64]

_FIRST, _LONGEST, _SHORTEST = 0.125, 0.25, 2.0**-12
_NEWTON_STEPS = 12  # more than these, and a shorter step costs less
_MAX_STEPS = 400


def easy_parameters(formula: Formula, parameters: Sequence[Array]) -> list[Array]:
    """Return the parameters at the beginning of the path."""
    symbols = [control.symbol for control in formula.controls.values()]
    easy: Mapping[Symbol, Any] = formula.homotopy
    return [
        np.full_like(p, float(easy[s])) if s in easy else p
        for s, p in zip(symbols, parameters, strict=True)
    ]


def follow_homotopy(
    system: System, begin: Iterated, easy: Sequence[Array], parameters: Sequence[Array]
) -> Iterated:
    """Follow the saddle points `begin`, found at the parameters `easy`, to `parameters`.

    Points whose beginning did not converge keep the status they have.
    """
    z, status = begin.z.copy(), begin.status.copy()
    jacobian, last = begin.jacobian.copy(), begin.step.copy()
    done = np.zeros(z.shape[0])  # how much of the path lies behind
    length = np.full_like(done, _FIRST)
    before, behind = z.copy(), np.full_like(done, np.nan)
    going = np.flatnonzero(status == Status.CONVERGED)
    total = begin.steps
    for _ in range(_MAX_STEPS):
        if going.size == 0:
            break
        step = np.minimum(length[going], 1 - done[going])
        there = done[going] + step
        # exactly the parameters at the end of the path
        inner = [
            np.where(there == 1, p[going], e[going] * (p[going] / e[going]) ** there)
            if (e[going] != p[going]).any()
            else p[going]
            for e, p in zip(easy, parameters, strict=True)
        ]
        guess = _predicted(system, z[going], before[going], step / behind[going], inner)
        found = iterate(system, guess, inner, Newton(), _NEWTON_STEPS)
        total += found.steps
        good = found.status == Status.CONVERGED
        kept = going[good]
        before[kept], behind[kept] = z[kept], step[good]
        z[kept], jacobian[kept], last[kept] = found.z[good], found.jacobian[good], found.step[good]
        done[kept] = there[good]
        length[kept] = np.minimum(2 * step[good], _LONGEST)
        failed = going[~good]
        length[failed] = step[~good] / 2
        lost = failed[length[failed] < _SHORTEST]
        status[lost] = found.status[~good][length[failed] < _SHORTEST]
        going = going[(done[going] < 1) & (length[going] >= _SHORTEST)]
    status[going] = int(Status.MAX_STEPS)
    return Iterated(z, status, total, jacobian, last)


def _predicted(
    system: System, z: Array, before: Array, ratio: Array, parameters: Sequence[Array]
) -> Array:
    """Return the next point on the line through the last two; the last one at the beginning."""
    known = np.isfinite(ratio)
    factor = np.where(known, ratio, 0.0)[:, None]
    with np.errstate(all="ignore"):
        power = z * (z / before) ** factor
    straight = z + factor * (z - before)
    guess = np.where((z > 0) & (before > 0) & np.isfinite(power), power, straight)
    inside = system.inside(guess, parameters)
    return np.where(inside[:, None], guess, z)
