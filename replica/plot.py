"""Figures of results: theory is a line, an experiment is points with bars, a threshold is dotted.

Colours mean the same thing in every figure and are told apart by the colour-blind; line styles
and markers say it again, so that a figure printed in black and white can be read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from sympy import Symbol, latex

from replica.declarations.control import Control, control_name
from replica.declarations.family import Family
from replica.declarations.formula import Formula
from replica.declarations.published import Published
from replica.declarations.threshold import Cusp, Limit
from replica.errors import ControlError, DeclarationError, MissingExtra, UnknownName
from replica.experiments.result import Experiment
from replica.output import whole_file
from replica.registry import bibliography, formulas
from replica.solvers.solution import Status, ThresholdResult
from replica.solvers.thresholds.verb import threshold
from replica.sweep import Sweep, sweep

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot", "save"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

# ---- the one table of colours, line styles and markers -------------------------------------------
# Colours of Okabe and Ito. Short dashes are kept for what is unstable, dots for thresholds.

THEORY: tuple[dict[str, Any], ...] = (
    {"color": "#0072B2", "linestyle": "-"},
    {"color": "#D55E00", "linestyle": (0, (7, 1.5, 1, 1.5))},
    {"color": "#009E73", "linestyle": (0, (7, 1.5, 1, 1.5, 1, 1.5))},
    {"color": "#CC79A7", "linestyle": (0, (10, 3))},
    {"color": "#56B4E9", "linestyle": "-", "linewidth": 3},
    {"color": "#E69F00", "linestyle": (0, (10, 2, 3, 2))},
)
LINES = {"alpha_IT": 0, "alpha_AMP": 1, "alpha_L1": 2, "alpha_WR": 3, "alpha_sp": 4}  # of THEORY
# From dark to light, so that a phase is known without its hue; hard is hatched as well.
PHASES: dict[str, dict[str, Any]] = {
    "easy": {"facecolor": "#E3F1FA", "edgecolor": "none"},
    "hard": {"facecolor": "#FBE3A1", "edgecolor": "#DDB44A", "hatch": "///"},
    "impossible": {"facecolor": "#E6BBA9", "edgecolor": "none"},
}
UNSTABLE: dict[str, Any] = {"color": "0.5", "linestyle": (0, (3, 2)), "linewidth": 1.2}
THRESHOLD: dict[str, Any] = {"color": "0.15", "linestyle": ":", "linewidth": 1.6}
UNSTABLE_THRESHOLD: dict[str, Any] = {**THRESHOLD, "color": "0.5"}
EXPERIMENT: tuple[dict[str, Any], ...] = (
    {"color": "#A14A00", "marker": "o"},
    {"color": "#0B6E4F", "marker": "s", "fillstyle": "none"},
    {"color": "#7B3F75", "marker": "^"},
    {"color": "#1F4E79", "marker": "D", "fillstyle": "none"},
    {"color": "#7A5C00", "marker": "v"},
)
EXPERIMENT_POINTS: dict[str, Any] = {
    "linestyle": "none",
    "markersize": 5,
    "capsize": 2,
    "elinewidth": 1,
    "zorder": 6,
}
PUBLISHED: dict[str, Any] = {
    "color": "black",
    "linestyle": "none",
    "markersize": 9,
    "capsize": 3,
    "elinewidth": 1,
    "zorder": 5,
}
PUBLISHED_MARKERS = ("*", "P", "X", "p", "h")
ZERO: dict[str, Any] = {"color": "0.8", "linewidth": 0.8, "zorder": 0}
MAP: dict[str, Any] = {"cmap": "cividis", "shading": "nearest"}
NO_VALUE: dict[str, Any] = {"facecolor": "0.93"}
UNSTABLE_MAP: dict[str, Any] = {"colors": "none", "hatches": ["////"]}

# ---- the one table of words ----------------------------------------------------------------------

QUANTITIES = {
    "potential": r"free entropy per weight, $\phi$ (nats)",
    "entropy": "entropy per weight (nats)",
    "replicon": "replicon",
    "satisfiable": "fraction of satisfiable instances",
    "capacity": r"largest satisfiable $n/p$",
}
CONTROLS = {"alpha": r"patterns per weight, $\alpha = n/p$"}  # where no formula tells
_UNSTABLE_LABEL = "RS unstable"
_NO_SADDLE_LABEL = "no saddle point"
_FAILED_LABEL = "not converged"
_ABOVE_AXIS = 0.025  # of the axes' height: half a marker
_HEADROOM = 1.15  # of the highest threshold: what is above it is a phase too
_FAR_ABOVE = 20
_SUFFIXES = (".pdf", ".png", ".svg")


@dataclass
class _Frame:
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
    phases: bool = False  # whether they are shown


_FRAMES: WeakKeyDictionary[Axes, _Frame] = WeakKeyDictionary()


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
    * Several thresholds along one control: the phase diagram, a line for each as far as it exists.
      It is impossible below alpha_IT, hard up to alpha_AMP, and easy above.
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
    _require_matplotlib()
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
    drawn.sort(key=_order)
    known = None if ax is None else _FRAMES.get(ax)
    frame = known or _frame(drawn[0], names, kind)
    for thing in drawn:
        _remember(frame, thing, names)
    axes = ax if ax is not None else _new_axes()
    try:
        for thing in drawn:
            _draw(axes, frame, thing, names, label)
    except BaseException:
        if ax is None:
            _discard(axes)
        raise
    _FRAMES[axes] = frame
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

_ORDER: tuple[type, ...] = (Sweep, Experiment, ThresholdResult, Published)


def _require_matplotlib() -> None:
    try:
        import matplotlib.pyplot  # noqa: F401 -- loaded here, so that one message covers all uses
    except ImportError:
        raise MissingExtra("plotting", "plot") from None


def _order(thing: Any) -> tuple[int, int]:
    return _ORDER.index(type(thing)), -len(thing.dims) if isinstance(thing, Sweep) else 0


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
            known += _quantities(formula)
            places.append(formula.name)
        elif isinstance(thing, Sweep):
            known += thing.data
            places.append(f"the sweep of {thing.formula.name}")
        elif isinstance(thing, Experiment):
            known += thing.observables
            places.append(f"the experiment on {thing.formula}")
    for name in names:
        if known and name not in known:
            raise UnknownName("quantity", name, set(known), " and ".join(dict.fromkeys(places)))


def _quantities(formula: Formula) -> tuple[str, ...]:
    return (*formula.thresholds, *map(str, formula.unknowns), *formula.observables)


def _ready(thing: Any, names: tuple[str, ...], given: Mapping[str, Any]) -> list[Any]:
    """Return sweep and thresholds for a formula, everything else that can be drawn as it is."""
    if isinstance(thing, (Formula, Family)):
        formula, controls = thing.resolve(given)
        own = _own(names, _quantities(formula), _first_observable(formula))
        flat = [name for name in own if _is_flat(formula, name, controls)]
        if len(flat) == len(own):
            return [sweep(thing, own, **given)]
        fixed = {key: value for key, value in controls.items() if not _varies(value)}
        return [
            sweep(thing, [name for name in own if name not in flat], **given),
            *(
                threshold(formula, name, check=False, **_needed(formula, name, fixed))
                for name in flat
            ),
        ]
    if type(thing) not in _ORDER:
        raise DeclarationError(
            f"cannot draw a {type(thing).__name__}: plot takes formulas, sweeps, thresholds, "
            f"experiments and published values"
        )
    return [thing]


def _is_flat(formula: Formula, name: str, controls: Mapping[str, Any]) -> bool:
    """Return whether a threshold is one value, whatever the controls that vary."""
    if name not in formula.thresholds:
        return False
    varied = {key for key, value in controls.items() if _varies(value)}
    free = formula.determined(name)
    if not isinstance(formula.thresholds[name], Cusp):
        free -= {_determined(name, [formula])}
    return bool(varied) and varied <= free


def _varies(value: Any) -> bool:
    return isinstance(value, (list, tuple, range)) or bool(np.ndim(value))


def _needed(formula: Formula, name: str, controls: Mapping[str, Any]) -> dict[str, Any]:
    """Return the controls that a threshold takes."""
    unused = formula.determined(name)
    return {key: value for key, value in controls.items() if key not in unused}


def _own(names: tuple[str, ...], known: Iterable[str], default: str) -> tuple[str, ...]:
    """Return those of the names that are known; all, to be complained of, where none is."""
    return tuple(name for name in names if name in known) or names or (default,)


def _first_observable(formula: Formula) -> str:
    return next((name for name in formula.observables if name != "potential"), "potential")


def _frame(first: Any, names: tuple[str, ...], kind: str) -> _Frame:
    """Return the axes that the leading thing asks for."""
    if isinstance(first, Sweep):
        dims = _dims(first)
        fixed = dict(first.attrs.get("controls", {}))
        if _as_map(first, kind):
            if len(shown := _quantities_of_sweep(first, names)) > 1:
                raise DeclarationError(
                    f"{first.formula.name}: a map shows one quantity, not {', '.join(shown)}; "
                    f"choose one, or kind='lines'"
                )
            return _Frame(dims[0], rows=dims[1], fixed=fixed)
        return _Frame(max(dims, key=lambda name: first.coords[name].size), fixed=fixed)
    if isinstance(first, Experiment):
        scalar = bool(names) and np.ndim(first[names[0]]) == 0
        return _Frame(next(iter(first.controls), "alpha") if scalar else "alpha")
    if isinstance(first, ThresholdResult):
        return _Frame(_determined(first.name, [first.formula]))
    return _Frame(str(next(iter(first.at), _determined(first.quantity, []))))


def _dims(grid: Sweep) -> list[str]:
    dims = list(grid.dims)
    if len(dims) not in (1, 2):
        raise DeclarationError(
            f"{grid.formula.name}: cannot draw a sweep along {len(dims)} controls "
            f"({', '.join(dims) or 'none'}); sweep one or two"
        )
    return dims


def _as_map(grid: Sweep, kind: str) -> bool:
    dims = _dims(grid)
    shortest = min(grid.coords[name].size for name in dims)
    if kind == "map" and (len(dims) == 1 or shortest < 2):
        raise DeclarationError(
            f"{grid.formula.name}: a map needs two controls with two values or more"
        )
    return len(dims) == 2 and (kind == "map" or (kind == "auto" and shortest > len(THEORY)))


def _remember(frame: _Frame, thing: Any, names: tuple[str, ...]) -> None:
    """Note the formula of a thing, and the quantities that it shows upwards if it does."""
    formula = getattr(thing, "formula", None)
    if isinstance(formula, str):
        found = formulas[formula] if formula in formulas else None
        formula = found(**thing.options) if isinstance(found, Family) else found
    if isinstance(formula, Formula) and formula not in frame.formulas:
        frame.formulas.append(formula)
    if frame.rows:
        return
    shown: tuple[str, ...] = ()
    if isinstance(thing, Sweep):
        shown = _quantities_of_sweep(thing, names)
    elif isinstance(thing, Experiment):
        shown = (_quantity_of_experiment(thing, frame, names),)
    elif isinstance(thing, Published) and not frame.quantities and frame.x in thing.at:
        shown = (thing.quantity,)
    frame.quantities += [name for name in shown if name not in frame.quantities]


def _quantities_of_sweep(grid: Sweep, names: tuple[str, ...]) -> tuple[str, ...]:
    if names:
        own = _own(names, grid.data, "")
        if own[0] not in grid.data:
            raise UnknownName("quantity", own[0], grid.data, f"the sweep of {grid.formula.name}")
        return own
    swept = tuple(name for name in grid.data if name in grid.formula.thresholds)
    if swept:
        return swept if len(grid.dims) == 1 else swept[:1]
    favourite = _first_observable(grid.formula)
    return (favourite if favourite in grid.data else next(iter(grid.data)),)


def _quantity_of_experiment(experiment: Experiment, frame: _Frame, names: tuple[str, ...]) -> str:
    curve = frame.x == "alpha"
    measured = {} if frame.rows else experiment.observables
    fitting = [name for name, value in measured.items() if bool(np.ndim(value)) == curve]
    for name in (*names, *frame.quantities):
        if name in fitting:
            return name
    if not fitting or (curve and frame.quantities):
        raise DeclarationError(
            f"the experiment on {experiment.formula} measures "
            f"{', '.join(experiment.observables)}, which does not fit axes of "
            f"{_axes_text(frame)}"
        )
    return fitting[0]


def _determined(name: str, candidates: Iterable[Formula]) -> str:
    """Return the control whose value a threshold is."""
    for formula in candidates:
        declared = formula.thresholds.get(name)
        if declared is not None and not isinstance(declared, Limit):
            return control_name(declared.controls[0])
        if declared is not None:
            used = declared.value.free_symbols
            unused = [
                key for key, control in formula.controls.items() if control.symbol not in used
            ]
            if len(unused) == 1:
                return str(unused[0])
    # The field names thresholds after their control: alpha_G, kappa_star.
    return name.split("_")[0]


def _place(
    frame: _Frame, name: str, value: float, at: Mapping[str, Any], candidates: Iterable[Formula]
) -> tuple[float | None, float | None]:
    """Return abscissa and ordinate of a value, None for what it does not determine."""
    control = _determined(name, candidates)
    known = {**{str(key): float(number) for key, number in at.items()}, control: value}
    thresholds = {key for formula in frame.formulas for key in formula.thresholds}
    rows = frame.rows
    if frame.quantities and frame.quantities[0] in thresholds:
        # The ordinate of a phase diagram is a control too.
        rows = _determined(frame.quantities[0], frame.formulas)
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
        raise DeclarationError(f"cannot place {name} = {value:g} on {_axes_text(frame)}")
    return x, y


def _axes_text(frame: _Frame) -> str:
    upwards = frame.rows or ", ".join(frame.quantities) or "nothing"
    return f"axes of {upwards} against {frame.x}"


# ---- drawing -------------------------------------------------------------------------------------


def _new_axes() -> Axes:
    from matplotlib import pyplot

    return pyplot.subplots(layout="constrained")[1]


def _discard(axes: Axes) -> None:
    from matplotlib import pyplot

    pyplot.close(cast("Figure", axes.figure))


def _draw(axes: Axes, frame: _Frame, thing: Any, names: tuple[str, ...], label: str | None) -> None:
    if isinstance(thing, Sweep):
        shown = _quantities_of_sweep(thing, names)
        for name in shown:
            if not frame.rows:
                _draw_lines(axes, frame, thing, name, label, several=len(shown) > 1)
            elif len(thing.dims) == 2:
                _draw_map(axes, frame, thing, name, label)
            else:
                _draw_boundary(axes, frame, thing, name, label)
        if len(shown) > 1 and len(thing.dims) == 1 and not frame.rows:
            _draw_phases(axes, frame, thing, shown)
    elif isinstance(thing, Experiment):
        _draw_experiment(axes, frame, thing, names, label)
    elif isinstance(thing, ThresholdResult):
        _draw_threshold(axes, frame, thing, label)
    else:
        _draw_published(axes, frame, thing, label)


def _values(grid: Sweep, name: str) -> FloatArray:
    """Return the values, NaN where the point failed."""
    found = np.asarray(grid.data[name], dtype=float)
    if sum(other in grid.formula.thresholds for other in grid.data) > 1:
        return found  # the status is the worst of several thresholds; each has its own NaN
    return np.where(grid.converged, found, np.nan)


def _draw_lines(
    axes: Axes, frame: _Frame, grid: Sweep, name: str, label: str | None, several: bool
) -> None:
    dims = _dims(grid)
    if frame.x not in dims:
        raise DeclarationError(
            f"{grid.formula.name}: the sweep is along {' and '.join(dims)}, the axes show {frame.x}"
        )
    across = dims.index(frame.x)
    x = np.asarray(grid.coords[frame.x], dtype=float)
    order = np.argsort(x, kind="stable")
    values = np.moveaxis(_values(grid, name), across, -1)[..., order]
    unstable = np.moveaxis(~grid.stable_at(name), across, -1)[..., order]
    text = label or _line_label(frame, grid, name)
    if several:
        symbol = _short_label(name)
        if label is not None:
            text = f"{label}, {symbol}"
        elif grid.formula == frame.formulas[0]:
            shared = _line_label(frame, grid, "")
            if frame.title in ("", shared):  # said once, above the figure
                frame.title, text = shared, symbol
    if len(dims) == 1:
        if name in grid.formula.thresholds and not np.isfinite(values).any():
            text = f"{text}: none"
        _draw_line(axes, frame, name, x[order], values, unstable, text)
        return
    other = dims[1 - across]
    for member, row, flags in zip(grid.coords[other], values, unstable, strict=True):
        member_text = _at(other, member, frame)
        if label is not None or len(frame.formulas) > 1 or len(frame.quantities) > 1:
            member_text = f"{text}, {member_text}"
        _draw_line(axes, frame, name, x[order], row, flags, member_text)


def _line_style(frame: _Frame, name: str) -> dict[str, Any]:
    """Return the style that a threshold has in every figure, or the first that is free."""
    preferred = [LINES[name]] if name in LINES else []
    free = [k for k in (*preferred, *range(len(THEORY))) if k not in frame.lines]
    frame.lines.append(free[0] if free else len(frame.lines) % len(THEORY))
    return THEORY[frame.lines[-1]]


def _draw_line(
    axes: Axes,
    frame: _Frame,
    name: str,
    x: FloatArray,
    y: FloatArray,
    unstable: BoolArray,
    label: str,
) -> None:
    style = _line_style(frame, name)
    finite = np.isfinite(y)
    stable = finite & ~unstable
    if stable.any() or not finite.any():
        axes.plot(x, np.where(stable, y, np.nan), label=label, **style)
        label = _UNSTABLE_LABEL
    else:
        label = f"{label} ({_UNSTABLE_LABEL})"
    broken = finite & unstable
    if broken.any():
        # The dashes start at the last stable point, so that the curve has no gap there.
        beside = np.zeros_like(broken)
        beside[1:] |= broken[:-1]
        beside[:-1] |= broken[1:]
        shown = broken | (beside & finite)
        axes.plot(x, np.where(shown, y, np.nan), label=_once(axes, label), **UNSTABLE)
    # A point between two failures has no neighbour to be joined with.
    alone = finite.copy()
    alone[1:] &= ~finite[:-1]
    alone[:-1] &= ~finite[1:]
    if alone.any():
        axes.plot(x[alone], y[alone], ".", color=style["color"], label="_alone")
    if finite.any() and np.nanmin(y) < 0 < np.nanmax(y):
        _zero_line(axes)


def _draw_phases(axes: Axes, frame: _Frame, grid: Sweep, names: Iterable[str]) -> None:
    """Fill what the lines of a phase diagram separate, where both sides are known."""
    x = np.asarray(grid.coords[frame.x], dtype=float)
    order = np.argsort(x, kind="stable")
    x = x[order]
    lines = {
        name: _values(grid, name)[order] for name in ("alpha_IT", "alpha_AMP") if name in names
    }
    highest = max((np.max(y, where=np.isfinite(y), initial=0) for y in lines.values()), default=0)
    if frame.phases or not lines:
        return
    axes.update_datalim([(x[0], 0), (x[-1], _HEADROOM * highest or 1)])
    frame.phases = True
    nothing, far = np.zeros_like(x), np.full_like(x, _FAR_ABOVE * highest)
    between: dict[str, tuple[FloatArray, FloatArray]] = {}
    if "alpha_AMP" in lines:
        between["easy"] = lines["alpha_AMP"], far
    if len(lines) == 2:
        between["hard"] = lines["alpha_IT"], lines["alpha_AMP"]
    if "alpha_IT" in lines:
        between["impossible"] = nothing, lines["alpha_IT"]
    limits = axes.dataLim.frozen()
    for phase, (low, high) in between.items():
        known = np.isfinite(low) & np.isfinite(high)
        known[known] = low[known] <= high[known]
        if not (known[1:] & known[:-1]).any() or not (low < high)[known].any():
            continue  # a single value has no area
        area = axes.fill_between(
            x, low, high, where=known.tolist(), label=phase, linewidth=0, zorder=0, **PHASES[phase]
        )
        area.sticky_edges.x.extend((x[0], x[-1]))  # no white frame around the phases
        area.sticky_edges.y.append(0)
    axes.dataLim.set(limits)  # "easy" has no end, the axes have


def _zero_line(axes: Axes) -> None:
    if all(line.get_label() != "_zero" for line in axes.lines):
        axes.axhline(0, label="_zero", **ZERO)


def _draw_map(axes: Axes, frame: _Frame, grid: Sweep, name: str, label: str | None) -> None:
    dims = _dims(grid)
    if sorted(dims) != sorted((frame.x, frame.rows)):
        raise DeclarationError(
            f"{grid.formula.name}: the sweep is along {' and '.join(dims)}, the map shows "
            f"{frame.x} and {frame.rows}"
        )
    x, y = (np.asarray(grid.coords[n], dtype=float) for n in (frame.x, frame.rows))
    columns, rows = np.argsort(x, kind="stable"), np.argsort(y, kind="stable")
    values, unstable = _values(grid, name), ~grid.stable_at(name)
    if dims[0] == frame.x:
        values, unstable = values.T, unstable.T
    values, unstable = values[np.ix_(rows, columns)], unstable[np.ix_(rows, columns)]
    missing = ~np.isfinite(values)
    mesh = axes.pcolormesh(x[columns], y[rows], np.ma.masked_array(values, missing), **MAP)
    bar = axes.figure.colorbar(mesh, ax=axes)
    bar.set_label(label or _quantity_label(name, frame))
    if missing.any():
        no_saddle = grid.status[~grid.converged] == Status.NO_SADDLE
        texts = [_NO_SADDLE_LABEL] * bool(no_saddle.any()) + [_FAILED_LABEL] * (not no_saddle.all())
        text = " or ".join(texts)
        axes.set_facecolor(NO_VALUE["facecolor"])
        axes.fill([], [], label=_once(axes, text), edgecolor="0.6", **NO_VALUE)
    broken = unstable & ~missing
    if broken.any():
        levels = [0.5, 1.5]
        axes.contourf(x[columns], y[rows], broken.astype(float), levels, **UNSTABLE_MAP)
        axes.fill([], [], label=_once(axes, _UNSTABLE_LABEL), fill=False, hatch="////")
    # What comes later adds no room: beyond the grid the background would look like "no saddle".
    axes.set(xlim=axes.get_xlim(), ylim=axes.get_ylim())


def _draw_boundary(axes: Axes, frame: _Frame, grid: Sweep, name: str, label: str | None) -> None:
    """Draw a threshold along one control as a dotted line in a map."""
    control = _determined(name, [grid.formula])
    along = _dims(grid)[0]
    if name not in grid.formula.thresholds or {along, control} != {frame.x, frame.rows}:
        raise DeclarationError(
            f"{grid.formula.name}: {name} along {along} is no line on {_axes_text(frame)}"
        )
    order = np.argsort(grid.coords[along], kind="stable")
    where = {along: grid.coords[along][order], control: _values(grid, name)[order]}
    lines = axes.plot(where[frame.x], where[frame.rows], label=label or f"${_symbol(name)}$")
    for line in lines:
        line.set(**THRESHOLD)
        _outline(line)


def _outline(line: Any) -> None:
    """Give a line a white edge, so that it shows on the dark end of a map as well."""
    from matplotlib import patheffects

    line.set_path_effects([patheffects.withStroke(linewidth=4, foreground="white", alpha=0.8)])


def _draw_experiment(
    axes: Axes,
    frame: _Frame,
    experiment: Experiment,
    names: tuple[str, ...],
    label: str | None,
) -> None:
    name = _quantity_of_experiment(experiment, frame, names)
    style = EXPERIMENT[frame.experiments % len(EXPERIMENT)]
    frame.experiments += 1
    if frame.x == "alpha":
        x = experiment.alpha
    elif frame.x in experiment.controls:
        x = np.array([float(experiment.controls[frame.x])])
    else:
        raise DeclarationError(
            f"the experiment on {experiment.formula} has no control {frame.x} to place it by"
        )
    y = np.atleast_1d(np.asarray(experiment.observables[name], dtype=float))
    bars = np.atleast_1d(np.asarray(experiment.errors[name], dtype=float))
    seen = np.isfinite(y)
    parts = [_words(experiment.formula)] if len(frame.formulas) > 1 else []
    parts += [f"$p = {experiment.p}$", f"{experiment.instances} instances"]
    parts += _elsewhere(experiment.controls, frame)
    text = ", ".join(parts)
    axes.errorbar(
        x[seen],
        y[seen],
        yerr=np.nan_to_num(bars[seen]),  # the error of a single instance is not known
        label=label or text,
        **EXPERIMENT_POINTS,
        **style,
    )


def _draw_threshold(axes: Axes, frame: _Frame, result: ThresholdResult, label: str | None) -> None:
    symbol = _symbol(result.name)
    unstable = result.validity == "rs-unstable"
    style = UNSTABLE_THRESHOLD if unstable else THRESHOLD
    if not np.isfinite(result.value):
        axes.plot([], [], label=label or f"${symbol}$: none", **style)
        return
    parts = [f"${symbol} = {result.value:.5g}$", *_elsewhere(result.controls, frame)]
    text = label or ", ".join([*parts, *([_UNSTABLE_LABEL] * unstable)])
    x, y = _place(frame, result.name, result.value, result.controls, [result.formula])
    if x is not None and y is not None:
        (point,) = axes.plot([x], [y], "o", color=style["color"], markersize=6, label=text)
        _outline(point)
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


def _draw_published(axes: Axes, frame: _Frame, published: Published, label: str | None) -> None:
    x, y = _place(frame, published.quantity, published.value, published.at, frame.formulas)
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
        marker = {"<": "v" if upwards else "<", ">": "^" if upwards else ">"}[published.relation]
    axes.errorbar(
        [cast(float, x)],
        [y],
        label=label or _published_label(published, frame),
        marker=marker,
        fillstyle="none" if published.disputed else "full",
        **bars,
        **PUBLISHED,
    )


# ---- words ---------------------------------------------------------------------------------------


def _finish(
    axes: Axes, frame: _Frame, xlabel: str | None, ylabel: str | None, title: str | None
) -> None:
    axes.set_xlabel(xlabel or _control_label(frame.x, frame))
    if ylabel:
        axes.set_ylabel(ylabel)
    elif frame.rows:
        axes.set_ylabel(_control_label(frame.rows, frame))
    elif len(frame.quantities) == 1:
        axes.set_ylabel(_quantity_label(frame.quantities[0], frame))
    elif frame.quantities and (control := _common_control(frame)):
        axes.set_ylabel(_control_label(control, frame))
    elif frame.quantities:
        axes.set_ylabel(", ".join(_short_label(name) for name in frame.quantities))
    else:
        axes.set_yticks([])  # only thresholds: the height means nothing
    if title or (frame.title and not axes.get_title()):
        axes.set_title(title or frame.title, fontsize=None if title else "medium")
    handles, labels = axes.get_legend_handles_labels()
    if labels:
        order = {_UNSTABLE_LABEL: 1, **dict.fromkeys(PHASES, 2)}
        last = sorted(range(len(labels)), key=lambda k: order.get(labels[k], 0))
        axes.legend(
            [handles[k] for k in last],
            [labels[k] for k in last],
            fontsize="small",
            handlelength=3.4,
        )


def _common_control(frame: _Frame) -> str:
    """Return the control that all quantities are thresholds in, empty if there is none."""
    thresholds = {name for formula in frame.formulas for name in formula.thresholds}
    if not thresholds.issuperset(frame.quantities):
        return ""
    controls = {_determined(name, _having(frame.formulas, name)) for name in frame.quantities}
    return controls.pop() if len(controls) == 1 else ""


def _having(candidates: Iterable[Formula], name: str) -> list[Formula]:
    return [formula for formula in candidates if name in formula.thresholds]


def _once(axes: Axes, label: str) -> str:
    """Return the label, hidden when the legend has it already."""
    return "_" + label if label in axes.get_legend_handles_labels()[1] else label


def _words(name: str) -> str:
    return name.replace("-", " ")


def _line_label(frame: _Frame, grid: Sweep, name: str) -> str:
    parts = [_words(grid.formula.name)]
    parts += [f"{option} = {value}" for option, value in grid.formula.options.items()]
    parts += [_at(key, value, frame) for key, value in grid.attrs.get("controls", {}).items()]
    if name and len(frame.quantities) > 1:
        parts.append(_short_label(name))
    return ", ".join(parts)


def _at(name: str, value: Any, frame: _Frame) -> str:
    return f"${_control_symbol(name, frame)} = {float(value):g}$"


def _elsewhere(given: Mapping[str, Any], frame: _Frame) -> list[str]:
    """Return the controls that are neither on the axes nor those of the first line."""
    return [
        _at(str(name), value, frame)
        for name, value in given.items()
        if str(name) not in (frame.x, frame.rows) and frame.fixed.get(str(name)) != float(value)
    ]


def _symbol(name: str) -> str:
    """Return the name of a threshold or overlap as LaTeX."""
    if name.endswith("_star"):
        return f"{latex(Symbol(name.removesuffix('_star')))}^*"
    base, _, index = name.partition("_")
    if len(index) > 1 and index.isalnum():
        return rf"{latex(Symbol(base))}_{{\mathrm{{{index}}}}}"
    return str(latex(Symbol(name)))


def _short_label(name: str) -> str:
    return QUANTITIES.get(name, f"${_symbol(name)}$").split(" (")[0]


def _quantity_label(name: str, frame: _Frame) -> str:
    if name in QUANTITIES:
        return QUANTITIES[name]
    for formula in frame.formulas:
        if name in formula.thresholds:
            meaning = formula.thresholds[name].doc.split(":")[0]
            return f"{meaning}, ${_symbol(name)}$" if meaning else f"${_symbol(name)}$"
        if name in map(str, formula.overlaps):
            return f"overlap ${_symbol(name)}$"
        if name in map(str, formula.conjugates.values()):
            return f"conjugate ${_symbol(name)}$"
    return _words(name) if "_" not in name and len(name) > 2 else f"${_symbol(name)}$"


def _control(name: str, frame: _Frame) -> Control | None:
    return next((f.controls[name] for f in frame.formulas if name in f.controls), None)


def _control_symbol(name: str, frame: _Frame) -> str:
    control = _control(name, frame)
    return str(latex(control.symbol)) if control else _symbol(name)


def _control_label(name: str, frame: _Frame) -> str:
    r"""Return meaning and symbol; "patterns per weight, n/p" also gives the definition.

    >>> from sympy import Interval, oo, symbols
    >>> alpha = symbols("alpha", real=True)
    >>> control = Control(alpha, Interval.open(0, oo), None, "patterns per weight, n/p")
    >>> _describe(control)
    'patterns per weight, $\\alpha = n/p$'
    """
    control = _control(name, frame)
    if control is None:
        return CONTROLS.get(name, f"${_symbol(name)}$")
    return _describe(control)


def _describe(control: Control) -> str:
    symbol = str(latex(control.symbol))
    meaning, comma, definition = control.doc.rpartition(", ")
    if comma and re.fullmatch(r"\w+(/\w+)+", definition):
        return f"{meaning}, ${symbol} = {definition}$"
    return f"{control.doc}, ${symbol}$" if control.doc else f"${symbol}$"


def _published_label(published: Published, frame: _Frame) -> str:
    parts = [f"${_symbol(published.quantity)} {published.relation} {published.value:g}$"]
    parts += _elsewhere(published.at, frame)
    if published.cite:
        parts.append(_citation(published.cite))
    if published.disputed:
        parts.append("disputed")
    return ", ".join(parts)


def _citation(key: str) -> str:
    """Return authors and year of a reference: "Krauth & Mézard 1989".

    >>> _citation("krauth1989")
    'Krauth & Mézard 1989'
    """
    entry = bibliography().get(key, "")
    found = dict(re.findall(r"^\s*(author|year)\s*=\s*\{(.*)\},?\s*$", entry, flags=re.MULTILINE))
    if len(found) < 2:
        return key
    surnames = [name.split(",")[0].strip() for name in found["author"].split(" and ")]
    names = f"{surnames[0]} et al." if len(surnames) > 2 else " & ".join(surnames)
    return f"{names} {found['year']}"
