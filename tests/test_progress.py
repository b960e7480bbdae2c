"""What is said on a terminal while something takes long."""

from __future__ import annotations

import sys
import time

import pytest

from replica import progress


@pytest.mark.parametrize(("terminal", "seconds"), [(True, 0.3), (True, 0.0), (False, 0.3)])
def test_what_takes_long_is_said_to_go_on(terminal, seconds, monkeypatch, capsys):
    monkeypatch.setattr(progress, "_PATIENCE", 0.05)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    with progress.busy("committee-machine"):
        time.sleep(seconds)
    said = capsys.readouterr()
    assert said.out == ""
    assert ("still computing" in said.err) == (terminal and seconds > 0)


def test_an_error_ends_it(monkeypatch, capsys):
    monkeypatch.setattr(progress, "_PATIENCE", 0.02)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)

    def interrupted():
        with progress.busy("committee-machine"):
            time.sleep(0.2)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    capsys.readouterr()
    time.sleep(0.1)
    assert capsys.readouterr().err == ""


def test_a_bar_appears_on_a_terminal_only(capsys, monkeypatch):
    monkeypatch.setattr(progress, "_PATIENCE", 0)
    monkeypatch.setattr(progress, "_REFRESH", 0)
    with progress.progress_bar("work") as bar:
        bar(1, 2)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    with progress.progress_bar("work") as bar:
        bar(1, 2)
    out, err = capsys.readouterr()
    assert out == ""
    assert "work" in err
    assert "1/2" in err
