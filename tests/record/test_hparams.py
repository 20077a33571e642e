import math

import pytest
from tensorboard.plugins.hparams import api_pb2, metadata

from minima.record import hparams
from minima.record.measures import HEADLINES


def start(cell, axes, sweep="run"):
    (value,) = hparams.session_start(cell, axes, sweep)
    return metadata.parse_session_start_info_plugin_data(value.metadata.plugin_data.content)


def status(cell):
    (value,) = hparams.session_end(cell)
    end = metadata.parse_session_end_info_plugin_data(value.metadata.plugin_data.content)
    return api_pb2.Status.Name(end.status)


def test_the_experiment_lists_what_the_cells_write(make_plane, make_cell):
    axes, cells = make_plane((16, 32), (0.1, 0.3), 2)
    (value,) = hparams.experiment(axes)
    experiment = metadata.parse_experiment_plugin_data(value.metadata.plugin_data.content)
    names = [info.name for info in experiment.hparam_infos]
    assert len(names) <= 5
    assert sorted(names) == sorted(start(cells[0], axes).hparams)
    tags = {info.name.tag for info in experiment.metric_infos}
    measured = make_cell() | {"measured": {name: {"value": 1.0} for name in HEADLINES}}
    assert {**hparams.final_scalars(measured), **hparams.measured_scalars(measured)}.keys() == tags
    assert next(info.name.tag for info in experiment.metric_infos) == "final/test_accuracy"


def test_a_session_starts_with_numbers_and_their_logarithms(make_cell):
    axes = {"batch_size": (8, 32), "learning_rate": (0.01, 0.1), "seed": (0,)}
    values = start(make_cell(), axes).hparams
    assert {name: value.number_value for name, value in values.items()} == {
        "batch_size": 32,
        "learning_rate": 0.1,
        "log2_batch_size": 5,
        "log10_learning_rate": -1,
    }


def test_further_axes_come_before_logarithms_and_keep_to_five(make_cell):
    cell = make_cell(optimizer="sgd", clip_norm=None)
    axes = {name: (value,) for name, value in cell["cell"].items()}
    values = start(cell, axes).hparams
    assert values["optimizer"].string_value == "sgd"
    assert values["clip_norm"].string_value == "None"
    assert len(values) == 5


def test_seeds_share_a_row_and_rows_sort_as_the_grid_does(make_plane):
    axes, cells = make_plane((8, 16, 128), (0.001, 0.01, 0.1, 10.0), 3)
    rows = list(dict.fromkeys(start(cell, axes).group_name for cell in cells))
    assert len(rows) == 12
    assert rows == sorted(rows)
    assert rows[4] == "04 bs=16,lr=0.001 run"
    assert start(cells[0], axes, "other").group_name not in rows


def test_diverged_is_failure_and_collapsed_is_counted(make_cell):
    statuses = ("complete", "reached_target", "stopped_early", "collapsed", "diverged")
    ends = {name: status(make_cell(status=name)) for name in statuses}
    assert ends.pop("diverged") == "STATUS_FAILURE"
    assert set(ends.values()) == {"STATUS_SUCCESS"}
    assert hparams.final_scalars(make_cell(status="collapsed", accuracy=0.1)) == {
        "final/diverged": 0.0,
        "final/collapsed": 1.0,
    }


@pytest.mark.parametrize("value", [math.nan, math.inf, None])
def test_what_is_no_number_is_left_out(make_cell, value):
    cell = make_cell() | {"validation_loss": value}
    assert "final/validation_loss" not in hparams.final_scalars(cell)
    assert "final/test_loss" in hparams.final_scalars(cell)


@pytest.mark.parametrize("status", ["diverged", "collapsed"])
def test_a_cell_that_failed_shows_no_measures(make_cell, status):
    assert not hparams.measured_scalars(
        make_cell(status=status) | {"measured": {"trace": {"value": 1.0}}}
    )
