"""Runs on object stores, as the rest of record/ sees them: by the folder that stands for each.

`locate` turns what a user names into that folder. A process that works on a run holds its lease
and keeps its mirror up (`attach`), until `finish` has everything up and lets go of it.
"""

import contextlib
import fcntl
import shutil
from collections.abc import Iterator
from pathlib import Path

from minima.record.mirror import SHARDS, Mirror
from minima.record.remote import is_url, local_path, url_of


def locate(run: Path | str) -> Path:
    """The directory of a run that is named by its path or its URL; one of a URL is up to date.

    Checkpoints are left out: nobody but who trains a run wants those.

    Raises:
      UserError: the store refuses.
      Unreachable: it does not answer.
    """
    directory = local_path(run)
    if is_url(run):
        _refresh(str(run), directory)
    return directory


def copy_run(run: Path | str, target: Path) -> None:
    """Copies a run, named by its path or its URL, into a folder; an empty one where it is none.

    The copy is private: nothing is ever pushed from it. Locks stay behind.

    Raises:
      UserError: the store refuses.
      Unreachable: it does not answer.
    """
    target.mkdir(parents=True, exist_ok=True)
    if is_url(run):
        Mirror(str(run), target).pull()
    elif local_path(run).is_dir():
        ignored = shutil.ignore_patterns("lock", ".*", "*orbax-checkpoint-tmp*", SHARDS)
        shutil.copytree(local_path(run), target, ignore=ignored, dirs_exist_ok=True)


def _refresh(url: str, directory: Path) -> None:
    with _pulling(directory):
        Mirror(url, directory).pull(checkpoints=False)


@contextlib.contextmanager
def _pulling(directory: Path) -> Iterator[None]:
    """One pull at a time into a folder; not the run's own lock, which says that somebody works."""
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / ".pulling", "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
