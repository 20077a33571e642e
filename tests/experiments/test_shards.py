"""A sweep in shards through the command line: whatever the split and whatever ends a shard, the
gathered run is the unsplit one."""

import json
import signal
import time

import pytest

import minima

FLAGS = (
    "--preset=smoke",
    "--model=mlp",
    "--dataset=mnist1d",
    "--test_examples=1000",
    "--budget=20epochs",
    "--checkpoint_seconds=0.05",
)
CELLS = 12
ROOT = "runs/batch_size_vs_learning_rate"


@pytest.fixture(scope="module")
def unsplit(experiment, run_path, tmp_path_factory):
    """The folder of the run that was never split."""
    folder = tmp_path_factory.mktemp("unsplit")
    result = experiment(*FLAGS, cwd=folder)
    assert result.returncode == 0, result.stderr
    return run_path(result.stdout, folder)


@pytest.fixture
def shard(experiment, tmp_path):
    """Runs a shard to its end; it must say how it stands and leave with 0."""

    def shard(index, count, *flags):
        result = experiment(*FLAGS, f"--shard={index}/{count}", *flags, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        says, where = result.stdout.splitlines()[-2:]
        assert says.startswith(f"shard {index}/{count}: ")
        assert f" of {CELLS} cells done; gather with: python -m minima gather {ROOT}/" in says
        return tmp_path / where.removeprefix("run: ")

    return shard


@pytest.fixture
def gather(python, tmp_path):
    """Gathers the only run: (exit code, what it says)."""

    def gather():
        (run,) = (tmp_path / ROOT).iterdir()
        result = python("-m", "minima", "gather", run.relative_to(tmp_path), cwd=tmp_path)
        assert result.stderr == ""
        return result.returncode, result.stdout

    return gather


@pytest.fixture
def whole(experiment, run_path, tmp_path, unsplit):
    """The command without --shard: it must train nothing and come to the unsplit run."""

    def whole():
        (run,) = (tmp_path / ROOT).iterdir()
        before = (run / "cells.jsonl").read_bytes()
        result = experiment(*FLAGS, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        assert run_path(result.stdout, tmp_path) == run
        assert (run / "cells.jsonl").read_bytes() == before
        assert minima.load(run).info["compilations"] == 0
        same_as(run, unsplit)

    return whole


def wait_for(process, condition):
    """Returns when the condition holds or the process has ended."""
    while process.poll() is None and not condition():
        time.sleep(0.01)


def same_as(run, unsplit):
    """Bit for bit: cells, results, minima and verdict; and a TensorBoard run for every cell."""
    lines = (run / "cells.jsonl").read_bytes().splitlines()
    assert sorted(lines) == sorted((unsplit / "cells.jsonl").read_bytes().splitlines())
    for name in ("results.csv", "verdict.json"):
        assert (run / name).read_bytes() == (unsplit / name).read_bytes()
    for one in unsplit.glob("snapshots/*/*.npz"):
        assert (run / one.relative_to(unsplit)).read_bytes() == one.read_bytes()
    assert len(list(run.glob("tensorboard/*"))) == CELLS + 1
    assert list(run.glob("shards/*/tensorboard")) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "count",
    [
        2,
        pytest.param(7, marks=pytest.mark.slow),
        *(pytest.param(n, marks=pytest.mark.long) for n in (1, CELLS + 1)),
    ],
)
def test_any_split_gathers_to_the_unsplit_run(shard, gather, whole, count):
    parts = [shard(index, count) for index in range(count)]
    code, says = gather()
    assert code == 0
    assert f"cells      {CELLS} of {CELLS}, {CELLS} of them gathered now" in says
    assert f"{count}: done" in says
    info = json.loads((parts[0] / "run.json").read_text())
    assert (info["shard"], info["status"]) == (f"0/{count}", "complete")
    for part in parts:  # files: six of the run's own, and a folder of two snapshots for each cell
        done = part / "cells.jsonl"  # missing where there are more shards than cells
        cells = done.read_bytes().count(b"\n") if done.exists() else 0
        files = [path for path in part.rglob("*") if "checkpoints" not in path.parts]
        assert len(files) <= 6 + 3 * cells
    whole()


@pytest.mark.slow
def test_a_shard_at_work_is_named_and_keeps_the_whole_from_starting(
    gather, experiment, start_experiment, tmp_path
):
    long = (*FLAGS, "--budget=4000epochs")
    with start_experiment(*long, "--shard=1/3", cwd=tmp_path) as process:
        wait_for(process, lambda: list(tmp_path.rglob("1-of-3/checkpoints/[0-9]*")))
        code, says = gather()
        assert code == 1
        assert f"in training by process {process.pid}" in says
        refused = experiment(*long, cwd=tmp_path)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert refused.returncode == 2
    assert f"shard 1/3 by process {process.pid}" in refused.stderr
    assert (process.returncode, "Traceback" in err) == (75, False)
    assert "to go; the same command goes on from here" in out.splitlines()[-2]


@pytest.mark.slow
def test_a_killed_shard_goes_on_to_the_same_bits(shard, gather, whole, start_experiment, tmp_path):
    for index in (0, 1):
        with start_experiment(*FLAGS, f"--shard={index}/2", cwd=tmp_path) as process:
            wait_for(
                process, lambda at=index: list(tmp_path.rglob(f"{at}-of-2/checkpoints/[0-9]*"))
            )
            process.send_signal(signal.SIGKILL)
        shard(index, 2)
    assert gather()[0] == 0
    whole()


@pytest.mark.slow
def test_missing_and_damaged_shards_are_named_and_nothing_else_is_lost(
    shard, gather, start_experiment, unsplit, tmp_path
):
    # One killed and started again, one missing, one damaged.
    with start_experiment(*FLAGS, "--shard=0/3", cwd=tmp_path) as process:
        wait_for(process, lambda: list(tmp_path.rglob("0-of-3/checkpoints/[0-9]*")))
        process.send_signal(signal.SIGKILL)
    shard(0, 3)
    third = shard(2, 3)
    lines = (third / "cells.jsonl").read_bytes().splitlines(keepends=True)
    damaged = b"".join([lines[0], b"\xff" + lines[1][1:], *lines[2:]])
    (third / "cells.jsonl").write_bytes(damaged)
    code, says = gather()
    assert code == 1
    assert f"cells      7 of {CELLS}, 7 of them gathered now" in says
    assert "0 of 3: done" in says
    assert "1 of 3: missing, never started here" in says
    assert f"damaged: {third.relative_to(tmp_path) / 'cells.jsonl'} line 2 (" in says
    # Another split takes what is missing, and that alone.
    others = [shard(0, 2), shard(1, 2)]
    code, says = gather()
    assert (code, f"cells      {CELLS} of {CELLS}, 5 of them" in says) == (0, True)
    trained = [path / "cells.jsonl" for path in others]
    assert sum(path.read_bytes().count(b"\n") for path in trained if path.exists()) == 5
    assert (third / "cells.jsonl").read_bytes() == damaged
    run = third.parents[1]
    mine, theirs = ((path / "cells.jsonl").read_bytes() for path in (run, unsplit))
    assert sorted(mine.splitlines()) == sorted(theirs.splitlines())


@pytest.mark.slow
def test_the_whole_command_takes_shards_up_without_being_told(shard, experiment, tmp_path, unsplit):
    part = shard(0, 2)
    finished = (part / "cells.jsonl").read_bytes()
    result = experiment(*FLAGS, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    run = part.parents[1]
    assert (run / "cells.jsonl").read_bytes().startswith(finished)
    same_as(run, unsplit)
    assert f"shard 1/2: 6 of {CELLS} cells done" in str(
        experiment(*FLAGS, "--shard=1/2", cwd=tmp_path).stdout
    )  # all of them by the whole: nothing to train


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "sweeps"),
    [
        pytest.param("batch_size_rescue", 1, marks=pytest.mark.slow),
        pytest.param("sharp_vs_flat", 1, marks=pytest.mark.slow),
        ("edge_of_stability", 3),
    ],
)
def test_every_experiment_ends_after_its_first_sweeps(python, script, tmp_path, name, sweeps):
    path = script.with_name(f"{name}.py")
    result = python(path, "--preset=smoke", "--shard=1/20", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("shard      1/20: ") == sweeps  # of the plan
    assert result.stdout.count("shard 1/20: ") == sweeps  # of what was done
    assert result.stdout.count("gather with: python -m minima gather ") == sweeps
    made = list(tmp_path.glob(f"runs/{name}/*/*"))
    assert {path.name for path in made} == {"shards"}
    assert len(made) == sweeps
