"""What claims are judged on: held-out results of the same cells under several budgets.

Plain arrays on the host, from real runs (`readings`) or from a planted world (`worlds`): a claim
can't tell which.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Plane:
    """Results of batch size × learning rate × seed at the end of one budget.

    Attributes:
      batch_sizes: (B,) rising.
      learning_rates: (R,) rising.
      seeds: (S,), the same cells' order everywhere.
      validation: (B, R, S) accuracy on the validation set, NaN where a run failed (diverged or
        collapsed) or was not made. It chooses rates.
      test: (B, R, S) accuracy on the test set, NaN likewise. It is reported and chooses nothing.
      train_loss: (B, R, S) mean training loss in nats, NaN likewise.
      steps: (B,) parameter updates until the budget's end.
      num_test: examples in the test set.
      hits: hits(b, r) -> (S, num_test), whether each test example was classified rightly, for
        indices of a batch size and a rate; rows of failed runs are all False.
    """

    batch_sizes: tuple[int, ...]
    learning_rates: tuple[float, ...]
    seeds: tuple[int, ...]
    validation: Floats
    test: Floats
    train_loss: Floats
    steps: tuple[int, ...]
    num_test: int
    hits: Callable[[int, int], Bools]

    def __post_init__(self) -> None:
        """Refuses arrays that don't fit the axes."""
        shape = (len(self.batch_sizes), len(self.learning_rates), len(self.seeds))
        for name in ("validation", "test", "train_loss"):
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} has shape {getattr(self, name).shape}, not {shape}")


@dataclass(frozen=True)
class Curves:
    """How a plane's runs got there.

    Attributes:
      steps: (B, R, S, E) updates at each evaluation, NaN beyond a run's last.
      train_loss, validation_accuracy, validation_loss: (B, R, S, E), NaN likewise.
    """

    steps: Floats
    train_loss: Floats
    validation_accuracy: Floats
    validation_loss: Floats


@dataclass(frozen=True)
class Evidence:
    """Everything that one flagship run measured.

    Attributes:
      planes: by budget. "epochs": every batch size for the same epochs. "updates": smallest and
        largest batch size for the updates that the smallest has in "epochs". "loss": both at the
        same training loss. "decayed" and "grown": smallest batch size, its rate divided or its
        batch multiplied by the same factor at the same epoch. "infinite_epochs" and
        "infinite_updates": as the first two, on data that never repeat. A budget that was not run
        is missing.
      curves: of "epochs", with the largest batch size as long as in "updates" where that was run.
      choosing, reporting: indices of seeds; rates are chosen on the former, results are those of
        the latter.
      optimizer: the update rule, such as "momentum".
      floor: accuracy of guessing.
      beta2_half_life: of the optimiser's second moment, in examples; 0 where beta2 is fixed.
      notes: what was left out, and why.
    """

    planes: Mapping[str, Plane]
    curves: Curves | None
    choosing: tuple[int, ...]
    reporting: tuple[int, ...]
    optimizer: str
    floor: float = 0.1
    beta2_half_life: float = 0.0
    notes: tuple[str, ...] = field(default=())


# For claims that are measured on something else.
NO_EVIDENCE = Evidence({}, None, (), (), "")
