import numpy as np
import pytest

from minima.tasks.datasets import load, markov

SETTINGS = markov.Settings()


@pytest.fixture(scope="module")
def matrix():
    return markov.transition_matrix(SETTINGS)


def losses(matrix, split):
    return -np.log(matrix[split.inputs, split.labels])


def test_the_source_is_what_it_was():
    dataset = load("markov")
    assert [len(s) for s in (dataset.train, dataset.validation, dataset.test)] == [
        16000,
        4000,
        4000,
    ]
    assert dataset.checksum == "d68365b40a3295492b70760755e9cd1338ae607564155c72e1b47b74422b55df"
    assert dataset.entropy == pytest.approx(1.928542942710202, rel=1e-12)
    assert (dataset.kind, dataset.task) == ("tokens", "language_model")
    assert (dataset.input_shape, dataset.num_classes) == ((64,), 16)
    assert (dataset.train.inputs.dtype, dataset.train.labels.dtype) == (np.uint8, np.int32)
    assert (dataset.mean, dataset.std, dataset.vocabulary) == (0, 1, None)
    assert not dataset.stand_in


def test_rows_are_exact_probabilities_from_flat_to_peaked(matrix):
    assert (matrix.sum(axis=1) == 1).all()
    assert (matrix.min(), matrix.min(axis=1).max()) == (1 / 64, 1 / 64)
    entropies = -(matrix * np.log(matrix)).sum(axis=1)
    assert entropies[0] > 2.5 > 1.7 > entropies[-1]


def test_the_stationary_distribution_stays_as_it_is(matrix):
    stationary = markov.stationary(matrix)
    assert stationary.sum() == pytest.approx(1, abs=1e-14)
    np.testing.assert_allclose(stationary @ matrix, stationary, atol=1e-15)
    np.testing.assert_allclose(np.linalg.matrix_power(matrix, 200)[0], stationary, rtol=1e-12)


@pytest.mark.parametrize("p", [0.5, 0.25, 0.125])
def test_the_entropy_of_two_symbols_is_known_by_hand(p):
    # From 0 to 1 with probability p, back with 1/2: stationary (1/2, p) / (1/2 + p).
    matrix = np.array([[1 - p, p], [0.5, 0.5]])
    flip = -p * np.log(p) - (1 - p) * np.log(1 - p)
    expected = (0.5 * flip + p * np.log(2)) / (0.5 + p)
    assert markov.conditional_entropy(matrix) == pytest.approx(expected, rel=1e-13)


def test_the_source_itself_loses_its_entropy_at_every_position(matrix):
    dataset = load("markov", validation_fraction=0)
    for split in (dataset.train, dataset.test):
        each = losses(matrix, split)
        error = each.mean(axis=1).std() / np.sqrt(len(each))
        assert abs(each.mean() - dataset.entropy) < 2.5 * error < 0.01
        by_position = each.mean(axis=0) - dataset.entropy
        errors = each.std(axis=0) / np.sqrt(len(each))
        assert np.abs(by_position / errors).max() < 4
        assert abs(by_position[0] / errors[0]) < 2.5


def test_seeds_scatter_about_the_entropy_as_they_should():
    scores = []
    for seed in range(0, 200, 4):
        settings = markov.Settings(num_train=10, num_test=300, seed=seed)
        dataset = markov.load_markov(settings, 32, 0)
        each = losses(markov.transition_matrix(settings), dataset.test).mean(axis=1)
        scores.append((each.mean() - dataset.entropy) / (each.std() / np.sqrt(len(each))))
    assert abs(np.mean(scores)) < 3 / np.sqrt(len(scores))
    assert 0.7 < np.std(scores) < 1.4


def test_no_model_can_do_better_than_the_entropy(matrix):
    # Counting pairs in the training windows is the best fit of this form; on test it pays for it.
    dataset = load("markov", validation_fraction=0)
    counts = np.zeros((16, 16))
    np.add.at(counts, (dataset.train.inputs, dataset.train.labels), 1)
    fitted = counts / counts.sum(axis=1, keepdims=True)
    test = losses(fitted, dataset.test).mean()
    assert 0 < test - losses(matrix, dataset.test).mean() < 0.001


def test_symbols_start_and_stay_stationary(matrix):
    inputs = load("markov", validation_fraction=0).train.inputs
    stationary = markov.stationary(matrix)
    for position in (0, 63):
        shares = np.bincount(inputs[:, position], minlength=16) / len(inputs)
        errors = np.sqrt(stationary * (1 - stationary) / len(inputs))
        assert (np.abs(shares - stationary) < 4 * errors).all()


def test_longer_windows_begin_with_the_shorter_ones():
    short, long = (load("markov", window=window).test for window in (8, 64))
    np.testing.assert_array_equal(long.inputs[:, :8], short.inputs)


def test_train_and_test_share_no_window():
    dataset = load("markov")
    train = set(map(bytes, dataset.train.inputs)) | set(map(bytes, dataset.validation.inputs))
    assert not train & set(map(bytes, dataset.test.inputs))
