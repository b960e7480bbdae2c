"""What installed packages add: formulas and blocks, found through entry points."""

from __future__ import annotations

import importlib.metadata
import warnings
from collections.abc import Callable, Iterable
from typing import Any

__all__ = ["load_plugins"]


def load_plugins(
    kind: str, group: str, attribute: str, add: Callable[[Iterable[Any], str], None]
) -> None:
    """Give what the entry points of a group hold to `add`; a plugin that fails warns.

    Parameters
    ----------
    kind : str
        For the warning, such as ``"formula"``.
    group : str
        Of entry points, whose values are an object, or a module with a tuple of them.
    attribute : str
        The name of that tuple in a module.
    add : callable
        Takes the objects of one entry point and the name of the package that holds them. What it
        raises is the fault of that plugin, and does not break the others.

    Examples
    --------
    >>> load_plugins("formula", "a group that nobody has", "FORMULAS", print)
    """
    for point in sorted(importlib.metadata.entry_points(group=group), key=lambda p: p.name):
        try:
            loaded = point.load()
            found = getattr(loaded, attribute, loaded)
            add(
                found if isinstance(found, (tuple, list)) else (found,),
                point.value.split(":")[0].split(".")[0],
            )
        except Exception as error:  # a foreign package may fail in any way
            warnings.warn(
                f"{kind} plugin {point.name!r} ({point.value}) was not loaded: {error}",
                RuntimeWarning,
                stacklevel=2,
            )
