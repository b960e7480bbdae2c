r"""Logarithms of Gaussian means of exponentials, and the tilted means that are their derivatives.

.. math:: L = \frac1y \log \mathbb{E}_{z \sim \mathcal N(0, v)}\, e^{y f(z)}, \qquad
          \langle g \rangle = \mathbb{E}\, g\, e^{y (f - L)}

are closed under differentiation,

.. math:: \partial_s L = \langle \partial_s f \rangle, \quad
          \partial_v L = \tfrac12 \langle f'' + y f'^2 \rangle, \quad
          \partial_y L = (\langle f \rangle - L) / y, \quad
          \partial_s \langle g \rangle = \langle \partial_s g \rangle
          + y \langle g\, \partial_s f \rangle - y \langle g \rangle \langle \partial_s f \rangle,

and no exponential is ever larger than one. One step of replica symmetry breaking and clusters of
y real replicas are written in them.
"""

from __future__ import annotations

from typing import Any

from sympy import Dummy, Expr, S, Symbol, Tuple, exp, log
from sympy.printing.printer import Printer

from replica.errors import DeclarationError
from replica.language.kinks import (
    jumps_of_curvature,
    moved_jumps,
    one_step_powers,
    smooth_derivative,
)
from replica.language.laws import PowerLaw
from replica.language.means import BoundMean, Mean, as_expression, cancel_terms, check_field
from replica.language.scalar import Scalar
from replica.writing import excerpt

__all__ = ["LogMean", "TiltedMean"]


class _Powered(BoundMean):
    """What a mean of exp(power * exponent) is a part of."""

    linear = False

    @property
    def exponent(self) -> Expr:
        """What is exponentiated, before it is multiplied by the power."""
        raise NotImplementedError

    @property
    def variance(self) -> Expr:
        """Variance of the field."""
        return self.law.variance

    @property
    def power(self) -> Expr:
        """The power of the exponential."""
        return self.law.power

    def group(self) -> Any:
        """Return what means that are computed together have in common."""
        return Tuple(self.law, self.exponent.xreplace({self.field: _FIELD}))

    def integrands(self, name: Symbol) -> list[tuple[Expr, bool]]:
        """Return the exponent, for which the logarithm is the value."""
        return [(self.exponent.xreplace({self.field: name}), False)]

    def _logarithm(self) -> Expr:
        return LogMean(self.exponent, (self.field, self.law))

    def _tilted(self, body: Expr) -> Expr:
        bodies = one_step_powers(cancel_terms(body)), self.exponent
        return TiltedMean(bodies, (self.field, self.law))

    def _at_kinks(self, body: Expr, symbol: Symbol, divisor: Expr) -> Expr:
        """Return what kinks add to the derivative of the mean of body * exp(y (f - L)) / divisor.

        L is kept fixed.
        """
        field, variance, y = self.field, self.variance, self.power
        level = Dummy("level", real=True)
        weight = exp(y * (self.exponent - level))
        weighted = body * weight / divisor
        total = S.Zero
        if weighted.has_free(symbol):
            total += moved_jumps(weighted, field, variance, symbol)
        spread = variance.diff(symbol)
        if spread != 0:
            # the product rule by hand, so that the divisor cancels the power where it is one
            force = smooth_derivative(self.exponent, field)
            slope = (body * y / divisor * force + smooth_derivative(body, field) / divisor) * weight
            total += spread * jumps_of_curvature(weighted, slope, field, variance) / 2
        return total.xreplace({level: self._logarithm()})


_FIELD = Dummy("field", real=True)


class LogMean(_Powered):
    r"""Logarithm of a mean of exponentials, :math:`\frac1y \log \mathbb{E}_z\, e^{y f(z)}`.

    The field z is N(0, v). It is the mean of f at y = 0, and tends to the maximum of
    :math:`f(z) - z^2 / 2 v y` as y grows; y f may be hundreds, of either sign.

    Parameters
    ----------
    body : Expr
        The function f; may contain other means.
    binding : tuple of (Symbol, Expr)
        The bound field, a real symbol, and its variance, as in `Mean`.
    power : Expr
        The power y.

    Raises
    ------
    DeclarationError
        As `Mean` does, and if the power contains the field or is missing.

    Examples
    --------
    >>> from sympy import symbols
    >>> from replica.language.primitives import LogCosh
    >>> z, v, y, h = symbols("z v y h", real=True)
    >>> LogMean(LogCosh(h + z), (z, v), power=y).diff(h)
    TiltedMean((Tanh(h + z), LogCosh(h + z)), (z, v), power=y)
    >>> LogMean(z**2, (z, v), power=0)
    Mean(z**2, (z, v))
    """

    def __new__(cls, body: Scalar, binding: Any, power: Scalar | None = None) -> Expr:
        """Return the logarithm, with terms free of the field taken out."""
        body, field, variance, y = _parts("LogMean", body, binding, power)
        if variance.is_zero:
            return body.subs(field, 0)
        if y.is_zero:
            return Mean(body, (field, variance))
        outside, inside = body.as_independent(field, as_Add=True)
        if outside != 0:
            return outside + LogMean(inside, (field, variance), y)
        if inside == 0:
            return S.Zero
        return Expr.__new__(cls, inside, Tuple(field, PowerLaw(variance, y)))

    @property
    def exponent(self) -> Expr:
        """What is exponentiated, before it is multiplied by the power."""
        return self.args[0]

    def written_out(self) -> Expr:
        """Return the same in means of exponentials, from which its limits are known."""
        weight = exp(self.power * self.exponent)
        return log(Mean(weight, (self.field, self.variance))) / self.power

    def _eval_derivative(self, symbol: Symbol) -> Expr:
        field, y = self.field, self.power
        change = smooth_derivative(self.exponent, symbol)
        spread = self.variance.diff(symbol)
        if spread != 0:
            force = smooth_derivative(self.exponent, field)
            change += spread * (smooth_derivative(force, field) + y * force**2) / 2
        total = self._tilted(change) + self._at_kinks(S.One, symbol, y)
        if y.has_free(symbol):
            total += y.diff(symbol) * (self._tilted(self.exponent) - self) / y
        return total

    def _sympystr(self, printer: Printer) -> str:
        field, variance, body, power = (
            printer._print(a) for a in (self.field, self.variance, self.exponent, self.power)
        )
        return f"LogMean({body}, ({field}, {variance}), power={power})"

    def _latex(self, printer: Printer, exp: str | None = None) -> str:
        field, variance = printer._print(self.field), printer._print(self.variance)
        power, exponent = (printer._print(e) for e in (1 / self.power, self.power * self.exponent))
        mean = rf"\mathbb{{E}}_{{{field}\sim\mathcal{{N}}(0,{variance})}}"
        text = rf"{power} \log {mean}\left[e^{{{exponent}}}\right]"
        return text if exp is None else rf"\left({text}\right)^{{{exp}}}"


class TiltedMean(_Powered):
    r"""Mean with a weight, :math:`\mathbb{E}[g\, e^{y f}] / \mathbb{E}[e^{y f}]`.

    Parameters
    ----------
    bodies : tuple of (Expr, Expr)
        The integrand g, and f in the exponent.
    binding : tuple of (Symbol, Expr)
        The bound field, a real symbol, and its variance, as in `Mean`.
    power : Expr
        The power y.

    Examples
    --------
    >>> from sympy import symbols
    >>> z, v, y = symbols("z v y", real=True)
    >>> TiltedMean((3 * z, z**4), (z, v), power=-y)
    3*TiltedMean((z, z**4), (z, v), power=-y)
    >>> TiltedMean((z**2, z**4), (z, v), power=0)
    Mean(z**2, (z, v))
    """

    def __new__(cls, bodies: Any, binding: Any, power: Scalar | None = None) -> Expr:
        """Return the mean, with factors free of the field taken out."""
        body, exponent = (as_expression(part) for part in bodies)
        exponent, field, variance, y = _parts("TiltedMean", exponent, binding, power)
        if not body.has_free(field):
            return body
        if variance.is_zero:
            return body.subs(field, 0)
        exponent = exponent.as_independent(field, as_Add=True)[1]
        if y.is_zero or exponent == 0:
            return Mean(body, (field, variance))
        outside, inside = body.as_independent(field, as_Add=False)
        if outside != 1:
            return outside * TiltedMean((inside, exponent), (field, variance), y)
        law = PowerLaw(variance, y)
        return Expr.__new__(cls, Tuple(inside, exponent), Tuple(field, law))

    @property
    def integrand(self) -> Expr:
        """What is averaged."""
        return self.args[0].args[0]

    @property
    def exponent(self) -> Expr:
        """What is exponentiated, before it is multiplied by the power."""
        return self.args[0].args[1]

    def integrands(self, name: Symbol) -> list[tuple[Expr, bool]]:
        """Return the exponent and the integrand."""
        return [*super().integrands(name), (self.integrand.xreplace({self.field: name}), True)]

    def _eval_is_extended_real(self) -> bool | None:
        return self.integrand.is_extended_real

    def written_out(self) -> Expr:
        """Return the same in means of exponentials, from which its limits are known."""
        field, weight = (self.field, self.variance), exp(self.power * self.exponent)
        return Mean(self.integrand * weight, field) / Mean(weight, field)

    def _eval_derivative(self, symbol: Symbol) -> Expr:
        body, field, y = self.integrand, self.field, self.power
        # of the exponent as a whole: it moves the weight, less its own mean
        push = y * smooth_derivative(self.exponent, symbol)
        change = smooth_derivative(body, symbol)
        spread = self.variance.diff(symbol)
        if spread != 0:
            force, slope = (smooth_derivative(part, field) for part in (self.exponent, body))
            push += spread * (y * smooth_derivative(force, field) + y**2 * force**2) / 2
            change += spread * (smooth_derivative(slope, field) + 2 * y * slope * force) / 2
        push += y.diff(symbol) * self.exponent
        total = self._tilted(change + body * push) - self * self._tilted(push)
        return (
            total
            + self._at_kinks(body, symbol, S.One)
            - self * self._at_kinks(S.One, symbol, S.One)
        )

    def _sympystr(self, printer: Printer) -> str:
        parts = (self.integrand, self.exponent, self.field, self.variance, self.power)
        body, exponent, field, variance, power = (printer._print(part) for part in parts)
        return f"TiltedMean(({body}, {exponent}), ({field}, {variance}), power={power})"

    def _latex(self, printer: Printer, exp: str | None = None) -> str:
        field, body = printer._print(self.field), printer._print(self.integrand)
        weight = printer._print(self.power * self.exponent)
        text = rf"\left\langle {body} \right\rangle_{{{field}\sim e^{{{weight}}}}}"
        return text if exp is None else rf"{text}^{{{exp}}}"


def _parts(
    name: str, body: Scalar, binding: Any, power: Scalar | None
) -> tuple[Expr, Symbol, Expr, Expr]:
    if not isinstance(binding, (tuple, list, Tuple)) or len(binding) != 2:
        raise DeclarationError(f"{name} binds (field, variance), not {binding!r}")
    field, law = binding
    if isinstance(law, PowerLaw):  # sympy rebuilds a node from its parts
        law, power = law.variance, law.power
    if power is None:
        raise DeclarationError(f"{name} needs a power: {name}(f, (z, v), power=y)")
    body, field, variance, exponent = (as_expression(part) for part in (body, field, law, power))
    check_field(field, variance)
    if exponent.has_free(field):
        raise DeclarationError(
            f"the power {excerpt(exponent)} of a {name} contains its field {field}"
        )
    if exponent is S.NaN or exponent.is_extended_real is False or exponent.is_finite is False:
        raise DeclarationError(f"the power {excerpt(exponent)} of a {name} is not a real number")
    return body, field, variance, exponent
