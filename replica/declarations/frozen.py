"""Mappings that cannot change, of which declarations are made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

__all__ = ["FrozenMapping", "freeze"]


class FrozenMapping(Mapping[Any, Any]):
    """An immutable, hashable, picklable mapping that keeps its order."""

    __slots__ = ("_items",)
    _items: dict[Any, Any]

    def __init__(self, items: Mapping[Any, Any] | None = None) -> None:
        object.__setattr__(self, "_items", dict(items or {}))

    def __getitem__(self, key: Any) -> Any:
        return self._items[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __setattr__(self, name: str, value: object) -> None:
        raise TypeError("a formula is frozen: use dataclasses.replace")

    def __hash__(self) -> int:
        return hash(frozenset(self._items.items()))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Mapping):
            return self._items == dict(other)
        return NotImplemented

    def __repr__(self) -> str:
        return repr(self._items)

    def __reduce__(self) -> tuple[Any, ...]:
        return FrozenMapping, (self._items,)


def freeze(instance: Any) -> None:
    """Make the mappings and lists among the fields of a declaration immutable."""
    for item in fields(instance):
        value = getattr(instance, item.name)
        if isinstance(value, Mapping) and not isinstance(value, FrozenMapping):
            object.__setattr__(instance, item.name, FrozenMapping(value))
        elif isinstance(value, list):
            object.__setattr__(instance, item.name, tuple(value))
