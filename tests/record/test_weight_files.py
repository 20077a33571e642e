"""Weights from outside, as the safetensors package and NumPy write them."""

import json

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from minima.record.weight_files import read_weights
from minima.runtime.errors import UserError

RNG = np.random.default_rng(0)
ARRAYS = {
    "conv.weight": RNG.normal(size=(4, 1, 3)).astype(np.float32),
    "half": RNG.normal(size=(5,)).astype(np.float16),
    "wide": RNG.normal(size=(2, 3)),
    "count": np.array(7, np.int64),
    "mask": np.array([True, False]),
    "empty": np.zeros((0, 3), np.float32),
}


def same(found, arrays):
    assert set(found) == set(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array, strict=True)


def test_what_the_safetensors_package_wrote_is_read(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file(ARRAYS, path, metadata={"format": "pt"})
    same(read_weights(path, "initial_weights"), ARRAYS)


def test_an_npz_file_is_read(tmp_path):
    path = tmp_path / "weights.npz"
    np.savez(path, **ARRAYS)
    same(read_weights(path, "initial_weights"), ARRAYS)


def by_hand(header, data=b""):
    text = json.dumps(header).encode() if isinstance(header, dict | list) else header
    return len(text).to_bytes(8, "little") + text + data


def test_bfloat16_is_read(tmp_path):
    path, numbers = tmp_path / "weights.safetensors", np.array([1.5, -3], ml_dtypes.bfloat16)
    entry = {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}
    path.write_bytes(by_hand({"x": entry}, numbers.tobytes()))
    np.testing.assert_array_equal(read_weights(path, "f")["x"].astype(np.float32), [1.5, -3])


ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
BAD = {
    "empty.safetensors": (b"", "cut off"),
    "short.safetensors": (by_hand({"x": ENTRY}, bytes(4)), "x lies outside of the file"),
    "offsets.safetensors": (
        by_hand({"x": ENTRY | {"data_offsets": [4, 8]}}, bytes(8)),
        "another size than its shape",
    ),
    "dtype.safetensors": (by_hand({"x": ENTRY | {"dtype": "F8_E4M3"}}, bytes(8)), "dtype F8_E4M3"),
    "list.safetensors": (by_hand([1]), "no JSON object"),
    "header.safetensors": (by_hand(b"{oh"), "is not a safetensors file"),
    "long.safetensors": ((2**40).to_bytes(8, "little") + b"{}", "cut off"),
    "text.npz": (b"hello", "is not an npz archive"),
    "cut.npz": (b"PK\x03\x04hello", "is not an npz archive"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_damaged_file_is_refused_in_a_line(tmp_path, name):
    content, words = BAD[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=words) as caught:
        read_weights(tmp_path / name, "initial_weights")
    assert str(caught.value).startswith(f"--initial_weights={tmp_path / name}: ")
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_pickled_objects_are_refused(tmp_path):
    with pytest.raises(UserError, match="No such file"):
        read_weights(tmp_path / "none.npz", "initial_weights")
    np.savez(tmp_path / "objects.npz", x=np.array([{}], object))
    with pytest.raises(UserError, match="Object arrays"):
        read_weights(tmp_path / "objects.npz", "initial_weights")
