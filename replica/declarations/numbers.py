"""Numbers as users give them: exact where they are, inside a domain, with a message when not."""

from __future__ import annotations

import numbers
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any

import mpmath
import numpy as np
import sympy

from replica.declarations.control import Control
from replica.errors import ControlError
from replica.writing import domain_text

__all__ = ["exact", "is_whole", "read_number"]


def read_number(value: Any, control: Control, formula: str) -> Any:
    """Return `value` as a float, an exact rational or a float array, checked against the domain.

    Examples
    --------
    >>> from sympy import Interval, oo, symbols
    >>> alpha = Control(symbols("alpha", real=True), Interval.open(0, oo))
    >>> read_number(0.5, alpha, "f")
    0.5
    >>> read_number(-1, alpha, "f")
    Traceback (most recent call last):
    ...
    replica.errors.ControlError: f: alpha = -1 is outside (0, inf)
    """
    if isinstance(value, (bool, np.bool_, str, bytes, complex, np.complexfloating)):
        raise ControlError(
            f"{formula}: {control.name} = {value!r} is not a real number; give a value in "
            f"{domain_text(control.domain)}"
        )
    if isinstance(value, (list, tuple, range)) or (isinstance(value, np.ndarray) and value.ndim):
        return _read_array(value, control, formula)
    if isinstance(value, np.ndarray):
        value = value[()]
    if isinstance(value, (float, int)):  # the common case, without symbolic sets
        low, high, open_low, open_high = _float_bounds(control.domain)
        if (
            low < value < high
            or (value == low and not open_low)
            or (value == high and not open_high)
        ):
            try:
                return float(value)
            except OverflowError:
                raise ControlError(
                    f"{formula}: {control.name} is too large for a double; give a value in "
                    f"{domain_text(control.domain)}"
                ) from None
    number = exact(value)
    if number is None:
        raise ControlError(
            f"{formula}: {control.name} = {value!r} is not a real number; give a value in "
            f"{domain_text(control.domain)}"
        )
    if not number.is_finite:
        raise ControlError(
            f"{formula}: {control.name} = {value} is not finite; give a value in "
            f"{domain_text(control.domain)}"
        )
    if control.domain.contains(number) != sympy.true:
        raise ControlError(
            f"{formula}: {control.name} = {value} is outside {domain_text(control.domain)}"
        )
    if _is_double(number):
        return float(number)
    return number  # a decimal, rational or multi-precision value keeps all its digits


def is_whole(value: object) -> bool:
    """Tell whether a value is an integer of Python or numpy; a bool is a misplaced flag.

    Examples
    --------
    >>> is_whole(3), is_whole(np.int64(3)), is_whole(3.0), is_whole(True)
    (True, True, False, False)
    """
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _is_double(number: sympy.Expr) -> bool:
    """Tell whether a double holds the number exactly."""
    try:
        return bool(number.is_number and sympy.Rational(float(number)) == number)
    except (OverflowError, ValueError):
        return False


@lru_cache(maxsize=256)
def _float_bounds(domain: sympy.Interval) -> tuple[float, float, bool, bool]:
    open_ends = bool(domain.left_open), bool(domain.right_open)
    return float(domain.start), float(domain.end), *open_ends


def exact(value: Any) -> sympy.Expr | None:
    """Return a real number as an exact sympy number, None if it is not one."""
    if isinstance(value, sympy.Expr):
        return value if value.is_number and value.is_extended_real else None
    if isinstance(value, mpmath.mpf):
        if not mpmath.isfinite(value):
            return sympy.nan
        sign, mantissa, exponent, _ = value._mpf_  # the number itself, whatever the precision
        return (
            sympy.Rational(-int(mantissa) if sign else int(mantissa)) * sympy.Integer(2) ** exponent
        )
    if isinstance(value, Decimal):
        if not value.is_finite():
            return sympy.nan
        value = Fraction(value)
    if isinstance(value, Fraction):
        return sympy.Rational(value.numerator, value.denominator)
    plain = (np.integer, np.floating)
    if isinstance(value, np.timedelta64) or (
        isinstance(value, np.generic) and not isinstance(value, plain)
    ):
        return None
    if isinstance(value, numbers.Integral):
        return sympy.Integer(int(value))
    if isinstance(value, np.floating) and not isinstance(value, np.float64):
        if not np.isfinite(value):
            return sympy.nan
        return sympy.Rational(*(int(part) for part in value.as_integer_ratio()))
    if isinstance(value, numbers.Real):
        number = float(value)
        return sympy.Rational(number) if np.isfinite(number) else sympy.nan
    return None


def _read_array(value: Any, control: Control, formula: str) -> np.ndarray[Any, Any]:
    array = np.asarray(value) if isinstance(value, (np.ndarray, range)) else _as_array(value)
    if array is None or array.dtype.kind not in "iuf":
        raise ControlError(f"{formula}: {control.name} must hold real numbers, not {value!r:.60}")
    array = array.astype(float)
    if array.size == 0:
        raise ControlError(f"{formula}: {control.name} is an empty array")
    low, high, open_low, open_high = _float_bounds(control.domain)
    inside = np.isfinite(array)
    inside &= array > low if open_low else array >= low
    inside &= array < high if open_high else array <= high
    if not inside.all():
        worst = array[~inside].flat[0]
        raise ControlError(
            f"{formula}: {control.name} = {worst} (among {array.size} values) is outside "
            f"{domain_text(control.domain)}"
        )
    return array


def _as_array(value: Any) -> np.ndarray[Any, Any] | None:
    """Return nested lists of real numbers as an array; None if there is anything else in them."""
    if isinstance(value, (list, tuple)):
        rows = [_as_array(row) for row in value]
        shapes = {None if row is None else row.shape for row in rows}
        if None in shapes or len(shapes) > 1:
            return None
        return np.array(rows, dtype=float)
    if isinstance(value, np.ndarray):
        return value if value.dtype.kind in "iuf" else None
    number = None if isinstance(value, (bool, np.bool_, str, bytes)) else exact(value)
    try:
        return None if number is None else np.asarray(float(number))
    except OverflowError:
        return None
