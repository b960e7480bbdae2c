"""Values from the literature, kept beside the potential they belong to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from replica.declarations.frozen import FrozenMapping, freeze
from replica.errors import DeclarationError
from replica.writing import plain

__all__ = ["Published"]


@dataclass(frozen=True)
class Published:
    """A value from the literature, kept beside the potential it belongs to.

    Parameters
    ----------
    quantity : str
        A threshold or an observable of the formula.
    value : float
        What was published.
    tol : float
        Half a unit of the last published digit, or the published uncertainty.
    at : mapping of str to number
        Controls at which it was published.
    options : mapping of str to value
        Structural options, for a family.
    cite : str
        Key in ``references.bib``.
    where : str
        Equation, table or abstract.
    relation : {"=", "<", ">"}
        An equality, or a bound: ``"<"`` says that the quantity is below `value`.
    disputed : str
        Why sources or equations disagree; empty when they do not.
    """

    quantity: str
    value: float
    tol: float = 0.0
    at: Mapping[str, Any] = field(default_factory=FrozenMapping)
    options: Mapping[str, Any] = field(default_factory=FrozenMapping)
    cite: str = ""
    where: str = ""
    relation: str = "="
    disputed: str = ""

    def __post_init__(self) -> None:
        freeze(self)
        if self.relation not in ("=", "<", ">"):
            raise DeclarationError(f"published {self.quantity}: relation must be =, < or >")

    def agrees(self, value: float, error: float = 0.0) -> bool:
        """Tell whether a computed value is compatible with the published one."""
        slack = self.tol + error
        if self.relation == "<":
            return value < self.value + slack
        if self.relation == ">":
            return value > self.value - slack
        return abs(value - self.value) <= slack

    @property
    def value_text(self) -> str:
        """The value, a bound with its sign: ``"< 0.9973"``."""
        sign = "" if self.relation == "=" else f"{self.relation} "
        return f"{sign}{self.value:.12g}"

    @property
    def source(self) -> str:
        """Citation key and place."""
        return ", ".join(filter(None, [self.cite, self.where]))

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers and texts for JSON; None where there is no number."""
        return {
            "quantity": self.quantity,
            "relation": self.relation,
            "value": plain(float(self.value)),
            "tol": plain(float(self.tol)),
            "at": plain({name: float(value) for name, value in self.at.items()}),
            "options": plain(self.options),
            "cite": self.cite,
            "where": self.where,
            "disputed": self.disputed,
        }
