r"""Averages over the eigenvalues of a random or given matrix, as nodes of an expression.

.. math:: \langle f(s) \rangle_{s \sim \mu} = \int f(s)\, d\mu(s)

A law of eigenvalues is a `Spectrum`. Where it knows the average in closed form the node becomes
that form before anything is computed; where it is a list of numbers the average is a sum.
"""

from __future__ import annotations

from typing import Any

from sympy import Basic, Expr, Mul, S, Symbol, SympifyError, Tuple, sqrt, sympify
from sympy.printing.printer import Printer

from replica.errors import DeclarationError
from replica.language.laws import Law
from replica.language.means import BoundMean, in_closed_form
from replica.language.primitives import Primitive
from replica.language.scalar import Scalar

__all__ = ["CompanionStieltjes", "SpectralMean", "Spectrum", "WeightedPoints"]


class Spectrum(Law):
    """Law of one eigenvalue; a measure whose mass need not be one."""

    def average(self, body: Expr, field: Symbol) -> Expr | None:
        """Return the average of `body` in closed form, None if it is a sum to be computed.

        Raises
        ------
        DeclarationError
            If this law has no closed form for such a body.
        """
        raise NotImplementedError


class WeightedPoints(Spectrum):
    """Finitely many eigenvalues with weights: numbers, summed in one vectorised pass.

    Parameters
    ----------
    points, weights : sequence of float
        As many of both; weights are not negative and need not sum to one.
    name : str
        How it shows.

    Examples
    --------
    >>> from sympy import Symbol
    >>> s = Symbol("s", real=True)
    >>> SpectralMean(2 * s, (s, WeightedPoints([1.0, 3.0], [0.5, 0.5])))
    2*SpectralMean(s, (s, eigenvalues of 2))
    """

    is_Atom = True
    points: tuple[float, ...]
    weights: tuple[float, ...]
    name: str

    def __new__(cls, points: Any, weights: Any, name: str = "") -> WeightedPoints:
        """Return the law, with its numbers as plain floats."""
        node = Basic.__new__(cls)
        node.points = tuple(float(point) for point in points)
        node.weights = tuple(float(weight) for weight in weights)
        if len(node.points) != len(node.weights) or not node.points:
            raise DeclarationError(
                f"a spectrum needs as many weights as points, and some: {len(node.points)} points "
                f"and {len(node.weights)} weights"
            )
        node.name = name or f"eigenvalues of {len(node.points)}"
        return node

    def __getnewargs__(self) -> tuple[Any, ...]:
        return self.points, self.weights, self.name

    def __reduce__(self) -> tuple[Any, ...]:
        return WeightedPoints, (self.points, self.weights, self.name)

    def _hashable_content(self) -> tuple[Any, ...]:
        return self.points, self.weights

    def average(self, body: Expr, field: Symbol) -> Expr | None:
        """Return None: a sum over many numbers is computed, not written out."""
        return None

    def _sympystr(self, printer: Printer) -> str:
        return self.name

    def _latex(self, printer: Printer) -> str:
        return r"\mu"


class SpectralMean(BoundMean):
    r"""Average over the law of an eigenvalue, :math:`\langle f(s) \rangle_{s \sim \mu}`.

    Parameters
    ----------
    body : Expr
        The integrand.
    binding : tuple of (Symbol, Spectrum)
        The bound eigenvalue, a real symbol, and its law.

    Raises
    ------
    DeclarationError
        If the binding is not a real symbol with a spectrum.

    Examples
    --------
    >>> from sympy import symbols
    >>> from replica.blocks.spectra import MarchenkoPastur
    >>> s, z = symbols("s z", real=True)
    >>> node = SpectralMean(1 / (s + z), (s, MarchenkoPastur(S.Half)))
    >>> node.diff(z)
    -SpectralMean((s + z)**(-2), (s, MarchenkoPastur(1/2)))
    >>> node.doit().subs(z, 1).evalf(8)
    0.56155281
    """

    computed_as_it_stands = False

    def __new__(cls, body: Scalar, binding: Any) -> Expr:
        """Return the average, with factors free of the eigenvalue taken out."""
        if not isinstance(binding, (tuple, list, Tuple)) or len(binding) != 2:
            raise DeclarationError(f"SpectralMean binds (eigenvalue, spectrum), not {binding!r}")
        field, law = binding
        if not isinstance(field, Symbol) or field.is_real is not True:
            raise DeclarationError(
                f"SpectralMean needs a real symbol as its eigenvalue, not {field!r}"
            )
        if not isinstance(law, Spectrum):
            raise DeclarationError(f"SpectralMean averages over a Spectrum, not {law!r}")
        if law.has_free(field):
            raise DeclarationError(f"the spectrum {law} of the eigenvalue {field} contains it")
        try:  # what was built in Python; text is refused
            body = sympify(body, strict=True)
        except SympifyError:
            body = None
        if not isinstance(body, Expr):
            raise DeclarationError("SpectralMean takes sympy expressions, not text")
        if body.is_zero:
            return S.Zero
        outside, inside = body.as_independent(field, as_Add=False)
        if outside != 1:
            return Mul(outside, SpectralMean(inside, (field, law)), evaluate=True)
        return super().__new__(cls, body, Tuple(field, law))

    def doit(self, **hints: Any) -> Expr:
        """Return the closed form where the spectrum has one."""
        found = self.law.average(in_closed_form(self.body), self.field)
        return self if found is None else found

    def closed_form(self) -> Expr:
        """Return the closed form where the spectrum has one."""
        return self.doit()

    def _eval_derivative(self, symbol: Symbol) -> Expr:
        if self.law.has_free(symbol):  # the law itself changes: only its closed form can say how
            return self.doit().diff(symbol)
        return SpectralMean(self.body.diff(symbol), (self.field, self.law))

    def _latex(self, printer: Printer, exp: str | None = None) -> str:
        field, law, body = (printer._print(a) for a in (self.field, self.law, self.body))
        text = rf"\left\langle {body} \right\rangle_{{{field}\sim {law}}}"
        return text if exp is None else rf"{text}^{{{exp}}}"


class CompanionStieltjes(Primitive):
    r"""Companion Stieltjes transform x(z, c) of the Marchenko-Pastur law of ratio c, at -z.

    It is the positive root of

    .. math:: z x^2 + (z + c - 1)\, x - 1 = 0.

    With s distributed by the law, :math:`\langle 1/(s+z) \rangle = 1 / (z (1 + x))` and
    :math:`\langle s/(s+z) \rangle = x / (1 + x)`: products of positive numbers, where
    :math:`1 - z \langle 1/(s+z) \rangle` would cancel.

    Examples
    --------
    >>> from sympy import symbols
    >>> z, c = symbols("z c", positive=True)
    >>> CompanionStieltjes(z, c).diff(c)
    -CompanionStieltjes(z, c)/sqrt(z**2 + 2*z*(c + 1) + (1 - c)**2)
    """

    nargs = 2
    latex_name = r"\tilde g"

    @classmethod
    def root(cls, z: Expr, ratio: Expr) -> Expr:
        """Return the square root of the discriminant, a sum of positive terms."""
        return sqrt(z**2 + 2 * z * (1 + ratio) + (1 - ratio) ** 2)

    def fdiff(self, argindex: int = 1) -> Expr:
        """Return the derivative in z or in the ratio."""
        z, ratio = self.args
        change = -self / self.root(z, ratio)
        return change * (1 + self) if argindex == 1 else change

    def _eval_evalf(self, precision: int) -> Expr:
        z, ratio = self.args
        explicit = (self.root(z, ratio) - (z + ratio - 1)) / (2 * z)
        return explicit._evalf(precision)

    def _eval_is_positive(self) -> bool | None:
        return True if all(a.is_positive for a in self.args) else None
