"""Every number printed in a docstring is recomputed.

Modules are imported by their installed names: the folder `formulas/` is `replica_formulas`.
"""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def module_names() -> list[str]:
    names = []
    for folder, package in (("replica", "replica"), ("formulas", "replica_formulas")):
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            names.append(".".join((package, *parts)).removesuffix(".__init__"))
    return names


@pytest.mark.parametrize("name", module_names())
def test_docstring_examples_print_what_they_say(name):
    module = importlib.import_module(name)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    outcome = doctest.testmod(module, optionflags=flags)  # prints what differs
    assert outcome.failed == 0
