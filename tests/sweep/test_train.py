"""The host loop: refill, statuses, compile counts, checkpoints."""

import jax
import numpy as np
import pytest

from minima.record.cells import encode
from minima.record.checkpoints import Checkpoints
from minima.runtime import devices
from minima.runtime.errors import UserError
from minima.runtime.interrupts import StopRequest
from minima.sweep.program import AXIS
from minima.sweep.train import train

CELLS = {
    "batch_sizes": (8, 32, 97),
    "learning_rates": (0.01, 0.1, 1e4),
    "seeds": (0, 1),
    "budget": "6epochs",
    "evaluations": 6,
    "microbatch": 8,
    "lanes": 2,
}


SHAPES = {
    "one width": {},
    "three widths": {"wide": (20, 40)},
    "interventions": {
        "batch_sizes": (8, 32, 96),
        "sharpness_aware": "sam",
        "sam_examples": 8,
        "weight_noise": 0.01,
        "average": "swa",
    },
}


@pytest.fixture(scope="module", params=SHAPES)
def plan(make, request):
    return make(**CELLS | SHAPES[request.param])


@pytest.fixture(scope="module")
def undisturbed(plan, run_cells):
    return run_cells(plan)


def exact(records):
    """Records as bytes: exact, and NaN equals NaN."""
    return {index: encode(record) for index, record in records.items()}


@pytest.mark.slow
def test_every_cell_comes_out_once_with_the_budget_it_was_given(plan, undisturbed):
    assert sorted(undisturbed) == list(range(len(plan.cells)))
    for index, record in undisturbed.items():
        cell = plan.cells[index]
        if record["status"] == "complete":
            assert record["steps"] == plan.timeline(cell).steps
            assert record["trajectory"]["step"][-1] == record["steps"]
            assert len(record["trajectory"]["step"]) <= 6
        assert record["examples"] == record["steps"] * cell["batch_size"]


def test_diverged_cells_say_when_and_keep_the_last_finite_numbers(plan, undisturbed):
    wild = [record for record in undisturbed.values() if record["cell"]["learning_rate"] == 1e4]
    assert {record["status"] for record in wild} <= {"diverged", "collapsed"}
    diverged = [record for record in wild if record["status"] == "diverged"]
    assert diverged
    for record in diverged:
        assert record["steps"] < plan.timeline(record["cell"]).steps or record["trajectory"]["step"]
        assert np.isnan(record["test_accuracy"])
        assert np.isnan(record["train_loss"])
        if record["last_finite"]:
            assert np.isfinite(record["last_finite"]["train_loss"])


def test_accuracies_are_ratios_of_whole_hits(plan, undisturbed):
    for record in undisturbed.values():
        if record["status"] == "complete":
            hits = record["test_accuracy"] * len(plan.dataset.test)
            assert hits == pytest.approx(round(hits), abs=1e-12)


def test_a_cell_that_learns_learns(undisturbed):
    good = [r for r in undisturbed.values() if r["cell"]["learning_rate"] == 0.01]
    assert min(record["test_accuracy"] for record in good if r_size(record) == 8) > 0.6


def r_size(record):
    return record["cell"]["batch_size"]


def test_a_constant_predictor_is_called_collapsed(make, run_cells):
    """Weight decay of 1/rate wipes the weights out in every step: what is left is constant."""
    records = run_cells(
        make(
            optimizer="sgd",
            batch_sizes=(97,),
            learning_rates=(1.0,),
            weight_decay=1.0,
            clip_norm=1e-20,
            budget="3steps",
            evaluations=3,
            lanes=1,
        )
    )
    assert {record["status"] for record in records.values()} == {"collapsed"}
    assert all(np.isfinite(record["test_loss"]) for record in records.values())


@pytest.mark.slow
def test_a_target_stops_at_the_first_evaluation_that_meets_it(make, run_cells):
    plan = make(**CELLS | {"budget": "40epochs,validation_accuracy>=0.7", "evaluations": 40})
    reached = [r for r in run_cells(plan).values() if r["status"] == "reached_target"]
    assert reached
    for record in reached:
        curve = record["trajectory"]["validation_accuracy"]
        assert curve[-1] >= 0.7 > max(curve[:-1], default=0)
        assert record["steps"] == record["trajectory"]["step"][-1]


@pytest.mark.slow
def test_early_stopping_reports_the_best_validated_parameters(make, run_cells):
    plan = make(**CELLS | {"budget": "60epochs,early_stopping=2", "evaluations": 60})
    stopped = [r for r in run_cells(plan).values() if r["status"] == "stopped_early"]
    assert stopped
    for record in stopped:
        curve = record["trajectory"]["validation_loss"]
        # Not exactly: it was measured by another part of the program.
        assert record["validation_loss"] == pytest.approx(min(curve), rel=1e-5)
        assert len(curve) - 1 - int(np.argmin(curve)) == 2


@pytest.mark.slow
def test_a_blow_up_that_stays_finite_counts_as_diverged(make, run_cells):
    values = {"learning_rates": (0.1,), "seeds": (0,), "budget": "2epochs", "evaluations": 2}
    wild = run_cells(make(**CELLS | values | {"divergence_loss": 1e-3}))
    assert {record["status"] for record in wild.values()} == {"diverged"}
    assert all(np.isfinite(r["last_finite"]["train_loss"]) for r in wild.values())


def test_without_a_validation_set_its_columns_are_nan(dataset, run_cells, make):
    import dataclasses

    from minima.tasks.datasets.dataset import Split

    plan = make(**CELLS | {"learning_rates": (0.01,), "seeds": (0,)})
    empty = Split(dataset.validation.inputs[:0], dataset.validation.labels[:0])
    plan = dataclasses.replace(plan, dataset=dataclasses.replace(plan.dataset, validation=empty))
    for record in run_cells(plan).values():
        assert record["status"] == "complete"
        assert np.isnan(record["validation_loss"])
        assert np.isnan(record["trajectory"]["validation_accuracy"]).all()
        assert np.isfinite(record["last_finite"]["train_loss"])


def test_a_plane_compiles_once_and_a_second_start_not_at_all(make, counts_compilations):
    def run(plan):
        records = []
        train(plan, devices.make_mesh(AXIS, plan.layout.devices), records.append)
        return len(records)

    plan = make(**CELLS | {"budget": "1epochs", "microbatch": 4, "wide": (8, 32)})
    with counts_compilations() as first:
        assert run(plan) == 18
    assert first.count == 1
    jax.clear_caches()
    with counts_compilations() as second:
        run(plan)
    assert second.count == 0


@pytest.mark.slow
def test_other_values_need_no_other_program(make, counts_compilations):
    """All hyperparameters are traced: another plane of the same shapes reuses the program."""
    plans = [
        make(
            **CELLS
            | {
                "batch_sizes": sizes,
                "learning_rates": rates,
                "budget": budget,
                "momentum": momentum,
                "microbatch": 4,
            }
        )
        for sizes, rates, budget, momentum in [
            ((8, 32), (0.01, 0.1), "1epochs", 0.9),
            ((4, 20, 97), (0.02,), "30steps", 0.5),
        ]
    ]
    mesh = devices.make_mesh(AXIS, plans[0].layout.devices)
    with counts_compilations() as count:
        for plan in plans:
            train(plan, mesh, lambda record: None)
    assert count.count == 1


def interrupted(plan, directory, stop_after):
    """Trains until `stop_after` records, saves, and goes on in a new process's stead."""
    records, done = [], []
    mesh = devices.make_mesh(AXIS, plan.layout.devices)
    stop = StopRequest()

    def keep(record):
        records.append(record)
        done.append(plan.grid.index(record["cell"]))
        if len(records) == stop_after:
            stop.ask()

    with Checkpoints(directory) as checkpoints:
        totals = train(plan, mesh, keep, checkpoints=checkpoints, stop=stop)
    assert totals.stopped
    before = len(records)
    with Checkpoints(directory) as checkpoints:
        train(plan, mesh, keep, done=done, checkpoints=checkpoints)
    assert len({plan.grid.index(record["cell"]) for record in records}) == len(records)
    return before, {plan.grid.index(record["cell"]): record for record in records}


@pytest.mark.parametrize("stop_after", [1, 4, 11])
def test_stopping_and_resuming_changes_no_bit(plan, undisturbed, tmp_path, monkeypatch, stop_after):
    monkeypatch.setattr("minima.sweep.train._FIRST_LIMIT", 5)
    monkeypatch.setattr("minima.sweep.train._LARGEST_LIMIT", 5)
    before, records = interrupted(plan, tmp_path / "checkpoints", stop_after)
    assert stop_after <= before < len(plan.cells)
    assert exact(records) == exact(undisturbed)


def test_a_checkpoint_older_than_the_records_trains_no_finished_cell_again(
    plan, undisturbed, tmp_path, monkeypatch
):
    """The kill after the save: cells finished since then are known from cells.jsonl alone."""
    monkeypatch.setattr("minima.sweep.train._FIRST_LIMIT", 5)
    monkeypatch.setattr("minima.sweep.train._LARGEST_LIMIT", 5)
    mesh, first, stop = devices.make_mesh(AXIS, plan.layout.devices), [], StopRequest()

    def keep(record):
        first.append(record)
        if len(first) == 2:
            stop.ask()

    with Checkpoints(tmp_path) as checkpoints:
        train(plan, mesh, keep, checkpoints=checkpoints, stop=stop)
    recorded = {plan.grid.index(record["cell"]) for record in first}
    later = set(list(undisturbed)[:9]) | recorded  # some of these are still in the saved lanes
    second = []
    with Checkpoints(tmp_path) as checkpoints:
        train(plan, mesh, second.append, done=later, checkpoints=checkpoints)
    found = {plan.grid.index(record["cell"]): record for record in second}
    assert set(found) == set(undisturbed) - later
    assert exact(found) == exact({i: undisturbed[i] for i in found})


@pytest.mark.slow
@pytest.mark.parametrize("stop_after", [2, 9])
def test_programs_per_batch_size_compile_once_each_and_resume(
    make, run_cells, tmp_path, counts_compilations, stop_after
):
    plan = make(**CELLS | {"norm": "batch", "microbatch": 0, "budget": "2epochs", "evaluations": 2})
    with counts_compilations() as count:
        undisturbed = run_cells(plan)
    assert count.count == 3
    assert len(undisturbed) == 18
    before, records = interrupted(plan, tmp_path / "checkpoints", stop_after)
    assert stop_after <= before < 18
    assert exact(records) == exact(undisturbed)


@pytest.mark.slow
def test_eight_thousand_cells_run_through_a_fixed_width(make):
    """Device memory in the middle of the sweep and at its end is that of the first cells."""
    plan = make(
        batch_sizes=(16, 48),
        learning_rates=tuple(0.001 * 1.01**i for i in range(100)),
        seeds=tuple(range(40)),
        budget="3steps",
        evaluations=1,
        lanes=16,
    )
    assert len(plan.cells) == 8000
    seen, sizes = set(), []

    def keep(record):
        seen.add(plan.grid.index(record["cell"]))
        if len(seen) in (200, 4000, 7900):
            sizes.append(sum(array.nbytes for array in jax.live_arrays()))

    train(plan, devices.make_mesh(AXIS, plan.layout.devices), keep)
    assert len(seen) == 8000
    assert max(sizes) <= 1.05 * min(sizes)


@pytest.mark.slow
@pytest.mark.parametrize(("lanes", "wide"), [(2, ()), (4, ()), (2, (11, 20))])
def test_a_training_set_on_the_host_gives_the_same_numbers(make, run_cells, tmp_path, lanes, wide):
    """Slabs of two or more microbatches, label noise, augmentation, a diverging cell; resumed.

    A slab begins where the host foresees the lane, so a wrong forecast shows at once.
    """
    values = CELLS | {"lanes": lanes, "label_noise": 0.3, "augmentation": "shift"}
    values |= {"budget": "2epochs", "evaluations": 3, "wide": wide}
    resident, streamed = make(**values), make(**values, slab_mib=0.02)
    assert 8 <= streamed.recipe.slab < 97
    assert streamed.memory_bytes() != resident.memory_bytes()
    expected, found = run_cells(resident), run_cells(streamed)
    _, resumed = interrupted(streamed, tmp_path / "checkpoints", 5)
    for index, record in expected.items():
        for other in (found[index], resumed[index]):
            # The last look at the training set is another executable: its sum may round otherwise.
            np.testing.assert_allclose(other["train_loss"], record["train_loss"], rtol=1e-6)
            same = {"train_loss": 0.0}
            assert encode(other | same) == encode(record | same)


def test_slabs_that_hold_no_microbatch_are_refused(make):
    with pytest.raises(UserError, match=r"--slab_mib=0\.001: two slabs of a microbatch"):
        make(**CELLS, slab_mib=0.001)
