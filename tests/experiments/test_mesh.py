"""`--mesh` from the command line: killed, taken up elsewhere, looked at again."""

import signal
import time

import numpy as np
import pytest

import minima
from minima.runtime.devices import cores

FLAGS = (
    "--model=mlp",
    "--width=32",
    "--batch_sizes=16",
    "--learning_rates=0.03",
    "--seeds=4",
    "--budget=6epochs",
    "--evaluations=3",
    "--checkpoint_seconds=0.1",
    "--microbatch=16",
    "--dtype=float64",
)
MESH = "--mesh=data:2"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(cores() < 2, reason="a mesh of two devices takes two cores"),
]


@pytest.fixture(scope="module")
def over_two(experiment, run_path, tmp_path_factory):
    """A run whose cells were each spread over two devices."""
    folder = tmp_path_factory.mktemp("two")
    result = experiment(*FLAGS, MESH, "--snapshots=1", cwd=folder)
    assert result.returncode == 0, result.stderr
    assert "mesh       data:2, 25,450 of 25,450 parameters on each device" in (
        (run_path(result.stdout, folder) / "log.txt").read_text()
    )
    return run_path(result.stdout, folder)


def test_killed_on_a_mesh_and_taken_up_on_one_device(
    experiment, start_experiment, run_path, over_two, tmp_path
):
    flags = (*FLAGS, "--snapshots=1")
    with start_experiment(*flags, MESH, cwd=tmp_path) as process:
        end = time.monotonic() + 100
        while not any(p.stat().st_size for p in tmp_path.glob("runs/*/*/cells.jsonl")):
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 75, err
    done = len(minima.load(run_path(out, tmp_path)).cells)
    assert 0 < done < 4
    result = experiment(*flags, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    run = run_path(result.stdout, tmp_path)
    assert run.name == over_two.name  # the mesh is no part of what a run is
    found, expected = minima.load(run).cells, minima.load(over_two).cells
    assert len(found) == len(expected) == 4
    by_seed = {record["cell"]["seed"]: record for record in expected}
    for record in found:
        other = by_seed[record["cell"]["seed"]]
        if record in found[:done]:
            assert record == other
        # After 500 updates by another sum; after 1,500 such courses have parted (see README).
        curves = (cell["trajectory"]["train_loss"] for cell in (record, other))
        first, reference = (curve[0] for curve in curves)
        np.testing.assert_allclose(first, reference, rtol=1e-9)
        np.testing.assert_allclose(record["test_loss"], other["test_loss"], rtol=0.05)


def test_a_cell_is_repeated_bit_for_bit(python, over_two):
    result = python("-m", "minima", "replay", over_two, "2", cwd=over_two, timeout=200)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "repeated bit for bit" in result.stdout


def test_its_minima_are_measured(python, over_two):
    flags = ("--panels=noise", "--examples=200", "--cells=0")
    result = python("-m", "minima", "measure", over_two, *flags, cwd=over_two, timeout=200)
    assert result.returncode == 0, result.stdout + result.stderr
    assert (over_two / "measures.jsonl").read_text().count("\n") == 1
