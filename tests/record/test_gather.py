"""Shards put together: what is taken, what is named, and that nothing is lost."""

import os

import numpy as np
import pytest

from minima.__main__ import main
from minima.record import gather
from minima.record.gather_report import report
from minima.record.run_directory import RunDirectory, read_info
from minima.record.shards import Shard
from minima.record.snapshots import Snapshots
from minima.runtime.errors import UserError

AXES = {"batch_size": (16, 64), "learning_rate": (0.1, 0.2), "seed": (0, 1, 2)}
CONFIG = {"lr": 0.1}
COUNT = 12


@pytest.fixture
def plane(make_cell):
    """The twelve cells, in grid order."""
    return [make_cell(b, r, s) for b in (16, 64) for r in (0.1, 0.2) for s in (0, 1, 2)]


@pytest.fixture
def open_shard(tmp_path):
    def open_shard(index, count=3, config=CONFIG):
        flags = f"--seeds=3\n--shard={index}/{count}\n--evaluations=3\n"
        where = (tmp_path, "plane", "a1", config, flags, AXES)
        return RunDirectory.open(*where, Shard(index, count))

    return open_shard


@pytest.fixture
def train(open_shard, plane):
    """A finished shard, cells dealt out in turn; returns its directory."""

    def train(index, count=3, config=CONFIG):
        with open_shard(index, count, config) as run:
            mine = plane[index::count]
            for number, cell in enumerate(plane):
                if cell in mine:
                    state = {"params/w": np.full(3, number, np.float32)}
                    Snapshots(run.directory).write(number, 300, state)
                    run.append_cell(cell)
            run.update_info(
                status="complete", cells=len(mine), cells_by_status={"complete": len(mine)}
            )
        return run.directory

    return train


@pytest.fixture
def run(tmp_path):
    return tmp_path / "plane" / "a1"


def lines(run):
    return (run / "cells.jsonl").read_bytes().splitlines(keepends=True)


def test_lines_keep_their_bytes_and_snapshots_come_along(train, run, plane):
    shards = [train(index) for index in (0, 1, 2)]
    found = gather.gather(run)
    assert (found.complete, found.added, list(found.missing())) == (True, COUNT, [])
    assert lines(run) == [line for shard in shards for line in lines(shard)]
    for number in range(COUNT):
        assert Snapshots(run).read(number, 300)["params/w"].tolist() == [number] * 3
    assert all(part.done for part in found.parts)


def test_a_run_that_only_shards_have_started_gets_their_run_json(train, run, open_shard):
    shard = train(1)
    gather.gather(run)
    with RunDirectory.open(run.parents[1], "plane", "a1", CONFIG, "") as resumed:
        info = resumed.info()
    assert "shard" not in info
    assert info["config"] == CONFIG
    assert info["started"] == read_info(shard)["started"]
    assert info["shards"]["1/3"]["status"] == "complete"


def test_the_flags_of_the_run_are_those_without_a_shard(train, run):
    train(1)
    with pytest.raises(UserError, match="no results yet: python -m minima gather"):
        read_info(run)
    gather.gather(run)
    assert (run / "run.flags").read_text() == "--seeds=3\n--evaluations=3\n"


def test_gathering_again_changes_no_byte(train, run):
    for index in (0, 1, 2):
        train(index)
    gather.gather(run)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    found = gather.gather(run)
    assert (found.complete, found.added) == (True, 0)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_shards_gather_while_others_train_and_missing_ones_are_named(train, run, open_shard, plane):
    train(0)
    with open_shard(2) as half:
        half.append_cell(plane[2])
        half.update_info(cells=4)
        with open(half.path("cells.jsonl"), "ab") as file:
            file.write(b'{"cell": {"batch_size": 16, "le')  # being written at this moment
        found = gather.gather(run)
    assert (found.complete, found.added) == (False, 5)
    assert [part.process for part in found.parts] == [None, str(os.getpid())]
    text = report(found)
    assert "cells      5 of 12, 5 of them gathered now" in text
    assert "shards     0 of 3: done" in text
    assert f"2/3: 1 of 4 cells; in training by process {os.getpid()}" in text
    assert "1 of 3: missing, never started here" in text
    assert "missing    bs=16,lr=0.1,seed=1" in text
    assert "and 2 more" in text
    train(1)
    half.directory.joinpath("cells.jsonl").unlink()
    train(2)
    found = gather.gather(run)
    assert (found.complete, found.added) == (True, 7)
    assert len(lines(run)) == COUNT


def test_a_damaged_line_is_named_and_nothing_else_is_lost(train, run):
    shards = [train(index) for index in (0, 1, 2)]
    damaged = lines(shards[1])
    lost = damaged[2]
    damaged[2] = lost[:40] + b"\xff" + lost[41:]
    (shards[1] / "cells.jsonl").write_bytes(b"".join(damaged))
    found = gather.gather(run)
    assert list(found.missing()) == [7]
    assert [part.done for part in found.parts] == [True, False, True]
    assert f"damaged: {shards[1] / 'cells.jsonl'} line 3 (" in report(found)
    kept = [line for shard in shards for line in lines(shard)]
    assert lines(run) == [line for line in kept if line != damaged[2]]


def test_lines_that_vanished_from_a_finished_shard_are_missed(train, run):
    shards = [train(index) for index in (0, 1, 2)]
    (shards[0] / "cells.jsonl").write_bytes(b"".join(lines(shards[0])[:2]))
    found = gather.gather(run)
    assert (found.complete, found.parts[0].done) == (False, False)
    assert "0/3: 2 of 4 cells" in report(found)


def test_cells_that_two_splits_hold_count_once(train, run):
    for index, count in ((0, 3), (0, 2), (1, 2)):
        train(index, count)
    found = gather.gather(run)
    assert (found.complete, found.added) == (True, COUNT)
    assert len(lines(run)) == COUNT
    assert "missing" not in report(found)  # shards 1 and 2 of 3 are not needed


def test_a_shard_of_another_config_is_refused_by_name(train, run):
    train(0)
    stranger = train(1, config={"lr": 0.3})
    found = gather.gather(run)
    assert found.added == 4
    assert f"1/3: refused: {stranger} has another config" in report(found)


def test_a_shard_with_a_damaged_run_json_is_named_and_left_alone(train, run):
    shards = [train(index) for index in (0, 1, 2)]
    (shards[0] / "run.json").write_text("{")
    found = gather.gather(run)
    assert found.added == 8
    assert f"0/3: refused: {shards[0] / 'run.json'} is damaged" in report(found)
    assert len(lines(shards[0])) == 4


def test_a_kill_in_the_middle_of_gathering_loses_and_doubles_nothing(train, run, monkeypatch):
    for index in (0, 1, 2):
        train(index)
    monkeypatch.setattr(gather, "_CHUNK_BYTES", 1)
    written = gather.append_durably
    calls = []

    def killed(path, data):
        calls.append(data)
        if len(calls) == 6:
            written(path, data[: len(data) // 2])
            raise KeyboardInterrupt
        written(path, data)

    monkeypatch.setattr(gather, "append_durably", killed)
    with pytest.raises(KeyboardInterrupt):
        gather.gather(run)
    assert len(calls) == 6  # a chunk is one line here: lines are streamed, not collected
    found = gather.gather(run)
    assert (found.complete, found.added) == (True, COUNT - 5)
    assert len(set(lines(run))) == len(lines(run)) == COUNT


def test_snapshots_are_linked_or_copied_before_their_line(train, run, monkeypatch):
    shard = train(0)
    source = next(iter(sorted(shard.rglob("*.npz"))))
    gather.gather(run)
    assert (run / source.relative_to(shard)).samefile(source)
    train(1)

    def no_links(*_):
        raise OSError("not on this disk")

    monkeypatch.setattr(os, "link", no_links)
    gather.gather(run)
    assert Snapshots(run).read(1, 300)["params/w"].tolist() == [1] * 3


def test_a_busy_shard_keeps_others_from_training_the_whole(open_shard, train, run):
    train(0)
    gather.refuse_busy_shards(run)
    with (
        open_shard(1),
        pytest.raises(UserError, match=rf"shard 1/3 by process {os.getpid()}\)"),
    ):
        gather.refuse_busy_shards(run)
    gather.refuse_busy_shards(run)


def test_the_command_names_every_run_and_ends_with_1_unless_all_are_complete(train, run, capsys):
    train(0)
    assert main(["gather", str(run)]) == 1
    assert "1 to 2 of 3: missing, never started here" in capsys.readouterr().out
    train(1), train(2)
    assert main(["gather", str(run)]) == 0
    assert "shards     0 to 2 of 3: done" in capsys.readouterr().out


def test_what_is_no_run_is_refused_and_left_as_it_is(tmp_path, capsys):
    assert main(["gather", str(tmp_path / "nowhere")]) == 2
    assert "is no run: it has neither run.json nor shards/" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_is_held_is_refused(train, run):
    train(0)
    with RunDirectory.take(run), pytest.raises(UserError, match="is in use by process"):
        gather.gather(run)
