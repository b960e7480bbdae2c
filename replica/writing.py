"""How numbers and names are written: as text for people, and as what JSON can say.

Nothing here imports numpy: a program that only prints its usage starts without it.
"""

from __future__ import annotations

import enum
import keyword
import math
import numbers
from collections.abc import Mapping
from typing import Any

from sympy import Interval

__all__ = [
    "domain_text",
    "excerpt",
    "heading",
    "listed",
    "plain",
    "python_name",
    "settings",
    "shell_name",
    "short",
    "with_error",
]

_LONGEST, _HEAD, _TAIL = 120, 64, 50  # characters of an expression in an error message
_SMALL = 1e-5  # below this a number is written with a power of ten


def shell_name(name: str) -> str:
    """Return a control's name as it is typed at the shell: ``lambda`` for ``lambda_``.

    Examples
    --------
    >>> shell_name("lambda_"), shell_name("alpha")
    ('lambda', 'alpha')
    """
    bare = name.removesuffix("_")
    return bare if keyword.iskeyword(bare) else name


def python_name(name: str) -> str:
    """Return a control's name as a keyword argument: ``lambda_`` for ``lambda``.

    Examples
    --------
    >>> python_name("lambda"), python_name("alpha")
    ('lambda_', 'alpha')
    """
    return name + "_" if keyword.iskeyword(name) else name


def plain(value: Any) -> Any:
    """Turn a value into what JSON can say; NaN and infinity into None.

    Examples
    --------
    >>> import numpy as np
    >>> from replica import Status
    >>> plain({"alpha": float("nan"), "status": Status.NO_SADDLE, "grid": np.array([1.0, 2.0])})
    {'alpha': None, 'status': 'no_saddle', 'grid': [1.0, 2.0]}
    """
    if isinstance(value, Mapping):
        return {shell_name(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, enum.Enum):
        return value.name.lower()
    if hasattr(value, "tolist"):  # an array or number of numpy
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, (bool, int, str, type(None))) else str(value)


def short(value: Any, digits: int = 10) -> str:
    """Write a number with a few digits, an array by its shape, and anything else as it is.

    Examples
    --------
    >>> import numpy as np
    >>> short(1 / 3), short(np.zeros(4)), short("rademacher")
    ('0.3333333333', 'array(4,)', 'rademacher')
    """
    if getattr(value, "ndim", 0):
        return f"array{value.shape}"
    number = isinstance(value, numbers.Real) and not isinstance(value, numbers.Rational)
    number = number or hasattr(value, "is_number")
    return f"{float(value):.{digits}g}" if number else str(value)


def excerpt(expression: Any) -> str:
    """Write an expression for an error message: one line, the middle of a long one left out.

    Examples
    --------
    >>> from sympy import Symbol
    >>> short, long = (sum(Symbol("x") ** k for k in range(size)) for size in (4, 100))
    >>> excerpt(short), len(excerpt(long)), excerpt(long)[-29:]
    ('x**3 + x**2 + x + 1', 117, ' + x**4 + x**3 + x**2 + x + 1')
    """
    text = " ".join(str(expression).split())
    return (
        text if len(text) <= _LONGEST else f"{text[:_HEAD].rstrip()} ... {text[-_TAIL:].lstrip()}"
    )


def with_error(value: float, error: float) -> str:
    """Write a value with as many digits as its error supports.

    Examples
    --------
    >>> with_error(0.83307859973, 2e-6)
    '0.8330786 +- 2e-06'
    >>> with_error(4.29542676e-21, 3e-28)
    '4.29542676e-21 +- 3e-28'
    """
    if not math.isfinite(value):
        return "none"
    if not math.isfinite(error):
        return f"{value:.6g} +- ?"
    if error <= 0:
        return f"{value:.15g}"
    if error < abs(value) < _SMALL:  # as 0.000... it would have no digits left
        digits = max(math.ceil(min(math.log10(abs(value) / error), 15)), 1)
        return f"{value:.{digits}e} +- {error:.0e}"
    digits = min(max(math.ceil(-math.log10(error)) + 1, 0), 16)
    return f"{value:.{digits}f} +- {error:.0e}"


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


def settings(values: Mapping[str, Any]) -> str:
    """Write options or controls as they are typed at the shell.

    Examples
    --------
    >>> settings({"rsb": 1, "lambda_": 0.1})
    'rsb=1 lambda=0.1'
    """
    return " ".join(f"{shell_name(name)}={short(value)}" for name, value in values.items())


def listed(values: Mapping[str, Any], equals: str = "=", digits: int = 10) -> str:
    """Write options or controls as keyword arguments, one after the other.

    Examples
    --------
    >>> listed({"alpha": 0.5, "lambda_": 0.1})
    'alpha=0.5, lambda_=0.1'
    """
    return ", ".join(f"{name}{equals}{short(value, digits)}" for name, value in values.items())


def heading(name: str, *groups: Mapping[str, Any]) -> str:
    """Write a name, and behind it its options and controls.

    Examples
    --------
    >>> heading("spherical-perceptron", {"rsb": 1}, {})
    'spherical-perceptron rsb=1'
    """
    return " ".join(filter(None, [name, *map(settings, groups)]))
