"""What each verb prints, for people and as JSON."""

from __future__ import annotations

import importlib
from fractions import Fraction

import pytest

import replica as rp
from replica.cli.verbs import app
from replica.writing import shell_name

KRAUTH_MEZARD = "0.8330785997395792336890868932669659080521"

VERBS = [
    "list",
    "show binary-perceptron",
    "show spherical-perceptron rsb=1",
    "solve binary-perceptron alpha=0.5 kappa=0",
    "solve binary-perceptron alpha=0.5 --digits 30",
    "solve spherical-perceptron alpha=3 kappa=-0.5",
    "solve binary-perceptron alpha=0.5 --follow alpha=0.1",
    "solve binary-perceptron alpha=0.5 --start equilibrium --exclude q=0",
    "solve binary-perceptron alpha=0.5 --states all",
    "threshold binary-perceptron alpha_G",
    "threshold binary-perceptron alpha_G --digits 40",
    "threshold spherical-perceptron alpha_G kappa=-1",
    "sweep binary-perceptron alpha=0.2:1.4:9 kappa=0,0.5",
    "sweep spherical-perceptron alpha_G kappa=-1:1:30",
    "simulate binary-perceptron --p 8 --alpha 0.6,0.8",
    "simulate binary-perceptron --p 8",
    "constants binary-perceptron",
    "cite binary-perceptron",
]


@pytest.mark.parametrize("words", VERBS)
def test_every_verb_fits_eighty_columns_and_is_plain_text(replica, words):
    done = replica(words)
    assert (done.code, done.err) == (0, "")
    assert done.out.endswith("\n")
    if not words.startswith("cite"):  # BibTeX is as it is
        assert max(map(len, done.out.splitlines())) <= 80, done.out
        assert done.out.isascii()


@pytest.mark.parametrize("words", VERBS)
def test_every_verb_prints_one_json_object(replica, words):
    done = replica(*words.split(), "--json")
    assert (done.code, done.err) == (0, "")
    assert isinstance(done.json, dict)
    assert done.out.count("\n") == 1
    assert done.out.isascii()


@pytest.mark.parametrize("verb", ["", *app.commands])
def test_help_is_short_and_shows_examples(replica, verb):
    done = replica(*verb.split(), "--help")
    assert done.code == 0
    assert len(done.out.splitlines()) <= 35
    assert max(map(len, done.out.splitlines())) <= 80
    assert "..." not in done.out.split("Commands:")[-1].split("Examples:")[0] or verb
    if verb not in ("list", "cite"):
        assert f"replica {verb}" in done.out


def test_examples_in_the_help_work(replica, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for verb in ("", *app.commands):
        text = replica(*verb.split(), "--help").out
        for line in text.splitlines():
            if line.startswith("    replica "):
                words = line.split()[1:]
                if words[0] == "plot" or "simulate" in words or "rsb=1" in words:
                    continue  # their own tests; a nested mean takes seconds
                assert replica(*words).code == 0, line


def test_without_arguments_it_helps(replica):
    assert replica(*[]).out.startswith("Usage: replica")


def test_version(replica):
    assert replica("--version").out == f"replica {rp.__version__}\n"


# ---- threshold ----------------------------------------------------------------------------------


def test_threshold_has_the_promised_keys(replica):
    found = replica("threshold binary-perceptron alpha_G kappa=0 --json").json
    promised = {"formula", "options", "controls", "status", "value", "error"}
    assert promised <= found.keys()
    assert found["formula"] == "binary-perceptron"
    assert found["options"] == {}
    assert found["controls"] == {"kappa": 0.0}
    assert found["status"] == "converged"
    assert found["value"] == pytest.approx(0.8330785997395792, abs=1e-14)
    assert 0 < found["error"] < 1e-12
    assert found["overlaps"]["q"] == pytest.approx(0.563949080084561636, abs=1e-12)
    assert "text" not in found
    first = found["published"][0]
    assert (first["value"], first["verdict"], first["cite"]) == (0.833, "agrees", "krauth1989")
    assert first["difference"] == pytest.approx(7.8599739579e-05)


def test_threshold_digits(replica):
    found = replica("threshold binary-perceptron alpha_G kappa=0 --digits 40 --json").json
    assert found["text"] == KRAUTH_MEZARD
    assert found["digits"] == 40
    assert found["error"] < 1e-40
    assert KRAUTH_MEZARD in replica("threshold binary-perceptron alpha_G --digits 40").out


def test_a_decimal_is_exactly_what_was_typed(replica):
    typed = replica("threshold spherical-perceptron alpha_G kappa=0.1 --digits 40 --json").json
    tenth = rp.threshold(
        rp.formulas["spherical-perceptron"], "alpha_G", kappa=Fraction(1, 10), digits=40
    )
    double = rp.threshold(rp.formulas["spherical-perceptron"], "alpha_G", kappa=0.1, digits=40)
    assert typed["text"] == tenth.text
    assert typed["text"] != double.text


def test_threshold_says_that_the_saddle_is_unstable(replica):
    found = replica("threshold spherical-perceptron alpha_G kappa=-1 --json").json
    assert found["value"] == pytest.approx(13.2731998, abs=1e-7)
    assert found["validity"] == "rs-unstable"
    assert "upper bound" in found["note"]
    text = " ".join(replica("threshold spherical-perceptron alpha_G kappa=-1").out.split())
    assert "rs-unstable" in text
    assert "this value is an upper bound" in text


def test_options_are_reported(replica):
    found = replica("show spherical-perceptron rsb=1 --json").json
    assert found["options"] == {"rsb": 1}
    assert found["choices"]["rsb"] == {"choices": [0, 1], "default": 0}


def test_words_come_in_any_order(replica):
    first = replica("threshold spherical-perceptron alpha_G kappa=0.5 rsb=0 --json")
    assert (
        replica("threshold --json rsb=0 kappa=5e-1 spherical-perceptron alpha_G").json == first.json
    )


# ---- solve --------------------------------------------------------------------------------------


def test_solve_has_the_promised_keys(replica):
    found = replica("solve binary-perceptron alpha=0.5 kappa=0 --json").json
    promised = {
        "formula", "options", "controls", "status", "overlaps", "observables", "potential", "error"
    }  # fmt: skip
    assert promised <= found.keys()
    assert found["controls"] == {"alpha": 0.5, "kappa": 0.0}
    assert found["status"] == "converged"
    assert found["overlaps"].keys() == {"q", "qhat"}
    assert found["observables"]["entropy"] == pytest.approx(0.314390066856, abs=1e-12)
    assert found["potential"] == found["observables"]["potential"]
    assert 0 < found["error"] < 1e-10


def test_solve_digits(replica):
    found = replica("solve binary-perceptron alpha=0.5 --digits 30 --json").json
    assert len(found["text"]["entropy"].removeprefix("0.")) == 30
    assert float(found["text"]["entropy"]) == pytest.approx(found["observables"]["entropy"])


def test_solve_from_a_start(replica):
    for start in ("q=0.3,qhat=0.6", "q=0.3", "informed"):
        found = replica("solve", "binary-perceptron", "alpha=0.5", "--json", "--start", start).json
        assert found["overlaps"]["q"] == pytest.approx(0.322385363224, abs=1e-9)


# ---- sweep, plot, simulate ----------------------------------------------------------------------


def test_sweep_prints_the_whole_grid_as_json(replica):
    found = replica("sweep binary-perceptron alpha=0.5,1.4 kappa=0 --json").json
    assert found["dims"] == ["alpha"]
    assert found["coords"] == {"alpha": [0.5, 1.4]}
    assert found["controls"] == {"kappa": 0.0}
    assert found["data"]["q"][0] == pytest.approx(0.322385363224, abs=1e-9)
    assert found["data"]["q"][1] is None
    assert found["status"] == [0, found["status_codes"]["no_saddle"]]
    assert found["validity"] == ["conjecture", ""]


@pytest.mark.parametrize("ending", ["csv", "json", "nc"])
def test_sweep_writes_a_file(replica, tmp_path, ending):
    out = tmp_path / f"grid.{ending}"
    words = "sweep spherical-perceptron alpha_G kappa=0:1:3 --json --out".split()
    done = replica(*words, str(out)).json
    assert done["points"] == 3
    assert done["counts"] == {"converged": 3}
    assert done["out"] == str(out)
    assert [path.name for path in tmp_path.iterdir()] == [out.name]
    if ending == "csv":
        assert out.read_text().splitlines()[0].startswith("kappa,alpha_G,alpha_G_error,status")


def test_sweep_resumes_what_was_interrupted(replica, tmp_path, monkeypatch):
    module = importlib.import_module("replica.grids.run")

    calls = []
    thresholds = module.thresholds

    def interrupted(formula, name, points):
        calls.extend(point["kappa"] for point in points)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return thresholds(formula, name, points)

    monkeypatch.setattr(module, "thresholds", interrupted)
    monkeypatch.setattr(module, "_AT_ONCE", 1)
    words = ["sweep", "spherical-perceptron", "alpha_G", "kappa=0,1,2,3", "--out"]
    out = tmp_path / "grid.csv"
    first = replica(*words, str(out))
    assert first.code == 130
    assert first.err.startswith("replica: interrupted: 2 of 4 points are in ")
    assert first.err.endswith("grid.csv.partial.npz, --resume continues from there\n")
    assert [path.name for path in tmp_path.iterdir()] == ["grid.csv.partial.npz"]
    again = replica(*words, str(out))
    assert again.code == 2
    assert "--resume" in again.err
    assert replica(*words, str(out), "--resume").code == 0
    assert calls == [0, 1, 2, 2, 3]
    assert [path.name for path in tmp_path.iterdir()] == ["grid.csv"]


def test_plot_writes_a_figure(replica, tmp_path):
    out = tmp_path / "entropy.png"
    words = "plot binary-perceptron entropy alpha=0.2:1:5 kappa=0 --json --out".split()
    found = replica(*words, str(out)).json
    assert found["quantity"] == "entropy"
    assert out.read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


def test_plot_writes_a_phase_diagram(replica, tmp_path):
    out = tmp_path / "phases.svg"
    words = "plot bayes-optimal-glm alpha_IT prior=gauss-bernoulli channel=linear alpha_AMP"
    done = replica(*words.split(), "density=0.1:0.5:3", "--json", "--out", str(out))
    assert done.code == 0
    assert done.json["quantity"] == "alpha_IT, alpha_AMP"
    assert done.json["controls"] == {"density": pytest.approx([0.1, 0.3, 0.5])}
    assert done.err == ""
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


def test_a_phase_diagram_without_a_transition_is_no_error(replica, tmp_path):
    words = "plot bayes-optimal-glm alpha_IT alpha_AMP prior=gaussian Delta=0,1 --out"
    done = replica(*words.split(), str(tmp_path / "none.png"))
    assert (done.code, done.err) == (0, "")


def test_simulate(replica):
    found = replica("simulate binary-perceptron --p 8 --alpha 0.5,1 --seed 3 --json").json
    assert found["p"] == 8
    assert found["seed"] == 3
    assert found["alpha"] == [0.5, 1.0]
    same = replica("simulate binary-perceptron alpha=0.5,1 --p 8 --seed 3 --json").json
    assert same == found


# ---- list, show, cite ---------------------------------------------------------------------------


def test_list_names_every_formula(replica):
    found = replica("list --json").json["formulas"]
    assert [row["formula"] for row in found] == list(rp.formulas)
    text = replica("list").out
    assert all(name in text for name in rp.formulas)


@pytest.mark.parametrize("name", list(rp.formulas))
def test_show_tells_what_a_formula_takes(replica, name):
    found = replica("show", name, "--json").json
    formula = rp.formulas[name]
    formula = formula() if isinstance(formula, rp.Family) else formula
    assert found["formula"] == name
    controls = {shell_name(control) for control in formula.controls}
    assert found["controls"].keys() == controls
    assert found["thresholds"].keys() == formula.thresholds.keys()
    assert found["potential"] == str(formula.potential)
    text = replica("show", name).out
    for word in (*controls, *formula.thresholds, *formula.cites, formula.status):
        assert word in text


def test_show_writes_domains_and_defaults(replica):
    text = replica("show binary-perceptron").out
    assert "alpha  (0, inf)   required   patterns per weight" in text
    assert "kappa  [-10, 10]  default 0  margin" in text
    assert "qhat = alpha*Mean(Mills((kappa - u)/sqrt(1 - q))**2, (u, q))/(1 - q)" in text


def test_cite(replica):
    done = replica("cite binary-perceptron")
    assert done.out == rp.cite("binary-perceptron") + "\n"
    found = replica("cite binary-perceptron --json").json
    assert found["keys"][0] == "krauth1989"
    assert found["bibtex"] + "\n" == done.out


# ---- a control named lambda ---------------------------------------------------------------------


def test_the_control_lambda_is_typed_as_it_is_named(replica, register):
    from sympy import Interval, oo, symbols

    lam, q = symbols("lambda q", positive=True)
    register(
        rp.Formula(
            name="toy",
            title="A parabola",
            potential=-((q - lam) ** 2),
            overlaps={q: Interval.open(0, oo)},
            controls={lam: (Interval.open(0, oo), None)},
        )
    )
    found = replica("solve toy lambda=0.25 --start q=1 --json").json
    assert found["controls"] == {"lambda": 0.25}
    assert found["overlaps"]["q"] == pytest.approx(0.25)
    assert "lambda=0.25" in replica("solve toy lambda=0.25 --start q=1").out
    assert replica("solve", "toy", "lambda=1", "lambda_=2").code == 2
    assert "lambda" in replica("show toy").out
    missing = replica("solve toy")
    assert missing.code == 2


def test_a_file_is_replaced_only_when_asked(replica, tmp_path):
    path = tmp_path / "grid.csv"
    words = f"sweep binary-perceptron q alpha=0.1,0.2 --out {path}"
    assert replica(words).code == 0
    before = path.read_text()
    refused = replica(words.replace("0.2", "0.3"))
    assert refused.code == 2
    assert "--force replaces it" in refused.err
    assert path.read_text() == before
    assert replica(words.replace("0.2", "0.3") + " --force").code == 0
    assert path.read_text() != before
    assert [p.name for p in tmp_path.iterdir()] == ["grid.csv"]


def test_errors_speak_as_the_shell_does(replica):
    assert "such as alpha=0.5:2.0" in replica("branches bayes-optimal-glm alpha=1").err
    missing = replica("solve empirical-risk alpha=1 loss=logistic lambda=-1").err
    assert "lambda = " in missing
    assert "lambda_" not in missing
