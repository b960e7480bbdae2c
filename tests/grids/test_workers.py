"""Whoever computes: processes, executors, maps, and their deaths."""

from __future__ import annotations

import os
import pickle
import signal
import warnings
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial

import numpy as np
import pytest
from grids.points import BINARY, SPHERICAL, same

import replica as rp
from replica.grids.run import sweep


def test_two_processes_give_the_same_numbers():
    controls = {"alpha": np.linspace(0.1, 1.4, 40), "progress": False}
    same(sweep(BINARY, workers=2, chunk=5, **controls), sweep(BINARY, chunk=5, **controls))
    same(
        sweep(SPHERICAL, "alpha_G", workers=2, kappa=[-1, 0, 1]),
        sweep(SPHERICAL, "alpha_G", kappa=[-1, 0, 1]),
    )


def test_any_map_or_executor_works():
    expected = sweep(SPHERICAL, "alpha_G", kappa=[-1, 0, 1])
    same(sweep(SPHERICAL, "alpha_G", workers=map, kappa=[-1, 0, 1]), expected)
    with ThreadPoolExecutor(2) as pool:
        same(sweep(SPHERICAL, "alpha_G", workers=pool, kappa=[-1, 0, 1]), expected)

    def travelling(function, chunks):  # what a cluster does
        for chunk in chunks:
            yield function(pickle.loads(pickle.dumps(chunk)))

    same(sweep(SPHERICAL, "alpha_G", workers=travelling, kappa=[-1, 0, 1]), expected)


def test_progress_counts_points():
    seen = []
    sweep(
        BINARY,
        alpha=np.linspace(0.1, 1, 10),
        chunk=4,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(4, 10), (8, 10), (10, 10)]


def test_a_worker_that_dies_is_reported(monkeypatch):
    monkeypatch.setattr("replica.workers._ignore_interrupts", partial(os._exit, 1))
    with pytest.raises(rp.ConvergenceError, match="worker process died"):
        sweep(BINARY, alpha=[0.2, 0.4], workers=2)


def test_a_worker_that_dies_before_a_chunk_is_handed_over_is_reported():
    class Broken:
        _max_workers = 2

        def submit(self, *arguments):
            raise BrokenProcessPool("a child died")

    with pytest.raises(rp.ConvergenceError, match="worker process died"):
        sweep(BINARY, alpha=[0.2, 0.4], workers=Broken(), chunk=1)


def test_processes_start_although_this_one_has_threads():
    alpha = np.linspace(0.1, 1.2, 4000)  # enough points for the threads of the kernels
    expected = sweep(BINARY, alpha=alpha, chunk=500)
    same(sweep(BINARY, alpha=alpha, chunk=500, workers=2), expected)


def elsewhere(**more):
    return rp.sweep(BINARY, ["q", "entropy"], alpha=np.linspace(0.1, 0.6, 12), chunk=2, **more)


def test_any_executor_and_any_map_computes_the_same():
    """Threads by `submit`, joblib by delayed calls, a map that returns in another order."""
    joblib = pytest.importorskip("joblib")
    here = elsewhere()
    with ThreadPoolExecutor(2) as threads:
        found = [elsewhere(workers=threads)]
    found.append(elsewhere(workers=joblib.Parallel(n_jobs=2, backend="threading")))
    found.append(elsewhere(workers=lambda f, chunks: reversed([f(c) for c in chunks])))
    for other in found:
        np.testing.assert_array_equal(other["q"], here["q"])
        assert other.converged.all()


def test_an_executor_is_fed_a_few_chunks_at_a_time():
    flying, most = [], []

    class Watched(ThreadPoolExecutor):
        def submit(self, *arguments):
            future = super().submit(*arguments)
            flying.append(future)
            most.append(sum(not f.done() for f in flying))
            return future

    with Watched(1) as threads:
        elsewhere(workers=threads, progress=False)
    assert max(most) <= 3


@pytest.mark.parametrize(
    "broken",
    [
        lambda f, chunks: [f(c) for c in chunks][:-1],
        lambda f, chunks: [f(c) for c in list(chunks)[:1]] * 6,
        lambda f, chunks: [None for _ in chunks],
    ],
)
def test_a_map_that_loses_or_repeats_results_is_an_error(broken, tmp_path):
    with pytest.raises(rp.ConvergenceError, match="a map must return one result for each"):
        elsewhere(workers=broken)


def test_workers_that_are_closed_are_an_error():
    threads = ThreadPoolExecutor(1)
    threads.shutdown()
    with pytest.raises(rp.ControlError, match="take no work, they may be closed"):
        elsewhere(workers=threads)


class Dies:
    """An executor in this thread, whose worker dies of some chunks."""

    def __init__(self, begins, times):
        self.left = {begin: times for begin in begins}

    def submit(self, function, *arguments):
        from concurrent.futures import Future

        future, begin = Future(), arguments[-1].begin
        if self.left.get(begin, 0):
            self.left[begin] -= 1
            future.set_exception(RuntimeError("the worker was killed"))
        else:
            future.set_result(function(*arguments))
        return future


def test_a_worker_that_dies_loses_nothing():
    np.testing.assert_array_equal(elsewhere(workers=Dies([4], 1))["q"], elsewhere()["q"])


@pytest.mark.parametrize("begin", [0, 4, 10])
def test_a_chunk_that_kills_twice_is_lost_alone_and_resumed(tmp_path, begin):
    path = tmp_path / "points.npz"
    found = elsewhere(workers=Dies([begin], 2), path=path)
    assert found.counts() == {"converged": 10, "lost": 2}
    assert np.isnan(found["q"][begin : begin + 2]).all()
    assert elsewhere(path=path, resume=True).converged.all()


@pytest.mark.slow
def test_a_cluster_computes_and_survives_the_death_of_a_worker():
    """Two real processes of Dask, one of them killed in the middle."""
    distributed = pytest.importorskip("distributed")
    alpha = np.linspace(0.1, 0.6, 4000)
    with (
        warnings.catch_warnings(),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        warnings.simplefilter("ignore")
        pids = list(client.run(os.getpid).values())
        killed = []

        def progress(done, total):
            if not killed and done > 500:
                killed.append(os.kill(pids[0], signal.SIGKILL))

        found = rp.sweep(BINARY, ["q"], alpha=alpha, chunk=200, workers=client, progress=progress)
        by_executor = rp.sweep(
            BINARY, ["q"], alpha=alpha[:400], chunk=200, workers=client.get_executor()
        )
    assert killed
    assert found.converged.all()
    assert by_executor.converged.all()
