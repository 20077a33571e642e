"""What the rescue leaves on disk beside a sweep's own files: verdict.json and memory.csv."""

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from judged import Judged, verdict_entries
from minima.claims.decomposition import Split
from minima.claims.evidence import Evidence, Floats
from minima.sweep.run import Prepared
from minima.sweep.step_memory import StepMemory
from parts.batch_size_rescue.patients import (
    Arm,
    Patient,
    batch_and_rate,
    failures,
    hits,
    interval_of,
    train_loss,
)

Memory = tuple[Sequence[StepMemory], Sequence[StepMemory]]  # whole batches, accumulated ones


def verdict_json(
    prepared: Prepared, sick: Sequence[Patient], evidence: Evidence, ordered: list[Judged]
) -> str:
    """The same for a program to read. It holds no times: the same command writes the same bytes."""
    content = {
        "run": prepared.run_id,
        "seeds": evidence.planes["epochs"].seeds,
        "test_examples": evidence.planes["epochs"].num_test,
        "patients": {
            patient.name: [_arm_json(patient, arm, evidence) for arm in patient.arms]
            for patient in sick
        },
        "batch_and_rate": _split_json(batch_and_rate(sick[0], evidence)),
        "verdicts": verdict_entries(ordered),
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def memory_csv(memory: Memory) -> str:
    """A row for each batch size and way."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = ("batch_size", "microbatch", "temporary", "arguments", "outputs", "total")
    writer.writerow(("way", *columns))
    for way, steps in zip(("whole", "accumulated"), memory, strict=True):
        for step in steps:
            writer.writerow((way, *(getattr(step, name) for name in columns)))
    return text.getvalue()


def _arm_json(patient: Patient, arm: Arm, evidence: Evidence) -> dict[str, Any]:
    own = hits(evidence, arm)
    losses = train_loss(evidence, arm)
    return {
        "name": arm.name,
        "batch_size": arm.batch_size,
        "learning_rate": arm.rate,
        "failed": int(np.isnan(losses).sum()),
        "failed_percent": failures(evidence, arm).limits(),
        "test_accuracy": _limits(own),
        "less_the_sick_run": _limits(own - hits(evidence, patient.sick)),
        "train_loss": float(np.nanmean(losses)) if np.isfinite(losses).any() else None,
    }


def _split_json(split: Split | None) -> dict[str, Any] | None:
    if split is None:
        return None
    return {
        "raw_gap": split.raw_gap.limits(),
        "parts": {name: part.limits() for name, part in split.parts.items()},
        "orders": {
            " then ".join(order): {name: part.limits() for name, part in steps.items()}
            for order, steps in split.orders.items()
        },
    }


def _limits(values: Floats) -> dict[str, float] | None:
    found = interval_of(values)
    return None if found is None else found.limits()
