"""Configuration of shortcuts: which cues, which remedies, how strong. Cheap to import."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

import tuned
from minima.runtime.errors import UserError
from minima.sweep.budgets import Budget
from minima.sweep.config import (
    MODELS,
    EngineConfig,
    ProcessesConfig,
    RecordConfig,
    TaskConfig,
    TrainingConfig,
)
from minima.sweep.grid import format_floats, format_seeds, parse_floats
from minima.sweep.leaf import seeds_leaf

COLOURS, RULERS, WORDS = "colours", "rulers", "words"
ERM, REWEIGHTED, DRO, LAST = "ERM", "reweighting", "group DRO", "last layer"
IRM, VREX, GREY = "IRM", "V-REx", "grey oracle"
REMEDIES = (REWEIGHTED, DRO, LAST)


def _leaf(default: Any, help: str, **metadata: Any) -> Any:
    return field(default=default, metadata={"help": help, **metadata})


def _above_0(value: float) -> None:
    if not value > 0:
        raise ValueError("must be above 0")


def _strengths(default: tuple[float, ...], of: str) -> Any:
    return _leaf(
        default,
        f"strengths of {of} to choose from, two or more",
        parse=lambda text: parse_floats(text, positive=True),
        format=format_floats,
    )


@dataclass(frozen=True)
class ColoursConfig:
    """Two environments of coloured images of --dataset, by Arjovsky et al.'s protocol."""

    colour_batch: int = _leaf(4000, "examples of a batch, of both environments", check=_above_0)
    colour_rate: float = _leaf(0.002, "learning rate", check=_above_0)
    colour_l2: float = _leaf(0.003, "weight decay", check=_above_0)
    irm_strengths: tuple[float, ...] = _strengths((100.0, 1000.0, 10000.0), "IRM's penalty")
    vrex_strengths: tuple[float, ...] = _strengths((100.0, 1000.0, 10000.0), "V-REx's penalty")
    warmup_steps: int = _leaf(150, "updates before they are in full force", check=_above_0)
    dro_step: float = _leaf(
        0.1, "how fast group DRO's adversary climbs, everywhere", check=_above_0
    )
    seeds: tuple[int, ...] = seeds_leaf((10, 11, 12, 13, 14), "which report")
    tuning_seeds: tuple[int, ...] = seeds_leaf((0, 1), "which choose strengths")


@dataclass(frozen=True)
class CuesConfig:
    """A ruler in the corner of images and a last word of sentences, shared by the test set."""

    rulers: str = _leaf("fashion_mnist", "dataset of images that get rulers; none: leave them out")
    ruler_model: Literal[MODELS] = _leaf("mlp", "network for them")  # type: ignore[valid-type]
    ruler_width: int = _leaf(64, "its width; 0: its own")
    ruler_size: int = _leaf(14, "pixels a side; 0: as they are")
    words: str = _leaf("tickets", "dataset of sentences that get words; none: leave them out")
    word_model: Literal[MODELS] = _leaf("lstm", "network for them")  # type: ignore[valid-type]
    word_width: int = _leaf(32, "its width; 0: its own")
    cue_batch: int = _leaf(100, "batch size for both", check=_above_0)
    ruler_steps: int = _leaf(600, "updates on rulers", check=_above_0)
    word_steps: int = _leaf(200, "updates on words", check=_above_0)
    ruler_rate: float = _leaf(0.003, "learning rate on rulers", check=_above_0)
    word_rate: float = _leaf(0.01, "learning rate on words", check=_above_0)
    strong_l2: float = _leaf(0.03, "weight decay, where it is strong; beside none", check=_above_0)


@dataclass(frozen=True)
class SpuriousConfig:
    """Shortcuts that the test set shares, and what is done against them."""

    colours: ColoursConfig = ColoursConfig()
    cues: CuesConfig = CuesConfig()
    task: TaskConfig = TaskConfig(dataset="digits", model="mlp", width=128, validation_fraction=0.1)
    training: TrainingConfig = TrainingConfig(
        optimizer="adam", budget=Budget(steps=400), evaluations=10
    )
    engine: EngineConfig = EngineConfig()
    record: RecordConfig = RecordConfig(snapshots=1)
    processes: ProcessesConfig = ProcessesConfig()

    def __post_init__(self) -> None:
        """Refuses what would leave nothing to compare.

        Raises:
          UserError: names the flag.
        """
        asked = self.colours
        tuned.check_seeds(asked.tuning_seeds, asked.seeds)
        if len(asked.seeds) < 2:
            raise UserError(f"--seeds={format_seeds(asked.seeds)}: intervals need 2 or more")
        for name in ("irm_strengths", "vrex_strengths"):
            if len(values := getattr(asked, name)) < 2:
                raise UserError(f"--{name}={format_floats(values)}: there is nothing to choose")
        budget = self.training.budget
        if not budget.steps or budget != Budget(steps=budget.steps):
            raise UserError(f"--budget={budget}: use updates alone, such as 400steps")
        if asked.warmup_steps >= budget.steps:
            raise UserError(
                f"--warmup_steps={asked.warmup_steps}: penalties would never be in full force; use "
                f"fewer than --budget={budget}"
            )
        if not self.record.snapshots:
            raise UserError("--snapshots=0: they are asked about other test sets; use 1 or more")
        if not self.task.validation_fraction:
            raise UserError("--validation_fraction=0: strengths are chosen there; use e.g. 0.1")
        given = {f.name: f.default for f in dataclasses.fields(self.training)}
        for name in ("weight_decay", "reweighting", "group_dro", "irm_penalty", "vrex_penalty"):
            if getattr(self.training, name) != given[name]:
                raise UserError(f"--{name}: the runs differ in it; leave the flag out")


PRESETS: dict[str, dict[str, object]] = {
    "smoke": {
        "train_examples": 2000,
        "budget": "30steps",
        "width": 16,
        "colour_batch": 500,
        "warmup_steps": 10,
        "irm_strengths": "10,1000",
        "vrex_strengths": "10,1000",
        "seeds": "10,11",
        "tuning_seeds": "1",
        "rulers": "none",
        "words": "none",
        "evaluations": 2,
    },
    "laptop": {},
    "gpu": {
        "dataset": "mnist",
        "image_size": 14,
        "width": 390,
        "budget": "501steps",
        "warmup_steps": 190,
        "colour_batch": 50000,
        "colour_rate": 0.0005,
        "validation_fraction": 0.16,
        "irm_strengths": "100,1000,10000,100000",
        "vrex_strengths": "100,1000,10000,100000",
        "rulers": "fashion_mnist_full",
        "ruler_model": "cnn",
        "ruler_width": 0,
        "ruler_size": 0,
        "ruler_steps": 5000,
        "word_width": 128,
        "word_steps": 1000,
        "seeds": "10,11,12,13,14,15,16,17,18,19",
    },
    "pod": {
        "dataset": "mnist",
        "image_size": 14,
        "width": 390,
        "budget": "501steps",
        "warmup_steps": 190,
        "colour_batch": 50000,
        "colour_rate": 0.0005,
        "validation_fraction": 0.16,
        "irm_strengths": "100,1000,10000,100000,1000000",
        "vrex_strengths": "100,1000,10000,100000,1000000",
        "rulers": "cifar10",
        "ruler_model": "resnet",
        "ruler_width": 32,
        "ruler_size": 0,
        "ruler_steps": 20000,
        "word_width": 128,
        "word_steps": 1000,
        "seeds": "30",
        "tuning_seeds": "30,31,32,33",
    },
}
