"""Reads IDX files, the format of MNIST and its relatives: a big-endian header, then bytes."""

import gzip
import hashlib
import math
import os
import struct
import zlib
from pathlib import Path

import numpy as np

from minima.runtime.errors import UserError

GZIP_MAGIC = b"\x1f\x8b"
UNSIGNED_BYTE = 8
# The four files of MNIST and its relatives, and how many axes their arrays have.
IDX_FILES = {
    "train-images-idx3-ubyte": 3,
    "train-labels-idx1-ubyte": 1,
    "t10k-images-idx3-ubyte": 3,
    "t10k-labels-idx1-ubyte": 1,
}


def read_idx_files(directory: Path, where: str) -> list[np.ndarray]:
    """Reads the four IDX files of a directory, gzipped or not, in the order of IDX_FILES.

    Raises UserError that opens with `where` if one is missing or damaged.
    """
    if not os.path.isdir(directory):
        raise UserError(f"{where}: is not a directory; it must hold the four IDX files")
    return [
        read_idx(_find(directory, stem, where), rank, where) for stem, rank in IDX_FILES.items()
    ]


def _find(directory: Path, stem: str, where: str) -> Path:
    for path in (directory / stem, directory / f"{stem}.gz"):
        if os.path.exists(path):
            return path
    raise UserError(f"{where}: holds no {stem} or {stem}.gz; all four IDX files must be there")


def idx_sha256(array: np.ndarray) -> str:
    """Hex sha256 of the IDX file, not gzipped, that holds these bytes."""
    digest = hashlib.sha256(bytes((0, 0, UNSIGNED_BYTE, array.ndim)))
    digest.update(struct.pack(f">{array.ndim}I", *array.shape))
    digest.update(np.ascontiguousarray(array).data if array.size else b"")
    return digest.hexdigest()


def read_idx(path: Path, rank: int, where: str) -> np.ndarray:
    """Reads an IDX file of unsigned bytes, gzipped or not (told by content, not by name).

    Returns a read-only uint8 array with `rank` axes. Raises UserError that opens with `where`
    if the file is unreadable, empty, truncated, too long, or of another type or rank.
    """
    what = f"{where}: {path.name}"
    data = _contents(path, what)
    magic = bytes((0, 0, UNSIGNED_BYTE, rank))
    if data[:4] != magic:
        raise UserError(
            f"{what} starts with bytes {data[:4].hex()}, not {magic.hex()};"
            f" it must be an IDX file of unsigned bytes with {rank} axes"
        )
    start = 4 + 4 * rank
    if len(data) < start:
        raise UserError(f"{what} is truncated inside its header; copy it again")
    shape = struct.unpack(f">{rank}I", data[4:start])
    expected = math.prod(shape)
    if len(data) - start != expected:
        state = "truncated" if len(data) - start < expected else "too long"
        raise UserError(
            f"{what} is {state}: its header announces {expected} bytes of data, it holds"
            f" {len(data) - start}; copy it again"
        )
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def _contents(path: Path, what: str) -> bytes:
    try:
        data = path.read_bytes()
        if data[:2] == GZIP_MAGIC:
            data = gzip.decompress(data)
    except (EOFError, gzip.BadGzipFile, zlib.error, struct.error) as error:
        raise UserError(f"{what} is truncated or damaged gzip data; copy it again") from error
    except OSError as error:
        raise UserError(f"{what} cannot be read ({error.strerror}); check the file") from error
    if not data:
        raise UserError(f"{what} is empty; it must be an IDX file")
    return data
