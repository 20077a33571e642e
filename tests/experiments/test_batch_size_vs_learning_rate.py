import csv
import json
import math
import os
import shutil
from collections import Counter

import numpy as np
import pytest
import xarray

import minima

METRICS = [
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
    "test_loss",
    "test_accuracy",
]
COLUMNS = ["batch_size", "learning_rate", "seed", "status", "steps", "examples", *METRICS]


def read_csv(run):
    with open(run / "results.csv", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def smoke(experiment, run_path, tmp_path_factory):
    """The smoke preset, run once: what it printed, where it ran and the run."""
    cwd = tmp_path_factory.mktemp("smoke")
    result = experiment("--preset=smoke", cwd=cwd)
    assert (result.returncode, result.stderr.count("error")) == (0, 0)
    return result, cwd, run_path(result.stdout, cwd)


@pytest.fixture
def copied(smoke, tmp_path):
    """A copy of the smoke run that a test may spoil."""
    return shutil.copytree(smoke[2], tmp_path / "run")


# --- what a finished run leaves --------------------------------------------------------------


def test_output_is_plain_text_where_there_is_no_terminal(smoke, visible):
    result, cwd, run = smoke
    assert visible(result.stdout)
    assert visible(result.stderr)
    assert run.parent == cwd / "runs" / "batch_size_vs_learning_rate"
    assert "Traceback" not in result.stderr
    assert "Warning" not in result.stderr


def test_results_csv(smoke):
    rows = read_csv(smoke[2])
    assert list(rows[0])[: len(COLUMNS)] == COLUMNS
    points = [(int(r["batch_size"]), float(r["learning_rate"]), int(r["seed"])) for r in rows]
    assert points == [(b, r, s) for b in (32, 256) for r in (0.01, 0.1, 100) for s in (0, 1)]
    assert {row["status"] for row in rows} <= {"complete", "diverged", "collapsed"}
    for row in rows:
        assert int(row["examples"]) == int(row["steps"]) * int(row["batch_size"])
        if row["status"] == "diverged":
            assert {row[name] for name in METRICS} == {"nan"}
        else:
            assert int(row["steps"]) == math.ceil(4000 / int(row["batch_size"]))
            assert all(float(row[name]) >= 0 for name in METRICS)
            assert all(float(row[name]) <= 1 for name in METRICS if name.endswith("accuracy"))
    assert all(row["status"] == "diverged" for row in rows if row["learning_rate"] == "100.0")
    assert max(float(row["test_accuracy"]) for row in rows if row["status"] == "complete") > 0.5


def test_run_json_adds_up(smoke):
    run, rows = smoke[2], read_csv(smoke[2])
    info = json.loads((run / "run.json").read_text())
    assert info["status"] == "complete"
    assert info["cells"] == len(rows) == sum(info["cells_by_status"].values())
    assert info["cells_by_status"] == Counter(row["status"] for row in rows)
    assert info["compilations"] == 1
    assert 0 < info["compile_seconds"] < 120
    assert 0 < info["train_seconds"] < 120
    assert 50e6 < info["peak_memory_bytes"] < 3e9


def test_results_nc_agrees_with_the_csv(smoke):
    run, rows = smoke[2], read_csv(smoke[2])
    with xarray.open_dataset(run / "results.nc") as dataset:
        values = dataset["test_accuracy"].sel(batch_size=32).values
    expected = [float(row["test_accuracy"]) for row in rows if row["batch_size"] == "32"]
    np.testing.assert_array_equal(values.ravel(), expected)


def test_load(smoke):
    run = minima.load(smoke[2])
    assert len(run.cells) == 12
    assert run.axes == {
        "batch_size": (32, 256),
        "learning_rate": (0.01, 0.1, 100.0),
        "seed": (0, 1),
    }
    assert run.results["test_accuracy"].shape == (2, 3, 2)
    assert run.info["status"] == "complete"


def test_the_heat_map_is_a_png(smoke):
    data = (smoke[2] / "figures" / "plane.png").read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert len(data) > 10_000


def test_tensorboard_has_every_cell(smoke):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = smoke[2] / "tensorboard"
    for row in read_csv(smoke[2]):
        rate = float(row["learning_rate"])
        name = f"bs={row['batch_size']},lr={rate:g},seed={row['seed']}"
        events = EventAccumulator(str(folder / name))
        events.Reload()
        tags = events.Tags()["scalars"]
        if row["status"] == "diverged":
            assert "final/diverged" in tags
            continue
        [final] = events.Scalars("final/test_accuracy")
        assert np.float32(final.value) == np.float32(row["test_accuracy"])
        if row["status"] == "complete":
            [tag] = [t for t in tags if t.endswith("/validation_accuracy") and "final" not in t]
            curve = events.Scalars(tag)
            assert [point.step for point in curve] == sorted({point.step for point in curve})
            assert curve[-1].step == int(row["steps"])


def test_its_flagfile_finds_the_same_run_and_trains_nothing(smoke, experiment):
    result, cwd, run = smoke
    names = ("cells.jsonl", "results.csv", "run.flags")
    before = {name: (run / name).read_bytes() for name in names}
    info = minima.load(run).info
    again = experiment(f"--flagfile={run / 'run.flags'}", cwd=cwd)
    assert again.returncode == 0
    assert again.stderr == ""
    assert again.stdout.splitlines()[-1] == result.stdout.splitlines()[-1]
    assert {name: (run / name).read_bytes() for name in names} == before
    for name in ("compilations", "compile_seconds", "train_seconds", "cells_by_status", "started"):
        assert minima.load(run).info[name] == info[name]


# --- before anything is trained --------------------------------------------------------------


@pytest.mark.parametrize("preset", ["smoke", "laptop", "gpu", "pod"])
def test_plan_only_writes_nothing(experiment, tmp_path, preset):
    result = experiment(f"--preset={preset}", "--plan_only", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    words = [line.split()[0] for line in result.stdout.splitlines()]
    assert "unknown; `python -m minima probe` measures" in result.stdout
    assert words[:7] == ["cells", "data", "model", "training", "program", "memory", "time"]
    assert result.stdout.splitlines()[-1].startswith("run: runs/batch_size_vs_learning_rate/")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("flag", ["--help", "--batch_sizes=0"])
def test_help_and_wrong_flags_do_not_wait_for_jax(python, script, tmp_path, flag):
    result = python("-X", "importtime", script, flag, cwd=tmp_path, timeout=30)
    imported = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines()}
    assert "minima.sweep.config" in imported
    assert not imported & {"jax", "matplotlib", "orbax", "xarray"}
    if flag == "--help":
        assert result.returncode == 0
        assert "--batch_sizes=" in result.stdout
        assert "--preset=smoke" in result.stdout


# --- other data ------------------------------------------------------------------------------


@pytest.mark.slow
def test_images_from_an_npz_file(experiment, run_path, tmp_path):
    random = np.random.default_rng(0)
    patterns = random.integers(0, 200, size=(4, 8, 8))
    labels = np.arange(400) % 4
    images = (patterns[labels] + random.integers(0, 56, size=(400, 8, 8))).astype(np.uint8)
    arrays = {"x_train": images[:300], "y_train": labels[:300]}
    np.savez(tmp_path / "own.npz", **arrays, x_test=images[300:], y_test=labels[300:])
    flags = "--dataset=npz:own.npz --model=mlp --batch_sizes=16 --learning_rates=0.01 --seeds=2"
    infos = []
    for workdir in ("first", "second"):
        result = experiment(
            *flags.split(), "--budget=5epochs", f"--workdir={workdir}", cwd=tmp_path
        )
        assert result.returncode == 0
        run = run_path(result.stdout, tmp_path)
        assert all(float(row["test_accuracy"]) > 0.7 for row in read_csv(run))
        infos.append(minima.load(run).info)
    assert [info["compilations"] for info in infos] == [1, 0]  # a second start reads the cache


@pytest.mark.slow
def test_mnist1d(experiment, run_path, tmp_path):
    flags = "--dataset=mnist1d --model=mlp --batch_sizes=32 --learning_rates=0.03 --seeds=1"
    result = experiment(*flags.split(), "--budget=10epochs", cwd=tmp_path)
    assert result.returncode == 0
    [row] = read_csv(run_path(result.stdout, tmp_path))
    assert row["status"] == "complete"
    assert 0.3 < float(row["test_accuracy"]) < 1


# --- python -m minima ------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["bs=32,lr=0.1,seed=0", "11"])
def test_replay_repeats_the_record(smoke, python, cell):
    result = python("-m", "minima", "replay", smoke[2], cell, "--updates=30", cwd=smoke[1])
    assert (result.returncode, result.stderr) == (0, "")
    assert "repeated bit for bit" in result.stdout


@pytest.mark.slow
def test_replay_finds_a_changed_number(copied, python, tmp_path):
    lines = (copied / "cells.jsonl").read_text().splitlines()
    cells = [json.loads(line) for line in lines]
    [cell] = [c for c in cells if list(c["cell"].values()) == [32, 0.01, 0]]
    cell["validation_accuracy"] += 1 / 1000
    (copied / "cells.jsonl").write_text("".join(json.dumps(c) + "\n" for c in cells))
    result = python(
        "-m", "minima", "replay", copied, "bs=32,lr=0.01,seed=0", "--updates=30", cwd=tmp_path
    )
    assert result.returncode == 1
    assert "NOT repeated: validation_accuracy" in result.stdout
    assert result.stdout.count("recorded") == 1


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("bs=7,lr=0.1,seed=0", "not on the grid"),
        ("12", "the run has 12; use 0 to 11"),
        ("nonsense", "can't be read"),
    ],
)
def test_replay_of_no_cell(smoke, python, one_line, cell, says):
    result = python("-m", "minima", "replay", smoke[2], cell, cwd=smoke[1])
    assert result.returncode == 2
    assert says in one_line(result.stderr)


def test_replay_of_an_unfinished_cell(copied, python, one_line, tmp_path):
    (copied / "cells.jsonl").write_text("")
    result = python("-m", "minima", "replay", copied, "0", cwd=tmp_path)
    assert result.returncode == 2
    assert "not finished" in one_line(result.stderr)


@pytest.mark.parametrize("path", [".", "nowhere", "run.json"])
def test_replay_of_no_run(python, one_line, tmp_path, path):
    (tmp_path / "run.json").write_text("{")
    result = python("-m", "minima", "replay", path, "0", cwd=tmp_path)
    assert result.returncode == 2
    assert "run.json" in one_line(result.stderr)


@pytest.mark.slow
def test_a_probe_lets_the_plan_tell_the_time(python, experiment, tmp_path):
    cache, plan = tmp_path / "cache", ("--model=mlp", "--batch_sizes=16", "--plan_only")
    probe = "-m minima probe --model=mlp --microbatches=16 --blocks=1"
    result = python(*probe.split(), cwd=tmp_path, cache=cache)
    assert (result.returncode, result.stderr) == (0, "")
    table = json.loads((cache / "minima" / "probe.json").read_text())
    assert [set(entry["rates"]) for entry in table] == [{"1"}]
    assert str(cache / "minima" / "probe.json") in result.stdout.splitlines()[-1]
    planned = experiment(*plan, cwd=tmp_path, cache=cache)
    assert "minutes at " in planned.stdout
    assert "unknown" not in planned.stdout


@pytest.mark.slow
def test_data_whose_test_set_is_what_it_is(experiment, tmp_path):
    """The verdict asks for fresh test examples where they can be drawn, and only there."""
    for dataset, tests in (("mnist1d_near", "4,000"), ("mnist1d", "10,000")):
        planned = experiment(f"--dataset={dataset}", "--model=mlp", "--plan_only", cwd=tmp_path)
        assert (planned.returncode, planned.stderr) == (0, "")
        assert f"/{tests} train/validation/test" in planned.stdout
