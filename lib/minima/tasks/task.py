"""A task: a model on a dataset, as pure functions of arrays that live on the device."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from minima.runtime.errors import UserError
from minima.tasks import augmentation as augmentations
from minima.tasks import objectives
from minima.tasks.datasets.dataset import Dataset, Split
from minima.tasks.models import Model, Noise, Params, architecture
from minima.tasks.objectives import Sums


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
      kind: "image", "signal" or "vector".
      augmentation: a key of `augmentation.AUGMENTATIONS`.
    """

    model: Model
    kind: str
    augmentation: str = "none"

    def normalise(self, arrays: Arrays, inputs: jax.Array) -> jax.Array:
        """Raw inputs (n, ...) of any dtype to (x - mean) / std in the model's dtype."""
        return (inputs.astype(self.model.dtype) - arrays.mean) / arrays.std

    def training_sums(
        self,
        params: Params,
        arrays: Arrays,
        inputs: jax.Array,
        labels: jax.Array,
        weights: jax.Array,
        extras: Regularisation,
    ) -> Sums:
        """Loss, hits and weight of one microbatch in a training pass."""
        if extras.augmentation_keys is not None:
            inputs = augmentations.augment(
                self.augmentation, self.kind, inputs, extras.augmentation_keys
            )
        logits = self.model.apply(params, self.normalise(arrays, inputs), extras.noise)
        return objectives.classification(logits, labels, weights, extras.smoothing)

    def noisy_labels(
        self, key: jax.Array, index: jax.Array, labels: jax.Array, rate: jax.Array | float
    ) -> jax.Array:
        """Labels (n,) of training examples `index` (n,), each redrawn uniformly at a fixed rate.

        An example's draw depends on the key and its index alone: it keeps its (wrong) label for
        the whole of training (Zhang et al. 2017). A redrawn label is right by luck 1 in `classes`.
        """

        def redraw(i: jax.Array, label: jax.Array) -> jax.Array:
            flip_key, class_key = jax.random.split(jax.random.fold_in(key, i))
            other = jax.random.randint(class_key, (), 0, self.model.num_classes, jnp.int32)
            return jnp.where(jax.random.bernoulli(flip_key, rate), other, label)

        return jax.vmap(redraw)(index, labels)

    def evaluation_sums(
        self,
        params: Params,
        arrays: Arrays,
        inputs: jax.Array,
        labels: jax.Array,
        weights: jax.Array,
    ) -> tuple[Sums, jax.Array]:
        """Sums of an evaluation pass, and the predicted classes, shape (n,) int32."""
        logits = self.model.apply(params, self.normalise(arrays, inputs))
        predictions = jnp.argmax(logits, axis=1).astype(jnp.int32)
        return objectives.classification(logits, labels, weights), predictions


def make_task(
    dataset: Dataset, model: str, augmentation: str = "none", dtype: str = "float32"
) -> tuple[Task, Dataset]:
    """Fits a model's name to a dataset.

    Returns:
      The task and the dataset it reads: images averaged down where the model asks for it.

    Raises:
      UserError: the model or the augmentation can't read this kind of data, or the images are too
        small for the model.
    """
    entry = architecture(model)
    if dataset.kind not in entry.kinds:
        raise UserError(
            f"--model={model}: reads {' or '.join(entry.kinds)} data, --dataset={dataset.name} "
            f"holds {dataset.kind}s; use --model=mlp"
        )
    augmentations.check(augmentation, dataset.kind)
    height = dataset.input_shape[0]
    if entry.image_size and height > entry.image_size:
        dataset = dataset.resized(entry.image_size)
    _check_size(model, entry.least_size, dataset)
    net = Model(model, dataset.input_shape, dataset.num_classes, dtype)
    return Task(net, dataset.kind, augmentation), dataset


def _check_size(model: str, least: int, dataset: Dataset) -> None:
    sides = dataset.input_shape[:2]
    if dataset.kind == "image" and min(sides) < least:
        raise UserError(
            f"--model={model}: needs images of at least {least}×{least} pixels, "
            f"--dataset={dataset.name} holds {sides[0]}×{sides[1]}; use --model=mlp"
        )


def to_arrays(dataset: Dataset, dtype: str = "float32") -> Arrays:
    """The dataset as host arrays in the layout of `Arrays`, ready for `jax.device_put`."""

    def pair(split: Split) -> tuple[np.ndarray, np.ndarray]:
        inputs = split.inputs
        floating = np.issubdtype(inputs.dtype, np.floating)
        return (inputs.astype(dtype) if floating else inputs, split.labels.astype(np.int32))

    scalars = (np.asarray(dataset.mean, dtype), np.asarray(dataset.std, dtype))
    return Arrays(pair(dataset.train), pair(dataset.validation), pair(dataset.test), *scalars)
