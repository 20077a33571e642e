"""Logs of several loops, read and diagnosed through the command; and logs that can't be."""

from pathlib import Path

import numpy as np
import pytest
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.util.tensor_util import make_tensor_proto

from minima.__main__ import main
from minima.claims import logs
from minima.record.run_directory import RunDirectory
from minima.record.tensorboard import curve_events, write_events
from minima.runtime.errors import UserError

EXAMPLE = Path(__file__).parents[2] / "experiments" / "examples" / "ticket_log.csv"
ROWS = range(1, 9)


def written(tmp_path, text, name="log.csv"):
    path = tmp_path / name
    path.write_text(text)
    return path


def table(header, row, rows=ROWS):
    return "\n".join([header, *(row(i) for i in rows)]) + "\n"


def test_the_courses_log_is_overfitting_and_best_at_epoch_12(capsys):
    assert main(["diagnose", str(EXAMPLE)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("ticket_log.csv: overfit, best at epoch 12\n")
    assert "best there (0.45)" in out
    [curves] = logs.read(str(EXAMPLE)).values()
    assert (curves.train[0], curves.train[-1]) == (2.1, 0.08)
    assert (curves.validation.min(), curves.validation[11]) == (0.45, 0.45)
    assert (len(curves.where), curves.validation[-1]) == (50, 1.2)


@pytest.mark.parametrize(
    ("header", "unit"),
    [
        ("epoch,train_loss,val_loss", "epoch"),
        ("epoch,loss,val_loss", "epoch"),  # Keras's CSVLogger
        ("Step,Train/Loss,Validation Loss", "step"),
        ("\ufeffglobal_step;training_loss;eval_loss", "step"),
        ("iteration\tloss/train\tloss/val", "iteration"),
    ],
)
def test_columns_go_by_many_names(tmp_path, header, unit):
    between = next(mark for mark in ",;\t" if mark in header)
    path = written(tmp_path, table(header, lambda i: between.join(map(str, (i, 2 / i, 3 / i)))))
    [curves] = logs.read(str(path)).values()
    assert curves.unit == unit
    np.testing.assert_allclose(curves.where, ROWS)
    np.testing.assert_allclose(curves.train, [2 / i for i in ROWS])
    np.testing.assert_allclose(curves.validation, [3 / i for i in ROWS])
    assert curves.test is None


def test_keras_names_win_over_an_accuracy_and_the_order_of_columns(tmp_path):
    header = "epoch,accuracy,loss,val_accuracy,val_loss"
    path = written(tmp_path, table(header, lambda i: f"{i - 1},0.5,{2 / i},0.4,{3 / i}"))
    [curves] = logs.read(str(path)).values()
    np.testing.assert_allclose(curves.train, [2 / i for i in ROWS])
    np.testing.assert_allclose(curves.validation, [3 / i for i in ROWS])


def test_lightning_writes_the_two_losses_into_rows_of_their_own(tmp_path):
    def epoch(i):
        return f"{i},{10 * i + 4},{4 / i},,\n{i},{10 * i + 9},{2 / i},,\n{i},{10 * i + 9},,{3 / i},"

    lines = table("epoch,step,train_loss,val_loss,test_loss", epoch) + "8,90,,,1.5\n"
    [curves] = logs.read(str(written(tmp_path, lines, "metrics.csv"))).values()
    np.testing.assert_allclose(curves.where, ROWS)
    np.testing.assert_allclose(curves.train, [3 / i for i in ROWS])
    np.testing.assert_allclose(curves.validation, [3 / i for i in ROWS])
    assert curves.test == 1.5


def test_a_loss_that_was_nan_is_a_finding_and_an_empty_one_is_not(tmp_path, capsys):
    text = table("epoch,train_loss,val_loss", lambda i: f"{i},{'nan' if i > 5 else 2 / i},1")
    assert main(["diagnose", str(written(tmp_path, text))]) == 0
    assert "unstable at epoch 6" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "is empty"),
        ("epoch,train_loss,val_loss\n", "no rows"),
        (table("epoch,train_loss", lambda i: f"{i},1"), "no column for val_loss"),
        (table("epoch,val_loss", lambda i: f"{i},1"), "no column for train_loss"),
        (table("loss,val_loss", lambda i: f"{i},1"), "no column for epoch or step"),
        (table("epoch,loss,val_loss", lambda i: f"{i},1,high"), "line 2 has 'high' under val_loss"),
        (table("epoch,loss,val_loss", lambda i: f"{i},1"), "line 2 has 2 values under 3 names"),
        (table("epoch,loss,val_loss", lambda i: f"{i},1,2", range(4)), "4 rows"),
        (table("epoch,loss,val_loss", lambda i: f"{-i},1,2"), "fall"),
        (table("epoch,loss,val_loss", lambda i: f",1,{i}"), "missing"),
        ("epoch,train_loss,val_loss\n" + "1,2,3\n" * 50, "1 rows"),
    ],
)
def test_a_wrong_log_ends_in_one_line_that_says_what_is_wrong(tmp_path, capsys, text, complaint):
    path = written(tmp_path, text)
    assert main(["diagnose", str(path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {path}: ")
    assert complaint in error
    assert error.count("\n") == 1


def test_what_is_no_text_and_what_is_not_there_end_in_one_line(tmp_path, capsys):
    binary = tmp_path / "model.bin"
    binary.write_bytes(bytes(range(256)))
    for path in (binary, tmp_path / "nowhere.csv", tmp_path):
        assert main(["diagnose", str(path)]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert str(path) in error


def events(folder, name, tags, values):
    steps = np.array(ROWS)
    columns = np.array([[value(i) for value in values] for i in ROWS], np.float32)
    write_events(folder, name, curve_events(tags, steps, columns))


def test_tensorboards_scalars_are_a_log_in_one_folder_or_in_two(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    falls, rises = (lambda i: 2 / i), (lambda i: 1 + i / 10)
    events(one, "a", ["Loss/train", "Loss/val", "lr"], [falls, rises, falls])
    events(two / "train", "b", ["epoch_loss", "epoch_accuracy"], [falls, rises])
    events(two / "validation", "c", ["epoch_loss"], [rises])
    file = next(one.iterdir())
    for log in (one, two, file):
        [curves] = logs.read(str(log)).values()
        assert curves.unit == "step"
        np.testing.assert_allclose(curves.where, ROWS)
        np.testing.assert_allclose(curves.train, [2 / i for i in ROWS], rtol=1e-6)
        np.testing.assert_allclose(curves.validation, [1 + i / 10 for i in ROWS], rtol=1e-6)


def test_scalars_that_tensorflow_2_wrote_as_tensors_are_read_too(tmp_path):
    def event(tag, step, value):
        tensor = make_tensor_proto(np.float32(value))
        metadata = summary_pb2.SummaryMetadata()
        metadata.plugin_data.plugin_name = "scalars"
        found = summary_pb2.Summary.Value(tag=tag, tensor=tensor, metadata=metadata)
        summary = summary_pb2.Summary(value=[found])
        return event_pb2.Event(wall_time=1.0, step=step, summary=summary).SerializeToString()

    for folder, factor in (("train", 2), ("validation", 3)):
        write_events(tmp_path / folder, "k", [event("epoch_loss", i, factor / i) for i in ROWS])
    [curves] = logs.read(str(tmp_path)).values()
    np.testing.assert_allclose(curves.train, [2 / i for i in ROWS], rtol=1e-6)
    np.testing.assert_allclose(curves.validation, [3 / i for i in ROWS], rtol=1e-6)


def test_events_without_the_losses_are_refused_in_one_line(tmp_path):
    events(tmp_path, "a", ["reward"], [float])
    with pytest.raises(UserError, match="no column for train_loss among step, reward"):
        logs.read(str(tmp_path))


def cell(seed, train, validation, status="complete", test=1.0):
    return {
        "cell": {"batch_size": 32, "learning_rate": 0.1, "seed": seed},
        "status": status,
        "steps": 10 * len(train) + 5,
        "validation_loss": validation[-1] if validation else float("nan"),
        "test_loss": test,
        "trajectory": {
            "step": [10 * (i + 1) for i in range(len(train))],
            "train_loss": train,
            "validation_loss": validation,
        },
    }


@pytest.fixture
def run(tmp_path):
    config = {"task": {"loss": "cross_entropy"}}
    with RunDirectory.open(tmp_path, "sweep", "a-run", config, "") as run:
        run.update_info(classes=10)
        yield run


def test_every_cell_of_a_run_is_diagnosed_with_what_the_run_knows(run, capsys):
    falls, rises = [2.0 / i for i in ROWS], [1.0 + 0.1 * i for i in ROWS]
    run.append_cell(cell(0, falls, falls, test=0.3))
    run.append_cell(cell(1, falls, rises, test=1.8))
    run.append_cell(cell(2, falls, falls, test=2.5))
    run.append_cell(cell(3, falls[:2], falls[:2], "diverged", float("nan")))
    assert main(["diagnose", str(run.directory)]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "4 courses: 1 unstable, 1 leaking, 1 overfit, 1 healthy"
    assert "bs=32,lr=0.1,seed=0: healthy" in told
    assert "bs=32,lr=0.1,seed=1: overfit, best at update 10" in told
    assert "bs=32,lr=0.1,seed=2: leaking" in told
    assert "bs=32,lr=0.1,seed=3: unstable at update 25" in told


def test_of_many_cells_counts_and_the_first_of_each_are_told(run, capsys):
    falls = [2.0 / i for i in ROWS]
    for seed in range(60):
        run.append_cell(cell(seed, falls, falls, test=0.3 if seed else 2.5))
    assert main(["diagnose", str(run.directory)]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "60 courses: 1 leaking, 59 healthy"
    assert len(told) == 2 + 2 * 3


@pytest.mark.parametrize(
    ("train", "validation", "complaint"),
    [
        ([1.0] * 3, [1.0] * 3, "--evaluations"),
        ([1.0] * 8, [float("nan")] * 8, "--validation_fraction"),
    ],
)
def test_a_run_without_what_is_needed_is_refused(run, train, validation, complaint):
    with pytest.raises(UserError, match="no cell is finished"):
        logs.read(str(run.directory))
    run.append_cell(cell(0, train, validation))
    with pytest.raises(UserError, match=complaint):
        logs.read(str(run.directory))
