import io
import pathlib
import pickle
import zipfile

import numpy as np
import pytest

from minima.runtime.errors import UserError
from minima.tasks.datasets import load


class Bomb:
    """Unpickling this creates a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return pathlib.Path.touch, (pathlib.Path(self.path),)


def arrays(shape=(3,), dtype=np.float64):
    random = np.random.RandomState(0)
    return {
        "x_train": (random.rand(10, *shape) * 200).astype(dtype),
        "y_train": np.arange(10) % 3,
        "x_test": (random.rand(4, *shape) * 200).astype(dtype),
        "y_test": np.arange(4) % 3,
    }


def save(path, **members):
    np.savez_compressed(path, **members)
    return f"npz:{path}"


@pytest.mark.parametrize(
    ("shape", "kind"), [((3,), "vector"), ((4, 4), "image"), ((4, 4, 3), "image")]
)
@pytest.mark.parametrize(
    ("dtype", "kept"), [("f8", "f4"), ("f4", "f4"), ("i8", "f4"), ("u1", "u1")]
)
def test_loads_every_rank_and_dtype(tmp_path, shape, kind, dtype, kept):
    given = arrays(shape, dtype)
    dataset = load(save(tmp_path / "a.npz", **given))
    assert dataset.kind == kind
    assert dataset.input_shape == shape
    assert dataset.num_classes == 3
    assert not dataset.stand_in
    assert [len(s) for s in (dataset.train, dataset.validation, dataset.test)] == [8, 2, 4]
    assert dataset.test.inputs.dtype == np.dtype(kept)
    np.testing.assert_array_equal(dataset.test.inputs, given["x_test"].astype(kept))
    np.testing.assert_array_equal(dataset.test.labels, given["y_test"])


def test_ignores_other_members_and_expands_the_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    save(tmp_path / "a.npz", **arrays(), notes=np.array(["x"]), junk=np.array([{}]))
    dataset = load("npz:~/a.npz")
    assert (dataset.name, dataset.source) == ("npz:~/a.npz", "a.npz")


def test_the_same_arrays_have_the_same_checksum(tmp_path):
    first = load(save(tmp_path / "a.npz", **arrays()))
    np.savez(tmp_path / "b.npz", **arrays())
    assert load(f"npz:{tmp_path}/b.npz").checksum == first.checksum


@pytest.mark.parametrize("name", ["x_train", "y_train", "x_test", "y_test"])
def test_never_unpickles_an_array_of_objects(tmp_path, name, refusal):
    trap = tmp_path / "sprung"
    bombs = np.array([Bomb(str(trap)), None], dtype=object)
    line = refusal(load, save(tmp_path / "a.npz", **(arrays() | {name: bombs})))
    assert f"{name} is an array of Python objects" in line
    assert not trap.exists()


def test_never_unpickles_a_file(tmp_path, refusal):
    trap = tmp_path / "sprung"
    path = tmp_path / "a.npz"
    path.write_bytes(pickle.dumps(Bomb(str(trap))))
    assert "is not an npz archive" in refusal(load, f"npz:{path}")
    assert not trap.exists()


def test_never_unpickles_a_bare_member(tmp_path, refusal):
    trap = tmp_path / "sprung"
    path = tmp_path / "a.npz"
    save(path, **{name: array for name, array in arrays().items() if name != "x_train"})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("x_train.npy", pickle.dumps(Bomb(str(trap))))
    assert "x_train is not a numpy array" in refusal(load, f"npz:{path}")
    assert not trap.exists()


@pytest.mark.parametrize("name", ["x_train", "y_train", "x_test", "y_test"])
def test_names_what_is_missing(tmp_path, name, refusal):
    members = arrays()
    members["images"] = members.pop(name)
    line = refusal(load, save(tmp_path / "a.npz", **members))
    assert f"lacks {name} and holds" in line
    assert "'images'" in line


def whole():
    buffer = io.BytesIO()
    np.savez(buffer, **arrays())
    return buffer.getvalue()


def npy():
    buffer = io.BytesIO()
    np.save(buffer, np.ones((4, 3)))
    return buffer.getvalue()


BAD_FILES = {
    "empty": (b"", "is empty"),
    "truncated": (whole()[:-100], "is truncated"),
    "half": (whole()[:200], "is truncated"),
    "npy": (npy(), "is not an npz archive"),
    "text": (b"x_train, y_train\n1, 2\n", "is not an npz archive"),
    "one byte": (b"P", "is not an npz archive"),
    "npy before npz": (npy() + whole(), "is not an npz archive"),
    "prefixed": (b"junk" + whole(), "is damaged"),
    "head flipped": (b"XX" + whole()[2:], "is damaged"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_refuses_files_that_are_no_archive(tmp_path, case, refusal):
    data, says = BAD_FILES[case]
    path = tmp_path / "a.npz"
    path.write_bytes(data)
    assert says in refusal(load, f"npz:{path}")


def test_refuses_an_archive_of_something_else(tmp_path, refusal):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("read me\nnow.txt", "hello")
    assert "lacks x_train, y_train, x_test, y_test" in refusal(load, f"npz:{path}")


def test_refuses_an_empty_archive(tmp_path, refusal):
    path = tmp_path / "a.npz"
    zipfile.ZipFile(path, "w").close()
    assert "holds []" in refusal(load, f"npz:{path}")


def test_refuses_a_missing_file_whatever_its_name(tmp_path, refusal):
    assert "No such file" in refusal(load, f"npz:{tmp_path}/none.npz")
    assert "No such file" in refusal(load, f"npz:{tmp_path}/two\nlines.npz")
    assert "No such file" in refusal(load, "npz:")
    assert "not a valid path" in refusal(load, "npz:null\0byte")


def test_refuses_a_directory(tmp_path, refusal):
    assert "Is a directory" in refusal(load, f"npz:{tmp_path}")


def outcome(path):
    try:
        return load(f"npz:{path}").checksum
    except UserError as error:
        return str(error)


def test_a_flipped_byte_anywhere_is_refused_or_harmless(tmp_path):
    data, path = whole(), tmp_path / "a.npz"
    path.write_bytes(data)
    checksum = outcome(path)
    for position in range(0, len(data), 5):
        damaged = bytearray(data)
        damaged[position] ^= 0x55
        path.write_bytes(damaged)
        line = outcome(path)
        assert line == checksum or line.startswith("--dataset ")
        assert len(line.splitlines()) == 1


@pytest.mark.parametrize("header", [b"{'descr': '<f8', 'fortran_order': False, 'shape': (%d,)}"])
@pytest.mark.parametrize("length", [10**15, -1, 10**30])
def test_refuses_impossible_headers(tmp_path, header, length, refusal):
    path = tmp_path / "a.npz"
    save(path, **{name: array for name, array in arrays().items() if name != "x_train"})
    text = header % length + b"\n"
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(
            "x_train.npy", b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text
        )
    assert "x_train is damaged" in refusal(load, f"npz:{path}")


def test_bad_arrays_are_named_with_their_file(tmp_path, refusal):
    given = arrays() | {"y_test": np.array([0, 1, 2, 7])}
    line = refusal(load, save(tmp_path / "a.npz", **given))
    assert line.startswith(f"--dataset 'npz:{tmp_path}/a.npz': y_test holds the label 7")


def test_floating_labels_are_a_regression(tmp_path):
    given = arrays() | {"y_train": np.linspace(-1, 2, 10), "y_test": np.zeros(4)}
    dataset = load(save(tmp_path / "a.npz", **given))
    assert (dataset.task, dataset.num_classes, dataset.tolerance) == ("regression", 1, 0)
    assert dataset.train.labels.dtype == np.float32
