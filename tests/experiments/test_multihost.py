"""Several processes, really started, through the command line; their results are those of one."""

import functools
import json
import math
import os
import signal
import time
from pathlib import Path

import pytest
from launched import PATH, Launched, slurm

import minima

HERE = Path(__file__).parent
SWEEP = HERE / "example_sweep.py"
FLAGSHIP = HERE.parents[1] / "experiments" / "batch_size_vs_learning_rate.py"
COMMON = ("--seeds=1", "--dtype=float64", "--tensorboard=false", "--workdir=runs")
# Stable rates, and no more updates than the contract about other meshes speaks of.
MLP = (
    "--dataset=mnist1d",
    "--model=mlp",
    "--batch_sizes=32",
    "--learning_rates=0.01,0.03",
    "--budget=50steps",
    "--evaluations=5",
    *COMMON,
)
TRANSFORMER = (
    "--dataset=markov",
    "--model=transformer",
    "--width=16",
    "--depth=1",
    "--batch_sizes=16",
    "--learning_rates=0.01",
    "--train_examples=128",
    "--budget=8steps",
    "--evaluations=1",
    *COMMON,
)
# Some seconds of training, with checkpoints all the time.
LONG = (
    "--dataset=mnist1d",
    "--model=mlp",
    "--learning_rates=0.01,0.03,0.1",
    "--evaluations=20",
    "--checkpoint_seconds=0.2",
    *COMMON,
)
MANY, FEW = ("--batch_sizes=16", "--budget=30epochs"), ("--batch_sizes=32", "--budget=600steps")
# Runs a script as on a host that shares no folder with the others: rank 0's is host-0.
HOST = """
import os, runpy, sys
sys.argv = sys.argv[1:]
script = os.path.abspath(sys.argv[0])
os.makedirs(f"host-{os.environ['SLURM_PROCID']}", exist_ok=True)
os.chdir(f"host-{os.environ['SLURM_PROCID']}")
runpy.run_path(script, run_name="__main__")
"""
ONE, APART, MESH = (
    ("--devices=1",),
    ("--devices=1", "--multihost"),
    ("--multihost", "--mesh=data:2"),
)
LOST = 70


@pytest.fixture(scope="module")
def launch(cache):
    """Starts a script as a group of processes."""

    def launch(*command, cwd, **how):
        return Launched(command, cwd, {"XDG_CACHE_HOME": str(cache)}, **how)

    return launch


@pytest.fixture(scope="module")
def train(launch):
    """Trains to the end, on one process unless told otherwise; returns cells in grid order."""

    def train(*flags, cwd, count=1, script=SWEEP):
        with launch(script, *flags, cwd=cwd, count=count) as group:
            ended = group.wait()
        assert ended.codes == [0] * count, ended.err
        assert not any(ended.out[1:])  # only the first has a terminal
        return cells(cwd if script == SWEEP else cwd / "host-0")

    return train


@pytest.fixture(scope="module")
def undisturbed(train, tmp_path_factory):
    """What LONG gives on one process with one device, by its other flags."""
    return functools.cache(
        lambda flags: train(*LONG, *flags, *ONE, cwd=tmp_path_factory.mktemp("undisturbed"))
    )


def cells(folder):
    """What the only run under a folder has recorded, as it stands in its cells.jsonl, by rate."""
    [run] = folder.glob("runs/*/*")
    return sorted(minima.load(run).cells, key=lambda cell: cell["cell"]["learning_rate"])


def recorded(folder):
    """How many cells any process has finished."""
    files = [*folder.glob("runs/*/*/cells.jsonl"), *folder.glob("runs/*/*/shards/*/cells.jsonl")]
    return sum(file.read_bytes().count(b"\n") for file in files)


def numbers(value, name=""):
    """All leaves of nested records, by path."""
    if isinstance(value, dict | list):
        entries = value.items() if isinstance(value, dict) else enumerate(value)
        return {k: v for key, each in entries for k, v in numbers(each, f"{name}/{key}").items()}
    return {name: value}


def agree(left, right, bound):
    """Two runs have the same cells, and all numbers agree within a relative bound."""
    left, right = numbers(left), numbers(right)
    assert left.keys() == right.keys()
    assert len(left) > 10
    for name, value in left.items():
        if isinstance(value, float):
            assert math.isclose(value, right[name], rel_tol=bound, abs_tol=bound), name
        else:
            assert value == right[name], name


def wait_for(group, condition, seconds=120):
    """Returns once the condition holds; all processes still run then."""
    end = time.monotonic() + seconds
    while not condition():
        assert all(process.poll() is None for process in group.processes), group.wait().err
        assert time.monotonic() < end
        time.sleep(0.01)


def checkpointed(folder):
    """Whether a whole checkpoint is there."""
    return any(path.name.isdigit() for path in folder.glob("runs/**/checkpoints/*"))


@pytest.mark.slow
def test_data_and_tensor_parallel_training_is_that_of_one_process(train, host, tmp_path):
    for folder in ("one", "data", "model", "one_transformer", "transformer"):
        (tmp_path / folder).mkdir()
    one = train(*MLP, *ONE, cwd=tmp_path / "one")
    # Examples stay with the host here, so that every process sends its own devices' part; and the
    # hosts share no folder.
    flags = (SWEEP, *MLP, *MESH, "--slab_mib=0.2")
    agree(train(*flags, cwd=tmp_path / "data", count=2, script=host), one, 1e-10)
    assert [path.name for path in (tmp_path / "data" / "host-1").iterdir()] == []
    model = train(*MLP, "--multihost", "--mesh=model:2", cwd=tmp_path / "model", count=2)
    agree(model, one, 1e-10)
    one = train(*TRANSFORMER, *ONE, cwd=tmp_path / "one_transformer")
    flags = (*TRANSFORMER, "--multihost", "--mesh=model:2")
    agree(train(*flags, cwd=tmp_path / "transformer", count=2), one, 1e-10)


@pytest.mark.slow
def test_each_its_own_cells_bit_for_bit(train, undisturbed, tmp_path):
    assert train(*LONG, *MANY, *APART, cwd=tmp_path, count=2) == undisturbed(MANY)
    [run] = tmp_path.glob("runs/*/*")
    assert sorted(path.name for path in (run / "shards").iterdir()) == ["0-of-2", "1-of-2"]
    assert minima.load(run).info["status"] == "complete"


@pytest.mark.slow
def test_hosts_that_share_a_bucket_alone(launch, undisturbed, tmp_path):
    srun, stores = slurm(), HERE.parents[0] / "record" / "stores"
    (tmp_path / "bucket").mkdir()

    def host(rank, count):
        return srun(rank, count) | {
            "BUCKET": str(tmp_path / "bucket"),
            "XDG_CACHE_HOME": str(tmp_path / f"cache-{rank}"),
            "PYTHONPATH": os.pathsep.join([PATH, str(stores)]),
        }

    flags = (*LONG, *MANY, *APART, "--workdir=bucket://b/runs")
    with launch(SWEEP, *flags, cwd=tmp_path, task=host) as group:
        ended = group.wait()
    assert ended.codes == [0, 0], ended.err
    assert ended.out[0].splitlines()[-1].startswith("run: bucket://b/runs/example/")
    [lines] = (tmp_path / "bucket").glob("b/runs/*/*/cells.jsonl")
    text = b"".join(path.read_bytes() for path in sorted(lines.iterdir()))
    found = sorted(map(json.loads, text.splitlines()), key=lambda one: one["cell"]["learning_rate"])
    assert found == undisturbed(MANY)


@pytest.mark.slow
@pytest.mark.parametrize(("size", "how", "bound"), [(MANY, APART, 0), (FEW, MESH, 1e-6)])
def test_preemption_of_one_process_is_a_pause_of_all(
    launch, train, undisturbed, tmp_path, size, how, bound
):
    with launch(SWEEP, *LONG, *size, *how, cwd=tmp_path) as group:
        wait_for(group, lambda: checkpointed(tmp_path))
        group.processes[1].send_signal(signal.SIGTERM)
        ended = group.wait()
    assert ended.codes == [75, 75], ended.err
    assert "the same command goes on from here" in ended.out[0]
    assert recorded(tmp_path) < 2 * len(undisturbed(size))
    # On another number of devices; --devices would make it another run.
    after = train(*LONG, *size, *(ONE if how == APART else ()), cwd=tmp_path)
    agree(after, undisturbed(size), bound)


@pytest.mark.slow
@pytest.mark.parametrize(("size", "how", "bound"), [(MANY, APART, 0), (FEW, MESH, 1e-6)])
def test_a_killed_process_ends_the_job_which_goes_on(
    launch, train, undisturbed, tmp_path, size, how, bound
):
    with launch(SWEEP, *LONG, *size, *how, cwd=tmp_path) as group:
        wait_for(group, lambda: checkpointed(tmp_path))
        group.processes[1].kill()
        begin = time.monotonic()
        ended = group.wait()
    assert time.monotonic() - begin < 75  # the heartbeat's limit is 30 seconds
    assert ended.codes[0] in (LOST, -signal.SIGABRT), ended.err
    ours, jaxs = "process 0 of 2 has lost another one", "another task died"
    assert ours in ended.err[0] or jaxs in ended.err[0]
    after = train(*LONG, *size, *how, cwd=tmp_path, count=2)
    agree(after, undisturbed(size), bound)


@pytest.mark.slow
def test_a_stuck_process_is_noticed(launch, tmp_path):
    stuck = tmp_path / "stuck.py"
    stuck.write_text(
        "import os, runpy, sys, time\n"
        "from minima.sweep.train import _Loop\n"
        "dispatch = _Loop._dispatch\n"
        "def stick(self):\n"
        "    if self.segments == 3 and os.environ['SLURM_PROCID'] == '1':\n"
        "        time.sleep(1000)\n"
        "    return dispatch(self)\n"
        "_Loop._dispatch = stick\n"
        "sys.argv = sys.argv[1:]\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    with launch(stuck, SWEEP, *LONG, *FEW, *MESH, "--stuck_minutes=0.25", cwd=tmp_path) as group:
        ended = group.wait()
    assert ended.codes[1] in (LOST, -signal.SIGABRT)
    assert ended.codes[0] in (LOST, -signal.SIGABRT)
    assert any("has not moved for" in error for error in ended.err), ended.err


def test_all_must_run_the_same(launch, tmp_path):
    other = tmp_path / "other.py"
    other.write_text(
        "import os, runpy, sys\n"
        "own = ['--momentum=0.5'] if os.environ['SLURM_PROCID'] == '1' else []\n"
        "sys.argv = sys.argv[1:] + own\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    with launch(other, SWEEP, *MLP, *MESH, cwd=tmp_path) as group:
        ended = group.wait()
    assert ended.codes == [2, 2]
    differs = "process 1 has training.momentum: 0.5, and None in the first process"
    assert all(differs in error for error in ended.err)
    assert not (tmp_path / "runs").exists()


@pytest.fixture
def host(tmp_path):
    """A script that runs another one in a folder of the rank's own."""
    path = tmp_path / "host.py"
    path.write_text(HOST)
    return path


@pytest.mark.slow
def test_parts_must_come_together_somewhere(launch, host, tmp_path):
    with launch(host, SWEEP, *MLP, *APART, cwd=tmp_path) as group:
        ended = group.wait()
    assert ended.codes == [2, 2]
    assert all("use a folder that all hosts share, or a URL" in error for error in ended.err)


def test_a_mistake_ends_all_at_once(launch, tmp_path):
    begin = time.monotonic()
    with launch(SWEEP, *MLP, "--multihost", "--mesh=data:3", cwd=tmp_path) as group:
        ended = group.wait()
    assert ended.codes == [2, 2]
    assert all("--mesh=data:3: takes 3 devices, there are 2" in error for error in ended.err)
    assert not (tmp_path / "runs").exists()
    assert time.monotonic() - begin < 60


@pytest.mark.slow
def test_every_stage_of_an_experiment_is_shared(launch, tmp_path):
    flags = ("--preset=smoke", "--model=mlp", "--dataset=mnist1d", "--test_examples=1000")
    flags += ("--branches=updates", "--batch_sizes=64,256", "--learning_rates=0.01,0.1")
    with launch(FLAGSHIP, *flags, *APART, cwd=tmp_path) as group:
        ended = group.wait()
    assert ended.codes == [0, 0], ended.err
    runs = list(tmp_path.glob("runs/*/*"))
    assert len(runs) == 2
    for run in runs:
        assert minima.load(run).info["status"] == "complete"
        assert len(list((run / "shards").iterdir())) == 2
    assert any((run / "verdict.json").exists() for run in runs)
