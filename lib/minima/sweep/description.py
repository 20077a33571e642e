"""The plan in words: what is printed before anything is trained."""

import jax

from minima.runtime.axes import Axes
from minima.sweep.config import TrainingConfig
from minima.sweep.optimizers import DEFAULT_RHO
from minima.sweep.plan import Plan
from minima.sweep.shard_description import describe_shards
from minima.tasks.datasets.dataset import Dataset
from minima.tasks.models import Model, Settings, trainable
from minima.tasks.models.sharding import Cut, Path

_FEW_UPDATES = 100


def describe(plan: Plan) -> str:
    """The plan in a few lines of plain text."""
    model, data = plan.recipe.task.model, plan.dataset
    sizes = plan.config.grid.batch_sizes
    steps = [plan.timeline({"batch_size": b}).steps for b in sizes]
    total = plan.total_examples()
    axes = " × ".join(f"{len(v)} {_plural(n, len(v))}" for n, v in plan.grid.axes)
    stand_in = " (stand-in)" if data.stand_in else ""
    splits = f"{len(data.train):,}/{len(data.validation):,}/{len(data.test):,}"
    lines = [
        f"cells      {len(plan.cells):,} = {axes}",
        f"data       {data.name}{stand_in}: {splits} train/validation/test, "
        f"{'×'.join(map(str, data.input_shape))} "
        f"{data.kind.removesuffix('s')}s, {_labels(data)}",
        f"model      {model.name}{_shape(model.settings)}, {model.count_parameters():,} "
        f"parameters, {_trained(model)}{_precision(model)}",
        f"training   {plan.recipe.optimizer}{_course(plan)}, {plan.budget}: "
        f"{steps[-1]:,} to {steps[0]:,} updates a cell, {total:,} examples in all",
        f"program    {len(plan.programs)}, {_lanes(plan)}, microbatches of "
        f"{', '.join(str(width) for p in plan.programs for width in p.recipe.widths)}",
        f"memory     {plan.memory_bytes() / 2**20:,.0f} MiB of state and data on the devices, "
        f"{plan.snapshot_bytes() / 2**20:,.0f} MiB of snapshots on disk",
        f"time       {_time(plan, total)}",
    ]
    if plan.recipe.slab:
        lines[-2] += f"; training set with the host, {plan.recipe.slab:,} examples a lane at a time"
    if plan.shards is not None:
        lines.insert(5, f"mesh       {_mesh(plan, plan.shards)}")
    if plan.trunk:
        lines.insert(1, f"{plan.trunk.label:<11}{plan.trunk.describe()}")
    lines += _warnings(sizes[-1], steps[-1])
    if plan.config.processes.shard:
        lines += describe_shards(plan, plan.config.processes.shard)
    return "\n".join(lines)


def _labels(data: Dataset) -> str:
    if data.task == "regression":
        where = " at every position" if data.per_position else ""
        return f"a number to predict{where}, right within {data.tolerance:g}"
    of_text = data.per_position and data.kind == "tokens"
    return f"{data.num_classes} {'symbols' if of_text else 'classes'}"


def _lanes(plan: Plan) -> str:
    layout, kind = plan.layout, jax.devices()[0].device_kind
    if layout.axes is None:
        return f"{layout.lanes} lanes on {layout.devices} × {kind}, blocks of {layout.block}"
    cells = "one cell" if layout.lanes == 1 else f"{layout.lanes} cells"
    return f"{cells} at a time on {layout.axes.size} × {kind}"


def _mesh(plan: Plan, shards: dict[Path, Cut]) -> str:
    """Its axes, how much a device holds, and what the model axis was to divide and could not."""
    axes, cuts = plan.layout.axes, shards.values()
    assert axes is not None
    held, total = (sum(cut.held(on) for cut in cuts) for on in (axes, Axes()))
    whole = ["/".join(path) for path, cut in shards.items() if cut.whole]
    text = f"{axes}, {held:,} of {total:,} parameters on each device"
    return text + (f"; not divided by {axes.model}: {', '.join(whole)}" if whole else "")


def _time(plan: Plan, total: int) -> str:
    if plan.examples_per_second is None:
        return "unknown; `python -m minima probe` measures this machine once"
    minutes = total / plan.examples_per_second / 60
    return f"about {minutes:.1f} minutes at {plan.examples_per_second:,.0f} examples/s (probed)"


def _warnings(batch_size: int, steps: int) -> list[str]:
    if steps >= _FEW_UPDATES:
        return []
    return [
        f"warning    batch size {batch_size} gets {steps} updates, too few to tell its own "
        f"effect from undertraining; give it {_FEW_UPDATES} or more (--budget=…)"
    ]


def _shape(settings: Settings) -> str:
    parts = [f"width {settings.width}", f"depth {settings.depth}"]
    parts += [] if settings.norm == "none" else [f"{settings.norm} norm"]
    parts += [] if settings.activation in ("", "relu") else [settings.activation]
    parts += [] if settings.positions else ["no positions"]
    parts += [f"muP from width {settings.base_width}"] if settings.base_width else []
    chunk = settings.attention_chunk
    parts += [f"attention by {chunk} positions"] if chunk else []
    parts += ["blocks computed again on the way back"] if settings.remat else []
    return f" ({', '.join(parts)})"


def _precision(model: Model) -> str:
    narrow = model.settings.compute_dtype
    return f"{model.dtype}, products in {narrow}" if narrow else model.dtype


def _trained(model: Model) -> str:
    return "" if model.trainable == trainable.ALL else f"{trainable.count(model):,} trained, "


def _course(plan: Plan) -> str:
    """The loss, where it is not cross-entropy, and what is not constant in a cell's course."""
    training, loss = plan.config.training, plan.recipe.task.loss
    parts = [] if loss == "cross_entropy" else [loss.replace("_", " ")]
    parts += [] if training.decay == "none" else [f"{training.decay} decay"]
    if training.milestones:
        epochs = ", ".join(f"{epoch:g}" for epoch in training.milestones)
        factors = [f"rate × {training.rate_factor:g}"] * (training.rate_factor != 1)
        factors += [f"batch × {training.batch_factor}"] * (training.batch_factor != 1)
        parts.append(f"{' and '.join(factors)} at epochs {epochs}")
    parts += [*_perturbations(training), *_average(training)]
    return "".join(f", {part}" for part in parts)


def _perturbations(training: TrainingConfig) -> list[str]:
    """What is done to gradients and labels beyond the usual."""
    parts = []
    if training.sharpness_aware != "none":
        rho = DEFAULT_RHO[training.sharpness_aware] if training.rho is None else training.rho
        mixed = f" in a share of {training.rho_share:g}" if training.rho_share != 1 else ""
        of = f"{training.sam_examples} examples" if training.sam_examples else "whole batches"
        parts.append(f"{training.sharpness_aware.upper()} with ρ = {rho:g}{mixed} on {of}")
    parts += [f"group DRO at {training.group_dro:g}"] * (training.group_dro > 0)
    parts += [f"IRM penalty {training.irm_penalty:g}"] * (training.irm_penalty > 0)
    parts += [f"V-REx penalty {training.vrex_penalty:g}"] * (training.vrex_penalty > 0)
    if training.parity_penalty:
        rule = training.parity.replace("_", " ")
        parts.append(f"{rule} penalty {training.parity_penalty:g}")
    if training.penalty_warmup_examples:
        parts.append(f"in full after {training.penalty_warmup_examples:,} examples")
    parts += [f"examples reweighted by {training.reweighting:g}"] * (training.reweighting > 0)
    parts += [f"weight noise {training.weight_noise:g}"] * (training.weight_noise > 0)
    parts += [f"label flips {training.label_flips:g}"] * (training.label_flips > 0)
    return parts


def _average(training: TrainingConfig) -> list[str]:
    """Of which weights, if any, evaluations see an average."""
    if training.average == "ema":
        return [f"weights averaged with a half-life of {training.average_half_life:g} examples"]
    if training.average == "swa":
        return [f"weights averaged over the last {training.average_fraction:.3g} of the updates"]
    return []


def _plural(name: str, count: int) -> str:
    words = name.replace("_", " ")
    return words if count == 1 else words + "s"
