"""The README is run: its examples, its commands' words, and its generated tables.

``python tests/test_readme.py`` rewrites the tables.
"""

import doctest
import re
from pathlib import Path

import pytest

import replica as rp

README = Path(__file__).parent.parent / "README.md"
ROWS = (
    ("binary perceptron", "alpha_G", "binary-perceptron", {"kappa": 0}, 40),
    ("binary perceptron, AT line", "alpha_AT", "binary-perceptron", {"kappa": 0}, None),
    ("spherical perceptron", "alpha_G", "spherical-perceptron", {"kappa": 0}, None),
    ("spherical, margin 1", "alpha_G", "spherical-perceptron", {"kappa": 1}, None),
    ("spherical, margin -1", "alpha_G", "spherical-perceptron", {"kappa": -1}, None),
    ("the same, one step of RSB", "alpha_G", "spherical-perceptron", {"kappa": -1, "rsb": 1}, None),
    ("rectangle, margin 1", "alpha_G", "symmetric-binary-perceptron", {"kappa": 1}, None),
    (
        "u-shape, end of the q = 0 saddle",
        "kappa_star",
        "symmetric-binary-perceptron",
        {"constraint": "u"},
        22,
    ),
    ("teacher-student, sign, +-1 weights", "alpha_IT", "bayes-optimal-glm", {}, 20),
    ("the same, message passing", "alpha_AMP", "bayes-optimal-glm", {}, 20),
    (
        "phase retrieval, message passing",
        "alpha_AMP",
        "bayes-optimal-glm",
        {"prior": "gaussian", "channel": "abs"},
        None,
    ),
    (
        "compressed sensing, density 0.1",
        "alpha_AMP",
        "bayes-optimal-glm",
        {"prior": "gauss-bernoulli", "channel": "linear", "density": 0.1},
        None,
    ),
    ("the same, l1 minimisation", "alpha_L1", "basis-pursuit", {"density": 0.1}, None),
    ("committee of two, specialisation", "alpha_spec", "committee-machine", {}, None),
    ("the same, +-1 weights", "alpha_IT", "committee-machine", {"prior": "rademacher"}, None),
    ("committee of many, n/(K p)", "alpha_IT", "committee-machine-large-k", {}, None),
    (
        "sign features, p = d, n/d separable",
        "separability",
        "hidden-manifold",
        {"activation": "sign", "features_per_dimension": 1},
        None,
    ),
    (
        "logistic regression, signal 1",
        "alpha_sep",
        "empirical-risk",
        {"teacher": "logistic"},
        None,
    ),
)


def thresholds_table() -> str:
    lines = ["| system | threshold | value | published |", "|---|---|---|---|"]
    for title, name, formula, given, digits in ROWS:
        result = rp.threshold(rp.formulas[formula], name, digits=digits, **given)
        text = result.text if digits else f"{result.value:.12g}"
        remark = " (upper bound)" if result.validity == "rs-unstable" else ""
        published = sorted(
            {f"{p.value:g}" for p, _, verdict in result.published if verdict == "agrees"}
        )
        lines.append(f"| {title} | `{name}` | {text}{remark} | {', '.join(published) or '-'} |")
    return "\n".join(lines)


def systems_table() -> str:
    lines = ["| formula | options | controls | thresholds |", "|---|---|---|---|"]
    for name in (
        "binary-perceptron",
        "spherical-perceptron",
        "symmetric-binary-perceptron",
        "bayes-optimal-glm",
        "basis-pursuit",
        "committee-machine",
        "committee-machine-large-k",
        "empirical-risk",
        "hidden-manifold",
        "gaussian-covariates",
    ):
        entry = rp.formulas[name]
        options = getattr(entry, "options", {}) if isinstance(entry, rp.Family) else {}
        variants = [entry] if isinstance(entry, rp.Formula) else []
        for key, option in options.items():
            variants += [entry(**{key: choice}) for choice in option.choices]
        thresholds = dict.fromkeys(t for variant in variants for t in variant.thresholds)
        controls = dict.fromkeys(c for variant in variants for c in variant.controls)
        words = ", ".join(f"`{k}={'/'.join(map(str, o.choices))}`" for k, o in options.items())
        lines.append(
            f"| `{name}` | {words or '-'} | {', '.join(f'`{c}`' for c in controls)} | "
            f"{', '.join(f'`{t}`' for t in thresholds)} |"
        )
    return "\n".join(lines)


TABLES = {"thresholds": thresholds_table, "systems": systems_table}


def with_table(text: str, name: str, table: str) -> str:
    pattern = rf"(<!-- table: {name} -->\n).*?(<!-- end -->)"
    assert len(re.findall(pattern, text, flags=re.DOTALL)) == 1
    return re.sub(
        pattern, lambda found: found.group(1) + table + "\n" + found.group(2), text, flags=re.DOTALL
    )


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_what_the_code_computes(name):
    text = README.read_text(encoding="utf-8")
    assert with_table(text, name, TABLES[name]()) == text


class Approximately(doctest.OutputChecker):
    """Compare numbers to the digits that the README shows."""

    NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        if super().check_output(want, got, optionflags):
            return True
        wanted, found = self.NUMBER.findall(want), self.NUMBER.findall(got)
        if self.NUMBER.sub("#", want) != self.NUMBER.sub("#", got) or len(wanted) != len(found):
            return False
        digits = [len(text.split(".")[1]) for text in wanted]
        return all(
            abs(float(a) - float(b)) <= 0.51 * 10.0**-d
            for a, b, d in zip(wanted, found, digits, strict=True)
        )


def test_examples_run_as_they_stand():
    text = README.read_text(encoding="utf-8")
    blocks = re.findall(r"^```(python|pycon)\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    assert {kind for kind, _ in blocks} == {"python", "pycon"}
    names: dict = {}
    failures = []
    for k, (kind, block) in enumerate(blocks):
        if kind == "python":
            exec(compile(block, f"README block {k}", "exec"), names)
            continue
        example = doctest.DocTestParser().get_doctest(block, names, f"README block {k}", None, 0)
        runner = doctest.DocTestRunner(checker=Approximately(), optionflags=doctest.ELLIPSIS)
        runner.run(example, out=failures.append, clear_globs=False)
        names = example.globs
    assert not failures, "\n".join(failures)


def test_own_potential_takes_a_dozen_lines():
    text = README.read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    for block, first, most in zip(blocks, ("weights =", "x ="), (12, 15), strict=True):
        declaration = block[block.index(first) :]
        assert len([line for line in declaration.splitlines() if line.strip()]) <= most


def test_shell_lines_name_real_verbs():
    from replica.cli.verbs import app

    text = README.read_text(encoding="utf-8")
    verbs = re.findall(r"^replica (\w+)", text, flags=re.MULTILINE)
    assert len(verbs) >= 8
    assert set(verbs) <= set(app.commands)


if __name__ == "__main__":
    content = README.read_text(encoding="utf-8")
    for key, make in TABLES.items():
        content = with_table(content, key, make())
    README.write_text(content, encoding="utf-8")
