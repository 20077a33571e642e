import dataclasses
import hashlib
import io
import tarfile

import numpy as np
import pytest

from minima.tasks.datasets import cifar, load

from .server import Server

NAMES = tuple(cifar.PUBLISHED)
COUNTS = {"cifar10": ([20] * 5, [10]), "cifar100": ([200], [100])}


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def make(name):
    """Images (n, 32, 32, 3) and labels, and the published files' names with such contents."""
    published, random = cifar.PUBLISHED[name], np.random.RandomState(0)
    sets, files = [], {}
    for names, counts in zip((published.train, published.test), COUNTS[name], strict=True):
        images = random.randint(0, 256, (sum(counts), 32, 32, 3)).astype(np.uint8)
        labels = (np.arange(sum(counts)) % published.num_classes).astype(np.uint8)
        coarse = [np.full(len(labels), 7, np.uint8)] * (published.label_bytes - 1)
        planes = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
        records = np.column_stack([*coarse, labels, planes])
        sets += [images, labels]
        parts = np.split(records, np.cumsum(counts)[:-1])
        files |= {n: part.tobytes() for n, part in zip(names, parts, strict=True)}
    return sets, files


def write(directory, files):
    directory.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (directory / name).write_bytes(data)
    return str(directory)


def pack(name, files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for file, data in {"readme.html": b"hello", **files}.items():
            member = tarfile.TarInfo(f"{cifar.PUBLISHED[name].folder}/{file}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def pretend_published(monkeypatch, name, data, url):
    published = cifar.PUBLISHED[name]
    remote = dataclasses.replace(
        published.archive, url=url, size=len(data), sha256=hashlib.sha256(data).hexdigest()
    )
    changed = dataclasses.replace(published, archive=remote)
    monkeypatch.setitem(cifar.PUBLISHED, name, changed)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("inside", [True, False])
def test_reads_the_folder_or_the_folder_above_it(name, inside, tmp_path):
    (x_train, y_train, x_test, y_test), files = make(name)
    folder = tmp_path / cifar.PUBLISHED[name].folder
    write(folder, files)
    dataset = load(name, str(folder if inside else tmp_path), validation_fraction=0)
    np.testing.assert_array_equal(dataset.train.inputs, x_train)
    np.testing.assert_array_equal(dataset.train.labels, y_train)
    np.testing.assert_array_equal(dataset.test.inputs, x_test)
    np.testing.assert_array_equal(dataset.test.labels, y_test)
    assert (dataset.kind, dataset.input_shape) == ("image", (32, 32, 3))
    assert dataset.train.inputs.dtype == np.uint8
    assert dataset.num_classes == cifar.PUBLISHED[name].num_classes
    assert dataset.stand_in
    assert dataset.licence == "not stated"


@pytest.mark.parametrize("name", NAMES)
def test_published_files_are_recognised(name, tmp_path, monkeypatch):
    published, files = cifar.PUBLISHED[name], make(name)[1]
    hashes = {n: hashlib.sha256(data).hexdigest() for n, data in files.items()}
    changed = dataclasses.replace(
        published,
        train={n: hashes[n] for n in published.train},
        test={n: hashes[n] for n in published.test},
    )
    monkeypatch.setitem(cifar.PUBLISHED, name, changed)
    dataset = load(name, write(tmp_path, files))
    assert not dataset.stand_in
    assert "Krizhevsky" in dataset.licence


@pytest.mark.parametrize("name", NAMES)
def test_downloads_the_archive_once_and_unpacks_nothing_to_disk(name, tmp_path, monkeypatch):
    (x_train, *_), files = make(name)
    data = pack(name, files)
    with Server(data, "half", "well") as server:
        pretend_published(monkeypatch, name, data, server.url)
        dataset = load(name, validation_fraction=0)
        load(name)
        assert len(server.ranges) == 2
    np.testing.assert_array_equal(dataset.train.inputs, x_train)
    assert not dataset.stand_in
    found = [path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert found == [cifar.PUBLISHED[name].archive.name]


@pytest.mark.parametrize("name", NAMES)
def test_without_a_network_one_line_says_what_to_do(name, monkeypatch, refusal):
    pretend_published(monkeypatch, name, b"x", "http://127.0.0.1:9/")
    line = refusal(load, name)
    archive = cifar.PUBLISHED[name].archive.name
    assert line.startswith(f"--dataset '{name}': {archive} cannot be downloaded from http://")
    assert "--data_dir" in line


@pytest.mark.parametrize("damage", ["lacks a file", "no archive", "truncated"])
def test_an_archive_of_another_form_is_refused(damage, monkeypatch, refusal):
    files = make("cifar10")[1]
    if damage == "lacks a file":
        files.pop("test_batch.bin")
    data = pack("cifar10", files) if damage != "no archive" else b"nothing of the kind"
    data = data[: len(data) // 2] if damage == "truncated" else data
    with Server(data) as server:
        pretend_published(monkeypatch, "cifar10", data, server.url)
        assert "cannot be unpacked; delete it" in refusal(load, "cifar10")


@pytest.mark.parametrize("name", NAMES)
def test_names_the_file_that_is_missing(name, tmp_path, refusal):
    files = make(name)[1]
    for missing in files:
        data_dir = write(tmp_path / missing, {n: d for n, d in files.items() if n != missing})
        line = refusal(load, name, data_dir)
        assert line.startswith(f"--data_dir {data_dir!r}: holds no {missing}; ")
        assert "binary version" in line


@pytest.mark.parametrize("data", [b"", b"x", bytes(3072), bytes(3073 * 2 - 1)])
def test_names_the_file_that_is_damaged(data, tmp_path, refusal):
    data_dir = write(tmp_path, make("cifar10")[1] | {"data_batch_3.bin": data})
    line = refusal(load, "cifar10", data_dir)
    assert f"data_batch_3.bin has {len(data)} bytes" in line


def test_a_label_beyond_the_classes_is_refused(tmp_path, refusal):
    data_dir = write(tmp_path, make("cifar10")[1] | {"data_batch_2.bin": b"\x0a" + bytes(3072)})
    assert "data_batch_2.bin holds the label 10" in refusal(load, "cifar10", data_dir)


def test_a_folder_in_a_files_place_is_refused(tmp_path, refusal):
    files = make("cifar10")[1]
    files.pop("test_batch.bin")
    data_dir = write(tmp_path, files)
    (tmp_path / "test_batch.bin").mkdir()
    assert "test_batch.bin cannot be read" in refusal(load, "cifar10", data_dir)


@pytest.mark.parametrize("name", ["none", "two\nlines", "null\0byte", "file"])
def test_refuses_what_is_no_directory(tmp_path, name, refusal):
    (tmp_path / "file").touch()
    assert "is not a directory" in refusal(load, "cifar100", f"{tmp_path}/{name}")
