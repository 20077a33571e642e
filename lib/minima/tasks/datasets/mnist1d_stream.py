"""MNIST-1D without end: every training signal is drawn anew, on the device.

The control for everything that a finite training set could explain: what a model does here it does
without ever seeing an example twice (Nakkiran et al. 2021, "The Deep Bootstrap Framework").
"""

import functools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from minima.tasks.datasets import mnist1d
from minima.tasks.datasets.dataset import Dataset

SETTINGS = mnist1d.Settings()
TEST_EXAMPLES = 10_000


def load_mnist1d_infinite(test_examples: int, validation_fraction: float) -> Dataset:
    """MNIST-1D whose training signals come from `draw`.

    The splits are those of mnist1d with test_examples fresh test signals (0: 10,000), so that both
    are judged on the same signals, in the same units. Nothing is trained on train: it is a sample
    that the final training loss is measured on, and its size is what an epoch is counted in.
    Raises UserError if test_examples or validation_fraction does not fit.
    """
    count = test_examples or TEST_EXAMPLES
    finite = mnist1d.load_mnist1d(SETTINGS, count, validation_fraction)
    source = f"training signals drawn without end; the others {finite.source}"
    return replace(finite, name="mnist1d_infinite", source=source, generator=draw)


def draw(key: jax.Array) -> tuple[jax.Array, jax.Array]:
    """One signal and its label: float32 (40,), and an int32 scalar, uniform over the 10 classes.

    Of the distribution, and in the units, of `mnist1d.generate`. Pure; meant for jit and vmap,
    whose width does not change a bit of the result.
    """
    label, *rest = chances(key)
    return signal(label, *rest), label


def chances(key: jax.Array) -> tuple[jax.Array, ...]:
    """Draws what `signal` takes, independent of one another."""
    uniform_key, normal_key = jax.random.split(key)
    class_, size, amplitude, shift, slope = jax.random.uniform(uniform_key, (5,), jnp.float32)
    noise = jax.random.normal(normal_key, (2, SETTINGS.width), jnp.float32)
    label = _below(mnist1d.NUM_CLASSES, class_)
    return label, size, amplitude, _below(SETTINGS.max_translation, shift), slope, noise


def signal(
    label: jax.Array,
    size: jax.Array,
    amplitude: jax.Array,
    shift: jax.Array,
    slope: jax.Array,
    noise: jax.Array,
) -> jax.Array:
    """The signal that chance decided on: the arithmetic of `mnist1d.generate`, in float32.

    Args:
      label: int32 scalar.
      size, amplitude, slope: float32 scalars in [0, 1): choose padding, scale and shear.
      shift: int32 scalar in [0, max_translation).
      noise: standard normal, float32 (2, width): of the background, and of every point.

    Returns:
      float32 (final_seq_length,), standardised as the published set is.
    """
    templates, (mean, std) = _templates(), _standardisation()
    low, high = SETTINGS.padding
    start = (label, _below(high - low + 1, size), SETTINGS.width - shift)
    points = jax.lax.dynamic_slice(jnp.asarray(templates), start, (1, 1, SETTINGS.width))[0, 0]
    points *= 1 + SETTINGS.scale_coeff * (amplitude - 0.5)
    background = _smooth(SETTINGS.corr_noise_scale * noise[0])
    points = jnp.where(points == 0, background, points)
    points += SETTINGS.iid_noise_scale * noise[1]
    ramp = np.linspace(-0.5, 0.5, SETTINGS.width, dtype=np.float32)
    points -= SETTINGS.shear_scale * (slope - 0.5) * ramp
    return (_resample(points) - mean) / std


def _below(count: int, uniform: jax.Array) -> jax.Array:
    # Sound for the largest float32 below 1 too, as long as count is small.
    return (uniform * count).astype(jnp.int32)


@functools.cache
def _templates() -> np.ndarray:
    # (class, padding - lowest padding, 2 width): twice in a row, so that a cyclic shift is a slice.
    return np.tile(mnist1d.stretched_templates(SETTINGS).astype(np.float32), 2)


@functools.cache
def _standardisation() -> tuple[float, float]:
    return mnist1d.standardisation(SETTINGS)


def _smooth(noise: jax.Array) -> jax.Array:
    # This and the resampling would be twice as fast as matrix products, whose rounding changes with
    # the width of vmap: the same key would not give the same signal everywhere.
    weights = mnist1d.smoothing_weights()
    radius, width = len(weights) - 1, len(noise)
    padded = jnp.pad(noise, radius, mode="symmetric")
    total = float(weights[0]) * noise
    for k in range(1, radius + 1):
        left, right = padded[radius - k :][:width], padded[radius + k :][:width]
        total += float(weights[k]) * (left + right)
    return total


def _resample(points: jax.Array) -> jax.Array:
    left, distance, gap = mnist1d.neighbours(len(points), SETTINGS.final_seq_length)
    fraction = (distance / gap).astype(np.float32)
    return points[left] * (1 - fraction) + points[left + 1] * fraction
