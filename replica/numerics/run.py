"""Jobs of a pass over the nodes, in threads where there are many, and the shapes of arrays."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from replica.numerics.quadrature import Rule

__all__ = ["CHUNK", "Job", "full", "run"]

Array = NDArray[np.float64]
Job = tuple[NDArray[np.intp], Callable[[], Rule]]
"""Points that share a rule, and the rule, which is laid out when its turn comes."""

CHUNK = 2**15
"""Nodes held at once by one temporary: few enough for the cache, and a bound on the memory."""

_THREADED_JOBS = 8  # jobs from which on threads are used


def full(value: Any, shape: tuple[int, ...]) -> Array:
    """Return `value` in this shape; numpy's own broadcast is slow where there is nothing to do."""
    array = np.asarray(value, dtype=float)
    return array if array.shape == shape else np.broadcast_to(array, shape)


def run(work: Callable[[Job], None], jobs: list[Job]) -> None:
    """Do all jobs; many go to threads, since numpy works outside the interpreter's lock."""
    if len(jobs) < _THREADED_JOBS or threading.current_thread() is not threading.main_thread():
        for job in jobs:
            work(job)
    else:
        for _ in _pool().map(work, jobs):
            pass


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=min(os.cpu_count() or 1, 8))


if hasattr(os, "register_at_fork"):  # a forked process has no threads and needs a pool of its own
    os.register_at_fork(after_in_child=_pool.cache_clear)
