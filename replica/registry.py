"""Names to formulas: the built-in systems, then those of installed packages; and citations.

A package adds formulas by the entry point group ``replica.formulas``, whose value is a formula,
a family, or a module with a tuple ``FORMULAS`` of them. A plugin that fails warns with its name
and does not break the rest.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import pkgutil
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from replica.declarations.family import Family
from replica.declarations.formula import Formula
from replica.declarations.published import Published
from replica.errors import DeclarationError, looked_up
from replica.references import BUILT_IN, bibliography

__all__ = ["Registry", "cite", "formulas"]

_GROUP = "replica.formulas"


class Registry(Mapping[str, Formula | Family]):
    """All formulas by name, loaded on first use.

    Examples
    --------
    >>> formulas["binary-perceptron"].title
    'Storage capacity of the binary perceptron'
    """

    def __init__(self) -> None:
        self._loaded: dict[str, Formula | Family] | None = None
        self.origins: dict[str, str] = {}

    def _formulas(self) -> dict[str, Formula | Family]:
        if self._loaded is None:
            self._loaded = {}
            self._load_built_in()
            self._load_plugins()
        return self._loaded

    def _load_built_in(self) -> None:
        package = importlib.import_module(BUILT_IN)
        for module in sorted(m.name for m in pkgutil.iter_modules(package.__path__)):
            self._add(importlib.import_module(f"{BUILT_IN}.{module}").FORMULAS, BUILT_IN)

    def _load_plugins(self) -> None:
        for point in sorted(importlib.metadata.entry_points(group=_GROUP), key=lambda p: p.name):
            try:
                loaded = point.load()
                found = getattr(loaded, "FORMULAS", loaded)
                self._add(
                    found if isinstance(found, (tuple, list)) else (found,),
                    point.value.split(":")[0].split(".")[0],
                )
            except Exception as error:  # a foreign package may fail in any way
                warnings.warn(
                    f"formula plugin {point.name!r} ({point.value}) was not loaded: {error}",
                    RuntimeWarning,
                    stacklevel=2,
                )

    def _add(self, found: Iterable[Any], origin: str) -> None:
        assert self._loaded is not None
        for formula in found:
            if not isinstance(formula, (Formula, Family)):
                raise DeclarationError(f"{origin}: {formula!r} is neither a Formula nor a Family")
            if formula.name in self._loaded:
                raise DeclarationError(
                    f"{origin}: the name {formula.name!r} is taken by {self.origins[formula.name]}"
                )
            self._loaded[formula.name] = formula
            self.origins[formula.name] = origin

    def __getitem__(self, name: str) -> Formula | Family:
        return looked_up("formula", name, self._formulas())

    def __contains__(self, name: object) -> bool:
        return name in self._formulas()

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._formulas()))

    def __len__(self) -> int:
        return len(self._formulas())

    def __repr__(self) -> str:
        return "\n".join(f"{name:32s} {self[name].title}" for name in self)


formulas = Registry()
"""The registry that users see: ``replica.formulas[name]``."""


def cite(subject: Any) -> str:
    """Return BibTeX for a formula, a result of it, a published value, or a registry name.

    Parameters
    ----------
    subject : Formula, Family, Solution, ThresholdResult, Published or str

    Raises
    ------
    UnknownName
        For a name or a citation key that does not exist.

    Examples
    --------
    >>> print(cite("binary-perceptron").splitlines()[0])
    @article{krauth1989,
    """
    if isinstance(subject, str):
        subject = formulas[subject]
    subject = getattr(subject, "formula", subject)
    if isinstance(subject, Family):
        subject = subject()
    if isinstance(subject, Published):
        keys, name = [subject.cite], ""
    elif isinstance(subject, Formula):
        keys = [*subject.cites, *(p.cite for p in subject.published)]
        name = subject.name
    else:
        raise DeclarationError(f"nothing to cite in {subject!r}: give a formula or a result")
    known = bibliography()
    origin = formulas.origins.get(name, BUILT_IN) if name in formulas else BUILT_IN
    if origin != BUILT_IN:
        known = {**known, **bibliography(origin)}
    wanted = dict.fromkeys(key for key in keys if key)
    return "\n\n".join(looked_up("citation key", key, known, "references.bib") for key in wanted)
