"""The driver of all finite-size experiments, and the base class that each of them extends.

What every experiment needs is here once: controls, sizes, the grid and the seed are read and
checked, instances are drawn one after the other, and their means and errors become the result. A
`Simulation` adds what is particular: which blocks it takes, and what one instance is.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Generic, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from replica.declarations.family import Family
from replica.declarations.formula import Formula
from replica.declarations.reading import read
from replica.errors import ControlError, DeclarationError
from replica.experiments.checks import (
    check_entries,
    instance_streams,
    one_number,
    pattern_counts,
    positive_integer,
    shown,
)
from replica.experiments.result import Experiment, averaged

__all__ = ["Measured", "Request", "Simulation", "register_simulation", "run", "simulation_of"]

T = TypeVar("T")
FloatArray = NDArray[np.float64]

_LARGEST_INSTANCES = 10**6


@dataclass(frozen=True)
class Request:
    """What is asked of a simulation, read and checked.

    Attributes
    ----------
    where : str
        The beginning of every message.
    blocks : mapping of str to block
        `Formula.experiment`.
    controls : mapping of str to float
        Of the formula.
    p : int
        Number of weights.
    n : tuple of int or None
        Number of patterns at each point of the grid; None without a grid.
    arguments : mapping of str to object
        What was given of the arguments that the simulation has of its own.
    """

    where: str
    blocks: Mapping[str, Any]
    controls: Mapping[str, float]
    p: int
    n: tuple[int, ...] | None
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Measured:
    """Means and errors over instances.

    Attributes
    ----------
    observables, errors : mapping of str to float or array
        Under the same names; arrays run along the grid.
    n : sequence of int or None
        The grid, where it was found by the simulation.
    details : mapping of str to object
        Other fields of `Experiment`, for instance ``largest_n``.
    """

    observables: Mapping[str, float | FloatArray]
    errors: Mapping[str, float | FloatArray]
    n: Sequence[int] | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


class Simulation(ABC, Generic[T]):
    """Base class of finite-size experiments: what one instance is, and what is measured on it.

    A class that is registered by `register_simulation` serves all formulas whose ``experiment``,
    a mapping of roles to blocks, it takes. One object of it serves one call of `simulate`.

    Attributes
    ----------
    roles : mapping of str to type
        The roles of ``Formula.experiment`` and the type of block in each.
    arguments : tuple of str
        Arguments of `simulate` that are its own, for instance ``max_steps``.
    samples : tuple of str
        Controls that say how many patterns there are, which a grid of ``alpha`` or ``n`` replaces.
    samples_are_a_grid : bool
        Whether these controls are needed without a grid, and give its one point.
    largest_p, too_large : int, str
        The largest number of weights, and why there is one.
    largest_entries : float
        The largest n p.
    fractions : frozenset of str
        Observables that are yes or no, so that their mean is a fraction.
    method : str
        What is computed on each instance, for the result.

    Parameters
    ----------
    request : Request
        What this call asks for; refuse here what cannot be done.

    Examples
    --------
    The largest field of n random patterns, for a vector of weights on the sphere. With
    ``@rp.register_simulation`` before the class, `replica.simulate` would serve every formula that
    has ``experiment={"alone": rp.Sphere()}``:

    >>> import replica as rp
    >>> class LargestField(rp.Simulation):
    ...     roles = {"alone": rp.Sphere}
    ...     method = "largest of n fields"
    ...
    ...     def instance(self, rng):
    ...         p = self.request.p
    ...         w = self.request.blocks["alone"].sample(rng, p)
    ...         fields = rng.standard_normal((max(self.grid), p)) @ w / np.sqrt(p)
    ...         return [{"largest": fields[:n].max()} for n in self.grid]
    >>> LargestField.takes({"alone": rp.Sphere()}), LargestField.takes({"weights": rp.Sphere()})
    (True, False)
    """

    roles: ClassVar[Mapping[str, type]]
    arguments: ClassVar[tuple[str, ...]] = ()
    samples: ClassVar[tuple[str, ...]] = ("alpha",)
    samples_are_a_grid: ClassVar[bool] = False
    largest_p: ClassVar[int] = 10**8
    too_large: ClassVar[str] = "X would not fit in memory"
    largest_entries: ClassVar[float] = math.inf
    fractions: ClassVar[frozenset[str]] = frozenset()
    method: str = ""

    def __init__(self, request: Request) -> None:
        self.request = request

    @classmethod
    def takes(cls, blocks: Mapping[str, Any]) -> bool:
        """Tell whether these blocks can be drawn: by default, whether roles and types match."""
        return set(blocks) == set(cls.roles) and all(
            isinstance(blocks[role], kind) for role, kind in cls.roles.items()
        )

    @classmethod
    def default_grid(cls, request: Request) -> tuple[int, ...] | None:
        """Return the grid where none is given; None where it is found on the instances."""
        raise ControlError(f"{request.where}: the grid is missing; give alpha=... (or n=...)")

    @property
    def grid(self) -> tuple[int, ...]:
        """Number of patterns at each point of the grid."""
        assert self.request.n is not None
        return self.request.n

    @property
    def controls(self) -> Mapping[str, float]:
        """What the result says of the controls."""
        return {k: w for k, w in self.request.controls.items() if k not in self.samples}

    @abstractmethod
    def instance(self, rng: np.random.Generator) -> T:
        """Draw one instance and measure it.

        Parameters
        ----------
        rng : numpy.random.Generator
            Of this instance alone: take all random numbers from it.

        Returns
        -------
        list of mappings of str to float
            The observables at each point of `grid`, NaN where they are not defined; or whatever
            `summary` understands.
        """

    def summary(self, outcomes: Sequence[T]) -> Measured:
        """Return means and errors over what `instance` returned for each instance."""
        points = cast("Sequence[Sequence[Mapping[str, float]]]", outcomes)
        return Measured(*averaged(points, self.fractions))


_REGISTERED: list[type[Simulation[Any]]] = []
S = TypeVar("S", bound=type[Simulation[Any]])


def register_simulation(kind: S) -> S:
    """Let `simulate` serve the formulas whose blocks a simulation takes; a class decorator.

    Of several that take the same blocks the one that was registered last serves, so that a more
    special one can be added to those of the package.

    Parameters
    ----------
    kind : subclass of Simulation

    Raises
    ------
    DeclarationError
        For anything else.

    Examples
    --------
    >>> register_simulation(dict)
    Traceback (most recent call last):
    ...
    replica.errors.DeclarationError: register_simulation takes a subclass of Simulation, not ...
    """
    if not (isinstance(kind, type) and issubclass(kind, Simulation)):
        raise DeclarationError(
            f"register_simulation takes a subclass of Simulation, not {shown(kind)}"
        )
    _REGISTERED.append(kind)
    return kind


def simulation_of(formula: Formula) -> type[Simulation[Any]]:
    """Return the simulation that serves a formula.

    Raises
    ------
    ControlError
        The formula has no experiment, or nothing registered takes its blocks.
    """
    where = f"simulate {formula.name}"
    if formula.experiment is None:
        raise ControlError(
            f"{where}: the formula declares no finite-size experiment; "
            "formulas with one have `formula.experiment`"
        )
    blocks = formula.experiment
    those = [kind for kind in _REGISTERED if kind.takes(blocks)]
    if those:
        return those[-1]
    given = ", ".join(f"{role} = {_title(block)}" for role, block in blocks.items())
    known = "; ".join(dict.fromkeys(", ".join(kind.roles) for kind in _REGISTERED))
    raise ControlError(
        f"{where}: no experiment draws {given}; there are some for the roles {known}, and "
        "register_simulation adds one"
    )


def _title(block: Any) -> str:
    name = getattr(block, "name", None)
    return name if isinstance(name, str) else shown(block)


def run(
    target: Any,
    *,
    p: int,
    alpha: ArrayLike | None,
    n: ArrayLike | None,
    instances: int,
    rng: int | np.random.Generator | None,
    progress: Callable[[int, int], None] | None,
    given: Mapping[str, Any],
) -> Experiment:
    """Draw instances of a formula and measure its observables; see `replica.simulate`.

    Parameters
    ----------
    target : Formula or Family
    p, alpha, n, instances, rng, progress
        As of `replica.simulate`.
    given : mapping of str to object
        Options and controls of the formula, and arguments of its simulation.
    """
    kind = simulation_of(_declared(target, given))
    own = {name: value for name, value in given.items() if name in kind.arguments}
    of_formula = {name: value for name, value in given.items() if name not in own}
    has_grid = alpha is not None or n is not None
    free = has_grid or not kind.samples_are_a_grid
    points = read(target, of_formula, optional=kind.samples if free else ())
    formula = points.formula
    where = f"simulate {formula.name}"
    doubled = sorted(set(kind.samples) & set(given)) if has_grid else []
    if doubled:
        raise ControlError(
            f"{where}: the number of samples is given twice, by {doubled[0]} and by "
            f"{'alpha' if alpha is not None else 'n'}; leave one of them out"
        )
    used = {
        name: one_number(name, value, where)
        for name, value in points.values.items()
        if name not in kind.samples or not free
    }
    p = positive_integer("p", p, where, largest=kind.largest_p, reason=kind.too_large)
    request = Request(
        where, formula.experiment or {}, used, p, pattern_counts(where, p, alpha, n), own
    )
    if request.n is None:
        request = replace(request, n=kind.default_grid(request))
    if request.n is not None:
        check_entries(where, max(request.n), p, kind.largest_entries)
    instances = positive_integer("instances", instances, where, largest=_LARGEST_INSTANCES)
    simulation = kind(request)
    seed, streams = instance_streams(where, rng, instances)
    outcomes = []
    for stream in streams:
        outcomes.append(simulation.instance(stream))
        if progress is not None:
            progress(len(outcomes), instances)
    measured = simulation.summary(outcomes)
    return Experiment(
        formula=formula.name,
        options=dict(formula.options),
        controls=dict(simulation.controls),
        method=simulation.method,
        p=p,
        instances=instances,
        seed=seed,
        n=np.array(request.n if measured.n is None else measured.n, dtype=np.int64),
        observables=measured.observables,
        errors=measured.errors,
        **measured.details,
    )


def _declared(target: Any, given: Mapping[str, Any]) -> Formula:
    """Return the formula that the options among what is given choose."""
    if isinstance(target, Family):
        return target(**{name: w for name, w in given.items() if name in target.options})
    if not isinstance(target, Formula):
        read(target, given)  # says what is expected instead
    return cast("Formula", target)
