"""Configuration of transfer: sources, targets, arms and how all of them train. Cheap to import."""

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any

from minima.runtime.errors import UserError
from minima.sweep.budgets import Budget
from minima.sweep.config import (
    EngineConfig,
    ProcessesConfig,
    RecordConfig,
    TaskConfig,
    TrainingConfig,
)
from minima.sweep.grid import format_ints, format_seeds
from minima.sweep.leaf import seeds_leaf, sizes_leaf

NEAR, FAR, DESTROYED = "near", "far", "destroyed"
SMALL, LARGE, SAM = "small batch", "large batch", "SAM"
SCRATCH, PROBE, PARTIAL, FULL = "scratch", "frozen probe", "partial", "fine-tuned"
OUTSIDE = "from a file"
TRAINABLE = {SCRATCH: "all", PROBE: "head", PARTIAL: "last_block", FULL: "all", OUTSIDE: "all"}
FEW, MANY = 50, 1000  # labels per class: where transfer is claimed to help, and to help no more


def _positive(value: float) -> None:
    if not 0 < value < math.inf:
        raise ValueError("must be above 0")


def _leaf(default: Any, help: str, **metadata: Any) -> Any:
    return field(default=default, metadata={"help": help, **metadata})


def _rate(default: float, of: str) -> Any:
    return _leaf(default, f"learning rate of {of}", check=_positive)


@dataclass(frozen=True)
class SourcesConfig:
    """How networks are pretrained, on all of --dataset."""

    small_batch: int = _leaf(32, "batch size of the pretraining that all arms start from")
    large_batch: int = _leaf(500, "batch size of the one that is compared with it")
    small_rate: float = _rate(0.03, "pretraining on small batches, and of SAM")
    large_rate: float = _rate(0.3, "pretraining on large batches")
    pretraining_rho: float = _leaf(0.05, "how far SAM climbs in pretraining", check=_positive)
    initial_weights: str = _leaf(
        "",
        "weights from outside, an .npz or .safetensors file: a further arm that is fine-tuned as a "
        "whole; empty: none",
    )
    weight_map: str = _leaf("", "JSON file: which of its arrays is which parameter")

    def __post_init__(self) -> None:
        """Refuses a comparison of a batch size with itself.

        Raises:
          UserError: the small batch isn't smaller, or a map has no file.
        """
        if not 0 < self.small_batch < self.large_batch:
            raise UserError(
                f"--small_batch={self.small_batch}: must be below --large_batch={self.large_batch}"
            )
        if self.weight_map and not self.initial_weights:
            raise UserError(
                f"--weight_map={self.weight_map}: belongs to a file; set --initial_weights"
            )


@dataclass(frozen=True)
class TargetsConfig:
    """What is transferred to, with how many labels, and how each arm trains there."""

    near: str = _leaf("mnist1d_near", "dataset near the source; none: no such target")
    far: str = _leaf("mnist1d_far", "dataset far from it; none: no such target")
    destroyed: str = _leaf(
        "mnist1d_near_shuffled", "dataset without the source's structure; none: no such target"
    )
    labels: tuple[int, ...] = sizes_leaf(
        (5, 20, 50, 200, 1000), "labelled examples per class, two numbers or more"
    )
    compared_labels: int = _leaf(
        20, "which of them pretrainings, and labels saved, are compared at"
    )
    target_batch: int = _leaf(16, "batch size on targets, or all examples where there are fewer")
    target_epochs: float = _leaf(10.0, "epochs on targets, in every arm", check=_positive)
    least_updates: int = _leaf(1000, "updates on targets at least", check=_positive)
    scratch_rate: float = _rate(0.03, "training from scratch")
    probe_rate: float = _rate(0.01, "the head on frozen features")
    partial_rate: float = _rate(0.01, "the last block and the head")
    full_rate: float = _rate(0.01, "fine-tuning the whole network")
    seeds: tuple[int, ...] = seeds_leaf(
        (10, 11, 12, 13, 14), "how many (5 means 0 to 4), or which; rates were settled on 0 and 1"
    )

    def __post_init__(self) -> None:
        """Refuses what gives no curve, or nothing to compare.

        Raises:
          UserError: names the flag.
        """
        shown = format_ints(self.labels)
        if len(self.labels) < 2:
            raise UserError(f"--labels={shown}: a curve needs 2 or more, such as 5,50,1000")
        if self.compared_labels not in self.labels:
            raise UserError(
                f"--compared_labels={self.compared_labels}: not one of --labels={shown}"
            )
        if not self.datasets:
            raise UserError("--near=none: there is no target left; give --near, --far or both")
        if len(self.seeds) < 2:
            raise UserError(f"--seeds={format_seeds(self.seeds)}: intervals need 2 or more")

    @property
    def datasets(self) -> dict[str, str]:
        """Target → dataset, those that there are."""
        named = {NEAR: self.near, FAR: self.far, DESTROYED: self.destroyed}
        return {target: name for target, name in named.items() if name not in ("none", "")}

    def rate(self, arm: str) -> float:
        """The learning rate of an arm."""
        rates = {SCRATCH: self.scratch_rate, PROBE: self.probe_rate, PARTIAL: self.partial_rate}
        return rates.get(arm, self.full_rate)


@dataclass(frozen=True)
class TransferConfig:
    """Transfer: a source task, targets, and how everything trains."""

    sources: SourcesConfig = SourcesConfig()
    targets: TargetsConfig = TargetsConfig()
    task: TaskConfig = TaskConfig(dataset="mnist1d", model="cnn1d", validation_fraction=0.0)
    training: TrainingConfig = TrainingConfig(
        budget=Budget(epochs=40), evaluations=4, decay="cosine"
    )
    engine: EngineConfig = EngineConfig()
    record: RecordConfig = RecordConfig(snapshots=1)
    processes: ProcessesConfig = ProcessesConfig()

    def __post_init__(self) -> None:
        """Refuses what would make arms incomparable.

        Raises:
          UserError: names the flag.
        """
        plain = {"train_examples": 0, "trainable": "all"}
        for name, value in plain.items():
            if getattr(self.task, name) != value:
                raise UserError(
                    f"--{name}={getattr(self.task, name)}: each arm has its own; leave it out"
                )
        training = self.training
        for name in ("sharpness_aware", "rho", "learning_rate_scaling", "milestones"):
            default = next(f.default for f in dataclasses.fields(training) if f.name == name)
            if getattr(training, name) != default:
                raise UserError(f"--{name}: pretrainings differ in it; leave the flag out")
        if training.budget.target or training.budget.early_stopping:
            raise UserError(
                f"--budget={training.budget}: pretrainings see the same examples; use epochs or "
                "examples alone, such as 40epochs"
            )
        if not self.record.snapshots:
            raise UserError("--snapshots=0: targets start from them; use 1 or more")


PRESETS: dict[str, dict[str, object]] = {
    "smoke": {
        "width": 8,
        "budget": "4epochs",
        "labels": "5,50",
        "compared_labels": 5,
        "target_epochs": 1.0,
        "least_updates": 60,
        "far": "none",
        "destroyed": "none",
        "seeds": "2",
        "evaluations": 2,
    },
    "laptop": {},
    "gpu": {
        "dataset": "cifar100",
        "near": "cifar10",
        "far": "none",
        "destroyed": "none",
        "model": "resnet",
        "norm": "group",
        "width": 32,
        "depth": 3,
        "augmentation": "shift_flip",
        "budget": "100epochs",
        "small_batch": 128,
        "large_batch": 4096,
        "small_rate": 0.1,
        "large_rate": 1.0,
        "target_batch": 32,
        "target_epochs": 50.0,
        "least_updates": 4000,
        "scratch_rate": 0.05,
        "labels": "5,20,50,200,1000,4000",
    },
    "pod": {
        "dataset": "cifar100",
        "near": "cifar10",
        "far": "none",
        "destroyed": "none",
        "model": "resnet",
        "norm": "group",
        "width": 64,
        "depth": 9,
        "augmentation": "shift_flip",
        "budget": "200epochs",
        "small_batch": 128,
        "large_batch": 8192,
        "small_rate": 0.1,
        "large_rate": 2.0,
        "target_batch": 32,
        "target_epochs": 100.0,
        "least_updates": 8000,
        "scratch_rate": 0.05,
        "labels": "5,20,50,200,1000,4000",
        "seeds": "10,11,12,13,14,15,16,17,18,19",
    },
}
