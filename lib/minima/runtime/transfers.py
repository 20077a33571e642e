"""Arrays and files from the first process of a group to the others."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from minima.runtime.processes import from_first, group

_PIECE_BYTES, _BATCH_BYTES = 2**22, 2**28


def arrays_from_first(tree: Any) -> Any:
    """The first process's host arrays; the others give some of the same shapes and dtypes."""
    if group().count == 1:
        return tree
    arrays, structure = jax.tree.flatten(jax.tree.map(np.asarray, tree))
    found = _from_first([a.tobytes() if group().is_first else b"" for a in arrays], _sizes(arrays))
    shaped = [f.view(a.dtype).reshape(a.shape) for f, a in zip(found, arrays, strict=True)]
    return jax.tree.unflatten(structure, shaped)


def copy_from_first(source: Path, target: Path, leave_out: frozenset[str] = frozenset()) -> None:
    """Gives every other process a copy of the first one's folder.

    Args:
      source: the folder, in the first process.
      target: where the copy goes, in the others.
      leave_out: names right under `source` that are not copied.
    """
    if group().count == 1:
        return
    files = from_first(lambda: _files(source, leave_out))
    for batch in _batches(files):
        mine = [(source / name).read_bytes() if group().is_first else b"" for name, _ in batch]
        found = _from_first(mine, [size for _, size in batch])
        for (name, _), content in zip(batch, found, strict=True):
            if not group().is_first:
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                (target / name).write_bytes(content.tobytes())


def _files(folder: Path, leave_out: frozenset[str]) -> list[tuple[str, int]]:
    found = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    names = [path.relative_to(folder) for path in found]
    return [(str(n), (folder / n).stat().st_size) for n in names if n.parts[0] not in leave_out]


def _batches(files: Sequence[tuple[str, int]]) -> Iterator[list[tuple[str, int]]]:
    """Neighbouring files, of so many bytes together that the next would be too many."""
    batch: list[tuple[str, int]] = []
    for file in files:
        if batch and sum(size for _, size in batch) + file[1] > _BATCH_BYTES:
            yield batch
            batch = []
        batch.append(file)
    if batch:
        yield batch


def _sizes(arrays: Sequence[np.ndarray]) -> list[int]:
    return [array.nbytes for array in arrays]


def _from_first(parts: Sequence[bytes], sizes: Sequence[int]) -> list[np.ndarray]:
    """Parts of these sizes that the first process gives, as uint8, in all processes."""
    # Through the devices, whose network is the fast one; in pieces of one size, compiled once.
    ends = np.cumsum(sizes)
    whole = np.zeros(-(-ends[-1] // _PIECE_BYTES) * _PIECE_BYTES, np.uint8)
    if group().is_first:
        whole[: ends[-1]] = np.frombuffer(b"".join(parts), np.uint8)
    for begin in range(0, len(whole), _PIECE_BYTES):
        piece = slice(begin, begin + _PIECE_BYTES)
        whole[piece] = multihost_utils.broadcast_one_to_all(whole[piece])
    return [whole[end - size : end] for end, size in zip(ends, sizes, strict=True)]
