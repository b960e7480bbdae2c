"""Run the program inside this process, and see what a shell would."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from replica.cli.main import run


@dataclass
class Finished:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out, parse_constant=lambda name: pytest.fail(f"{name} in JSON"))


@pytest.fixture
def replica(capfd, monkeypatch):
    """Run ``replica WORDS``; a single text is split at blanks."""
    monkeypatch.setenv("COLUMNS", "80")

    def call(*words: str) -> Finished:
        arguments = words[0].split() if len(words) == 1 else list(words)
        capfd.readouterr()
        code = run(arguments)
        out, err = capfd.readouterr()
        finished = Finished(code, out, err)
        assert code in (0, 1, 2, 130)
        assert "Traceback" not in out + err
        if code not in (0, 1) and "--json" not in arguments:
            assert out == ""
        if code:
            check_one_line(err) if not out else None
        return finished

    return call


def check_one_line(err: str) -> None:
    assert err.count("\n") == 1, err
    assert err.startswith("replica: "), err
    assert "internal error" not in err, err
    assert len(err) < 700


@pytest.fixture
def register(monkeypatch):
    """Put a formula into the registry for one test."""
    from replica.registry import formulas

    def put(formula):
        monkeypatch.setitem(formulas._formulas(), formula.name, formula)
        monkeypatch.setitem(formulas.origins, formula.name, "replica_formulas")

    return put
