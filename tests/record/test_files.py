import errno
import os
import subprocess
import sys

import pytest

from minima.record.files import DiskFull, append_durably, write_atomically


def test_replaces_the_content_and_leaves_nothing_aside(tmp_path):
    write_atomically(tmp_path / "a", "näh")
    write_atomically(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["a"]


def test_a_failed_replacement_keeps_the_old_file(tmp_path, monkeypatch):
    write_atomically(tmp_path / "a", "old")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFull, match="no room left"):
        write_atomically(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "old"
    assert os.listdir(tmp_path) == ["a"]


def test_other_failures_are_not_called_a_full_disk(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "missing" / "a", "x")


_FILL = """
import resource, sys
from pathlib import Path
from minima.record.files import DiskFull, append_durably
path = Path(sys.argv[1])
append_durably(path, b"a" * 600)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    append_durably(path, b"b" * 600)  # the system writes 400 of them, then refuses
except DiskFull as error:
    print(error)
"""


def test_a_half_written_append_is_taken_back(tmp_path):
    path = tmp_path / "lines"
    out = subprocess.run([sys.executable, "-c", _FILL, path], capture_output=True, check=True)
    assert b"no room left" in out.stdout
    assert path.read_bytes() == b"a" * 600
    append_durably(path, b"c")
    assert path.stat().st_size == 601
