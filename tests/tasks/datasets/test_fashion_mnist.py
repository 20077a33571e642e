import numpy as np
import pytest

from minima.tasks.datasets import fashion_mnist, load

from .idx_files import STEMS, pretend_published, tiny, write


def test_the_embedded_subset_is_what_it_was():
    dataset = load("fashion_mnist")
    assert [len(s) for s in (dataset.train, dataset.validation, dataset.test)] == [4000, 1000, 2000]
    assert dataset.checksum == "4c886695d4f0fd321222ba29fa7a618b5f57d0430b2ce57f30de96c26ce9e6e0"
    assert (dataset.kind, dataset.input_shape, dataset.num_classes) == ("image", (28, 28), 10)
    assert dataset.train.inputs.dtype == np.uint8
    assert dataset.mean == pytest.approx(72.243856, rel=1e-7)
    assert dataset.std == pytest.approx(89.902761, rel=1e-7)
    assert not dataset.stand_in
    assert "MIT" in dataset.licence
    assert "Zalando" in dataset.licence


def test_it_opens_with_the_published_labels():
    labels = load("fashion_mnist", validation_fraction=0).train.labels
    assert labels[:10].tolist() == [9, 0, 0, 3, 0, 2, 7, 2, 5, 5]
    counts = np.bincount(labels[:1000]).tolist()
    assert counts == [107, 104, 86, 92, 95, 100, 100, 115, 102, 99]


def test_the_validation_split_never_touches_the_test_set():
    tests = {load("fashion_mnist", validation_fraction=f).test.inputs.tobytes() for f in (0, 0.5)}
    assert len(tests) == 1


def test_train_and_validation_are_one_whole():
    dataset, whole = load("fashion_mnist"), load("fashion_mnist", validation_fraction=0)
    both = np.concatenate([dataset.train.inputs, dataset.validation.inputs])
    assert sorted(map(bytes, both)) == sorted(map(bytes, whole.train.inputs))


def test_it_resizes():
    small = load("fashion_mnist").resized(7)
    assert small.train.inputs.shape == (4000, 7, 7)
    assert small.mean == pytest.approx(72.243856, rel=1e-6)


def test_a_damaged_package_is_refused(tmp_path, monkeypatch, refusal):
    other = tmp_path / "fashion_mnist_7k.npz"
    monkeypatch.setattr(fashion_mnist, "EMBEDDED", other)
    assert "fashion_mnist_7k.npz: cannot be read" in refusal(load, "fashion_mnist")
    ones = np.ones(2, np.uint8)
    np.savez(other, x_train=ones, y_train=ones, x_test=ones, y_test=ones)
    assert "reinstall minima" in refusal(load, "fashion_mnist")


def test_the_notice_travels_with_the_data():
    notice = (fashion_mnist.EMBEDDED.parent / "NOTICE").read_text()
    assert "Copyright (c) 2017 Zalando SE" in notice
    assert "Permission is hereby granted" in notice


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_reads_four_idx_files_and_says_they_are_not_the_published_ones(tmp_path, suffix):
    arrays = tiny()
    dataset = load("fashion_mnist", data_dir=write(tmp_path, arrays, suffix))
    assert [len(s) for s in (dataset.train, dataset.validation, dataset.test)] == [16, 4, 6]
    np.testing.assert_array_equal(dataset.test.inputs, arrays[2])
    np.testing.assert_array_equal(dataset.test.labels, arrays[3])
    assert dataset.num_classes == 4
    assert dataset.stand_in
    assert dataset.licence == "not stated"


def test_published_files_are_recognised(tmp_path, monkeypatch):
    arrays = tiny()
    pretend_published(monkeypatch, "fashion_mnist", arrays)
    dataset = load("fashion_mnist", data_dir=write(tmp_path, arrays))
    assert not dataset.stand_in
    assert "MIT" in dataset.licence


@pytest.mark.parametrize("stem", STEMS)
def test_names_the_file_that_is_missing(tmp_path, stem, refusal):
    data_dir = write(tmp_path, tiny())
    (tmp_path / stem).unlink()
    line = refusal(load, "fashion_mnist", data_dir)
    assert line.startswith(f"--data_dir {data_dir!r}: holds no {stem} or {stem}.gz")


@pytest.mark.parametrize("stem", STEMS)
@pytest.mark.parametrize("damage", [b"", b"\0\0\x08", b"%PDF-1.4 ...", b"\x1f\x8b\x08"])
def test_names_the_file_that_is_damaged(tmp_path, stem, damage, refusal):
    data_dir = write(tmp_path, tiny())
    (tmp_path / stem).write_bytes(damage)
    assert f": {stem} " in refusal(load, "fashion_mnist", data_dir)


def test_images_in_place_of_labels_are_refused(tmp_path, refusal):
    data_dir = write(tmp_path, tiny())
    (tmp_path / STEMS[1]).write_bytes((tmp_path / STEMS[0]).read_bytes())
    assert "with 1 axes" in refusal(load, "fashion_mnist", data_dir)


def test_files_that_do_not_belong_together_are_refused(tmp_path, refusal):
    arrays = tiny()
    arrays[1] = arrays[1][:19]
    line = refusal(load, "fashion_mnist", write(tmp_path, arrays))
    assert f"{STEMS[0]} has 20 examples but {STEMS[1]} has 19" in line


def test_files_without_examples_are_refused(tmp_path, refusal):
    arrays = [array[:0] for array in tiny()]
    assert "is empty" in refusal(load, "fashion_mnist", write(tmp_path, arrays))


@pytest.mark.parametrize("name", ["none", "two\nlines", "null\0byte", "file"])
def test_refuses_what_is_no_directory(tmp_path, name, refusal):
    (tmp_path / "file").touch()
    assert "is not a directory" in refusal(load, "fashion_mnist", f"{tmp_path}/{name}")
