"""Tables of what was trained and of what a prediction costs."""

from collections.abc import Mapping, Sequence

import numpy as np

from judged import Judged
from minima.claims.intervals import t_interval
from minima.record.tables import Table, Value
from parts.architecture_fit.claims import TABLE, table_notes
from parts.architecture_fit.config import ASSUMPTIONS, DESTROYED, INTACT, PUBLISHED, Key
from parts.architecture_fit.outcomes import Curves, Outcome
from parts.architecture_fit.prediction import Cost
from parts.architecture_fit.streaming import Streams


def tables(
    tasks: Mapping[str, Curves],
    found: Mapping[Key, Outcome],
    predictions: Mapping[tuple[str, str], Cost],
    streams: Streams,
    judged: Sequence[Judged],
) -> dict[str, Table]:
    """Every table, by the name of its file."""
    made: dict[str, Table] = {}
    if tasks:
        made |= {"fit": _fit(tasks), "efficiency": _efficiency(tasks)}
    if any(key.part == PUBLISHED for key in found):
        made["mnist1d"] = _published(found, judged)
    if predictions:
        made["predictions"] = _predictions(predictions)
    return made | {"streams": _streams(streams)}


def _limits(values: np.ndarray) -> tuple[float, float, float]:
    """Mean and Student's 95 % limits, NaN where a run failed or there is no second seed."""
    if len(values) < 2 or not np.isfinite(values).all():
        return float(np.mean(values)), np.nan, np.nan
    interval = t_interval(values)
    return interval.estimate, interval.low, interval.high


def _fit(tasks: Mapping[str, Curves]) -> Table:
    rows: list[tuple[Value, ...]] = []
    for task, curves in tasks.items():
        ranked = sorted(curves.models, key=lambda m: -np.nanmean(curves.full(INTACT, m)))
        for model in ranked:
            intact = _limits(curves.full(INTACT, model))
            destroyed = _limits(curves.full(DESTROYED, model))
            lost = _limits(curves.lost(model))
            rows.append((task, model, ASSUMPTIONS[model], *intact, *destroyed, *lost))
    each = ("", "_low", "_high")
    columns = [
        f"{name}{end}" for name in ("intact_%", "destroyed_%", "lost_points") for end in each
    ]
    any_curves = next(iter(tasks.values()))
    seeds = len(any_curves.full(INTACT, any_curves.models[0]))
    return Table(
        f"who wins and what it loses: test accuracy with {any_curves.sizes[-1]:,} training "
        f"examples, n = {seeds} seeds, Student's 95 % intervals",
        ("task", "architecture", "assumes", *columns),
        rows,
        hidden=tuple(c for c in columns if c.startswith(("intact_%_", "destroyed_%_"))),
    )


def _efficiency(tasks: Mapping[str, Curves]) -> Table:
    rows: list[tuple[Value, ...]] = []
    sizes = next(iter(tasks.values())).sizes
    for task, curves in tasks.items():
        for model in curves.models:
            means = np.mean(curves.found[INTACT, model], axis=1)
            needed = curves.needed(model)
            typical = float(np.median(needed)) if np.isfinite(needed).all() else np.nan
            rows.append((task, model, *map(float, means), typical))
    return Table(
        "test accuracy in % by training examples, and how many are as good as the MLP with all of "
        "them (median over seeds, - where some seed never is)",
        ("task", "architecture", *(f"with_{size}" for size in sizes), "examples_needed"),
        rows,
    )


def _published(found: Mapping[Key, Outcome], judged: Sequence[Judged]) -> Table:
    mine = {(k.model, k.version): o for k, o in found.items() if k.part == PUBLISHED}
    verdicts = {claim.id: verdict.verdict for claim, verdict in judged}
    rows: list[tuple[Value, ...]] = []
    for (model, version), outcome in mine.items():
        name = "mnist1d" if version == INTACT else "mnist1d_shuffled"
        published = TABLE[model, version]
        verdict = verdicts[f"{name}_{model}"]
        rows.append((name, model, *published, *_limits(outcome.accuracy), verdict))
    seeds = len(next(iter(mine.values())).accuracy)
    return Table(
        f"MNIST-1D by its authors' settings: test accuracy in %, n = {seeds} seeds, Student's 95 %",
        ("dataset", "model", "readme", "notebook", "ours", "low", "high", "verdict"),
        rows,
        notes=table_notes(judged),
    )


def _predictions(predictions: Mapping[tuple[str, str], Cost]) -> Table:
    return Table(
        "one prediction: weights, operations (counted), bytes (the compiler's), milliseconds "
        "(median of 30, this machine)",
        ("task", "architecture", "parameters", "flops", "bytes", "milliseconds"),
        [
            (*key, int(c["parameters"]), int(c["flops"]), int(c["bytes"]), c["milliseconds"])
            for key, c in predictions.items()
        ],
    )


def _streams(streams: Streams) -> Table:
    return Table(
        "one more token of a stream, by tokens read so far (width 64; lstm 1 layer, transformer 2)",
        ("tokens", *(f"{name}_{what}" for name in streams.memory for what in ("bytes", "flops"))),
        [
            (
                length,
                *(
                    kind[name][i]
                    for name in streams.memory
                    for kind in (streams.memory, streams.flops)
                ),
            )
            for i, length in enumerate(streams.lengths)
        ],
    )
