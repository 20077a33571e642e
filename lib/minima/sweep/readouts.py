"""How much a linear read-out gets right from raw inputs and from every hidden layer of a network.

A linear probe (Alain & Bengio 2017, arXiv:1610.01644), here ridge regression on one-hot labels: it
is convex and solved exactly, so that a probe can't fail to train. Its strength is chosen on the
validation set, its accuracy is that on the test set. Where there are more features than examples
the dual form is solved, so that wide layers cost no more than the examples.
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from minima.runtime.errors import UserError
from minima.sweep import stream
from minima.sweep.stream import Purpose
from minima.tasks.datasets.dataset import Dataset, Split
from minima.tasks.models import Params, State
from minima.tasks.task import Task

# Of the mean eigenvalue of the features' second moments; below 1e-3, float32 gives out.
STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0)
_CHUNK = 256

Variables = tuple[Params, State]


class _Sizes(tuple[int, int, int]):
    """Examples to fit on, to choose the strength on, and to test on, in this order."""


def input_accuracy(dataset: Dataset, most: int) -> float:
    """Test accuracy of the probe on the inputs themselves.

    Args:
      dataset: with a class for every example.
      most: fit on at most so many training examples, the first ones.

    Raises:
      UserError: there is no validation set.
    """
    inputs, labels, sizes = _together(dataset, most)
    features = ((inputs.astype(np.float32) - dataset.mean) / dataset.std).reshape(len(inputs), -1)
    return float(_accuracy(features, labels, sizes, dataset.num_classes))


def layer_accuracies(
    task: Task, dataset: Dataset, variables: Sequence[Variables], most: int
) -> np.ndarray:
    """Test accuracy of a probe on every hidden layer of networks of one kind.

    Args:
      task, dataset: what they were made for.
      variables: parameters and state of each network.
      most: as `input_accuracy` has it.

    Returns:
      (networks, layers) float64; no layers for a linear model.

    Raises:
      UserError: there is no validation set.
    """
    inputs, labels, sizes = _together(dataset, most)
    stacked = jax.tree.map(lambda *rows: jnp.stack(rows), *variables)
    constants = np.float32(dataset.mean), np.float32(dataset.std)
    found = _by_layer(task, sizes, stacked, inputs, labels, *constants)
    return np.asarray(found, np.float64)


def initial_variables(task: Task, seed: int) -> Variables:
    """Parameters and state of a cell before its first update."""
    key = stream.purpose_key(np.int32(seed), Purpose.INITIALISATION)
    return jax.jit(task.model.init)(key)


def _together(dataset: Dataset, most: int) -> tuple[np.ndarray, np.ndarray, _Sizes]:
    if not len(dataset.validation):
        raise UserError(
            "--validation_fraction=0: a probe's strength is chosen on the validation set; give it "
            "a fraction such as 0.2"
        )
    train = Split(dataset.train.inputs[:most], dataset.train.labels[:most])
    splits = (train, dataset.validation, dataset.test)
    inputs = np.concatenate([split.inputs for split in splits])
    labels = np.concatenate([split.labels for split in splits])
    return inputs, labels, _Sizes(map(len, splits))


@functools.partial(jax.jit, static_argnames=("task", "sizes"))
def _by_layer(
    task: Task,
    sizes: _Sizes,
    stacked: Variables,
    inputs: jax.Array,
    labels: jax.Array,
    mean: jax.Array,
    std: jax.Array,
) -> jax.Array:
    """(networks, layers) test accuracies, one network after the other."""
    n, classes = len(inputs), task.model.settings.num_classes
    chunks = -(-n // _CHUNK)
    padded = jnp.pad(inputs, [(0, chunks * _CHUNK - n)] + [(0, 0)] * (inputs.ndim - 1))
    padded = padded.reshape(chunks, _CHUNK, *inputs.shape[1:])

    def one(variables: Variables) -> jax.Array:
        def hidden(chunk: jax.Array) -> tuple[jax.Array, ...]:
            prepared = chunk.astype(jnp.int32)
            if task.kind != "tokens":
                prepared = (chunk.astype(task.model.dtype) - mean) / std
            layers = task.model.hidden(*variables, prepared)
            return tuple(layer.reshape(_CHUNK, -1) for layer in layers)

        layers = jax.lax.map(hidden, padded)
        flat = [layer.reshape(chunks * _CHUNK, -1)[:n] for layer in layers]
        found = [_accuracy(layer, labels, sizes, classes) for layer in flat]
        return jnp.stack(found) if found else jnp.zeros((0,))

    return jax.lax.map(one, stacked)


@functools.partial(jax.jit, static_argnames=("sizes", "classes"))
def _accuracy(features: jax.Array, labels: jax.Array, sizes: _Sizes, classes: int) -> jax.Array:
    """Test accuracy of the ridge that is best on validation; features (n, D), float scalar."""
    fit, chosen_on, _ = sizes
    centre = jnp.mean(features[:fit], axis=0)
    features = (features - centre[None]).astype(jnp.float32)
    # In one unit for all layers: the mean square over examples and features.
    features = features / jnp.sqrt(jnp.mean(jnp.square(features[:fit])) + 1e-30)
    targets = jax.nn.one_hot(labels[:fit], classes, dtype=jnp.float32)
    offset = jnp.mean(targets, axis=0)
    strengths = jnp.array(STRENGTHS, jnp.float32)
    outputs = _ridge(features, fit, targets - offset[None], strengths) + offset[None, None]
    hits = jnp.argmax(outputs, axis=-1) == labels[None, fit:]
    validated = jnp.mean(hits[:, :chosen_on].astype(jnp.float32), axis=1)
    return jnp.mean(hits[jnp.argmax(validated), chosen_on:].astype(jnp.float32))


def _ridge(x: jax.Array, fit: int, targets: jax.Array, strengths: jax.Array) -> jax.Array:
    """Outputs (strengths, n - fit, classes) for the rows of x (n, D) after those it is fitted on.

    Minimises |x w - targets|² + s · c |w|² with c = trace(xᵀx) / min(fit, D), the mean of the
    eigenvalues that can differ from 0.
    """
    own, others = x[:fit], x[fit:]
    dual = fit < x.shape[1]
    gram = own @ own.T if dual else own.T @ own
    right = targets if dual else own.T @ targets
    left = others @ own.T if dual else others
    scale = jnp.trace(gram) / len(gram)

    def solved(strength: jax.Array) -> jax.Array:
        ridged = gram + strength * scale * jnp.eye(len(gram), dtype=gram.dtype)
        return left @ jax.scipy.linalg.solve(ridged, right, assume_a="pos")

    return jax.lax.map(solved, strengths)
