"""Brief B: pneumonia on chest X-rays, from scratch or from a network that saw other images."""

from dataclasses import replace

from judged import Judged
from minima.claims.claim import AT_MOST, SIGN
from minima.claims.seeded import Judge
from minima.sweep.config import BranchConfig, SweepConfig, TaskConfig
from parts.architecture_briefs.brief import Brief, Scores, difference
from parts.architecture_briefs.config import BRIEFS, CHEST, FEW, BriefsConfig

LEAD, LEAST_LEAD = 5.0, 1.0  # points that transfer is worth with few labels, and the least
LATE = 2.0  # points that it may still be worth with many
MODEL = "cnn_small"
SCRATCH, PROBE, TUNED = "CNN from scratch", "pretrained CNN, new read-out", "pretrained CNN, tuned"
NAMES = {"chest_findings": "phantoms with other findings", "fashion_mnist": "photos of clothes"}


def pretraining(config: BriefsConfig) -> SweepConfig:
    """What networks have seen before, from every seed that is used later; at the middle rate."""
    runs = config.runs
    rate = sorted(runs.learning_rates)[len(runs.learning_rates) // 2]
    task = TaskConfig(dataset=config.data.pretrained_on, model=MODEL)
    seeds = tuple(sorted({*runs.tuning_seeds, *runs.seeds}))
    sweep = config.sweep(task, 2 * runs.chest_steps, seeds=seeds)
    return replace(sweep, grid=replace(sweep.grid, learning_rates=(rate,)))


def brief(config: BriefsConfig, pretrained: str) -> Brief:
    """Candidates at every number of labels; `pretrained` is the folder of that run, or ""."""
    few, many = config.data.labels[0], config.data.labels[-1]
    sweeps = {}
    for count in config.data.labels:
        tasks = {
            "logistic, pixels": TaskConfig(model="linear"),
            "MLP on pixels": TaskConfig(model="mlp"),
            SCRATCH: TaskConfig(model=MODEL),
            PROBE: TaskConfig(model=MODEL, trainable="head"),
            TUNED: TaskConfig(model=MODEL),
        }
        for name, task in tasks.items():
            if name in (PROBE, TUNED) and not pretrained:
                continue
            if count > few and name not in (SCRATCH, TUNED):
                continue  # of many labels the question is what transfer is still worth
            task = replace(task, dataset=config.source(CHEST), train_examples=count)
            sweeps[named(name, count)] = config.sweep(
                task, config.runs.chest_steps, _start(name, pretrained)
            )
    return Brief(
        CHEST,
        BRIEFS[CHEST],
        "spatial: grey images, where a finding is a local patch that may lie anywhere in a lung.",
        "% accuracy",
        sweeps,
        lambda judge, scores: _judge(judge, scores, few, many),
        f"more labels than {few:,} (see the rows of {many:,}), or nothing near to pretrain on: "
        f"this network had seen {NAMES[config.data.pretrained_on]}.",
        excluded=tuple(name for name in sweeps if not name.endswith(f"{few:,} labels")),
    )


def named(candidate: str, count: int) -> str:
    """A candidate with so many labels."""
    return f"{candidate}, {count:,} labels"


def _start(name: str, pretrained: str) -> BranchConfig:
    if name not in (PROBE, TUNED):
        return BranchConfig()
    return BranchConfig(initial_weights=pretrained, fresh_weights="head")


def _judge(judge: Judge, scores: Scores, few: int, many: int) -> list[Judged]:
    judged = [
        judge.over_seeds(
            f"B: {kind} beats scratch, {few} labels",
            f"with {FEW} labels or fewer, a pretrained network beats one from scratch: {what}",
            (SIGN, LEAD, LEAST_LEAD, "points"),
            difference(scores, named(candidate, few), named(SCRATCH, few)),
        )
        for kind, candidate, what in (
            ("tuning", TUNED, "all weights trained"),
            ("a new read-out", PROBE, "its read-out alone trained"),
        )
    ]
    if many > few:
        judged.append(
            judge.over_seeds(
                f"B: little is left of it, {many:,} labels",
                "with many labels, being pretrained is worth little: tuned less scratch",
                (AT_MOST, 0.0, LATE, "points"),
                difference(scores, named(TUNED, many), named(SCRATCH, many)),
            )
        )
    return judged
