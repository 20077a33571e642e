"""Downloads files that are known by their sha256: resumed, checked, and put in place at once.

Any number of processes may want one file. Each writes a part file of its own, which begins as a
copy of the longest part that somebody left or is still writing; so nothing is locked, a killed
download goes on where it was, and only a sound file ever gets the final name.
"""

import contextlib
import hashlib
import http
import http.client
import os
import shutil
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedRandom, BufferedReader
from pathlib import Path

from minima.runtime.caches import cache_directory
from minima.runtime.errors import UserError

TIMEOUT = 30.0  # seconds without a byte, or at less than SLOWEST, until a download is given up
SLOWEST = 1_000  # bytes per second
ATTEMPTS = 5  # connections to one server, each of which must have brought something
CHUNK = 2**16


@dataclass(frozen=True)
class Remote:
    """A public file. name: its name on disk. size: in bytes. sha256: in hex, of those bytes."""

    name: str
    url: str
    size: int
    sha256: str


class _FailureError(Exception):
    """Why a download ended, in a few words for the user."""


def data_directory() -> Path:
    """Where downloads are kept: `$XDG_CACHE_HOME/minima/data` or `~/.cache/minima/data`."""
    return cache_directory() / "data"


def fetch(remote: Remote, directory: Path, where: str) -> Path:
    """Returns the path of a sound copy in the directory, downloaded if there is none.

    Raises UserError that opens with `where` and names the file, its address and --data_dir.
    """
    target = directory / remote.name
    try:
        if is_sound(target, remote):
            return target
        directory.mkdir(parents=True, exist_ok=True)
        megabytes = f"{remote.size / 1e6:.1f} MB"
        print(f"downloading {remote.name} ({megabytes}) from {remote.url}", file=sys.stderr)
        with _own_part(target, remote) as part:
            _fill(part, remote)
    except _FailureError as failure:
        raise UserError(
            f"{where}: {remote.name} cannot be downloaded from {remote.url} ({failure}); try again,"
            " or give --data_dir, the folder that holds it"
        ) from failure
    except OSError as error:
        raise UserError(
            f"{where}: {remote.name} cannot be kept in {str(directory)!r} ({error.strerror}); set"
            " XDG_CACHE_HOME, or give --data_dir, the folder that holds it"
        ) from error
    return target


def is_sound(path: Path, remote: Remote) -> bool:
    """True if the file is there and has the remote's sha256."""
    try:
        with path.open("rb") as file:
            return os.fstat(file.fileno()).st_size == remote.size and _sha256(file) == remote.sha256
    except OSError:
        return False


@contextlib.contextmanager
def _own_part(target: Path, remote: Remote) -> Iterator[BufferedRandom]:
    """A file that becomes the target if the body ends well, and else waits to be gone on with."""
    path = target.with_name(f"{target.name}.{uuid.uuid4().hex}.part")
    with path.open("x+b") as part:
        try:
            _copy_longest(part, target, remote.size)
            yield part
            part.flush()
            with contextlib.suppress(FileNotFoundError):  # another process was first, and tidied up
                path.replace(target)
        except BaseException:
            _leave(path, target.with_name(f"{target.name}.part"), part)
            raise
    for left in _parts(target):
        left.unlink(missing_ok=True)


def _leave(path: Path, waiting: Path, part: BufferedRandom) -> None:
    with contextlib.suppress(OSError):
        if part.seek(0, os.SEEK_END):
            path.replace(waiting)
        else:
            path.unlink()


def _copy_longest(part: BufferedRandom, target: Path, size: int) -> None:
    sizes = {}
    for path in _parts(target):
        with contextlib.suppress(FileNotFoundError):
            sizes[path] = path.stat().st_size
    usable = [path for path in sizes if 0 < sizes[path] <= size]
    if usable:
        with (
            contextlib.suppress(FileNotFoundError),
            max(usable, key=sizes.__getitem__).open("rb") as other,
        ):
            shutil.copyfileobj(other, part)


def _parts(target: Path) -> list[Path]:
    return list(target.parent.glob(f"{target.name}.*part"))


def _fill(part: BufferedRandom, remote: Remote) -> None:
    """Goes on where the part ends; a resumed part that comes to nothing is started over."""
    failure = _FailureError("")
    for _ in range(ATTEMPTS):
        resumed = part.seek(0, os.SEEK_END)
        try:
            if resumed < remote.size:
                _receive(part, remote, resumed)
            _check(part, remote)
            return
        except _FailureError as error:
            failure = error
        have = part.seek(0, os.SEEK_END)
        if have <= resumed and not (have == 0 < resumed):
            break
    raise failure


def _check(part: BufferedRandom, remote: Remote) -> None:
    have = part.tell()
    if have < remote.size:
        raise _FailureError(f"the connection ended after {have} of {remote.size} bytes")
    part.seek(0)
    digest = _sha256(part)
    if digest != remote.sha256:
        part.truncate(0)
        raise _FailureError(
            f"it sends other bytes: sha256 {digest[:12]}…, not {remote.sha256[:12]}…"
        )


def _receive(part: BufferedRandom, remote: Remote, start: int) -> None:
    """Appends what the server sends, one byte beyond the expected size at most."""
    request = urllib.request.Request(remote.url, headers={"User-Agent": "minima"})
    if start:
        request.add_header("Range", f"bytes={start}-")
    with _network_errors():
        response = _open(request, part)
    with response:
        if start and not _goes_on(response, start):
            part.seek(0)
            part.truncate()
        for chunk in _chunks(response, remote.size + 1 - part.tell()):
            part.write(chunk)


def _open(request: urllib.request.Request, part: BufferedRandom) -> http.client.HTTPResponse:
    try:
        return urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            part.truncate(0)
        raise


def _goes_on(response: http.client.HTTPResponse, start: int) -> bool:
    # A server may ignore the range (200), or claim to heed it and send another.
    whence = response.headers.get("Content-Range", "")
    return response.status == http.HTTPStatus.PARTIAL_CONTENT and whence.startswith(
        f"bytes {start}-"
    )


def _chunks(response: http.client.HTTPResponse, limit: int) -> Iterator[bytes]:
    fresh, mark = 0, time.monotonic()
    while limit > 0:
        with _network_errors():
            chunk = response.read1(min(CHUNK, limit))
        if not chunk:
            return
        yield chunk
        limit -= len(chunk)
        fresh += len(chunk)
        if time.monotonic() - mark > TIMEOUT:
            if fresh < SLOWEST * TIMEOUT:
                raise _FailureError(f"slower than {SLOWEST} bytes a second")
            fresh, mark = 0, time.monotonic()


@contextlib.contextmanager
def _network_errors() -> Iterator[None]:
    try:
        yield
    except urllib.error.HTTPError as error:
        raise _FailureError(f"the server answers {error.code}") from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        if isinstance(reason, TimeoutError):
            raise _FailureError(f"it stalled for {TIMEOUT:g} s") from error
        words = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
        raise _FailureError(" ".join(words.split())) from error


def _sha256(file: BufferedReader | BufferedRandom) -> str:
    return hashlib.file_digest(file, "sha256").hexdigest()
