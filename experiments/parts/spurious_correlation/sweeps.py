"""Everything that is trained: a sweep for each cue and remedy. Cheap: no NumPy, no JAX."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from minima.sweep.budgets import Budget
from minima.sweep.config import BranchConfig, GridConfig, SweepConfig, TaskConfig
from parts.spurious_correlation.config import (
    COLOURS,
    DRO,
    ERM,
    GREY,
    IRM,
    LAST,
    REWEIGHTED,
    RULERS,
    VREX,
    WORDS,
    SpuriousConfig,
)

Sweeps = dict[tuple[str, str], SweepConfig]  # by cue and method


@dataclass(frozen=True)
class Course:
    """How the runs of one cue train."""

    task: TaskConfig
    batch: int
    rate: float
    steps: int
    decays: tuple[float, ...]


def first(config: SpuriousConfig) -> Sweeps:
    """All but the last layers: the first one's run keeps what is found."""
    found: Sweeps = {}
    for cue, course in courses(config).items():
        for method in (ERM, REWEIGHTED, DRO):
            found[cue, method] = _sweep(config, cue, method, course)
    found |= dict(_over_environments(config, courses(config)[COLOURS]))
    return found


def last_layers(config: SpuriousConfig, runs: dict[str, str]) -> Sweeps:
    """The networks of ERM, whose last layer goes on alone on reweighted examples.

    `runs` are directories of ERM's runs by cue.
    """
    found: Sweeps = {}
    for cue, course in courses(config).items():
        made = _sweep(config, cue, LAST, course)
        task = replace(made.task, trainable="head")
        found[cue, LAST] = replace(made, task=task, branch=BranchConfig(initial_weights=runs[cue]))
    return found


def courses(config: SpuriousConfig) -> dict[str, Course]:
    """Of every cue that is asked for."""
    asked, cues, task = config.colours, config.cues, config.task
    steps = config.training.budget.steps
    assert steps is not None
    found = {
        COLOURS: Course(task, asked.colour_batch, asked.colour_rate, steps, (asked.colour_l2,))
    }
    plain = TaskConfig(validation_fraction=task.validation_fraction)
    decays = (0.0, cues.strong_l2)
    if cues.rulers != "none":
        ruled = replace(
            plain,
            dataset=cues.rulers,
            model=cues.ruler_model,
            width=cues.ruler_width,
            image_size=cues.ruler_size,
        )
        found[RULERS] = Course(ruled, cues.cue_batch, cues.ruler_rate, cues.ruler_steps, decays)
    if cues.words != "none":
        worded = replace(plain, dataset=cues.words, model=cues.word_model, width=cues.word_width)
        found[WORDS] = Course(worded, cues.cue_batch, cues.word_rate, cues.word_steps, decays)
    return found


def _over_environments(
    config: SpuriousConfig, course: Course
) -> Iterator[tuple[tuple[str, str], SweepConfig]]:
    """What knows environments and no colours, at every strength; and what sees no colours."""
    asked = config.colours
    seeds = (*asked.tuning_seeds, *asked.seeds)
    how = {
        "penalty_warmup_examples": asked.warmup_steps * asked.colour_batch,
        "weight_decay": asked.colour_l2,
    }
    strengths = {IRM: asked.irm_strengths, VREX: asked.vrex_strengths}
    for method, name in ((IRM, "irm_penalty"), (VREX, "vrex_penalty")):
        axis = (name, strengths[method])
        yield (COLOURS, method), _sweep(config, COLOURS, method, course, axis, seeds, how)
    yield (COLOURS, GREY), _sweep(config, COLOURS, GREY, course)


def _sweep(
    config: SpuriousConfig,
    cue: str,
    method: str,
    course: Course,
    axis: tuple[str, tuple[float, ...]] | None = None,
    seeds: tuple[int, ...] = (),
    how: Mapping[str, Any] | None = None,
) -> SweepConfig:
    """At every L2, or along another axis; of the reporting seeds, or others."""
    told = dict(how or {})
    if method in (REWEIGHTED, LAST):
        told["reweighting"] = 1.0
    if method == DRO:
        told["group_dro"] = config.colours.dro_step
    prefix = {RULERS: "ruler", WORDS: "word"}.get(cue, "coloured")
    if cue == COLOURS and method in (REWEIGHTED, LAST):
        prefix = "coloured_crossed"
    if method == GREY:
        prefix = "grey"
    axes = (axis or ("weight_decay", course.decays),)
    return SweepConfig(
        replace(course.task, dataset=f"{prefix}:{course.task.dataset}"),
        GridConfig((course.batch,), (course.rate,), seeds or config.colours.seeds, axes),
        replace(config.training, budget=Budget(steps=course.steps), **told),
        engine=config.engine,
        record=config.record,
        processes=config.processes,
    )
