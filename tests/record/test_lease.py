import json
import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from minima.record import lease
from minima.record.lease import Lease
from minima.record.remote import Store, Unreachable
from minima.runtime.errors import UserError


@pytest.fixture
def store(bucket):
    return Store("bucket://b/run")


@pytest.fixture
def quick(monkeypatch):
    """Leases go stale, and are refreshed, within tenths of a second."""
    for name, seconds in (("REFRESH", 0.05), ("STALE", 0.5), ("_WATCHED", 0.3)):
        monkeypatch.setattr(lease, name, seconds)


@pytest.fixture
def take(store):
    """Takes leases, and lets go of those that are left at the end."""
    taken = []

    def take(copy=None):
        found = Lease(store, copy)
        ours = found.acquire()
        taken.append(found)
        return found, ours

    yield take
    for found in taken:
        found.release()


def entry(store):
    return json.loads(store.read(lease.NAME))


def put(store, **changes):
    """A lease that some other process holds."""
    there = {"copy": "c", "host": "elsewhere", "machine": "m", "process": 7, "started": "1"}
    store.write(
        lease.NAME,
        json.dumps({**there, "time": time.time(), "released": False, **changes}).encode(),
    )


def test_who_holds_it_is_in_it(store, take):
    found, ours = take()
    assert not ours
    held = entry(store)
    assert (held["copy"], held["process"]) == (found.copy, os.getpid())
    assert held["host"] == socket.gethostname()
    assert not held["released"]
    found.release()
    assert entry(store)["released"]


def test_a_second_one_here_is_refused_at_once(store, take):
    take()
    begin = time.monotonic()
    with pytest.raises(UserError, match=rf"bucket://b/run is in use by process {os.getpid()} on "):
        Lease(store, None).acquire()
    assert time.monotonic() - begin < 5


def test_the_copy_that_wrote_last_knows_itself(store, take):
    first, _ = take()
    first.release()
    again, ours = take(first.copy)
    assert ours
    assert again.copy == first.copy
    again.release()
    other, ours = take()
    assert not ours
    assert other.copy != first.copy
    other.release()
    assert not take(first.copy)[1]


def test_one_of_a_process_that_is_gone_is_taken_at_once(store, take):
    # It writes the lease as a holder does, and ends without letting go.
    script = (
        "import os, bucket_store, fsspec; from minima.record.lease import Lease\n"
        "from minima.record.remote import Store\n"
        "fsspec.register_implementation('bucket', bucket_store.BucketFileSystem, clobber=True)\n"
        "Lease(Store('bucket://b/run'), None).acquire(); os._exit(9)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    assert subprocess.run([sys.executable, "-c", script], env=environment).returncode == 9
    assert entry(store)["released"] is False
    assert entry(store)["process"] != os.getpid()
    take()
    assert entry(store)["process"] == os.getpid()


def test_a_stale_one_is_taken_after_a_while(store, take, quick, capsys):
    put(store)
    begin = time.monotonic()
    take()
    assert time.monotonic() - begin > 0.3
    assert "was in use by process 7 on elsewhere" in capsys.readouterr().err


def test_an_old_one_is_watched_all_the_same(store, take, quick):
    put(store, time=0.0)  # its clock may be wrong
    begin = time.monotonic()
    take()
    assert time.monotonic() - begin > 0.2


def test_a_sign_of_life_refuses(store, quick, capsys):
    put(store)
    alive = threading.Timer(0.15, lambda: put(store))
    alive.start()
    with pytest.raises(UserError, match="is in use by process 7 on elsewhere"):
        Lease(store, None).acquire()
    alive.join()


def test_one_that_is_let_go_of_meanwhile_is_taken(store, take, quick, monkeypatch, capsys):
    monkeypatch.setattr(lease, "STALE", 60.0)
    put(store)
    gone = threading.Timer(0.15, lambda: put(store, released=True))
    gone.start()
    take()
    gone.join()


def test_after_a_reboot_it_is_taken_at_once(store, take):
    put(store, copy="mine", host=socket.gethostname(), machine="another boot")
    assert take("mine")[1]


def test_a_damaged_one_is_watched_and_taken(store, take, quick, capsys):
    store.write(lease.NAME, b"{")
    take()
    assert entry(store)["process"] == os.getpid()


def test_it_is_kept_fresh(store, take, quick):
    take()
    first = entry(store)["time"]
    end = time.monotonic() + 10
    while entry(store)["time"] == first:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_who_lost_it_is_told_and_leaves_it(store, take, quick):
    found, _ = take()
    found.check()
    put(store)
    found._beating.join(timeout=10)  # it ends with the next beat
    with pytest.raises(Unreachable, match="was taken over by process 7 on elsewhere"):
        found.check()
    found.release()
    assert entry(store)["host"] == "elsewhere"


def test_of_two_that_start_at_once_one_stays(store, bucket, monkeypatch):
    monkeypatch.setattr(lease, "_SETTLE", 0.3)
    put(store, released=True)
    outcomes = []

    def start():
        found = Lease(store, None)
        try:
            found.acquire()
            outcomes.append(found)
        except UserError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=start) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kinds = sorted(type(outcome).__name__ for outcome in outcomes)
    assert kinds == ["Lease", "UserError"]
    [winner] = [outcome for outcome in outcomes if isinstance(outcome, Lease)]
    winner.release()
