"""What a thing contributes to a figure: one class for each kind of result, found by type.

A result of one's own is drawn when a class that derives from `Drawing` is registered for it::

    drawing.register(MyResult, MyDrawing)
"""

from __future__ import annotations

from functools import singledispatch
from typing import TYPE_CHECKING, Any

from replica.declarations.formula import Formula
from replica.errors import DeclarationError
from replica.figures.axes import Frame

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Drawing", "drawing"]


class Drawing:
    """How one thing is drawn.

    Attributes
    ----------
    rank : tuple of int
        The thing of smallest rank decides what the axes show, and the others are drawn after it.
    """

    rank: tuple[int, ...] = (99,)

    @property
    def formula(self) -> Formula | None:
        """The formula that tells what names mean, where there is one."""
        return None

    @property
    def known(self) -> tuple[str, ...]:
        """The quantities that can be asked of it; none where nothing can be."""
        return ()

    @property
    def place(self) -> str:
        """Where these quantities are, for a message."""
        return ""

    def frame(self, names: tuple[str, ...], kind: str) -> Frame:
        """Return the axes that it asks for when it leads."""
        raise NotImplementedError

    def shown(self, frame: Frame, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return the quantities that it shows upwards, where the axes are not those of a map."""
        return ()

    def draw(self, axes: Axes, frame: Frame, names: tuple[str, ...], label: str | None) -> None:
        """Draw it."""
        raise NotImplementedError


@singledispatch
def drawing(thing: Any) -> Drawing:
    """Return how a thing is drawn.

    Raises
    ------
    DeclarationError
        For a thing that cannot be.
    """
    raise DeclarationError(
        f"cannot draw a {type(thing).__name__}: plot takes formulas, sweeps, thresholds, "
        f"experiments and published values"
    )
