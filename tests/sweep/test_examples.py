"""Where training examples come from: drawn anew by a generator, against a loop in NumPy."""

import jax
import numpy as np
import pytest

from minima.runtime.errors import UserError
from minima.sweep.examples import slab_indices
from minima.sweep.stream import Purpose, example_indices, example_keys

CELLS = {"model": "linear", "optimizer": "sgd", "batch_sizes": (8, 30), "learning_rates": (0.1,)}


def drawn_loop(plan, cell, generator):
    """Softmax regression by gradient descent on drawn examples, in float64, in closed form."""
    size, data = cell["batch_size"], plan.dataset
    n = len(data.train)
    losses = []
    key = jax.random.fold_in(jax.random.key(cell["seed"]), int(Purpose.INITIALISATION))
    start = plan.recipe.task.model.init(key)[0]["readout"]
    weights, bias = np.array(start["kernel"], np.float64), np.array(start["bias"], np.float64)
    for step in range(plan.timeline(cell).steps):
        epoch, position = np.divmod(np.arange(step * size, (step + 1) * size, dtype=np.int32), n)
        keys = example_keys(cell["seed"], Purpose.EXAMPLE, epoch, position)
        images, labels = jax.vmap(generator)(keys)
        x = (np.asarray(images, np.float64).reshape(size, -1) - data.mean) / data.std
        logits = x @ weights + bias
        chance = np.exp(logits - logits.max(1, keepdims=True))
        chance /= chance.sum(1, keepdims=True)
        error = chance - np.eye(5)[np.asarray(labels)]
        losses.append(-np.log(chance[np.arange(size), np.asarray(labels)]).mean())
        weights -= cell["learning_rate"] * x.T @ error / size
        bias -= cell["learning_rate"] * error.mean(0)
    return losses


@pytest.mark.slow
def test_an_endless_data_set_is_trained_on_what_its_generator_draws(make, run_cells, endless):
    plan = make(**CELLS, data="endless", seeds=(3,), budget="20steps", evaluations=20, microbatch=8)
    for index, record in run_cells(plan).items():
        expected = drawn_loop(plan, plan.cells[index], endless.generator)
        np.testing.assert_allclose(record["trajectory"]["train_loss"], expected, rtol=1e-4)


def test_endless_data_have_no_slabs(make):
    with pytest.raises(UserError, match="is drawn on the device"):
        make(**CELLS, data="endless", slab_mib=1)


def test_a_slab_is_the_stream_across_the_epochs_end():
    n = 50
    epoch, position = np.divmod(np.arange(2 * n + 37, 2 * n + 67, dtype=np.int32), n)
    expected = np.asarray(example_indices(4, epoch, position, n))
    np.testing.assert_array_equal(slab_indices(4, 2, 37, 30, n), expected[None])


@pytest.mark.parametrize("parts", [2, 4, 7])
def test_parts_of_a_slab_take_turns_by_the_place_in_the_stream(parts):
    n, begin, count = 50, 2 * 50 + 37, 30
    laid = slab_indices(4, 2, 37, count, n, parts)
    assert laid.shape == (parts, -(-count // parts))
    whole = slab_indices(4, 2, 37, count, n)[0]
    for part, row in np.ndindex(laid.shape):
        place = min(begin + (part - begin) % parts + parts * row, begin + count - 1)
        assert laid[part, row] == whole[place - begin]
