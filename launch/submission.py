"""What a launcher remembers of a submission, and how far its shards are."""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from command import Command
from minima.record.files import write_atomically
from minima.record.run_directory import read_info
from minima.runtime.errors import UserError

FILE = "submission.json"


@dataclass(frozen=True)
class Submission:
    """A sweep that was handed to an engine.

    Attributes:
      command: the experiment.
      directory: where it was submitted; relative paths among the flags start here.
      shards: into how many parts the sweep is cut.
      hosts: machines per shard.
      processes: processes per shard; more than one form a group (--multihost).
      settings: what else the engine was told, by the launcher's own names.
      jobs: every job so far, with the shards that it was to train.
      gather: the job that puts the shards together, or "".
    """

    command: Command
    directory: str
    shards: int
    hosts: int
    processes: int
    settings: dict[str, Any]
    jobs: tuple[tuple[str, tuple[int, ...]], ...] = field(default=())
    gather: str = ""

    def to_json(self) -> str:
        """JSON that `from_json` reads."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str, name: str) -> "Submission":
        """The inverse of `to_json`.

        Raises:
          UserError: the text is damaged; `name` says where it was read.
        """
        try:
            values = json.loads(text)
            command = values.pop("command")
            values["command"] = Command(command["script"], tuple(command["flags"]))
            values["jobs"] = tuple((job, tuple(shards)) for job, shards in values["jobs"])
            return cls(**values)
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{name}: damaged ({error}); submit to another --out") from error


def save(out: Path, submission: Submission) -> None:
    """Remembers a submission in its folder."""
    write_atomically(out / FILE, submission.to_json())


def load(out: Path) -> Submission:
    """What was submitted to a folder.

    Raises:
      UserError: nothing was, or its file is damaged.
    """
    try:
        text = (out / FILE).read_text()
    except OSError as error:
        raise UserError(f"--out={out}: nothing was submitted there ({error.strerror})") from error
    return Submission.from_json(text, str(out / FILE))


def finished(workdir: Path, submission: Submission) -> set[int]:
    """The shards whose cells are all on disk, by their run directories."""
    count, parts = submission.shards, submission.processes
    return {
        shard
        for shard in range(count)
        if _complete(workdir, shard, count)
        # A group whose processes each train cells of their own leaves a part per process.
        or all(_complete(workdir, shard * parts + part, count * parts) for part in range(parts))
    }


def _complete(workdir: Path, shard: int, count: int) -> bool:
    return any(
        _all_kept(path.parent) for path in workdir.glob(f"*/*/shards/{shard}-of-{count}/run.json")
    )


def _all_kept(run: Path) -> bool:
    """Whether a shard ended its work, and no line of it has been lost since."""
    try:
        info = read_info(run)
        with open(run / "cells.jsonl", "rb") as file:
            kept = sum(line.endswith(b"\n") for line in file)
    except (UserError, OSError):  # damaged, or gone: to be trained again
        return False
    ended = sum(info.get("cells_by_status", {}).values())
    return info.get("status") == "complete" and kept >= ended
