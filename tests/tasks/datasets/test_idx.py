import gzip
import struct

import numpy as np
import pytest

from minima.tasks.datasets.idx import read_idx

WHERE = "--data_dir d"


def idx(array):
    header = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(np.uint8).tobytes()


IMAGES = np.arange(2 * 300 * 3).reshape(2, 300, 3).astype(np.uint8)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_reads_what_was_written(tmp_path, pack):
    path = tmp_path / "images"
    path.write_bytes(pack(idx(IMAGES)))
    array = read_idx(path, 3, WHERE)
    assert array.dtype == np.uint8
    np.testing.assert_array_equal(array, IMAGES)


WHOLE = idx(IMAGES)
PACKED = gzip.compress(WHOLE)
BAD = {
    "empty": (b"", "is empty"),
    "empty inside": (gzip.compress(b""), "is empty"),
    "text": (b"hello, world", "starts with bytes 68656c6c, not 00000803"),
    "html": (b"<html></html>", "must be an IDX file"),
    "another rank": (idx(IMAGES[0]), "starts with bytes 00000802"),
    "another type": (b"\0\0\x0d\x03" + WHOLE[4:], "starts with bytes 00000d03"),
    "magic cut": (WHOLE[:3], "starts with bytes 000008,"),
    "header cut": (WHOLE[:9], "is truncated inside its header"),
    "data cut": (WHOLE[:-1], "announces 1800 bytes of data, it holds 1799"),
    "data missing": (WHOLE[:16], "it holds 0"),
    "too long": (WHOLE + b"x", "is too long"),
    "a huge header": (WHOLE[:4] + b"\xff" * 12 + WHOLE[16:], "is truncated"),
    "gzip cut": (PACKED[:-20], "damaged gzip"),
    "gzip head cut": (PACKED[:5], "damaged gzip"),
    "gzip flipped": (PACKED[:-6] + b"\0\0" + PACKED[-4:], "damaged gzip"),
    "gzip garbage": (PACKED[:12] + b"\xff" * 40, "damaged gzip"),
}


@pytest.mark.parametrize("case", BAD)
def test_refuses(tmp_path, case, refusal):
    data, says = BAD[case]
    path = tmp_path / "images-idx3"
    path.write_bytes(data)
    line = refusal(read_idx, path, 3, WHERE)
    assert line.startswith("--data_dir d: images-idx3 ")
    assert says in line


def test_refuses_a_directory(tmp_path, refusal):
    assert "cannot be read" in refusal(read_idx, tmp_path, 3, WHERE)


def test_refuses_a_missing_file(tmp_path, refusal):
    assert "cannot be read" in refusal(read_idx, tmp_path / "none", 3, WHERE)
