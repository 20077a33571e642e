"""What language models write, token by token."""

import jax
import numpy as np
import pytest

from minima.sweep.samples import _sample
from minima.tasks.models import Model, Settings

VOCABULARY, WINDOW = 5, 6


@pytest.fixture(scope="module", params=["cnn_causal", "transformer"])
def writer(request):
    width = 16 if request.param == "transformer" else 4
    settings = Settings(
        (WINDOW,), "tokens", VOCABULARY, VOCABULARY, True, width, 1, "layer", True, "float32"
    )
    model = Model(request.param, settings)
    return model, model.init(jax.random.key(0))


def written(writer, length, begin=2, seed=0, temperature=1.0, count=3):
    model, variables = writer
    tokens = np.zeros((count, length), np.int32)
    tokens[:, :begin] = np.arange(begin) % VOCABULARY
    key = jax.random.key(seed)
    return np.asarray(_sample(model, begin, variables, tokens, key, np.float32(temperature)))


@pytest.mark.parametrize("length", [WINDOW + 1, WINDOW + 4])
def test_cold_sampling_is_the_likeliest_token_given_the_window_before(writer, length):
    model, variables = writer
    found = written(writer, length, temperature=1e-6, count=1)[0]
    assert found[:2].tolist() == [0, 1]
    for at in range(2, length):
        seen = found[max(0, at - WINDOW) : at]
        padded = np.zeros((1, WINDOW), np.int32)
        padded[0, : len(seen)] = seen
        logits = np.asarray(model.apply(*variables, padded)[0])[0, len(seen) - 1]
        assert found[at] == logits.argmax()


def test_tokens_are_drawn_as_often_as_predicted(writer):
    model, variables = writer
    found = written(writer, 3, begin=2, count=4000)
    assert (found[:, :2] == [0, 1]).all()
    prompt = np.zeros((1, WINDOW), np.int32)
    prompt[0, 1] = 1
    logits = np.asarray(model.apply(*variables, prompt)[0])[0, 1]
    expected = np.exp(logits) / np.exp(logits).sum()
    shares = np.bincount(found[:, 2], minlength=VOCABULARY) / len(found)
    np.testing.assert_allclose(shares, expected, atol=4 * np.sqrt(0.25 / len(found)))


def test_the_same_seed_writes_the_same(writer):
    first = written(writer, 9, seed=1)
    np.testing.assert_array_equal(first, written(writer, 9, seed=1))
    assert (first != written(writer, 9, seed=2)).any()
