import csv
import itertools
import json
import math
import random

import numpy as np
import pytest
import xarray

import minima
from minima.record.dataset import to_dataset
from minima.record.results import load, write_results
from minima.record.run_directory import RunDirectory
from minima.runtime.errors import UserError

AXES = {"batch_size": (64, 32), "learning_rate": (0.1, 0.30000000000000004), "seed": (0, 1)}
HEADER = (
    "batch_size,learning_rate,seed,status,steps,examples,train_loss,train_accuracy,"
    "validation_loss,validation_accuracy,test_loss,test_accuracy,last_finite_step,"
    "last_finite_train_loss,last_finite_train_accuracy,last_finite_validation_loss,"
    "last_finite_validation_accuracy"
)


@pytest.fixture
def cells(make_cell):
    points = list(itertools.product(*AXES.values()))
    made = [make_cell(*p, accuracy=1 / (i + 3), evaluations=2 + i) for i, p in enumerate(points)]
    made[1] = make_cell(*points[1], status="diverged")
    return made[:-1]  # the last one has not run


def read_csv(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_one_row_per_cell_in_grid_order(tmp_path, cells):
    write_results(tmp_path, AXES, cells)
    assert (tmp_path / "results.csv").read_text().splitlines()[0] == HEADER
    rows = read_csv(tmp_path / "results.csv")
    assert [(int(r["batch_size"]), float(r["learning_rate"]), int(r["seed"])) for r in rows] == (
        list(itertools.product(*AXES.values()))
    )
    assert float(rows[2]["test_accuracy"]) == cells[2]["test_accuracy"]
    assert (rows[1]["status"], rows[1]["test_accuracy"]) == ("diverged", "nan")
    assert rows[1]["last_finite_step"] == "200"
    assert (rows[7]["status"], rows[7]["steps"], rows[7]["test_loss"]) == ("pending", "nan", "nan")
    assert all(value for row in rows for value in row.values())


def test_the_bytes_do_not_depend_on_the_order_of_cells(tmp_path, cells):
    write_results(tmp_path, AXES, cells)
    before = [(tmp_path / f"results.{kind}").read_bytes() for kind in ("csv", "nc")]
    random.Random(0).shuffle(cells)
    write_results(tmp_path, AXES, cells)
    assert before == [(tmp_path / f"results.{kind}").read_bytes() for kind in ("csv", "nc")]


def test_further_axes_follow_the_first_three(tmp_path, make_cell):
    axes = {"momentum": (0.0, 0.9), "nesterov": (False, True), "optimizer": ("sgd",), **AXES}
    write_results(tmp_path, axes, [make_cell(momentum=0.9, nesterov=True, optimizer="sgd")])
    header = (tmp_path / "results.csv").read_text().splitlines()[0]
    assert header.startswith("batch_size,learning_rate,seed,momentum,nesterov,optimizer,status")
    with xarray.open_dataset(tmp_path / "results.nc") as data:
        assert data.status.dims == tuple(axes)
        done = data.status.sel(momentum=0.9, nesterov="True", optimizer="sgd", batch_size=32)
        assert int(done.sel(learning_rate=0.1, seed=0)) == 0
        assert int((data.status == -1).sum()) == data.status.size - 1


def test_none_is_a_value_of_an_axis(tmp_path, make_cell):
    axes = {"batch_size": (32,), "learning_rate": (0.1,), "seed": (0,), "clip": (None, 1.0)}
    with RunDirectory.open(tmp_path, "plane", "a1", {}, "", axes=axes) as run:
        run.append_cell(make_cell(clip=None) | {"test_loss": None})
        loaded = load(run.directory)
    assert loaded.axes == axes
    assert loaded.results.status.values.ravel().tolist() == [0, -1]


def test_a_foreign_cell_is_refused(tmp_path, make_cell):
    with pytest.raises(ValueError, match="not a point of the grid"):
        write_results(tmp_path, AXES, [make_cell(seed=7)])


def test_the_dataset_is_labelled_and_padded(tmp_path, cells):
    (tmp_path / "run.json").write_text(json.dumps({"schema_version": 1, "git": {"dirty": True}}))
    write_results(tmp_path, AXES, cells)
    with xarray.open_dataset(tmp_path / "results.nc") as data:
        assert data.test_accuracy.dims == ("batch_size", "learning_rate", "seed")
        assert data.trajectory_train_loss.dims == (*AXES, "eval")
        assert data.learning_rate.dtype == np.float64
        assert tuple(data.learning_rate.values) == AXES["learning_rate"]
        assert data.status.dtype == np.int32
        assert data.status.attrs["flag_values"].tolist() == [-1, 0, 1, 2, 3, 4]
        assert data.status.attrs["flag_meanings"].split()[:3] == ["pending", "complete", "diverged"]
        assert json.loads(data.attrs["git"]) == {"dirty": True}
        first = data.sel(batch_size=64, learning_rate=0.1, seed=0)
        assert int(first.status) == 0
        assert first.trajectory_step.values.tolist() == [100, 200] + [-1] * 6
        np.testing.assert_array_equal(
            first.trajectory_train_loss, cells[0]["trajectory"]["train_loss"] + [math.nan] * 6
        )
        pending = data.sel(batch_size=32, learning_rate=0.30000000000000004, seed=1)
        assert (int(pending.status), int(pending.steps)) == (-1, -1)
        assert math.isnan(pending.test_accuracy)


def test_counts_beyond_32_bits_are_kept(tmp_path, make_cell):
    axes = {"batch_size": (32,), "learning_rate": (0.1,), "seed": (0,)}
    write_results(tmp_path, axes, [make_cell() | {"examples": 2**40}])
    with xarray.open_dataset(tmp_path / "results.nc") as data:
        assert data.examples.item() == 2**40
    assert read_csv(tmp_path / "results.csv")[0]["examples"] == str(2**40)


def test_an_empty_grid_run_writes_too(tmp_path):
    write_results(tmp_path, AXES, [])
    assert {row["status"] for row in read_csv(tmp_path / "results.csv")} == {"pending"}


def test_load_reads_a_run_back_while_it_runs(tmp_path, cells):
    with RunDirectory.open(tmp_path, "plane", "a1", {"a": 1}, "", axes=AXES) as run:
        for cell in cells:
            run.append_cell(cell)
        loaded = load(run.directory)
    assert loaded.axes == AXES
    assert loaded.config == {"a": 1}
    assert len(loaded.cells) == 7
    best = loaded.results.test_accuracy.mean("seed").idxmax("learning_rate")
    assert best.sel(batch_size=64) == 0.1
    assert minima.load is load


def test_load_finds_the_axes_of_a_run_that_kept_none(tmp_path, cells):
    with RunDirectory.open(tmp_path, "plane", "a1", {}, "") as run:
        run.append_cell(cells[2])
        run.append_cell(cells[0])
    axes = load(run.directory).axes
    assert axes == {"batch_size": (64,), "learning_rate": (0.1, 0.30000000000000004), "seed": (0,)}


def test_load_of_something_else_is_a_users_error(tmp_path):
    with pytest.raises(UserError, match="is no run"):
        load(tmp_path)
    with pytest.raises(AttributeError, match="nothing"):
        _ = minima.nothing


def test_counts_that_netcdf_has_no_integers_for_become_floats(tmp_path):
    info = {"peak_memory_bytes": 3 * 2**30, "resumes": 2, "dirty": True}
    attributes = to_dataset({"seed": (0,)}, [], info).attrs
    assert attributes == {"peak_memory_bytes": float(3 * 2**30), "resumes": 2, "dirty": 1}
    to_dataset({"seed": (0,)}, [], info).to_netcdf(tmp_path / "x.nc", engine="scipy")


@pytest.mark.parametrize("seeds", [50, 500])
def test_writing_decodes_each_cell_a_few_times_and_holds_none(tmp_path, monkeypatch, seeds):
    """Time is linear in the cells, whose number may be a million, and memory that of the arrays."""
    axes = {"batch_size": (16, 64), "learning_rate": (0.1,), "seed": tuple(range(seeds))}
    count = 2 * seeds
    reads = []

    class OnDisk(list):
        def __getitem__(self, index):
            reads.append(index)
            return super().__getitem__(index)

        def __iter__(self):
            return (self[i] for i in range(len(self)))

    points = itertools.product(*axes.values())
    cells = [{"cell": dict(zip(axes, p, strict=True)), "status": "complete"} for p in points]
    write_results(tmp_path, axes, OnDisk(cells))
    assert len(reads) <= 6 * count
    assert len(read_csv(tmp_path / "results.csv")) == count


def test_a_column_as_a_table_over_the_axes(tmp_path, cells):
    with RunDirectory.open(tmp_path, "plane", "a1", {}, "", axes=AXES) as run:
        for cell in reversed(cells):
            run.append_cell(cell)
        loaded = load(run.directory)
    table = loaded.table("test_accuracy")
    assert table.shape == (2, 2, 2)
    assert table[0, 0, 0] == cells[0]["test_accuracy"]
    assert table[1, 0, 1] == cells[5]["test_accuracy"]
    assert np.isnan(table[0, 0, 1])  # it diverged
    assert np.isnan(table[1, 1, 1])  # it has not run
    assert loaded.table("steps", failed=True)[0, 0, 1] == cells[1]["steps"]
    curves = loaded.curves("validation_loss")
    longest = max(len(cell["trajectory"]["step"]) for cell in cells)
    assert curves.shape == (2, 2, 2, longest)
    row = cells[3]["trajectory"]["validation_loss"]
    assert curves[0, 1, 1, : len(row)].tolist() == row
    assert np.isnan(curves[0, 1, 1, len(row) :]).all()
