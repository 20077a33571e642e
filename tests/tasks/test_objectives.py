"""Both losses against optax and closed forms; sums against sums of parts."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from minima.tasks.objectives import LOSSES, classification, regression

classify = jax.jit(classification, static_argnames="loss")
gradient_of = jax.jit(
    jax.grad(lambda *a, **how: classification(*a, **how).loss), static_argnames="loss"
)


@pytest.fixture(autouse=True)
def x64():
    with jax.enable_x64(True):
        yield


def made(*length):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 5, (12, *length)).astype(np.int32)
    return 3 * rng.normal(size=(12, *length, 5)), labels, np.resize([1.0, 0.0, 0.25], 12)


@pytest.fixture
def batch():
    """Logits (12, 5), labels (12,) and weights (12,): 0, 1 and a fraction."""
    return made()


@pytest.fixture
def sequences():
    """Logits (12, 7, 5), labels (12, 7) and weights (12,): 0, 1 and a fraction."""
    return made(7)


SMOOTHINGS = [None, 0.0, 0.1, 0.9]


def targets(labels, smoothing):
    return np.asarray(optax.smooth_labels(jax.nn.one_hot(labels, 5), smoothing or 0.0))


def test_loss_equals_that_of_optax(batch):
    logits, labels, weights = batch
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    sums = classify(*batch)
    np.testing.assert_allclose(sums.loss, np.sum(losses * weights), rtol=1e-14)
    hits = logits.argmax(axis=1) == labels
    assert 0 < hits.sum() < 12
    assert float(sums.correct) == hits @ weights
    assert float(sums.weight) == weights.sum()


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_smoothing_equals_that_of_optax(batch, smoothing):
    logits, labels, weights = batch
    losses = optax.softmax_cross_entropy(logits, targets(labels, smoothing))
    sums = classify(*batch, smoothing)
    np.testing.assert_allclose(sums.loss, np.sum(losses * weights), rtol=1e-14)
    # Smoothing changes the loss, not what counts as a hit.
    assert sums.correct == classify(*batch).correct


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_the_gradient_is_softmax_minus_target(batch, smoothing):
    logits, labels, weights = batch
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = weights[:, None] * (shares - targets(labels, smoothing))
    np.testing.assert_allclose(gradient_of(*batch, smoothing), expected, rtol=0, atol=1e-15)


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_squared_error_equals_that_of_optax(batch, smoothing):
    logits, labels, weights = batch
    apart = logits - targets(labels, smoothing)
    losses = optax.l2_loss(logits, targets(labels, smoothing)).sum(axis=1)
    sums = classify(*batch, smoothing, loss="squared_error")
    np.testing.assert_allclose(sums.loss, np.sum(losses * weights), rtol=1e-14)
    gradient = gradient_of(*batch, smoothing, loss="squared_error")
    np.testing.assert_allclose(gradient, weights[:, None] * apart, rtol=0, atol=1e-14)
    # The loss decides nothing of what counts as a hit.
    assert sums[1:] == classify(*batch)[1:]


def test_squared_error_of_a_perfect_answer_and_of_none():
    labels, one = np.array([2, 0]), np.ones(2)
    perfect = classify(np.eye(3)[labels], labels, one, loss="squared_error")
    assert (float(perfect.loss), float(perfect.correct)) == (0, 2)
    assert float(classify(np.zeros((2, 3)), labels, one, loss="squared_error").loss) == 2 * 0.5


def test_equal_logits_cost_the_logarithm_of_the_classes():
    sums = classify(np.full((3, 7), 2.5), np.array([0, 3, 6]), np.ones(3), 0.3)
    np.testing.assert_allclose(sums.loss, 3 * np.log(7), rtol=1e-15)
    assert float(sums.correct) == 1  # the first of equals counts as the prediction


def test_huge_logits_do_not_overflow():
    logits, labels = np.array([[1e300, 0], [0, 1e4]]), np.array([0, 0])
    assert float(classify(logits, labels, np.ones(2)).loss) == 1e4


WILD = [np.inf, -np.inf, np.nan, 1e308]


@pytest.mark.parametrize("loss", list(LOSSES))
@pytest.mark.parametrize("wild", WILD)
@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_padding_leaves_every_sum_as_it_was(batch, wild, smoothing, loss):
    logits, labels, weights = batch
    padded, expected = logits.copy(), classify(logits, labels, weights, smoothing, loss=loss)
    padded[weights == 0, 1] = wild
    sums = classify(padded, labels, weights, smoothing, loss=loss)
    np.testing.assert_array_equal(sums, expected)
    padded[weights == 0] = wild  # all of the row
    sums = classify(padded, labels, weights, smoothing, loss=loss)
    np.testing.assert_array_equal(sums, expected)
    assert np.isfinite(sums).all()


@pytest.mark.parametrize("loss", list(LOSSES))
@pytest.mark.parametrize("wild", WILD)
@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_padding_leaves_the_gradient_as_it_was_and_has_none(batch, wild, smoothing, loss):
    logits, labels, weights = batch
    padded = logits.copy()
    expected = np.asarray(gradient_of(logits, labels, weights, smoothing, loss=loss))
    for where in (np.s_[weights == 0, 1], np.s_[weights == 0]):
        padded[where] = wild
        gradient = np.asarray(gradient_of(padded, labels, weights, smoothing, loss=loss))
        np.testing.assert_array_equal(gradient, expected)
        np.testing.assert_array_equal(gradient[weights == 0], 0)


@pytest.mark.parametrize("sizes", [(6, 6), (5, 5, 2), (1,) * 12, (11, 1)])
@pytest.mark.parametrize("smoothing", [None, 0.1])
def test_sums_of_microbatches_add_up(batch, sizes, smoothing):
    edges = np.cumsum((0, *sizes))
    parts = [classify(*(a[low:high] for a in batch), smoothing) for low, high in pairwise(edges)]
    total = np.sum(parts, axis=0)
    np.testing.assert_allclose(total, np.array(classify(*batch, smoothing)), rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sums_have_the_dtype_of_the_model(batch, dtype):
    logits, labels, weights = batch
    smoothing = jnp.asarray(0.1, dtype)
    sums = classify(logits.astype(dtype), labels, weights.astype(dtype), smoothing)
    assert {leaf.dtype for leaf in sums} == {np.dtype(dtype)}
    assert {leaf.shape for leaf in sums} == {()}


@pytest.mark.parametrize("loss", list(LOSSES))
@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_tokens_of_a_sequence_share_its_weight(sequences, smoothing, loss):
    # The same as 7 · 12 examples, each with the weight of its sequence.
    logits, labels, weights = sequences
    apart = (logits.reshape(-1, 5), labels.reshape(-1), np.repeat(weights, 7))
    sums = classify(*sequences, smoothing, loss=loss)
    np.testing.assert_allclose(sums, np.array(classify(*apart, smoothing, loss=loss)), rtol=1e-14)
    assert float(sums.weight) == 7 * weights.sum()
    assert {leaf.shape for leaf in sums} == {()}
    by_token = gradient_of(*apart, smoothing, loss=loss).reshape(logits.shape)
    found = gradient_of(*sequences, smoothing, loss=loss)
    np.testing.assert_allclose(found, by_token, rtol=0, atol=1e-15)


@pytest.mark.parametrize("wild", WILD)
def test_padded_sequences_leave_no_trace(sequences, wild):
    logits, labels, weights = sequences
    expected = [np.array(f(logits, labels, weights, 0.1)) for f in (classify, gradient_of)]
    padded = logits.copy()
    padded[weights == 0, 3] = wild
    found = [np.array(f(padded, labels, weights, 0.1)) for f in (classify, gradient_of)]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_uniform_guess_costs_the_logarithm_of_the_vocabulary():
    sums = classify(np.zeros((2, 3, 63)), np.ones((2, 3), np.int32), np.ones(2))
    np.testing.assert_allclose(sums.loss / sums.weight, np.log(63), rtol=1e-15)


@pytest.mark.parametrize("loss", LOSSES)
def test_labels_that_ask_for_nothing_are_left_out(sequences, loss):
    logits, labels, weights = sequences
    part = np.where(np.arange(7) < 4, -1, labels)
    found = classification(logits, part, weights, 0.1, loss, ignores=True)
    asked = classification(logits[:, 4:], labels[:, 4:], weights, 0.1, loss)
    np.testing.assert_allclose(found, asked, rtol=1e-13)
    gradient = jax.grad(lambda x: classification(x, part, weights, ignores=True).loss)(logits)
    assert not gradient[:, :4].any()
    assert gradient[0, 4:].any()


def test_a_regression_is_judged_by_its_squared_error(sequences):
    logits, _, weights = sequences
    outputs, labels = logits[..., :1], logits[..., 1]
    found = regression(outputs, labels, weights, 2.0)
    off = outputs[..., 0] - labels
    every = np.broadcast_to(weights[:, None], off.shape)
    np.testing.assert_allclose(found.loss, np.sum(off**2 * every), rtol=1e-13)
    assert 0 < float(found.correct) < every.sum()
    np.testing.assert_allclose(found.correct, np.sum((abs(off) <= 2) * every), rtol=1e-13)
    assert float(found.weight) == every.sum()
    gradient = jax.grad(lambda x: regression(x, labels, weights, 0.0).loss)(outputs)
    np.testing.assert_allclose(gradient[..., 0], 2 * off * every, rtol=1e-13)
    padded = np.where(every[..., None] > 0, outputs, np.inf)
    np.testing.assert_allclose(regression(padded, labels, weights, 2.0), found)
