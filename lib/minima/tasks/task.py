"""A task: a model on a dataset, as pure functions of arrays that live on the device."""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from minima.tasks import augmentation as augmentations
from minima.tasks import model_choice as choices
from minima.tasks import objectives
from minima.tasks.datasets.dataset import Dataset, Generator, Split
from minima.tasks.model_choice import ModelChoice
from minima.tasks.models import (
    Model,
    Noise,
    Params,
    Settings,
    State,
    Training,
    architecture,
    trainable,
)
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
    """A dataset on the device: raw inputs, labels, and the constants that normalise the inputs.

    Groups and weights are of training examples, (n,), or None.
    """

    train: tuple[Any, Any]
    validation: tuple[Any, Any]
    test: tuple[Any, Any]
    mean: Any
    std: Any
    groups: Any = None
    weights: Any = None


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
        outputs, state = self.training_outputs(params, state, arrays, inputs, weights, extras)
        return self.sums(outputs, labels, weights, extras.smoothing), state

    def training_outputs(
        self,
        params: Params,
        state: State,
        arrays: Arrays,
        inputs: jax.Array,
        weights: jax.Array,
        extras: Regularisation,
    ) -> tuple[jax.Array, State]:
        """What the model says of a microbatch in a training pass; its state after."""
        if extras.augmentation_keys is not None:
            inputs = augmentations.augment(
                self.augmentation, self.kind, inputs, extras.augmentation_keys
            )
        training = Training(weights, extras.noise)
        return self.model.apply(params, state, self.prepare(arrays, inputs), training)

    def sums(
        self,
        outputs: jax.Array,
        labels: jax.Array,
        weights: jax.Array,
        smoothing: jax.Array | None = None,
    ) -> Sums:
        """Loss, hits and weight of outputs by the task's loss."""
        if self.tolerance is not None:
            return objectives.regression(outputs, labels, weights, self.tolerance)
        return objectives.classification(
            outputs, labels, weights, smoothing, self.loss, self.ignores
        )

    def mean_losses(
        self, outputs: jax.Array, labels: jax.Array, smoothing: jax.Array | None = None
    ) -> jax.Array:
        """The loss of each example, (n,): a mean over its labels that count."""
        if self.tolerance is not None:
            losses = objectives.squared_difference(outputs, labels)
        else:
            losses = objectives.LOSSES[self.loss](outputs, labels, smoothing)
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
        return self.sums(logits, labels, weights), predictions


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
    choices.check_loss(loss, dataset)
    if choice.name == "default":
        by_step = dataset.per_position and dataset.kind != "graph"
        name = "lstm" if by_step else _DEFAULT_MODELS[dataset.kind]
        choice = replace(choice, name=name)
    entry = architecture(choice.name)
    choices.check_kind(choice.name, entry, dataset)
    choices.check_choice(choice, entry)
    augmentations.check(augmentation, dataset.kind)
    height = dataset.input_shape[0]
    if dataset.kind == "image" and entry.image_size and height > entry.image_size:
        dataset = dataset.resized(entry.image_size)
    choices.check_size(choice.name, entry.least_size, dataset)
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
        activation=choices.activation(choice, entry),
        compute_dtype="" if compute_dtype == "default" else compute_dtype,
        remat=choice.remat,
        attention_chunk=choice.attention_chunk,
        edges=dataset.edges,
    )
    choices.check_length(choice, settings)
    model = Model(choice.name, settings, choice.trainable)
    if choice.trainable != trainable.ALL:
        trainable.mask(model)  # refuses what matches nothing
    tolerance = dataset.tolerance if dataset.task == "regression" else None
    ignores = dataset.per_position and not dataset.asked(dataset.train).all()
    task = Task(model, dataset.kind, augmentation, dataset.generator, loss, tolerance, ignores)
    return task, dataset


def to_arrays(dataset: Dataset, dtype: str = "float32") -> Arrays:
    """The dataset as host arrays in the layout of `Arrays`, ready for `jax.device_put`."""

    def pair(split: Split) -> tuple[np.ndarray, np.ndarray]:
        inputs = split.inputs
        floating = np.issubdtype(inputs.dtype, np.floating)
        of_labels = dtype if dataset.task == "regression" else np.int32
        return (inputs.astype(dtype) if floating else inputs, split.labels.astype(of_labels))

    scalars = (np.asarray(dataset.mean, dtype), np.asarray(dataset.std, dtype))
    splits = pair(dataset.train), pair(dataset.validation), pair(dataset.test)
    weights = dataset.example_weights()
    weights = None if weights is None else weights.astype(dtype)
    return Arrays(*splits, *scalars, dataset.train.groups, weights)
