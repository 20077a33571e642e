"""The heat maps of what was measured: every tile says what it is."""

import html
import itertools
import math
import re
import struct

import pytest

from minima.landscape.plane_figure import plane_figure

AXES = {"batch_size": (16, 256), "learning_rate": (0.01, 0.1, 10.0), "seed": (0, 1, 2)}


def entry(value, converged=True):
    return {"value": value, "converged": converged}


def cell(batch, rate, seed, status="complete", **measured):
    failed = status != "complete"
    return {
        "cell": {"batch_size": batch, "learning_rate": rate, "seed": seed},
        "status": status,
        "steps": 100,
        "test_accuracy": math.nan if status == "diverged" else 0.1 if failed else 0.8,
        "validation_accuracy": 0.5 + rate / 100,
        "measured": measured,
    }


@pytest.fixture
def cells():
    """λmax 100, 200 and 600 over seeds; the last rate diverged, some collapsed, some unsure."""
    found = []
    for batch, rate, seed in itertools.product(*AXES.values()):
        status = "diverged" if rate == 10.0 else "complete"
        if (batch, rate, seed) == (256, 0.1, 0):
            status = "collapsed"
        measured = {}
        if status != "diverged":
            value = (100, 200, 600)[seed] * batch
            measured = {"lambda_max": entry(value, converged=(batch, rate) != (16, 0.1))}
            measured["noise_scale"] = entry(math.nan if rate == 0.01 else 50.0, rate != 0.01)
            measured["weight_norm"] = entry(1.0)
        found.append(cell(batch, rate, seed, status, **measured))
    return found


def texts(picture):
    return [
        html.unescape(t) for t in re.findall(r"<text[^>]*>([^<]*)</text>", picture.svg.decode())
    ]


def test_medians_stand_in_tiles_and_marks_in_the_legend(cells):
    picture = plane_figure(AXES, cells, "mlp, run 1")
    said = texts(picture)
    assert said.count("λmax of the Hessian") == 1
    assert "gradient noise scale (examples)" in said
    assert not any("weight norm" in text for text in said)  # no headline
    assert said.count("3200") == 2  # 16 · 200
    assert "5.1e4" in said  # 256 · 200
    assert "1e5" not in said
    assert "1.0e5" in said  # collapsed seed 0 left out: the median of 200 and 600
    assert said.count("no value") == 2
    assert "seeds diverged: in no median" in said
    assert "seeds collapsed: in no median" in said
    assert any(text.startswith("some seed's number not converged") for text in said)
    assert any("3 seeds" in text for text in said)
    assert struct.unpack(">I", picture.png[16:20])[0] > 800


def test_where_all_is_well_no_mark_is_explained(cells):
    sound = [c for c in cells if c["cell"]["learning_rate"] == 0.1 and c["status"] == "complete"]
    axes = AXES | {"learning_rate": (0.1,)}
    for one in sound:
        one["measured"]["lambda_max"]["converged"] = True
    said = texts(plane_figure(axes, sound))
    assert not any("seeds" in text and "in no median" in text for text in said)
    assert not any("not converged" in text for text in said)


@pytest.mark.parametrize("value", [-5.0, 0.0, math.nan])
def test_what_has_no_logarithm_is_a_number_or_no_value(value):
    axes = {"batch_size": (16,), "learning_rate": (0.1,), "seed": (0,)}
    said = texts(plane_figure(axes, [cell(16, 0.1, 0, trace=entry(value))]))
    assert ("no value" if math.isnan(value) else f"{value:.3g}") in said


def test_cells_that_have_not_run_say_so(cells):
    assert texts(plane_figure(AXES, cells[:-3])).count("not run") == 3


def test_the_same_cells_are_the_same_picture(cells):
    assert plane_figure(AXES, cells) == plane_figure(AXES, cells)
