"""What can happen to signals: noise, faults of the sensor, and time that runs otherwise.

Every function takes signals (n, t, c) in standard deviations from their mean, a level, and the
draws. It draws once and example by example, see `corruptions`; all channels share a fault in time.
"""

import math

import numpy as np

from minima.tasks.datasets.image_corruptions import Array, Corruption, Random


def noise(signals: Array, sd: float, random: Random) -> Array:
    """Adds independent noise to every point."""
    return signals + sd * random.standard_normal(signals.shape)


def correlated_noise(signals: Array, sd: float, random: Random) -> Array:
    """Adds noise that neighbours share: a Gaussian average over 2 points, at this deviation."""
    rough = random.standard_normal(signals.shape)
    offsets = np.arange(-6, 7)
    weights = np.exp(-0.5 * (offsets / 2.0) ** 2)
    weights /= math.sqrt(float((weights**2).sum()))
    # Around the ends, so that every point's noise has the same deviation.
    return signals + sd * sum(
        weight * np.roll(rough, offset, axis=1)
        for offset, weight in zip(offsets.tolist(), weights, strict=True)
    )


def spikes(signals: Array, share: float, random: Random) -> Array:
    """Replaces this share of points by 4 standard deviations, up or down."""
    drawn = random.random_sample(signals.shape)
    return np.where(drawn < share / 2, -4.0, np.where(drawn > 1 - share / 2, 4.0, signals))


def gaps(signals: Array, share: float, random: Random) -> Array:
    """Shows the mean in one stretch of this share of the time."""
    length = signals.shape[1]
    extent = max(1, round(share * length))
    start = np.floor(random.random_sample(len(signals)) * (length - extent + 1))[:, None]
    time = np.arange(length)
    return np.where(((time >= start) & (time < start + extent))[..., None], 0.0, signals)


def quantise(signals: Array, levels: float, random: Random) -> Array:
    """Leaves so many values within 3 standard deviations."""
    step = 6 / (levels - 1)
    return np.clip(np.rint((signals + 3) / step), 0, levels - 1) * step - 3


def clipping(signals: Array, limit: float, random: Random) -> Array:
    """Cuts off what lies beyond so many standard deviations."""
    return np.clip(signals, -limit, limit)


def smoothing(signals: Array, sd: float, random: Random) -> Array:
    """Averages by a Gaussian of so many points, ends repeated."""
    reach = math.ceil(3 * sd)
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (offsets / sd) ** 2)
    weights /= weights.sum()
    places = np.arange(signals.shape[1])
    total = np.zeros_like(signals)
    for offset, weight in zip(offsets, weights, strict=True):
        total += weight * signals[:, np.clip(places + offset, 0, len(places) - 1)]
    return total


def gain(signals: Array, octaves: float, random: Random) -> Array:
    """Multiplies by two to the so-manieth, or divides."""
    sign = np.where(random.random_sample(len(signals)) < 0.5, -1.0, 1.0)
    return signals * (2.0 ** (octaves * sign))[:, None, None]


def shear(signals: Array, slope: float, random: Random) -> Array:
    """Adds a straight line that rises or falls by so many standard deviations."""
    sign = np.where(random.random_sample(len(signals)) < 0.5, -1.0, 1.0)
    line = np.linspace(-0.5, 0.5, signals.shape[1])
    return signals + slope * (sign[:, None] * line)[..., None]


def wander(signals: Array, height: float, random: Random) -> Array:
    """Adds one period of a sine of this height, its phase drawn."""
    phase = random.random_sample(len(signals))[:, None]
    time = np.arange(signals.shape[1]) / signals.shape[1]
    return signals + height * np.sin(2 * np.pi * (time + phase))[..., None]


def translation(signals: Array, share: float, random: Random) -> Array:
    """Moves by this share of the time, forwards or backwards; what leaves comes in at the end."""
    length = signals.shape[1]
    sign = np.where(random.random_sample(len(signals)) < 0.5, -1, 1)
    source = (np.arange(length) - round(share * length) * sign[:, None]) % length
    return np.take_along_axis(signals, source[..., None], axis=1)


def time_warp(signals: Array, strength: float, random: Random) -> Array:
    """Lets time run unevenly: 1 - strength to 1 + strength as fast, in one period."""
    length = signals.shape[1]
    phase = random.random_sample(len(signals))[:, None]
    time = np.linspace(0, 1, length)
    bend = np.sin(2 * np.pi * (time + phase)) - np.sin(2 * np.pi * phase)
    return _at(signals, (time + strength * bend / (2 * np.pi)) * (length - 1))


def slowing(signals: Array, factor: float, random: Random) -> Array:
    """Stretches the middle to so many times its length, or squeezes all and repeats the ends."""
    length = signals.shape[1]
    slower = random.random_sample(len(signals))[:, None] < 0.5
    middle = (length - 1) / 2
    away = np.arange(length) - middle
    return _at(signals, middle + np.where(slower, away / factor, away * factor))


SIGNALS: dict[str, Corruption] = {
    "noise": Corruption("noise, sd", (0.1, 0.2, 0.35, 0.55, 0.8), noise),
    "correlated_noise": Corruption("noise, sd", (0.15, 0.3, 0.5, 0.75, 1.1), correlated_noise),
    "spikes": Corruption("share of points", (0.02, 0.04, 0.07, 0.12, 0.2), spikes),
    "gaps": Corruption("share of the time", (0.05, 0.1, 0.2, 0.3, 0.45), gaps),
    "quantise": Corruption("values left", (17, 11, 7, 5, 3), quantise),
    "clipping": Corruption("limit, sd", (2, 1.5, 1.0, 0.6, 0.3), clipping),
    "smoothing": Corruption("average, sd in points", (0.5, 0.8, 1.2, 1.8, 2.6), smoothing),
    "gain": Corruption("octaves", (0.25, 0.5, 0.85, 1.3, 2.0), gain),
    "shear": Corruption("rise, sd", (0.5, 1.0, 1.6, 2.4, 3.5), shear),
    "wander": Corruption("height, sd", (0.2, 0.4, 0.7, 1.1, 1.6), wander),
    "translation": Corruption("share of the time", (0.05, 0.1, 0.2, 0.3, 0.45), translation),
    "time_warp": Corruption("strength", (0.15, 0.3, 0.5, 0.7, 0.95), time_warp),
    "slowing": Corruption("factor", (1.1, 1.2, 1.35, 1.6, 2.0), slowing),
}


def _at(signals: Array, places: Array) -> Array:
    """Linear values (n, t, c) at places (n, t); the ends go on for ever."""
    length = signals.shape[1]
    places = np.clip(places, 0, length - 1)
    left = np.minimum(places.astype(np.int64), max(0, length - 2))
    beyond = (places - left)[..., None]
    before = np.take_along_axis(signals, left[..., None], axis=1)
    after = np.take_along_axis(signals, np.minimum(left + 1, length - 1)[..., None], axis=1)
    return before * (1 - beyond) + after * beyond
