"""The sweeps of sharp_vs_flat: arms, controls and switched branches. Configurations only."""

from dataclasses import replace
from typing import Literal

from minima.claims.protocol import split_seeds
from minima.sweep.budgets import Budget
from minima.sweep.config import BranchConfig, GridConfig, SweepConfig, TrainingConfig
from minima.sweep.plan import Plan
from parts.sharp_vs_flat.config import SharpConfig

Rule = Literal["sam", "asam"]

RANDOM, TRUE = "random labels", "true labels"
MEMORISED_SNAPSHOTS = 20
RATE_FACTOR = 4.0  # between the rates before and after a switch of the rate
SMALLER, HIGHER, LOWER = "smaller batch", "higher rate", "lower rate"
SAM_ON, SAM_OFF = "SAM on", "SAM off"
# What is switched, and the arm it is switched in: one that trains stably with it.
SWITCHES = {SMALLER: "large", HIGHER: "large", LOWER: "tuned", SAM_ON: "tuned", SAM_OFF: "sam"}


def plane(config: SharpConfig) -> SweepConfig:
    """Both batch sizes at all rates: where small, large and tuned large come from."""
    arms = config.arms
    sizes = (arms.small_batch, arms.large_batch)
    return _sweep(config, GridConfig(sizes, arms.learning_rates, arms.seeds), config.training)


def aware(config: SharpConfig, kind: Rule, rho: float, size: int, rate: float) -> SweepConfig:
    """SAM or ASAM of one radius, at one batch size and rate."""
    return _sweep(config, _point(config, size, rate), _aware(config, config.training, kind, rho))


def noisy(config: SharpConfig) -> SweepConfig:
    """The small batch size at all rates, some labels redrawn."""
    arms = config.arms
    training = replace(config.training, label_noise=config.controls.noise)
    grid = GridConfig((arms.small_batch,), arms.learning_rates, arms.seeds)
    return _sweep(config, grid, training)


def noisy_aware(config: SharpConfig, rho: float, rate: float) -> SweepConfig:
    """SAM on the same labels, at SGD's best rate and at a lower one, which it may like better."""
    controls = config.controls
    training = replace(
        _aware(config, config.training, "sam", rho),
        label_noise=controls.noise,
        sam_examples=controls.noise_climbed,
    )
    rates = (rate / RATE_FACTOR, rate)
    return _sweep(
        config, GridConfig((config.arms.small_batch,), rates, config.arms.seeds), training
    )


def memorised(config: SharpConfig, labels: str) -> SweepConfig:
    """A few examples learnt by heart, with their own labels or with random ones."""
    controls = config.controls
    training = replace(
        config.training,
        budget=Budget(epochs=controls.memorised_epochs),
        label_noise=1.0 if labels == RANDOM else 0.0,
        evaluations=MEMORISED_SNAPSHOTS,
    )
    point = _reporting(config, config.arms.small_batch, controls.memorised_rate)
    swept = _sweep(config, point, training)
    return replace(
        swept,
        task=replace(config.task, validation_fraction=1 - controls.memorised_share),
        record=replace(config.quiet(), snapshots=MEMORISED_SNAPSHOTS),
    )


def switched(
    config: SharpConfig, kind: str, trunk: Plan, directory: str, size: int, rate: float
) -> SweepConfig:
    """The runs of a trunk at one batch size and rate, of which one thing changes halfway.

    `kind` is a key of SWITCHES. A run that goes on unchanged is the trunk itself.
    """
    course = trunk.timeline({"batch_size": size})
    half = course.kept(config.record.snapshots)[0]
    left = Budget(examples=course.examples(course.steps) - course.examples(half))
    training, to_size, to_rate = replace(config.training, budget=left), size, rate
    if kind == SMALLER:
        to_size = config.arms.small_batch
    elif kind == LOWER:
        to_rate = rate / RATE_FACTOR
    elif kind == HIGHER:
        to_rate = rate * RATE_FACTOR
    elif kind == SAM_ON:
        training = _aware(config, training, "sam", max(config.arms.rhos))
    return replace(
        _sweep(config, _reporting(config, to_size, to_rate), training),
        branch=BranchConfig(directory, 1, size, rate),
        record=replace(config.quiet(), snapshots=1),
    )


def _aware(config: SharpConfig, training: TrainingConfig, kind: Rule, rho: float) -> TrainingConfig:
    return replace(training, sharpness_aware=kind, rho=rho, sam_examples=config.arms.climbed)


def _point(config: SharpConfig, size: int, rate: float) -> GridConfig:
    return GridConfig((size,), (rate,), config.arms.seeds)


def _reporting(config: SharpConfig, size: int, rate: float) -> GridConfig:
    """Where nothing is chosen, seeds that would choose are spared."""
    seeds = config.arms.seeds
    return GridConfig((size,), (rate,), tuple(seeds[place] for place in split_seeds(seeds)[1]))


def _sweep(config: SharpConfig, grid: GridConfig, training: TrainingConfig) -> SweepConfig:
    return SweepConfig(
        config.task,
        grid,
        training,
        engine=config.engine,
        record=config.record,
        processes=config.processes,
    )
