"""What experiments on one lesson share: train their sweeps, then present what was found.

    code = lesson.train_all(prepared, config)    # every sweep, resumed where it was stopped
    if code is not None:
        return code
    lesson.present(place, Findings(tables, judged, figures))

Where an experiment measures rather than trains, `lesson.measuring` opens a run directory.
"""

import contextlib
import dataclasses
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import command_line
from minima import sweep
from minima.record.files import write_atomically
from minima.record.run_directory import RunDirectory, config_hash
from minima.record.tables import Table
from minima.sweep.config import RecordConfig
from training import train

if TYPE_CHECKING:
    from minima.claims.seeded import Judged
    from minima.record.figure_style import Picture
    from minima.sweep.plan import Plan
    from minima.sweep.run import Prepared

_NOT_NUMBERS = ("record", "processes")  # groups of a config that change no number


@dataclass(frozen=True)
class Findings:
    """What an experiment has to say.

    Attributes:
      tables: by name, which is that of the CSV file: printed in this order, above the verdicts.
      judged: claims with their verdicts, in the order of the lesson.
      figures: by name, which is that of the file in figures/.
      facts: numbers for verdict.json beside the verdicts; JSON values, no times.
      lines: printed between tables and verdicts.
    """

    tables: Mapping[str, Table]
    judged: "Sequence[Judged]"
    figures: "Mapping[str, Picture]" = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    lines: Sequence[str] = ()


@dataclass(frozen=True)
class Place:
    """Where findings go.

    Attributes:
      directory: a run's.
      runs: every run that they rest on, by what it is to the experiment.
      shown: how the user would name the directory.
      tensorboard: whether figures and verdicts go there, too.
    """

    directory: Path
    runs: Mapping[str, str]
    shown: str
    tensorboard: bool = True


def train_all(
    prepared: "Mapping[str, Prepared]",
    config: Any,
    describe: "Callable[[Plan], str] | None" = None,
) -> int | None:
    """Describes all sweeps, then trains what is missing of each.

    Args:
      prepared: the sweeps, by name.
      config: the experiment's.
      describe: says in a line what a plan is, where there are many; None says all of it.

    Returns:
      None where everything is there and the experiment goes on; else the exit code to leave with:
      0 after --plan_only or a shard, that of the sweep where one was stopped.
    """
    for name, each in prepared.items():
        print(f"{name}: " if len(prepared) > 1 else "", end="")
        text = describe(each.plan) if describe else sweep.describe(each.plan) + "\n"
        print(text, flush=True)
    place = of_sweeps(prepared)
    if config.record.plan_only:
        print(f"run: {place.shown} (not started: --plan_only)")
        return 0
    for each in prepared.values():
        code = train(each, command_line.flagfile(config))
        if code is not None:
            return code
    return None


def of_sweeps(prepared: "Mapping[str, Prepared]") -> Place:
    """What is found about several sweeps together is kept with the first one's own."""
    first = next(iter(prepared.values()))
    runs = {name: each.run_id for name, each in prepared.items()}
    shows = first.plan.config.record.tensorboard
    return Place(first.directory, runs, str(first.place), shows)


@contextlib.contextmanager
def measuring(experiment: str, config: Any) -> Iterator[tuple[RunDirectory, Place]]:
    """A run directory for what is measured without a sweep; its id follows from the config.

    Raises:
      UserError: another process works on it.
      DiskFull: no room.
    """
    record: RecordConfig = config.record
    run_id, identity = _identified(experiment, config)
    flags = command_line.flagfile(config)
    with RunDirectory.open(record.workdir, experiment, run_id, identity, flags) as run:
        shown = place_of(experiment, config)
        yield run, Place(run.directory, {experiment: run_id}, shown, record.tensorboard)
        run.update_info(status="complete")


def place_of(experiment: str, config: Any) -> str:
    """How a user would name what `measuring` opens."""
    return f"{config.record.workdir}/{experiment}/{_identified(experiment, config)[0]}"


def _identified(experiment: str, config: Any) -> tuple[str, dict[str, Any]]:
    """A run's id, and the config that it follows from, as JSON values."""
    groups = dataclasses.asdict(config)
    identity = {name: group for name, group in groups.items() if name not in _NOT_NUMBERS}
    identity = json.loads(json.dumps(identity, default=str))
    return f"{re.sub(r'_', '-', experiment)}-{config_hash(identity)[:10]}", identity


def present(place: Place, findings: Findings) -> None:
    """Prints tables and verdicts, failures first; writes them, the figures, and TensorBoard's.

    verdict.json holds no times: the same command writes the same bytes.

    Raises:
      DiskFull: no room.
    """
    # They bring NumPy and SciPy, which --help does without.
    from judged import failures_first, verdict_entries, verdict_lines
    from minima.claims.figures import write_figures
    from minima.record.board import Board

    folder, ordered = place.directory, failures_first(findings.judged)
    for table in findings.tables.values():
        print("\n" + "\n".join(table.lines()))
    if findings.lines:
        print("\n" + "\n".join(findings.lines))
    print("\n" + "\n".join(verdict_lines(ordered)) + "\n")
    for name, table in findings.tables.items():
        write_atomically(folder / f"{name}.csv", table.csv())
    content = {"runs": place.runs, **findings.facts, "verdicts": verdict_entries(ordered)}
    text = json.dumps(content, indent=1, allow_nan=False) + "\n"
    write_atomically(folder / "verdict.json", text)
    write_figures(folder, findings.figures)
    if place.tensorboard and findings.figures:
        images = {f"lesson/{name}": picture.png for name, picture in findings.figures.items()}
        Board(folder, {}).add_figures(images, "lesson")
    files = ["verdict.json", *(f"{name}.csv" for name in findings.tables)]
    files += [f"figures/{name}.png" for name in findings.figures]
    for name in files:
        kind = {".json": "verdict", ".csv": "table"}.get(Path(name).suffix, "figure")
        print(f"{kind + ':':<9} {folder / name}")
    print(f"run: {place.shown}")
