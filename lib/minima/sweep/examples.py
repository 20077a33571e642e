"""Where a lane's training examples come from.

The training set lies on the device; or it stays with the host, which sends each lane the next
stretch of its stream, a slab, while the device works on the one before; or there is none, and a
generator draws every example anew. The stream's order and all randomness are the same in all three.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from minima.runtime.mesh import whole
from minima.sweep import stream
from minima.sweep.stream import Purpose
from minima.tasks.task import Arrays, Task


class Slab(NamedTuple):
    """A stretch of a lane's stream, gathered by the host.

    Attributes:
      inputs, labels: (parts, examples / parts, ...), clean. Part p has the places p mod parts of
        the stream, in their order: over a mesh, one for every device of the data axis.
      epoch, position: int32, where in the stream it starts.
    """

    inputs: Any
    labels: Any
    epoch: Any
    position: Any


class Place(NamedTuple):
    """Where a microbatch stands in a lane's stream.

    Attributes:
      seed: int32 scalar.
      epoch, position: (n,) int32.
      num_examples: examples in an epoch; static.
    """

    seed: Any
    epoch: jax.Array
    position: jax.Array
    num_examples: int


def training_examples(
    task: Task, place: Place, arrays: Arrays, slab: Slab | None, noise: jax.Array | None
) -> tuple[jax.Array, jax.Array]:
    """Inputs and labels at a place of the stream; labels redrawn with probability `noise`, if any.

    A label is redrawn once and for all: by the example's index, or by its place in the stream where
    no example comes twice.
    """
    seed, epoch, position, num_examples = place
    if task.generator is not None:
        keys = stream.example_keys(seed, Purpose.EXAMPLE, epoch, position)
        inputs, labels = jax.vmap(task.generator)(keys)
        if noise is None:
            return inputs, labels
        keys = stream.example_keys(seed, Purpose.LABEL_NOISE, epoch, position)
        return inputs, task.noisy_labels(keys, labels, noise)
    index = example_index(place)
    if slab is None:
        inputs, labels = arrays.train[0][index], arrays.train[1][index]
    else:
        at = (epoch - slab.epoch) * num_examples + position - slab.position
        inputs, labels = _from_parts(slab.inputs, at), _from_parts(slab.labels, at)
    return inputs, labels_of(task, seed, index, labels, noise)


def example_index(place: Place) -> jax.Array:
    """Which training examples lie at a place of the stream, (n,) int32."""
    return whole(stream.example_indices(*place))


def _from_parts(parts: jax.Array, at: jax.Array) -> jax.Array:
    """Examples of a slab, `at` (n,) places from its beginning: as many of each part, by part."""
    if len(parts) == 1:
        return parts[0][at]
    rows = at.reshape(len(parts), -1) // len(parts)
    found = jax.vmap(lambda part, row: part[row])(parts, rows)
    return found.reshape(-1, *parts.shape[2:])


def labels_of(
    task: Task, seed: Any, index: jax.Array, labels: jax.Array, noise: jax.Array | None
) -> jax.Array:
    """The labels (n, ...) that training examples `index` (n,) are trained with, from clean ones."""
    if noise is None:
        return labels
    key = stream.purpose_key(seed, Purpose.LABEL_NOISE)
    keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(index)
    return task.noisy_labels(keys, labels, noise)


def flipped(task: Task, place: Place, labels: jax.Array, rate: jax.Array | None) -> jax.Array:
    """Labels (n, ...), each redrawn at this rate, anew at every place of the stream.

    Unlike noise that an example keeps, it can't be fitted: it goes on where the loss is at its
    least, and drifts to flat minima (Blanc et al. 2020, arXiv:1904.09080; Damian, Ma & Lee 2021,
    arXiv:2106.06530).
    """
    if rate is None:
        return labels
    keys = stream.example_keys(place.seed, Purpose.LABEL_FLIPS, place.epoch, place.position)
    return task.noisy_labels(keys, labels, rate)


@jax.jit(static_argnames=("count", "num_examples"))
def _indices(seed: Any, begin: Any, count: int, num_examples: int) -> jax.Array:
    at = begin[1] + jnp.arange(count, dtype=jnp.int32)
    return stream.example_indices(
        seed, begin[0] + at // num_examples, at % num_examples, num_examples
    )


def slab_indices(
    seed: int, epoch: int, position: int, count: int, num_examples: int, parts: int = 1
) -> np.ndarray:
    """Which training examples lie where in a slab of the next `count` places of a stream.

    At most as many as there are examples. Returns int32 (parts, rows); where parts don't come out
    even, the last place is repeated.
    """
    begin = np.array([epoch, position], np.int32)
    index = np.asarray(_indices(np.int32(seed), begin, count, num_examples))
    nearest = (np.arange(parts) - epoch * num_examples - position) % parts
    at = nearest[:, None] + parts * np.arange(-(-count // parts))[None, :]
    return index[np.minimum(at, count - 1)]
