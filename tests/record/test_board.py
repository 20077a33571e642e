import itertools
import math
import os

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import layout_pb2

from minima.record import board_cell, board_sweep
from minima.record.board import Board
from minima.record.figures import plane_png
from minima.record.run_directory import RunDirectory

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorboard")


def read(directory):
    events = EventAccumulator(str(directory), size_guidance={"scalars": 0, "images": 0})
    events.Reload()
    return events


def files(directory):
    return {p: p.stat().st_mtime_ns for p in directory.rglob("*tfevents*")}


@pytest.fixture
def plane(make_plane):
    return make_plane((16, 32), (0.01, 0.1, 3.0), 2)


@pytest.fixture
def run(tmp_path, plane):
    config = {"task": {"model": "mlp"}, "bounds": [1, 2], "odd": "a|b"}
    with RunDirectory.open(tmp_path, "sweep", "run", config, "", plane[0]) as run:
        yield run


def test_a_cell_reads_back(tmp_path, plane):
    axes, cells = plane
    board_cell.write_cell(tmp_path, cells[0], axes, "run")
    events = read(tmp_path / "bs=16,lr=0.01,seed=0")
    curve = events.Scalars("curves/validation_loss")
    assert [point.step for point in curve] == cells[0]["trajectory"]["step"]
    wanted = np.float32(cells[0]["trajectory"]["validation_loss"])
    np.testing.assert_array_equal(np.float32([point.value for point in curve]), wanted)
    (final,) = events.Scalars("final/test_accuracy")
    assert final.value == np.float32(cells[0]["test_accuracy"])
    assert final.step == cells[0]["steps"]
    assert board_cell.is_written(tmp_path, cells[0])
    assert not board_cell.is_written(tmp_path, cells[1])


def test_a_diverged_cell_has_no_finals_and_no_point_that_flattens_the_chart(tmp_path, make_cell):
    cell = make_cell(status="diverged")
    cell["trajectory"]["train_loss"] = [0.5, 0.4, 8e24]
    axes = {name: (value,) for name, value in cell["cell"].items()}
    path = board_cell.write_cell(tmp_path, cell, axes, "run")
    events = read(path.parent)
    finals = {tag for tag in events.Tags()["scalars"] if tag.startswith("final/")}
    assert finals == {"final/diverged", "final/collapsed"}
    values = [point.value for point in events.Scalars("curves/train_loss")]
    assert values[1] == pytest.approx(0.4)
    assert math.isnan(values[2])


def test_a_cell_without_an_evaluation_is_a_run_all_the_same(tmp_path, make_cell):
    cell = make_cell(status="diverged") | {"trajectory": {}, "last_finite": {}}
    axes = {name: (value,) for name, value in cell["cell"].items()}
    path = board_cell.write_cell(tmp_path, cell, axes, "run")
    assert read(path.parent).Scalars("final/diverged")[0].value == 1.0


def test_runs_have_names_that_no_other_cell_has(make_cell):
    rates = (0.1, 0.1000001, 1e-7, 100.0)
    cells = [make_cell(learning_rate=r, seed=s) for r in rates for s in (1234567, 1234568)]
    assert len({board_cell.run_name(cell) for cell in cells}) == len(cells)
    assert board_cell.run_name(cells[-1]) == "bs=32,lr=100,seed=1234568"
    assert "/" not in board_cell.run_name(make_cell(data="a/b"))


@pytest.mark.parametrize("count", [0, 1, 2, 199, 200, 201, 1000, 10_000])
def test_curves_are_thinned_evenly_and_keep_their_ends(count):
    kept = board_cell.thinned(count)
    assert len(kept) == min(count, 200)
    if count:
        assert kept[0] == 0
        assert kept[-1] == count - 1
        assert np.ptp(np.diff(kept)) <= 1 if count > 1 else True


def test_the_chosen_cells_are_whole_seeds_and_an_even_share_of_the_next():
    axes = {"batch_size": range(20), "learning_rate": range(20), "seed": (7, 3, 5)}
    chosen = board_cell.spread_evenly(axes, 600)
    assert len(chosen) == 600
    assert sum(point[2] == 7 for point in chosen) == 400
    rest = [point for point in chosen if point[2] != 7]
    assert {point[2] for point in rest} == {3}
    for position in (0, 1):
        counts = np.bincount([point[position] for point in rest], minlength=20)
        assert counts.min() >= 8
        assert counts.max() <= 12
    assert board_cell.spread_evenly(axes, 1200) is None
    assert board_cell.spread_evenly(axes, 0) == set()


def test_cells_beyond_the_limit_are_rows_without_curves(run, plane):
    axes, cells = plane
    board = Board(run.directory, axes, most_curves=4)
    board.start()
    for cell in cells:
        board.add(cell)
    folders = [f for f in run.path("tensorboard").iterdir() if f.name != board_sweep.RUN]
    tags = [read(folder).Tags()["scalars"] for folder in folders]
    assert len(tags) == 12
    assert sum(any(tag.startswith("curves/") for tag in cell) for cell in tags) == 4
    assert all("final/diverged" in cell for cell in tags)


def test_the_sweep_has_texts_heat_maps_and_a_layout(run, plane):
    axes, cells = plane
    board = Board(run.directory, axes)
    board.start()
    for cell in cells:
        board.add(cell)
    board.finish()
    events = read(run.path("tensorboard") / board_sweep.RUN)
    images = events.Images("all_cells/test_accuracy")
    assert [image.step for image in images] == [12]
    assert images[0].encoded_image_string.startswith(b"\x89PNG")
    text = {
        tag: events.Tensors(tag)[0].tensor_proto.string_val[0].decode()
        for tag in events.Tags()["tensors"]
        if tag.startswith("sweep/")
    }
    assert str(run.directory) in text["sweep/about"]
    assert "| task.model | mlp |" in text["sweep/config"]
    assert "| bounds | 1, 2 |" in text["sweep/config"]
    assert r"a\|b" in text["sweep/config"]
    assert "| finished | 12 of 12 |" in text["sweep/outcome"]
    layout = layout_pb2.Layout.FromString(
        events.Tensors("custom_scalars__config__")[0].tensor_proto.string_val[0]
    )
    tags = [t for c in layout.category for chart in c.chart for t in chart.multiline.tag]
    assert "^curves/validation_loss$" in tags


def test_advice_for_many_runs(run):
    def text(seeds):
        axes = {"batch_size": (16,), "learning_rate": (0.1,), "seed": range(seeds)}
        return board_sweep.about(run.directory, run.info(), axes, min(seeds, 500))["sweep/about"]

    assert "more than 40" not in text(39)
    assert "more than 40" in text(40)
    assert "more than 500" not in text(499)
    assert "more than 500" in text(600)
    assert "curves for 500 of 600" in text(600)


def test_nothing_that_is_there_is_written_again(run, plane):
    axes, cells = plane
    first = Board(run.directory, axes)
    first.start()
    for cell in cells[:7]:
        first.add(cell)
    first.finish()
    before = files(run.directory)
    # Killed after the eighth cell was recorded and before TensorBoard had it.
    again = Board(run.directory, axes)
    again.start(cells[:8])
    for cell in cells[8:]:
        again.add(cell)
    again.finish()
    again.finish()
    after = files(run.directory)
    assert {path: after[path] for path in before} == before
    assert len(after) == len(before) + 5 + 1  # five cells, one more set of heat maps
    assert all(len(os.listdir(path.parent)) == 1 for path in after if "seed=" in str(path))
    events = read(run.path("tensorboard") / board_sweep.RUN)
    assert [image.step for image in events.Images("all_cells/test_accuracy")] == [7, 12]


def test_heat_maps_are_drawn_now_and_then(run, plane):
    axes, cells = plane
    clock = itertools.count(0, 25).__next__
    board = Board(run.directory, axes, every=60.0, clock=clock)
    board.start()
    for cell in cells:
        board.add(cell)
    sweep = run.path("tensorboard") / board_sweep.RUN
    drawn = sorted(int(path.name.rpartition("-")[2]) for path in sweep.glob("*plane*"))
    assert drawn
    # Drawing took 25 s of this clock, so that the next may only come after 2,500 s.
    assert len(drawn) == 1


def test_a_grid_with_a_further_axis_has_a_heat_map_for_each(run, make_cell):
    axes = {"batch_size": (32,), "learning_rate": (0.1,), "seed": (0,), "momentum": (0.0, 0.9)}
    cells = [make_cell(momentum=value) for value in axes["momentum"]]
    assert set(board_sweep.heat_maps(axes, cells)) == {
        f"all_cells/{metric}/momentum={value}"
        for metric in ("test_accuracy", "validation_loss")
        for value in axes["momentum"]
    }


def test_without_validation_there_is_no_heat_map_of_it(make_cell):
    axes = {"batch_size": (32,), "learning_rate": (0.1,), "seed": (0,)}
    cell = make_cell() | {"validation_loss": math.nan}
    assert set(board_sweep.heat_maps(axes, [cell])) == {"all_cells/test_accuracy"}


def test_figures_of_the_whole_sweep_are_added_once(run, plane):
    png = plane_png(*plane)
    board = Board(run.directory, plane[0])
    for images in ({"verdict/gap": png}, {"verdict/gap": png}, {"verdict/claims": png}):
        board.add_figures(images)
    folder = run.directory / "tensorboard" / board_sweep.RUN
    assert len(files(folder)) == 2
    events = read(folder)
    assert sorted(events.Tags()["images"]) == ["verdict/claims", "verdict/gap"]
    assert [image.step for image in events.Images("verdict/claims")] == [1]
    assert events.Images("verdict/gap")[0].encoded_image_string == png


def test_groups_of_figures_do_not_wait_for_each_other(run, plane):
    png = plane_png(*plane)
    board = Board(run.directory, plane[0])
    for _ in range(2):
        board.add_figures({"verdict/gap": png})
        board.add_figures({"landscape/plane": png}, "landscape")
    assert len(files(run.directory / "tensorboard" / board_sweep.RUN)) == 2


def test_what_was_measured_joins_a_cell_as_a_file_of_its_own(run, plane):
    axes, cells = plane
    board = Board(run.directory, axes)
    for cell in cells:
        board.add(cell)
    before = files(run.directory)
    entries = {"trace": {"value": 3.5}, "noise_scale": {"value": math.nan}}
    measured = [cell | {"measured": entries} for cell in cells]
    board.add_measures(measured)
    board.add_measures(measured)  # the same again: nothing new
    added = files(run.directory).keys() - before.keys()
    trained = [cell for cell in cells if cell["status"] == "complete"]
    assert len(added) == len(trained)
    assert all(files(run.directory)[path] == time for path, time in before.items())
    events = read(run.directory / "tensorboard" / board_cell.run_name(trained[0]))
    assert [(e.step, e.value) for e in events.Scalars("landscape/trace")] == [
        (trained[0]["steps"], 3.5)
    ]
    assert "landscape/noise_scale" not in events.Tags()["scalars"]
    entries["trace"] = {"value": 4.5}
    board.add_measures(measured)
    assert len(files(run.directory)) == len(before) + 2 * len(trained)


def test_of_a_huge_grid_only_cells_with_curves_are_runs(run, plane, monkeypatch):
    axes, cells = plane
    monkeypatch.setattr("minima.record.board.MOST_ROWS", 11)
    board = Board(run.directory, axes, most_curves=4)
    board.start(cells)
    board.finish()
    assert len(list(run.path("tensorboard").iterdir())) == 4 + 1
    for seeds, says in ((2, False), (10_000, True)):
        grid = axes | {"seed": range(seeds)}
        about = board_sweep.about(run.directory, run.info(), grid, 4)["sweep/about"]
        assert ("Of more than 20,000 cells" in about) == says
