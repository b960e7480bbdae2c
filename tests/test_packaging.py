"""What is installed, what it imports, and how a third party adds formulas and blocks."""

from __future__ import annotations

import ast
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import tarfile
import textwrap
import tomllib
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
FORMULA_FILES = sorted((ROOT / "formulas").glob("*.py"))
BIBLIOGRAPHY = ROOT / "formulas" / "references.bib"


def run_python(*arguments, path=(), cwd=None, flags=()):
    """Run this interpreter, `path` first on its import path, and return the finished process."""
    environment = dict(os.environ)
    environment["PYTHONPATH"] = os.pathsep.join(map(str, path))
    return subprocess.run(
        [sys.executable, *flags, *map(str, arguments)],
        env=environment,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def checked(process):
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout


# ---------------------------------------------------------------- what is installed


def test_packages_are_the_folders():
    def folders(top, package):
        return {
            ".".join((package, *path.parent.relative_to(ROOT / top).parts))
            for path in (ROOT / top).rglob("*.py")
        }

    listed = PROJECT["tool"]["setuptools"]["packages"]
    assert len(listed) == len(set(listed))
    assert set(listed) == folders("replica", "replica") | folders("formulas", "replica_formulas")


def test_every_package_has_its_front_page():
    for top in ("replica", "formulas"):
        for path in (ROOT / top).rglob("*.py"):
            assert (path.parent / "__init__.py").is_file(), f"{path.parent} has no __init__.py"


def test_package_data_exists():
    places = PROJECT["tool"]["setuptools"]["package-dir"]
    for package, names in PROJECT["tool"]["setuptools"]["package-data"].items():
        for name in names:
            assert (ROOT / places[package] / name).is_file()


def test_installed_version_is_that_of_the_checkout():
    assert version("replica-theory") == PROJECT["project"]["version"]


def test_all_and_test_hold_the_other_extras():
    extras = PROJECT["project"]["optional-dependencies"]
    (included,) = re.findall(r"replica-theory\[(.*)\]", *extras["all"])
    assert set(included.split(",")) == extras.keys() - {"all", "test"}
    assert "replica-theory[all]" in extras["test"]


def test_imports_are_declared_dependencies():
    def names(requirements):
        return {re.split(r"[^\w-]", line)[0] for line in requirements}

    extras = PROJECT["project"]["optional-dependencies"]
    declared = names(PROJECT["project"]["dependencies"]) | names(extras["plot"] + extras["grids"])
    ours = {"replica", "replica_formulas"}
    for top in ("replica", "formulas"):
        for path in (ROOT / top).rglob("*.py"):
            undeclared = top_level_imports(path) - declared - ours - sys.stdlib_module_names
            assert not undeclared, f"{path} imports {undeclared}"


def top_level_imports(path):
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.slow
def test_wheel_sdist_and_editable_hold_the_formulas(tmp_path):
    """All three ways to install, built offline from a copy that holds only what git would."""
    source = tmp_path / "source"
    shutil.copytree(
        ROOT,
        source,
        ignore=shutil.ignore_patterns(
            ".*", "build", "dist", "*.egg-info", "__pycache__", "tests", "notebooks"
        ),
    )
    build = """
        import sys
        from setuptools import build_meta
        print(getattr(build_meta, sys.argv[1])(sys.argv[2]))
    """

    def built(hook, where):
        destination = tmp_path / hook
        destination.mkdir(exist_ok=True)
        output = checked(run_python("-c", textwrap.dedent(build), hook, destination, cwd=where))
        return destination / output.splitlines()[-1]

    expected = {"replica/py.typed", "replica_formulas/references.bib"}
    expected |= {f"replica_formulas/{path.name}" for path in FORMULA_FILES}
    for path in (ROOT / "replica").rglob("*.py"):
        expected.add(path.relative_to(ROOT).as_posix())

    def packaged(wheel):
        with zipfile.ZipFile(wheel) as archive:
            names = set(archive.namelist())
        assert any(name.endswith("licenses/LICENSE") for name in names)
        return {name for name in names if ".dist-info/" not in name}

    assert packaged(built("build_wheel", source)) == expected

    with tarfile.open(built("build_sdist", source)) as archive:
        safely = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # from 3.11.4
        archive.extractall(tmp_path / "unpacked", **safely)
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    shutil.rmtree(tmp_path / "build_wheel")
    assert packaged(built("build_wheel", unpacked)) == expected

    with zipfile.ZipFile(built("build_editable", source)) as archive:
        archive.extractall(tmp_path / "site")
    find = """
        import importlib.util, site, sys
        site.addsitedir(sys.argv[1])
        for name in ("replica", "replica_formulas"):
            print(importlib.util.find_spec(name).origin)
    """
    # Isolated and without site-packages, where another install of this project may lie.
    found = checked(
        run_python("-c", textwrap.dedent(find), tmp_path / "site", cwd=tmp_path, flags=("-I", "-S"))
    )
    assert [Path(line) for line in found.splitlines()] == [
        source / "replica" / "__init__.py",
        source / "formulas" / "__init__.py",
    ]


# ---------------------------------------------------------------- what an import costs


def test_importing_the_package_leaves_the_extras_alone():
    heavy = ["matplotlib", "xarray", "pandas", "h5netcdf", "click", "rich", "replica_formulas"]
    code = f"import replica, sys, json; print(json.dumps([m for m in {heavy} if m in sys.modules]))"
    assert json.loads(checked(run_python("-c", code))) == []


# ---------------------------------------------------------------- citations


def bibliography():
    """Return the fields of every entry of references.bib, by key."""
    text = BIBLIOGRAPHY.read_text(encoding="utf-8")
    entries = {}
    for entry in re.split(r"^@", text, flags=re.MULTILINE)[1:]:
        head = re.match(r"(\w+)\{\s*([^,\s]+)\s*,", entry)
        assert head, f"not an entry: @{entry[:60]}"
        key = head[2]
        assert key not in entries, f"{key} stands twice in references.bib"
        fields = re.findall(r"^\s*(\w+)\s*=\s*[{\"]?(.*?)[}\"]?,?\s*$", entry, flags=re.MULTILINE)
        entries[key] = {name.lower(): value for name, value in fields}
    return entries


def test_every_reference_can_be_found():
    entries = bibliography()
    assert entries
    for key, fields in entries.items():
        assert re.fullmatch(r"[a-z]+\d{4}[a-z]?", key), f"{key} is not authorYEAR"
        assert {"author", "title", "year"} <= fields.keys(), key
        assert fields.keys() & {"doi", "eprint"}, f"{key} has neither doi nor eprint"
        assert re.fullmatch(r"10\.\d{4,}/\S+", fields.get("doi", "10.0000/x")), key
        eprint = fields.get("eprint", "0000.0000")
        assert re.fullmatch(r"\d{4}\.\d{4,5}|[a-z-]+(\.[A-Z]{2})?/\d{7}", eprint), key


def written_citations(path):
    """Return the keys a file gives as `cite=` or `cites=`, under whatever options."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.keyword) and node.arg in ("cite", "cites"):
            for leaf in ast.walk(node.value):
                if isinstance(leaf, ast.Constant) and isinstance(leaf.value, str):
                    yield leaf.value


@pytest.mark.parametrize("path", FORMULA_FILES, ids=lambda path: path.stem)
def test_citations_written_in_a_formula_exist(path):
    assert set(written_citations(path)) - bibliography().keys() == set()


def test_citations_of_the_listed_formulas_exist():
    import replica as rp

    known = bibliography().keys()
    assert rp.formulas
    for name in rp.formulas:
        formula = rp.formulas[name]
        if isinstance(formula, rp.Family):
            formula = formula()
        keys = {*formula.cites, *(published.cite for published in formula.published)}
        assert keys, f"{name} cites nothing"
        assert keys - known == set(), name


# ---------------------------------------------------------------- third-party formulas and blocks

PLUGIN_PROJECT = """
    [build-system]
    requires = ["setuptools"]
    build-backend = "setuptools.build_meta"

    [project]
    name = "third-party-formulas"
    version = "1.0"

    [project.entry-points."replica.formulas"]
    third-party-module = "third_party"
    third-party-object = "third_party:LONE"
    third-party-broken = "third_party_broken"
    third-party-absent = "third_party_absent"
    third-party-alien = "third_party:NOT_A_FORMULA"

    [tool.setuptools]
    py-modules = ["third_party", "third_party_broken"]
"""

BLOCKS_PROJECT = """
    [build-system]
    requires = ["setuptools"]
    build-backend = "setuptools.build_meta"

    [project]
    name = "third-party-blocks"
    version = "1.0"

    [project.entry-points."replica.blocks"]
    third-party-blocks = "third_party_blocks"
    third-party-block = "third_party_blocks:SHALLOW"
    third-party-taken = "third_party_blocks:TAKEN"
    third-party-no-block = "third_party_blocks:NOT_A_BLOCK"
    third-party-broken-block = "third_party_broken"

    [tool.setuptools]
    py-modules = ["third_party_blocks", "third_party_broken"]
"""

BLOCKS_MODULE = """
    from replica import Discrete, DiscreteChannel, Loss
    from replica.blocks.losses import ConvexLoss
    from dataclasses import replace
    from sympy import Heaviside, Max, Rational, symbols

    z, y, u = symbols("z y u", real=True)
    flips = {s: Rational(9, 10) * Heaviside(s * z) + Heaviside(-s * z) / 10 for s in (-1, 1)}
    ternary = replace(Discrete([-1, 0, 1], [0.25, 0.5, 0.25]), name="ternary")
    BLOCKS = (ternary, DiscreteChannel(flips, z, name="flipped-sign"))
    SHALLOW = Loss(Max(0, 1 - y * u) ** 2, y=y, u=u, name="squared-hinge")
    TAKEN = replace(ternary, name="gaussian")
    NOT_A_BLOCK = 1
"""

PLUGIN_MODULE = """
    from typing import Literal

    from replica import Family, Formula, LogCosh, LogH, Mean, Root
    from sympy import Interval, log, oo, sqrt, symbols

    alpha, h, u = symbols("alpha h u", real=True)
    q, qhat = symbols("q qhat", nonnegative=True)

    def perceptron(choice: Literal["a", "b"] = "a"):
        weights = log(2) + Mean(LogCosh(h), (h, qhat)) - (1 - q) * qhat / 2
        return Formula(
            name=f"third-party-{choice}",
            title="Perceptron from elsewhere",
            potential=weights + alpha * Mean(LogH(-u / sqrt(1 - q)), (u, q)),
            overlaps={q: Interval.Ropen(0, 1)},
            conjugates={q: qhat},
            controls={alpha: (Interval.open(0, oo), None)},
            thresholds={"alpha_G": Root("potential", in_=alpha)},
        )

    FORMULAS = (
        perceptron("formula"),
        Family("third-party-family", "A family", perceptron),
    )
    LONE = perceptron("lone")
    NOT_A_FORMULA = 1
"""


def install(folder, project, **modules):
    """Install a package, one of its modules broken, in a folder of its own; no network."""
    source, installed = folder / "source", folder / "installed"
    source.mkdir()
    (source / "pyproject.toml").write_text(textwrap.dedent(project))
    for name, code in modules.items():
        (source / f"{name}.py").write_text(textwrap.dedent(code))
    (source / "third_party_broken.py").write_text("raise RuntimeError('broken on purpose')\n")
    offline = ["--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    checked(run_python("-m", "pip", "install", *offline, "--target", installed, source))
    return installed


@pytest.fixture(scope="module")
def third_party(tmp_path_factory):
    """Return where formulas of a third party are installed, some of them broken."""
    return install(tmp_path_factory.mktemp("formulas"), PLUGIN_PROJECT, third_party=PLUGIN_MODULE)


@pytest.fixture(scope="module")
def third_party_blocks(tmp_path_factory):
    """Return where blocks of a third party are installed, some of them broken."""
    folder = tmp_path_factory.mktemp("blocks")
    return install(folder, BLOCKS_PROJECT, third_party_blocks=BLOCKS_MODULE)


def test_third_party_formulas_are_found(third_party):
    code = """
        import json, replica as rp
        member = rp.formulas["third-party-family"](choice="b")
        lone = rp.formulas["third-party-lone"]
        capacity = float(rp.threshold(lone, "alpha_G"))
        print(json.dumps([list(rp.formulas), member.name, lone.title, capacity]))
    """
    process = run_python("-c", textwrap.dedent(code), path=[third_party])
    names, member, title, capacity = json.loads(checked(process))
    ours = {"third-party-formula", "third-party-family", "third-party-lone"}
    assert ours | {"binary-perceptron"} <= set(names)
    assert member == "third-party-b"
    assert title == "Perceptron from elsewhere"
    assert capacity == pytest.approx(0.833078599739579, abs=1e-12)  # Krauth-Mezard


def test_broken_third_party_formulas_are_named_and_break_nothing(third_party):
    code = """
        import json, warnings, replica as rp
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            names = list(rp.formulas)
        print(json.dumps([names, [str(warning.message) for warning in caught]]))
    """
    process = run_python("-c", textwrap.dedent(code), path=[third_party])
    names, messages = json.loads(checked(process))
    assert {"third-party-formula", "binary-perceptron"} <= set(names)
    for broken in ("third-party-broken", "third-party-absent", "third-party-alien"):
        assert sum(broken in message for message in messages) == 1, messages
        assert broken not in names
    assert len(messages) == 3


@pytest.mark.slow
def test_command_line_lists_third_party_formulas(third_party):
    command = "import sys; from replica.cli.main import main; sys.exit(main())"
    process = run_python("-c", command, "list", path=[third_party])
    listed = checked(process)
    assert "third-party-formula" in listed
    assert "binary-perceptron" in listed
    assert "third-party-broken" in process.stderr
    assert "Traceback" not in process.stderr


@pytest.mark.slow
def test_third_party_blocks_are_choices_of_every_family(third_party_blocks):
    code = """
        import json, replica as rp
        glm, risk = rp.formulas["bayes-optimal-glm"], rp.formulas["empirical-risk"]
        named = glm(prior="ternary", channel="flipped-sign")
        gap = rp.solve(named, alpha=1).D
        choices = [glm.options["prior"].choices, risk.options["teacher"].choices]
        print(json.dumps([*choices, named.title, str(risk(loss="squared-hinge").title), gap]))
    """
    process = run_python(
        "-c", textwrap.dedent(code), path=[third_party_blocks], flags=("-Wignore",)
    )
    priors, teachers, title, risk, gap = json.loads(checked(process))
    assert priors[-1] == "ternary"
    assert {"sign", "flipped-sign"} <= set(teachers)
    assert "ternary prior, flipped-sign channel" in title
    assert "squared-hinge loss" in risk
    assert 0 < gap < 0.5


def test_broken_third_party_blocks_are_named_and_break_nothing(third_party_blocks):
    code = """
        import json, warnings, replica as rp
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            names = list(rp.Prior.shipped)
        print(json.dumps([names, [str(warning.message) for warning in caught]]))
    """
    process = run_python("-c", textwrap.dedent(code), path=[third_party_blocks])
    names, messages = json.loads(checked(process))
    assert {"gaussian", "ternary"} <= set(names)
    for broken, reason in (
        ("third-party-taken", "the prior 'gaussian' is taken by replica"),
        ("third-party-no-block", "1 is no block"),
        ("third-party-broken-block", "broken on purpose"),
    ):
        (message,) = (message for message in messages if repr(broken) in message)
        assert reason in message
    assert len(messages) == 3


@pytest.mark.slow
def test_command_line_takes_third_party_blocks(third_party_blocks):
    command = "import sys; from replica.cli.main import main; sys.exit(main())"
    words = "solve bayes-optimal-glm prior=ternary channel=flipped-sign alpha=1 --json".split()
    process = run_python("-c", command, *words, path=[third_party_blocks], flags=("-Wignore",))
    solved = json.loads(checked(process))
    assert solved["options"] == {"prior": "ternary", "channel": "flipped-sign"}
    assert solved["status"] == "converged"


# ---------------------------------------------------------------- the README's two commands

GOOD = """\
# Title
<!-- command: constants -->
```bash
pip install . && replica constants
```

<!-- command: tests -->

```bash
pip install '.[test]' && pytest
```
"""


@pytest.fixture(scope="module")
def readme_commands():
    return runpy.run_path(str(ROOT / ".ci" / "readme_commands.py"))


def test_readme_promises_its_two_commands(readme_commands):
    commands = readme_commands["read_commands"]((ROOT / "README.md").read_text(encoding="utf-8"))
    assert "replica constants" in commands["constants"]
    assert "pytest" in commands["tests"]


def test_readme_commands_are_read_as_they_stand(readme_commands):
    assert readme_commands["read_commands"](GOOD) == {
        "constants": "pip install . && replica constants",
        "tests": "pip install '.[test]' && pytest",
    }


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("<!-- command: tests -->", "", "no <!-- command: tests -->"),
        ("command: tests", "command: constants", "'constants' stands twice"),
        ("command: tests", "command: test", "unknown command 'test'"),
        ("pip install '.[test]' && pytest\n", "", "'tests' is empty"),
        ("pytest\n```", "pytest", "not closed"),
        ("-->\n\n```bash", "-->\n\n```python", "not ```bash"),
        ("-->\n\n", "-->\nSome words first.\n", "no block follows the marker 'tests'"),
        (GOOD[GOOD.index("\n\n```bash") :], "", "no block follows the marker 'tests'"),
        ("```bash\npip install .", "<!-- command: tests -->\n```bash\npip install .", "no block"),
    ],
)
def test_readme_that_breaks_its_promise_is_an_error(readme_commands, old, new, complaint):
    assert old in GOOD
    broken = GOOD.replace(old, new)
    with pytest.raises(readme_commands["ReadmeError"], match=re.escape(complaint)):
        readme_commands["read_commands"](broken)


def test_markers_inside_other_blocks_are_text(readme_commands):
    quoted = GOOD + "\n````markdown\n<!-- command: tests -->\n```bash\nno\n```\n````\n"
    read = readme_commands["read_commands"]
    assert read(quoted) == read(GOOD)
