"""What runs have said about claims: every verdict.json below a folder, read back."""

import json
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minima.claims.claim import FAILURES_FIRST, PASS
from minima.claims.ledger import CLAIMS
from minima.runtime.errors import UserError

_FILE = "verdict.json"


@dataclass(frozen=True)
class Judged:
    """The verdicts of one run.

    Attributes:
      experiment: the script's name.
      run_id: the run's.
      verdicts: entries of its verdict.json, failures first.
    """

    experiment: str
    run_id: str
    verdicts: tuple[Mapping[str, Any], ...]


def read(workdir: str | Path) -> list[Judged]:
    """Every judged run below `workdir`, by experiment and run id.

    Raises:
      UserError: no such folder, nothing judged in it, or a file that isn't a verdict.
    """
    folder = Path(workdir)
    if not folder.is_dir():
        raise UserError(f"{workdir}: no such folder; name the --workdir that experiments wrote to")
    found = [_read(path) for path in sorted(folder.rglob(_FILE))]
    if not found:
        raise UserError(f"{workdir}: no {_FILE} in it or below; run an experiment to its end first")
    return found


def report(runs: list[Judged], everything: bool = False) -> Iterator[str]:
    """Lines: one for each run with its counts, then its claims; PASS only with `everything`."""
    for run in runs:
        names = [each["verdict"] for each in run.verdicts]
        counts = [f"{names.count(name)} {name}" for name in FAILURES_FIRST if name in names]
        yield f"{run.experiment}/{run.run_id}: {', '.join(counts) or 'no claim was judged'}"
        for each in run.verdicts:
            if everything or each["verdict"] != PASS:
                yield from _entry(each)


def _read(path: Path) -> Judged:
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["verdicts"]
        ordered = sorted(entries, key=lambda each: FAILURES_FIRST.index(each["verdict"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not the verdicts of a run ({error}); move it away") from error
    return Judged(path.parent.parent.name, path.parent.name, tuple(ordered))


def _entry(each: Mapping[str, Any]) -> Iterator[str]:
    # The flagship's claims stand in the ledger, which knows their sentences.
    sentence = each.get("sentence") or next(
        (claim.sentence for claim in CLAIMS if claim.id == each["claim"]), ""
    )
    found, statistic = "", each["statistic"]
    if statistic is not None:
        estimate, low, high = (f"{statistic[name]:.4g}" for name in ("estimate", "low", "high"))
        limits = "" if statistic["method"] == "exact" else f" [{low}, {high}]"
        found = f"{estimate}{limits} {each['unit']}"
    words = [each["claim"] + (f": {sentence}" if sentence else ""), found]
    text = "; ".join(filter(None, [*words, each["reason"], each["enough"]]))
    first, rest = f"  {each['verdict']:<12} ", " " * 15
    yield textwrap.fill(text, 100, initial_indent=first, subsequent_indent=rest)
