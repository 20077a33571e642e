import hashlib

import numpy as np
import pytest

from minima.tasks.datasets import load
from minima.tasks.datasets.mnist1d import Settings, generate

# float32 inputs and int32 labels of the generator that its authors published; without the shuffle
# also of the file that they froze.
LABELS = (
    "349d9015145a182689d6949b2af9d6466831b99f440cbdba8d682094f0de89d0",
    "6d4fabd193f078c2517ef7786d602c5a2ddb8b66b407873f4e14c97b935d6dbd",
)
INPUTS = {
    False: (
        "d53506bddd12d3b72c7153b1ae7f34807724b1dd078a7273809bf9d0792319f6",
        "30addc43827c82aafa5db8bc97cea63349ca687e87db2f201cc4f5415d9a4ebd",
    ),
    True: (
        "c94aded3ac20330bce40bdf6306edca21558a1f13825c583ce522197c5fc9e0a",
        "19d43390a6c3f3a65221833218fd31f3db8420f5fc3285730ccdfd409508915e",
    ),
}


def digest(array, dtype):
    return hashlib.sha256(array.astype(dtype).tobytes()).hexdigest()


@pytest.mark.parametrize("shuffle", [False, True])
def test_equals_the_published_set_bit_for_bit(shuffle):
    splits = generate(Settings(shuffle_seq=shuffle))
    assert tuple(digest(split.inputs, "<f4") for split in splits) == INPUTS[shuffle]
    assert tuple(digest(split.labels, "<i4") for split in splits) == LABELS


def test_leaves_the_global_random_state_alone():
    before = np.random.get_state()[1].tolist()
    generate(Settings(num_samples=100))
    assert np.random.get_state()[1].tolist() == before


@pytest.mark.parametrize("name", ["mnist1d", "mnist1d_shuffled"])
def test_loads_by_name(name):
    dataset = load(name)
    assert [len(s) for s in (dataset.train, dataset.validation, dataset.test)] == [3200, 800, 1000]
    assert (dataset.name, dataset.kind) == (name, "signal")
    assert (dataset.input_shape, dataset.num_classes) == ((40,), 10)
    assert dataset.train.inputs.dtype == np.float32
    assert abs(dataset.mean) < 0.01
    assert abs(dataset.std - 1) < 0.01
    assert not dataset.stand_in


def test_the_shuffled_set_holds_the_same_values_in_one_other_order():
    plain, _ = generate(Settings())
    shuffled, _ = generate(Settings(shuffle_seq=True))
    order = [int(np.flatnonzero(plain.inputs[0] == value)[0]) for value in shuffled.inputs[0]]
    assert sorted(order) == list(range(40))
    np.testing.assert_allclose(shuffled.inputs, plain.inputs[:, order], atol=1e-6)


@pytest.mark.parametrize("name", ["mnist1d", "mnist1d_shuffled"])
def test_a_larger_test_set_leaves_training_bits_alone(name):
    published, larger = load(name), load(name, test_examples=3000)
    for split in ("train", "validation"):
        for field in ("inputs", "labels"):
            np.testing.assert_array_equal(
                getattr(getattr(published, split), field), getattr(getattr(larger, split), field)
            )
    assert (published.mean, published.std) == (larger.mean, larger.std)
    assert published.checksum != larger.checksum
    assert "3000 fresh" in larger.source


@pytest.mark.parametrize("shuffle", [False, True])
def test_fresh_test_signals_are_new_but_alike(shuffle):
    train, test = generate(Settings(shuffle_seq=shuffle), test_examples=6000)
    assert not set(map(bytes, train.inputs)) & set(map(bytes, test.inputs))
    assert np.bincount(test.labels).tolist() == [600] * 10
    assert abs(test.inputs.mean() - train.inputs.mean()) < 0.02
    assert abs(test.inputs.std() - train.inputs.std()) < 0.02
    for label in range(10):
        mine, theirs = (s.inputs[s.labels == label].mean(axis=0) for s in (train, test))
        assert np.abs(mine - theirs).max() < 0.4  # six standard errors


def test_fresh_test_signals_carry_their_labels():
    # Nearest neighbours in train agree far beyond chance, on published and on fresh signals.
    train, published = generate(Settings())
    _, fresh = generate(Settings(), test_examples=500)
    for test in (published, fresh):
        products = test.inputs[:500] @ train.inputs.T
        distances = (train.inputs**2).sum(axis=1) - 2 * products
        hits = train.labels[distances.argmin(axis=1)] == test.labels[:500]
        assert 0.35 < hits.mean() < 0.7


def test_a_larger_test_set_begins_with_the_smaller():
    small, large = (generate(Settings(), n)[1] for n in (7, 30))
    np.testing.assert_array_equal(small.inputs, large.inputs[:7])
    np.testing.assert_array_equal(small.labels, large.labels[:7])


def test_one_test_example_is_enough():
    assert len(load("mnist1d", test_examples=1).test) == 1


@pytest.mark.parametrize("count", [-1, 100_001, 10**12])
def test_refuses_impossible_numbers_of_test_examples(count, refusal):
    line = refusal(load, "mnist1d", test_examples=count)
    assert line.startswith(f"--test_examples {count}: must be 1 .. 100000")
