"""A run's minima measured, and shown: results, heat maps, TensorBoard, a table in the terminal."""

import math
import re
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

from minima.landscape.panels import PANELS, Panel
from minima.landscape.plane_figure import plane_figure
from minima.landscape.run_measures import check_panel, cost_key, kept_minima, measure_points
from minima.record import board, measures, results
from minima.record.board import Board
from minima.record.cells import FAILED, Cell
from minima.record.figure_style import Picture
from minima.record.files import write_atomically
from minima.record.plane import best_rates, panels
from minima.record.results import Run
from minima.record.run_directory import RunDirectory
from minima.runtime.errors import UserError
from minima.sweep.plan import Plan

_EVERY = 15.0  # seconds between lines that say how far it is


@dataclass(frozen=True)
class Request:
    """What is to be measured, and how.

    Attributes:
      panels: names in `panels.PANELS`.
      examples: training examples, the first ones; 0 for all.
      seed: of random probes.
      dtype: None for that of training.
      cells: numbers of cells; None for all.
    """

    panels: tuple[str, ...]
    examples: int
    seed: int = 0
    dtype: str | None = None
    cells: tuple[int, ...] | None = None


def chosen_panels(plan: Plan, names: Sequence[str]) -> list[Panel]:
    """The panels of these names.

    Raises:
      UserError: there is no such panel, or it can't measure what this optimiser trains.
    """
    for name in names:
        if name not in PANELS:
            raise UserError(f"panel {name!r}: choose of {', '.join(PANELS)}")
        check_panel(plan, PANELS[name])
    return [PANELS[name] for name in names]


def measure_run(
    plan: Plan, directory: Path | str, request: Request, mesh: jax.sharding.Mesh
) -> None:
    """Measures the minima of a run's finished cells, what is missing only, and shows them all.

    results.csv and results.nc get their columns, figures/landscape.png and .svg are drawn,
    TensorBoard gets both, and a table of medians and what it cost are printed.

    Args:
      plan: of the run.
      directory: of the run.
      request: what is to be measured.
      mesh: from `plan.layout.make_mesh`.

    Raises:
      UserError: no such panel, nothing to measure, a damaged state, or the run is in use.
      DiskFull: no room; what was measured is kept.
    """
    chosen = chosen_panels(plan, request.panels)
    points = kept_minima(plan, directory, request.cells)
    if not points:
        raise UserError(
            f"{directory}: keeps no minimum of the cells asked for; train with --snapshots=1 or "
            "more, and choose cells that finished and did not diverge"
        )
    for panel in chosen:
        measure_points(
            plan,
            directory,
            points,
            panel,
            examples=request.examples,
            mesh=mesh,
            seed=request.seed,
            dtype=request.dtype,
            progress=_progress(panel.name),
        )
    run = show(directory)
    for line in [*table(run), *_cost(plan, run, request)]:
        print(line, flush=True)
    print(f"measures: {run.path / measures.FILE}, {run.path / 'results.csv'}")


def show(directory: Path | str) -> Run:
    """Brings results, figures and TensorBoard in line with what has been measured.

    Raises:
      UserError: the run is in use.
      DiskFull: no room.
    """
    with RunDirectory.hold(directory) as held:
        run = results.load(held.directory)
        results.write_results(run.path, run.axes, run.cells)
        pictures = dict(_pictures(run))
        for name, picture in pictures.items():
            for suffix, content in (("png", picture.png), ("svg", picture.svg)):
                path = run.path / "figures" / f"{name}.{suffix}"
                path.parent.mkdir(exist_ok=True)
                write_atomically(path, content)
        if (run.path / board.FOLDER).exists():
            shown = Board(run.path, run.axes)
            shown.add_measures(run.measured_cells)
            images = {f"landscape/{name}": picture.png for name, picture in pictures.items()}
            shown.add_figures(images, "landscape")
    return run


def table(run: Run) -> Iterator[str]:
    """Headlines at the best rate of the smallest and the largest batch size, over seeds."""
    for label, axes, cells in panels(run.axes, run.measured_cells):
        best, _ = best_rates(axes, cells, "test_accuracy")
        names = [name for name in measures.names(cells) if name in measures.HEADLINES]
        if not best or not names:
            continue
        ends = dict.fromkeys((min(best), max(best)))
        heads = [f"batch {batch} at rate {best[batch]:.3g}" for batch in ends]
        yield f"minima at the best rates {label}".rstrip() + ": median [lowest, highest] over seeds"
        yield f"  {'':<20}" + "".join(f"{head:<34}" for head in heads).rstrip()
        for name in names:
            found = (_over_seeds(cells, (batch, best[batch]), name) for batch in ends)
            yield f"  {name:<20}" + "".join(f"{text:<34}" for text in found).rstrip()


def _over_seeds(cells: Sequence[Cell], point: tuple[float, float], name: str) -> str:
    here = [c for c in cells if (c["cell"]["batch_size"], c["cell"]["learning_rate"]) == point]
    trained = [cell for cell in here if cell["status"] not in FAILED]
    entries = [cell["measured"][name] for cell in trained if name in cell.get("measured", {})]
    values = [entry["value"] for entry in entries if math.isfinite(entry["value"])]
    if not values:
        return "no value"
    text = f"{statistics.median(values):.3g} [{min(values):.3g}, {max(values):.3g}]"
    unsure = sum(not measures.is_sound(entry) for entry in entries)
    return f"{text}, {unsure} of {len(entries)} unsure" if unsure else text


def _pictures(run: Run) -> Iterator[tuple[str, Picture]]:
    about = f"{run.info.get('model', '')}, {run.path.name}".removeprefix(", ")
    for label, axes, cells in panels(run.axes, run.measured_cells):
        if any(name in measures.HEADLINES for name in measures.names(cells)):
            name = re.sub(r"[^\w.=-]+", "_", f"landscape {label}".strip())
            yield name, plane_figure(axes, cells, f"{label}, {about}".removeprefix(", "))


def _cost(plan: Plan, run: Run, request: Request) -> Iterator[str]:
    """What measuring a minimum cost beside training its cell, as run.json has both."""
    sums: Mapping[str, Any] = run.info.get("measures") or {}
    keys = [cost_key(plan, name, request.examples, request.dtype) for name in request.panels]
    found = {name: sums[key] for name, key in zip(request.panels, keys, strict=True) if key in sums}
    examples = [cell["examples"] for cell in run.cells]
    trained = [cell["examples"] for cell in run.cells if cell["status"] != "diverged"]
    seconds = run.info.get("train_seconds") or 0.0
    if not found or not seconds or not trained:
        return
    # By examples: cells that diverge early cost little.
    training = seconds / sum(examples) * statistics.fmean(trained)
    each = sum(cost["seconds"] / cost["minima"] for cost in found.values())
    parts = ", ".join(f"{name} {cost['seconds']:,.1f} s" for name, cost in found.items())
    compiling = sum(cost["compile_seconds"] for cost in found.values())
    minima = max(cost["minima"] for cost in found.values())
    yield (
        f"measured {minima:,} minima: {parts}; {compiling:,.1f} s of compiling; "
        f"a minimum cost {each / training:.2f} of its training"
    )


def _progress(name: str) -> Callable[[int, int], None]:
    """Prints how far a panel is: now and then, and at its end."""
    begin = last = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if done == total or now - last >= _EVERY:
            last = now
            print(f"{name:<15} {done:,} of {total:,} minima, {now - begin:,.1f} s", flush=True)

    return tell
