r"""Mean over the field of a planted weight, as one mean of one variable.

A weight w of some law is seen through Gaussian noise of precision g,
:math:`r = g w + \sqrt g\, z`. With the log-partition :math:`L(r) = \log E_w e^{r w - g w^2/2}`
the density of r is :math:`\mathcal N(r; 0, g)\, e^{L(r)}`, so no mean over the weight is left,
and as the precision grows r moves with the drift :math:`E[w|r] = L'`:

.. math:: \frac{d}{dg}\, E f(r) = E \left[ L' f' + \tfrac12 f'' \right],

terms of the size of the result where g is large, and regular where it vanishes.
"""

from __future__ import annotations

from typing import Any

from sympy import Expr, Symbol, Tuple, exp
from sympy.printing.printer import Printer

from replica.language.laws import Law
from replica.language.means import BoundMean, Mean, cancel_terms

__all__ = ["PlantedMean"]


class PlantedLaw(Law):
    """Precision, log-partition, and the Gaussian variance and weight that give numbers."""


class PlantedMean(BoundMean):
    r"""Mean of a function of r over the planted law of r.

    Parameters
    ----------
    body : Expr
        A function of r.
    binding : tuple of (Symbol, (Expr, Lambda, Expr, Lambda))
        The bound r, and its law: the precision g; the log-partition L as a function of r, which
        changes with g alone; and how numbers are found, as the mean of
        :math:`e^{W(r)} f(r)` over a Gaussian r of some variance, given with W.
    """

    computed_as_it_stands = False

    def __new__(cls, body: Expr, binding: Any) -> Expr:
        """Return the mean, with factors free of the field taken out."""
        field, law = binding
        if not body.has_free(field):
            return body
        outside, inside = body.as_independent(field, as_Add=False)
        if outside != 1:
            return outside * PlantedMean(inside, (field, law))
        law = law if isinstance(law, PlantedLaw) else PlantedLaw(*law)
        return super().__new__(cls, body, Tuple(field, law))

    def doit(self, **hints: Any) -> Expr:
        """Return the Gaussian mean that has this value."""
        _, _, variance, weight = self.law.args
        return Mean(exp(weight(self.field)) * self.body, (self.field, variance))

    def closed_form(self) -> Expr:
        """Return the Gaussian mean that has this value."""
        return self.doit()

    def _eval_derivative(self, symbol: Symbol) -> Expr:
        body, field = self.body, self.field
        precision, log_partition = self.law.args[:2]
        slope = body.diff(field)
        drift = log_partition(field).diff(field) * slope + slope.diff(field) / 2
        change = body.diff(symbol) + precision.diff(symbol) * drift
        return PlantedMean(cancel_terms(change), (field, self.law))

    def _latex(self, printer: Printer, exp: str | None = None) -> str:
        field, body = (printer._print(a) for a in (self.field, self.body))
        text = rf"\mathbb{{E}}_{{{field}}}\left[{body}\right]"
        return text if exp is None else rf"\left({text}\right)^{{{exp}}}"
