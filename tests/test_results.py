"""Every result shows itself: as text of a given width, and as what JSON can say."""

from __future__ import annotations

import json

import pytest

import replica as rp

BINARY = rp.formulas["binary-perceptron"]
GLM = rp.formulas["bayes-optimal-glm"]

RESULTS = {
    "solution": lambda: rp.solve(BINARY, alpha=0.5),
    "solutions": lambda: rp.solve(BINARY, alpha=[0.5, 1.5]),
    "threshold": lambda: rp.threshold(BINARY, "alpha_G"),
    "digits": lambda: rp.threshold(BINARY, "alpha_G", digits=20),
    "optimum": lambda: rp.optimise(
        rp.formulas["empirical-risk"], "eps_g", over="lambda_", between=(0.1, 2), alpha=2
    ),
    "branches": lambda: rp.branches(GLM, alpha=(0.5, 2.0), Delta=0.01),
    "trajectory": lambda: rp.trajectory(GLM, alpha=1.2, steps=5),
    "sweep": lambda: rp.sweep(BINARY, alpha=[0.2, 1.4], kappa=[0, 1], progress=False),
    "experiment": lambda: rp.simulate(BINARY, p=8, alpha=[0.5, 1.0], instances=2, rng=0),
}


@pytest.fixture(scope="module", params=RESULTS)
def result(request):
    return RESULTS[request.param]()


def test_a_result_is_what_json_can_say(result):
    content = result.to_dict()
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    assert content["formula"] in ("binary-perceptron", "bayes-optimal-glm", "empirical-risk")


def test_a_result_is_text_of_a_width(result):
    text = result.to_text(80)
    assert max(map(len, text.splitlines())) <= 80
    assert text.startswith(result.to_dict()["formula"])
    assert "nan" not in text


def test_a_result_says_which_quantities_it_has(result):
    if hasattr(result, "__getitem__"):
        with pytest.raises(rp.UnknownName, match=r"unknown (quantity|observable) of .*known: "):
            result["no such thing"]


def test_many_saddle_points_are_shown_by_their_shape():
    text = RESULTS["solutions"]().to_text(80)
    assert "array of shape (2,)" in text
    assert "1 of 2 points converged" in text
