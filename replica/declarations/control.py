"""Parameters of a system: the controls that a user sets, and what follows from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sympy import Expr, Interval, S, Symbol, sympify

from replica.errors import DeclarationError
from replica.writing import python_name

__all__ = ["Control", "Relation", "control_name", "declared_controls"]


def control_name(symbol: Symbol) -> str:
    """Return the name of a control as a Python keyword argument (``lambda`` -> ``lambda_``)."""
    return python_name(symbol.name)


@dataclass(frozen=True)
class Control:
    """A parameter of the system that the user sets: symbol, domain, default, meaning."""

    symbol: Symbol
    domain: Interval
    default: object = None
    doc: str = ""

    @property
    def name(self) -> str:
        """Name as a Python keyword argument."""
        return control_name(self.symbol)


@dataclass(frozen=True)
class Relation:
    """A control that is a function of others, and is accepted in place of one of them.

    Parameters
    ----------
    control : Control
        Its symbol, domain and meaning; the default is not used.
    value : Expr
        In terms of the controls of the formula; invertible in each of them.
    """

    control: Control
    value: Expr


def declared_controls(formula: str, declared: Mapping[object, object]) -> dict[str, Control]:
    """Return the controls of a formula by name, refused where they are declared wrong."""
    controls: dict[str, Control] = {}
    for key, value in declared.items():
        if isinstance(value, Control):
            control = value
        elif isinstance(key, Symbol) and isinstance(value, tuple) and len(value) in (2, 3):
            control = Control(key, *value)
        else:
            raise DeclarationError(
                f"formula {formula}: declare control {key} as Symbol: (Interval, default)"
            )
        if control.symbol.is_real is not True:
            raise DeclarationError(
                f"formula {formula}: the control {control.symbol} must be a real symbol: "
                f"symbols({control.symbol.name!r}, real=True)"
            )
        _check_control(formula, control)
        if control.name in controls:
            raise DeclarationError(f"formula {formula}: two controls are named {control.name}")
        controls[control.name] = control
    return controls


def _check_control(formula: str, control: Control) -> None:
    if not isinstance(control.domain, Interval):
        raise DeclarationError(
            f"formula {formula}: the domain of control {control.symbol} must be an Interval, "
            f"not {control.domain!r}"
        )
    if control.default is None:
        return
    plain = isinstance(control.default, (int, float, Expr)) and not isinstance(
        control.default, bool
    )
    number = sympify(control.default, strict=True) if plain else S.NaN
    if number is S.NaN or control.domain.contains(number) != S.true:
        raise DeclarationError(
            f"formula {formula}: the default {control.default!r} of control {control.symbol} is "
            f"not a number in {control.domain}"
        )
