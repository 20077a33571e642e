"""Shards of a run: disjoint parts of its cells, each trained by a process of its own.

Shard i of n works in `RUN/shards/<i>-of-<n>/`, a run directory of its own: lock, run.json,
cells.jsonl, snapshots, checkpoints and log. `gather` puts together what they hold.
"""

import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = "shards"
_TEXT = re.compile(r"(\d{1,9})/(\d{1,9})")
_NAME = re.compile(r"(\d{1,9})-of-(\d{1,9})")


@dataclass(frozen=True)
class Shard:
    """Part `index`, counted from 0, of `count`."""

    index: int
    count: int

    def __post_init__(self) -> None:
        """Refuses a part that there isn't.

        Raises:
          ValueError: the index is not below the count.
        """
        if not 0 <= self.index < self.count:
            last = f"; of {self.count} the last is {self.count - 1}/{self.count}"
            raise ValueError("shards count from 0" + last * (self.count > 0))

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    @property
    def folders(self) -> tuple[str, str]:
        """Where in a run this part of it is."""
        return FOLDER, f"{self.index}-of-{self.count}"

    def directory(self, run: Path) -> Path:
        """Where this part of a run is."""
        return run.joinpath(*self.folders)


def parse_shard(text: str) -> Shard:
    """Reads `3/16`.

    Raises:
      ValueError: says how a shard is written.
    """
    match = _TEXT.fullmatch(text.strip())
    if match is None:
        raise ValueError("a shard is written index/count, such as 0/16 to 15/16")
    return Shard(int(match[1]), int(match[2]))


def find_shards(run: Path) -> list[tuple[Shard, Path]]:
    """The shards that a run has directories of, by count and index."""
    found = []
    for path in (run / FOLDER).glob("*-of-*"):
        match = _NAME.fullmatch(path.name)
        if match and int(match[1]) < int(match[2]) and path.is_dir():
            found.append((Shard(int(match[1]), int(match[2])), path))
    return sorted(found, key=lambda each: (each[0].count, each[0].index))
