"""A task's parts put together."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from minima.tasks.augmentation import augment
from minima.tasks.models import Model, Noise, Settings, Training
from minima.tasks.objectives import classification
from minima.tasks.task import Arrays, ModelChoice, Regularisation, Task, make_task, to_arrays

SURE = 1e-9  # chance that a right program fails one statistical test on fresh keys


def made(data, name, *arguments):
    """The task of a model by its name."""
    return make_task(data, ModelChoice(name), *arguments)[0]


@pytest.mark.parametrize(
    ("given", "dtype", "kept"),
    [
        (np.uint8, "float32", np.uint8),
        (np.uint8, "float64", np.uint8),
        (np.float32, "float32", np.float32),
        (np.float32, "float64", np.float64),
    ],
)
def test_arrays_hold_the_dataset(make_dataset, given, dtype, kept):
    data = make_dataset((5, 4), dtype=given)
    arrays = to_arrays(data, dtype)
    splits = ((arrays.train, data.train), (arrays.validation, data.validation))
    for (inputs, labels), split in (*splits, (arrays.test, data.test)):
        assert inputs.dtype == kept
        assert labels.dtype == np.int32
        np.testing.assert_array_equal(inputs, split.inputs)
        np.testing.assert_array_equal(labels, split.labels)
    assert (arrays.mean.dtype, arrays.mean.shape) == (dtype, ())
    assert (arrays.std.dtype, arrays.std.shape) == (dtype, ())
    np.testing.assert_array_equal(arrays.mean, np.dtype(dtype).type(data.mean))
    np.testing.assert_array_equal(arrays.std, np.dtype(dtype).type(data.std))


def test_arrays_without_validation(make_dataset):
    arrays = to_arrays(make_dataset((5, 4), fraction=0))
    assert (arrays.validation[0].shape, arrays.validation[1].shape) == ((0, 5, 4), (0,))


@pytest.fixture
def fitted(x64, make_dataset):
    """A task in float64 on bytes, its arrays and some parameters."""
    data = make_dataset((8, 6))
    task = made(data, "mlp", "shift_flip", "float64")
    return task, to_arrays(data, "float64"), task.model.init(jax.random.key(0))[0]


def test_normalised_training_inputs_have_mean_zero_and_variance_one(fitted):
    task, arrays, _ = fitted
    x = np.asarray(task.prepare(arrays, jnp.asarray(arrays.train[0])))
    assert x.dtype == np.float64
    np.testing.assert_allclose([x.mean(), x.std()], [0, 1], rtol=0, atol=1e-13)


def test_normalising_in_numbers(make_dataset):
    task = made(make_dataset((2, 2)), "mlp")
    none = (np.zeros(0), np.zeros(0))
    arrays = Arrays(none, none, none, np.float32(100), np.float32(50))
    x = task.prepare(arrays, jnp.array([[0, 100, 200, 255]], jnp.uint8))
    assert x.dtype == np.float32
    np.testing.assert_allclose(x, [[-2, 0, 2, 3.1]], rtol=1e-6)


def batch(arrays):
    inputs, labels = arrays.train
    return jnp.asarray(inputs), jnp.asarray(labels), np.resize([1.0, 0.0, 0.5], len(labels))


def test_evaluation_sums(fitted):
    task, arrays, params = fitted
    inputs, labels, weights = batch(arrays)
    sums, predictions = task.evaluation_sums(params, {}, arrays, inputs, labels, weights)
    x = (np.asarray(inputs, np.float64).reshape(len(labels), -1) - arrays.mean) / arrays.std
    hidden = np.maximum(x @ params["hidden"][0]["kernel"], 0)
    logits = hidden @ np.asarray(params["readout"]["kernel"])
    losses = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(labels)), labels]
    np.testing.assert_allclose(sums.loss, losses @ weights, rtol=1e-12)
    assert predictions.dtype == np.int32
    np.testing.assert_array_equal(predictions, logits.argmax(axis=1))
    assert float(sums.correct) == (predictions == labels) @ weights
    # An augmentation is no part of an evaluation.
    plain = Task(task.model, "image").evaluation_sums(params, {}, arrays, inputs, labels, weights)
    np.testing.assert_array_equal(plain[0], sums)


def test_a_training_pass_without_extras_is_an_evaluation_pass(fitted):
    task, arrays, params = fitted
    sums = task.training_sums(params, {}, arrays, *batch(arrays), Regularisation())[0]
    np.testing.assert_array_equal(sums, task.evaluation_sums(params, {}, arrays, *batch(arrays))[0])


def test_a_training_pass_augments_drops_and_smooths(fitted):
    task, arrays, params = fitted
    inputs, labels, weights = batch(arrays)
    keys = jax.random.split(jax.random.key(1), len(labels))
    noise, smoothing = Noise(keys, jnp.float64(0.4)), jnp.float64(0.2)
    extras = Regularisation(keys, noise, smoothing)
    sums = task.training_sums(params, {}, arrays, inputs, labels, weights, extras)[0]
    # Raw inputs are augmented: what comes in at the edge is a raw zero, not the mean.
    moved = np.asarray(augment("shift_flip", "image", inputs, keys), np.float64)
    passing = Training(weights, noise)
    logits, _ = task.model.apply(params, {}, (moved - arrays.mean) / arrays.std, passing)
    expected = classification(logits, labels, weights, smoothing)
    np.testing.assert_allclose(sums, np.array(expected), rtol=1e-13)
    for absent in Regularisation._fields:
        fewer = extras._replace(**{absent: None})
        other = task.training_sums(params, {}, arrays, inputs, labels, weights, fewer)[0]
        assert abs(other.loss - sums.loss) > 1e-3, absent


@pytest.mark.parametrize("norm", ["batch", "ghost"])
def test_a_training_pass_moves_the_state_and_an_evaluation_uses_it(x64, make_dataset, norm):
    data = make_dataset((8, 6))
    task, _ = make_task(data, ModelChoice("mlp", norm=norm, width=5), dtype="float64")
    arrays, (params, state) = to_arrays(data, "float64"), task.model.init(jax.random.key(0))
    inputs, labels, weights = batch(arrays)
    weights = (weights > 0).astype(float)  # statistics count examples
    x = (np.asarray(inputs, np.float64).reshape(len(labels), -1) - arrays.mean) / arrays.std
    hidden = x @ np.asarray(params["hidden"][0]["kernel"])

    def loss(mean, variance):
        y = np.maximum((hidden - np.asarray(mean)) / np.sqrt(np.asarray(variance) + 1e-5), 0)
        logits = y @ np.asarray(params["readout"]["kernel"])
        return np.asarray(classification(logits, labels, weights).loss)

    sums, after = task.training_sums(
        params, state, arrays, inputs, labels, weights, Regularisation()
    )
    real = hidden[weights > 0]
    mean, variance = real.mean(axis=0), real.var(axis=0)
    np.testing.assert_allclose(sums.loss, loss(mean, variance), rtol=1e-12)
    moved = after["norms"][0]
    np.testing.assert_allclose(moved["mean"], 0.1 * mean, rtol=1e-12)
    np.testing.assert_allclose(moved["variance"], 0.9 + 0.1 * variance, rtol=1e-12)
    sums, _ = task.evaluation_sums(params, after, arrays, inputs, labels, weights)
    np.testing.assert_allclose(sums.loss, loss(**moved), rtol=1e-12)


@pytest.mark.parametrize("name", ["lstm", "transformer"])
def test_a_language_model_counts_tokens(make_dataset, name):
    data = make_dataset((6,), "tokens", classes=5, per_position=True)
    task, _ = make_task(data, ModelChoice(name, width=16, depth=1))
    arrays = to_arrays(data)
    tokens, labels = arrays.train
    prepared = task.prepare(arrays, jnp.asarray(tokens))
    assert prepared.dtype == np.int32
    np.testing.assert_array_equal(prepared, tokens)
    params, state = jax.jit(task.model.init)(jax.random.key(0))
    weights = np.resize(np.float32([1, 0, 1]), len(labels))
    sums, predictions = jax.jit(task.evaluation_sums)(
        params, state, arrays, tokens, labels, weights
    )
    assert predictions.shape == labels.shape == (9, 6)
    assert predictions.dtype == np.int32
    assert float(sums.weight) == 6 * 6
    hits = (np.asarray(predictions) == labels).sum(axis=1) @ weights
    assert float(sums.correct) == hits
    arguments = (arrays, tokens, labels, weights, Regularisation())
    trained, after = jax.jit(task.training_sums)(params, state, *arguments)
    np.testing.assert_allclose(trained, np.array(sums), rtol=1e-6)
    assert after == {}


N, CLASSES = 6000, 10


@pytest.fixture(scope="module")
def redraw():
    """redraw(rate, index=…, labels=…, seed=…) -> noisy labels of a ten-class task, as numpy."""
    settings = Settings((3,), "vector", CLASSES, 0, False, 128, 1, "none", True, "float32")
    task = Task(Model("mlp", settings), "vector")

    @jax.jit
    def apply(key, index, labels, rate):
        keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(index)
        return task.noisy_labels(keys, labels, rate)

    def call(rate, index=None, labels=None, seed=0):
        index = np.arange(N, dtype=np.int32) if index is None else index
        labels = (index % CLASSES).astype(np.int32) if labels is None else labels
        noisy = apply(jax.random.key(seed), index, labels, np.float32(rate))
        assert noisy.dtype == labels.dtype
        return np.asarray(noisy)

    return call


CLEAN = np.arange(N, dtype=np.int32) % CLASSES


def binomial_limits(trials, chance):
    return stats.binom.ppf([SURE / 2, 1 - SURE / 2], trials, chance)


def test_no_label_noise_is_the_identity(redraw):
    np.testing.assert_array_equal(redraw(0), CLEAN)


@pytest.mark.parametrize("rate", [0.05, 0.4, 1])
def test_labels_are_wrong_at_the_rate_less_those_right_by_luck(redraw, rate):
    noisy = redraw(rate)
    wrong = noisy != CLEAN
    low, high = binomial_limits(N, rate * (1 - 1 / CLASSES))
    assert low <= wrong.sum() <= high
    assert high < N * rate or rate < 0.1, "too few to tell luck from none"
    # Every class loses as many, and the wrong labels lie anywhere but on the right one.
    low, high = binomial_limits(N // CLASSES, rate * (1 - 1 / CLASSES))
    lost = np.bincount(CLEAN[wrong], minlength=CLASSES)
    assert ((low <= lost) & (lost <= high)).all()
    distance = np.bincount((noisy - CLEAN)[wrong] % CLASSES, minlength=CLASSES)
    assert distance[0] == 0
    assert stats.chisquare(distance[1:]).pvalue > SURE


def test_a_redrawn_label_depends_on_the_index_alone(redraw):
    noisy = redraw(0.4)
    order = np.random.default_rng(0).permutation(N).astype(np.int32)
    np.testing.assert_array_equal(redraw(0.4, index=order), noisy[order])
    part = order[: N // 4]
    np.testing.assert_array_equal(redraw(0.4, index=part), noisy[part])
    # Nor on the label: what is redrawn, and as what, stays.
    shifted = redraw(0.4, labels=(CLEAN + 1) % CLASSES)
    redrawn = shifted != (CLEAN + 1) % CLASSES
    np.testing.assert_array_equal(noisy[redrawn], shifted[redrawn])
    np.testing.assert_array_equal(redraw(1, labels=CLEAN * 0), redraw(1))


def test_another_key_spoils_other_labels(redraw):
    first, second = (redraw(0.4, seed=seed) != CLEAN for seed in (0, 1))
    low, high = binomial_limits(N, 0.36**2)
    assert low <= np.sum(first & second) <= high


@pytest.mark.parametrize("rate", [0.05, 0.4])
def test_tokens_of_a_sequence_are_redrawn_one_by_one(redraw, rate):
    clean = (np.arange(N)[:, None] + np.arange(8)[None]) % CLASSES
    noisy = redraw(rate, labels=clean.astype(np.int32))
    wrong = noisy != clean
    assert noisy.shape == (N, 8)
    low, high = binomial_limits(N, rate * (1 - 1 / CLASSES))
    assert ((low <= wrong.sum(axis=0)) & (wrong.sum(axis=0) <= high)).all()
    # Independently: the number of wrong tokens in a window is binomial.
    expected = N * stats.binom.pmf(np.arange(9), 8, rate * (1 - 1 / CLASSES))
    observed = np.bincount(wrong.sum(axis=1), minlength=9)
    common = expected >= 5
    pooled = [np.append(c[common], c[~common].sum()) for c in (observed, expected)]
    assert stats.chisquare(*pooled).pvalue > SURE
    order = np.random.default_rng(0).permutation(N).astype(np.int32)
    again = redraw(rate, index=order, labels=clean[order].astype(np.int32))
    np.testing.assert_array_equal(again, noisy[order])
