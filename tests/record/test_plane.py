import math

import pytest

from minima.record.plane import best_rates, ink, panels, spell, tiles

AXES = {"batch_size": (32,), "learning_rate": (0.1, 0.2), "seed": (0, 1, 2)}


def test_failed_seeds_are_counted_and_left_out_of_the_mean(make_cell):
    cells = [
        make_cell(32, 0.1, 0, accuracy=0.8),
        make_cell(32, 0.1, 1, "collapsed", accuracy=0.1),
        make_cell(32, 0.1, 2, "diverged"),
    ]
    found = tiles(AXES, cells, "test_accuracy")
    tile = found[32, 0.1]
    assert (tile.seeds, tile.ran, tile.diverged, tile.collapsed, tile.mean) == (3, 3, 1, 1, 0.8)
    assert tile.failures() == [("diverged", 1), ("collapsed", 1)]
    assert not tile.sound
    assert (found[32, 0.2].ran, math.isnan(found[32, 0.2].mean)) == (0, True)


def test_a_rate_at_which_a_seed_failed_is_never_the_best(make_cell):
    cells = [make_cell(32, 0.1, s, accuracy=0.5) for s in range(3)]
    cells += [make_cell(32, 0.2, s, accuracy=0.9) for s in range(2)]
    assert best_rates(AXES, cells, "test_accuracy") == ({32: 0.2}, "validation_accuracy")
    cells.append(make_cell(32, 0.2, 2, "diverged"))
    assert best_rates(AXES, cells, "test_accuracy") == ({32: 0.1}, "validation_accuracy")
    assert best_rates(AXES, cells[3:], "test_accuracy")[0] == {}


def test_without_validation_data_the_metric_itself_chooses(make_cell):
    losses = {0.1: 0.5, 0.2: 0.4}
    cells = [
        make_cell(32, rate) | {"validation_accuracy": math.nan, "test_loss": loss}
        for rate, loss in losses.items()
    ]
    assert best_rates(AXES, cells, "test_loss") == ({32: 0.2}, "test_loss")


def test_further_axes_are_taken_apart(make_cell):
    axes = AXES | {"optimizer": ("sgd", "adam"), "momentum": (0.9,)}
    cells = [make_cell(optimizer=name, momentum=0.9) for name in ("sgd", "adam")]
    with pytest.raises(ValueError, match="optimizer"):
        tiles(axes, cells, "test_accuracy")
    parts = list(panels(axes, cells))
    assert [label for label, _, _ in parts] == ["optimizer=sgd", "optimizer=adam"]
    assert [mine for _, _, mine in parts] == [[cells[0]], [cells[1]]]
    assert tiles(parts[0][1], parts[0][2], "test_accuracy")[32, 0.1].ran == 1
    assert [label for label, _, _ in panels(AXES, [])] == [""]


def test_values_are_spelt_as_people_read_them():
    assert spell("test_accuracy", 0.98765) == "98.8"
    assert [spell("test_loss", x) for x in (0.37, 123.0, 2.0)] == ["0.370", "123", "2.00"]
    assert (ink((0, 0, 0.4)), ink((1, 1, 0))) == ("white", "black")
