"""Checkpoints that are whole or skipped: Orbax underneath, a checksum of every array on top.

Orbax loads a flipped byte without a word and calls a truncated step the latest, so each step
carries a crc32 per array, and restoring walks from the newest step to the first sound one.
"""

import contextlib
import errno
import json
import logging
import os
import re
import shutil
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from minima.record.files import explained
from minima.runtime.errors import UserError
from minima.runtime.processes import group

_log = logging.getLogger(__name__)

_SLACK_BYTES = 2**20  # for what is beside the arrays: metadata, directories

Arrays = dict[str, np.ndarray]


class Checkpoints:
    """The newest `keep` checkpoints in `directory`, written in the background.

    Use it in a `with` block: leaving without `close` loses the save that is under way.
    """

    def __init__(self, directory: Path | str, keep: int = 2) -> None:
        """Creates `directory` where it is missing; the caller holds the run's lock."""
        import orbax.checkpoint as orbax

        _silence_orbax()
        self._orbax = orbax
        self._directory = Path(directory).absolute()  # Orbax refuses relative paths
        options = orbax.CheckpointManagerOptions(
            max_to_keep=keep,
            enable_async_checkpointing=True,
            cleanup_tmp_directories=True,  # what a kill in mid-save left behind
            **_alone(orbax),
        )
        with _full_disk_explained(self._directory):
            self._directory.mkdir(parents=True, exist_ok=True)
            self._manager = orbax.CheckpointManager(self._directory, options=options)

    def save(self, step: int, tree: Any, meta: Mapping[str, Any]) -> None:
        """Starts saving and returns; waits first for the save before, and raises if that failed.

        `tree` is a nesting of dicts, lists, tuples and NamedTuples with arrays (any shape, NumPy
        dtypes and bfloat16) as leaves; they may be overwritten once this returns. `meta` is JSON. A
        step that is the newest already is left as it is.

        Raises:
          ValueError: `step` lies before the newest step.
          DiskFull: no room for it; the checkpoints before it are intact.
        """
        self.wait()  # first: a save that failed still counts as the latest step until then
        latest = self._manager.latest_step()
        if latest is not None and step <= latest:
            if step == latest:
                return
            raise ValueError(f"step {step} lies before the newest checkpoint, {latest}")
        arrays = _flatten(tree)
        _check_room(self._directory, sum(array.nbytes for array in arrays.values()))
        record = {"meta": dict(meta), "arrays": {k: _describe(a) for k, a in arrays.items()}}
        args = self._orbax.args.Composite(
            # Orbax refuses arrays without elements; their shape and dtype say everything.
            state=self._orbax.args.StandardSave({k: a for k, a in arrays.items() if a.size}),
            record=self._orbax.args.JsonSave(_seal(record)),
        )
        with _full_disk_explained(self._directory):
            self._manager.save(step, args=args)

    def restore(self, abstract: Any = None) -> tuple[int, Any, dict[str, Any]] | None:
        """The newest sound checkpoint as (step, tree of NumPy arrays, meta), or None.

        `abstract` gives the tree's structure; its leaves have `.shape` and `.dtype`. Without it the
        tree comes back flat, as {path: array}. Damaged steps are logged as warnings and moved aside
        to `damaged-<step>`, so that the same steps can be saved again.

        Raises:
          UserError: the newest sound checkpoint holds other arrays than `abstract`.
        """
        self.wait()
        for step in sorted(self._manager.all_steps(), reverse=True):
            try:
                arrays, meta = self._read(step)
            except Exception as error:  # whatever Orbax and TensorStore make of a damaged file
                _log.warning("%s: skipping step %d: %s", self._directory, step, _brief(error))
                self._set_aside(step)
                continue
            return step, self._shaped_like(abstract, arrays), meta
        return None

    def wait(self) -> None:
        """Returns when the last save is on disk; raises what went wrong with it."""
        with _full_disk_explained(self._directory):
            self._manager.wait_until_finished()

    def close(self) -> None:
        """Waits for the last save and lets go of Orbax's threads."""
        try:
            self.wait()
        finally:
            self._manager.close()

    def __enter__(self) -> "Checkpoints":
        """The checkpoints themselves."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Closes, with or without an exception under way."""
        self.close()

    def _read(self, step: int) -> tuple[Arrays, dict[str, Any]]:
        args = self._orbax.args
        sealed = self._manager.restore(step, args=args.Composite(record=args.JsonRestore()))
        record = _unseal(sealed["record"])
        expected = {key: _placeholder(entry) for key, entry in record["arrays"].items()}
        state = self._manager.restore(
            step,
            args=args.Composite(
                state=args.StandardRestore({k: a for k, a in expected.items() if a.size})
            ),
        )["state"]
        arrays = {key: np.asarray(state.get(key, empty)) for key, empty in expected.items()}
        for key, array in arrays.items():
            if _describe(array) != record["arrays"][key]:
                raise ValueError(f"the checksum of {key} does not match")
        return arrays, record["meta"]

    def _shaped_like(self, abstract: Any, arrays: Arrays) -> Any:
        if abstract is None:
            return arrays
        import jax

        wanted, structure = jax.tree_util.tree_flatten_with_path(abstract)
        keys = [jax.tree_util.keystr(path) for path, _ in wanted]
        kept = {key: (array.shape, array.dtype) for key, array in arrays.items()}
        kinds = [(tuple(leaf.shape), np.dtype(leaf.dtype)) for _, leaf in wanted]
        asked = dict(zip(keys, kinds, strict=True))
        if kept != asked:
            different = sorted(k for k in {*kept, *asked} if kept.get(k) != asked.get(k))[0]
            raise UserError(
                f"{self._directory} was saved with other arrays (first: {different}, "
                f"{_spell(kept.get(different))} there, {_spell(asked.get(different))} here); "
                "repeat the run's flags or choose another run id"
            )
        return jax.tree_util.tree_unflatten(structure, [arrays[key] for key in keys])

    def _set_aside(self, step: int) -> None:
        os.replace(self._directory / str(step), _free(self._directory / f"damaged-{step}"))
        self._manager.reload()


def _alone(orbax: Any) -> dict[str, Any]:
    """Options of a manager of this process's own checkpoints, whatever group the process is in."""
    if group().count == 1:
        return {}
    # Orbax writes host arrays in process 0 only, whatever its options say.
    from orbax.checkpoint._src.multihost import multihost

    multihost.process_index = lambda: 0
    return {
        "multiprocessing_options": orbax.options.MultiprocessingOptions(
            primary_host=0, active_processes={0}
        ),
        # It tells its writers through the group's common store that their folders are there, where
        # another process's word counts as well.
        "async_options": orbax.options.AsyncOptions(create_directories_asynchronously=False),
        "create": False,
    }


def _check_room(directory: Path, size: int) -> None:
    # Beforehand, because Orbax's threads tell standard error all about a write that fails.
    if shutil.disk_usage(directory).free < size + _SLACK_BYTES:
        raise explained(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), directory)


@contextlib.contextmanager
def _full_disk_explained(directory: Path) -> Iterator[None]:
    """Turns what Orbax and TensorStore make of a full disk into `DiskFull`."""
    try:
        yield
    except Exception as error:
        number = error.errno if isinstance(error, OSError) else None
        if match := re.search(r"os_error_code='(\d+)'", str(error)):
            number = int(match[1])
        if number is None:
            raise
        raise explained(OSError(number, os.strerror(number)), directory) from error


def _flatten(tree: Any) -> Arrays:
    import jax

    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}


def _describe(array: np.ndarray) -> dict[str, Any]:
    raw = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    return {"dtype": array.dtype.name, "shape": list(array.shape), "crc32": zlib.crc32(raw.data)}


def _placeholder(entry: Mapping[str, Any]) -> np.ndarray:
    """An array of that shape and dtype that takes no memory: what Orbax wants as a template."""
    import ml_dtypes  # noqa: F401 - registers bfloat16 and its kin as dtype names

    return np.broadcast_to(np.zeros((), np.dtype(entry["dtype"])), entry["shape"])


def _seal(record: Mapping[str, Any]) -> dict[str, Any]:
    # A flipped digit would still be JSON, so the record is kept as text under a checksum.
    text = json.dumps(record)
    return {"record": text, "crc32": zlib.crc32(text.encode())}


def _unseal(sealed: Mapping[str, Any]) -> dict[str, Any]:
    if zlib.crc32(sealed["record"].encode()) != sealed["crc32"]:
        raise ValueError("the checksum of its record does not match")
    return json.loads(sealed["record"])


def _brief(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__


def _spell(kind: tuple[tuple[int, ...], np.dtype] | None) -> str:
    return f"{kind[1].name}{list(kind[0])}" if kind else "none"


def _free(path: Path) -> Path:
    """`path`, or the first of `path-2`, `path-3`, ... that does not exist."""
    number, candidate = 1, path
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.name}-{number}")
    return candidate


def _silence_orbax() -> None:
    # Orbax tells absl's logger about every step it takes, and about errors that it raises as well.
    # A filter spares the messages of others.
    absl = logging.getLogger("absl")
    if _not_chatter not in absl.filters:
        absl.addFilter(_not_chatter)


def _not_chatter(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.CRITICAL or "/orbax/" not in record.pathname
