r"""Gaussian means as nodes of an expression, with their calculus and LaTeX.

The variance is part of the node, so the heat equation gives every derivative:

.. math:: \frac{d}{dv}\, \mathbb{E}_{x\sim\mathcal N(0,v)} f(x)
          = \tfrac12\, \mathbb{E}_{x\sim\mathcal N(0,v)} f''(x),

nothing divides by :math:`\sqrt v`, and v = 0 is exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import Any

from sympy import (
    Abs,
    Add,
    Basic,
    DiracDelta,
    Dummy,
    Expr,
    Mul,
    Pow,
    S,
    Symbol,
    SympifyError,
    Tuple,
    count_ops,
    exp,
    expand,
    expand_mul,
    sympify,
)
from sympy.printing.printer import Printer

from replica.errors import DeclarationError
from replica.language.kinks import (
    jumps_of_curvature,
    moved_jumps,
    one_step_powers,
    sift,
    smooth_derivative,
)
from replica.language.laws import GaussianLaw, Law
from replica.language.primitives import MillsExcess
from replica.language.scalar import Scalar
from replica.language.size import is_larger
from replica.writing import excerpt

__all__ = [
    "BoundMean",
    "LabelSum",
    "Mean",
    "as_expression",
    "cancel_terms",
    "check_field",
    "in_closed_form",
    "mean_of_sum",
    "nesting",
    "outermost_means",
]


_LONGEST_SUM = 500  # terms; a longer sum takes seconds to write out, and is never the shorter form
_LARGEST = 10_000  # nodes of a sum in which terms are cancelled; means in means soon have more


class BoundMean(Expr):
    """Average of a body over one bound symbol with a law: what all means have in common.

    ``args`` are the body and the binding ``(field, law)``. The field is not visible from outside,
    and two averages that differ by its name alone are equal.
    """

    is_commutative = True
    linear = True
    """Whether the mean of a sum is the sum of the means."""
    computed_as_it_stands = True
    """Whether numbers are computed from the node itself, else from its `closed_form`."""

    @property
    def body(self) -> Expr:
        """The integrand."""
        return self.args[0]

    @property
    def field(self) -> Symbol:
        """The bound symbol."""
        return self.args[1].args[0]

    @property
    def law(self) -> Law:
        """What the field is drawn from."""
        return self.args[1].args[1]

    def group(self) -> Any:
        """Return what means that are computed by the same pass over their nodes have in common."""
        return self.law

    def integrands(self, name: Symbol) -> list[tuple[Expr, bool]]:
        """Return what its integral evaluates at a value of the field, its own value last.

        The second of a pair tells apart what an integrand is for, where the same one serves twice.
        """
        return [(self.body.xreplace({self.field: name}), True)]

    def closed_form(self) -> Expr:
        """Return the form that numbers are computed from: itself, or one with simpler means."""
        return self

    def written_out(self) -> Expr:
        """Return the same in linear means, from which its limits are known."""
        return self

    @property
    def bound_symbols(self) -> list[Symbol]:
        """The bound field, in the list sympy expects."""
        return [self.field]

    @property
    def free_symbols(self) -> set[Symbol]:
        """Symbols the value depends on: all but the bound field."""
        return (self.body.free_symbols - {self.field}) | self.law.free_symbols

    # Two means that differ by the name of the field are the same expectation: equality and
    # hash are taken on a private name that depends on the depth of nesting only.
    def _hashable_content(self) -> tuple[Any, ...]:
        found: tuple[Any, ...] | None = self.__dict__.get("_content")
        if found is None:  # comparisons ask for it again and again
            canonical = _Canonical(1 + self._inner_depth)
            found = self.__dict__["_content"] = (
                self.body.xreplace({self.field: canonical}),
                self.law,
            )
        return found

    @property
    def _inner_depth(self) -> int:
        """How many averages are nested inside each other in its body."""
        found: int | None = self.__dict__.get("_depth")
        if found is None:
            found = self.__dict__["_depth"] = max(map(_depth, self.args), default=0)
        return found

    def _eval_is_extended_real(self) -> bool | None:
        return self.body.is_extended_real

    def renamed(self, taken: Iterable[Symbol]) -> BoundMean:
        """Return the same mean over a field whose name is not in `taken`."""
        field = self.field
        fresh = Dummy(field.name, **field.assumptions0) if field in set(taken) else field
        if fresh is field:
            return self
        return type(self)(self.body.xreplace({field: fresh}), (fresh, self.law))

    def _eval_subs(self, old: Expr, new: Expr) -> Expr:
        law = self.law._subs(old, new)
        if self.field in old.free_symbols:  # the bound field is not visible from outside
            return type(self)(self.body, (self.field, law))
        safe = self.renamed(new.free_symbols)
        return type(self)(safe.body._subs(old, new), (safe.field, law))

    def _xreplace(self, rule: dict[Basic, Basic]) -> tuple[Expr, bool]:
        if self in rule:
            return rule[self], True
        if not isinstance(rule, dict):  # passes of sympy itself may give a rule that is no mapping
            body, in_body = self.body._xreplace(rule)
            law, in_law = self.law._xreplace(rule)
            return type(self)(body, (self.field, law)), in_body or in_law
        visible = {k: w for k, w in rule.items() if self.field not in k.free_symbols}
        taken = set().union(*(w.free_symbols for w in visible.values())) if visible else set()
        safe = self.renamed(taken)
        body, in_body = safe.body._xreplace(visible)
        law, in_law = self.law._xreplace(rule)
        if not (in_body or in_law):
            return self, False
        return type(self)(body, (safe.field, law)), True

    def _sympystr(self, printer: Printer) -> str:
        field, law, body = (printer._print(a) for a in (self.field, self.law, self.body))
        return f"{type(self).__name__}({body}, ({field}, {law}))"


class Mean(BoundMean):
    r"""Expectation over one Gaussian field, :math:`\mathbb{E}_{x \sim \mathcal N(0, v)} f(x)`.

    Parameters
    ----------
    body : Expr
        The integrand; may contain other means.
    binding : tuple of (Symbol, Expr)
        The bound field, a real symbol, and its variance. Outside the node the symbol is free.

    Raises
    ------
    DeclarationError
        If the field is not a real symbol of unrestricted sign, if its variance contains it, or
        if the integrand has a pole or grows faster than any Gaussian.

    Examples
    --------
    >>> from sympy import symbols
    >>> from replica.language.primitives import LogCosh
    >>> h, v = symbols("h v", real=True)
    >>> Mean(LogCosh(h), (h, v)).diff(v)
    Mean(Sech(h)**2, (h, v))/2
    >>> Mean(h**2, (h, 0))
    0
    """

    def __new__(cls, body: Scalar, binding: Any) -> Expr:
        """Return the mean, with factors free of the field taken out."""
        # sympify of objects built in Python, never of text: strings are refused here
        if not isinstance(binding, (tuple, list, Tuple)) or len(binding) != 2:
            raise DeclarationError(f"Mean binds (field, variance), not {binding!r}")
        # sympy rebuilds a node from its parts: with the law in place of the variance
        if isinstance(binding[1], GaussianLaw):
            binding = binding[0], binding[1].variance
        body, field, variance = (as_expression(part) for part in (body, *binding))
        check_field(field, variance)
        if not body.has_free(field):
            return body
        if variance.is_zero:
            return body.subs(field, 0)
        if body.has(DiracDelta):
            smooth, sifted = sift(body, field, variance)
            return Mean(smooth, (field, variance)) + sifted
        _check_integrable(body, field)
        outside, inside = body.as_independent(field, as_Add=False)
        if outside != 1:
            return outside * Mean(inside, (field, variance))
        return super().__new__(cls, body, Tuple(field, GaussianLaw(variance)))

    @property
    def variance(self) -> Expr:
        """Variance of the field."""
        return self.law.variance

    def _eval_derivative(self, symbol: Symbol) -> Expr:
        body, field, variance = self.body, self.field, self.variance
        change = smooth_derivative(body, symbol)
        spread = variance.diff(symbol)
        at_kinks = S.Zero
        if body.has_free(symbol):  # a kink that moves carries its jump along
            at_kinks += moved_jumps(body, field, variance, symbol)
        if spread != 0:
            # the heat equation; in two steps, since sympy's own second derivative factors slowly
            slope = one_step_powers(smooth_derivative(body, field))
            change += spread * smooth_derivative(slope, field) / 2
            at_kinks += spread * jumps_of_curvature(body, slope, field, variance) / 2
        smooth = Mean(cancel_terms(one_step_powers(change)), (field, variance))
        return smooth + at_kinks

    def _latex(self, printer: Printer, exp: str | None = None) -> str:
        field, variance, body = (printer._print(a) for a in (self.field, self.variance, self.body))
        text = rf"\mathbb{{E}}_{{{field}\sim\mathcal{{N}}(0,{variance})}}\left[{body}\right]"
        return text if exp is None else rf"\left({text}\right)^{{{exp}}}"


def LabelSum(body: Scalar, binding: tuple[Symbol, Iterable[Any]]) -> Expr:
    r"""Finite sum over a discrete variable, :math:`\sum_{y \in L} f(y)`, expanded at once.

    Parameters
    ----------
    body : Expr
        The summand.
    binding : tuple of (Symbol, iterable)
        The variable and its finite list of values, such as ``(w, (-1, 1))``.

    Raises
    ------
    DeclarationError
        If the list of values is empty or repeats a value.

    Examples
    --------
    >>> from sympy import exp, symbols
    >>> w, h = symbols("w h", real=True)
    >>> LabelSum(exp(w * h), (w, (-1, 0, 1)))
    exp(h) + 1 + exp(-h)
    """
    variable, values = binding
    levels = [sympify(value, strict=True) for value in values]
    if not levels or len(set(levels)) != len(levels):
        raise DeclarationError(f"LabelSum over {variable}: the values must be distinct, not empty")
    return Add(*(sympify(body, strict=True).subs(variable, level) for level in levels))


def in_closed_form(expression: Expr) -> Expr:
    """Return the same with every mean that has a simpler form, or none at all, replaced by it."""
    if all(mean.computed_as_it_stands for mean in expression.atoms(BoundMean)):
        return expression
    if isinstance(expression, BoundMean) and not expression.computed_as_it_stands:
        found = expression.closed_form()
        return found if found is expression else in_closed_form(found)
    return expression.func(*(in_closed_form(argument) for argument in expression.args))


def outermost_means(*expressions: Expr) -> list[BoundMean]:
    """Return the means of `expressions` that are not inside another mean, without repetition."""
    found: dict[BoundMean, None] = {}

    def walk(node: Basic) -> None:
        if isinstance(node, BoundMean):
            found.setdefault(node)
        else:
            for argument in node.args:
                walk(argument)

    for expression in expressions:
        walk(expression)
    return list(found)


def cancel_terms(expression: Expr) -> Expr:
    r"""Expand where terms cancel, keep the factored form elsewhere.

    Derivatives of :math:`\log H` come as :math:`A x` and :math:`A (A - x)`; their sum is the
    exact :math:`A^2`, free of the cancellation that the unexpanded form suffers at large x. The
    expanded form is taken only when it is shorter, because long products are the stable form.

    Examples
    --------
    >>> from sympy import symbols
    >>> from replica.language.primitives import Mills
    >>> x = symbols("x", real=True)
    >>> cancel_terms(Mills(x) * MillsExcess(x) + x * Mills(x))
    Mills(x)**2
    """
    if not expression.is_Add or is_larger(expression, _LARGEST):
        return expression
    if _expanded_size(expression) > _LONGEST_SUM:
        return expression
    atoms: dict[Basic, Dummy] = {}
    bases = {p.base for p in expression.atoms(Pow) if p.base.is_Add and not p.exp.is_integer}

    def atom(node: Basic, **assumptions: bool) -> Dummy:
        return atoms.setdefault(node, Dummy(**assumptions))

    def protect(node: Basic) -> Basic:
        if node.is_Atom:
            return node
        if isinstance(node, MillsExcess):
            return protect(node.as_difference())
        if isinstance(node, Pow) and node.base.is_Add and not _is_natural(node.exp):
            # one positive symbol per base, so that D**(-1/2) * D**(-1) collects
            base, power = node.args
            if power.is_integer and -base in bases:
                return (-1) ** power * atom(-base, positive=True) ** power
            return atom(base, positive=True) ** power
        if isinstance(node, (Add, Mul, Pow)):
            return node.func(*(protect(argument) for argument in node.args))
        return atom(node)

    expanded = expand(protect(expression), power_base=False, power_exp=False, log=False)
    back = {dummy: node for node, dummy in atoms.items()}
    expanded = _merge_means(expanded.xreplace(back))
    return expanded if count_ops(expanded) < count_ops(expression) else expression


def _expanded_size(node: Basic) -> int:
    """Return how many terms the expression would have without parentheses."""
    if node.is_Add:
        return sum(_expanded_size(argument) for argument in node.args)
    if node.is_Mul:
        return prod(_expanded_size(argument) for argument in node.args)
    if isinstance(node, Pow) and _is_natural(node.exp):
        return int(_expanded_size(node.base) ** node.exp)
    return 1


def _merge_means(expression: Expr) -> Expr:
    """Add up terms that are the same multiple of means over fields of the same variance."""
    groups: dict[tuple[Expr, Expr], list[tuple[Expr, Mean]]] = {}
    total = S.Zero
    for term in Add.make_args(expression):
        means = [factor for factor in Mul.make_args(term) if isinstance(factor, Mean)]
        if len(means) != 1:
            total += term
            continue
        (mean,) = means
        number, other = Mul(*(f for f in Mul.make_args(term) if f is not mean)).as_coeff_Mul()
        groups.setdefault((other, mean.variance), []).append((number, mean))
    for (other, variance), members in groups.items():
        field = members[0][1].field
        if any(field in mean.free_symbols for _, mean in members):
            field = Dummy(field.name, real=True)  # the name is taken by an outer field
        body = Add(*(number * mean.body.xreplace({mean.field: field}) for number, mean in members))
        total += other * Mean(cancel_terms(expand_mul(body)), (field, variance))
    return total


def _is_natural(power: Expr) -> bool:
    return bool(power.is_Integer and power.is_positive)


def nesting(node: Basic) -> int:
    """Return how many Gaussian integrals are nested inside each other in `node`."""
    inner = max((nesting(argument) for argument in node.args), default=0)
    integral = isinstance(node, BoundMean) and isinstance(node.law, GaussianLaw)
    return inner + 1 if integral else inner


def _depth(node: Basic) -> int:
    """Return how many averages of any kind are nested inside each other in `node`."""
    if isinstance(node, BoundMean):
        return 1 + node._inner_depth
    return max(map(_depth, node.args), default=0)


class _Canonical(Symbol):
    """The name of a field in comparisons; no symbol of a user equals it."""

    def __new__(cls, depth: int) -> Symbol:
        return Symbol.__xnew__(cls, f"field{depth}", real=True)

    def __reduce__(self) -> tuple[Any, ...]:
        return _Canonical, (int(self.name.removeprefix("field")),)


def as_expression(part: Scalar) -> Expr:
    """Return what was built in Python as an expression; text is never read as one."""
    try:
        found = sympify(part, strict=True)
    except SympifyError:
        found = None
    if not isinstance(found, Expr):
        raise DeclarationError(
            f"this takes sympy expressions, not text or {type(part).__name__}: {part!r}"
        )
    return found


def check_field(field: Expr, variance: Expr) -> None:
    """Refuse what is no Gaussian field or no variance."""
    if not isinstance(field, Symbol):
        raise DeclarationError(f"Mean needs a symbol as its field, not {field}")
    if field.is_real is not True:
        raise DeclarationError(
            f"the Gaussian field {field} must be a real symbol: symbols({field.name!r}, real=True)"
        )
    signs = (field.is_positive, field.is_negative, field.is_nonnegative, field.is_nonpositive)
    if any(signs) or field.is_integer is not None:
        raise DeclarationError(
            f"the Gaussian field {field} takes all real values: declare it with real=True only"
        )
    if variance.has_free(field):
        raise DeclarationError(f"the variance {variance} of the field {field} contains the field")
    if variance.is_extended_real is False or variance.is_finite is False or variance is S.NaN:
        raise DeclarationError(f"the variance {variance} of the field {field} is not a real number")
    if variance.is_negative:
        raise DeclarationError(f"the variance {variance} of the field {field} is negative")


def _check_integrable(body: Expr, field: Symbol) -> None:
    """Refuse what no Gaussian mean can have: a pole on the line, or growth beyond Gaussian."""
    for node in body.atoms(Pow):
        base, power = node.args
        if (power + 1).is_nonpositive is not True:
            continue
        place = _real_zero(base.args[0] if isinstance(base, Abs) else base, field)
        if place is not None:
            raise DeclarationError(
                f"not integrable over the field {field}: {excerpt(node)} has a "
                f"pole at {field} = {excerpt(place)}"
            )
    for node in body.atoms(exp):
        exponent = node.args[0]
        if exponent.is_polynomial(field) and exponent.has_free(field):
            poly = exponent.as_poly(field)
            lead = poly.LC()
            even = poly.degree() % 2 == 0
            if poly.degree() > 2 and (not even or lead.is_positive):
                raise DeclarationError(
                    f"not integrable over the field {field}: {excerpt(node)} outgrows every "
                    f"Gaussian"
                )


def _real_zero(base: Expr, field: Symbol) -> Expr | None:
    """Return a real zero of an affine base, or of a quadratic one with numbers, else None."""
    if not base.has_free(field) or not base.is_polynomial(field):
        return None
    coefficients = base.as_poly(field).all_coeffs()
    if len(coefficients) == 2:
        return -coefficients[1] / coefficients[0]
    if all(coefficient.is_number for coefficient in coefficients):
        zeros = base.as_poly(field).real_roots()
        return zeros[0] if zeros else None
    return None


def mean_of_sum(bodies: Sequence[Expr], field: Symbol, variance: Expr) -> Expr:
    """Return the mean of a sum over a Gaussian field, each body once where a reflection suffices.

    Examples
    --------
    >>> from sympy import exp, symbols
    >>> x = symbols("x", real=True)
    >>> mean_of_sum([exp(x), exp(-x)], x, S(2))
    2*Mean(exp(x), (x, 2))
    """
    counted: list[tuple[int, Expr]] = []
    for body in bodies:
        mirror = _reflected(body, field)
        for k, (count, other) in enumerate(counted):
            if other in (body, mirror):
                counted[k] = (count + 1, other)
                break
        else:
            counted.append((1, body))
    return sum((count * Mean(body, (field, variance)) for count, body in counted), S.Zero)


def _reflected(body: Expr, field: Symbol) -> Expr:
    """Return the body at minus the field, with the fields of inner means reflected as well."""
    inner = {
        mean: Mean(mean.body.subs(mean.field, -mean.field), (mean.field, mean.variance))
        for mean in body.atoms(Mean)
    }
    return body.xreplace(inner).subs(field, -field)
