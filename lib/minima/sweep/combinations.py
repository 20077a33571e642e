"""Flags that are right one by one and wrong together. Cheap to import: no JAX."""

import dataclasses
import difflib
from typing import TYPE_CHECKING, Any

from minima.runtime.errors import UserError
from minima.sweep.grid import format_floats

if TYPE_CHECKING:
    from minima.sweep.config import BranchConfig, EngineConfig, SweepConfig, TrainingConfig

# A flag that means something only while another has one of these values.
_BELONGS = {
    "rho": ("sharpness_aware", ("sam", "asam")),
    "rho_share": ("sharpness_aware", ("sam", "asam")),
    "sam_examples": ("sharpness_aware", ("sam", "asam")),
    "average_half_life": ("average", ("ema",)),
    "average_fraction": ("average", ("swa",)),
}
# Hyperparameters that may be axes of a grid: all lanes of one program, each with its own.
AXES = (
    "momentum",
    "beta2",
    "weight_decay",
    "clip_norm",
    "dropout",
    "label_smoothing",
    "label_noise",
    "label_flips",
    "weight_noise",
    "rho",
    "rho_share",
    "group_dro",
    "irm_penalty",
    "vrex_penalty",
    "parity_penalty",
    "penalty_warmup_examples",
    "reweighting",
)
# What makes one objective of a batch; `group_objectives` has them.
GROUPED = ("group_dro", "irm_penalty", "vrex_penalty", "parity_penalty")


def check_combinations(config: "SweepConfig") -> None:
    """Refuses what can't be trained, or would be without effect.

    Raises:
      UserError: names the two flags.
    """
    _check_validation(config)
    _check_course(config.training)
    _check_optimizer(config.training, config.task.parametrisation)
    _check_belonging(config.training)
    _check_sharpness_aware(config)
    _check_grouped(config)
    _check_mesh(config.engine)
    _check_precision(config.training)
    _check_axes(config)
    _check_start(config.branch)


def _check_validation(config: "SweepConfig") -> None:
    fraction, budget = config.task.validation_fraction, config.training.budget
    validated = budget.target and budget.target.metric.startswith("validation")
    if fraction == 0 and (validated or budget.early_stopping):
        raise UserError(
            f"--budget={budget}: looks at validation metrics, but --validation_fraction=0 "
            "leaves none; give it a fraction such as 0.2"
        )


def _check_course(training: "TrainingConfig") -> None:
    changes = (training.rate_factor, training.batch_factor) != (1, 1)
    if changes != bool(training.milestones):
        raise UserError(
            f"--milestones={'none' if changes else format_floats(training.milestones)}: "
            + ("set them" if changes else "set --rate_factor or --batch_factor")
            + ", such as --milestones=10,20 --rate_factor=0.2"
        )


def _check_optimizer(training: "TrainingConfig", parametrisation: str) -> None:
    if training.optimizer == "sgd" and training.momentum:
        raise UserError(
            f"--momentum={training.momentum:g}: --optimizer=sgd has none; use --optimizer=momentum"
        )
    if parametrisation == "mup" and training.optimizer == "adam" and training.weight_decay:
        raise UserError(
            f"--weight_decay={training.weight_decay:g}: --optimizer=adam can't hold it at "
            "every width, as --parametrisation=mup does; use --optimizer=adamw"
        )
    if training.beta2_half_life and training.optimizer not in ("adam", "adamw", "lion"):
        raise UserError(
            f"--beta2_half_life={training.beta2_half_life:g}: --optimizer="
            f"{training.optimizer} has no beta2; use adam, adamw or lion"
        )


def _check_belonging(training: "TrainingConfig") -> None:
    defaults = {field.name: field.default for field in dataclasses.fields(training)}
    for name, (owner, values) in _BELONGS.items():
        value = getattr(training, name)
        if value != defaults[name] and getattr(training, owner) not in values:
            raise UserError(
                f"--{name}={value:g}: does nothing with --{owner}={getattr(training, owner)}; "
                f"use --{owner}={' or '.join(values)}"
            )
    if training.average == "ema" and not training.average_half_life:
        raise UserError(
            "--average=ema: forgets at no rate; set --average_half_life, in examples, such as 4000"
        )


def _check_sharpness_aware(config: "SweepConfig") -> None:
    """Examples that climb together are a micro-step; so they fill batches evenly."""
    training, asked = config.training, config.engine.microbatch
    if training.sharpness_aware == "none":
        return
    if config.task.parametrisation == "mup":
        raise UserError(
            f"--sharpness_aware={training.sharpness_aware}: no --rho holds at every width, as "
            "--parametrisation=mup has it; use --parametrisation=standard"
        )
    together = training.sam_examples
    if asked and asked != together:
        raise UserError(
            f"--microbatch={asked}: --sharpness_aware={training.sharpness_aware} has micro-steps "
            f"of {together or 'the whole batch'}; leave it out, or use --sam_examples={asked}"
        )
    for size in config.grid.batch_sizes:
        if together and size % together:
            raise UserError(
                f"--sam_examples={together}: does not divide the batch size {size}; use a number "
                "that divides all of --batch_sizes, or 0 for whole batches"
            )


def grouped(config: "SweepConfig") -> str:
    """The flag, as the user could have given it, that makes one objective of a batch; else ""."""
    axes = dict(config.grid.axes)
    for name in GROUPED:
        values = axes.get(name, (getattr(config.training, name),))
        if any(value > 0 for value in values):
            return f"--axes={name}=…" if name in axes else f"--{name}={values[0]:g}"
    return ""


def _check_grouped(config: "SweepConfig") -> None:
    """A batch that is one objective is one micro-step; what belongs to a penalty needs one."""
    training, axes, flag = config.training, dict(config.grid.axes), grouped(config)
    if flag and config.engine.microbatch:
        raise UserError(
            f"--microbatch={config.engine.microbatch}: {flag} has micro-steps of the whole batch; "
            "leave it out"
        )
    if flag and training.sam_examples:
        raise UserError(
            f"--sam_examples={training.sam_examples}: {flag} looks at the whole batch; use "
            "--sam_examples=0"
        )

    def given(*names: str) -> bool:
        return any(getattr(training, name) or name in axes for name in names)

    if training.parity != "demographic_parity" and not given("parity_penalty"):
        raise UserError(f"--parity={training.parity}: does nothing without --parity_penalty")
    if given("penalty_warmup_examples") and not given(*GROUPED[1:]):
        raise UserError(
            "--penalty_warmup_examples: does nothing without --irm_penalty, --vrex_penalty or "
            "--parity_penalty"
        )


def _check_mesh(engine: "EngineConfig") -> None:
    if engine.mesh is None:
        if engine.fully_sharded:
            raise UserError(
                "--fully_sharded: does nothing without a mesh; use --mesh, such as --mesh=data:4"
            )
        return
    for name in ("lanes", "block", "devices"):
        if getattr(engine, name):
            raise UserError(
                f"--{name}={getattr(engine, name)}: --mesh={engine.mesh} trains one cell at a time "
                f"on all its devices; leave --{name} out"
            )
    if engine.fully_sharded and engine.mesh.data == 1:
        raise UserError(
            f"--fully_sharded: --mesh={engine.mesh} has one device along data; use e.g. "
            "--mesh=data:4"
        )


def _check_precision(training: "TrainingConfig") -> None:
    if training.compute_dtype != "default" and training.dtype != "float32":
        raise UserError(
            f"--compute_dtype={training.compute_dtype}: goes with parameters in float32, not "
            f"--dtype={training.dtype}; leave one of the two out"
        )


def _check_axes(config: "SweepConfig") -> None:
    """An axis is a hyperparameter that nothing else sets, and holds values that its flag takes."""
    fields = {field.name: field for field in dataclasses.fields(config.training)}
    for name, values in config.grid.axes:
        flag = f"--axes={name}={format_floats(values)}"
        if name not in AXES:
            near = difflib.get_close_matches(name, AXES, n=1)
            hint = f"did you mean {near[0]}?" if near else f"use one of {', '.join(AXES)}"
            raise UserError(f"{flag}: {name} can be no axis; {hint}")
        field, value = fields[name], getattr(config.training, name)
        if value != field.default:
            raise UserError(
                f"--{name}={value:g}: the grid has it as an axis ({flag}); leave it out"
            )
        if "check" in field.metadata:
            for each in values:
                try:
                    field.metadata["check"](each)
                except ValueError as error:
                    raise UserError(f"{flag}: {each:g}: {error}") from None
        last: Any = {name: values[-1]}
        varied = dataclasses.replace(config.training, **last)
        _check_belonging(varied)
        _check_optimizer(varied, config.task.parametrisation)
        if name == "beta2" and config.training.beta2_half_life:
            raise UserError(f"{flag}: --beta2_half_life sets it; leave one of the two out")


def _check_start(branch: "BranchConfig") -> None:
    """Cells start in one way, and what says how belongs to it."""
    weights = branch.initial_weights
    if not weights:
        for name, default in (("weight_map", ""), ("fresh_weights", "none")):
            if (value := getattr(branch, name)) != default:
                raise UserError(
                    f"--{name}={value}: says how weights are taken up; set --initial_weights"
                )
        return
    if branch.branch_from:
        raise UserError(
            f"--initial_weights={weights}: --branch_from={branch.branch_from} brings weights too; "
            "use one of the two"
        )
    if branch.branch_snapshot:
        raise UserError(
            f"--branch_snapshot={branch.branch_snapshot}: --initial_weights takes a run's minima; "
            "leave it out"
        )
    of_run = branch.trunk_batch_size or branch.trunk_learning_rate
    if of_run and weights.endswith((".npz", ".safetensors")):
        raise UserError(
            f"--initial_weights={weights}: is a file, which has no cells; leave "
            "--trunk_batch_size and --trunk_learning_rate out"
        )
