import subprocess
import sys

import pytest

from minima.tasks.datasets import NAMES, load


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("fashion-mnist", "fashion_mnist"),
        ("FashionMNIST", "fashion_mnist"),
        ("fashion_mnst", "fashion_mnist"),
        ("mnist1d_shufled", "mnist1d_shuffled"),
        ("MNIST-1D", "mnist1d"),
        ("data/mine.npz", "'npz:data/mine.npz'"),
        ("mine.txt", "'text:mine.txt'"),
        ("CIFAR-10", "cifar10"),
        ("mnist-full", "fashion_mnist_full"),
        ("KJV", "kjv"),
    ],
)
def test_guesses_what_was_meant(name, meant, refusal):
    line = refusal(load, name)
    assert line.startswith(f"--dataset {name!r}: is not known")
    assert f"did you mean {meant}?" in line


@pytest.mark.parametrize("name", ["", "imagenet", "two\nlines", "npz"])
def test_lists_what_there_is(name, refusal):
    line = refusal(load, name)
    for known in NAMES:
        assert known in line


@pytest.mark.parametrize(
    "name", ["mnist1d", "mnist1d_shuffled", "npz:a.npz", "text:a.txt", "kjv", "markov"]
)
def test_data_dir_is_for_published_images_alone(name, refusal):
    assert refusal(load, name, data_dir="d").startswith("--data_dir 'd': does not apply")


@pytest.mark.parametrize("name", ["fashion_mnist", "npz:a.npz", "kjv", "markov"])
@pytest.mark.parametrize("count", [10, -1])
def test_test_examples_is_for_mnist1d_alone(name, count, refusal):
    line = refusal(load, name, test_examples=count)
    assert line.startswith(f"--test_examples {count}: does not apply")


@pytest.mark.parametrize("name", ["fashion_mnist", "mnist", "cifar10", "mnist1d", "npz:a.npz"])
def test_window_is_for_sequences_of_tokens_alone(name, refusal):
    line = refusal(load, name, window=32)
    assert line.startswith("--window 32: does not apply")
    assert (
        "only to kjv, markov, markov_infinite, ambient, adding, copying, needle:DISTANCE, text:PATH"
        in line
    )


@pytest.mark.parametrize(
    "name", ["fashion_mnist", "mnist1d", "kjv", "markov", "mnist1d_infinite", "adding", "copying"]
)
@pytest.mark.parametrize("fraction", [1.0, -0.5, float("nan"), 1e-9])
def test_refuses_fractions_that_do_not_fit(name, fraction, refusal):
    line = refusal(load, name, validation_fraction=fraction)
    assert line.startswith(f"--validation_fraction {fraction}: ")


@pytest.mark.parametrize(
    "name", ["fashion_mnist", "mnist1d", "kjv", "markov", "mnist1d_infinite", "markov_infinite"]
)
def test_loading_twice_gives_the_same(name):
    assert load(name).checksum == load(name).checksum


def test_a_part_of_the_training_set():
    whole, part = load("mnist1d"), load("mnist1d", train_examples=100)
    assert (len(part.train), len(part.validation)) == (100, len(whole.validation))
    assert part.test.labels.sum() == whole.test.labels.sum()
    assert load("mnist1d", train_examples=3200).checksum == whole.checksum


def test_endless_data_have_no_part(refusal):
    line = refusal(load, "mnist1d_infinite", train_examples=100)
    assert line.startswith("--train_examples=100: --dataset=mnist1d_infinite draws")


def test_importing_needs_numpy_alone():
    code = (
        "import sys, minima.tasks.datasets as d; d.load('mnist1d');"
        "sys.exit(', '.join({'jax', 'scipy', 'flax', 'matplotlib'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
