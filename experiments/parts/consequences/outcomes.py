"""What a kept state does: each consequence as one number, the lower the better."""

import functools
import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from minima.claims.evidence import Floats
from minima.evaluation import calibration
from minima.evaluation.disparity import by_group
from minima.landscape.run_measures import measure_points
from minima.record import results
from minima.record.run_directory import RunDirectory
from minima.record.snapshots import Snapshots
from minima.sweep.branch import from_arrays
from minima.sweep.examples import labels_of
from minima.sweep.lane import minimum_of
from minima.sweep.minima import Point, predict_logits, predict_test_set
from minima.sweep.program import blank_initial
from minima.sweep.readouts import layer_accuracies
from minima.sweep.run import Prepared
from minima.tasks.datasets import Dataset
from minima.tasks.datasets.corruptions import CORRUPTIONS, SEVERITIES, corrupt, units_of
from minima.tasks.task import Task
from parts.consequences.config import AS_IS, NOISY, SHORTCUT, ConsequencesConfig
from parts.consequences.matching import POINTS, halves
from parts.consequences.panel import BITS, PANEL

ERROR, NLL, ECE, CORRUPTED = "error", "NLL", "ECE", "error when corrupted"
CLASSES, TRANSFER, BITS_NEEDED = "gap between classes", "error after transfer", "bits per weight"
WORST, GROUPS = "error of the worst group", "gap between groups"
MEMORISED, NOISY_ERROR = "labels memorised", "error of noisy training"
BAITED_ERROR = "error with the shortcut"
UNITS = {
    ERROR: "points",
    NLL: "nats",
    ECE: "points",
    CORRUPTED: "points",
    CLASSES: "points",
    WORST: "points",
    GROUPS: "points",
    TRANSFER: "points",
    MEMORISED: "points",
    NOISY_ERROR: "points",
    BITS_NEEDED: "bits",
}
CONSEQUENCES = tuple(UNITS)
# Beside them: what chance alone makes of a calibration error, and what is left of matching.
ECE_NULL, ECE_BAND, INSIDE = "ECE if calibrated", "ECE if calibrated, upper limit", "ECE inside"
_NULL_DRAWS = 100
_TOGETHER = 16  # states probed at a time, so that any number of them is the same program

Values = dict[str, Floats]  # by name, (points,)


def outcomes(
    world: str,
    prepared: Prepared,
    points: Sequence[Point],
    asked: ConsequencesConfig,
    target: Dataset | None,
) -> Values:
    """All consequences that a world's states have, (points,) each."""
    if world == SHORTCUT:
        return _baited(prepared, points)
    if world == NOISY:
        return _memorised(prepared, points, asked.noise)
    assert world == AS_IS
    found = _predictions(prepared, points)
    found[CORRUPTED] = _corrupted(prepared, points, asked.corrupted)
    if target is not None:
        found[TRANSFER] = _transferred(prepared, points, target, asked.labels)
    plan = prepared.plan
    rows = measure_points(
        plan,
        prepared.directory,
        points,
        PANEL,
        examples=asked.measured,
        mesh=plan.layout.make_mesh(),
    )
    with RunDirectory.hold(prepared.directory) as held:
        run = results.load(held.directory)
        results.write_results(run.path, run.axes, run.cells)  # with what was measured
    around = {name: np.array([row[name].value for row in rows]) for name in rows[0]}
    return found | around | {BITS_NEEDED: around[BITS]}


def _logits(prepared: Prepared, points: Sequence[Point], inputs: np.ndarray) -> np.ndarray:
    plan = prepared.plan
    mesh = plan.layout.make_mesh()
    return predict_logits(plan, Snapshots(prepared.directory), points, inputs, mesh)


def _predictions(prepared: Prepared, points: Sequence[Point]) -> Values:
    """Of clean examples, those that report: error, likelihood, calibration, gap over classes."""
    test = prepared.plan.dataset.test
    _, reporting = halves(len(test))
    labels = test.labels[reporting]
    logits = _logits(prepared, points, test.inputs[reporting]).astype(np.float64)
    return _stack([_of_one(each, labels) for each in logits])


def _of_one(logits: Floats, labels: NDArray) -> dict[str, float]:
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    p = np.exp(log_p)
    confidence, right = calibration.top(p / p.sum(axis=1, keepdims=True), labels)
    band = calibration.null_band(confidence, right, draws=_NULL_DRAWS)
    return {
        ERROR: POINTS * (1 - right.mean()),
        NLL: float(-log_p[np.arange(len(labels)), labels].mean()),
        ECE: POINTS * band.value,
        ECE_NULL: POINTS * band.mean,
        ECE_BAND: POINTS * band.high,
        INSIDE: float(band.inside),
        CLASSES: float(np.ptp(_accuracies(right, labels))),
    }


def _corrupted(prepared: Prepared, points: Sequence[Point], examples: int) -> Floats:
    """(points,) the mean error over corruptions and severities, on examples that report."""
    data = prepared.plan.dataset
    _, reporting = halves(len(data.test))
    chosen = reporting[:examples]
    clean, labels, units = data.test.inputs[chosen], data.test.labels[chosen], units_of(data)
    names = CORRUPTIONS[data.kind]
    errors = []
    for name in names:
        inputs = [corrupt(data.kind, clean, name, level, units=units) for level in SEVERITIES]
        logits = _logits(prepared, points, np.concatenate(inputs))
        right = logits.argmax(axis=-1) == np.tile(labels, len(SEVERITIES))
        errors.append(POINTS * (1 - right.mean(axis=1)))
    return np.mean(errors, axis=0)


def _transferred(
    prepared: Prepared, points: Sequence[Point], target: Dataset, labels: int
) -> Floats:
    """(points,) the error of a linear read-out of the last hidden layer, fitted on few labels."""
    plan, snapshots = prepared.plan, Snapshots(prepared.directory)
    like = blank_initial(plan.recipe)
    variables = [minimum_of(from_arrays(snapshots.read(*point), like)) for point in points]
    few, n = labels * target.num_classes, len(variables)
    variables += variables[-1:] * (-n % _TOGETHER)
    groups = [variables[i : i + _TOGETHER] for i in range(0, n, _TOGETHER)]
    right = [layer_accuracies(plan.recipe.task, target, each, few)[:, -1] for each in groups]
    return np.asarray(POINTS * (1 - np.concatenate(right)[:n]), np.float64)


def _baited(prepared: Prepared, points: Sequence[Point]) -> Values:
    """Error on the reporting half, and by group of the test examples."""
    plan, test = prepared.plan, prepared.plan.dataset.test
    mesh, snapshots = plan.layout.make_mesh(), Snapshots(prepared.directory)
    _, reporting = halves(len(test))
    assert test.groups is not None
    groups = test.groups[reporting]
    predicted = predict_test_set(plan, snapshots, points, mesh)[:, reporting]
    right = predicted == test.labels[reporting]
    apart = np.stack([_accuracies(each, groups) for each in right])
    return {
        BAITED_ERROR: POINTS * (1 - right.mean(axis=1)),
        WORST: POINTS - apart.min(axis=1),
        GROUPS: np.ptp(apart, axis=1),
    }


def _accuracies(right: NDArray[np.bool_], groups: NDArray) -> Floats:
    """(groups,) in percent."""
    found = by_group(np.ones(len(right), bool), right, groups, names=("accuracy",))
    return np.array([POINTS * group.rates["accuracy"].value for group in found])


def _memorised(prepared: Prepared, points: Sequence[Point], noise: float) -> Values:
    """Error on clean examples, and the share of wrong training labels that were learnt."""
    plan = prepared.plan
    train, test = plan.dataset.train, plan.dataset.test
    _, reporting = halves(len(test))
    inputs = np.concatenate([test.inputs[reporting], train.inputs])
    predicted = _logits(prepared, points, inputs).argmax(axis=-1)
    right = predicted[:, : len(reporting)] == test.labels[reporting]
    learnt = []
    for (cell, _), guesses in zip(points, predicted[:, len(reporting) :], strict=True):
        labels = np.asarray(
            _noisy(plan.recipe.task, np.int32(plan.cells[cell]["seed"]), train.labels, noise)
        )
        wrong = labels != train.labels
        learnt.append(POINTS * float((guesses == labels)[wrong].mean()))
    return {NOISY_ERROR: POINTS * (1 - right.mean(axis=1)), MEMORISED: np.array(learnt)}


@functools.partial(jax.jit, static_argnames="task")
def _noisy(task: Task, seed: jax.Array, labels: jax.Array, noise: jax.Array) -> jax.Array:
    """The labels that a seed was trained with."""
    index = jnp.arange(len(labels), dtype=jnp.int32)
    return labels_of(task, seed, index, labels, jnp.asarray(noise, task.model.dtype))


def _stack(rows: Sequence[dict[str, float]]) -> Values:
    names = list(itertools.chain(rows[0] if rows else ()))
    return {name: np.array([row[name] for row in rows]) for name in names}
