"""Blocks by name: those of this package, then those of installed packages.

A package adds blocks by the entry point group ``replica.blocks``, whose value is a block, or a
module with a tuple ``BLOCKS`` of them. Each joins the mapping of its kind (``type(block).shipped``)
under its name, and is then a choice of every family that takes this kind, in Python and at the
shell. A plugin that fails warns with its name and does not break the rest.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from replica.errors import DeclarationError, looked_up
from replica.plugins import load_plugins

__all__ = ["Shipped"]

B = TypeVar("B")


class Shipped(Mapping[str, B]):
    """The blocks of one kind by name; what has no such name is refused with the near names.

    Parameters
    ----------
    kind : str
        For messages, such as ``"prior"``.
    home : str
        The module of this package whose tuple ``BLOCKS`` holds them, among others. It is imported
        when a name is first asked for.

    Raises
    ------
    UnknownName
        For a name that no block has.

    Examples
    --------
    >>> from replica.blocks.priors import Prior
    >>> Prior.shipped["gauss-bernoulli"].second_moment
    density
    >>> Prior.shipped["gausian"]
    Traceback (most recent call last):
    ...
    replica.errors.UnknownName: unknown prior: 'gausian'; did you mean gaussian? Known: ...
    """

    _plugins_loaded = False

    def __init__(self, kind: str, home: str) -> None:
        self.kind, self._home = kind, home
        self._blocks: dict[str, B] = {}
        self._origins: dict[str, str] = {}

    def __getitem__(self, name: str) -> B:
        return looked_up(self.kind, name, self._known())

    def __iter__(self) -> Iterator[str]:
        return iter(self._known())

    def __len__(self) -> int:
        return len(self._known())

    def __repr__(self) -> str:
        return f"<Shipped {self.kind}: {', '.join(self)}>"

    def _known(self) -> dict[str, B]:
        self._load_own()
        if not Shipped._plugins_loaded:
            Shipped._plugins_loaded = True  # first, since a plugin may look blocks up
            load_plugins("block", "replica.blocks", "BLOCKS", _add)
        return self._blocks

    def _load_own(self) -> None:
        if not self._blocks:
            for block in importlib.import_module(self._home).BLOCKS:
                if type(block).shipped is self:
                    self._put(block, "replica")

    def _put(self, block: Any, origin: str) -> None:
        if block.name in self._blocks:
            raise DeclarationError(
                f"{origin}: the {self.kind} {block.name!r} is taken by {self._origins[block.name]}"
            )
        self._blocks[block.name], self._origins[block.name] = block, origin


def _add(found: Iterable[Any], origin: str) -> None:
    """Take the blocks of an installed package in, each into the mapping of its kind."""
    for block in found:
        shipped = getattr(type(block), "shipped", None)
        if not isinstance(shipped, Shipped):
            raise DeclarationError(f"{origin}: {block!r} is no block")
        shipped._load_own()
        shipped._put(block, origin)
