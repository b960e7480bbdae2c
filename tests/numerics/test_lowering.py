"""Lowering: means become integrals that share their nodes, laws decide which."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special
from sympy import Function, S, Tuple, exp, gamma, symbols, tan

from replica.errors import LoweringError
from replica.language.laws import Law
from replica.language.means import BoundMean, Mean
from replica.language.primitives import LogCosh, LogH, Mills, Tanh
from replica.language.spectral import SpectralMean, WeightedPoints
from replica.numerics.hoisting import hoist
from replica.numerics.kernel import Kernel
from replica.numerics.layers import compiled_integral
from replica.numerics.lowering import Bodies, Integral, WeightedSum, lower, lowered
from replica.numerics.rounding import Bounded

x, z = symbols("x z", real=True)
a, q, v = symbols("a q v", real=True)

STEEP = Mean(LogH((a - x) / (1 + q)), (x, q))
SMOOTH = Mean(LogCosh(x), (x, v))


def test_means_over_one_variance_share_their_nodes():
    layer = lower((q, v, a), (STEEP + Mean(Mills(x) ** 2, (x, q)), Mean(x**2, (x, q)), SMOOTH))
    assert sorted(len(integral.results) for integral in layer.integrals) == [1, 3]
    doubled = lower((q, a), (STEEP + a, STEEP * a))
    assert [len(integral.results) for integral in doubled.integrals] == [1]


def test_the_same_mean_is_evaluated_once():
    renamed = Mean(LogCosh(z), (z, v))
    layer = lower((v,), (SMOOTH + 1, renamed**2))
    (integral,) = layer.integrals
    assert len(integral.results) == 1


def test_even_integrands_take_half_the_nodes():
    even, odd = Mean(Tanh(x) ** 2, (x, v)), Mean(Tanh(x + a), (x, v))
    assert lower((v,), (even,)).integrals[0].even
    assert not lower((v, a), (odd,)).integrals[0].even


def test_laws_decide_the_kind_of_integral():
    spectrum = SpectralMean(exp(-x), (x, WeightedPoints([1.0, 2.0], [0.5, 0.5])))
    kinds = {type(part) for part in lower((v,), (spectrum + SMOOTH,)).integrals}
    assert kinds == {Integral, WeightedSum}


def test_a_mean_within_a_mean_is_a_layer_within():
    nested = Mean(LogCosh(Mean(Tanh(x + z), (z, v))), (x, q))
    (outer,) = lower((q, v), (nested,)).integrals
    (inner,) = outer.body.integrals
    assert inner.body.integrals == ()


def test_what_does_not_move_with_the_outer_field_is_computed_first():
    constant = Mean(exp(-(z**2)), (z, v))
    first, (left,) = hoist([Mean(exp(-(x**2) * constant), (x, 1))])
    assert list(first) == [constant]
    assert not left.has(z)


# ---- what has no numbers -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        (Mean(tan(x), (x, v)), "tan(x)"),
        (gamma(v), "gamma(v)"),
        (Mean(Function("g")(x), (x, v)), "g(x)"),
        (v + a, "symbol a"),
        (Mean(x + z, (x, v)), "symbol z"),
    ],
    ids=["tan", "gamma", "unknown", "loose", "loose inside"],
)
def test_lowering_refuses_and_shows(expression, shown):
    with pytest.raises(LoweringError, match=shown.replace("(", r"\(").replace(")", r"\)")):
        Kernel((v,), (expression,))
    assert issubclass(LoweringError, NotImplementedError)


# ---- a law of one's own ------------------------------------------------------------------------


class Poisson(Law):
    """Counts of some mean, up to forty of them."""


class PoissonMean(BoundMean):
    """Mean over a Poisson count: a kind that the package does not have."""

    def __new__(cls, body, binding):
        field, law = binding
        return super().__new__(cls, body, Tuple(field, law))

    def _eval_derivative(self, symbol):
        assert not self.law.has_free(symbol)
        return PoissonMean(self.body.diff(symbol), (self.field, self.law))


@lowered.register
def _poisson(law: Poisson, bodies: Bodies):
    return PoissonSum(float(law.args[0]), bodies)


class PoissonSum:
    """Means over a count, as the sum that they are."""

    def __init__(self, mean, bodies):
        self.results, self.bodies = bodies.results, bodies
        self.counts = np.arange(41)
        log_weight = self.counts * np.log(mean) - mean - special.gammaln(self.counts + 1)
        self.weights = np.exp(log_weight)


@compiled_integral.register(PoissonSum)
class _CompiledPoissonSum:
    def __init__(self, part):
        self.part = part
        layer = part.bodies.layer
        self.kernel = Kernel(layer.arguments, layer.expressions)

    def evaluate(self, arguments, refinement):
        columns = [np.asarray(argument)[:, None] for argument in arguments]
        return [body @ self.part.weights for body in self.kernel(*columns, self.part.counts)]

    def evaluate_bounded(self, arguments, refinement, inner=False):
        columns = [Bounded(a.value[:, None], a.bound[:, None]) for a in arguments]
        rows = self.kernel.bounded(*columns, self.part.counts)
        weights = self.part.weights
        return [Bounded(row.value @ weights, row.bound @ weights + 1e-15) for row in rows]


def test_a_kind_of_mean_is_added_from_outside():
    """E exp(-t n) over a Poisson count of mean c is exp(c (exp(-t) - 1))."""
    t = symbols("t", positive=True)
    node = PoissonMean(exp(-t * x), (x, Poisson(S(2))))
    kernel = Kernel((t,), (node, node.diff(t), node**2 + SMOOTH.subs(v, 0)))
    grid = np.array([0.1, 1.0, 3.0])
    truth = np.exp(2 * (np.exp(-grid) - 1))
    value, slope, square = kernel(grid)
    np.testing.assert_allclose(value, truth, rtol=1e-12)
    np.testing.assert_allclose(slope, -2 * np.exp(-grid) * truth, rtol=1e-12)
    np.testing.assert_allclose(square, truth**2, rtol=1e-12)
    (bounded, *_) = kernel.bounded(grid)
    assert (np.abs(bounded.value - truth) <= bounded.bound).all()
    assert (bounded.bound < 1e-12).all()


def test_a_law_that_nobody_lowers_is_refused():
    class Unknown(Law):
        pass

    with pytest.raises(LoweringError, match="mean over Unknown"):
        Kernel((v,), (PoissonMean(exp(x), (x, Unknown())),))
