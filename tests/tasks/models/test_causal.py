import jax
import numpy as np
import pytest

from minima.tasks.models.causal import receptive_field


@pytest.mark.parametrize("depth", [1, 2])
def test_a_logit_depends_on_its_receptive_field_alone(build, depth):
    length, field = 20, receptive_field(depth)
    model = build("cnn_causal", (length,), 7, kind="tokens", width=5, depth=depth)
    variables = model.init(jax.random.key(0))
    tokens = np.arange(length)[None] % 7
    before = np.asarray(model.apply(*variables, tokens)[0])[0]
    changed = tokens.copy()
    changed[0, 6] = (changed[0, 6] + 1) % 7
    after = np.asarray(model.apply(*variables, changed)[0])[0]
    moved = (before != after).any(axis=1)
    assert moved.tolist() == [6 <= t < 6 + field for t in range(length)]


def test_a_classifier_reads_the_last_position(build):
    whole = build("cnn_causal", (9,), 7, kind="tokens", width=4, depth=1)
    last = build("cnn_causal", (9,), 7, kind="tokens", width=4, depth=1, per_position=False)
    tokens = np.arange(18).reshape(2, 9) % 7
    variables = whole.init(jax.random.key(1))
    everywhere = np.asarray(whole.apply(*variables, tokens)[0])
    found = last.apply(*variables, tokens)[0]
    np.testing.assert_allclose(found, everywhere[:, -1], rtol=1e-5)
