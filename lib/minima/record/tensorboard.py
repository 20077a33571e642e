"""TensorBoard event files without TensorFlow, a whole curve set at a time.

A file holds records: length (uint64), masked crc32c of the length, an Event (protobuf), masked
crc32c of the Event. All Events of a curve set differ only in wall time, step and values, so one is
serialized as a template and NumPy writes those bytes into copies of it, 16 times faster than
building protos. Formats: tensorboard/compat/proto/event.proto, summary.proto, and
tensorboard/summary/writer/record_writer.py.
"""

import functools
import struct
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minima.record.files import write_atomically

_STEP_BYTES = 5  # a varint padded to five bytes: steps up to 2^35
_LARGEST_STEP = 2 ** (7 * _STEP_BYTES) - 1


def write_events(directory: Path | str, name: str, events: Iterable[bytes]) -> Path:
    """Writes serialized Events as one event file of the TensorBoard run `directory`.

    The file is written aside and renamed, so that TensorBoard never reads half a record. Never use
    a name twice while somebody may be looking: a live TensorBoard keeps following the old file.
    Names in rising order read fastest.

    Raises:
      DiskFull: no room.
    """
    from tensorboard.compat.proto.event_pb2 import Event

    version = Event(wall_time=time.time(), file_version="brain.Event:2").SerializeToString()
    records = (part for event in (version, *events) for part in _framed(event))
    path = events_path(directory, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, b"".join(records), durable=False)
    return path


def events_path(directory: Path | str, name: str) -> Path:
    """Where `write_events` puts a file."""
    # TensorBoard takes any file with "tfevents" in its name for an event file.
    return Path(directory) / f"events.out.tfevents.{name}"


def curve_events(
    tags: Sequence[str],
    steps: np.ndarray,
    values: np.ndarray,
    wall_time: float | np.ndarray | None = None,
) -> list[bytes]:
    """K scalar curves over T steps, one Event per step.

    Args:
      tags: K names; leave a metric without values out. NaN is written as NaN.
      steps: integers [T], increasing, from 0 to 2^35 - 1.
      values: floats [T, K]; TensorBoard keeps float32.
      wall_time: seconds since 1970, one or [T]; now where it is None.

    Raises:
      ValueError: shapes do not fit, or a step is out of range.
    """
    steps, values = np.asarray(steps), np.asarray(values)
    _check(tags, steps, values)
    if not len(tags):
        return []
    times = np.broadcast_to(time.time() if wall_time is None else wall_time, steps.shape)
    return [row.tobytes() for row in _events(tags, steps, values, times.astype("<f8"))]


def summary_event(values: Iterable[Any], step: int = 0) -> bytes:
    """An Event that holds Summary.Value protos: images, texts, what plugins have of their own."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    event = Event(wall_time=time.time(), step=step, summary=Summary(value=values))
    return event.SerializeToString()


def image_values(images: Mapping[str, bytes]) -> list[Any]:
    """PNG files, by tag, as Summary.Value protos; their sizes are read from their headers.

    Raises:
      ValueError: something is no PNG.
    """
    from tensorboard.compat.proto.summary_pb2 import Summary

    values = []
    for tag, png in images.items():
        width, height = _png_size(tag, png)
        image = Summary.Image(
            height=height, width=width, colorspace=4, encoded_image_string=bytes(png)
        )
        values.append(Summary.Value(tag=tag, image=image))
    return values


def text_values(texts: Mapping[str, str]) -> list[Any]:
    """Texts (Markdown), by tag, as Summary.Value protos."""
    from tensorboard.plugins.text.summary_v2 import text_pb

    return [value for tag, text in texts.items() for value in text_pb(tag, text).value]


def _check(tags: Sequence[str], steps: np.ndarray, values: np.ndarray) -> None:
    if steps.ndim != 1 or values.shape != (len(steps), len(tags)):
        raise ValueError(
            f"{len(tags)} tags and steps of shape {steps.shape} need values of shape "
            f"{(len(steps), len(tags))}, got {values.shape}"
        )
    if steps.size and not (steps.min() >= 0 and steps.max() <= _LARGEST_STEP):
        raise ValueError(f"steps must lie in 0..{_LARGEST_STEP}")


def _events(
    tags: Sequence[str], steps: np.ndarray, values: np.ndarray, times: np.ndarray
) -> np.ndarray:
    """Serialized Events, uint8 [T, length]: copies of one template with the numbers patched in."""
    template, offsets = _template(tags)
    rows = np.tile(np.frombuffer(template, np.uint8), (len(steps), 1))
    rows[:, 1:9] = np.ascontiguousarray(times).view(np.uint8).reshape(-1, 8)
    rows[:, 10 : 10 + _STEP_BYTES] = _varints(steps)
    with np.errstate(over="ignore"):  # beyond float32 is inf
        numbers = np.ascontiguousarray(values, dtype="<f4")
    numbers = numbers.view(np.uint8).reshape(*values.shape, 4)
    rows[:, offsets[:, None] + np.arange(4)] = numbers
    return rows


def _template(tags: Sequence[str]) -> tuple[bytes, np.ndarray]:
    """An Event with blanks for its numbers, and where in it each value's four bytes start."""
    from tensorboard.compat.proto.summary_pb2 import Summary

    summary, ends = b"", []
    for tag in tags:
        value = Summary.Value(tag=tag, simple_value=1.0).SerializeToString()
        # Protobuf writes fields in the order of their numbers: simple_value (2) ends a Value.
        summary += b"\x0a" + _varint(len(value)) + value
        ends.append(len(summary))
    # Event: wall_time is field 1 (fixed64), step field 2 (varint), summary field 5 (bytes).
    head = b"\x09" + bytes(8) + b"\x10" + bytes(_STEP_BYTES) + b"\x2a" + _varint(len(summary))
    return head + summary, np.array(ends) + len(head) - 4


def _varint(number: int) -> bytes:
    data = bytearray()
    while number > 0x7F:
        data.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*data, number])


def _varints(numbers: np.ndarray) -> np.ndarray:
    """Varints of constant length, uint8 [T, 5]: zero groups of bits are legal padding."""
    shifts = 7 * np.arange(_STEP_BYTES)
    groups = (numbers.astype(np.int64)[:, None] >> shifts) & 0x7F
    groups[:, :-1] |= 0x80
    return groups.astype(np.uint8)


def _framed(event: bytes) -> tuple[bytes, bytes, bytes]:
    return _header(len(event)), event, _masked_crc(event)


@functools.lru_cache(maxsize=64)  # the Events of a curve set are all of one length
def _header(length: int) -> bytes:
    data = struct.pack("<Q", length)
    return data + _masked_crc(data)


def _masked_crc(data: bytes) -> bytes:
    import google_crc32c

    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _png_size(tag: str, png: bytes) -> tuple[int, int]:
    if png[:8] != b"\x89PNG\r\n\x1a\n" or len(png) < 24:
        raise ValueError(f"image {tag!r} is no PNG")
    width, height = struct.unpack(">II", png[16:24])
    return width, height
