"""Grids of controls: saddle points and thresholds as labelled arrays, with workers and resume."""

from __future__ import annotations

import hashlib
import json
import math
import os
import pickle
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib import metadata
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from replica.declarations.control import control_name
from replica.declarations.family import Family
from replica.declarations.formula import Formula
from replica.declarations.reading import resolve
from replica.errors import ControlError, ConvergenceError, MissingExtra, UnknownName
from replica.output import Checkpoint, Report, progress_bar, whole_file
from replica.solvers.saddle import solve
from replica.solvers.solution import Status
from replica.solvers.thresholds.verb import thresholds
from replica.workers import Lost, interrupts_kept, mapper, positive

__all__ = ["LARGEST_GRID", "Sweep", "sweep"]

Array = NDArray[np.float64]

LARGEST_GRID = 10_000_000  # points: about a gigabyte of results
_AT_ONCE = 16  # thresholds that share their quadrature, and are lost together on Ctrl-C
_UNITS = "nats per weight"


def sweep(
    formula: Formula | Family,
    quantity: str | Sequence[str] | None = None,
    *,
    start: str | Mapping[Any, float] | None = None,
    method: str = "auto",
    tolerance: float = 1e-9,
    max_steps: int = 2000,
    workers: Any = None,
    progress: Report | bool | None = None,
    chunk: int = 20_000,
    path: str | os.PathLike[str] | None = None,
    resume: bool = False,
    **controls: Any,
) -> Sweep:
    r"""Compute saddle points or thresholds on the product grid of the controls that are arrays.

    .. math:: \{q(\alpha_i, \kappa_j)\} \quad\text{or}\quad \{\alpha_G(\kappa_j)\}

    Parameters
    ----------
    formula : Formula or Family
        A family also takes its structural options as keywords.
    quantity : str or sequence of str, optional
        Thresholds, or overlaps and observables; by default every overlap and observable.
    start, method, tolerance, max_steps
        Of `solve`, for saddle points.
    workers : int or Executor or client of a cluster or map-like, optional
        Processes (in a script, under ``if __name__ == "__main__":``), or whatever computes
        elsewhere: an object with a method ``submit`` (``concurrent.futures``, Dask, MPI pools),
        one with a method ``map``, a function like ``map``, or ``joblib.Parallel(...)``. By default
        this process. The chunk of a worker that dies is computed again; where it dies again the
        points have the status LOST.
    progress : callable or bool, optional
        Called with (points done, points). By default a bar on stderr if it is a terminal;
        False shows none.
    chunk : int
        Saddle points solved in one call: memory grows with it, not with the grid.
    path : path, optional
        Checkpoint (``.npz``), written whole from time to time, at the end, and on Ctrl-C.
    resume : bool
        Continue from the checkpoint at `path`, if there is one.
    **controls : float or array
        Each array becomes a dimension, in the order given; numbers hold everywhere.

    Returns
    -------
    Sweep
        A point that failed is NaN and has its own status.

    Raises
    ------
    UnknownName, ControlError
        For bad names or values, a grid that is empty or has more than 10^7 points, or a
        checkpoint of another sweep.

    References
    ----------
    Gardner, J. Phys. A 21 (1988) 257, for the example.

    Examples
    --------
    >>> from replica import formulas
    >>> grid = sweep(formulas["spherical-perceptron"], "alpha_G", kappa=[0, 0.5, 1])
    >>> grid.dims, grid["alpha_G"].round(6).tolist()
    (('kappa',), [2.0, 0.961205, 0.519572])
    """
    settings = {"start": start, "method": method, "tolerance": tolerance, "max_steps": max_steps}
    plan = _plan(formula, quantity, settings, controls)
    chunk = positive("chunk", chunk)
    rows = _Rows.empty(len(plan.columns), plan.saddles, plan.points)
    checkpoint = None
    if path is not None:
        checkpoint = Checkpoint(path, _identity(plan))
        checkpoint.open(rows.arrays(), resume)
    if callable(progress) and not isinstance(progress, bool):
        _run(plan, rows, chunk, workers, progress, checkpoint)
    elif progress is False:
        _run(plan, rows, chunk, workers, lambda done, total: None, checkpoint)
    else:
        with progress_bar(plan.formula.name) as bar:
            _run(plan, rows, chunk, workers, bar, checkpoint)
    return plan.labelled(rows)


@dataclass(frozen=True, eq=False, repr=False)
class Sweep:
    """Results on a grid of controls, with their labels.

    Attributes
    ----------
    formula : Formula
    dims : tuple of str
        The controls that vary, in the order they were given.
    coords : mapping of str to ndarray
        Their values.
    data : mapping of str to ndarray
        Shaped by `dims`, NaN where a point failed. For saddle points: overlaps, observables and
        ``error``, the largest error of an overlap. For thresholds: value and ``<name>_error``.
    status : ndarray of int
        Codes of `Status`; of several thresholds, the worst.
    stable : ndarray of bool
        False where the replica-symmetric saddle is known not to be exact; of several thresholds,
        at any of them.
    attrs : mapping
        Formula, options, fixed controls, version, citation keys, units.
    flags : mapping of str to ndarray of bool
        `stable` of each threshold by itself.
    """

    formula: Formula
    dims: tuple[str, ...]
    coords: Mapping[str, Array]
    data: Mapping[str, Array]
    status: NDArray[np.int8]
    stable: NDArray[np.bool_]
    attrs: Mapping[str, Any] = field(default_factory=dict)
    flags: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)

    def stable_at(self, name: str) -> NDArray[np.bool_]:
        """Return where the saddle of a quantity is not known to be unstable."""
        return self.flags.get(name, self.stable)

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of values of each control."""
        return tuple(self.coords[name].size for name in self.dims)

    @property
    def converged(self) -> NDArray[np.bool_]:
        """Whether each point converged."""
        return np.asarray(self.status == Status.CONVERGED)

    @property
    def validity(self) -> NDArray[np.str_]:
        """What is known of each point: the formula's status, ``rs-unstable``, or nothing."""
        words = np.array(["", "rs-unstable", self.formula.status])
        found = np.isin(self.status, (Status.CONVERGED, Status.INACCURATE))
        return np.asarray(words[np.where(found, 1 + self.stable.astype(np.intp), 0)])

    def __getitem__(self, name: str) -> Any:
        everything = {**self.coords, **self.data, "status": self.status, "validity": None}
        if name not in everything:
            raise UnknownName("quantity", name, everything, f"this sweep of {self.formula.name}")
        return self.validity if name == "validity" else everything[name]

    def counts(self) -> dict[str, int]:
        """Return how many points ended with each status."""
        codes, numbers = np.unique(self.status, return_counts=True)
        return {
            Status(int(code)).name.lower(): int(number)
            for code, number in zip(codes, numbers, strict=True)
        }

    # ---- files ----------------------------------------------------------------------------------

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns of `rows`: all controls, the data, status and validity."""
        return (*self.dims, *self.attrs["controls"], *self.data, "status", "validity")

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Yield one row per point, the last dimension fastest; None where there is no number."""
        fixed = tuple(self.attrs["controls"].values())
        validity = self.validity
        for index in np.ndindex(self.shape):
            point = (float(self.coords[name][i]) for name, i in zip(self.dims, index, strict=True))
            values = (_number(array[index]) for array in self.data.values())
            status = Status(int(self.status[index])).name.lower()
            yield (*point, *fixed, *values, status, str(validity[index]))

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write one row per point; cells are empty where there is no number."""
        import csv

        with whole_file(path) as temporary, temporary.open("x", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(self.columns)
            writer.writerows(self.rows())

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists, numbers and texts for JSON; None where there is no number."""
        return {
            **self.attrs,
            "dims": list(self.dims),
            "coords": {name: values.tolist() for name, values in self.coords.items()},
            "data": {name: _lists(values) for name, values in self.data.items()},
            "status": self.status.tolist(),
            "status_codes": {status.name.lower(): int(status) for status in Status},
            "validity": self.validity.tolist(),
        }

    def to_json(self, path: str | os.PathLike[str]) -> None:
        """Write the object of `to_dict`."""
        content = self.to_dict()
        with whole_file(path) as temporary, temporary.open("x", encoding="utf-8") as file:
            json.dump(content, file, allow_nan=False)
            file.write("\n")

    def to_xarray(self) -> Any:
        """Return an ``xarray.Dataset``.

        Raises
        ------
        MissingExtra
            Without the extra ``grids``.
        """
        try:
            import xarray
        except ImportError:
            raise MissingExtra("Sweep.to_xarray", "grids") from None
        controls = self.formula.controls
        flags = {
            "flag_values": [int(status) for status in Status],
            "flag_meanings": " ".join(status.name.lower() for status in Status),
        }
        return xarray.Dataset(
            data_vars={
                **{name: (self.dims, values) for name, values in self.data.items()},
                "status": (self.dims, self.status, flags),
                "validity": (self.dims, self.validity.astype(object)),
            },
            coords={
                name: (name, values, {"long_name": controls[name].doc or name})
                for name, values in self.coords.items()
            },
            attrs=dict(_flat(self.attrs)),
        )

    def to_netcdf(self, path: str | os.PathLike[str]) -> None:
        """Write a netCDF file by way of xarray; needs the extra ``grids``."""
        dataset = self.to_xarray()
        if not all(map(find_spec, ("h5netcdf", "h5py"))):  # xarray's message gives no pip line
            raise MissingExtra("Sweep.to_netcdf", "grids")
        with whole_file(path) as temporary:
            dataset.to_netcdf(temporary, engine="h5netcdf")

    def __repr__(self) -> str:
        lines = [f"{self.formula.name}: {self.attrs['quantity']} on a grid"]
        for name, values in self.coords.items():
            span = f"{values[0]:g}" if values.size == 1 else f"{values[0]:g} to {values[-1]:g}"
            plural = "" if values.size == 1 else "s"
            lines.append(f"  {name:12s} {values.size} value{plural}: {span}")
        for name, value in {**self.attrs["options"], **self.attrs["controls"]}.items():
            lines.append(f"  {name:12s} {value}")
        lines.append(f"  {'data':12s} {', '.join(self.data)}")
        counts = ", ".join(f"{number} {name}" for name, number in self.counts().items())
        lines.append(f"  {'status':12s} {counts}, of {self.status.size} points")
        unstable = int((self.validity == "rs-unstable").sum())
        if unstable:
            lines.append(f"  {'validity':12s} {unstable} rs-unstable")
        return "\n".join(lines)


def _number(value: Any) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None


def _lists(values: Array) -> Any:
    cells = values.astype(object)
    cells[~np.isfinite(values)] = None
    return cells.tolist()


def _flat(attrs: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield attributes as netCDF has them: texts and numbers only."""
    for name, value in attrs.items():
        if isinstance(value, Mapping):
            yield from _flat(value)
        elif isinstance(value, (list, tuple)):
            yield name, ", ".join(map(str, value))
        else:
            yield name, value if isinstance(value, (int, float)) else str(value)


# ---- what is asked ------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Plan:
    formula: Formula
    names: tuple[str, ...]
    of_thresholds: bool
    coords: Mapping[str, Array]
    fixed: Mapping[str, Any]
    settings: Mapping[str, Any]
    everything: bool = True  # no quantity was named

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(values.size for values in self.coords.values())

    @property
    def points(self) -> int:
        return math.prod(self.shape)

    @property
    def columns(self) -> tuple[str, ...]:
        if self.of_thresholds:
            return tuple(c for name in self.names for c in (name, f"{name}_error"))
        return (*self.names, "error")

    @property
    def saddles(self) -> int:
        """Number of saddle points at each point of the grid: one for each threshold."""
        return len(self.names) if self.of_thresholds else 1

    def _flags(self, rows: _Rows) -> dict[str, NDArray[np.bool_]]:
        if not self.of_thresholds:
            return {}
        flags = (row.reshape(self.shape) for row in rows.stable)
        return dict(zip(self.names, flags, strict=True))

    def labelled(self, rows: _Rows) -> Sweep:
        return Sweep(
            formula=self.formula,
            dims=tuple(self.coords),
            coords=self.coords,
            data={
                name: column.reshape(self.shape)
                for name, column in zip(self.columns, rows.table, strict=True)
            },
            status=rows.status.reshape(self.shape),
            stable=rows.stable.all(axis=0).reshape(self.shape),
            flags=self._flags(rows),
            attrs={
                "formula": self.formula.name,
                "title": self.formula.title,
                "options": dict(self.formula.options),
                "controls": {name: float(value) for name, value in self.fixed.items()},
                "quantity": "saddle points" if self.everything else ", ".join(self.names),
                "version": _version(),
                "cites": list(self.formula.cites),
                "units": _UNITS,
            },
        )


def _version() -> str:
    try:
        return metadata.version("replica-theory")
    except metadata.PackageNotFoundError:  # run from a folder that was never installed
        return "unknown"


def _plan(
    target: Formula | Family,
    quantity: str | Sequence[str] | None,
    settings: Mapping[str, Any],
    given: Mapping[str, Any],
) -> _Plan:
    given = {name: _plain(name, value) for name, value in given.items() if value is not None}
    if isinstance(target, Family):
        for name in target.options:
            if isinstance(given.get(name), np.ndarray):
                raise ControlError(
                    f"{target.name}: option {name} takes one value per sweep, not an array"
                )
    formula, values = resolve(target, given, optional={"*"})
    names, of_thresholds = _quantities(formula, quantity)
    _check_related(formula, given)
    order = dict.fromkeys((*given, *values))  # a control that is given through another comes last
    coords = {name: values[name] for name in order if isinstance(values.get(name), np.ndarray)}
    if not coords:
        raise ControlError(
            f"{formula.name}: no control is an array, so there is no grid; "
            f"use {'threshold' if of_thresholds else 'solve'} for one point"
        )
    points = math.prod(array.size for array in coords.values())
    if points > LARGEST_GRID:
        raise ControlError(
            f"{formula.name}: the grid has {points} points; at most {LARGEST_GRID} at a time"
        )
    fixed = {name: value for name, value in values.items() if name not in coords}
    if of_thresholds:
        needed = set().union(*(_needed(formula, name) for name in names))
        fixed = {name: value for name, value in fixed.items() if name in needed or name in given}
    else:
        resolve(formula, values)  # every control is needed: complain of a missing one now
    everything = quantity is None
    return _Plan(formula, names, of_thresholds, coords, fixed, settings, everything)


def _check_related(formula: Formula, given: Mapping[str, Any]) -> None:
    """Refuse arrays of related controls: their product grid is in terms of the controls."""
    for name, relation in formula.relations.items():
        others = {control_name(symbol) for symbol in relation.value.free_symbols}
        both = [k for k in (name, *sorted(others)) if isinstance(given.get(k), np.ndarray)]
        if name in both and len(both) > 1:
            raise ControlError(
                f"{formula.name}: {' and '.join(both)} are both arrays and not independent; give "
                f"the grid in {' and '.join(sorted(others))}"
            )


def _plain(name: str, value: Any) -> Any:
    """Return array-likes as one-dimensional arrays, and anything else as it is."""
    if not isinstance(value, (list, tuple, range)) and not np.ndim(value):
        return value
    try:
        array = np.asarray(value)
    except ValueError:  # a ragged list
        raise ControlError(f"sweep: {name} must be a number or a list of numbers") from None
    if array.ndim != 1:
        raise ControlError(
            f"sweep: {name} has {array.ndim} dimensions; give one list per control, "
            f"the grid is their product"
        )
    return array


def _quantities(
    formula: Formula, quantity: str | Sequence[str] | None
) -> tuple[tuple[str, ...], bool]:
    points = (*map(str, formula.unknowns), *formula.observables)
    if quantity is None:
        return points, False
    names = (quantity,) if isinstance(quantity, str) else tuple(dict.fromkeys(quantity))
    if not names:
        raise ControlError(f"{formula.name}: no quantity to sweep; leave it out for all")
    for known, of_thresholds in ((tuple(formula.thresholds), True), (points, False)):
        if all(name in known for name in names):
            return names, of_thresholds
    known = (*formula.thresholds, *points)
    for name in names:
        if name not in known:
            raise UnknownName("quantity", name, known, formula.name)
    raise ControlError(
        f"{formula.name}: thresholds and saddle points have different grids; sweep "
        f"{', '.join(name for name in names if name in formula.thresholds)} apart"
    )


def _needed(formula: Formula, name: str) -> set[str]:
    """Return the controls that a threshold depends on."""
    return set(formula.controls) - formula.determined(name)


# ---- the work -----------------------------------------------------------------------------------


@dataclass
class _Rows:
    """Columns of results for a run of points of the grid; `stable` has a row for each saddle."""

    table: Array
    status: NDArray[np.int8]
    stable: NDArray[np.bool_]
    done: NDArray[np.bool_]
    begin: int = 0

    @classmethod
    def empty(cls, columns: int, saddles: int, points: int) -> _Rows:
        return cls(
            np.full((columns, points), np.nan),
            np.full(points, int(Status.MAX_STEPS), dtype=np.int8),
            np.ones((saddles, points), dtype=bool),
            np.zeros(points, dtype=bool),
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {name: getattr(self, name) for name in ("table", "status", "stable", "done")}

    def put(self, part: _Rows) -> None:
        where = slice(part.begin, part.begin + part.status.size)
        self.table[:, where] = part.table
        self.status[where] = part.status
        self.stable[:, where] = part.stable
        self.done[where] = part.done


@dataclass(frozen=True)
class _Chunk:
    """Points to compute; the formula travels pickled once, not rebuilt for every chunk."""

    formula: Formula | bytes
    names: tuple[str, ...]
    of_thresholds: bool
    settings: Mapping[str, Any]
    grid: Mapping[str, Array]
    fixed: Mapping[str, Any]
    begin: int

    @property
    def points(self) -> int:
        return next(iter(self.grid.values())).size


@lru_cache(maxsize=8)
def _unpacked(packed: bytes) -> Formula:
    formula: Formula = pickle.loads(packed)
    return formula


def _compute(chunk: _Chunk) -> _Rows:
    return replace(_computed(chunk), begin=chunk.begin)


def _lost(chunk: _Chunk, plan: _Plan) -> _Rows:
    """Return the rows of a chunk that nobody could compute: a resumed sweep tries again."""
    rows = _Rows.empty(len(plan.columns), plan.saddles, chunk.points)
    rows.status[:] = int(Status.LOST)
    return replace(rows, begin=chunk.begin)


def _computed(chunk: _Chunk) -> _Rows:
    formula = _unpacked(chunk.formula) if isinstance(chunk.formula, bytes) else chunk.formula
    points = chunk.points
    if chunk.of_thresholds:
        return _thresholds(formula, chunk, points)
    controls: dict[str, Any] = {**chunk.settings, **chunk.grid, **chunk.fixed}
    solution = solve(formula, check=False, **controls)
    found = {**solution.overlaps, **solution.observables, "error": solution.error}
    table = np.array([found[name] for name in (*chunk.names, "error")])
    status = np.asarray(solution.status, dtype=np.int8)
    stable = np.asarray(solution.validity) != "rs-unstable"
    return _Rows(table, status, stable[None], np.ones(points, dtype=bool))


def _thresholds(formula: Formula, chunk: _Chunk, points: int) -> _Rows:
    rows = _Rows.empty(2 * len(chunk.names), len(chunk.names), points)
    rows.status[:], rows.done[:] = int(Status.CONVERGED), True
    at: list[dict[str, Any]] = [
        {**{name: float(values[k]) for name, values in chunk.grid.items()}, **chunk.fixed}
        for k in range(points)
    ]
    for j, name in enumerate(chunk.names):
        for k, result in enumerate(thresholds(formula, name, at)):
            rows.table[2 * j, k] = result.value
            rows.table[2 * j + 1, k] = result.error if math.isfinite(result.value) else math.nan
            rows.stable[j, k] = result.validity != "rs-unstable"
            rows.status[k] = max(rows.status[k], int(result.status))
    return rows


def _run(
    plan: _Plan,
    rows: _Rows,
    chunk: int,
    workers: Any,
    progress: Report,
    checkpoint: Checkpoint | None,
) -> None:
    size = min(_AT_ONCE, chunk) if plan.of_thresholds else chunk
    if isinstance(workers, int) and workers > 1:  # several chunks each, to share them evenly
        size = min(size, max(1, math.ceil(plan.points / (4 * workers))))
    edges = [*range(0, plan.points, size), plan.points]
    left = [(a, b) for a, b in pairwise(edges) if not rows.done[a:b].all()]
    done = int(rows.done.sum())
    try:
        with mapper(workers) as (apply, travels), interrupts_kept() as check:
            source = pickle.dumps(plan.formula) if travels else plan.formula
            chunks = (
                _Chunk(
                    source,
                    plan.names,
                    plan.of_thresholds,
                    plan.settings,
                    _points(plan, *edge),
                    plan.fixed,
                    edge[0],
                )
                for edge in left
            )
            lost = 0
            pending = {begin: end - begin for begin, end in left}
            for part in apply(_compute, chunks):
                if isinstance(part, Lost):
                    part, lost = _lost(part.chunk, plan), lost + 1
                    if not rows.done.any() and lost in (2, len(left)):  # it is not the chunk
                        raise ConvergenceError(
                            "a worker process died: in a script, call sweep under `if __name__ == "
                            "'__main__':`; if memory is short, use fewer workers or a smaller chunk"
                        )
                if not isinstance(part, _Rows) or pending.pop(part.begin, 0) != part.status.size:
                    raise ConvergenceError(
                        "sweep: the workers returned what was not asked of them, or the same "
                        "chunk twice; a map must return one result for each chunk"
                    )
                where = slice(part.begin, part.begin + part.status.size)
                done += part.status.size - int(rows.done[where].sum())
                rows.put(part)
                check()
                progress(done, plan.points)
                if checkpoint is not None:
                    checkpoint.save(rows.arrays(), only_if_due=True)
            if pending:
                raise ConvergenceError(
                    f"sweep: the workers returned {len(left) - len(pending)} of {len(left)} "
                    f"chunks; a map must return one result for each"
                )
    except KeyboardInterrupt as stop:
        if checkpoint is not None and rows.done.any():
            stop.add_note(
                f"{int(rows.done.sum())} of {plan.points} points are in {checkpoint.path}, "
                f"resume=True continues from there"
            )
        raise
    finally:
        if checkpoint is not None and rows.done.any():
            checkpoint.save(rows.arrays())


def _points(plan: _Plan, begin: int, end: int) -> dict[str, Array]:
    places = np.unravel_index(np.arange(begin, end), plan.shape)
    return {
        name: values[place]
        for (name, values), place in zip(plan.coords.items(), places, strict=True)
    }


def _identity(plan: _Plan) -> dict[str, str]:
    """Return what two sweeps must share for their points to be the same numbers."""
    formula = plan.formula
    content = repr(
        (formula.potential, dict(formula.observables), dict(formula.thresholds), formula.domains)
    )
    controls = hashlib.sha256()
    for name, values in plan.coords.items():
        controls.update(f"{name}{values.size}".encode() + values.tobytes())
    fixed = repr({name: float(value) for name, value in plan.fixed.items()})
    return {
        "formula": formula.name,
        "options": repr(dict(formula.options)),
        "equations": hashlib.sha256(content.encode()).hexdigest(),
        "version": _version(),
        "quantity": repr(plan.columns),
        "controls": controls.hexdigest() + fixed,
        "settings": repr(dict(plan.settings)),
    }
