"""Reads IDX files, the format of MNIST and its relatives: a big-endian header, then bytes."""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from minima.runtime.errors import UserError

GZIP_MAGIC = b"\x1f\x8b"
UNSIGNED_BYTE = 8


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
