"""What is declared and published, shown: all formulas, one formula, values recomputed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sympy import latex

from replica.declarations.control import Control
from replica.declarations.family import Family, default_formula
from replica.declarations.formula import Formula
from replica.layout import columns, filled, labelled
from replica.references import BUILT_IN
from replica.registry import Registry
from replica.validation import Constant
from replica.writing import domain_text, heading, plain, shell_name, short

__all__ = [
    "constants_json",
    "constants_text",
    "formula_json",
    "formula_text",
    "list_json",
    "list_text",
]

_NOTATION = "Mean(f, (x, v)) is the average of f over x ~ N(0, v)"
# Table of constants: significant digits, gap between columns, and whether citations have a
# column; the first layout that fits is taken.
_LAYOUTS = ((10, 2, True), (10, 1, True), (8, 1, True), (8, 2, False))


def _options(target: Formula | Family) -> Mapping[str, Any]:
    return target.options if isinstance(target, Family) else {}


# ---- the registry -------------------------------------------------------------------------------


def list_json(registry: Registry) -> dict[str, Any]:
    """Return the registry as a JSON object."""
    rows = []
    for name in registry:
        target, formula = registry[name], default_formula(registry[name])
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


def list_text(registry: Registry, width: int) -> str:
    """Return the formulas, with their options and thresholds."""
    blocks = []
    for name in registry:
        target, formula = registry[name], default_formula(registry[name])
        names = [formula.thresholds]
        choices = [
            f"{key}={'|'.join(map(str, option.choices))}"
            for key, option in _options(target).items()
        ]
        facts = [f"thresholds {', '.join(names[0])}"] if names[0] else []
        facts += [f"controls {', '.join(map(shell_name, formula.controls))}"]
        facts += [f"options {', '.join(choices)}"] if choices else []
        body = [target.title, "; ".join(facts)]
        if registry.origins[name] != BUILT_IN:
            body.append(f"from the package {registry.origins[name]}")
        blocks.append("\n".join([name, *(filled(line, width, "  ", "    ") for line in body)]))
    return "\n".join(blocks)


# ---- one formula --------------------------------------------------------------------------------


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
        "potential": None if formula.potential is None else str(formula.potential),
        "latex": r", \quad ".join(map(latex, formula.equations))
        if formula.potential is None
        else latex(formula.potential),
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
        "published": [published.to_dict() for published in formula.published],
        "cites": list(formula.cites),
        "experiment": formula.experiment is not None,
    }


def _start_json(value: Any) -> float | str:
    """Return a number, or an expression in the controls as text."""
    return str(value) if getattr(value, "free_symbols", None) else float(value)


def formula_text(target: Formula | Family, formula: Formula, width: int) -> str:
    """Return all that is declared of a formula, and the equations derived from it."""
    lines = [heading(formula.name, formula.options), filled(formula.title, width, "  ", "  ")]
    if formula.ensemble:
        lines += ["", "Ensemble", filled(formula.ensemble, width, "  ", "  ")]
    body: list[str] = []
    if formula.potential is not None:
        potential = filled(f"phi = {formula.potential}", width, "  ", "    ")
        body += ["", "Potential: free entropy in nats per weight", potential]
    if formula.equations:
        how = "stated" if formula.potential is None else "derived"
        body += ["", f"Saddle-point equations, {how}"]
    for equation in formula.equations:
        sides = (equation.lhs, equation.rhs) if equation.lhs.is_Symbol else (0, equation.lhs)
        body.append(filled(f"{sides[0]} = {sides[1]}", width, "  ", "    "))
    if any("Mean(" in line for line in body):
        after = 3 if formula.potential is not None else len(body)
        body.insert(after, filled(f"where {_NOTATION}", width, "  ", "    "))
    lines += body
    rows = []
    for overlap, domain in formula.overlaps.items():
        conjugate = formula.conjugates.get(overlap)
        pair = f"conjugate {conjugate}" if conjugate is not None else ""
        rows.append([str(overlap), domain_text(domain), pair])
    lines += ["", "Overlaps", columns(rows)] if rows else []
    if formula.starts:
        names = ", ".join(formula.starts)
        lines.append(labelled("starts", names, width, label_width=6))
    lines += ["", "Controls"]
    lines += [columns([_control_row(*item) for item in formula.controls.items()])]
    if options := _options(target):
        lines += ["", "Options"]
        for name, option in options.items():
            text = f"{'|'.join(map(str, option.choices))}, default {option.default}: {option.doc}"
            lines.append(labelled(name, text, width))
    if formula.observables:
        lines += ["", "Observables", *_observable_lines(formula, width)]
    if formula.thresholds:
        lines += ["", "Thresholds"]
        lines += [labelled(name, t.meaning, width) for name, t in formula.thresholds.items()]
    if formula.published:
        lines += ["", "Published"]
        rows = [
            [
                heading(p.quantity, p.options, p.at),
                p.value_text + (f" +- {p.tol:g}" if p.tol else ""),
                p.cite + (" (disputed)" if p.disputed else ""),
            ]
            for p in formula.published
        ]
        lines.append(columns(rows))
    status = formula.status + (f" where {formula.stability} <= 1" if formula.stability else "")
    lines += ["", labelled("Status", status, width, 0, 12)]
    if formula.experiment is not None:
        lines.append(labelled("Experiment", f"replica simulate {formula.name}", width, 0, 12))
    lines.append(labelled("References", ", ".join(formula.cites), width, 0, 12))
    return "\n".join(lines)


def _control_row(name: str, control: Control) -> list[str]:
    default = "required" if control.default is None else f"default {short(control.default)}"
    return [shell_name(name), domain_text(control.domain), default, control.doc]


def _observable_lines(formula: Formula, width: int) -> Iterator[str]:
    for name, expression in formula.observables.items():
        same = name != "potential" and expression == formula.potential
        text = "phi" if same or name == "potential" else str(expression)
        yield filled(f"{name} = {text}", width, "  ", "    ")


# ---- published values, recomputed ---------------------------------------------------------------


def constants_json(rows: Sequence[Constant]) -> dict[str, Any]:
    """Return recomputed constants as a JSON object."""
    return {
        "constants": [row.to_dict() for row in rows],
        "verdicts": _verdicts(rows),
        "seconds": round(sum(row.seconds for row in rows), 4),
        "passed": all(row.passed for row in rows),
    }


def _verdicts(rows: Iterable[Constant]) -> dict[str, int]:
    found = dict.fromkeys(("agrees", "holds", "disputed", "disagrees", "failed"), 0)
    for row in rows:
        found[row.verdict] += 1
    return found


def constants_text(rows: Sequence[Constant], width: int) -> str:
    """Return recomputed constants as one table, the formulas as headings."""
    for digits, gap, cited in _LAYOUTS:
        table = _constants_table(rows, digits, gap, cited)
        if max(map(len, table)) <= width:
            break
    lines, before = [table[0]], ""
    for row, line in zip(rows, table[1:], strict=True):
        title = heading(row.formula.name, row.formula.options)
        if title != before:
            lines.append(title)
            before = title
        lines.append(line)
        note = "; ".join(filter(None, ["" if cited else row.published.cite, row.note]))
        if note:
            lines.append(filled(note, width, "      ", "      "))
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
            heading(row.published.quantity, row.published.at),
            row.published.value_text,
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
    return columns(table, right=(2, 3, 4, len(table[0]) - 1), gap=gap).splitlines()


def _counted(number: int, verdict: str) -> str:
    several = {"agrees": "agree", "holds": "hold", "disagrees": "disagree"}
    return f"{number} {verdict if number == 1 else several.get(verdict, verdict)}"
