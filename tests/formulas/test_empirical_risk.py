"""Risk minimisation: figures of the literature and of a second code, limits, and identities."""

from __future__ import annotations

import numpy as np
import pytest

import replica as rp

FAMILY = rp.formulas["empirical-risk"]
RISK = {loss: FAMILY(loss=loss) for loss in ("square", "logistic", "hinge", "max-margin")}

# eps_g for a sign teacher, computed by an independent code (nested quadrature, own fixed point)
SIGN = [
    ("square", 0.5, {1e-3: 0.339293, 0.1: 0.329179, 1: 0.323624}),
    ("square", 1, {1e-3: 0.399289, 0.1: 0.275382, 1: 0.258695}),
    ("square", 2, {1e-3: 0.205800, 0.1: 0.195533, 1: 0.187763}),
    ("square", 5, {1e-3: 0.114962, 0.1: 0.114397, 1: 0.113894}),
    ("logistic", 0.5, {1e-3: 0.324047, 0.1: 0.322751, 1: 0.329722}),
    ("logistic", 1, {1e-3: 0.257307, 0.1: 0.255865, 1: 0.271170}),
    ("logistic", 2, {1e-3: 0.177626, 0.1: 0.179662, 1: 0.205150}),
    ("logistic", 5, {1e-3: 0.084815, 0.1: 0.096037, 1: 0.124055}),
    ("hinge", 0.5, {0.1: 0.328850, 1: 0.328236}),
    ("hinge", 1, {0.1: 0.265684, 1: 0.268394}),
    ("hinge", 2, {0.1: 0.185542, 1: 0.201885}),
    ("hinge", 5, {0.1: 0.096029, 1: 0.123906}),
]
MARGINS = {
    0.5: (0.328850, 1.256380),
    1: (0.265711, 0.786549),
    2: (0.188479, 0.454577),
    5: (0.093827, 0.196709),
}
LAST_DIGIT = 1e-6  # of those figures, of which some were cut and some rounded


@pytest.mark.parametrize(("loss", "alpha", "errors"), SIGN)
def test_generalisation_error_of_a_sign_teacher(loss, alpha, errors):
    found = rp.solve(RISK[loss], alpha=alpha, lambda_=list(errors))
    assert found.converged.all()
    np.testing.assert_allclose(found["eps_g"], list(errors.values()), rtol=0, atol=LAST_DIGIT)


@pytest.mark.parametrize("alpha", MARGINS)
def test_largest_margin(alpha):
    found = rp.solve(RISK["max-margin"], alpha=alpha)
    assert found["eps_g"] == pytest.approx(MARGINS[alpha][0], abs=LAST_DIGIT)
    assert found["margin"] == pytest.approx(MARGINS[alpha][1], abs=LAST_DIGIT)
