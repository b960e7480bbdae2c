"""Interruption, checkpoints and resume."""

from __future__ import annotations

import contextlib
import pickle
import signal

import numpy as np
import pytest
from grids.points import BINARY, SPHERICAL, same

import replica as rp
from replica.grids import run as run_module
from replica.grids.run import sweep


class Stopped:
    """Progress that presses Ctrl-C after some points, and counts what is computed."""

    def __init__(self, after):
        self.after = after
        self.calls = 0

    def __call__(self, done, total):
        self.calls += 1
        if done >= self.after:
            raise KeyboardInterrupt


@pytest.mark.parametrize("quantity", [None, "alpha_G"])
def test_resume_computes_only_what_is_missing(tmp_path, quantity):
    path = tmp_path / "grid.npz"
    name = "kappa" if quantity else "alpha"
    controls = {name: np.linspace(0.1, 0.9, 10), "chunk": 3}
    with pytest.raises(KeyboardInterrupt):
        sweep(BINARY, quantity, path=path, progress=Stopped(5), **controls)
    assert [p.name for p in tmp_path.iterdir()] == ["grid.npz"]
    with np.load(path, allow_pickle=False) as file:
        assert file["done"].sum() in (5, 6)
    seen = []
    made = sweep(
        BINARY, quantity, path=path, resume=True, progress=lambda *n: seen.append(n), **controls
    )
    assert seen[0][0] in (6, 9)
    same(made, sweep(BINARY, quantity, **controls))
    again = Stopped(0)
    same(made, sweep(BINARY, quantity, path=path, resume=True, progress=again, **controls))
    assert again.calls == 0


def test_an_interrupt_that_was_swallowed_still_stops(monkeypatch):
    calls = []
    thresholds = run_module.thresholds

    def swallowing(formula, name, points):
        calls.extend(point["kappa"] for point in points)
        with contextlib.suppress(KeyboardInterrupt):  # as C code of numpy does
            signal.raise_signal(signal.SIGINT)
        return thresholds(formula, name, points)

    monkeypatch.setattr(run_module, "thresholds", swallowing)
    monkeypatch.setattr(run_module, "_AT_ONCE", 1)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        sweep(SPHERICAL, "alpha_G", kappa=[0, 1, 2])
    assert calls == [0]
    assert signal.getsignal(signal.SIGINT) is handler


def test_resume_without_a_checkpoint_starts(tmp_path):
    path = tmp_path / "grid.npz"
    assert sweep(BINARY, alpha=[0.5], path=path, resume=True).converged.all()
    assert path.exists()


def test_a_checkpoint_is_not_overwritten(tmp_path):
    path = tmp_path / "grid.npz"
    sweep(BINARY, alpha=[0.5], path=path)
    before = path.read_bytes()
    with pytest.raises(rp.ControlError, match="exists"):
        sweep(BINARY, alpha=[0.6], path=path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"alpha": [0.5, 0.7]}, "controls"),
        ({"alpha": [0.5]}, "controls"),
        ({"alpha": [0.5, 0.6], "kappa": 0.1}, "controls"),
        ({"alpha": [0.5, 0.6], "tolerance": 1e-8}, "settings"),
        ({"alpha": [0.5, 0.6], "quantity": "q"}, "quantity"),
        ({"alpha": [0.5, 0.6], "formula": SPHERICAL}, "formula"),
    ],
)
def test_a_checkpoint_of_another_sweep_is_refused(tmp_path, changed, said):
    path = tmp_path / "grid.npz"
    sweep(BINARY, alpha=[0.5, 0.6], path=path)
    formula = changed.pop("formula", BINARY)
    with pytest.raises(rp.ControlError, match=rf"another sweep.*{said}"):
        sweep(formula, path=path, resume=True, **changed)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"text", pickle.dumps({"done": 1})])
def test_a_foreign_file_is_refused(tmp_path, content):
    path = tmp_path / "grid.npz"
    path.write_bytes(content)
    with pytest.raises(rp.ControlError, match="not a checkpoint"):
        sweep(BINARY, alpha=[0.5], path=path, resume=True)
    assert path.read_bytes() == content


def test_a_checkpoint_with_a_pickle_is_refused(tmp_path):
    path = tmp_path / "grid.npz"
    np.savez(path, identity=np.array([{"a": 1}], dtype=object), table=np.zeros(1))
    with pytest.raises(rp.ControlError, match="not a checkpoint"):
        sweep(BINARY, alpha=[0.5], path=path, resume=True)
