"""Small stand-ins for the four IDX files of MNIST and its relatives."""

import dataclasses
import gzip
import hashlib
import struct

import numpy as np

from minima.tasks.datasets import mnist
from minima.tasks.datasets.idx import IDX_FILES

STEMS = tuple(IDX_FILES)


def idx(array):
    header = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(np.uint8).tobytes()


def tiny():
    random = np.random.RandomState(0)
    return [
        random.randint(0, 256, (20, 4, 4)),
        np.arange(20) % 4,
        random.randint(0, 256, (6, 4, 4)),
        np.arange(6) % 4,
    ]


def write(directory, arrays, suffix=""):
    for stem, array in zip(STEMS, arrays, strict=True):
        data = gzip.compress(idx(array)) if suffix else idx(array)
        (directory / f"{stem}{suffix}").write_bytes(data)
    return str(directory)


def pretend_published(monkeypatch, name, arrays, **changes):
    """Makes minima believe that these arrays, gzipped, are the published files."""
    unpacked = [idx(array) for array in arrays]
    packed = [gzip.compress(data, mtime=0) for data in unpacked]
    files = tuple(
        mnist.File(len(p), hashlib.sha256(p).hexdigest(), hashlib.sha256(u).hexdigest())
        for p, u in zip(packed, unpacked, strict=True)
    )
    published = dataclasses.replace(mnist.PUBLISHED[name], files=files, **changes)
    monkeypatch.setitem(mnist.PUBLISHED, name, published)
    return {f"/{stem}.gz": data for stem, data in zip(STEMS, packed, strict=True)}
