"""Puts the shards of a run together: their finished cells and snapshots, into the run itself.

Any time, any number of times, while shards still train. Lines keep their bytes; what two shards
hold counts once; shards are only read. Completeness is judged by the grid, so it does not matter
into how many shards a sweep was split, or whether some were split again.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minima.record import cells as cell_lines
from minima.record.cells import Axes
from minima.record.files import append_durably, write_atomically
from minima.record.mirrored import locate, worker
from minima.record.run_directory import RunDirectory, read_info
from minima.record.shards import FOLDER, Shard, find_shards
from minima.record.snapshots import Snapshots
from minima.runtime.errors import UserError

_CHUNK_BYTES = 2**22  # written and synced at a time
_COSTS = ("compilations", "compile_seconds", "train_seconds", "peak_memory_bytes")
_NOT_OF_THE_RUN = {"shard", "cells", "cells_by_status", "last_resume", *_COSTS}


@dataclass
class Part:
    """What one shard holds.

    Attributes:
      shard, path: which part, and its directory.
      cells: how many it has to train, once it has begun.
      finished: how many sound cells it holds.
      process: who is training it, or None.
      damaged: lines of its cells.jsonl that can't be read, and why.
      refused: why nothing was taken from it, or "".
      info: what its run.json holds.
    """

    shard: Shard
    path: Path
    cells: int | None = None
    finished: int = 0
    process: str | None = None
    damaged: list[str] = field(default_factory=list)
    refused: str = ""
    info: Mapping[str, Any] = field(default_factory=dict)

    @property
    def done(self) -> bool:
        """Whether it trained all it had to, and nothing of it has been lost since."""
        kept = sum(self.info.get("cells_by_status", {}).values())
        sound = not self.refused and not self.damaged and self.finished >= kept
        return sound and self.process is None and self.info.get("status") == "complete"

    def describe(self) -> str:
        """How it stands, in one line or several."""
        if self.refused:
            return f"refused: {self.refused}"
        cells = "?" if self.cells is None else str(self.cells)
        states = [f"{self.finished} of {cells} cells"]
        states += [f"in training by process {self.process}"] if self.process else []
        states += [f"damaged: {line}" for line in self.damaged]
        return "; ".join(states)


@dataclass(frozen=True)
class Gathered:
    """How a run stands after its shards were put together.

    Attributes:
      run: its directory.
      axes: the grid's.
      parts: the shards that have directories.
      added: cells that this call took from them.
      have: (cells,) 1 for a finished cell, in grid order.
    """

    run: Path
    axes: Axes
    parts: Sequence[Part]
    added: int
    have: bytearray

    @property
    def complete(self) -> bool:
        """Whether every cell of the grid is there."""
        return all(self.have)

    def missing(self) -> Iterator[int]:
        """The numbers of the cells that are not there."""
        return (number for number, there in enumerate(self.have) if not there)


def gather(directory: Path | str) -> Gathered:
    """Merges the shards of a run, named by its path or URL, and notes in run.json how it stands.

    Raises:
      UserError: neither a run nor shards of one are there, another process holds the run, or its
        own files are damaged.
      DiskFull: no room; what was there is intact.
      Unreachable: it is on a store that does not answer.
    """
    directory = locate(directory, shards=True)
    if not (directory / "run.json").exists():
        _check_shards(directory)
    with RunDirectory.take(directory) as run:
        if not run.path("run.json").exists():
            _begin(run)
        found = merge(run)
        info = run.info()
        costs = {str(part.shard): _cost(part) for part in found.parts if not part.refused}
        if info.get("status") != "complete":
            info["status"] = "gathered" if found.complete else "stopped"
        run.update_info(status=info["status"], cells=len(found.have), shards=costs)
    return found


def merge(run: RunDirectory) -> Gathered:
    """Adds to a run that is held whatever its shards have finished and it has not.

    Raises:
      UserError: the run's own files are damaged, or its run.json names no axes.
      DiskFull: no room; what was there is intact.
    """
    info = run.info()
    axes: Axes | None = info.get("axes")
    if axes is None:
        raise UserError(f"{run.path('run.json')} names no axes, so what is missing can't be told")
    number = cell_lines.numbering(axes)
    have = bytearray(math.prod(len(values) for values in axes.values()))
    for cell in cell_lines.each(run.path("cells.jsonl"), repair=True):
        have[number(cell["cell"])] = 1
    parts, before = [], sum(have)
    for shard, path in find_shards(run.directory):
        part = Part(shard, path, process=worker(path))
        parts.append(part)
        part.refused = _reason_to_refuse(part, info)
        if not part.refused:
            _take(run, part, number, have)
    return Gathered(run.directory, axes, parts, sum(have) - before, have)


def refuse_busy_shards(directory: Path) -> None:
    """Refuses to train a whole run while some of its shards are being trained.

    Raises:
      UserError: names the shards and their processes.
    """
    busy = [(shard, worker(path)) for shard, path in find_shards(directory)]
    texts = [f"shard {shard} by process {process}" for shard, process in busy if process]
    if texts:
        more = f" and {len(texts) - 3} more" if len(texts) > 3 else ""
        raise UserError(
            f"{directory} is being trained in shards ({', '.join(texts[:3])}{more}); wait for them "
            f"or end them; python -m minima gather {directory} takes what they have finished"
        )


def _take(run: RunDirectory, part: Part, number: Any, have: bytearray) -> None:
    """Adds a shard's cells that the run has not, each with its snapshots first."""
    mine, theirs = Snapshots(run.directory), Snapshots(part.path)
    chunk: list[bytes] = []
    size = 0
    for place, line in enumerate(_lines(part.path / "cells.jsonl"), start=1):
        try:
            index = number(cell_lines.decode(line)["cell"])
        except ValueError as error:
            part.damaged.append(f"{part.path / 'cells.jsonl'} line {place} ({error})")
            continue
        part.finished += 1
        if have[index]:
            continue
        have[index] = 1
        mine.take(theirs, index)
        chunk.append(line)
        size += len(line)
        if size >= _CHUNK_BYTES:
            append_durably(run.path("cells.jsonl"), b"".join(chunk))
            chunk, size = [], 0
    if chunk:
        append_durably(run.path("cells.jsonl"), b"".join(chunk))


def _lines(path: Path) -> Iterator[bytes]:
    """Whole lines; one that is torn at the end is still being written, or was when a kill came."""
    if path.exists():
        with open(path, "rb") as file:
            yield from (line for line in file if line.endswith(b"\n"))


def _reason_to_refuse(part: Part, info: Mapping[str, Any]) -> str:
    """Why a shard is no part of this run; reads its run.json."""
    try:
        part.info = read_info(part.path)
    except UserError as error:
        if not (part.path / "cells.jsonl").exists():
            return "has not begun"
        return str(error)
    part.cells = part.info.get("cells")
    if part.info.get("config_sha256") != info.get("config_sha256"):
        return f"{part.path} has another config than {part.path.parents[1]}"
    return ""


def _check_shards(directory: Path) -> None:
    if not find_shards(directory):
        raise UserError(
            f"{directory} is no run: it has neither run.json nor {FOLDER}/; name a directory of "
            "the form <workdir>/<experiment>/<run id>"
        )


def _begin(run: RunDirectory) -> None:
    """Writes run.json and run.flags of a run of which only shards were started.

    Raises:
      UserError: no shard has a sound run.json.
    """
    for _, path in find_shards(run.directory):
        try:
            info = read_info(path)
        except UserError:
            continue
        kept = {name: value for name, value in info.items() if name not in _NOT_OF_THE_RUN}
        text = json.dumps(kept | {"status": "stopped", "resumes": 0}, indent=2, allow_nan=False)
        write_atomically(run.path("run.json"), text + "\n")
        if (path / "run.flags").exists():
            flags = (path / "run.flags").read_text().splitlines(keepends=True)
            whole = [line for line in flags if not line.startswith("--shard=")]
            write_atomically(run.path("run.flags"), "".join(whole))
        return
    raise UserError(
        f"{run.directory}: none of its {FOLDER}/ has a sound run.json; start them again"
    )


def _cost(part: Part) -> dict[str, Any]:
    return {name: part.info.get(name) for name in ("status", "cells", *_COSTS)}
