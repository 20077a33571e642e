"""The function whose minimum is looked at: a mean loss over examples, as sums over chunks.

Anybody's network will do: `apply(params, inputs)` and a loss per example. Data lie in chunks of
equal size, the last padded with examples of weight zero, and are walked by `jax.lax.scan`: a
product with the Hessian takes the memory of one chunk, whatever the number of examples.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from minima.tasks.task import Task

Params = Any  # a pytree of floating arrays
Apply = Callable[[Params, Any], jax.Array]
Loss = Callable[[jax.Array, Any], jax.Array]


class Chunks(NamedTuple):
    """Examples in k chunks of c; the weights say which are real.

    Attributes:
      inputs: (k, c, ...).
      labels: (k, c, ...).
      weights: (k, c), 1 / n for each of n real examples and 0 for padding: sums are means.
    """

    inputs: Any
    labels: Any
    weights: Any

    @property
    def size(self) -> int:
        """Places for examples, padding included."""
        return int(np.prod(self.weights.shape))


def chunks(inputs: Any, labels: Any, size: int, dtype: Any = np.float32, parts: int = 1) -> Chunks:
    """Cuts n examples into chunks of at most `size`, evenly, so that little is padded.

    Args:
      inputs: (n, ...).
      labels: (n, ...).
      size: of a chunk, 1 or more; of each of its parts, where it has several.
      dtype: of the weights.
      parts: number of devices that share a chunk; it divides evenly between them.

    Raises:
      ValueError: no examples, or as many inputs as labels there are not.
    """
    inputs, labels = np.asarray(inputs), np.asarray(labels)
    n = len(inputs)
    if not n or n != len(labels):
        raise ValueError(f"{n} inputs and {len(labels)} labels; give as many, and at least one")
    count = -(-n // (size * parts))
    each = parts * -(-n // (count * parts))

    def cut(x: np.ndarray) -> np.ndarray:
        # Padding repeats a real example: zeros might lie where a network is not defined.
        padded = np.concatenate([x, np.broadcast_to(x[:1], (count * each - n, *x.shape[1:]))])
        return padded.reshape(count, each, *x.shape[1:])

    weights = np.where(np.arange(count * each) < n, 1 / n, 0).astype(dtype)
    return Chunks(cut(inputs), cut(labels), weights.reshape(count, each))


@dataclass(frozen=True)
class Objective:
    """A network and its loss.

    Attributes:
      apply: (params, inputs (c, ...)) -> outputs (c, ...).
      loss: (outputs, labels) -> losses (c,), one per example.
    """

    apply: Apply
    loss: Loss

    def total(self, params: Params, chunk: Chunks) -> jax.Array:
        """The weighted sum of losses over one chunk, whose arrays lack the leading axis."""
        return jnp.sum(self.loss(self.apply(params, chunk.inputs), chunk.labels) * chunk.weights)

    def mean(self, params: Params, data: Chunks) -> jax.Array:
        """The mean loss, a scalar."""
        return over_chunks(lambda chunk: self.total(params, chunk), data)

    def gradient(self, params: Params, data: Chunks) -> Params:
        """Of the mean loss."""
        return over_chunks(lambda chunk: jax.grad(self.total)(params, chunk), data)


def over_chunks(function: Callable[[Chunks], Any], data: Chunks) -> Any:
    """The sum of a function (of one chunk, to a pytree of arrays) over all chunks."""
    if len(data.weights) == 1:
        return function(jax.tree.map(lambda x: x[0], data))
    shapes = jax.eval_shape(function, jax.tree.map(lambda x: x[0], data))
    start = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)

    def add(total: Any, chunk: Chunks) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, total, function(chunk)), None

    return jax.lax.scan(add, start, data)[0]


def regrouped(data: Chunks, size: int) -> Chunks:
    """The same examples in chunks of `size`, in order; traced. Padding is added at the end."""
    places = data.size
    count = -(-places // size)

    def group(x: Any) -> jax.Array:
        flat = jnp.reshape(x, (places, *x.shape[2:]))
        padding = jnp.broadcast_to(flat[:1], (count * size - places, *flat.shape[1:]))
        return jnp.concatenate([flat, padding]).reshape(count, size, *flat.shape[1:])

    inputs, labels = jax.tree.map(group, (data.inputs, data.labels))
    flat = jnp.pad(jnp.reshape(data.weights, -1), (0, count * size - places))
    return Chunks(inputs, labels, flat.reshape(count, size))


def cross_entropy(outputs: jax.Array, labels: jax.Array) -> jax.Array:
    """Softmax cross-entropy in nats, (n,): of classes, or the mean over a sequence's tokens.

    Args:
      outputs: logits, (n, classes) or (n, length, classes).
      labels: integers, (n,) or (n, length).
    """
    log_p = jax.nn.log_softmax(outputs)
    picked = -jnp.take_along_axis(log_p, labels[..., None], axis=-1)[..., 0]
    return jnp.mean(picked.reshape(len(picked), -1), axis=1)


def squared_error(outputs: jax.Array, labels: jax.Array) -> jax.Array:
    """Half the squared distance of outputs (n, ...) from labels (n, ...), per example."""
    difference = (outputs - labels).reshape(len(outputs), -1)
    return 0.5 * jnp.sum(jnp.square(difference), axis=1)


def task_loss(task: Task) -> Loss:
    """What a task is trained on, one loss an example: of its label, or the mean over its labels.

    Labels are (n,) or (n, length); there is no smoothing.
    """
    return task.mean_losses
