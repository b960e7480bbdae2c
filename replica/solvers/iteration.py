r"""The one iteration loop, elementwise over a grid, with three ways to propose the next point.

* damped: :math:`z \leftarrow z + \theta\, (\mathrm{update}(z) - z)`; an unknown without update
  takes the Newton step of its own equation;
* Anderson: the same, mixed with the last differences;
* Newton: with the symbolic Jacobian, shortened until it stays in the domain and the residual
  falls; for positive unknowns that all have updates, on logarithms.

Each point has its own status, and points that are done stop working.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from replica.solvers.equations import Equations
from replica.solvers.matrices import newton_step, scale
from replica.solvers.solution import Status

__all__ = [
    "PROPOSALS",
    "Anderson",
    "Damped",
    "Iterated",
    "LogNewton",
    "Newton",
    "Proposal",
    "iterate",
]

Array = NDArray[np.float64]
Tried = tuple[Array, Array, Array]
"""Points, their residuals and Jacobians."""

_SHORTENINGS = 60  # halvings, at most, of a step that leaves the domain
_LONGEST_LOG_STEP = 3.0  # of log z: beyond a factor of twenty a linear model says little


class Proposal(ABC):
    """A way to propose the next point from residuals and Jacobians.

    A method says how it steps and when the last step was taken; the rest has the usual answers.
    """

    @abstractmethod
    def step(self, system: Equations, z: Array, residual: Array, jacobian: Array) -> Array:
        """Return the proposed change of every unknown at every point."""

    @abstractmethod
    def converged(self, step: Array, size: Array) -> NDArray[np.bool_]:
        """Tell at which points the step just proposed is the last one needed."""

    def moved(self, here: Array, step: Array, length: Array) -> Array:
        """Return the points at a fraction `length` of the way: on a straight line."""
        return here + length[:, None] * step

    def instead(self, step: Array) -> Array:
        """Return the steps to take where those proposed leave the domain: the same, shortened."""
        return step

    def completed(self, system: Equations, z: Array, parameters: Sequence[Array]) -> Array:
        """Return the points from which to go on: as they are."""
        return z

    def corrected(
        self,
        system: Equations,
        here: Array,
        step: Array,
        length: Array,
        residual: Array,
        tried: Tried,
        parameters: Sequence[Array],
        refinement: int,
    ) -> Tried:
        """Return the new points with residuals and Jacobians: as they are, if they grew too."""
        return tried

    def keep(self, active: NDArray[np.bool_]) -> None:
        """Drop the memory of points that are done: there is none."""
        return


class Newton(Proposal):
    """Newton steps; accepted only where the residual falls.

    Parameters
    ----------
    last_step : float
        A step below this, relative above one, is the last: it leaves an error of its square.
    """

    growth = 2.0  # a step that raises the residual by more than this factor is shortened

    def __init__(self, last_step: float = 1e-7) -> None:
        self.last_step = last_step

    def step(self, system: Equations, z: Array, residual: Array, jacobian: Array) -> Array:
        """Return the Newton step."""
        return newton_step(jacobian, residual)

    def norm(self, residual: Array, z: Array, size: Array) -> Array:
        """Return the largest of the residuals, each relative to a size."""
        return np.asarray(np.abs(residual / size).max(axis=1))

    def corrected(
        self,
        system: Equations,
        here: Array,
        step: Array,
        length: Array,
        residual: Array,
        tried: Tried,
        parameters: Sequence[Array],
        refinement: int,
    ) -> Tried:
        """Shorten Newton steps at the points where the residual grew."""
        trial, new_residual, new_jacobian = tried
        # next to an open end the residual counts relative to the distance to it: a gap of 1e-5 that
        # is wrong by half is as bad as a large conjugate that is wrong by half
        size = np.where(system.paired, system.room(here, parameters), scale(here))
        size = np.maximum(size, 1e-300)
        before = self.norm(residual, here, size)
        for _ in range(5):
            level = np.maximum(self.growth * before, 1e-13)
            worse = ~(self.norm(new_residual, trial, size) <= level)
            if not worse.any():
                break
            length[worse] /= 4
            trial[worse] = self.moved(here[worse], np.nan_to_num(step[worse]), length[worse])
            inner = [p[worse] for p in parameters]
            trial[worse] = self.completed(system, trial[worse], inner)
            new_residual[worse], new_jacobian[worse] = system.evaluate(
                trial[worse], inner, refinement
            )
        return trial, new_residual, new_jacobian

    def converged(self, step: Array, size: Array) -> NDArray[np.bool_]:
        """Tell where the step is so small that its square is below rounding."""
        return np.asarray((np.abs(step) <= self.last_step * size).all(axis=1))


class LogNewton(Newton):
    r"""Newton steps for :math:`\log(\mathrm{update}(z) / z) = 0` in the unknowns :math:`\log z`.

    Norms and responses that diverge as powers of a control are affine on these scales.
    """

    def step(self, system: Equations, z: Array, residual: Array, jacobian: Array) -> Array:
        """Return the Newton step in log z."""
        update = z + residual
        identity = np.eye(z.shape[1])
        slopes = (jacobian + identity) * z[:, None, :] / update[:, :, None] - identity
        step = newton_step(slopes, np.log(update / z))
        longest = np.abs(step).max(axis=1, keepdims=True)
        return np.asarray(step * np.minimum(1.0, _LONGEST_LOG_STEP / longest))

    def moved(self, here: Array, step: Array, length: Array) -> Array:
        """Return points along a line that is straight in the logarithms."""
        return np.asarray(here * np.exp(length[:, None] * step))

    def converged(self, step: Array, size: Array) -> NDArray[np.bool_]:
        """Tell where the relative step is so small that its square is below rounding."""
        return np.asarray((np.abs(step) <= self.last_step).all(axis=1))

    def norm(self, residual: Array, z: Array, size: Array) -> Array:
        """Return how far the logarithms of updates and unknowns are apart."""
        return np.asarray(np.abs(np.log1p(residual / z)).max(axis=1))

    def completed(self, system: Equations, z: Array, parameters: Sequence[Array]) -> Array:
        """Return the point with explicit unknowns as functions of the others, not linearised."""
        return system.completed(z, parameters)


class Damped(Proposal):
    """Damped fixed-point steps."""

    def __init__(self, damping: float = 0.5, tolerance: float = 1e-12) -> None:
        self.damping = damping
        self.tolerance = tolerance

    def step(self, system: Equations, z: Array, residual: Array, jacobian: Array) -> Array:
        """Return the damped step towards the update."""
        own = np.diagonal(jacobian, axis1=1, axis2=2)
        safe = np.where(own == 0, 1.0, own)
        full = np.where(system.paired, residual, -residual / safe)
        return (1 - self.damping) * full

    def converged(self, step: Array, size: Array) -> NDArray[np.bool_]:
        """Tell where the update no longer moves."""
        return np.asarray((np.abs(step) <= self.tolerance * size).all(axis=1))


class Anderson(Damped):
    """Anderson mixing: the damped step corrected by the last few differences.

    References
    ----------
    Walker & Ni, SIAM J. Numer. Anal. 49 (2011) 1715.
    """

    def __init__(self, damping: float = 0.0, tolerance: float = 1e-12, memory: int = 3) -> None:
        super().__init__(damping, tolerance)
        self.memory = memory
        self._points: list[Array] = []
        self._steps: list[Array] = []

    def step(self, system: Equations, z: Array, residual: Array, jacobian: Array) -> Array:
        """Return the mixed step."""
        plain = super().step(system, z, residual, jacobian)
        self._points.append(z)
        self._steps.append(plain)
        del self._points[: -self.memory - 1], self._steps[: -self.memory - 1]
        if len(self._points) < 2:
            return plain
        change = np.moveaxis(np.diff(np.stack(self._points), axis=0), 0, 2)
        bend = np.moveaxis(np.diff(np.stack(self._steps), axis=0), 0, 2)
        usable = np.isfinite(bend).all(axis=(1, 2)) & np.isfinite(plain).all(axis=1)
        mixed = plain.copy()
        if usable.any():
            inverse = np.linalg.pinv(bend[usable], rcond=1e-10)
            weights = inverse @ plain[usable][..., None]
            mixed[usable] = plain[usable] - ((change + bend)[usable] @ weights)[..., 0]
        return mixed

    def instead(self, step: Array) -> Array:
        """Return the damped steps: a mixture that leaves the domain extrapolates too far."""
        return self._steps[-1]

    def keep(self, active: NDArray[np.bool_]) -> None:
        """Keep the history of the points that go on."""
        self._points = [point[active] for point in self._points]
        self._steps = [step[active] for step in self._steps]


PROPOSALS: dict[str, Callable[[], Proposal]] = {
    "newton": Newton,
    "damped": Damped,
    "anderson": Anderson,
}
"""Methods by name; one of your own is added here."""


@dataclass(frozen=True)
class Iterated:
    """Where an iteration ended.

    Attributes
    ----------
    z : array, shape (points, unknowns)
    status : array of Status codes, shape (points,)
    steps : int
        Steps taken by the slowest point.
    jacobian : array, shape (points, unknowns, unknowns)
        The last one evaluated at each point, one step before `z`.
    step : array, shape (points, unknowns)
        That last step.
    boundary : bool array, shape (points,), optional
        Points that are on the boundary of the domain, where nothing is left to solve.
    note : str
        What else to know where there is no saddle point.
    """

    z: Array
    status: NDArray[np.intp]
    steps: int
    jacobian: Array
    step: Array
    boundary: NDArray[np.bool_] | None = None
    note: str = ""

    @classmethod
    def at(
        cls,
        z: Array,
        status: NDArray[np.intp],
        steps: int = 0,
        boundary: NDArray[np.bool_] | None = None,
        note: str = "",
    ) -> Iterated:
        """Return places of which it is not known what led to them: neither Jacobian nor step."""
        slopes = np.full((*z.shape, z.shape[1]), np.nan)
        return cls(z, status, steps, slopes, np.full(z.shape, np.nan), boundary, note)

    def merged(self, where: NDArray[np.bool_] | NDArray[np.intp], other: Iterated) -> Iterated:
        """Return this, with the points `where` taken from another."""
        columns = {}
        for name in ("z", "status", "jacobian", "step"):
            columns[name] = getattr(self, name).copy()
            columns[name][where] = getattr(other, name)[where]
        return replace(self, steps=max(self.steps, other.steps), **columns)


def iterate(
    system: Equations,
    start: Array,
    parameters: Sequence[Array],
    proposal: Proposal,
    max_steps: int,
    refinement: int = 0,
    slopes: bool = True,
) -> Iterated:
    """Iterate every point to convergence or to a reason why not.

    Parameters
    ----------
    system : Equations
    start : array, shape (points, unknowns)
    parameters : sequence of arrays, shape (points,)
    proposal : Newton, Damped or Anderson
    max_steps : int
    refinement : int
        Of the quadrature; negative for a coarse one.
    slopes : bool
        Whether Jacobians are wanted: a damped step does without where every unknown is paired.
    """
    evaluate = system.evaluate if slopes else system.evaluate_without_slopes
    z = start.copy()
    if z.shape[1] == 0:  # nothing is to be found
        converged = np.full(z.shape[0], int(Status.CONVERGED))
        return Iterated(z, converged, 0, np.zeros((z.shape[0], 0, 0)), z.copy())
    status = np.full(z.shape[0], int(Status.MAX_STEPS))
    active = np.arange(z.shape[0])
    chosen = list(parameters)
    residual, jacobian = evaluate(z, chosen, refinement)
    last_jacobian, last_step = jacobian.copy(), np.full_like(z, np.nan)
    taken = 0
    while taken < max_steps:
        taken += 1
        here = z[active]
        step = proposal.step(system, here, residual, jacobian)
        trial, length = _into_domain(proposal, system, here, step, chosen)
        trial = proposal.completed(system, trial, chosen)
        done = np.full(active.size, -1)
        stays = (trial == here).all(axis=1)
        last = proposal.converged(step, system.room(here, chosen)) & (length == 1.0)
        done[stays & ~last] = Status.LEFT_DOMAIN
        done[system.at_edge(trial, chosen)] = Status.LEFT_DOMAIN
        done[last] = Status.CONVERGED
        done[~np.isfinite(step).all(axis=1)] = Status.NON_FINITE
        z[active], last_step[active] = trial, trial - here
        over = done >= 0
        if over.any():
            status[active[over]] = done[over]
            going = ~over
            active, here, trial, step = active[going], here[going], trial[going], step[going]
            residual, jacobian, length = residual[going], jacobian[going], length[going]
            chosen = [p[going] for p in chosen]
            proposal.keep(going)
        if active.size == 0:
            break
        tried = (trial, *evaluate(trial, chosen, refinement))
        tried = proposal.corrected(system, here, step, length, residual, tried, chosen, refinement)
        z[active], residual, jacobian = tried
        last_jacobian[active] = jacobian
    return Iterated(z, status, taken, last_jacobian, last_step)


def _into_domain(
    proposal: Proposal,
    system: Equations,
    here: Array,
    step: Array,
    parameters: Sequence[Array],
) -> tuple[Array, Array]:
    """Halve steps that leave the domain; return the new points and the lengths taken."""
    step = np.where(np.isfinite(step), step, 0.0)
    length = np.ones(here.shape[0])
    trial = system.onto_edge(proposal.moved(here, step, length), parameters)
    outside = ~system.inside(trial, parameters)
    if outside.any():
        step = np.where(outside[:, None], np.nan_to_num(proposal.instead(step)), step)
        trial = system.onto_edge(proposal.moved(here, step, length), parameters)
    for _ in range(_SHORTENINGS):
        outside = ~system.inside(trial, parameters)
        if not outside.any():
            break
        length[outside] /= 2
        shorter = proposal.moved(here[outside], step[outside], length[outside])
        # one unknown on its closed end, moved beyond it by rounding, must not hold the others back
        trial[outside] = system.onto_edge(shorter, [p[outside] for p in parameters])
    else:
        trial[outside] = here[outside]
    return trial, length
