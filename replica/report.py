"""Results for a terminal, as plain text of a given width, and as JSON objects."""

from __future__ import annotations

import enum
import keyword
import math
import shutil
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from sympy import Interval, latex

from replica.declarations.control import Control
from replica.declarations.family import Family
from replica.declarations.formula import Formula
from replica.declarations.published import Published
from replica.declarations.threshold import Limit
from replica.grids.grid import Sweep
from replica.registry import Registry
from replica.solvers.branches import Branches
from replica.solvers.optimise import Optimum
from replica.solvers.published import compare
from replica.solvers.solution import Solution, Status, ThresholdResult, with_error
from replica.solvers.trajectory import Trajectory
from replica.validation import Constant

__all__ = [
    "constants_json",
    "constants_text",
    "formula_json",
    "formula_text",
    "list_json",
    "list_text",
    "optimum_json",
    "optimum_text",
    "plain",
    "python_name",
    "shell_name",
    "solution_json",
    "solution_text",
    "sweep_text",
    "terminal_width",
    "threshold_json",
    "threshold_text",
]

_NOTATION = "Mean(f, (x, v)) is the average of f over x ~ N(0, v)"
_LARGEST_TABLE = 20
# Table of constants: significant digits, gap between columns, and whether citations have a
# column; the first layout that fits is taken.
_LAYOUTS = ((10, 2, True), (10, 1, True), (8, 1, True), (8, 2, False))


def shell_name(name: str) -> str:
    """Return a control's name as it is typed at the shell: ``lambda`` for ``lambda_``."""
    short = name.removesuffix("_")
    return short if keyword.iskeyword(short) else name


def python_name(name: str) -> str:
    """Return a control's name as a keyword argument: ``lambda_`` for ``lambda``."""
    return name + "_" if keyword.iskeyword(name) else name


def terminal_width() -> int:
    """Return the columns to write in: those of the terminal, 80 when piped, 100 at most."""
    return max(40, min(shutil.get_terminal_size((80, 24)).columns, 100))


# ---- JSON ---------------------------------------------------------------------------------------


def plain(value: Any) -> Any:
    """Turn a value into what JSON can say; NaN and infinity into None.

    Examples
    --------
    >>> plain({"alpha": float("nan"), "status": Status.NO_SADDLE, "grid": np.array([1.0, 2.0])})
    {'alpha': None, 'status': 'no_saddle', 'grid': [1.0, 2.0]}
    """
    if isinstance(value, Mapping):
        return {shell_name(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, enum.Enum):
        return value.name.lower()
    if isinstance(value, (np.ndarray, np.generic)):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, (bool, int, str, type(None))) else str(value)


def _published_json(published: Published) -> dict[str, Any]:
    return {
        "quantity": published.quantity,
        "relation": published.relation,
        "value": plain(float(published.value)),
        "tol": plain(float(published.tol)),
        "at": {shell_name(name): plain(float(value)) for name, value in published.at.items()},
        "options": plain(published.options),
        "cite": published.cite,
        "where": published.where,
        "disputed": published.disputed,
    }


def _compared_json(rows: Iterable[tuple[Published, float, str]]) -> list[dict[str, Any]]:
    return [
        {**_published_json(published), "difference": plain(difference), "verdict": verdict}
        for published, difference, verdict in rows
    ]


def threshold_json(result: ThresholdResult) -> dict[str, Any]:
    """Return a threshold as a JSON object."""
    return {
        "formula": result.formula.name,
        "options": plain(result.formula.options),
        "threshold": result.name,
        "controls": plain(result.controls),
        "status": plain(result.status),
        "value": plain(result.value),
        "error": plain(result.error),
        **({"digits": result.digits, "text": result.text} if result.digits is not None else {}),
        "validity": result.validity,
        "note": result.note,
        "method": result.method,
        "overlaps": plain(result.overlaps),
        "published": _compared_json(result.published),
    }


def solution_json(solution: Solution) -> dict[str, Any]:
    """Return a saddle point as a JSON object."""
    return {
        "formula": solution.formula.name,
        "options": plain(solution.formula.options),
        "controls": plain(solution.controls),
        "status": plain(solution.status),
        "overlaps": plain(solution.overlaps),
        "observables": plain(solution.observables),
        "potential": plain(solution.potential),
        "error": plain(solution.error),
        "errors": plain(solution.errors),
        **({"text": plain(solution.texts)} if solution.texts else {}),
        "validity": solution.validity,
        "note": solution.note,
        "steps": int(solution.steps),
        "published": _compared_json(_published_here(solution)),
    }


def optimum_json(found: Optimum) -> dict[str, Any]:
    """Return a tuned control as a JSON object."""
    return {
        "formula": found.formula.name,
        "options": plain(found.formula.options),
        "controls": plain(found.controls),
        "over": shell_name(found.over),
        "optimum": plain(found.optimum),
        "optimum_error": plain(found.optimum_error),
        "quantity": found.quantity,
        "value": plain(found.value),
        "error": plain(found.error),
        "curvature": plain(found.curvature),
        "status": plain(found.status),
        "overlaps": plain(found.solution.overlaps),
        "observables": plain(found.solution.observables),
    }


def branches_json(found: Branches) -> dict[str, Any]:
    """Return branches as a JSON object: arrays along the curve, folds, stability."""
    return {
        "formula": found.formula.name,
        "options": plain(found.formula.options),
        "controls": plain(found.controls),
        "control": found.name,
        found.name: plain(found.control),
        "overlaps": plain(found.overlaps),
        "observables": plain(found.observables),
        "stable": found.stable.tolist(),
        "folds": [{"value": value, "kind": kind} for value, kind in found.folds],
        "boundary": found.boundary,
        "status": "converged",
    }


def trajectory_json(found: Trajectory) -> dict[str, Any]:
    """Return a trajectory as a JSON object: one array per quantity."""
    return {
        "formula": found.formula.name,
        "options": plain(found.formula.options),
        "controls": plain(found.controls),
        "start": found.start,
        "steps": found.steps,
        "overlaps": plain(found.overlaps),
        "observables": plain(found.observables),
        "status": "converged",
    }


def _published_here(solution: Solution) -> Iterator[tuple[Published, float, str]]:
    for name, value in {**solution.overlaps, **solution.observables}.items():
        yield from compare(
            solution.formula, name, solution.controls, value, float(solution.errors[name])
        )


def formula_json(target: Formula | Family, formula: Formula) -> dict[str, Any]:
    """Return everything that is declared of a formula as a JSON object."""
    return {
        "formula": formula.name,
        "title": formula.title,
        "ensemble": formula.ensemble,
        "status": formula.status,
        "stability": formula.stability,
        "options": plain(formula.options),
        "choices": {
            name: {"choices": plain(option.choices), "default": plain(option.default)}
            for name, option in _options(target).items()
        },
        "controls": {
            shell_name(name): {
                "domain": domain_text(control.domain),
                "default": None if control.default is None else float(control.default),
                "doc": control.doc,
            }
            for name, control in formula.controls.items()
        },
        "overlaps": {str(q): domain_text(domain) for q, domain in formula.overlaps.items()},
        "conjugates": {str(q): str(qhat) for q, qhat in formula.conjugates.items()},
        "potential": str(formula.potential),
        "latex": latex(formula.potential),
        "equations": [f"{e.lhs} = {e.rhs}" for e in formula.equations],
        "observables": {name: str(e) for name, e in formula.observables.items()},
        "thresholds": {
            name: {"kind": type(threshold).__name__.lower(), "doc": threshold.doc}
            for name, threshold in formula.thresholds.items()
        },
        "starts": {
            name: {str(q): _start_json(value) for q, value in start.items()}
            for name, start in formula.starts.items()
        },
        "published": [_published_json(published) for published in formula.published],
        "cites": list(formula.cites),
        "experiment": formula.experiment is not None,
    }


def _start_json(value: Any) -> float | str:
    """Return a number, or an expression in the controls as text."""
    return str(value) if getattr(value, "free_symbols", None) else float(value)


def list_json(registry: Registry) -> dict[str, Any]:
    """Return the registry as a JSON object."""
    rows = []
    for name in registry:
        target, formula = registry[name], _default(registry[name])
        rows.append(
            {
                "formula": name,
                "title": target.title,
                "status": formula.status,
                "options": {k: plain(option.choices) for k, option in _options(target).items()},
                "controls": [shell_name(control) for control in formula.controls],
                "thresholds": list(formula.thresholds),
                "origin": registry.origins[name],
            }
        )
    return {"formulas": rows}


def constants_json(rows: Sequence[Constant]) -> dict[str, Any]:
    """Return recomputed constants as a JSON object."""
    return {
        "constants": [
            {
                "formula": row.formula.name,
                **_published_json(row.published),
                "options": plain(row.formula.options),
                "published": plain(float(row.published.value)),
                "value": plain(row.value),
                "error": plain(row.error),
                "difference": plain(row.difference),
                "verdict": row.verdict,
                "validity": row.validity,
                "note": row.note,
                "seconds": round(row.seconds, 4),
            }
            for row in rows
        ],
        "verdicts": _verdicts(rows),
        "seconds": round(sum(row.seconds for row in rows), 4),
        "passed": all(row.passed for row in rows),
    }


def _verdicts(rows: Iterable[Constant]) -> dict[str, int]:
    found = dict.fromkeys(("agrees", "holds", "disputed", "disagrees", "failed"), 0)
    for row in rows:
        found[row.verdict] += 1
    return found


# ---- words --------------------------------------------------------------------------------------


def _default(target: Formula | Family) -> Formula:
    return target() if isinstance(target, Family) else target


def _options(target: Formula | Family) -> Mapping[str, Any]:
    return target.options if isinstance(target, Family) else {}


def domain_text(domain: Interval) -> str:
    """Write an interval.

    Examples
    --------
    >>> from sympy import oo
    >>> domain_text(Interval.Ropen(0, 1)), domain_text(Interval(0, oo))
    ('[0, 1)', '[0, inf)')
    """
    left = "(" if domain.left_open else "["
    right = ")" if domain.right_open else "]"
    return f"{left}{domain.start}, {domain.end}{right}".replace("oo", "inf")


def _settings(values: Mapping[str, Any]) -> str:
    return " ".join(f"{shell_name(name)}={_short(value)}" for name, value in values.items())


def _short(value: Any) -> str:
    number = isinstance(value, (float, np.floating)) or hasattr(value, "is_number")
    return f"{float(value):.10g}" if number else str(value)


def _heading(name: str, *settings: Mapping[str, Any]) -> str:
    return " ".join(filter(None, [name, *map(_settings, settings)]))


def _wrapped(label: str, text: str, width: int, indent: int = 2, label_width: int = 11) -> str:
    """Return a label and its text, which continues below itself."""
    first = " " * indent + (f"{label:{label_width}s} " if label_width else "")
    if len(first) > indent + label_width + 1:  # a long label has its own line
        rest = " " * (indent + label_width + 1)
        return first.rstrip() + "\n" + _fill(text, width, rest, rest)
    return _fill(text, width, first, " " * len(first))


def _fill(text: str, width: int, first: str, rest: str) -> str:
    return textwrap.fill(
        text or "-",
        width,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _columns(
    rows: Sequence[Sequence[str]], right: Iterable[int] = (), indent: int = 2, gap: int = 2
) -> str:
    """Return aligned columns, each as wide as its widest cell; `right` are flush right."""
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


def _published_value(published: Published) -> str:
    sign = "" if published.relation == "=" else f"{published.relation} "
    return f"{sign}{published.value:.12g}"


def _source(published: Published) -> str:
    return ", ".join(filter(None, [published.cite, published.where]))


# ---- one result ---------------------------------------------------------------------------------


def list_text(registry: Registry, width: int) -> str:
    """Return the formulas, with their options and thresholds."""
    blocks = []
    for name in registry:
        target, formula = registry[name], _default(registry[name])
        names = [formula.thresholds]
        choices = [
            f"{key}={'|'.join(map(str, option.choices))}"
            for key, option in _options(target).items()
        ]
        facts = [f"thresholds {', '.join(names[0])}"] if names[0] else []
        facts += [f"controls {', '.join(map(shell_name, formula.controls))}"]
        facts += [f"options {', '.join(choices)}"] if choices else []
        body = [target.title, "; ".join(facts)]
        if registry.origins[name] != "replica_formulas":
            body.append(f"from the package {registry.origins[name]}")
        blocks.append("\n".join([name, *(_fill(line, width, "  ", "    ") for line in body)]))
    return "\n".join(blocks)


def formula_text(target: Formula | Family, formula: Formula, width: int) -> str:
    """Return all that is declared of a formula, and the equations derived from it."""
    lines = [_heading(formula.name, formula.options), _fill(formula.title, width, "  ", "  ")]
    if formula.ensemble:
        lines += ["", "Ensemble", _fill(formula.ensemble, width, "  ", "  ")]
    potential = _fill(f"phi = {formula.potential}", width, "  ", "    ")
    lines += ["", "Potential: free entropy in nats per weight", potential]
    if "Mean(" in potential:
        lines.append(_fill(f"where {_NOTATION}", width, "  ", "    "))
    lines += ["", "Saddle-point equations, derived"]
    for equation in formula.equations:
        sides = (equation.lhs, equation.rhs) if equation.lhs.is_Symbol else (0, equation.lhs)
        lines.append(_fill(f"{sides[0]} = {sides[1]}", width, "  ", "    "))
    lines += ["", "Overlaps"]
    rows = []
    for overlap, domain in formula.overlaps.items():
        conjugate = formula.conjugates.get(overlap)
        pair = f"conjugate {conjugate}" if conjugate is not None else ""
        rows.append([str(overlap), domain_text(domain), pair])
    lines += [_columns(rows)]
    if formula.starts:
        names = ", ".join(formula.starts)
        lines.append(_wrapped("starts", names, width, label_width=6))
    lines += ["", "Controls"]
    lines += [_columns([_control_row(*item) for item in formula.controls.items()])]
    if options := _options(target):
        lines += ["", "Options"]
        for name, option in options.items():
            text = f"{'|'.join(map(str, option.choices))}, default {option.default}: {option.doc}"
            lines.append(_wrapped(name, text, width))
    lines += ["", "Observables", *_observable_lines(formula, width)]
    if formula.thresholds:
        lines += ["", "Thresholds"]
        lines += [_wrapped(name, _meaning(t), width) for name, t in formula.thresholds.items()]
    if formula.published:
        lines += ["", "Published"]
        rows = [
            [
                _heading(p.quantity, p.options, p.at),
                _published_value(p) + (f" +- {p.tol:g}" if p.tol else ""),
                p.cite + (" (disputed)" if p.disputed else ""),
            ]
            for p in formula.published
        ]
        lines.append(_columns(rows))
    status = formula.status + (f" where {formula.stability} <= 1" if formula.stability else "")
    lines += ["", _wrapped("Status", status, width, 0, 12)]
    if formula.experiment is not None:
        lines.append(_wrapped("Experiment", f"replica simulate {formula.name}", width, 0, 12))
    lines.append(_wrapped("References", ", ".join(formula.cites), width, 0, 12))
    return "\n".join(lines)


def _control_row(name: str, control: Control) -> list[str]:
    default = "required" if control.default is None else f"default {_short(control.default)}"
    return [shell_name(name), domain_text(control.domain), default, control.doc]


def _observable_lines(formula: Formula, width: int) -> Iterator[str]:
    for name, expression in formula.observables.items():
        same = name != "potential" and expression == formula.potential
        text = "phi" if same or name == "potential" else str(expression)
        yield _fill(f"{name} = {text}", width, "  ", "    ")


def _meaning(threshold: Any) -> str:
    kind = type(threshold).__name__.lower()
    if kind == "cases":
        kind = " or ".join(
            dict.fromkeys(type(case).__name__.lower() for _, case in threshold.cases)
        )
    if not isinstance(threshold, Limit):
        kind += f" in {', '.join(map(str, threshold.controls))}"
    return f"{threshold.doc} ({kind})" if threshold.doc else kind


def threshold_text(result: ThresholdResult, width: int) -> str:
    """Return a threshold with error, validity and what was published."""
    value = result.text or with_error(result.value, result.error)
    controls = {k: w for k, w in result.controls.items() if k != result.name}
    lines = [
        _heading(result.formula.name, result.formula.options, controls),
        _fill(f"{result.name} = {value}", width, "  ", "    "),
        _wrapped("status", _status(result.status, result.validity), width),
    ]
    if result.text:
        lines.insert(2, _wrapped("error", f"{result.error:.0e}", width))
    if result.note:
        lines.append(_wrapped("note", result.note, width))
    if result.overlaps:
        overlaps = ", ".join(f"{k} = {w:.12g}" for k, w in result.overlaps.items())
        lines.append(_wrapped("there", overlaps, width))
    if result.method:
        lines.append(_wrapped("method", result.method, width))
    lines += _published_lines(result.published, width)
    return "\n".join(lines)


def _status(status: Any, validity: str) -> str:
    return f"{Status(int(status))}; {validity}" if validity else str(Status(int(status)))


def _published_lines(rows: Iterable[tuple[Published, float, str]], width: int) -> Iterator[str]:
    for published, difference, verdict in rows:
        text = f"{published.quantity} " if published.relation != "=" else ""
        text += f"{_published_value(published)}"
        text += f" +- {published.tol:g}" if published.tol else ""
        text += f": {verdict}, difference {difference:+.1e}" if verdict == "disagrees" else ""
        text += f": {verdict}" if verdict != "disagrees" else ""
        text += f" ({_source(published)})" if _source(published) else ""
        text += f"; {published.disputed}" if published.disputed else ""
        yield _wrapped("published", text, width)


def solution_text(solution: Solution, width: int) -> str:
    """Return a saddle point: overlaps and observables with errors, status and validity."""
    lines = [_heading(solution.formula.name, solution.formula.options, solution.controls)]
    for name, value in {**solution.overlaps, **solution.observables}.items():
        text = solution.texts.get(name) or with_error(float(value), float(solution.errors[name]))
        lines.append(_wrapped(name, text, width))
    lines.append(_wrapped("status", _status(solution.status, str(solution.validity)), width))
    if solution.note:
        lines.append(_wrapped("note", solution.note, width))
    lines += _published_lines(_published_here(solution), width)
    return "\n".join(lines)


def optimum_text(found: Optimum, width: int) -> str:
    """Return a tuned control: its value, that of the quantity, and how flat this is there."""
    given = {k: w for k, w in found.controls.items() if k != found.over}
    rows = (
        (found.quantity, with_error(found.value, found.error)),
        (shell_name(found.over), with_error(found.optimum, found.optimum_error)),
        ("curvature", f"{found.curvature:.6g} of {found.quantity} in {shell_name(found.over)}"),
        ("status", _status(found.status, str(found.solution.validity))),
    )
    lines = [_heading(found.formula.name, found.formula.options, given)]
    return "\n".join(lines + [_wrapped(name, text, width) for name, text in rows])


# ---- many results -------------------------------------------------------------------------------


def constants_text(rows: Sequence[Constant], width: int) -> str:
    """Return recomputed constants as one table, the formulas as headings."""
    for digits, gap, cited in _LAYOUTS:
        table = _constants_table(rows, digits, gap, cited)
        if max(map(len, table)) <= width:
            break
    lines, before = [table[0]], ""
    for row, line in zip(rows, table[1:], strict=True):
        heading = _heading(row.formula.name, row.formula.options)
        if heading != before:
            lines.append(heading)
            before = heading
        lines.append(line)
        note = "; ".join(filter(None, ["" if cited else row.published.cite, row.note]))
        if note:
            lines.append(_fill(note, width, "      ", "      "))
    counts = [_counted(number, verdict) for verdict, number in _verdicts(rows).items() if number]
    values = f"{len(rows)} published value{'' if len(rows) == 1 else 's'}"
    seconds = sum(row.seconds for row in rows)
    return "\n".join([*lines, "", f"{values}: {', '.join(counts) or 'none'}; {seconds:.1f} s"])


def _constants_table(rows: Sequence[Constant], digits: int, gap: int, cited: bool) -> list[str]:
    header = ["", "published", "computed", "error", "diff", "verdict", "citation", "s"]
    table = [header]
    for row in rows:
        found = math.isfinite(row.value)
        cells = [
            _heading(row.published.quantity, row.published.at),
            _published_value(row.published),
            f"{row.value:.{digits}g}" if found else "none",
            f"{row.error:.0e}" if found else "",
            f"{row.difference:+.0e}" if found else "",
            row.verdict,
            row.published.cite,
            f"{row.seconds:.1f}" if row.seconds else "",
        ]
        table.append(cells)
    if not cited:
        table = [[*cells[:6], cells[7]] for cells in table]
    return _columns(table, right=(2, 3, 4, len(table[0]) - 1), gap=gap).splitlines()


def _counted(number: int, verdict: str) -> str:
    several = {"agrees": "agree", "holds": "hold", "disagrees": "disagree"}
    return f"{number} {verdict if number == 1 else several.get(verdict, verdict)}"


def sweep_text(grid: Sweep, width: int) -> str:
    """Return a summary of a sweep and up to twenty of its points."""
    names = [*grid.dims, *grid.data]
    cells = [[shell_name(name) for name in names] + ["status"]]
    for index in _samples(grid.shape):
        point = [grid.coords[name][i] for name, i in zip(grid.dims, index, strict=True)]
        values = [array[index] for array in grid.data.values()]
        texts = [f"{value:.6g}" if math.isfinite(value) else "none" for value in (*point, *values)]
        cells.append([*texts, str(plain(Status(int(grid.status[index]))))])
    while len(_columns(cells).splitlines()[1]) > width and len(cells[0]) > len(grid.dims) + 2:
        cells = [[*row[:-2], row[-1]] for row in cells]  # fewer columns fit a narrow terminal
    table = _columns(cells, right=range(len(cells[0]) - 1))
    lines = [repr(grid), "", table]
    shown = len(cells) - 1
    if shown < grid.status.size:
        lines.append(f"  ({shown} of {grid.status.size} points; --out FILE writes all)")
    return "\n".join(lines)


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
