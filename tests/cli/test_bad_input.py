"""Bad input: one line on stderr that names what and where, exit 2, nothing written."""

from __future__ import annotations

import dataclasses
import json
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from replica.cli.main import run
from replica.cli.verbs import app

GRID = "sweep binary-perceptron alpha=0.1:1:3"

NO_NUMBERS = [
    *("", "nan", "NaN", "inf", "-inf", "Infinity", "text", "1+2j", "1j", "2**3", "1/2", "0x10"),
    *("1_000", "1e", "e5", ".", "+", "--1", "1,5", "0.1:1:3", "True", "None", "[1]", "sqrt(2)"),
    *("__import__('os')", "__import__('os').system('true')", "1e5x", "1.2.3"),
    *("\u0661", "\uff11"),  # digits of other scripts, which Python's float reads
]

CASES = [
    # names
    ("nonsense", 2, ["No such command", "nonsense"]),
    ("threshold", 2, ["missing F", "binary-perceptron"]),
    ("threshold binary-perceptron", 2, ["missing NAME", "alpha_G, alpha_AT"]),
    ("threshold binary-perceptrn alpha_G", 2, ["formula", "did you mean binary-perceptron"]),
    ("threshold binary-perceptron alpha_g", 2, ["threshold", "did you mean alpha_G"]),
    ("threshold binary-perceptron alpha_G extra", 2, ["unexpected word 'extra'", "name=value"]),
    ("solve binary-perceptron alpha=1 kapa=0", 2, ["control", "'kapa'", "did you mean kappa"]),
    ("solve spherical-perceptron alpha=1 rbs=0", 2, ["option", "'rbs'", "did you mean rsb"]),
    ("solve spherical-perceptron alpha=1 rsb=2", 2, ["option rsb='2'", "0, 1"]),
    ("solve spherical-perceptron alpha=1 rsb=1.0", 2, ["option rsb='1.0'"]),
    ("solve binary-perceptron alpha=1 check=0", 2, ["control", "'check'"]),
    ("solve binary-perceptron alpha=1 formula=0", 2, ["'formula'"]),
    ("solve binary-perceptron alpha=0.5 --method magic", 2, ["method", "newton"]),
    ("solve binary-perceptron alpha=0.5 --start warm", 2, ["start", "'warm'"]),
    ("solve binary-perceptron alpha=0.5 --start p=0.5", 2, ["overlap", "'p'"]),
    ("solve binary-perceptron alpha=0.5 --start q=much", 2, ["q=much", "--start q=0.5"]),
    ("solve binary-perceptron alpha=0.5 --start q=0.5,q=0.6", 2, ["start q", "twice"]),
    ("solve binary-perceptron alpha=0.5 --start q=2", 2, ["start q", "2"]),
    ("solve binary-perceptron alpha=0.5 --follow alpha=x", 2, ["follow", "alpha=0.5"]),
    ("solve binary-perceptron alpha=0.5 --follow alhpa=1", 2, ["did you mean alpha"]),
    ("solve binary-perceptron alpha=0.5 --exclude q=1/2", 2, ["exclude 'q=1/2'", "q=0.5"]),
    ("solve binary-perceptron alpha=0.5 --exclude p=1", 2, ["overlap", "'p'"]),
    ("solve binary-perceptron alpha=0.5 --states some", 2, ["'some'", "known: all"]),
    ("show binary-perceptron alpha=1", 2, ["options only", "alpha"]),
    ("cite binary-perceptron kappa=1", 2, ["options only", "kappa"]),
    ("cite binary-perceptrons", 2, ["did you mean binary-perceptron"]),
    # controls
    ("solve binary-perceptron kappa=0", 2, ["alpha", "missing", "(0, inf)"]),
    ("solve binary-perceptron alpha=1 alpha=2", 2, ["alpha", "given twice"]),
    ("solve binary-perceptron =1", 2, ["'=1'", "name=value"]),
    ("solve binary-perceptron alpha=0", 2, ["alpha = 0", "outside (0, inf)"]),
    ("solve binary-perceptron alpha=-0.5", 2, ["alpha = -0.5", "outside (0, inf)"]),
    ("solve binary-perceptron alpha=0.5 kappa=11", 2, ["kappa = 11", "[-10, 10]"]),
    *(
        (f"solve binary-perceptron alpha={value}", 2, ["binary-perceptron: alpha", "(0, inf)"])
        for value in NO_NUMBERS
    ),
    ("solve binary-perceptron alpha=1e999", 2, ["alpha = 1e999", "too large"]),
    ("solve binary-perceptron alpha=1e-999", 2, ["alpha = 1e-999", "too small"]),
    ("solve binary-perceptron alpha=0." + "1" * 300, 2, ["alpha", "more than 250 characters"]),
    ("solve binary-perceptron alpha=" + "x" * 9000, 2, ["alpha = 'xxx", "..."]),
    ("threshold binary-perceptron alpha_G alpha=1", 2, ["does not take alpha"]),
    ("threshold binary-perceptron alpha_G kappa=0,1", 2, ["kappa = '0,1'", "[-10, 10]"]),
    # digits, tolerance
    *(
        (f"{verb} --digits {digits}", 2, ["digits", str(digits)])
        for verb in ("threshold binary-perceptron alpha_G", "solve binary-perceptron alpha=0.5")
        for digits in (0, -1, 201, 10000, "x", "1.5", "nan")
    ),
    ("solve binary-perceptron alpha=0.5 --tolerance 0", 2, ["tolerance"]),
    ("solve binary-perceptron alpha=0.5 --tolerance nan", 2, ["tolerance"]),
    ("solve binary-perceptron alpha=0.5 --tolerance few", 2, ["--tolerance", "few"]),
    # flags
    ("solve binary-perceptron alpha=0.5 --jsn", 2, ["--jsn"]),
    ("solve binary-perceptron -1", 2, ["-1"]),
    ("list binary-perceptron", 2, ["unexpected"]),
    # computations that fail
    ("solve binary-perceptron alpha=1.4", 1, ["NO_SADDLE", "alpha up to 1.27324"]),
    ("threshold spherical-perceptron alpha_AT kappa=1", 1, ["no alpha_AT", "kappa >= 0"]),
    # grids
    ("sweep binary-perceptron alpha=0.5", 2, ["no grid", "solve"]),
    ("sweep binary-perceptron alpha_G kappa=0", 2, ["no grid", "threshold"]),
    ("sweep binary-perceptron kappa=0,1", 2, ["alpha is missing"]),
    ("sweep binary-perceptron alpha_G kappa=", 2, ["kappa = ''"]),
    ("sweep binary-perceptron alpha_G kappa=0:1:0", 2, ["count", "from 1"]),
    ("sweep binary-perceptron alpha_G kappa=0:1:2.5", 2, ["count", "whole"]),
    ("sweep binary-perceptron alpha_G kappa=0:1:1e9", 2, ["count", "10000000"]),
    ("sweep binary-perceptron alpha=1:2:9999 kappa=0:1:9999", 2, ["99980001 points"]),
    ("sweep binary-perceptron alpha_G kappa=0:1", 2, ["not a grid", "start:stop:count"]),
    ("sweep binary-perceptron alpha_G kappa=0:1:2:3", 2, ["not a grid"]),
    ("sweep binary-perceptron alpha_G kappa=0,x", 2, ["kappa = '0,x'", "not a grid"]),
    ("sweep binary-perceptron alpha_G kappa=0,,1", 2, ["not a grid"]),
    ("sweep binary-perceptron alpha_G kappa=0,nan", 2, ["not a grid"]),
    ("sweep binary-perceptron alpha_G kappa=0,11", 2, ["11", "[-10, 10]"]),
    ("sweep binary-perceptron alpha_Q kappa=0,1", 2, ["quantity", "alpha_G"]),
    ("sweep binary-perceptron alpha_G entropy kappa=0,1", 2, ["apart"]),
    ("sweep spherical-perceptron rsb=0,1 alpha=1", 2, ["rsb"]),
    (f"{GRID} --workers 0", 2, ["workers"]),
    (f"{GRID} --resume", 2, ["--resume", "--out"]),
    (f"{GRID} --out grid.txt", 2, ["grid.txt", ".csv, .json, .nc"]),
    (f"{GRID} --out nowhere/grid.csv", 2, ["nowhere/grid.csv", "no such folder"]),
    (f"{GRID} --out {'x' * 300}.csv", 2, ["cannot write"]),
    # plots and experiments
    ("plot binary-perceptron entropy alpha=0.1:1:3", 2, ["--out"]),
    ("plot binary-perceptron entropy alpha=0.1:1:3 --out e.exe", 2, ["e.exe", ".png"]),
    ("plot binary-perceptron entropy alpha_G kappa=0:1:3 --out e.png", 2, ["alpha_G apart"]),
    ("plot bayes-optimal-glm alpha_IT alpha_APM Delta=0:1:3 --out e.png", 2, ["mean alpha_AMP"]),
    ("plot bayes-optimal-glm alpha_IT alpha_AMP Delta=0 --out e.png", 2, ["no grid"]),
    ("plot bayes-optimal-glm alpha_IT alpha_AMP Delta=-1,0 --out e.png", 2, ["Delta = -1", "[0"]),
    ("plot bayes-optimal-glm alpha_IT alpha=0:1:3 --out e.png", 2, ["alpha = 0"]),
    ("plot binary-perceptron entropi alpha=0.1:1:3 --out e.png", 2, ["entropy"]),
    ("plot binary-perceptron entropy alpha=0.5 --out e.png", 2, ["no grid"]),
    ("simulate binary-perceptron", 2, ["--p"]),
    ("simulate binary-perceptron --p 0", 2, ["p = 0"]),
    ("simulate binary-perceptron --p 25", 2, ["p = 25", "24"]),
    ("simulate binary-perceptron --p 8 --alpha 0", 2, ["alpha"]),
    ("simulate binary-perceptron --p 8 --alpha x", 2, ["alpha = 'x'"]),
    ("simulate binary-perceptron --p 8 --alpha 1 alpha=2", 2, ["alpha", "twice"]),
    ("simulate binary-perceptron --p 8 --instances 0", 2, ["instances = 0"]),
    ("simulate binary-perceptron --p 8 --seed -1", 2, ["-1"]),
    ("simulate binary-perceptron --p 8 p=9", 2, ["'p'"]),
    ("simulate binary-perceptron --p 8 rng=9", 2, ["'rng'"]),
    ("constants binary", 2, ["formula", "binary-perceptron"]),
    ("constants binary-perceptron kappa=0", 2, ["formula", "kappa=0"]),
]


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(("words", "code", "said"), CASES, ids=[c[0][:60] for c in CASES])
def test_one_line_says_what_and_where(replica, words, code, said):
    verb, *rest = words.split(" ")
    done = replica(verb, *rest)
    assert done.code == code, done.err
    assert done.out == ""
    for part in said:
        assert part in done.err


@pytest.mark.parametrize(("words", "code", "said"), CASES[::7], ids=[c[0][:60] for c in CASES[::7]])
def test_errors_are_the_same_line_with_json(replica, words, code, said):
    verb, *rest = words.split(" ")
    done = replica(verb, *rest, "--json")
    assert done.code == code
    found = json.loads(done.out)
    assert done.err == f"replica: {found['error']}\n"
    assert found["exit"] == code
    assert found["status"]
    assert found["kind"]
    plain = replica(verb, *rest)
    assert (plain.out, plain.err) == ("", done.err)


def test_no_text_is_evaluated(replica, tmp_path):
    for text in ("__import__('os').mkdir('made')", "exec('import os; os.mkdir(\"made\")')"):
        for words in (
            ["solve", "binary-perceptron", f"alpha={text}"],
            ["solve", "binary-perceptron", "alpha=1", "--start", text],
            ["solve", "binary-perceptron", "alpha=1", "--start", f"q={text}"],
            ["sweep", "binary-perceptron", f"alpha={text},1"],
            ["simulate", "binary-perceptron", "--p", "8", "--alpha", text],
            ["threshold", "binary-perceptron", text],
            ["show", text],
            ["show", "spherical-perceptron", f"rsb={text}"],
        ):
            assert replica(*words).code == 2
    assert not (tmp_path / "made").exists()


def test_control_characters_do_not_reach_the_terminal(replica):
    done = replica("solve", "binary-perceptron", "alpha=\x1b[31m1\n2\r3\x00\u2028")
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert done.err.rstrip("\n").isprintable()
    done = replica("solve", "bin\x1b[31m\nary")
    assert done.code == 2
    assert done.err.rstrip("\n").isprintable()


def test_a_missing_extra_is_said_before_the_work(replica, monkeypatch):
    import importlib.util

    find_spec = importlib.util.find_spec
    hidden = ("matplotlib", "xarray", "h5netcdf")
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in hidden else find_spec(name)
    )
    done = replica(*f"{GRID} --out grid.nc".split())
    assert done.code == 2
    assert "pip install 'replica-theory[grids]'" in done.err
    done = replica("plot binary-perceptron entropy alpha=0.1:1:3 --out e.png")
    assert done.code == 2
    assert "pip install 'replica-theory[plot]'" in done.err


def test_a_defect_is_one_line_too(capfd, monkeypatch):
    import replica.solvers.saddle as module

    def broken(*arguments, **controls):
        raise RuntimeError("first\nsecond")

    monkeypatch.setattr(module, "solve", broken)
    assert run(["solve", "binary-perceptron", "alpha=1"]) == 1
    out, err = capfd.readouterr()
    assert (out, err) == ("", "replica: internal error, RuntimeError: first second\n")


def test_a_warning_is_one_line(replica, monkeypatch):
    import warnings

    import replica.solvers.saddle as module

    solve = module.solve

    def warning(*arguments, **controls):
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("strange\nweather", RuntimeWarning, stacklevel=1)
        return solve(*arguments, **controls)

    monkeypatch.setattr(module, "solve", warning)
    done = replica("solve binary-perceptron alpha=0.5")
    assert done.code == 0
    assert done.err == "replica: warning: strange weather\n"
    failed = replica("solve binary-perceptron alpha=1.4")  # its error is one line, as ever
    assert failed.code == 1
    assert failed.err.startswith("replica: binary-perceptron at alpha = 1.4")


def test_a_value_that_is_not_finite_is_a_failure(replica, monkeypatch):
    import replica.solvers.thresholds.verb as module

    threshold = module.threshold

    def lost(*arguments, **controls):
        return dataclasses.replace(threshold(*arguments, **controls), value=float("nan"))

    monkeypatch.setattr(module, "threshold", lost)
    done = replica("threshold binary-perceptron alpha_G --json")
    assert done.code == 1
    assert "no finite value of alpha_G" in json.loads(done.out)["error"]
    assert "no finite value of alpha_G" in done.err


# ---- anything at all ----------------------------------------------------------------------------

NAMES = st.sampled_from(
    ["binary-perceptron", "spherical-perceptron", "binary", "alpha_G", "alpha_AT", "entropy", "q"]
)
VALUES = st.sampled_from(
    ["0", "1", "-1", "0.5", "1e-3", "1e9", "-0", "nan", "inf", "0:1:3", "0.1,0.2", "x", "u", ""]
) | st.text(max_size=8)
KEYS = st.sampled_from(["alpha", "kappa", "rsb", "q", "lambda", "digits"]) | st.text(max_size=4)
PAIRS = st.builds("{}={}".format, KEYS, VALUES)
FLAGS = st.sampled_from(
    ["--json", "--digits", "--start", "--method", "--tolerance", "--p", "--resume", "--help", "-"]
)
WORDS = st.lists(NAMES | PAIRS | FLAGS | VALUES | st.text(max_size=12), max_size=6)
CHEAP = sorted(set(app.commands) - {"constants", "plot", "simulate"})


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(verb=st.sampled_from(CHEAP) | st.text(max_size=6), words=WORDS)
def test_no_words_break_it(capfd, verb, words):
    capfd.readouterr()
    code = run([verb, *words])
    out, err = capfd.readouterr()
    assert code in (0, 1, 2)
    assert "Traceback" not in out + err
    assert "internal error" not in err
    if code:
        assert out == "" or "--json" in words
        assert err.count("\n") == 1
        assert err.startswith("replica: ")
    else:
        assert out
        assert err == ""
