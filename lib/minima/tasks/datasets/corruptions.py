"""Corruptions of images and signals at five severities, after Hendrycks & Dietterich (2019).

    corrupt("image", images, "fog", severity=3)       # uint8 or floating, same shape and dtype
    corrupt("signal", signals, "time_warp", severity=5)

(arXiv:1903.12261; MNIST-C: Mu & Gilmer 2019, arXiv:1906.02337.) All is seeded. Example i of one
seed gets the same draws at every severity and whatever examples follow it: severities are nested,
and the corrupted first thousand are the beginning of the corrupted ten thousand.
"""

import zlib

import numpy as np

from minima.runtime.errors import UserError
from minima.tasks.datasets.dataset import Dataset, Kind, Split
from minima.tasks.datasets.image_corruptions import IMAGES
from minima.tasks.datasets.signal_corruptions import SIGNALS

SEVERITIES = (1, 2, 3, 4, 5)
CORRUPTIONS = {"image": IMAGES, "signal": SIGNALS}
NAMES = tuple(sorted({*IMAGES, *SIGNALS}))

_CHUNK = 1000  # examples whose intermediate values are held at a time

Units = tuple[float, float]  # origin and scale: corruptions see (inputs - origin) / scale


def corrupt(
    kind: Kind,
    inputs: np.ndarray,
    name: str,
    severity: int,
    seed: int = 0,
    units: Units | None = None,
) -> np.ndarray:
    """The inputs, corrupted, in their shape and dtype.

    Args:
      kind: "image", (n, h, w) or (n, h, w, c); "signal", (n, t) or (n, t, c).
      inputs: whole numbers are rounded and kept in their dtype's range.
      name: one of CORRUPTIONS[kind].
      severity: 1 to 5.
      seed: of all draws.
      units: what an image's 0 and 1 - 0 are, or a signal's mean and standard deviation. By default
        0 and 255 for uint8, else taken from these inputs; give those of a training set, so that a
        corruption is the same for any choice of examples.

    Raises:
      UserError: no such corruption of this kind, severity or shape.
    """
    _check(kind, inputs, name, severity)
    if not len(inputs):
        return inputs.copy()
    origin, scale = units or _units(kind, inputs)
    axes = 4 if kind == "image" else 3
    shaped = inputs.reshape(inputs.shape + (1,) * (axes - inputs.ndim))
    corruption = CORRUPTIONS[kind][name]
    random = np.random.RandomState([seed, zlib.crc32(name.encode())])
    made = np.empty_like(shaped)
    for start in range(0, len(shaped), _CHUNK):
        part = slice(start, start + _CHUNK)
        scaled = (shaped[part].astype(np.float64) - origin) / scale
        level = corruption.levels[severity - 1]
        changed = corruption.apply(scaled, level, random) * scale + origin
        made[part] = _as(inputs.dtype, changed)
    return made.reshape(inputs.shape)


def units_of(dataset: Dataset) -> Units:
    """Origin and scale of a dataset's training inputs, for `corrupt`."""
    return _units(dataset.kind, dataset.train.inputs)


def with_corrupted_test(dataset: Dataset, name: str, severity: int, seed: int = 0) -> Dataset:
    """The dataset with the same training and validation examples and a corrupted test set.

    Raises:
      UserError: it holds neither images nor signals, or the corruption is of the other.
    """
    _check(dataset.kind, dataset.test.inputs, name, severity)
    units = units_of(dataset)
    inputs = corrupt(dataset.kind, dataset.test.inputs, name, severity, seed, units)
    test = Split(inputs, dataset.test.labels)
    return dataset.remade(dataset.train, dataset.validation, test)


def _check(kind: str, inputs: np.ndarray, name: str, severity: int) -> None:
    if kind not in CORRUPTIONS:
        raise UserError(f"corruption {name!r}: is of images and signals, not of {kind!r}")
    if name not in CORRUPTIONS[kind]:
        known = ", ".join(CORRUPTIONS[kind])
        raise UserError(f"corruption {name!r}: of {kind}s there are {known}")
    if severity not in SEVERITIES:
        raise UserError(f"severity {severity}: must be one of 1 to {SEVERITIES[-1]}")
    fitting = (3, 4) if kind == "image" else (2, 3)
    if inputs.ndim not in fitting:
        raise UserError(f"corruption {name!r}: {inputs.shape} is not the shape of {kind}s")


def _units(kind: str, inputs: np.ndarray) -> Units:
    if kind == "signal":
        return float(inputs.mean(dtype=np.float64)), float(inputs.std(dtype=np.float64)) or 1.0
    if inputs.dtype == np.uint8:
        return 0.0, 255.0
    low = float(inputs.min())
    return low, float(inputs.max()) - low or 1.0


def _as(dtype: np.dtype, values: np.ndarray) -> np.ndarray:
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        values = np.clip(np.rint(values), limits.min, limits.max)
    return values.astype(dtype)
