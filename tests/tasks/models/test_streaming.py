"""One token at a time gives what the whole model gives, and remembers what it must."""

import jax
import numpy as np
import pytest
from flax import nnx

from minima.tasks.models import Settings, architecture
from minima.tasks.models.streaming import size, start, step

N, LENGTH, SYMBOLS = 2, 7, 5


@pytest.mark.parametrize("name", ["rnn", "gru", "lstm", "transformer"])
def test_logits_are_those_of_the_whole(name):
    with jax.enable_x64(True):
        norm = "layer" if name == "transformer" else "none"
        settings = Settings(
            (LENGTH,), "tokens", SYMBOLS, SYMBOLS, True, 16, 2, norm, True, "float64"
        )
        module = architecture(name).build(settings, rngs=nnx.Rngs(params=0))
        tokens = np.random.default_rng(0).integers(0, SYMBOLS, (N, LENGTH))
        whole, memory, sizes = module(tokens), start(module, N), []
        for t in range(LENGTH):
            memory, logits = step(module, memory, tokens[:, t])
            np.testing.assert_allclose(logits, whole[:, t], rtol=0, atol=1e-12)
            sizes.append(size(memory))
        arrays = {"rnn": 1, "gru": 1, "lstm": 2}
        if name == "transformer":  # keys and values of two blocks
            assert sizes == [8 * N * 16 * 2 * 2 * (t + 1) for t in range(LENGTH)]
        else:
            assert sizes == [8 * N * 16 * arrays[name] * 2] * LENGTH
