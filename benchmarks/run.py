"""Runs us and the peers side by side and prints ratios: make benchmark ROWS="plane_mlp records"

Each row alternates its two sides at least five times, so that both see the same weather; figures
are medians, with the range of the ratios. Raw numbers go to results/, the tables to RESULTS.md.
"""

import argparse
import datetime
import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import machine
import report
from row import Row
from runner import Runner

HERE = Path(__file__).parent
RESULTS = HERE / "results"


def main() -> int:
    """Runs the rows asked for; a side that fails fails its row only."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*", help="names; all rows unless given")
    parser.add_argument("--repeats", type=int, default=5, help="runs of either side")
    parser.add_argument("--peers", default=".venv-peers/bin/python", help="the peers' Python")
    parser.add_argument("--list", action="store_true", help="print the rows and stop")
    args = parser.parse_args()
    rows = chosen(args.rows)
    if args.list:
        for row in rows:
            print(f"{row.name:<22}{row.title}")
        return 0
    with Runner(sys.executable, args.peers) as runner:
        about = machine.describe(runner)
        print(machine.sentence(about), flush=True)
        found, failures, begun = [], 0, datetime.datetime.now(datetime.UTC)
        for row in rows:
            try:
                found.append(measure(row, runner, args.repeats))
                print(report.line(row, found[-1], about), flush=True)
                keep(begun, {"machine": about, "rows": found})
            except subprocess.CalledProcessError as error:
                failures += 1
                print(f"{row.name}: {error}\n{error.stderr or ''}", file=sys.stderr)
    return 1 if failures else 0


def chosen(names: list[str]) -> list[Row]:
    """The rows of that name, or all; files in rows/ are what there is."""
    rows: list[Row] = []
    for path in sorted((HERE / "rows").glob("*.py")):
        rows += importlib.import_module(f"rows.{path.stem}").ROWS
    if unknown := set(names) - {row.name for row in rows}:
        known = ", ".join(row.name for row in rows)
        sys.exit(f"error: no row {', '.join(sorted(unknown))}; there are {known}")
    return [row for row in rows if not names or row.name in names]


def measure(row: Row, runner: Runner, repeats: int) -> dict[str, Any]:
    """Races our side with the fastest peer; figures are seconds per unit of `row.per`."""
    several = len(row.peers) > 1  # an only peer is not raced for nothing
    first = {peer.name: runner.figure(row, peer) for peer in row.peers if several}
    peer = min(row.peers, key=lambda side: first.get(side.name, 0), default=None)
    runner.figure(row, row.ours)  # so that caches of both are warm
    ours, theirs = [], []
    for i in range(repeats):
        if i % 2 == 0:
            ours.append(runner.figure(row, row.ours))
        if peer:
            theirs.append(runner.figure(row, peer))
        if i % 2:
            ours.append(runner.figure(row, row.ours))
    return {
        "row": row.name,
        "ours": ours,
        "theirs": theirs,
        "peer": peer.name if peer else "",
        "first_round": first,
    }


def keep(begun: datetime.datetime, result: dict[str, Any]) -> None:
    """Writes what a run of this script has measured so far, row by row: a kill loses one row."""
    about = {"date": begun.isoformat(timespec="seconds"), "commit": machine.commit()}
    kind = result["machine"]["kind"].replace(" ", "-")
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{begun:%Y%m%d-%H%M%S}-{kind}.json"
    path.write_text(json.dumps(about | result, indent=1) + "\n")
    report.write(HERE / "RESULTS.md", RESULTS)


if __name__ == "__main__":
    sys.exit(main())
