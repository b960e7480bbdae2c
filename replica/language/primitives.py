r"""Stable functions of the language, closed under differentiation.

Plain numpy overflows on the textbook forms (``cosh`` at 710, ``pdf/H`` is NaN at 39); each
primitive here has one accurate numerical implementation (`replica.numerics.implementations`) and a
derivative made of primitives, so an expression never leaves the safe set. With the Gaussian tail
:math:`H(x) = \int_x^\infty e^{-u^2/2} du / \sqrt{2\pi}` and density :math:`\varphi`:

========================  ==========================================  =========================
primitive                 value                                       derivative
========================  ==========================================  =========================
``LogH(x)``               log H(x)                                    -Mills(x)
``Mills(x)``              phi(x) / H(x)                               Mills(x) MillsExcess(x)
``MillsExcess(x)``        Mills(x) - x                                Mills(x) MillsExcess(x) - 1
``LogCosh(x)``            log cosh x                                  Tanh(x)
``LogScaledH(x)``         x^2/2 + log H(x)                            -MillsExcess(x)
``Tanh(x)``, ``Sech(x)``  tanh x, 1/cosh x                            Sech(x)^2, -Sech(x) Tanh(x)
``LogHDifference(a,b)``   log(H(a) - H(b)), a < b                     -LowerMills, UpperMills
``LowerMills(a,b)``       phi(a) / (H(a) - H(b))                      closed in the two
``UpperMills(a,b)``       phi(b) / (H(a) - H(b))                      closed in the two
``LogSumExp(a,b,...)``    log(e^a + e^b + ...)                        Softmax of each argument
``Softmax(a,b,...)``      e^a / (e^a + e^b + ...), a comes first      closed
``PositivePart(x)``       max(0, x)                                   Heaviside(x)
``Clip(x, a, b)``         min(max(x, a), b), a < b                    Heaviside of x - a and x - b
``ProductDifference``     a b - c d, to all digits                    products of two of them
========================  ==========================================  =========================
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sympy import (
    Add,
    Expr,
    Function,
    Heaviside,
    Max,
    Min,
    S,
    cosh,
    erfc,
    exp,
    expand,
    log,
    sqrt,
    tanh,
)
from sympy.core.function import ArgumentIndexError
from sympy.core.sorting import default_sort_key
from sympy.printing.printer import Printer

from replica.language.scalar import Scalar

__all__ = [
    "Clip",
    "LogCosh",
    "LogH",
    "LogHDifference",
    "LogScaledH",
    "LogSumExp",
    "LowerMills",
    "Mills",
    "MillsExcess",
    "PositivePart",
    "ProductDifference",
    "Sech",
    "Softmax",
    "Tanh",
    "UpperMills",
]


def _tail(x: Expr) -> Expr:
    return erfc(x / sqrt(2)) / 2


def _density(x: Expr) -> Expr:
    return exp(-(x**2) / 2) / sqrt(2 * S.Pi)


class Primitive(Function):
    """Base of the stable functions: real on the real line, printed by `latex_name`."""

    latex_name = ""

    def places(self) -> list[tuple[Expr, Expr]]:
        """Return arguments at whose zeros the function changes, each with the width it takes.

        Empty where that is each argument itself, over a width of one.
        """
        return []

    def switches(self) -> list[Expr] | None:
        """Return what vanishes where the function jumps; None where that has no formula."""
        return []

    def beside(self, values: Sequence[Expr], approach: Expr) -> Expr:
        """Return the limit at a jump, as what vanishes there goes to zero with a given sign."""
        raise NotImplementedError

    def plain(self) -> Expr | None:
        """Return the same in functions of sympy, which may overflow; None where there is none."""
        return None

    def _eval_evalf(self, prec: int) -> Expr | None:
        plain = self.plain()
        return None if plain is None else plain._evalf(prec)

    def _eval_is_extended_real(self) -> bool | None:
        return all(argument.is_extended_real for argument in self.args) or None

    def _latex(self, printer: Printer, exp: str | None = None) -> str:
        inner = ", ".join(printer._print(argument) for argument in self.args)
        power = "" if exp is None else f"^{{{exp}}}"
        return rf"{self.latex_name}{power}\left({inner}\right)"


class LogH(Primitive):
    r"""Logarithm of the Gaussian tail, :math:`\log H(x)`.

    Examples
    --------
    >>> from sympy import Symbol
    >>> LogH(Symbol("x", real=True)).diff()
    -Mills(x)
    """

    nargs = 1
    latex_name = r"\log H"

    @classmethod
    def eval(cls, x: Expr) -> Expr | None:  # noqa: D102
        if x is S.NegativeInfinity:
            return S.Zero
        if x.is_zero:
            return -log(2)
        return None

    def plain(self) -> Expr:  # noqa: D102
        return log(_tail(self.args[0]))

    def fdiff(self, argindex: int = 1) -> Expr:  # noqa: D102
        return -Mills(self.args[0])

    def _eval_is_negative(self) -> bool | None:
        return True if self.args[0].is_real else None


class Mills(Primitive):
    r"""Inverse Mills ratio :math:`A(x) = \varphi(x) / H(x)`."""

    nargs = 1
    latex_name = "A"

    @classmethod
    def eval(cls, x: Expr) -> Expr | None:  # noqa: D102
        return sqrt(2 / S.Pi) if x.is_zero else None

    def plain(self) -> Expr:  # noqa: D102
        x = self.args[0]
        return _density(x) / _tail(x)

    def fdiff(self, argindex: int = 1) -> Expr:  # noqa: D102
        x = self.args[0]
        return Mills(x) * MillsExcess(x)

    def _eval_is_positive(self) -> bool | None:
        return True if self.args[0].is_real else None


class MillsExcess(Primitive):
    r"""Excess :math:`A(x) - x` of the inverse Mills ratio, positive, about 1/x at large x."""

    nargs = 1
    latex_name = r"A_{-}"

    def plain(self) -> Expr:  # noqa: D102
        x = self.args[0]
        return _density(x) / _tail(x) - x

    def fdiff(self, argindex: int = 1) -> Expr:  # noqa: D102
        x = self.args[0]
        return Mills(x) * MillsExcess(x) - 1

    def _eval_is_positive(self) -> bool | None:
        return True if self.args[0].is_real else None

    def as_difference(self) -> Expr:
        """Return ``Mills(x) - x``, the form in which terms can cancel."""
        return Mills(self.args[0]) - self.args[0]


class LogScaledH(Primitive):
    r"""Logarithm of the scaled Gaussian tail, :math:`x^2/2 + \log H(x)`.

    The partition function of an exponential law is made of it; the two terms cancel at large x.

    Examples
    --------
    >>> from sympy import Symbol
    >>> LogScaledH(Symbol("x", real=True)).diff()
    -MillsExcess(x)
    """

    nargs = 1
    latex_name = r"\log\mathrm{H}_{s}"

    @classmethod
    def eval(cls, x: Expr) -> Expr | None:  # noqa: D102
        return -log(2) if x.is_zero else None

    def plain(self) -> Expr:  # noqa: D102
        x = self.args[0]
        return x**2 / 2 + log(_tail(x))

    def fdiff(self, argindex: int = 1) -> Expr:  # noqa: D102
        return -MillsExcess(self.args[0])


class LogCosh(Primitive):
    r"""Logarithm of the hyperbolic cosine, :math:`\log\cosh x`."""

    nargs = 1
    latex_name = r"\log\cosh"

    @classmethod
    def eval(cls, x: Expr) -> Expr | None:  # noqa: D102
        if x.is_zero:
            return S.Zero
        return cls(-x) if x.could_extract_minus_sign() else None

    def plain(self) -> Expr:  # noqa: D102
        return log(cosh(self.args[0]))

    def fdiff(self, argindex: int = 1) -> Expr:  # noqa: D102
        return Tanh(self.args[0])


class Tanh(Primitive):
    r"""Hyperbolic tangent, whose derivative stays :math:`\mathrm{sech}^2` (no 1 - tanh^2)."""

    nargs = 1
    latex_name = r"\tanh"

    @classmethod
    def eval(cls, x: Expr) -> Expr | None:  # noqa: D102
        if x.is_zero:
            return S.Zero
        return -cls(-x) if x.could_extract_minus_sign() else None

    def plain(self) -> Expr:  # noqa: D102
        return tanh(self.args[0])

    def fdiff(self, argindex: int = 1) -> Expr:  # noqa: D102
        return Sech(self.args[0]) ** 2


class Sech(Primitive):
    r"""Hyperbolic secant :math:`1 / \cosh x`, zero instead of an overflow at large x."""

    nargs = 1
    latex_name = r"\mathrm{sech}"

    @classmethod
    def eval(cls, x: Expr) -> Expr | None:  # noqa: D102
        if x.is_zero:
            return S.One
        return cls(-x) if x.could_extract_minus_sign() else None

    def plain(self) -> Expr:  # noqa: D102
        return 1 / cosh(self.args[0])

    def fdiff(self, argindex: int = 1) -> Expr:  # noqa: D102
        return -Sech(self.args[0]) * Tanh(self.args[0])

    def _eval_is_positive(self) -> bool | None:
        return True if self.args[0].is_real else None


class LogHDifference(Primitive):
    r"""Log-probability of an interval, :math:`\log(H(a) - H(b))` with ``a < b``.

    Examples
    --------
    >>> from sympy import Symbol
    >>> a, b = Symbol("a", real=True), Symbol("b", real=True)
    >>> LogHDifference(a, b).diff(b)
    UpperMills(a, b)
    """

    nargs = 2
    latex_name = r"\log\Delta H"

    def _eval_is_negative(self) -> bool | None:
        return True if all(a.is_real for a in self.args) else None

    def plain(self) -> Expr:  # noqa: D102
        a, b = self.args
        return log(_tail(a) - _tail(b))

    def fdiff(self, argindex: int = 1) -> Expr:  # noqa: D102
        return -LowerMills(*self.args) if argindex == 1 else UpperMills(*self.args)


class LowerMills(Primitive):
    r"""Density at the lower end over the mass of an interval, :math:`\varphi(a)/(H(a)-H(b))`."""

    nargs = 2
    latex_name = r"A_{\downarrow}"

    def plain(self) -> Expr:  # noqa: D102
        a, b = self.args
        return _density(a) / (_tail(a) - _tail(b))

    def fdiff(self, argindex: int = 1) -> Expr:  # noqa: D102
        a, b = self.args
        if argindex == 1:
            return LowerMills(a, b) * (LowerMills(a, b) - a)
        return -LowerMills(a, b) * UpperMills(a, b)


class UpperMills(Primitive):
    r"""Density at the upper end over the mass of an interval, :math:`\varphi(b)/(H(a)-H(b))`."""

    nargs = 2
    latex_name = r"A_{\uparrow}"

    def plain(self) -> Expr:  # noqa: D102
        a, b = self.args
        return _density(b) / (_tail(a) - _tail(b))

    def fdiff(self, argindex: int = 1) -> Expr:  # noqa: D102
        a, b = self.args
        if argindex == 1:
            return LowerMills(a, b) * UpperMills(a, b)
        return -UpperMills(a, b) * (UpperMills(a, b) + b)


class LogSumExp(Primitive):
    r"""Logarithm of a sum of exponentials, :math:`\log \sum_k e^{a_k}`.

    Examples
    --------
    >>> from sympy import Symbol
    >>> h = Symbol("h", real=True)
    >>> LogSumExp(0, h).diff(h)
    Softmax(h, 0)
    """

    latex_name = r"\log\Sigma\exp"

    def __new__(cls, *args: Scalar, **options: Any) -> Expr:
        """Return the sum with its arguments in a fixed order."""
        if not args:
            raise TypeError("LogSumExp needs at least one argument")
        ordered = sorted((S(a) for a in args), key=default_sort_key)
        if len(ordered) == 1:
            return ordered[0]
        return super().__new__(cls, *ordered, **options)

    def plain(self) -> Expr:  # noqa: D102
        return log(Add(*(exp(argument) for argument in self.args)))

    def fdiff(self, argindex: int = 1) -> Expr:  # noqa: D102
        if not 1 <= argindex <= len(self.args):
            raise ArgumentIndexError(self, argindex)
        k = argindex - 1
        return Softmax(self.args[k], *self.args[:k], *self.args[k + 1 :])


class Softmax(Primitive):
    r"""Weight of the first argument, :math:`e^{a_0} / \sum_k e^{a_k}`."""

    latex_name = r"\mathrm{softmax}"

    def __new__(cls, first: Scalar, *rest: Scalar, **options: Any) -> Expr:
        """Return the weight with the other arguments in a fixed order."""
        if not rest:
            return S.One
        ordered = sorted((S(a) for a in rest), key=default_sort_key)
        return super().__new__(cls, S(first), *ordered, **options)

    def plain(self) -> Expr:  # noqa: D102
        first, *rest = self.args
        return 1 / (1 + Add(*(exp(other - first) for other in rest)))

    def fdiff(self, argindex: int = 1) -> Expr:  # noqa: D102
        if argindex == 1:
            return self * (1 - self)
        other = self.args[argindex - 1]
        rest = [a for k, a in enumerate(self.args) if k != argindex - 1]
        return -self * Softmax(other, *rest)

    def _eval_is_positive(self) -> bool | None:
        return True if all(a.is_real for a in self.args) else None


class PositivePart(Primitive):
    r"""Positive part :math:`(x)_+ = \max(0, x)`.

    sympy's own ``Max`` compares its arguments whenever it is rebuilt, which makes it slow in large
    expressions; ``Max(0, x)`` in a formula becomes this.

    Examples
    --------
    >>> from sympy import Symbol
    >>> PositivePart(Symbol("x", real=True)).diff()
    Heaviside(x)
    """

    nargs = 1

    @classmethod
    def eval(cls, x: Expr) -> Expr | None:  # noqa: D102
        if x.is_Number:
            return x if x.is_positive else S.Zero
        return None

    def plain(self) -> Expr:  # noqa: D102
        return Max(0, self.args[0])

    def fdiff(self, argindex: int = 1) -> Expr:  # noqa: D102
        return Heaviside(self.args[0])

    def _eval_is_nonnegative(self) -> bool | None:
        return True if self.args[0].is_real else None

    def _latex(self, printer: Printer, exp: str | None = None) -> str:
        text = rf"\left({printer._print(self.args[0])}\right)_{{+}}"
        return text if exp is None else rf"{text}^{{{exp}}}"


class Clip(Primitive):
    r"""The argument, no less than `low` and no more than `high`, which is above `low`.

    Examples
    --------
    >>> from sympy import Symbol
    >>> x = Symbol("x", real=True)
    >>> Clip(x, 0, S.Infinity)
    PositivePart(x)
    >>> Clip(x, 0, 1).diff(x)
    Heaviside(x) - Heaviside(x - 1)
    """

    nargs = 3
    latex_name = r"\mathrm{clip}"

    @classmethod
    def eval(cls, x: Expr, low: Expr, high: Expr) -> Expr | None:  # noqa: D102
        if low is S.NegativeInfinity and high is S.Infinity:
            return x
        if low is S.NegativeInfinity:
            return high - PositivePart(high - x)
        if high is S.Infinity:
            return low + PositivePart(x - low)
        if all(argument.is_Rational for argument in (x, low, high)):
            return min(max(x, low), high)
        return None

    def plain(self) -> Expr:  # noqa: D102
        x, low, high = self.args
        return Min(Max(x, low), high)

    def fdiff(self, argindex: int = 1) -> Expr:  # noqa: D102
        x, low, high = self.args
        if argindex == 1:
            return Heaviside(x - low) - Heaviside(x - high)
        return Heaviside(low - x) if argindex == 2 else Heaviside(x - high)


class ProductDifference(Primitive):
    """The difference of two products, a b - c d, with all digits where they are nearly equal.

    Next to an upper end, as of a squared overlap next to the product of two norms, the difference
    of the rounded products has none.

    Examples
    --------
    >>> from sympy import symbols
    >>> a, b, c = symbols("a b c", real=True)
    >>> ProductDifference(a, b, c, c).diff(c)
    -2*c
    """

    nargs = 4

    @classmethod
    def eval(cls, a: Expr, b: Expr, c: Expr, d: Expr) -> Expr | None:  # noqa: D102
        plain = all(x.is_number for x in (a, b, c, d)) or c.is_zero or d.is_zero
        if plain:
            return a * b - c * d
        if c == d:  # a square that is a part of the product leaves the rest, without a difference
            rest = expand(a * b - c * c)
            return None if rest.is_Add else rest
        return None

    def plain(self) -> Expr:  # noqa: D102
        a, b, c, d = self.args
        return a * b - c * d

    def fdiff(self, argindex: int = 1) -> Expr:  # noqa: D102
        a, b, c, d = self.args
        return (b, a, -d, -c)[argindex - 1]

    def _eval_is_real(self) -> bool | None:
        return True if all(x.is_real for x in self.args) else None

    def _latex(self, printer: Printer, exp: str | None = None) -> str:
        a, b, c, d = self.args
        text = printer._print(a * b - c * d)
        return rf"\left({text}\right)" if exp is None else rf"\left({text}\right)^{{{exp}}}"
