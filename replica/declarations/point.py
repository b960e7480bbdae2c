"""Values of the controls of a formula: what is read from a user, and what the solvers are told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sympy import Expr, Symbol

from replica.declarations.control import control_name
from replica.declarations.formula import Formula
from replica.declarations.frozen import FrozenMapping
from replica.declarations.numbers import exact
from replica.errors import ControlError

__all__ = ["Points"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Points:
    """Controls of a formula at one point or on a grid, always in the order of the formula.

    Attributes
    ----------
    formula : Formula
    values : mapping of str to number or array
        Numbers are as exact as the user gave them; arrays broadcast against each other. Controls
        that something else determines are left out.

    Examples
    --------
    >>> import replica as rp
    >>> points = Points(rp.formulas["binary-perceptron"], {"alpha": [0.5, 0.6], "kappa": 0})
    >>> points.shape, [column.tolist() for column in points.columns]
    ((2,), [[0.5, 0.6], [0.0, 0.0]])
    >>> points.without("alpha").floats
    {'kappa': 0.0}
    """

    formula: Formula
    values: Mapping[str, Any]

    def __post_init__(self) -> None:
        known = {k: self.values[k] for k in self.formula.controls if k in self.values}
        object.__setattr__(self, "values", FrozenMapping(known))

    @classmethod
    def of_columns(cls, formula: Formula, columns: Sequence[Any]) -> Points:
        """Return the points whose controls, in the order of the formula, are these."""
        # a formula without controls has a column all the same, see `Formula.symbols`
        return cls(formula, dict(zip(formula.controls, columns, strict=bool(formula.controls))))

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """The shape that the values broadcast to.

        Raises
        ------
        ControlError
            If they do not.
        """
        shapes = {name: np.shape(value) for name, value in self.values.items()}
        try:
            return np.broadcast_shapes(*shapes.values())
        except ValueError:
            sizes = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
            raise ControlError(
                f"{self.formula.name}: the shapes of the controls do not broadcast: {sizes}; use "
                f"sweep for a product grid"
            ) from None

    @property
    def size(self) -> int:
        """Number of points."""
        return int(np.prod(self.shape))

    @cached_property
    def columns(self) -> list[Array]:
        """The values as flat arrays, one for each symbol: what kernels take."""
        numbers = [np.asarray(value, dtype=float) for value in self.values.values()]
        if not self.formula.controls:
            numbers = [np.ones(())]
        return [np.broadcast_to(number, self.shape).reshape(-1) for number in numbers]

    @cached_property
    def floats(self) -> dict[str, float]:
        """The values of a single point as floats."""
        return {name: float(value) for name, value in self.values.items()}

    @cached_property
    def rule(self) -> dict[Symbol, Expr]:
        """The values of a single point as substitutions, exact where they are."""
        return {self.formula.controls[k].symbol: exact(w) for k, w in self.values.items()}

    def column(self, symbol: Symbol) -> Array:
        """Return the values of one control, shape (points,)."""
        return self.columns[list(self.values).index(control_name(symbol))]

    def without(self, *names: str) -> Points:
        """Return the points without the values of some controls."""
        return replace(self, values={k: w for k, w in self.values.items() if k not in names})

    def at(self, **values: Any) -> Points:
        """Return the points with other values, or further ones."""
        return replace(self, values={**self.values, **values})

    def single(self, verb: str, instead: str = "") -> Points:
        """Return the point, if it is a single one.

        Raises
        ------
        ControlError
            Naming the verb, the control that has several values, and what to do instead.
        """
        for name, value in self.values.items():
            if np.ndim(value):
                raise ControlError(
                    f"{self.formula.name}: {verb} takes one value of {name} at a time{instead}"
                )
        return self

    def __str__(self) -> str:
        return ", ".join(f"{k} = {w:g}" for k, w in self.floats.items())
