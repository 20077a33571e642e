"""Tables and figures of what was measured, for `lesson.present`."""

from collections.abc import Iterator

import numpy as np

from judged import Judged, failures_first
from lesson import Findings
from minima.claims.claims_figure import claims_figure
from minima.claims.evidence import Floats
from minima.evaluation.calibration import classwise_ece
from minima.record.tables import Table, Value
from minima.statistics.intervals import t_interval
from parts.calibration import figures
from parts.calibration.arms import ARMS, ISOTONIC, PLAIN, TEMPERATURE, VECTOR
from parts.calibration.config import CalibrationConfig
from parts.calibration.matched import PLACES
from parts.calibration.measured import Measured
from parts.calibration.scores import CLOSER, SCORES

BY_CLASS = (PLAIN, TEMPERATURE, VECTOR, ISOTONIC)
_UNITS = {"nll": "nll_nats", "brier": "brier"}


def findings(
    found: Measured, judged: list[Judged], config: CalibrationConfig, run: str
) -> Findings:
    """What to print, and which files to write."""
    bins = config.looks.bins
    tables = {"training": _training(found), "repairs": _repairs(found)}
    pictures = {
        "reliability": figures.reliability(found, bins, run),
        "training": figures.training(found, run),
        "plane": figures.plane(found.plane, run),
    }
    if found.arms.corruptions:
        tables["shift"] = _shift(found)
        pictures["shift"] = figures.shift(found, run)
    tables |= {"plane": _plane(found), "classes": _classes(found, bins)}
    claims, verdicts = zip(*failures_first(judged), strict=True)
    if (forest := claims_figure(verdicts, run, claims)) is not None:
        pictures["claims"] = forest
    return Findings(tables, judged, pictures, lines=left_out(found))


def left_out(found: Measured) -> list[str]:
    """What a reader would miss."""
    lines = [f"{found.failed} seeds are left out: a run of theirs failed"] * (found.failed > 0)
    if not found.arms.corruptions:
        lines.append("no corruption is for such data: nothing is said of shift")
    return lines


def _named(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_UNITS.get(name, f"{name}_points") for name in names)


def _training(found: Measured) -> Table:
    rows: list[list[Value]] = []
    for i, step in enumerate(found.updates):
        raw = [float(found.over_training(name)[:, i].mean()) for name in SCORES]
        over = found.over_training("overconfidence")[:, i]
        after = [float(found.over_training(name, True)[:, i].mean()) for name in ("nll", "ece")]
        temperature = found.course.temperature.reshape(found.seeds, -1)[:, i]
        rows.append([int(step), *raw, *_limits(over)[1:], float(temperature.mean()), *after])
    return Table(
        f"calibration over training, means of n = {found.seeds} seeds, 95 % t interval",
        (
            "updates",
            *_named(SCORES),
            *("overconfidence_low", "overconfidence_high", "temperature"),
            *("nll_after_nats", "ece_after_points"),
        ),
        rows,
        notes=("after: with a temperature fitted on validation examples",),
    )


def _repairs(found: Measured) -> Table:
    rows: list[list[Value]] = []
    for arm in ARMS:
        scores = found.arms.scores[arm][0]
        rows.append([arm, len(scores["ece"]), *(float(scores[n].mean()) for n in SCORES + CLOSER)])
    closer = {"inside": "share_inside_band"}
    names = (closer.get(name, f"{name}_points") for name in CLOSER[:5])
    parts = tuple(f"brier_{name}" for name in CLOSER[5:])
    return Table(
        "ways to an honest confidence on the test set: means over networks or ensembles",
        ("way", "n", *_named(SCORES), *names, *parts),
        rows,
        hidden=("confidence_points", *parts),
        notes=(
            "null: what a perfectly calibrated model of the same confidences has by chance, its "
            "mean and the upper limit of its 95 % band",
            "Brier = reliability - resolution + uncertainty + what varies within bins",
        ),
    )


def _shift(found: Measured) -> Table:
    rows: list[list[Value]] = []
    for arm in ARMS:
        for severity, scores in found.arms.scores[arm].items():
            means = [float(scores[name].mean()) for name in SCORES]
            ends = [*_limits(scores["nll"])[1:], *_limits(scores["ece"])[1:]]
            rows.append([arm, severity, len(scores["ece"]), *means, *ends])
    limits = ("nll_low", "nll_high", "ece_low", "ece_high")
    return Table(
        f"the same under {', '.join(found.arms.corruptions)}: means, 95 % t intervals",
        ("way", "severity", "n", *_named(SCORES), *limits),
        rows,
        hidden=("brier", *limits),
        notes=("severity 0: the test set as it is; else each example meets one of these",),
    )


def _plane(found: Measured) -> Table:
    return Table(
        f"the plane where cells are compared: means of n = {_plane_seeds(found)} seeds",
        (
            *("compared_at", "batch_size", "learning_rate", "chosen", "n", *_named(SCORES)),
            *("overconfidence_low", "overconfidence_high", "ece_after_points"),
        ),
        list(_plane_rows(found)),
        hidden=("confidence_points", "brier"),
        notes=(
            "compared at: where validation accuracy first crosses one value, where training loss "
            "does (n: seeds that do), and the end of training",
            "chosen: the best rate of its batch size, by validation accuracy of other seeds",
        ),
    )


def _plane_seeds(found: Measured) -> int:
    return found.plane.raw[PLACES[0]]["ece"].shape[-1]


def _plane_rows(found: Measured) -> Iterator[list[Value]]:
    plane = found.plane
    for place in PLACES:
        for b, r in np.ndindex(len(plane.batch_sizes), len(plane.rates)):
            there = np.isfinite(plane.raw[place]["ece"][b, r])
            values = {name: plane.raw[place][name][b, r][there] for name in SCORES}
            where = [place, plane.batch_sizes[b], plane.rates[r], plane.chosen[b] == r]
            after = _mean(plane.scaled[place]["ece"][b, r][there])
            means = [_mean(values[name]) for name in SCORES]
            ends = _limits(values["overconfidence"])[1:]
            yield [*where, int(there.sum()), *means, *ends, after]


def _classes(found: Measured, bins: int) -> Table:
    labels, each = found.labels, {}
    for arm in BY_CLASS:
        errors = [classwise_ece(p, labels, bins) for p in found.arms.examples[arm]]
        each[arm] = 100 * np.mean(errors, axis=0)
    counts = np.bincount(labels, minlength=len(each[PLAIN]))
    return Table(
        f"ECE of each class's own probability, in points: means of n = {found.seeds} seeds",
        ("class", "test_examples", *(arm.replace(" ", "_") for arm in BY_CLASS)),
        [
            [str(c), int(counts[c]), *(float(each[arm][c]) for arm in BY_CLASS)]
            for c in range(len(counts))
        ],
    )


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _limits(values: Floats) -> list[float]:
    if len(values) < 2 or not np.isfinite(values).all():
        return [_mean(values), float("nan"), float("nan")]
    interval = t_interval(values)
    return [interval.estimate, interval.low, interval.high]
