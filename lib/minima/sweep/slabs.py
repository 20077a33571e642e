"""A training set that stays with the host: slabs for the lanes, and the last look at all of it."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from minima.sweep.examples import Slab, gather_slab, labels_of
from minima.sweep.lane import Order, Recipe, Snapshot, minimum_of
from minima.sweep.passes import CHUNK, Pass, begin_pass, evaluation_pass
from minima.sweep.training_pass import label_noise
from minima.tasks.task import Arrays


class HostTrainingSet:
    """Host arrays of a training set that is too large for the devices.

    The numbers are those of a training set on the device, bit for bit; but for the final training
    loss, which another executable sums (its last digit may differ).
    """

    def __init__(self, recipe: Recipe, arrays: Arrays) -> None:
        """`arrays` are host arrays, training set included."""
        self.recipe, self.train = recipe, arrays.train
        self.constants = empty(arrays)

    def slabs(self, seeds: Sequence[int], places: Sequence[int | None]) -> Slab:
        """The next stretch of every lane's stream, stacked; `places` count from its beginning.

        None stands for a lane without work.
        """
        n = self.recipe.num_examples
        rows = [
            gather_slab(self.train, seed, *divmod(place or 0, n), self.recipe.slab)
            for seed, place in zip(seeds, places, strict=True)
        ]
        return jax.tree.map(lambda *parts: np.stack(parts), *rows)

    def finals(self, snapshot: Snapshot, order: Order) -> np.ndarray:
        """(loss, accuracy) of a minimum on the labels that its cell was trained with."""
        n = self.recipe.num_examples
        size = min(n, max(CHUNK, self.recipe.slab // CHUNK * CHUNK))
        seen = begin_pass(self.recipe.task)
        variables = minimum_of(snapshot)
        for begin in range(0, n, size):
            part = [_padded(array[begin : begin + size], size) for array in self.train]
            count = min(size, n - begin)
            seen = _measure(
                self.recipe, variables, order, self.constants, *part, begin, count, seen
            )
        sums = jax.device_get(seen.sums)
        return np.stack([sums.loss, sums.correct]) / sums.weight


def empty(arrays: Arrays) -> Arrays:
    """The same data without training examples: what goes to the devices."""
    inputs, labels = arrays.train
    return arrays._replace(train=(inputs[:0], labels[:0]))


@jax.jit(static_argnums=0)
def _measure(
    recipe: Recipe,
    variables: tuple,
    order: Order,
    constants: Arrays,
    inputs: jax.Array,
    labels: jax.Array,
    begin: jax.Array,
    count: jax.Array,
    seen: Pass,
) -> Pass:
    index = begin + jnp.arange(len(labels), dtype=jnp.int32)
    trained = labels_of(recipe.task, order.seed, index, labels, label_noise(recipe, order))
    return evaluation_pass(recipe.task, variables, constants, inputs, trained, count, seen)


def _padded(part: np.ndarray, size: int) -> np.ndarray:
    missing = size - len(part)
    return np.concatenate([part, np.repeat(part[-1:], missing, axis=0)]) if missing else part
