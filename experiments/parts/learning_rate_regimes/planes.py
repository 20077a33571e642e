"""Regimes of every rate and seed on the full batch, and how sharp networks begin and end."""

from collections.abc import Mapping
from dataclasses import dataclass

import jax
import numpy as np

from minima.claims.evidence import Floats
from minima.claims.regimes import UNSTABLE, classify, constant_loss, limit, onset
from minima.landscape.estimators import Estimate, largest_eigenvalues
from minima.landscape.objective import Chunks, Objective
from minima.landscape.operators import hessian
from minima.landscape.panels import PANELS, Panel, Subject
from minima.landscape.result import Measured
from minima.landscape.run_measures import kept_minima, measure_points
from minima.record import results
from minima.sweep.plan import Plan
from minima.sweep.run import Prepared
from parts.learning_rate_regimes.config import FULL_BATCH

_END, _END_VALUE = PANELS["preconditioned"], "preconditioned_lambda_max"


def _at_the_start(
    objective: Objective, subject: Subject, data: Chunks, key: jax.Array
) -> dict[str, Estimate]:
    top = largest_eigenvalues(hessian(objective, subject.initial, data), key, 15)
    return {"initial_lambda_max": jax.tree.map(lambda x: x[0], top)}


_START, _START_VALUE = Panel("initial_lambda_max", _at_the_start), "initial_lambda_max"


@dataclass(frozen=True)
class FullBatch:
    """One network under gradient descent, at every rate and seed.

    Attributes:
      name: of its sweep; loss: what it is trained with.
      rates: (R,) rising. regimes: [seed][rate]; statuses likewise.
      first, last, highest: (S, R) losses before any update, at the end, and at the top of the
        curve; NaN where there is none.
      constant: loss of the best output that is the same for all examples.
      start: (S,) largest eigenvalue of the Hessian before any update.
      end: (S, R) the same of the state kept at the end, NaN where it was not measured.
    """

    name: str
    loss: str
    rates: tuple[float, ...]
    regimes: list[list[str]]
    statuses: list[list[str]]
    first: Floats
    last: Floats
    highest: Floats
    constant: float
    start: Floats
    end: Floats

    def onsets(self) -> Floats:
        """(S,) rate at which the loss begins to rise, in 1 / sharpness at the start."""
        return self.start * np.array([onset(self.rates, row) for row in self.regimes])

    def limits(self) -> Floats:
        """(S,) the largest rate that trains, in 1 / sharpness at the start."""
        return self.start * np.array([limit(self.rates, row) for row in self.regimes])

    def measured(self) -> tuple[Floats, Floats]:
        """(S, R) how many doublings sharper unstable runs end than they began; rate × sharpness."""
        unstable = np.array(self.regimes) == UNSTABLE
        end = np.where(unstable & (self.end > 0), self.end, np.nan)
        return np.log2(end / self.start[:, None]), end * np.array(self.rates)


def full_batches(prepared: Mapping[str, Prepared], every: int) -> dict[str, FullBatch]:
    """Classifies all runs on the full batch; measures what is not on disk yet."""
    return {name: _full_batch(name, prepared[name], every) for name in FULL_BATCH}


def start_sharpness(prepared: Prepared, seeds: tuple[int, ...], examples: int) -> Floats:
    """(S,) largest eigenvalue of the Hessian at the initial weights of each seed, NaN if unknown.

    They are those of any run of that seed which has kept a state.
    """
    plan, found = prepared.plan, dict[int, tuple[int, int]]()
    for number, step in kept_minima(plan, prepared.directory):
        found.setdefault(plan.cells[number]["seed"], (number, step))
    points = [found[seed] for seed in seeds if seed in found]
    measured = measure_points(
        plan,
        prepared.directory,
        points,
        _START,
        examples=examples,
        mesh=plan.layout.make_mesh(),
    )
    values = {plan.cells[n]["seed"]: each for (n, _), each in zip(points, measured, strict=True)}
    return np.array([_value(values[s], _START_VALUE) if s in values else np.nan for s in seeds])


def _full_batch(name: str, prepared: Prepared, every: int) -> FullBatch:
    plan, run = prepared.plan, results.load(prepared.directory)
    grid, task = plan.config.grid, plan.config.task
    labels, classes = plan.dataset.train.labels, plan.dataset.num_classes
    constant = constant_loss(labels, classes, task.loss)
    curves = run.curves("train_loss")[0]  # (R, S, looks)
    status = {plan.grid.index(cell["cell"]): cell["status"] for cell in run.cells}
    shape = len(grid.learning_rates), len(grid.seeds)
    statuses = np.array([status[n] for n in range(len(plan.cells))]).reshape(shape)
    regimes = [
        [classify(curves[r, s], statuses[r, s], constant) for r in range(shape[0])]
        for s in range(shape[1])
    ]
    curves = np.where(np.isfinite(curves), curves, np.nan).transpose(1, 0, 2)
    return FullBatch(
        name=name,
        loss=task.loss,
        rates=grid.learning_rates,
        regimes=regimes,
        statuses=statuses.T.tolist(),
        first=curves[:, :, 0],
        last=_last(curves),
        highest=np.fmax.reduce(curves, axis=2),
        constant=constant,
        start=start_sharpness(prepared, grid.seeds, 0),
        end=_ends(prepared, every),
    )


def _last(curves: Floats) -> Floats:
    """The mean of the last ten looks; of a shorter curve of what there is."""
    found = np.full(curves.shape[:2], np.nan)
    for place in np.ndindex(*found.shape):
        seen = curves[place][np.isfinite(curves[place])]
        found[place] = seen[-10:].mean() if len(seen) else np.nan
    return found


def _ends(prepared: Prepared, every: int) -> Floats:
    """(S, R) sharpness where runs ended, at every n-th rate."""
    plan = prepared.plan
    grid, table = plan.config.grid, np.full((1, *_shape(plan)), np.nan)
    points = [
        (number, step)
        for number, step in kept_minima(plan, prepared.directory)
        if grid.learning_rates.index(plan.cells[number]["learning_rate"]) % every == 0
    ]
    measured = measure_points(
        plan, prepared.directory, points, _END, examples=0, mesh=plan.layout.make_mesh()
    )
    for (number, _), each in zip(points, measured, strict=True):
        table.reshape(-1)[number] = _value(each, _END_VALUE)
    return table[0].T


def _shape(plan: Plan) -> tuple[int, int]:
    return len(plan.config.grid.learning_rates), len(plan.config.grid.seeds)


def _value(entries: Mapping[str, Measured], name: str) -> float:
    return entries[name].value
