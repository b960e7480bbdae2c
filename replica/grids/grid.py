"""Results on a grid of controls: labelled arrays, their summary and their files."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from replica.declarations.formula import Formula
from replica.errors import MissingExtra, looked_up
from replica.files import whole_file
from replica.layout import columns
from replica.solvers.solution import Status
from replica.writing import plain, shell_name

__all__ = ["Sweep"]

Array = NDArray[np.float64]

_LARGEST_TABLE = 20


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
    exact : ndarray of bool
        False where the replica-symmetric saddle is known not to be exact; of several thresholds,
        at any of them.
    attrs : mapping
        Formula, options, fixed controls, version, citation keys, units.
    flags : mapping of str to ndarray of bool
        `exact` of each threshold by itself.
    stable : None or masked array of bool
        Whether each saddle point is stable within its ansatz, as for `Solution`; masked where that
        cannot be told, None for thresholds.
    """

    formula: Formula
    dims: tuple[str, ...]
    coords: Mapping[str, Array]
    data: Mapping[str, Array]
    status: NDArray[np.int8]
    exact: NDArray[np.bool_]
    attrs: Mapping[str, Any] = field(default_factory=dict)
    flags: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    stable: Any = None

    def exact_at(self, name: str) -> NDArray[np.bool_]:
        """Return where the saddle of a quantity is not known to be other than exact."""
        return self.flags.get(name, self.exact)

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
        """What is known of each point, as of a `Solution`; nothing where there is none."""
        known = np.where(self._stability == 0, "unstable", self.formula.status)
        words = np.where(self.exact, known, "rs-unstable")
        return np.asarray(np.where(self._solved, words, ""))

    @property
    def _solved(self) -> NDArray[np.bool_]:
        return np.isin(self.status, (Status.CONVERGED, Status.INACCURATE))

    @property
    def _stability(self) -> NDArray[np.int8]:
        """One where a saddle point is stable, zero where it is not, -1 where that is not told."""
        if self.stable is None:
            return np.full(self.shape, -1, dtype=np.int8)
        return np.ma.filled(self.stable.astype(np.int8), -1)

    def __getitem__(self, name: str) -> Any:
        everything = {**self.coords, **self.data, "status": self.status, "validity": None}
        found = looked_up("quantity", name, everything, f"this sweep of {self.formula.name}")
        return self.validity if found is None else found

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
            values = (plain(float(array[index])) for array in self.data.values())
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
            **({} if self.stable is None else {"stable": self.stable.tolist()}),
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
        told = {"flag_values": [-1, 0, 1], "flag_meanings": "unknown unstable stable"}
        stable = {} if self.stable is None else {"stable": (self.dims, self._stability, told)}
        return xarray.Dataset(
            data_vars={
                **{name: (self.dims, values) for name, values in self.data.items()},
                "status": (self.dims, self.status, flags),
                "validity": (self.dims, self.validity.astype(object)),
                **stable,
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

    def to_text(self, width: int = 80) -> str:
        """Return a summary and about twenty points, with the columns that fit the width."""
        names = [*self.dims, *self.data]
        cells = [[shell_name(name) for name in names] + ["status"]]
        for index in _samples(self.shape):
            point = [self.coords[name][i] for name, i in zip(self.dims, index, strict=True)]
            numbers = (*point, *(array[index] for array in self.data.values()))
            texts = [f"{value:.6g}" if math.isfinite(value) else "none" for value in numbers]
            cells.append([*texts, plain(Status(int(self.status[index])))])
        while len(columns(cells).splitlines()[1]) > width and len(cells[0]) > len(self.dims) + 2:
            cells = [[*row[:-2], row[-1]] for row in cells]  # fewer columns fit a narrow terminal
        lines = [repr(self), "", columns(cells, right=range(len(cells[0]) - 1))]
        shown = len(cells) - 1
        if shown < self.status.size:
            lines.append(f"  ({shown} of {self.status.size} points; --out FILE writes all)")
        return "\n".join(lines)

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
        told = int(((self._stability >= 0) & self._solved).sum())
        if told:
            stable = int((self._stability == 1).sum())
            lines.append(f"  {'stable':12s} {stable} of {told} points at which that is known")
        return "\n".join(lines)


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


def _samples(shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Yield about twenty points: whole rows of the first control, evenly spaced, if they fit."""
    inner = math.prod(shape[1:])
    if inner > _LARGEST_TABLE:
        for k in _spread(math.prod(shape), _LARGEST_TABLE):
            yield tuple(int(i) for i in np.unravel_index(k, shape))
        return
    for k in _spread(shape[0], _LARGEST_TABLE // inner):
        for rest in np.ndindex(shape[1:]):
            yield (k, *rest)


def _spread(size: int, wanted: int) -> list[int]:
    return sorted({round(x) for x in np.linspace(0, size - 1, min(size, wanted))})
