import random
import re

import numpy as np
import pytest

from minima.sweep import grid
from minima.sweep.grid import Grid


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("16,64,256", (16, 64, 256)),
        (" 16, 64 ", (16, 64)),
        ("7", (7,)),
        ("16:4096:x4", (16, 64, 256, 1024, 4096)),
        ("16:128:x2", (16, 32, 64, 128)),
    ],
)
def test_parse_ints(text, values):
    assert grid.parse_ints(text) == values


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("0.1,0.3", (0.1, 0.3)),
        ("0:1:lin5", (0.0, 0.25, 0.5, 0.75, 1.0)),
        ("0:1:lin11", (0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1)),
        ("1e-3:1e0:log4", (0.001, 0.01, 0.1, 1.0)),
        ("1e-3:1e0:log3", (0.001, 0.0316228, 1.0)),
    ],
)
def test_parse_floats(text, values):
    assert grid.parse_floats(text) == values


@pytest.mark.parametrize(
    ("text", "values"), [("5", (0, 1, 2, 3, 4)), ("0,3,7", (0, 3, 7)), ("7,", (7,)), ("1", (0,))]
)
def test_parse_seeds(text, values):
    assert grid.parse_seeds(text) == values


@pytest.mark.parametrize(
    ("parse", "text", "message"),
    [
        (grid.parse_ints, "", "empty"),
        (grid.parse_ints, "16,,32", "empty"),
        (grid.parse_ints, "16,", "empty"),
        (grid.parse_ints, "abc", "'abc' is not a whole number; use e.g. 16,64,256 or 16:4096:x4"),
        (grid.parse_ints, "0,16", "0 is too small"),
        (grid.parse_ints, "-4", "-4 is too small"),
        (grid.parse_ints, "16,16", "16 comes twice"),
        (grid.parse_ints, "64,16", "16 follows 64; list values in rising order"),
        (grid.parse_ints, "16:5000:x4", "x4 from 16 never lands on 5000; the nearest is 4096"),
        (grid.parse_ints, "16:15000:x4", "the nearest is 16384"),
        (grid.parse_ints, "4096:16:x4", "a range rises"),
        (grid.parse_ints, "16:4096:x1", "2 or more"),
        (grid.parse_ints, "0:4096:x2", "starts above 0"),
        (grid.parse_ints, "16:4096:log4", "a range is start:stop:xN"),
        (grid.parse_ints, "16:4096", "a range is start:stop:xN"),
        (grid.parse_ints, ",".join(map(str, range(1, 1_000_003))), "too many"),
        (grid.parse_ints, "9" * 6000, "is not a whole number"),
        (grid.parse_floats, "abc", "'abc' is not a number; use e.g. 0.1,0.3 or 1e-3:1e0:log12"),
        (grid.parse_floats, "nan", "not finite"),
        (grid.parse_floats, "1e999", "not finite"),
        (grid.parse_floats, "-0.1", "too small"),
        (grid.parse_floats, "0:1:log5", "starts above 0"),
        (grid.parse_floats, "1:0.1:log5", "a range rises"),
        (grid.parse_floats, "0:1:lin1", "2 values or more"),
        (grid.parse_floats, "0:1:lin99999999", "too many"),
        (grid.parse_floats, "1:1.0000001:log50", "comes twice"),
        (grid.parse_floats, "16:64:x2", "a range is start:stop:logN or :linN"),
        (grid.parse_seeds, "0", "too few"),
        (grid.parse_seeds, "-1", "too few"),
        (grid.parse_seeds, "2000000", "too many"),
        (grid.parse_seeds, "five", "'five' is not a whole number; use e.g. 5 for seeds 0 to 4"),
        (grid.parse_seeds, "3,0", "rising order"),
    ],
)
def test_refuses(parse, text, message):
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        parse(text)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 200


def test_rates_may_have_to_be_positive():
    with pytest.raises(ValueError, match="above 0"):
        grid.parse_floats("0,0.1", positive=True)


@pytest.mark.parametrize(
    "text",
    ["16:4096:x4", "16,64,256", "7", "16,32,48,64"],
)
def test_format_ints_is_short(text):
    assert grid.format_ints(grid.parse_ints(text)) == text


@pytest.mark.parametrize("text", ["0.001:1:log12", "0:1:lin5", "0.1,0.3", "0,0.5,0.9,0.95"])
def test_format_floats_is_short(text):
    assert grid.format_floats(grid.parse_floats(text)) == text


@pytest.mark.parametrize("text", ["5", "7,", "0,3,7", "1"])
def test_format_seeds_is_short(text):
    assert grid.format_seeds(grid.parse_seeds(text)) == text


def test_format_round_trips_random_axes():
    rng = random.Random(0)
    for _ in range(300):
        ints = tuple(sorted(rng.sample(range(1, 5000), rng.randint(1, 6))))
        assert grid.parse_ints(grid.format_ints(ints)) == ints
        assert grid.parse_seeds(grid.format_seeds(ints)) == ints
        floats = tuple(sorted(10 ** rng.uniform(-20, 20) for _ in range(rng.randint(1, 6))))
        assert grid.parse_floats(grid.format_floats(floats)) == floats


def test_format_round_trips_random_ranges():
    rng = random.Random(1)
    for _ in range(300):
        start, factor, count = rng.randint(1, 99), rng.randint(2, 9), rng.randint(2, 9)
        ints = grid.parse_ints(f"{start}:{start * factor**count}:x{factor}")
        assert len(ints) == count + 1
        assert grid.parse_ints(grid.format_ints(ints)) == ints
        low = 10 ** rng.uniform(-8, 2)
        kind = rng.choice(["log", "lin"])
        floats = grid.parse_floats(f"{low!r}:{low * rng.uniform(2, 1e4)!r}:{kind}{count + 2}")
        assert len(floats) == count + 2
        assert grid.parse_floats(grid.format_floats(floats)) == floats


def test_format_takes_numpy_scalars():
    third = np.float64(1) / 3
    assert grid.parse_floats(grid.format_floats((third,))) == (third,)
    assert grid.format_ints(np.array([16, 64])) == "16,64"
    assert grid.format_seeds(np.arange(3)) == "3"


def test_grid_cells_follow_product_order():
    plane = Grid((("batch_size", (16, 64)), ("learning_rate", (0.1, 0.3, 1.0)), ("seed", (0, 1))))
    cells = list(plane)
    assert plane.shape == (2, 3, 2)
    assert len(plane) == len(cells) == 12
    assert cells[0] == {"batch_size": 16, "learning_rate": 0.1, "seed": 0}
    assert cells[1] == {"batch_size": 16, "learning_rate": 0.1, "seed": 1}
    assert [plane.index(cell) for cell in cells] == list(range(12))
    assert [plane[i] for i in range(12)] == cells
    for name, values in plane.axes:
        assert [values[place] for place in plane.places(name)] == [cell[name] for cell in cells]
    assert plane[-1] == plane[11]
    with pytest.raises(IndexError, match="12 cells have no number 12"):
        plane[12]


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ((("seed", ()),), "the axis seed is empty"),
        ((("seed", (1, 1)),), "twice"),
        ((("seed", (1,)), ("seed", (2,))), "share a name"),
        ((("a", tuple(range(2000))), ("b", tuple(range(2000)))), "too many"),
    ],
)
def test_grid_refuses(axes, message):
    with pytest.raises(ValueError, match=message):
        Grid(axes)


def test_index_refuses_what_is_not_a_cell():
    line = Grid((("seed", (0, 1)),))
    with pytest.raises(ValueError, match="seed=2 is not on the grid"):
        line.index({"seed": 2})
    with pytest.raises(ValueError, match="a cell names seed"):
        line.index({"sed": 1})


@pytest.mark.parametrize(
    ("text", "axes"),
    [
        ("none", ()),
        ("dropout=0,0.5", (("dropout", (0.0, 0.5)),)),
        ("dropout=0,0.5; rho=0.1:1:log3", (("dropout", (0.0, 0.5)), ("rho", (0.1, 0.316228, 1.0)))),
    ],
)
def test_named_axes(text, axes):
    assert grid.parse_axes(text) == axes
    assert grid.parse_axes(grid.format_axes(axes)) == axes


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "'' is no axis"),
        ("dropout", "'dropout' is no axis; use e.g. dropout=0,0.5;weight_decay=0,1e-3"),
        ("dropout=0,0.5;", "'' is no axis"),
        ("dropout=x", "dropout: 'x' is not a number"),
        ("rho=1;rho=2", "an axis comes twice"),
    ],
)
def test_named_axes_that_are_none(text, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        grid.parse_axes(text)
