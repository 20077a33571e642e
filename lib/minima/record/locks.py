"""The lock of a run: one process at a time works on a directory, and is known by its id."""

import fcntl
import os
from pathlib import Path
from typing import BinaryIO

from minima.record.files import explained
from minima.runtime.errors import UserError


def holder(directory: Path) -> str | None:
    """The id of the process that works on the run, or None where nobody does."""
    try:
        with open(directory / "lock", "rb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)  # let go of as the file closes
            except BlockingIOError:
                return _read_holder(lock)
    except OSError:
        pass
    return None


def take_lock(directory: Path) -> BinaryIO:
    """Holds the run until the file is closed; makes the directory where it is missing.

    Raises:
      UserError: another process holds it, or the directory can't be made.
      DiskFull: no room for the process id.
    """
    lock = _open_lock_file(directory)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        with lock:
            process = _read_holder(lock)
        raise UserError(
            f"{directory} is in use by process {process}; wait for it or end it, or choose another "
            "run id"
        ) from None
    try:
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n".encode())
    except OSError as error:
        lock.close()
        raise explained(error, directory / "lock") from error
    return lock


def _read_holder(lock: BinaryIO) -> str:
    lock.seek(0)
    return lock.read(20).decode(errors="replace").strip() or "unknown"


def _open_lock_file(directory: Path) -> BinaryIO:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        return open(directory / "lock", "a+b", buffering=0)  # append: opening must not erase the id
    except OSError as error:
        raise UserError(
            f"{directory}: cannot create the run directory ({error.strerror}); choose another "
            "workdir"
        ) from error
