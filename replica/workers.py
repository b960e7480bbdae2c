"""Work shared among processes, and Ctrl-C that neither hangs it nor gets lost."""

from __future__ import annotations

import ctypes
import inspect
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from replica.declarations.numbers import is_whole
from replica.errors import ControlError

__all__ = ["Lost", "Map", "interrupts_kept", "mapper", "positive"]

Map = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]
"""What ``map`` does, here or elsewhere; results may come in any order."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # option numbers in glibc's malloc.h
_IN_FLIGHT = 8  # chunks submitted at a time if the number of workers is not known


@dataclass(frozen=True)
class Lost:
    """In place of a result: whoever computed this chunk died, and died again."""

    chunk: Any


def positive(verb: str, name: str, value: Any) -> int:
    """Return `value` if it is a whole number from 1; `verb` is what complains.

    Examples
    --------
    >>> positive("sweep", "workers", 4)
    4
    """
    if not is_whole(value) or value < 1:
        raise ControlError(f"{verb}: {name} = {value!r:.60} must be a whole number from 1")
    return int(value)


@contextmanager
def mapper(workers: Any, verb: str, preload: str) -> Iterator[tuple[Map, bool]]:
    """Give a map, and whether what it is given may travel to another process.

    Parameters
    ----------
    workers : None, int, or whoever computes elsewhere
        None and 1 are this process. An object with a method ``submit`` (an executor, the client
        of a cluster) is given a few chunks at a time, and a chunk again whose worker died. Else a
        method ``map``, a function like ``map``, or one that calls delayed functions as joblib
        does.
    verb : str
        For whom they work: messages begin with it.
    preload : str
        The module of what is computed, which new processes load before there is work.

    Raises
    ------
    ControlError
        For anything else, and for workers that take no work.

    Examples
    --------
    >>> with mapper(None, "sweep", "replica") as (apply, travels):
    ...     list(apply(abs, [-1, 2])), travels
    ([1, 2], False)
    """
    if workers is None:
        yield map, False
    elif hasattr(workers, "submit"):
        yield _Fed(workers, verb).map, True
    elif hasattr(workers, "map"):
        yield workers.map, True
    elif callable(workers):
        yield (_delayed(workers) if _takes_one_argument(workers) else workers), True
    elif positive(verb, "workers", workers) == 1:
        yield map, False
    else:
        with _processes(int(workers), verb, preload) as apply:
            yield apply, True


def _takes_one_argument(function: Any) -> bool:
    """Tell whether a callable takes delayed calls, and not a function and what to map it over."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    return len([p for p in parameters if p.default is p.empty]) == 1


def _delayed(run: Callable[[Iterable[Any]], Iterable[Any]]) -> Map:
    """Return a map from a function that runs (function, arguments, keywords)."""
    return lambda function, chunks: run((function, (chunk,), {}) for chunk in chunks)


class _Fed:
    """A map that keeps an executor fed with a few chunks, and survives the death of workers.

    Parameters
    ----------
    executor : object with a method ``submit`` whose futures have a method ``result``
    verb : str
        For whom they work: messages begin with it.
    window : int
        Chunks in flight.
    renew : callable, optional
        Returns a new executor where a dead worker has taken the old one with it.
    """

    def __init__(
        self,
        executor: Any,
        verb: str,
        window: int | None = None,
        renew: Callable[[], Any] | None = None,
    ) -> None:
        self._executor, self._verb, self._renew = executor, verb, renew
        known = getattr(executor, "_max_workers", None)
        self._window = window or (2 * known if isinstance(known, int) else _IN_FLIGHT)

    def map(self, function: Callable[[Any], Any], chunks: Iterable[Any]) -> Iterator[Any]:
        """Yield the results; one of class Lost for a chunk whose worker died twice."""
        running: deque[tuple[Any, Any]] = deque()
        waiting = iter(chunks)
        # chunks in flight when a worker died: one of them may have killed it
        suspects: deque[Any] = deque()
        while True:
            while not suspects and len(running) < self._window:
                chunk = next(waiting, None)
                if chunk is None:
                    break
                running.append((self._submitted(function, chunk), chunk))
            if suspects and not running:
                chunk = suspects.popleft()
                again = self._ended(self._submitted(function, chunk, 2))
                if again is None:
                    self._renewed()
                    yield Lost(chunk)
                else:
                    yield again[0]
                continue
            if not running:
                return
            future, chunk = running.popleft()
            ended = self._ended(future)
            if ended is not None:
                yield ended[0]
                continue
            suspects.append(chunk)
            for other, also in running:  # results that were ready before the death are kept
                kept = self._ended(other) if self._renew is None or other.done() else None
                if kept is None:
                    suspects.append(also)
                else:
                    yield kept[0]
            running.clear()
            self._renewed()

    def _submitted(self, function: Callable[[Any], Any], chunk: Any, attempt: int = 1) -> Any:
        try:
            with _interrupts_wait():  # submit may start a process, which inherits the signal mask
                # `attempt` tells calls apart: a cluster may answer an equal call from its cache
                return self._executor.submit(_guarded, function, attempt, chunk)
        except BrokenExecutor as error:  # a worker died before this chunk was handed over
            died: Future[Any] = Future()
            died.set_exception(error)
            return died
        except Exception as error:
            raise ControlError(
                f"{self._verb}: the workers take no work, they may be closed: "
                f"{type(error).__name__}: {error}"
            ) from None

    @staticmethod
    def _ended(future: Any) -> tuple[Any] | None:
        """Return the result in a tuple, None where whoever computed it died."""
        try:
            result, error = future.result()
        except Exception:  # errors of the function itself come back as values
            return None
        if error is not None:
            raise error
        return (result,)

    def _renewed(self) -> None:
        if self._renew is not None:
            self._executor = self._renew()


def _guarded(
    function: Callable[[Any], Any], attempt: int, chunk: Any
) -> tuple[Any, Exception | None]:
    """Return a function's result and its error; what escapes from here is a dead worker."""
    _keep_memory()
    try:
        return function(chunk), None
    except Exception as error:
        return None, error


@lru_cache(maxsize=1)
def _keep_memory() -> None:
    """Let a worker keep the memory of its arrays from one step to the next.

    Dask tells the allocator of its workers to return every array to the system at once; arrays of
    256 kB are then mapped and cleared anew for each operation, which takes as long as computing.
    """
    if not os.environ.get("MALLOC_TRIM_THRESHOLD_"):
        return
    try:
        tune = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return  # not glibc: its allocator has no such settings
    for setting, size in ((_MMAP_THRESHOLD, 2**22), (_TRIM_THRESHOLD, 2**26)):
        tune(setting, size)


@contextmanager
def _processes(workers: int, verb: str, preload: str) -> Iterator[Map]:
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    # never a plain fork: its copy would wait for locks of threads that it does not have
    method = {"forkserver", "spawn"} & set(multiprocessing.get_all_start_methods())
    context = multiprocessing.get_context(min(method))
    context.set_forkserver_preload([preload])
    pools: list[ProcessPoolExecutor] = []

    def renew() -> ProcessPoolExecutor:
        for old in pools:
            old.shutdown(wait=True, cancel_futures=True)
        pools[:] = [
            ProcessPoolExecutor(workers, mp_context=context, initializer=_ignore_interrupts)
        ]
        return pools[0]

    try:
        yield _Fed(renew(), verb, 2 * workers, renew).map
    finally:
        pools[0].shutdown(wait=True, cancel_futures=True)


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
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # only the parent process handles Ctrl-C


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

        resource_tracker.ensure_running()  # started later, it would lift the mask that is set here
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        if masks:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if before is not None:  # None: a handler from outside Python, which cannot be restored
            signal.signal(signal.SIGINT, before)
    if pressed:
        raise KeyboardInterrupt
