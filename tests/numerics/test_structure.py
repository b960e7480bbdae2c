"""Where integrands have structure: place and width along the field."""

from __future__ import annotations

import numpy as np
import pytest
from sympy import Abs, Heaviside, Max, Rational, cos, exp, log, sqrt, symbols

from replica.language.bivariate import LogBivariateNormalCDF
from replica.language.means import Mean
from replica.language.primitives import LogCosh, LogH, LogSumExp, Mills, Tanh
from replica.numerics.kernel import Kernel
from replica.numerics.structure import Feature, find_features, has_kink

x, z = symbols("x z", real=True)
a, q, v = symbols("a q v", real=True)


def places(body, field=x):
    return {(f.centre, f.width) for f in find_features((body,), field)}


def test_affine_arguments_tell_place_and_width():
    width = sqrt(1 - q)
    assert places(LogH((a - x) / width)) == {(a, 1 / Abs(1 / width))}
    assert places(Tanh(3 * x + a)) == {(-a / 3, Rational(1, 3))}


def test_kinks_have_no_width():
    found = find_features((Abs(x - a) + Heaviside(2 * x) + Max(x, 1),), x)
    assert {(f.centre, f.width) for f in found} == {(a, 0), (0, 0), (1, 0)}
    assert has_kink(found)
    assert not has_kink(find_features((Tanh(x),), x))


def test_an_inner_field_blurs():
    ((centre, width),) = places(Mean(LogH(2 * x + 3 * z - a), (z, v)))
    assert centre == a / 2
    assert width.subs(v, 4) == sqrt(1 + 9 * 4) / 2


def test_a_quadratic_exponent_has_a_vertex_that_tilts():
    (feature,) = find_features((exp(-8 * (x - 3) ** 2),), x)
    assert feature.centre == 3
    assert feature.width == Rational(1, 4)
    assert feature.tilts


def test_smooth_integrands_have_no_features():
    assert find_features((x**2 + 1,), x) == ()
    assert find_features((LogH(a) * x,), x) == ()


def test_features_are_found_once():
    body = LogH(2 * x - a) + Mills(2 * x - a) ** 2 * cos(2 * x - a)
    assert len(find_features((body, body**2), x)) == 1
    assert isinstance(find_features((body,), x)[0], Feature)


def test_a_mixture_has_its_features_where_the_terms_cross():
    """log(1 + exp(a x - 3)) bends where a x = 3, over a width 1/a."""
    found = places(LogSumExp(0, 5 * x - 3))
    assert (Rational(3, 5), Rational(1, 5)) in found


def test_what_does_not_depend_on_the_field_is_none():
    assert find_features((LogH(z - a) * exp(-(z**2)),), x) == ()


@pytest.mark.parametrize("steep", [1, 100, 10_000])
def test_features_are_what_the_quadrature_needs(steep):
    """E log cosh(s (x - 1/2)) of a steep argument, against the kink it tends to."""
    (value,) = Kernel((v,), (Mean(LogCosh(steep * (x - Rational(1, 2))), (x, v)),)).bounded(1.0)
    assert value.bound < 1e-10 * steep
    (limit,) = Kernel((v,), (Mean(Abs(x - Rational(1, 2)), (x, v)),))(1.0)
    assert abs(float(value.value) / steep - float(limit)) <= float(log(2)) / steep


def test_features_contain_no_inner_field():
    """The places along one field that several inner fields move are looked for at their centres."""
    y = symbols("y", real=True)
    bodies = [
        exp(LogBivariateNormalCDF(y + 2 * z + x, y - x + z, Rational(1, 2))),
        LogSumExp(
            LogBivariateNormalCDF(y + 2 * z + x, y - x + z, Rational(1, 2)),
            LogBivariateNormalCDF(y - 2 * z - x, y - x + z, Rational(1, 2)),
        ),
        Tanh(x * y * z),
    ]
    for body in bodies:
        for nested in (
            Mean(Mean(body, (z, 1 + y**2)), (y, v)),
            Mean(Mean(body, (y, 1)), (z, v)),
        ):
            features = find_features((nested,), x)
            assert features
            assert set().union(
                *(f.centre.free_symbols | f.width.free_symbols for f in features)
            ) <= {v}
            kernel = Kernel((v, q), (Mean(nested, (x, q)),))
            assert np.isfinite(kernel(0.3, 0.2, refinement=-2)[0])
