"""Words of a figure: quantities, controls and fixed values, from the symbols of the formulas."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sympy import Symbol, latex

from replica.declarations.control import Control
from replica.figures.axes import Frame

__all__ = [
    "FAILED_LABEL",
    "NO_SADDLE_LABEL",
    "UNSTABLE_LABEL",
    "at_text",
    "control_label",
    "elsewhere",
    "formula_words",
    "quantity_label",
    "short_label",
]

QUANTITIES = {
    "potential": r"free entropy per weight, $\phi$ (nats)",
    "entropy": "entropy per weight (nats)",
    "replicon": "replicon",
    "satisfiable": "fraction of satisfiable instances",
    "capacity": r"largest satisfiable $n/p$",
}
CONTROLS = {"alpha": r"patterns per weight, $\alpha = n/p$"}  # where no formula tells
UNSTABLE_LABEL = "RS unstable"
NO_SADDLE_LABEL = "no saddle point"
FAILED_LABEL = "not converged"


def formula_words(name: str) -> str:
    """Return the name of a formula as words: "binary perceptron"."""
    return name.replace("-", " ")


def at_text(name: str, value: Any, frame: Frame) -> str:
    """Return a control and its value as LaTeX."""
    return f"${_control_symbol(name, frame)} = {float(value):g}$"


def elsewhere(given: Mapping[str, Any], frame: Frame) -> list[str]:
    """Return the controls that are neither on the axes nor those of the first line."""
    return [
        at_text(str(name), value, frame)
        for name, value in given.items()
        if str(name) not in (frame.x, frame.rows) and frame.fixed.get(str(name)) != float(value)
    ]


def latex_name(name: str) -> str:
    r"""Return the name of a threshold or overlap as LaTeX.

    Examples
    --------
    >>> latex_name("kappa_star"), latex_name("alpha_IT")
    ('\\kappa^*', '\\alpha_{\\mathrm{IT}}')
    """
    if name.endswith("_star"):
        return f"{latex(Symbol(name.removesuffix('_star')))}^*"
    base, _, index = name.partition("_")
    if len(index) > 1 and index.isalnum():
        return rf"{latex(Symbol(base))}_{{\mathrm{{{index}}}}}"
    return str(latex(Symbol(name)))


def short_label(name: str) -> str:
    """Return a quantity without its unit, for a legend."""
    return QUANTITIES.get(name, f"${latex_name(name)}$").split(" (")[0]


def quantity_label(name: str, frame: Frame) -> str:
    """Return meaning and symbol of a quantity, for an axis."""
    if name in QUANTITIES:
        return QUANTITIES[name]
    for formula in frame.formulas:
        if name in formula.thresholds:
            meaning = formula.thresholds[name].doc.split(":")[0]
            return f"{meaning}, ${latex_name(name)}$" if meaning else f"${latex_name(name)}$"
        if name in map(str, formula.overlaps):
            return f"overlap ${latex_name(name)}$"
        if name in map(str, formula.conjugates.values()):
            return f"conjugate ${latex_name(name)}$"
    return formula_words(name) if "_" not in name and len(name) > 2 else f"${latex_name(name)}$"


def _control(name: str, frame: Frame) -> Control | None:
    return next((f.controls[name] for f in frame.formulas if name in f.controls), None)


def _control_symbol(name: str, frame: Frame) -> str:
    control = _control(name, frame)
    return str(latex(control.symbol)) if control else latex_name(name)


def control_label(name: str, frame: Frame) -> str:
    """Return meaning and symbol of a control, for an axis."""
    control = _control(name, frame)
    if control is None:
        return CONTROLS.get(name, f"${latex_name(name)}$")
    return _described(control)


def _described(control: Control) -> str:
    r"""Return meaning and symbol; "patterns per weight, n/p" also gives the definition.

    >>> from sympy import Interval, oo, symbols
    >>> alpha = symbols("alpha", real=True)
    >>> _described(Control(alpha, Interval.open(0, oo), None, "patterns per weight, n/p"))
    'patterns per weight, $\\alpha = n/p$'
    """
    symbol = str(latex(control.symbol))
    meaning, comma, definition = control.doc.rpartition(", ")
    if comma and re.fullmatch(r"\w+(/\w+)+", definition):
        return f"{meaning}, ${symbol} = {definition}$"
    return f"{control.doc}, ${symbol}$" if control.doc else f"${symbol}$"
