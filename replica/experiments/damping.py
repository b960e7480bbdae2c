"""Damping of an iteration: how much of the old stays, and when more of it has to."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["Swings", "kept"]

FloatArray = NDArray[np.float64]

# A cycle of two is met after _SWINGS steps, each opposite to the one before (the cosine
# of the two below -_OPPOSITE), that do not shrink by more than the factor _SWINGS_STAY.
_SWINGS, _OPPOSITE, _SWINGS_STAY = 10, 0.9, 0.9
# What is left undamped falls by this fraction each time.
_DAMPING_STEP = 0.3
# It wanders where the smallest change of _PATIENCE steps, in standard deviations of the prior, is
# above _UNSETTLED and not below that of the _PATIENCE steps before, times _SWINGS_STAY.
_PATIENCE, _UNSETTLED = 40, 0.3


class Swings:
    """Damping, raised where the estimate goes on swinging between two values, or never settles.

    Noiseless labels next to a transition and a mean of X make an eigenvalue of the iteration
    smaller than -1 at finite size; half of the way leads to the fixed point between the two.
    """

    def __init__(self, damping: float) -> None:
        self.damping = damping
        self._last: FloatArray | None = None
        self._sizes: list[float] = []
        self._window: list[float] = []
        self._before = math.inf

    def see(self, moved: FloatArray, change: float) -> bool:
        """Take note of a step; tell whether the estimate wanders without settling.

        Parameters
        ----------
        moved : ndarray, shape (p,) or (p, K)
            By how much the step asked to change the means.
        change : float
            Its root mean square, in standard deviations of the prior.
        """
        moved = moved.reshape(-1)
        if self._last is not None:
            product = float(moved @ self._last)
            opposite = product < -_OPPOSITE * math.sqrt(
                float(moved @ moved) * float(self._last @ self._last)
            )
            self._sizes = [*self._sizes, change] if opposite else []
        self._last = moved
        if len(self._sizes) > _SWINGS and change > _SWINGS_STAY * self._sizes[-1 - _SWINGS]:
            self._raise()
        self._window.append(change)
        if len(self._window) == _PATIENCE:
            smallest = min(self._window)
            lost = smallest > max(_UNSETTLED, _SWINGS_STAY * self._before)
            self._before, self._window = smallest, []
            if lost:
                self._raise()
                self._before = math.inf
                return True
        return False

    def _raise(self) -> None:
        self.damping += _DAMPING_STEP * (1 - self.damping)
        self._sizes = []


def kept(damping: float, sign_is_free: bool) -> tuple[float, float]:
    """Return which fraction of the old messages and of the old estimates stays.

    Where the sign is free the start is linear, and an estimate that lags excites large negative
    eigenvalues, against which the Onsager terms no longer help; elsewhere, lagging messages keep
    the iteration from settling at low noise. Both were measured.

    Examples
    --------
    >>> kept(0.3, sign_is_free=False)
    (0.0, 0.3)
    """
    return (damping, 0.0) if sign_is_free else (0.0, damping)
