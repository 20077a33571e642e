"""A workdir that is a URL: whatever happens to a machine, the store has the run."""

import contextlib
import os
import random
import shutil
import subprocess
import time
from pathlib import Path

import pytest

STORES = Path(__file__).parents[1] / "record" / "stores"
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
KILLS = 3
WORKDIR = "bucket://b/runs"


class Machine:
    """Whatever runs minima, with a cache of its own, beside a store that others see too."""

    def __init__(self, start, folder, cache):
        self._start, self.folder = start, folder
        self.cache = folder / "cache"
        self.cache.mkdir(parents=True)
        # Programs are compiled once for all of them.
        (self.cache / "minima").mkdir()
        (cache / "minima" / "xla").mkdir(parents=True, exist_ok=True)
        (self.cache / "minima" / "xla").symlink_to(cache / "minima" / "xla")

    def start(self, *arguments):
        return self._start(*arguments, cwd=self.folder, cache=self.cache)

    def call(self, *arguments):
        with self.start(*arguments) as process:
            out, err = process.communicate(timeout=300)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    @property
    def mirrors(self):
        return self.cache / "minima" / "mirrors"

    def lose(self):
        shutil.rmtree(self.mirrors, ignore_errors=True)

    def run(self):
        [found] = self.mirrors.glob("bucket/b/runs/*/*")
        return found


@pytest.fixture
def store(tmp_path, monkeypatch):
    """The store's folder; processes that start find it, and know `bucket://`."""
    (tmp_path / "bucket").mkdir()
    monkeypatch.setenv("BUCKET", str(tmp_path / "bucket"))
    monkeypatch.delenv("BUCKET_FAULTS", raising=False)
    paths = [str(STORES), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    return tmp_path / "bucket"


@pytest.fixture
def machine(start, store, tmp_path, cache):
    return lambda name: Machine(start, tmp_path / name, cache)


@pytest.fixture(scope="module")
def undisturbed(experiment, run_path, tmp_path_factory):
    """The run's folder where the workdir is a plain one."""
    folder = tmp_path_factory.mktemp("undisturbed")
    result = experiment(*FLAGS, cwd=folder)
    assert result.returncode == 0, result.stderr
    return run_path(result.stdout, folder)


def parts(store):
    """What cells.jsonl is in the store, part by part."""
    return [path.read_bytes() for path in sorted(store.glob("b/runs/*/*/cells.jsonl/*.jsonl"))]


def recorded(store):
    return sum(part.count(b"\n") for part in parts(store))


def is_whole(store, undisturbed):
    """The store has every file of a finished run, with the same results."""
    [run] = store.glob("b/runs/*/*")
    assert (run / "results.csv").read_bytes() == (undisturbed / "results.csv").read_bytes()
    kept = {p.relative_to(undisturbed) for p in undisturbed.rglob("*") if p.is_file()}
    kept = {p for p in kept if p.name not in ("lock", "cells.jsonl")}
    kept = {p for p in kept if p.parts[0] not in ("checkpoints",) and "plane-" not in p.name}
    assert kept <= {p.relative_to(run) for p in run.rglob("*")}
    lines = b"".join(parts(store)).splitlines()
    assert sorted(set(lines)) == sorted((undisturbed / "cells.jsonl").read_bytes().splitlines())
    return run


def wait_until(process, condition):
    """Returns when the condition holds or the process has ended."""
    while process.poll() is None and not condition():
        time.sleep(0.01)


@pytest.mark.slow
def test_kill_and_lose_the_machine(machine, store, script, undisturbed):
    rng = random.Random(0)
    here = machine("first")
    for number in range(KILLS):
        before = recorded(store)
        with here.start(script, *FLAGS, f"--workdir={WORKDIR}") as process:
            if number:  # the first kill may come before the store has anything
                wait_until(process, lambda before=before: recorded(store) > before)
                time.sleep(rng.uniform(0, 0.5))
            else:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=rng.uniform(2, 6))
            process.kill()
            process.communicate()
        assert recorded(store) >= before, "a finished cell was lost"
        here.lose()
    last = here.call(script, *FLAGS, f"--workdir={WORKDIR}")
    assert (last.returncode, "error" in last.stderr) == (0, False)
    assert last.stdout.splitlines()[-1].startswith(f"run: {WORKDIR}/")
    run = is_whole(store, undisturbed)
    assert recorded(store) == CELLS, "a cell was trained twice, or recorded twice"
    # Another machine reads it.
    url = f"{WORKDIR}/{run.parent.name}/{run.name}"
    there = machine("second")
    shown = there.call("-m", "minima", "show", url)
    assert shown.returncode == 0, shown.stderr
    assert f"{CELLS} of {CELLS}" in shown.stdout
    compared = there.call("-m", "minima", "compare", url, undisturbed)
    assert compared.returncode == 0, compared.stderr
    exported = there.call("-m", "minima", "export", url, "exported")
    assert exported.returncode == 0, exported.stderr


@pytest.mark.slow
def test_two_machines_and_two_processes(machine, store, script, one_line, undisturbed):
    first, second = machine("first"), machine("second")
    command = (script, *FLAGS, f"--workdir={WORKDIR}")
    with first.start(*command) as process:
        wait_until(process, lambda: list(store.glob("b/runs/*/*/lease.json")))
        for other in (first, second):  # by the lock, and by the lease
            refused = other.call(*command)
            assert refused.returncode == 2, refused.stderr
            assert f"is in use by process {process.pid}" in one_line(refused.stderr)
        process.kill()
        process.communicate()
    # That process is gone, so its lease holds nobody up.
    begin = time.monotonic()
    assert second.call(*command).returncode == 0
    assert time.monotonic() - begin < 100
    is_whole(store, undisturbed)


@pytest.mark.slow
def test_a_store_that_fails_every_third_time(machine, store, script, undisturbed, monkeypatch):
    monkeypatch.setenv("BUCKET_FAULTS", "every=3")
    result = machine("first").call(script, *FLAGS, f"--workdir={WORKDIR}")
    assert result.returncode == 0, result.stderr
    monkeypatch.delenv("BUCKET_FAULTS")
    is_whole(store, undisturbed)


@pytest.mark.slow
def test_a_store_that_goes_away(machine, store, script, undisturbed, monkeypatch):
    here = machine("first")
    monkeypatch.setenv("BUCKET_FAULTS", "after=12")  # the run has begun by then
    result = here.call(script, *FLAGS, f"--workdir={WORKDIR}")
    assert result.returncode == 75
    assert "Traceback" not in result.stderr
    [error] = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert f"what is not up there is in {here.run()}" in error
    assert "start the same command again" in error
    assert result.stderr.count("warning: ") == 1
    assert (here.run() / "results.csv").read_bytes() == (undisturbed / "results.csv").read_bytes()
    assert recorded(store) < CELLS
    monkeypatch.delenv("BUCKET_FAULTS")
    result = here.call(script, *FLAGS, f"--workdir={WORKDIR}")
    assert result.returncode == 0, result.stderr
    is_whole(store, undisturbed)


@pytest.mark.slow
def test_a_store_that_is_down(machine, store, script, one_line, monkeypatch):
    monkeypatch.setenv("BUCKET_FAULTS", "after=0")
    here = machine("first")
    result = here.call(script, *FLAGS, f"--workdir={WORKDIR}")
    assert result.returncode == 75  # the same command may do better later
    assert "does not answer" in one_line(result.stderr)
    assert not list(store.iterdir())
