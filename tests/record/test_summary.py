import io

import pytest

from minima.__main__ import main
from minima.record import results
from minima.record.locks import holder
from minima.record.results import write_results
from minima.record.run_directory import RunDirectory
from minima.record.summary import best_of, print_run
from minima.record.terminal import make_console

CONFIG = {"task": {"model": "mlp", "data_dir": ""}, "training": {"budget": "1epochs"}}


@pytest.fixture
def plane(make_plane):
    return make_plane((16, 128), (0.001, 0.01, 0.1, 3.0), 2)


@pytest.fixture
def run(tmp_path, plane):
    with RunDirectory.open(tmp_path, "sweep", "a run", CONFIG, "", plane[0]) as run:
        yield run


def shown(directory):
    stream = io.StringIO()
    print_run(make_console(stream), results.load(directory))
    text = stream.getvalue()
    assert all(character.isprintable() or character == "\n" for character in text)
    return text


def finish(run, axes, cells):
    for cell in cells:
        run.append_cell(cell)
    run.update_info(status="complete", train_seconds=2.5, argv=["experiments/one.py"])
    write_results(run.directory, axes, cells)
    run.close()


def test_a_finished_run(run, plane):
    finish(run, *plane)
    run.path("tensorboard").mkdir()
    text = shown(run.directory)
    assert "state     complete\n" in text
    assert "task      model mlp\n" in text
    assert "cells     16 of 16: " in text
    assert "2.5 s of training" in text
    assert "results.csv            a row per cell" in text
    assert "cells are in no mean" in text
    assert f"next      make tensorboard LOGDIR='{run.directory}/tensorboard'\n" in text
    assert " 0.0%" not in text
    assert "nan" not in text


def test_the_best_rates_have_intervals(plane):
    axes, cells = plane
    best = {batch: (rate, accuracy) for batch, rate, accuracy, _ in best_of(axes, cells)}
    assert best[16][0] == 0.01
    assert best[16][1].n == 2
    mine = [c["test_accuracy"] for c in cells if c["cell"]["batch_size"] == 16]
    assert max(mine) - 0.001 <= best[16][1].mean <= max(mine)


def test_a_batch_size_where_nothing_trained_has_no_best_rate(make_cell):
    axes = {"batch_size": (16,), "learning_rate": (0.1,), "seed": (0,)}
    assert list(best_of(axes, [make_cell(16, status="diverged")])) == []


def test_a_running_run(run, plane):
    run.append_cell(plane[1][0])
    assert holder(run.directory) is not None
    text = shown(run.directory)
    assert f"state     running, process {holder(run.directory)}" in text
    assert "cells     1 of 16" in text
    assert "known when the run ends" in text


def test_an_interrupted_run_with_a_torn_line_says_how_to_go_on(run, plane):
    run.append_cell(plane[1][0])
    run.update_info(argv=["experiments/one.py", "--preset=smoke"])
    run.close()
    with open(run.path("cells.jsonl"), "ab") as file:
        file.write(b'{"cell": {"batch_si')
    before = run.path("cells.jsonl").read_bytes()
    text = shown(run.directory)
    assert "state     interrupted" in text
    assert "cells     1 of 16" in text
    assert f"next      python experiments/one.py --flagfile='{run.directory}/run.flags'\n" in text
    assert run.path("cells.jsonl").read_bytes() == before
    assert holder(run.directory) is None


def test_a_run_without_a_cell(run):
    run.close()
    assert "cells     0 of 16\n" in shown(run.directory)


def test_looking_does_not_lock(run, tmp_path, plane):
    finish(run, *plane)
    shown(run.directory)
    with RunDirectory.open(tmp_path, "sweep", "a run", CONFIG, "", plane[0]):
        pass


def test_the_commands(run, plane, capsys, tmp_path):
    finish(run, *plane)
    directory = str(run.directory)
    assert main(["show", directory]) == 0
    assert "cells     16 of 16" in capsys.readouterr().out
    assert main(["compare", directory, directory]) == 0
    assert "second minus first" in capsys.readouterr().out
    assert main(["show", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("error: ")
