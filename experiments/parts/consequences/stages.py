"""The sweeps of consequences: every kind of minimum, on data as they are and with bait."""

from collections.abc import Mapping
from dataclasses import replace

from minima import sweep
from minima.runtime.errors import UserError
from minima.sweep.budgets import Budget
from minima.sweep.config import GridConfig, SweepConfig
from minima.sweep.run import Prepared
from minima.tasks import datasets
from minima.tasks.datasets import Dataset
from minima.tasks.datasets.corruptions import CORRUPTIONS
from parts.consequences.config import (
    AS_IS,
    AVERAGED,
    LARGE,
    NOISY,
    NONE,
    SAM,
    SHORTCUT,
    SMALL,
    TUNED,
    WORLDS,
    MatterConfig,
)

Name = tuple[str, str]  # what is trained on, and the kind of minimum

_CHOOSING = (SMALL, TUNED, SAM, AVERAGED)  # have rates of their own; LARGE takes SMALL's
_STRENGTH_EXAMPLES = 0.05  # share of a target's training set that a probe's strength is chosen on


def candidates(config: MatterConfig) -> dict[str, SweepConfig]:
    """The kinds that choose a rate, on data as they are: for `tuned.train`."""
    rates = config.kinds.learning_rates
    return {kind: kind_of(config, AS_IS, kind, rates) for kind in _CHOOSING}


def others(config: MatterConfig, rates: Mapping[str, float]) -> dict[Name, SweepConfig]:
    """All that is trained at rates chosen before.

    Args:
      config: the experiment's.
      rates: of the kinds that have chosen.
    """
    at = {**rates, LARGE: rates[SMALL]}
    asked = [(AS_IS, LARGE), *((world, kind) for world in config.worlds[1:] for kind in at)]
    return {(world, kind): kind_of(config, world, kind, (at[kind],)) for world, kind in asked}


def kind_of(config: MatterConfig, world: str, kind: str, rates: tuple[float, ...]) -> SweepConfig:
    """One kind of minimum on one world's data; the small batch trains its A/A twin as well."""
    kinds, training = config.kinds, config.training
    if kind == LARGE:
        training = replace(training, budget=_longer(training.budget, kinds.longer))
    if kind == SAM:
        training = replace(
            training, sharpness_aware="sam", rho=kinds.radius, sam_examples=kinds.climbed
        )
    if kind == AVERAGED:
        training = replace(training, average="ema", average_half_life=kinds.half_life)
    task, record = config.task, config.record
    if world == SHORTCUT:
        task = replace(task, dataset=config.consequences.shortcut)
    if world == NOISY:
        training = replace(
            training,
            label_noise=config.consequences.noise,
            evaluations=config.consequences.denser * training.evaluations,
        )
        record = replace(record, snapshots=config.consequences.denser * record.snapshots)
    batch = kinds.large_batch if kind in (LARGE, TUNED) else kinds.small_batch
    seeds = kinds.seeds + kinds.again if kind == SMALL else kinds.seeds
    first = (world, kind) == (AS_IS, SMALL)  # TensorBoard shows this one; they are many
    return SweepConfig(
        task,
        GridConfig((batch,), rates, seeds),
        training,
        engine=config.engine,
        record=replace(record, tensorboard=record.tensorboard and first),
        processes=config.processes,
    )


def _longer(budget: Budget, times: float) -> Budget:
    """A budget without conditions, so many times over."""
    units = ("epochs", "steps", "examples")
    given = {unit: getattr(budget, unit) for unit in units}
    return replace(budget, **{u: type(n)(n * times) for u, n in given.items() if n is not None})


def check(config: MatterConfig, experiment: str) -> Dataset | None:
    """Finds what the user got wrong, before anything compiles; returns the transfer target, if any.

    Raises:
      UserError: data that can't be corrupted or split, have no groups, or don't fit the target.
    """
    rate = config.kinds.learning_rates[0]
    tried = dict.fromkeys(_CHOOSING, rate)
    plans = {name: sweep.prepare(each, experiment) for name, each in others(config, tried).items()}
    data = plans[AS_IS, LARGE].plan.dataset
    if data.task != "classification" or data.kind not in CORRUPTIONS:
        raise UserError(
            f"--dataset={data.name}: holds {data.kind} data for {data.task}; corruptions are of "
            f"{' and '.join(CORRUPTIONS)} classes, such as mnist1d or cifar10"
        )
    if SHORTCUT in config.worlds:
        baited = plans[SHORTCUT, LARGE].plan.dataset
        if baited.test.groups is None:
            raise UserError(
                f"--shortcut={baited.name}: its test examples have no groups; use a dataset with "
                "a planted shortcut, or none"
            )
    return None if config.consequences.target == NONE else _target(config, data)


def _target(config: MatterConfig, source: Dataset) -> Dataset:
    name, labels = config.consequences.target, config.consequences.labels
    data = datasets.load(
        name,
        data_dir=config.task.data_dir if name in datasets.DATA_DIR else "",
        validation_fraction=_STRENGTH_EXAMPLES,
    )
    if (data.kind, data.input_shape, data.task) != (source.kind, source.input_shape, source.task):
        raise UserError(
            f"--target={name}: holds other inputs than --dataset={source.name}; features transfer "
            f"between {source.kind} data of one shape"
        )
    if data.num_classes > source.num_classes:
        raise UserError(
            f"--target={name}: has {data.num_classes} classes, --dataset={source.name} "
            f"{source.num_classes}; use a target with at most as many"
        )
    if labels * data.num_classes > len(data.train):
        raise UserError(
            f"--labels={labels}: --target={name} has {len(data.train):,} training examples of "
            f"{data.num_classes} classes; use at most {len(data.train) // data.num_classes}"
        )
    return data


def by_name(trained: Mapping[str, Prepared], rest: Mapping[Name, Prepared]) -> dict[Name, Prepared]:
    """All that reports, in the order of worlds."""
    found = {**{(AS_IS, kind): each for kind, each in trained.items()}, **rest}
    return dict(sorted(found.items(), key=lambda item: WORLDS.index(item[0][0])))
