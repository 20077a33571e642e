import io

import pytest
from rich.console import Console

from minima.record.terminal import make_console, print_plane


def printed(axes, cells, width=120, **options):
    out = io.StringIO()
    console = Console(file=out, width=width, **options)
    print_plane(console, axes, cells)
    return out.getvalue()


def test_numbers_failures_and_gaps_are_readable_without_colour(make_plane):
    axes, cells = make_plane((16, 64, 256, 1024, 4096), (0.001, 0.00496, 0.0246, 0.605, 3.0), 3)
    text = printed(axes, cells[:-4])
    assert "\x1b" not in text
    row = next(line for line in text.splitlines() if line.strip().startswith("16 "))
    assert row.split() == ["16", "62.5", "94.9", "97.8*", "div", "3", "div", "3"]
    for part in ("0.00496", "col 1", " - ", "ran 2", "mean over 3 seeds", "mean validation"):
        assert part in text


def test_a_terminal_gets_colours(make_plane):
    axes, cells = make_plane((16,), (0.001, 3.0), 1)
    text = printed(axes, cells, force_terminal=True, color_system="truecolor")
    assert "\x1b[" in text
    assert "48;2;" in text


@pytest.mark.parametrize("width", [24, 40, 120])
def test_wide_planes_are_printed_in_parts_that_fit(make_plane, width):
    rates = tuple(10 ** (i / 4) for i in range(-20, 4))
    axes, cells = make_plane((8, 16384), rates, 2)
    text = printed(axes, cells, width)
    assert max(len(line) for line in text.splitlines()[1:]) <= width
    assert "…" not in text
    for rate in rates:
        assert f" {rate:.3g} " in text


def test_further_axes_are_printed_plane_by_plane(make_cell):
    axes = {"batch_size": (32,), "learning_rate": (0.1,), "seed": (0,), "optimizer": ("a", "b")}
    text = printed(axes, [make_cell(optimizer="a")])
    assert "optimizer=a: test accuracy in %, 1 seed" in text
    assert "optimizer=b" in text


def test_a_pipe_is_120_columns_wide():
    assert make_console(io.StringIO()).width == 120
