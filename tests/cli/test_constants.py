"""The main job: every published constant."""

from __future__ import annotations

from dataclasses import replace

import pytest

import replica as rp
from replica.validation import constants, published_constants

BINARY = rp.formulas["binary-perceptron"]


def published(value, quantity="alpha_G", **rest):
    return rp.Published(quantity, value, 5e-4, {"kappa": 0}, cite="krauth1989", **rest)


@pytest.fixture
def formula(register):
    def build(*values):
        made = replace(BINARY, name="toy", published=values)
        register(made)
        return made

    return build


def test_all_of_them_are_recomputed_and_none_disagrees(replica):
    done = replica("constants")
    assert (done.code, done.err) == (0, "")
    for name in {formula.name for formula, _ in published_constants()}:
        assert f"\n{name}" in done.out
    assert max(map(len, done.out.splitlines())) <= 80, done.out
    summary = done.out.splitlines()[-1]
    assert summary.startswith(f"{len(published_constants())} published values: ")


def test_json(replica):
    found = replica("constants binary-perceptron --json").json
    assert found["passed"] is True
    assert found["verdicts"]["agrees"] == 2
    first = found["constants"][0]
    assert first["formula"] == "binary-perceptron"
    assert (first["quantity"], first["relation"], first["published"]) == ("alpha_G", "=", 0.833)
    assert first["value"] == pytest.approx(0.8330785997395792, abs=1e-14)
    assert first["error"] < 1e-12
    assert first["verdict"] == "agrees"
    assert first["cite"] == "krauth1989"
    assert first["seconds"] > 0


def test_only_what_is_asked(replica):
    assert {r.formula.name for r in constants(["spherical-perceptron"])} == {"spherical-perceptron"}
    assert "spherical" not in replica("constants binary-perceptron").out


def test_options_that_published_values_name_are_computed():
    chosen = {
        (f.name, tuple(f.options.items()))
        for f, _ in published_constants(["symmetric-binary-perceptron"])
    }
    assert ("symmetric-binary-perceptron", (("constraint", "u"),)) in chosen


def test_the_same_quantity_is_computed_once():
    rows = list(constants(["binary-perceptron"]))
    repeated = [row for row in rows if row.published.quantity == "alpha_G"][1:]
    assert repeated
    assert all(row.seconds == 0 for row in repeated)


def test_a_wrong_constant_is_found_and_exits_1(replica, formula):
    formula(published(0.833), published(0.9))
    done = replica("constants toy")
    assert done.code == 1
    assert "disagrees" in done.out
    assert "2 published values: 1 agrees, 1 disagrees" in done.out


def test_a_bound_holds_or_not(replica, formula):
    formula(published(0.9, relation="<"), published(0.8, relation="<"))
    found = replica("constants toy --json")
    assert found.code == 1
    assert [row["verdict"] for row in found.json["constants"]] == ["holds", "disagrees"]


def test_a_disputed_constant_does_not_fail(replica, formula):
    formula(published(0.9, disputed="two sources differ"))
    done = replica("constants toy")
    assert done.code == 0
    assert "two sources differ" in done.out


def test_a_computation_that_fails_is_a_row_with_the_reason(replica, formula):
    formula(published(0.3, "entropy"), published(0.833))  # alpha is missing
    done = replica("constants toy")
    assert done.code == 1
    assert "failed" in done.out
    assert "control alpha is missing" in " ".join(done.out.split())
    found = replica("constants toy --json").json
    assert found["constants"][0]["value"] is None
    assert found["constants"][1]["verdict"] == "agrees"


def test_an_observable_can_be_published(replica, formula):
    formula(rp.Published("entropy", 0.3144, 5e-5, {"alpha": 0.5}, cite="krauth1989"))
    assert replica("constants toy").code == 0


def test_progress_is_reported():
    seen = []
    list(constants(["binary-perceptron"], progress=lambda done, total: seen.append((done, total))))
    assert seen[0] == (1, len(seen))
    assert seen[-1] == (len(seen), len(seen))


@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
def test_the_table_keeps_every_citation(replica, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    text = replica("constants binary-perceptron").out
    assert {"krauth1989", "kim1998", "altschuler2024"} <= set(text.replace(";", " ").split())


def test_an_unknown_formula_is_refused_before_the_work(replica):
    done = replica("constants binary-perceptron spherical-perceptrn")
    assert done.code == 2
    assert "did you mean spherical-perceptron" in done.err
