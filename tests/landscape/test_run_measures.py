"""Minima of a run, measured by one program: against dense Hessians, records, kills and compiles."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from trained_runs import mesh, prepare, train

from minima.landscape import estimators, operators
from minima.landscape.estimators import known
from minima.landscape.objective import cross_entropy
from minima.landscape.panels import PANELS, Panel
from minima.landscape.run_measures import check_panel, kept_minima, measure_points
from minima.record import measures, results
from minima.record.run_directory import RunDirectory
from minima.runtime.errors import UserError
from minima.sweep.stream import Purpose, purpose_key

EVERY = 0  # examples


@pytest.fixture(scope="module")
def plane(tmp_path_factory):
    """2 × 2 × 2 cells at 40 % label noise, a quarter of them diverged."""
    return train(
        tmp_path_factory.mktemp("plane"),
        batch_sizes=(8, 32),
        learning_rates=(0.1, 1e5),
        seeds=(0, 1),
        label_noise=0.4,
        snapshots=2,
        divergence_loss=10.0,
    )


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    """Eleven seeds of one point of the plane."""
    return train(tmp_path_factory.mktemp("seeds"), optimizer="momentum", seeds=tuple(range(11)))


@pytest.fixture(scope="module")
def adam(tmp_path_factory):
    """One cell, ten updates, and a rate that falls to a tenth."""
    return train(
        tmp_path_factory.mktemp("adam"),
        optimizer="adam",
        learning_rates=(0.01,),
        momentum=0.8,
        beta2=0.95,
        decay="linear",
        decay_fraction=1.0,
        budget="10steps",
        snapshots=2,
    )


@pytest.fixture
def unmeasured(seeds):
    """The same, its measures forgotten."""
    (seeds.directory / measures.FILE).unlink(missing_ok=True)
    return seeds


def dense_hessian(trained, number, step):
    """Of the plain mean loss on the clean training set, in float64 from JAX's own Hessian."""
    task, train_set = trained.plan.recipe.task, trained.plan.dataset.train
    snapshot = trained.snapshot(number, step)
    flat, unravel = ravel_pytree(snapshot.params)
    inputs = (train_set.inputs - trained.plan.dataset.mean) / trained.plan.dataset.std

    def loss(vector):
        logits, _ = task.model.apply(unravel(vector), snapshot.state, inputs)
        return jnp.mean(cross_entropy(logits, jnp.asarray(train_set.labels)))

    return np.asarray(jax.hessian(loss)(flat), np.float64)


def light(objective, subject, data, key):
    """The loss, and a product with the Hessian where there are few examples."""
    found = {"loss": known(objective.mean(subject.params, data))}
    if data.size <= 16:
        hessian = operators.hessian(objective, subject.params, data)
        found["lambda_max"] = estimators.power_iteration(hessian, key, steps=2)
    return found


def measure(trained, name, **options):
    points = options.pop("points", None) or kept_minima(trained.plan, trained.directory)
    options = {"examples": EVERY, "mesh": mesh()} | options
    found = measure_points(trained.plan, trained.directory, points, PANELS[name], **options)
    return dict(zip(points, found, strict=True))


# --- what is measured ------------------------------------------------------------------------


@pytest.mark.slow
def test_the_loss_measured_is_the_loss_that_the_cell_recorded(plane):
    """On the labels each cell was trained with, noise and all: another path computed the record."""
    found = measure(plane, "norms")
    assert len(found) == 4
    for (number, _), measured in found.items():
        record = plane.records[number]
        assert measured["loss"].value == pytest.approx(record["train_loss"], rel=1e-5)
    losses = [measured["loss"].value for measured in found.values()]
    assert len(set(losses)) == len(losses)


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"model": "cnn", "dataset": "fashion_mnist", "norm": "batch", "width": 4},
        {"model": "mlp", "average": "ema", "average_half_life": 40},
        {"model": "lstm", "dataset": "markov", "width": 8},
        {"model": "transformer", "dataset": "markov", "width": 16, "depth": 1},
    ],
    ids=["cnn", "averaged", "lstm", "transformer"],
)
def test_every_family_is_measured_in_evaluation_mode(tmp_path, settings):
    trained = train(tmp_path, budget="3steps", batch_sizes=(16,), **settings)
    [point] = kept_minima(trained.plan, trained.directory)
    where = trained.plan, trained.directory, [point]
    [found] = measure_points(*where, Panel("light", light), examples=EVERY, mesh=mesh())
    assert found["loss"].value == pytest.approx(trained.records[point[0]]["train_loss"], rel=1e-4)
    [few] = measure_points(*where, Panel("light", light), examples=16, mesh=mesh())
    assert few["lambda_max"].sample_size == 16
    assert np.isfinite(few["lambda_max"].value)


@pytest.mark.slow
def test_curvature_is_that_of_the_dense_hessian(seeds):
    points = kept_minima(seeds.plan, seeds.directory)[:3]
    for (number, step), found in measure(seeds, "hessian", points=points).items():
        hessian = dense_hessian(seeds, number, step)
        assert found["lambda_max"].value == pytest.approx(np.linalg.eigvalsh(hessian)[-1], rel=1e-4)
        low, high = found["trace"].interval(0.999)
        assert low <= np.trace(hessian) <= high
        low, high = found["squared_frobenius"].interval(0.999)
        assert low <= np.sum(hessian**2) <= high


def test_distance_is_from_the_weights_that_the_seed_started_with(plane):
    task = plane.plan.recipe.task
    for (number, step), found in measure(plane, "norms").items():
        seed = plane.plan.cells[number]["seed"]
        begin = ravel_pytree(task.model.init(purpose_key(seed, Purpose.INITIALISATION))[0])[0]
        end = ravel_pytree(plane.snapshot(number, step).params)[0]
        assert found["distance"].value == pytest.approx(
            float(jnp.linalg.norm(end - begin)), rel=1e-5
        )


@pytest.mark.slow
def test_what_adam_divides_by_preconditions_the_hessian(adam):
    [((number, step), found)] = measure(adam, "preconditioned").items()
    state = adam.snapshot(number, step).opt_state[0][0]
    second = np.asarray(ravel_pytree(state.nu)[0], np.float64) / (1 - 0.95**step)
    scale = ((1 - 0.8**step) * (np.sqrt(second) + 1e-8)) ** -0.5
    matrix = scale[:, None] * dense_hessian(adam, number, step) * scale[None]
    wanted = np.linalg.eigvalsh(matrix)[-1]
    assert found["preconditioned_lambda_max"].value == pytest.approx(wanted, rel=1e-3)


def test_without_preconditioning_it_is_the_hessian(seeds):
    point = kept_minima(seeds.plan, seeds.directory)[4]
    found = measure(seeds, "preconditioned", points=[point])[point]
    wanted = np.linalg.eigvalsh(dense_hessian(seeds, *point))[-1]
    assert found["preconditioned_lambda_max"].value == pytest.approx(wanted, rel=1e-4)


def test_an_optimiser_it_does_not_know_is_refused(tmp_path):
    plan = prepare(tmp_path, optimizer="lion", learning_rates=(0.001,)).plan
    check_panel(plan, PANELS["hessian"])
    with pytest.raises(UserError, match=r"panel preconditioned: knows sgd.* trained by lion"):
        check_panel(plan, PANELS["preconditioned"])


def test_the_rate_is_that_of_the_last_update(adam):
    def rate(objective, subject, data, key):
        return {"rate": known(subject.hyper.learning_rate)}

    where, panel = (adam.plan, adam.directory, [(0, 5), (0, 10)]), Panel("rate", rate)
    found = measure_points(*where, panel, examples=8, mesh=mesh())
    rates = [one["rate"].value for one in found]
    assert rates == pytest.approx([0.01 * 0.6, 0.01 * 0.1], rel=1e-5)


@pytest.mark.slow
def test_float64_on_request(plane):
    single = measure(plane, "hessian")
    double = measure(plane, "hessian", dtype="float64")
    for point, found in double.items():
        near = pytest.approx(single[point]["lambda_max"].value, rel=1e-4)
        assert found["lambda_max"].value == near
        assert found["lambda_max"].value != float(np.float32(found["lambda_max"].value))
    norms = measure(plane, "norms", dtype="float64")
    assert {p: n["distance"].value for p, n in norms.items()} == pytest.approx(
        {p: n["distance"].value for p, n in measure(plane, "norms").items()}, rel=1e-5
    )


# --- how it is done --------------------------------------------------------------------------


def test_diverged_cells_have_no_minimum(plane):
    statuses = {number: record["status"] for number, record in plane.records.items()}
    assert set(statuses.values()) == {"complete", "diverged"}
    kept = kept_minima(plane.plan, plane.directory)
    assert [number for number, _ in kept] == [
        number for number in sorted(statuses) if statuses[number] == "complete"
    ]
    assert kept_minima(plane.plan, plane.directory, cells=[kept[1][0]]) == [kept[1]]


@pytest.mark.slow
def test_a_plane_compiles_once_and_other_values_not_at_all(plane, tmp_path, counts_compilations):
    other = train(
        tmp_path,
        learning_rates=(0.2,),
        label_noise=0.2,
        budget="7steps",
        evaluations=1,
        optimizer="momentum",
    )
    with counts_compilations() as seen:
        assert len(measure(plane, "noise", examples=40)) == 4
    assert seen.count == 1
    with counts_compilations() as seen:
        measure(other, "noise", examples=40)
    assert seen.count == 0


def test_a_killed_run_of_measures_goes_on_and_ends_the_same(unmeasured):
    trained = unmeasured
    whole = measure(trained, "noise")
    path = trained.directory / measures.FILE
    before = path.read_bytes()
    assert before.count(b"\n") == 11
    lines = before.splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:3]) + lines[3][:50])
    told = []
    again = measure(trained, "noise", progress=lambda done, total: told.append((done, total)))
    assert str(again) == str(whole)  # as text, since NaN is not itself
    assert path.read_bytes() == before
    assert told == [(8, 8)]
    measure(trained, "noise", progress=told.append)  # nothing is left to do
    assert path.read_bytes() == before


def test_a_minimum_does_not_depend_on_its_neighbours(unmeasured):
    together = measure(unmeasured, "noise")
    (unmeasured.directory / measures.FILE).unlink()
    for point in list(together)[:3]:
        alone = measure(unmeasured, "noise", points=[point], mesh=mesh(1))[point]
        near = pytest.approx(together[point]["gradient_variance"].value, rel=1e-6)
        assert alone["gradient_variance"].value == near


def test_each_line_says_how_and_results_have_the_columns(plane):
    measure(plane, "hessian", examples=50, seed=3)
    line = json.loads((plane.directory / measures.FILE).read_text().splitlines()[-1])
    assert {name: line[name] for name in ("panel", "examples", "seed", "dtype")} == {
        "panel": "hessian",
        "examples": 50,
        "seed": 3,
        "dtype": "float32",
    }
    assert list(line["measured"]) == ["lambda_max", "trace", "squared_frobenius"]
    assert line["measured"]["trace"]["sample_size"] == 50
    found = results.load(plane.directory).results
    assert found["lambda_max"].dims == ("batch_size", "learning_rate", "seed")
    assert int(found["lambda_max"].notnull().sum()) == 4
    assert int((found["lambda_max_residual"] >= 0).sum()) == 4


def test_a_run_in_use_is_left_alone(plane):
    with RunDirectory.hold(plane.directory), pytest.raises(UserError, match="in use by process"):
        measure(plane, "noise")


def test_a_state_that_was_not_kept_is_named(plane):
    with pytest.raises(UserError, match=r"cell-000000/step-000000001\.npz"):
        measure(plane, "noise", points=[(0, 1)])
