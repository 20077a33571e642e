"""kept.jsonl: what a command has measured, so that it is never measured twice.

Where a sweep has cells, a measurement has a name and a value. Times among them are those of the
first run: the same command then prints the same numbers, on whatever machine.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from minima.record import cells as cell_lines

FILE = "kept.jsonl"


class Kept:
    """The measurements of one run directory, whose lock the caller holds."""

    def __init__(self, directory: Path, told: Callable[[str], None] = lambda _: None) -> None:
        """Reads what is there; a torn last line is cut off.

        Args:
          directory: the run's.
          told: is told what is being measured.

        Raises:
          UserError: a line before the last is damaged.
        """
        self._path, self._told = directory / FILE, told
        lines = cell_lines.read_lines(self._path, repair=True, done="measured")
        self._values = {_key(line["cell"]): line["value"] for line in lines}

    def get(self, measure: Callable[[], Any], **what: Any) -> Any:
        """What was measured under these names, or what is measured now, and on disk thereafter.

        Args:
          measure: returns a JSON value; what isn't finite comes back as NaN.
          **what: JSON values that tell this measurement from all others.

        Raises:
          DiskFull: no room; what was measured before is intact.
        """
        key = _key(what)
        if key not in self._values:
            self._told("measuring " + ", ".join(f"{name} {value}" for name, value in what.items()))
            line = {"cell": what, "value": measure()}
            cell_lines.append(self._path, line)
            self._values[key] = cell_lines.decode(cell_lines.encode(line))["value"]
        return self._values[key]


def _key(what: dict[str, Any]) -> str:
    return json.dumps(what, sort_keys=True)
