"""What a plan refuses before anything compiles, each in one line that names the flag."""

import math

import jax
import numpy as np

from minima.runtime import devices
from minima.runtime.errors import UserError
from minima.runtime.mesh import MODEL
from minima.sweep.combinations import GROUPED, grouped
from minima.sweep.config import SweepConfig
from minima.sweep.lane import Recipe
from minima.sweep.timeline import Timeline
from minima.tasks.datasets.dataset import Dataset
from minima.tasks.models import Model
from minima.tasks.models.sharding import cuts


def check_steps(config: SweepConfig, num_examples: int, timeline: Timeline) -> None:
    """Counters on the device are 32-bit; and a batch can't hold an example twice unasked."""
    for batch_size in config.grid.batch_sizes:
        if batch_size > num_examples:
            raise UserError(
                f"--batch_sizes={batch_size}: more than the {num_examples} training examples of "
                f"--dataset={config.task.dataset}; use at most {num_examples}"
            )
    if timeline.steps >= 2**31 - 1:
        raise UserError(f"--budget={config.training.budget}: 2^31 updates or more; use fewer")


def check_phases(config: SweepConfig, recipe: Recipe, num_examples: int) -> None:
    """A batch can grow where one program serves all sizes, up to the whole training set."""
    training = config.training
    if not training.milestones or training.batch_factor == 1:
        return
    largest = config.grid.batch_sizes[-1] * training.batch_factor ** len(training.milestones)
    if largest > num_examples:
        raise UserError(
            f"--batch_factor={training.batch_factor}: grows batches of "
            f"{config.grid.batch_sizes[-1]} to {largest}, more than the {num_examples} training "
            "examples; use a smaller factor, fewer --milestones or smaller --batch_sizes"
        )
    if recipe.couples_examples:
        couples, use = "--sam_examples=0", "a --sam_examples that divides all --batch_sizes"
        if flag := grouped(config):
            couples, use = flag, "--batch_factor=1"
        if recipe.task.model.couples_examples:
            couples, use = "--norm=batch", "--norm=ghost"
        raise UserError(
            f"--batch_factor={training.batch_factor}: {couples} compiles a program per batch "
            f"size, so its batches can't grow; use {use}"
        )
    if training.milestones[0] * num_examples < training.warmup_examples:
        raise UserError(
            f"--milestones={training.milestones[0]:g}: the batch would grow before "
            f"--warmup_examples={training.warmup_examples} are over; use a later milestone"
        )


def check_labels(config: SweepConfig, dataset: Dataset) -> None:
    """Classes can be redrawn and smoothed, numbers can't."""
    if dataset.task != "regression":
        return
    axes = dict(config.grid.axes)
    for name in ("label_noise", "label_flips", "label_smoothing"):
        value = max(axes.get(name, (getattr(config.training, name),)))
        if value:
            raise UserError(
                f"--{name}={value:g}: goes with classes, --dataset={dataset.name} has numbers for "
                "labels; leave it out"
            )


def check_groups(config: SweepConfig, dataset: Dataset) -> None:
    """Objectives over groups need two of them, and a label for each example."""
    flag, name = grouped(config), f"--dataset={dataset.name}"
    share = max(dict(config.grid.axes).get("reweighting", (config.training.reweighting,)))
    if share > 0 and dataset.example_weights() is None:
        raise UserError(
            f"--reweighting={share:g}: {name} has neither weights nor groups; leave it out"
        )
    if not flag:
        return
    groups = dataset.train.groups
    if groups is None or len(np.unique(groups)) < 2:
        raise UserError(
            f"{flag}: compares groups, {name} has {'none' if groups is None else 'one'}; use "
            "one that has two or more, such as coloured:fashion_mnist"
        )
    if dataset.per_position:
        raise UserError(f"{flag}: goes with one label an example, {name} has one at every position")
    if dataset.task == "regression" and "parity" in flag:
        raise UserError(f"{flag}: goes with classes, {name} has numbers for labels; leave it out")


def check_norm(recipe: Recipe) -> None:
    """Norms that look at other examples agree with a climb on whose, and have no averaged ones."""
    norm, features = recipe.task.model.settings.norm, recipe.features
    if features.average != "none" and norm in ("batch", "ghost"):
        raise UserError(
            f"--average={features.average}: the running statistics of --norm={norm} are not those "
            "of averaged weights; use --norm=layer, group or none"
        )
    if features.sharpness_aware == "none":
        return
    seen = {"batch": 0, "ghost": recipe.microbatch}.get(norm)
    if seen is not None and recipe.sam_examples != seen:
        raise UserError(
            f"--sam_examples={recipe.sam_examples}: --norm={norm} looks at "
            f"{seen or 'the whole batch'}; use --sam_examples={seen}"
        )


def check_mesh(config: SweepConfig, model: Model) -> None:
    """A model axis that divides nothing would do the same work on all its devices."""
    axes = config.engine.mesh
    if axes is None or axes.model == 1:
        return
    params = jax.eval_shape(model.init, jax.random.key(0))[0]
    if not any(MODEL in cut.spec for cut in cuts(params, axes).values()):
        raise UserError(
            f"--mesh={axes}: divides no parameter of --model={model.name} by {axes.model}; use "
            f"--mesh=data:{axes.size}, or a --width that is a multiple"
        )


def check_memory(needed: int, lanes: int) -> None:
    """On CPUs, devices share the machine's memory; accelerators report their own shortage."""
    there = devices.memory_bytes()
    if there is not None and needed > there:
        raise UserError(
            f"--lanes={lanes}: needs {needed / 2**30:,.0f} GiB "
            f"of the {there / 2**30:,.0f} GiB there are; use fewer lanes or a smaller model"
        )


def check_range(config: SweepConfig) -> None:
    """What the dtype can't hold would train as infinity or as zero."""
    training, info = config.training, np.finfo(config.training.dtype)
    least, most = float(info.tiny), float(info.max)
    named = [("learning_rates", rate) for rate in config.grid.learning_rates]
    names = ("clip_norm", "weight_decay", "divergence_loss", "rho", "weight_noise", *GROUPED)
    named += [(name, getattr(training, name) or 0) for name in names]
    if training.budget.target:
        named += [("budget", abs(training.budget.target.value))]
    for name, value in named:
        if 0 < value < least or most < value < math.inf:
            raise UserError(
                f"--{name}: {value:g} is outside what {training.dtype} holds; use a number "
                f"between {least:.3g} and {most:.3g}"
            )
