"""Experiments, thresholds and published values in a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from replica.declarations.family import Family
from replica.declarations.formula import Formula
from replica.declarations.published import Published
from replica.errors import DeclarationError
from replica.experiments.result import Experiment
from replica.figures.axes import Frame, axes_text, determined, outline, place
from replica.figures.drawing import Drawing, drawing
from replica.figures.style import (
    EXPERIMENT,
    EXPERIMENT_POINTS,
    PUBLISHED,
    PUBLISHED_MARKERS,
    THRESHOLD,
    UNSTABLE_THRESHOLD,
)
from replica.figures.words import UNSTABLE_LABEL, elsewhere, formula_words, latex_name
from replica.references import citation
from replica.registry import formulas
from replica.solvers.solution import ThresholdResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ExperimentDrawing", "PublishedDrawing", "ThresholdDrawing"]

_ABOVE_AXIS = 0.025  # of the axes' height: half a marker


class ExperimentDrawing(Drawing):
    """An experiment: points with their standard errors."""

    rank = (1, 0)

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment

    @property
    def formula(self) -> Formula | None:
        """The formula of the experiment, if the registry has it."""
        name = self.experiment.formula
        found = formulas[name] if name in formulas else None
        return found(**self.experiment.options) if isinstance(found, Family) else found

    @property
    def known(self) -> tuple[str, ...]:
        """What was measured."""
        return tuple(self.experiment.observables)

    @property
    def place(self) -> str:
        """Where it was measured, for a message."""
        return f"the experiment on {self.experiment.formula}"

    def frame(self, names: tuple[str, ...], kind: str) -> Frame:
        """Return axes along n/p, or along its control where one number was measured."""
        scalar = bool(names) and np.ndim(self.experiment[names[0]]) == 0
        return Frame(next(iter(self.experiment.controls), "alpha") if scalar else "alpha")

    def shown(self, frame: Frame, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return the one quantity that fits the axes."""
        return (self._quantity(frame, names),)

    def _quantity(self, frame: Frame, names: tuple[str, ...]) -> str:
        curve = frame.x == "alpha"
        measured = {} if frame.rows else self.experiment.observables
        fitting = [name for name, value in measured.items() if bool(np.ndim(value)) == curve]
        for name in (*names, *frame.quantities):
            if name in fitting:
                return name
        if not fitting or (curve and frame.quantities):
            raise DeclarationError(
                f"{self.place} measures {', '.join(self.known)}, which does not fit axes of "
                f"{axes_text(frame)}"
            )
        return fitting[0]

    def draw(self, axes: Axes, frame: Frame, names: tuple[str, ...], label: str | None) -> None:
        """Draw the points, the next marker for each experiment."""
        experiment = self.experiment
        name = self._quantity(frame, names)
        style = EXPERIMENT[frame.experiments % len(EXPERIMENT)]
        frame.experiments += 1
        if frame.x == "alpha":
            x = experiment.alpha
        elif frame.x in experiment.controls:
            x = np.array([float(experiment.controls[frame.x])])
        else:
            raise DeclarationError(f"{self.place} has no control {frame.x} to place it by")
        y = np.atleast_1d(np.asarray(experiment.observables[name], dtype=float))
        bars = np.atleast_1d(np.asarray(experiment.errors[name], dtype=float))
        seen = np.isfinite(y)
        parts = [formula_words(experiment.formula)] if len(frame.formulas) > 1 else []
        parts += [f"$p = {experiment.p}$", f"{experiment.instances} instances"]
        parts += elsewhere(experiment.controls, frame)
        axes.errorbar(
            x[seen],
            y[seen],
            yerr=np.nan_to_num(bars[seen]),  # the error of a single instance is not known
            label=label or ", ".join(parts),
            **EXPERIMENT_POINTS,
            **style,
        )


class ThresholdDrawing(Drawing):
    """A threshold: a dotted line with name and value, a point where it determines both."""

    rank = (2, 0)

    def __init__(self, result: ThresholdResult) -> None:
        self.result = result

    @property
    def formula(self) -> Formula:
        """The formula of the threshold."""
        return self.result.formula

    def frame(self, names: tuple[str, ...], kind: str) -> Frame:
        """Return axes along the control whose value it is."""
        return Frame(determined(self.result.name, [self.formula]))

    def draw(self, axes: Axes, frame: Frame, names: tuple[str, ...], label: str | None) -> None:
        """Draw the line or the point; a threshold that does not exist is said in the legend."""
        result, symbol = self.result, latex_name(self.result.name)
        unstable = result.validity == "rs-unstable"
        style = UNSTABLE_THRESHOLD if unstable else THRESHOLD
        if not np.isfinite(result.value):
            axes.plot([], [], label=label or f"${symbol}$: none", **style)
            return
        parts = [f"${symbol} = {result.value:.5g}$", *elsewhere(result.controls, frame)]
        text = label or ", ".join([*parts, *([UNSTABLE_LABEL] * unstable)])
        x, y = place(frame, result.name, result.value, result.controls, [result.formula])
        if x is not None and y is not None:
            (point,) = axes.plot([x], [y], "o", color=style["color"], markersize=6, label=text)
            outline(point)
        elif x is not None:
            axes.axvline(x, label=f"_{result.name}", **style)
            _write_along(axes, text, x, vertical=True)
        elif y is not None:
            axes.axhline(y, label=f"_{result.name}", **style)
            _write_along(axes, text, y, vertical=False)


def _write_along(axes: Axes, text: str, value: float, vertical: bool) -> None:
    along: dict[str, Any] = {"ha": "right", "va": "top", "textcoords": "offset points"}
    along["bbox"] = {"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.5}
    along["fontsize"] = "small"
    if vertical:
        axes.annotate(
            text, (value, 1), (-3, -4), xycoords=("data", "axes fraction"), rotation=90, **along
        )
    else:
        axes.annotate(text, (1, value), (-4, -3), xycoords=("axes fraction", "data"), **along)


class PublishedDrawing(Drawing):
    """A published value: a star with its tolerance and citation."""

    rank = (3, 0)

    def __init__(self, published: Published) -> None:
        self.published = published

    def frame(self, names: tuple[str, ...], kind: str) -> Frame:
        """Return axes along its control, or along the one whose value it is."""
        published = self.published
        return Frame(str(next(iter(published.at), determined(published.quantity, []))))

    def shown(self, frame: Frame, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return its quantity, where nothing else is shown along its control."""
        published = self.published
        alone = not frame.quantities and frame.x in published.at
        return (published.quantity,) if alone else ()

    def draw(self, axes: Axes, frame: Frame, names: tuple[str, ...], label: str | None) -> None:
        """Draw the value with its tolerance; a bound points to the allowed side."""
        published = self.published
        x, y = place(frame, published.quantity, published.value, published.at, frame.formulas)
        upwards = y is not None and published.value == y
        bars: dict[str, Any] = {("yerr" if upwards else "xerr"): published.tol or None}
        if y is None:
            # No ordinate was published: the point stands on the axis of its control.
            y = _ABOVE_AXIS
            bars["transform"] = axes.get_xaxis_transform()
        elif x is None:
            x = _ABOVE_AXIS
            bars["transform"] = axes.get_yaxis_transform()
        if published.relation == "=":
            marker = PUBLISHED_MARKERS[frame.citations % len(PUBLISHED_MARKERS)]
            frame.citations += 1
        else:
            # A bound points to where the quantity may be.
            marker = {"<": "v" if upwards else "<", ">": "^" if upwards else ">"}[
                published.relation
            ]
        axes.errorbar(
            [cast(float, x)],
            [y],
            label=label or self._label(frame),
            marker=marker,
            fillstyle="none" if published.disputed else "full",
            **bars,
            **PUBLISHED,
        )

    def _label(self, frame: Frame) -> str:
        published = self.published
        name = latex_name(published.quantity)
        parts = [f"${name} {published.relation} {published.value:g}$"]
        parts += elsewhere(published.at, frame)
        if published.cite:
            parts.append(citation(published.cite))
        if published.disputed:
            parts.append("disputed")
        return ", ".join(parts)


drawing.register(Experiment, ExperimentDrawing)
drawing.register(ThresholdResult, ThresholdDrawing)
drawing.register(Published, PublishedDrawing)
