"""MNIST and Fashion-MNIST, whole, from their four IDX files."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minima.tasks.datasets.arrays import check_arrays
from minima.tasks.datasets.dataset import Dataset, assemble
from minima.tasks.datasets.download import Remote, data_directory, fetch
from minima.tasks.datasets.idx import IDX_FILES, idx_sha256, read_idx_files


@dataclass(frozen=True)
class File:
    """One IDX file: size and sha256 of what is downloaded, and sha256 of what that unpacks to."""

    size: int
    packed: str
    unpacked: str


@dataclass(frozen=True)
class Published:
    """A published set: where it is downloaded, where Debian puts it, its files as in IDX_FILES."""

    licence: str
    url: str
    package: str
    files: tuple[File, File, File, File]


PUBLISHED = {
    "fashion_mnist": Published(
        licence="MIT, Copyright (c) 2017 Zalando SE, https://tech.zalando.com",
        url="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        package="/usr/share/datasets/fashion-mnist",
        files=(
            File(
                26_421_880,
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            ),
            File(
                29_515,
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            ),
            File(
                4_422_102,
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            ),
            File(
                5_148,
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            ),
        ),
    ),
    "mnist": Published(
        licence="CC BY-SA 3.0, Yann LeCun and Corinna Cortes",
        url="https://storage.googleapis.com/cvdf-datasets/mnist/",
        package="",
        files=(
            File(
                9_912_422,
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            ),
            File(
                28_881,
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            ),
            File(
                1_648_877,
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            ),
            File(
                4_542,
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            ),
        ),
    ),
}


def load_idx_files(name: str, like: str, data_dir: str, validation_fraction: float) -> Dataset:
    """Loads MNIST (LeCun et al. 1998) or a relative of the same form: uint8 (n, H, W).

    name: of the dataset. like: the key of PUBLISHED that it should be; if the files hold anything
    else, the dataset is marked as a stand-in.
    data_dir: holds the four files, gzipped or not; "" means Debian's package where it is installed,
    else minima's cache, where missing files are downloaded to.
    Raises UserError if a file is missing or damaged, or cannot be downloaded.
    """
    published = PUBLISHED[like]
    where = f"--data_dir {data_dir!r}" if data_dir else f"--dataset {name!r}"
    directory = Path(os.path.expanduser(data_dir)) if data_dir else _directory(like, where)
    arrays = read_idx_files(directory, where)
    train, test, num_classes = check_arrays(*arrays, where=where, names=tuple(IDX_FILES))
    genuine = _is_genuine(arrays, published)
    return assemble(
        name,
        train,
        test,
        num_classes=num_classes,
        kind="image",
        validation_fraction=validation_fraction,
        licence=published.licence if genuine else "not stated",
        source="the published IDX files" if genuine else "IDX files, not the published ones",
        stand_in=not genuine,
    )


def _directory(like: str, where: str) -> Path:
    published = PUBLISHED[like]
    if published.package and os.path.isdir(published.package):
        return Path(published.package)
    directory = data_directory() / like
    for stem, file in zip(IDX_FILES, published.files, strict=True):
        name = f"{stem}.gz"
        fetch(Remote(name, published.url + name, file.size, file.packed), directory, where)
    return directory


def _is_genuine(arrays: list[np.ndarray], published: Published) -> bool:
    return [idx_sha256(array) for array in arrays] == [file.unpacked for file in published.files]
