"""What the runs of all architectures came to, read back from their files."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from minima.record import results
from parts.architecture_fit.config import (
    CHOOSING_SEED,
    DESTROYED,
    FIT,
    INTACT,
    MLP,
    ArchitectureFitConfig,
    Key,
)

if TYPE_CHECKING:
    from minima.sweep.run import Prepared


@dataclass(frozen=True)
class Outcome:
    """One model on one version of a task, at its chosen rate.

    Attributes:
      accuracy: on the test set in %, (reporting seeds,).
      train: on the training examples.
      rate: chosen, or the only one.
      parameters: of the network.
    """

    accuracy: np.ndarray
    train: np.ndarray
    rate: float
    parameters: int


def read(prepared: "Mapping[Key, Prepared]") -> dict[Key, Outcome]:
    """Every sweep's outcome. Failed cells are NaN."""
    return {key: _outcome(each) for key, each in prepared.items()}


def _outcome(prepared: "Prepared") -> Outcome:
    run = results.load(prepared.directory)
    rates, seeds = run.axes["learning_rate"], run.axes["seed"]

    def table(name: str) -> np.ndarray:
        # One that collapsed predicts one class: as good as chance, which is what it learned.
        return 100 * run.table(name, failed=True).reshape(len(rates), len(seeds))

    best, reports = 0, np.ones(len(seeds), bool)
    if len(rates) > 1:
        reports = np.array(seeds) != CHOOSING_SEED
        chooses = table("validation_accuracy")[:, ~reports].mean(axis=1)
        best = int(np.argmax(np.nan_to_num(chooses, nan=-1.0)))
    return Outcome(
        table("test_accuracy")[best, reports],
        table("train_accuracy")[best, reports],
        float(rates[best]),
        prepared.plan.recipe.task.model.count_parameters(),
    )


@dataclass(frozen=True)
class Curves:
    """Test accuracies in % of one task, (sizes, seeds) for each model and version.

    Attributes:
      sizes: training examples, ascending.
      found: by version and model; of destroyed data at the largest size alone.
    """

    sizes: tuple[int, ...]
    found: Mapping[tuple[str, str], np.ndarray]

    @property
    def models(self) -> list[str]:
        """In the order of the configuration."""
        return [model for version, model in self.found if version == INTACT]

    def full(self, version: str, model: str) -> np.ndarray:
        """At the largest size, (seeds,)."""
        return self.found[version, model][-1]

    def lost(self, model: str) -> np.ndarray:
        """What destroyed structure costs at the largest size, points by seed."""
        return self.full(INTACT, model) - self.full(DESTROYED, model)

    def needed(self, model: str) -> np.ndarray:
        """Examples by seed to be as good as the MLP with all of them; NaN where never.

        Log-linear between sizes; the smallest size where that is enough.
        """
        goal = self.full(INTACT, MLP)
        return np.array([_reach(self.sizes, row, at) for row, at in
                         zip(self.found[INTACT, model].T, goal, strict=True)])  # fmt: skip


def _reach(sizes: tuple[int, ...], row: np.ndarray, goal: float) -> float:
    if not np.isfinite(row).all() or row.max() < goal:
        return np.nan
    at = int(np.argmax(row >= goal))
    if at == 0:
        return float(sizes[0])
    share = (goal - row[at - 1]) / (row[at] - row[at - 1])
    low, high = np.log(sizes[at - 1]), np.log(sizes[at])
    return float(np.exp(low + share * (high - low)))


def curves(config: ArchitectureFitConfig, found: Mapping[Key, Outcome]) -> dict[str, Curves]:
    """The fit's outcomes, by task."""
    fit = config.fit
    made = {}
    for task in fit.tasks if FIT in fit.parts else ():
        rows: dict[tuple[str, str], list[np.ndarray]] = {}
        for key, outcome in found.items():
            if (key.part, key.task) == (FIT, task):
                rows.setdefault((key.version, key.model), []).append(outcome.accuracy)
        made[task] = Curves(fit.sizes, {each: np.stack(row) for each, row in rows.items()})
    return made
