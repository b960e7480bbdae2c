"""The program as a process: entry point, pipes, Ctrl-C, encodings."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = Path(sys.executable).with_name("replica")
STARTED = (
    "from replica.cli.main import main; import replica.grids.run; "
    "print('ready', flush=True); main()"
)


def finished(*words, **environment):
    return subprocess.run(
        [SCRIPT, *words],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.skipif(not SCRIPT.exists(), reason="the script is not beside the interpreter")
def test_the_installed_script():
    done = finished("threshold", "binary-perceptron", "alpha_G", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["value"] == pytest.approx(0.8330785997395792, abs=1e-14)
    done = finished("threshold", "binary-perceptron", "alpha_Q")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1


def test_a_narrow_encoding_does_not_break_the_output():
    process = subprocess.run(
        [
            sys.executable,
            "-c",
            "from replica.cli.main import main; main()",
            "cite",
            "binary-perceptron",
        ],
        env={**os.environ, "PYTHONIOENCODING": "koi8-r", "PYTHONUTF8": "0"},
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert (process.returncode, process.stderr) == (0, b"")
    assert b"M\\xe9zard" in process.stdout


def test_a_closed_pipe_is_quiet():
    reader, writer = os.pipe()
    os.close(reader)
    with subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from replica.cli.main import main; main()",
            "show",
            "binary-perceptron",
        ],
        stdout=writer,
        stderr=subprocess.PIPE,
    ) as process:
        os.close(writer)
        _, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (141, b"")


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_ctrl_c_leaves_no_half_written_file(tmp_path, workers):
    out = tmp_path / "grid.csv"
    words = ["sweep", "binary-perceptron", "alpha_G", "kappa=-1:1:100000", "--workers", workers]
    with subprocess.Popen(
        [sys.executable, "-c", STARTED, *words, "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        assert process.stdout.readline() == b"ready\n"
        time.sleep(1.5)
        os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to the workers too
        rest, err = process.communicate(timeout=60)
    assert (process.returncode, rest, err.count(b"\n")) == (130, b"", 1)
    assert err.startswith(b"replica: interrupted")
    names = [path.name for path in tmp_path.iterdir()]
    assert names in ([], ["grid.csv.partial.npz"])
