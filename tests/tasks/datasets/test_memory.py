"""The adding problem and the copying task: closed forms, and what is drawn on the device."""

import jax
import numpy as np
import pytest
from scipy import stats

from minima.tasks.datasets import load, memory
from minima.tasks.datasets.dataset import Split
from minima.tasks.datasets.memory_stream import Adding, Copying

WINDOW, COUNT = 20, 4_000


def keys(count):
    return jax.random.split(jax.random.key(0), count)


def drawn(draw, count=COUNT):
    return Split(*map(np.asarray, jax.jit(jax.vmap(draw))(keys(count))))


def from_host(draw):
    return draw(np.random.RandomState(3), COUNT, WINDOW)


@pytest.fixture(params=["host", "device"])
def sums(request):
    return from_host(memory.sums) if request.param == "host" else drawn(Adding(WINDOW))


@pytest.fixture(params=["host", "device"])
def copies(request):
    return from_host(memory.copies) if request.param == "host" else drawn(Copying(WINDOW))


def test_the_label_is_the_sum_of_the_two_marked_numbers(sums):
    numbers, marks = sums.inputs[..., 0], sums.inputs[..., 1]
    assert (sums.inputs.dtype, sums.labels.dtype) == (np.float32, np.float32)
    assert sums.inputs.shape == (COUNT, WINDOW, 2)
    half = WINDOW // 2
    for part in (marks[:, :half], marks[:, half:]):
        np.testing.assert_array_equal(np.sort(part, axis=1)[:, -2:], np.tile([0, 1], (COUNT, 1)))
    np.testing.assert_allclose((numbers * marks).sum(axis=1), sums.labels, rtol=1e-6)
    assert stats.kstest(numbers[:, ::5].ravel(), "uniform").pvalue > 0.01
    assert stats.chisquare(marks.sum(axis=0)).pvalue > 0.01


def test_the_constant_one_has_the_baseline_and_not_what_was_printed(sums):
    errors = (sums.labels - 1) ** 2
    off = errors.std() / np.sqrt(COUNT)
    assert abs(errors.mean() - memory.BASELINE) < 3 * off < 0.011
    many = memory.sums(np.random.RandomState(0), 100_000, 2).labels
    assert abs(np.mean((many - 1) ** 2) - 1 / 6) < 0.002 < abs(np.mean((many - 1) ** 2) - 0.1767)


def test_the_first_symbols_are_asked_for_at_the_end(copies):
    tokens, labels, k = copies.inputs, copies.labels, memory.COPIED
    assert (tokens.dtype, labels.dtype) == (np.uint8, np.int32)
    np.testing.assert_array_equal(labels[:, -k:], tokens[:, :k])
    assert (labels[:, :-k] == -1).all()
    assert (tokens[:, k : -k - 1] == memory.BLANK).all()
    assert (tokens[:, -k - 1] == memory.RECALL).all()
    assert (tokens[:, -k:] == memory.BLANK).all()
    counts = np.bincount(labels[:, -k:].ravel(), minlength=memory.NUM_SYMBOLS)
    assert len(counts) == memory.NUM_SYMBOLS
    assert stats.chisquare(counts).pvalue > 0.01
    assert pytest.approx(np.log(8)) == memory.CHANCE


@pytest.mark.parametrize("draw", [Adding(WINDOW), Copying(WINDOW)])
def test_neither_jit_nor_vmap_changes_anything(draw):
    several = drawn(draw, 5)
    for i, key in enumerate(keys(5)):
        alone = draw(key)
        np.testing.assert_array_equal(several.inputs[i], alone[0])
        np.testing.assert_array_equal(several.labels[i], alone[1])


def test_datasets_are_seeded_and_drawn_without_end():
    adding, copying = load("adding", window=WINDOW), load("copying", window=WINDOW)
    assert (adding.task, adding.kind, adding.num_classes) == ("regression", "signal", 1)
    assert (adding.mean, adding.std, adding.tolerance) == (0, 1, 0.04)
    assert (copying.task, copying.kind, copying.num_classes) == ("language_model", "tokens", 10)
    assert adding.generator == Adding(WINDOW)
    assert copying.generator == Copying(WINDOW)
    assert [len(part) for part in (adding.train, adding.validation, adding.test)] == [
        2000,
        500,
        1000,
    ]
    assert load("adding", window=WINDOW).checksum == adding.checksum
    assert adding.checksum[:8] == "6a2f6680"
    assert copying.checksum[:8] == "dad1fcf2"


@pytest.mark.parametrize(("name", "window"), [("adding", 1), ("copying", 11)])
def test_windows_too_short_are_refused(name, window, refusal):
    assert refusal(load, name, window=window).startswith(f"--window {window}: ")


@pytest.mark.parametrize("name", ["adding", "copying"])
def test_what_is_drawn_without_end_has_no_part(name, refusal):
    assert refusal(load, name, train_examples=10).startswith("--train_examples=10: ")
