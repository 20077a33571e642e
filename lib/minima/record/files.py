"""Writing so that a crash, a kill or a full disk leaves the old file or the new, never half."""

import contextlib
import errno
import itertools
import os
from pathlib import Path

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_counter = itertools.count()


class DiskFull(OSError):  # noqa: N818 - named after the state, as FileExistsError's siblings are
    """There is no room left for a record; what was on disk before is intact."""


def write_atomically(path: Path | str, content: bytes | str, durable: bool = True) -> None:
    """Replaces `path` by `content` (text as UTF-8) in one step.

    Durable means that it outlives a power cut too; what can be derived again may do without.

    Raises:
      DiskFull: no room; `path` still holds what it held.
      OSError: any other failure of the file system; `path` is untouched as well.
    """
    path = Path(path)
    data = content.encode() if isinstance(content, str) else content
    # The temporary name must not contain the final one: TensorBoard reads any file whose name has
    # "tfevents" in it.
    aside = path.parent / f".aside-{os.getpid()}-{next(_counter)}"
    try:
        with open(aside, "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(aside, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            aside.unlink()
        raise explained(error, path) from error
    if durable:
        _sync_directory(path.parent)


def append_durably(path: Path, data: bytes) -> None:
    """Appends all of `data` and fsyncs, or leaves the file at the length it had.

    Raises:
      DiskFull: no room for the whole of `data`.
      OSError: any other failure of the file system.
    """
    is_new = not path.exists()
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        length = os.fstat(descriptor).st_size
        try:
            _write_all(descriptor, data)
            os.fsync(descriptor)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, length)
            raise explained(error, path) from error
    finally:
        os.close(descriptor)
    if is_new:
        _sync_directory(path.parent)


def explained(error: OSError, path: Path) -> OSError:
    """The same failure, as `DiskFull` with a remedy where the disk, quota or size limit is full."""
    if error.errno not in _FULL or isinstance(error, DiskFull):
        return error
    text = f"{path}: no room left to write ({error.strerror}); free some space and run again"
    return DiskFull(error.errno, text)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _sync_directory(directory: Path) -> None:
    # A rename is durable only once its directory is; some file systems refuse to sync one.
    with contextlib.suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
