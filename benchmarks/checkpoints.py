"""Thirty-two networks 784-128-10 whose curvature is measured: the same weights for every side."""

from collections.abc import Iterator

import numpy as np

COUNT = 32
SIZES = (784, 128, 10)


def checkpoints() -> Iterator[dict[str, np.ndarray]]:
    """Weights from N(0, 2 / inputs), small biases, one seed a network; float32."""
    inputs, hidden, classes = SIZES
    for seed in range(COUNT):
        random = np.random.default_rng(seed)

        def normal(*shape: int, scale: float, random: np.random.Generator = random) -> np.ndarray:
            return (scale * random.normal(size=shape)).astype(np.float32)

        yield {
            "w1": normal(inputs, hidden, scale=(2 / inputs) ** 0.5),
            "b1": normal(hidden, scale=0.1),
            "w2": normal(hidden, classes, scale=(2 / hidden) ** 0.5),
            "b2": normal(classes, scale=0.1),
        }
