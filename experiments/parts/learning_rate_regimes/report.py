"""Tables of what was found about learning rates."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from minima.record.tables import Table, Value
from parts.learning_rate_regimes.birds import Story
from parts.learning_rate_regimes.dips import RATES, Descents
from parts.learning_rate_regimes.pictures_of_rates import Seen
from parts.learning_rate_regimes.planes import FullBatch


def tables(
    full: Mapping[str, FullBatch], story: Story, dips: Sequence[Descents], seen: Sequence[Seen]
) -> dict[str, Table]:
    """Every table, by the name of its file."""
    return {
        "regimes": _regimes(full),
        "boundaries": _boundaries(full),
        "birds": _birds(story),
        "dips": _dips(dips),
        "trainability": _trainability(seen),
    }


def _regimes(full: Mapping[str, FullBatch]) -> Table:
    rows = [
        (
            each.name,
            rate,
            rate * float(each.start[0]),
            each.regimes[0][r],
            each.statuses[0][r],
            float(each.first[0, r]),
            float(each.highest[0, r]),
            float(each.last[0, r]),
            rate * float(each.end[0, r]),
        )
        for each in full.values()
        for r, rate in enumerate(each.rates)
        if r % max(1, len(each.rates) // 16) == 0
    ]
    columns: tuple[str, ...] = ("network", "rate", "rate_times_start_sharpness", "regime", "status")
    columns += ("first_loss", "highest_loss", "last_loss", "rate_times_end_sharpness")
    title = "regimes of the first seed, every fourth rate (results.csv has all runs)"
    return Table(title, columns, rows)


def _boundaries(full: Mapping[str, FullBatch]) -> Table:
    rows: list[tuple[Value, ...]] = []
    for each in full.values():
        flat = [name for row in each.regimes for name in row]
        stuck = [
            status
            for names, row in zip(each.regimes, each.statuses, strict=True)
            for name, status in zip(names, row, strict=True)
            if name == "collapsed"
        ]
        counts = Counter(flat)
        rows.append(
            (
                each.name,
                float(np.mean(each.start)),
                _mean(each.onsets()),
                _mean(each.limits()),
                *(counts[name] for name in ("frozen", "lazy", "unstable", "collapsed")),
                stuck.count("collapsed"),
                counts["diverged"],
            )
        )
    columns: tuple[str, ...] = (
        "network",
        "start_sharpness",
        "onset_times_sharpness",
        "limit_times_sharpness",
    )
    columns += ("frozen", "lazy", "unstable", "collapsed", "of_them_one_class", "diverged")
    seeds = len(next(iter(full.values())).regimes)
    title = f"boundaries in 1 / sharpness at the start: geometric means over n = {seeds} seeds"
    return Table(title, columns, rows)


def _birds(story: Story) -> Table:
    rows: list[tuple[Value, ...]] = []
    for name, data in (("tutorial", story.tutorial), ("bird calls", story.birds)):
        for r, rate in enumerate(data.rates):
            marks = {story.unchanged: "the tutorial's"}
            if name == "bird calls":
                marks = {story.changed: "chosen instead"} | marks
            curve = data.losses[r]
            rows.append(
                (
                    name,
                    rate,
                    marks.get(r, ""),
                    float(data.accuracy[r].mean()),
                    float(data.accuracy[r].min()),
                    float(data.accuracy[r].max()),
                    _mean_of(curve[:, 0]),
                    _mean_of(curve[:, -1]),
                    int(data.failed[r].sum()),
                    float(rate * np.mean(data.start)),
                )
            )
    columns: tuple[str, ...] = (
        "data",
        "rate",
        "chosen",
        "test_accuracy_percent",
        "lowest",
        "highest",
    )
    columns += ("first_look_loss", "last_loss", "failed", "rate_times_start_sharpness")
    seeds = story.birds.accuracy.shape[1]
    notes = ("bird calls are made up: a stand-in for recordings",) if story.stand_in else ()
    title = f"the tutorial's network on both data sets: means over n = {seeds} reporting seeds"
    return Table(title, columns, rows, notes=notes)


def _dips(dips: Sequence[Descents]) -> Table:
    rows = [
        (
            found.depth,
            found.curvature,
            found.edge,
            found.boundary,
            RATES[place],
            factor,
            100 * float(found.left[place].mean()),
            float(found.height[place].mean()),
        )
        for found in dips
        for factor in (0.5, 1.0, 2.0, 4.0)
        for place in [found.nearest(factor)]
    ]
    columns: tuple[str, ...] = (
        "narrow_dip_depth",
        "curvature",
        "edge",
        "left_above",
        "rate",
        "rate_over_edge",
    )
    columns += ("leaves_percent", "mean_end_height")
    title = f"starts in a narrow dip beside a wide one of depth 1.5: n = {dips[0].left.shape[1]}"
    return Table(title, columns, rows)


def _trainability(seen: Sequence[Seen]) -> Table:
    rows = [
        (
            each.seed,
            each.level,
            *map(float, each.window),
            each.dimension,
            100 * float((each.ends < 1).mean()),
        )
        for each in seen
    ]
    columns: tuple[str, ...] = (
        "seed",
        "zoom",
        "log10_hidden_rate",
        "log10_readout_rate",
        "side_decades",
    )
    columns += ("dimension", "trains_percent")
    return Table("the edge of trainability: box-count dimension of each picture", columns, rows)


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(np.exp(np.log(known).mean())) if len(known) else float("nan")


def _mean_of(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
