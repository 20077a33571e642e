"""Every cell of a plane against a plain optax loop over whole batches, in the contract's bounds.

The contract (README): in float64 within 1e-10 over 50 updates, in float32 within 1e-5 over 20, at
stable rates, whatever the microbatch.
"""

import dataclasses

import jax
import numpy as np
import optax
import pytest
from plain_reference import compare, reference, worst

from minima.sweep.plain_loop import plain_losses

EVERYTHING = {
    "clip_norm": 0.7,
    "weight_decay": 0.01,
    "warmup_examples": 150,
    "dropout": 0.3,
    "label_smoothing": 0.1,
    "label_noise": 0.2,
    "augmentation": "shift_flip",
}
COURSE = {
    "milestones": (1.0, 2.5),
    "batch_factor": 2,
    "rate_factor": 0.5,
    "decay": "cosine",
    "decay_fraction": 0.4,
    "warmup_examples": 60,
}


def slow(*case):
    """A case for CI: the short suite has MLPs and one CNN, which compile sooner."""
    return pytest.param(*case, marks=pytest.mark.slow)


PLAIN: dict = {}
SQUARED = {"loss": "squared_error", "activation": "tanh"}
CASES = [
    # model, optimizer, other settings, lanes per block
    ("mlp", "sgd", PLAIN, 1),
    ("mlp", "momentum", EVERYTHING, 1),
    ("mlp", "nesterov", PLAIN, 2),
    slow("mlp", "momentum", COURSE | {"batch_sizes": (1, 5, 13, 24)}, 1),
    slow("mlp", "adam", EVERYTHING | {"wide": (32, 80)}, 1),
    ("mlp", "momentum", COURSE | {"batch_sizes": (1, 5, 13, 24), "wide": (20, 40)}, 1),
    slow("cnn_small", "adam", COURSE | {"batch_sizes": (1, 4, 7, 24)}, 2),
    ("mlp", "adamw", {"weight_decay": 0.1, "norm": "layer", "depth": 2}, 1),
    slow("mlp_residual", "lion", {"weight_decay": 0.1}, 1),
    slow("cnn_small", "sgd", {"norm": "group"}, 2),
    ("cnn_small", "momentum", PLAIN, 1),
    slow("cnn_small", "adam", EVERYTHING, 2),
    slow("mlp", "muon", PLAIN, 1),
    ("mlp", "sgd", SQUARED | {"depth": 2}, 1),
    slow("mlp", "momentum", EVERYTHING | SQUARED, 2),
    slow("vgg", "sgd", PLAIN, 1),
    slow("rnn", "adam", {"width": 8}, 1),
    slow("gru", "momentum", {"width": 8, "dropout": 0.2}, 2),
    slow("lstm", "nesterov", {"width": 8}, 1),
    slow("transformer", "adamw", {"width": 16, "depth": 1, "dropout": 0.1}, 1),
]


@pytest.mark.parametrize(("model", "optimizer", "extras", "block"), CASES)
def test_float64_plane_equals_the_plain_loop(make, run_lanes, model, optimizer, extras, block):
    with jax.enable_x64(True):
        plan = make(
            model=model,
            optimizer=optimizer,
            learning_rates=(0.003,),
            seeds=(3,),
            budget="50steps",
            evaluations=50,
            microbatch=16,
            lanes=2,
            block=block,
            dtype="float64",
            **{"batch_sizes": (1, 13, 32, 97)} | extras,
        )
        # Growing batches see more examples late; this looks after every update all the same.
        plan = dataclasses.replace(plan, watched=50)
        compare(plan, *run_lanes(plan, limit=7), updates=50)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("optimizer", "extras"),
    [
        ("sgd", {"weight_decay": 0.1}),
        ("nesterov", {"norm": "layer", "warmup_examples": 150}),
        ("adam", {"dropout": 0.2}),
        ("adamw", {"weight_decay": 0.1}),
        ("lion", {"weight_decay": 0.1}),
    ],
)
def test_mup_equals_a_plain_loop_with_a_rate_for_every_tensor(make, run_lanes, optimizer, extras):
    """The engine, and the loop that `replay` compares with."""
    with jax.enable_x64(True):
        plan = make(
            model="mlp",
            width=24,
            depth=2,
            parametrisation="mup",
            base_width=8,
            optimizer=optimizer,
            batch_sizes=(13, 32),
            learning_rates=(0.003,),
            seeds=(3,),
            budget="20steps",
            evaluations=20,
            microbatch=16,
            lanes=1,
            dtype="float64",
            **extras,
        )
        lanes, report = run_lanes(plan, limit=7)
        compare(plan, lanes, report, updates=20)
        losses = list(plain_losses(plan, plan.cells[1]))
        np.testing.assert_allclose(report.trajectory[1, :, 0], losses, atol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["lstm", "transformer"])
def test_language_models_equal_the_plain_loop(make, run_lanes, model):
    with jax.enable_x64(True):
        plan = make(
            data="sequences",
            model=model,
            width=16,
            depth=1,
            optimizer="adam",
            batch_sizes=(5, 32),
            learning_rates=(0.003,),
            seeds=(1,),
            budget="20steps",
            evaluations=20,
            microbatch=16,
            lanes=1,
            dtype="float64",
        )
        compare(plan, *run_lanes(plan), updates=20)


@pytest.mark.slow
@pytest.mark.parametrize(("model", "size"), [("mlp", 97), ("cnn_small", 32), ("resnet", 13)])
def test_batch_norm_equals_the_plain_loop_on_whole_batches(make, run_lanes, model, size):
    """One program per batch size, whose microbatch is the batch: statistics included."""
    with jax.enable_x64(True):
        plan = make(
            model=model,
            norm="batch",
            batch_sizes=(size,),
            learning_rates=(0.01, 0.03),
            seeds=(2,),
            budget="20steps",
            evaluations=20,
            lanes=1,
            dtype="float64",
        )
        assert plan.recipe.microbatch == size
        compare(plan, *run_lanes(plan), updates=20)


@pytest.mark.slow
def test_ghost_norm_of_a_batch_that_is_one_ghost_equals_batch_norm(make, run_lanes):
    """And of a larger batch it doesn't."""
    with jax.enable_x64(True):
        values = {
            "model": "mlp",
            "learning_rates": (0.01,),
            "seeds": (2,),
            "budget": "10steps",
            "evaluations": 10,
            "lanes": 1,
            "devices": 1,
            "dtype": "float64",
        }
        for size, same in ((32, True), (64, False)):
            batch = make(**values, batch_sizes=(size,), norm="batch")
            ghost = make(**values, batch_sizes=(size,), norm="ghost", ghost_size=32)
            assert ghost.recipe.microbatch == 32
            a, b = (run_lanes(plan)[0].params for plan in (batch, ghost))
            assert (worst(a, b) < 1e-12) == same


@pytest.mark.slow
@pytest.mark.parametrize("model", ["mlp", "cnn_small"])
def test_float32_plane_equals_the_plain_loop(make, run_lanes, model):
    plan = make(
        model=model,
        optimizer="momentum",
        batch_sizes=(13, 32, 64, 97),
        learning_rates=(0.01,),
        seeds=(0,),
        budget="20steps",
        evaluations=2,
        lanes=2,
    )
    lanes, report = run_lanes(plan)
    assert set(report.step) == {20}
    for i, cell in enumerate(plan.cells):
        path, _ = reference(plan, cell)
        assert worst(jax.tree.map(lambda x, i=i: x[i], lanes.params), path[-1][0]) < 1e-5, cell


@pytest.mark.slow
def test_early_stopping_keeps_what_the_plain_loop_would_keep(make, run_lanes):
    with jax.enable_x64(True):
        plan = make(
            optimizer="adam",
            batch_sizes=(13, 97),
            learning_rates=(0.01, 0.05),
            seeds=(1,),
            budget="50steps,early_stopping=3",
            evaluations=25,
            lanes=2,
            label_noise=0.5,
            dtype="float64",
        )
        lanes, report = run_lanes(plan)
        for i, cell in enumerate(plan.cells):
            path, _ = reference(plan, cell)
            losses = [validation_loss(plan, path[step - 1][0]) for step in range(2, 51, 2)]
            stop, best = patience(losses, 3)
            assert report.step[i] == 2 * (stop + 1)
            kept = jax.tree.map(lambda x, i=i: x[i], lanes.params)
            assert worst(kept, path[2 * best + 1][0]) < 1e-10
        assert (report.step < 50).any(), "no cell stopped early: the test tests nothing"


def validation_loss(plan, params):
    data, task = plan.dataset, plan.recipe.task
    logits, _ = task.model.apply(params, {}, task.prepare(data, data.validation.inputs))
    labels = data.validation.labels
    return float(optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean())


def patience(losses, allowed):
    """(index of the evaluation that stops, index of the best one)."""
    best = 0
    for i, loss in enumerate(losses):
        best = i if loss < losses[best] else best
        if i - best >= allowed:
            return i, best
    return len(losses) - 1, best
