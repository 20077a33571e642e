"""The mesh flag: read, written, refused."""

import pytest

from minima.runtime.axes import Axes, format_axes, parse_axes


@pytest.mark.parametrize(
    ("text", "axes", "written"),
    [
        ("", None, ""),
        ("data:4,model:2", Axes(4, 2), "data:4,model:2"),
        (" model:2 , data:4", Axes(4, 2), "data:4,model:2"),
        ("data:8", Axes(8, 1), "data:8"),
        ("model:16", Axes(1, 16), "model:16"),
        ("data:1,model:1", Axes(1, 1), "data:1"),
    ],
)
def test_a_mesh_is_read_and_written(text, axes, written):
    assert parse_axes(text) == axes
    assert format_axes(axes) == written
    assert parse_axes(written) == axes


@pytest.mark.parametrize("text", ["4", "data", "data:0", "data:1.5", "data:2,data:2", "a:2"])
@pytest.mark.parametrize("ending", ["", ","])
def test_what_is_no_mesh_is_refused(text, ending):
    with pytest.raises(ValueError, match=r"use e\.g\. data:4,model:2"):
        parse_axes(text + ending)
