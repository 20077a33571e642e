from collections import Counter

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, dijkstra

from minima.tasks.datasets import load, roads

SETTINGS = roads.Settings()


@pytest.fixture(scope="module")
def town():
    return load("roads")


def test_the_roads_are_real_and_the_traffic_is_not(town):
    assert (town.kind, town.task, town.input_shape) == ("graph", "regression", (100, 2))
    assert town.stand_in
    assert "simulated" in town.source
    assert "BSD" in town.licence
    a, b = np.array(town.edges).T
    graph = csr_array((np.ones(len(a)), (a, b)), (100, 100))
    assert connected_components(graph, directed=False)[0] == 1
    assert max(Counter([*a, *b]).values()) <= 5
    assert abs(town.train.labels.mean()) < 0.1


def test_the_file_is_the_published_network():
    points, pairs = roads._read("", "roads")
    assert (points.shape, pairs.shape) == ((2642, 2), (3303, 2))
    a, b = pairs.T
    graph = csr_array((np.ones(len(a)), (a, b)), (2642, 2642))
    parts = connected_components(graph, directed=False)
    assert sorted(np.bincount(parts[1]).tolist()) == [2, 2640]


def test_times_are_the_shortest(town):
    rng = np.random.default_rng(0)
    minutes, stands = rng.random((3, 100)) + 0.1, rng.random((3, 100)) < 0.05
    stands[:, 0] = True
    found = roads.minutes_to_nearest(minutes, stands, town.edges)
    a, b = np.array(town.edges).T
    for row, stand, time in zip(minutes, stands, found, strict=True):
        graph = csr_array(((row[a] + row[b]) / 2, (a, b)), (100, 100))
        where = np.flatnonzero(stand)
        best = dijkstra(graph, directed=False, indices=where, min_only=True)
        np.testing.assert_allclose(time, best, rtol=1e-12)


def test_labels_follow_from_the_inputs(town):
    slowness, stands = np.moveaxis(town.test.inputs, 2, 0)
    times = roads.minutes_to_nearest(np.exp(slowness), stands > 0, town.edges).mean(axis=1)
    usual = times - town.test.labels
    np.testing.assert_allclose(usual, usual[0], atol=1e-5)


def test_a_rewired_map_is_another_with_as_many_roads_everywhere(town):
    other = load("roads_rewired")
    np.testing.assert_array_equal(other.test.inputs, town.test.inputs)
    np.testing.assert_array_equal(other.test.labels, town.test.labels)
    assert other.checksum != town.checksum
    degrees = [np.bincount(np.ravel(each.edges), minlength=100) for each in (town, other)]
    np.testing.assert_array_equal(*degrees)
    assert len({*other.edges}) == len(other.edges) == len(town.edges)
    assert len({*other.edges} & {*town.edges}) < 0.1 * len(town.edges)


def grid(**change):
    """A town of 12 by 12 blocks."""
    number = np.arange(144).reshape(12, 12)
    pairs = [
        np.stack([first.ravel(), second.ravel()], 1)
        for first, second in ((number[1:], number[:-1]), (number[:, 1:], number[:, :-1]))
    ]
    y, x = np.divmod(np.arange(144), 12)
    whole = {"xy": np.stack([x, y], 1), "edges": np.concatenate(pairs)}
    return {name: value for name, value in (whole | change).items() if value is not None}


def test_a_network_of_ones_own(tmp_path):
    np.savez(tmp_path / "town.npz", **grid())
    data = load(f"roads:{tmp_path / 'town.npz'}")
    assert (data.input_shape, data.stand_in) == ((100, 2), True)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"edges": None}, "lacks edges"),
        ({"xy": np.zeros(144)}, "xy has shape (144,)"),
        ({"edges": np.zeros((5, 3), int)}, "edges has shape (5, 3)"),
        ({"edges": np.array([[0, 144]])}, "0 to 144"),
        ({"edges": np.array([[0, 1]])}, "there must be 100"),
    ],
)
def test_files_that_do_not_fit(change, says, tmp_path, refusal):
    np.savez(tmp_path / "a.npz", **grid(**change))
    line = refusal(load, f"roads:{tmp_path / 'a.npz'}")
    assert line.startswith("--dataset 'roads:")
    assert says in line
