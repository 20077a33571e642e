import csv
import itertools
import json
import math
import os
import subprocess
import sys
from fractions import Fraction

import pytest

from minima import __main__
from minima.record import export as exporting
from minima.record import results
from minima.record.export import MARK, export
from minima.record.measurements import COLUMNS, to_csv
from minima.record.run_directory import RunDirectory
from minima.runtime.errors import UserError
from minima.sweep.budgets import parse_budget
from minima.sweep.config import SweepConfig, TrainingConfig

AXES = {"batch_size": (64, 16), "learning_rate": (0.1, 0.30000000000000004), "seed": (0, 7)}
METRICS = ("loss", "accuracy")
SPLITS = {"train": "train", "val": "validation", "test": "test"}


def load_workload(directory):
    """The studies by batch size, read as the published data's own loader reads them.

    Folders of a workload and of a study are whole numbers and taken in their order, files beside
    them are ignored, a trial is called what its metadata says, and an empty field is NaN.
    """
    studies = {}
    for folder in sorted((d for d in directory.iterdir() if d.is_dir()), key=lambda d: int(d.name)):
        study = json.loads((folder / "study.json").read_text())
        study["trials"] = {}
        trials = [d for d in folder.iterdir() if d.is_dir()]
        assert trials, "their loader refuses a study without trials"
        for trial in sorted(trials, key=lambda d: int(d.name)):
            metadata = json.loads((trial / "metadata.json").read_text())
            with open(trial / "measurements.csv", newline="") as file:
                rows = list(csv.DictReader(file))
            table = {
                int(row.pop("step")): {n: float(v) if v else math.nan for n, v in row.items()}
                for row in rows
            }
            study["trials"][metadata["trial_id"]] = metadata | {"measurements": table}
        studies[int(study["batch_size"])] = study
    return studies


@pytest.fixture
def make_run(tmp_path):
    number = itertools.count()

    def make(cells, axes=AXES, dataset="fashion_mnist", **training):
        config = SweepConfig(training=TrainingConfig(**training)).identity()
        config["task"]["dataset"] = dataset
        run_id = f"run{next(number)}"
        with RunDirectory.open(tmp_path / "runs", "plane", run_id, config, "", axes) as run:
            for cell in cells:
                run.append_cell(cell)
            run.update_info(model="cnn_small")
        return results.load(run.directory)

    return make


@pytest.fixture
def cells(make_cell):
    points = list(itertools.product(*AXES.values()))
    made = [make_cell(*p, accuracy=1 / (i + 3), evaluations=2 + i) for i, p in enumerate(points)]
    made[1] = make_cell(*points[1], status="diverged")
    made[2]["status"] = "collapsed"
    made[4]["status"] = "reached_target"
    return made[:-1]  # the last one has not run


def trials_of(studies):
    return [trial for study in studies.values() for trial in study["trials"].values()]


def same(value, other):
    return value == other or (math.isnan(value) and math.isnan(other))


def error_of(accuracy):
    return accuracy if math.isnan(accuracy) else float(1 - Fraction(repr(accuracy)))


def test_every_cell_is_one_trial_and_comes_back_to_the_bit(tmp_path, make_run, cells):
    exported = export(make_run(cells), tmp_path / "out")
    assert exported.workload == tmp_path / "out" / "fashion_mnist" / "cnn_small" / "momentum"
    studies = load_workload(exported.workload)
    assert list(studies) == [16, 64]
    found = {}
    for batch_size, study in studies.items():
        assert list(study["trials"]) == [1, 2, 3, 4]
        for trial in study["trials"].values():
            point = trial["parameters"]
            assert point.pop("momentum") == 0.9
            assert set(point) == {"learning_rate", "seed"}
            found[(batch_size, point["learning_rate"], point["seed"])] = trial
    assert set(found) == set(itertools.product(*AXES.values()))
    for cell in cells:
        trial = found[tuple(cell["cell"].values())]
        curve, table = cell["trajectory"], trial["measurements"]
        assert trial["steps"] == cell["steps"]
        assert trial["_minima_status"] == cell["status"]
        assert list(table) == curve["step"]
        for i, step in enumerate(curve["step"]):
            ends = step == cell["steps"] and cell["status"] != "diverged"
            for split, name in SPLITS.items():
                values = cell if ends else {n: curve[n][i] for n in curve}
                loss, accuracy = (values.get(f"{name}_{metric}", math.nan) for metric in METRICS)
                assert same(table[step][f"{split}/cross_entropy_error"], loss)
                error = table[step][f"{split}/classification_error"]
                assert same(error, error_of(accuracy))


def test_statuses(tmp_path, make_run, cells):
    exported = export(make_run(cells), tmp_path / "out")
    trials = trials_of(load_workload(exported.workload))
    known = {(t["_minima_status"], t["status"]) for t in trials}
    assert known == {
        ("complete", "COMPLETE"),
        ("collapsed", "COMPLETE"),
        ("reached_target", "COMPLETE"),
        ("diverged", "INFEASIBLE"),
        ("pending", "INCOMPLETE"),
    }
    assert exported.statuses == {"COMPLETE": 6, "INFEASIBLE": 1, "INCOMPLETE": 1}
    assert exported.describe().startswith("8 trials (6 COMPLETE, 1 INCOMPLETE, 1 INFEASIBLE) in ")
    assert {t["_internal_study_name"] for t in trials} == {"run0"}


def test_the_study_says_what_was_searched(tmp_path, make_run, cells):
    run = make_run(cells, budget=SweepConfig().training.budget)
    study = load_workload(export(run, tmp_path / "out").workload)[64]
    del study["trials"]
    rates = {"type": "DISCRETE", "scale": "LOG_SCALE", "feasible_points": [*AXES["learning_rate"]]}
    momenta = {"type": "DISCRETE", "scale": "REVERSE_LOG_SCALE", "feasible_points": [0.9]}
    assert study == {
        "batch_size": 64,
        "dataset": "fashion_mnist",
        "early_stopping": False,
        "model": "cnn_small",
        "optimizer": "momentum",
        "parameter_configs": {
            "learning_rate": rates,
            "momentum": momenta,
            "seed": {"type": "DISCRETE", "feasible_points": [0, 7]},
        },
        "train_steps": 200,  # of the shortest complete trial
    }


def test_a_study_where_nothing_trained(tmp_path, make_run, make_cell):
    axes = {"batch_size": (16,), "learning_rate": (0.1,), "seed": (0, 1)}
    blown = make_cell(16, 0.1, 0, "diverged") | {"steps": 3, "trajectory": {"step": []}}
    (study,) = load_workload(export(make_run([blown], axes), tmp_path / "out").workload).values()
    assert study["train_steps"] == 0
    tables = [trial["measurements"] for trial in study["trials"].values()]
    assert [list(table) for table in tables] == [[3], [0]]  # one row each, and nothing in it
    assert all(math.isnan(v) for table in tables for row in table.values() for v in row.values())


def test_the_text_of_a_table(make_cell):
    cell = make_cell(accuracy=0.9, evaluations=2, status="diverged")
    cell["trajectory"] |= {"train_loss": [1e24, math.nan], "validation_loss": [0.1 + 0.2, 1.0]}
    header, first, last = to_csv(cell, early_stopping=False).splitlines()
    assert header == ",".join(("step", *COLUMNS))
    assert first == "100,1e+24,0.55,0.30000000000000004,0.55,,"
    assert last == "200,,,1.0,,,"


def test_an_error_is_exactly_what_the_accuracy_leaves(make_cell):
    """1 - 0.9 in float64 is below 0.1, and would count as having reached a goal of 0.1."""
    for accuracy in (0.9, 0.7, 0.975, 1.0, 0.0):
        cell = make_cell(accuracy=accuracy)
        row = to_csv(cell, early_stopping=False).splitlines()[-1].split(",")
        assert float(row[-1]) == round(1 - accuracy, 4)


def test_early_stopping_measures_its_best_evaluation(tmp_path, make_run, make_cell):
    axes = {"batch_size": (16,), "learning_rate": (0.1,), "seed": (0,)}
    cell = make_cell(16, 0.1, 0, "stopped_early", evaluations=4)
    cell["trajectory"]["validation_loss"] = [0.9, 0.5, 0.5, math.nan]
    budget = "9epochs,early_stopping=2"
    run = make_run([cell], axes, budget=parse_budget(budget))
    (study,) = load_workload(export(run, tmp_path / "out").workload).values()
    assert study["early_stopping"] is True
    (trial,) = study["trials"].values()
    assert trial["status"] == "COMPLETE"
    tests = {s: r["test/cross_entropy_error"] for s, r in trial["measurements"].items()}
    assert [step for step, loss in tests.items() if loss == cell["test_loss"]] == [200]
    assert sum(map(math.isnan, tests.values())) == 3


@pytest.mark.parametrize("scaling", ["none", "sqrt", "linear"])
@pytest.mark.parametrize("optimizer", exporting.MOMENTA | dict.fromkeys(("nesterov", "lion")))
def test_parameters_are_those_of_the_engine(tmp_path, make_run, optimizer, scaling):
    from minima.sweep.hyperparameters import hyperparameters

    training = TrainingConfig(optimizer=optimizer, learning_rate_scaling=scaling)
    run = make_run([], optimizer=optimizer, learning_rate_scaling=scaling)
    studies = load_workload(export(run, tmp_path / "out").workload)
    expected = [hyperparameters(training, p) for p in run_points()]
    found = [t["parameters"] for size in (64, 16) for t in studies[size]["trials"].values()]
    for name in ("learning_rate", "momentum"):
        assert [p[name] for p in found] == [values[name] for values in expected]


def run_points():
    return [dict(zip(AXES, point, strict=True)) for point in itertools.product(*AXES.values())]


def test_momenta_are_the_optimizers_own():
    from minima.sweep.optimizers import DEFAULT_MOMENTA

    default = dict.fromkeys(DEFAULT_MOMENTA, exporting.MOMENTUM) | exporting.MOMENTA
    assert default == {name: momentum for name, (momentum, _) in DEFAULT_MOMENTA.items()}


def test_a_momentum_of_the_users(tmp_path, make_run):
    run = make_run([], optimizer="nesterov", momentum=0.5)
    exported = export(run, tmp_path / "out")
    assert exported.workload.name == "nesterov_momentum"  # their name for it
    assert {t["parameters"]["momentum"] for t in trials_of(load_workload(exported.workload))} == {
        0.5
    }


def test_a_repeated_export_fills_up(tmp_path, make_run, make_cell, cells):
    run = make_run(cells)
    out = tmp_path / "out"
    workload = export(run, out).workload
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert export(run, out).workload == workload
    assert before == {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    run.cells.append(make_cell(16, 0.30000000000000004, 7, evaluations=9))
    assert export(run, out).statuses == {"COMPLETE": 7, "INFEASIBLE": 1}
    changed = [p for p in before if p.read_bytes() != before[p]]
    assert {path.parent.name for path in changed} == {"4"}  # no other trial was renumbered


def test_workloads_of_several_runs_share_a_directory(tmp_path, make_run, cells):
    out = tmp_path / "out"
    export(make_run(cells), out)
    export(make_run(cells, optimizer="sgd"), out)
    assert [path.name for path in sorted((out / "fashion_mnist" / "cnn_small").iterdir())] == [
        "momentum",
        "sgd",
    ]
    with pytest.raises(UserError, match=r"momentum is an export of plane/run0"):
        export(make_run(cells, weight_decay=1.0), out)


@pytest.mark.parametrize("content", ["notes.txt", MARK])
def test_another_directory_is_left_alone(tmp_path, make_run, cells, content):
    out = tmp_path / "out"
    out.mkdir()
    (out / content).write_text("[1]")
    with pytest.raises(UserError, match=r"choose another|export into a new or empty"):
        export(make_run(cells), out)
    assert [path.name for path in out.iterdir()] == [content]


def test_a_dataset_of_the_users_leaves_no_path_behind(tmp_path, make_run, cells):
    exported = export(make_run(cells, dataset="npz:/somewhere/my data.v2.npz"), tmp_path / "out")
    assert exported.workload.parts[-3:] == ("my-data-v2", "cnn_small", "momentum")
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert not any("somewhere" in path.read_text() for path in files)


def test_growing_batches_are_refused(tmp_path, make_run, cells):
    run = make_run(cells, batch_factor=2, milestones=(1.0,))
    with pytest.raises(UserError, match="its batches grow"):
        export(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_another_loss_is_refused(tmp_path, make_run, cells):
    run = make_run(cells)
    run.config["task"]["loss"] = "squared_error"
    with pytest.raises(UserError, match="its loss is squared_error"):
        export(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command(tmp_path, make_run, cells, capsys):
    run = make_run(cells)
    arguments = ["export", str(run.path), str(tmp_path / "out")]
    assert __main__.main(arguments) == 0
    assert capsys.readouterr().out.startswith("8 trials (")
    assert __main__.main(["export", str(run.path), str(run.path)]) == 2
    assert "holds other files" in capsys.readouterr().err
    (tmp_path / "file").touch()
    assert __main__.main(["export", str(run.path), str(tmp_path / "file" / "out")]) == 2
    assert "Not a directory" in capsys.readouterr().err


def test_jax_stays_away(tmp_path, make_run, cells):
    run = make_run(cells)
    code = (
        "import sys; from minima.__main__ import main; code = main(sys.argv[1:]);"
        "sys.exit(code or 'jax' in sys.modules)"
    )
    command = [sys.executable, "-c", code, "export", str(run.path), str(tmp_path / "out")]
    subprocess.run(command, check=True, env=os.environ)
