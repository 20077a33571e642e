"""CIFAR-10 and CIFAR-100 from their binary version: a label or two, then three planes of bytes."""

import hashlib
import os
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minima.runtime.errors import UserError
from minima.tasks.datasets.arrays import check_arrays
from minima.tasks.datasets.dataset import Dataset, assemble
from minima.tasks.datasets.download import Remote, data_directory, fetch

LICENCE = "not stated; Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images"
PIXELS = (3, 32, 32)
URL = "https://www.cs.toronto.edu/~kriz/"
Read = Callable[[str], bytes]


@dataclass(frozen=True)
class Published:
    """A published set.

    folder: the files' folder inside the archive. label_bytes: before every image; the last one of
    them is the class. train, test: names of the files and the sha256 of what they hold.
    """

    archive: Remote
    folder: str
    num_classes: int
    label_bytes: int
    train: dict[str, str]
    test: dict[str, str]


PUBLISHED = {
    "cifar10": Published(
        archive=Remote(
            "cifar-10-binary.tar.gz",
            f"{URL}cifar-10-binary.tar.gz",
            170_052_171,
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        ),
        folder="cifar-10-batches-bin",
        num_classes=10,
        label_bytes=1,
        train={
            "data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
            "data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
            "data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
            "data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
            "data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
        },
        test={"test_batch.bin": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"},
    ),
    "cifar100": Published(
        archive=Remote(
            "cifar-100-binary.tar.gz",
            f"{URL}cifar-100-binary.tar.gz",
            168_513_733,
            "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
        ),
        folder="cifar-100-binary",
        num_classes=100,
        label_bytes=2,
        train={"train.bin": "f31298fc616915fa142368359df1c4ca2ae984d6915ca468b998a5ec6aeebf29"},
        test={"test.bin": "d8b1e6b7b3bee4020055f0699b111f60b1af1e262aeb93a0b659061746f8224a"},
    ),
}


def load_cifar(name: str, data_dir: str, validation_fraction: float) -> Dataset:
    """Loads CIFAR-10, or CIFAR-100 with its fine labels: uint8 (n, 32, 32, 3).

    data_dir: holds the files of the binary version, or their folder; if they are not the published
    ones, the dataset is marked as a stand-in. "" means the published archive in minima's cache,
    downloaded if it is not there.
    Raises UserError if a file is missing or damaged, or cannot be downloaded.
    """
    published = PUBLISHED[name]
    if data_dir:
        where = f"--data_dir {data_dir!r}"
        files = _from_directory(data_dir, published, where)
    else:
        where = f"--dataset {name!r}"
        files = _from_archive(fetch(published.archive, data_directory(), where), published, where)
    x_train, y_train = _parse(files, tuple(published.train), published, where)
    x_test, y_test = _parse(files, tuple(published.test), published, where)
    names = ("the training images", "the training labels", "the test images", "the test labels")
    arrays = (x_train, y_train, x_test, y_test)
    train, test, num_classes = check_arrays(*arrays, where=where, names=names)
    genuine = not data_dir or _is_genuine(files, published)
    return assemble(
        name,
        train,
        test,
        num_classes=num_classes,
        kind="image",
        validation_fraction=validation_fraction,
        licence=LICENCE if genuine else "not stated",
        source="the published binary files" if genuine else "CIFAR files, not the published ones",
        stand_in=not genuine,
    )


def _from_directory(data_dir: str, published: Published, where: str) -> dict[str, bytes]:
    directory = Path(os.path.expanduser(data_dir))
    if not os.path.isdir(directory):
        raise UserError(f"{where}: is not a directory; it must hold {published.folder}")
    if os.path.isdir(directory / published.folder):
        directory = directory / published.folder

    def read(name: str) -> bytes:
        try:
            return (directory / name).read_bytes()
        except FileNotFoundError:
            raise UserError(
                f"{where}: holds no {name}; it must hold the binary version, as"
                f" {published.archive.name} unpacks it"
            ) from None
        except OSError as error:
            raise UserError(f"{where}: {name} cannot be read ({error.strerror})") from error

    return _read_all(read, published)


def _from_archive(path: Path, published: Published, where: str) -> dict[str, bytes]:
    # The archive's sha256 was checked: what is missing here is our mistake or a failing disk.
    try:
        with tarfile.open(path) as archive:

            def read(name: str) -> bytes:
                member = archive.extractfile(f"{published.folder}/{name}")
                if member is None:
                    raise KeyError(name)
                return member.read()

            return _read_all(read, published)
    except (OSError, EOFError, KeyError, tarfile.TarError, zlib.error) as error:
        raise UserError(
            f"{where}: {path.name} cannot be unpacked; delete it and try again"
        ) from error


def _read_all(read: Read, published: Published) -> dict[str, bytes]:
    return {name: read(name) for name in (*published.train, *published.test)}


def _parse(
    files: dict[str, bytes], names: tuple[str, ...], published: Published, where: str
) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, 32, 32, 3) and labels (n,) of the named files together, both uint8."""
    records = np.concatenate([_records(files[n], f"{where}: {n}", published) for n in names])
    images = records[:, published.label_bytes :].reshape(-1, *PIXELS).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), records[:, published.label_bytes - 1]


def _records(data: bytes, what: str, published: Published) -> np.ndarray:
    length = published.label_bytes + np.prod(PIXELS)
    if not data or len(data) % length:
        raise UserError(
            f"{what} has {len(data)} bytes; a file of the binary version has a multiple of"
            f" {length}, so copy it again"
        )
    records = np.frombuffer(data, np.uint8).reshape(-1, length)
    largest = records[:, published.label_bytes - 1].max()
    if largest >= published.num_classes:
        raise UserError(
            f"{what} holds the label {largest}; labels must be 0 .. {published.num_classes - 1},"
            " as in the binary version"
        )
    return records


def _is_genuine(files: dict[str, bytes], published: Published) -> bool:
    expected = {**published.train, **published.test}
    return all(hashlib.sha256(files[name]).hexdigest() == expected[name] for name in expected)
