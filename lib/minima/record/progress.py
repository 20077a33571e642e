"""How far a run has come: a live bar on a terminal, plain lines anywhere else."""

import statistics
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import IO, Any


class Progress:
    """Shows cells done, examples per second, time left and counts by status while a run goes on.

    The speed is the median over the latest updates, the first of them left out: it and the few
    that wait for a compilation say nothing about the time that is left.
    """

    def __init__(
        self,
        file: IO[str] | None = None,
        every: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Writes to `file` (standard error); without a terminal a line each `every` seconds."""
        self._file = file or sys.stderr
        self._every = every
        self._clock = clock
        self._bar: Any = None  # rich's, on a terminal only
        self._rates: deque[float] = deque(maxlen=31)
        self._updates = 0
        self._last: tuple[float, float] = (clock(), 0.0)  # time, examples
        self._printed = float("-inf")
        self._line = ""

    def __enter__(self) -> "Progress":
        """Starts the bar where there is a terminal."""
        if self._file.isatty():
            self._bar = _live_bar(self._file)
            self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Shows where the run stands, whatever ended it."""
        if self._bar is not None:
            self._bar.refresh()
            self._bar.stop()
        else:
            self._print(self._line)

    def update(
        self,
        done_examples: float,
        total_examples: float,
        counts: Mapping[str, int],
        cells_total: int,
    ) -> None:
        """Takes note of where the run stands; cheap enough for every segment.

        `counts` has the number of finished cells by status.
        """
        self._measure(done_examples)
        left = total_examples - done_examples
        share = done_examples / total_examples if total_examples else 1.0
        self._line = f"{share:4.0%}  {_describe(counts, cells_total, self._speed(), left)}"
        now = self._clock()
        if self._bar is not None:
            self._bar.update(
                self._bar.task_ids[0],
                completed=done_examples,
                total=total_examples,
                description=self._line,
            )
            if now - self._printed >= 0.1:
                self._bar.refresh()
                self._printed = now
        elif now - self._printed >= self._every:
            self._print(self._line)
            self._printed, self._line = now, ""

    def note(self, text: str) -> None:
        """Prints a line of its own, such as what is being compiled."""
        if self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False)
            self._bar.refresh()
        else:
            self._print(text)

    def _measure(self, done: float) -> None:
        now = self._clock()
        then, before = self._last
        if self._updates and done <= before:
            return  # nothing was trained: the time counts towards the next update
        if self._updates > 1 and now > then:
            self._rates.append((done - before) / (now - then))
        self._updates += 1
        self._last = (now, done)

    def _speed(self) -> float | None:
        return statistics.median(self._rates) if self._rates else None

    def _print(self, line: str) -> None:
        if line:
            self._file.write(line + "\n")
            self._file.flush()


def _describe(
    counts: Mapping[str, int], cells_total: int, speed: float | None, examples_left: float
) -> str:
    parts = [f"{sum(counts.values())}/{cells_total} cells"]
    if speed:
        left = _duration(max(examples_left, 0.0) / speed)
        parts += [f"{_short(speed)} examples/s", f"{left} left"]
    parts += [f"{count} {status}" for status, count in counts.items() if count]
    return ", ".join(parts)


def _short(number: float) -> str:
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:.3g}"


def _duration(seconds: float) -> str:
    whole = int(seconds + 0.5)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _live_bar(file: IO[str]) -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn
    from rich.table import Column

    console = Console(file=file)
    text = TextColumn("{task.description}", table_column=Column(no_wrap=True, overflow="ellipsis"))
    room = console.width - 76  # the text's share: on a narrow terminal the words count for more
    columns = (BarColumn(bar_width=min(room, 24)), text) if room >= 4 else (text,)
    # No thread of its own: `update` refreshes, so the bar takes nothing from training.
    bar = Progress(*columns, console=console, auto_refresh=False)
    bar.add_task("starting", total=None)
    return bar
