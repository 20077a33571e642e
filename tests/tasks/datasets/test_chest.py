import numpy as np
import pytest

from minima.tasks.datasets import chest, load

SMALL = chest.Settings(num_train=200, num_test=100)


def test_phantoms_are_labelled_so():
    for name, classes in (("chest", 2), ("chest_findings", 5)):
        data = load(name)
        assert (data.kind, data.input_shape, data.num_classes) == ("image", (28, 28), classes)
        assert data.stand_in
        assert "phantom" in data.source
        assert data.train.inputs.dtype == np.uint8


def test_pneumonia_is_brighter_lungs():
    images = chest.draw(400, SMALL, 5)
    lungs = images.inputs[:, 8:20, 6:11].mean(axis=(1, 2))
    well, ill = (lungs[images.labels == label] for label in (0, 1))
    error = np.sqrt(well.var() / len(well) + ill.var() / len(ill))
    assert ill.mean() - well.mean() > 4 * error
    assert ill.mean() - well.mean() < well.std()  # the mean alone tells few of them apart


def test_the_same_seed_draws_the_same():
    chest.draw.cache_clear()
    first = chest.draw(20, SMALL, 3)
    chest.draw.cache_clear()
    np.testing.assert_array_equal(first.inputs, chest.draw(20, SMALL, 3).inputs)
    assert (first.inputs != chest.draw(20, SMALL, 4).inputs).any()


def arrays(**change):
    grey = np.random.default_rng(0).integers(0, 256, (12, 28, 28)).astype(np.uint8)
    whole = {
        "train_images": grey[:8],
        "train_labels": (np.arange(8) % 2)[:, None],
        "test_images": grey[8:],
        "test_labels": (np.arange(4) % 2)[:, None],
    }
    return {name: value for name, value in (whole | change).items() if value is not None}


def test_medmnist_of_ones_own(tmp_path):
    np.savez(tmp_path / "pneumoniamnist.npz", val_images=np.zeros(3), **arrays())
    data = load(f"chest:{tmp_path / 'pneumoniamnist.npz'}", validation_fraction=0.25)
    assert [len(s) for s in (data.train, data.validation, data.test)] == [6, 2, 4]
    assert (data.stand_in, data.num_classes) == (False, 2)
    assert data.test.labels.tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"train_labels": None}, "lacks train_labels"),
        ({"test_images": np.zeros((4, 10, 10), np.uint8)}, "test_images"),
        ({"train_labels": np.zeros((8, 1), int)}, "train_labels holds only class 0"),
        ({"train_labels": np.zeros((8, 2), int)}, "train_labels has shape (8, 2)"),
    ],
)
def test_files_that_do_not_fit(change, says, tmp_path, refusal):
    np.savez(tmp_path / "a.npz", **arrays(**change))
    line = refusal(load, f"chest:{tmp_path / 'a.npz'}")
    assert line.startswith("--dataset 'chest:")
    assert says in line
