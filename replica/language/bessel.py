r"""Bessel functions of the modulus and phase of complex fields, closed under differentiation.

With the modified Bessel functions :math:`I_n` and :math:`K_n`:

========================  ==========================================  =========================
primitive                 value                                       derivative
========================  ==========================================  =========================
``LogScaledI0(x)``        log I_0(x) - x, x >= 0                      BesselRatio(x) - 1
``BesselRatio(x)``        R = I_1(x) / I_0(x), x >= 0                 BesselRatioSlope(x)
``BesselRatioSlope(x)``   1 - R/x - R^2                               closed in the two
``PhaseLogPartition(k)``  log I_0(f) - sqrt(1 + k) + 1, k = f^2  closed in BesselQuotient
``PhaseEntropy(k)``       log I_0(f) - f R(f)                         closed in the next two
``PhaseVariance(k)``      1 - R(f)^2                                  closed in the next one
``BesselQuotient(n, k)``  I_{n+1}(f) / (f I_n(f)), n a whole number   closed
``LogScaledK0(s)``        log K_0(e^s) + e^s                          closed in the two
``LogScaledK1(s)``        log K_1(e^s) + e^s                          closed in the two
========================  ==========================================  =========================
"""

from __future__ import annotations

from sympy import Expr, S, exp, sqrt
from sympy.core.function import ArgumentIndexError
from sympy.printing.printer import Printer

from replica.language.primitives import Primitive

__all__ = [
    "BesselQuotient",
    "BesselRatio",
    "BesselRatioSlope",
    "LogScaledI0",
    "LogScaledK0",
    "LogScaledK1",
    "PhaseEntropy",
    "PhaseLogPartition",
    "PhaseVariance",
]


class LogScaledI0(Primitive):
    r"""Logarithm of the scaled modified Bessel function, :math:`\log I_0(x) - x`, for x >= 0.

    The partition function of a phase.

    Examples
    --------
    >>> from sympy import Symbol
    >>> LogScaledI0(Symbol("x", real=True)).diff()
    BesselRatio(x) - 1
    """

    nargs = 1
    latex_name = r"\log I_{0s}"

    @classmethod
    def eval(cls, x: Expr) -> Expr | None:  # noqa: D102
        return S.Zero if x.is_zero else None

    def fdiff(self, argindex: int = 1) -> Expr:  # noqa: D102
        return BesselRatio(self.args[0]) - 1


class BesselRatio(Primitive):
    r"""Mean direction of a phase in a field, :math:`R(x) = I_1(x) / I_0(x)`, for x >= 0."""

    nargs = 1
    latex_name = r"R"

    @classmethod
    def eval(cls, x: Expr) -> Expr | None:  # noqa: D102
        return S.Zero if x.is_zero else None

    def fdiff(self, argindex: int = 1) -> Expr:  # noqa: D102
        return BesselRatioSlope(self.args[0])


class BesselRatioSlope(Primitive):
    r"""Slope of the mean direction, :math:`R'(x) = 1 - R/x - R^2`, about 1/2x^2 at large x."""

    nargs = 1
    latex_name = r"R'"

    @classmethod
    def eval(cls, x: Expr) -> Expr | None:  # noqa: D102
        return S.Half if x.is_zero else None

    def fdiff(self, argindex: int = 1) -> Expr:  # noqa: D102
        x = self.args[0]
        return (BesselRatio(x) / x - self) / x - 2 * BesselRatio(x) * self


# Functions of a phase in a field take the square k of the field: as functions of k they are regular
# at k = 0, while derivatives in the field itself would lose digits there.


class PhaseLogPartition(Primitive):
    r"""Log-partition of a phase in a field of square k, :math:`\log I_0(\sqrt k) - \sqrt{1+k} + 1`.

    Examples
    --------
    >>> from sympy import Symbol
    >>> PhaseLogPartition(Symbol("k", real=True)).diff()
    BesselQuotient(0, k)/2 - 1/(2*sqrt(k + 1))
    """

    nargs = 1
    latex_name = r"\log\mathrm{I}_{0s}"

    @classmethod
    def eval(cls, k: Expr) -> Expr | None:  # noqa: D102
        return S.Zero if k.is_zero else None

    def fdiff(self, argindex: int = 1) -> Expr:  # noqa: D102
        (k,) = self.args
        return BesselQuotient(0, k) / 2 - 1 / (2 * sqrt(1 + k))


class PhaseEntropy(Primitive):
    r"""Entropy of a phase in a field of square k, relative to a uniform one.

    .. math:: \log I_0(\sqrt k) - \sqrt k\, R(\sqrt k), \qquad R = I_1 / I_0
    """

    nargs = 1
    latex_name = r"\mathrm{S}_\varphi"

    @classmethod
    def eval(cls, k: Expr) -> Expr | None:  # noqa: D102
        return S.Zero if k.is_zero else None

    def fdiff(self, argindex: int = 1) -> Expr:  # noqa: D102
        (k,) = self.args
        return (BesselQuotient(0, k) - PhaseVariance(k)) / 2


class PhaseVariance(Primitive):
    r"""Variance of the direction of a phase, :math:`1 - R(\sqrt k)^2`, with R = I_1 / I_0."""

    nargs = 1
    latex_name = r"\mathrm{V}_\varphi"

    @classmethod
    def eval(cls, k: Expr) -> Expr | None:  # noqa: D102
        return S.One if k.is_zero else None

    def fdiff(self, argindex: int = 1) -> Expr:  # noqa: D102
        (k,) = self.args
        ratio = BesselQuotient(0, k)
        return ratio * (ratio - self)


class BesselQuotient(Primitive):
    r"""Quotient of Bessel functions, :math:`I_{n+1}(f) / f I_n(f)` with f^2 = k.

    Examples
    --------
    >>> BesselQuotient(0, 0)
    1/2
    """

    nargs = 2
    latex_name = r"\mathrm{I}"

    @classmethod
    def eval(cls, n: Expr, k: Expr) -> Expr | None:  # noqa: D102
        return 1 / (2 * n + 2) if k.is_zero else None

    def fdiff(self, argindex: int = 2) -> Expr:  # noqa: D102
        n, k = self.args
        if argindex == 1:
            raise ArgumentIndexError(self, argindex)
        return self * (BesselQuotient(n + 1, k) - self) / 2

    def _eval_is_positive(self) -> bool | None:
        return True if self.args[1].is_real else None

    def _latex(self, printer: Printer, exp: str | None = None) -> str:
        n, k = self.args
        order, argument = printer._print(n), printer._print(k)
        power = "" if exp is None else f"^{{{exp}}}"
        return rf"{self.latex_name}_{{{order}+1/{order}}}{power}\left({argument}\right)"


class LogScaledK0(Primitive):
    r"""Scaled Bessel function of the second kind, :math:`\log K_0(e^s) + e^s`.

    The product of two Gaussian variables has the density :math:`K_0(|x|) / \pi`. The argument is
    given by its logarithm, which neither under- nor overflows where integrals end.
    """

    nargs = 1
    latex_name = r"\log K_{0s}"

    def fdiff(self, argindex: int = 1) -> Expr:  # noqa: D102
        (s,) = self.args
        # one exponential, not a product: that may be 0 times infinity
        return exp(s) - exp(s + LogScaledK1(s) - self)


class LogScaledK1(Primitive):
    r"""Scaled Bessel function of the second kind, :math:`\log K_1(e^s) + e^s`."""

    nargs = 1
    latex_name = r"\log K_{1s}"

    def fdiff(self, argindex: int = 1) -> Expr:  # noqa: D102
        (s,) = self.args
        return exp(s) - exp(s + LogScaledK0(s) - self) - 1
