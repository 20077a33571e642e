import json
import math
import struct

import numpy as np
import pytest

from minima.record import cells
from minima.runtime.errors import UserError


def test_floats_keep_their_bits():
    random = np.random.default_rng(0)
    bits64 = random.integers(0, 2**64, 500, dtype=np.uint64).view(np.float64)
    bits32 = random.integers(0, 2**32, 500, dtype=np.uint32).view(np.float32)
    special = [0.0, -0.0, 5e-324, 1.7976931348623157e308]
    values = [*bits64[np.isfinite(bits64)], *bits32[np.isfinite(bits32)], *special]
    read = cells.decode(cells.encode({"cell": {}, "values": values}))["values"]
    assert [struct.pack("<d", float(v)) for v in values] == [struct.pack("<d", v) for v in read]


def test_non_finite_is_null_on_disk_and_nan_in_memory():
    line = cells.encode({"cell": {}, "a": math.inf, "b": [np.float32("nan"), 1.0], "c": None})
    assert json.loads(line) == {"cell": {}, "a": None, "b": [None, 1.0], "c": None}
    read = cells.decode(line)
    assert math.isnan(read["a"])
    assert math.isnan(read["b"][0])
    assert read["b"][1] == 1.0


def test_arrays_become_lists():
    line = cells.encode({"cell": {"seed": np.int64(3)}, "a": np.arange(3), "b": np.float32(0.5)})
    assert cells.decode(line) == {"cell": {"seed": 3}, "a": [0, 1, 2], "b": 0.5}


def test_none_is_a_hyperparameter_and_infinity_is_not():
    line = cells.encode({"cell": {"clip": None}, "test_loss": None})
    assert cells.decode(line)["cell"] == {"clip": None}
    with pytest.raises(ValueError, match="clip is inf"):
        cells.encode({"cell": {"clip": math.inf}})


def test_no_file_means_no_cells(tmp_path):
    assert cells.read(tmp_path / "cells.jsonl") == []


@pytest.mark.parametrize("tail", [b'{"cell": {"seed": 9', b"\0\0\0\0", b"garbage\n"])
def test_a_torn_tail_is_ignored_and_repaired_on_demand(tmp_path, tail, make_cell):
    path = tmp_path / "cells.jsonl"
    whole = cells.encode(make_cell(seed=0)) + cells.encode(make_cell(seed=1))
    path.write_bytes(whole + tail)
    assert cells.read(path) == [make_cell(seed=0), make_cell(seed=1)]
    assert path.read_bytes() == whole + tail
    cells.read(path, repair=True)
    assert path.read_bytes() == whole


@pytest.mark.parametrize("damage", [b'{"cell": {"se\n', b"[1]\n", b"\n", b"\xff\xfe\n"])
def test_a_damaged_middle_line_is_refused(tmp_path, damage, make_cell):
    path = tmp_path / "cells.jsonl"
    path.write_bytes(cells.encode(make_cell(seed=0)) + damage + cells.encode(make_cell(seed=1)))
    with pytest.raises(UserError, match=r"cells\.jsonl: line 2 is damaged") as caught:
        cells.read(path, repair=True)
    assert "\n" not in str(caught.value)


def test_of_duplicates_the_first_counts(tmp_path, make_cell):
    path = tmp_path / "cells.jsonl"
    cells.append(path, make_cell(accuracy=0.5))
    cells.append(path, make_cell(accuracy=0.6))
    assert [cell["test_accuracy"] for cell in cells.read(path)] == [0.5]


def test_a_large_file_is_read_as_it_is_asked_for(tmp_path, monkeypatch, make_cell):
    path = tmp_path / "cells.jsonl"
    for seed in (0, 1, 0, 2):
        cells.append(path, make_cell(seed=seed, accuracy=math.nan if seed == 1 else 0.5))
    held = cells.read(path)
    with open(path, "ab") as file:
        file.write(b'{"cell": {"se')
    monkeypatch.setattr(cells, "MOST_BYTES", 100)
    seen = cells.read(path)
    assert isinstance(held, list)
    assert isinstance(seen, cells.CellFile)
    assert len(seen) == 3
    assert repr(list(seen)) == repr(held)
    assert [cell["cell"]["seed"] for cell in seen[::2]] == [0, 2]
    with pytest.raises(IndexError):
        seen[3]
    assert path.read_bytes().endswith(b'"se')
    assert len(cells.read(path, repair=True)) == 3
    assert path.read_bytes().endswith(b"}\n")


def test_a_large_file_with_a_damaged_line_is_refused_too(tmp_path, monkeypatch, make_cell):
    path = tmp_path / "cells.jsonl"
    path.write_bytes(b"[1]\n" + cells.encode(make_cell(seed=1)))
    monkeypatch.setattr(cells, "MOST_BYTES", 10)
    with pytest.raises(UserError, match=r"cells\.jsonl: line 1 is damaged"):
        cells.read(path)


def test_places_follow_grid_order_and_know_the_grid():
    number = cells.numbering({"batch_size": (16, 64), "seed": (0, 5, 9)})
    wheres = [{"batch_size": b, "seed": s} for b in (16, 64) for s in (0, 5, 9)]
    assert [number(where) for where in wheres] == list(range(6))
    with pytest.raises(ValueError, match="is not a point of the grid"):
        number({"batch_size": 16, "seed": 1})
