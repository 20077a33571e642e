"""The stream: a bijection for each seed and epoch, uniform over orders, one key per example."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from minima.sweep.stream import Purpose, example_indices, example_keys, purpose_key


def orders(n, count):
    """The whole epoch's order for `count` pairs of seed and epoch, shape (count, n)."""
    every = jnp.arange(n, dtype=jnp.int32)

    def one(i):
        return example_indices(i // 20, jnp.full(n, i % 20), every, n)

    return np.asarray(jax.jit(jax.vmap(one))(jnp.arange(count, dtype=jnp.int32)))


@pytest.mark.parametrize("n", [1, 2, 3, 5, 16, 64, 65, 97, 1000, 4096])
def test_every_epoch_is_a_bijection(n):
    assert (np.sort(orders(n, 40), axis=1) == np.arange(n)).all()


def test_all_orders_of_five_are_equally_likely():
    found = orders(5, 24_000) @ 5 ** np.arange(5)
    counts = np.unique(found, return_counts=True)[1]
    assert len(counts) == math.factorial(5)
    assert stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("n", [20, 50])
def test_where_an_example_lands_is_uniform(n):
    rows = orders(n, 10_000)
    table = np.array([np.bincount(column, minlength=n) for column in rows.T])
    # Rows and columns of the table have fixed sums, hence (n - 1)² degrees of freedom.
    chi_square = ((table - 10_000 / n) ** 2 / (10_000 / n)).sum() * (n - 1) / n
    assert 1e-4 < stats.chi2.sf(chi_square, (n - 1) ** 2) < 1 - 1e-4


def test_neighbours_are_uniform_over_pairs():
    n, rows = 12, orders(12, 20_000)
    pairs = np.bincount(rows[:, 3] * n + rows[:, 4], minlength=n * n).reshape(n, n)
    assert (np.diag(pairs) == 0).all()
    assert stats.chisquare(pairs[~np.eye(n, dtype=bool)]).pvalue > 1e-3


def test_epochs_and_seeds_differ():
    rows = orders(97, 60)
    assert len(np.unique(rows, axis=0)) == 60


def test_a_stretch_across_two_epochs_is_the_end_of_one_and_the_start_of_the_next():
    n = 97
    epoch = jnp.array([3] * 5 + [4] * 6, jnp.int32)
    position = jnp.array([*range(92, 97), *range(6)], jnp.int32)
    whole = {
        e: np.asarray(example_indices(7, jnp.full(n, e), jnp.arange(n, dtype=jnp.int32), n))
        for e in (3, 4)
    }
    expected = [*whole[3][92:], *whole[4][:6]]
    assert np.asarray(example_indices(7, epoch, position, n)).tolist() == expected


def test_a_key_depends_on_seed_purpose_epoch_and_position_alone():
    epoch, position = np.array([0, 0, 1], np.int32), np.array([4, 5, 4], np.int32)
    keys = example_keys(3, Purpose.DROPOUT, epoch, position)
    for i in range(3):
        key = purpose_key(3, Purpose.DROPOUT)
        for number in (epoch[i], position[i]):
            key = jax.random.fold_in(key, number)
        assert jax.random.key_data(keys[i]).tolist() == jax.random.key_data(key).tolist()
    others = [
        example_keys(seed, purpose, epoch, position)
        for seed in (3, 4)
        for purpose in (Purpose.DROPOUT, Purpose.AUGMENTATION)
    ]
    data = np.concatenate([jax.random.key_data(k) for k in others])
    assert len(np.unique(data, axis=0)) == 12
