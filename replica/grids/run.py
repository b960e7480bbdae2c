"""Grids of controls, computed: `sweep`, with workers, progress and resume."""

from __future__ import annotations

import math
import os
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from replica.declarations.family import Family
from replica.declarations.formula import Formula
from replica.errors import ControlError, ConvergenceError
from replica.files import Checkpoint
from replica.grids.grid import Sweep
from replica.grids.plan import Plan, identity, planned, version
from replica.progress import Progress, progress_bar
from replica.solvers.saddle import solve
from replica.solvers.solution import Solution, Status
from replica.solvers.thresholds.verb import thresholds
from replica.workers import Lost, interrupts_kept, mapper, positive

__all__ = ["sweep"]

Array = NDArray[np.float64]

_AT_ONCE = 16  # thresholds that share their quadrature, and are lost together on Ctrl-C
_UNITS = "nats per weight"


def sweep(
    formula: Formula | Family,
    quantity: str | Sequence[str] | None = None,
    *,
    start: str | Mapping[Any, float] | Solution | None = None,
    follow: Mapping[Any, float] | None = None,
    exclude: Any = None,
    method: str = "auto",
    tolerance: float = 1e-9,
    max_steps: int = 2000,
    workers: Any = None,
    progress: Progress | bool | None = None,
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
    start, follow, exclude, method, tolerance, max_steps
        Of `solve`, for saddle points. Each point is followed on its own straight line, so that
        what it leads to does not depend on the other points.
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
    for name, value in (follow or {}).items():
        if np.ndim(value):
            raise ControlError(f"sweep: follow {name} takes one number, from where all points go")
    settings = {
        "start": start,
        "follow": follow,
        "exclude": exclude,
        "method": method,
        "tolerance": tolerance,
        "max_steps": max_steps,
    }
    plan = planned(formula, quantity, settings, controls)
    chunk = positive("sweep", "chunk", chunk)
    rows = _Rows.empty(len(plan.columns), plan.saddles, plan.points)
    checkpoint = None
    if path is not None:
        checkpoint = Checkpoint(path, identity(plan), "sweep")
        checkpoint.open(rows.arrays(), resume)
    if callable(progress) and not isinstance(progress, bool):
        _run(plan, rows, chunk, workers, progress, checkpoint)
    elif progress is False:
        _run(plan, rows, chunk, workers, lambda done, total: None, checkpoint)
    else:
        with progress_bar(plan.formula.name) as bar:
            _run(plan, rows, chunk, workers, bar, checkpoint)
    return _labelled(plan, rows)


# ---- the results --------------------------------------------------------------------------------


@dataclass
class _Rows:
    """Columns of results for a run of points of the grid.

    `exact` has a row for each saddle; `stable` is one where a saddle point is stable within its
    ansatz, zero where it is not, and -1 where that is not told.
    """

    table: Array
    status: NDArray[np.int8]
    exact: NDArray[np.bool_]
    stable: NDArray[np.int8]
    done: NDArray[np.bool_]
    begin: int = 0

    @classmethod
    def empty(cls, columns: int, saddles: int, points: int) -> _Rows:
        return cls(
            np.full((columns, points), np.nan),
            np.full(points, int(Status.MAX_STEPS), dtype=np.int8),
            np.ones((saddles, points), dtype=bool),
            np.full(points, -1, dtype=np.int8),
            np.zeros(points, dtype=bool),
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        names = ("table", "status", "exact", "stable", "done")
        return {name: getattr(self, name) for name in names}

    def put(self, part: _Rows) -> None:
        where = slice(part.begin, part.begin + part.status.size)
        self.table[:, where] = part.table
        self.status[where] = part.status
        self.exact[:, where] = part.exact
        self.stable[where] = part.stable
        self.done[where] = part.done


def _flags(plan: Plan, rows: _Rows) -> dict[str, NDArray[np.bool_]]:
    if not plan.of_thresholds:
        return {}
    flags = (row.reshape(plan.shape) for row in rows.exact)
    return dict(zip(plan.names, flags, strict=True))


def _stable(plan: Plan, rows: _Rows) -> Any:
    codes = rows.stable.reshape(plan.shape)
    return np.ma.array(codes == 1, mask=codes < 0)


def _labelled(plan: Plan, rows: _Rows) -> Sweep:
    return Sweep(
        formula=plan.formula,
        dims=tuple(plan.coords),
        coords=plan.coords,
        data={
            name: column.reshape(plan.shape)
            for name, column in zip(plan.columns, rows.table, strict=True)
        },
        status=rows.status.reshape(plan.shape),
        exact=rows.exact.all(axis=0).reshape(plan.shape),
        flags=_flags(plan, rows),
        stable=None if plan.of_thresholds else _stable(plan, rows),
        attrs={
            "formula": plan.formula.name,
            "title": plan.formula.title,
            "options": dict(plan.formula.options),
            "controls": {name: float(value) for name, value in plan.fixed.items()},
            "quantity": "saddle points" if plan.everything else ", ".join(plan.names),
            "version": version(),
            "cites": list(plan.formula.cites),
            "units": _UNITS,
        },
    )


# ---- the work -----------------------------------------------------------------------------------


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


def _lost(chunk: _Chunk, plan: Plan) -> _Rows:
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
    exact = np.asarray(solution.validity) != "rs-unstable"
    stable = np.ma.filled(np.ma.asarray(solution.stable).astype(np.int8), -1)
    return _Rows(table, status, exact[None], stable, np.ones(points, dtype=bool))


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
            rows.exact[j, k] = result.validity != "rs-unstable"
            rows.status[k] = max(rows.status[k], int(result.status))
    return rows


def _run(
    plan: Plan,
    rows: _Rows,
    chunk: int,
    workers: Any,
    progress: Progress,
    checkpoint: Checkpoint | None,
) -> None:
    size = min(_AT_ONCE, chunk) if plan.of_thresholds else chunk
    if isinstance(workers, int) and workers > 1:  # several chunks each, to share them evenly
        size = min(size, max(1, math.ceil(plan.points / (4 * workers))))
    edges = [*range(0, plan.points, size), plan.points]
    left = [(a, b) for a, b in pairwise(edges) if not rows.done[a:b].all()]
    done = int(rows.done.sum())
    try:
        with mapper(workers, "sweep", __name__) as (apply, travels), interrupts_kept() as check:
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
                    if not rows.done.any() and lost in (
                        2,
                        len(left),
                    ):  # two chunks, or all: workers never start
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


def _points(plan: Plan, begin: int, end: int) -> dict[str, Array]:
    places = np.unravel_index(np.arange(begin, end), plan.shape)
    return {
        name: values[place]
        for (name, values), place in zip(plan.coords.items(), places, strict=True)
    }
