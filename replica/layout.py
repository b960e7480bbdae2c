"""Text in a given width: paragraphs, labelled lines and columns."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable, Sequence

__all__ = ["columns", "filled", "labelled", "terminal_width"]


def terminal_width() -> int:
    """Return the columns to write in: those of the terminal, 80 when piped, 100 at most."""
    return max(40, min(shutil.get_terminal_size((80, 24)).columns, 100))


def filled(text: str, width: int, first: str = "  ", rest: str = "  ") -> str:
    """Return a paragraph whose first line and further lines are indented as given.

    Examples
    --------
    >>> print(filled("the overlap leaves zero", 16, "", "  "))
    the overlap
      leaves zero
    """
    return textwrap.fill(
        text or "-",
        width,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def labelled(label: str, text: str, width: int, indent: int = 2, label_width: int = 11) -> str:
    """Return a label and its text, which continues below itself.

    Examples
    --------
    >>> print(labelled("note", "an upper bound", 22))
      note        an upper
                  bound
    """
    first = " " * indent + (f"{label:{label_width}s} " if label_width else "")
    if len(first) > indent + label_width + 1:  # a long label has its own line
        rest = " " * (indent + label_width + 1)
        return first.rstrip() + "\n" + filled(text, width, rest, rest)
    return filled(text, width, first, " " * len(first))


def columns(
    rows: Sequence[Sequence[str]], right: Iterable[int] = (), indent: int = 2, gap: int = 2
) -> str:
    """Return aligned columns, each as wide as its widest cell; `right` are flush right.

    Examples
    --------
    >>> print(columns([["q", "0.5"], ["qhat", "1.25"]], right=[1], indent=0))
    q      0.5
    qhat  1.25
    """
    right = set(right)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if k in right else cell.ljust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append((" " * indent + (" " * gap).join(cells)).rstrip())
    return "\n".join(lines)
