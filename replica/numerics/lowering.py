"""Lowering: expressions with means -> layers of plain functions and the integrals they need.

A `Layer` is a tuple of expressions in which each outermost mean has been replaced by a symbol;
its `integrals` say how to get those symbols. All means over the same variance share one integral
and hence one pass over the nodes, whatever equation, potential or observable they came from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import singledispatch
from types import FunctionType
from typing import Any

from sympy import (
    Basic,
    Dummy,
    Expr,
    Pow,
    Symbol,
    exp,
    expand_mul,
)

from replica.errors import LoweringError
from replica.language.bivariate import (
    BIVARIATE,
)
from replica.language.envelope import unfold
from replica.language.laws import GaussianLaw, Law, PowerLaw
from replica.language.logmeans import LogMean
from replica.language.means import BoundMean, in_closed_form, outermost_means
from replica.language.spectral import WeightedPoints
from replica.language.vocabulary import first_unknown_node
from replica.numerics.codegen import compiled, compiled_precisely
from replica.numerics.implementations import IMPLEMENTATIONS
from replica.numerics.structure import Feature, find_features
from replica.writing import excerpt

__all__ = [
    "Bodies",
    "Integral",
    "Layer",
    "TiltedIntegral",
    "WeightedSum",
    "compile_layer",
    "lower",
    "lowered",
    "precise_function",
]


@dataclass(frozen=True)
class Integral:
    """Means that share a Gaussian field: values for the symbols `results`, by one pass of nodes.

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
class TiltedIntegral:
    """Means that share a field and the exponential that weighs it: the logarithm comes first.

    It is computed only where it is asked for. The body holds the exponent, before it is multiplied
    by the power, and then the integrands.
    """

    field: Symbol
    variance: Expr
    power: Expr
    results: tuple[Symbol, ...]
    exponent: Layer
    body: Layer
    features: tuple[Feature, ...]
    logarithm: bool


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
    integrals: tuple[Any, ...] = field(default=())

    @property
    def symbols(self) -> tuple[Symbol, ...]:
        """Arguments of the compiled function: the layer's own, then the integrals' results."""
        return (*self.arguments, *(s for integral in self.integrals for s in integral.results))


@dataclass(frozen=True)
class Bodies:
    """Integrands over one field, with the symbols of their means, and the layer they make.

    Of means of a power the first is the exponent; `logarithm` tells whether its own is asked for.
    """

    field: Symbol
    expressions: tuple[Expr, ...]
    results: tuple[Symbol, ...]
    layer: Layer
    logarithm: bool = False


@singledispatch
def lowered(law: Law, bodies: Bodies) -> Any:
    """Return the integral that the means over a law become; each kind of law registers its own.

    The kind of integral that is returned has ``results`` and says in `layers.compiled_integral` and
    `precise.precise_integral` how it is computed.
    """
    raise LoweringError(f"no numerical meaning for a mean over {type(law).__name__}")


@lowered.register
def _gaussian(law: GaussianLaw, bodies: Bodies) -> Integral:
    name = bodies.field
    return Integral(
        field=name,
        variance=law.variance,
        results=bodies.results,
        body=bodies.layer,
        features=find_features(bodies.expressions, name),
        even=all(
            _same_squares(body.xreplace({name: -name})) == _same_squares(body)
            for body in bodies.expressions
        ),
        thin=any(body.has(*BIVARIATE) for body in bodies.expressions),
    )


@lowered.register
def _tilted(law: PowerLaw, bodies: Bodies) -> TiltedIntegral:
    name, arguments = bodies.field, bodies.layer.arguments
    return TiltedIntegral(
        field=name,
        variance=law.variance,
        power=law.power,
        results=bodies.results,
        exponent=lower(arguments, bodies.expressions[:1]),
        body=bodies.layer,
        features=find_features((exp(law.power * bodies.expressions[0]), *bodies.expressions), name),
        logarithm=bodies.logarithm,
    )


@lowered.register
def _weighted_points(law: WeightedPoints, bodies: Bodies) -> WeightedSum:
    return WeightedSum(bodies.field, law, bodies.results, bodies.layer)


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
    groups: dict[Any, list[BoundMean]] = {}
    for mean in outermost_means(*expressions):
        groups.setdefault(mean.group(), []).append(mean)
    integrals: list[Any] = []
    replaced: dict[Basic, Basic] = {}
    for means in groups.values():
        name = Dummy("x", real=True)
        values: dict[tuple[Expr, bool], Symbol] = {}
        # integrands that differ by the field's name are evaluated once
        for mean in means:
            for body, is_asked in mean.integrands(name):
                value = values.setdefault((body, is_asked), Dummy(f"mean{len(values)}", real=True))
            replaced[mean] = value
        bodies, results = tuple(body for body, _ in values), tuple(values.values())
        layer = lower((*arguments, name), bodies)
        asked = any(isinstance(mean, LogMean) for mean in means)
        integrals.append(lowered(means[0].law, Bodies(name, bodies, results, layer, asked)))
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
        raise LoweringError(f"no value for the symbol {names} in {excerpt(expression)}")
    unknown = first_unknown_node(expression)
    if unknown is not None:
        raise LoweringError(
            f"no numerical meaning for {excerpt(unknown)} (a {type(unknown).__name__})"
        )


def compile_layer(symbols: tuple[Symbol, ...], expressions: tuple[Expr, ...]) -> FunctionType:
    """Compile expressions in the primitives of the language to one function of arrays."""
    return compiled(symbols, expressions, IMPLEMENTATIONS)


def precise_function(symbols: tuple[Symbol, ...], expressions: tuple[Expr, ...]) -> Any:
    """Compile expressions in the primitives of the language to one function of mpmath numbers."""
    return compiled_precisely(symbols, expressions, IMPLEMENTATIONS)
