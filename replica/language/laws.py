"""Laws of the field that a mean averages over, as objects that numerics dispatches on.

A new kind of mean is a `Law` and a node here, and in `replica.numerics` what it is lowered to.
"""

from __future__ import annotations

from sympy import Basic, Expr, sympify
from sympy.printing.printer import Printer

from replica.language.scalar import Scalar

__all__ = ["GaussianLaw", "Law", "PowerLaw"]


class Law(Basic):
    """What the bound field of a mean is drawn from."""


class GaussianLaw(Law):
    r"""A centred Gaussian, :math:`\mathcal N(0, v)`.

    Parameters
    ----------
    variance : Expr
        Not negative; at zero the field is zero.
    """

    def __new__(cls, variance: Scalar) -> GaussianLaw:
        """Return the law with this variance."""
        return super().__new__(cls, sympify(variance, strict=True))

    @property
    def variance(self) -> Expr:
        """Variance of the field."""
        return self.args[0]

    def _sympystr(self, printer: Printer) -> str:
        return str(printer._print(self.variance))


class PowerLaw(GaussianLaw):
    """A centred Gaussian under an exponential of some power, as that of a `LogMean`.

    Parameters
    ----------
    variance : Expr
        Not negative; at zero the field is zero.
    power : Expr
        Multiplies the exponent.
    """

    def __new__(cls, variance: Scalar, power: Scalar) -> PowerLaw:
        """Return the law with this variance and power."""
        parts = (sympify(part, strict=True) for part in (variance, power))
        return Basic.__new__(cls, *parts)

    @property
    def power(self) -> Expr:
        """What multiplies the exponent."""
        return self.args[1]
