"""What the sweeps tell: each network's losses on each task and length, at its own best rate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from minima.claims.evidence import Floats
from minima.record import results
from minima.record.results import Run
from minima.sweep.run import Prepared
from minima.tasks.datasets.memory import BASELINE, CHANCE
from parts.vanishing_gradients.config import ADDING, CLIPPING, VanishingConfig

FLOOR = {"adding": BASELINE, "copying": CHANCE}  # of what remembers nothing


@dataclass(frozen=True)
class Memory:
    """One network on one task of one length.

    Attributes:
      task, model, length: which.
      rate: chosen by validation loss on other seeds than those that report; `at` its index.
      losses: (seeds,) on the test set, of reporting seeds; NaN for runs that diverged.
      accuracy: (seeds,) in %: of sums within the tolerance, or of symbols recalled.
      examples: (evaluations,) seen.
      curves: (seeds, evaluations) validation loss.
    """

    task: str
    model: str
    length: int
    rate: float
    at: int
    losses: Floats
    accuracy: Floats
    examples: Floats
    curves: Floats

    @property
    def share(self) -> Floats:
        """(seeds,) the loss in units of what remembers nothing; above 1 as well."""
        return self.losses / FLOOR[self.task]


@dataclass(frozen=True)
class Explosion:
    """What gradient descent came to, with and without clipping.

    Attributes:
      rates: step sizes.
      clipped, free: (rates, seeds) test losses, NaN where a run diverged.
    """

    rates: tuple[float, ...]
    clipped: Floats
    free: Floats


def memories(prepared: Mapping[str, Prepared], config: VanishingConfig) -> list[Memory]:
    """Of every sweep but that on clipping, in their order."""
    return [
        _memory(name, results.load(each.whole), config)
        for name, each in prepared.items()
        if name != CLIPPING
    ]


def explosion(prepared: Mapping[str, Prepared]) -> Explosion:
    """Of the sweep on clipping."""
    run = results.load(prepared[CLIPPING].whole)
    losses = run.table("test_loss", failed=True)[0]  # (rates, clipped or not, seeds)
    losses = np.where(_diverged(run)[0], np.nan, losses)
    return Explosion(run.axes["learning_rate"], losses[:, 0], losses[:, 1])


def on(found: Sequence[Memory], task: str = ADDING, length: int = 0) -> list[Memory]:
    """Those of one task, at one length if it is given."""
    return [each for each in found if each.task == task and length in (0, each.length)]


def _memory(name: str, run: Run, config: VanishingConfig) -> Memory:
    task, model, length = name.split("/")
    seeds = np.array(run.axes["seed"])
    choosing = np.isin(seeds, config.memory.choosing_seeds)
    # Collapsed is who says the same of everything: on these tasks a result like any other.
    gone = _diverged(run)[0]
    chosen = run.table("validation_loss", failed=True)[0]
    chosen = np.where(gone, np.inf, chosen)[:, choosing].mean(axis=1)
    at = int(np.argmin(chosen))
    mine = np.where(gone[at], np.nan, run.table("test_loss", failed=True)[0, at])[~choosing]
    right = np.where(gone[at], np.nan, run.table("test_accuracy", failed=True)[0, at])[~choosing]
    steps = np.nanmax(run.curves("step")[0, at], axis=0)
    return Memory(
        task=task,
        model=model,
        length=int(length),
        rate=run.axes["learning_rate"][at],
        at=at,
        losses=mine,
        accuracy=100 * right,
        examples=steps * config.memory.batch_size,
        curves=run.curves("validation_loss")[0, at][~choosing],
    )


def _diverged(run: Run) -> np.ndarray:
    """Which cells diverged, bool in the shape of the axes."""
    gone = np.zeros([len(values) for values in run.axes.values()], bool)
    for cell in run.cells:
        if cell["status"] == "diverged":
            at = [run.axes[name].index(value) for name, value in cell["cell"].items()]
            gone[tuple(at)] = True
    return gone
