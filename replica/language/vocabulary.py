"""The functions a formula may be written in: what has a numerical meaning, and nothing else."""

from __future__ import annotations

from sympy import (
    Abs,
    Add,
    Basic,
    DiracDelta,
    Heaviside,
    Lambda,
    Max,
    Min,
    Mul,
    Number,
    NumberSymbol,
    Pow,
    S,
    Symbol,
    Tuple,
    acos,
    asin,
    atan,
    cos,
    cosh,
    erf,
    erfc,
    exp,
    log,
    sign,
    sin,
    sinh,
)

from replica.language.bessel import (
    BesselQuotient,
    BesselRatio,
    BesselRatioSlope,
    LogScaledI0,
    LogScaledK0,
    LogScaledK1,
    PhaseEntropy,
    PhaseLogPartition,
    PhaseVariance,
)
from replica.language.bivariate import BIVARIATE
from replica.language.curves import Curve, Proximal
from replica.language.envelope import Envelope
from replica.language.implicit import Equation, ImplicitRoot
from replica.language.laws import Law
from replica.language.means import BoundMean
from replica.language.minima import Landscape, LowestPoint, LowestValue
from replica.language.primitives import (
    Clip,
    LogCosh,
    LogH,
    LogHDifference,
    LogScaledH,
    LogSumExp,
    LowerMills,
    Mills,
    MillsExcess,
    PositivePart,
    ProductDifference,
    Sech,
    Softmax,
    Tanh,
    UpperMills,
)
from replica.language.spectral import CompanionStieltjes
from replica.language.tilted import (
    ExponentialCumulant,
    ExponentialWeight,
    IntervalCumulant,
    IntervalWeight,
)

__all__ = ["FUNCTIONS", "PRIMITIVES", "first_unknown_node"]

PRIMITIVES: tuple[type[Basic], ...] = (
    LogH,
    Mills,
    MillsExcess,
    LogScaledH,
    LogCosh,
    Tanh,
    Sech,
    LogHDifference,
    LowerMills,
    UpperMills,
    LogSumExp,
    Softmax,
    PositivePart,
    ProductDifference,
    LogScaledI0,
    BesselRatio,
    BesselRatioSlope,
    PhaseLogPartition,
    PhaseEntropy,
    PhaseVariance,
    BesselQuotient,
    LogScaledK0,
    LogScaledK1,
    IntervalCumulant,
    ExponentialCumulant,
    IntervalWeight,
    ExponentialWeight,
)
"""Stable functions of one to a few variables."""

FUNCTIONS: tuple[type[Basic], ...] = (
    *PRIMITIVES,
    *BIVARIATE,
    CompanionStieltjes,
    Clip,
    Proximal,
    Envelope,
    ImplicitRoot,
    LowestPoint,
    LowestValue,
    exp,
    log,
    cosh,
    sinh,
    sin,
    cos,
    atan,
    asin,
    acos,
    erf,
    erfc,
    Abs,
    DiracDelta,  # as what is left of a kink outside of all means: zero but where it lies
    Heaviside,
    Max,
    Min,
    sign,
)
"""Functions of the language; tanh and its kin have been rewritten into primitives by then."""

_STRUCTURE = (
    Add,
    Mul,
    Pow,
    Symbol,
    Number,
    NumberSymbol,
    BoundMean,
    Law,
    Lambda,
    Tuple,
    Curve,
    Equation,
    Landscape,
)


def first_unknown_node(expression: Basic) -> Basic | None:
    """Return the outermost node without a numerical meaning, None if there is none.

    Examples
    --------
    >>> from sympy import Function, symbols
    >>> x = symbols("x", real=True)
    >>> first_unknown_node(1 + exp(Function("g")(x)))
    g(x)
    """
    known = isinstance(expression, (*_STRUCTURE, *FUNCTIONS))
    if not known or expression in (S.NaN, S.ComplexInfinity, S.Infinity, S.NegativeInfinity):
        return expression
    if isinstance(expression, Equation):
        ends = (end for end in (expression.low, expression.high) if not end.is_infinite)
        parts = (first_unknown_node(part) for part in (expression.expression, *ends))
        return next((part for part in parts if part is not None), None)
    if isinstance(expression, Landscape):
        return first_unknown_node(expression.expression)
    for argument in expression.args:
        found = first_unknown_node(argument)
        if found is not None:
            return found
    return None
