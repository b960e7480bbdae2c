"""What the axes of a figure show, and where on them a value has its place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

from replica.declarations.formula import Formula
from replica.declarations.threshold import named_after
from replica.errors import DeclarationError, MissingExtra
from replica.figures.style import THEORY, ZERO

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "FRAMES",
    "Frame",
    "axes_text",
    "common_control",
    "determined",
    "discard",
    "new_axes",
    "once",
    "outline",
    "place",
    "require_matplotlib",
    "zero_line",
]


@dataclass
class Frame:
    """What the axes show, kept from call to call: names, and how many styles are taken."""

    x: str
    rows: str = ""  # the control upwards, in a map
    quantities: list[str] = field(default_factory=list)  # upwards otherwise
    lines: list[int] = field(default_factory=list)  # which of THEORY
    experiments: int = 0
    citations: int = 0
    formulas: list[Formula] = field(default_factory=list)
    fixed: dict[str, float] = field(default_factory=dict)  # controls of the first sweep
    title: str = ""
    phases: dict[str, dict[str, Any]] | None = None  # those that are shown, once they are

    def line_style(self, preferred: int | None = None) -> dict[str, Any]:
        """Return the preferred style of a line, or the first that is free, and take it."""
        wanted = [] if preferred is None else [preferred]
        free = [k for k in (*wanted, *range(len(THEORY))) if k not in self.lines]
        self.lines.append(free[0] if free else len(self.lines) % len(THEORY))
        return THEORY[self.lines[-1] % len(THEORY)]


FRAMES: WeakKeyDictionary[Axes, Frame] = WeakKeyDictionary()


# ---- the axes of matplotlib ----------------------------------------------------------------------


def require_matplotlib() -> None:
    """Load matplotlib; MissingExtra says what to install where it is not there."""
    try:
        import matplotlib.pyplot  # noqa: F401 -- loaded here, so that one message covers all uses
    except ImportError:
        raise MissingExtra("plotting", "plot") from None


def new_axes() -> Axes:
    """Return the axes of a new figure."""
    from matplotlib import pyplot

    return pyplot.subplots(layout="constrained")[1]


def discard(axes: Axes) -> None:
    """Forget the figure of these axes."""
    from matplotlib import pyplot

    pyplot.close(cast("Figure", axes.figure))


def once(axes: Axes, label: str) -> str:
    """Return the label, hidden when the legend has it already."""
    return "_" + label if label in axes.get_legend_handles_labels()[1] else label


def zero_line(axes: Axes) -> None:
    """Mark where the quantity is zero, once."""
    if all(line.get_label() != "_zero" for line in axes.lines):
        axes.axhline(0, label="_zero", **ZERO)


def outline(line: Any) -> None:
    """Give a line a white edge, so that it shows on the dark end of a map as well."""
    from matplotlib import patheffects

    line.set_path_effects([patheffects.withStroke(linewidth=4, foreground="white", alpha=0.8)])


# ---- places --------------------------------------------------------------------------------------


def determined(name: str, candidates: Iterable[Formula]) -> str:
    """Return the control whose value a threshold is."""
    for formula in candidates:
        if name in formula.thresholds:
            return formula.value_of(name)
    return named_after(name)


def common_control(frame: Frame) -> str:
    """Return the control that all quantities are thresholds in, empty if there is none."""
    if not _thresholds(frame).issuperset(frame.quantities):
        return ""
    controls = {determined(name, frame.formulas) for name in frame.quantities}
    return controls.pop() if len(controls) == 1 else ""


def _thresholds(frame: Frame) -> set[str]:
    return {name for formula in frame.formulas for name in formula.thresholds}


def place(
    frame: Frame, name: str, value: float, at: Mapping[str, Any], candidates: Iterable[Formula]
) -> tuple[float | None, float | None]:
    """Return abscissa and ordinate of a value, None for what it does not determine."""
    control = determined(name, candidates)
    known = {**{str(key): float(number) for key, number in at.items()}, control: value}
    rows = frame.rows
    if frame.quantities and frame.quantities[0] in _thresholds(frame):
        # The ordinate of a phase diagram is a control too.
        rows = determined(frame.quantities[0], frame.formulas)
    x: float | None
    y: float | None
    if rows:
        x, y = known.get(frame.x), known.get(rows)
        if y is None and control != frame.x:
            x = None
    elif name in frame.quantities:
        x, y = (float(at[frame.x]) if frame.x in at else None), value
    else:
        x, y = (value if control == frame.x else None), None
    if x is None and y is None:
        raise DeclarationError(f"cannot place {name} = {value:g} on {axes_text(frame)}")
    return x, y


def axes_text(frame: Frame) -> str:
    """Return the axes in words, for a message."""
    upwards = frame.rows or ", ".join(frame.quantities) or "nothing"
    return f"axes of {upwards} against {frame.x}"
