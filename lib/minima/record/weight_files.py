"""Weights from outside: arrays by name from an .npz or a .safetensors file.

safetensors (github.com/huggingface/safetensors) is a length in 8 bytes, a JSON header and raw
bytes, so NumPy alone reads it; bfloat16 comes from ml_dtypes, which JAX brings.
"""

import json
import math
import zipfile
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from minima.runtime.errors import UserError

SUFFIXES = (".npz", ".safetensors")
_LARGEST_HEADER = 100_000_000  # bytes, as the format has it
_DTYPES = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U64": np.dtype("<u8"),
    "U32": np.dtype("<u4"),
    "U16": np.dtype("<u2"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}


def read_weights(path: Path, flag: str) -> dict[str, np.ndarray]:
    """Every array of a file by its name; nothing is unpickled.

    Args:
      path: ends in one of SUFFIXES.
      flag: what named it, for messages.

    Raises:
      UserError: it is missing, damaged, or holds what are no arrays of numbers.
    """
    read = _read_npz if path.suffix == ".npz" else _read_safetensors
    try:
        return read(path)
    except OSError as error:
        reason = error.strerror or "damaged"
        raise UserError(f"--{flag}={path}: cannot be read ({reason}); check the path") from error
    except Exception as error:  # whatever damage makes zipfile, zlib, json or NumPy raise
        said = " ".join(str(error).split())
        kind = "an npz archive" if path.suffix == ".npz" else "a safetensors file"
        raise UserError(f"--{flag}={path}: is not {kind}, or damaged ({said})") from error


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    with path.open("rb") as file:
        if not zipfile.is_zipfile(file):
            raise ValueError("no zip archive")
        file.seek(0)
        with np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    if len(content) < 8 or size > min(len(content) - 8, _LARGEST_HEADER):
        raise ValueError("its header is cut off")
    header = json.loads(content[8 : 8 + size])
    if not isinstance(header, dict):
        raise ValueError("its header is no JSON object")
    data = memoryview(content)[8 + size :]
    return {n: _tensor(n, e, data) for n, e in header.items() if n != "__metadata__"}


def _tensor(name: str, entry: dict[str, Any], data: memoryview) -> np.ndarray:
    if entry["dtype"] not in _DTYPES:
        raise ValueError(f"{name} is of dtype {entry['dtype']}, which NumPy has not")
    dtype, shape, (begin, end) = _DTYPES[entry["dtype"]], entry["shape"], entry["data_offsets"]
    if not 0 <= begin <= end <= len(data) or end - begin != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{name} lies outside of the file, or has another size than its shape")
    return np.frombuffer(data[begin:end], dtype).reshape(shape)
