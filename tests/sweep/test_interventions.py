"""Interventions on flatness in whole runs: the plain loops' numbers, axes, averages, refusals."""

import dataclasses

import jax
import numpy as np
import pytest
from plain_reference import compare, reference, worst

from minima.record.snapshots import Snapshots
from minima.runtime import devices
from minima.runtime.errors import UserError
from minima.sweep.branch import from_arrays, to_arrays
from minima.sweep.config import SweepConfig
from minima.sweep.description import describe
from minima.sweep.grid import Grid
from minima.sweep.lane import minimum_of
from minima.sweep.minima import predict_test_set
from minima.sweep.plain_loop import plain_losses
from minima.sweep.plan import make_plan
from minima.sweep.program import AXIS, blank_initial

SAM = {"sharpness_aware": "sam", "rho": 0.1}
ASAM = {"sharpness_aware": "asam", "rho": 0.5}
RANDOM = {"dropout": 0.3, "label_noise": 0.2, "augmentation": "shift_flip", "weight_noise": 0.02}
GROWING = {"milestones": (1.0,), "batch_factor": 2}
MIXED = (4, 12)

ROWS = {
    "groups of SAM": SAM | RANDOM | {"batch_sizes": MIXED, "sam_examples": 4},
    "SAM in batches that grow": SAM | GROWING | {"batch_sizes": MIXED, "sam_examples": 2},
    "SAM on whole batches": SAM | RANDOM | {"batch_sizes": (13,)},
    "SAM and batch norm": SAM | {"batch_sizes": (13,), "norm": "batch"},
    "ASAM": ASAM | {"batch_sizes": MIXED, "sam_examples": 4, "model": "cnn_small", "block": 2},
    "ASAM on whole batches": ASAM | {"batch_sizes": (32,), "optimizer": "adam"},
    "penalty": SAM | {"batch_sizes": MIXED, "sam_examples": 4, "rho_share": 0.4},
    "weight noise": {"batch_sizes": (13, 97), "weight_noise": 0.05, "wide": (20, 40)},
    "flips": {"batch_sizes": (13, 32), "label_flips": 0.3, "label_noise": 0.2, "block": 2},
}


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS)
def test_float64_planes_equal_the_plain_loops(make, run_lanes, row):
    """The tests' own, and the one that `replay` compares with."""
    asked = ROWS[row]
    sizes = {} if "sharpness_aware" in asked else {"microbatch": 16}
    with jax.enable_x64(True):
        plan = make(
            **{"learning_rates": (0.003,), "seeds": (3,), "budget": "30steps"}
            | {"evaluations": 30, "lanes": 2, "dtype": "float64", "optimizer": "momentum"}
            | sizes
            | asked,
        )
        plan = dataclasses.replace(plan, watched=30)
        lanes, report = run_lanes(whole_lanes(plan), limit=7)
        compare(plan, lanes, report, updates=30)
        losses = list(plain_losses(plan, plan.cells[-1]))
        np.testing.assert_allclose(report.trajectory[len(plan.cells) - 1, :, 0], losses, atol=1e-10)


def whole_lanes(plan):
    """The plan with a lane for every cell."""
    block = plan.layout.block
    lanes = -(-len(plan.cells) // block) * block
    assert lanes == len(plan.cells)
    layout = dataclasses.replace(plan.layout, devices=1, lanes=lanes)
    return dataclasses.replace(plan, layout=layout)


@pytest.mark.slow
def test_replay_follows_ghosts_that_climb(make, run_lanes):
    with jax.enable_x64(True):
        plan = make(
            **SAM,
            **{"batch_sizes": (32,), "learning_rates": (0.01, 0.03), "seeds": (0,), "lanes": 2},
            **{"norm": "ghost", "ghost_size": 8, "sam_examples": 8, "dtype": "float64"},
            **{"budget": "20steps", "evaluations": 20, "devices": 1},
        )
        _, report = run_lanes(plan)
        losses = list(plain_losses(plan, plan.cells[1]))
        np.testing.assert_allclose(report.trajectory[1, :, 0], losses, atol=1e-10)


PLANE = {"batch_sizes": (8, 32), "learning_rates": (0.05,), "seeds": (0, 1), "microbatch": 8}
PLANE |= {"budget": "30steps", "evaluations": 3, "lanes": 2}
CLIMBS = {"microbatch": 0, "sharpness_aware": "sam", "sam_examples": 8}


@pytest.mark.slow
def test_a_climb_of_nothing_is_plain_training(make, run_cells):
    plain, still = run_cells(make(**PLANE)), run_cells(make(**PLANE | CLIMBS | {"rho": 0.0}))
    moved = run_cells(make(**PLANE | CLIMBS | {"rho": 0.2}))
    for i, record in plain.items():
        assert still[i]["test_loss"] == pytest.approx(record["test_loss"], rel=1e-5)
        assert moved[i]["test_loss"] != pytest.approx(record["test_loss"], rel=1e-3)


AXES = {
    "rho": ((0.0, 0.1, 0.3), CLIMBS),
    "rho_share": ((0.25, 1.0), CLIMBS),
    "weight_noise": ((0.0, 0.1), {}),
    "label_flips": ((0.0, 0.5), {}),
}


@pytest.mark.parametrize("name", AXES)
def test_any_of_them_is_an_axis_of_one_program(make, run_cells, name):
    """The cells of a plane with the axis are those of planes with the flag, to the last bit."""
    values, how = AXES[name]
    base = make(**PLANE | how)

    class WithAxis(SweepConfig):
        def make_grid(self):
            return Grid((*super().make_grid().axes, (name, values)))

    fields = {f.name: getattr(base.config, f.name) for f in dataclasses.fields(SweepConfig)}
    plan = make_plan(WithAxis(**fields), base.recipe.task, base.dataset)
    assert len(plan.programs) == 1
    found = run_cells(plan)
    for value in values[1:]:
        alone = make(**PLANE | how | {name: value})
        for i, record in run_cells(alone).items():
            twin = found[plan.grid.index(alone.cells[i] | {name: value})]
            assert twin["test_loss"] == record["test_loss"]
            assert twin["trajectory"] == record["trajectory"]


EMA = {"average": "ema", "average_half_life": 60.0}
SWA = {"average": "swa", "average_fraction": 0.4}


@pytest.mark.slow
@pytest.mark.parametrize("how", [EMA, SWA, EMA | GROWING], ids=["ema", "swa", "ema, growing"])
def test_averages_are_those_of_the_plain_loops_path(make, run_lanes, how):
    with jax.enable_x64(True):
        plan = make(
            **{"batch_sizes": (5, 32), "learning_rates": (0.03,), "seeds": (1,), "lanes": 1},
            **{"budget": "30steps", "evaluations": 3, "dtype": "float64", "microbatch": 16},
            **how,
        )
        lanes, report = run_lanes(whole_lanes(plan))
        for i, cell in enumerate(plan.cells):
            path, _ = reference(plan, cell)
            found = jax.tree.map(lambda x, i=i: x[i], lanes)
            assert worst(found.params, path[-1][0]) < 1e-10
            mean = jax.tree.map(
                lambda *w, cell=cell: np.tensordot(shares(plan, cell), np.stack(w), 1),
                *(params for params, _ in path),
            )
            kept, _ = minimum_of(found)
            assert worst(kept, mean) < 1e-10
            assert worst(kept, path[-1][0]) > 1e-4
            hits = accuracy(plan, mean)
            assert report.final[i, -1] == pytest.approx(hits)
            assert report.trajectory[i, 2, 3] == report.final[i, 3]


def shares(plan, cell):
    """The part that the weights after each update have in the last average."""
    timeline, training = plan.timeline(cell), plan.config.training
    steps = np.arange(1, timeline.steps + 1)
    if training.average == "swa":
        raw = (steps > 30 - 12).astype(float)
    else:
        after = np.array([timeline.examples(timeline.steps) - timeline.examples(s) for s in steps])
        raw = 0.5 ** (after / training.average_half_life)
    return raw / raw.sum()


def accuracy(plan, params):
    data, task = plan.dataset, plan.recipe.task
    logits, _ = task.model.apply(params, {}, task.prepare(data, data.test.inputs))
    return float((np.argmax(logits, axis=-1) == data.test.labels).mean())


@pytest.mark.parametrize("stopping", ["", ",early_stopping=2"])
def test_what_is_kept_is_what_was_measured(make, run_cells, tmp_path, stopping):
    plan = make(**PLANE | EMA | {"budget": f"60steps{stopping}", "evaluations": 12, "snapshots": 2})
    kept, last = Snapshots(tmp_path), {}

    def keep(cell, step, snapshot):
        kept.write(cell, step, to_arrays(snapshot))
        last[cell] = step

    records = run_cells(plan, on_snapshot=keep)
    points = sorted(last.items())
    found = predict_test_set(plan, kept, points, devices.make_mesh(AXIS, 2))
    for (cell, step), row in zip(points, found, strict=True):
        assert (row == plan.dataset.test.labels).mean() == records[cell]["test_accuracy"]
        state = from_arrays(kept.read(cell, step), blank_initial(plan.recipe))
        assert jax.tree.structure(state) == jax.tree.structure(blank_initial(plan.recipe))
        if not stopping:
            assert worst(state.params, minimum_of(state)[0]) > 1e-4


@pytest.mark.slow
def test_the_training_sets_last_look_is_at_the_average_also_from_the_host(make, run_cells):
    plane = PLANE | SWA | {"label_flips": 0.2}
    resident, streamed = run_cells(make(**plane)), run_cells(make(**plane, slab_mib=0.02))
    for i, record in resident.items():
        assert streamed[i]["train_loss"] == pytest.approx(record["train_loss"], rel=1e-6)
        assert streamed[i]["test_loss"] == record["test_loss"]


def test_whole_batches_that_climb_get_a_program_each(make):
    values = PLANE | CLIMBS
    assert len(make(**values).programs) == 1
    assert make(**values).recipe.widths == (8,)
    plan = make(**values | {"sam_examples": 0})
    assert [program.recipe.widths for program in plan.programs] == [(8,), (32,)]
    assert plan.recipe.couples_examples


def test_the_description_shows_what_is_on(make):
    assert "SAM" not in describe(make(**PLANE))
    text = describe(make(**PLANE | CLIMBS | {"rho_share": 0.5, "weight_noise": 0.1} | EMA))
    assert "SAM with ρ = 0.05 in a share of 0.5 on 8 examples" in text
    assert "weight noise 0.1" in text
    assert "a half-life of 60 examples" in text
    text = describe(make(**PLANE | CLIMBS | {"sharpness_aware": "asam", "sam_examples": 0} | SWA))
    assert "ASAM with ρ = 0.5 on whole batches" in text
    assert "over the last 0.4 of the updates" in text
    assert "label flips 0.25" in describe(make(**PLANE, label_flips=0.25))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"rho": 0.1}, "--rho=0.1: does nothing with --sharpness_aware=none; use"),
        ({"rho_share": 0.5}, "--rho_share=0.5: does nothing"),
        ({"sam_examples": 8}, "--sam_examples=8: does nothing"),
        ({"average_half_life": 9.0}, "--average_half_life=9: does nothing with --average=none"),
        (
            EMA | {"average_fraction": 0.5},
            "--average_fraction=0.5: does nothing with --average=ema",
        ),
        ({"average": "ema"}, "--average=ema: forgets at no rate; set --average_half_life"),
        (CLIMBS | {"sam_examples": 16}, "--sam_examples=16: does not divide the batch size 8"),
        (CLIMBS | {"microbatch": 4}, "--microbatch=4: --sharpness_aware=sam has micro-steps of 8"),
        (CLIMBS | {"norm": "batch"}, "--sam_examples=8: --norm=batch looks at the whole batch"),
        (CLIMBS | {"norm": "ghost", "ghost_size": 4}, "--norm=ghost looks at 4; use --sam_ex"),
        (CLIMBS | {"parametrisation": "mup"}, "no --rho holds at every width"),
        (CLIMBS | GROWING | {"sam_examples": 0}, "--sam_examples=0 compiles a program per batch"),
        (EMA | {"norm": "ghost"}, "--average=ema: the running statistics of --norm=ghost"),
        ({"weight_noise": 1e39}, "--weight_noise: 1e+39 is outside what float32 holds"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_line(make, values, words):
    with pytest.raises(UserError) as caught:
        make(**PLANE | values)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
