"""From runs on disk to the evidence that claims are judged on."""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from minima.claims.evidence import Bools, Curves, Floats, Plane
from minima.record import results
from minima.record.cells import FAILED
from minima.record.results import Run
from minima.record.snapshots import Snapshots
from minima.sweep.minima import predict_test_set
from minima.sweep.plan import Plan

_CURVES = ("train_loss", "validation_accuracy", "validation_loss")


class Reading:
    """A finished sweep, read as a plane."""

    def __init__(self, plan: Plan, directory: Path, mesh: jax.sharding.Mesh) -> None:
        """`directory` holds the run of `plan`; `mesh` has one axis, as training takes it."""
        self.plan, self.mesh = plan, mesh
        self.run: Run = results.load(directory)
        self.snapshots = Snapshots(directory)
        self.axes = plan.config.grid.batch_sizes, plan.config.grid.learning_rates
        self.seeds = plan.config.grid.seeds
        self.records: Mapping[int, dict[str, Any]] = {
            plan.grid.index(record["cell"]): record for record in self.run.cells
        }

    @property
    def shape(self) -> tuple[int, int, int]:
        """(batch sizes, rates, seeds)."""
        return len(self.axes[0]), len(self.axes[1]), len(self.seeds)

    def number(self, b: int, r: int, s: int) -> int:
        """The number of a cell in its run."""
        return int(np.ravel_multi_index((b, r, s), self.shape))

    def plane(self, before: int = 0) -> Plane:
        """Results at the end of the budget; `before` are updates that trunks had made."""
        steps = [self.plan.timeline({"batch_size": size}).steps for size in self.axes[0]]
        return Plane(
            *self.axes,
            self.seeds,
            validation=self._finals("validation_accuracy"),
            test=self._finals("test_accuracy"),
            train_loss=self._finals("train_loss"),
            steps=tuple(before + made for made in steps),
            num_test=self._num_test,
            hits=functools.lru_cache(self._hits),
        )

    def hits_at(self, points: Sequence[tuple[int, int] | None]) -> Bools:
        """Which test labels are predicted by kept states, (points, labels); all False for None."""
        found = [point for point in points if point is not None]
        predicted = predict_test_set(self.plan, self.snapshots, found, self.mesh)
        table = np.zeros((len(points), self._num_test), bool)
        table[[point is not None for point in points]] = self.plan.dataset.right(predicted)
        return table

    @property
    def _num_test(self) -> int:
        """Test labels that count."""
        dataset = self.plan.dataset
        return int(np.count_nonzero(dataset.asked(dataset.test)))

    def curve(self, name: str) -> Floats:
        """A trajectory's column, (batch sizes, rates, seeds, evaluations), NaN beyond its end."""
        table = np.full((*self.shape, self.plan.config.training.evaluations), np.nan)
        for number, record in self.records.items():
            values = record["trajectory"][name]
            table[np.unravel_index(number, self.shape)][: len(values)] = values
        return table

    def _finals(self, name: str) -> Floats:
        table = np.full(self.shape, np.nan)
        for number, record in self.records.items():
            if record["status"] not in FAILED:
                table[np.unravel_index(number, self.shape)] = record[name]
        return table

    def _hits(self, b: int, r: int) -> Bools:
        points: list[tuple[int, int] | None] = []
        for s in range(len(self.seeds)):
            number = self.number(b, r, s)
            record = self.records.get(number)
            failed = record is None or record["status"] in FAILED
            points.append(None if failed or record is None else (number, record["steps"]))
        return self.hits_at(points)


def curves(trunk: Reading, longer: Reading | None) -> Curves:
    """The plane's curves, those of its largest batch size continued where that was trained."""
    columns = {name: trunk.curve(name) for name in ("step", *_CURVES)}
    if longer is not None:
        made = trunk.plane().steps[-1]
        rates = [trunk.axes[1].index(rate) for rate in longer.axes[1]]
        for name, table in columns.items():
            tail = longer.curve(name)[0] + (made if name == "step" else 0)
            more = np.full((*trunk.shape, tail.shape[-1]), np.nan)
            more[-1, rates] = tail
            columns[name] = np.concatenate([table, more], axis=-1)
    return Curves(*(columns[name] for name in ("step", *_CURVES)))


def same_updates_plane(trunk: Reading, longer: Reading, before: int) -> Plane:
    """The smallest batch size of a trunk beside its largest one, as it went on.

    At the rates of the latter; `before` are updates that the largest had made in the trunk.
    """
    first, second = trunk.plane(), longer.plane(before)
    same = [trunk.axes[1].index(rate) for rate in longer.axes[1]]

    def rows(name: str) -> Floats:
        return np.stack([getattr(first, name)[0, same], getattr(second, name)[0]])

    return Plane(
        (trunk.axes[0][0], trunk.axes[0][-1]),
        longer.axes[1],
        longer.seeds,
        validation=rows("validation"),
        test=rows("test"),
        train_loss=rows("train_loss"),
        steps=(first.steps[0], second.steps[0]),
        num_test=first.num_test,
        hits=lambda b, r: second.hits(0, r) if b else first.hits(0, same[r]),
    )


def same_loss_plane(trunk: Reading, longer: Reading, small_column: int) -> Plane:
    """Smallest and largest batch size at the same training loss, seed by seed.

    The smallest is read at the end of the trunk, at one rate; the largest at whichever kept state
    had the training loss (mean over the passes before it) nearest in ratio. How near is for the
    reader of `train_loss` to judge: a large batch may never come that low.
    """
    steps, losses = longer.curve("step")[0], longer.curve("train_loss")[0]
    accuracy = longer.curve("validation_accuracy")[0]
    wanted = trunk.curve("train_loss")[0, small_column]  # (seeds, evaluations)
    wanted = np.array(
        [row[np.isfinite(row)][-1] if np.isfinite(row).any() else np.nan for row in wanted]
    )
    rates, seeds = longer.axes[1], longer.seeds
    tables = {name: np.full((2, len(rates), len(seeds)), np.nan) for name in ("v", "t", "l")}
    points: dict[tuple[int, int], tuple[int, int]] = {}
    with np.errstate(divide="ignore", invalid="ignore"):
        off = np.abs(np.log(losses / wanted[None, :, None]))
    for r, s in np.ndindex(len(rates), len(seeds)):
        number = longer.number(0, r, s)
        kept = np.isin(steps[r, s], longer.snapshots.steps(number)) & np.isfinite(off[r, s])
        if kept.any():
            best = int(np.where(kept, off[r, s], np.inf).argmin())
            points[r, s] = (number, int(steps[r, s, best]))
            tables["v"][1, r, s], tables["l"][1, r, s] = accuracy[r, s, best], losses[r, s, best]
    keys = list(points)
    found = dict(zip(keys, longer.hits_at([points[key] for key in keys]), strict=True))
    whole = trunk.plane()
    same = [trunk.axes[1].index(rate) for rate in rates]
    for name, field in (("v", "validation"), ("t", "test")):
        tables[name][0] = getattr(whole, field)[0, same]
    tables["l"][0] = wanted[None, :]
    for key, row in found.items():
        tables["t"][1][key] = row.mean()

    def hits(b: int, r: int) -> Bools:
        if b == 0:
            return whole.hits(0, same[r])
        missing = np.zeros(whole.num_test, bool)
        return np.stack([found.get((r, s), missing) for s in range(len(seeds))])

    return Plane(
        (trunk.axes[0][0], trunk.axes[0][-1]),
        rates,
        seeds,
        validation=tables["v"],
        test=tables["t"],
        train_loss=tables["l"],
        steps=(whole.steps[0], whole.steps[-1] + longer.plane().steps[0]),
        num_test=whole.num_test,
        hits=hits,
    )
