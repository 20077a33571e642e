"""Whatever ends a run early, the same command ends it as if nothing had been."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time

import pytest

import minima

# On two cores some seconds of training, with diverging cells that end at once.
FLAGS = (
    "--model=mlp",
    "--batch_sizes=16,64",
    "--learning_rates=0.01,0.1,100",
    "--seeds=3",
    "--budget=8epochs",
    "--evaluations=5",
    "--checkpoint_seconds=0.2",
)
CELLS = 18
KILLS = 10


class Undisturbed:
    """What the plane gives when nothing comes between, and how long that takes."""

    def __init__(self, experiment, run_path, folder):
        self.csv = self._run(experiment, run_path, folder, "--workdir=cold")
        begin = time.monotonic()
        assert self._run(experiment, run_path, folder, "--workdir=warm") == self.csv
        self.seconds = time.monotonic() - begin

    @staticmethod
    def _run(experiment, run_path, folder, *flags):
        result = experiment(*FLAGS, *flags, cwd=folder)
        assert result.returncode == 0, result.stderr
        return (run_path(result.stdout, folder) / "results.csv").read_bytes()


@pytest.fixture(scope="module")
def undisturbed(experiment, run_path, tmp_path_factory):
    return Undisturbed(experiment, run_path, tmp_path_factory.mktemp("undisturbed"))


def recorded(folder):
    """The bytes of the only cells.jsonl under a folder."""
    found = list(folder.glob("runs/*/*/cells.jsonl"))
    return found[0].read_bytes() if found else b""


def whole_lines(data):
    return data[: data.rfind(b"\n") + 1]


def wait_for(process, condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)


def wait_until(process, condition):
    """Returns when the condition holds or the process has ended."""
    while process.poll() is None and not condition():
        time.sleep(0.01)


def goes_on(experiment, run_path, undisturbed, folder):
    """The same command: to the end, to the same numbers, and each cell trained once."""
    before = whole_lines(recorded(folder))
    result = experiment(*FLAGS, cwd=folder)
    assert (result.returncode, "error" in result.stderr) == (0, False)
    run = run_path(result.stdout, folder)
    assert (run / "results.csv").read_bytes() == undisturbed.csv
    after = recorded(folder)
    assert after.startswith(before)
    assert after.count(b"\n") == CELLS
    info = minima.load(run).info
    assert (info["status"], info["cells"]) == ("complete", CELLS)
    return info


@pytest.mark.slow
def test_kill_at_random_moments(
    experiment, start_experiment, run_path, undisturbed, tmp_path, tmp_path_factory
):
    rng = random.Random(0)
    kills = cells_left = 0
    chain = 0
    while kills < KILLS:
        folder, before = tmp_path / str(chain), b""
        folder.mkdir()
        # The first chain has nothing compiled yet, so that kills meet compilations too.
        cache = {"cache": tmp_path_factory.mktemp("cold")} if chain == 0 else {}
        for _ in range(KILLS):
            with start_experiment(*FLAGS, cwd=folder, **cache) as process:
                # Every other kill comes while cells are being recorded, however fast the machine.
                if kills % 2:
                    wait_until(process, lambda folder=folder, old=before: recorded(folder) != old)
                    time.sleep(rng.uniform(0, 0.1))
                else:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(timeout=rng.uniform(0.15, 0.9) * undisturbed.seconds)
                kills += process.poll() is None
                process.kill()
                process.communicate()
            now = recorded(folder)
            assert now.startswith(before), "a finished cell was touched"
            before = whole_lines(now)
            cells_left += 0 < before.count(b"\n") < CELLS
            if process.returncode == 0 or kills == KILLS:
                break
        goes_on(experiment, run_path, undisturbed, folder)
        chain += 1
    assert cells_left >= 3, "too few kills came in the middle of training"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "moment"),
    [(signal.SIGTERM, "cells.jsonl"), (signal.SIGINT, "log.txt")],  # while it trains, and before
)
def test_a_signal_stops_and_saves(
    experiment, start_experiment, run_path, undisturbed, tmp_path, number, moment
):
    with start_experiment(*FLAGS, cwd=tmp_path) as process:
        found = f"runs/*/*/{moment}"
        wait_for(process, lambda: any(p.stat().st_size for p in tmp_path.glob(found)))
        process.send_signal(number)
        begin = time.monotonic()
        out, err = process.communicate(timeout=60)
    assert process.returncode == 75
    assert time.monotonic() - begin < 20
    assert "Traceback" not in err
    run = run_path(out, tmp_path)
    left = CELLS - len(minima.load(run).cells)
    assert left > 0
    remedy = f"stopped with {left} cells to go; the same command goes on from here"
    assert out.splitlines()[-2] == remedy
    info = minima.load(run).info
    assert (info["status"], sum(info["cells_by_status"].values())) == ("stopped", CELLS - left)
    csv = (run / "results.csv").read_text()
    assert csv.count(",pending,nan,nan,") == left
    assert goes_on(experiment, run_path, undisturbed, tmp_path)["resumes"] == 1


@pytest.mark.slow
def test_one_process_at_a_time(experiment, start_experiment, one_line, tmp_path):
    with start_experiment(*FLAGS, cwd=tmp_path) as process:
        wait_for(process, lambda: list(tmp_path.glob("runs/*/*/run.json")))
        second = experiment(*FLAGS, cwd=tmp_path)
        process.kill()
        process.communicate()
    assert second.returncode == 2
    assert f"is in use by process {process.pid}" in one_line(second.stderr)


def is_full(result, folder):
    """The run ended for want of room: one clear line, and what was finished can be read."""
    assert result.returncode == 75
    assert "Traceback" not in result.stderr
    [error] = [line for line in result.stderr.splitlines() if "error" in line.lower()]
    assert error.startswith("error: ")
    assert "no room left to write" in error
    assert "free some space and run again" in error
    cells = [minima.load(run.parent).cells for run in folder.glob("runs/*/*/cells.jsonl")]
    return len(cells[0]) if cells else 0


@pytest.mark.slow
@pytest.mark.parametrize(("kilobytes", "cells"), [(1, 0), (8, 4)])
def test_a_file_that_may_not_grow(experiment, run_path, undisturbed, tmp_path, kilobytes, cells):
    limit = ("bash", "-c", f'ulimit -f {kilobytes}; exec "$@"', "bash")
    # Checkpoints are left out: what Orbax says about them goes past us. So are snapshots, which are
    # larger than the files that shall grow here.
    flags = (*FLAGS, "--checkpoint_seconds=1000", "--snapshots=0")
    warm = tmp_path / "warm"  # the compiled program is such a file, too
    warm.mkdir()
    assert experiment(*flags, cwd=warm).returncode == 0
    result = experiment(*flags, cwd=tmp_path, before=limit)
    assert cells <= is_full(result, tmp_path) < CELLS
    goes_on(experiment, run_path, undisturbed, tmp_path)


@pytest.mark.slow
def test_a_full_disk(experiment, run_path, undisturbed, tmp_path):
    disk = tmp_path / "runs"
    disk.mkdir()
    if os.geteuid() or not shutil.which("mount"):
        pytest.skip("only root can mount a small disk")
    command = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", disk]  # room for one checkpoint
    mounted = subprocess.run(command, capture_output=True)
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        is_full(experiment(*FLAGS, cwd=tmp_path), tmp_path)
        subprocess.run(["mount", "-o", "remount,size=100m", disk], check=True)
        goes_on(experiment, run_path, undisturbed, tmp_path)
    finally:
        subprocess.run(["umount", disk], check=True)
