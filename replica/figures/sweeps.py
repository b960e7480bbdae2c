"""A sweep in a figure: lines along one control, a map along two, the phases between thresholds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from replica.declarations.formula import Formula
from replica.declarations.threshold import Phases
from replica.errors import DeclarationError, UnknownName
from replica.figures.axes import Frame, axes_text, determined, once, outline, zero_line
from replica.figures.drawing import Drawing, drawing
from replica.figures.style import (
    MAP,
    NO_VALUE,
    THEORY,
    THRESHOLD,
    UNSTABLE,
    UNSTABLE_MAP,
    phase_styles,
)
from replica.figures.words import (
    FAILED_LABEL,
    NO_SADDLE_LABEL,
    UNSTABLE_LABEL,
    at_text,
    formula_words,
    latex_name,
    quantity_label,
    short_label,
)
from replica.grids.grid import Sweep
from replica.solvers.solution import Status

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["SweepDrawing", "chosen", "first_observable"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

_HEADROOM = 1.15  # of the highest threshold: what is above it is a phase too
_FAR_ABOVE = 20


def chosen(names: tuple[str, ...], known: Iterable[str], default: str) -> tuple[str, ...]:
    """Return those of the names that are known, or the default where no name is given.

    Where none is known, all are returned: the caller complains of them.

    Examples
    --------
    >>> chosen(("alpha_IT", "entropy"), ["entropy", "q"], "q"), chosen((), ["q"], "q")
    (('entropy',), ('q',))
    """
    return tuple(name for name in names if name in known) or names or (default,)


def first_observable(formula: Formula) -> str:
    """Return the observable that a formula shows where none is asked for."""
    return next((name for name in formula.observables if name != "potential"), "potential")


class SweepDrawing(Drawing):
    """A sweep: a line for each quantity, or a map of one."""

    def __init__(self, grid: Sweep) -> None:
        self.grid = grid
        self.rank = (0, -len(grid.dims))

    @property
    def formula(self) -> Formula:
        """The formula of the sweep."""
        return self.grid.formula

    @property
    def known(self) -> tuple[str, ...]:
        """The columns of the sweep."""
        return tuple(self.grid.data)

    @property
    def place(self) -> str:
        """Where these columns are, for a message."""
        return f"the sweep of {self.formula.name}"

    @property
    def dims(self) -> list[str]:
        """The controls that vary, one or two."""
        dims = list(self.grid.dims)
        if len(dims) not in (1, 2):
            raise DeclarationError(
                f"{self.formula.name}: cannot draw a sweep along {len(dims)} controls "
                f"({', '.join(dims) or 'none'}); sweep one or two"
            )
        return dims

    def frame(self, names: tuple[str, ...], kind: str) -> Frame:
        """Return the axes of its map, or of its longer control."""
        dims = self.dims
        fixed = dict(self.grid.attrs.get("controls", {}))
        if self._as_map(kind):
            if len(shown := self._quantities(names)) > 1:
                raise DeclarationError(
                    f"{self.formula.name}: a map shows one quantity, not {', '.join(shown)}; "
                    f"choose one, or kind='lines'"
                )
            return Frame(dims[0], rows=dims[1], fixed=fixed)
        return Frame(max(dims, key=lambda name: self.grid.coords[name].size), fixed=fixed)

    def _as_map(self, kind: str) -> bool:
        dims = self.dims
        shortest = min(self.grid.coords[name].size for name in dims)
        if kind == "map" and (len(dims) == 1 or shortest < 2):
            raise DeclarationError(
                f"{self.formula.name}: a map needs two controls with two values or more"
            )
        return len(dims) == 2 and (kind == "map" or (kind == "auto" and shortest > len(THEORY)))

    def shown(self, frame: Frame, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return the quantities asked for, or its thresholds, or its first observable."""
        return self._quantities(names)

    def _quantities(self, names: tuple[str, ...]) -> tuple[str, ...]:
        data = self.grid.data
        if names:
            found = chosen(names, data, "")
            if found[0] not in data:
                raise UnknownName("quantity", found[0], data, self.place)
            return found
        swept = tuple(name for name in data if name in self.formula.thresholds)
        if swept:
            return swept if len(self.grid.dims) == 1 else swept[:1]
        favourite = first_observable(self.formula)
        return (favourite if favourite in data else next(iter(data)),)

    def draw(self, axes: Axes, frame: Frame, names: tuple[str, ...], label: str | None) -> None:
        """Draw lines, a map, or in a map the line of a threshold."""
        shown = self._quantities(names)
        for name in shown:
            if not frame.rows:
                self._draw_lines(axes, frame, name, label, several=len(shown) > 1)
            elif len(self.grid.dims) == 2:
                self._draw_map(axes, frame, name, label)
            else:
                self._draw_boundary(axes, frame, name, label)
        if len(shown) > 1 and len(self.grid.dims) == 1 and not frame.rows:
            self._draw_phases(axes, frame, shown)

    def _values(self, name: str) -> FloatArray:
        """Return the values, NaN where the point failed."""
        found = np.asarray(self.grid.data[name], dtype=float)
        if sum(other in self.formula.thresholds for other in self.grid.data) > 1:
            return found  # the status is the worst of several thresholds; each has its own NaN
        return np.where(self.grid.converged, found, np.nan)

    # ---- lines ----------------------------------------------------------------------------------

    def _draw_lines(
        self, axes: Axes, frame: Frame, name: str, label: str | None, several: bool
    ) -> None:
        grid, dims = self.grid, self.dims
        if frame.x not in dims:
            raise DeclarationError(
                f"{self.formula.name}: the sweep is along {' and '.join(dims)}, the axes show "
                f"{frame.x}"
            )
        across = dims.index(frame.x)
        x = np.asarray(grid.coords[frame.x], dtype=float)
        order = np.argsort(x, kind="stable")
        values = np.moveaxis(self._values(name), across, -1)[..., order]
        unstable = np.moveaxis(~grid.exact_at(name), across, -1)[..., order]
        text = label or self._line_label(frame, name)
        if several:
            symbol = short_label(name)
            if label is not None:
                text = f"{label}, {symbol}"
            elif grid.formula == frame.formulas[0]:
                shared = self._line_label(frame, "")
                if frame.title in ("", shared):  # said once, above the figure
                    frame.title, text = shared, symbol
        if len(dims) == 1:
            if name in self.formula.thresholds and not np.isfinite(values).any():
                text = f"{text}: none"
            self._draw_line(axes, frame, name, x[order], values, unstable, text)
            return
        other = dims[1 - across]
        for member, row, flags in zip(grid.coords[other], values, unstable, strict=True):
            member_text = at_text(other, member, frame)
            if label is not None or len(frame.formulas) > 1 or len(frame.quantities) > 1:
                member_text = f"{text}, {member_text}"
            self._draw_line(axes, frame, name, x[order], row, flags, member_text)

    def _line_label(self, frame: Frame, name: str) -> str:
        parts = [formula_words(self.formula.name)]
        parts += [f"{option} = {value}" for option, value in self.formula.options.items()]
        fixed = self.grid.attrs.get("controls", {})
        parts += [at_text(key, value, frame) for key, value in fixed.items()]
        if name and len(frame.quantities) > 1:
            parts.append(short_label(name))
        return ", ".join(parts)

    def _draw_line(
        self,
        axes: Axes,
        frame: Frame,
        name: str,
        x: FloatArray,
        y: FloatArray,
        unstable: BoolArray,
        label: str,
    ) -> None:
        declared = self.formula.thresholds.get(name)
        style = frame.line_style(None if declared is None else declared.line)
        finite = np.isfinite(y)
        stable = finite & ~unstable
        if stable.any() or not finite.any():
            axes.plot(x, np.where(stable, y, np.nan), label=label, **style)
            label = UNSTABLE_LABEL
        else:
            label = f"{label} ({UNSTABLE_LABEL})"
        broken = finite & unstable
        if broken.any():
            # The dashes start at the last stable point, so that the curve has no gap there.
            beside = np.zeros_like(broken)
            beside[1:] |= broken[:-1]
            beside[:-1] |= broken[1:]
            shown = broken | (beside & finite)
            axes.plot(x, np.where(shown, y, np.nan), label=once(axes, label), **UNSTABLE)
        # A point between two failures has no neighbour to be joined with.
        alone = finite.copy()
        alone[1:] &= ~finite[:-1]
        alone[:-1] &= ~finite[1:]
        if alone.any():
            axes.plot(x[alone], y[alone], ".", color=style["color"], label="_alone")
        if finite.any() and np.nanmin(y) < 0 < np.nanmax(y):
            zero_line(axes)

    # ---- phases ---------------------------------------------------------------------------------

    def _draw_phases(self, axes: Axes, frame: Frame, names: Iterable[str]) -> None:
        """Fill what the lines of a phase diagram separate, where both sides are known."""
        x = np.asarray(self.grid.coords[frame.x], dtype=float)
        order = np.argsort(x, kind="stable")
        x = x[order]
        lines: list[tuple[Phases, FloatArray]] = []
        for name in names:
            declared = self.formula.thresholds.get(name)
            if declared is not None and declared.phases is not None:
                lines.append((declared.phases, self._values(name)[order]))
        if frame.phases is not None or not lines:
            return
        highest = max(np.max(y, where=np.isfinite(y), initial=0) for _, y in lines)
        axes.update_datalim([(x[0], 0), (x[-1], _HEADROOM * highest or 1)])
        parted = dict.fromkeys(name for sides, _ in lines for name in (*sides.below, *sides.above))
        frame.phases = phase_styles(parted)
        nothing, far = np.zeros_like(x), np.full_like(x, _FAR_ABOVE * highest)
        limits = axes.dataLim.frozen()
        for phase, style in frame.phases.items():
            edges = _edges(phase, lines, nothing, far)
            if edges is None:
                continue
            low, high = edges
            known = np.isfinite(low) & np.isfinite(high)
            known[known] = low[known] <= high[known]
            if not (known[1:] & known[:-1]).any() or not (low < high)[known].any():
                continue  # a single value has no area
            area = axes.fill_between(
                x, low, high, where=known.tolist(), label=phase, linewidth=0, zorder=0, **style
            )
            area.sticky_edges.x.extend((x[0], x[-1]))  # no white frame around the phases
            area.sticky_edges.y.append(0)
        axes.dataLim.set(limits)  # the uppermost phase has no end, the axes have

    # ---- maps -----------------------------------------------------------------------------------

    def _draw_map(self, axes: Axes, frame: Frame, name: str, label: str | None) -> None:
        grid, dims = self.grid, self.dims
        if sorted(dims) != sorted((frame.x, frame.rows)):
            raise DeclarationError(
                f"{self.formula.name}: the sweep is along {' and '.join(dims)}, the map shows "
                f"{frame.x} and {frame.rows}"
            )
        x, y = (np.asarray(grid.coords[n], dtype=float) for n in (frame.x, frame.rows))
        columns, rows = np.argsort(x, kind="stable"), np.argsort(y, kind="stable")
        values, unstable = self._values(name), ~grid.exact_at(name)
        if dims[0] == frame.x:
            values, unstable = values.T, unstable.T
        values, unstable = values[np.ix_(rows, columns)], unstable[np.ix_(rows, columns)]
        missing = ~np.isfinite(values)
        mesh = axes.pcolormesh(x[columns], y[rows], np.ma.masked_array(values, missing), **MAP)
        bar = axes.figure.colorbar(mesh, ax=axes)
        bar.set_label(label or quantity_label(name, frame))
        if missing.any():
            no_saddle = grid.status[~grid.converged] == Status.NO_SADDLE
            texts = [NO_SADDLE_LABEL] * bool(no_saddle.any())
            texts += [FAILED_LABEL] * (not no_saddle.all())
            axes.set_facecolor(NO_VALUE["facecolor"])
            text = once(axes, " or ".join(texts))
            axes.fill([], [], label=text, edgecolor="0.6", **NO_VALUE)
        broken = unstable & ~missing
        if broken.any():
            levels = [0.5, 1.5]
            axes.contourf(x[columns], y[rows], broken.astype(float), levels, **UNSTABLE_MAP)
            axes.fill([], [], label=once(axes, UNSTABLE_LABEL), fill=False, hatch="////")
        # What comes later adds no room: beyond the grid the background would look like "no saddle".
        axes.set(xlim=axes.get_xlim(), ylim=axes.get_ylim())

    def _draw_boundary(self, axes: Axes, frame: Frame, name: str, label: str | None) -> None:
        """Draw a threshold along one control as a dotted line in a map."""
        control = determined(name, [self.formula])
        along = self.dims[0]
        if name not in self.formula.thresholds or {along, control} != {frame.x, frame.rows}:
            raise DeclarationError(
                f"{self.formula.name}: {name} along {along} is no line on {axes_text(frame)}"
            )
        order = np.argsort(self.grid.coords[along], kind="stable")
        where = {along: self.grid.coords[along][order], control: self._values(name)[order]}
        lines = axes.plot(where[frame.x], where[frame.rows], label=label or f"${latex_name(name)}$")
        for line in lines:
            line.set(**THRESHOLD)
            outline(line)


def _edges(
    phase: str,
    lines: list[tuple[Phases, FloatArray]],
    nothing: FloatArray,
    far: FloatArray,
) -> tuple[FloatArray, FloatArray] | None:
    """Return where a phase begins and ends, None where the lines leave open which phase it is.

    Of the lines that bound it from one side only those count that tell most: they leave the fewest
    phases on its side.
    """
    above = _most_telling([(set(s.above), y) for s, y in lines if phase not in s.below])
    below = _most_telling([(set(s.below), y) for s, y in lines if phase not in s.above])
    bounds = [*above, *below]
    if not bounds or set.intersection(*(left for left, _ in bounds)) != {phase}:
        return None
    low = np.maximum.reduce([y for _, y in above]) if above else nothing
    high = np.minimum.reduce([y for _, y in below]) if below else far
    return low, high


def _most_telling(
    lines: list[tuple[set[str], FloatArray]],
) -> list[tuple[set[str], FloatArray]]:
    return [(left, y) for left, y in lines if not any(other < left for other, _ in lines)]


drawing.register(Sweep, SweepDrawing)
