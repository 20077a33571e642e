"""A message-passing network: what a node learns in a layer comes from its neighbours alone."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from minima.tasks.models.layers import Training, dropout, lecun_normal, linear
from minima.tasks.models.norms import make_norm
from minima.tasks.models.precision import wide
from minima.tasks.models.remat import in_turn
from minima.tasks.models.settings import Edges, Settings


class GraphLayer(nnx.Module):
    """x_i + C Σ_j relu(A norm(x_i) + B norm(x_j) + b) over the neighbours j of i.

    Message passing in the sense of Gilmer et al. 2017 (arXiv:1704.01212), messages being functions
    of both ends (Battaglia et al. 2016, arXiv:1612.00222). Sums, not means, so that neighbours can
    be counted (Xu et al. 2019, arXiv:1810.00826), over the square root of the mean degree, so that
    they start as large as their terms. Weights start from N(0, 1/fan_in), C's divided by √depth.
    """

    def __init__(self, settings: Settings, *, rngs: nnx.Rngs):
        """Builds the layer for vectors of `settings.width` features."""
        width, dtype = settings.width, settings.dtype
        out = jax.nn.initializers.variance_scaling(1 / settings.depth, "fan_in", "truncated_normal")
        self.norm = make_norm(settings.norm, width, dtype=dtype, per_position=True)
        self.receiver = linear(width, width, dtype=dtype, rngs=rngs, init=lecun_normal)
        self.sender = linear(width, width, dtype=dtype, rngs=rngs, init=lecun_normal)
        self.update = linear(width, width, dtype=dtype, rngs=rngs, init=out)
        self.settings = settings

    def __call__(
        self, x: jax.Array, training: Training | None, layer: int | jax.Array
    ) -> jax.Array:
        """Maps nodes (n, nodes, width) to the same shape."""
        edges, nodes = edges_of(self.settings), x.shape[1]
        normal = self.norm(x, training)
        messages = messages_received(self.receiver(normal), self.sender(normal), edges)
        scale = max(1.0, 2 * len(edges) / nodes) ** -0.5
        return x + dropout(self.update((messages * scale).astype(x.dtype)), training, layer=layer)


def messages_received(receivers: jax.Array, senders: jax.Array, edges: Edges) -> jax.Array:
    """Σ_j relu(receivers_i + senders_j) over the neighbours j of every node i.

    Neighbours are gathered in equally many places for every node and the empty ones left out: a
    segment sum without a scatter on the way there, and one on the way back instead of three, which
    run through the edges one by one on CPUs.

    Args:
      receivers, senders: (n, nodes, width).
      edges: between two different nodes, none twice.

    Returns:
      (n, nodes, width), in at least float32; 0 for a node without neighbours.
    """
    others, there = neighbours(edges, receivers.shape[1])
    receivers, senders = wide(receivers), wide(senders)  # whose gradient adds up, too
    messages = jax.nn.relu(receivers[:, :, None] + jnp.take(senders, others, axis=1))
    return jnp.sum(messages, axis=2, where=there[None, :, :, None])


@functools.lru_cache(maxsize=64)
def neighbours(edges: Edges, nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """The neighbours of every node in ascending order, and which of them are there.

    Returns:
      int32 (nodes, most neighbours), 0 where there is none, and bool of the same shape.
    """
    pairs = np.array(edges, np.int32).reshape(-1, 2)
    both = np.concatenate([pairs, pairs[:, ::-1]])
    both = both[np.lexsort((both[:, 1], both[:, 0]))]
    counts = np.bincount(both[:, 0], minlength=nodes)
    there = np.arange(max(1, counts.max(initial=0)))[None] < counts[:, None]
    others = np.zeros(there.shape, np.int32)
    others[there] = both[:, 1]
    return others, there


def edges_of(settings: Settings) -> Edges:
    """The graph's own; of an image or a signal those between adjacent pixels or samples."""
    if settings.kind == "graph":
        return settings.edges
    return _adjacent(settings.input_shape[: 2 if settings.kind == "image" else 1])


@functools.lru_cache(maxsize=64)
def _adjacent(shape: tuple[int, ...]) -> Edges:
    numbers = np.arange(np.prod(shape)).reshape(shape)
    pairs: list[tuple[int, int]] = []
    for axis, extent in enumerate(shape):
        low, high = (np.take(numbers, np.arange(extent - 1) + i, axis) for i in (0, 1))
        pairs += zip(low.ravel().tolist(), high.ravel().tolist(), strict=True)
    return tuple(pairs)


class GraphNetwork(nnx.Module):
    """`depth` graph layers of `width` over nodes, a norm, and a linear read-out.

    One label for an example is read from the mean over nodes, else every node is read. The network
    knows nodes by their features and neighbours alone: renumbering them changes nothing.
    """

    def __init__(self, settings: Settings, *, rngs: nnx.Rngs):
        """Builds the map into `width` features, layers and read-out."""
        width, dtype = settings.width, settings.dtype
        self.per_position, self.remat = settings.per_position, settings.remat
        self.features = settings.channels
        self.encoder = linear(self.features, width, dtype=dtype, rngs=rngs, init=lecun_normal)
        self.layers = nnx.List([GraphLayer(settings, rngs=rngs) for _ in range(settings.depth)])
        self.norm = make_norm(settings.norm, width, dtype=dtype, per_position=True)
        classes = settings.num_classes
        self.readout = linear(width, classes, dtype=dtype, rngs=rngs, init=lecun_normal)

    def __call__(self, x: jax.Array, training: Training | None = None) -> jax.Array:
        """Maps (n, nodes, features), signals or images to (n, num_classes), or one per node."""
        x = self.encoder(x.reshape(x.shape[0], -1, self.features))
        layers: list[list[Any]] = [[layer] for layer in self.layers]
        x = in_turn(self.remat, GraphLayer.__call__, layers, x, training)
        if self.per_position:
            return self.readout(self.norm(x, training))
        return self.readout(self.norm(jnp.mean(x, axis=1), training))
