"""Two runs, cell by cell: what did the change do?

Cells of the same batch size, learning rate and seed start from the same weights and see the same
data in the same order, so their differences say more than two means. Pairs of one seed, at several
rates, share that seed's luck: they are averaged first, and the interval is over seeds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from minima.record.cells import FAILED, Cell, key
from minima.record.intervals import Mean, interval
from minima.record.results import Run
from minima.record.run_directory import flat
from minima.runtime.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

METRICS = ("test_accuracy", "test_loss")
_FEW_SEEDS = 5

Pair = tuple[Cell, Cell]


@dataclass(frozen=True)
class Row:
    """Pairs of cells, of one batch size or all.

    Attributes:
      label: the batch size, or "all".
      trained: how many pairs trained in both runs; only those are in the differences.
      failed: by status, how many of the paired cells failed in the first and in the second run.
      differences: second minus first, by metric.
    """

    label: str
    trained: int
    failed: dict[str, tuple[int, int]]
    differences: dict[str, Mean]


@dataclass(frozen=True)
class Comparison:
    """What `compare` found; `unpaired` cells have no partner in the other run (first, second)."""

    first: Run
    second: Run
    changes: dict[str, tuple[Any, Any]]
    rows: list[Row]
    unpaired: tuple[int, int]


def compare(first: Run, second: Run, any_data: bool = False) -> Comparison:
    """Pairs the cells of two runs and takes differences.

    Raises:
      UserError: the runs were trained on different data, unless `any_data`; or no cell pairs.
    """
    checksums = [run.config.get("data_sha256") for run in (first, second)]
    if checksums[0] != checksums[1] and not any_data:
        raise UserError(
            f"{first.path} and {second.path} were trained on different data; "
            "use --any_data to compare them all the same"
        )
    ours, theirs = ({key(cell): cell for cell in run.cells} for run in (first, second))
    common = [(ours[k], theirs[k]) for k in ours if k in theirs]
    if not common:
        raise UserError(
            f"{first.path} and {second.path} have no finished cell in common; compare runs "
            "with the same batch sizes, learning rates and seeds"
        )
    batches = sorted({pair[0]["cell"]["batch_size"] for pair in common})
    groups = {str(b): [p for p in common if p[0]["cell"]["batch_size"] == b] for b in batches}
    rows = [_row(label, pairs) for label, pairs in (groups | {"all": common}).items()]
    unpaired = (len(ours) - len(common), len(theirs) - len(common))
    return Comparison(first, second, _changes(first.config, second.config), rows, unpaired)


def print_comparison(console: "Console", found: Comparison) -> None:
    """Prints the table, what differs between the configs, and what the numbers can't say."""
    from rich import box
    from rich.table import Table

    console.print(f"first   {found.first.path}", markup=False, soft_wrap=True)
    console.print(f"second  {found.second.path}", markup=False, soft_wrap=True)
    for name, (before, after) in found.changes.items():
        console.print(f"  {name}: {before} → {after}", markup=False, soft_wrap=True)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    heads = ("batch size", "pairs", *FAILED, "test accuracy, points", "test loss")
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    for row in found.rows:
        accuracy, loss = (row.differences[name] for name in METRICS)
        failed = [f"{a} → {b}" for a, b in row.failed.values()]
        numbers = accuracy.describe(100, 2, sign="+"), loss.describe(1, 4, sign="+")
        table.add_row(row.label, str(row.trained), *failed, *numbers)
    console.print("second minus first, mean ± 95 % over n seeds:")
    console.print(table)
    for note in _notes(found):
        console.print(note, markup=False)


def _row(label: str, pairs: Sequence[Pair]) -> Row:
    trained = [p for p in pairs if not any(cell["status"] in FAILED for cell in p)]
    failed = {n: _counts([(a["status"] == n, b["status"] == n) for a, b in pairs]) for n in FAILED}
    return Row(label, len(trained), failed, {name: _difference(trained, name) for name in METRICS})


def _difference(pairs: Sequence[Pair], metric: str) -> Mean:
    by_seed: dict[Any, list[float]] = {}
    for first, second in pairs:
        by_seed.setdefault(first["cell"].get("seed"), []).append(second[metric] - first[metric])
    return interval([sum(values) / len(values) for values in by_seed.values()])


def _counts(flags: Sequence[tuple[bool, bool]]) -> tuple[int, int]:
    return sum(first for first, _ in flags), sum(second for _, second in flags)


def _changes(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    before, after = flat(first), flat(second)
    names = list(dict.fromkeys((*before, *after)))
    return {n: (before.get(n), after.get(n)) for n in names if before.get(n) != after.get(n)}


def _notes(found: Comparison) -> list[str]:
    overall = found.rows[-1]
    notes = ["Pairs that diverged or collapsed in either run are counted and in no mean."]
    if any(found.unpaired):
        first, second = found.unpaired
        notes.append(f"Without a partner: {first} cells of the first, {second} of the second.")
    seeds = max(mean.n for mean in overall.differences.values())
    if seeds == 1:
        notes.append(
            "One seed: no interval, so chance can't be told from an effect; use --seeds=5."
        )
    elif 1 < seeds < _FEW_SEEDS:
        notes.append(f"{seeds} seeds are few: the intervals are wide; --seeds=5 or more says more.")
    if len(found.rows) > 2 and seeds > 1:
        notes.append("Each interval is 95 % by itself: of twenty, one misses by chance.")
    return notes
