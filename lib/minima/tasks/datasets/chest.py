"""Chest X-rays with and without pneumonia: PneumoniaMNIST from a user's file, or phantoms.

A phantom is a drawing of a thorax, 28 × 28 grey levels like PneumoniaMNIST's: dark lungs between
bright mediastinum, diaphragm and chest wall, ribs, noise; and cloudy patches in the lungs for
pneumonia. It stands in for the form of such images, not for what a radiologist sees.
"""

import functools
import os
from dataclasses import dataclass

import numpy as np

from minima.tasks.datasets.arrays import check_arrays
from minima.tasks.datasets.dataset import Dataset, Split, assemble
from minima.tasks.datasets.npz import read_members

SIZE = 28  # pixels a side
CHEST, FINDINGS = "chest", "chest_findings"
FORMS = (CHEST, FINDINGS)
_MEMBERS = ("train_images", "train_labels", "test_images", "test_labels")  # of MedMNIST


@dataclass(frozen=True)
class Settings:
    """The phantoms' settings.

    num_train, num_test: how many, all classes alike. seed: of everything.
    patches: most cloudy patches of pneumonia; opacity: how bright they are, least and most, where
    a lung is 0 and bone 1. haze: how bright both lungs are in any case, least and most, so that
    brightness alone says little. noise: standard deviation, in the same unit.
    """

    num_train: int = 2_500
    num_test: int = 1_000
    seed: int = 1_895
    patches: int = 2
    opacity: tuple[float, float] = (0.25, 0.6)
    haze: tuple[float, float] = (0.0, 0.35)
    noise: float = 0.1


def load_chest(form: str, path: str, validation_fraction: float) -> Dataset:
    """Grey images (n, 28, 28) uint8.

    form: "chest", labels 1 for pneumonia; or "chest_findings", another task on phantoms of the same
        kind: nothing, a nodule, fluid at the bottom of a lung, a large heart, free air.
    path: of PneumoniaMNIST, an npz of train_images, train_labels, test_images, test_labels (its
        validation images are left alone); "" for phantoms.

    Raises UserError if the file is not of this form.
    """
    if path:
        return _own(path, validation_fraction)
    settings, other = Settings(), form == FINDINGS
    train = draw(settings.num_train, settings, settings.seed + 2 * other, form)
    test = draw(settings.num_test, settings, settings.seed + 2 * other + 1, form)
    return assemble(
        form,
        train,
        test,
        num_classes=len(_CLASSES[form]),
        kind="image",
        validation_fraction=validation_fraction,
        licence="none needed: generated drawings",
        source=f"generated phantoms, seed {settings.seed}; a stand-in for chest X-rays",
        stand_in=True,
    )


@functools.lru_cache(maxsize=8)
def draw(count: int, settings: Settings, seed: int, form: str = CHEST) -> Split:
    """Phantoms (count, 28, 28) uint8 in random order, classes alike in number."""
    random = np.random.RandomState(seed)
    classes = _CLASSES[form]
    labels = random.permutation(np.arange(count) % len(classes))
    images = np.empty((count, SIZE, SIZE))
    for image, label in zip(images, labels, strict=True):
        image[:] = _phantom(random, settings, classes[label])
    contrast = random.uniform(0.7, 1.0, (count, 1, 1))
    images = 0.15 + 0.6 * contrast * images + settings.noise * random.standard_normal(images.shape)
    grey = np.clip(np.round(255 * images), 0, 255).astype(np.uint8)
    return Split(grey, labels.astype(np.int32))


def _phantom(random: np.random.RandomState, settings: Settings, finding: str) -> np.ndarray:
    """One thorax, 0 for air and 1 for bone."""
    y, x = np.mgrid[-1 : 1 : SIZE * 1j, -1 : 1 : SIZE * 1j]
    y, x = y - random.uniform(-0.1, 0.1), x - random.uniform(-0.08, 0.08)
    tilt = random.uniform(-0.1, 0.1)
    x, y = x + tilt * y, y - tilt * x
    height, width = random.uniform(0.6, 0.75), random.uniform(0.28, 0.36)
    sides = [random.uniform(0.4, 0.48) * side for side in (-1, 1)]
    lungs = np.max([_ellipse(x - at, y, width, height) for at in sides], axis=0)
    body = 0.85 * _ellipse(x, y, 1.05, 1.25)
    image = body * (1 - 0.8 * lungs)
    image += random.uniform(*settings.haze) * lungs
    ribs = 0.5 + 0.5 * np.cos(random.uniform(11, 14) * (y + 0.35 * x**2) + random.uniform(0, 6.3))
    image += 0.16 * ribs**3 * body
    heart = random.uniform(0.24, 0.32) + 0.14 * (finding == "heart")
    image += 0.5 * _ellipse(x - 0.12, y - 0.3, heart, 0.8 * heart) * lungs
    at = sides[random.randint(2)]
    if finding == "pneumonia":
        for _ in range(random.randint(1, settings.patches + 1)):
            image += _cloud(random, x, y, sides, height, settings.opacity) * lungs
    elif finding == "nodule":
        image += 0.6 * _ellipse(x - at, y - random.uniform(-0.35, 0.3), 0.1, 0.1)
    elif finding == "fluid":
        level = random.uniform(0.2, 0.4)
        image += 0.5 * lungs * (y > level) * (np.sign(x) == np.sign(at))
    elif finding == "air":
        image -= 0.4 * lungs * (np.abs(x) > 0.5) * (np.sign(x) == np.sign(at))
    return image


def _cloud(
    random: np.random.RandomState,
    x: np.ndarray,
    y: np.ndarray,
    sides: list[float],
    height: float,
    opacity: tuple[float, float],
) -> np.ndarray:
    """A patch with a ragged outline, somewhere in a lung."""
    at_x = sides[random.randint(2)] + random.uniform(-0.15, 0.15)
    at_y = random.uniform(-0.6, 0.6) * height
    size = random.uniform(0.16, 0.28)
    angle = np.arctan2(y - at_y, x - at_x)
    ragged = 1 + 0.3 * np.cos(3 * angle + random.uniform(0, 6.3))
    distance = np.hypot(x - at_x, y - at_y) / (size * ragged)
    cloud: np.ndarray = random.uniform(*opacity) * np.exp(-(distance**2))
    return cloud


def _ellipse(x: np.ndarray, y: np.ndarray, width: float, height: float) -> np.ndarray:
    """1 inside, 0 outside, soft at the edge."""
    distance = np.hypot(x / width, y / height)
    inside: np.ndarray = 1 / (1 + np.exp((distance - 1) * 14))
    return inside


_CLASSES = {
    CHEST: ("nothing", "pneumonia"),
    FINDINGS: ("nothing", "nodule", "fluid", "heart", "air"),
}


def _own(path: str, validation_fraction: float) -> Dataset:
    name = f"{CHEST}:{path}"
    where = f"--dataset {name!r}"
    arrays = read_members(os.path.expanduser(path), _MEMBERS, where)
    images, labels = arrays[0::2], [_one_column(array) for array in arrays[1::2]]
    arguments = images[0], labels[0], images[1], labels[1]
    train, test, classes = check_arrays(*arguments, where=where, names=_MEMBERS)
    return assemble(
        name,
        train,
        test,
        num_classes=classes,
        kind="image",
        validation_fraction=validation_fraction,
        licence="not stated; PneumoniaMNIST: CC BY 4.0",
        source=os.path.basename(path),
    )


def _one_column(labels: np.ndarray) -> np.ndarray:
    """MedMNIST has labels (n, 1)."""
    return labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
