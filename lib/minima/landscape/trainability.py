"""Which pairs of learning rates train a small network: the picture, and how rough its edge is.

Sohl-Dickstein 2024 (arXiv:2402.06184): one hidden layer, a rate for each layer as axes, full batch.
The edge between the pairs that train and those that do not is a fractal.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from minima.landscape.precision import arithmetic

_BLOCK = 64  # networks under one vmap: they share an early end
_TAIL = 20  # last losses whose mean decides
_LOST = 1e6  # of the first loss: a network beyond it is not coming back

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
# Updates made, (hidden, readout) weights, sums of late losses, which have not diverged.
_State = tuple[Any, tuple[jax.Array, jax.Array], jax.Array, jax.Array]


class Window(NamedTuple):
    """A square of the plane of rates: log10 of the first layer's (x) and the read-out's (y)."""

    x: float
    y: float
    side: float

    def rates(self, pixels: int) -> tuple[Floats, Floats]:
        """(pixels,) rates along either axis, rising, at the middles of the pixels."""
        steps = ((np.arange(pixels) + 0.5) / pixels - 0.5) * self.side
        return 10 ** (self.x + steps), 10 ** (self.y + steps)

    def zoomed(self, trains: Bools, factor: float) -> "Window":
        """A smaller window around the place of the edge that is nearest to the middle.

        Raises:
          ValueError: there is no edge in (pixels, pixels) `trains`.
        """
        rows, columns = np.nonzero(edge(trains))
        if not len(rows):
            raise ValueError("all pairs of rates train, or none does")
        pixels = len(trains)
        away = (rows - pixels / 2) ** 2 + (columns - pixels / 2) ** 2
        at = int(np.argmin(away))
        pixel = self.side / pixels
        middle = [pixel * (place[at] + 1 - pixels / 2) for place in (columns, rows)]
        return Window(self.x + middle[0], self.y + middle[1], self.side / factor)


class Problem(NamedTuple):
    """Data and initial weights; as many examples as weights."""

    inputs: jax.Array
    targets: jax.Array
    hidden: jax.Array
    readout: jax.Array


def make_problem(width: int, seed: int) -> Problem:
    """Standard normal data and weights, float64: (n, width), (n,), (width, width), (width,)."""
    random, n = np.random.RandomState(seed), width * width + width
    shapes = (n, width), (n,), (width, width), (width,)
    drawn: list[Any] = [random.standard_normal(shape) for shape in shapes]  # NumPy keeps 64 bits
    return Problem(*drawn)


def picture(problem: Problem, window: Window, pixels: int, steps: int) -> Floats:
    """How every pair of rates ends: (pixels, pixels), rows by the read-out's rate.

    The mean of the last 20 losses over the first loss: below 1 it trains; inf where it diverges.
    One program, float64, networks in blocks that end together once all have diverged.
    """
    hidden, readout = np.meshgrid(*window.rates(pixels))
    pairs = np.stack([hidden.ravel(), readout.ravel()], axis=1)
    missing = -len(pairs) % _BLOCK
    padded = np.concatenate([pairs, np.repeat(pairs[-1:], missing, axis=0)])
    with arithmetic("float64"):
        found = np.asarray(_program(steps)(problem, padded.reshape(-1, _BLOCK, 2)))
    return found.ravel()[: len(pairs)].reshape(pixels, pixels)


def output(problem: Problem, hidden: jax.Array, readout: jax.Array) -> jax.Array:
    """(n,) of a tanh network in the mean-field scaling: readout · tanh(hidden x / √n) / n."""
    width = len(readout)
    return jnp.tanh(problem.inputs @ hidden.T / jnp.sqrt(width)) @ readout / width


def edge(trains: Bools) -> Bools:
    """Pixels that differ from the one at their right or above: the boundary, one pixel thin."""
    found = np.zeros_like(trains)
    found[:, :-1] |= trains[:, :-1] != trains[:, 1:]
    found[:-1] |= trains[:-1] != trains[1:]
    return found


def box_counts(marked: Bools) -> tuple[Floats, Floats]:
    """How many boxes of side 1, 2, 4, … up to an eighth of the picture hold a marked pixel.

    Args:
      marked: (pixels, pixels), pixels a power of two and at least 16.

    Returns:
      (k,) sides, and (k,) counts.
    """
    pixels = len(marked)
    if pixels < 16 or pixels & (pixels - 1):
        raise ValueError(f"{pixels} pixels a side: must be a power of two, at least 16")
    sides, counts, side = [], [], 1
    while side <= pixels // 8:
        boxes = marked.reshape(pixels // side, side, pixels // side, side)
        sides.append(side)
        counts.append(np.count_nonzero(boxes.any(axis=(1, 3))))
        side *= 2
    return np.array(sides, np.float64), np.array(counts, np.float64)


def dimension(marked: Bools) -> float:
    """The box-counting dimension: the falling slope of log count by log side; NaN for no mark."""
    sides, counts = box_counts(marked)
    if not counts.all():
        return float("nan")
    return float(-np.polyfit(np.log(sides), np.log(counts), 1)[0])


@functools.cache
def _program(steps: int) -> Callable[[Problem, Floats], jax.Array]:
    """(problem, (blocks, _BLOCK, 2) rates) to (blocks, _BLOCK) relative last losses."""

    def loss(weights: tuple[jax.Array, jax.Array], problem: Problem) -> jax.Array:
        return jnp.mean(jnp.square(output(problem, *weights) - problem.targets))

    slope = jax.vmap(jax.value_and_grad(loss), in_axes=(0, None))

    def block(problem: Problem, rates: jax.Array) -> jax.Array:
        start = problem.hidden, problem.readout
        first = loss(start, problem)
        weights = jax.tree.map(lambda w: jnp.broadcast_to(w, (_BLOCK, *w.shape)), start)

        def goes_on(state: _State) -> jax.Array:
            step, _, _, alive = state
            return (step < steps) & alive.any()

        def advance(state: _State) -> _State:
            step, (hidden, readout), tail, alive = state
            value, (by_hidden, by_readout) = slope((hidden, readout), problem)
            alive = alive & (value < _LOST * first)  # a NaN compares false
            hidden = hidden - rates[:, 0, None, None] * by_hidden
            readout = readout - rates[:, 1, None] * by_readout
            late = jnp.where(step >= steps - _TAIL, value, 0.0)
            return step + 1, (hidden, readout), tail + late, alive

        zeros, ones = jnp.zeros(_BLOCK), jnp.ones(_BLOCK, bool)
        _, _, tail, alive = jax.lax.while_loop(goes_on, advance, (0, weights, zeros, ones))
        return jnp.where(alive, tail / min(steps, _TAIL) / first, jnp.inf)

    return jax.jit(lambda problem, blocks: jax.lax.map(lambda r: block(problem, r), blocks))
