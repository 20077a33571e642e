"""Further axes of a grid: hyperparameters that lanes of one program take from their cells."""

import json

import pytest

from minima.record.cells import encode
from minima.runtime.errors import UserError
from minima.sweep.config import GridConfig, SweepConfig, TrainingConfig

SMALL = {"batch_sizes": (16,), "learning_rates": (0.1,), "seeds": (0, 1), "budget": "2epochs"}
AXES = (("dropout", (0.1, 0.5)), ("weight_decay", (0.001, 0.1)))


@pytest.mark.slow
def test_one_program_trains_what_one_run_for_each_value_would(make, run_cells, counts_compilations):
    plan = make(**SMALL, axes=AXES, microbatch=16, lanes=2)
    assert plan.grid.names == ("batch_size", "learning_rate", "dropout", "weight_decay", "seed")
    with counts_compilations() as seen:
        found = run_cells(plan)
    assert seen.count == 1
    assert len(found) == len(plan.cells) == 8
    for dropout, decay in [(0.1, 0.1), (0.5, 0.001)]:
        alone = make(**SMALL, dropout=dropout, weight_decay=decay, microbatch=16, lanes=2)
        for record in run_cells(alone).values():
            cell = record["cell"] | {"dropout": dropout, "weight_decay": decay}
            same = found[plan.grid.index(cell)]
            assert encode(same | {"cell": {}}) == encode(record | {"cell": {}})


def test_a_config_with_axes_comes_back_and_one_without_keeps_its_identity():
    config = SweepConfig(grid=GridConfig(axes=AXES))
    identity = json.loads(json.dumps(config.identity()))
    assert SweepConfig.from_identity(identity) == config
    assert "axes" not in SweepConfig().identity()["grid"]


@pytest.mark.parametrize(
    ("axes", "training", "says"),
    [
        ((("dropot", (0.1,)),), {}, "dropot can be no axis; did you mean dropout?"),
        ((("dropout", (0.1, 1.0)),), {}, "--axes=dropout=0.1,1: 1: must be at least 0 and below 1"),
        (
            (("dropout", (0.1,)),),
            {"dropout": 0.2},
            "--dropout=0.2: the grid has it as an axis (--ax",
        ),
        ((("rho", (0.1,)),), {}, "--rho=0.1: does nothing with --sharpness_aware=none"),
        ((("momentum", (0.5,)),), {"optimizer": "sgd"}, "--momentum=0.5: --optimizer=sgd has none"),
        (
            (("beta2", (0.9,)),),
            {"optimizer": "adam", "beta2_half_life": 100.0},
            "--beta2_half_life sets it",
        ),
    ],
)
def test_axes_that_cannot_be(axes, training, says):
    with pytest.raises(UserError) as raised:
        SweepConfig(grid=GridConfig(axes=axes), training=TrainingConfig(**training))
    assert says in str(raised.value)
