"""The directory of one run: `<workdir>/<experiment>/<run_id>/`, held by one process at a time."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from minima.record import cells as cell_lines
from minima.record import mirrored
from minima.record.files import DiskFull, write_atomically
from minima.record.locks import take_lock
from minima.record.provenance import now, provenance
from minima.record.remote import local_path, url_of
from minima.record.shards import Shard, find_shards
from minima.runtime.errors import UserError

__all__ = ["DiskFull", "RunDirectory", "config_hash", "read_info", "write_atomically"]

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class RunDirectory:
    """A run that this process holds the lock of, until `close` or the end of the `with` block.

    Files: `run.json` (what is run, by what code; see `info`), `run.flags` (a flagfile that repeats
    it), `cells.jsonl` (finished cells), `measures.jsonl` (measured minima), `lock` (process
    id of the holder).
    """

    directory: Path
    _lock: BinaryIO

    @classmethod
    def open(
        cls,
        workdir: Path | str,
        experiment: str,
        run_id: str,
        config: Mapping[str, Any],
        flagfile: str,
        axes: Mapping[str, Sequence[Any]] | None = None,
        shard: Shard | None = None,
    ) -> "RunDirectory":
        """Starts a run, or takes up the one that is there.

        `config` is the resolved configuration (JSON values; tuples and NumPy numbers are welcome),
        `axes` the grid's axes in order, kept in run.json so that `results.load` knows the cells
        that have not run. With a `shard` it is the directory of that part of the run.

        Raises:
          UserError: another process holds the run, its config differs, or run.json is damaged.
          Unreachable: the workdir is a URL, and the store does not answer.
          DiskFull: no room for the run's files.
        """
        directory = local_path(workdir) / experiment / run_id
        directory = directory if shard is None else shard.directory(directory)
        run = cls(directory, take_lock(directory))
        try:
            mirrored.attach(directory)
            settings = _config_json(config)
            if run.path("run.json").exists():
                run._resume(settings)
            else:
                run._start(experiment, run_id, settings, axes, shard)
            write_atomically(run.path("run.flags"), flagfile)
            cell_lines.repair(run.path("cells.jsonl"))  # before anything is appended to it
        except BaseException:
            run.close()
            raise
        return run

    @classmethod
    def hold(cls, directory: Path | str) -> "RunDirectory":
        """Holds a run that is there, to add to it; changes nothing.

        Raises:
          UserError: it is no run, or another process holds it.
        """
        read_info(Path(directory))
        return cls.take(directory)

    @classmethod
    def take(cls, directory: Path | str) -> "RunDirectory":
        """Holds a directory, whether or not it is a run yet.

        Raises:
          UserError: another process holds it.
        """
        run = cls(Path(directory), take_lock(Path(directory)))
        try:
            mirrored.attach(run.directory)
        except BaseException:
            run.close()
            raise
        return run

    def path(self, name: str) -> Path:
        """Where the run keeps the file or folder `name`."""
        return self.directory / name

    def append_cell(self, cell: cell_lines.Cell) -> None:
        """Adds a finished cell to cells.jsonl: all of its line, on disk when this returns, or none.

        Raises:
          DiskFull: no room; cells.jsonl is as it was.
        """
        cell_lines.append(self.path("cells.jsonl"), cell)

    def cells(self) -> Sequence[cell_lines.Cell]:
        """The finished cells in the order they finished; cuts a torn last line off the file.

        Raises:
          UserError: a line before the last is damaged.
        """
        return cell_lines.read(self.path("cells.jsonl"), repair=True)

    def info(self) -> dict[str, Any]:
        """What run.json holds."""
        return read_info(self.directory)

    def update_info(self, **fields: Any) -> None:
        """Sets top-level fields of run.json, in one atomic rewrite; not-finite becomes null."""
        self._write_info(self.info() | cell_lines.plain(fields))

    def close(self) -> None:
        """Lets go of the lock; what there is to mirror is up, or will be tried again."""
        mirrored.settle(self.directory)
        self._lock.close()

    def __enter__(self) -> "RunDirectory":
        """The run itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Lets go of the lock."""
        self.close()

    def _start(
        self,
        experiment: str,
        run_id: str,
        config: dict[str, Any],
        axes: Mapping[str, Sequence[Any]] | None,
        shard: Shard | None,
    ) -> None:
        self._write_info(
            {
                "schema_version": SCHEMA_VERSION,
                "experiment": experiment,
                "run_id": run_id,
                "status": "running",
                "config": config,
                "config_sha256": config_hash(config),
                "axes": cell_lines.plain(axes) if axes else None,
                **({} if shard is None else {"shard": str(shard)}),
                "started": now(),
                "resumes": 0,
                **provenance(),
            }
        )

    def _resume(self, config: dict[str, Any]) -> None:
        info = self.info()
        if info.get("config_sha256") != config_hash(config):
            raise UserError(
                f"{self.directory} holds a run with another config "
                f"({_differences(info.get('config', {}), config)}); repeat its flags "
                f"(--flagfile={self.path('run.flags')}) or choose another run id"
            )
        info |= {"status": "running", "resumes": info.get("resumes", 0) + 1}
        # The first record stays; code or versions may have changed since, so the last is kept too.
        self._write_info(info | {"last_resume": {"time": now(), **provenance()}})

    def _write_info(self, info: dict[str, Any]) -> None:
        text = json.dumps(info, indent=2, allow_nan=False)
        write_atomically(self.path("run.json"), text + "\n")


def config_hash(config: Mapping[str, Any]) -> str:
    """SHA-256, in hex, of the config as JSON with sorted keys."""
    return hashlib.sha256(json.dumps(_config_json(config), sort_keys=True).encode()).hexdigest()


def read_info(directory: Path) -> dict[str, Any]:
    """What run.json in `directory` holds, without taking the lock.

    Raises:
      UserError: there is no run, its run.json is damaged, or a newer minima wrote it.
    """
    path, shown = directory / "run.json", url_of(directory) or directory
    try:
        info = json.loads(path.read_bytes())
        schema = info["schema_version"]
    except OSError as error:
        if find_shards(directory):
            raise UserError(
                f"{directory} has shards and no results yet: python -m minima gather {directory}"
            ) from error
        raise UserError(
            f"{shown} is no run: cannot read its run.json ({error.strerror}); name a directory "
            "of the form <workdir>/<experiment>/<run id>"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path} is damaged ({error!r}); restore it, or move the run directory away and run "
            "again"
        ) from error
    if schema > SCHEMA_VERSION:
        raise UserError(
            f"{path} has schema version {schema}, this minima reads up to {SCHEMA_VERSION}; "
            "upgrade minima"
        )
    return info


def _config_json(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config as it reads back from run.json; inf and nan, which differ, become their names."""
    return cell_lines.plain(_name_non_finite(config))


def _name_non_finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _name_non_finite(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_name_non_finite(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return repr(float(value))
    return value


def _differences(old: dict[str, Any], new: dict[str, Any], limit: int = 5) -> str:
    before, after = flat(old), flat(new)
    changed = [n for n in sorted({*before, *after}) if before.get(n) != after.get(n)]
    shown = [f"{n}: {before.get(n)!r} there, {after.get(n)!r} here" for n in changed[:limit]]
    rest = [f"{len(changed) - limit} more"] if len(changed) > limit else []
    return "; ".join(shown + rest) or "its stored hash does not match"


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The leaves of a nested config by their dotted names, such as `task.model`."""
    leaves: dict[str, Any] = {}
    for name, value in config.items():
        here = {prefix + name: value}
        leaves |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else here
    return leaves
