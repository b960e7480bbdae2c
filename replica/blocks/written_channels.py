r"""Channels from a law P(y|z) that a user writes down, for discrete or continuous labels.

Everything follows from the law: with a field of mean omega and variance V,

.. math:: L_y(\omega, V) = \log E_{x \sim N(0, V)} P(y \,|\, \omega + x).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from numbers import Real

import numpy as np
from sympy import (
    Abs,
    Dummy,
    Expr,
    Heaviside,
    Interval,
    Rational,
    S,
    Symbol,
    SympifyError,
    log,
    oo,
    sign,
    symbols,
    sympify,
)

from replica.blocks.block import Array
from replica.blocks.channel import Channel, V, y
from replica.declarations.control import Control
from replica.declarations.frozen import FrozenMapping
from replica.errors import ControlError, DeclarationError
from replica.language.integrals import LabelIntegral, integrate_gaussian
from replica.language.means import Mean
from replica.language.rewriting import stabilise
from replica.language.scalar import Scalar

__all__ = ["ContinuousChannel", "DiscreteChannel"]

_u, _x = symbols("u x", real=True)
# Added to a mean before its logarithm is taken, so that it is finite where the mean underflows; far
# below what the integral leaves out beyond its range, 1e-19.
_SMALLEST = Rational(1, 10**25)
_PLACES = (-7.3, -2.1, -0.6, -0.01, 0.02, 0.7, 1.9, 6.8)
"""Fields at which a law is checked."""


def _mean(law: Expr, mean: Scalar, variance: Scalar) -> Expr:
    """Return the mean of P(y|z) over the field."""
    return integrate_gaussian(law.subs(_u, mean + _x), _x, variance)


def _log(probability: Expr) -> Expr:
    """Return the logarithm; that of a mean is kept finite where the mean underflows."""
    if probability.has(Mean):
        return log(probability + _SMALLEST)
    return stabilise(log(probability))


@dataclass(frozen=True)
class _Discrete(Channel):
    probabilities: tuple[Expr, ...] = ()

    def log_partition(self, label: Scalar, mean: Scalar, variance: Scalar) -> Expr:
        """Return the log of the mean of P(y|z)."""
        own = self.probabilities[[float(one) for one in self.labels].index(float(label))]
        return _log(_mean(own, mean, variance))

    def label_entropy(self, rho: Scalar) -> Expr:
        """Return the entropy of the label given the field, in nats per pattern."""
        if self.deterministic:
            return S.Zero
        terms = (-p * log(p + _SMALLEST) for p in self.probabilities)
        return Mean(sum(terms, S.Zero), (_u, rho))

    def sample(self, rng: np.random.Generator, z: Array, controls: Mapping[str, float]) -> Array:
        """Draw labels with their probabilities at z."""
        raise NotImplementedError  # the experiment draws from P(y|z), which it turns into numbers


@dataclass(frozen=True)
class ContinuousChannelLaw(Channel):
    """A channel of continuous labels with a density that a user has written down."""

    density: Expr = S.Zero
    support: Interval = S.Reals
    scale: Expr = S.One

    def log_partition(self, label: Scalar, mean: Scalar, variance: Scalar) -> Expr:
        """Return the log of the mean of P(y|z)."""
        return _log(self._mean_density(mean, variance).subs(y, label))

    def _mean_density(self, mean: Scalar, variance: Scalar) -> Expr:
        return _mean(self.density, mean, variance)

    def possible(self, label: Array) -> Array:
        """Tell which labels are in the support."""
        label = np.asarray(label)
        inside = (label >= float(self.support.start)) & (label <= float(self.support.end))
        return np.isfinite(label) & inside

    def _integral(self, body: Expr) -> Expr:
        return LabelIntegral(body, (y, self.support), scale=self.scale)

    def mean_label(self, mean: Scalar, variance: Scalar) -> Expr:
        """Return the mean of y at this mean and variance of the field."""
        return self._integral(y * self._mean_density(mean, variance))

    def squared_error(self, gap: Scalar, rho: Scalar) -> Expr:
        """Return the mean variance of the label."""
        second = self._integral(y**2 * self._mean_density(_u, gap))
        return Mean(second - self.mean_label(_u, gap) ** 2, (_u, rho - gap))

    # Where the density underflows its logarithm is wrong. Such labels do not count if the weight of
    # a label is the density itself, and not the exponential of its logarithm.

    def free_entropy(self, gap: Scalar, rho: Scalar) -> Expr:
        """Return minus the differential entropy of y."""
        density = self._mean_density(_u, gap)
        return Mean(self._integral(density * _log(density)), (_u, rho - gap))

    def strength(self, gap: Scalar, rho: Scalar) -> Expr:
        """Return the mean of g_out^2."""
        density = self._mean_density(_u, gap)
        response = _log(density).diff(_u)
        return Mean(self._integral(density * response**2), (_u, rho - gap))

    def weak_recovery(self, rho: Scalar) -> Expr:
        """Return E (E[z^2|y] / rho - 1)^2."""
        density = self._mean_density(_u, V)
        excess = rho * density.diff(_u).diff(_u) / (density + _SMALLEST)
        return self._integral((density * excess**2).subs({_u: S.Zero, V: rho}))

    def label_entropy(self, rho: Scalar) -> Expr:
        """Return the differential entropy of the label given the field."""
        return Mean(self._integral(-self.density * log(self.density + _SMALLEST)), (_u, rho))

    def sample(self, rng: np.random.Generator, z: Array, controls: Mapping[str, float]) -> Array:
        """Draw labels with their density at z."""
        raise NotImplementedError  # the experiment draws from P(y|z), which it turns into numbers


def DiscreteChannel(
    probabilities: Mapping[object, object],
    field: Symbol,
    name: str = "",
    controls: Sequence[Control] = (),
) -> Channel:
    r"""Return a channel from P(y|z), one expression in the field for each label.

    Parameters
    ----------
    probabilities : mapping of number to Expr
        P(y|z) of each label y. Counts stop where what is left is less than 1e-9.
    field : Symbol
        The field z in the expressions.
    name : str
        For tables and messages.
    controls : sequence of Control
        The parameters of the law, each with a default.

    Raises
    ------
    ControlError
        If the probabilities do not sum to one, or are negative, at some z; it is in the message.
    DeclarationError
        For what is not an expression, or has other symbols.

    Examples
    --------
    >>> from sympy import Heaviside, Symbol
    >>> z = Symbol("z", real=True)
    >>> flip = {s: Rational(9, 10) * Heaviside(s * z) + Heaviside(-s * z) / 10 for s in (-1, 1)}
    >>> DiscreteChannel(flip, z, name="flipped sign").labels
    (-1, 1)
    """
    if not isinstance(field, Symbol) or not isinstance(probabilities, Mapping):
        raise DeclarationError(
            "DiscreteChannel takes a mapping of labels to expressions and the symbol of the field"
        )
    labels = tuple(probabilities)
    if len(labels) < 2 or any(isinstance(one, bool) or not isinstance(one, Real) for one in labels):
        raise DeclarationError(
            f"DiscreteChannel: the labels must be two or more real numbers, not {labels}"
        )
    expressions = tuple(
        _law("DiscreteChannel", p, {field: _u}, controls) for p in probabilities.values()
    )
    certain = True
    usual = _defaults("DiscreteChannel", controls)
    for place in _PLACES:
        found = [e.subs(usual).subs(_u, place).evalf() for e in expressions]
        if not all(value.is_real for value in found):
            raise ControlError(
                f"DiscreteChannel: at z = {place:g} the probabilities are "
                f"{', '.join(map(str, found))}: not real numbers"
            )
        values = [float(value) for value in found]
        certain = certain and all(value in (0.0, 1.0) for value in values)
        if min(values) < -1e-12 or abs(sum(values) - 1) > 1e-9:
            raise ControlError(
                f"DiscreteChannel: at z = {place:g} the probabilities of the labels are "
                f"{', '.join(f'{v:.6g}' for v in values)} and sum to {sum(values):.9g}, not to one"
            )
    return _Discrete(
        name or f"discrete({', '.join(map(str, labels))})",
        labels,
        deterministic=certain,
        jumps=any(e.has(Heaviside, sign) for e in expressions),
        even=_is_even(expressions),
        controls=_by_name(controls),
        probabilities=expressions,
    )


def ContinuousChannel(
    density: Scalar,
    label: Symbol,
    field: Symbol,
    name: str = "continuous",
    support: Interval = S.Reals,
    scale: float = 1,
    controls: Sequence[Control] = (),
) -> Channel:
    r"""Return a channel from the density P(y|z) of a continuous label.

    Parameters
    ----------
    density : Expr
        In the symbols of the label and of the field; without jumps of the label given the field,
        that is, with noise.
    label, field : Symbol
        y and z.
    name : str
        For tables and messages.
    support : Interval
        All reals, or a half-line ``Interval(a, oo)``.
    scale : float
        Size of usual labels; it sets where the integral over them is taken, not its value.
    controls : sequence of Control
        The parameters of the law, each with a default.

    Raises
    ------
    ControlError
        If the density does not integrate to one, or is negative, at some z; the integral found is
        in the message.
    DeclarationError
        For what is not an expression, or has other symbols, and for other supports.

    Examples
    --------
    >>> from sympy import Symbol, exp, pi, sqrt
    >>> y, z = Symbol("y", real=True), Symbol("z", real=True)
    >>> noisy = exp(-((y - z) ** 2) / 2) / sqrt(2 * pi)
    >>> ContinuousChannel(noisy, y, z, name="unit noise").even
    False
    """
    where = "ContinuousChannel"
    if not isinstance(field, Symbol) or not isinstance(label, Symbol) or field == label:
        raise DeclarationError(f"{where} takes a density, and the symbols of label and field")
    law = _law(where, density, {field: _u, label: y}, controls)
    if law.has(Heaviside, sign):
        raise DeclarationError(
            f"{where}: the density must not jump in the label; a bound of the labels is `support`"
        )
    size = _positive(where, "scale", scale)
    LabelIntegral(S.One, (y, support))  # refuses other supports
    usual = _defaults(where, controls)
    for place in _PLACES:
        _check_density(where, law.subs(usual).subs(_u, place), place, support)
    return ContinuousChannelLaw(
        name,
        deterministic=False,
        even=_is_even((law,)),
        controls=_by_name(controls),
        density=law,
        support=support,
        scale=size,
    )


def _law(
    where: str, given: object, names: Mapping[Symbol, Symbol], controls: Sequence[Control]
) -> Expr:
    """Return an expression in our own symbols, refusing any other."""
    try:
        law = sympify(given, strict=True)
    except SympifyError as error:
        raise DeclarationError(f"{where}: not an expression: {error.expr!r}") from None
    if not all(isinstance(control, Control) for control in controls):
        raise DeclarationError(f"{where}: controls are rp.Control objects, not {controls!r}")
    law = _without_folds(law.subs(names, simultaneous=True))
    known = {*names.values(), *(control.symbol for control in controls)}
    loose = sorted(map(str, law.free_symbols - known))
    if loose:
        raise DeclarationError(f"{where}: unbound symbol {', '.join(loose)}")
    return law


def _without_folds(law: Expr) -> Expr:
    """Return a law with steps in |z|, at a positive place, written as steps in z."""
    size = Dummy(nonnegative=True)

    def steps(folded: Heaviside) -> Expr:
        unfolded = folded.args[0].subs(Abs(_u), size)
        slope = unfolded.diff(size)
        place = -unfolded.subs(size, 0) / slope if slope.is_nonzero else None
        if place is None or place.has(size, _u) or not place.is_positive:
            return folded
        beyond = Heaviside(_u - place) + Heaviside(-_u - place)
        return beyond if slope.is_positive else 1 - beyond

    return law.xreplace({e: steps(e) for e in law.atoms(Heaviside) if e.has(Abs(_u))})


def _defaults(where: str, controls: Sequence[Control]) -> dict[Symbol, object]:
    missing = [str(control.symbol) for control in controls if control.default is None]
    if missing:
        raise DeclarationError(
            f"{where}: control {missing[0]} needs a default, at which the law is checked"
        )
    return {control.symbol: control.default for control in controls}


def _by_name(controls: Sequence[Control]) -> FrozenMapping:
    return FrozenMapping({str(control.symbol): control for control in controls})


def _is_even(laws: tuple[Expr, ...]) -> bool:
    return all((law - law.subs(_u, -_u)).equals(0) for law in laws)


def _positive(where: str, name: str, value: object) -> Expr:
    number = sympify(value, strict=True) if isinstance(value, (Real, Expr)) else None
    if number is None or not number.is_number or not number.is_positive or number is oo:
        raise ControlError(f"{where}: {name} = {value!r}; allowed: a positive number")
    return number


def _check_density(where: str, law: Expr, place: float, support: Interval) -> None:
    from scipy.integrate import (
        IntegrationWarning,
        quad,
    )  # imported late: it takes a quarter of a second

    def at(label: float) -> float:
        value = law.subs(y, label).evalf()
        if not value.is_real:
            raise ControlError(f"{where}: P(y|z) at y = {label:g}, z = {place:g} is {value}")
        if value < -1e-12:
            raise ControlError(
                f"{where}: P(y|z) at y = {label:g}, z = {place:g} is negative, {float(value):.6g}"
            )
        return float(value)

    low, high = float(support.start), float(support.end)
    marks = sorted({low, high, *(m for m in (-abs(place), 0.0, abs(place)) if low < m < high)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", IntegrationWarning)
        total = sum(quad(at, one, two, epsabs=1e-7, limit=60)[0] for one, two in pairwise(marks))
    if not abs(total - 1) < 1e-5:
        raise ControlError(
            f"{where}: at z = {place:g} the density integrates to {total:.9g} over the labels, "
            "not to one"
        )
