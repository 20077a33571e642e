"""Tasks with a structure, opinions on a graph and a queue in time, and structure taken away."""

import itertools

import numpy as np
import pytest

from minima.tasks.datasets import load
from minima.tasks.datasets.opinions import Settings, agreement, geometric_graph
from minima.tasks.datasets.queue import waiting


def test_friends_are_near_and_the_labels_are_quarters_of_a_count():
    data, settings = load("opinions"), Settings()
    points = np.random.RandomState(settings.seed).random_sample((settings.people, 2))
    for a, b in itertools.combinations(range(settings.people), 2):
        near = np.hypot(*(points[a] - points[b])) <= settings.reach
        assert near == ((a, b) in data.edges)
    opinions = data.train.inputs[:50, :, 0]
    for person, label in zip(opinions, data.train.labels[:50], strict=True):
        count = sum(1 if person[a] == person[b] else -1 for a, b in data.edges)
        z = count / np.sqrt(len(data.edges))
        assert label == sum(z > bound for bound in (-0.67448975, 0, 0.67448975))
    assert np.abs(np.bincount(data.train.labels) / len(data.train) - 0.25).max() < 0.03


def test_no_opinion_says_anything_about_the_label():
    data = load("opinions")
    opinions = data.train.inputs[..., 0]
    count = agreement(opinions, data.edges)
    correlations = [np.corrcoef(opinions[:, i], count)[0, 1] for i in range(opinions.shape[1])]
    assert np.abs(correlations).max() < 4.5 / np.sqrt(len(count))
    assert geometric_graph(Settings(seed=1)) != data.edges


def test_a_queue_is_never_below_nobody_nor_above_its_room():
    events = np.array([[-1, -1, 1, 1], [1, 1, 1, 1], [1, 1, 1, -1], [1, -1, -1, 1]])
    assert waiting(events, 2).tolist() == [2, 2, 1, 1]
    data = load("queue")
    found = np.where(data.train.inputs[:200] > 0, 1, -1)
    assert waiting(found, 4).tolist() == data.train.labels[:200].tolist()
    assert (np.bincount(data.test.labels) > 0.15 * len(data.test)).all()


@pytest.mark.parametrize(
    ("name", "sums", "checksum"),
    [
        ("opinions", (5_000, 64, 1), "7f75c24a"),
        ("queue", (5_000, 32), "577b4c99"),
        ("permuted:opinions", (5_000, 64, 1), "7494e132"),
    ],
)
def test_the_same_everywhere(name, sums, checksum):
    data = load(name)
    assert (len(data.train) + len(data.validation), *data.input_shape) == (4_000 + 1_000, *sums[1:])
    assert data.checksum.startswith(checksum)


def test_permuted_positions_hold_the_same_in_one_order():
    plain, other = load("queue"), load("permuted:queue")
    order = [int(np.flatnonzero((row == plain.train.inputs.T).all(1))[0])
             for row in other.train.inputs.T]  # fmt: skip
    assert sorted(order) == list(range(32))
    assert order != sorted(order)
    np.testing.assert_array_equal(plain.test.inputs[:, order], other.test.inputs)
    np.testing.assert_array_equal(plain.test.labels, other.test.labels)
    assert (plain.mean, other.name) == (other.mean, "permuted:queue")
    assert plain.checksum != other.checksum


def test_permuted_tokens_keep_what_follows_them():
    plain, other = load("markov", window=8), load("permuted:markov", window=8)
    assert (plain.train.inputs != other.train.inputs).any()
    counts = [
        np.bincount((part.train.inputs.astype(int) * 16 + part.train.labels).ravel())
        for part in (plain, other)
    ]
    np.testing.assert_array_equal(*counts)


def test_images_are_averaged_before_they_are_permuted(refusal):
    plain, other = (load(p + "fashion_mnist", image_size=14) for p in ("", "permuted:"))
    assert other.input_shape == (14, 14)
    same = [np.sort(x.train.inputs[:5].reshape(5, -1), axis=1) for x in (plain, other)]
    np.testing.assert_array_equal(*same)
    assert "use --image_size=14" in refusal(load("permuted:fashion_mnist").resized, 14)


def test_what_has_no_order_is_refused(refusal):
    assert refusal(load, "permuted:mnist1d_infinite").startswith(
        "--dataset=permuted:mnist1d_infinite: its examples are drawn one by one"
    )
    assert refusal(load, "permuted:mnits").startswith("--dataset 'mnits': is not known")
    assert refusal(load, "queue", image_size=4).startswith("--dataset 'queue': holds signals")
