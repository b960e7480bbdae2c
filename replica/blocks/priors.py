r"""Priors of the weights, once for the theory, the algorithm and the sampler.

A prior states its law; everything else follows from the log-partition of one weight seen through
Gaussian noise of precision g,

.. math:: L(r, g) = \log E_w\, e^{r w - g w^2 / 2},

whose derivatives in r are posterior mean and variance. In the planted model
:math:`r = g w^* + \sqrt g\, z`, and by the Nishimori identity the average error is
:math:`D(g) = \rho - m = E\, \partial_r^2 L`, a sum of positive terms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations, cycle
from numbers import Integral, Real
from typing import ClassVar

import numpy as np
from sympy import (
    Add,
    Expr,
    Interval,
    Lambda,
    Rational,
    S,
    Symbol,
    exp,
    expand,
    log,
    sqrt,
    sympify,
)

from replica.blocks.block import Array, Block, Size
from replica.blocks.shipped import Shipped
from replica.declarations.control import Control
from replica.declarations.frozen import FrozenMapping
from replica.errors import ControlError, DeclarationError
from replica.language.means import Mean
from replica.language.planted import PlantedMean
from replica.language.primitives import LogCosh, LogSumExp, Sech, Softmax
from replica.language.scalar import Scalar
from replica.language.tilted import (
    ExponentialCumulant,
    ExponentialWeight,
    IntervalCumulant,
    IntervalWeight,
)

__all__ = [
    "Discrete",
    "GaussBernoulli",
    "Gaussian",
    "Laplace",
    "Mixture",
    "Prior",
    "Rademacher",
    "Uniform",
]

density = Symbol("density", real=True, positive=True)

# Parts of the domains of controls at which probabilities are looked at; one control takes the first
# number of each, a second one the next.
_SHARES = [(Rational(k, 8), Rational((3 * k + 1) % 8, 8)) for k in range(1, 8)]


@dataclass(frozen=True)
class Prior(Block):
    r"""Law of one weight: a block without input.

    A prior of one's own derives from it and states `log_partition` and `average`; it may have a
    `sample`. Expressions are per weight, entropies in nats.

    Attributes
    ----------
    name : str
    second_moment, mean : Expr
        rho = E w^2, and E w.
    dimension : Expr
        Information dimension: the weight of the continuous part, 0 for a discrete law. The gap
        is D = dimension/g at large g.
    entropy : Expr or None
        Of a discrete law, in nats; None for the others.
    controls : mapping of str to Control

    Examples
    --------
    >>> from sympy import symbols
    >>> Gaussian().log_partition(*symbols("r g"))
    r**2/(2*g + 2) - log(g + 1)/2
    """

    second_moment: Expr
    mean: Expr
    dimension: Expr
    entropy: Expr | None = None

    shipped: ClassVar[Shipped[Prior]] = Shipped("prior", "replica.blocks.priors")

    def log_partition(self, r: Scalar, g: Scalar) -> Expr:
        """Return L(r, g)."""
        raise NotImplementedError

    def average(self, function: Callable[[Scalar], Expr], g: Scalar) -> Expr:
        """Return the mean of a function of r over the planted law of r."""
        raise NotImplementedError

    def sample(self, rng: np.random.Generator, size: Size, controls: Mapping[str, float]) -> Array:
        """Draw weights of shape `size`, at these values of the controls."""
        raise NotImplementedError

    def free_entropy(self, g: Scalar) -> Expr:
        r"""Return :math:`\Phi_w(g) = E\, L(r, g)`, in nats per weight."""
        return self.average(lambda r: self.log_partition(r, g), g)

    def mutual_information(self, g: Scalar) -> Expr:
        r"""Return :math:`I_w(g) = \rho\, g / 2 - \Phi_w(g)`, what r tells of w, in nats per weight.

        It grows as log g, where both terms grow as g and their difference loses its digits.
        """
        return self.second_moment * g / 2 - self.free_entropy(g)

    def gap(self, g: Scalar) -> Expr:
        r"""Return :math:`D(g) = \rho - 2 \Phi_w'(g)`, as the mean of the posterior variance."""
        field = Symbol("r", real=True)
        variance = self.log_partition(field, g).diff(field).diff(field)
        return self.average(lambda r: variance.subs(field, r), g)


@dataclass(frozen=True)
class Mixture(Prior):
    """Mixture of Gaussians and atoms: `components` are (weight, mean, variance).

    Examples
    --------
    >>> Discrete([-1, 0, 1], [0.25, 0.5, 0.25]).components
    ((1/4, -1, 0), (1/2, 0, 0), (1/4, 1, 0))
    """

    components: tuple[tuple[Expr, Expr, Expr], ...] = ()

    def log_partition(self, r: Scalar, g: Scalar) -> Expr:
        """Return log of the sum over components, each a Gaussian integral."""
        return LogSumExp(*self._terms(r, g))

    def _terms(self, r: Scalar, g: Scalar) -> list[Expr]:
        terms = []
        for weight, mean, variance in self.components:
            width = 1 + g * variance
            exponent = (variance * r**2 + 2 * mean * r - g * mean**2) / (2 * width)
            terms.append(log(weight) - log(width) / 2 + exponent)
        return terms

    def mutual_information(self, g: Scalar) -> Expr:
        """Return what r tells of w given its component, and of the component.

        The laws of r in two components are compared with the one that w was drawn from.
        """
        total, x = S.Zero, Symbol("x", real=True)
        seen: list[tuple[Expr, Expr, Expr]] = []
        for weight, mean, variance in self.components:
            width = 1 + g * variance
            total += weight * log(width) / 2
            ratios = []
            for other_weight, other_mean, other_variance in self.components:
                step, other = other_mean - mean, 1 + g * other_variance
                square = x**2 * (other_variance - variance) / width + 2 * step * x - g * step**2
                ratios.append(log(other_weight) + log(width / other) / 2 + square / (2 * other))
            seen.append((weight, LogSumExp(*ratios), g + g**2 * variance))
        return total - _mean_over(seen, x)

    def gap(self, g: Scalar) -> Expr:
        """Return the mean variance within the components, and between each two of them.

        Every term is positive: where g is large, one minus a weight next to one has no digits.
        """

        def variance(r: Scalar) -> Expr:
            terms = self._terms(r, g)
            chances = [Softmax(t, *terms[:k], *terms[k + 1 :]) for k, t in enumerate(terms)]
            widths = [1 + g * spread for _, _, spread in self.components]
            means = [(v * r + m) / w for (_, m, v), w in zip(self.components, widths, strict=True)]
            parts = zip(chances, self.components, widths, strict=True)
            within = sum((p * v / w for p, (_, _, v), w in parts), S.Zero)
            pairs = combinations(zip(chances, means, strict=True), 2)
            return within + sum((p * q * (a - b) ** 2 for (p, a), (q, b) in pairs), S.Zero)

        return self.average(variance, g)

    def average(self, function: Callable[[Scalar], Expr], g: Scalar) -> Expr:
        """Average over each component, where r is Gaussian."""
        x = Symbol("x", real=True)
        parts = [(w, function(g * mean + x), g + g**2 * v) for w, mean, v in self.components]
        return _mean_over(parts, x)

    def sample(self, rng: np.random.Generator, size: Size, controls: Mapping[str, float]) -> Array:
        """Draw a component for each weight, then the weight."""
        numbers = {self.controls[k].symbol: v for k, v in controls.items() if k in self.controls}
        table = np.array([[float(p.subs(numbers)) for p in row] for row in self.components])
        chosen = rng.choice(len(table), size=size, p=table[:, 0] / table[:, 0].sum())
        return table[chosen, 1] + np.sqrt(table[chosen, 2]) * rng.standard_normal(size)


def _mean_over(parts: Iterable[tuple[Expr, Expr, Expr]], x: Symbol) -> Expr:
    """Return the weighted sum of means over x; those of a body and its mirror image are one."""
    groups: list[tuple[Expr, Expr, Expr]] = []
    for weight, body, spread in parts:
        reflected = body.subs(x, -x)
        for k, (total, other, width) in enumerate(groups):
            if width == spread and other in (body, reflected):
                groups[k] = (total + weight, other, width)
                break
        else:
            groups.append((weight, body, spread))
    return sum((w * Mean(body, (x, spread)) for w, body, spread in groups), S.Zero)


@dataclass(frozen=True)
class _Continuous(Prior):
    """A law with ends or tails that are not Gaussian, through its distance from the mean."""

    def centred(self, x: Scalar, g: Scalar) -> Expr:
        """Return the log-partition of the distance from the mean."""
        raise NotImplementedError

    def weight(self, x: Scalar, g: Scalar) -> tuple[Expr, Expr]:
        """Return the variance c of a Gaussian law, and the log of the law of x beside its own."""
        raise NotImplementedError

    def log_partition(self, r: Scalar, g: Scalar) -> Expr:
        """Return that of the distance from the mean, and what the mean adds."""
        x = r - g * self.mean
        return self.centred(x, g) + self.mean * x + g * self.mean**2 / 2

    def mutual_information(self, g: Scalar) -> Expr:
        """Return that of the Gaussian law of `weight`, less what the law of r has beside it."""
        x, g = Symbol("x", real=True), sympify(g, strict=True)
        spread, weight = self.weight(x, g)
        known = 1 + spread * g
        excess = self.second_moment - self.mean**2 - spread
        beside = self.average(lambda r: weight.subs(x, r - g * self.mean), g)
        return log(known) / 2 + g * excess / (2 * known) - beside

    def average(self, function: Callable[[Scalar], Expr], g: Scalar) -> Expr:
        """Average over the distance of r from its mean g E[w]."""
        x, g = Symbol("x", real=True), sympify(g, strict=True)
        spread, weight = self.weight(x, g)
        law = (g, Lambda(x, self.centred(x, g)), g + spread * g**2, Lambda(x, weight))
        return PlantedMean(function(g * self.mean + x), (x, law))


@dataclass(frozen=True)
class _Rademacher(Mixture):
    def log_partition(self, r: Scalar, g: Scalar) -> Expr:
        """Return log cosh r - g/2."""
        return LogCosh(r) - g / 2

    def gap(self, g: Scalar) -> Expr:
        """Return the mean between the two atoms, where the posterior is undecided."""
        r = Symbol("r", real=True)
        return exp(-g / 2) * Mean(Sech(r), (r, g))


@dataclass(frozen=True)
class _Laplace(_Continuous):
    def centred(self, x: Scalar, g: Scalar) -> Expr:
        r"""Return that of :math:`e^{-|w|} / 2`, whose variance is 2."""
        return ExponentialCumulant(0, x / sqrt(2), g / 2)

    def weight(self, x: Scalar, g: Scalar) -> tuple[Expr, Expr]:
        """Return that beside a Gaussian law whose nodes run to the end of the tails."""
        spread = S(16)
        mass = ExponentialWeight(x / sqrt(2), g / 2, 2 * spread)
        return spread, mass + log(1 + spread * g) / 2

    def sample(self, rng: np.random.Generator, size: Size, controls: Mapping[str, float]) -> Array:
        """Draw from the Laplace law of unit variance."""
        return rng.laplace(scale=np.sqrt(0.5), size=size)


@dataclass(frozen=True)
class _Uniform(_Continuous):
    low: Expr = S.NegativeOne
    high: Expr = S.One

    def centred(self, x: Scalar, g: Scalar) -> Expr:
        """Return log of the Gaussian mass between the ends, seen from the middle."""
        half = (self.high - self.low) / 2
        return IntervalCumulant(0, half * x, half**2 * g)

    def weight(self, x: Scalar, g: Scalar) -> tuple[Expr, Expr]:
        """Return that beside the Gaussian law of the same variance."""
        half = (self.high - self.low) / 2
        third = Rational(1, 3)  # variance between -1 and 1
        mass = IntervalWeight(half * x, half**2 * g, third)
        return half**2 * third, mass + log(1 + half**2 * third * g) / 2

    def sample(self, rng: np.random.Generator, size: Size, controls: Mapping[str, float]) -> Array:
        """Draw uniformly between the ends."""
        return rng.uniform(float(self.low), float(self.high), size=size)


def Gaussian() -> Prior:
    """Return the standard normal prior, rho = 1.

    Examples
    --------
    >>> from sympy import symbols
    >>> Gaussian().gap(symbols("g", positive=True))
    1/(g + 1)
    """
    return Mixture("gaussian", S.One, S.Zero, S.One, components=((S.One, S.Zero, S.One),))


def Rademacher() -> Prior:
    """Return the prior of weights -1 and 1, rho = 1.

    Examples
    --------
    >>> from sympy import symbols
    >>> Rademacher().gap(symbols("g", positive=True))
    exp(-g/2)*Mean(Sech(r), (r, g))
    """
    half = S.Half
    return _Rademacher(
        "rademacher",
        S.One,
        S.Zero,
        S.Zero,
        entropy=log(2),
        components=((half, S.One, S.Zero), (half, S.NegativeOne, S.Zero)),
    )


def GaussBernoulli() -> Prior:
    """Return the sparse prior: zero, or with probability `density` a standard normal.

    Examples
    --------
    >>> GaussBernoulli().second_moment
    density
    """
    control = Control(density, Interval.Lopen(0, 1), S(1) / 10, "fraction of non-zero weights")
    return Mixture(
        "gauss-bernoulli",
        density,
        S.Zero,
        density,
        controls=FrozenMapping({"density": control}),
        components=((1 - density, S.Zero, S.Zero), (density, S.Zero, S.One)),
    )


def Laplace() -> Prior:
    """Return the two-sided exponential prior of unit variance.

    Examples
    --------
    >>> Laplace().dimension
    1
    """
    return _Laplace("laplace", S.One, S.Zero, S.One)


def Uniform(low: Scalar = None, high: Scalar = None) -> Prior:
    """Return the uniform prior between `low` and `high`; by default centred with rho = 1.

    Examples
    --------
    >>> Uniform(0, 1).mean
    1/2
    """
    a = -sqrt(3) if low is None else _number("low", low)
    b = sqrt(3) if high is None else _number("high", high)
    if not a < b:
        raise ControlError(f"uniform prior: low = {a} must be below high = {b}")
    name = "uniform" if low is None and high is None else f"uniform({a}, {b})"
    moment = (a**2 + a * b + b**2) / 3
    return _Uniform(name, moment, (a + b) / 2, S.One, low=a, high=b)


def Discrete(
    values: Iterable[Scalar] | Mapping[Scalar, Scalar],
    probabilities: Iterable[Scalar] | None = None,
    *,
    controls: Iterable[Control] = (),
) -> Prior:
    """Return the prior of weights with finitely many values.

    Parameters
    ----------
    values : mapping of value to probability, or sequence
        A sequence goes with `probabilities`.
    probabilities : sequence, optional
        Numbers, or expressions in symbols that are controls.
    controls : sequence of Control, optional
        Those symbols, for formulas that take their controls from their blocks.

    Raises
    ------
    ControlError
        If the probabilities are not positive or do not sum to one; the sum is in the message.

    Examples
    --------
    >>> Discrete([-1, 0, 1], [0.25, 0.5, 0.25]).second_moment
    1/2
    >>> rho = Symbol("rho", positive=True)
    >>> Discrete({-1: rho / 2, 0: 1 - rho, 1: rho / 2}).second_moment
    rho
    """
    given: Iterable[Scalar] = () if probabilities is None else probabilities
    for part in (values, given):
        if isinstance(part, str) or not isinstance(part, Iterable):
            raise DeclarationError(
                f"discrete prior: give a mapping of values to probabilities, or a sequence of "
                f"each, not {part!r}"
            )
    if isinstance(values, Mapping):
        given = values.values()
    places = [_number("value", v) for v in values]
    weights = [_probability(p) for p in given]
    if len(places) != len(weights) or len(places) < 2 or len(set(places)) != len(places):
        raise ControlError(
            f"discrete prior: {len(places)} values and {len(weights)} probabilities; give two or "
            f"more distinct values and as many probabilities"
        )
    total = expand(Add(*weights))
    missing = total.free_symbols or abs(float(total) - 1) > 1e-12
    if missing or any(w.is_nonpositive for w in weights):
        shown = total if total.free_symbols else f"{float(total):.12g}"
        raise ControlError(
            f"discrete prior: the probabilities must be positive and sum to one; they sum to "
            f"{shown}"
        )
    known = FrozenMapping({control.name: control for control in controls})
    _check_probabilities(weights, list(known.values()))
    pairs = ", ".join(f"{v}: {w}" for v, w in zip(places, weights, strict=True))
    return Mixture(
        f"discrete({pairs})",
        expand(Add(*(w * v**2 for v, w in zip(places, weights, strict=True)))),
        expand(Add(*(w * v for v, w in zip(places, weights, strict=True)))),
        S.Zero,
        entropy=-sum(w * log(w) for w in weights),
        controls=known,
        components=tuple((w, v, S.Zero) for v, w in zip(places, weights, strict=True)),
    )


def _check_probabilities(weights: list[Expr], controls: list[Control]) -> None:
    """Refuse controls in whose domains a probability is negative."""
    for shares in _SHARES:
        rule = {}
        for control, share in zip(controls, cycle(shares)):
            low = max(control.domain.start, -10)
            high = min(control.domain.end, low + 20)
            rule[control.symbol] = low + share * (high - low)
        for weight in weights:
            chance = weight.subs(rule)
            if chance.is_number and chance < 0:
                where = ", ".join(f"{symbol} = {float(x):g}" for symbol, x in rule.items())
                raise ControlError(
                    f"discrete prior: the probability {weight} is negative at {where}; narrow the "
                    f"domain of the control"
                )


def _probability(value: object) -> Expr:
    """Return a number, or an expression in controls."""
    if not isinstance(value, Expr) or not value.free_symbols:
        return _number("probability", value)
    if value.is_extended_real is not True:
        raise DeclarationError(
            f"probability = {value} is not a real number: declare its symbols with real=True"
        )
    return value


def _number(what: str, value: object) -> Expr:
    """Return a number built in Python exactly: 0.1 is one tenth."""
    if isinstance(value, (bool, str, np.bool_)) or not isinstance(value, (Real, Expr)):
        raise DeclarationError(f"{what} = {value!r} is not a real number")
    if not isinstance(value, Expr):
        whole = isinstance(value, Integral)
        value = int(value) if isinstance(value, Integral) else float(value)
        if not np.isfinite(value):
            raise DeclarationError(f"{what} = {value!r} is not a finite real number")
        value = value if whole else Rational(repr(value))
    number = sympify(value, strict=True)
    if not (number.is_number and number.is_extended_real and number.is_finite):
        raise DeclarationError(f"{what} = {value!r} is not a finite real number")
    return number


BLOCKS = (Gaussian(), Rademacher(), GaussBernoulli(), Laplace(), Uniform())
