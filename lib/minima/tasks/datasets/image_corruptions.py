"""What can happen to images: noise, blur, light, geometry, and things in the way.

Every function takes images (n, h, w, c) in which 0 is black and 1 is white, a level, and the draws;
it returns them in [0, 1]. It draws once and example by example, see `corruptions`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Array = np.ndarray
Random = np.random.RandomState


@dataclass(frozen=True)
class Corruption:
    """One kind of damage.

    Attributes:
      about: what it is, and the unit of its levels.
      levels: at severities 1 to 5.
      apply: from inputs, a level and draws to inputs of that shape.
    """

    about: str
    levels: tuple[float, float, float, float, float]
    apply: Callable[[Array, float, Random], Array]


def _kept(images: Array) -> Array:
    return np.clip(images, 0, 1)


def gaussian_noise(images: Array, sd: float, random: Random) -> Array:
    """Adds noise of this standard deviation to every pixel."""
    return _kept(images + sd * random.standard_normal(images.shape))


def shot_noise(images: Array, photons: float, random: Random) -> Array:
    """Counts photons, so many for a white pixel: a Poisson draw."""
    return _kept(random.poisson(_kept(images) * photons) / photons)


def impulse_noise(images: Array, share: float, random: Random) -> Array:
    """Turns this share of pixels black or white."""
    drawn = random.random_sample((*images.shape[:3], 1))
    return np.where(drawn < share / 2, 0.0, np.where(drawn > 1 - share / 2, 1.0, _kept(images)))


def speckle_noise(images: Array, sd: float, random: Random) -> Array:
    """Multiplies every pixel by 1 + noise."""
    return _kept(images * (1 + sd * random.standard_normal(images.shape)))


def gaussian_blur(images: Array, sd: float, random: Random) -> Array:
    """Blurs by a Gaussian of so many pixels, edges repeated."""
    return _kept(_along(_along(images, sd, 1), sd, 2))


def motion_blur(images: Array, length: float, random: Random) -> Array:
    """Averages along a line of so many pixels, each image in a direction of its own."""
    angle = np.pi * random.random_sample(len(images))[:, None, None]
    rows, columns = _grid(images)
    steps = np.linspace(-length / 2, length / 2, 2 * math.ceil(length) + 1)
    total = np.zeros_like(images)
    for step in steps:
        total += _sampled(images, rows + step * np.sin(angle), columns + step * np.cos(angle))
    return _kept(total / len(steps))


def pixelate(images: Array, block: float, random: Random) -> Array:
    """Shows one mean for blocks of so many pixels a side."""
    return _kept(_blocks(_blocks(images, round(block), 1), round(block), 2))


def brightness(images: Array, light: float, random: Random) -> Array:
    """Adds light everywhere."""
    return _kept(images + light)


def contrast(images: Array, share: float, random: Random) -> Array:
    """Leaves this share of each image's deviations from its own mean."""
    mean = images.mean(axis=(1, 2), keepdims=True)
    return _kept(mean + share * (images - mean))


def quantise(images: Array, levels: float, random: Random) -> Array:
    """Leaves so many shades."""
    return _kept(np.rint(_kept(images) * (levels - 1)) / (levels - 1))


def fog(images: Array, density: float, random: Random) -> Array:
    """Lays light of slow random strength over the image: images give way to it by its density."""
    size = 5
    knots = random.random_sample((len(images), size, size, 1))
    rows, columns = _grid(images)
    height, width = images.shape[1:3]
    rows = np.broadcast_to(rows * (size - 1) / max(1, height - 1), (len(images), height, width))
    columns = np.broadcast_to(columns * (size - 1) / max(1, width - 1), rows.shape)
    thickness = density * (0.5 + 0.5 * _sampled(knots, rows, columns))
    return _kept(images * (1 - thickness) + thickness)


def occlusion(images: Array, side: float, random: Random) -> Array:
    """Puts a grey square of this share of the sides somewhere."""
    height, width = images.shape[1:3]
    at = random.random_sample((len(images), 2))
    rows, columns = _grid(images)
    inside = np.ones((len(images), height, width), bool)
    for place, index, length in ((at[:, 0], rows, height), (at[:, 1], columns, width)):
        extent = max(1, round(side * length))
        start = np.floor(place * (length - extent + 1))[:, None, None]
        inside &= (index >= start) & (index < start + extent)
    return np.where(inside[..., None], 0.5, _kept(images))


def rotation(images: Array, degrees: float, random: Random) -> Array:
    """Turns each image by this angle, to one side or the other."""
    angle = np.radians(degrees) * _signs(random.random_sample(len(images)))
    return _affine(images, np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle))


def translation(images: Array, share: float, random: Random) -> Array:
    """Moves each image by this share of its sides, in a direction of its own."""
    angle = 2 * np.pi * random.random_sample(len(images))[:, None, None]
    rows, columns = _grid(images)
    height, width = images.shape[1:3]
    down, right = share * height * np.sin(angle), share * width * np.cos(angle)
    return _kept(_sampled(images, rows + down, columns + right))


def shrinking(images: Array, share: float, random: Random) -> Array:
    """Shows each image at this share of its size, its edges repeated around it."""
    factor = np.full(len(images), 1 / share)
    return _affine(images, factor, 0 * factor, 0 * factor, factor)


def shear(images: Array, slope: float, random: Random) -> Array:
    """Leans each image by so many pixels a row, to one side or the other."""
    lean = slope * _signs(random.random_sample(len(images)))
    one = np.ones(len(images))
    return _affine(images, one, 0 * one, lean, one)


IMAGES: dict[str, Corruption] = {
    "gaussian_noise": Corruption("noise, sd", (0.06, 0.12, 0.2, 0.3, 0.45), gaussian_noise),
    "shot_noise": Corruption("photons of white", (60, 25, 12, 5, 2), shot_noise),
    "impulse_noise": Corruption("share of pixels", (0.02, 0.05, 0.1, 0.2, 0.35), impulse_noise),
    "speckle_noise": Corruption("relative noise, sd", (0.15, 0.3, 0.5, 0.75, 1.1), speckle_noise),
    "gaussian_blur": Corruption("blur, sd in pixels", (0.5, 0.8, 1.2, 1.8, 2.6), gaussian_blur),
    "motion_blur": Corruption("length in pixels", (2, 4, 6, 9, 13), motion_blur),
    "pixelate": Corruption("side of a block in pixels", (2, 3, 4, 5, 7), pixelate),
    "brightness": Corruption("added light", (0.08, 0.16, 0.26, 0.38, 0.55), brightness),
    "contrast": Corruption("share of deviations left", (0.7, 0.5, 0.35, 0.2, 0.1), contrast),
    "quantise": Corruption("shades left", (12, 7, 5, 3, 2), quantise),
    "fog": Corruption("density", (0.15, 0.3, 0.45, 0.6, 0.8), fog),
    "occlusion": Corruption("side of a square", (0.15, 0.25, 0.35, 0.5, 0.65), occlusion),
    "rotation": Corruption("degrees", (8, 16, 26, 40, 60), rotation),
    "translation": Corruption("share of the sides", (0.04, 0.08, 0.12, 0.18, 0.26), translation),
    "shrinking": Corruption("size left", (0.92, 0.84, 0.74, 0.62, 0.48), shrinking),
    "shear": Corruption("pixels a row", (0.1, 0.2, 0.33, 0.5, 0.75), shear),
}


def _signs(uniform: Array) -> Array:
    return np.where(uniform < 0.5, -1.0, 1.0)


def _grid(images: Array) -> tuple[Array, Array]:
    """Row and column of every pixel, (1, h, w) each."""
    height, width = images.shape[1:3]
    rows, columns = np.mgrid[:height, :width].astype(np.float64)
    return rows[None], columns[None]


def _affine(images: Array, a: Array, b: Array, c: Array, d: Array) -> Array:
    """Each pixel is taken from where (n,) matrices [[a, b], [c, d]] map it, about the centre."""
    rows, columns = _grid(images)
    middle, centre = (images.shape[1] - 1) / 2, (images.shape[2] - 1) / 2
    down, right = rows - middle, columns - centre
    a, b, c, d = (each[:, None, None] for each in (a, b, c, d))
    return _kept(_sampled(images, middle + a * down + b * right, centre + c * down + d * right))


def _sampled(images: Array, rows: Array, columns: Array) -> Array:
    """Bilinear values (n, h', w', c) at places (n, h', w'); the edge goes on for ever."""
    height, width = images.shape[1:3]
    rows, columns = np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)
    top = np.minimum(rows.astype(np.int64), max(0, height - 2))
    left = np.minimum(columns.astype(np.int64), max(0, width - 2))
    below, beside = (rows - top)[..., None], (columns - left)[..., None]
    bottom, right = np.minimum(top + 1, height - 1), np.minimum(left + 1, width - 1)
    which = np.arange(len(images))[:, None, None]
    upper = images[which, top, left] * (1 - beside) + images[which, top, right] * beside
    lower = images[which, bottom, left] * (1 - beside) + images[which, bottom, right] * beside
    return upper * (1 - below) + lower * below


def _along(images: Array, sd: float, axis: int) -> Array:
    """A Gaussian average along one axis, cut at 3 standard deviations, edges repeated."""
    reach = max(1, math.ceil(3 * sd))
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (offsets / sd) ** 2)
    weights /= weights.sum()
    places = np.arange(images.shape[axis])
    total = np.zeros_like(images)
    for offset, weight in zip(offsets, weights, strict=True):
        total += weight * images.take(np.clip(places + offset, 0, len(places) - 1), axis=axis)
    return total


def _blocks(images: Array, size: int, axis: int) -> Array:
    """Each block along one axis replaced by its mean; the last may be shorter."""
    length = images.shape[axis]
    starts = np.arange(0, length, size)
    sums = np.add.reduceat(images, starts, axis=axis)
    counts = np.diff([*starts, length])
    shape = [1] * images.ndim
    shape[axis] = len(counts)
    return np.repeat(sums / counts.reshape(shape), counts, axis=axis)
