import os
import struct
import zlib

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from minima.record.tensorboard import (
    curve_events,
    image_values,
    summary_event,
    text_values,
    write_events,
)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorboard")


def read(directory):
    events = EventAccumulator(str(directory), size_guidance={"scalars": 0})
    events.Reload()
    return events


def write_curves(directory, tags, steps, values, wall_time=None, name="curves"):
    return write_events(directory, name, curve_events(tags, steps, values, wall_time))


def png(width=3, height=2):
    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    pixels = (b"\0" + b"\x80\x20\x10" * width) * height
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def test_curves_read_back_exactly(tmp_path):
    steps = np.array([0, 1, 127, 128, 16384, 2**31, 2**35 - 1])
    tags = ["loss/train", "ü" * 40, "x" * 300]
    values = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
    values[2, 1] = np.nan
    values[3, 1] = np.inf
    times = np.linspace(1e9, 1e9 + 1, 7)
    write_curves(tmp_path, tags, steps, values, times)
    events = read(tmp_path)
    assert sorted(events.Tags()["scalars"]) == sorted(tags)
    for column, tag in enumerate(tags):
        scalars = events.Scalars(tag)
        assert [s.step for s in scalars] == steps.tolist()
        assert [s.wall_time for s in scalars] == times.tolist()
        np.testing.assert_array_equal(np.float32([s.value for s in scalars]), values[:, column])


def test_one_file_and_nothing_else(tmp_path):
    path = write_curves(tmp_path / "run", ["a"], np.arange(3), np.zeros((3, 1)))
    assert os.listdir(tmp_path / "run") == [path.name]


def test_files_of_two_names_merge_into_one_run(tmp_path):
    write_curves(tmp_path, ["a"], np.arange(3), np.zeros((3, 1)))
    write_curves(tmp_path, ["b"], np.arange(2), np.ones((2, 1)), name="more")
    assert sorted(read(tmp_path).Tags()["scalars"]) == ["a", "b"]


@pytest.mark.parametrize(("steps", "tags"), [(0, 2), (3, 0), (0, 0)])
def test_nothing_to_write_is_a_sound_file(tmp_path, steps, tags):
    names = [str(i) for i in range(tags)]
    write_curves(tmp_path, names, np.arange(steps), np.zeros((steps, tags)))
    assert read(tmp_path).Tags()["scalars"] == []


def test_what_does_not_fit_is_refused(tmp_path):
    with pytest.raises(ValueError, match="need values of shape"):
        write_curves(tmp_path, ["a"], np.arange(3), np.zeros((3, 2)))
    for step in (-1, 2**35):
        with pytest.raises(ValueError, match="steps must lie in"):
            write_curves(tmp_path, ["a"], np.array([step]), np.zeros((1, 1)))


def test_images_and_texts_read_back(tmp_path):
    images = image_values({"plane": png(), "other": png(5, 4)})
    texts = text_values({"config": "| a | b |"})
    write_events(tmp_path, "both", [summary_event([*images, *texts], step=7)])
    events = read(tmp_path)
    (image,) = events.Images("plane")
    assert (image.width, image.height, image.step) == (3, 2, 7)
    assert image.encoded_image_string == png()
    assert events.Images("other")[0].width == 5
    (text,) = events.Tensors("config")
    assert text.step == 7
    assert text.tensor_proto.string_val[0] == b"| a | b |"
    with pytest.raises(ValueError, match="'x' is no PNG"):
        image_values({"x": b"GIF"})


def test_what_float32_cannot_hold_is_infinite(tmp_path):
    write_curves(tmp_path, ["a"], np.arange(1), np.array([[1e300]]))
    assert read(tmp_path).Scalars("a")[0].value == np.inf
