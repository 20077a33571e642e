"""Who works on a run that lives on an object store: one object, which its holder keeps fresh.

Stores have no locks that end with a process. A holder writes its lease every `REFRESH` seconds; one
that a newcomer sees unchanged for `STALE` seconds is taken over, and at once where its holder has
let go of it or was a process of this machine that is gone. The lease also remembers which copy of
the run wrote last, see `acquire`.
"""

import contextlib
import json
import logging
import os
import socket
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Any

from minima.record.remote import Store, Unreachable
from minima.runtime.errors import UserError

NAME = "lease.json"
REFRESH = 15.0  # seconds
STALE = 120.0
_WATCHED = 2 * REFRESH  # at least, however old it says it is: clocks differ
_SETTLE = 1.0  # of two that take over at once, the one that wrote last stays

_log = logging.getLogger(__name__)


class Lease:
    """The right to write to one run, from `acquire` to `release`."""

    def __init__(self, store: Store, copy: str | None) -> None:
        """Asks nothing yet; `copy` is what this folder's last lease left in `copy`, if any."""
        self._store = store
        self._known, self.copy = copy, copy or uuid.uuid4().hex
        self._taken_by: str | None = None
        self._ended = threading.Event()
        self._beating = threading.Thread(target=self._beat, name="lease", daemon=True)

    def acquire(self) -> bool:
        """Takes the lease, after waiting for a stale one where that may be; keeps it fresh.

        Returns:
          Whether this copy wrote last, so that what it has is never older than what the store has.
          If not, `copy` is new; keep it once this folder has all that the store has.

        Raises:
          UserError: another process works on the run, or the store refuses.
          Unreachable: the store doesn't answer.
        """
        seen = self._read()
        ours = seen is not None and seen.get("copy") == self._known
        if not ours:
            self.copy = uuid.uuid4().hex
        if seen is not None or not self._store.create(NAME, self._content()):
            self._take(seen or self._read() or {}, ours)
        self._beating.start()
        return ours

    def check(self) -> None:
        """Raises Unreachable where another process has taken over."""
        if self._taken_by is not None:
            raise Unreachable(f"{self._store.url}: was taken over by {self._taken_by}")

    def release(self) -> None:
        """Lets go; where the store doesn't answer, the lease goes stale on its own."""
        self._ended.set()
        if self._beating.is_alive():
            self._beating.join()
        if self._taken_by is None:
            try:
                self._write(released=True)
            except (UserError, Unreachable) as error:
                _log.warning("the lease stays behind: %s", error)

    def _take(self, seen: dict[str, Any], ours: bool) -> None:
        # The lock on this folder is ours: who held the lease from it is gone if that was under
        # another boot, and if it was this process, which could not say that it let go.
        here = ours and seen.get("host") == socket.gethostname()
        past = here and (not _is_here(seen) or seen.get("process") == os.getpid())
        if not (seen.get("released") or _is_gone(seen) or past):
            self._watch(seen)
        self._write()
        if not ours:
            time.sleep(_SETTLE)
            winner = self._read()
            if winner is not None and winner.get("copy") != self.copy:
                self._refuse(winner)

    def _watch(self, seen: dict[str, Any]) -> None:
        """Returns once the lease has been let go of or is stale."""
        if _is_here(seen):
            self._refuse(seen)
        age = max(0.0, time.time() - seen.get("time", 0.0))
        seconds = max(_WATCHED, STALE - age)
        print(
            f"{self._store.url} was in use by {_holder(seen)} {age:.0f} s ago; waiting up to "
            f"{seconds:.0f} s for a sign of life",
            file=sys.stderr,
            flush=True,
        )
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(min(REFRESH / 3, seconds))
            now = self._read()
            if now is None or now.get("released"):
                return
            if now != seen:
                self._refuse(now)

    def _refuse(self, holder: dict[str, Any]) -> None:
        raise UserError(
            f"{self._store.url} is in use by {_holder(holder)}; wait for it or end it, or choose "
            "another workdir"
        )

    def _beat(self) -> None:
        while not self._ended.wait(REFRESH):
            try:
                found = self._read()
                if found is not None and found.get("copy") != self.copy:
                    self._taken_by = _holder(found)
                    return
                self._write()
            except Exception as error:  # the next beat may succeed, and pushes tell the user
                _log.warning("the lease was not refreshed: %s", error)

    def _read(self) -> dict[str, Any] | None:
        content = self._store.read(NAME)
        if content is None:
            return None
        try:
            found = json.loads(content)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def _write(self, released: bool = False) -> None:
        self._store.write(NAME, self._content(released))

    def _content(self, released: bool = False) -> bytes:
        entry = {
            "copy": self.copy,
            "host": socket.gethostname(),
            "machine": _machine(),
            "process": os.getpid(),
            "started": _started(os.getpid()),
            "time": time.time(),
            "released": released,
        }
        return json.dumps(entry).encode()


def in_use_by(store: Store) -> str | None:
    """Which process works on a run, as far as its lease tells; None where nobody seems to."""
    try:
        seen = json.loads(store.read(NAME) or b"{}")
        fresh = not seen["released"] and time.time() - seen["time"] < STALE and not _is_gone(seen)
    except (ValueError, KeyError, TypeError):
        return None
    return _holder(seen).removeprefix("process ") if fresh else None


def _holder(lease: dict[str, Any]) -> str:
    return f"process {lease.get('process')} on {lease.get('host')}"


def _is_here(lease: dict[str, Any]) -> bool:
    """Whether the holder is of this machine: same boot, same process ids."""
    return lease.get("host") == socket.gethostname() and lease.get("machine") == _machine()


def _is_gone(lease: dict[str, Any]) -> bool:
    """Whether the holder was a process of this machine that has ended."""
    process, started = lease.get("process"), lease.get("started")
    return _is_here(lease) and isinstance(process, int) and _started(process) != started


def _machine() -> str:
    """Tells boots of one machine apart, and containers that count processes by themselves."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _started(process: int) -> str | None:
    """When a process started, in a form that tells two of one number apart; None: there is none."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    if Path("/proc/self").exists():
        return None
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return None
    except PermissionError:  # it is another user's
        pass
    return "unknown"
