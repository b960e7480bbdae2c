"""Families: formulas that differ by structural options."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from replica.declarations.formula import Formula
from replica.declarations.frozen import FrozenMapping, freeze
from replica.declarations.published import Published
from replica.errors import ControlError, UnknownName

__all__ = ["Family", "Option", "default_formula"]


@dataclass(frozen=True)
class Option:
    """A structural choice of a family: allowed values, default, meaning.

    Parameters
    ----------
    choices : tuple
        Values, or the names of shipped blocks.
    default : object
        One of them.
    doc : str
    block : type, optional
        Blocks of this type are accepted as they are, besides the names.
    named : callable, optional
        Returns the shipped block of a name.
    """

    choices: tuple[Any, ...]
    default: Any
    doc: str = ""
    block: type | None = None
    named: Callable[[str], Any] | None = None

    def read(self, family: str, name: str, value: Any) -> Any:
        """Return the choice that `value` means; ControlError lists what is allowed."""
        if self.block is not None and isinstance(value, self.block):
            return value
        plain = isinstance(value, (str, int, float)) and not isinstance(value, bool)
        if not plain or value not in self.choices:
            if self.named is not None and isinstance(value, str):
                raise UnknownName(name, value, self.choices, family)
            extra = "" if self.block is None else f", nor a {self.block.__name__}"
            raise ControlError(
                f"{family}: option {name}={value!r} is not one of "
                f"{', '.join(map(str, self.choices))}{extra}"
            )
        chosen = self.choices[self.choices.index(value)]
        return chosen if self.named is None else self.named(chosen)


@dataclass(frozen=True)
class Family:
    """Formulas that differ by structural options: call it with options to get a Formula.

    Parameters
    ----------
    name, title : str
        As of a formula.
    options : mapping of str to Option
        The structural options; everything else a user passes is a control.
    build : callable
        ``build(**options) -> Formula``.
    """

    name: str
    title: str
    options: Mapping[str, Option]
    build: Callable[..., Formula]

    def __post_init__(self) -> None:
        freeze(self)

    def __call__(self, **options: Any) -> Formula:
        """Return the formula with these options; defaults fill the rest."""
        return _build(self, FrozenMapping(self._checked(options)))

    def resolve(self, given: Mapping[str, Any]) -> tuple[Formula, dict[str, Any]]:
        """Split `given` into options and controls; return the formula and the controls."""
        formula = self(**{k: w for k, w in given.items() if k in self.options})
        rest = {k: w for k, w in given.items() if k not in self.options}
        for name in rest:
            if name not in formula.controls and name not in formula.relations:
                known = [*formula.controls, *formula.relations, *self.options]
                raise UnknownName("control or option", name, known, self.name)
        return formula, rest

    def _checked(self, options: Mapping[str, Any]) -> dict[str, Any]:
        for name in options:
            if name not in self.options:
                raise UnknownName("option", name, self.options, self.name)
        return {
            name: option.read(self.name, name, options.get(name, option.default))
            for name, option in self.options.items()
        }

    @property
    def published(self) -> tuple[Published, ...]:
        """Published values of the formula with default options, which lists the family's."""
        return self().published

    def _repr_latex_(self) -> str:
        return self()._repr_latex_()

    def __repr__(self) -> str:
        options = ", ".join(f"{k}={'|'.join(map(str, o.choices))}" for k, o in self.options.items())
        return f"<Family {self.name}({options}): {self.title}>"


_BUILT: dict[tuple[Family, FrozenMapping], Formula] = {}


def _build(family: Family, options: FrozenMapping) -> Formula:
    key = (family, options)
    if key not in _BUILT:
        built = family.build(**options)
        _BUILT[key] = replace(built, options=options)
    return _BUILT[key]


def default_formula(target: Formula | Family) -> Formula:
    """Return a formula as it is, and that of a family with its default options."""
    return target() if isinstance(target, Family) else target
