"""What the rescue says at its end: both patients in a table, memory, then verdicts."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from judged import Judged, failures_first, spell, verdict_lines
from minima.claims.decomposition import Split
from minima.claims.evidence import Evidence
from minima.record.files import write_atomically
from minima.sweep.run import Prepared
from parts.batch_size_rescue import figures
from parts.batch_size_rescue.files import Memory, memory_csv, verdict_json
from parts.batch_size_rescue.patients import (
    UNSTABLE,
    Arm,
    Patient,
    batch_and_rate,
    failures,
    hits,
    interval_of,
    train_loss,
)
from parts.batch_size_vs_learning_rate import stages as flagship


def announce(sick: Sequence[Patient]) -> str:
    """Who is treated how, before anything is trained."""
    return "\n".join(
        f"patient    {patient.name}: batch {patient.sick.batch_size} at rate "
        f"{patient.sick.rate:.3g}; {len(patient.treatments)} treatments, "
        f"{len(patient.controls)} controls"
        for patient in sick
    )


def read(prepared: Prepared) -> Evidence:
    """A finished run; nothing is chosen, so all seeds report."""
    plan, plane = prepared.plan, flagship.read(prepared).plane()
    return Evidence(
        planes={"epochs": plane},
        curves=None,
        choosing=(),
        reporting=tuple(range(len(plane.seeds))),
        optimizer=plan.config.training.optimizer,
        floor=1 / plan.dataset.num_classes,
    )


def present(
    prepared: Prepared,
    sick: Sequence[Patient],
    evidence: Evidence,
    memory: Memory,
    judged: list[Judged],
) -> None:
    """Prints everything, and writes verdict.json, memory.csv and the figures."""
    ordered = failures_first(judged)
    for patient in sick:
        print("\n" + "\n".join(_patient_lines(patient, evidence)))
    print("\n" + "\n".join(_memory_lines(prepared, memory)))
    print("\n" + "\n".join(verdict_lines(ordered)) + "\n")
    folder = prepared.directory
    files: dict[str, tuple[Path, str | bytes]] = {
        "verdict": (folder / "verdict.json", verdict_json(prepared, sick, evidence, ordered)),
        "memory": (folder / "memory.csv", memory_csv(memory)),
        "figures": (folder / "figures" / "rescue.png", figures.rescue(sick, evidence)),
        "": (folder / "figures" / "memory.png", figures.memory(*memory, sick[0])),
    }
    for name, (path, content) in files.items():
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, content)
        print(f"{name + ':' if name else '':<9} {path}")
    print(f"{'results:':<9} {folder / 'results.csv'}")


def _patient_lines(patient: Patient, evidence: Evidence) -> Iterator[str]:
    seeds, tests = len(evidence.reporting), evidence.planes["epochs"].num_test
    yield (
        f"{patient.name} patient: test accuracy in % ({seeds} seeds, {tests:,} test examples; "
        "95 % intervals; a failed seed counts as guessing)"
    )
    head = ("batch", "rate", "failed", "in % of runs", "test accuracy", "less the sick run")
    yield f"  {'':<22}{_row(*head, 'train loss')}"
    for arm in patient.arms:
        rate, own = failures(evidence, arm), hits(evidence, arm)
        failed = round(rate.estimate * seeds / 100)
        gain = "" if arm is patient.sick else _interval(own - hits(evidence, patient.sick), "+")
        cells = (
            f"{arm.batch_size}",
            f"{arm.rate:.3g}",
            f"{failed}/{seeds}",
            f"[{rate.low:.0f}, {rate.high:.0f}]",
            _interval(own),
            gain,
            _loss(evidence, arm),
        )
        control = " (control)" if arm in patient.controls else ""
        yield f"  {arm.name + control:<22}{_row(*cells)}".rstrip()
    split = batch_and_rate(patient, evidence) if patient.name == UNSTABLE else None
    if split is not None:
        yield from _split_lines(patient, split)


def _row(*cells: str) -> str:
    widths = (6, 8, 8, 14, 20, 23, 14)
    return "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))


def _split_lines(patient: Patient, split: Split) -> Iterator[str]:
    yield f"  what did it ({patient.best.name}), in points: {spell(split.raw_gap, '+')} in all"
    for order, steps in split.orders.items():
        first, second = order
        yield (
            f"    {first} first: {first} {spell(steps[first], '+')}, "
            f"then {second} {spell(steps[second], '+')}"
        )


def _memory_lines(prepared: Prepared, memory: Memory) -> Iterator[str]:
    recipe = prepared.plan.recipe
    yield (
        f"memory of one update of one {recipe.task.model.name}, in MiB (state, training set and "
        f"buffers; accumulated over microbatches of {memory[1][-1].microbatch})"
    )
    yield f"  {'batch':>7}{'whole batch':>14}{'its buffers':>14}{'accumulated':>14}{'ratio':>8}"
    for whole, pieces in zip(*memory, strict=True):
        sizes = (whole.total, whole.temporary, pieces.total)
        mib = "".join(f"{size / 2**20:>14.2f}" for size in sizes)
        yield f"  {whole.batch_size:>7,}{mib}{whole.total / pieces.total:>8.2f}"


def _interval(values: np.ndarray, sign: str = "") -> str:
    found = interval_of(values)
    return f"{values.mean():{sign}.1f}" if found is None else spell(found, sign, 1)


def _loss(evidence: Evidence, arm: Arm) -> str:
    """The mean over seeds that trained."""
    losses = train_loss(evidence, arm)
    return f"{np.nanmean(losses):.3f}" if np.isfinite(losses).any() else "none"
