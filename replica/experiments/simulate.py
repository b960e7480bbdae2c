"""One entry for all finite-size experiments: the formula says which instances are drawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

# each registers what it simulates
from replica.experiments import (  # noqa: F401
    committee,
    enumeration,
    readout,
    risk,
    separation,
    teacher_student,
)
from replica.experiments.driver import run
from replica.experiments.result import Experiment

__all__ = ["simulate"]


def simulate(
    formula: Any,
    *,
    p: int,
    alpha: ArrayLike | None = None,
    n: ArrayLike | None = None,
    instances: int = 10,
    rng: int | np.random.Generator | None = 0,
    progress: Callable[[int, int], None] | None = None,
    **options_and_controls: Any,
) -> Experiment:
    r"""Draw finite-size instances of a formula and measure its observables.

    What is drawn and measured is said by the `Simulation` that takes the blocks of
    ``formula.experiment``; one of your own is added by `register_simulation`. Those of the package,
    in `replica.experiments`:

    ==============================  =============================================================
    binary weights, constraint      `BinaryStorage`: decided exactly, by enumeration
    spherical weights, constraint   `SphericalStorage`: decided at kappa = 0, by linear programming
    prior, channel                  `TeacherStudent`: approximate message passing (see `amp`)
    prior of pairs, channel         `CommitteeStudent`: message passing with vectors
    channel, loss, penalty          `RiskMinimisation`: convex programming
    inputs, channel, loss           `FeatureReadout`, `CovariateReadout`: the same on features that
                                    are drawn, or on inputs of a given covariance
    ==============================  =============================================================

    Parameters
    ----------
    formula : Formula or Family
        With an ``experiment``.
    p : int
        Number of weights: up to 24 for enumeration, 1000 for linear programming, and as memory
        has room for n p numbers for message passing.
    alpha : float or array, optional
        Patterns per weight; n = round(alpha p). A storage problem without a grid is measured
        along its whole curve; a teacher and a student need one.
    n : int or array of int, optional
        Numbers of patterns, instead of `alpha`.
    instances : int
        Independent instances.
    rng : int, numpy.random.Generator or None
        Seed. Instance k draws from the k-th child of ``SeedSequence(seed)``: it depends neither
        on the number of instances nor on the grid. A Generator spawns its children, so a second
        call with it gives new instances. None draws a fresh seed, which the result records.
    progress : callable, optional
        Called with (instances done, instances) after each one.
    **options_and_controls
        Of the formula, for instance ``kappa=0.5`` or ``prior="gaussian"``; for message passing
        also ``max_steps``, ``damping`` and ``tolerance``.

    Returns
    -------
    Experiment

    Raises
    ------
    ControlError
        The formula has no experiment, a value is outside its range, or the computation would not
        end in reasonable time.
    ConvergenceError
        A linear programme could not be decided (not met so far), or a minimiser not found.
    MissingExtra
        The solver is in a package that is not installed.

    Examples
    --------
    >>> import replica as rp
    >>> result = simulate(rp.formulas["binary-perceptron"], p=12, instances=50)
    >>> result.largest_n[:5].tolist()
    [11, 12, 9, 13, 5]
    """
    return run(
        formula,
        p=p,
        alpha=alpha,
        n=n,
        instances=instances,
        rng=rng,
        progress=progress,
        given=options_and_controls,
    )
