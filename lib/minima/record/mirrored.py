"""Runs on object stores, as the rest of record/ sees them: by the folder that stands for each.

`locate` turns what a user names into that folder. A process that works on a run holds its lease
and keeps its mirror up (`attach`) until `finish` has everything up and lets go of it; whoever
trains, measures or draws meanwhile writes files and knows nothing of this.
"""

import contextlib
import fcntl
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from minima.record.lease import Lease, in_use_by
from minima.record.locks import holder
from minima.record.mirror import SHARDS, Mirror
from minima.record.remote import Store, Unreachable, is_url, joined, local_path, url_of
from minima.runtime.errors import UserError

SECONDS = 3.0  # between pushes, at least
_PAUSE = 20.0  # times what a push took: looking for news stays below a twentieth of the time
_LAST_WAITS = (1.0, 4.0, 15.0)  # seconds between the tries of `finish`
_COPY = ".copy"  # which copy of the run a folder holds, see `Lease.acquire`

_attached: dict[Path, "_Upkeep"] = {}


def locate(run: Path | str, flag: str = "", shards: bool = False) -> Path:
    """The directory of a run that is named by its path or its URL; one of a URL is up to date.

    Checkpoints are left out: nobody but who trains a run wants those.

    Args:
      run: where it is or will be.
      flag: what named it, for messages.
      shards: bring the run's shards up to date, too.

    Raises:
      UserError: the store refuses.
      Unreachable: it does not answer.
    """
    try:
        directory = local_path(run)
        if is_url(run):
            _refresh(str(run), directory)
            for name in Mirror(str(run), directory).store.folders(SHARDS) if shards else ():
                _refresh(joined(str(run), SHARDS, name), directory / SHARDS / name)
    except UserError as error:
        raise UserError(f"{flag}={error}" if flag else str(error)) from error
    return directory


def worker(directory: Path) -> str | None:
    """The process that works on a run, here or elsewhere, or None where nobody seems to.

    Raises:
      UserError: the store refuses.
      Unreachable: it does not answer.
    """
    url = None if directory.absolute() in _attached else url_of(directory)
    return holder(directory) or (in_use_by(Store(url)) if url else None)


def attach(directory: Path) -> None:
    """Where a folder stands for a URL: takes the lease, pulls, and pushes from now on.

    The caller holds the run's lock.

    Raises:
      UserError: another process works on the run, or the store refuses.
      Unreachable: it does not answer.
    """
    directory = directory.absolute()
    url = url_of(directory)
    if url is not None and directory not in _attached:
        _attached[directory] = _Upkeep(url, directory)


def settle(directory: Path) -> None:
    """Pushes what there is now; a failure is told once, and tried again later."""
    if upkeep := _attached.get(directory.absolute()):
        upkeep.push()


@contextlib.contextmanager
def kept_up() -> Iterator[None]:
    """A command: what was attached inside is finished as it ends, however it ends.

    Raises:
      Unreachable: see `finish`; where the command failed already, that is raised, this only told.
    """
    try:
        yield
    except BaseException:
        try:
            finish()
        except Unreachable as error:
            print(f"error: {error}", file=sys.stderr)
        raise
    finish()


def finish(directory: Path | None = None) -> None:
    """Has everything up that was written to attached runs, or to one, and lets go of them.

    Raises:
      Unreachable: something is not up; says where it is.
    """
    ending = list(_attached) if directory is None else [directory.absolute()]
    failures = []
    for each in ending:
        upkeep = _attached.pop(each, None)
        if upkeep is not None and (failure := upkeep.finish()):
            failures.append(failure)
    if failures:
        raise Unreachable("; ".join(failures))


class _Upkeep:
    """A run that this process writes to: lease, mirror, and the thread that pushes."""

    def __init__(self, url: str, directory: Path) -> None:
        self._directory, self._mirror = directory, Mirror(url, directory)
        copy = directory / _COPY
        self._lease = Lease(self._mirror.store, copy.read_text() if copy.exists() else None)
        newest_here = self._lease.acquire()
        try:
            with _pulling(directory):
                self._mirror.pull(newest_here)
            copy.write_text(self._lease.copy)
        except BaseException:
            self._lease.release()
            raise
        self._pause, self._told = SECONDS, False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mirror", daemon=True)
        self._thread.start()

    def push(self, last: bool = False) -> Exception | None:
        """Pushes; returns what went wrong, told once until it goes well again."""
        begin = time.monotonic()
        try:
            self._lease.check()
            self._mirror.push(last)
        except Exception as error:  # nothing here may end a training
            if not self._told:
                print(f"warning: {error}; all is kept in {self._directory}", file=sys.stderr)
            self._told = True
            return error
        self._told = False
        self._pause = max(SECONDS, _PAUSE * (time.monotonic() - begin))
        return None

    def finish(self) -> str | None:
        """The last push, and the end of the lease; returns what went wrong."""
        self._ended.set()
        self._thread.join()
        for wait in (*_LAST_WAITS, None):
            error = self.push(last=True)
            if error is None or wait is None:
                break
            time.sleep(wait)
        self._lease.release()
        if error is None:
            return None
        return (
            f"{error}; what is not up there is in {self._directory}: start the same command again "
            "on this machine"
        )

    def _run(self) -> None:
        while not self._ended.wait(self._pause):
            self.push()


def _refresh(url: str, directory: Path) -> None:
    """Pulls, unless a process of this machine works on the run: then the folder is ahead."""
    if directory in _attached:
        return
    with _pulling(directory):
        if holder(directory) is None:
            Mirror(url, directory).pull(checkpoints=False)


@contextlib.contextmanager
def _pulling(directory: Path) -> Iterator[None]:
    """One pull at a time into a folder; not the run's own lock, which says that somebody works."""
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / ".pulling", "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
