"""SIGTERM and Ctrl-C as a request: finish the segment, save, leave. A second one ends at once."""

import contextlib
import os
import select
import signal
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any, TextIO

STOPPED_AND_SAVED = 75  # EX_TEMPFAIL of sysexits.h: launchers start the same command again
READER_GONE = 128 + 13  # what a shell calls an end by SIGPIPE


class StopRequest:
    """True in a boolean sense once the process was asked to stop."""

    def __init__(self) -> None:
        """Starts unasked."""
        self._asked = False

    def __bool__(self) -> bool:
        """Whether a stop was asked for."""
        return self._asked

    def ask(self) -> None:
        """Asks for a stop, as the first signal does."""
        self._asked = True


@contextlib.contextmanager
def stop_request(request: StopRequest | None = None) -> Iterator[StopRequest]:
    """Turns the first SIGTERM or SIGINT inside the block into a request; the second one kills.

    Outside the main thread, where Python allows no handlers, the request only listens to `ask`.
    """
    request = StopRequest() if request is None else request
    previous: dict[signal.Signals, Any] = {}

    def handle(number: int, frame: FrameType | None) -> None:
        request.ask()
        signal.signal(number, signal.SIG_DFL)

    with contextlib.suppress(ValueError):
        for number in (signal.SIGTERM, signal.SIGINT):
            previous[number] = signal.signal(number, handle)
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def ends_with_its_reader() -> Iterator[None]:
    """Leaves with READER_GONE, and no traceback, once nobody reads what is printed: `… | head`."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        if not _has_no_reader(sys.stdout):  # another pipe broke: an error like any other
            raise
        # What is still buffered would fail again where the interpreter flushes it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(READER_GONE)


def _has_no_reader(stream: TextIO) -> bool:
    """Whether it writes into a pipe whose other end is closed."""
    pipe = select.poll()
    pipe.register(stream.fileno(), select.POLLOUT)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in pipe.poll(0))
