"""Laws of eigenvalues against matrices, against quadrature, and what they refuse."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate
from sympy import Integer, Rational, exp, log, sqrt, symbols

from replica.blocks.spectra import Atoms, MarchenkoPastur, Orthogonal, eigenvalues
from replica.errors import ControlError, DeclarationError
from replica.language.spectral import SpectralMean
from replica.numerics.kernel import Kernel

s = symbols("s", real=True)
z, b, c = symbols("z b c", positive=True)

BODIES = (
    1 / (s + z),
    s / (s + z),
    1 / (s + z) ** 2,
    s / (s + z) ** 2,
    s**2 / (s + z) ** 2,
    (1 + s) ** 2 / (b * s + z) ** 2,
    1 / (s + z) ** 3,
    s**2 / (s + z) ** 3,
    s**3 / (b * s + z),
    1 / ((s + z) * (s + b)),
    s / ((s + z) ** 2 * (s + b)),
    s**4 - 3 * s,
    log(b * s + z),
    1 + z * s,
)


def by_quadrature(body: object, ratio: float, at: dict[object, float]) -> float:
    """Integrate over the density, in the angle that takes its square roots away."""
    values = {k: v for k, v in at.items() if k is not c}
    function = body.subs(values)  # type: ignore[attr-defined]
    numeric = Kernel((s,), (function,))
    low, high = (1 - math.sqrt(ratio)) ** 2, (1 + math.sqrt(ratio)) ** 2

    def integrand(angle: float) -> float:
        place = 0.5 * (low + high) - 0.5 * (high - low) * math.cos(angle)
        weight = (0.5 * (high - low) * math.sin(angle)) ** 2 / (2 * math.pi * ratio * place)
        return weight * float(numeric(place)[0])

    total = integrate.quad(integrand, 0, math.pi, epsabs=0, epsrel=1e-12, limit=200)[0]
    return total + max(0.0, 1 - 1 / ratio) * float(numeric(0.0)[0])


@pytest.mark.parametrize("ratio", [0.2, 0.9, 1.3, 5.0])
@pytest.mark.parametrize("body", BODIES, ids=str)
def test_closed_forms_are_the_integrals_over_the_density(body: object, ratio: float) -> None:
    at = {z: 0.37, b: 1.6}
    node = SpectralMean(body, (s, MarchenkoPastur(c)))
    (found,) = Kernel((z, b, c), (node,)).bounded(at[z], at[b], ratio)
    assert float(found.value) == pytest.approx(by_quadrature(body, ratio, at), rel=2e-11)
    assert float(found.bound) < 1e-11 * max(1, abs(float(found.value)))


def test_moments_are_narayana_polynomials() -> None:
    moments = [MarchenkoPastur(c).average(s**k, s).expand() for k in range(5)]
    assert moments == [1, 1, 1 + c, 1 + 3 * c + c**2, 1 + 6 * c + 6 * c**2 + c**3]


def test_positive_averages_keep_their_digits_where_the_textbook_form_has_none() -> None:
    node = SpectralMean(s / (s + z), (s, MarchenkoPastur(c)))  # 1 - z <1/(s + z)> cancels
    (found,) = Kernel((z, c), (node,)).bounded(1e12, 0.5)
    assert float(found.value) == pytest.approx(1e-12, rel=1e-11)
    assert float(found.bound) < 1e-14 * float(found.value)


def test_eigenvalues_of_a_large_matrix_follow_the_law() -> None:
    F = np.random.default_rng(5).standard_normal((800, 400))
    law = eigenvalues(F.T @ F / 800)
    assert len(law.points) == 400
    node = [
        SpectralMean(1 / (s + z), (s, which)) for which in (law, MarchenkoPastur(Rational(1, 2)))
    ]
    drawn, limit = Kernel((z,), tuple(node))(0.2)
    assert float(drawn) == pytest.approx(float(limit), rel=5e-3)
    assert float(drawn) == pytest.approx(np.mean(1 / (np.array(law.points) + 0.2)), rel=1e-13)


@pytest.mark.parametrize("shape", [(60, 24), (24, 60), (40, 40)])
def test_orthogonal_features_have_one_or_two_eigenvalues(shape: tuple[int, int]) -> None:
    d, p = shape
    large, small = max(shape), min(shape)
    basis = np.linalg.qr(np.random.default_rng(1).standard_normal((large, small)))[0]
    F = np.sqrt(large) * (basis if d >= p else basis.T)
    law = eigenvalues(F.T @ F / d)
    nodes = [SpectralMean(1 / (s + z) + s, (s, which)) for which in (law, Orthogonal(c))]
    drawn, limit = Kernel((z, c), tuple(nodes))(0.3, p / d)
    assert float(drawn) == pytest.approx(float(limit), rel=1e-12)


def test_atoms_are_written_out() -> None:
    law = Atoms(((0, Rational(1, 4)), (2, Rational(3, 4))))
    assert law.average(exp(s), s) == Rational(1, 4) + 3 * exp(2) / 4
    assert SpectralMean(sqrt(s), (s, law)).doit() == 3 * sqrt(2) / 4


def test_weights_of_the_eigenvalues() -> None:
    law = eigenvalues(np.diag([3.0, 1.0]), weights=[0.25, 0.75])
    assert law.points == (1.0, 3.0)
    assert law.weights == (0.25, 0.75)


@pytest.mark.parametrize(
    "body", [sqrt(s), exp(s), log(s**2 + z), 1 / (s**2 + z), s ** Rational(3, 2)]
)
def test_what_has_no_closed_form_is_refused_with_the_term(body: object) -> None:
    with pytest.raises(DeclarationError, match="no closed form"):
        SpectralMean(body, (s, MarchenkoPastur(c))).doit()


@pytest.mark.parametrize("ratio", [Integer(-1), Integer(0)])
def test_the_ratio_is_positive(ratio: Integer) -> None:
    with pytest.raises(DeclarationError, match="not positive"):
        MarchenkoPastur(ratio)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ([[1.0, 2.0], [0.0, 1.0]], "not symmetric"),
        ([[1.0, 2.0], [2.0, 1.0]], "not positive: its lowest eigenvalue is -1"),
        ([[1.0, 2.0]], r"square matrix; its shape is \(1, 2\)"),
        ([[np.nan]], "not finite"),
        ("matrix", "real numbers"),
    ],
)
def test_matrices_that_are_no_covariances(matrix: object, message: str) -> None:
    with pytest.raises(ControlError, match=message):
        eigenvalues(matrix)
