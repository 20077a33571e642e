"""Trained networks write music: from the same first notes, with the same luck."""

from collections.abc import Mapping

import numpy as np

from minima.record.cells import FAILED
from minima.record.snapshots import Snapshots
from minima.runtime.errors import UserError
from minima.sweep.samples import sample_minima
from minima.tasks.models.causal import receptive_field
from parts.long_range_coherence.coherence import Source, Written
from parts.long_range_coherence.config import CNN, CoherenceConfig
from tuned import Trained


def write(
    trained: Mapping[str, Trained], source: Source, config: CoherenceConfig
) -> dict[str, Written]:
    """Every network's pieces, from all its reporting seeds.

    Raises:
      UserError: a run failed, so that it can't write; or its state is missing.
    """
    return {name: _write(name, each, source, config) for name, each in trained.items()}


def _write(name: str, trained: Trained, source: Source, config: CoherenceConfig) -> Written:
    plan, run = trained.prepared.plan, trained.run
    records = {plan.grid.index(record["cell"]): record for record in run.cells}
    if failed := [each["cell"]["seed"] for each in records.values() if each["status"] in FAILED]:
        raise UserError(
            f"--learning_rates: {name} fails from seed {failed[0]} at {trained.rate:.3g}, the rate "
            "that was best from the tuning seeds; use smaller ones, or more --tuning_seeds"
        )
    points = [(number, records[number]["steps"]) for number in sorted(records)]
    music = config.music
    pieces = sample_minima(
        plan,
        Snapshots(trained.prepared.directory),
        points,
        source.pieces[: music.pieces, :1],
        source.pieces.shape[1],
        config.runs.seeds,
        music.temperature,
    )
    model = plan.recipe.task.model
    return Written(
        pieces,
        source.coherence(pieces),
        trained.scores("test_loss"),
        trained.rate,
        model.count_parameters(),
        receptive_field(model.settings.depth) if name == CNN else 0,
    )


def arrays(source: Source, found: Mapping[str, Written]) -> dict[str, np.ndarray]:
    """All tokens, by who wrote them: (n, length) of the source, (seeds, pieces, length) else."""
    return {"source": source.pieces, **{name: each.pieces for name, each in found.items()}}
