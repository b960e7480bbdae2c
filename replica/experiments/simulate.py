"""One entry for all finite-size experiments: the formula says which instances are drawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from replica.declarations.experiment import (
    CommitteeStudent,
    LinearReadout,
    RiskMinimisation,
    StorageExperiment,
    TeacherStudent,
)
from replica.declarations.reading import resolve
from replica.errors import ControlError
from replica.experiments.committee import simulate_committee
from replica.experiments.erm import simulate_risk
from replica.experiments.readout import simulate_readout
from replica.experiments.result import Experiment
from replica.experiments.storage import simulate_storage
from replica.experiments.teacher_student import simulate_teacher_student

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

    * A `StorageExperiment` is decided exactly: binary weights by enumeration, spherical weights
      at kappa = 0 by linear programming. Measured: ``satisfiable``, ``entropy``, ``capacity``.
    * A `TeacherStudent` is learned by approximate message passing (see `amp`). Measured: ``m``,
      ``q``, ``mse``, ``label_error``, for labels -1 and 1 ``eps_bayes``; ``steps``,
      ``converged``.
    * A `CommitteeStudent` is learned by message passing with vectors. Measured: ``q00`` and
      ``q01``, up to the exchange of the units, ``eps_g``; ``steps``, ``converged``.
    * A `RiskMinimisation` is solved by convex programming (see `simulate_risk`). Measured: ``m``,
      ``q``, ``eps_g``, training and test losses, ``margin``, ``separable``.
    * A `LinearReadout` is the same on features that are drawn (see `simulate_readout`).

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
    settings = ("max_steps", "damping", "tolerance")
    of_formula = {k: v for k, v in options_and_controls.items() if k not in settings}
    resolved, _ = resolve(formula, of_formula, optional={"*"})
    engines: dict[type, Callable[..., Experiment]] = {
        StorageExperiment: simulate_storage,
        TeacherStudent: simulate_teacher_student,
        CommitteeStudent: simulate_committee,
        RiskMinimisation: simulate_risk,
        LinearReadout: simulate_readout,
    }
    engine = engines.get(type(resolved.experiment))
    if engine is None:
        raise ControlError(
            f"simulate {resolved.name}: the formula declares no finite-size experiment; "
            "formulas with one have `formula.experiment`"
        )
    return engine(
        formula,
        p=p,
        alpha=alpha,
        n=n,
        instances=instances,
        rng=rng,
        progress=progress,
        **options_and_controls,
    )
