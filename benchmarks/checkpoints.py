"""Thirty-two networks whose curvature is measured: the same weights and data for every side.

Large ones, 784-128-10 over all images of a file, keep a core busy with matrix products, in which
nobody is much faster than anybody else. Small ones, 49-64-10 over a thousand images averaged down
to 7×7, are of the size that sweeps on laptops train: there it counts what is done in between.
"""

from collections.abc import Iterator

import numpy as np

COUNT = 32
SIZES = {"large": (784, 128, 10), "small": (49, 64, 10)}


def examples(path: str, size: str) -> tuple[np.ndarray, np.ndarray]:
    """Training inputs and labels from a workload's file: all of them, or small and few."""
    arrays = np.load(path)
    inputs, labels = arrays["train_x"], arrays["train_y"]
    if size == "large":
        return inputs, labels
    blocks = inputs[:1000].reshape(-1, 7, 4, 7, 4)
    return np.ascontiguousarray(blocks.mean((2, 4))), labels[:1000]


def checkpoints(size: str) -> Iterator[dict[str, np.ndarray]]:
    """Weights from N(0, 2 / inputs), small biases, one seed a network; float32."""
    inputs, hidden, classes = SIZES[size]
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
