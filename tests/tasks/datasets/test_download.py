import hashlib
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from minima.runtime.errors import UserError
from minima.tasks.datasets import download
from minima.tasks.datasets.download import Remote, data_directory, fetch

from .server import Server

DATA = np.random.RandomState(0).bytes(300_000)
WHERE = "--dataset 'toy'"


@pytest.fixture(autouse=True)
def without_a_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT", 0.3)


def remote_of(server, data=DATA):
    return Remote("file.bin", server.url, len(data), hashlib.sha256(data).hexdigest())


def names(directory):
    return sorted(path.name for path in directory.iterdir())


def part_of(directory, data, name="file.bin.part"):
    directory.mkdir(parents=True, exist_ok=True)
    (directory / name).write_bytes(data)


def check_whole(directory, data=DATA):
    assert (directory / "file.bin").read_bytes() == data
    assert names(directory) == ["file.bin"]


def test_downloads_once_into_a_new_folder_and_says_so(tmp_path, capsys):
    directory = tmp_path / "a" / "b"
    with Server(DATA) as server:
        for _ in range(2):
            assert fetch(remote_of(server), directory, WHERE) == directory / "file.bin"
        assert server.ranges == [None]
        line = f"downloading file.bin (0.3 MB) from {server.url}\n"
    check_whole(directory)
    assert capsys.readouterr() == ("", line)


def test_a_sound_file_needs_no_network(tmp_path):
    part_of(tmp_path, DATA, "file.bin")
    remote = Remote("file.bin", "http://127.0.0.1:9/", len(DATA), hashlib.sha256(DATA).hexdigest())
    assert fetch(remote, tmp_path, WHERE) == tmp_path / "file.bin"


@pytest.mark.parametrize("damaged", [b"", DATA[:-1], bytes(len(DATA))])
def test_a_damaged_file_is_replaced(tmp_path, damaged):
    part_of(tmp_path, damaged, "file.bin")
    with Server(DATA) as server:
        fetch(remote_of(server), tmp_path, WHERE)
    check_whole(tmp_path)


@pytest.mark.parametrize(
    ("ways", "ranges"),
    [
        (["well"], ["bytes=1000-"]),
        (["without_range"], ["bytes=1000-"]),
        (["another_range"], ["bytes=1000-"]),
        (["unsatisfiable"], ["bytes=1000-", None]),
        (["half", "well"], ["bytes=1000-", "bytes=150500-"]),
        (["moved", "well"], ["bytes=1000-", "bytes=1000-"]),
    ],
)
def test_goes_on_with_a_part(tmp_path, ways, ranges):
    part_of(tmp_path, DATA[:1000])
    with Server(DATA, *ways) as server:
        fetch(remote_of(server), tmp_path, WHERE)
        assert server.ranges == ranges
    check_whole(tmp_path)


def test_goes_on_with_the_longest_part_and_clears_all_away(tmp_path):
    for i, data in enumerate([DATA[:500], DATA[:2000], b"", bytes(len(DATA) + 1)]):
        part_of(tmp_path, data, f"file.bin.{i}.part")
    with Server(DATA) as server:
        fetch(remote_of(server), tmp_path, WHERE)
        assert server.ranges == ["bytes=2000-"]
    check_whole(tmp_path)


def test_a_whole_part_needs_no_network(tmp_path):
    part_of(tmp_path, DATA)
    with Server(DATA) as server:
        fetch(remote_of(server), tmp_path, WHERE)
        assert server.ranges == []
    check_whole(tmp_path)


@pytest.mark.parametrize("size", [1000, len(DATA)])
def test_a_rotten_part_is_started_over(tmp_path, size):
    part_of(tmp_path, bytes(size))
    with Server(DATA) as server:
        fetch(remote_of(server), tmp_path, WHERE)
        assert server.ranges[-1] is None
    check_whole(tmp_path)


def test_a_connection_that_breaks_now_and_then_is_taken_up_again(tmp_path, impatient):
    with Server(DATA, "half", "half", "stalled", "half", "well") as server:
        fetch(remote_of(server), tmp_path, WHERE)
    check_whole(tmp_path)


REASONS = {
    "nothing": f"the connection ended after 0 of {len(DATA)} bytes",
    "half": f"the connection ended after 290625 of {len(DATA)} bytes",
    "too_short": f"the connection ended after 100000 of {len(DATA)} bytes",
    "too_long": "it sends other bytes: sha256 ",
    "endless": "it sends other bytes: sha256 ",
    "wrong": "it sends other bytes: sha256 ",
    "stalled": "it stalled for 0.3 s",
    "silent": "it stalled for 0.3 s",
    "dripping": "slower than 1000 bytes a second",
    "missing": "the server answers 404",
    "busy": "the server answers 503",
    "hangs_up": "Remote end closed connection without response",
    "babbles": "what is this",
    "moved": "the server answers 302",
    "to_a_file": "the server answers 302",
}


@pytest.mark.parametrize(("way", "reason"), REASONS.items())
def test_says_in_one_line_what_the_server_did(tmp_path, way, reason, refusal, request):
    if way in ("stalled", "silent", "dripping"):
        request.getfixturevalue("impatient")
    with Server(DATA, way) as server:
        line = refusal(fetch, remote_of(server), tmp_path, WHERE)
        url = server.url
    assert line.startswith(f"{WHERE}: file.bin cannot be downloaded from {url} ({reason}")
    assert line.endswith("; try again, or give --data_dir, the folder that holds it")
    assert not (tmp_path / "file.bin").exists()
    keeps = way in ("half", "too_short", "stalled", "dripping")
    assert names(tmp_path) == (["file.bin.part"] if keeps else [])


def test_what_broke_off_is_gone_on_with_in_the_next_call(tmp_path, impatient, refusal):
    with Server(DATA, "stalled", "silent", "well") as server:
        refusal(fetch, remote_of(server), tmp_path, WHERE)
        fetch(remote_of(server), tmp_path, WHERE)
        assert server.ranges == [None, "bytes=1000-", "bytes=1000-"]
    check_whole(tmp_path)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:9/x", "Connection refused"),
        ("http://nowhere.invalid/x", ""),
        ("https://127.0.0.1:9/x", "Connection refused"),
    ],
)
def test_says_in_one_line_that_there_is_no_network(tmp_path, url, reason, refusal, monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    line = refusal(fetch, Remote("file.bin", url, 1, "0" * 64), tmp_path, WHERE)
    assert f"cannot be downloaded from {url} ({reason}" in line


def test_a_server_that_speaks_no_tls_is_refused(tmp_path, refusal):
    with Server(DATA) as server:
        remote = Remote("file.bin", server.url.replace("http:", "https:"), 1, "0" * 64)
        assert "SSL" in refusal(fetch, remote, tmp_path, WHERE)


def test_says_that_the_cache_cannot_be_written(tmp_path, refusal):
    (tmp_path / "file").touch()
    with Server(DATA) as server:
        line = refusal(fetch, remote_of(server), tmp_path / "file" / "x", WHERE)
    assert line.startswith(f"{WHERE}: file.bin cannot be kept in '{tmp_path}/file/x' (")
    assert "XDG_CACHE_HOME" in line


def test_a_folder_in_the_files_place_is_refused(tmp_path, refusal):
    (tmp_path / "file.bin").mkdir()
    with Server(DATA) as server:
        line = refusal(fetch, remote_of(server), tmp_path, WHERE)
    assert "cannot be kept" in line


def test_the_cache_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert data_directory() == tmp_path / "minima" / "data"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert data_directory() == tmp_path / ".cache" / "minima" / "data"


def start_process(remote, directory):
    code = (
        "from pathlib import Path; from minima.tasks.datasets.download import Remote, fetch;"
        f"fetch({remote!r}, Path({str(directory)!r}), '--dataset')"
    )
    return subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)


def written(directory):
    return max((path.stat().st_size for path in directory.glob("*part")), default=0)


def wait_until_written(directory, count):
    deadline = time.monotonic() + 30
    while written(directory) < count:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_killed_download_is_gone_on_with(tmp_path):
    with Server(DATA, "slowly", "well") as server:
        process = start_process(remote_of(server), tmp_path)
        wait_until_written(tmp_path, 20_000)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        begun = written(tmp_path)
        assert 0 < begun < len(DATA)
        fetch(remote_of(server), tmp_path, WHERE)
        assert server.ranges == [None, f"bytes={begun}-"]
    check_whole(tmp_path)


def test_two_downloads_at_once_end_with_one_sound_file(tmp_path):
    with Server(DATA, "slowly") as server:
        processes = [start_process(remote_of(server), tmp_path)]
        wait_until_written(tmp_path, 20_000)
        processes.append(start_process(remote_of(server), tmp_path))
        for process in processes:
            errors = process.communicate(timeout=60)[1]
            assert process.returncode == 0, errors
        assert len(server.ranges) == 2
    check_whole(tmp_path)


def test_a_lie_to_one_of_two_downloads_does_not_reach_the_other(tmp_path):
    with Server(DATA, "wrong", "slowly") as server:
        with pytest.raises(UserError, match="other bytes"):
            fetch(remote_of(server), tmp_path, WHERE)
        fetch(remote_of(server), tmp_path, WHERE)
    check_whole(tmp_path)


def test_ctrl_c_keeps_what_has_come(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    with Server(DATA, "half", "well") as server:
        monkeypatch.setattr(download, "_check", interrupt)
        with pytest.raises(KeyboardInterrupt):
            fetch(remote_of(server), tmp_path, WHERE)
        monkeypatch.undo()
        assert os.listdir(tmp_path) == ["file.bin.part"]
        fetch(remote_of(server), tmp_path, WHERE)
    check_whole(tmp_path)
