r"""Roots of equations as nodes, with derivatives by the implicit function theorem.

.. math:: F(s, p) = 0, \qquad \frac{\partial s}{\partial p_k}
          = -\frac{\partial F / \partial p_k}{\partial F / \partial s} .

Stieltjes transforms, fixed points of one variable and inverse functions enter potentials so, where
their closed form is long (a cubic) or does not exist. Which root is meant is said by an interval in
which it is the only one.
"""

from __future__ import annotations

import hashlib
from typing import Any

from sympy import (
    Basic,
    Dummy,
    Eq,
    Expr,
    Function,
    Interval,
    S,
    Symbol,
    SympifyError,
    srepr,
    sympify,
)
from sympy.core.expr import AtomicExpr
from sympy.core.function import ArgumentIndexError
from sympy.core.sorting import default_sort_key
from sympy.printing.printer import Printer

from replica.errors import DeclarationError
from replica.language.means import BoundMean
from replica.language.primitives import Primitive
from replica.language.rewriting import stabilise
from replica.language.scalar import Scalar
from replica.writing import excerpt

__all__ = ["EQUATIONS", "Equation", "Implicit", "ImplicitRoot", "root"]

EQUATIONS: dict[str, Equation] = {}
"""Equations by their keys, under which compiled code names them."""

root = Symbol("root", real=True)
"""The unknown of every `Equation`."""


class Equation(AtomicExpr):
    """An equation in one unknown, as an atom that travels inside expressions.

    Parameters
    ----------
    expression : Expr
        What vanishes, in the symbol `root` of this module and in `parameters`.
    low, high : Expr
        The only root between them is meant; they may depend on the parameters, or be infinite.
    parameters : tuple of Symbol
        Their values are the arguments of an `ImplicitRoot`.
    """

    __slots__ = ("expression", "high", "key", "low", "parameters")
    is_real = True

    def __new__(
        cls, expression: Expr, low: Expr, high: Expr, parameters: tuple[Symbol, ...]
    ) -> Equation:
        """Return the equation, the same one for the same content."""
        content = (expression, low, high, tuple(parameters))
        key = "equation" + hashlib.sha256(srepr(content).encode()).hexdigest()[:24]
        if key in EQUATIONS:
            return EQUATIONS[key]
        self = super().__new__(cls)
        self.expression, self.low, self.high, self.parameters = content
        self.key = key
        EQUATIONS[key] = self
        return self

    def __getnewargs__(self) -> tuple[Any, ...]:
        return self.expression, self.low, self.high, self.parameters

    def _hashable_content(self) -> tuple[Any, ...]:
        return (self.key,)

    def at(self, place: Expr, values: tuple[Expr, ...]) -> tuple[Expr, Expr, Expr]:
        """Return what vanishes and the ends, with the root and the parameters put in."""
        rule = {root: place, **dict(zip(self.parameters, values, strict=True))}
        vanishing, low, high = (e.xreplace(rule) for e in (self.expression, self.low, self.high))
        return vanishing, low, high

    def _sympystr(self, printer: Printer) -> str:
        return f"{printer._print(self.expression)} = 0"

    def _pythoncode(self, printer: Printer) -> str:
        return repr(self.key)

    _mpmathcode = _pythoncode


class ImplicitRoot(Primitive):
    """The root of an `Equation` at values of its parameters; written by `Implicit`."""

    def fdiff(self, argindex: int = 2) -> Expr:
        """Return the derivative in a parameter, by the implicit function theorem."""
        equation, *values = self.args
        if not 2 <= argindex <= len(self.args):
            raise ArgumentIndexError(self, argindex)
        rise = equation.expression.diff(root)
        change = equation.expression.diff(equation.parameters[argindex - 2])
        rule = {root: self, **dict(zip(equation.parameters, values, strict=True))}
        return -change.xreplace(rule) / rise.xreplace(rule)

    def _ends(self) -> tuple[Expr, Expr]:
        return self.args[0].at(root, self.args[1:])[1:]

    def _eval_is_nonnegative(self) -> bool | None:
        return True if self._ends()[0].is_nonnegative else None

    def _eval_is_positive(self) -> bool | None:
        return True if self._ends()[0].is_positive else None

    def _eval_is_nonpositive(self) -> bool | None:
        return True if self._ends()[1].is_nonpositive else None

    def _eval_is_negative(self) -> bool | None:
        return True if self._ends()[1].is_negative else None

    def _sympystr(self, printer: Printer) -> str:
        parts = self.args[0].at(Symbol("s"), self.args[1:])
        vanishing, low, high = (printer._print(part) for part in parts)
        return f"Implicit(s, {vanishing}, ({low}, {high}))"

    def _latex(self, printer: Printer, exp: str | None = None) -> str:
        parts = self.args[0].at(Symbol("s"), self.args[1:])
        vanishing, low, high = (printer._print(part) for part in parts)
        text = rf"s\left[{vanishing} = 0,\ {low} < s < {high}\right]"
        return text if exp is None else rf"{text}^{{{exp}}}"


def Implicit(s: Symbol, equation: Any, branch: Any = None) -> Expr:
    r"""Return the root s of an equation as a function of everything else in it.

    Parameters
    ----------
    s : Symbol
        The unknown, a real symbol; it is not visible from outside.
    equation : Expr or Eq
        What vanishes, or an equality, written in functions of the language; the unknown is inside
        of no mean.
    branch : Interval or (low, high)
        Where exactly one root lies; ends may be infinite, or expressions in the other symbols.

    Raises
    ------
    DeclarationError
        If the unknown, the equation or the branch is none.

    Notes
    -----
    Where the interval holds no root, or an even number, the value is not finite, and so is the
    status of what depends on it.

    Examples
    --------
    >>> from sympy import exp, oo, symbols
    >>> s, x = symbols("s x", real=True)
    >>> lambert = Implicit(s, s * exp(s) - x, branch=(-1, oo))
    >>> lambert.diff(x) == 1 / (lambert * exp(lambert) + exp(lambert))
    True
    >>> from replica.numerics.kernel import compile_kernel
    >>> (value,) = compile_kernel((x,), (lambert,))(1.0)
    >>> round(float(value), 15)  # the omega constant
    0.567143290409784
    """
    if not isinstance(s, Symbol) or s.is_real is not True:
        raise DeclarationError(f"Implicit needs a real symbol as its unknown, not {s!r}")
    vanishing = _expression(equation.lhs - equation.rhs if isinstance(equation, Eq) else equation)
    if vanishing is None or not vanishing.has_free(s):
        raise DeclarationError(f"Implicit: {excerpt(equation)} is no equation for {s}")
    vanishing, known = _without_functions(vanishing, s)
    if vanishing.has(BoundMean):
        raise DeclarationError(
            f"Implicit: {s} is inside a mean in {excerpt(equation)}; make {s} an overlap of the "
            f"formula with this equation instead"
        )
    low, high = _branch(s, equation, branch)
    vanishing = stabilise(vanishing)
    parameters = sorted(
        (vanishing.free_symbols | low.free_symbols | high.free_symbols) - {s}, key=default_sort_key
    )
    values = [known.get(p, p) for p in parameters]
    names = {p: Symbol(f"parameter{k}", **p.assumptions0) for k, p in enumerate(parameters)}
    rule = {s: root, **names}
    node = Equation(
        vanishing.xreplace(rule), low.xreplace(names), high.xreplace(names), tuple(names.values())
    )
    return ImplicitRoot(node, *values)


def _without_functions(equation: Expr, s: Symbol) -> tuple[Expr, dict[Symbol, Expr]]:
    """Return an equation with functions and means that do not have the unknown as parameters.

    They are computed once, not in every step towards the root.
    """
    found: dict[Expr, Symbol] = {}

    def walk(node: Basic) -> None:
        if node.has_free(s):
            for argument in node.args:
                walk(argument)
        elif isinstance(node, Expr) and node.has(Function, BoundMean):
            sign = {"positive": True} if node.is_positive else {"real": True}
            found.setdefault(node, Dummy(f"known{len(found)}", **sign))

    walk(equation)
    return equation.xreplace(found), {symbol: node for node, symbol in found.items()}


def _branch(s: Symbol, equation: object, branch: Any) -> tuple[Expr, Expr]:
    """Return the ends between which the root lies, refused where they are not two."""
    if branch is None:
        raise DeclarationError(
            f"Implicit: {excerpt(equation)} may have several roots {s}; say which is meant by "
            f"branch=(low, high), an interval in which it is the only one"
        )
    ends: Any = branch
    if isinstance(branch, Interval):
        ends = branch.start, branch.end
    found = [_expression(end) for end in ends] if isinstance(ends, (tuple, list)) else []
    if len(found) != 2 or any(end is None or end.has_free(s) for end in found):
        raise DeclarationError(
            f"Implicit: the branch of {s} must be an Interval or (low, high), not {branch!r}"
        )
    low, high = found
    if (high - low).is_extended_positive is False:
        raise DeclarationError(f"Implicit: the branch {branch} of {s} is empty")
    return low, high


def _expression(part: Scalar) -> Any:
    """Return what was built in Python as an expression, None for text and anything else."""
    try:
        found = sympify(part, strict=True)
    except SympifyError:
        return None
    return found if isinstance(found, Expr) and found is not S.NaN else None
