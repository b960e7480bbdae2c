"""Work shared among processes, and Ctrl-C that neither hangs it nor gets lost."""

from __future__ import annotations

import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from replica.errors import ControlError, ConvergenceError

__all__ = ["Map", "interrupts_kept", "mapper", "positive"]

Map = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]
"""What ``map`` does, here or elsewhere."""


def positive(name: str, value: Any) -> int:
    """Return `value` if it is a whole number from 1."""
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or value < 1:
        raise ControlError(f"sweep: {name} = {value!r:.60} must be a whole number from 1")
    return int(value)


@contextmanager
def mapper(workers: Any) -> Iterator[tuple[Map, bool]]:
    """Give a map, and whether what it is given may travel to another process.

    Parameters
    ----------
    workers : None, int, map-like or object with a method ``map``
        None and 1 are this process.

    Raises
    ------
    ControlError
        For anything else.
    ConvergenceError
        A process died.
    """
    if workers is None:
        yield map, False
    elif hasattr(workers, "map"):
        yield workers.map, True
    elif callable(workers):
        yield workers, True
    elif positive("workers", workers) == 1:
        yield map, False
    else:
        with _processes(int(workers)) as apply:
            yield apply, True


@contextmanager
def _processes(workers: int) -> Iterator[Map]:
    import multiprocessing
    from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor

    # never a plain fork: this process may have threads, which a copy of it would wait for
    method = {"forkserver", "spawn"} & set(multiprocessing.get_all_start_methods())
    context = multiprocessing.get_context(min(method))
    context.set_forkserver_preload(["replica.sweep"])
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_ignore_interrupts)

    def apply(function: Callable[[Any], Any], chunks: Iterable[Any]) -> Iterator[Any]:
        running: deque[Future[Any]] = deque()
        for chunk in chunks:
            with _interrupts_wait():  # this may start a process, which inherits that
                running.append(pool.submit(function, chunk))
            if len(running) > 2 * workers:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()

    try:
        yield apply
    except BrokenExecutor:
        raise ConvergenceError(
            "a worker process died: in a script, call sweep under `if __name__ == '__main__':`; "
            "if memory is short, use fewer workers or a smaller chunk"
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def interrupts_kept() -> Iterator[Callable[[], None]]:
    """Give a check that raises KeyboardInterrupt if Ctrl-C was pressed and then lost.

    One exception in a hundred gets lost here: C code of numpy clears what an attribute look-up
    raises, whatever it is.
    """
    pressed: list[int] = []

    def note(number: int, frame: Any) -> None:
        pressed.append(number)
        raise KeyboardInterrupt

    def check() -> None:
        if pressed:
            raise KeyboardInterrupt

    ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not ours or threading.current_thread() is not threading.main_thread():
        yield check
        return
    signal.signal(signal.SIGINT, note)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent


@contextmanager
def _interrupts_wait() -> Iterator[None]:
    """Hold Ctrl-C back: a process that it meets while it starts prints a traceback or hangs."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Python interrupts the main thread only
        return
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: pressed.append(number))
    masks = hasattr(signal, "pthread_sigmask")
    if masks:  # a new process inherits the mask
        from multiprocessing import resource_tracker

        resource_tracker.ensure_running()  # otherwise started below, where it lifts the mask
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        if masks:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if before is not None:  # not ours to restore: installed from outside Python
            signal.signal(signal.SIGINT, before)
    if pressed:
        raise KeyboardInterrupt
