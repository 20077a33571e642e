import os
import shutil
import threading
import time

import pytest

from minima.record import gather, mirrored, results
from minima.record.locks import holder
from minima.record.mirrored import attach, finish, kept_up, locate
from minima.record.remote import Store, Unreachable, local_path
from minima.record.run_directory import RunDirectory, read_info
from minima.record.shards import Shard
from minima.runtime.errors import UserError

WORKDIR = "bucket://b/runs"
RUN = f"{WORKDIR}/experiment/run"


@pytest.fixture
def open_run(bucket):
    """Starts the run, or takes it up."""
    return lambda: RunDirectory.open(WORKDIR, "experiment", "run", {"a": 1}, "--a=1\n")


@pytest.fixture
def lose(tmp_path):
    """What this machine has of any run is gone."""
    return lambda: shutil.rmtree(tmp_path / "cache/minima/mirrors")


@pytest.fixture
def objects(bucket):
    return lambda: set(Store(RUN).sizes())


def names(folder):
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def test_a_run_goes_on_from_the_store_alone(open_run, lose, make_cell):
    with open_run() as run:
        run.append_cell(make_cell(seed=0))
    finish()
    lose()
    with open_run() as run:
        assert [cell["cell"]["seed"] for cell in run.cells()] == [0]
        assert run.info()["resumes"] == 1
        run.append_cell(make_cell(seed=1))
    finish()
    lose()
    assert len(results.load(RUN).cells) == 2


def test_files_written_after_training_are_up_in_the_end(open_run, objects):
    with open_run() as run:
        pass
    (run.directory / "verdict.json").write_text("{}")
    (run.directory / "figures").mkdir()
    (run.directory / "figures/plane.png").write_text("png")
    (run.directory / "log.txt").write_text("log")
    finish()
    assert {"verdict.json", "figures/plane.png", "log.txt", "run.json", "run.flags"} <= objects()


def test_pushes_come_by_themselves(bucket, objects, monkeypatch, make_cell):
    monkeypatch.setattr(mirrored, "SECONDS", 0.05)
    with RunDirectory.open(WORKDIR, "experiment", "run", {}, "") as run:
        run.append_cell(make_cell())
        end = time.monotonic() + 20
        while not any(name.startswith("cells.jsonl/") for name in objects()):
            assert time.monotonic() < end
            time.sleep(0.02)


def test_a_process_keeps_its_runs_until_it_finishes(open_run, objects):
    with open_run():
        pass
    before = threading.active_count()
    with RunDirectory.hold(local_path(RUN)):  # to measure, say
        assert threading.active_count() == before
    finish()
    assert threading.active_count() < before
    finish()  # nothing is left to do


def test_an_outage_is_told_once_and_made_good(open_run, objects, monkeypatch, capsys, make_cell):
    with open_run() as run:
        monkeypatch.setenv("BUCKET_FAULTS", "after=0")
        run.append_cell(make_cell())
        mirrored.settle(run.directory)
        mirrored.settle(run.directory)
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert said.startswith(f"warning: {RUN}: does not answer")
        assert f"all is kept in {run.directory}" in said
        monkeypatch.delenv("BUCKET_FAULTS")
    finish()
    assert [name for name in objects() if name.startswith("cells.jsonl/")]
    assert not capsys.readouterr().err


def test_what_never_gets_up_is_kept_and_named(open_run, objects, monkeypatch, make_cell):
    with open_run() as run:
        monkeypatch.setenv("BUCKET_FAULTS", "after=0")
        run.append_cell(make_cell())
    with pytest.raises(Unreachable) as raised:
        finish()
    assert f"what is not up there is in {run.directory}: start the same command again" in str(
        raised.value
    )
    monkeypatch.delenv("BUCKET_FAULTS")
    with open_run() as run:  # the same copy: it knows that nobody else has written
        assert len(run.cells()) == 1
        assert not run.info().get("lost")
    finish()
    assert [name for name in objects() if name.startswith("cells.jsonl/")]


def test_a_command_that_fails_leaves_nothing_behind(open_run, objects, monkeypatch, capsys):
    def command(name):
        with kept_up():
            with open_run() as run:
                pass
            (run.directory / name).write_text("late")
            if name == "later.txt":
                monkeypatch.setenv("BUCKET_FAULTS", "after=0")
            raise UserError("its own")

    with pytest.raises(UserError, match="its own"):
        command("late.txt")
    assert "late.txt" in objects()
    assert not capsys.readouterr().err
    with pytest.raises(UserError, match="its own"):
        command("later.txt")
    assert f"error: {RUN}: does not answer" in capsys.readouterr().err


def test_a_store_that_is_down_at_the_start(open_run, monkeypatch):
    monkeypatch.setenv("BUCKET_FAULTS", "after=0")
    with pytest.raises(Unreachable, match=f"{RUN}: does not answer"):
        open_run()
    monkeypatch.delenv("BUCKET_FAULTS")
    with open_run():  # the lock was let go of
        pass


def test_readers_take_no_lease_and_change_nothing(open_run, objects, lose, make_cell):
    with open_run() as run:
        run.append_cell(make_cell())
        (run.directory / "checkpoints/3").mkdir(parents=True)
        (run.directory / "checkpoints/3/x").write_text("x")
    finish()
    before = objects()
    lose()
    folder = locate(RUN)
    assert read_info(folder)["run_id"] == "run"
    assert names(folder) == {".pulling", "run.json", "run.flags", "cells.jsonl"}
    assert objects() == before
    assert locate(folder) == folder  # a path is taken as it is
    with pytest.raises(UserError, match=r"bucket://b/nothing is no run"):
        results.load("bucket://b/nothing")


def test_a_reader_beside_the_process_that_works_reads_its_files(open_run, bucket, make_cell):
    with open_run() as run:
        run.append_cell(make_cell())  # not up there yet
        bucket.received = 0
        assert len(results.load(RUN).cells) == 1
        assert bucket.received == 0


def test_who_works_on_a_run_is_known(open_run, monkeypatch):
    with open_run():
        assert mirrored.worker(local_path(RUN)) == str(os.getpid())
    assert mirrored.worker(local_path(RUN)) is None  # this process is not in its own way
    with monkeypatch.context() as other:
        other.setattr(mirrored, "_attached", {})  # as another one sees it
        assert mirrored.worker(local_path(RUN)).startswith(f"{os.getpid()} on ")


def test_a_run_that_was_let_go_of_is_free(open_run):
    with open_run():
        pass
    finish()
    assert mirrored.worker(local_path(RUN)) is None
    assert mirrored.worker(local_path("bucket://b/nothing")) is None


def test_a_shard_that_another_machine_trains_is_busy(bucket, tmp_path, monkeypatch):
    shard = Shard(1, 2)
    where = (WORKDIR, "experiment", "run", {"a": 1}, "--a=1\n", {"seed": (0, 1)}, shard)
    with RunDirectory.open(*where) as run, monkeypatch.context() as elsewhere:
        mirrored.settle(run.directory)
        elsewhere.setattr(mirrored, "_attached", {})  # as another one sees it
        elsewhere.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
        directory = locate(RUN, shards=True)
        assert holder(directory / "shards/1-of-2") is None
        with pytest.raises(UserError, match=r"is being trained in shards \(shard 1/2 by process"):
            gather.refuse_busy_shards(directory)
        [part] = gather.gather(RUN).parts
        assert part.process.startswith(f"{os.getpid()} on ")
        finish()  # what was attached elsewhere
    finish()
    gather.refuse_busy_shards(locate(RUN, shards=True))


def test_shards_come_with_a_run_where_asked_for(bucket, lose, make_cell):
    shard = local_path(RUN) / "shards/1-of-2"
    shard.mkdir(parents=True)
    attach(shard)
    (shard / "run.json").write_text("{}")
    finish()
    lose()
    assert not (locate(RUN) / "shards").exists()
    assert (locate(RUN, shards=True) / "shards/1-of-2/run.json").read_text() == "{}"


def test_a_flag_is_named(monkeypatch, bucket):
    monkeypatch.setattr(mirrored, "is_url", lambda text: True)
    with pytest.raises(UserError, match=r"--workdir=nowhere://b: "):
        locate("nowhere://b", "--workdir")


def test_a_run_in_memory(bucket, lose, make_cell):
    with RunDirectory.open("memory://minima-runs", "e", "r", {}, "") as run:
        run.append_cell(make_cell())
    finish()
    lose()
    assert len(results.load("memory://minima-runs/e/r").cells) == 1
    assert os.listdir(local_path("memory://minima-runs/e")) == ["r"]
