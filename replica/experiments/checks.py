"""Checks of the integers an experiment or a count is asked for."""

from __future__ import annotations

import operator
from typing import Any

from replica.errors import ControlError

__all__ = ["positive_integer", "shown"]


def positive_integer(
    name: str, value: Any, where: str, *, largest: int | None = None, reason: str = ""
) -> int:
    """Return `value` as an int from 1 to `largest`, refusing what only looks like one.

    Parameters
    ----------
    name, where : str
        What is read and for which function or formula, for the message.
    value : object
        An int or numpy integer. A bool, a float (even 3.0) or a text is refused: it is more
        often a slip than a number of patterns.
    largest : int, optional
        Upper end of the allowed range.
    reason : str, optional
        Why there is an upper end, and what to do.

    Returns
    -------
    int

    Raises
    ------
    ControlError
        Naming the value and the allowed range.

    Examples
    --------
    >>> positive_integer("p", 20, "simulate", largest=24)
    20
    """
    allowed = "1, 2, 3, ..." if largest is None else f"1 to {largest}"
    integer: int | None = None
    # bool is an int in Python, and one True among sizes is a misplaced flag
    if type(value).__name__ not in ("bool", "bool_"):
        try:
            integer = operator.index(value)
        except TypeError:
            integer = None
    if integer is None:
        raise ControlError(
            f"{where}: {name} = {shown(value)} is not an integer; allowed: {allowed}"
            + (f" (write {name} = {int(value)})" if _is_whole_float(value) else "")
        )
    if integer < 1:
        raise ControlError(
            f"{where}: {name} = {shown(integer)} is not positive; allowed: {allowed}"
        )
    if largest is not None and integer > largest:
        tail = f"; {reason}" if reason else ""
        raise ControlError(
            f"{where}: {name} = {shown(integer)} is too large; allowed: {allowed}{tail}"
        )
    return integer


def shown(value: Any) -> str:
    """Return `value` as in a message: texts quoted, numpy numbers as plain numbers, not too long.

    Examples
    --------
    >>> shown("12"), shown(3.5)
    ("'12'", '3.5')
    """
    try:
        text = repr(value) if isinstance(value, str) else " ".join(str(value).split())
    except ValueError:  # Python refuses to write an integer of more than 4300 digits
        return "a huge integer"
    return text if len(text) <= 60 else text[:57] + "..."


def _is_whole_float(value: Any) -> bool:
    return isinstance(value, float) and value.is_integer() and value >= 1
