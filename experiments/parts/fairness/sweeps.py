"""Everything that is trained. Cheap: no NumPy, no JAX."""

from dataclasses import replace

from minima.sweep.config import GridConfig, SweepConfig, TrainingConfig
from parts.fairness.config import CREDIT, FairnessConfig

PAST, TRUTH, WITHOUT_ZIP = "past", "truth", "without_zip"
_DATASETS = {PAST: CREDIT, TRUTH: "credit_truth", WITHOUT_ZIP: "credit_without_zip"}


def is_generated(config: FairnessConfig) -> bool:
    """Whether the world is known: who repays, and where lines were drawn."""
    return config.task.dataset == CREDIT


def name_of(kind: str, draw: int | None) -> str:
    """A sweep's: what is learned from, on which draw."""
    return kind if draw is None else f"{kind}:{draw}"


def sweeps(config: FairnessConfig) -> dict[str, SweepConfig]:
    """By name, the first one first: its run keeps what is found.

    What is learned from the past is a plane of parity penalty × reweighing, all of it one program;
    generated applicants have one for each draw, of the same shape, and controls beside it.
    """
    if not is_generated(config):
        return {PAST: _sweep(config, config.task.dataset, config.repairs.draws, repaired=True)}
    found = {
        name_of(kind, draw): _sweep(config, f"{dataset}:{draw}", (draw,), kind == PAST)
        for kind, dataset in _DATASETS.items()
        for draw in config.repairs.draws
    }
    # TensorBoard shows the first plane; the others are its like, or single runs.
    quiet = replace(config.record, tensorboard=False)
    first, *others = found
    return {first: found[first]} | {name: replace(found[name], record=quiet) for name in others}


def _sweep(
    config: FairnessConfig, dataset: str, seeds: tuple[int, ...], repaired: bool
) -> SweepConfig:
    repairs = config.repairs
    axes = (("parity_penalty", (0.0, *repairs.strengths)), ("reweighting", (0.0, 1.0)))
    grid = GridConfig((repairs.batch_size,), (repairs.rate,), seeds, axes if repaired else ())
    training = config.training
    if not repaired:  # what belongs to a penalty goes without one
        training = replace(training, parity=TrainingConfig.parity, penalty_warmup_examples=0)
    return SweepConfig(
        task=replace(config.task, dataset=dataset),
        grid=grid,
        training=training,
        engine=config.engine,
        record=config.record,
        processes=config.processes,
    )
