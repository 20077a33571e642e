"""A dataset of any kind and shape."""

import jax
import numpy as np
import pytest

from minima.tasks.datasets.dataset import Split, assemble


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="session")
def make_dataset():
    """make_dataset(shape, kind, …) -> 9 + 3 + 5 random examples; per_position: a label a token."""

    def make(
        shape,
        kind="image",
        dtype=np.uint8,
        fraction=0.25,
        classes=3,
        per_position=False,
        names=None,
    ):
        def split(n, seed):
            rng = np.random.default_rng(seed)
            top = classes if kind == "tokens" else 256
            inputs = rng.integers(0, top, (n, *shape)).astype(dtype)
            labels = (
                rng.integers(0, classes, (n, *shape)) if per_position else np.arange(n) % classes
            )
            return Split(inputs, labels.astype(np.int32))

        return assemble(
            "made",
            split(12, 0),
            split(5, 1),
            num_classes=classes,
            kind=kind,
            validation_fraction=fraction,
            licence="none",
            source="made here",
            vocabulary=names,
        )

    return make
