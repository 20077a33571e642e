"""What the flags say of a model, and what of it an architecture refuses, each in one line."""

from dataclasses import dataclass

from minima.runtime.errors import UserError
from minima.tasks.datasets.dataset import Dataset
from minima.tasks.models import ARCHITECTURES, Architecture, Settings, trainable
from minima.tasks.models.sequence import length_of


@dataclass(frozen=True)
class ModelChoice:
    """What the flags say of a model; zero and "default" leave it to the architecture.

    Attributes:
      name: a key of `models.ARCHITECTURES`, or "default" for the one that suits the data.
      width, depth: of the hidden layers.
      norm: one of `norms.NORMS`, or "default".
      activation: a key of `layers.ACTIVATIONS`, or "default".
      positions: whether a transformer knows where its inputs stand.
      parametrisation: "standard" or "mup".
      base_width: where the two are the same.
      remat: whether blocks are computed again on the way back.
      attention_chunk: positions that attention looks at together; 0: all.
      trainable: which parameters training moves.
    """

    name: str
    width: int = 0
    depth: int = 0
    norm: str = "default"
    positions: bool = True
    parametrisation: str = "standard"
    base_width: int = 0
    activation: str = "default"
    remat: bool = False
    attention_chunk: int = 0
    trainable: str = trainable.ALL


def check_loss(loss: str, dataset: Dataset) -> None:
    """Numbers have one loss."""
    if dataset.task == "regression" and loss != "squared_error":
        raise UserError(
            f"--loss={loss}: the labels of --dataset={dataset.name} are numbers, not classes; use "
            "--loss=squared_error, or integer labels for classes"
        )


def check_kind(name: str, entry: Architecture, dataset: Dataset) -> None:
    """A model reads some kinds of data."""
    if dataset.kind not in entry.kinds:
        wants = " or ".join(entry.kinds)
        use = "lstm or transformer" if dataset.kind == "tokens" else "mlp"
        raise UserError(
            f"--model={name}: reads {wants} data, --dataset={dataset.name} holds "
            f"{_plural(dataset.kind)}; use --model={use}"
        )
    if dataset.per_position and not entry.language:
        raise UserError(
            f"--model={name}: is no language model, which --dataset={dataset.name} asks for; use "
            "--model=lstm or transformer"
        )


def activation(choice: ModelChoice, entry: Architecture) -> str:
    """What was asked for, or the architecture's first; its own where it has no choice."""
    if choice.activation == "default":
        return entry.activations[0] if entry.activations else ""
    return choice.activation


def check_choice(choice: ModelChoice, entry: Architecture) -> None:
    """What an architecture doesn't have can't be chosen."""
    if choice.norm != "default" and choice.norm not in entry.norms:
        raise UserError(
            f"--norm={choice.norm}: --model={choice.name} has {', '.join(sorted(entry.norms))}; "
            "use one of these"
        )
    if choice.activation != "default" and choice.activation not in entry.activations:
        known = [name for name, other in ARCHITECTURES.items() if other.activations]
        raise UserError(
            f"--activation={choice.activation}: --model={choice.name} has its own; use "
            f"--model={', '.join(known[:-1])} or {known[-1]}"
        )
    if choice.width and not entry.width:
        raise UserError(f"--width={choice.width}: --model={choice.name} has none; use --model=mlp")
    if choice.width % entry.width_multiple:
        raise UserError(
            f"--width={choice.width}: --model={choice.name} needs a multiple of "
            f"{entry.width_multiple}"
        )
    if choice.depth and not entry.depth:
        raise UserError(f"--depth={choice.depth}: --model={choice.name} has none; use --model=mlp")
    if choice.remat and not entry.depth and not entry.width:
        raise UserError(f"--remat: --model={choice.name} has no hidden layers; use --model=mlp")
    if choice.attention_chunk and not entry.attends:
        attending = " or ".join(name for name, other in ARCHITECTURES.items() if other.attends)
        raise UserError(
            f"--attention_chunk={choice.attention_chunk}: --model={choice.name} has no attention; "
            f"use --model={attending}"
        )
    _check_parametrisation(choice, entry)


def check_length(choice: ModelChoice, settings: Settings) -> None:
    """A longer chunk is the whole sequence, for which there is another number."""
    if choice.attention_chunk <= 0:
        return
    length = length_of(settings, patches=True)
    if choice.attention_chunk >= length:
        raise UserError(
            f"--attention_chunk={choice.attention_chunk}: the sequences have {length} positions; "
            "use fewer, or 0 for all of them"
        )


def _check_parametrisation(choice: ModelChoice, entry: Architecture) -> None:
    if choice.parametrisation == "standard":
        if choice.base_width:
            raise UserError(
                f"--base_width={choice.base_width}: --parametrisation=standard has none; use "
                "--parametrisation=mup"
            )
        return
    if not entry.mup:
        known = " or ".join(name for name, other in ARCHITECTURES.items() if other.mup)
        raise UserError(
            f"--parametrisation={choice.parametrisation}: --model={choice.name} has none; use "
            f"--model={known}"
        )
    if choice.base_width % entry.width_multiple:
        raise UserError(
            f"--base_width={choice.base_width}: --model={choice.name} needs a multiple of "
            f"{entry.width_multiple}"
        )


def _plural(kind: str) -> str:
    return kind if kind.endswith("s") else kind + "s"


def check_size(model: str, least: int, dataset: Dataset) -> None:
    """Convolutions need so many pixels or samples."""
    sides = dataset.input_shape[:2]
    if dataset.kind == "image" and min(sides) < least:
        raise UserError(
            f"--model={model}: needs images of at least {least}×{least} pixels, "
            f"--dataset={dataset.name} holds {sides[0]}×{sides[1]}; use --model=mlp"
        )
    if dataset.kind == "signal" and model == "cnn1d" and sides[0] < least:
        raise UserError(
            f"--model={model}: needs signals of at least {least} samples, "
            f"--dataset={dataset.name} holds {sides[0]}; use --model=mlp"
        )
