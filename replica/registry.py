"""Names to formulas: the built-in systems, then those of installed packages; and citations.

A package adds formulas by the entry point group ``replica.formulas``, whose value is a formula,
a family, or a module with a tuple ``FORMULAS`` of them. A plugin that fails warns with its name
and does not break the rest.
"""

from __future__ import annotations

import importlib
import importlib.resources
import pkgutil
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from replica.declarations.family import Family
from replica.declarations.formula import Formula
from replica.declarations.published import Published
from replica.errors import DeclarationError, UnknownName
from replica.plugins import load_plugins

__all__ = ["Registry", "bibliography", "cite", "formulas"]

_BUILT_IN = "replica_formulas"
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
        package = importlib.import_module(_BUILT_IN)
        for module in sorted(m.name for m in pkgutil.iter_modules(package.__path__)):
            self._add(importlib.import_module(f"{_BUILT_IN}.{module}").FORMULAS, _BUILT_IN)

    def _load_plugins(self) -> None:
        load_plugins("formula", _GROUP, "FORMULAS", self._add)

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
        known = self._formulas()
        try:
            return known[name]
        except (KeyError, TypeError):
            raise UnknownName("formula", name, known) from None

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


def bibliography(package: str = _BUILT_IN) -> dict[str, str]:
    """Return the entries of a package's ``references.bib`` by key."""
    source = importlib.resources.files(package) / "references.bib"
    if not source.is_file():
        return {}
    text = source.read_text(encoding="utf-8")
    entries = {}
    for start in re.finditer(r"^@\w+\{([^,\s]+),", text, flags=re.MULTILINE):
        depth, end = 0, start.start()
        for end in range(start.start(), len(text)):
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            if depth == 0 and text[end] == "}":
                break
        entries[start.group(1)] = text[start.start() : end + 1]
    return entries


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
    entries = bibliography()
    origin = formulas.origins.get(name, _BUILT_IN) if name in formulas else _BUILT_IN
    if origin != _BUILT_IN:
        entries = {**entries, **bibliography(origin)}
    wanted = dict.fromkeys(key for key in keys if key)
    for key in wanted:
        if key not in entries:
            raise UnknownName("citation key", key, entries, "references.bib")
    return "\n\n".join(entries[key] for key in wanted)
