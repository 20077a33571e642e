"""A training set that stays with the host: slabs for the lanes, and the last look at all of it."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from minima.runtime.mesh import fetch, made, put
from minima.sweep.examples import Slab, labels_of, slab_indices
from minima.sweep.lane import Order, Recipe, Snapshot, minimum_of
from minima.sweep.passes import CHUNK, Pass, begin_pass, chunk_of, evaluation_pass
from minima.sweep.placement import Placement
from minima.sweep.training_pass import label_noise
from minima.tasks.task import Arrays


class HostTrainingSet:
    """Host arrays of a training set that is too large for the devices.

    The numbers are those of a training set on the device, bit for bit; but for the final training
    loss, which another executable sums (its last digit may differ).
    """

    def __init__(self, recipe: Recipe, arrays: Arrays, place: Placement) -> None:
        """`arrays` are host arrays, training set included."""
        self.recipe, self.train, self.place = recipe, arrays.train, place
        self.constants = empty(arrays)

    def slabs(self, seeds: Sequence[int], places: Sequence[int | None]) -> Slab:
        """The next stretch of every lane's stream, on the devices.

        A process gathers what its own devices hold.

        Args:
          seeds: of the lanes' cells.
          places: where each stretch begins, counted from the stream's beginning; None for a lane
            without work.
        """
        n, count, parts = self.recipe.num_examples, self.recipe.slab, self.place.parts
        begins = [divmod(place or 0, n) for place in places]
        rows = zip(seeds, begins, strict=True)
        index = np.stack([slab_indices(seed, *begin, count, n, parts) for seed, begin in rows])

        def lay(array: np.ndarray) -> jax.Array:
            shape = (*index.shape, *array.shape[1:])
            return made(shape, self.place.slab(), lambda at: array[index[at[:3]]])

        begin = np.array(begins, np.int32).T
        begin = put(tuple(begin), self.place.stacked(tuple(begin)))
        return Slab(*map(lay, self.train), *begin)

    def finals(self, snapshot: Snapshot, order: Order) -> np.ndarray:
        """(loss, accuracy) of a minimum on the labels that its cell was trained with."""
        n, variables, seen = len(self.train[1]), minimum_of(snapshot), begin_pass(self.recipe.task)
        if self.place.cuts is not None:
            variables = put(variables, self.place.single(variables))
        size = self._at_once(n)
        with self.place.tracing():
            for begin in range(0, n, size):
                part = [self._part(array, begin, size) for array in self.train]
                count = min(size, n - begin)
                seen = _measure(
                    self.recipe, variables, order, self.constants, *part, begin, count, seen
                )
        sums = fetch(seen.sums)
        return np.stack([sums.loss, sums.correct]) / sums.weight

    def _at_once(self, n: int) -> int:
        """Examples to send at a time; over a mesh, those that are evaluated at a time."""
        if self.place.cuts is None:
            return min(n, max(CHUNK, self.recipe.slab // CHUNK * CHUNK))
        parts = self.place.parts
        return parts * min(-(-n // parts), chunk_of(self.recipe.task))

    def _part(self, array: np.ndarray, begin: int, size: int) -> Any:
        """Examples from `begin` on, the last one repeated; over a mesh, a part on every device."""
        at = np.minimum(np.arange(begin, begin + size), len(array) - 1)
        if self.place.cuts is None:
            return array[at]
        shape, sharding = (size, *array.shape[1:]), self.place.examples(0)
        return made(shape, sharding, lambda index: array[at[index[0]]])


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
