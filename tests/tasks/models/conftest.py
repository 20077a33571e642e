"""A way to build any model, and what several files ask of its parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from minima.tasks.models import Model, Settings, architecture


@pytest.fixture(scope="session")
def quick():
    """jax.jit for what runs once or twice."""
    return jax.jit


@pytest.fixture(scope="session")
def build():
    """build(name, shape, classes, any field of Settings) -> Model; the rest as make_task has it."""

    def call(name, shape, classes=10, **fields):
        entry = architecture(name)
        values = {
            "input_shape": shape,
            "kind": "image" if len(shape) > 1 else "signal",
            "edges": ((0, 1), (1, 2), (0, 3)) if fields.get("kind") == "graph" else (),
            "num_classes": classes,
            "vocabulary": classes if fields.get("kind") == "tokens" else 0,
            "per_position": fields.get("kind") == "tokens",
            "width": entry.width,
            "depth": entry.depth,
            "norm": entry.norms[0],
            "positions": True,
            "parameter_dtype": "float32",
        }
        return Model(name, Settings(**(values | fields)))

    return call


@pytest.fixture(scope="session")
def flat():
    """flat(params) -> {"hidden.0.kernel": array, ...}."""

    def call(params):
        leaves, _ = jax.tree.flatten_with_path(params)
        return {".".join(str(part.key) for part in path): leaf for path, leaf in leaves}

    return call


@pytest.fixture(scope="session")
def perturbed():
    """perturbed(params) -> in float64, with biases off zero, so that one left out shows."""

    def call(params, seed=0):
        rng = np.random.default_rng(seed)
        return jax.tree.map(lambda x: np.asarray(x) + 0.1 * rng.normal(size=x.shape), params)

    return call


@pytest.fixture(scope="session")
def drawn():
    """drawn(model) -> (params, state) in float64, nothing at zero; faster than `init` by far."""

    def call(model, seed=0):
        rng = np.random.default_rng(seed)
        shapes, state = jax.eval_shape(model.init, jax.random.key(0))

        def normal(leaf):
            spread = leaf.shape[0] ** -0.5 if len(leaf.shape) == 2 else 0.3
            return spread * rng.normal(size=leaf.shape)

        # Running statistics as they start: means 0, variances 1.
        kept = jax.tree.map_with_path(
            lambda p, x: jnp.full(x.shape, 1.0 * ("var" in str(p))), state
        )
        return jax.tree.map(normal, shapes), kept

    return call


@pytest.fixture(scope="session")
def inputs_of():
    """inputs_of(model, n) -> tokens or normal variables, seeded, in float64."""

    def call(model, n, seed=1):
        rng, settings = np.random.default_rng(seed), model.settings
        if settings.kind == "tokens":
            return rng.integers(0, settings.vocabulary, (n, *settings.input_shape), np.int32)
        return rng.normal(size=(n, *settings.input_shape))

    return call
