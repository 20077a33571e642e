"""A cell's hyperparameters in plain numbers, and which features its grid switches on."""

import math
from typing import Any

from minima.sweep.config import SweepConfig, TrainingConfig
from minima.sweep.grid import Grid
from minima.sweep.optimizers import DEFAULT_MOMENTA, DEFAULT_RHO, Features, Hyper

Cell = dict[str, Any]

# Features that a hyperparameter above 0 switches on.
_SWITCHED = (
    "weight_decay",
    "dropout",
    "label_smoothing",
    "label_noise",
    "label_flips",
    "weight_noise",
    "group_dro",
    "irm_penalty",
    "vrex_penalty",
    "parity_penalty",
    "reweighting",
)


def hyperparameters(
    training: TrainingConfig, cell: Cell, batch_size: int | None = None
) -> dict[str, float]:
    """The values of `Hyper`'s fields for a cell, in plain numbers.

    What is an axis of the grid is the cell's own; the rest is the same for all, or follows from the
    batch size B where a rule is asked for: the rate scales with B / base or its square root, and
    Adam's β2 and what an average keeps are 1/2 to the power B / half-life. For these B is
    `batch_size`, where given: the batch may have grown, which leaves the rate as it is.
    """
    values: dict[str, Any] = {name: asked(training, cell, name) for name in Hyper._fields}
    momentum, beta2 = DEFAULT_MOMENTA[training.optimizer]
    values["momentum"] = momentum if values["momentum"] is None else values["momentum"]
    values["beta2"] = beta2 if values["beta2"] is None else values["beta2"]
    rho = DEFAULT_RHO[training.sharpness_aware]
    values["rho"] = rho if values["rho"] is None else values["rho"]
    size, half_life = batch_size or cell["batch_size"], asked(training, cell, "average_half_life")
    values["average_keep"] = 0.5 ** (size / half_life) if training.average == "ema" else 1.0
    if training.beta2_half_life:
        values["beta2"] = 0.5 ** (size / training.beta2_half_life)
    power = {"none": 0.0, "sqrt": 0.5, "linear": 1.0}[training.learning_rate_scaling]
    values["learning_rate"] *= (cell["batch_size"] / training.base_batch_size) ** power
    return values


def asked(training: TrainingConfig, cell: Cell, name: str) -> Any:
    """An axis's value, else the config's."""
    return cell.get(name, getattr(training, name, None))


def features_of(config: SweepConfig, grid: Grid) -> Features:
    """What some cell uses: an axis of the grid comes before the config's value."""
    training, axes = config.training, dict(grid.axes)

    def values(name: str) -> tuple[float, ...]:
        return axes.get(name, (getattr(training, name),))

    return Features(
        clipping=any(math.isfinite(norm) for norm in values("clip_norm")),
        warmup=training.warmup_examples > 0,
        decay=training.decay,
        sharpness_aware=training.sharpness_aware,
        average=training.average,
        parity=training.parity,
        **{name: any(value > 0 for value in values(name)) for name in _SWITCHED},
    )
