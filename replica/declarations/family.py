"""Families: formulas that differ by structural options."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from replica.declarations.formula import Formula
from replica.declarations.frozen import FrozenMapping
from replica.declarations.published import Published
from replica.errors import ControlError, DeclarationError, UnknownName

__all__ = ["Family", "Option", "default_formula"]


@dataclass(frozen=True)
class Option:
    """A structural choice of a family: allowed values, default, meaning.

    Parameters
    ----------
    choices : tuple
        Values, or the names of shipped blocks.
    default : object
        One of them, or a block.
    doc : str
    block : type, optional
        Blocks of this type are accepted as they are, besides the names.
    named : callable, optional
        Returns the shipped block of a name.

    Examples
    --------
    >>> Option((0, 1), 0, "steps").read("family", "rsb", 2)
    Traceback (most recent call last):
    ...
    replica.errors.ControlError: family: option rsb=2 is not one of 0, 1
    """

    choices: tuple[Any, ...]
    default: Any
    doc: str = ""
    block: type | None = None
    named: Callable[[str], Any] | None = None

    def read(self, family: str, name: str, value: object) -> object:
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

    The parameters of `build` are the options; everything else a user passes is a control. Each has
    a default and an annotation, ``Annotated[type, "what it means"]``, whose type is

    * ``Literal[0, 1]``: one of these values, or a tuple of them beside the meaning where they are
      no literals;
    * a kind of blocks, such as `Prior`: one of one's own, or the name of a shipped one (of
      ``Prior.shipped``). A condition beside the meaning leaves out the shipped ones for which it
      does not hold; the default is then listed first.

    Parameters
    ----------
    name, title : str
        As of a formula.
    build : callable
        ``build(**options) -> Formula``.

    Attributes
    ----------
    options : mapping of str to Option
        As read from `build`.

    Raises
    ------
    DeclarationError
        For a parameter of `build` without a default, or whose annotation is neither.

    Examples
    --------
    >>> from replica.blocks.priors import Prior, Rademacher
    >>> def build(prior: Annotated[Prior, "law of the weights"] = Rademacher()): ...
    >>> Family("mine", "A family of mine", build)
    <Family mine(prior=gaussian|rademacher|gauss-bernoulli|laplace|uniform): A family of mine>
    """

    name: str
    title: str
    build: Callable[..., Formula]
    options: Mapping[str, Option] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", FrozenMapping(_options(self.name, self.build)))

    def __call__(self, **options: object) -> Formula:
        """Return the formula with these options; defaults fill the rest."""
        return _build(self, FrozenMapping(self._checked(options)))

    def resolve(self, given: Mapping[str, object]) -> tuple[Formula, dict[str, Any]]:
        """Split `given` into options and controls; return the formula and the controls."""
        formula = self(**{k: w for k, w in given.items() if k in self.options})
        rest = {k: w for k, w in given.items() if k not in self.options}
        for name in rest:
            if name not in formula.controls and name not in formula.relations:
                known = [*formula.controls, *formula.relations, *self.options]
                raise UnknownName("control or option", name, known, self.name)
        return formula, rest

    def _checked(self, options: Mapping[str, object]) -> dict[str, object]:
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


def _options(family: str, build: Callable[..., Formula]) -> dict[str, Option]:
    """Return the options that the parameters of `build` declare."""
    hints = get_type_hints(build, include_extras=True)
    return {
        name: _option(f"family {family}: option {name}", hints.get(name), parameter.default)
        for name, parameter in inspect.signature(build).parameters.items()
    }


def _option(where: str, hint: Any, default: object) -> Option:
    notes = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    kind = get_args(hint)[0] if notes else hint
    doc = next((note for note in notes if isinstance(note, str)), "")
    condition = next((note for note in notes if callable(note)), None)
    if default is inspect.Parameter.empty:
        raise DeclarationError(f"{where} has no default: give one in the signature of build")
    stated = next((note for note in notes if isinstance(note, tuple)), ())
    values = get_args(kind) if get_origin(kind) is Literal else stated
    if values:
        return Option(values, default, doc)
    shipped = getattr(kind, "shipped", None)
    if not isinstance(shipped, Mapping):
        raise DeclarationError(
            f"{where} is annotated {kind!r}, which is neither a Literal nor a kind of blocks"
        )
    usual = getattr(default, "name", default)
    named = usual if usual in shipped and shipped[usual] == default else default
    choices = tuple(shipped)
    if condition is not None:
        others = (name for name in choices if name != named and condition(shipped[name]))
        choices = (named, *others)
    return Option(choices, named, doc, kind, shipped.__getitem__)


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
