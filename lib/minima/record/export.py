"""A run's trials in the public schema of Shallue et al. 2019, for their loader and plots.

    DIRECTORY/dataset/model/optimizer/batch_size/study.json
                                                 trial_id/metadata.json
                                                 trial_id/measurements.csv

A study holds the cells of one batch size, a trial is one of them: seeds are trials of their own.
Trials are numbered in grid order from 1, so a cell keeps its number as a run fills up. Where the
schema leaves a choice:

* `parameters` holds what was used, not what was asked for: a scaled rate is the scaled one.
* A diverged cell is INFEASIBLE, one that hasn't run INCOMPLETE; every other is COMPLETE. The cell's
  own status is kept as `_minima_status`.
* measurements.csv: see `measurements`.
"""

import itertools
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minima.record import measurements
from minima.record.cells import PENDING, Cell, by_place
from minima.record.files import write_atomically
from minima.record.results import Run
from minima.runtime.errors import UserError

MARK = "minima_export.json"  # in DIRECTORY: which run each workload there comes from
# The heavy-ball coefficient of a run that leaves it to its optimiser, as in `sweep.optimizers`.
MOMENTA = {"sgd": 0.0, "muon": 0.95}
MOMENTUM = 0.9

_STATUSES = {PENDING: "INCOMPLETE", "diverged": "INFEASIBLE"}
_THEIR_NAMES = {"nesterov": "nesterov_momentum", "cifar10": "cifar_10"}
_SCALES = {"learning_rate": "LOG_SCALE", "momentum": "REVERSE_LOG_SCALE"}
_POWERS = {"none": 0.0, "sqrt": 0.5, "linear": 1.0}

Trial = tuple[dict[str, Any], Cell]  # a point of the grid, and its cell or {}


@dataclass(frozen=True)
class Exported:
    """What an export wrote: the workload's folder, and how many trials have which status."""

    workload: Path
    statuses: Counter[str]

    def describe(self) -> str:
        """One line of plain text."""
        counts = ", ".join(f"{count} {status}" for status, count in sorted(self.statuses.items()))
        return f"{self.statuses.total()} trials ({counts}) in {self.workload}"


def export(run: Run, directory: Path | str) -> Exported:
    """Writes every cell of the run's grid as a trial, each file in one step.

    `directory` is new, empty, or an earlier export; workloads of several runs fit into one.

    Raises:
      UserError: `directory` holds something else, or the same workload of another run; or the run's
        batches grow while it trains, or its loss is not cross-entropy, which a study has no words
        for.
      OSError: `directory` can't be written, or the disk is full; a repeated export completes it.
    """
    if run.config["training"].get("batch_factor", 1) != 1:
        raise UserError(f"{run.path}: its batches grow, and a study has one batch size")
    task, training = run.config["task"], run.config["training"]
    if task.get("loss", "cross_entropy") != "cross_entropy":
        raise UserError(f"{run.path}: its loss is {task['loss']}, a study has cross_entropy alone")
    model = run.info.get("model", task["model"])  # what "default" stood for
    names = [_name(task["dataset"]), _name(model), _name(training["optimizer"])]
    workload = Path(directory, *names)
    _claim(Path(directory), "/".join(names), f"{run.info['experiment']}/{run.info['run_id']}")
    statuses: Counter[str] = Counter()
    for batch_size, trials in _studies(run):
        folder = workload / str(batch_size)
        for number, (where, cell) in enumerate(trials, start=1):
            metadata = _metadata(run, number, where, cell)
            table = measurements.to_csv(cell, _stops_early(run))
            _write(folder / str(number) / "measurements.csv", table)
            _write(folder / str(number) / "metadata.json", _json(metadata))
            statuses[metadata["status"]] += 1
        # Last: without it their loader refuses the study, so half an export is never read.
        _write(folder / "study.json", _json(_study(run, names, batch_size, trials)))
    return Exported(workload, statuses)


def _studies(run: Run) -> Iterator[tuple[int, list[Trial]]]:
    """Batch sizes with their trials in grid order."""
    found, cells = by_place(run.axes, run.cells), run.cells
    studies: dict[int, list[Trial]] = {}
    for place, point in enumerate(itertools.product(*run.axes.values())):
        where = dict(zip(run.axes, point, strict=True))
        cell = cells[found[place]] if place in found else {}
        studies.setdefault(where["batch_size"], []).append((where, cell))
    yield from sorted(studies.items())


def _study(
    run: Run, names: Sequence[str], batch_size: int, trials: Sequence[Trial]
) -> dict[str, Any]:
    dataset, model, optimizer = names
    parameters = [_parameters(run, where) for where, _ in trials]
    complete = [cell["steps"] for _, cell in trials if _status(cell) == "COMPLETE"]
    return {
        "batch_size": batch_size,
        "dataset": dataset,
        "early_stopping": _stops_early(run),
        "model": model,
        "optimizer": optimizer,
        "parameter_configs": {
            name: _parameter_config(name, [values[name] for values in parameters])
            for name in parameters[0]
        },
        "train_steps": min(complete, default=0),
    }


def _parameter_config(name: str, values: Sequence[Any]) -> dict[str, Any]:
    """A grid is a discrete search space; `scale` says how its points are spaced."""
    config = {"type": "DISCRETE", "feasible_points": list(dict.fromkeys(values))}
    return config | ({"scale": _SCALES[name]} if name in _SCALES else {})


def _metadata(run: Run, number: int, where: Mapping[str, Any], cell: Cell) -> dict[str, Any]:
    return {
        "_internal_study_name": run.info["run_id"],
        "_internal_trial_id": number,
        "_minima_status": cell.get("status", PENDING),
        "parameters": _parameters(run, where),
        "status": _status(cell),
        "steps": cell.get("steps", 0),
        "trial_id": number,
    }


def _parameters(run: Run, where: Mapping[str, Any]) -> dict[str, Any]:
    training = run.config["training"]
    momentum = where.get("momentum", training.get("momentum"))
    if momentum is None:
        momentum = MOMENTA.get(training["optimizer"], MOMENTUM)
    power = _POWERS[training.get("learning_rate_scaling", "none")]
    scale = (where["batch_size"] / training.get("base_batch_size", 1)) ** power
    used = {"learning_rate": where["learning_rate"] * scale, "momentum": momentum}
    return {name: value for name, value in where.items() if name != "batch_size"} | used


def _status(cell: Cell) -> str:
    return _STATUSES.get(cell.get("status", PENDING), "COMPLETE")


def _stops_early(run: Run) -> bool:
    return "early_stopping" in str(run.config["training"].get("budget", ""))


def _claim(directory: Path, workload: str, run: str) -> None:
    """Writes the mark, unless `directory` is somebody else's."""
    mark = directory / MARK
    try:
        foreign = not mark.exists() and directory.exists() and any(directory.iterdir())
        owners = dict(json.loads(mark.read_bytes())) if mark.exists() else {}
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{mark}: cannot be read ({error}); choose another directory") from error
    if foreign:
        raise UserError(f"{directory} holds other files; export into a new or empty directory")
    if owners.get(workload, run) != run:
        raise UserError(
            f"{directory / workload} is an export of {owners[workload]}; choose another directory"
        )
    _write(mark, _json(owners | {workload: run}))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text, durable=False)  # whatever is lost can be exported again


def _name(name: str) -> str:
    """A dataset, model or optimiser as a folder; a path is only its last part, without suffix."""
    return _THEIR_NAMES.get(name) or re.sub(r"\W+", "-", Path(name).stem)


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=2, sort_keys=True) + "\n"
