"""One cell in the style of Flax's own MNIST example: a process, a jitted step, a Python loop.

python benchmarks/peers/flax_cell.py cnn_small DATA.npz 64 0.1
"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import optax
from flax import nnx

sys.path.insert(0, str(Path(__file__).parents[1]))
from workloads import WORKLOADS

MOMENTUM = 0.9


class CNN(nnx.Module):
    """Two convolutions with pooling, two dense layers."""

    def __init__(self, side: int, classes: int, rngs: nnx.Rngs):
        """Builds the layers for images of `side` pixels."""
        self.first = nnx.Conv(1, 8, (3, 3), rngs=rngs)
        self.second = nnx.Conv(8, 16, (3, 3), rngs=rngs)
        self.dense = nnx.Linear((side // 4) ** 2 * 16, 32, rngs=rngs)
        self.readout = nnx.Linear(32, classes, rngs=rngs)

    def __call__(self, x):
        """Maps images (n, side, side) to logits."""
        for convolution in (self.first, self.second):
            x = x[..., None] if x.ndim == 3 else x
            x = nnx.max_pool(nnx.relu(convolution(x)), (2, 2), strides=(2, 2))
        return self.readout(nnx.relu(self.dense(x.reshape(x.shape[0], -1))))


class MLP(nnx.Module):
    """One hidden layer."""

    def __init__(self, side: int, classes: int, rngs: nnx.Rngs):
        """Builds the layers for images of `side` pixels."""
        self.hidden = nnx.Linear(side**2, 128, rngs=rngs)
        self.readout = nnx.Linear(128, classes, rngs=rngs)

    def __call__(self, x):
        """Maps images (n, side, side) to logits."""
        return self.readout(nnx.relu(self.hidden(x.reshape(x.shape[0], -1))))


MODELS: dict[str, Callable] = {"cnn_small": CNN, "mlp": MLP}


def loss_and_logits(model, inputs, labels):
    """Mean cross-entropy, and the logits."""
    logits = model(inputs)
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean(), logits


@nnx.jit
def train_step(model, optimizer, metrics, inputs, labels):
    """One update."""
    gradient_of = nnx.value_and_grad(loss_and_logits, has_aux=True)
    (loss, logits), gradients = gradient_of(model, inputs, labels)
    metrics.update(loss=loss, logits=logits, labels=labels)
    optimizer.update(model, gradients)


@nnx.jit
def evaluation_step(model, metrics, inputs, labels):
    """One batch of an evaluation."""
    loss, logits = loss_and_logits(model, inputs, labels)
    metrics.update(loss=loss, logits=logits, labels=labels)


def main(name: str, path: str, batch_size: int, rate: float) -> None:
    """Trains the cell, evaluates every epoch, prints its test accuracy."""
    data = np.load(path)
    inputs, labels = data["train_x"], data["train_y"]
    model = MODELS[name](inputs.shape[1], int(labels.max()) + 1, nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.sgd(rate, MOMENTUM), wrt=nnx.Param)
    metrics = nnx.MultiMetric(accuracy=nnx.metrics.Accuracy(), loss=nnx.metrics.Average("loss"))
    random = np.random.default_rng(0)
    for _ in range(WORKLOADS[name].epochs):
        order = random.permutation(len(labels))
        for begin in range(0, len(labels) - batch_size + 1, batch_size):  # drops the remainder
            index = order[begin : begin + batch_size]
            train_step(model, optimizer, metrics, inputs[index], labels[index])
        metrics.reset()
        evaluation_step(model, metrics, data["validation_x"], data["validation_y"])
    metrics.reset()
    evaluation_step(model, metrics, data["test_x"], data["test_y"])
    print(float(metrics.compute()["accuracy"]))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
