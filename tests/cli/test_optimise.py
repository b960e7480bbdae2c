"""The verb optimise: text, JSON, and what is refused."""

from __future__ import annotations

import math

import pytest


def test_text(replica):
    done = replica("optimise empirical-risk eps_g lambda alpha=2")
    assert (done.code, done.err) == (0, "")
    assert "eps_g       0.1860279026" in done.out
    assert "lambda      0.57079632" in done.out
    assert max(map(len, done.out.splitlines())) <= 80


def test_json(replica):
    found = replica("optimise empirical-risk eps_g lambda alpha=2 --json").json
    assert found["over"] == "lambda"
    assert found["quantity"] == "eps_g"
    assert abs(found["optimum"] - (math.pi / 2 - 1)) <= found["optimum_error"]
    assert found["controls"]["lambda"] == found["optimum"]
    assert found["curvature"] > 0
    assert found["status"] == "converged"
    assert {"formula", "options", "value", "error"} <= set(found)


def test_the_greatest_in_a_range(replica):
    words = "optimise empirical-risk test_loss lambda loss=logistic alpha=1 --between 0.01,1"
    least = replica(f"{words} --json").json
    assert 0.01 < least["optimum"] < 1
    done = replica(f"{words} --maximise")
    assert done.code == 1
    assert "no optimum inside the range" in done.err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("optimise", 2, "missing F"),
        ("optimise empirical-risk", 2, "takes a formula, a quantity"),
        ("optimise empirical-risk eps_g", 2, "the control to tune (alpha, lambda"),
        ("optimise empirical-risk eps_g lambada alpha=2", 2, "did you mean lambda"),
        ("optimise empirical-risk eps lambda alpha=2", 2, "did you mean eps_g"),
        ("optimise empirical-risk eps_g lambda", 2, "alpha is missing"),
        ("optimise empirical-risk eps_g lambda alpha=2 lambda=1", 2, "is tuned"),
        ("optimise empirical-risk eps_g lambda alpha=2 --between 1", 2, "two numbers"),
        ("optimise empirical-risk eps_g lambda alpha=2 --between 2,1", 2, "increasing"),
        ("optimise empirical-risk eps_g lambda alpha=2 loss=hunge", 2, "did you mean hinge"),
        ("optimise empirical-risk eps_g lambda alpha=2 --between 1,2", 1, "lower end"),
        ("solve empirical-risk alpha=2 lambda=-1", 2, "outside [0, inf)"),
        ("solve empirical-risk alpha=2 lambda=0 loss=logistic", 1, "linearly separable"),
        ("solve empirical-risk alpha=2 lambda=1 loss=hinge teacher=linear", 2, "residual y - u"),
        ("simulate empirical-risk lambda=1 --p 50", 2, "the grid is missing"),
    ],
)
def test_bad_input_is_one_line(replica, words, code, message):
    done = replica(words)
    assert done.code == code
    assert message in done.err


def test_simulate(replica):
    words = "simulate empirical-risk alpha=2 lambda=0.5 --p 60 --instances 3"
    found = replica(f"{words} --json").json
    assert 0 < found["observables"]["eps_g"][0] < 0.5
    assert found["method"] == "linear algebra"
    assert max(map(len, replica(words).out.splitlines())) <= 80
