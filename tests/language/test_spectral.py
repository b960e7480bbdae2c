"""Averages over eigenvalues as nodes: calculus, bound eigenvalue, equality, what they refuse."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sympy import Rational, S, Symbol, latex, log, symbols

from replica.blocks.spectra import MarchenkoPastur, Orthogonal
from replica.errors import DeclarationError
from replica.language.means import Mean
from replica.language.primitives import Tanh
from replica.language.spectral import (
    CompanionStieltjes,
    SpectralMean,
    WeightedPoints,
    in_closed_form,
)
from replica.numerics.kernel import Kernel
from replica.numerics.precise import PreciseKernel

s, r, x = symbols("s r x", real=True)
z, c, a = symbols("z c a", positive=True)
LAW = MarchenkoPastur(c)
POINTS = WeightedPoints([0.25, 1.0, 2.75], [0.5, 0.3, 0.4])


def test_factors_free_of_the_eigenvalue_come_out() -> None:
    assert SpectralMean(a * s, (s, POINTS)) == a * SpectralMean(s, (s, POINTS))
    assert SpectralMean(S.Zero, (s, POINTS)) == 0


def test_mass_need_not_be_one() -> None:
    (mass,) = Kernel((a,), (SpectralMean(a, (s, POINTS)),))(2.0)
    assert mass == pytest.approx(2.4)


def test_derivatives_go_into_the_body() -> None:
    node = SpectralMean(log(s + z), (s, POINTS))
    assert node.diff(z) == SpectralMean(1 / (s + z), (s, POINTS))
    assert node.diff(a) == 0
    assert node.diff(s) == 0


def test_a_law_that_changes_is_differentiated_through_its_closed_form() -> None:
    slope = Kernel((z, c), (SpectralMean(1 / (s + z), (s, LAW)).diff(c),))
    value = Kernel((z, c), (SpectralMean(1 / (s + z), (s, LAW)),))
    h = 1e-5
    for point in ((0.3, 0.5), (0.3, 2.0), (5.0, 1.0)):
        above, below = (float(value(point[0], point[1] + e)[0]) for e in (h, -h))
        assert float(slope(*point)[0]) == pytest.approx((above - below) / (2 * h), rel=1e-8)


def test_the_bound_eigenvalue_is_invisible() -> None:
    node = SpectralMean(1 / (s + z), (s, LAW))
    assert node.free_symbols == {z, c}
    assert node == SpectralMean(1 / (r + z), (r, LAW))
    assert hash(node) == hash(SpectralMean(1 / (r + z), (r, LAW)))
    assert node.subs(s, 3) == node
    captured = node.subs(z, s)
    assert captured.free_symbols == {s, c}
    assert captured == SpectralMean(1 / (r + s), (r, LAW))
    assert node.xreplace({c: a}) == SpectralMean(1 / (s + z), (s, MarchenkoPastur(a)))
    assert node.subs(c, 2).law == MarchenkoPastur(S(2))


def test_a_mean_inside_and_a_mean_outside() -> None:
    inner = SpectralMean(Mean(Tanh(x) ** 2, (x, s)) / (s + z), (s, POINTS))
    outer = Mean(SpectralMean(Tanh(x) ** 2 / (s + z), (s, POINTS)), (x, a))
    both = Kernel((z, a), (inner, outer))
    squares = Kernel((a,), (Mean(Tanh(x) ** 2, (x, a)),))
    points, weights = np.array(POINTS.points), np.array(POINTS.weights)
    expected = weights @ (squares(points, refinement=1)[0] / (points + 0.3))
    found = both.bounded(0.3, 0.7, refinement=1)
    assert abs(float(found[0].value) - expected) <= float(found[0].bound) + 1e-15
    assert float(found[0].bound) < 1e-11
    assert float(found[1].value) == pytest.approx(
        float(squares(0.7)[0]) * (weights @ (1 / (points + 0.3))), rel=1e-14
    )


def test_a_sum_is_the_same_in_many_digits_and_over_a_grid() -> None:
    node = SpectralMean(log(s + z) / (s + z) ** 2, (s, POINTS))
    (precise,), (error,) = PreciseKernel((z,), (node,))([S(3) / 10], digits=30)
    fast = Kernel((z,), (node,))
    (value,) = fast.bounded(0.3)
    assert error < 1e-29
    assert abs(float(value.value) - float(precise)) <= float(value.bound) < 1e-14
    grid = np.linspace(0.1, 2, 7).reshape(7, 1)
    (table,) = fast(grid)
    assert table.shape == (7, 1)
    assert table[0, 0] == float(fast(0.1)[0])


def test_memory_does_not_grow_with_the_grid() -> None:
    many = WeightedPoints(np.linspace(0, 4, 1000), np.full(1000, 1e-3))
    kernel = Kernel((z,), (SpectralMean(1 / (s + z), (s, many)),))
    zs = np.linspace(0.5, 2, 300)
    (values,) = kernel(zs)
    expected = (1 / (np.linspace(0, 4, 1000)[None] + zs[:, None])).mean(axis=1)
    assert np.allclose(values, expected, rtol=1e-14)


def test_nodes_travel() -> None:
    for law in (LAW, Orthogonal(c), POINTS):
        node = SpectralMean(1 / (s + z), (s, law))
        again = pickle.loads(pickle.dumps(node))
        assert again == node
        assert again.law == law


def test_how_a_node_shows() -> None:
    node = SpectralMean(1 / (s + z), (s, LAW))
    assert str(node) == "SpectralMean(1/(s + z), (s, MarchenkoPastur(c)))"
    assert latex(node) == (
        r"\left\langle \frac{1}{s + z} \right\rangle_{s\sim \mathrm{MP}\left(c\right)}"
    )
    assert latex(node**2).endswith("^{2}")


def test_closed_forms_replace_nodes_wherever_they_are() -> None:
    node = SpectralMean(1 / (s + z), (s, LAW))
    expression = in_closed_form(1 + a * node**2)
    assert not expression.has(SpectralMean)
    assert expression.has(CompanionStieltjes)
    assert in_closed_form(1 + a) == 1 + a
    kept = SpectralMean(s, (s, POINTS))
    assert in_closed_form(kept) == kept


def test_the_companion_solves_its_equation_everywhere() -> None:
    kernel = Kernel((z, c), (CompanionStieltjes(z, c),))
    zs, cs = np.meshgrid(np.geomspace(1e-12, 1e6, 19), [1e-3, 0.5, 0.999, 1, 1.001, 3, 1e3])
    (found,) = kernel.bounded(zs, cs)
    x = found.value
    terms = np.stack([zs * x**2, (zs + (cs - 1)) * x, -np.ones_like(x)])
    assert (np.abs(terms.sum(axis=0)) <= 1e-14 * np.abs(terms).max(axis=0)).all()
    assert (x > 0).all()
    precise = PreciseKernel((z, c), (CompanionStieltjes(z, c),))
    for k in range(0, zs.size, 11):
        (truth,), _ = precise([zs.flat[k], cs.flat[k]], digits=30)
        assert abs(float(truth) - x.flat[k]) <= found.bound.flat[k]
    assert found.bound.max() <= 1e-13 * x.max()


def test_evaluating_a_closed_form_by_sympy() -> None:
    value = SpectralMean(1 / (s + 1), (s, MarchenkoPastur(Rational(1, 2)))).doit()
    assert float(value.evalf(30)) == pytest.approx((17**0.5 - 3) / 2, abs=1e-16)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((s, s), "binds"),
        ((s, (Symbol("s"), POINTS)), "real symbol"),
        ((s, (s, S.One)), "Spectrum"),
        ((s, (s, MarchenkoPastur(s))), "contains it"),
        (("1/s", (s, POINTS)), "never text|not text"),
    ],
)
def test_bad_nodes_are_refused(arguments: tuple[object, object], message: str) -> None:
    with pytest.raises(DeclarationError, match=message):
        SpectralMean(*arguments)


def test_points_need_weights() -> None:
    with pytest.raises(DeclarationError, match="2 points and 1 weights"):
        WeightedPoints([1, 2], [1])
