"""What the runs say: accuracy by target, arm and number of labels, one value a seed."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from minima.record import results
from minima.sweep.run import Prepared
from parts.transfer_learning.config import SCRATCH, SMALL
from parts.transfer_learning.stages import Arm

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Curves:
    """Test accuracy in percent; failed runs count as guessing.

    Attributes:
      labels: per class, rising.
      targets: in order.
      accuracy: of every arm, (seeds,).
      source: of every pretraining on its own task, (seeds,).
      failed: runs that diverged.
    """

    labels: tuple[int, ...]
    targets: tuple[str, ...]
    accuracy: Mapping[Arm, Floats]
    source: Mapping[str, Floats]
    failed: int

    @property
    def seeds(self) -> int:
        """How many there are."""
        return len(next(iter(self.accuracy.values())))

    def of(self, target: str, labels: int, name: str, source: str = SMALL) -> Floats:
        """An arm's accuracies; arms from scratch have no source."""
        return self.accuracy[Arm(target, labels, name, "" if name == SCRATCH else source)]

    def gain(self, target: str, labels: int, name: str) -> Floats:
        """An arm less training from scratch, in points, paired by seed."""
        return self.of(target, labels, name) - self.of(target, labels, SCRATCH)

    def factors(
        self, target: str, labels: int, name: str, source: str = SMALL
    ) -> tuple[Floats, int]:
        """How many times the labels scratch needs to be as good, by seed; and how many are bounds.

        Scratch's accuracy is taken between numbers of labels on a logarithmic scale, as the best so
        far. Where it is never as good, or always better, the factor is that of the curve's end.
        """
        curve = np.stack([self.of(target, count, SCRATCH) for count in self.labels])
        curve = np.maximum.accumulate(curve, axis=0)
        reached, logs = self.of(target, labels, name, source), np.log(self.labels)
        needed = [np.interp(a, column, logs) for a, column in zip(reached, curve.T, strict=True)]
        bounds = int(np.count_nonzero((reached > curve[-1]) | (reached < curve[0])))
        return np.exp(np.array(needed)) / labels, bounds


def read(
    labels: tuple[int, ...],
    classes: Mapping[str, int],
    sources: Mapping[str, Prepared],
    arms: Mapping[Arm, Prepared],
) -> Curves:
    """Reads every finished run."""
    accuracy = {arm: _accuracy(each) for arm, each in arms.items()}
    failed = sum(int(np.isnan(values).sum()) for values in accuracy.values())
    guessed = {
        arm: np.where(np.isnan(values), 100 / classes[arm.target], values)
        for arm, values in accuracy.items()
    }
    pretrained = {name: _accuracy(each) for name, each in sources.items()}
    return Curves(labels, tuple(classes), guessed, pretrained, failed)


def _accuracy(prepared: Prepared) -> Floats:
    return 100 * results.load(prepared.directory).table("test_accuracy").reshape(-1)
