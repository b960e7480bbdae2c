"""Figures: `plot` draws results on one pair of axes, `save` writes them to a file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import replica.figures.results  # noqa: F401 -- registers how experiments and such are drawn
from replica.declarations.family import Family
from replica.declarations.formula import Formula
from replica.errors import ControlError, DeclarationError, UnknownName
from replica.figures.axes import (
    FRAMES,
    Frame,
    common_control,
    discard,
    new_axes,
    require_matplotlib,
)
from replica.figures.drawing import Drawing, drawing
from replica.figures.sweeps import chosen, first_observable
from replica.figures.words import UNSTABLE_LABEL, control_label, quantity_label, short_label
from replica.files import whole_file
from replica.grids.run import sweep
from replica.registry import formulas
from replica.solvers.thresholds.verb import threshold

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot", "save"]

_SUFFIXES = (".pdf", ".png", ".svg")


def plot(
    *things: Any,
    quantity: str | Sequence[str] | None = None,
    kind: str = "auto",
    label: str | None = None,
    xlabel: str | None = None,
    ylabel: str | None = None,
    title: str | None = None,
    ax: Axes | None = None,
    **options_and_controls: Any,
) -> Axes:
    r"""Draw results on one pair of axes.

    * `Sweep` along one control: a line, interrupted where a point failed, grey and dashed where
      the replica-symmetric saddle is unstable. Along two controls: a map, or a line for each
      value of the shorter one.
    * `Formula`, `Family`: the same, of the sweep over the controls given here.
    * Several thresholds along one control: the phase diagram, a line for each as far as it exists,
      and the phases that they part: impossible, hard and easy where they tell, or a formula's own.
    * `ThresholdResult`: a dotted vertical with name and value; a point in a phase diagram.
    * `Experiment`: points with their standard errors.
    * `Published`: a star with its tolerance and citation; bounds point to the allowed side.

    Parameters
    ----------
    *things : Sweep, Formula, Family, ThresholdResult, Experiment, Published, or lists of them
        The first sweep (else the first experiment, ...) decides what the axes are. Texts are
        names of quantities.
    quantity : str or sequence of str, optional
        Observables, overlaps or thresholds to draw; by default the thresholds of the sweep, or the
        first observable that the formula declares. Of several formulas or sweeps, each draws those
        that it has.
    kind : {"auto", "lines", "map"}
        How to draw a sweep along two controls; lines by default as long as line styles last.
    label : str, optional
        Legend entry, when one thing is drawn.
    xlabel, ylabel, title : str, optional
        Instead of the text from the symbols of the formula.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; a second call with the same axes adds to the figure.
    **options_and_controls
        For formulas and families, passed to `sweep`.

    Returns
    -------
    matplotlib.axes.Axes
        Nothing is shown or saved.

    Raises
    ------
    MissingExtra
        Without matplotlib.
    DeclarationError
        For a thing that cannot be drawn, or not on these axes.
    UnknownName
        For a quantity that the thing does not have.

    Examples
    --------
    >>> import replica as rp
    >>> binary = rp.formulas["binary-perceptron"]
    >>> axes = rp.plot(binary, rp.threshold(binary, "alpha_G"), alpha=[0.2, 0.5, 0.8])
    >>> axes.get_xlabel(), axes.get_ylabel()
    ('patterns per weight, $\\alpha = n/p$', 'entropy per weight (nats)')

    The noise at which learning the weights of a teacher is no longer hard:

    >>> glm, lines = rp.formulas["bayes-optimal-glm"], ["alpha_IT", "alpha_AMP"]
    >>> axes = rp.plot(glm, lines, Delta=[0, 0.006, 0.012])
    >>> [text.get_text() for text in axes.get_legend().get_texts()][2:]
    ['easy', 'hard', 'impossible']
    """
    require_matplotlib()
    if kind not in ("auto", "lines", "map"):
        raise UnknownName("kind", kind, ("auto", "lines", "map"), "plot")
    given = list(_flat(things))
    names = _asked([thing for thing in given if isinstance(thing, str)], quantity)
    given = [thing for thing in given if not isinstance(thing, str)]
    if not given:
        raise DeclarationError("nothing to draw: give plot a sweep, a formula or a result")
    _check(given, names, options_and_controls)
    drawn = [ready for thing in given for ready in _ready(thing, names, options_and_controls)]
    if options_and_controls and not any(isinstance(t, (Formula, Family)) for t in given):
        keys = ", ".join(options_and_controls)
        raise DeclarationError(f"plot takes {keys} only together with a formula to sweep")
    if label is not None and len(drawn) > 1:
        raise DeclarationError(
            f"one label for {len(drawn)} things: call plot once for each, with the same ax"
        )
    # Maps, then lines first: they fix the axes on which the rest is placed.
    drawn.sort(key=lambda thing: thing.rank)
    known = None if ax is None else FRAMES.get(ax)
    frame = known or drawn[0].frame(names, kind)
    for thing in drawn:
        _remember(frame, thing, names)
    axes = ax if ax is not None else new_axes()
    try:
        for thing in drawn:
            thing.draw(axes, frame, names, label)
    except BaseException:
        if ax is None:
            discard(axes)
        raise
    FRAMES[axes] = frame
    _finish(axes, frame, xlabel, ylabel, title)
    return axes


def save(drawing: Axes | Figure, path: str | os.PathLike[str]) -> Path:
    """Write a figure to a file, whole or not at all.

    Parameters
    ----------
    drawing : Axes or Figure
        As `plot` returns it.
    path : str or path
        Ending in .pdf, .png or .svg.

    Returns
    -------
    Path

    Raises
    ------
    ControlError
        For another ending, or where no file can be written.
    """
    target = Path(path)
    if target.suffix.lower() not in _SUFFIXES:
        raise ControlError(
            f"plot: cannot write {target.name!r}: let the name end in {', '.join(_SUFFIXES)}"
        )
    figure: Any = getattr(drawing, "figure", None) or drawing
    with whole_file(target) as temporary:
        figure.savefig(temporary, format=target.suffix.lower()[1:], dpi=150)
    return target


# ---- reading what is to be drawn -----------------------------------------------------------------


def _flat(things: Any) -> Iterator[Any]:
    for thing in things:
        if isinstance(thing, (list, tuple)):
            yield from _flat(thing)
        else:
            yield thing


def _asked(texts: Sequence[str], quantity: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return the names of the quantities to draw, none where the things decide."""
    for text in texts:
        if text in formulas:
            raise DeclarationError(f"cannot draw a str: write rp.formulas[{text!r}]")
    if quantity is None:
        return tuple(dict.fromkeys(texts))
    if texts:
        raise DeclarationError(f"quantities are given twice, as {texts[0]!r} and as quantity=")
    names = (quantity,) if isinstance(quantity, str) else quantity
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise DeclarationError(f"quantity must be a name or a list of names, not {quantity!r:.60}")
    if not names:
        raise DeclarationError("no quantity to draw: name one, or leave quantity= out")
    return tuple(dict.fromkeys(names))


def _check(things: Iterable[Any], names: Iterable[str], given: Mapping[str, Any]) -> None:
    """Refuse, before anything is computed, a name that none of the things has."""
    known: list[str] = []
    places: list[str] = []
    for thing in things:
        if isinstance(thing, (Formula, Family)):
            formula, _ = thing.resolve(given)
            found, where = _quantities(formula), formula.name
        else:
            drawn = drawing(thing)
            found, where = drawn.known, drawn.place
        known += found
        places += [where] if where else []
    for name in names:
        if known and name not in known:
            raise UnknownName("quantity", name, set(known), " and ".join(dict.fromkeys(places)))


def _quantities(formula: Formula) -> tuple[str, ...]:
    return (*formula.thresholds, *map(str, formula.unknowns), *formula.observables)


def _ready(thing: Any, names: tuple[str, ...], given: Mapping[str, Any]) -> list[Drawing]:
    """Return sweep and thresholds of a formula, everything else that can be drawn as it is."""
    if not isinstance(thing, (Formula, Family)):
        return [drawing(thing)]
    formula, controls = thing.resolve(given)
    asked = chosen(names, _quantities(formula), first_observable(formula))
    flat = [name for name in asked if _is_flat(formula, name, controls)]
    if len(flat) == len(asked):
        return [drawing(sweep(thing, asked, **given))]
    fixed = {key: value for key, value in controls.items() if not _varies(value)}
    found: list[Any] = [sweep(thing, [name for name in asked if name not in flat], **given)]
    for name in flat:
        unused = formula.determined(name)
        needed = {key: value for key, value in fixed.items() if key not in unused}
        found.append(threshold(formula, name, check=False, **needed))
    return [drawing(result) for result in found]


def _is_flat(formula: Formula, name: str, controls: Mapping[str, Any]) -> bool:
    """Return whether a threshold is one value, whatever the controls that vary."""
    if name not in formula.thresholds:
        return False
    varied = {key for key, value in controls.items() if _varies(value)}
    same = formula.thresholds[name].one_value_along(name, formula.controls)
    return bool(varied) and varied <= same


def _varies(value: Any) -> bool:
    return isinstance(value, (list, tuple, range)) or bool(np.ndim(value))


def _remember(frame: Frame, thing: Drawing, names: tuple[str, ...]) -> None:
    """Note the formula of a thing, and the quantities that it shows upwards if it does."""
    formula = thing.formula
    if formula is not None and formula not in frame.formulas:
        frame.formulas.append(formula)
    if not frame.rows:
        shown = thing.shown(frame, names)
        frame.quantities += [name for name in shown if name not in frame.quantities]


# ---- words around the axes -----------------------------------------------------------------------


def _finish(
    axes: Axes, frame: Frame, xlabel: str | None, ylabel: str | None, title: str | None
) -> None:
    axes.set_xlabel(xlabel or control_label(frame.x, frame))
    if ylabel:
        axes.set_ylabel(ylabel)
    elif frame.rows:
        axes.set_ylabel(control_label(frame.rows, frame))
    elif len(frame.quantities) == 1:
        axes.set_ylabel(quantity_label(frame.quantities[0], frame))
    elif frame.quantities and (control := common_control(frame)):
        axes.set_ylabel(control_label(control, frame))
    elif frame.quantities:
        axes.set_ylabel(", ".join(short_label(name) for name in frame.quantities))
    else:
        axes.set_yticks([])  # only thresholds: the height means nothing
    if title or (frame.title and not axes.get_title()):
        axes.set_title(title or frame.title, fontsize=None if title else "medium")
    handles, labels = axes.get_legend_handles_labels()
    if labels:
        order = {UNSTABLE_LABEL: 1, **dict.fromkeys(frame.phases or (), 2)}
        last = sorted(range(len(labels)), key=lambda k: order.get(labels[k], 0))
        axes.legend(
            [handles[k] for k in last],
            [labels[k] for k in last],
            fontsize="small",
            handlelength=3.4,
        )
