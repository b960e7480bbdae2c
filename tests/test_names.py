"""The public names: each is there, under every way of asking for it."""

from __future__ import annotations

import ast
import doctest
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import replica as rp

SOURCE = Path(rp.__file__).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", rp.__all__)
def test_every_public_name_is_there(name):
    assert getattr(rp, name) is not None
    assert name in dir(rp)


def is_function(name):
    return inspect.isfunction(getattr(rp, name))


@pytest.mark.parametrize("name", list(filter(is_function, rp.__all__)))
def test_every_public_function_has_an_example(name):
    found = doctest.DocTestFinder(recurse=False).find(getattr(rp, name), name)
    assert any(test.examples for test in found)  # tests/test_doctests.py runs them


@pytest.mark.parametrize("name", rp.__all__)
def test_every_public_name_says_what_it_is(name):
    assert inspect.getdoc(getattr(rp, name))


def test_a_star_import_brings_them_all():
    found: dict[str, object] = {}
    exec("from replica import *", found)
    assert set(rp.__all__) <= set(found)
    assert found["Relation"] is rp.Relation
    assert callable(found["sweep"])
    assert callable(found["plot"])


def test_type_checkers_see_the_same_names():
    seen = {
        (node.module, name.asname)
        for node in ast.walk(ast.parse(SOURCE))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("replica.")
        for name in node.names
    }
    assert seen == {(module, name) for name, module in rp._HOME.items()}


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nothing_like_that"):
        _ = rp.nothing_like_that


def test_importing_the_package_loads_no_solver():
    code = "import replica, sys; print([m for m in sys.modules if m.startswith('replica.solvers')])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.strip() == "[]"
