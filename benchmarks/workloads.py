"""The planes that are timed: what both sides train. Pure Python, so that peers can import it.

Rates are low, so that no cell diverges and all do the same work; times don't depend on their
values. Every epoch ends in a look at the validation set, every cell in one at the test set.
"""

import itertools
from dataclasses import dataclass

_POSITIONS = 64  # characters of a window
_VOCABULARY = 61  # of the four Gospels


@dataclass(frozen=True)
class Workload:
    """A plane of cells, and what training one example takes.

    Attributes:
      model: a `--model`, at the widths given below.
      dataset: a `--dataset` that ships with minima.
      batch_sizes, learning_rates: the plane; one seed.
      epochs: of every cell, and evaluations.
      forward: multiply-adds of matrix products in a forward pass of one example.
      inputs: of those, what reads the data itself, which needs no gradient.
    """

    model: str
    dataset: str
    batch_sizes: tuple[int, ...]
    learning_rates: tuple[float, ...]
    epochs: int
    forward: int
    inputs: int

    @property
    def cells(self) -> list[tuple[int, float]]:
        """(batch size, rate) of every cell."""
        return [(b, rate) for b in self.batch_sizes for rate in self.learning_rates]

    @property
    def flops(self) -> int:
        """Floating-point operations of matrix products per example, forwards and backwards."""
        return 2 * (3 * self.forward - self.inputs)


def _dense(*sizes: int) -> int:
    return sum(a * b for a, b in itertools.pairwise(sizes))


def _rates(count: int) -> tuple[float, ...]:
    return tuple(1e-4 * 2**k for k in range(count))


def _cnn_small() -> Workload:
    first, second = 14 * 14 * 9 * 1 * 8, 7 * 7 * 9 * 8 * 16
    forward = first + second + _dense(3 * 3 * 16, 32, 10)
    batch_sizes = (16, 32, 64, 128, 256, 512)
    return Workload("cnn_small", "fashion_mnist", batch_sizes, _rates(8), 5, forward, first)


def _mlp() -> Workload:
    batch_sizes = (32, 64, 128, 256, 512, 1024)
    forward, inputs = _dense(784, 128, 10), _dense(784, 128)
    return Workload("mlp", "fashion_mnist", batch_sizes, _rates(8), 10, forward, inputs)


def _lstm() -> Workload:
    # Looking a character up is no arithmetic, however it is done.
    step = _dense(64, 4 * 128) + _dense(128, 4 * 128) + _dense(128, _VOCABULARY)
    return Workload("lstm", "kjv", (16, 64, 256), _rates(2), 1, _POSITIONS * step, 0)


def _transformer() -> Workload:
    width, depth = 64, 2
    block = _dense(width, 3 * width) + width * width + 2 * _dense(width, 4 * width)
    attention = 2 * _POSITIONS * width  # scores and mixture, the masked half counted too
    step = depth * (block + attention) + _dense(width, _VOCABULARY)
    return Workload("transformer", "kjv", (16, 64, 256), _rates(2), 1, _POSITIONS * step, 0)


WORKLOADS = {work.model: work for work in (_cnn_small(), _mlp(), _lstm(), _transformer())}


def share(cells: list[tuple[int, float]], part: int, parts: int) -> list[tuple[int, float]]:
    """Every `parts`-th cell, so that processes get the same mix of batch sizes."""
    return cells[part::parts]
