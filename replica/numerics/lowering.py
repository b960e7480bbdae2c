"""Lowering: expressions with means -> layers of plain functions and the integrals they need.

A `Layer` is a tuple of expressions in which each outermost mean has been replaced by a symbol;
its `integrals` say how to get those symbols. All means over the same variance share one integral
and hence one pass over the nodes, whatever equation, potential or observable they came from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

import mpmath
import numpy as np
from scipy import special
from sympy import (
    Abs,
    Basic,
    Dummy,
    Expr,
    Function,
    Heaviside,
    Integer,
    Max,
    Min,
    Pow,
    Rational,
    Symbol,
    expand_mul,
    lambdify,
    sign,
)
from sympy.printing.pycode import PythonCodePrinter

from replica.errors import LoweringError
from replica.language.bivariate import (
    BIVARIATE,
    BivariateMills,
    BivariateNormalCDF,
    LogBivariateNormalCDF,
)
from replica.language.envelope import unfold
from replica.language.means import BoundMean, outermost_means
from replica.language.primitives import LogH, Mills, MillsExcess
from replica.language.spectral import WeightedPoints, in_closed_form
from replica.language.vocabulary import first_unknown_node
from replica.numerics.functions import IMPLEMENTATIONS
from replica.numerics.structure import Feature, find_features

__all__ = [
    "Integral",
    "Layer",
    "WeightedSum",
    "compile_layer",
    "lower",
    "on_namespace",
    "precise_function",
]


@dataclass(frozen=True)
class Integral:
    """Means that share a field: values for the symbols `results`, by one pass over the nodes.

    All bodies of an `even` integral are even in the field: half of the nodes are enough. In a
    `thin` one probabilities of two fields mark the same places several times: the panels that one
    feature has cut are not cut again for the next.
    """

    field: Symbol
    variance: Expr
    results: tuple[Symbol, ...]
    body: Layer
    features: tuple[Feature, ...]
    even: bool = False
    thin: bool = False


@dataclass(frozen=True)
class WeightedSum:
    """Means over the same list of eigenvalues: values for the symbols `results`, by one sum."""

    field: Symbol
    spectrum: WeightedPoints
    results: tuple[Symbol, ...]
    body: Layer


@dataclass(frozen=True)
class Layer:
    """Expressions in `arguments` and in the results of `integrals`."""

    arguments: tuple[Symbol, ...]
    expressions: tuple[Expr, ...]
    integrals: tuple[Integral | WeightedSum, ...] = field(default=())

    @property
    def symbols(self) -> tuple[Symbol, ...]:
        """Arguments of the compiled function: the layer's own, then the integrals' results."""
        return (*self.arguments, *(s for integral in self.integrals for s in integral.results))


def lower(arguments: tuple[Symbol, ...], expressions: tuple[Expr, ...]) -> Layer:
    """Split `expressions` into layers.

    Raises
    ------
    LoweringError
        For a node without a numerical meaning, or a symbol that is not among `arguments`; the
        message shows the sub-expression.
    """
    expressions = tuple(in_closed_form(expression) for expression in expressions)
    for expression in expressions:
        _check(expression, frozenset(arguments))
    expressions = tuple(unfold(expression) for expression in expressions)
    groups: dict[Basic, list[BoundMean]] = {}
    for mean in outermost_means(*expressions):
        groups.setdefault(mean.law, []).append(mean)
    integrals: list[Integral | WeightedSum] = []
    replaced: dict[Basic, Basic] = {}
    for law, means in groups.items():
        name = Dummy("x", real=True)
        values: dict[Expr, Symbol] = {}
        for mean in means:  # the same integrand under another name is evaluated once
            body = mean.body.xreplace({mean.field: name})
            replaced[mean] = values.setdefault(body, Dummy(f"mean{len(values)}", real=True))
        bodies, results = tuple(values), tuple(values.values())
        body_layer = lower((*arguments, name), bodies)
        if isinstance(law, WeightedPoints):
            integrals.append(WeightedSum(name, law, results, body_layer))
            continue
        integrals.append(
            Integral(
                field=name,
                variance=law,
                results=results,
                body=body_layer,
                features=find_features(bodies, name),
                even=all(
                    _same_squares(body.xreplace({name: -name})) == _same_squares(body)
                    for body in bodies
                ),
                thin=any(body.has(*BIVARIATE) for body in bodies),
            )
        )
    return Layer(
        arguments, tuple(e.xreplace(replaced) for e in expressions), integrals=tuple(integrals)
    )


def _same_squares(expression: Expr) -> Expr:
    """Return the expression with (a - b)^2 and (b - a)^2 written alike, for comparison only."""

    def alike(node: Expr) -> Expr:
        base = expand_mul(node.base)
        return Pow(-base if base.could_extract_minus_sign() else base, node.exp)

    return expression.replace(
        lambda node: isinstance(node, Pow) and node.exp.is_even and node.base.is_Add, alike
    )


def _check(expression: Expr, known: frozenset[Symbol]) -> None:
    loose = expression.free_symbols - known
    if loose:
        names = ", ".join(sorted(map(str, loose)))
        raise LoweringError(f"no value for the symbol {names} in {expression}")
    unknown = first_unknown_node(expression)
    if unknown is not None:
        raise LoweringError(f"no numerical meaning for {unknown} (a {type(unknown).__name__})")


class _Printer(PythonCodePrinter):
    """Plain calls and operators, so that one code object serves arrays and bounded numbers."""

    def __init__(self) -> None:
        super().__init__({"fully_qualified_modules": False, "allow_unknown_functions": True})

    def _print_Function(self, expr: Function) -> str:
        return f"{type(expr).__name__}({', '.join(map(self._print, expr.args))})"

    _print_exp = _print_log = _print_sin = _print_cos = _print_cosh = _print_sinh = _print_Function
    _print_atan = _print_asin = _print_acos = _print_erf = _print_erfc = _print_Function

    def _print_Integer(self, expr: Integer) -> str:
        # numpy takes larger numbers for objects
        return str(expr.p) if abs(expr.p) < 2**53 else repr(float(expr.p))

    def _print_sign(self, expr: sign) -> str:
        return f"sign({self._print(expr.args[0])})"

    def _print_Abs(self, expr: Abs) -> str:
        return f"absolute({self._print(expr.args[0])})"

    def _print_Heaviside(self, expr: Heaviside) -> str:
        return f"heaviside({self._print(expr.args[0])})"

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


ARRAY_NAMESPACE: Mapping[str, Callable[..., Any]] = {
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
    "heaviside": lambda x: np.heaviside(x, 0.5),
    "maximum": _maximum,
    "minimum": _minimum,
    **{name: implementation.value for name, implementation in IMPLEMENTATIONS.items()},
}


def compile_layer(symbols: tuple[Symbol, ...], expressions: tuple[Expr, ...]) -> FunctionType:
    """Compile `expressions` to one function of arrays, common sub-expressions shared."""
    function: FunctionType = lambdify(
        symbols,
        _with_shared_cores(expressions),
        modules=[dict(ARRAY_NAMESPACE)],
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
    # and the bivariate ones their logarithm, nearly all of it
    pairs = set().union(*(e.atoms(BivariateMills, BivariateNormalCDF) for e in expressions))
    for node in pairs:
        known = LogBivariateNormalCDF(*node.args)
        shared[node] = Function(type(node).__name__)(*node.args, known)
    return [expression.xreplace(shared) for expression in expressions]


def on_namespace(function: FunctionType, namespace: Mapping[str, Any]) -> FunctionType:
    """Return the same compiled code with other functions under the same names."""
    return FunctionType(function.__code__, {**function.__globals__, **namespace})


def precise_function(symbols: tuple[Symbol, ...], expressions: tuple[Expr, ...]) -> Any:
    """Compile `expressions` to mpmath, where every constant has the working precision."""
    namespace = {name: impl.precise for name, impl in IMPLEMENTATIONS.items()}
    namespace["Heaviside"] = lambda x, half=None: (mpmath.sign(x) + 1) / 2
    return lambdify(
        symbols, list(expressions), modules=[namespace, "mpmath"], cse=True, docstring_limit=0
    )
