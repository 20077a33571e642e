"""Which array of a file is which parameter."""

import json

import numpy as np
import pytest

from minima.runtime.errors import UserError
from minima.sweep.weight_map import Entry, fit, listed, read_map, taken_up

SHAPES = {
    "convolutions/0/kernel": (6, 4),
    "convolutions/0/bias": (4,),
    "readout/kernel": (8, 3),
    "readout/bias": (3,),
}
OURS = {
    name: np.arange(np.prod(shape), dtype=float).reshape(shape) for name, shape in SHAPES.items()
}
CONV = np.random.default_rng(0).normal(size=(4, 2, 3))  # as PyTorch has it: out, in, length
NOTHING = frozenset()


def found_in(arrays, mapped=None, fresh=NOTHING):
    return fit(arrays, SHAPES, mapped or {}, fresh, "--initial_weights=f.npz")


def test_names_that_are_ours_need_no_map():
    found = found_in(OURS)
    assert not found.fresh
    taken = taken_up(OURS, found, SHAPES, "float32", "f")
    for name, array in OURS.items():
        np.testing.assert_array_equal(taken[name], array.astype(np.float32), strict=True)


def test_a_convolution_from_elsewhere_is_turned_and_merged():
    arrays = OURS | {"conv.weight": CONV}
    mapped = {"convolutions/0/kernel": Entry("conv.weight", None, (2, 1, 0))}
    taken = taken_up(arrays, found_in(arrays, mapped), SHAPES, "float64", "f")
    kernel = taken["convolutions/0/kernel"]
    for out, channel, offset in np.ndindex(CONV.shape):
        assert kernel[2 * offset + channel, out] == CONV[out, channel, offset]


def test_features_that_were_flattened_otherwise_are_put_in_our_order():
    """A read-out of 2 channels × 4 places, where ours goes by place first."""
    theirs = np.random.default_rng(1).normal(size=(3, 8))
    arrays = OURS | {"fc.weight": theirs}
    mapped = {"readout/kernel": Entry("fc.weight", (3, 2, 4), (2, 1, 0))}
    kernel = taken_up(arrays, found_in(arrays, mapped), SHAPES, "float64", "f")["readout/kernel"]
    for out, channel, place in np.ndindex(3, 2, 4):
        assert kernel[2 * place + channel, out] == theirs[out, 4 * channel + place]


def test_a_head_that_does_not_fit_starts_fresh_as_a_whole():
    found = found_in(OURS | {"readout/kernel": np.zeros((8, 10))})
    assert found.fresh == {"readout/kernel": (8, 10), "readout/bias": (3,)}
    assert listed(found, SHAPES) == "readout/kernel 8×3 (8×10 there), readout/bias 3"
    lacking = {name: array for name, array in OURS.items() if not name.startswith("readout")}
    assert set(found_in(lacking).fresh) == {"readout/kernel", "readout/bias"}


def test_what_is_to_start_fresh_need_not_be_there():
    kept = {"convolutions/0/bias": OURS["convolutions/0/bias"]}
    assert set(found_in(kept, fresh=frozenset({"convolutions/0/kernel"})).entries) == set(kept)


def test_an_error_lists_the_names_and_shapes_of_both_sides():
    arrays = OURS | {"convolutions/0/kernel": np.zeros((5, 4)), "conv.weight": CONV}
    with pytest.raises(UserError) as caught:
        found_in(arrays)
    assert str(caught.value) == (
        "--initial_weights=f.npz: 1 of 4 parameters do not fit: convolutions/0/kernel 6×4 "
        "(5×4 there); not taken up of it: convolutions/0/kernel 5×4, conv.weight 4×2×3; say in "
        "--weight_map which is which, or which start fresh in --fresh_weights"
    )


@pytest.mark.parametrize(
    ("mapped", "words"),
    [
        ({"readout/bias": Entry("b")}, "readout/bias is to be 'b', which --initial_weights=f.npz"),
        (
            {"readout/bias": Entry("conv.weight", None, (0, 3, 1))},
            "conv.weight 4×2×3: axis 3 is out",
        ),
        ({"readout/bias": Entry("conv.weight", None, (0, 1))}, "axes don't match array"),
        ({"readout/bias": Entry("conv.weight", (5, 5), None)}, "cannot reshape array"),
    ],
)
def test_a_map_beyond_the_file_is_refused(mapped, words):
    with pytest.raises(UserError, match="--weight_map: ") as caught:
        found_in(OURS | {"conv.weight": CONV}, mapped)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
def test_values_that_float32_cannot_hold_are_refused(bad):
    arrays = OURS | {"readout/bias": np.array([0, bad, 1])}
    with pytest.raises(UserError, match="f: readout/bias holds values that are not finite in"):
        taken_up(arrays, found_in(arrays), SHAPES, "float32", "f")


def test_a_map_is_read(tmp_path):
    path = tmp_path / "map.json"
    entry = {"name": "fc.weight", "reshape": [3, 2, 4], "transpose": [2, 1, 0]}
    path.write_text(json.dumps({"readout/kernel": entry, "readout/bias": "fc.bias"}))
    assert read_map(str(path), list(SHAPES)) == {
        "readout/kernel": Entry("fc.weight", (3, 2, 4), (2, 1, 0)),
        "readout/bias": Entry("fc.bias"),
    }
    assert read_map("", list(SHAPES)) == {}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "is no JSON"),
        ("[1]", "must be a JSON object"),
        ('{"dense/kernel": "x"}', "'dense/kernel' is no parameter here; these are: convolutions/0"),
        ('{"readout/bias": 3}', "readout/bias must be their name"),
        ('{"readout/bias": {"name": "x", "transposed": [0]}}', "readout/bias must be their name"),
        ('{"readout/bias": {"name": "x", "transpose": [0.5]}}', "must be a list of whole numbers"),
        ('{"readout/bias": {"name": "x", "reshape": true}}', "must be a list of whole numbers"),
    ],
)
def test_a_map_of_another_form_is_refused(tmp_path, content, words):
    path = tmp_path / "map.json"
    path.write_text(content)
    with pytest.raises(UserError) as caught:
        read_map(str(path), list(SHAPES))
    assert str(caught.value).startswith(f"--weight_map={path}: ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="cannot be read"):
        read_map(str(tmp_path / "none.json"), list(SHAPES))
