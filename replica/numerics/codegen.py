"""Code generation: expressions -> functions on an exchangeable namespace of primitives.

One code object serves arrays, numbers that carry a bound of their error, and (from the same
expressions) mpmath: what differs is the functions that stand behind the names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any

import mpmath
import numpy as np
from scipy import special
from sympy import (
    Abs,
    DiracDelta,
    Expr,
    Function,
    Heaviside,
    Integer,
    Max,
    Min,
    Pow,
    Rational,
    Symbol,
    lambdify,
)
from sympy import sign as Sign
from sympy.printing.pycode import PythonCodePrinter

from replica.language.bivariate import BivariateMills, BivariateNormalCDF, LogBivariateNormalCDF
from replica.language.primitives import LogH, Mills, MillsExcess
from replica.numerics.implementation import Implementation

__all__ = ["compiled", "compiled_precisely", "on_namespace"]

Implementations = Mapping[str, Implementation]


class _Printer(PythonCodePrinter):
    """Plain calls and operators, so that one code object serves arrays and bounded numbers."""

    def __init__(self) -> None:
        super().__init__({"fully_qualified_modules": False, "allow_unknown_functions": True})

    def _print_Function(self, expr: Function) -> str:
        return f"{type(expr).__name__}({', '.join(map(self._print, expr.args))})"

    _print_exp = _print_log = _print_sin = _print_cos = _print_cosh = _print_sinh = _print_Function
    _print_atan = _print_asin = _print_acos = _print_erf = _print_erfc = _print_Function

    def _print_Integer(self, expr: Integer) -> str:
        # numpy makes arrays of objects from larger integers
        return str(expr.p) if abs(expr.p) < 2**53 else repr(float(expr.p))

    def _print_sign(self, expr: Sign) -> str:
        return f"sign({self._print(expr.args[0])})"

    def _print_Abs(self, expr: Abs) -> str:
        return f"absolute({self._print(expr.args[0])})"

    def _print_Heaviside(self, expr: Heaviside) -> str:
        return f"heaviside({self._print(expr.args[0])})"

    def _print_DiracDelta(self, expr: DiracDelta) -> str:
        return f"delta({self._print(expr.args[0])})"

    def _print_Max(self, expr: Max) -> str:
        return f"maximum({', '.join(map(self._print, expr.args))})"

    def _print_Min(self, expr: Min) -> str:
        return f"minimum({', '.join(map(self._print, expr.args))})"

    def _print_Rational(self, expr: Rational) -> str:
        return repr(float(expr))

    def _print_Pow(self, expr: Pow, rational: bool = False) -> str:
        base, power = expr.args
        text = f"({self._print(base)})"
        if power.is_Rational and power.is_positive and power <= 4 and (2 * power).is_integer:
            # products and roots are an order of magnitude faster than numpy's general power
            whole, half = divmod(power, 1)
            if base.is_Symbol or power <= 1:
                product = "*".join([text] * int(whole) + ([f"sqrt{text}"] if half else []))
                return f"({product})"
        if power.is_Rational and power.is_negative:
            return f"(1/({self._print(Pow(base, -power, evaluate=False))}))"
        return f"({text}**({self._print(power)}))"


def _maximum(*arguments: Any) -> Any:
    result = arguments[0]
    for argument in arguments[1:]:
        result = np.maximum(result, argument)
    return result


def _minimum(*arguments: Any) -> Any:
    result = arguments[0]
    for argument in arguments[1:]:
        result = np.minimum(result, argument)
    return result


_ELEMENTARY: dict[str, Callable[..., Any]] = {
    "sqrt": np.sqrt,
    "exp": np.exp,
    "log": np.log,
    "sin": np.sin,
    "cos": np.cos,
    "cosh": np.cosh,
    "sinh": np.sinh,
    "atan": np.arctan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "erf": special.erf,
    "erfc": special.erfc,
    "absolute": np.abs,
    "sign": np.sign,
    # outside of all means: zero, but not a number where it is not
    "delta": lambda x: np.where(np.asarray(x) == 0, np.nan, 0.0),
    "heaviside": lambda x: np.heaviside(x, 0.5),
    "maximum": _maximum,
    "minimum": _minimum,
}


def compiled(
    symbols: tuple[Symbol, ...], expressions: tuple[Expr, ...], primitives: Implementations
) -> FunctionType:
    """Compile `expressions` to one function of arrays, common sub-expressions shared.

    Parameters
    ----------
    symbols : tuple of Symbol
        The arguments of the function, in order.
    expressions : tuple of Expr
    primitives : mapping of str to Implementation
        The primitives that may occur in them.
    """
    function: FunctionType = lambdify(
        symbols,
        _with_shared_cores(expressions),
        modules=[_ELEMENTARY | {name: each.value for name, each in primitives.items()}],
        printer=_Printer(),
        cse=True,
        docstring_limit=0,
    )
    return function


def _with_shared_cores(expressions: tuple[Expr, ...]) -> list[Expr]:
    """Let the Gaussian tails take the Mills ratio, most of their cost, where it is known."""
    nodes = set().union(*(e.atoms(Mills, MillsExcess, LogH) for e in expressions))
    ratios = {node.args[0]: Mills(node.args[0]) for node in nodes if not isinstance(node, LogH)}
    shared = {
        node: Function(type(node).__name__)(node.args[0], ratios[node.args[0]])
        for node in nodes
        if not isinstance(node, Mills) and node.args[0] in ratios
    }
    # bivariate functions share their logarithm, nearly all of their cost
    pairs = set().union(*(e.atoms(BivariateMills, BivariateNormalCDF) for e in expressions))
    for node in pairs:
        known = LogBivariateNormalCDF(*node.args)
        shared[node] = Function(type(node).__name__)(*node.args, known)
    return [expression.xreplace(shared) for expression in expressions]


def on_namespace(function: FunctionType, namespace: Mapping[str, Any]) -> FunctionType:
    """Return the same compiled code with other functions under the same names."""
    return FunctionType(function.__code__, {**function.__globals__, **namespace})


def compiled_precisely(
    symbols: tuple[Symbol, ...], expressions: tuple[Expr, ...], primitives: Implementations
) -> Any:
    """Compile `expressions` to mpmath, where every constant has the working precision."""
    namespace: dict[str, Any] = {name: each.precise for name, each in primitives.items()}
    namespace["DiracDelta"] = lambda x, order=0: mpmath.nan if x == 0 else mpmath.mpf(0)
    namespace["Heaviside"] = lambda x, half=None: (mpmath.sign(x) + 1) / 2
    return lambdify(
        symbols, list(expressions), modules=[namespace, "mpmath"], cse=True, docstring_limit=0
    )
