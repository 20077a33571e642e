"""Rates chosen on some seeds, results reported on others, for candidates of any kind.

    trained = tuned.train(sweeps, tuning_seeds, EXPERIMENT, config)
    if isinstance(trained, int):
        return trained  # the exit code of a run that is not finished
    trained["lstm"].run.table("test_loss")  # at the rate chosen for it

The best of many rates looks better than it is on the seeds that chose it. So each candidate is
trained at every rate from the tuning seeds, and at the best of them from seeds of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import lesson
from minima import sweep
from minima.runtime.errors import UserError
from minima.sweep.config import SweepConfig
from minima.sweep.grid import format_floats, format_seeds

if TYPE_CHECKING:
    import numpy as np

    from minima.record.results import Run
    from minima.sweep.run import Prepared

LOSS, ACCURACY = "validation_loss", "validation_accuracy"


@dataclass(frozen=True)
class Trained:
    """A candidate at the rate that was chosen for it.

    Attributes:
      prepared: its reporting runs, finished.
      rate: the learning rate.
      notes: what a reader must know of the choice.
    """

    prepared: "Prepared"
    rate: float
    notes: tuple[str, ...] = ()

    @property
    def run(self) -> "Run":
        """Its results, as they are on disk."""
        from minima.record import results

        return results.load(self.prepared.directory)

    def scores(self, name: str) -> "np.ndarray":
        """A final number such as "test_loss", (seeds,) float64, NaN for runs that failed."""
        return self.run.table(name).reshape(-1)


def check_seeds(tuning: tuple[int, ...], reporting: tuple[int, ...]) -> None:
    """Refuses to report on a seed that chose.

    Raises:
      UserError: names both flags.
    """
    if both := sorted({*tuning} & {*reporting}):
        raise UserError(
            f"--tuning_seeds={format_seeds(tuning)}: seed {both[0]} is one of "
            f"--seeds={format_seeds(reporting)}, too; choose rates on other seeds than are reported"
        )


def train(
    sweeps: Mapping[str, SweepConfig],
    tuning_seeds: tuple[int, ...],
    experiment: str,
    config: Any,
    metric: str = LOSS,
) -> dict[str, Trained] | int:
    """Trains every candidate: at all its rates from the tuning seeds, at the best from its own.

    Args:
      sweeps: of one batch size each; their seeds report, their rates are to choose from.
      tuning_seeds: choose.
      experiment: name of it.
      config: the experiment's.
      metric: LOSS or ACCURACY, the mean of which decides.

    Returns:
      Candidates as they are trained, or the exit code to leave with.

    Raises:
      UserError: a flag or a file is wrong, before anything is trained; or a candidate fails at
        every rate.
    """
    tuning = {name: _with(each, seeds=tuning_seeds) for name, each in sweeps.items()}
    to_choose = {
        f"{name}, rates to choose from": sweep.prepare(each, experiment)
        for name, each in tuning.items()
    }
    code = lesson.train_all(to_choose, config)
    if code is not None:
        return code
    chosen = {
        name: _choose(name, prepared, metric)
        for name, prepared in zip(sweeps, to_choose.values(), strict=True)
    }
    reported = {
        name: sweep.prepare(_with(each, learning_rates=(chosen[name][0],)), experiment)
        for name, each in sweeps.items()
    }
    code = lesson.train_all(reported, config)
    if code is not None:
        return code
    return {name: Trained(each, *chosen[name]) for name, each in reported.items()}


def _choose(name: str, prepared: "Prepared", metric: str) -> tuple[float, tuple[str, ...]]:
    import numpy as np

    from minima.record import results

    rates = prepared.plan.config.grid.learning_rates
    means = results.load(prepared.directory).table(metric)[0].mean(axis=-1)  # NaN where one failed
    if not np.isfinite(means).any():
        raise UserError(
            f"--learning_rates={format_floats(rates)}: {name} fails at every one of them; add "
            "smaller ones"
        )
    best = int(np.nanargmin(means) if metric == LOSS else np.nanargmax(means))
    edges = {0: "lowest", len(rates) - 1: "highest"}
    if len(rates) > 1 and best in edges:
        note = f"{name}: {rates[best]:.3g} is the {edges[best]} rate tried; a better may lie beyond"
        return rates[best], (note,)
    return rates[best], ()


def _with(config: SweepConfig, **grid: Any) -> SweepConfig:
    return replace(config, grid=replace(config.grid, **grid))
