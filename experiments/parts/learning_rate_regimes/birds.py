"""The tutorial's network on the tutorial's data and on bird calls: which rates train where."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from minima.claims.evidence import Floats
from minima.claims.regimes import constant_loss
from minima.record import results
from minima.sweep.run import Prepared
from parts.learning_rate_regimes.config import BIRDS, TUTORIAL, BirdsConfig
from parts.learning_rate_regimes.planes import start_sharpness

NEAR = 5.0  # points of validation accuracy below the best: "it trains well"
_EXAMPLES = 64  # on which the sharpness at the start is measured


@dataclass(frozen=True)
class Trained:
    """One data set at every rate, all seeds.

    Attributes:
      rates: (R,). accuracy: (R, S) on the test set in %, a run that diverged counts as chance.
      losses: (R, S, E) training loss. chance: % of a constant prediction.
      constant: loss of the best constant output.
      failed: (R, S) whether the status is diverged or collapsed.
      start: (S,) largest eigenvalue of the Hessian before any update, reporting seeds.
    """

    rates: tuple[float, ...]
    accuracy: Floats
    losses: Floats
    chance: float
    constant: float
    failed: np.ndarray
    start: Floats


@dataclass(frozen=True)
class Story:
    """Both data sets for the reporting seeds; the places of the two rates among `rates`."""

    tutorial: Trained
    birds: Trained
    unchanged: int
    changed: int
    stand_in: bool


def story(prepared: Mapping[str, Prepared], config: BirdsConfig) -> Story:
    """Chooses both rates on the choosing seeds' validation accuracy; reads the other seeds.

    The tutorial's is the largest rate that trains its data set to within 5 points of the best: who
    waits for a tutorial to finish goes as fast as it allows.
    """
    validation = {name: _choosing(prepared[name], config) for name in (TUTORIAL, BIRDS)}
    good = validation[TUTORIAL] >= validation[TUTORIAL].max() - NEAR
    return Story(
        _reporting(prepared[TUTORIAL], config),
        _reporting(prepared[BIRDS], config),
        int(np.flatnonzero(good)[-1]),
        int(np.argmax(validation[BIRDS])),
        prepared[BIRDS].plan.dataset.stand_in,
    )


def _choosing(prepared: Prepared, config: BirdsConfig) -> Floats:
    """(R,) mean validation accuracy in %; a run that failed counts as chance."""
    table = results.load(prepared.directory).table("validation_accuracy")[0]
    mine = [prepared.plan.config.grid.seeds.index(seed) for seed in config.choosing_seeds]
    chance = 1 / prepared.plan.dataset.num_classes
    return 100 * np.nan_to_num(table[:, mine], nan=chance).mean(axis=1)


def _reporting(prepared: Prepared, config: BirdsConfig) -> Trained:
    run, data = results.load(prepared.directory), prepared.plan.dataset
    grid = prepared.plan.config.grid
    mine = [grid.seeds.index(seed) for seed in config.reporting_seeds]
    accuracy = run.table("test_accuracy", failed=True)[0][:, mine]
    labels = data.train.labels
    chance = 100 * float(np.max(np.bincount(data.test.labels)) / len(data.test.labels))
    return Trained(
        rates=grid.learning_rates,
        accuracy=np.nan_to_num(100 * accuracy, nan=chance),
        losses=run.curves("train_loss")[0][:, mine],
        chance=chance,
        constant=constant_loss(labels, data.num_classes, "cross_entropy"),
        failed=np.isnan(run.table("test_accuracy")[0][:, mine]),
        start=start_sharpness(prepared, config.reporting_seeds, _EXAMPLES),
    )
