"""The reproducibility contract (a): a cell's bits depend on the cell, not on its company.

All runs of a test use programs of the same lane width. Records are compared whole: every final
number and every point of the trajectory, exactly.
"""

import pytest

from minima.record.cells import decode, encode

PLANE = {
    "batch_sizes": (4, 13, 32, 97),
    "learning_rates": (0.01, 0.1, 1e4),  # the last diverges at once
    "seeds": (0, 1),
    "budget": "3epochs",
    "evaluations": 3,
    "microbatch": 16,
    "dropout": 0.2,
    "augmentation": "shift",
}
LAYOUTS = {
    "one lane a block": {"block": 1},
    "two lanes a block": {"block": 2},
    "wide micro-steps": {"block": 1, "microbatch": 4, "wide": (16, 40)},
    "interventions": {
        "block": 2,
        "batch_sizes": (4, 12, 32, 96),
        "microbatch": 0,
        "sharpness_aware": "asam",
        "sam_examples": 4,
        "weight_noise": 0.01,
        "label_flips": 0.1,
        "average": "ema",
        "average_half_life": 97.0,
    },
}


@pytest.fixture(scope="module", params=LAYOUTS)
def layout(request):
    return PLANE | LAYOUTS[request.param] | {"lanes": 4}


@pytest.fixture(scope="module")
def plan(make, layout):
    return make(**layout)


@pytest.fixture(scope="module")
def run(run_cells):
    """run(plan, …) -> {cell index: its record as bytes}, in which NaN equals NaN."""

    def run(plan, **options):
        return {i: encode(record) for i, record in run_cells(plan, **options).items()}

    return run


@pytest.fixture(scope="module")
def plane(plan, run):
    return run(plan)


def test_the_plane_has_what_could_spill_over(plane):
    statuses = {decode(line)["status"] for line in plane.values()}
    assert {"complete", "diverged"} <= statuses


def test_alone(plan, plane, run):
    for cell in (1, 8, len(plane) - 3):
        assert run(plan, order=[cell]) == {cell: plane[cell]}


def test_in_reversed_order(plan, plane, run):
    assert run(plan, order=reversed(range(len(plane)))) == plane


def test_in_shuffled_order_with_segments_of_another_length(plan, plane, run, monkeypatch):
    monkeypatch.setattr("minima.sweep.train._FIRST_LIMIT", 3)
    monkeypatch.setattr("minima.sweep.train._LARGEST_LIMIT", 3)
    order = [7 * i % len(plane) for i in range(len(plane))]
    assert sorted(order) == list(range(len(plane)))
    assert run(plan, order=order) == plane


def test_among_others(plane, make, run, plan, layout):
    """The same cells inside a larger grid that runs through the same number of lanes."""
    wide = make(**layout | {"learning_rates": (0.01, 0.03, 0.1, 1e4), "seeds": (0, 1, 2)})
    records = run(wide)
    for i, cell in enumerate(plan.cells):
        assert records[wide.grid.index(cell)] == plane[i], cell
