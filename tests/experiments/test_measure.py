"""Minima measured from the command line: with the flagship, and afterwards."""

import csv
import json
import math
import shutil

import pytest

import minima

COLUMNS = {"lambda_max", "trace", "adaptive_sharpness", "noise_scale"}


def read_csv(run):
    with open(run / "results.csv", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def measured(experiment, run_path, tmp_path_factory):
    """The smoke preset with three panels: what it printed, and the run."""
    cwd = tmp_path_factory.mktemp("measured")
    flags = (
        "--measure=hessian,sharpness,noise",
        "--measure_examples=300",
        "--dataset=mnist1d",
        "--test_examples=500",
    )
    result = experiment("--preset=smoke", *flags, cwd=cwd)
    assert (result.returncode, result.stderr.count("error")) == (0, 0), result.stderr
    return result.stdout, run_path(result.stdout, cwd)


@pytest.mark.slow
def test_every_cell_that_has_a_minimum_has_the_columns(measured):
    rows = read_csv(measured[1])
    assert set(rows[0]) >= COLUMNS
    for row in rows:
        value = float(row["lambda_max"])
        assert math.isnan(value) if row["status"] == "diverged" else value > 0
    text = (measured[1] / "measures.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    kept = sum(row["status"] != "diverged" for row in rows)
    assert len(lines) == 3 * kept
    found = minima.load(measured[1]).results
    assert int(found["trace"].notnull().sum()) == kept
    assert int(found["trace_standard_error"].notnull().sum()) == kept
    assert int((found["lambda_max_converged"] >= 0).sum()) == kept


def test_it_is_drawn_and_told(measured):
    out, run = measured
    for suffix in ("png", "svg"):
        assert (run / "figures" / f"landscape.{suffix}").stat().st_size > 5_000
    assert "; a minimum cost " in out
    assert "  lambda_max " in out
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    [row, *_] = [row for row in read_csv(run) if row["status"] == "complete"]
    name = f"bs={row['batch_size']},lr={float(row['learning_rate']):g},seed={row['seed']}"
    events = EventAccumulator(str(run / "tensorboard" / name))
    events.Reload()
    [scalar] = events.Scalars("landscape/lambda_max")
    assert scalar.value == pytest.approx(float(row["lambda_max"]), rel=1e-6)


@pytest.mark.slow
def test_afterwards_any_run_is_measured_where_it_was_not(measured, python, tmp_path):
    run = shutil.copytree(measured[1], tmp_path / "run")
    before = (run / "measures.jsonl").read_bytes()
    measure = ("-m", "minima", "measure", run)
    again = python(*measure, "--examples=300", cwd=tmp_path)
    assert (again.returncode, again.stderr) == (0, "")
    assert (run / "measures.jsonl").read_bytes() == before
    one = python(
        *measure,
        "--panels=norms",
        "--examples=0",
        "--cells",
        "bs=32,lr=0.1,seed=0",
        "3",
        cwd=tmp_path,
    )
    assert (one.returncode, one.stderr) == (0, "")
    added = (run / "measures.jsonl").read_bytes().removeprefix(before).splitlines()
    lines = [json.loads(line) for line in added]
    assert sorted(line["cell"]["seed"] for line in lines) == [0, 1]
    for line in lines:
        [record] = [c for c in minima.load(run).cells if c["cell"] == line["cell"]]
        assert line["measured"]["loss"]["value"] == pytest.approx(record["train_loss"], rel=1e-5)


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--panels=hesian",), "panel 'hesian': choose of hessian, sharpness"),
        (("--cells", "99"), "the run has 12; use 0 to 11"),
        (("--cells", "4"), "keeps no minimum of the cells asked for"),  # diverged
    ],
)
def test_a_mistake_is_one_line(measured, python, one_line, tmp_path, flags, says):
    before = (measured[1] / "measures.jsonl").read_bytes()
    result = python("-m", "minima", "measure", measured[1], *flags, cwd=tmp_path)
    assert result.returncode == 2
    assert says in one_line(result.stderr)
    assert (measured[1] / "measures.jsonl").read_bytes() == before


def test_help_does_not_wait_for_jax(python, tmp_path):
    result = python("-X", "importtime", "-m", "minima", "measure", "--help", cwd=tmp_path)
    imported = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines()}
    assert result.returncode == 0
    assert "--panels" in result.stdout
    assert not imported & {"jax", "numpy", "matplotlib"}
