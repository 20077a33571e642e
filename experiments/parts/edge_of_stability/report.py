"""What the edge of stability says at its end: a table of all courses, then verdicts."""

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from judged import Judged, failures_first, spell, verdict_entries, verdict_lines
from minima.claims.evidence import Floats
from minima.claims.figures import write_figures
from minima.record.board import Board
from minima.record.files import write_atomically
from minima.statistics.intervals import Interval, t_interval
from minima.sweep.run import Prepared
from parts.edge_of_stability.claims import NAMES, band
from parts.edge_of_stability.config import ADAM
from parts.edge_of_stability.courses import Course
from parts.edge_of_stability.figures import pictures


def present(
    prepared: Mapping[str, Prepared], found: Sequence[Course], judged: Sequence[Judged]
) -> None:
    """Prints everything, and writes verdict.json, sharpness.csv and the figures."""
    main, ordered = next(iter(prepared.values())), failures_first(judged)
    seeds = main.plan.config.grid.seeds
    print("\n" + "\n".join(_table(found, len(seeds))))
    print("\n" + "\n".join(verdict_lines(ordered)) + "\n")
    folder = main.directory
    write_atomically(folder / "verdict.json", verdict_json(prepared, found, ordered))
    write_atomically(folder / "sharpness.csv", sharpness_csv(found, seeds))
    drawn = pictures(found, ordered, main.run_id)
    write_figures(folder, drawn)
    if main.plan.config.record.tensorboard:
        images = {f"edge_of_stability/{name}": picture.png for name, picture in drawn.items()}
        Board(folder, dict(main.plan.grid.axes)).add_figures(images)
    print(f"verdict:   {folder / 'verdict.json'}")
    print(f"sharpness: {folder / 'sharpness.csv'}")
    for name in drawn:
        print(f"{'figure:':<10} {folder / 'figures' / f'{name}.png'}")
    for each in prepared.values():
        print(f"{'results:':<10} {each.directory / 'results.csv'}")


def verdict_json(
    prepared: Mapping[str, Prepared], found: Sequence[Course], ordered: Sequence[Judged]
) -> str:
    """The same for a program to read. It holds no times: the same command writes the same bytes."""
    main = next(iter(prepared.values()))
    content = {
        "runs": {optimizer: each.run_id for optimizer, each in prepared.items()},
        "seeds": main.plan.config.grid.seeds,
        "examples": len(main.plan.dataset.train),
        "courses": [_course_json(course) for course in found],
        "verdicts": verdict_entries(ordered),
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def sharpness_csv(found: Sequence[Course], seeds: Sequence[int]) -> str:
    """A row for each state that was measured."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = ("optimizer", "batch_size", "learning_rate", "seed", "updates")
    writer.writerow((*columns, "sharpness", "residual", "times_step_size", "edge"))
    for course in found:
        about = course.optimizer, course.batch_size, course.rate
        for seed, row, shares in zip(seeds, course.sharpness, course.residuals, strict=True):
            for step, value, share in zip(course.updates, row, shares, strict=True):
                if math.isfinite(value):
                    found_here = value, value * share, value * course.rate, course.edge
                    writer.writerow((*about, seed, int(step), *found_here))
    return text.getvalue()


def _table(found: Sequence[Course], seeds: int) -> Iterator[str]:
    yield (
        f"step size × sharpness ({seeds} seeds, 95 % intervals; for Adam of the preconditioned "
        "Hessian): at the first kept state, as median over the last half of training, and the edge"
    )
    head = ("batch", "step size", "failed", "first", "last half", "edge")
    yield f"  {'':<17}{_row(*head, 'loss rises', 'train loss', 'test')}"
    for course in found:
        first = course.scaled[:, 0]
        cells = (
            f"{course.batch_size:,}" + ("*" if course.full else ""),
            f"{course.rate:.3g}",
            f"{course.failed}/{seeds}",
            _mean(first),
            _interval(course.late),
            f"{course.factor:.3g}{_mark(course)}",
            f"{_mean(course.rises, 0)} %",
            _mean(course.losses[:, -1], 4),
            f"{_mean(course.accuracy, 1)} %",
        )
        yield f"  {NAMES[course.optimizer]:<17}{_row(*cells)}"
    yield (
        "  * the full batch; ! outside of what is claimed; loss rises: share of looks, in the last "
        "half, at which it is above the look before"
    )
    if unconverged := sum(course.unconverged for course in found):
        count = sum(np.isfinite(course.sharpness).sum() for course in found)
        worst = max(np.nanmax(course.residuals, initial=0.0) for course in found)
        yield (
            f"  {unconverged} of {count:,} eigenvalues have a residual above 1 %, of "
            f"{100 * worst:.1f} % at most: at the edge several lie close together"
        )


def _mark(course: Course) -> str:
    low, high = band(course)
    inside = low <= np.mean(course.late) <= high
    return "" if inside or not course.full else "!"


def _row(*cells: str) -> str:
    widths = (8, 11, 8, 8, 22, 7, 12, 12, 9)
    return "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))


def _course_json(course: Course) -> dict[str, Any]:
    return {
        "optimizer": course.optimizer,
        "batch_size": course.batch_size,
        "learning_rate": course.rate,
        "preconditioned": course.optimizer == ADAM,
        "edge": course.edge,
        "failed": course.failed,
        "unconverged": course.unconverged,
        "first": _limits(course.scaled[:, 0]),
        "late": _limits(course.late),
        "late_by_seed": _numbers(course.late),
        "loss_rises_percent": _limits(course.rises),
        "halvings_of_loss": _limits(course.fall),
        "train_loss": _limits(course.losses[:, -1]),
        "test_accuracy": _limits(course.accuracy),
    }


def _over_seeds(values: Floats) -> Interval | None:
    """Over seeds that did not fail; None for fewer than two."""
    finite = values[np.isfinite(values)]
    return t_interval(finite) if len(finite) > 1 else None


def _limits(values: Floats) -> dict[str, float] | None:
    found = _over_seeds(values)
    return None if found is None else found.limits()


def _numbers(values: Floats) -> list[float | None]:
    return [float(value) if math.isfinite(value) else None for value in values]


def _interval(values: Floats) -> str:
    found = _over_seeds(values)
    return _mean(values) if found is None else spell(found)


def _mean(values: Floats, digits: int = 2) -> str:
    finite = values[np.isfinite(values)]
    return f"{finite.mean():.{digits}f}" if len(finite) else "none"
