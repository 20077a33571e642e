"""Features of images that engineers thought of, as a dataset of vectors: `--dataset hog:NAME`.

Histograms of oriented gradients (Dalal & Triggs 2005) by scikit-image: 9 orientations, cells of
4×4 pixels, blocks of 2×2 cells normalised by L2-Hys; and of every cell the mean and the standard
deviation of its pixels. Nothing in them is learned from data, so that every training size has the
same ones. The standard recipe for small images before networks.
"""

import functools
from dataclasses import dataclass, field

import numpy as np

from minima.runtime.errors import UserError
from minima.tasks.datasets.dataset import Dataset, Split

ORIENTATIONS, CELL, BLOCK = 9, 4, 2
_LEAST = CELL * BLOCK  # pixels a side: one block


@dataclass(frozen=True)
class _Images:
    """A dataset that is equal to another of the same bytes."""

    checksum: str
    dataset: Dataset = field(compare=False)


def engineered(images: Dataset) -> Dataset:
    """The dataset with float32 vectors (n, D) for images (n, H, W) or (n, H, W, C).

    With R × S cells, D is (R - 1)(S - 1) · 36 gradients and 2 R S C statistics, all in [0, 1].

    Raises:
      UserError: these are no images, they are smaller than 8×8, or scikit-image is missing.
    """
    if images.kind != "image":
        raise UserError(
            f"--dataset {images.name!r}: holds {images.kind.removesuffix('s')}s; engineered "
            "features are of images, use e.g. hog:fashion_mnist"
        )
    if min(images.input_shape[:2]) < _LEAST:
        height, width = images.input_shape[:2]
        raise UserError(
            f"--dataset {images.name!r}: holds {height}×{width} images; engineered features need "
            f"at least {_LEAST}×{_LEAST} pixels"
        )
    return _engineered(_Images(images.checksum, images))


@functools.lru_cache(maxsize=2)  # an experiment asks for the same many times
def _engineered(images: _Images) -> Dataset:
    dataset = images.dataset
    floating = dataset.train.inputs.dtype != np.uint8
    low = float(dataset.train.inputs.min()) if floating else 0.0
    span = float(dataset.train.inputs.max()) - low if floating else 255.0

    def made(split: Split) -> Split:
        scaled = (split.inputs.astype(np.float32) - np.float32(low)) / np.float32(span)
        return Split(np.concatenate([gradients(scaled), statistics(scaled)], 1), split.labels)

    splits = [made(split) for split in (dataset.train, dataset.validation, dataset.test)]
    return dataset.remade(*splits, kind="vector")


def gradients(images: np.ndarray) -> np.ndarray:
    """Histograms of oriented gradients (n, D) of images (n, H, W[, C]); both float32.

    Raises:
      UserError: scikit-image is missing.
    """
    try:
        from skimage.feature import hog
    except ImportError:
        raise UserError(
            "--dataset hog:…: needs scikit-image; install it with: pip install 'minima[features]'"
        ) from None
    describe = functools.partial(
        hog,
        orientations=ORIENTATIONS,
        pixels_per_cell=(CELL, CELL),
        cells_per_block=(BLOCK, BLOCK),
        block_norm="L2-Hys",
        channel_axis=-1 if images.ndim == 4 else None,
    )
    rows, columns = (side // CELL - BLOCK + 1 for side in images.shape[1:3])
    found = np.empty((len(images), rows * columns * BLOCK**2 * ORIENTATIONS), np.float32)
    for row, image in zip(found, images, strict=True):
        row[:] = describe(image)
    return found


def statistics(images: np.ndarray) -> np.ndarray:
    """Mean and standard deviation of every cell's pixels (n, 2 · cells), a remainder left out."""
    n, height, width = images.shape[:3]
    rows, columns = height // CELL, width // CELL
    cut = images[:, : rows * CELL, : columns * CELL]
    cells = cut.reshape(n, rows, CELL, columns, CELL, -1)
    moments = [f(cells, axis=(2, 4), dtype=np.float64) for f in (np.mean, np.std)]
    return np.concatenate([m.reshape(n, -1) for m in moments], 1).astype(np.float32)
