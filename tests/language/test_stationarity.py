"""Saddle-point equations derived from a potential."""

from __future__ import annotations

import pytest
from sympy import Rational, cos, exp, log, simplify, sqrt, symbols

from replica.errors import DeclarationError
from replica.language.means import Mean
from replica.language.primitives import LogCosh, LogH, Mills, Tanh
from replica.language.stationarity import residuals, solve_linear

a, b, h, u, x = symbols("a b h u x", real=True)
q, qhat, m, mhat = symbols("q qhat m mhat", nonnegative=True)


@pytest.mark.parametrize(
    ("expression", "root"),
    [
        (2 * x - a, a / 2),
        (a * x + b, -b / a),
        ((1 + a) * x - Mean(Tanh(h), (h, q)) * 3, 3 * Mean(Tanh(h), (h, q)) / (1 + a)),
        (x - Mean(LogH(u + a), (u, q)), Mean(LogH(u + a), (u, q))),
        ((x + 1) ** 2 - x**2 - a, (a - 1) / 2),
    ],
    ids=str,
)
def test_linear_roots(expression, root):
    assert simplify(solve_linear(expression, x) - root) == 0


@pytest.mark.parametrize(
    "expression",
    [a, x**2 - a, exp(x), x * Mean(Tanh(h) ** 2, (h, x)), (1 + a) * x - a * x - x + b],
    ids=str,
)
def test_no_linear_root(expression):
    assert solve_linear(expression, x) is None


def test_a_pair_gives_updates():
    potential = -q * qhat / 2 + Mean(LogCosh(h), (h, qhat)) + a * Mean(LogH(u), (u, q)) + qhat / 2
    found = residuals(potential, (q,), {q: qhat})
    assert set(found) == {q, qhat}
    assert (found[q] + q).expand() == 1 + Mean(LogCosh(h), (h, qhat)).diff(qhat) * 2
    assert not (found[q] + q).has_free(q)
    assert not (found[qhat] + qhat).has_free(qhat)
    assert found[qhat] + qhat == 2 * a * Mean(LogH(u), (u, q)).diff(q)


def test_equations_can_be_simplified():
    """What is derived is ordinary sympy: a user may hand it to simplify."""
    potential = -q * qhat / 2 + Mean(LogCosh(h), (h, qhat)) + a * Mean(LogH(u), (u, q)) + qhat / 2
    for residual in residuals(potential, (q,), {q: qhat}).values():
        assert simplify(residual - residual) == 0
        assert simplify(residual).free_symbols == residual.free_symbols


def test_an_overlap_alone_gives_its_derivative():
    potential = log(1 - q) / 2 + a * Mean(LogH(u), (u, q))
    assert residuals(potential, (q,), {}) == {q: potential.diff(q)}


def test_two_pairs_and_one_alone():
    potential = (
        -q * qhat / 2 - m * mhat + Mean(LogCosh(h + mhat), (h, qhat)) + a * q * m + x**2 * q - x**4
    )
    found = residuals(potential, (q, m, x), {q: qhat, m: mhat})
    assert set(found) == {q, qhat, m, mhat, x}
    assert found[mhat] == a * q - mhat
    assert simplify(found[qhat] - (2 * a * m + 2 * x**2 - qhat)) == 0
    assert simplify(found[x] - (2 * x * q - 4 * x**3)) == 0
    assert found[m] == Mean(Tanh(h + mhat), (h, qhat)) - m


def test_the_updates_are_those_of_the_literature():
    """Krauth and Mezard: q = E tanh^2, qhat = alpha E A^2 / (1 - q), square roots included."""
    pattern = LogH((b - u) / sqrt(1 - q))
    potential = (
        Mean(LogCosh(h), (h, qhat)) - (1 - q) * qhat / 2 + log(2) + a * Mean(pattern, (u, q))
    )
    found = residuals(potential, (q,), {q: qhat})
    expected = a * Mean(Mills((b - u) / sqrt(1 - q)) ** 2, (u, q)) / (1 - q)
    assert simplify((found[qhat] + qhat) / expected) == 1


@pytest.mark.parametrize(
    ("potential", "named"),
    [
        (q * qhat**2, "qhat"),
        (q**2 * qhat, "q"),
        (cos(q * qhat), "q"),
        (q + qhat, "qhat"),
        (Mean(Tanh(h), (h, q * qhat)), "q"),
        (Rational(1, 2) * q, "qhat"),
    ],
    ids=str,
)
def test_a_pair_that_is_not_bilinear(potential, named):
    with pytest.raises(DeclarationError, match=r"not bilinear in the pair \(q, qhat\)") as caught:
        residuals(potential, (q,), {q: qhat})
    assert "affine in" in str(caught.value)
    assert named in str(caught.value)
