"""Learning systems with one ingredient broken on purpose, and some that are in order. Cheap.

All learn MNIST-1D, where the architecture matters: a convolutional network in order gets to 90 %,
a linear model to 32 %. In each, one thing differs from the first.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from minima.claims.ingredients import ARCHITECTURE, DATA, NONE, OBJECTIVE
from minima.sweep.budgets import Budget
from minima.sweep.config import (
    EngineConfig,
    GridConfig,
    ProcessesConfig,
    RecordConfig,
    SweepConfig,
    TaskConfig,
    TrainingConfig,
)

LOOKS = 20  # points on a curve
_TASK = TaskConfig(dataset="mnist1d", model="cnn1d")
_TRAINING = TrainingConfig(optimizer="adam", evaluations=LOOKS)
_BATCH, _RATE = 32, 0.01


@dataclass(frozen=True)
class Fault:
    """One kind of system.

    Attributes:
      name: in tables; no commas.
      ingredient: which is broken, one of `ingredients.ANSWERS`.
      task, training: what differs from the system in order.
      new: the diagnosis was settled without having seen it.
      about: what was done.
    """

    name: str
    ingredient: str
    about: str
    task: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    new: bool = False


FAULTS = (
    Fault("in order", NONE, "a CNN on 4,000 signals less validation"),
    Fault("dropout", NONE, "with dropout 0.2", training={"dropout": 0.2}),
    Fault("wider", NONE, "40 channels for 25", {"width": 40}),
    Fault("shifts", NONE, "with random shifts", {"augmentation": "shift"}, new=True),
    Fault("wrong labels", DATA, "60 % redrawn, kept", training={"label_noise": 0.6}),
    Fault("few examples", DATA, "40", {"train_examples": 40}),
    Fault("other distribution", DATA, "validation mirrored", {"dataset": "shifted:mnist1d"}),
    Fault("missing classes", DATA, "half of them", {"dataset": "missing:mnist1d"}),
    Fault("unsteady labels", DATA, "70 % redrawn anew", training={"label_flips": 0.7}, new=True),
    Fault("linear", ARCHITECTURE, "no hidden layer", {"model": "linear"}),
    Fault("bottleneck", ARCHITECTURE, "2 hidden units", {"model": "mlp", "width": 2}),
    Fault(
        "no locality", ARCHITECTURE, "a CNN on shuffled samples", {"dataset": "mnist1d_shuffled"}
    ),
    Fault(
        "deep bottleneck",
        ARCHITECTURE,
        "3 layers of 2 tanh units",
        {"model": "mlp", "width": 2, "depth": 3, "activation": "tanh"},
        new=True,
    ),
    Fault("smoothed away", OBJECTIVE, "smoothing 0.95", training={"label_smoothing": 0.95}),
    Fault("heavy penalty", OBJECTIVE, "L2 of 0.1", training={"weight_decay": 0.1}),
    Fault("wrong target", OBJECTIVE, "which half of the classes", {"dataset": "proxy:mnist1d"}),
    Fault("smoothed", OBJECTIVE, "smoothing 0.8", training={"label_smoothing": 0.8}, new=True),
)


def fault_sweep(
    fault: Fault,
    seeds: tuple[int, ...],
    steps: int,
    engine: EngineConfig,
    record: RecordConfig,
    processes: ProcessesConfig,
) -> SweepConfig:
    """All seeds of one kind of system."""
    training = replace(_TRAINING, budget=Budget(steps=steps), **fault.training)
    return SweepConfig(
        replace(_TASK, **fault.task),
        GridConfig((_BATCH,), (_RATE,), seeds),
        training,
        engine=engine,
        record=record,
        processes=processes,
    )


def parse_faults(text: str) -> tuple[str, ...]:
    """Names after commas; the system in order must be among them.

    Raises:
      ValueError: says what is not known, or that there is nothing to compare with.
    """
    known = [fault.name for fault in FAULTS]
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"use some of {', '.join(known)}"
            raise ValueError(f"{name!r} is no such system; {hint}")
    if FAULTS[0].name not in names:
        raise ValueError(f"what is possible is known from {FAULTS[0].name!r}; add it")
    return names
