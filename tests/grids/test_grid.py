"""A grid shows itself and writes its files, whole or none."""

from __future__ import annotations

import csv
import json
import sys

import numpy as np
import pytest
from grids.points import BINARY

import replica as rp
from replica.files import whole_file
from replica.grids import grid as grid_module
from replica.grids.run import sweep


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
    monkeypatch.setattr(grid_module, "find_spec", lambda name: None)
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

    monkeypatch.setattr(rp.Sweep, "rows", interrupted)
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
