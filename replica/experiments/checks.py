"""Checks of what an experiment or a count is asked for: integers, numbers, grids and seeds."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from replica.errors import ControlError

__all__ = [
    "check_entries",
    "instance_streams",
    "one_number",
    "pattern_counts",
    "positive_integer",
    "shown",
]

_LARGEST_N = 10**9


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
    # bool is an int in Python, but True as a size is a slip: a flag in the wrong place
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


def one_number(name: str, value: Any, where: str) -> float:
    """Return `value` as a float, refusing texts, arrays and what is not finite.

    Examples
    --------
    >>> one_number("kappa", np.float64(0.5), "simulate")
    0.5
    """
    try:
        # float would read a text or an array of one number, which are slips here
        single = np.ndim(value) == 0 and not isinstance(value, str)
        number = float(value) if single else math.nan
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ControlError(f"{where}: {name} = {shown(value)} is not one finite number")
    return number


def pattern_counts(
    where: str, p: int, alpha: ArrayLike | None, n: ArrayLike | None
) -> tuple[int, ...] | None:
    """Return n of each point of a grid given as `n` or as `alpha`, None where neither is given.

    Examples
    --------
    >>> pattern_counts("simulate", 10, [0.5, 0.83], None)
    (5, 8)
    """
    if alpha is None and n is None:
        return None
    if alpha is not None and n is not None:
        raise ControlError(f"{where}: alpha and n are both given; n = alpha p, give one of them")
    name, given = ("n", n) if alpha is None else ("alpha", alpha)
    try:
        values = np.atleast_1d(np.asarray(given))
    except ValueError:  # a ragged list
        values = np.empty(0)
    if values.ndim > 1 or not values.size:
        raise ControlError(f"{where}: {name} must be a number or a non-empty list of numbers")
    if name == "n":
        reason = "more patterns than any instance here can store"
        return tuple(
            positive_integer("n", value, where, largest=_LARGEST_N, reason=reason)
            for value in values
        )
    if values.dtype.kind not in "iufO":  # numpy would read the text "0.5" and drop imaginary parts
        raise ControlError(f"{where}: alpha = {shown(given)} is not a real number; allowed: > 0")
    grid = []
    for value in values:
        number = one_number("alpha", value, where)
        if not 0 < number * p <= _LARGEST_N:
            raise ControlError(
                f"{where}: alpha = {number:g} is outside its range; allowed: 0 < alpha p <= 1e9"
            )
        if round(number * p) == 0:
            raise ControlError(
                f"{where}: alpha = {number:g} is less than half a pattern at p = {p}; "
                f"allowed: alpha >= {1 / p:g}"
            )
        grid.append(round(number * p))
    return tuple(grid)


def check_entries(where: str, n: int, p: int, largest: float) -> None:
    """Refuse patterns of more than `largest` entries."""
    if n * p > largest:
        raise ControlError(f"{where}: X has n p = {n} x {p} entries; allowed: n p <= {largest:.0e}")


def instance_streams(
    where: str, rng: int | np.random.Generator | None, instances: int
) -> tuple[int | None, list[np.random.Generator]]:
    """Return the seed, and a generator for each instance that depends on nothing but its rank."""
    if isinstance(rng, np.random.Generator):
        return None, rng.spawn(instances)
    if rng is None:
        sequence = np.random.SeedSequence()
        seed = int(sequence.entropy) if isinstance(sequence.entropy, int) else None
    elif isinstance(rng, int | np.integer) and not isinstance(rng, bool) and rng >= 0:
        seed = int(rng)
        sequence = np.random.SeedSequence(seed)
    else:
        raise ControlError(
            f"{where}: rng = {shown(rng)} is not a seed; allowed: an integer >= 0, "
            "a numpy.random.Generator, or None for a fresh seed"
        )
    return seed, [np.random.default_rng(child) for child in sequence.spawn(instances)]


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
    # beyond 2^53 a double is an integer because it has no digits left, not because one was meant
    return isinstance(value, float) and value.is_integer() and 1 <= value <= 2**53
