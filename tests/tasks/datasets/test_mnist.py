import hashlib
import os

import numpy as np
import pytest

from minima.tasks.datasets import load, mnist
from minima.tasks.datasets.idx import idx_sha256

from .idx_files import STEMS, idx, pretend_published, tiny, write
from .server import Server

NAMES = {"mnist": "mnist", "fashion_mnist_full": "fashion_mnist"}
PACKAGE = "/usr/share/datasets/fashion-mnist"


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize("name", NAMES)
def test_downloads_four_files_once_and_calls_them_genuine(name, tmp_path, monkeypatch):
    arrays = tiny()
    files = pretend_published(monkeypatch, NAMES[name], arrays, package="")
    with Server(files) as server:
        changes = {"url": server.base, "package": ""}
        pretend_published(monkeypatch, NAMES[name], arrays, **changes)
        dataset, again = load(name), load(name)
        assert len(server.ranges) == 4
    assert dataset.checksum == again.checksum
    assert dataset.name == name
    assert not dataset.stand_in
    assert dataset.licence == mnist.PUBLISHED[NAMES[name]].licence
    np.testing.assert_array_equal(dataset.test.inputs, arrays[2])
    directory = tmp_path / "cache" / "minima" / "data" / NAMES[name]
    assert sorted(os.listdir(directory)) == sorted(f"{stem}.gz" for stem in STEMS)


def test_an_installed_package_needs_no_download(tmp_path, monkeypatch):
    package = write(tmp_path, tiny(), ".gz")
    pretend_published(
        monkeypatch, "fashion_mnist", tiny(), package=package, url="http://x.invalid/"
    )
    assert not load("fashion_mnist_full").stand_in


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_data_dir_comes_first(name, suffix, tmp_path, monkeypatch):
    pretend_published(monkeypatch, NAMES[name], tiny(), url="http://x.invalid/", package="")
    data_dir = write(tmp_path, tiny(), suffix)
    assert not load(name, data_dir).stand_in


@pytest.mark.parametrize("name", NAMES)
def test_other_files_are_a_stand_in(name, tmp_path):
    dataset = load(name, write(tmp_path, tiny()))
    assert dataset.stand_in
    assert dataset.licence == "not stated"
    assert (dataset.kind, dataset.num_classes) == ("image", 4)


@pytest.mark.parametrize("name", NAMES)
def test_without_a_network_one_line_says_what_to_do(name, monkeypatch, refusal):
    pretend_published(monkeypatch, NAMES[name], tiny(), url="http://127.0.0.1:9/", package="")
    line = refusal(load, name)
    assert line.startswith(f"--dataset '{name}': {STEMS[0]}.gz cannot be downloaded from http://")
    assert "--data_dir" in line


@pytest.mark.parametrize("name", NAMES)
def test_names_the_file_that_is_missing(name, tmp_path, refusal):
    data_dir = write(tmp_path, tiny())
    (tmp_path / STEMS[2]).unlink()
    line = refusal(load, name, data_dir)
    assert line.startswith(f"--data_dir {data_dir!r}: holds no {STEMS[2]} or {STEMS[2]}.gz")


def test_the_published_addresses_and_hashes_are_well_formed():
    for published in mnist.PUBLISHED.values():
        assert published.url.startswith(("http://", "https://"))
        assert published.url.endswith("/")
        for file in published.files:
            assert len(bytes.fromhex(file.packed)) == len(bytes.fromhex(file.unpacked)) == 32


@pytest.mark.parametrize("shape", [(3,), (2, 4, 5), (0, 4, 4)])
def test_a_hash_is_that_of_the_file(shape, tmp_path):
    array = np.ones(shape, np.uint8)
    assert idx_sha256(array) == hashlib.sha256(idx(array)).hexdigest()


@pytest.mark.skipif(not os.path.isdir(PACKAGE), reason="needs Debian's dataset-fashion-mnist")
def test_debians_package_is_the_whole_published_set():
    dataset = load("fashion_mnist_full")
    checksum = "9d82a02f7189c075772b44a739d59d15f54dcbc79e05bf68124d6b77651fc12c"
    assert dataset.checksum == checksum
    assert not dataset.stand_in
    assert [len(s) for s in (dataset.train, dataset.validation, dataset.test)] == [
        48000,
        12000,
        10000,
    ]
    assert dataset.input_shape == (28, 28)
