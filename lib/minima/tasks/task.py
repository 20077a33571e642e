"""A task: a model on a dataset, as pure functions of arrays that live on the device."""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from minima.runtime.errors import UserError
from minima.tasks import augmentation as augmentations
from minima.tasks import objectives
from minima.tasks.datasets.dataset import Dataset, Generator, Split
from minima.tasks.models import (
    ARCHITECTURES,
    Architecture,
    Model,
    Noise,
    Params,
    Settings,
    State,
    Training,
    architecture,
    trainable,
)
from minima.tasks.models.sequence import length_of
from minima.tasks.objectives import Sums

# What reads a kind of data at the least cost.
_DEFAULT_MODELS = {
    "image": "cnn_small",
    "tokens": "lstm",
    "signal": "mlp",
    "vector": "mlp",
    "graph": "gnn",
}


class Arrays(NamedTuple):
    """A dataset on the device: raw inputs, labels, and the constants that normalise the inputs."""

    train: tuple[Any, Any]
    validation: tuple[Any, Any]
    test: tuple[Any, Any]
    mean: Any
    std: Any


class Regularisation(NamedTuple):
    """What is switched on in training passes; a None is compiled away.

    Attributes:
      augmentation_keys: (n,) keys, or None.
      noise: dropout keys and rate, or None.
      smoothing: label smoothing in [0, 1), or None.
    """

    augmentation_keys: jax.Array | None = None
    noise: Noise | None = None
    smoothing: jax.Array | None = None


@dataclass(frozen=True)
class Task:
    """What is trained. Hashable and static under jit; the data come as `Arrays`.

    Attributes:
      model: the model, with input shape, classes and dtype.
      kind: "image", "signal", "vector", "tokens" or "graph".
      augmentation: a key of `augmentation.AUGMENTATIONS`.
      loss: a key of `objectives.LOSSES`, in training and in evaluation.
      generator: draws training examples (see `Dataset`), or None where there is a training set.
      tolerance: how far off a regression's hits may be; None for classes.
      ignores: some labels are -1, and no part of loss and accuracy.
    """

    model: Model
    kind: str
    augmentation: str = "none"
    generator: Generator | None = None
    loss: str = "cross_entropy"
    tolerance: float | None = None
    ignores: bool = False

    def computed_in(self, dtype: str) -> "Task":
        """The same task with parameters and all arithmetic in a dtype: how minima are measured."""
        settings = replace(self.model.settings, parameter_dtype=dtype, compute_dtype="")
        return replace(self, model=replace(self.model, settings=settings))

    def prepare(self, arrays: Arrays, inputs: jax.Array) -> jax.Array:
        """What the model reads: (x - mean) / std in its dtype; tokens stay integers."""
        if self.kind == "tokens":
            return inputs.astype(jnp.int32)
        return (inputs.astype(self.model.dtype) - arrays.mean) / arrays.std

    def training_sums(
        self,
        params: Params,
        state: State,
        arrays: Arrays,
        inputs: jax.Array,
        labels: jax.Array,
        weights: jax.Array,
        extras: Regularisation,
    ) -> tuple[Sums, State]:
        """Loss, hits and weight of one microbatch in a training pass; the model's state after."""
        if extras.augmentation_keys is not None:
            inputs = augmentations.augment(
                self.augmentation, self.kind, inputs, extras.augmentation_keys
            )
        training = Training(weights, extras.noise)
        logits, state = self.model.apply(params, state, self.prepare(arrays, inputs), training)
        return self._sums(logits, labels, weights, extras.smoothing), state

    def _sums(
        self,
        outputs: jax.Array,
        labels: jax.Array,
        weights: jax.Array,
        smoothing: jax.Array | None = None,
    ) -> Sums:
        if self.tolerance is not None:
            return objectives.regression(outputs, labels, weights, self.tolerance)
        return objectives.classification(
            outputs, labels, weights, smoothing, self.loss, self.ignores
        )

    def mean_losses(self, outputs: jax.Array, labels: jax.Array) -> jax.Array:
        """The loss of each example, (n,), without smoothing: a mean over its labels that count."""
        if self.tolerance is not None:
            losses = objectives.squared_difference(outputs, labels)
        else:
            losses = objectives.LOSSES[self.loss](outputs, labels, None)
        asked = (labels >= 0).reshape(len(labels), -1) if self.ignores else None
        return jnp.mean(losses.reshape(len(losses), -1), axis=1, where=asked)

    def noisy_labels(
        self, keys: jax.Array, labels: jax.Array, rate: jax.Array | float
    ) -> jax.Array:
        """Labels (n, ...), each redrawn uniformly at a fixed rate by its example's key, keys (n,).

        A redrawn label is right by luck 1 in `classes` (Zhang et al. 2017).
        """

        def redraw(key: jax.Array, label: jax.Array) -> jax.Array:
            flip_key, class_key = jax.random.split(key)
            classes = self.model.settings.num_classes
            other = jax.random.randint(class_key, label.shape, 0, classes, jnp.int32)
            flips = jax.random.bernoulli(flip_key, rate, label.shape)
            return jnp.where(flips & (label >= 0) if self.ignores else flips, other, label)

        return jax.vmap(redraw)(keys, labels)

    def logits(
        self,
        params: Params,
        state: State,
        arrays: Arrays,
        inputs: jax.Array,
        noise: Noise | None = None,
    ) -> jax.Array:
        """Outputs of an evaluation; with noise, dropout stays on (Monte Carlo dropout)."""
        training = None if noise is None else Training(None, noise)
        return self.model.apply(params, state, self.prepare(arrays, inputs), training)[0]

    def evaluation_sums(
        self,
        params: Params,
        state: State,
        arrays: Arrays,
        inputs: jax.Array,
        labels: jax.Array,
        weights: jax.Array,
    ) -> tuple[Sums, jax.Array]:
        """Sums of an evaluation pass, and what is predicted, in the labels' shape.

        Predictions are classes, int32, or a regression's numbers, in the model's dtype.
        """
        logits, _ = self.model.apply(params, state, self.prepare(arrays, inputs))
        if self.tolerance is not None:
            predictions = logits[..., 0]
        else:
            predictions = jnp.argmax(logits, axis=-1).astype(jnp.int32)
        return self._sums(logits, labels, weights), predictions


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


def make_task(
    dataset: Dataset,
    choice: ModelChoice,
    augmentation: str = "none",
    dtype: str = "float32",
    loss: str = "cross_entropy",
    compute_dtype: str = "default",
) -> tuple[Task, Dataset]:
    """Fits a model to a dataset.

    Args:
      dataset: what it reads.
      choice: of the model.
      augmentation: a key of `augmentation.AUGMENTATIONS`.
      dtype: "float32" or "float64", of parameters and sums.
      loss: a key of `objectives.LOSSES`.
      compute_dtype: "bfloat16" for products in it, or "default" for `dtype`.

    Returns:
      The task and the dataset it reads: images averaged down where the model asks for it.

    Raises:
      UserError: the model or the augmentation can't read this kind of data, the loss isn't one for
        its labels, the images are too small for the model, or the model has no such norm,
        activation, width, depth, parametrisation, blocks, attention or parameters.
    """
    _check_loss(loss, dataset)
    if choice.name == "default":
        by_step = dataset.per_position and dataset.kind != "graph"
        name = "lstm" if by_step else _DEFAULT_MODELS[dataset.kind]
        choice = replace(choice, name=name)
    entry = architecture(choice.name)
    _check_kind(choice.name, entry, dataset)
    _check_choice(choice, entry)
    augmentations.check(augmentation, dataset.kind)
    height = dataset.input_shape[0]
    if dataset.kind == "image" and entry.image_size and height > entry.image_size:
        dataset = dataset.resized(entry.image_size)
    _check_size(choice.name, entry.least_size, dataset)
    tokens = len(dataset.vocabulary or ()) or dataset.num_classes
    settings = Settings(
        input_shape=dataset.input_shape,
        kind=dataset.kind,
        num_classes=dataset.num_classes,
        vocabulary=tokens if dataset.kind == "tokens" else 0,
        per_position=dataset.per_position,
        width=choice.width or entry.width,
        depth=choice.depth or entry.depth,
        norm=entry.norms[0] if choice.norm == "default" else choice.norm,
        positions=choice.positions,
        parameter_dtype=dtype,
        base_width=(choice.base_width or entry.width) if choice.parametrisation == "mup" else 0,
        activation=_activation(choice, entry),
        compute_dtype="" if compute_dtype == "default" else compute_dtype,
        remat=choice.remat,
        attention_chunk=choice.attention_chunk,
        edges=dataset.edges,
    )
    _check_length(choice, settings)
    model = Model(choice.name, settings, choice.trainable)
    if choice.trainable != trainable.ALL:
        trainable.mask(model)  # refuses what matches nothing
    tolerance = dataset.tolerance if dataset.task == "regression" else None
    ignores = dataset.per_position and not dataset.asked(dataset.train).all()
    task = Task(model, dataset.kind, augmentation, dataset.generator, loss, tolerance, ignores)
    return task, dataset


def _check_loss(loss: str, dataset: Dataset) -> None:
    if dataset.task == "regression" and loss != "squared_error":
        raise UserError(
            f"--loss={loss}: the labels of --dataset={dataset.name} are numbers, not classes; use "
            "--loss=squared_error, or integer labels for classes"
        )


def _check_kind(name: str, entry: Architecture, dataset: Dataset) -> None:
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


def _activation(choice: ModelChoice, entry: Architecture) -> str:
    """What was asked for, or the architecture's first; its own where it has no choice."""
    if choice.activation == "default":
        return entry.activations[0] if entry.activations else ""
    return choice.activation


def _check_choice(choice: ModelChoice, entry: Architecture) -> None:
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


def _check_length(choice: ModelChoice, settings: Settings) -> None:
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


def _check_size(model: str, least: int, dataset: Dataset) -> None:
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


def to_arrays(dataset: Dataset, dtype: str = "float32") -> Arrays:
    """The dataset as host arrays in the layout of `Arrays`, ready for `jax.device_put`."""

    def pair(split: Split) -> tuple[np.ndarray, np.ndarray]:
        inputs = split.inputs
        floating = np.issubdtype(inputs.dtype, np.floating)
        of_labels = dtype if dataset.task == "regression" else np.int32
        return (inputs.astype(dtype) if floating else inputs, split.labels.astype(of_labels))

    scalars = (np.asarray(dataset.mean, dtype), np.asarray(dataset.std, dtype))
    return Arrays(pair(dataset.train), pair(dataset.validation), pair(dataset.test), *scalars)
