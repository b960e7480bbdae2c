"""Bayes-optimal models: every pair of a shipped prior and a shipped channel, and bad input."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from referee.glm_curves import (
    GLM,
    slow,
    threshold,
)

import replica as rp
from replica.numerics.kernel import compile_kernel

# ---- every pair ----------------------------------------------------------------------------------

PRIORS, CHANNELS = (GLM.options[k].choices for k in ("prior", "channel"))


RECOVERED = {"linear": 1.0, "relu": 2.0}  # by as many equations as unknowns of the continuous part


END = pytest.mark.xfail(
    strict=True,
    raises=rp.ConvergenceError,
    reason="the curve of saddle points ends in full recovery at alpha = 2, or turns back at "
    "2.0006: alpha hardly depends on D there, which is found to 8 digits where 9 are asked for",
)


KNOWN: dict[tuple[str, str, float], list[Any]] = {
    ("laplace", "complex-abs", 2.0): [END],
    ("uniform", "complex-abs", 2.0): [END],
}


def every_pair() -> list[Any]:
    found = []
    for prior, channel, alpha in itertools.product(PRIORS, CHANNELS, (0.7, 2.0)):
        costly = channel == "abs" or prior in ("laplace", "uniform")
        costly |= prior != "rademacher" and channel == "door"
        found.append(
            pytest.param(
                prior,
                channel,
                alpha,
                id=f"{prior} {channel} {alpha}",
                marks=[*([slow] if costly else []), *KNOWN.get((prior, channel, alpha), [])],
            )
        )
    return found


@pytest.mark.parametrize(("prior", "channel", "alpha"), every_pair())
def test_every_pair_has_a_saddle_point(prior: str, channel: str, alpha: float):
    found = rp.solve(GLM, prior=prior, channel=channel, alpha=alpha)
    formula = found.formula
    rho = (
        float(formula.options["prior"].second_moment.subs("density", 0.1))
        if prior != ("gauss-bernoulli")
        else 0.1
    )
    assert found.status == rp.Status.CONVERGED
    assert 0 <= found.D <= rho
    assert found.mhat >= 0
    assert 0 <= found["m"] <= rho
    assert found["mse"] == found.D
    assert found["label_error"] >= 0
    for name, value in found.observables.items():
        assert not np.isnan(value), name
        assert not np.isnan(found.errors[name]), name
    even = formula.options["channel"].even
    if found.D == 0:  # full recovery needs exact labels, and enough of them
        assert formula.boundary is not None
        assert alpha >= threshold("alpha_IT", prior, channel).value
        return
    # where nothing is recovered, nothing can be: m = 0 is stable up to weak recovery only
    if found.D == pytest.approx(rho, abs=1e-9):
        assert even
        assert alpha <= threshold("alpha_WR", prior, channel).value
        return
    # a saddle point of the equations, by the blocks
    (gap,) = formula.overlaps
    hat = formula.conjugates[gap]
    defaults = {c.symbol: c.default for c in formula.controls.values() if c.default is not None}
    blocks = formula.options["prior"], formula.options["channel"]
    wanted = (
        blocks[0].gap(hat).subs(defaults),
        blocks[1].strength(gap, blocks[0].second_moment).subs(defaults),
    )
    (gap_there, force) = compile_kernel((gap, hat), wanted)(found.D, found.mhat, refinement=1)
    assert float(gap_there) == pytest.approx(found.D, rel=1e-7)
    assert alpha * float(force) == pytest.approx(found.mhat, rel=1e-7)


@pytest.mark.parametrize(
    "channel", [pytest.param(c, marks=slow) if c == "abs" else c for c in CHANNELS]
)
@pytest.mark.parametrize(
    "prior",
    [
        "rademacher",
        *(pytest.param(p, marks=slow) for p in ("gaussian", "gauss-bernoulli", "uniform")),
    ],
)
def test_every_pair_has_its_thresholds_or_says_why_not(prior: str, channel: str):
    formula = GLM(prior=prior, channel=channel)
    for name in formula.thresholds:
        if prior == "uniform" and (channel in ("abs", "logistic") or name == "Delta_c"):
            continue  # means within means on both sides, or on many curves
        found = rp.threshold(formula, name, check=False)
        if found.status == rp.Status.NOT_FOUND:
            assert f"no {name}" in found.note
            continue
        assert found.status == rp.Status.CONVERGED
        assert found.value >= 0
        assert np.isfinite(found.value)
        assert found.error < 1e-8


# ---- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ({"density": 0}, rp.ControlError, r"density = 0 is outside \(0, 1\]"),
        ({"density": 1.5}, rp.ControlError, r"density = 1.5 is outside \(0, 1\]"),
        ({"density": -0.1}, rp.ControlError, "density = -0.1 is outside"),
        ({"density": "0.1"}, rp.ControlError, "density = '0.1' is not a real number"),
        ({"channel": "sign", "Delta": -1e-9}, rp.ControlError, r"Delta = -1e-09 is outside \[0"),
        ({"channel": "sign", "Delta": float("nan")}, rp.ControlError, "Delta = nan is not finite"),
        ({"channel": "door", "K": 0}, rp.ControlError, r"K = 0 is outside \(0, inf\)"),
        ({"alpha": 0}, rp.ControlError, r"alpha = 0 is outside \(0, inf\)"),
        ({"alpha": -1}, rp.ControlError, "alpha = -1 is outside"),
        ({"alpha": None}, rp.ControlError, "alpha is missing"),
        ({"alpha": [0.5, -0.5]}, rp.ControlError, "alpha = -0.5 .*is outside"),
        ({"prior": 3}, rp.ControlError, "option prior=3 is not one of gaussian, rademacher"),
        ({"prior": 0.1}, rp.ControlError, "option prior=0.1 is not one of"),
        ({"prior": True}, rp.ControlError, "option prior=True is not one of"),
        ({"prior": None}, rp.ControlError, "option prior=None is not one of"),
        ({"prior": ["gaussian"]}, rp.ControlError, "option prior=.*is not one of"),
        ({"channel": 1}, rp.ControlError, "option channel=1 is not one of linear, sign"),
        ({"prior": rp.Sign()}, rp.ControlError, "option prior=.*nor a Prior"),
        ({"channel": rp.Rademacher()}, rp.ControlError, "option channel=.*nor a Channel"),
        (
            {"prior": "rademacherr"},
            rp.UnknownName,
            "unknown prior of bayes-optimal-glm: 'rademacherr'; did you mean rademacher",
        ),
        ({"prior": "Gaussian"}, rp.UnknownName, "'Gaussian'; did you mean gaussian"),
        ({"channel": "rellu"}, rp.UnknownName, "unknown channel .*'rellu'; did you mean relu"),
        ({"prior": "__import__('os')"}, rp.UnknownName, "unknown prior"),
        ({"K": 1}, rp.UnknownName, "'K'"),
        ({"Delta": 1, "channel": "abs"}, rp.UnknownName, "'Delta'"),
        ({"chanel": "abs"}, rp.UnknownName, "'chanel'; did you mean channel"),
        (
            {"start": "informd"},
            rp.UnknownName,
            "unknown start .*'informd'; did you mean .*informed",
        ),
    ],
    ids=str,
)
def test_bad_input(given: dict[str, Any], kind: type[Exception], message: str):
    prior = "gauss-bernoulli" if "density" in given else "rademacher"
    asked = {"alpha": 0.5, "prior": prior, "channel": "linear", **given}
    with pytest.raises(kind, match=message) as caught:
        rp.solve(GLM, **asked)
    assert isinstance(caught.value, rp.ReplicaError)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("alpha_AMP", {"alpha": 1.0}, "does not take alpha"),
        ("alpha_amp", {}, "did you mean alpha_AMP"),
        ("alpha_IT", {"Delta": -1}, "Delta = -1 is outside"),
        ("alpha_IT", {"prior": "gauss-bernoulli", "density": 2}, "density = 2 is outside"),
        ("alpha_WR", {"channel": "door", "K": -1}, "K = -1 is outside"),
        ("alpha_IT", {"prior": 3}, "option prior=3"),
    ],
)
def test_bad_input_of_thresholds(name: str, given: dict[str, Any], message: str):
    with pytest.raises(rp.ReplicaError, match=message) as caught:
        rp.threshold(GLM, name, **given)
    assert "\n" not in str(caught.value)
