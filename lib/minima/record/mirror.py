"""A run directory on an object store: the folder here, and the objects that mirror it there.

`RUN/name` is the object `URL/name`, so that TensorBoard, `gsutil` and `aws s3` find what they look
for. Three kinds of files differ in how they get there; none is ever seen half written:

* lines (`cells.jsonl`, `measures.jsonl`) are a folder of numbered parts that are never rewritten:
  what a push found new. Together, each distinct line once, they are the file.
* checkpoints are folders of objects that count once `checkpoints/<step>.complete`, which is written
  last and names them, is there.
* everything else is one object. Snapshots and TensorBoard's files are written once and compared by
  size; the others are replaced whole.

What stays here: locks, names that begin with a dot, temporary and damaged checkpoints. `shards/`
holds run directories of their own, each with a mirror of its own.
"""

import hashlib
import json
import logging
import os
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

from minima.record import lease
from minima.record.files import write_atomically
from minima.record.remote import Store

SHARDS = "shards"
_CHECKPOINTS = "checkpoints"
_LINES = ".jsonl"
_LOG = "log.txt"  # grows by a line per cell, so it goes up at the end only
_WRITTEN_ONCE = ("snapshots/", "tensorboard/")
_PART = re.compile(r"(?P<file>[^/]+\.jsonl)/\d{12}-(?P<hash>[0-9a-f]{16})\.jsonl")
_MARKER = re.compile(rf"{_CHECKPOINTS}/(\d+)\.complete")
_STEP = re.compile(rf"{_CHECKPOINTS}/(\d+)/")

Stamp = tuple[int, int]  # of a file here: size, time of its last change

_log = logging.getLogger(__name__)


class Mirror:
    """One run directory and the objects of one URL; its methods exclude each other."""

    def __init__(self, url: str, directory: Path) -> None:
        """Asks nothing of the store yet; raises what `Store` raises."""
        self.url, self.directory, self.store = url, directory, Store(url)
        self._pushed: dict[str, Stamp] = {}
        self._lines: dict[str, int] = {}  # bytes of a file that are up there
        self._marked: set[int] = set()  # checkpoints that are whole up there
        self._tidy = False  # whether no older ones are left there
        self._mutex = threading.Lock()

    def pull(self, newest_here: bool = False, checkpoints: bool = True) -> None:
        """Fetches what is missing here or differs.

        Lines that were never pushed stay, after those that are up there.

        Args:
          newest_here: nobody but this copy has written since it last did, so that where a file
            differs the one here counts.
          checkpoints: fetch those, too.

        Raises:
          UserError: the store refuses.
          Unreachable: it does not answer.
          DiskFull: no room here.
        """
        with self._mutex:
            there = self.store.sizes()
            self._pull_lines(there)
            self._pull_files(there, newest_here)
            self._marked = {int(m[1]) for name in there if (m := _MARKER.fullmatch(name))}
            if checkpoints:
                for step in sorted(self._marked, reverse=True):
                    self._pull_step(step)

    def push(self, last: bool = False) -> None:
        """Uploads what is new or changed since the last push or pull; `last`: the log as well.

        Raises:
          UserError, Unreachable: see `pull`; the next call goes on from there.
        """
        with self._mutex:
            # Lines are read first and put last: a cell's snapshots are here before its line is.
            tails = {name: self._tail(name) for name in self._line_files()}
            changed = {n: s for n, s in self._files(last) if self._pushed.get(n) != s}
            self.store.each(self._push_file, changed.items())
            for name, tail in tails.items():
                self._push_lines(name, tail)
            self._push_steps()

    def _pull_lines(self, there: dict[str, int]) -> None:
        parts: dict[str, list[str]] = {}
        for name in sorted(there):
            if part := _PART.fullmatch(name):
                parts.setdefault(part["file"], []).append(name)
        for name, names in parts.items():
            contents = self.store.each(self._read_part, names)
            lines = list(dict.fromkeys(line for part in contents for line in part.splitlines(True)))
            remote = b"".join(lines)
            path = self.directory / name
            here = path.read_bytes() if path.exists() else b""
            if not here.startswith(remote):
                more = [line for line in here.splitlines(True) if line[-1:] == b"\n"]
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(path, b"".join(dict.fromkeys(lines + more)))
            self._lines[name] = len(remote)

    def _read_part(self, name: str) -> bytes:
        content = self.store.read(name) or b""
        if not name.endswith(f"-{_digest(content)}{_LINES}"):
            _log.warning("%s/%s: is damaged, and left out", self.url, name)
            return b""
        return content

    def _pull_files(self, there: dict[str, int], newest_here: bool) -> None:
        def fetch(name: str) -> None:
            path = self.directory / name
            stamp = _stamp(path)
            same = stamp is not None and stamp[0] == there[name] and name.startswith(_WRITTEN_ONCE)
            if stamp is None or not (newest_here or same):
                self.store.download(name, path)
                stamp, same = _stamp(path), True
            if same and stamp is not None:
                self._pushed[name] = stamp

        self.store.each(fetch, filter(_is_file, there))

    def _pull_step(self, step: int) -> None:
        """Fetches a whole checkpoint or, where it has been deleted meanwhile, nothing."""
        target = self.directory / _CHECKPOINTS / str(step)
        if target.exists():
            return
        aside = self.directory / f".pull-{os.getpid()}-{step}"
        try:
            files = json.loads(self.store.read(_marker(step)) or b"")["files"]
            prefix = f"{_CHECKPOINTS}/{step}/"
            self.store.each(lambda name: self.store.download(prefix + name, aside / name), files)
            sizes = {name: (aside / name).stat().st_size for name in files}
            if sizes != files:
                raise ValueError("objects of other sizes than its marker names")
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(aside, target)
        except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
            _log.warning("%s: skipping step %d: %s", self.url, step, error)
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def _line_files(self) -> list[str]:
        return sorted(path.name for path in self.directory.glob(f"*{_LINES}"))

    def _tail(self, name: str) -> bytes:
        """Whole lines that are not up there yet."""
        with open(self.directory / name, "rb") as file:
            file.seek(self._lines.get(name, 0))
            tail = file.read()
        return tail[: tail.rfind(b"\n") + 1]

    def _push_lines(self, name: str, tail: bytes) -> None:
        if tail:
            offset = self._lines.get(name, 0)
            self.store.write(f"{name}/{offset:012d}-{_digest(tail)}{_LINES}", tail)
            self._lines[name] = offset + len(tail)

    def _files(self, last: bool) -> Iterator[tuple[str, Stamp]]:
        """Files that are one object each, by name, with their stamps."""
        for folder, folders, names in os.walk(self.directory):
            place = Path(folder).relative_to(self.directory)
            folders[:] = [f for f in folders if _is_file(f"{(place / f).as_posix()}/x")]
            for name in names:
                relative = (place / name).as_posix()
                if _is_file(relative) and (last or relative != _LOG):
                    stamp = _stamp(self.directory / relative)
                    if stamp is not None:
                        yield relative, stamp

    def _push_file(self, changed: tuple[str, Stamp]) -> None:
        name, stamp = changed
        self.store.upload(name, self.directory / name)
        self._pushed[name] = stamp

    def _push_steps(self) -> None:
        folder = self.directory / _CHECKPOINTS
        steps = sorted(int(path.name) for path in folder.glob("*") if path.name.isdigit())
        for step in steps:
            if step not in self._marked:
                self._tidy = False
                self._push_step(step)
        if self._marked and not self._tidy:
            found = self.store.sizes(_CHECKPOINTS)
            there = {int(m[1]) for n in found if (m := _MARKER.fullmatch(n) or _STEP.match(n))}
            for step in sorted(there - set(steps)):
                if step < max(self._marked):
                    self._delete_step(step, [*found])
            self._tidy = True

    def _push_step(self, step: int) -> None:
        folder = self.directory / _CHECKPOINTS / str(step)
        paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        try:
            files = {path.relative_to(folder).as_posix(): path.stat().st_size for path in paths}
            prefix = f"{_CHECKPOINTS}/{step}/"
            self.store.each(lambda name: self.store.upload(prefix + name, folder / name), files)
        except FileNotFoundError:
            return
        if folder.exists():  # else a newer one took its place meanwhile
            self.store.write(_marker(step), json.dumps({"files": files}).encode())
            self._marked.add(step)

    def _delete_step(self, step: int, names: list[str]) -> None:
        self._marked.discard(step)
        self.store.delete([_marker(step)])  # first: without it the rest counts for nothing
        self.store.delete(n for n in names if n.startswith(f"{_CHECKPOINTS}/{step}/"))


def _is_file(name: str) -> bool:
    """Whether a file of this name is mirrored as one object."""
    top, *rest = name.split("/")
    return not (
        top in (SHARDS, _CHECKPOINTS, lease.NAME, "lock")
        or top.endswith(_LINES)
        or any(part.startswith(".") for part in (top, *rest))
    )


def _marker(step: int) -> str:
    return f"{_CHECKPOINTS}/{step}.complete"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _stamp(path: Path) -> Stamp | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_size, status.st_mtime_ns
