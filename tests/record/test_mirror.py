import itertools
import json
import os
import shutil
from pathlib import Path

import pytest

from minima.record.files import append_durably, write_atomically
from minima.record.mirror import Mirror
from minima.record.remote import Unreachable

URL = "bucket://b/run"


class Folder:
    """A run directory that is written as record/ writes one."""

    def __init__(self, path):
        self.path = path
        path.mkdir()

    def line(self, number):
        # In a run a cell's states come before its line, and so do they here.
        self.file(f"snapshots/cell-{number:06d}/step-000000009.npz", f"{number}" * 40)
        append_durably(self.path / "cells.jsonl", b'{"cell": {"seed": %d}}\n' % number)

    def file(self, name, content):
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)

    def checkpoint(self, step, keep=2):
        """As Orbax does: written aside and renamed, the oldest deleted."""
        aside = self.path / f"checkpoints/{step}.orbax-checkpoint-tmp"
        (aside / "state/d").mkdir(parents=True)
        (aside / "_METADATA").write_text(f"step {step}")
        (aside / f"state/d/{step * 7919:x}").write_text("array" * step)
        os.replace(aside, self.path / f"checkpoints/{step}")
        steps = sorted(int(p.name) for p in (self.path / "checkpoints").iterdir())
        for old in steps[:-keep]:
            shutil.rmtree(self.path / f"checkpoints/{old}")

    def mirror(self):
        return Mirror(URL, self.path)

    def contents(self):
        return {
            path.relative_to(self.path).as_posix(): path.read_bytes()
            for path in self.path.rglob("*")
            if path.is_file()
        }


@pytest.fixture
def folder(tmp_path, bucket):
    return Folder(tmp_path / "run")


@pytest.fixture
def elsewhere(tmp_path):
    """Makes a folder of another machine, up to date."""
    numbers = itertools.count()

    def elsewhere():
        found = Folder(tmp_path / f"elsewhere-{next(numbers)}")
        found.mirror().pull()
        return found

    return elsewhere


@pytest.fixture
def objects(tmp_path):
    """The store's objects below the run, by name."""

    def objects():
        root = tmp_path / "bucket/b/run"
        return {p.relative_to(root).as_posix(): p for p in root.rglob("*") if p.is_file()}

    return objects


def lines(numbers):
    return b"".join(b'{"cell": {"seed": %d}}\n' % n for n in numbers)


def test_everything_comes_back(folder, elsewhere, objects):
    folder.line(0)
    folder.file("run.json", "{}")
    folder.file("figures/plane.png", b"\x89PNG")
    folder.file("tensorboard/bs=16,lr=0.1/events.out.tfevents.cell", b"events")
    folder.checkpoint(3)
    kept = folder.contents()
    # None of these belongs to anybody else.
    folder.file("lock", "123")
    folder.file(".aside-1-1", "half")
    folder.file("tensorboard/.aside-1-2", "half")
    folder.file("shards/0-of-2/cells.jsonl", "{}\n")
    folder.file("checkpoints/damaged-2/x", "damaged")
    folder.file("checkpoints/4.orbax-checkpoint-tmp/x", "half")
    folder.mirror().push(last=True)
    assert elsewhere().contents() == kept
    # TensorBoard and others find every file under its own name.
    assert set(kept) - {"cells.jsonl"} <= set(objects())


def test_lines_go_up_once_in_parts_that_stay(folder, elsewhere, objects, bucket):
    mirror = folder.mirror()
    for number in range(3):
        folder.line(number)
        mirror.push()
    append_durably(folder.path / "cells.jsonl", b'{"cell": {"se')  # a kill in mid-write
    before = {name: path.stat().st_mtime_ns for name, path in objects().items()}
    mirror.push()
    assert {name: path.stat().st_mtime_ns for name, path in objects().items()} == before
    parts = sorted(name for name in before if name.startswith("cells.jsonl/"))
    assert [objects()[part].read_bytes() for part in parts] == [lines([n]) for n in range(3)]
    assert (elsewhere().path / "cells.jsonl").read_bytes() == lines(range(3))


def test_bytes_grow_as_cells_do(tmp_path, bucket):
    def sent(cells):
        folder = Folder(tmp_path / f"run-{cells}")
        mirror = Mirror(f"bucket://b/{cells}", folder.path)
        bucket.sent = 0
        for number in range(cells):
            folder.line(number + 1000)
            mirror.push()
        return bucket.sent, sum(map(len, folder.contents().values()))

    # Not a byte more than there is, though there was a push after each cell.
    assert [a / b for a, b in map(sent, (20, 40, 80))] == [1, 1, 1]


def test_only_what_changed_goes_up(folder, bucket, elsewhere):
    mirror = folder.mirror()
    folder.file("results.csv", "a" * 100)
    folder.file("verdict.json", "b" * 1000)
    mirror.push()
    bucket.sent = 0
    folder.file("results.csv", "c" * 100)
    mirror.push()
    assert bucket.sent == 100
    assert elsewhere().contents()["results.csv"] == b"c" * 100


def test_the_log_waits_for_the_end(folder, objects):
    mirror = folder.mirror()
    folder.file("log.txt", "line\n")
    mirror.push()
    assert not objects()
    mirror.push(last=True)
    assert set(objects()) == {"log.txt"}


def test_lines_of_two_copies_are_joined(folder, elsewhere):
    folder.line(0)
    mine = folder.mirror()
    mine.push()
    other = elsewhere()
    folder.line(1)  # never pushed
    folder.line(2)
    theirs = other.mirror()
    theirs.pull()
    other.line(3)
    other.line(2)
    theirs.push()
    mine.pull()
    assert (folder.path / "cells.jsonl").read_bytes() == lines([0, 3, 2, 1])
    mine.push()
    assert (elsewhere().path / "cells.jsonl").read_bytes() == lines([0, 3, 2, 1])


def test_who_wrote_last_keeps_its_own(folder, elsewhere):
    folder.file("results.csv", "old")
    folder.mirror().push()
    folder.file("results.csv", "new")
    folder.mirror().pull(newest_here=True)
    assert folder.contents()["results.csv"] == b"new"
    mirror = folder.mirror()
    mirror.pull(newest_here=True)
    mirror.push()
    assert elsewhere().contents()["results.csv"] == b"new"
    folder.file("results.csv", "stale")
    folder.mirror().pull()
    assert folder.contents()["results.csv"] == b"new"


def test_a_second_pull_fetches_no_state_again(folder, elsewhere, bucket):
    for number in range(5):
        folder.line(number)
    folder.checkpoint(1)
    folder.mirror().push()
    other = elsewhere()
    bucket.received = 0
    other.mirror().pull()
    assert bucket.received == len(lines(range(5)))


def test_a_damaged_part_is_left_out(folder, elsewhere, objects):
    mirror = folder.mirror()
    for number in range(3):
        folder.line(number)
        mirror.push()
    part = sorted(n for n in objects() if n.startswith("cells.jsonl/"))[1]
    objects()[part].write_bytes(objects()[part].read_bytes()[:-5])
    assert (elsewhere().path / "cells.jsonl").read_bytes() == lines([0, 2])
    mirror.pull()  # who has the line puts it up again
    mirror.push()
    assert (elsewhere().path / "cells.jsonl").read_bytes() == lines([0, 2, 1])


@pytest.mark.parametrize(
    "spoil",
    [
        lambda objects: objects["checkpoints/2.complete"].unlink(),
        lambda objects: objects["checkpoints/2/_METADATA"].unlink(),
        lambda objects: objects["checkpoints/2/_METADATA"].write_text("shorter"),
        lambda objects: objects["checkpoints/2.complete"].write_text("{"),
    ],
)
def test_half_a_checkpoint_is_none(folder, elsewhere, objects, spoil):
    mirror = folder.mirror()
    for step in (1, 2):
        folder.checkpoint(step)
        mirror.push()
    spoil(objects())
    (folder.path / "checkpoints/2/_METADATA").write_text("step 2 ")
    found = {name for name in elsewhere().contents() if name.startswith("checkpoints/")}
    assert found == {"checkpoints/1/_METADATA", f"checkpoints/1/state/d/{7919:x}"}


def test_older_checkpoints_go_once_newer_ones_are_whole(folder, objects):
    mirror = folder.mirror()
    for step in (1, 2, 3, 4):
        folder.checkpoint(step)
        mirror.push()
    markers = {name for name in objects() if name.endswith(".complete")}
    assert markers == {"checkpoints/3.complete", "checkpoints/4.complete"}
    assert not [name for name in objects() if name.startswith(("checkpoints/1/", "checkpoints/2/"))]
    named = json.loads(objects()["checkpoints/4.complete"].read_bytes())["files"]
    assert named == {"_METADATA": 6, f"state/d/{4 * 7919:x}": 20}


def is_sound(found):
    """What a folder elsewhere got is a state that the run has been in."""
    names = set(found.contents())
    cells = found.contents().get("cells.jsonl", b"").splitlines(keepends=True)
    assert b"".join(cells) == lines(range(len(cells)))
    for number in range(len(cells)):
        assert f"snapshots/cell-{number:06d}/step-000000009.npz" in names
    steps = sorted({int(name.split("/")[1]) for name in names if name.startswith("checkpoints/")})
    for step in steps:
        assert (found.path / f"checkpoints/{step}/_METADATA").read_text() == f"step {step}"
        assert found.contents()[f"checkpoints/{step}/state/d/{step * 7919:x}"] == b"array" * step
    return len(cells), steps


def test_a_kill_before_any_call_leaves_a_sound_state(
    tmp_path, bucket, elsewhere, monkeypatch, objects
):
    seen, ended = set(), False
    for kill in itertools.count():
        shutil.rmtree(tmp_path / "bucket/b", ignore_errors=True)
        folder = Folder(tmp_path / f"run-{kill}")
        mirror = folder.mirror()
        bucket.calls = 0
        monkeypatch.setenv("BUCKET_FAULTS", f"after={kill}")  # the store hears no more of us
        try:
            for number in range(4):
                folder.line(number)
                folder.checkpoint(number + 1)
                folder.file("run.json", f"{number}")
                mirror.push()
            ended = True
        except Unreachable:
            pass
        monkeypatch.delenv("BUCKET_FAULTS")
        cells, steps = is_sound(elsewhere())
        seen.add((cells, *steps))
        if cells > 1:
            assert steps, "the last whole checkpoint went before there was another"
        mirror.push()  # the store is back
        assert is_sound(elsewhere()) == (number + 1, [s for s in (number, number + 1) if s])
        if ended:
            break
    assert kill > 30
    assert len(seen) >= 8


def test_a_kill_before_any_call_of_a_pull(tmp_path, bucket, folder, monkeypatch, elsewhere):
    for number in range(3):
        folder.line(number)
        folder.checkpoint(number + 1)
    folder.mirror().push()
    whole = is_sound(elsewhere())
    for kill in itertools.count():
        found = Folder(tmp_path / f"killed-{kill}")
        bucket.calls = 0
        monkeypatch.setenv("BUCKET_FAULTS", f"after={kill}")
        try:
            found.mirror().pull()
            break
        except Unreachable:
            monkeypatch.delenv("BUCKET_FAULTS")
        found.mirror().pull()
        assert is_sound(found) == whole
    assert kill > 5


@pytest.mark.parametrize("every", [2, 3, 5])
def test_a_store_that_fails_now_and_then(folder, elsewhere, monkeypatch, bucket, every):
    monkeypatch.setenv("BUCKET_FAULTS", f"every={every}")
    monkeypatch.setattr("minima.record.remote.WAITS", (0.0,) * 20)
    mirror = folder.mirror()
    for number in range(10):
        folder.line(number)
        folder.checkpoint(number + 1)
        mirror.push()
    assert is_sound(elsewhere()) == (10, [9, 10])


def test_files_that_go_while_they_are_pushed(folder, elsewhere, monkeypatch):
    folder.checkpoint(1)
    folder.file("figures/a.png", "a")
    mirror = folder.mirror()
    upload = mirror.store.upload

    def upload_late(name: str, path: Path) -> None:
        shutil.rmtree(folder.path / "checkpoints", ignore_errors=True)
        (folder.path / "figures/a.png").unlink(missing_ok=True)
        upload(name, path)

    monkeypatch.setattr(mirror.store, "upload", upload_late)
    mirror.push()
    assert elsewhere().contents() == {}
