import importlib.util
from pathlib import Path

import fsspec
import pytest

from minima.record import remote
from minima.record.remote import Store, Unreachable, is_url, joined, local_path, url_of
from minima.runtime.errors import UserError


@pytest.mark.parametrize(
    "url",
    [
        "gs://bucket/runs",
        "s3://bucket/a b/c=d,e",
        "memory://runs/%2E/x",
        "hdfs:///runs/x",
        "simplecache::s3://bucket/x",
        "abfs://container@account.dfs/x?y#z",
    ],
)
def test_a_url_has_a_folder_and_back(url, bucket):
    folder = local_path(url)
    assert is_url(url)
    assert url_of(folder) == url
    assert url_of(folder / "name") == joined(url, "name") == f"{url}/name"
    assert local_path(f"{url}/") == folder
    assert folder.is_absolute()
    assert folder.as_posix().count("/mirrors/") == 1


def test_a_path_stands_for_itself(bucket):
    assert not is_url("runs/x")
    assert local_path("runs/x") == Path("runs/x")
    assert local_path("file:///runs/x") == Path("/runs/x")
    assert url_of(Path("runs/x")) is None
    assert joined("runs", "a", "b") == "runs/a/b"


@pytest.mark.parametrize("url", ["gs://", "gs://bucket/../x", "s3://a/./b"])
def test_a_url_that_names_no_folder(url, bucket):
    with pytest.raises(UserError, match="names no folder; use the form"):
        local_path(url)


def test_objects(bucket, tmp_path):
    store = Store("bucket://b/run/")
    assert store.sizes() == {}
    assert store.read("a") is None
    assert store.folders("shards") == []
    assert store.create("a", b"1")
    assert not store.create("a", b"2")
    store.write("shards/0-of-2/b", b"123")
    (tmp_path / "file").write_bytes(b"12")
    store.upload("c", tmp_path / "file")
    store.upload("d", tmp_path / "gone")
    assert store.sizes() == {"a": 1, "c": 2, "shards/0-of-2/b": 3}
    assert store.sizes("shards") == {"shards/0-of-2/b": 3}
    assert store.folders("shards") == ["0-of-2"]
    store.download("shards/0-of-2/b", tmp_path / "new/b")
    assert (tmp_path / "new/b").read_bytes() == b"123"
    with pytest.raises(FileNotFoundError):
        store.download("gone", tmp_path / "new/gone")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["b"]
    store.delete(["a", "c", "gone"])
    assert set(store.sizes()) == {"shards/0-of-2/b"}


def test_fsspec_in_memory(tmp_path):
    store = Store("memory://minima-test/run")
    assert store.create("a", b"1")
    assert not store.create("a", b"2")
    store.write("folder/b", b"12")
    assert store.sizes() == {"a": 1, "folder/b": 2}
    assert store.folders("") == ["folder"]
    assert store.read("a") == b"1"
    store.delete(["a", "folder/b"])
    assert store.sizes() == {}


def test_a_large_file_goes_by_itself(bucket, tmp_path, monkeypatch):
    monkeypatch.setattr(remote, "_SMALL", 10)
    (tmp_path / "large").write_bytes(b"x" * 100)
    store = Store("bucket://b")
    store.upload("large", tmp_path / "large")
    assert store.sizes() == {"large": 100}


def test_calls_are_tried_again_and_then_given_up(bucket, monkeypatch):
    store = Store("bucket://b/run")
    monkeypatch.setenv("BUCKET_FAULTS", "every=2")
    for number in range(4):
        store.write(f"{number}", b"x")
    monkeypatch.setenv("BUCKET_FAULTS", "after=0")
    bucket.calls = 0
    with pytest.raises(
        Unreachable, match=r"bucket://b/run: does not answer .*the test's store fai"
    ):
        store.read("0")
    assert bucket.calls == 3


def test_where_one_of_many_calls_fails_the_rest_is_left(bucket, monkeypatch):
    store = Store("bucket://b/run")
    monkeypatch.setenv("BUCKET_FAULTS", "after=0")
    with pytest.raises(Unreachable):
        store.each(lambda name: store.write(name, b"x"), map(str, range(1000)))
    assert bucket.calls < 1000


class Refusing(fsspec.AbstractFileSystem):
    protocol = "refusing"
    cachable = False
    error: Exception = PermissionError("Access Denied")

    def find(self, path, **kwargs):
        raise self.error

    def pipe_file(self, path, value, **kwargs):
        raise self.error


class NoCredentialsError(Exception):
    """Of that name in botocore."""


@pytest.mark.parametrize(
    "error",
    [
        PermissionError("Access Denied"),
        NoCredentialsError("Unable to locate them"),
        OSError("Forbidden: https://storage/b"),
        FileNotFoundError("The specified bucket does not exist"),
    ],
)
def test_what_the_user_can_mend_is_one_line(error, monkeypatch):
    fsspec.register_implementation("refusing", Refusing, clobber=True)
    monkeypatch.setattr(Refusing, "error", error)
    with pytest.raises(UserError) as raised:
        Store("refusing://b/run").write("a", b"")
    text = str(raised.value)
    assert text.startswith("refusing://b/run: ")
    assert str(error) in text
    assert "check the bucket's name" in text


def test_what_is_not_installed(bucket):
    if importlib.util.find_spec("gcsfs"):
        pytest.skip("gcsfs is installed")
    with pytest.raises(UserError, match=r'gs://b/x: needs gcsfs: pip install "minima\[gcs\]"'):
        Store("gs://b/x")


def test_what_nobody_knows():
    with pytest.raises(UserError, match=r"nowhere://x: .*use gs://bucket/folder"):
        Store("nowhere://x")
