r"""Laplace and uniform weights tilted by a Gaussian, closed under differentiation.

========================  ==========================================  =========================
primitive                 value                                       derivative
========================  ==========================================  =========================
``IntervalCumulant``      of e^(h w - g w^2 / 2) on -1 < w < 1        cumulants of higher order
``ExponentialCumulant``   the same with e^-|w|                        cumulants of higher order
``IntervalWeight``        log of its mass beside a Gaussian law's     closed in cumulants
``ExponentialWeight``     the same with e^-|w|                        closed in cumulants
========================  ==========================================  =========================
"""

from __future__ import annotations

from sympy import Add, Expr, binomial, sqrt
from sympy.core.function import ArgumentIndexError
from sympy.printing.printer import Printer

from replica.language.primitives import Primitive

__all__ = [
    "ExponentialCumulant",
    "ExponentialWeight",
    "IntervalCumulant",
    "IntervalWeight",
]


class _Cumulant(Primitive):
    r"""Cumulant of order n of a tilted law, :math:`\propto P(w)\, e^{h w - g w^2 / 2}`.

    Order zero is the logarithm of the normalisation, a log-partition. Vanishing g is exact, so that
    nothing divides by its root.
    """

    nargs = 3
    latex_name = r"\kappa"
    latex_mark = ""

    @classmethod
    def eval(cls, n: Expr, h: Expr, g: Expr) -> Expr | None:
        return (-1) ** n * cls(n, -h, g) if h.could_extract_minus_sign() else None

    def fdiff(self, argindex: int = 3) -> Expr:
        n, h, g = self.args
        if argindex == 1:
            raise ArgumentIndexError(self, argindex)
        if argindex == 2:
            return self.func(n + 1, h, g)
        # d/dg of the generating function is minus half of its second moment
        products = (
            binomial(n, k) * self.func(k + 1, h, g) * self.func(n - k + 1, h, g)
            for k in range(int(n) + 1)
        )
        return -(self.func(n + 2, h, g) + Add(*products)) / 2

    def _eval_is_positive(self) -> bool | None:
        real = all(argument.is_real for argument in self.args)
        return True if real and self.args[0] == 2 else None

    def _latex(self, printer: Printer, exp: str | None = None) -> str:
        n, h, g = (printer._print(argument) for argument in self.args)
        power = "" if exp is None else f"^{{{exp}}}"
        return rf"{self.latex_name}_{{{n}, {self.latex_mark}}}{power}\left({h}, {g}\right)"


class IntervalCumulant(_Cumulant):
    r"""Cumulant of order n of the law :math:`\propto e^{h w - g w^2 / 2}` on -1 < w < 1.

    The partition function of a uniform weight is made of it.

    Examples
    --------
    >>> from sympy import symbols
    >>> h, g = symbols("h g", real=True)
    >>> IntervalCumulant(1, -h, g).diff(h)
    -IntervalCumulant(2, h, g)
    """

    latex_mark = r"\square"

    def places(self) -> list[tuple[Expr, Expr]]:
        """Return both ends of the range; without the Gaussian the law changes over h = 2."""
        _, h, g = self.args
        return [(h - g, sqrt(g / 4 + 4)), (h + g, sqrt(g / 4 + 4))]


class ExponentialCumulant(_Cumulant):
    r"""Cumulant of order n of the law :math:`\propto e^{-|w| + h w - g w^2 / 2}`.

    The partition function of a weight with exponential tails is made of it; at g = 0 it needs
    \|h\| < 1.

    Examples
    --------
    >>> from sympy import symbols
    >>> h, g = symbols("h g", real=True)
    >>> ExponentialCumulant(0, h, g).diff(h)
    ExponentialCumulant(1, h, g)
    """

    latex_mark = r"\wedge"

    def places(self) -> list[tuple[Expr, Expr]]:
        """Return where the peak of the law meets the kink."""
        _, h, g = self.args
        return [(h - 1, sqrt(g) / 2), (h + 1, sqrt(g) / 2)]


class _Weight(Primitive):
    r"""Logarithm of a normalisation beside that of a Gaussian law of variance c.

    .. math:: \log \int dw\, P(w)\, e^{h w - g w^2/2} - \frac{c h^2}{2 (1 + c g)}

    Both terms are of size g where g is large, their difference is not.
    """

    nargs = 3
    cumulant: type[_Cumulant]

    @classmethod
    def eval(cls, h: Expr, g: Expr, c: Expr) -> Expr | None:
        return cls(-h, g, c) if h.could_extract_minus_sign() else None

    def fdiff(self, argindex: int = 3) -> Expr:
        h, g, c = self.args
        field = h / (1 + c * g)
        if argindex == 1:
            return self.cumulant(1, h, g) - c * field
        if argindex == 3:
            return -(field**2) / 2
        second = self.cumulant(2, h, g) + self.cumulant(1, h, g) ** 2
        return (c * field) ** 2 / 2 - second / 2

    def places(self) -> list[tuple[Expr, Expr]]:
        """Return those of the cumulants."""
        return self.cumulant(2, *self.args[:2]).places()


class IntervalWeight(_Weight):
    """Logarithm of the mass of a tilted law on -1 < w < 1, beside that of a Gaussian law."""

    latex_name = r"\lambda_{\square}"
    cumulant = IntervalCumulant


class ExponentialWeight(_Weight):
    r"""Logarithm of the mass of a law tilted from e^-\|w\|, beside that of a Gaussian law."""

    latex_name = r"\lambda_{\wedge}"
    cumulant = ExponentialCumulant
