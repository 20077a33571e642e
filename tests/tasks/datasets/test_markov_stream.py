import jax
import numpy as np
import pytest
from scipy import stats

from minima.tasks.datasets import load, markov
from minima.tasks.datasets.dataset import Split
from minima.tasks.datasets.markov_stream import Draw

COUNT, WINDOW = 20_000, 32
SETTINGS = markov.Settings()


def keys(count):
    return jax.random.split(jax.random.key(0), count)


@pytest.fixture(scope="module")
def matrix():
    return markov.transition_matrix(SETTINGS)


@pytest.fixture(scope="module")
def drawn():
    inputs, labels = jax.jit(jax.vmap(Draw(WINDOW)))(keys(COUNT))
    return Split(np.asarray(inputs), np.asarray(labels))


def test_windows_look_as_those_of_markov_do(drawn):
    finite = load("markov", window=WINDOW).train
    assert (drawn.inputs.dtype, drawn.labels.dtype) == (finite.inputs.dtype, finite.labels.dtype)
    assert drawn.inputs.shape == drawn.labels.shape == (COUNT, WINDOW)
    np.testing.assert_array_equal(drawn.labels[:, :-1], drawn.inputs[:, 1:])


def test_the_source_itself_loses_the_entropy_at_every_position(matrix, drawn):
    entropy = load("markov_infinite").entropy
    each = -np.log(matrix[drawn.inputs, drawn.labels])
    error = each.mean(axis=1).std() / np.sqrt(COUNT)
    assert abs(each.mean() - entropy) < 2.5 * error < 0.01
    errors = each.std(axis=0) / np.sqrt(COUNT)
    assert np.abs((each.mean(axis=0) - entropy) / errors).max() < 4


def test_steps_are_as_probable_as_the_matrix_says(matrix, drawn):
    counts = np.zeros((16, 16))
    np.add.at(counts, (drawn.inputs, drawn.labels), 1)
    expected = counts.sum(axis=1, keepdims=True) * matrix
    assert stats.chisquare(counts, expected, axis=1).pvalue.min() > 0.01 / 16


def test_symbols_start_and_stay_stationary(matrix, drawn):
    expected = COUNT * markov.stationary(matrix)
    for position in (0, WINDOW - 1):
        counts = np.bincount(drawn.inputs[:, position], minlength=16)
        assert stats.chisquare(counts, expected).pvalue > 0.01


def test_neither_jit_nor_vmap_changes_anything(drawn):
    draw = Draw(WINDOW)
    for function in (draw, jax.jit(draw)):
        pairs = [function(key) for key in keys(COUNT)[:8]]
        np.testing.assert_array_equal([tokens for tokens, _ in pairs], drawn.inputs[:8])
        np.testing.assert_array_equal([labels for _, labels in pairs], drawn.labels[:8])


def test_keys_decide_and_differ(drawn):
    again, _ = jax.jit(jax.vmap(Draw(WINDOW)))(keys(COUNT))
    np.testing.assert_array_equal(again, drawn.inputs)
    assert len(set(map(bytes, drawn.inputs))) > COUNT - 10


def test_dtypes_hold_in_a_program_of_float64(drawn):
    with jax.enable_x64(True):
        tokens, labels = jax.jit(Draw(WINDOW))(keys(COUNT)[3])
    assert (tokens.dtype, labels.dtype) == (np.uint8, np.int32)
    np.testing.assert_array_equal(tokens, drawn.inputs[3])


def test_is_judged_on_the_windows_of_markov():
    infinite, finite = load("markov_infinite"), load("markov")
    assert infinite.checksum == finite.checksum
    assert infinite.entropy == finite.entropy
    assert (infinite.name, infinite.task) == ("markov_infinite", "language_model")
    assert finite.generator is None
    assert "without end" in infinite.source


def test_the_generator_is_equal_by_value_so_that_programs_are_shared():
    first, second = (load("markov_infinite", window=20).generator for _ in range(2))
    assert first == second == Draw(20)
    assert hash(first) == hash(second)
    assert first != load("markov_infinite", window=21).generator


def test_one_symbol_is_enough():
    tokens, labels = Draw(1)(jax.random.key(0))
    assert tokens.shape == labels.shape == (1,)


@pytest.mark.parametrize("window", [0, -3])
def test_refuses_empty_windows(window, refusal):
    assert refusal(load, "markov_infinite", window=window).startswith(f"--window {window}: ")


def test_refuses_a_number_of_test_examples(refusal):
    assert "does not apply" in refusal(load, "markov_infinite", test_examples=10)
