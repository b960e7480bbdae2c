"""Grids: the numbers of single points, with labels; whole files or none."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import pickle
import signal
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest

import replica as rp
from replica.output import progress_bar, whole_file
from replica.solvers.solution import Status
from replica.sweep import LARGEST_GRID, sweep

BINARY = rp.formulas["binary-perceptron"]
SPHERICAL = rp.formulas["spherical-perceptron"]
MODULE = sys.modules["replica.sweep"]  # `replica.sweep` is the function


@pytest.fixture(scope="module")
def grid():
    return sweep(BINARY, kappa=[0.0, 0.5], alpha=[0.2, 0.4, 1.1, 1.4], progress=False)


def same(first, second):
    for name, values in first.data.items():
        np.testing.assert_array_equal(values, second.data[name])
    np.testing.assert_array_equal(first.status, second.status)
    np.testing.assert_array_equal(first.stable, second.stable)


# ---- numbers and labels -------------------------------------------------------------------------


def test_dims_are_the_arrays_in_the_order_given(grid):
    assert grid.dims == ("kappa", "alpha")
    assert grid.shape == (2, 4)
    assert grid.coords["alpha"].tolist() == [0.2, 0.4, 1.1, 1.4]
    assert list(grid.data) == ["q", "qhat", "potential", "entropy", "replicon", "error"]
    assert {values.shape for values in grid.data.values()} == {(2, 4)}
    assert grid.attrs["controls"] == {}


def test_points_are_those_of_solve(grid):
    for i, kappa in enumerate(grid.coords["kappa"]):
        for j, alpha in enumerate(grid.coords["alpha"]):
            single = rp.solve(BINARY, alpha=alpha, kappa=kappa, check=False)
            assert grid.status[i, j] == single.status
            assert grid.validity[i, j] == single.validity
            assert grid.converged[i, j] == single.converged
            for name in ("q", "qhat", "entropy", "replicon"):
                assert grid[name][i, j] == pytest.approx(single[name], rel=1e-9, nan_ok=True)


def test_points_without_saddle_are_nan_with_their_status(grid):
    missing = grid.status == Status.NO_SADDLE
    assert missing[:, -1].all()
    for values in grid.data.values():
        assert np.isnan(values[missing]).all()
        assert np.isfinite(values[~missing]).all()
    assert (grid["error"][~missing] < 1e-8).all()
    assert (grid.validity[missing] == "").all()
    assert grid.counts() == {
        "converged": int((~missing).sum()),
        "no_saddle": int(missing.sum()),
    }


def test_fixed_controls_are_attributes():
    made = sweep(BINARY, alpha=[0.2, 0.4], kappa=0.5)
    assert made.dims == ("alpha",)
    assert made.attrs["controls"] == {"kappa": 0.5}
    assert made.attrs["units"] == "nats per weight"
    assert made.attrs["version"] == rp.__version__
    assert "krauth1989" in made.attrs["cites"]
    default = sweep(BINARY, alpha=[0.2, 0.4])
    assert default.attrs["controls"] == {"kappa": 0.0}


@pytest.mark.parametrize("form", [list, tuple, np.array])
def test_arrays_of_any_kind(form):
    assert sweep(BINARY, alpha=form([0.2, 0.4])).shape == (2,)
    assert sweep(SPHERICAL, "alpha_G", kappa=range(3)).shape == (3,)
    assert sweep(BINARY, alpha=form([0.3])).shape == (1,)


def test_chosen_quantities():
    made = sweep(BINARY, ["entropy", "q"], alpha=[0.2, 0.4])
    assert list(made.data) == ["entropy", "q", "error"]
    assert made["q"] == pytest.approx(sweep(BINARY, alpha=[0.2, 0.4])["q"])


def test_chunks_give_the_same_numbers():
    controls = {"alpha": np.linspace(0.1, 1.4, 23), "kappa": [0, 0.3]}
    whole, parts = sweep(BINARY, **controls), sweep(BINARY, chunk=7, **controls)
    np.testing.assert_array_equal(whole.status, parts.status)
    for name in ("q", "entropy"):
        np.testing.assert_allclose(whole[name], parts[name], rtol=1e-9)


def test_a_start_is_passed_on():
    u = rp.formulas["symmetric-binary-perceptron"](constraint="u")
    away = sweep(u, alpha=[0.6], kappa=1.0, start={"q": 0.5})
    assert away["q"][0] > 0.05
    assert not away.stable[0]
    assert sweep(u, alpha=[0.6], kappa=1.0, start="uninformed")["q"][0] == pytest.approx(0)


# ---- thresholds ---------------------------------------------------------------------------------


def test_thresholds():
    made = sweep(BINARY, "alpha_G", kappa=[0, 0.5])
    assert made["alpha_G"] == pytest.approx([0.8330785997395792, 0.455664564542], abs=1e-12)
    assert (made["alpha_G_error"] < 1e-12).all()
    assert made.converged.all()


def test_several_thresholds_and_their_worst_status():
    made = sweep(SPHERICAL, ["alpha_G", "alpha_AT"], kappa=[-1, 1])
    assert made["alpha_G"] == pytest.approx([13.2731998, 0.5195722296], abs=1e-7)
    assert made["alpha_AT"][0] == pytest.approx(7.8735602, abs=1e-7)
    assert np.isnan(made["alpha_AT"][1])
    assert np.isnan(made["alpha_AT_error"][1])
    assert made.counts() == {"converged": 1, "not_found": 1}
    assert made.stable.tolist() == [False, True]
    assert made.stable_at("alpha_G").tolist() == [False, True]
    assert made.stable_at("alpha_AT").all()  # of each threshold by itself


def test_options_of_a_family():
    made = sweep(rp.formulas["symmetric-binary-perceptron"], "alpha_G", kappa=[1.0], constraint="u")
    assert made.formula.options == {"constraint": "u"}
    assert made.attrs["options"] == {"constraint": "u"}


# ---- workers and progress -----------------------------------------------------------------------


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


def test_a_bar_appears_on_a_terminal_only(capsys, monkeypatch):
    monkeypatch.setattr("replica.output._PATIENCE", 0)
    monkeypatch.setattr("replica.output._REFRESH", 0)
    with progress_bar("work") as bar:
        bar(1, 2)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    with progress_bar("work") as bar:
        bar(1, 2)
    out, err = capsys.readouterr()
    assert out == ""
    assert "work" in err
    assert "1/2" in err


# ---- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("controls", "error", "said"),
    [
        ({"alpha": 0.5}, rp.ControlError, "no grid"),
        ({"alpha": []}, rp.ControlError, "empty"),
        ({"alpha": [0.5, -1]}, rp.ControlError, "alpha = -1"),
        ({"alpha": [0.5, np.nan]}, rp.ControlError, "alpha = nan"),
        ({"alpha": ["0.5"]}, rp.ControlError, "real numbers"),
        ({"alpha": [0.5j]}, rp.ControlError, "real numbers"),
        ({"alpha": [True]}, rp.ControlError, "real numbers"),
        ({"alpha": [[0.5], [1]]}, rp.ControlError, "2 dimensions"),
        ({"alpha": [[0.5], [1, 2]]}, rp.ControlError, "list of numbers"),
        ({"kappa": [0, 1]}, rp.ControlError, "alpha is missing"),
        ({"alpha": [1], "kapa": 0}, rp.UnknownName, "kappa"),
        ({"alpha": [1], "kappa": "0"}, rp.ControlError, "kappa = '0'"),
        ({"quantity": "alpha_g", "kappa": [0]}, rp.UnknownName, "alpha_G"),
        ({"quantity": [], "kappa": [0]}, rp.ControlError, "no quantity"),
        ({"quantity": ["alpha_G", "q"], "kappa": [0]}, rp.ControlError, "apart"),
        ({"quantity": "alpha_G", "alpha": [1]}, rp.ControlError, "does not take alpha"),
        ({"alpha": [1], "workers": 0}, rp.ControlError, "workers = 0"),
        ({"alpha": [1], "workers": True}, rp.ControlError, "workers = True"),
        ({"alpha": [1], "workers": "many"}, rp.ControlError, "workers = 'many'"),
        ({"alpha": [1], "chunk": 0}, rp.ControlError, "chunk = 0"),
        ({"alpha": [1], "method": "magic"}, rp.UnknownName, "newton"),
        ({"alpha": [1], "start": "warm"}, rp.UnknownName, "warm"),
        ({"alpha": [1], "path": "/nowhere/x.npz"}, rp.ControlError, "no such folder"),
        ({"alpha": np.ones(10**4), "kappa": np.ones(10**4)}, rp.ControlError, "100000000 points"),
    ],
)
def test_bad_input_is_refused(controls, error, said):
    quantity = controls.pop("quantity", None)
    with pytest.raises(error) as caught:
        sweep(BINARY, quantity, **controls)
    assert said in str(caught.value)


def test_options_are_not_swept():
    with pytest.raises(rp.ControlError, match="option rsb takes one value"):
        sweep(SPHERICAL, rsb=np.array([0, 1]), alpha=[1.0])


def test_an_unknown_quantity_lists_the_known_ones(grid):
    with pytest.raises(rp.UnknownName, match="entropy"):
        grid["entropi"]
    assert LARGEST_GRID == 10**7


# ---- files --------------------------------------------------------------------------------------


def test_csv_has_one_row_per_point_and_empty_cells(grid, tmp_path):
    grid.to_csv(tmp_path / "grid.csv")
    with open(tmp_path / "grid.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        *("kappa", "alpha", "q", "qhat", "potential", "entropy", "replicon", "error"),
        *("status", "validity"),
    ]
    assert len(rows) == 8
    assert float(rows[1]["q"]) == grid["q"][0, 1]
    assert (rows[3]["q"], rows[3]["status"], rows[3]["validity"]) == ("", "no_saddle", "")


def test_csv_holds_the_fixed_controls(tmp_path):
    sweep(BINARY, alpha=[0.2], kappa=0.5).to_csv(tmp_path / "grid.csv")
    assert (tmp_path / "grid.csv").read_text().splitlines()[1].startswith("0.2,0.5,")


def test_json_is_strict_and_exact(grid, tmp_path):
    grid.to_json(tmp_path / "grid.json")
    found = json.loads(
        (tmp_path / "grid.json").read_text(), parse_constant=lambda name: pytest.fail(name)
    )
    assert found["data"]["q"][0][1] == grid["q"][0, 1]
    assert found["data"]["q"][0][3] is None
    assert found["status"][0][3] == found["status_codes"]["no_saddle"]
    assert found["formula"] == "binary-perceptron"


def test_xarray_is_labelled(grid):
    data = grid.to_xarray()
    assert data["q"].dims == ("kappa", "alpha")
    assert float(data["q"].sel(kappa=0.5, alpha=0.4)) == grid["q"][1, 1]
    assert data["alpha"].attrs["long_name"] == "patterns per weight, n/p"
    assert data["status"].attrs["flag_meanings"].split()[5] == "no_saddle"
    assert data.attrs["formula"] == "binary-perceptron"
    assert data.attrs["units"] == "nats per weight"


def test_netcdf_survives_a_round_trip(tmp_path):
    import xarray

    made = sweep(
        rp.formulas["symmetric-binary-perceptron"], alpha=[0.2, 1.0], kappa=1.0, constraint="u"
    )
    made.to_netcdf(tmp_path / "grid.nc")
    with xarray.open_dataset(tmp_path / "grid.nc", engine="h5netcdf") as found:
        np.testing.assert_array_equal(found["q"], made["q"])
        assert found["validity"].values.tolist() == made.validity.tolist()
        assert found.attrs["constraint"] == "u"
        assert found.attrs["kappa"] == 1.0


def test_without_xarray_the_extra_is_named(grid, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "xarray", None)
    for export in (grid.to_xarray, lambda: grid.to_netcdf(tmp_path / "grid.nc")):
        with pytest.raises(rp.MissingExtra, match=r"pip install 'replica-theory\[grids\]'"):
            export()
    assert list(tmp_path.iterdir()) == []


def test_without_h5py_the_extra_is_named(grid, tmp_path, monkeypatch):
    monkeypatch.setattr(MODULE, "find_spec", lambda name: None)
    with pytest.raises(rp.MissingExtra, match="grids"):
        grid.to_netcdf(tmp_path / "grid.nc")


def test_repr_is_a_summary(grid):
    text = repr(grid)
    assert text.startswith("binary-perceptron: saddle points on a grid")
    assert "4 values: 0.2 to 1.4" in text
    assert "no_saddle, of 8 points" in text


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError, ValueError])
@pytest.mark.parametrize("before", [None, "what was there"])
def test_a_file_is_whole_or_as_it_was(tmp_path, error, before):
    path = tmp_path / "grid.csv"
    if before is not None:
        path.write_text(before)
    with pytest.raises(error), whole_file(path) as temporary:  # noqa: PT012 -- the writer fails
        temporary.write_text("half")
        raise error
    assert [p.name for p in tmp_path.iterdir()] == ([path.name] if before else [])
    assert not before or path.read_text() == before


def test_an_interrupted_writer_leaves_nothing(grid, tmp_path, monkeypatch):
    def interrupted(self):
        yield (0.0,)
        raise KeyboardInterrupt

    monkeypatch.setattr(MODULE.Sweep, "rows", interrupted)
    with pytest.raises(KeyboardInterrupt):
        grid.to_csv(tmp_path / "grid.csv")
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_ordinary_file_is_refused(grid, tmp_path):
    (tmp_path / "folder.csv").mkdir()
    for path in (tmp_path / "folder.csv", tmp_path / "none" / "grid.csv", "/dev/null", "a\0b"):
        with pytest.raises(rp.ControlError, match="cannot write"):
            grid.to_csv(path)


def test_a_link_is_followed(grid, tmp_path):
    (tmp_path / "link.csv").symlink_to(tmp_path / "grid.csv")
    grid.to_csv(tmp_path / "link.csv")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "grid.csv").is_file()


# ---- interruption and resume --------------------------------------------------------------------


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
    thresholds = MODULE.thresholds

    def swallowing(formula, name, points):
        calls.extend(point["kappa"] for point in points)
        with contextlib.suppress(KeyboardInterrupt):  # as C code of numpy does
            signal.raise_signal(signal.SIGINT)
        return thresholds(formula, name, points)

    monkeypatch.setattr(MODULE, "thresholds", swallowing)
    monkeypatch.setattr(MODULE, "_AT_ONCE", 1)
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


def test_bad_input_leaves_no_checkpoint(tmp_path):
    with pytest.raises(rp.ControlError):
        sweep(BINARY, "alpha_G", alpha=[0.5], path=tmp_path / "grid.npz")
    assert list(tmp_path.iterdir()) == []


def test_a_worker_that_dies_is_reported(monkeypatch):
    monkeypatch.setattr("replica.workers._ignore_interrupts", partial(os._exit, 1))
    with pytest.raises(rp.ConvergenceError, match="worker process died"):
        sweep(BINARY, alpha=[0.2, 0.4], workers=2)


def test_processes_start_although_this_one_has_threads():
    alpha = np.linspace(0.1, 1.2, 4000)  # enough points for the threads of the kernels
    expected = sweep(BINARY, alpha=alpha, chunk=500)
    same(sweep(BINARY, alpha=alpha, chunk=500, workers=2), expected)


def test_folds_on_a_grid_are_those_of_each_point():
    family = rp.formulas["bayes-optimal-glm"](prior="gauss-bernoulli", channel="linear")
    noise = [1e-4, 3e-4, 0.1]  # the line of transitions ends in between
    grid = rp.sweep(family, ["alpha_IT", "alpha_AMP"], density=[0.1, 0.3], Delta=noise)
    for k, density in enumerate([0.1, 0.3]):
        for j, Delta in enumerate(noise):
            for name in ("alpha_IT", "alpha_AMP"):
                alone = rp.threshold(family, name, density=density, Delta=Delta, check=False)
                assert grid[name][k, j] == pytest.approx(alone.value, rel=1e-11, nan_ok=True)
    assert np.isnan(grid["alpha_AMP"][:, -1]).all()
    assert np.isfinite(grid["alpha_AMP"][:, 0]).all()


def test_folds_of_hardly_sparse_weights():
    """Close to density one, where the branch ends next to exact recovery."""
    family = rp.formulas["bayes-optimal-glm"](prior="gauss-bernoulli", channel="linear")
    density = np.array([0.9, 0.95, 0.96, 0.98])
    found = rp.sweep(family, "alpha_AMP", density=density)
    assert not found.status.any()
    assert (np.diff(found["alpha_AMP"]) > 0).all()
    assert ((density < found["alpha_AMP"]) & (found["alpha_AMP"] < 1)).all()


# ---- whoever computes elsewhere -----------------------------------------------------------------


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
