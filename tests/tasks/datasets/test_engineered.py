"""Engineered features: shapes, closed forms of edges and moments, and what can't have them."""

import sys

import numpy as np
import pytest

from minima.tasks.datasets import engineered as engineered_
from minima.tasks.datasets import load
from minima.tasks.datasets.engineered import (
    BLOCK,
    CELL,
    ORIENTATIONS,
    engineered,
    gradients,
    statistics,
)

PER_BLOCK = BLOCK**2 * ORIENTATIONS


def test_images_become_vectors_in_all_three_splits(make_dataset):
    images = make_dataset((28, 28))
    features = engineered(images)
    wide = 6 * 6 * PER_BLOCK + 2 * 7 * 7
    assert features.train.inputs.shape == (9, wide)
    assert features.test.inputs.shape == (5, wide)
    assert (features.kind, features.input_shape) == ("vector", (wide,))
    assert np.array_equal(features.train.labels, images.train.labels)
    assert features.train.inputs.dtype == np.float32
    assert 0 <= features.train.inputs.min() < features.train.inputs.max() <= 1
    assert features.checksum != images.checksum
    assert features.mean == pytest.approx(features.train.inputs.mean(dtype=np.float64))
    # An image's own are the same whatever else is in the set.
    few = engineered(images.shortened(4)).train.inputs
    assert np.array_equal(few, features.train.inputs[:4])


@pytest.fixture
def forgetful():
    """What was engineered in a test is not remembered in the next."""
    yield
    engineered_._engineered.cache_clear()


def test_by_name_it_is_a_dataset_like_others(monkeypatch, forgetful):
    monkeypatch.setattr(engineered_, "gradients", lambda images: images[:, 0, :8])
    features = load("draw2:hog:fashion_mnist", train_examples=30)
    assert features.name == "draw2:hog:fashion_mnist"
    assert (features.kind, features.train.inputs.shape) == ("vector", (30, 8 + 2 * 7 * 7))
    images = load("draw2:fashion_mnist", train_examples=30)
    assert np.array_equal(features.train.labels, images.train.labels)


def test_gradients_see_the_orientation_of_an_edge_and_not_its_contrast():
    ramp = np.broadcast_to(np.linspace(0, 1, 16, dtype=np.float32), (16, 16))
    across, along, faint = gradients(np.stack([ramp, ramp.T, 0.3 * ramp]))
    strongest = [
        set(x.reshape(-1, ORIENTATIONS)[x.reshape(-1, ORIENTATIONS).any(1)].argmax(1))
        for x in (across, along)
    ]
    assert len(strongest[0]) == len(strongest[1]) == 1
    assert strongest[0] != strongest[1]
    assert np.allclose(across, faint, atol=1e-3)
    assert across.shape == (3 * 3 * PER_BLOCK,)


def test_a_plain_image_has_no_gradients():
    assert not gradients(np.full((2, 8, 8), 0.7, np.float32)).any()


def test_statistics_are_moments_of_cells_and_leave_a_remainder_out():
    rng = np.random.default_rng(0)
    images = rng.random((3, 9, 13)).astype(np.float32)
    found = statistics(images)
    assert found.shape == (3, 2 * 2 * 3)
    cells = [
        images[:, r * CELL : (r + 1) * CELL, c * CELL : (c + 1) * CELL].reshape(3, -1)
        for r in range(2)
        for c in range(3)
    ]
    wanted = [cell.mean(1) for cell in cells] + [cell.std(1) for cell in cells]
    assert np.allclose(found, np.stack(wanted, 1), atol=1e-6)


def test_colour_images_have_features_too(make_dataset):
    features = engineered(make_dataset((8, 12, 3)))
    assert features.input_shape == (2 * PER_BLOCK + 2 * 2 * 3 * 3,)
    assert len(features.validation) == 3


def test_signals_and_tiny_images_have_none(make_dataset, refusal):
    line = refusal(engineered, make_dataset((40,), "signal", np.float32))
    assert "holds signals; engineered features are of images" in line
    assert "at least 8×8 pixels" in refusal(engineered, make_dataset((6, 9)))


def test_without_scikit_image_one_line_says_what_to_install(monkeypatch, make_dataset, refusal):
    monkeypatch.setitem(sys.modules, "skimage.feature", None)
    line = refusal(engineered, make_dataset((16, 16)))
    assert "pip install 'minima[features]'" in line
