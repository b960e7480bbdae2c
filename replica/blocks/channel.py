r"""The channel P(y|z) of a label, and the event that a pattern is accepted.

A channel states the log-partition of one pattern whose field has mean omega and variance V,

.. math:: L_y(\omega, V) = \log E_{z \sim N(\omega, V)} P(y|z),

and g_out is its derivative in omega. With the label averaged over what generates it,

.. math:: \Phi_{out}(D) = E\, L_y(\omega, D), \qquad G(D) = E\, (\partial_\omega L_y)^2,
   \qquad \omega \sim N(0, \rho - D),

where :math:`G = 2\, d\Phi_{out}/dm` by the heat equation: a mean of squares, which keeps its digits
where the derivative of the potential loses them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from sympy import Expr, S, Symbol, exp, pi

from replica.blocks.block import Array, Block
from replica.blocks.shipped import Shipped
from replica.language.means import Mean, mean_of_sum
from replica.language.scalar import Scalar

__all__ = ["Channel", "Constraint", "V", "omega", "y"]

y, omega, V = Symbol("y", real=True), Symbol("omega", real=True), Symbol("V", positive=True)
_u = Symbol("u", real=True)


@dataclass(frozen=True)
class Channel(Block):
    r"""Law of a label given its field: a block without output.

    A channel of one's own derives from it and states `log_partition`, with `labels` where they are
    discrete; one with continuous labels states the averages over labels as well. It may have a
    `sample`. Gap D, mean omega and variance V are those of a field; averages are per pattern, of a
    real field or of one real part of a complex one, entropies in nats.

    Attributes
    ----------
    name : str
    labels : tuple of numbers
        The possible labels; empty where they are continuous.
    dimension : Expr
        Information dimension of the noiseless label: one for a continuous label, zero for a
        discrete one. At a small gap D, G = dimension/D.
    deterministic : bool
        Whether the label is a function of the field (where `noise` vanishes).
    noise : Symbol or None
        The control that blurs the label.
    jumps : bool
        Whether the probability of a label jumps at some field (where `noise` vanishes): then
        labels tell one weight vector of a discrete prior from all others.
    even : bool
        Whether z and -z give the same label, so that m = 0 is always a fixed point.
    parts : int
        Real parts of a field: two where it is complex.
    noisy_sign : bool
        Whether the label is the sign of the field plus Gaussian noise.
    residual : Expr or None
        Variance of y - z where the label is the field plus Gaussian noise; None for other labels.
    controls : mapping of str to Control

    Examples
    --------
    >>> Channel.shipped["door"].even
    True
    """

    labels: tuple[Any, ...] = ()
    dimension: Expr = S.Zero
    deterministic: bool = True
    noise: Symbol | None = None
    jumps: bool = False
    even: bool = False
    parts: int = 1
    noisy_sign: bool = False
    residual: Expr | None = None

    shipped: ClassVar[Shipped[Channel]] = Shipped("channel", "replica.blocks.channels")

    @property
    def teaches(self) -> bool:
        """Whether risk minimisation knows its labels: -1 and 1, or the field plus noise."""
        signs = set(self.labels) == {-1, 1}
        return not self.even and (signs or self.residual is not None)

    def log_partition(self, label: Scalar, mean: Scalar, variance: Scalar) -> Expr:
        """Return L_y(omega, V), of a label and of the mean and the variance of its field."""
        raise NotImplementedError

    def cases(self) -> tuple[tuple[Callable[[Array], Array], Expr], ...]:
        """Return pairs of a test on labels and L in the symbols y, omega, V that holds there."""
        if not self.labels:
            return ((lambda label: np.ones(np.shape(label), dtype=bool), self._log_partition()),)
        return tuple(
            (lambda label, own=own: np.asarray(label) == own, self.log_partition(own, omega, V))
            for own in (float(label) for label in self.labels)
        )

    def _log_partition(self) -> Expr:
        return self.log_partition(y, omega, V)

    def possible(self, label: Array) -> Array:
        """Tell which labels the channel can produce."""
        if not self.labels:
            return np.isfinite(label)
        return np.isin(label, [float(own) for own in self.labels])

    def mean_label(self, mean: Scalar, variance: Scalar) -> Expr:
        """Return E[y | omega, V], the optimal prediction of a new label."""
        return sum(
            (label * exp(self.log_partition(label, mean, variance)) for label in self.labels),
            S.Zero,
        )

    def sample(self, rng: np.random.Generator, z: Array, controls: Mapping[str, float]) -> Array:
        """Draw labels of the fields z, an array of any shape, at these values of the controls."""
        raise NotImplementedError

    def gives(self, label: Array | int, z: Array, controls: Mapping[str, float]) -> Array:
        """Tell which fields have this label, where it is a function of the field alone."""
        raise NotImplementedError

    # ---- averages over labels -------------------------------------------------------------------

    def free_entropy(self, gap: Scalar, rho: Scalar) -> Expr:
        r"""Return :math:`\Phi_{out}`, in nats per pattern; minus a differential entropy of y."""
        return self._over_labels(lambda part, _: part, gap, rho)

    def strength(self, gap: Scalar, rho: Scalar) -> Expr:
        r"""Return :math:`G = E\, g_{out}^2`."""
        return self._over_labels(lambda part, field: part.diff(field) ** 2, gap, rho)

    def squared_error(self, gap: Scalar, rho: Scalar) -> Expr:
        r"""Return :math:`E (y - E[y|\omega])^2`, the error of the optimal prediction of a label."""
        second = sum(
            (own**2 * exp(self.log_partition(own, _u, gap)) for own in self.labels), S.Zero
        )
        return Mean(second - self.mean_label(_u, gap) ** 2, (_u, rho - gap))

    def error_of_known_field(self, rho: Scalar) -> Expr:
        """Return the mean variance of a label whose field is known, N(0, rho)."""
        z = Symbol("z", real=True)
        first, second = (
            sum(label**k * exp(self.log_partition(label, z, S.Zero)) for label in self.labels)
            for k in (1, 2)
        )
        return Mean(second - first**2, (z, rho))

    def weak_recovery(self, rho: Scalar) -> Expr:
        r"""Return :math:`E_y (E[z^2|y]/\rho - 1)^2`, the inverse of alpha_WR if even."""
        total = S.Zero
        for label in self.labels:
            part = self.log_partition(label, _u, V)
            curvature = part.diff(_u).diff(_u).subs(_u, 0).subs(V, rho)
            total += exp(part.subs(_u, 0).subs(V, rho)) * (rho * curvature) ** 2
        return total

    def label_slope(self, rho: Scalar) -> Expr:
        r"""Return :math:`E[z y] / \rho`, the slope of the best line through the labels."""
        return self.mean_label(_u, rho).diff(_u).subs(_u, 0)

    def blur(self, rho: Scalar) -> Expr:
        r"""Return the variance of noise on the field, whose sign then has the same slope.

        Zero for labels that are the sign of the field, and for no others.

        Examples
        --------
        >>> Channel.shipped["probit"].blur(Symbol("rho", positive=True))
        1
        """
        return 2 / (pi * self.label_slope(rho) ** 2) - rho

    def label_entropy(self, rho: Scalar) -> Expr:
        """Return the entropy of the label given the field; zero where it is a function of it."""
        if self.deterministic:
            return S.Zero
        laws = [self.log_partition(label, _u, S.Zero) for label in self.labels]
        return mean_of_sum([-exp(law) * law for law in laws], _u, rho)

    def _over_labels(
        self, function: Callable[[Expr, Symbol], Expr], gap: Scalar, rho: Scalar
    ) -> Expr:
        parts = [self.log_partition(label, _u, gap) for label in self.labels]
        return mean_of_sum([exp(part) * function(part, _u) for part in parts], _u, rho - gap)


@dataclass(frozen=True)
class Constraint(Block):
    r"""A set of accepted fields: the event that a channel gives them one label.

    The theory of storage needs the log-probability of the event, an experiment the same set as a
    test on arrays; both are the channel's. A pattern's field is z = X.w, times its label where
    labels are random.

    Attributes
    ----------
    name : str
    channel : Channel
        A deterministic one, with one control.
    label : number
        Of the accepted fields.
    margin : str
        The control of the channel that is the margin kappa.
    is_half_line : bool
        Whether the accepted fields are those above the margin.

    Examples
    --------
    >>> from sympy import symbols
    >>> mean, variance, kappa = symbols("mean variance kappa", positive=True)
    >>> Constraint.shipped["step"].log_probability(mean, variance, kappa)
    LogH((kappa - mean)/sqrt(variance))
    >>> bool(Constraint.shipped["u"].satisfied(-2.0, 1.0))
    True
    """

    channel: Channel
    label: int
    margin: str
    is_half_line: bool = False

    shipped: ClassVar[Shipped[Constraint]] = Shipped("constraint", "replica.blocks.channels")

    def log_probability(self, mean: Scalar, variance: Scalar, kappa: Scalar) -> Expr:
        """Return the log-probability of the accepted fields under N(mean, variance)."""
        part = self.channel.log_partition(self.label, mean, variance)
        return part.subs(self.channel.controls[self.margin].symbol, kappa)

    def satisfied(self, fields: Array, kappa: float) -> Array:
        """Tell which fields are accepted, an array of booleans of their shape."""
        return self.channel.gives(self.label, np.asarray(fields), {self.margin: kappa})
