"""What is said on a terminal while something takes long; nothing elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["Progress", "busy", "progress_bar"]

Progress = Callable[[int, int], None]
"""Called with (done, total) while long work goes on."""

_PATIENCE = 1.0  # seconds before a bar appears: quick work stays silent
_REFRESH = 0.1


def _on_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


@contextmanager
def busy(title: str) -> Iterator[None]:
    """Say on stderr, if it is a terminal, that what takes longer than a moment goes on."""
    if not _on_terminal():
        yield
        return
    shown: list[Any] = []

    def show() -> None:
        from rich.console import Console

        shown.append(Console(stderr=True).status(f"{title}: still computing, Ctrl-C stops"))
        shown[0].start()

    timer = threading.Timer(_PATIENCE, show)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        for status in shown:
            status.stop()


@contextmanager
def progress_bar(title: str) -> Iterator[Progress]:
    """Give a function that shows progress on stderr if it is a terminal, and else does nothing."""
    if not _on_terminal():
        yield lambda done, total: None
        return
    due = time.monotonic() + _PATIENCE
    bar: Any = None
    task: Any = None

    def report(done: int, total: int) -> None:
        nonlocal bar, task, due
        if time.monotonic() < due:
            return
        due = time.monotonic() + _REFRESH
        if bar is None:
            from rich import progress
            from rich.console import Console

            bar = progress.Progress(
                "{task.description}",
                progress.BarColumn(),
                progress.MofNCompleteColumn(),
                progress.TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
                auto_refresh=False,  # no thread, which worker processes would not survive
            )
            bar.start()
            task = bar.add_task(title)
        bar.update(task, completed=done, total=total, refresh=True)

    try:
        yield report
    finally:
        if bar is not None:
            bar.stop()
